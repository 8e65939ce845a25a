"""Long texts: rows in parts give what the whole would, and weights are never all in memory."""

import io
import json
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass, replace
from itertools import cycle
from typing import Any

import numpy as np
import pytest
from shown import heatmap, lines, run_csv, run_json

from attnviz import threads as side_by_side
from attnviz.answers import compare as comparing
from attnviz.answers import word as words
from attnviz.answers.align import aligned
from attnviz.answers.compare import Comparison, compare
from attnviz.answers.find import find
from attnviz.answers.matrices import matrices
from attnviz.answers.overview import overview
from attnviz.answers.select import Phrase, find_phrase
from attnviz.attention import rollout as mixed
from attnviz.attention.layer import LayerRecord
from attnviz.inspection import HeadId, Inspection, ModelFacts, View
from attnviz.inspection import view as rooms
from attnviz.show.matrix_data import NpzWriter
from attnviz.text.tokens import Tokens

SENTENCE = "the animal did not cross a street because it was far too tired"


def text_of(pieces: int) -> Tokens:
    """Words, the longer ones in two pieces, and special tokens around them."""
    text = ""
    cuts: list[tuple[int, int]] = []
    for word in cycle(SENTENCE.split()):
        if len(cuts) >= pieces - 2:
            break
        start, end = len(text), len(text) + len(word)
        cuts += [(start, start + 3), (start + 3, end)] if len(word) > 4 else [(start, end)]
        text += word + " "
    spans = (None, *cuts[: pieces - 2], None)
    named = [text[slice(*cut)] for cut in cuts[: pieces - 2]]
    zeros = (0,) * pieces
    vocabulary = ("[CLS]", *named, "[SEP]")
    return Tokens(text, None, tuple(range(pieces)), vocabulary, spans, zeros, zeros)


def sliding(count: int, reach: int) -> np.ndarray:
    """Which keys each query may look at: those at most `reach` away."""
    places = np.arange(count)[:, None]
    ends = np.hstack([places - reach, places + reach + 1])
    return np.clip(ends, 0, count).astype(np.int32)


def long_inspection(
    pieces: int, num_layers: int = 3, num_heads: int = 4, seed: int = 0
) -> Inspection:
    """Two layers of three have sliding windows, as ModernBERT's."""
    rng, d_k = np.random.default_rng(seed), 16
    tokens = text_of(pieces)

    def drawn() -> np.ndarray:
        return 1.5 * rng.standard_normal((num_heads, len(tokens), d_k), dtype=np.float32)

    layers = tuple(
        LayerRecord(
            q=drawn(),
            k=drawn(),
            scale=d_k**-0.5,
            key_ranges=sliding(len(tokens), 8) if number % 3 else None,
            value_norms=np.abs(drawn()[..., 0]) + 0.1,
        )
        for number in range(num_layers)
    )
    facts = ModelFacts("long", "hand", num_layers, num_heads, num_heads * d_k, d_k, 7, True)
    return Inspection(tokens, facts, layers)


VIEWS: list[dict[str, Any]] = [
    {},
    {"unit": "piece"},
    {"special": False},
    {"special": False, "measure": "norm"},
    {"window": (5, 31)},
]
"""Ways to look at a text."""


@pytest.fixture(params=VIEWS, ids=str)
def compared(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[View], Any]], tuple[Any, Any]]:
    """What is made of a short text's heads all at once, and of a long one's in parts."""

    def compare(make: Callable[[View], Any]) -> tuple[Any, Any]:
        inspection = long_inspection(60)
        whole = make(inspection.view(**request.param))
        monkeypatch.setattr(rooms, "WEIGHTS_AT_ONCE", 7 * 60)
        view = inspection.view(**request.param)
        assert len(list(view.blocks([HeadId(0, 1)]))) > 3
        return whole, make(view)

    return compare


Compared = Callable[[Callable[[View], Any]], tuple[Any, Any]]


def check_alike(one: Any, other: Any) -> None:
    """Equal, numbers to what the order of their summing makes of them."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list | tuple):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            check_alike(mine, theirs)
    elif isinstance(one, float | np.ndarray):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    elif is_dataclass(one):
        names = [field.name for field in fields(one)]
        check_alike(*([getattr(side, name) for name in names] for side in (one, other)))
    else:
        assert one == other


def test_summaries(compared: Compared) -> None:
    whole, parts = compared(lambda view: overview(view, pictures=True))
    assert len(whole.heads) == 12
    assert whole.heads[0].links
    check_alike(whole.heads, parts.heads)
    check_alike(whole.pictures, parts.pictures)


def test_find(compared: Compared) -> None:
    def found(view: View) -> Any:
        heads = [HeadId(0, 2), HeadId(0, 0), HeadId(1, 1)]
        query, key = phrase(view, "street#1"), phrase(view, "street#2")
        return [finding.heads for finding in find(view, query, key, heads, both=True).both]

    check_alike(*compared(found))


def test_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A has three words more than B, and other numbers."""
    a, b = long_inspection(64, seed=1), long_inspection(60, seed=2)

    def compared() -> Comparison:
        return compare(aligned(a.view(special=False), b.view(special=False)))

    whole = compared()
    monkeypatch.setattr(rooms, "WEIGHTS_AT_ONCE", 7 * 60)
    monkeypatch.setattr(comparing, "NUMBERS_AT_ONCE", 5 * 60)
    parts = compared()
    assert len(whole.heads) == 12
    for one, other in zip(whole.heads, parts.heads, strict=True):
        check_alike(one, other)


