"""docs/schema/run-1.schema.json takes all that attnviz writes, and nothing damaged."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import numpy as np
import pytest
from handmade import inspection_of, tokens_of
from shown import run_json
from written import schema

from attnviz.inspection import HeadId, Inspection, View
from attnviz.model import Model
from attnviz.text.tokens import Unit

SCHEMA = schema("run-1")
SOME_HEADS = [HeadId(0, 0), HeadId(3, 1), HeadId(5, 11)]


def as_json(view: View, heads: list[HeadId] | None = None) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(b"".join(run_json(view, heads or view.all_heads())))
    return parsed


def small(trained: bool = True) -> dict[str, Any]:
    weights = np.full((2, 3, 4, 4), 0.25)
    return as_json(inspection_of(tokens_of(["I", "am"]), weights, trained).view())


def check(parsed: Any) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(parsed)


@pytest.mark.parametrize("unit", ["word", "piece"])
@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("The animal didn't cross the street because it was too tired.", None),
        ("Who was tired?", "The animal was."),
        ("동물은 너무 피곤해서 길을 건너지 않았다.", None),
        ('[bold] [/x] :smile: $x_1$ "quoted", \x1b[31m 👩‍👩‍👧', None),
    ],
)
def test_what_is_written_is_valid(
    minilm: Model, text: str, pair: str | None, unit: Unit, special: bool
) -> None:
    view = minilm.inspect(text, pair).view(unit, special)
    parsed = as_json(view, SOME_HEADS)
    check(parsed)
    assert parsed["pair"] == pair
    assert [(head["layer"], head["head"]) for head in parsed["heads"]] == SOME_HEADS
    segments = {token.get("segment") for token in parsed["tokens"]}
    assert segments == ({None} if pair is None else {0, 1})


def test_all_heads_of_the_founding_example_are_valid(animal: Inspection) -> None:
    parsed = as_json(animal.view())
    check(parsed)
    assert len(parsed["heads"]) == 72


def test_an_untrained_model_tells_its_seed() -> None:
    parsed = small(trained=False)
    check(parsed)
    assert parsed["model"]["trained"] is False
    assert parsed["model"]["seed"] == 0
    del parsed["model"]["seed"]
    with pytest.raises(jsonschema.ValidationError):
        check(parsed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda run: run.update(extra=1),
        lambda run: run.pop("pair"),
        lambda run: run.update(schema="attnviz.run/2"),
        lambda run: run.update(measure="rollout"),
        lambda run: run.update(unit="letter"),
        lambda run: run.update(tokens=[]),
        lambda run: run.update(pair="a second sentence"),  # tokens without segments
        lambda run: run["model"].update(seed=3),  # of a trained model
        lambda run: run["model"].update(num_heads=0),
        lambda run: run["model"].pop("d_k"),
        lambda run: run["tokens"][0].update(start=0),  # a special token
        lambda run: run["tokens"][1].update(end=None),
        lambda run: run["tokens"][1].update(segment=0),  # not in a pair
        lambda run: run["tokens"][1].update(pieces=[]),
        lambda run: run["tokens"][1].update(text=""),
        lambda run: run["heads"][0].update(head=None),
        lambda run: run["heads"][0].update(dropped=[0.5] * 4),  # one head alone
        lambda run: run["heads"][0]["weights"][0].__setitem__(0, 1.01),
        lambda run: run["heads"][0]["weights"][0].__setitem__(0, -1e-9),
        lambda run: run["heads"][0]["weights"][0].__setitem__(0, None),
    ],
)
def test_damage_is_found(damage: Callable[[Any], object]) -> None:
    parsed = small()
    check(parsed)
    damage(parsed)
    with pytest.raises(jsonschema.ValidationError):
        check(parsed)


def test_every_property_is_described() -> None:
    for part in (SCHEMA, *SCHEMA["$defs"].values()):
        assert part["description"].endswith(".")
        for name, facts in part.get("properties", {}).items():
            told = SCHEMA["$defs"][facts["$ref"][8:]] if "$ref" in facts else facts
            assert len(told["description"].split()) > 3, name
