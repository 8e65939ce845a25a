"""How far words move, ranked and shown: by hand, on the founding sentence, and as data."""

import csv
import io
import json
from collections.abc import Callable, Iterable
from typing import Any

import jsonschema
import numpy as np
import pytest
from handmade import random_inspection, tokens_of
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType
from written import answer_csv, answer_json, csv_line, is_ours, schema

import attnviz
from attnviz.answers import ablate
from attnviz.answers.ablate import Ablation, EachAblation
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Context, HeadId, Inspection, ModelFacts
from attnviz.inspection.ablated import Ablated, Ablating, Guess, MaskPrediction
from attnviz.model import Model
from attnviz.show.edit_wording import DOUBTS, heads_named
from attnviz.show.terminal.ablate import Distances, table
from attnviz.text.tokens import Tokens, Unit, parts_of

SCHEMA = schema("ablate-1")
FACTS = ModelFacts("handmade", "hand", 2, 3, 6, 2, 7, True)
HALF = 0.5**0.5
L1H2 = HeadId(1, 2)

MASK = MaskPrediction(
    piece=2,
    before=(Guess("cat", 0.5), Guess("dog", 0.25)),
    after=(Guess("dog", 0.75), Guess("cat", 0.125)),
    kept=Guess("cat", 0.125),
)


def pieces() -> Tokens:
    """`[CLS]`, `unlikely` in two pieces, `cat`, `[SEP]`."""
    return Tokens(
        text="unlikely cat",
        pair=None,
        ids=(0, 1, 2, 3, 4),
        vocabulary=("[CLS]", "un", "##likely", "cat", "[SEP]"),
        spans=(None, (0, 2), (2, 8), (9, 12), None),
        segments=(0,) * 5,
        type_ids=(0,) * 5,
    )


def run(ablated: list[list[float]], head: HeadId = L1H2, **changes: Any) -> Ablated:
    """A plain run whose states all point along the first axis, and an ablated one."""
    states = np.array(ablated, np.float32)
    plain = np.zeros_like(states)
    plain[:, 0] = 2
    facts = {"tokens": pieces(), "model": FACTS, "heads": (head,), "how": Ablating()}
    return Ablated(**{**facts, "plain": plain, "ablated": states, **changes})


TURNED = [[3.0, 0.0], [0.0, 1.0], [1.0, 0.0], [-1.0, 0.0], [1.0, 1.0]]
"""Not at all; at right angles; not at all; the other way; by 45 degrees."""


def ablation_of(run: Ablated, unit: Unit = "word") -> Ablation:
    return ablate.ablation_of(context_of(run.tokens, unit), run)


def rank_heads(
    runs: Iterable[Ablated], unit: Unit = "word", query: int | None = None
) -> EachAblation:
    runs = list(runs)
    return ablate.rank_heads(context_of(runs[0].tokens, unit), runs, query)


def context_of(tokens: Tokens, unit: Unit) -> Context:
    return random_inspection(tokens, 2, 3, seed=1).view(unit).context


def told(ablation: Ablation) -> list[tuple[str, float]]:
    return [(moved.token.label, round(moved.distance, 6)) for moved in ablation.moved]


def test_distances_by_hand() -> None:
    found = ablation_of(run(TURNED), "piece")
    near = round(1 - HALF, 6)
    assert told(found) == [
        ("cat", 2.0), ("un", 1.0), ("[SEP]", near), ("[CLS]", 0.0), ("##likely", 0.0),
    ]  # fmt: skip
    assert (found.heads, found.replacement, found.predictions) == ((HeadId(1, 2),), "zero", None)


def test_a_words_state_is_the_mean_of_its_pieces() -> None:
    """(0, 1) and (1, 0) make (½, ½), by 45 degrees off."""
    near = round(1 - HALF, 6)
    assert told(ablation_of(run(TURNED))) == [
        ("cat", 2.0), ("unlikely", near), ("[SEP]", near), ("[CLS]", 0.0),
    ]  # fmt: skip


def test_a_state_of_zeros_has_no_direction() -> None:
    nothing = [[0.0, 0.0]] * 5
    assert {moved.distance for moved in ablation_of(run(nothing)).moved} == {1.0}
    same = run(nothing, plain=np.zeros((5, 2), np.float32))
    assert {moved.distance for moved in ablation_of(same).moved} == {0.0}


