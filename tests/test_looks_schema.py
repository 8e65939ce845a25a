"""The schemas of overview, word and links take all that attnviz writes, and nothing damaged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from translated import decoder, translation

from attnviz.answers.answer import Answer
from attnviz.answers.links import links
from attnviz.answers.overview import overview
from attnviz.answers.word import pair, word
from attnviz.attention.measures import MeasureName
from attnviz.inspection import HeadId, Inspection, View

FOLDER = Path(__file__).parent.parent / "docs/schema"
ANSWERS: dict[str, Callable[[View], Answer]] = {
    "overview": overview,
    "one head": lambda view: overview(view, view.all_heads()[:1], links=1),
    "query": lambda view: word(view, 1, "query"),
    "key": lambda view: word(view, 1, "key", view.all_heads()[:2]),
    "pair": lambda view: pair(view, 2, 1),
    "links": lambda view: links(view, view.all_heads()),
    "links of a query": lambda view: links(view, view.all_heads()[:1], 1),
    "links to a key": lambda view: links(view, view.all_heads(), None, 2),
}


def check(data: Any) -> None:
    name = data["schema"].removeprefix("attnviz.").replace("/", "-")
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(data)


def said(answer: Answer, top: int | None = None) -> Any:
    """The data of an answer as JSON has them; they need nothing but numbers, texts and lists."""
    data = answer.data(top)
    parsed = json.loads(json.dumps(data))
    assert parsed == orjson.loads(orjson.dumps(data))
    return parsed


@pytest.mark.parametrize("ask", ANSWERS)
@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("measure", ["weights", "norm", "rollout"])
def test_what_is_written_is_valid(
    animal: Inspection, ask: str, special: bool, measure: MeasureName
) -> None:
    answer = ANSWERS[ask](animal.view(special=special, measure=measure))
    check(said(answer))
    check(said(answer, top=2))


@pytest.mark.parametrize("ask", ANSWERS)
def test_other_kinds_of_attention(ask: str) -> None:
    for view in (
        translation().view(),
        decoder(sink=0.25).view(),
        decoder(60, None).view(window=(40, 46)),
    ):
        check(said(ANSWERS[ask](view)))


@pytest.mark.parametrize("ask", ANSWERS)
@pytest.mark.parametrize("special", [True, False])
def test_rows_have_a_value_for_each_column(animal: Inspection, ask: str, special: bool) -> None:
    answer = ANSWERS[ask](animal.view(special=special, measure="norm"))
    rows = list(answer.rows())
    assert rows
    for row in rows:
        assert len(row) == len(answer.columns)
        assert all(cell is None or type(cell) in {int, float, str} for cell in row)
    assert answer.columns[-1] == "measure"
    assert answer.columns[:2] == ("layer", "head")
    assert len(list(answer.rows(top=1))) <= len(rows)


def test_the_founding_example(animal: Inspection) -> None:
    view = animal.view()
    every = said(overview(view))
    head = next(h for h in every["heads"] if (h["layer"], h["head"]) == (3, 1))
    assert list(head) == ["layer", "head", "kind", "entropy", "strongest"]
    assert head["kind"] == "other"
    assert head["strongest"][0] == {
        "query": {"index": 8, "text": "it"},
        "key": {"index": 2, "text": "animal"},
        "weight": pytest.approx(0.677, abs=1e-3),
    }
    [row] = [row for row in overview(view, links=1).rows() if row[:2] == (3, 1)]
    assert row[2:8] == ("other", pytest.approx(1.9, abs=0.05), 8, "it", 2, "animal")
    asked = said(word(view, 8, "query", [HeadId(3, 1)]), top=1)
    assert (asked["role"], asked["word"]) == ("query", {"index": 8, "text": "it"})
    [keys] = [head["keys"] for head in asked["heads"]]
    assert keys == [
        {"index": 2, "text": "animal", "weight": pytest.approx(0.677, abs=1e-3)},
    ]
    [looks] = [head["queries"] for head in said(word(view, 2, "key", [HeadId(3, 1)]))["heads"]]
    assert looks[0] == {"index": 8, "text": "it", "weight": pytest.approx(keys[0]["weight"])}
    both = said(pair(view, 8, 2, [HeadId(3, 1)]))
    assert both["key"] == {"index": 2, "text": "animal"}
    assert both["heads"] == [{"layer": 3, "head": 1, "keys": keys}]


@pytest.mark.parametrize(
    ("ask", "damage"),
    [
        ("overview", lambda data: data["heads"][0].update(kind="content")),
        ("overview", lambda data: data["heads"][0].pop("strongest")),
        ("overview", lambda data: data["heads"][0].update(head=None)),
        ("overview", lambda data: data["heads"][0]["strongest"][0].update(weight=-1)),
        ("query", lambda data: data.update(role="key")),
        ("query", lambda data: data["heads"][0].update(queries=[])),
        ("query", lambda data: data["heads"][0].pop("keys")),
        ("query", lambda data: data.pop("word")),
        ("key", lambda data: data.update(key={"index": 1, "text": "The"})),
        ("key", lambda data: data["heads"][0]["queries"][0].pop("index")),
        ("links", lambda data: data.update(links=None)),
        ("links", lambda data: data["links"][0].pop("layer")),
        ("links", lambda data: data.pop("query")),
    ],
)
def test_damage_is_found(animal: Inspection, ask: str, damage: Callable[[Any], object]) -> None:
    data = said(ANSWERS[ask](animal.view()))
    check(data)
    damage(data)
    with pytest.raises(jsonschema.ValidationError):
        check(data)
