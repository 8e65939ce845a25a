"""Corpora for tests: documents in memory, a reader of them, and a small question."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from handmade import inspection_of, random_inspection, tokens_of

from attnviz.attention.measures import MeasureName
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.fold import Seen
from attnviz.corpus.resampling import Means
from attnviz.inspection import ModelFacts
from attnviz.model import Model
from attnviz.text.tokens import Tokens


@dataclass(frozen=True)
class Listed:
    """A reader of documents in memory, file by file."""

    by_file: dict[str, list[Document | Problem]]

    @property
    def what(self) -> dict[str, Any]:
        return {"files": [(file, None) for file in self.files()]}

    def files(self) -> list[str]:
        return list(self.by_file)

    def documents(self, file: str) -> Iterator[Document | Problem]:
        yield from self.by_file[file]


def documents_of(texts: Sequence[str], file: str = "corpus.txt") -> list[Document | Problem]:
    """One document a text, in one file."""
    return [Document(file, number, number + 1, text) for number, text in enumerate(texts)]


@dataclass
class ShareToItself:
    """Each head's mean share to the word itself, and how many texts were seen."""

    heads: int
    means: Means = field(init=False)
    seen: int = 0

    def __post_init__(self) -> None:
        self.means = Means((self.heads,), (1,))

    def add(self, seen: Seen) -> None:
        sums = np.concatenate(
            [np.trace(block.weights, axis1=1, axis2=2) for block in seen.blocks()]
        )
        self.means.add(seen.times, sums, np.array([len(seen.view.tokens)]), seen.share)
        self.seen += 1

    def merge(self, other: "ShareToItself") -> None:
        self.means.merge(other.means)
        self.seen += other.seen

    def state(self) -> dict[str, Any]:
        return {**self.means.state(), "seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        self.means.restore(state)
        self.seen = state["seen"]


@dataclass(frozen=True)
class Itself:
    """The question whose accumulator is ShareToItself."""

    measure: MeasureName = "weights"

    @property
    def what(self) -> dict[str, Any]:
        return {"question": "itself", "measure": self.measure}

    def accumulator(self, facts: ModelFacts) -> ShareToItself:
        return ShareToItself(facts.num_layers * facts.num_heads)

    def tokens(self, model: Model, document: Document) -> list[Tokens]:
        return [model.tokenize(document.text, document.pair)]


def seen_of(
    number: int,
    words: Sequence[str],
    heads: tuple[int, int] = (2, 3),
    weights: np.ndarray | None = None,
) -> Seen:
    """A text of a corpus with its weights, (layer, head, query, key), or with random ones."""
    tokens = tokens_of(words)
    if weights is None:
        inspection = random_inspection(tokens, *heads, seed=number)
    else:
        inspection = inspection_of(tokens, weights)
    return Seen(Document("corpus.txt", number, number + 1, " ".join(words)), inspection, "weights")