def test_heads_are_ranked_by_the_mean_over_words() -> None:
    """Special tokens, which move most, do not count; equal effects stand in the model's order."""
    half = [[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]
    still = [[1.0, 0.0]] * 5
    states = {HeadId(0, 1): still, HeadId(1, 0): half, HeadId(0, 0): half, HeadId(1, 2): TURNED}
    found = rank_heads(run(ablated, head) for head, ablated in states.items())
    assert [(str(e.head), e.rank, round(e.distance, 6)) for e in found.heads] == [
        ("L1H2", 1, round((2 + 1 - HALF) / 2, 6)),
        ("L0H0", 2, 0.5),
        ("L1H0", 3, 0.5),
        ("L0H1", 4, 0.0),
    ]
    assert [effect.most.token.label for effect in found.heads] == ["cat", "cat", "cat", "unlikely"]
    assert (found.query, found.replacement) == (None, "zero")


def test_heads_are_ranked_by_a_query_whose_pieces_are_enough() -> None:
    assert parts_of(pieces(), "word") == [slice(0, 1), slice(1, 3), slice(3, 4), slice(4, 5)]
    parts = [run(TURNED[1:3], HeadId(0, 1), first=1), run([[1, 0.0]] * 2, HeadId(0, 0), first=1)]
    found = rank_heads(parts, "word", query=1)
    assert [(str(e.head), round(e.distance, 6)) for e in found.heads] == [
        ("L0H1", round(1 - HALF, 6)),
        ("L0H0", 0.0),
    ]
    assert found.query is not None
    assert found.query.text == "unlikely"
    alone = rank_heads(parts[:1], "piece", query=1)
    assert alone.heads[0].distance == 1.0


def test_predictions_stand_at_their_token() -> None:
    in_words, in_pieces = (
        ablation_of(run(TURNED, masks=(MASK,)), unit) for unit in ("word", "piece")
    )
    assert in_words.predictions is not None
    assert in_pieces.predictions is not None
    assert in_words.predictions[0].token.text == "unlikely"
    assert in_pieces.predictions[0].token.label == "##likely"
    assert in_pieces.predictions[0].kept == Guess("cat", 0.125)


# what it says about L3H1


def rounded(each: EachAblation) -> dict[str, tuple[int, float]]:
    return {str(e.head): (e.rank, round(e.distance, 4)) for e in each.heads}


def test_the_founding_head(minilm: Model, animal: Inspection) -> None:
    zero, mean = (
        attnviz.ablate(animal, "L3H1", replacement, model=minilm)
        for replacement in ("zero", "mean")
    )
    assert [(m.token.label, round(m.distance, 4)) for m in zero.moved[:4]] == [
        ("[SEP]", 0.01), ("it", 0.0067), ("The", 0.0066), ("cross", 0.0055),
    ]  # fmt: skip
    assert [(m.token.label, round(m.distance, 4)) for m in mean.moved[:4]] == [
        ("cross", 0.0063), ("[SEP]", 0.004), ("it", 0.0032), ("because", 0.0027),
    ]  # fmt: skip
    assert zero.predictions is None


def test_the_founding_heads_rank(minilm: Model, animal: Inspection) -> None:
    zero = rounded(attnviz.ablate_each(animal, "it", model=minilm))
    mean = rounded(attnviz.ablate_each(animal, "it", "mean", model=minilm))
    assert (zero["L3H1"], mean["L3H1"]) == ((12, 0.0067), (7, 0.0032))
    assert list(zero)[:3] == ["L5H11", "L5H10", "L5H7"]
    assert zero["L5H11"] == (1, 0.106)
    assert mean["L5H11"] == (1, 0.013)
    assert len(zero) == 72


def test_each_agrees_with_one(minilm: Model, animal: Inspection) -> None:
    words = attnviz.ablate_each(animal, model=minilm)
    query = attnviz.ablate_each(animal, "street", model=minilm)
    for effect in (words.heads[0], words.heads[40]):
        alone = attnviz.ablate(animal, effect.head, model=minilm)
        moved = {m.token.index: m.distance for m in alone.moved if not m.token.special}
        assert effect.distance == pytest.approx(np.mean(list(moved.values())), abs=1e-7)
        assert effect.most.distance == pytest.approx(max(moved.values()), abs=1e-7)
        [same] = [one for one in query.heads if one.head == effect.head]
        assert same.distance == pytest.approx(moved[6], abs=1e-7)


# from Python


def test_heads_by_name(minilm: Model, animal: Inspection) -> None:
    def heads(named: Any) -> list[str]:
        return [str(head) for head in attnviz.ablate(animal, named, model=minilm).heads]

    assert heads("3.1") == heads(HeadId(3, 1)) == heads(["L3H1", "3-1"]) == ["L3H1"]
    assert heads(["5.0", "L2"]) == [*(f"L2H{head}" for head in range(12)), "L5H0"]
    assert heads(HeadId(2, None)) == heads("l2")
    for wrong in ("L9", "3", "L3H12", "Lx", "animal"):
        with pytest.raises(RequestError):
            heads(wrong)
    with pytest.raises(RequestError, match="no head is named"):
        heads([])
    with pytest.raises(RequestError, match='there is no "dog"'):
        attnviz.ablate_each(animal, "dog", model=minilm)


def test_the_model_is_found_by_its_name(minilm: Model, animal: Inspection) -> None:
    assert attnviz.ablate(animal, "L3H1") == attnviz.ablate(animal, "L3H1", model=minilm)
    shape: Any = {"num_layers": 2, "num_heads": 3, "d_model": 21, "d_ff": 5, "seed": 4}
    paper = attnviz.load_model("paper", **shape)
    student = paper.inspect("I am a student")
    assert attnviz.ablate(student, "L1H2") == attnviz.ablate(student, "L1H2", model=paper)
    with pytest.raises(RequestError, match="the inspection is of minilm, and this is another"):
        attnviz.ablate(animal, "L3H1", model=paper)


def test_a_model_that_is_gone_or_another(animal: Inspection) -> None:
    gone = Inspection(animal.tokens, _named(animal, "./gone"), animal.layers)
    with pytest.raises(AttnvizError, match="cannot be loaded: there is no model"):
        attnviz.ablate(gone, "L3H1")
    odd = Tokens(**{**_fields(animal.tokens), "ids": tuple(range(len(animal.tokens)))})
    with pytest.raises(AttnvizError, match="not the one of this inspection"):
        attnviz.ablate(Inspection(odd, animal.model, animal.layers), "L3H1")


def _named(inspection: Inspection, name: str) -> ModelFacts:
    return ModelFacts(**{**vars(inspection.model), "name": name})


def _fields(tokens: Tokens) -> dict[str, Any]:
    names = ("text", "pair", "ids", "vocabulary", "spans", "segments", "type_ids")
    return {name: getattr(tokens, name) for name in names}


# as data


@pytest.fixture(scope="module")
def handmade() -> Inspection:
    return random_inspection(tokens_of(["unlikely", "cat"]), 2, 3, seed=1)


def json_of(inspection: Inspection, top: int | None = None, **changes: Any) -> Any:
    found = ablation_of(run(TURNED, **changes))
    return json.loads(answer_json(found, top))


def each_of(inspection: Inspection, query: int | None = None, top: int | None = None) -> Any:
    found = rank_heads([run(TURNED, HeadId(0, 1)), run(TURNED, HeadId(0, 0))], "word", query)
    return json.loads(answer_json(found, top))


def test_json(handmade: Inspection) -> None:
    parsed = json_of(handmade, masks=(MASK,))
    jsonschema.validate(parsed, SCHEMA)
    assert parsed["heads"] == [{"layer": 1, "head": 2}]
    assert parsed["moved"][0] == {"index": 2, "text": "cat", "distance": 2.0}
    assert parsed["masks"] == [
        {
            "index": 1,
            "before": [
                {"token": "cat", "probability": 0.5},
                {"token": "dog", "probability": 0.25},
            ],
            "after": [
                {"token": "dog", "probability": 0.75},
                {"token": "cat", "probability": 0.125},
            ],
            "best": {"token": "cat", "before": 0.5, "after": 0.125},
        }
    ]
    assert (parsed["with"], parsed["unit"]) == ("zero", "word")
    assert list(parsed)[:3] == ["schema", "text", "pair"]
    assert len(json_of(handmade, top=2)["moved"]) == 2
    assert json_of(handmade)["masks"] is None


def test_json_of_each(handmade: Inspection) -> None:
    parsed = each_of(handmade)
    jsonschema.validate(parsed, SCHEMA)
    assert parsed["query"] is None
    assert [(e["layer"], e["head"], e["rank"]) for e in parsed["each"]] == [(0, 0, 1), (0, 1, 2)]
    assert parsed["each"][0]["most"]["text"] == "cat"
    asked = each_of(handmade, query=2, top=1)
    jsonschema.validate(asked, SCHEMA)
    assert asked["query"] == {"index": 2, "text": "cat"}
    place = {"layer": 0, "head": 0, "rank": 1}
    assert asked["each"] == [place | {"distance": 2.0, "value": 2.0, "change": 2.0}]


@pytest.mark.parametrize(("unit", "pair"), [("word", None), ("piece", "The animal was.")])
def test_what_is_written_is_valid(minilm: Model, unit: Unit, pair: str | None) -> None:
    inspection = minilm.inspect("[bold] 동물은 $x_1$ :smile:", pair)
    view = inspection.view(unit)
    ablation = attnviz.ablate(inspection, "L3", "mean", unit, minilm)
    parsed = json.loads(answer_json(ablation))
    jsonschema.validate(parsed, SCHEMA)
    assert sorted(m["index"] for m in parsed["moved"]) == list(range(len(view.tokens)))
    for query in (None, "@1"):
        each = attnviz.ablate_each(inspection, query, unit=unit, model=minilm)
        jsonschema.validate(json.loads(answer_json(each, top=9)), SCHEMA)


@pytest.mark.parametrize(
    "damage",
    [
        lambda one, each: one.update(extra=1),
        lambda one, each: one.pop("masks"),
        lambda one, each: one.update(schema="attnviz.ablate/2"),
        lambda one, each: one.update({"with": "dust"}),
        lambda one, each: one.update(each=each["each"]),
        lambda one, each: one.update(heads=[]),
        lambda one, each: one["heads"][0].update(head=None),
        lambda one, each: one["moved"][0].update(distance=2.1),
        lambda one, each: one["moved"][0].pop("text"),
        lambda one, each: one["masks"][0].pop("best"),
        lambda one, each: one["masks"][0]["before"][0].update(probability=1.5),
        lambda one, each: one.update(pair="another"),  # tokens without segments
        lambda one, each: each.pop("query"),
        lambda one, each: each.update(query={"index": 1, "text": "cat"}),  # and `most` beside it
        lambda one, each: each["each"][0].pop("most"),
        lambda one, each: each["each"][0].update(rank=0),
        lambda one, each: each["each"][0].update(distance=-0.1),
        lambda one, each: each.update(moved=one["moved"]),
    ],
)
def test_damage_is_found(handmade: Inspection, damage: Callable[[Any, Any], object]) -> None:
    one, each = json_of(handmade, masks=(MASK,)), each_of(handmade)
    damage(one, each)
    valid = jsonschema.Draft202012Validator(SCHEMA).is_valid
    assert [valid(one), valid(each)].count(False) == 1


def test_csv(handmade: Inspection) -> None:
    tokens = tokens_of(['"a,b"', "cat"])
    both = run(TURNED[:4], tokens=tokens, heads=(HeadId(0, 1), HeadId(1, 2)))
    rows = b"".join(answer_csv(ablation_of(both), 7, top=2))
    header = csv_line(("text_index", *ablate.COLUMNS))
    parsed = list(csv.DictReader(io.StringIO((header + rows).decode())))
    assert [(row["token_index"], row["token"]) for row in parsed] == [
        ("3", "[SEP]"),
        ("1", '"a,b"'),
    ]
    assert {(row["text_index"], row["ablated"], row["with"]) for row in parsed} == {
        ("7", "L0H1 L1H2", "zero")
    }
    each = rank_heads([run(TURNED, HeadId(0, 1))])
    assert b"".join(answer_csv(each, 0)).startswith(b"0,L0H1,zero,,,1.14")
    asked = rank_heads([run(TURNED, HeadId(0, 1))], "word", query=2)
    assert b"".join(answer_csv(asked, 0)) == b"0,L0H1,zero,2,cat,2.0\n"
    assert is_ours(header + rows, "csv")
    assert is_ours(answer_json(ablation_of(run(TURNED))), "json")


# in the terminal


def printed(look: RenderableType, width: int = 80) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(look)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize(
    ("largest", "readable", "shown"),
    [
        (1.0, 0.01, {1.0: ("1.00", "1.000"), 0.0067: (".007", ".0067"), 0.0004: ("   ·", ".0004")}),
        (0.02, 0.01, {0.02: (".020", ".0200"), 0.00004: ("   ·", "    ·")}),
        (0.0061, 0.01, {0.0061: (".610", ".6100"), 0.00001: (".001", ".0010")}),
        (2.0, 0.01, {2.0: ("2.00", "2.000"), 0.9999: ("1.00", ".9999")}),
        (0.0, 0.01, {0.0: ("   ·", "    ·")}),
    ],
)
def test_digits(largest: float, readable: float, shown: dict[float, tuple[str, str]]) -> None:
    scale = Distances.to(largest, readable)
    assert {d: (scale.text(d), scale.fine(d)) for d in shown} == shown
    assert scale.note == ("numbers are multiples of 0.01" if largest == 0.0061 else "")


def test_words_that_moved() -> None:
    view = random_inspection(tokens_of(["cat", "Cat", "ran"]), 2, 3, seed=1).view()
    tokens = view.inspection.tokens
    ablation = ablation_of(run(TURNED, tokens=tokens))
    assert printed(table(ablation, 3), 40)[2:] == [
        "cat Cat ran",
        "distance: 1 − cos(plain, ablated) of",
        "final hidden states",
        "",
        "without L1H2  set to zero: how far each",
        "word moves",
        "ran    2.000  " + "█" * 26,
        "cat@1  1.000  " + "█" * 13,
        "[SEP]  .2929  " + "█" * 3 + "▊",
        "",
        "2 of 5 are not shown: none of them moves",
        "by more than .0001. --top 5 shows all.",
        "A small distance does not mean that a",
        "head does nothing: other heads may make",
        "up for it, and it may matter in other",
        "sentences.",
    ]


def test_predictions_side_by_side(handmade: Inspection) -> None:
    lines = printed(table(ablation_of(run(TURNED, masks=(MASK,))), 1))
    start = lines.index("unlikely@1: what is predicted")
    assert lines[start + 1 : start + 5] == [
        "  before         after",
        "▸ cat     50%  ▸ dog    75%",
        "  dog     25%    cat    12%",
        "  cat: 50% → 12%",
    ]


def test_every_heads_effect(minilm: Model, animal: Inspection) -> None:
    each = attnviz.ablate_each(animal, "it", model=minilm)
    lines = printed(table(each, 3))
    assert "how far it moves if one head is set to zero" in lines
    [last] = [line for line in lines if line.startswith("L5 ")]
    assert last.split()[0::6] == ["L5", ".016", "▸.106"]
    [third] = [line for line in lines if line.startswith("L3 ")]
    assert third.split()[2] == ".007"
    ranked = [line.split()[:3] for line in lines if line.startswith(("1  L", "2  L", "3  L"))]
    assert ranked == [["1", "L5H11", ".1060"], ["2", "L5H10", ".0259"], ["3", "L5H7", ".0170"]]
    text = " ".join(lines)
    assert 'L5H11 moves "it" most, by .1060; half of the 72 heads move it by .0018' in text
    assert " more heads: --top 72 shows all." in text
    assert DOUBTS.format("distance") in text
    mean = attnviz.ablate_each(animal, replacement="mean", model=minilm)
    text = " ".join(printed(table(mean, 72), 120))
    assert "how far words move on average if one head is set to its mean" in text
    assert "numbers are multiples of 0.01" in text
    assert "--top" not in text


def test_heads_are_named_in_short() -> None:
    layer = [HeadId(3, head) for head in range(4)]
    assert heads_named(layer[1:2], 4) == "L3H1"
    assert heads_named([*layer, HeadId(5, 0)], 4) == "L3 (all 4 heads) and L5H0"
    assert heads_named([HeadId(0, 0), HeadId(1, 1), HeadId(2, 2)], 4) == "L0H0, L1H1 and L2H2"
    many = [HeadId(n, 0) for n in range(9)]
    assert heads_named(many, 4) == "L0H0, L1H0, L2H0, L3H0, L4H0, L5H0 and 3 more"
    assert heads_named([HeadId(0, 0)], 1) == "L0H0"


@pytest.mark.slow
@given(
    words=st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=9),
    states=st.lists(st.floats(-1, 1, width=32), min_size=22, max_size=22),
    width=st.integers(20, 200),
    top=st.integers(1, 20),
)
def test_no_line_is_wider_than_the_console(
    words: list[str], states: list[float], width: int, top: int
) -> None:
    tokens = tokens_of(words)
    ablated = np.array(states, np.float32).reshape(11, 2)[: len(tokens)].tolist()
    heads = tuple(HeadId(1, head) for head in range(13))
    one = run(ablated, tokens=tokens, heads=heads[1:], masks=(MASK,) if len(tokens) > 2 else ())
    each = [run(ablated, head, tokens=tokens) for head in heads]
    for look in (
        table(ablation_of(one, "piece"), top),
        table(rank_heads(each, "piece"), top),
        table(rank_heads(each, "piece", 1), top),
    ):
        lines = printed(look, width)
        assert max(map(cell_len, lines)) <= width
        assert not any("\x1b" in line or "\x07" in line for line in lines)
