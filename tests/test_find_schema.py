"""docs/schema/find-2 and find-summary-2 take all that find writes, and nothing damaged."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from handmade import inspection_of, tokens_of
from written import answer_json

from attnviz.answers.find import find
from attnviz.answers.holding import holding
from attnviz.answers.select import find_phrase
from attnviz.attention.measures import MeasureName
from attnviz.inspection import View
from attnviz.model import Model
from attnviz.text.tokens import Unit

FOLDER = Path(__file__).parent.parent / "docs" / "schema"
FIND, SUMMARY = (
    json.loads((FOLDER / f"{name}.schema.json").read_text())
    for name in ("find-2", "find-summary-2")
)


def answers(view: View, query: str, key: str, top: int | None = None) -> tuple[Any, Any]:
    """What is written of a sentence, and of two alike, with both directions."""
    looks, looked_at = (find_phrase(view.tokens, word) for word in (query, key))
    found = find(view, looks, looked_at, both=True)
    summary = replace(holding([found, found]), left_out=1)
    one, all_of_them = answer_json(found, top), answer_json(summary, top)
    assert [part.count(b"\n") for part in (one, all_of_them)] == [1, 1]
    return json.loads(one), json.loads(all_of_them)


def small(trained: bool = True) -> tuple[Any, Any]:
    weights = np.full((2, 3, 6, 6), 1 / 6)
    view = inspection_of(tokens_of(["I", "am", "here", "now"]), weights, trained).view()
    return answers(view, "here", "am")


def check(parsed: Any, schema: Any) -> None:
    jsonschema.Draft202012Validator(schema).validate(parsed)


def refused(parsed: Any, schema: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(parsed, schema)


@pytest.mark.parametrize("unit", ["word", "piece"])
@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize(
    ("text", "pair", "query", "key"),
    [
        ("The animal didn't cross the street.", None, "street", "The animal"),
        ("Who was tired?", "The animal was.", "animal", "tired"),
        ("동물은 길을 건너지 않았다.", None, "동물은", "길을 건너지"),
        ('[bold] $x_1$ "quoted", \x1b[31m it', None, "it", "bold"),
    ],
)
def test_what_is_written_is_valid(
    minilm: Model, text: str, pair: str | None, query: str, key: str, unit: Unit, special: bool
) -> None:
    one, all_of_them = answers(minilm.inspect(text, pair).view(unit, special), query, key)
    check(one, FIND)
    check(all_of_them, SUMMARY)
    assert one["pair"] == pair
    assert {len(part) for part in (one["heads"], one["reverse"], all_of_them["heads"])} == {72}
    assert {"dropped" in head for head in one["heads"] + all_of_them["reverse"]} == {not special}


@pytest.mark.parametrize("measure", ["norm", "rollout"])
def test_other_measures_are_valid(minilm: Model, measure: MeasureName) -> None:
    view = minilm.inspect("It was tired.").view(measure=measure)
    one, all_of_them = answers(view, "tired", "It", top=4)
    check(one, FIND)
    check(all_of_them, SUMMARY)
    assert len(one["heads"]) == len(all_of_them["reverse"]) == 4
    assert {head["head"] is None for head in one["heads"]} == {measure == "rollout"}
    assert one["formula"] == all_of_them["formula"] == view.context.measured.description


def test_numbers_keep_float32_precision() -> None:
    weights = np.random.default_rng(3).dirichlet(np.ones(3), size=(2, 2, 3))
    view = inspection_of(tokens_of(["a", "b", "c"], special=False), weights).view()
    one, _ = answers(view, "c", "a")
    for head in one["heads"]:
        assert np.float32(head["weight"]) == view.weights(head["layer"], head["head"])[2, 0]


def test_an_untrained_model_tells_its_seed() -> None:
    for parsed, schema in zip(small(trained=False), (FIND, SUMMARY), strict=True):
        check(parsed, schema)
        del parsed["model"]["seed"]
        refused(parsed, schema)


@pytest.mark.parametrize(
    "damage",
    [
        lambda found: found.update(extra=1),
        lambda found: found.update(schema="attnviz.find/1"),
        lambda found: found.pop("key"),
        lambda found: found.update(by="rank"),
        lambda found: found.update(heads=[]),
        lambda found: found.update(pair="a second sentence"),  # tokens without segments
        lambda found: found["query"].update(indices=[]),
        lambda found: found["query"].update(text=""),
        lambda found: found["key"].pop("indices"),
        lambda found: found["heads"][0].update(head=None),
        lambda found: found["heads"][0].update(rank=0),
        lambda found: found["heads"][0].update(weight=1.1),
        lambda found: found["heads"][0].update(weight=-0.1),
        lambda found: found["heads"][0].update(excess="high"),
        lambda found: found["heads"][0].update(same_key=0.1),
        lambda found: found["heads"][0]["same_key"].update(lift="high"),
        lambda found: found["heads"][0]["same_key"].update(queries=0),
        lambda found: found["heads"][0]["same_distance"].update(mean=None),
        lambda found: found["heads"][0]["same_distance"].pop("pairs"),
        lambda found: found["heads"][0].update(argmax=1),
        lambda found: found["heads"][0].pop("same_distance"),
        lambda found: found["heads"][0].update(dropped=0.5),  # one head alone
        lambda found: found["reverse"][0].update(dropped=0.5),
        lambda found: found["reverse"][0].update(weight=1.1),
    ],
)
def test_damage_of_one_sentence_is_found(damage: Callable[[Any], object]) -> None:
    parsed, _ = small()
    check(parsed, FIND)
    damage(parsed)
    refused(parsed, FIND)


@pytest.mark.parametrize(
    "damage",
    [
        lambda found: found.update(text="a sentence"),
        lambda found: found.update(schema="attnviz.find/2"),
        lambda found: found.update(sentences=0),
        lambda found: found.update(left_out=-1),
        lambda found: found.update(query=None),  # without the key
        lambda found: found.update(key=None),
        lambda found: found["heads"][0].update(hits=-1),
        lambda found: found["heads"][0].update(hits=0.5),
        lambda found: found["heads"][0].update(share=1.1),
        lambda found: found["heads"][0].update(minimum=-1),
        lambda found: found["heads"][0].pop("mean"),
        lambda found: found["heads"][0].update(interval=[0.1]),
        lambda found: found["heads"][0].update(excess_interval=[0.1, "high"]),
        lambda found: found["heads"][0].pop("excess_interval"),
        lambda found: found["heads"][0]["same_key"].update(sentences=0),
        lambda found: found.pop("held_out"),
        lambda found: found.pop("reverse_held_out"),
        lambda found: found["held_out"][0].pop("scored"),
        lambda found: found["held_out"][1]["chosen"].update(sentences=0),
        lambda found: found["held_out"].append(found["held_out"][0]),
        lambda found: found["heads"][0].update(dropped=0.5),
        lambda found: found["reverse"][0].update(mean=1.1),
        lambda found: found["model"].pop("name"),
    ],
)
def test_damage_of_a_summary_is_found(damage: Callable[[Any], object]) -> None:
    _, parsed = small()
    check(parsed, SUMMARY)
    damage(parsed)
    refused(parsed, SUMMARY)
