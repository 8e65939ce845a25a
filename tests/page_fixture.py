"""Records of every kind with what Python makes of them, which the page's scripts must repeat.

    python tests/page_fixture.py        writes tests/page_mathematics.json anew
"""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from page_kinds import Kind, Shape, kinds

from attnviz.answers.find import find
from attnviz.answers.select import Phrase
from attnviz.errors import RequestError
from attnviz.inspection.specification import (
    LayerNumbers,
    Side,
    attention,
    attention_scores,
    attention_weights,
)
from attnviz.text.tokens import Tokens

STORED = Path(__file__).parent / "page_mathematics.json"
LINKS = (([4], [2]), ([1, 2], [4]), ([2], [0]), ([3], [2, 3]))
"""Queries and keys that are looked for in each frame, by their places among what is shown."""


def fixture() -> list[dict[str, Any]]:
    """What is stored: requests as page_mathematics.mjs takes them, and their results."""
    return [{"name": kind.name, **request(kind), "results": results(kind)} for kind in kinds()]


def request(kind: Kind) -> dict[str, Any]:
    """A record in float32, and what is asked of it."""
    numbers, record = kind.numbers, kind.record
    arrays = {name: array for name, array in numbers._asdict().items() if _is_array(array)}
    if record.v is not None:
        arrays["v"] = record.v[:, kind.key_pieces]
    data, blob = packed(arrays)
    factors = {"scale": record.scale, "softcap": record.softcap, "heads": record.num_heads}
    return {
        "layer": {**factors, "blob": "", "arrays": data, "steps": None},
        "blob": blob,
        "sides": sides(kind),
        "frames": [frame(shape) for shape in kind.shapes],
        "explained": [{"head": record.num_heads - 1, "query": 2}] if len(kind.pieces) > 2 else [],
        "found": [asked for asked, _ in _found(kind)],
    }


def frame(shape: Shape) -> dict[str, Any]:
    """What types.js calls Frame."""
    return {"unit": shape.unit, "special": shape.special, "window": shape.window}


def packed(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], str]:
    """Arrays as the page has them, not rounded: what types.js calls ArrayData, and the bytes."""
    data, found = b"", {}
    for name, array in arrays.items():
        found[name] = {"shape": array.shape, "form": "float32", "at": len(data), "steps": [1]}
        data += array.astype("<f4").tobytes()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return found, base64.b64encode(deflate.compress(data) + deflate.flush()).decode()


def results(kind: Kind) -> dict[str, Any]:
    """What Python makes of the request."""
    return {
        "shown": [_shown(kind, shape) for shape in kind.shapes],
        "explained": [_explained(kind, kind.record.num_heads - 1, 2)] * (len(kind.pieces) > 2),
        "found": [found for _, found in _found(kind)],
    }


def sides(kind: Kind) -> dict[str, Any]:
    """What types.js calls Sides, as far as mathematics.js reads it."""
    (words, other), (pieces, others) = kind.sides("word"), kind.sides("piece")
    crossed = other is not None and others is not None
    return {
        "queries": _side(words, pieces),
        "keys": _side(other, others) if other and others and crossed else None,
    }


def _side(words: Side, pieces: Side) -> dict[str, Any]:
    named = [[{"special": True} if one else {} for one in side.special] for side in (words, pieces)]
    return {"words": named[0], "pieces": named[1], "starts": words.starts}


def _shown(kind: Kind, shape: Shape) -> dict[str, Any]:
    queries, keys = kind.sides(shape.unit)
    heads = [
        attention(kind.numbers, head, queries, keys, shape.special, shape.window)
        for head in range(kind.record.num_heads)
    ]
    mask = heads[0].allowed
    return {
        "rows": heads[0].rows,
        "columns": heads[0].columns,
        "allowed": None if mask is None else "".join(map(str, mask.astype(int).ravel())),
        "heads": [
            {name: coded(getattr(head, name)) for name in ("weights", "dropped", "sink")}
            for head in heads
        ],
    }


def _explained(kind: Kind, head: int, query: int) -> dict[str, Any] | None:
    numbers, record = kind.numbers, kind.record
    if numbers.q is None or numbers.k is None or record.v is None:
        return None
    bare = LayerNumbers(q=numbers.q, k=numbers.k)
    plain = numbers._replace(bias=None, distance_bias=None, key_ranges=None)
    biases = numbers._replace(softcap=None, key_ranges=None, q=numbers.q * 0)
    weights = attention_weights(numbers, head)[query]
    values = record.of_head(record.v, head)[kind.key_pieces].astype(np.float64)
    sink = None
    if numbers.sinks is not None:
        score = float(numbers.sinks[head])
        if numbers.log_totals is None:
            share = float(1 - weights.sum())
        else:
            share = float(np.exp(score - numbers.log_totals[head, query]))
        sink = {"score": score, "weight": share}
    biased = numbers.bias is not None or numbers.distance_bias is not None
    rest = 1 - weights.sum() - (0 if sink is None else sink["weight"])
    return {
        "dots": coded(attention_scores(bare, head)[query]),
        "capped": coded(attention_scores(plain, head)[query]),
        "bias": coded(attention_scores(biases, head)[query]) if biased else None,
        "scores": coded(attention_scores(numbers, head)[query]),
        "weights": coded(weights),
        "z": coded(weights @ values),
        "sink": sink,
        "outside": 0.0 if numbers.log_totals is None else float(rest),
    }


def _found(kind: Kind) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Links that are looked for, and the heads as `attnviz find` ranks them."""
    if kind.name == "scores to 10,000":  # in float32 these are something else
        return
    for place, shape in enumerate(kind.shapes):
        view = kind.inspection.view(shape.unit, shape.special, window=kind.whole(shape))
        for number, link in enumerate(LINKS):
            if max(link[0]) >= len(view.tokens) or max(link[1]) >= len(view.keys):
                continue
            query, key = (
                Phrase(tuple(tokens[index] for index in own))
                for tokens, own in zip((view.tokens, view.keys), link, strict=True)
            )
            by = "weight" if (place + number) % 4 == 0 else "excess"
            try:
                heads = find(view, query, key, by=by).data()["heads"]
            except RequestError:  # the same word, or a mask keeps them apart
                continue
            asked = {"frame": frame(shape), "query": link[0], "key": link[1], "by": by}
            yield asked, [_finding(head) for head in heads]


def _finding(head: dict[str, Any]) -> dict[str, Any]:
    """A head as find.js names its numbers."""
    distance, key = head["same_distance"], head["same_key"]
    return {
        **{name: head[name] for name in ("layer", "head", "rank", "argmax")},
        **{name: _float(head[name]) for name in ("weight", "excess")},
        "dropped": _float(head.get("dropped")),
        "distance": _yardstick(distance, "pairs"),
        "key": _yardstick(key, "queries"),
    }


def _yardstick(facts: dict[str, Any] | None, counted: str) -> dict[str, Any] | None:
    if facts is None:
        return None
    return {"mean": _float(facts["mean"]), "of": facts[counted], "lift": _float(facts["lift"])}


def _float(number: Any) -> float | None:
    return None if number is None else float(str(np.float32(number)))


def coded(array: np.ndarray | None) -> str | None:
    """Float32 numbers as text."""
    return None if array is None else base64.b64encode(array.astype("<f4").tobytes()).decode()


def decoded(text: str | None) -> np.ndarray | None:
    """The numbers of `coded`."""
    return None if text is None else np.frombuffer(base64.b64decode(text), "<f4")


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


if __name__ == "__main__":
    lines = (json.dumps(one, separators=(",", ":")) for one in fixture())
    STORED.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
