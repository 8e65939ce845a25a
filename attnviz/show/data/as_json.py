"""An inspection as JSON: the object `attnviz.run/1` of docs/schema/run-1.schema.json."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson

from attnviz.answers.answer import facts_of
from attnviz.inspection import Block, HeadId, View

NUMBERS_AT_ONCE = 1 << 16
"""Numbers made into text together at most (about 1 MB of it), however long the sentence is."""


def run_json(view: View, heads: Sequence[HeadId]) -> Iterator[bytes]:
    """A sentence and what the heads do in it, as one `attnviz.run/1` object in chunks of UTF-8.

    It stands on one line, ended by a newline. Weights have float32's own shortest digits: read back
    as float32 they are the same numbers. A view without special tokens tells for each row what
    share of it they had; and a model with a sink, what went there.
    """
    yield orjson.dumps(facts_of(view.context)).removesuffix(b"}") + b',"heads":['
    comma = b""
    for text in _all_heads(view, heads):
        yield comma + text
        comma = b","
    yield b"]}\n"


def with_numbers(value: object) -> bytes:
    """A value as JSON, arrays in it included, each float32 in the fewest digits that keep it."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _all_heads(view: View, heads: Sequence[HeadId]) -> Iterator[bytes]:
    """The heads' objects, to be joined by commas: several at once, or one head in several parts."""
    beside: dict[str, list[np.ndarray]] = {"dropped": [], "sink": []}
    for stack in view.blocks(heads):
        if stack.rows == slice(0, len(view.tokens)):
            yield from _heads(stack)
            continue
        for name, array in _beside(stack, 0).items():
            beside[name].append(array)
        opening = b""
        if stack.rows.start == 0:
            layer, head = stack.heads[0]
            opening = with_numbers({"layer": layer, "head": head, "weights": []})
        rows = list(_rows(stack.weights[0]))
        rows[0] = opening.removesuffix(b"]}") + rows[0]
        if stack.rows.stop == len(view.tokens):
            shares = {name: np.concatenate(parts) for name, parts in beside.items() if parts}
            told = with_numbers(shares).removeprefix(b"{")
            rows[-1] += b"]" + (b"," if shares else b"") + told
            beside = {name: [] for name in beside}
        yield from rows


def _heads(stack: Block) -> Iterator[bytes]:
    """The objects of heads whose rows are all there."""
    down, across = stack.weights.shape[1:]
    heads_at_once = max(1, NUMBERS_AT_ONCE // (down * across))
    rows_at_once = max(1, NUMBERS_AT_ONCE // across)
    weights = np.ascontiguousarray(stack.weights)
    for start in range(0, len(stack.heads), heads_at_once):
        numbers = range(start, min(start + heads_at_once, len(stack.heads)))
        objects = [_head(stack, number, weights[number, :rows_at_once]) for number in numbers]
        text = with_numbers(objects)[1:-1]
        for rows in _rows(weights[start, rows_at_once:]):
            yield text.removesuffix(b"]}")
            text = rows + b"]}"
        yield text


def _rows(weights: np.ndarray) -> Iterator[bytes]:
    """Rows, (query, key), without the brackets around all of them; some at a time."""
    at_once = max(1, NUMBERS_AT_ONCE // weights.shape[1])
    for first in range(0, len(weights), at_once):
        yield with_numbers(np.ascontiguousarray(weights[first : first + at_once]))[1:-1]


def _head(stack: Block, number: int, rows: np.ndarray) -> dict[str, Any]:
    layer, head = stack.heads[number]
    return {"layer": layer, "head": head, **_beside(stack, number), "weights": rows}


def _beside(stack: Block, number: int) -> dict[str, np.ndarray]:
    """What went elsewhere than to the keys shown, in one of the heads, as far as there is any."""
    shares = {"dropped": stack.dropped, "sink": stack.sink}
    return {
        name: np.ascontiguousarray(share[number])
        for name, share in shares.items()
        if share is not None
    }
