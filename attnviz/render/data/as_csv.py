"""An inspection as CSV, one row for each link from a query to a key."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import repeat

import numpy as np

from attnviz.inspection import HeadId, View
from attnviz.measures import MeasureName
from attnviz.render.data.as_json import with_numbers

CSV_HEADER = b"text_index,layer,head,query_index,query,key_index,key,weight"
"""How the first line of a file begins; it names the columns."""

ROWS_AT_ONCE = 1 << 14
"""Rows written together at most (about half a megabyte of text), however long the sentence is."""


def csv_header(special: bool, measure: MeasureName, columns: bytes = CSV_HEADER) -> bytes:
    """The first line; two columns come last where there is something to say in them.

    `dropped`: without special tokens, the share of the query's row that they had. `measure`: what
    the numbers are, where they are not attention weights.
    """
    dropped = b"" if special else b",dropped"
    return columns + dropped + (b"" if measure == "weights" else b",measure") + b"\n"


def run_csv(view: View, heads: Sequence[HeadId], text_index: int) -> Iterator[bytes]:
    """The rows of one sentence, without the header, in chunks of UTF-8.

    Heads come in the order given, then queries, then keys. Words stand as they were typed, quoted
    where they need it (RFC 4180); weights have float32's own shortest digits. A measure without
    heads leaves the column `head` empty.
    """
    words = [quoted(token.text).encode() for token in view.tokens]
    length = len(words)
    at_once = max(1, ROWS_AT_ONCE // length)
    keys = [b"%d,%b," % (index, word) for index, word in enumerate(words)]

    @lru_cache(maxsize=1)  # a short sentence has the same links in every head
    def links(first: int) -> list[bytes]:
        return [query + key for query in keys[first : first + at_once] for key in keys]

    measure = measure_cell(view.measure).encode()
    for head, weights, dropped in _each(view, heads):
        start = f"{text_index},{head_cells(head)},".encode()
        for first in range(0, length, at_once):
            numbers = _numbers(weights[first : first + at_once])
            parts = [b"\n" + start] * (3 * len(numbers))
            parts[0] = start
            parts[1::3] = links(first)
            parts[2::3] = numbers
            if dropped is not None or measure:
                ends = _ends(dropped, slice(first, first + at_once), length, measure)
                parts[2::3] = map(bytes.__add__, numbers, ends)
            yield b"".join(parts) + b"\n"


def _each(
    view: View, heads: Sequence[HeadId]
) -> Iterator[tuple[HeadId, np.ndarray, np.ndarray | None]]:
    """Each head with its weights, (query, key), and what each query's row lost, (query,)."""
    for stack in view.stacks(heads):
        lost = [None] * len(stack.heads) if stack.dropped is None else stack.dropped
        yield from zip(stack.heads, stack.weights, lost, strict=True)


def _ends(
    dropped: np.ndarray | None, queries: slice, length: int, measure: bytes
) -> Iterator[bytes]:
    """What stands behind each weight of these queries."""
    if dropped is None:
        yield from repeat(measure, len(range(length)[queries]) * length)
        return
    for share in _numbers(dropped[queries]):
        yield from repeat(b"," + share + measure, length)


def _numbers(array: np.ndarray) -> list[bytes]:
    return with_numbers(np.ascontiguousarray(array).reshape(-1))[1:-1].split(b",")


def head_cells(head: HeadId) -> str:
    """Layer and head; the latter is empty where a measure has none."""
    return f"{head.layer},{'' if head.head is None else head.head}"


def measure_cell(measure: MeasureName) -> str:
    """The last column, with the comma before it, where there is one."""
    return "" if measure == "weights" else f",{measure}"


def quoted(field: str) -> str:
    """A field as RFC 4180 wants it: in quotes, and quotes doubled, if it would be misread."""
    if any(character in field for character in ',"\r\n'):
        return '"' + field.replace('"', '""') + '"'
    return field
