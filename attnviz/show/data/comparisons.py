"""What `attnviz compare` found, as data: docs/schema/compare-1.schema.json, and CSV."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from attnviz.answers.align import SIDES, Column
from attnviz.answers.answer import facts_of
from attnviz.answers.compare import Comparison, HeadChange
from attnviz.attention.measures import MEASURES, MeasureName
from attnviz.show.matrix_data import head_cells, measure_cell, quoted, with_numbers
from attnviz.text.tokens import Token

COMPARE_SCHEMA = "attnviz.compare/1"

COMPARE_CSV_HEADER = (
    b"layer,head,distance,a_query_index,a_query,b_query_index,b_query,"
    b"a_key_index,a_key,b_key_index,b_key,a,b,change"
)
"""How the first line of a file begins; it names the columns."""

NAMED = 3
"""Keys that gained, and that lost, which are named for each head at most."""


def compare_json(comparison: Comparison, count: int | None = None) -> Iterator[bytes]:
    """The `attnviz.compare/1` object on a line of its own, in chunks of UTF-8.

    Heads come in the comparison's order, all or the first `count`. The shares of A and B have
    float32's own shortest digits; a key that one side lacks has 0 there. Where keys are of another
    text, the aligned words that look are told too, as `queries`.
    """
    aligned = comparison.aligned
    facts: dict[str, Any] = {"schema": COMPARE_SCHEMA}
    for side in SIDES:
        told = facts_of(aligned.view(side).context)
        del told["schema"]
        facts[side] = told
    facts["query"] = _asked(comparison.columns, comparison.query)
    facts["key"] = _asked(comparison.keys, comparison.key)
    if aligned.a.is_cross_attention:
        facts["queries"] = [_column(column) for column in comparison.columns]
    facts["keys"] = [_column(column) for column in comparison.keys]
    yield with_numbers(facts).removesuffix(b"}") + b',"heads":['
    for number, change in enumerate(comparison.heads[:count]):
        yield (b"," if number else b"") + with_numbers(_head(change, comparison.key))
    yield b"]}\n"


def compare_csv_header(special: bool, measure: MeasureName) -> bytes:
    """The first line; more columns come last where there is something to say in them.

    `a_dropped`, `b_dropped`: without special tokens, the share that they had. `a_sum`, `b_sum` and
    `measure`: what rows that are not shares were divided by, and what the numbers are.
    """
    dropped = b"" if special else b",a_dropped,b_dropped"
    sums = b",a_sum,b_sum" if not MEASURES[measure].shares else b""
    return (
        COMPARE_CSV_HEADER + dropped + sums + (b"" if measure == "weights" else b",measure") + b"\n"
    )


def compare_csv(comparison: Comparison, count: int | None = None) -> Iterator[bytes]:
    """A row for each head and aligned key, without the header.

    Heads come in the comparison's order, all or the first `count`, keys in the sentences'. A word
    that one side lacks leaves its fields there, and the change, empty.
    """
    end = measure_cell(comparison.aligned.a.measure)
    asked: Sequence[Token | None] = (None, None)
    if comparison.query is not None:
        asked = comparison.aligned.pair(comparison.query)
    query = ",".join(map(_cells, asked))
    keys = [f"{query},{_cells(a)},{_cells(b)}" for a, b, _ in comparison.keys]
    for change in comparison.heads[:count]:
        start = f"{head_cells(change.head)},{_number(change.distance)}"
        both = [pair for pair in (change.dropped, change.sums) if pair is not None]
        told = "".join(f",{_number(pair.a)},{_number(pair.b)}" for pair in both) + end
        rows = zip(keys, comparison.keys, change.a, change.b, change.change, strict=True)
        for key, (in_a, in_b, _), a, b, difference in rows:
            numbers = (
                "" if in_a is None else _number(a),
                "" if in_b is None else _number(b),
                "" if in_a is None or in_b is None else _number(difference),
            )
            yield f"{start},{key},{','.join(numbers)}{told}\n".encode()


def _asked(columns: Sequence[Column], column: int | None) -> dict[str, Any] | None:
    return None if column is None else _column(columns[column])


def _column(column: Column) -> dict[str, Any]:
    a, b, same = column
    return {
        "a": None if a is None else a.index,
        "b": None if b is None else b.index,
        "text_a": None if a is None else a.text,
        "text_b": None if b is None else b.text,
        "same": same,
    }


def _head(change: HeadChange, key: int | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "layer": change.head.layer,
        "head": change.head.head,
        "distance": change.distance,
    }
    if key is not None:
        facts["change"] = change.change[key]
    shares = (("sum", change.sums), ("dropped", change.dropped), ("rest", change.rest))
    for name, both in shares:
        if both is not None:
            facts |= {f"a_{name}": both.a, f"b_{name}": both.b}
    if change.distances is not None:
        facts["distances"] = [None if np.isnan(d) else float(d) for d in change.distances]
    return facts | {
        "gained": _changes(change, change.gained(NAMED)),
        "lost": _changes(change, change.lost(NAMED)),
        "a": np.ascontiguousarray(change.a),
        "b": np.ascontiguousarray(change.b),
    }


def _changes(change: HeadChange, columns: Sequence[int]) -> list[dict[str, Any]]:
    return [{"key": column, "change": change.change[column]} for column in columns]


def _cells(token: Token | None) -> str:
    return "," if token is None else f"{token.index},{quoted(token.text)}"


def _number(value: float | np.floating[Any]) -> str:
    return with_numbers(value).decode()