def test_rollout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long text, one layer's is kept; those below are made again when they are asked for."""
    inspection = long_inspection(60)
    whole = [inspection.view(measure="rollout").weights(layer) for layer in range(3)]
    monkeypatch.setattr(mixed, "WEIGHTS_AT_ONCE", 4 * 7 * 60)
    monkeypatch.setattr(mixed, "KEPT_BYTES", 0)
    view = replace(inspection).view(measure="rollout")
    for layer in (0, 1, 2, 1, 0, 2, 2):
        np.testing.assert_allclose(view.weights(layer), whole[layer], atol=1e-6)
        kept = view.inspection.mixed("rollout")
        assert isinstance(kept, mixed.Rollout)
        assert list(kept._rolled) == [layer]


def test_who_looks_at_a_word(compared: Compared) -> None:
    whole, parts = compared(lambda view: words.word(view, 7, "key", view.all_heads()[::-1]))
    assert whole.weights.shape[0] == 12
    check_alike(whole, parts)


def test_json(compared: Compared) -> None:
    heads = [HeadId(2, 1), HeadId(0, 3)]
    whole, parts = compared(lambda view: b"".join(run_json(view, heads)))
    assert whole.count(b"\n") == parts.count(b"\n") == 1
    whole, parts = json.loads(whole), json.loads(parts)
    assert {head["layer"] for head in parts["heads"]} == {0, 2}
    for one, other in zip(whole["heads"], parts["heads"], strict=True):
        assert one.keys() == other.keys()
    check_alike(_sorted(whole), _sorted(parts))


def _sorted(found: dict[str, Any]) -> Any:
    return json.loads(json.dumps(found, sort_keys=True))


def test_csv(compared: Compared) -> None:
    whole, parts = compared(lambda view: b"".join(run_csv(view, [HeadId(2, 1), HeadId(0, 3)], 4)))
    cells = [[line.split(b",") for line in text.splitlines()] for text in (whole, parts)]
    assert len(cells[0]) == len(cells[1])
    for one, other in zip(*cells, strict=True):
        assert one[:7] == other[:7]
        assert float(one[7]) == pytest.approx(float(other[7]), abs=1e-6)
        assert one[9:] == other[9:]


def test_npz(compared: Compared) -> None:
    def written(view: View) -> dict[str, np.ndarray]:
        stream = io.BytesIO()
        with NpzWriter(stream) as writer:
            writer.add(matrices(view, [HeadId(2, 1), HeadId(0, 3)]))
        return dict(np.load(io.BytesIO(stream.getvalue())))

    whole, parts = compared(written)
    assert whole.keys() == parts.keys()
    for name, array in whole.items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(parts[name], array, atol=1e-6)
        else:
            np.testing.assert_array_equal(parts[name], array)


LENGTH = 2000
HEAD_BYTES = 4 * len(text_of(LENGTH).words) ** 2
"""What one head's weights between words take."""


@pytest.fixture(scope="module")
def long() -> View:
    view = long_inspection(LENGTH, num_layers=2, num_heads=2).view()
    assert len(view.tokens) > 1300
    return view


def phrase(view: View, selector: str) -> Phrase:
    return find_phrase(view.tokens, selector)


def drained(parts: Iterable[bytes]) -> int:
    return sum(map(len, parts))


MADE: dict[str, Callable[[View], object]] = {
    "find": lambda view: find(view, phrase(view, "@1000"), phrase(view, "@990"), both=True),
    "overview": overview,
    "who looks at a word": lambda view: words.word(view, 1000, "key", view.all_heads()),
    "what a word looks at": lambda view: view.query(1000),
    "heatmap": lambda view: heatmap(view, [HeadId(0, 1), HeadId(1, 0)]),
    "lines": lambda view: lines(view, [HeadId(0, 1), HeadId(1, 0)], None),
    "lines of a word": lambda view: lines(view, view.all_heads(), 1000),
    "compare": lambda view: compare(aligned(view, view), heads=[HeadId(0, 1)]),
    "JSON": lambda view: drained(run_json(view, [HeadId(0, 1)])),
    "CSV": lambda view: drained(run_csv(view, [HeadId(1, 1)], 0)),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", MADE)
def test_less_memory_than_one_heads_weights_would_take(
    long: View, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "WEIGHTS_AT_ONCE", 1 << 16)
    monkeypatch.setattr(comparing, "NUMBERS_AT_ONCE", 1 << 15)
    monkeypatch.setattr(side_by_side, "processors", lambda: 2)
    tracemalloc.start()
    try:
        MADE[what](long)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < HEAD_BYTES
