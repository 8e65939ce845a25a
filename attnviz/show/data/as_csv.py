"""An inspection as CSV, one row for each link from a query to a key."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import repeat

import numpy as np

from attnviz.attention.measures import MeasureName
from attnviz.inspection import HeadId, View
from attnviz.show.data.as_json import with_numbers
from attnviz.text.tokens import Token

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
    queries, keys = ([_named(token) for token in side] for side in (view.tokens, view.keys))
    at_once = max(1, ROWS_AT_ONCE // len(keys))

    @lru_cache(maxsize=1)  # a short sentence has the same links in every head
    def links(first: int, end: int) -> list[bytes]:
        return [query + key for query in queries[first:end] for key in keys]

    measure = measure_cell(view.measure).encode()
    for head, rows, weights, dropped in _each(view, heads):
        start = f"{text_index},{head_cells(head)},".encode()
        for first in range(0, len(weights), at_once):
            numbers = _numbers(weights[first : first + at_once])
            end = first + len(numbers) // len(keys)
            parts = [b"\n" + start] * (3 * len(numbers))
            parts[0] = start
            parts[1::3] = links(rows.start + first, rows.start + end)
            parts[2::3] = numbers
            if dropped is not None or measure:
                shares = None if dropped is None else dropped[first:end]
                ends = repeat(measure) if shares is None else _ends(shares, len(keys), measure)
                parts[2::3] = map(bytes.__add__, numbers, ends)
            yield b"".join(parts) + b"\n"


def _named(token: Token) -> bytes:
    return b"%d,%b," % (token.index, quoted(token.text).encode())


def _each(
    view: View, heads: Sequence[HeadId]
) -> Iterator[tuple[HeadId, slice, np.ndarray, np.ndarray | None]]:
    """Some rows of each head: which, their weights, (query, key), and what was lost, (query,)."""
    for stack in view.blocks(heads):
        lost = [None] * len(stack.heads) if stack.dropped is None else stack.dropped
        for head, weights, dropped in zip(stack.heads, stack.weights, lost, strict=True):
            yield head, stack.rows, weights, dropped


def _ends(dropped: np.ndarray, keys: int, measure: bytes) -> Iterator[bytes]:
    """What stands behind each weight of some queries, (query,), of so many keys each."""
    for share in _numbers(dropped):
        yield from repeat(b"," + share + measure, keys)


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
