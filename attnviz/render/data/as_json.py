"""An inspection as JSON: the object `attnviz.run/1` of docs/schema/run-1.schema.json."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson

from attnviz.inspection import HeadId, HeadStack, ModelFacts, View
from attnviz.tokens import Token

RUN_SCHEMA = "attnviz.run/1"
"""The format's name and version, first in every output."""

NUMBERS_AT_ONCE = 1 << 16
"""Numbers made into text together at most (about 1 MB of it), however long the sentence is."""


def run_json(view: View, heads: Sequence[HeadId]) -> Iterator[bytes]:
    """A sentence and what the heads do in it, as one `attnviz.run/1` object in chunks of UTF-8.

    It stands on one line, ended by a newline. Weights have float32's own shortest digits: read back
    as float32 they are the same numbers. A view without special tokens tells for each row what
    share of it they had.
    """
    facts = [b'"%b":%b' % (name.encode(), orjson.dumps(fact)) for name, fact in view_facts(view)]
    yield b"{" + b",".join(facts) + b',"heads":['
    comma = b""
    for text in _all_heads(view, heads):
        yield comma + text
        comma = b","
    yield b"]}\n"


def model_facts(model: ModelFacts) -> dict[str, Any]:
    """The model's name and hyperparameters; an untrained model's also have the seed."""
    facts: dict[str, Any] = {
        "name": model.name,
        "family": model.family,
        "num_layers": model.num_layers,
        "num_heads": model.num_heads,
        "d_model": model.d_model,
        "d_k": model.d_k,
        "d_ff": model.d_ff,
        "trained": model.trained,
    }
    return facts if model.trained else facts | {"seed": model.seed}


def with_numbers(value: object) -> bytes:
    """A value as JSON, arrays in it included, each float32 in the fewest digits that keep it."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def view_facts(view: View, schema: str = RUN_SCHEMA) -> list[tuple[str, Any]]:
    """What each object says first: format, sentence, model, unit, measure, and tokens."""
    tokens = view.inspection.tokens
    return [
        ("schema", schema),
        ("text", tokens.text),
        ("pair", tokens.pair),
        ("model", model_facts(view.model)),
        ("unit", view.unit),
        ("measure", view.measure),
        ("formula", view.measured.told),
        ("tokens", [token_facts(token, tokens.pair is not None) for token in view.tokens]),
    ]


def token_facts(token: Token, paired: bool) -> dict[str, Any]:
    """One row and column; in a pair, it also tells its segment."""
    segment = {"segment": token.segment} if paired else {}
    return {
        "index": token.index,
        "text": token.text,
        "start": token.start,
        "end": token.end,
        "special": token.special,
        **segment,
        "pieces": token.pieces,
    }


def _all_heads(view: View, heads: Sequence[HeadId]) -> Iterator[bytes]:
    """The heads' objects, to be joined by commas: several at once, or one head in several parts."""
    dropped: list[np.ndarray] = []
    for stack in view.blocks(heads):
        if stack.rows == slice(0, len(view.tokens)):
            yield from _heads(stack)
            continue
        dropped += [] if stack.dropped is None else [stack.dropped[0]]
        opening = b""
        if stack.rows.start == 0:
            layer, head = stack.heads[0]
            opening = with_numbers({"layer": layer, "head": head, "weights": []})
        rows = list(_rows(stack.weights[0]))
        rows[0] = opening.removesuffix(b"]}") + rows[0]
        if stack.rows.stop == len(view.tokens):
            lost = b',"dropped":' + with_numbers(np.concatenate(dropped)) if dropped else b""
            rows[-1] += b"]" + lost + b"}"
            dropped.clear()
        yield from rows


def _heads(stack: HeadStack) -> Iterator[bytes]:
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


def _head(stack: HeadStack, number: int, rows: np.ndarray) -> dict[str, Any]:
    layer, head = stack.heads[number]
    if stack.dropped is None:
        return {"layer": layer, "head": head, "weights": rows}
    dropped = np.ascontiguousarray(stack.dropped[number])
    return {"layer": layer, "head": head, "dropped": dropped, "weights": rows}
