"""A sentence in which a head has a strong link, and as much of its matrix as a page can draw."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from attnviz.answers.answer import if_there, shortest


@dataclass(frozen=True, eq=False)
class Example:
    """A sentence of a corpus, or the part of a long one around a head's strongest link in it.

    `line`: its document's first line in `source`, from 1. `words`, and of cross-attention `keys`:
    those shown, special tokens too; `places`: their indices among all, if some are not shown.
    `query` and `key`: indices in what is shown. `matrix`: the head's weights, (query, key), uint8,
    of which 255 stands for `scale`.
    """

    source: str
    line: int
    id: str | None
    words: tuple[str, ...]
    query: int
    key: int
    weight: float
    matrix: np.ndarray
    scale: float
    keys: tuple[str, ...] | None = None
    places: tuple[int, ...] | None = None
    key_places: tuple[int, ...] | None = None

    @property
    def query_text(self) -> str:
        """The word that looks."""
        return self.words[self.query]

    @property
    def key_text(self) -> str:
        """The word that is looked at."""
        return (self.keys or self.words)[self.key]

    def data(self, matrix: bool = False) -> dict[str, Any]:
        """The example as JSON has it; with its `weights` and their `scale` if asked for."""
        return {
            "source": self.source,
            "line": self.line,
            "id": self.id,
            "words": list(self.words),
            **if_there("keys", self.keys and list(self.keys)),
            **if_there("places", self.places and list(self.places)),
            **if_there("key_places", self.key_places and list(self.key_places)),
            "query": {"index": self.query, "text": self.query_text},
            "key": {"index": self.key, "text": self.key_text},
            "weight": shortest(self.weight),
            **({"weights": self.matrix.tolist(), "scale": shortest(self.scale)} if matrix else {}),
        }
