"""What `attnviz explain` recomputed, as data: docs/schema/explain-1.schema.json, and CSV."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from attnviz.analysis.explanation import Explanation
from attnviz.render.data.as_csv import CSV_HEADER, quoted
from attnviz.render.data.as_json import token_facts, view_facts, with_numbers

EXPLAIN_SCHEMA = "attnviz.explain/1"

EXPLAIN_CSV_HEADER = CSV_HEADER + b",dot,score,norm\n"


def explain_json(explanation: Explanation) -> bytes:
    """One piece's `attnviz.explain/1` object, on a line of its own.

    Numbers have float32's own shortest digits. `bias`, which the softmax adds to each score, stands
    with the keys where the layer has one; what is masked by minus infinity is null.
    """
    view = explanation.view
    paired = view.inspection.tokens.pair is not None
    facts = dict(view_facts(view, EXPLAIN_SCHEMA))
    facts |= {
        "layer": explanation.head.layer,
        "head": explanation.head.head,
        "query": token_facts(explanation.query, paired),
        "scale": explanation.scale,
        "shapes": explanation.shapes,
        "x": explanation.x,
        "q": explanation.q,
        "keys": [_key(explanation, key) for key in range(len(explanation.keys))],
        "z": explanation.z,
        "output": explanation.output,
        "share": explanation.share,
        "check": asdict(explanation.check),
    }
    return with_numbers(facts) + b"\n"


def _key(explanation: Explanation, key: int) -> dict[str, Any]:
    bias = {} if explanation.bias is None else {"bias": explanation.bias[key]}
    return {
        "index": key,
        "text": explanation.keys[key].text,
        "k": explanation.k[key],
        "dot": explanation.dots[key],
        **bias,
        "score": explanation.scores[key],
        "weight": explanation.weights[key],
        "v": explanation.v[key],
        "norm": explanation.norms[key],
    }


def explain_csv(explanation: Explanation, text_index: int) -> Iterator[bytes]:
    """A row a key, without the header: the steps that are one number; a masked score is empty."""
    head, query = explanation.head, explanation.query
    start = f"{text_index},{head.layer},{head.head},{query.index},{quoted(query.text)}"
    columns = (explanation.weights, explanation.dots, explanation.scores, explanation.norms)
    for token, numbers in zip(explanation.keys, np.stack(columns, axis=1), strict=True):
        row = with_numbers(np.ascontiguousarray(numbers))[1:-1].replace(b"null", b"")
        yield f"{start},{token.index},{quoted(token.text)},".encode() + row + b"\n"
