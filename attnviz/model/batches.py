"""Sentences that run together: windows of a stream, and batches of like lengths in each."""

from collections.abc import Iterable, Iterator, Sequence

from attnviz.text.tokens import Tokens

FIRST_TOKENS = 128
"""The tokens in the first window of a stream; each window has room for four times as many."""

WINDOW_SENTENCES = 1024
"""The most sentences in a window: what Python keeps of one is more than a tiny model's vectors."""

BATCH_TOKENS = 512
"""The most tokens in a batch, padding included: enough for matrix products at full speed, and few
enough for the processor's cache and for sentences of similar length."""

Numbered = tuple[int, Tokens]


def windows(sentences: Iterable[Numbered | None], most_tokens: int) -> Iterator[list[Numbered]]:
    """Group sentences that run together; an empty window marks a pause, and the end.

    The first windows are small, so that the first results do not wait for many others.
    """
    window: list[Numbered] = []
    size, room = 0, min(FIRST_TOKENS, most_tokens)
    for numbered in sentences:
        if numbered is not None:
            window.append(numbered)
            size += len(numbered[1])
        full = size >= room or len(window) == WINDOW_SENTENCES
        if window and (numbered is None or full):
            yield window
            window, size, room = [], 0, min(4 * room, most_tokens)
        if numbered is None:
            yield []
    if window:
        yield window
    yield []


def batches_of(by_length: Sequence[Numbered]) -> Iterator[list[Numbered]]:
    """Split sentences, sorted by length, into batches of at most BATCH_TOKENS once padded."""
    batch: list[Numbered] = []
    for numbered in by_length:
        if batch and len(numbered[1]) * (len(batch) + 1) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(numbered)
    if batch:
        yield batch
