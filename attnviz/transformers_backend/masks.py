"""What a model's masks and position biases come to: ranges of keys, and what is added."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from attnviz.encoder.devices import as_numpy
from attnviz.transformers_backend.attention_call import Call, UnlikeError

ROWS_AT_ONCE = 512
"""Rows of a mask that are looked at together, so that what that takes stays small."""

KEPT = 4
"""Masks whose meaning is kept: layers share theirs, and hardly any model has more kinds."""


@dataclass(frozen=True, eq=False)
class Bias:
    """What is done to a sentence's scores, as LayerRecord has it."""

    key_ranges: np.ndarray | None = None
    distance_bias: np.ndarray | None = None
    bias: np.ndarray | None = None


class Masks:
    """The masks of one run; `lengths`: how many queries and keys each sentence has."""

    def __init__(self, lengths: Sequence[tuple[int, int]]) -> None:
        self._lengths = lengths
        self._known: deque[tuple[tuple[Tensor | None, Tensor | None, bool], list[Bias]]] = deque(
            maxlen=KEPT
        )

    def of(self, call: Call) -> list[Bias]:
        """What a call's mask and position bias are to each sentence."""
        asked = (call.mask, call.position_bias, call.causal)
        for (mask, bias, causal), known in self._known:
            if mask is call.mask and bias is call.position_bias and causal == call.causal:
                return known
        found = [self._found(call, sentence) for sentence in range(len(self._lengths))]
        self._known.append((asked, found))
        return found

    def _found(self, call: Call, sentence: int) -> Bias:
        n, m = self._lengths[sentence]
        own = [
            _parted(tensor[sentence if len(tensor) > 1 else 0, :, :n, :m])
            for tensor in (call.mask, call.position_bias)
            if tensor is not None
        ]
        seen = _joined([seen for seen, _ in own], torch.logical_and)
        added = _joined([added for _, added in own], torch.add)
        key_ranges = _causal(n, m) if call.causal else None
        if seen is not None:
            key_ranges = _intervals(seen)
            if key_ranges is None:
                low = torch.zeros(seen.shape, device=seen.device).masked_fill(~seen, -torch.inf)
                added = _joined([added, low], torch.add)
            elif key_ranges[:, 0].max() == 0 and key_ranges[:, 1].min() == m:
                key_ranges = None
        if added is None:
            return Bias(key_ranges)
        offsets = _by_distance(added)
        if offsets is not None:
            return Bias(key_ranges, distance_bias=offsets if offsets.any() else None)
        return Bias(key_ranges, bias=as_numpy(added))


def _joined(tensors: Sequence[Tensor | None], how: Callable[..., Tensor]) -> Tensor | None:
    there = [tensor for tensor in tensors if tensor is not None]
    return reduce(how, there) if there else None


def _causal(n: int, m: int) -> np.ndarray:
    return np.array([(0, min(query + 1, m)) for query in range(n)], np.int32)


def _parted(mask: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """A mask, or numbers that are added to scores, as keys that are seen, and what is added.

    A key is hidden by the least number that there is, or nearly; the sum of two of them is -inf.
    """
    if mask.dtype == torch.bool:
        return mask, None
    added = mask
    low = added <= torch.finfo(added.dtype).min / 2
    rest = added.masked_fill(low, 0)
    return (~low if low.any() else None), (rest if rest.any() else None)


def _intervals(seen: Tensor) -> np.ndarray | None:
    """The first key that each query sees, and the end of them, (n, 2); None for any other mask.

    seen: (num_heads or 1, n, m). A query that sees nothing has none of it.
    """
    first_head, m = seen[0], seen.shape[-1]
    if len(seen) > 1 and not bool((seen == first_head).all()):
        return None
    parts = []
    for rows in torch.split(first_head, ROWS_AT_ONCE):
        flags = rows.to(torch.uint8)
        first, end = flags.argmax(-1), m - flags.flip(-1).argmax(-1)
        if not torch.equal(flags.sum(-1), end - first):
            return None
        parts.append(torch.stack([first, end], -1))
    intervals: np.ndarray = torch.cat(parts).to("cpu", torch.int32).numpy()
    return intervals


def _by_distance(added: Tensor) -> np.ndarray | None:
    """What is added by key - query alone, (heads, n + m - 1), as LayerRecord has it; None if it is
    not by that alone.

    added: (heads, n, m).
    """
    n, m = added.shape[-2:]
    if not torch.isfinite(added).all():  # a mask that is no interval
        return None
    offsets = torch.cat([added[:, 1:, 0].flip(-1), added[:, 0]], dim=-1)
    windows = offsets.unfold(-1, m, 1)
    for first in range(0, n, ROWS_AT_ONCE):
        rows = torch.arange(first, min(first + ROWS_AT_ONCE, n), device=added.device)
        if not torch.equal(windows[:, n - 1 - rows], added[:, rows]):
            return None
    return as_numpy(offsets)


def check_lengths(call: Call, queries: int, keys: int) -> None:
    """UnlikeError unless a call has as many queries and keys as the sentences have tokens."""
    n, m = call.q.shape[-2], call.k.shape[-2]
    if (n, m) != (queries, keys):
        raise UnlikeError(f"{n} queries and {m} keys, where there are {queries} and {keys} tokens")
