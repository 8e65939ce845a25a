"""explain of a whole head: every matrix from X to Z, as numbers, JSON, NPZ, table and picture."""

import csv
import io
import json
from itertools import pairwise
from typing import Any

import jsonschema
import numpy as np
import pytest
from conftest import ANIMAL
from handmade import causal
from matplotlib.image import AxesImage
from pictures import texts
from process import Workplace, workplace
from test_explain_kinds import SHARED, X, explained, inspection, record
from written import answer_csv, answer_json, printed, schema

import attnviz
from attnviz.answers.head import HeadSteps, explain_head
from attnviz.attention.layer import Between, Projections
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model
from attnviz.show.figure.head import figure
from attnviz.show.terminal.head import table
from attnviz.show.write import writer

SCHEMA = schema("head-1")


def as_json(steps: HeadSteps, top: int | None = None) -> Any:
    parsed = json.loads(answer_json(steps, top))
    jsonschema.Draft202012Validator(SCHEMA).validate(parsed)
    return parsed


def steps_of(head: int = 1, layer: Projections = SHARED, **changes: Any) -> HeadSteps:
    return explain_head(inspection(record(**changes)), HeadId(0, head), layer)


def shown(steps: HeadSteps, width: int = 80, top: int | None = None) -> str:
    return printed(table(steps, top), width)


def as_arrays(steps: HeadSteps) -> dict[str, np.ndarray]:
    stream = io.BytesIO()
    with writer(stream, "npz") as write:
        write(steps, 0)
    with np.load(io.BytesIO(stream.getvalue())) as file:
        return dict(file)


@pytest.fixture(scope="module")
def l3h1(animal: Inspection) -> HeadSteps:
    return attnviz.explain_head(animal, "L3H1")


def test_the_articles_last_figure() -> None:
    student = attnviz.inspect("I am a student", model="paper")
    steps = attnviz.explain_head(student, "L0H0")
    by_name = {**dict.fromkeys("QKVZ", (4, 64)), "X": (4, 512), "dots": (4, 4), "W_Q": (512, 64)}
    assert by_name.items() <= steps.shapes.items()
    np.testing.assert_allclose(steps.X @ steps.matrices.W_K, steps.K, atol=1e-4)
    np.testing.assert_allclose(steps.Q @ steps.K.T / 8, steps.scores, atol=1e-4)
    record = student.layer(0)
    assert record.z is not None
    np.testing.assert_allclose(steps.Z, record.z[0], atol=1e-5)
    assert steps.check.z is not None
    assert steps.check.z < 1e-5
    page = shown(steps)
    for part in ("UNTRAINED", "4 × 512 times 512 × 64 is 4 × 64", "√64 = 8", "within 1e-5"):
        assert part in page


def test_each_row_is_the_querys_own_explanation(animal: Inspection, l3h1: HeadSteps) -> None:
    for query in (0, 10, -1):
        [one] = attnviz.explain(animal, f"@{range(16)[query]}", 3, 1, unit="piece")
        for name in ("dots", "scores", "weights"):
            np.testing.assert_array_equal(getattr(l3h1, name)[query], getattr(one, name))
        np.testing.assert_allclose(l3h1.Q[query], one.q, atol=1e-6)
        np.testing.assert_allclose(l3h1.Z[query], one.z, atol=1e-6)
    np.testing.assert_allclose(l3h1.weights, animal.view("piece").weights(3, 1), atol=1e-6)


def test_json_and_npz_hold_every_matrix(l3h1: HeadSteps) -> None:
    parsed, arrays = as_json(l3h1), as_arrays(l3h1)
    assert arrays["schema"] == "attnviz.head/1"
    assert json.loads(str(arrays["meta"]))["sentences"][0]["text"] == ANIMAL
    assert arrays["0.head"].tolist() == [3, 1]
    assert arrays["0.tokens"][10] == parsed["tokens"][10]["text"] == "it"
    for name, array in l3h1.arrays().items():
        np.testing.assert_array_equal(np.array(parsed[name], np.float32), array)
        np.testing.assert_array_equal(arrays[f"0.{name}"], array)
        assert parsed["shapes"][name] == list(array.shape)


def test_rows_are_links(l3h1: HeadSteps) -> None:
    lines = [b.decode() for b in answer_csv(l3h1)]
    rows = list(csv.reader(lines))
    assert len(rows) == 16 * 16
    assert rows[10 * 16 + 2][:6] == ["3", "1", "10", "it", "2", "animal"]
    assert float(rows[10 * 16 + 2][6]) == pytest.approx(0.677, abs=5e-4)
    assert list(l3h1.rows(top=2)) == list(l3h1.rows())[: 2 * 16]
    two = as_json(l3h1, top=2)
    assert [two["shapes"][name] for name in ("X", "K", "weights")] == [[2, 384], [16, 32], [2, 16]]


def test_what_may_not_be_looked_at() -> None:
    steps = steps_of(key_ranges=causal(3))
    assert steps.scores[0].tolist() == [0, -np.inf, -np.inf]
    assert as_json(steps)["scores"][0] == [0, None, None]
    assert [row[-1] for row in list(steps.rows())[:3]] == [0, None, None]
    assert "blank: may not look there" in shown(steps)
    assert any("grey: may not look there" in text for text in texts(figure(steps)))


