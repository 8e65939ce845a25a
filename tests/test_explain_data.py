"""What explain writes as JSON and CSV; docs/schema/explain-1 takes it, and nothing damaged."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import jsonschema
import numpy as np
import pytest
from handmade import part, with_layer
from worked import WORKED, X, inspection_with
from written import answer_csv, answer_json, csv_line, is_ours, schema

import attnviz
from attnviz.answers.explain import Explanation, explain
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model, load_model

SCHEMA = schema("explain-1")


def as_json(explanation: Explanation) -> Any:
    line = answer_json(explanation)
    assert line.count(b"\n") == 1
    return json.loads(line)


def small(bias: float | None = None) -> Any:
    added = None if bias is None else np.array([[[0, 0], [bias, 0]]], np.float32)
    return as_json(explain(inspection_with(X, WORKED, 2, added), 1, HeadId(0, 1), WORKED))


def check(parsed: Any) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(parsed)


@pytest.mark.parametrize(
    ("text", "pair", "query"),
    [
        ("The animal didn't cross the street because it was too tired.", None, "didn't"),
        ("Who was tired?", "The animal was.", "animal"),
        ("동물은 너무 피곤해서 길을 건너지 않았다.", None, "너무"),
        ('[bold] [/x] :smile: $x_1$ "quoted", \x1b[31m 👩‍👩‍👧', None, "[SEP]"),
    ],
)
def test_what_is_written_is_valid(minilm: Model, text: str, pair: str | None, query: str) -> None:
    inspection = minilm.inspect(text, pair)
    for explanation in attnviz.explain(inspection, query, 3, 1):
        parsed = as_json(explanation)
        check(parsed)
        assert (parsed["text"], parsed["pair"]) == (text, pair)
        assert len(parsed["tokens"]) == len(parsed["keys"]) == len(inspection.tokens)


def test_what_it_says(animal: Inspection) -> None:
    """Whoever has the JSON can do all steps again."""
    [e] = attnviz.explain(animal, "it", 3, 1)
    parsed = as_json(e)
    assert list(parsed["shapes"].items()) == [
        *(("x", [384]), ("W_Q", [384, 32]), ("W_K", [384, 32])),
        *(("W_V", [384, 32]), ("W_O", [32, 384])),
    ]
    assert (parsed["layer"], parsed["head"], parsed["query"]["index"]) == (3, 1, 10)
    assert parsed["scale"] == pytest.approx(32**-0.5)
    keys = parsed["keys"]
    assert [key["index"] for key in keys] == list(range(16))
    assert keys[3]["text"] == "didn"
    k, v = (np.array([key[part] for key in keys]) for part in "kv")
    dots = k @ parsed["q"]
    np.testing.assert_allclose([key["dot"] for key in keys], dots, rtol=1e-5, atol=1e-5)
    scores = dots * parsed["scale"]
    np.testing.assert_allclose([key["score"] for key in keys], scores, rtol=1e-5, atol=1e-5)
    weights = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose([key["weight"] for key in keys], weights, rtol=1e-5)
    np.testing.assert_allclose(parsed["z"], weights @ v, rtol=0, atol=1e-5)
    assert np.array_equal(np.array(parsed["x"], np.float32), part(animal.layer(3), "x")[10])
    np.testing.assert_array_equal(np.array(parsed["output"], np.float32), e.output)
    assert parsed["share"] == e.share
    assert 0 < parsed["check"]["z"] < 3e-6


def test_an_untrained_model_tells_its_seed() -> None:
    model = load_model("paper", num_layers=1, num_heads=3, d_model=21, d_ff=5, seed=9)
    [e] = attnviz.explain(model.inspect("I am a student"), "student", 0, 0)
    parsed = as_json(e)
    check(parsed)
    assert (parsed["model"]["trained"], parsed["model"]["seed"]) == (False, 9)
    assert parsed["shapes"]["W_Q"] == [21, 7]


def test_a_bias_stands_with_the_keys() -> None:
    parsed = small(2.5)
    check(parsed)
    assert [key["bias"] for key in parsed["keys"]] == [2.5, 0]
    assert [key["score"] for key in parsed["keys"]] == [2.5, 4]
    masked = small(-np.inf)
    check(masked)
    assert [key["bias"] for key in masked["keys"]] == [None, 0]
    assert [key["score"] for key in masked["keys"]] == [None, 4]
    assert [key["weight"] for key in masked["keys"]] == [0, 1]
    assert "bias" not in small()["keys"][0]


def test_an_inspection_without_z() -> None:
    bare = with_layer(inspection_with(X, WORKED, 2), 0, z=None)
    parsed = as_json(explain(bare, 0, HeadId(0, 0), WORKED))
    check(parsed)
    assert parsed["check"]["z"] is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda e: e.pop("keys"),
        lambda e: e.update(schema="attnviz.explain/2"),
        lambda e: e.update(unit="word"),
        lambda e: e.update(head=None),
        lambda e: e.update(more=1),
        lambda e: e.update(z=[]),
        lambda e: e["x"].__setitem__(0, None),
        lambda e: e["shapes"].pop("W_O"),
        lambda e: e["shapes"]["W_Q"].append(2),
        lambda e: e["shapes"]["x"].append(2),
        lambda e: e["query"].update(segment=0),
        lambda e: e["keys"][0].update(weight=1.01),
        lambda e: e["keys"][0].update(bias=0),  # one key alone
        lambda e: e["keys"][0].update(score=None),  # without a bias nothing is masked
        lambda e: e["keys"][1].update(norm=-1e-9),
        lambda e: e["check"].update(q=None),
        lambda e: e["check"].update(z=-1),
    ],
)
def test_damage_is_found(damage: Callable[[Any], object]) -> None:
    parsed = small()
    check(parsed)
    damage(parsed)
    with pytest.raises(jsonschema.ValidationError):
        check(parsed)


def test_csv_has_a_row_a_key(animal: Inspection) -> None:
    explanations = attnviz.explain(animal, "didn't", 3, 1)
    rows = b"".join(row for e in explanations for row in answer_csv(e, 7))
    table = list(
        csv.DictReader(
            io.StringIO((csv_line(("text_index", *Explanation.columns)) + rows).decode())
        )
    )
    assert len(table) == 3 * 16
    assert {row["text_index"] for row in table} == {"7"}
    assert [row["query"] for row in table[::16]] == ["didn", "'", "t"]
    assert [row["query_index"] for row in table[::16]] == ["3", "4", "5"]
    for row, key in zip(table[16:32], range(16), strict=True):
        e = explanations[1]
        assert (row["layer"], row["head"], row["key_index"]) == ("3", "1", str(key))
        assert row["key"] == e.keys[key].text
        for name, numbers in {
            "weight": e.weights,
            "dot": e.dots,
            "score": e.scores,
            "norm": e.norms,
        }.items():
            assert np.float32(row[name]) == numbers[key]


def test_csv_leaves_a_masked_score_empty() -> None:
    added = np.array([[[0, 0], [-np.inf, 0]]], np.float32)
    e = explain(inspection_with(X, WORKED, 2, added), 1, HeadId(0, 1), WORKED)
    assert b"".join(answer_csv(e, 0)).splitlines() == [
        b"0,0,1,1,b,0,a,0.0,0.0,,0.0",
        b"0,0,1,1,b,1,b,1.0,4.0,4.0,8.0",
    ]


def test_files_of_ours_are_known() -> None:
    assert is_ours(csv_line(("text_index", *Explanation.columns)), "csv")
    e = explain(inspection_with(X, WORKED, 2), 1, HeadId(0, 1), WORKED)
    assert is_ours(answer_json(e)[:256], "json")
