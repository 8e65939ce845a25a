"""Nothing is shown that cannot be true: what is damaged is an error, what was left out is told."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from conftest import ANIMAL
from handmade import inspection_of, part, random_inspection, records, tokens_of, with_layer
from matplotlib.figure import Figure
from pictures import texts
from process import Workplace, workplace
from rich.console import Console
from shown import heatmap, lines, looks, run_csv, run_json, view_html

import attnviz
from attnviz.answers.links import heads_or_strongest
from attnviz.answers.matrices import matrices
from attnviz.attention.layer import LayerRecord
from attnviz.attention.measures import MEASURES, MeasureName
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import HeadId, Inspection, View
from attnviz.inspection.storage import load, save
from attnviz.show.matrix_data import NpzWriter, csv_header
from attnviz.text.tokens import Tokens

# Damage


def whole() -> Inspection:
    """Two layers of two heads over `[CLS] one two [SEP]`, with all that is recorded."""
    made = random_inspection(tokens_of(["one", "two"]), 2, 2, seed=4)
    norms = np.ones((2, 4), np.float32)
    layers = tuple(
        replace(record, z=record.weights(number) @ part(record, "v"), value_norms=norms)
        for number, record in enumerate(records(made.layers))
    )
    return replace(made, layers=layers)


def with_number(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.copy()
    changed.flat[-1] = value
    return changed


def masked(record: LayerRecord, rows: slice) -> np.ndarray:
    """A bias that leaves the queries `rows` without any key."""
    bias = np.zeros((1, *record.lengths), np.float32)
    bias[:, rows] = -np.inf
    return bias


DAMAGES: dict[str, tuple[Callable[[Any], dict[str, Any]], str]] = {
    "x is NaN": (lambda r: {"x": with_number(r.x, np.nan)}, "x holds numbers that are not finite"),
    "q overflows": (lambda r: {"q": with_number(r.q, np.inf)}, "q holds numbers that are not"),
    "z is NaN": (lambda r: {"z": with_number(r.z, np.nan)}, "z holds numbers that are not finite"),
    "a length below 0": (
        lambda r: {"value_norms": with_number(r.value_norms, -1)},
        "value_norms holds a length below 0",
    ),
    "a padded token": (lambda r: {"k": np.pad(r.k, ((0, 0), (0, 1), (0, 0)))}, "k has shape"),
    "a head is missing": (lambda r: {"v": r.v[:1]}, "v has shape"),
    "a padded z": (lambda r: {"z": np.pad(r.z, ((0, 0), (0, 1), (0, 0)))}, "z has shape"),
    "norms of another text": (
        lambda r: {"value_norms": r.value_norms[:, 1:]},
        "value_norms has shape",
    ),
    "half precision": (lambda r: {"k": r.k.astype(np.float16)}, "k holds float16 numbers"),
    "no scale": (lambda r: {"scale": float("nan")}, "the scale is nan"),
    "a query without a key": (
        lambda r: {"bias": masked(r, slice(1, 2))},
        "the mask leaves a query without any key",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_an_error(damage: str) -> None:
    inspection = whole()
    change, told = DAMAGES[damage]
    with pytest.raises(AttnvizError, match=f"layer 1: {told}"):
        with_layer(inspection, 1, **change(inspection.layer(1)))


def printed(view: View, **asked: Any) -> str:
    console = Console(width=100, file=io.StringIO(), color_system=None)
    with console.capture() as captured:
        for look in looks(view, **asked):
            console.print(look)
    return " ".join(captured.get().split())


ASK: dict[str, Callable[[View], object]] = {
    "table": printed,
    "json": lambda view: b"".join(run_json(view, view.all_heads())),
    "csv": lambda view: b"".join(run_csv(view, view.all_heads(), 0)),
    "picture": lambda view: heatmap(view, view.all_heads()),
    "lines": lambda view: lines(view, [view.context.head_at(1, 0)], 1),
    "notebook": view_html,
}


@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize("measure", MEASURES)
def test_rows_that_do_not_sum_to_1_are_never_shown(ask: str, measure: MeasureName) -> None:
    """Each number is finite and float32, and scores made of them are not."""
    inspection = whole()
    huge = {name: part(inspection.layer(1), name) * np.float32(1e12) for name in "qk"}
    view = with_layer(inspection, 1, **huge, scale=1e15).view(measure=measure)
    with pytest.raises(AttnvizError, match="layer 1: a row of attention weights does not sum to 1"):
        ASK[ask](view)


WORDS: dict[str, tuple[Callable[[Tokens], dict[str, Any]], str]] = {
    "a span too few": (lambda t: {"spans": t.spans[:-1]}, "differ in length"),
    "outside": (lambda t: {"spans": (None, (0, 3), (4, 99), None)}, "outside its sentence"),
    "backwards": (lambda t: {"spans": (None, (3, 1), (4, 7), None)}, "outside its sentence"),
    "in another order": (
        lambda t: {"spans": (None, (4, 7), (0, 3), None)},
        "not in the order of the text",
    ),
    "a third sentence": (lambda t: {"segments": (0, 0, 2, 0)}, "segment 2"),
}


@pytest.mark.parametrize("damage", WORDS)
def test_pieces_that_make_no_words_are_an_error(damage: str) -> None:
    tokens = tokens_of(["one", "two"])
    change, told = WORDS[damage]
    with pytest.raises(AttnvizError, match=told):
        replace(tokens, **change(tokens))


def test_words_hold_every_piece_once_and_in_order(animal: Inspection) -> None:
    tokens = animal.tokens
    pieces = [piece for word in tokens.words for piece in word.pieces]
    assert tuple(pieces) == tokens.vocabulary
    assert [piece.word for piece in tokens.pieces] == sorted(piece.word for piece in tokens.pieces)
    for piece in tokens.pieces:
        word = tokens.words[piece.word]
        if piece.start is not None and piece.end is not None:
            assert word.start is not None
            assert word.end is not None
            assert word.start <= piece.start <= piece.end <= word.end


def test_a_damaged_file_draws_nothing(tmp_path: Path) -> None:
    path = tmp_path / "one"
    save(whole(), path)
    content = bytearray(path.read_bytes())
    content[-4:] = np.float32(np.nan).tobytes()
    path.write_bytes(content)
    with pytest.raises(AttnvizError, match="not finite"):
        load(path)


# What was left out


@pytest.fixture(scope="module")
def norms() -> Inspection:
    """`[CLS] a b [SEP]` in one head: a gives special tokens 0.25 and b 0.75 of its weight.

    [CLS] has short values, so that of the norms a gives them 2/11 and b 10/13.
    """
    weights = np.full((1, 1, 4, 4), 0.25)
    weights[0, 0, 1] = [0.15, 0.25, 0.5, 0.1]
    weights[0, 0, 2] = [0.25, 0.125, 0.125, 0.5]
    lengths = np.array([[[4, 4, 6, 4]]])
    lengths[0, 0] = [4, 4, 7, 4]
    return inspection_of(tokens_of(["a", "b"]), weights, value_norms=lengths)


SHARES: dict[MeasureName, list[float]] = {
    # [CLS] 0.15 and [SEP] 0.1 of 1; 0.25 and 0.5 of 1
    "weights": [0.25, 0.75],
    # 0.6 + 0.4 of 0.6 + 1 + 3.5 + 0.4; 1 + 2 of 1 + 0.5 + 0.875 + 2
    "norm": [1 / 5.5, 3 / 4.375],
}
KEPT: dict[MeasureName, list[list[float]]] = {
    "weights": [[1 / 3, 2 / 3], [0.5, 0.5]],
    "norm": [[1, 3.5], [0.5, 0.875]],
}


@pytest.fixture(params=["weights", "norm"])
def kept(request: pytest.FixtureRequest, norms: Inspection) -> View:
    return norms.view(special=False, measure=request.param)


def test_the_share_is_in_json(kept: View) -> None:
    written = b"".join(run_json(kept, kept.all_heads()))
    assert written.count(b"\n") == 1
    told = orjson.loads(written)
    assert told["measure"] == kept.measure
    assert told["formula"].startswith(kept.context.measured.formula)
    assert told["formula"].endswith("rows are not distributions") != kept.context.measured.shares
    [head] = told["heads"]
    np.testing.assert_allclose(head["dropped"], SHARES[kept.measure], rtol=1e-6)
    np.testing.assert_allclose(head["weights"], KEPT[kept.measure], rtol=1e-6)


def test_the_share_is_in_csv(kept: View) -> None:
    written = csv_header(False, kept.measure) + b"".join(run_csv(kept, kept.all_heads(), 0))
    rows = list(csv.DictReader(io.StringIO(written.decode())))
    assert [float(row["dropped"]) for row in rows] == pytest.approx(
        np.repeat(SHARES[kept.measure], 2), rel=1e-6
    )
    assert [float(row["weight"]) for row in rows] == pytest.approx(
        np.ravel(KEPT[kept.measure]), rel=1e-6
    )
    assert {row.get("measure", "weights") for row in rows} == {kept.measure}


def test_the_share_is_in_npz(kept: View) -> None:
    stream = io.BytesIO()
    with NpzWriter(stream) as writer:
        writer.add(matrices(kept))
    with np.load(io.BytesIO(stream.getvalue())) as file:
        np.testing.assert_allclose(file["0.dropped"], [SHARES[kept.measure]], rtol=1e-6)
        np.testing.assert_allclose(file["0.weights"], [KEPT[kept.measure]], rtol=1e-6)
        assert orjson.loads(str(file["meta"]))["measure"] == kept.measure


def test_the_share_is_in_every_table(kept: View) -> None:
    first, second = (f"{share:.0%}" for share in SHARES[kept.measure])
    mean = f"{np.mean(SHARES[kept.measure]):.0%}"
    noun = {"weights": "attention", "norm": "norm"}[kept.measure]
    rest = {"weights": "rest is shown as 100%", "norm": "other numbers are unchanged"}[kept.measure]
    assert f"{mean}" in printed(kept)
    assert f'"b" gave them {second} of its {noun}' in printed(kept, query=1)
    assert f"and the {rest}." in printed(kept, query=1)
    assert f"they took {mean} of the words' {noun}" in printed(kept, key=0)
    assert f"{second} of its {noun}" in printed(kept, query=1, key=0)
    for top in (None, 1):
        table = printed(kept, heads=[HeadId(0, 0)], top=top)
        assert first in table
        assert second in table
    assert ("sums to 1" in printed(kept, heads=[HeadId(0, 0)])) == kept.context.measured.shares


def figures(view: View) -> Iterator[tuple[Figure, float]]:
    """Pictures, and the special tokens' share of what each shows."""
    shares = SHARES[view.measure]
    yield heatmap(view, view.all_heads()), float(np.mean(shares))
    yield lines(view, view.all_heads(), 1), shares[1]


