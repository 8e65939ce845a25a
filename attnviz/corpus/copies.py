"""How many texts of a corpus are copies of earlier ones, in constant memory and in any order.

Of each text a hash is counted, and the smallest KEPT hashes stay: they are a fair sample of all
different texts, whose counts are exact (k minimum values: Bar-Yossef et al. 2002, "Counting
distinct elements in a data stream"). Up to KEPT different texts the number is exact.
"""

from collections import Counter
from hashlib import blake2b
from heapq import nsmallest
from typing import Any

import numpy as np

from attnviz.corpus.fold import Seen

KEPT = 4096


class Copies:
    """Counts texts by their hashes: an Accumulator."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, seen: Seen) -> None:
        """Add a text; of a long one the first window."""
        part, document = seen.inspection.part, seen.document
        if part is None or part.index == 0:
            text = repr((document.text, document.pair)).encode("utf-8", "surrogatepass")
            digest = blake2b(text, digest_size=8).digest()
            self._counts[int.from_bytes(digest, "little")] += 1
            if len(self._counts) > 2 * KEPT:
                self._keep()

    def merge(self, other: "Copies") -> None:
        """Add what another has seen."""
        self._counts.update(other._counts)
        self._keep()

    def state(self) -> dict[str, Any]:
        """All its numbers."""
        self._keep()
        known = sorted(self._counts)
        return {
            "hashes": np.array(known, np.uint64),
            "counts": np.array([self._counts[one] for one in known], np.int64),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        counts = zip(state["hashes"].tolist(), state["counts"].tolist(), strict=True)
        self._counts = Counter(dict(counts))

    @property
    def share(self) -> float:
        """The part of the texts that are copies of earlier ones."""
        self._keep()
        texts = self._counts.total()
        return 1 - len(self._counts) / texts if texts else 0.0

    def _keep(self) -> None:
        if len(self._counts) > KEPT:
            smallest = nsmallest(KEPT, self._counts)
            self._counts = Counter({own: self._counts[own] for own in smallest})
