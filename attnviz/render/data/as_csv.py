"""An inspection as CSV, one row for each link from a query to a key."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from attnviz.inspection import HeadId, View
from attnviz.render.data.as_json import with_numbers

CSV_HEADER = b"text_index,layer,head,query_index,query,key_index,key,weight\n"
"""The first line of a file; it names the columns."""

ROWS_AT_ONCE = 1 << 14
"""Rows written together at most (about half a megabyte of text), however long the sentence is."""


def run_csv(view: View, heads: Sequence[HeadId], text_index: int) -> Iterator[bytes]:
    """The rows of one sentence, without the header, in chunks of UTF-8.

    Heads come in the order given, then queries, then keys. Words stand as they were typed, quoted
    where they need it (RFC 4180); weights have float32's own shortest digits.
    """
    words = [_quoted(token.text).encode() for token in view.tokens]
    length = len(words)
    at_once = max(1, ROWS_AT_ONCE // length)
    keys = [b"%d,%b," % (index, word) for index, word in enumerate(words)]

    @lru_cache(maxsize=1)  # a short sentence has the same links in every head
    def links(first: int) -> list[bytes]:
        return [query + key for query in keys[first : first + at_once] for key in keys]

    for (layer, head), weights in view.heads(heads):
        start = b"%d,%d,%d," % (text_index, layer, head)
        for first in range(0, length, at_once):
            numbers = with_numbers(weights[first : first + at_once].reshape(-1))[1:-1].split(b",")
            parts = [b"\n" + start] * (3 * len(numbers))
            parts[0] = start
            parts[1::3] = links(first)
            parts[2::3] = numbers
            yield b"".join(parts) + b"\n"


def _quoted(field: str) -> str:
    """A field as RFC 4180 wants it: in quotes, and quotes doubled, if it would be misread."""
    if any(character in field for character in ',"\r\n'):
        return '"' + field.replace('"', '""') + '"'
    return field