def test_the_share_is_over_every_picture(kept: View, tmp_path: Path) -> None:
    noun = {"weights": "attention", "norm": "norm"}[kept.measure]
    for figure, share in figures(kept):
        told = f"special tokens left out: they held {share:.0%} of the {noun} here"
        assert told in texts(figure)
        attnviz.write_figure(figure, tmp_path / "picture.svg")
        assert told in (tmp_path / "picture.svg").read_text()


def test_pictures_name_the_measure_and_its_formula(kept: View) -> None:
    for figure, _ in figures(kept):
        assert f"{kept.measure}: {kept.context.measured.formula}" in texts(figure)
        assert ("rows are not distributions" in texts(figure)) != kept.context.measured.shares
    assert heatmap(kept, kept.all_heads()).axes[-1].get_ylabel() == kept.context.measured.quantity


# Through the command line


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    place = workplace(tmp_path_factory.mktemp("trust"), animal)
    bare = tuple(replace(record, z=None, value_norms=None) for record in records(animal.layers))
    old = replace(animal, layers=bare)
    save(old, place.folder / "old")
    return place


@pytest.mark.parametrize(
    ("command", "measure"), [("run", "rollout"), ("run", "flow"), ("heatmap", "flow")]
)
def test_a_head_of_mixed_heads_is_refused(place: Workplace, command: str, measure: str) -> None:
    done = place(command, "--measure", measure, "--head", "3.1")
    assert (done.code, done.out) == (2, "")
    assert done.message == [
        f"attnviz: {measure} mixes the heads of a layer, so there is no head 3.1",
        "  choose layers with --layer alone, or take --measure weights or norm",
    ]