def test_a_sink_a_cap_and_a_bias() -> None:
    bias = np.array([[[0, 1, 2], [3, 4, 5], [6, 7, 8]]], np.float32)
    changes: dict[str, Any] = {"sinks": np.array([0, 3], np.float32), "softcap": 2.0, "bias": bias}
    steps, one = steps_of(**changes), explained(1, 1, **changes)
    assert steps.sink is not None
    np.testing.assert_allclose(steps.weights.sum(axis=1) + steps.sink.weights, 1, rtol=1e-6)
    np.testing.assert_array_equal(steps.weights[1], one.weights)
    parsed = as_json(steps)
    assert (parsed["sink_score"], parsed["softcap"], parsed["bias"]) == (3, 2, bias[0].tolist())
    assert "together with the sink's part" in shown(steps, 120)


def test_what_is_done_to_q_between() -> None:
    turned = Projections(
        SHARED.W_Q, SHARED.W_K, SHARED.W_V, SHARED.W_O, between=Between(q="rotated by its position")
    )
    steps = steps_of(layer=turned)
    assert steps.projected.q is not None
    np.testing.assert_array_equal(steps.projected.q, X[:, 1:])
    assert as_json(steps)["check"]["q"] is None
    assert "Q = X W_Q, rotated by its position" in shown(steps)
    assert "rotated" in texts(figure(steps))


def test_cross_attention() -> None:
    states = np.array([[1, 0], [0, 2]], np.float32)
    cross = record(
        k=states.sum(axis=1)[None, :, None], v=states[None], encoder_states=states, bias=None
    )
    steps = explain_head(inspection(cross, "de", "cross"), HeadId(0, 1), SHARED)
    assert steps.shapes["Y"] == (2, 2)
    parsed = as_json(steps)
    assert (parsed["attention"], [key["text"] for key in parsed["keys"]]) == ("cross", ["d", "e"])
    assert "K = Y W_K: 2 × 2 times 2 × 1 is 2 × 1" in shown(steps)
    assert {"X", "Y", "Y ×"} <= set(texts(figure(steps)))


def test_the_picture_draws_every_matrix(l3h1: HeadSteps) -> None:
    drawn = figure(l3h1)
    found = [image for axes in drawn.axes for image in axes.get_images()]
    panels = [np.asarray(image.get_array()) for image in found if isinstance(image, AxesImage)]
    m = l3h1.matrices
    expected = [l3h1.X, m.W_Q, l3h1.Q, m.W_K, l3h1.K, m.W_V, l3h1.V]
    expected += [l3h1.Q, l3h1.K.T, l3h1.dots, l3h1.weights, l3h1.V, l3h1.Z]
    for panel, numbers in zip(panels, expected, strict=True):
        np.testing.assert_array_equal(panel, numbers)
    assert {"16 × 384", "384 × 32", "16 × 32", "÷ √32"} <= set(texts(drawn))
    cut = figure(l3h1, top=3)
    assert "the first 3 of 16 tokens are drawn; shapes are those of all" in texts(cut)


@pytest.mark.parametrize("width", [20, 40, 80, 140])
def test_a_table_fits_its_width(l3h1: HeadSteps, width: int) -> None:
    page = shown(l3h1, width)
    assert max(map(len, page.splitlines())) <= width
    assert "The first 12 of 16" in page
    assert "The first" not in shown(l3h1, width, top=16)


def test_names_of_steps_keep_clear_of_each_other(minilm: Model) -> None:
    drawn = figure(attnviz.explain_head(minilm.inspect("a"), "L0H0"), top=1)
    drawn.canvas.draw()
    steps = [
        text
        for text in drawn.texts
        if text.get_fontweight() == "bold" and text.get_fontsize() == 10
    ]
    assert len(steps) == 5
    boxes = [text.get_window_extent() for text in steps]
    width = drawn.bbox.width
    for box, after in pairwise(boxes):
        assert after.y0 < box.y0 or box.x1 < after.x0
        assert after.x1 <= width


def test_a_text_too_long_is_refused(l3h1: HeadSteps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnviz.answers.head.LONGEST", 2)
    with pytest.raises(RequestError, match="the text has 3 tokens"):
        steps_of()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    return workplace(tmp_path_factory.mktemp("head"), animal)


def test_from_the_command_line(place: Workplace) -> None:
    done = place("explain", "--head", "L3H1", "--quiet", env=place.without("torch", "transformers"))
    assert (done.code, done.err) == (0, "")
    assert "Z from these steps agrees with the encoder's own within 1e-5." in done.out
    [parsed] = place("explain", "--layer", "3", "--head", "1", "--json", "--quiet").json_lines
    assert (parsed["schema"], parsed["layer"], parsed["head"]) == ("attnviz.head/1", 3, 1)


def test_what_is_asked_for_must_be_named(place: Workplace) -> None:
    for options in ([], ["--head", "L3H1", "--head", "L3H2"]):
        done = place("explain", *options)
        assert (done.code, done.out) == (2, "")
    assert "--query WORD" in place("explain").err
