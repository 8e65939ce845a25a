"""What an answer is, and what every answer's data say first: the text, the model, the tokens.

A question is a function from a View, or two, to a frozen answer, which is computed once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import repeat
from typing import Any, Protocol

import numpy as np

from attnviz.inspection import Context
from attnviz.text.tokens import Token, Tokens

RUN_SCHEMA = "attnviz.run/1"


class Answer(Protocol):
    """What every answer can do; `top` limits links, keys or heads as it does in tables."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of `rows`."""

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The JSON object of the answer's schema; arrays keep float32."""

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a link, head or finding; None where a column does not apply."""


def facts_of(context: Context, schema: str = RUN_SCHEMA, keys: str = "keys") -> dict[str, Any]:
    """The facts that JSON starts with; keys of another text come under the name of `keys`."""
    window = window_of(context)
    tokens, source = context.text, context.source
    positions = None if window is None else context.positions
    return {
        "schema": schema,
        "text": tokens.text,
        "pair": tokens.pair,
        **source_facts(source),
        **part_facts(context),
        "model": context.model.data(),
        "unit": context.unit,
        "measure": context.measure,
        **attention_facts(context),
        "formula": context.measured.description,
        **if_there("window", window),
        "tokens": _listed(context.tokens, tokens, positions),
        **({} if source is None else {keys: _listed(context.keys, source)}),
    }


def if_there(name: str, value: object) -> dict[str, Any]:
    """A fact of JSON, unless it is None."""
    return {} if value is None else {name: value}


def token_name(token: Token) -> dict[str, Any]:
    """A token in JSON, where one of `tokens` or `keys` is meant."""
    return {"index": token.index, "text": token.text}


def shortest(number: float) -> float:
    """A float32 number as the float with the same, shortest digits: 0.677, not 0.67699998617."""
    return float(str(np.float32(number)))


def last_columns(context: Context) -> tuple[str, ...]:
    """The last columns of rows about weights: `dropped` without special tokens, `measure` if not
    weights.
    """
    dropped = () if context.special else ("dropped",)
    return dropped if context.measure == "weights" else (*dropped, "measure")


def last_cells(context: Context, dropped: float | None) -> tuple[Any, ...]:
    """One row's values of `last_columns`."""
    cells = () if context.special else (None if dropped is None else shortest(dropped),)
    return cells if context.measure == "weights" else (*cells, context.measure)


def attention_facts(context: Context) -> dict[str, str]:
    """Whose attention it is; nothing of an encoder's own."""
    return {} if context.attention == "encoder" else {"attention": context.attention}


def source_facts(source: Tokens | None) -> dict[str, str]:
    """The text of keys that are another's than the queries, and its pair if there is one."""
    if source is None:
        return {}
    return {"source": source.text} | ({"source_pair": source.pair} if source.pair else {})


def part_facts(context: Context) -> dict[str, Any]:
    """Which window of a longer text was looked at, where one was cut into windows."""
    part = context.part
    return {} if part is None else {"part": asdict(part)}


def window_of(context: Context) -> list[int] | None:
    """The first token of the window, and the one after its last; None without a window."""
    if context.window is None:
        return None
    first, end = context.window
    return [first, min(end, len(context.text.unit(context.unit)))]


def token_facts(token: Token, paired: bool, position: int | None = None) -> dict[str, Any]:
    """One row or column; in a pair, it also tells its segment, and in a window its position."""
    return {
        "index": token.index,
        **if_there("position", position),
        "text": token.text,
        "start": token.start,
        "end": token.end,
        "special": token.special,
        "unknown": token.unknown,
        **({"segment": token.segment} if paired else {}),
        "pieces": token.pieces,
    }


def _listed(
    shown: Sequence[Token], tokens: Tokens, positions: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    paired = tokens.pair is not None
    if positions is None:
        return [token_facts(token, paired) for token in shown]
    return [token_facts(*facts) for facts in zip(shown, repeat(paired), positions)]