@pytest.mark.slow
def test_lines_of_a_mixed_head_are_refused_and_of_a_layer_drawn(place: Workplace) -> None:
    words = ["lines", "--query", "it", "--measure", "rollout"]
    done = place(*words, "--layer", "3", "--head", "1")
    assert (done.code, done.out) == (2, "")
    assert "rollout mixes the heads of a layer, so there is no head 1" in done.err
    done = place(*words, "--no-special", env=place.without("torch"))
    assert done.code == 0
    assert done.out.startswith("attnviz-minilm-L5-lines-it-7-no-special-rollout-the-animal")
    assert done.message == [
        'attnviz: no layer given, so L5, in which "it" looks hardest at "didn\'t": 0.15'
    ]


def test_an_unknown_measure_is_told_with_those_there_are(place: Workplace) -> None:
    done = place("run", "--measure", "gradient")
    assert (done.code, done.out) == (2, "")
    said = " ".join(done.err.replace("│", " ").split())
    assert "Invalid value for '--measure'" in said
    assert "'gradient' is not one of 'weights', 'norm', 'rollout', 'flow'" in said


def test_a_file_of_an_older_attnviz_has_no_norms(place: Workplace) -> None:
    done = place("run", "--load", "old", "--measure", "norm")
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        "attnviz: the norm measure needs the lengths of v W_O, and this inspection does not have "
        "them",
        "  run the text again, or take --measure weights; models that do more to the output of a "
        "head than multiply it by W_O have no such lengths",
    ]
    assert place("run", "--load", "old", "--measure", "rollout", "--layer", "0").code == 0


