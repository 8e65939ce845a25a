"""What `attnviz explain` recomputed, as data: docs/schema/explain-1.schema.json, and CSV."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from attnviz.answers.answer import facts_of, token_facts
from attnviz.answers.explanation import Explanation
from attnviz.show.matrix_data import CSV_HEADER, quoted, with_numbers

EXPLAIN_SCHEMA = "attnviz.explain/1"

EXPLAIN_CSV_HEADER = CSV_HEADER + b",dot,score,norm\n"


def explain_json(explanation: Explanation) -> bytes:
    """One piece's `attnviz.explain/1` object, on a line of its own.

    Numbers have float32's own shortest digits. `bias`, which is added to each score, stands with
    the keys where the layer has one, as `softcap`, `sink` and what is `between` matrices and
    vectors do in their places; the score of a key that may not be looked at is null.
    """
    view = explanation.view
    paired = view.inspection.tokens.pair is not None
    projected, between = explanation.projected, explanation.matrices.between
    facts = facts_of(view.context, EXPLAIN_SCHEMA)
    facts.pop("keys", None)  # each is told with its steps
    facts |= {
        "layer": explanation.head.layer,
        "head": explanation.head.head,
        "query": token_facts(explanation.query, paired),
        "scale": explanation.scale,
        **_if_there("softcap", explanation.softcap),
        "shapes": explanation.shapes,
        "x": explanation.x,
        **({"between": between._asdict()} if any(between) else {}),
        **_if_there("projected_q", projected.q),
        "q": explanation.q,
        "keys": [_key(explanation, key) for key in range(len(explanation.keys))],
        **_if_there("sink", None if explanation.sink is None else explanation.sink._asdict()),
        "z": explanation.z,
        "output": explanation.output,
        "share": explanation.share,
        "check": asdict(explanation.check),
    }
    return with_numbers(facts) + b"\n"


def _key(explanation: Explanation, key: int) -> dict[str, Any]:
    token, projected = explanation.keys[key], explanation.projected
    facts: dict[str, Any] = {"index": key, "text": token.text}
    if explanation.view.is_cross_attention:  # whose tokens stand nowhere else
        facts = token_facts(token, explanation.view.inspection.key_tokens.pair is not None)
    return {
        **facts,
        **_if_there("projected_k", None if projected.k is None else projected.k[key]),
        "k": explanation.k[key],
        "dot": explanation.dots[key],
        **({"seen": bool(explanation.seen[key])} if explanation.masked else {}),
        **_if_there("bias", None if explanation.bias is None else explanation.bias[key]),
        "score": explanation.scores[key],
        "weight": explanation.weights[key],
        **_if_there("projected_v", None if projected.v is None else projected.v[key]),
        "v": explanation.v[key],
        "norm": explanation.norms[key],
    }


def _if_there(name: str, value: object) -> dict[str, object]:
    return {} if value is None else {name: value}


def explain_csv(explanation: Explanation, text_index: int) -> Iterator[bytes]:
    """A row a key, without the header: the steps that are one number; a masked score is empty."""
    head, query = explanation.head, explanation.query
    start = f"{text_index},{head.layer},{head.head},{query.index},{quoted(query.text)}"
    columns = (explanation.weights, explanation.dots, explanation.scores, explanation.norms)
    for token, numbers in zip(explanation.keys, np.stack(columns, axis=1), strict=True):
        row = with_numbers(np.ascontiguousarray(numbers))[1:-1].replace(b"null", b"")
        yield f"{start},{token.index},{quoted(token.text)},".encode() + row + b"\n"
