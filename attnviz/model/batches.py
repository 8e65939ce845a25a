"""Which sentences run together, and in which order what became of them is given back."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future

from attnviz.errors import AttnvizError
from attnviz.inspection import Inspection
from attnviz.model.runner import Results
from attnviz.text.tokens import Tokens

BATCH_TOKENS = 512
"""How many tokens, padding included, run through the encoder together at most.

Enough for matrix products at full speed, and few enough that they stay in the processor's cache and
that sentences of like length come together.
"""

Begun = list[tuple[list[int], Future[Results]]]
"""Batches that were begun: their sentences' numbers, and what they will become."""


def windows(
    sentences: Iterable[tuple[int, Tokens] | None], most_tokens: int
) -> Iterator[list[tuple[int, Tokens]]]:
    """Sentences that run together; an empty window before more are waited for, and at the end."""
    window: list[tuple[int, Tokens]] = []
    size = 0
    for numbered in sentences:
        if numbered is not None:
            window.append(numbered)
            size += len(numbered[1])
        if window and (numbered is None or size >= most_tokens):
            yield window
            window, size = [], 0
        if numbered is None:
            yield []
    if window:
        yield window
    yield []


def in_order(window: Begun) -> Iterator[tuple[int, Inspection | AttnvizError]]:
    """A window's inspections, once they are there, in the order of its sentences."""
    results = {
        index: result
        for indices, batch in window
        for index, result in zip(indices, batch.result(), strict=True)
    }
    window.clear()  # so that each is let go of once it has been used
    for index in sorted(results):
        yield index, results.pop(index)


def batches_of(by_length: Sequence[tuple[int, Tokens]]) -> Iterator[list[tuple[int, Tokens]]]:
    """Cut sentences, ascending in length, into runs of at most BATCH_TOKENS once padded."""
    batch: list[tuple[int, Tokens]] = []
    for numbered in by_length:
        if batch and len(numbered[1]) * (len(batch) + 1) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(numbered)
    if batch:
        yield batch