@pytest.mark.slow
def test_data_of_the_command_line_states_measure_and_share(
    place: Workplace, animal: Inspection
) -> None:
    """Of the remembered sentence, without torch; JSON Lines where there are two."""
    view = animal.view(special=False, measure="norm")
    options = ["--measure", "norm", "--no-special", "--layer", "3", "--head", "1"]
    done = place("run", *options, "-f", "csv", env=place.without("torch"))
    assert done.code == 0
    assert done.message == [f"attnviz: {MEASURES['norm']}"]
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert len(rows) == 144
    assert {row["measure"] for row in rows} == {"norm"}
    it = [row for row in rows if row["query"] == "it"]
    assert float(it[1]["weight"]) == pytest.approx(view.weights(3, 1)[7, 1], rel=1e-6)
    assert float(it[0]["dropped"]) == pytest.approx(view.dropped(3, 1)[7], rel=1e-6)
    done = place("run", *options, "-f", "jsonl", ANIMAL, "I am a student")
    assert done.code == 0
    first, second = done.json_lines
    assert len(second["heads"][0]["dropped"]) == 4
    assert first["measure"] == second["measure"] == "norm"
    np.testing.assert_allclose(first["heads"][0]["dropped"], view.dropped(3, 1), atol=1e-5)


def test_where_nothing_is_chosen_the_strongest_layer_is_drawn(animal: Inspection) -> None:
    view = animal.view(special=False, measure="flow")
    heads, note = heads_or_strongest(view, [], 7)
    assert heads == [HeadId(5, None)]
    assert note == 'no layer given, so L5, in which "it" looks hardest at "didn\'t": 2.66'


def test_python_takes_the_measure_by_name(animal: Inspection) -> None:
    told = orjson.loads(attnviz.to_json(animal, layer=5, measure="rollout"))
    assert [(head["layer"], head["head"]) for head in told["heads"]] == [(5, None)]
    figure = attnviz.lines(animal, query="it", measure="norm", special=False)
    assert "norm: ‖α v W_O‖ with α = softmax(q kᵀ / √d_k)" in texts(figure)
    assert attnviz.heatmap(animal, measure="flow", unit="piece").get_suptitle() == (
        "minilm · all layers"
    )
    with pytest.raises(RequestError, match="mixes the heads"):
        attnviz.table(animal, head="L3H1", measure="flow")
    with pytest.raises(RequestError, match='no measure "gradient"'):
        attnviz.table(animal, measure="gradient")  # type: ignore[arg-type]  # that is the point
