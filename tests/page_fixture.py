"""Records of every kind with what Python makes of them, which the page's scripts must repeat.

python tests/page_fixture.py        writes tests/page_mathematics.json anew
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from page_kinds import Kind, Shape, kinds

from attnviz.answers.find import By, find
from attnviz.answers.page import PageLayer
from attnviz.answers.rounding import Rounding, rounding
from attnviz.answers.select import Phrase
from attnviz.attention.layer import ARRAYS, LayerRecord
from attnviz.errors import RequestError
from attnviz.inspection.specification import (
    LayerNumbers,
    Side,
    attention,
    attention_scores,
    attention_weights,
)
from attnviz.show.page.packing import Packed, pack

STORED = Path(__file__).parent / "page_mathematics.json"
CODED = "f4:"
"""What numbers begin with that are text."""

LINKS = (([4], [2]), ([1, 2], [4]), ([2], [0]), ([3], [2, 3]))
"""Queries and keys that are looked for in each frame, by their places among what is shown."""


def fixture() -> list[dict[str, Any]]:
    """What is stored of each kind: a record, what is asked of it, and what Python answers."""
    return [_stored(kind) for kind in kinds()]


def request(stored: dict[str, Any], rounded: bool) -> dict[str, Any]:
    """The same for page_mathematics.mjs: numbers as the page packs them, or not rounded."""
    arrays = {
        name: of_text(text).reshape(shape).astype(ARRAYS[name].dtype if name in ARRAYS else "f4")
        for name, (shape, text) in stored["arrays"].items()
    }
    record, sides = LayerRecord(scale=stored["scale"], softcap=stored["softcap"]), stored["sides"]
    keys = sides["keys"] or sides["queries"]
    words = Side(keys["starts"], ["special" in word for word in keys["words"]])
    steps = rounding(record, arrays, words) if rounded else Rounding({}, 0.0)
    text = packed(PageLayer(record, arrays, steps))
    factors = {name: stored[name] for name in ("scale", "softcap", "heads")}
    return {
        **{name: stored[name] for name in ("sides", "frames", "explained", "found")},
        "layer": {**factors, "blob": "", "arrays": text.arrays, "steps": None},
        "text": text.text,
    }


def packed(layer: PageLayer) -> Packed:
    """A layer as the page has it."""
    return next(pack({"": layer}))[1]


def _stored(kind: Kind) -> dict[str, Any]:
    arrays, record, found = kind.layer.arrays, kind.record, list(_found(kind))
    head = record.num_heads - 1
    return {
        "name": kind.name,
        "scale": record.scale,
        "softcap": record.softcap,
        "heads": record.num_heads,
        "arrays": {name: [array.shape, as_text(array)] for name, array in arrays.items()},
        "sides": _sides(kind),
        "frames": [_frame(shape) for shape in kind.shapes],
        "explained": [{"head": head, "query": kind.query}],
        "found": [asked for asked, _ in found],
        "results": {
            "shown": [_shown(kind, shape) for shape in kind.shapes],
            "explained": [_explained(kind, head, kind.query)],
            "found": [heads for _, heads in found],
        },
    }


def _frame(shape: Shape) -> dict[str, Any]:
    """What types.js calls Frame."""
    return {"unit": shape.unit, "special": shape.special, "window": shape.window}


def _sides(kind: Kind) -> dict[str, Any]:
    """What types.js calls Sides, as far as mathematics.js reads it."""
    (words, other), (pieces, others) = kind.sides("word"), kind.sides("piece")
    return {
        "queries": _side(words, pieces),
        "keys": None if other is None or others is None else _side(other, others),
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
            {name: as_text(getattr(head, name)) for name in ("weights", "dropped", "sink")}
            for head in heads
        ],
    }


def _explained(kind: Kind, head: int, query: int) -> dict[str, Any] | None:
    numbers, record = kind.numbers, kind.record
    v = kind.layer.arrays.get("v")
    if numbers.q is None or numbers.k is None or v is None:
        return None
    bare = LayerNumbers(q=numbers.q, k=numbers.k)
    plain = numbers._replace(bias=None, distance_bias=None, key_ranges=None)
    biases = numbers._replace(softcap=None, key_ranges=None, q=numbers.q * 0)
    weights = attention_weights(numbers, head)[query]
    steps = packed(kind.layer).arrays["v"]["steps"]  # values are always rounded
    v = np.rint(v / np.reshape(steps, (-1, 1, 1))) * np.reshape(steps, (-1, 1, 1))
    values = record.of_head(v, head)
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
        "dots": as_text(attention_scores(bare, head)[query]),
        "capped": as_text(attention_scores(plain, head)[query]),
        "bias": as_text(attention_scores(biases, head)[query]) if biased else None,
        "scores": as_text(attention_scores(numbers, head)[query]),
        "weights": as_text(weights),
        "z": as_text(weights @ values),
        "sink": sink,
        "outside": 0.0 if numbers.log_totals is None else float(rest),
    }


def _found(kind: Kind) -> Iterator[tuple[dict[str, Any], list[list[Any]]]]:
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
            by: By = "weight" if (place + number) % 4 == 0 else "excess"
            try:
                heads = find(view, query, key, by=by).data()["heads"]
            except RequestError:  # the same word, or a mask keeps them apart
                continue
            asked = {"frame": _frame(shape), "query": link[0], "key": link[1], "by": by}
            yield asked, [_finding(head) for head in heads]


def _finding(head: dict[str, Any]) -> list[Any]:
    """A head as page_mathematics.mjs writes it."""
    distance, key = head["same_distance"], head["same_key"]
    return [
        *(head["head"], head["rank"], head["argmax"]),
        *(_float(head.get(name)) for name in ("weight", "excess", "dropped")),
        *((None, None) if distance is None else (_float(distance["mean"]), distance["pairs"])),
        *((None, None) if key is None else (_float(key["mean"]), key["queries"])),
    ]


def _float(number: Any) -> float | None:
    return None if number is None else round(float(number), 7)


def as_text(array: np.ndarray | None) -> str | None:
    """Float32 numbers as text."""
    data = None if array is None else array.astype("<f4").tobytes()
    return None if data is None else f"{CODED}{base64.b64encode(data).decode()}"


def of_text(text: str) -> np.ndarray:
    """The numbers of `as_text`."""
    return np.frombuffer(base64.b64decode(text.removeprefix(CODED)), "<f4")


if __name__ == "__main__":
    lines = (json.dumps(one, separators=(",", ":")) for one in fixture())
    STORED.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
