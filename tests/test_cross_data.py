"""What data says of cross-attention, decoders, sinks, windows and dtypes, held to the schemas."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from handmade import causal, cross_inspection_of, inspection_of, tokens_of, with_layer
from rounding import assert_numbers
from shown import run_csv, run_json
from written import answer_csv, answer_json

from attnviz.answers.align import aligned
from attnviz.answers.compare import compare
from attnviz.answers.find import find
from attnviz.answers.holding import holding
from attnviz.answers.matrices import matrices
from attnviz.answers.select import find_in, find_phrase
from attnviz.inspection import Inspection, View
from attnviz.inspection import view as view_module
from attnviz.model import load_model
from attnviz.show.matrix_data import NpzWriter

FOLDER = Path(__file__).parent.parent
NAMES = ("run/1", "find/2", "find-summary/2", "compare/1")
SCHEMAS = {
    f"attnviz.{name}": json.loads(
        (FOLDER / "docs" / "schema" / f"{name.replace('/', '-')}.schema.json").read_text()
    )
    for name in NAMES
}
FOUNDING = "The animal didn't cross the street because it was too {}."


def check(parsed: Any) -> None:
    jsonschema.Draft202012Validator(SCHEMAS[parsed["schema"]]).validate(parsed)


def run(view: View) -> Any:
    parsed = json.loads(b"".join(run_json(view, view.all_heads())))
    check(parsed)
    return parsed


def found(view: View, query: str, key: str) -> tuple[Any, Any]:
    looks = find_in(view.context, "query", query, find_phrase)
    finding = find(view, looks, find_in(view.context, "key", key, find_phrase))
    one = json.loads(answer_json(finding))
    summary = json.loads(answer_json(holding([finding, finding])))
    check(one)
    check(summary)
    return one, summary


def compared(a: View, b: View, query: int | None = None, key: int | None = None) -> Any:
    parsed = json.loads(answer_json(compare(aligned(a, b), query, key)))
    check(parsed)
    return parsed


def npz(view: View) -> dict[str, Any]:
    stream = io.BytesIO()
    with NpzWriter(stream) as writer:
        writer.add(matrices(view))
    stream.seek(0)
    with np.load(stream) as file:
        return {name: file[name] for name in file.files}


# By hand


def across(pair: bool = False) -> Inspection:
    source = tokens_of(["It", "rains", "here"], pair=["Oh"] if pair else None)
    drawn = np.random.default_rng(3).uniform(0.1, 1, (2, 3, 4, len(source)))
    weights = drawn / drawn.sum(axis=-1, keepdims=True)
    return cross_inspection_of(tokens_of(["Es", "regnet"]), source, weights)


@pytest.mark.parametrize("special", [True, False])
def test_queries_and_keys_are_told_apart(special: bool) -> None:
    view = across().view(special=special)
    parsed = run(view)
    assert (parsed["text"], parsed["source"]) == ("Es regnet", "It rains here")
    assert parsed["attention"] == "cross"
    assert "source_pair" not in parsed
    order = [name for name in parsed if name in ("measure", "attention", "formula")]
    assert order == ["measure", "attention", "formula"]
    for name, tokens in (("tokens", view.tokens), ("keys", view.keys)):
        assert [token["text"] for token in parsed[name]] == [token.text for token in tokens]
        assert [token["index"] for token in parsed[name]] == list(range(len(tokens)))
    here = parsed["keys"][-2 if special else -1]
    assert parsed["source"][here["start"] : here["end"]] == "here"
    for head in parsed["heads"]:
        expected = view.weights(head["layer"], head["head"])
        assert_numbers(np.float32(head["weights"]), expected)
        assert ("dropped" in head) == (not special)
        assert "sink" not in head


def test_a_source_may_be_a_pair() -> None:
    parsed = run(across(pair=True).view())
    assert (parsed["source"], parsed["source_pair"]) == ("It rains here", "Oh")
    assert [key["segment"] for key in parsed["keys"]] == [0, 0, 0, 0, 0, 1, 1]
    assert not any("segment" in token for token in parsed["tokens"])


def test_rows_of_a_long_text_are_told_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(across().view(special=False))
    sinks = inspection_of(tokens_of(["a", "b"]), np.full((1, 2, 4, 4), 0.2))
    beside = run(sinks.view(special=False))
    monkeypatch.setattr(view_module, "WEIGHTS_AT_ONCE", 1)
    assert run(across().view(special=False)) == whole
    assert run(replace(sinks).view(special=False)) == beside


def test_csv_has_words_of_both() -> None:
    view = across().view()
    rows = list(csv.reader(io.StringIO(b"".join(run_csv(view, view.all_heads(), 7)).decode())))
    assert len(rows) == 6 * 4 * 5
    assert rows[8][:-1] == ["7", "0", "0", "1", "Es", "3", "here"]
    assert float(rows[8][-1]) == pytest.approx(float(view.weights(0, 0)[1, 3]))
    looks, looked_at = find_phrase(view.tokens, "Es"), find_phrase(view.keys, "here")
    [first, *_] = csv.reader(
        io.StringIO(b"".join(answer_csv(find(view, looks, looked_at), 0)).decode())
    )
    assert first[3:7] == ["1", "Es", "3", "here"]


def test_npz_has_the_keys() -> None:
    file = npz(across().view(special=False))
    assert file["0.weights"].shape == (6, 2, 3)
    assert list(file["0.tokens"]) == ["Es", "regnet"]
    assert list(file["0.keys"]) == ["It", "rains", "here"]
    meta = json.loads(str(file["meta"]))
    assert meta["attention"] == "cross"
    sentence = {"index": 0, "text": "Es regnet", "pair": None, "source": "It rains here"}
    assert meta["sentences"] == [sentence]
    plain = npz(inspection_of(tokens_of(["a"]), np.full((1, 1, 3, 3), 1 / 3)).view())
    assert "0.keys" not in plain
    assert "attention" not in json.loads(str(plain["meta"]))


def test_find_and_compare() -> None:
    view = across().view()
    one, summary = found(view, "Es", "rains here")
    assert (one["attention"], summary["attention"], one["source"]) == (
        "cross",
        "cross",
        "It rains here",
    )
    assert one["keys"] == 4
    for head in one["heads"]:
        weights = view.weights(head["layer"], head["head"])
        others = float(weights[2, 2:4].sum())  # what regnet gives rains here
        assert head["same_distance"] is None
        assert head["same_key"]["queries"] == 1
        assert head["same_key"]["mean"] == pytest.approx(others)
        assert head["excess"] == pytest.approx(head["weight"] - others, abs=1e-6)
    assert [key["text"] for key in one["key_tokens"]][1:-1] == ["It", "rains", "here"]
    assert (one["query"]["indices"], one["key"]["indices"]) == ([1], [2, 3])
    parsed = compared(view, across().view(), query=1, key=2)
    assert [column["text_a"] for column in parsed["queries"]] == ["[CLS]", "Es", "regnet", "[SEP]"]
    assert [column["text_b"] for column in parsed["keys"]][1:-1] == ["It", "rains", "here"]
    assert (parsed["query"]["text_a"], parsed["key"]["text_a"]) == ("Es", "rains")
    assert len(parsed["heads"][0]["a"]) == 5
    assert [key["text"] for key in parsed["a"]["keys"]][1] == "It"
    every = compared(view, across().view())
    assert len(every["heads"][0]["distances"]) == 4
    rows = b"".join(answer_csv(compare(aligned(view, view), 1))).decode().splitlines()
    assert len(rows) == 6 * 5
    assert rows[3].split(",")[3:11] == ["1", "Es", "1", "Es", "3", "here", "3", "here"]


def test_a_mask_leaves_nothing_to_compare_with() -> None:
    tokens = tokens_of(["a", "b", "c"], special=False)
    inspection = inspection_of(tokens, np.full((2, 1, 3, 3), 1 / 3))
    for layer, reach in enumerate((None, 1)):
        inspection = with_layer(inspection, layer, key_ranges=causal(3, reach))
    inspection = replace(inspection, attention="decoder")
    one, summary = found(inspection.view(), "c", "a")
    assert one["attention"] == summary["attention"] == "decoder"
    assert "key_tokens" not in one
    assert [head["same_distance"] for head in one["heads"]] == [None, None]
    first, second = (head["same_key"] for head in one["heads"])
    # a gives itself all, and b half of it; the second layer keeps c off
    assert first == {"mean": 0.75, "queries": 2, "lift": pytest.approx(1 / 3 / 0.75)}
    assert second is None
    assert summary["heads"][-1]["same_key"] is summary["heads"][-1]["excess"] is None
    looks, seen = (find_phrase(inspection.view().tokens, word) for word in "ca")
    last = list(answer_csv(find(inspection.view(), looks, seen), 0))[-1]
    assert last == b"0,1,0,2,c,0,a,0.0,,3,false,,,,,,\n"


@pytest.mark.parametrize("special", [True, False])
def test_what_went_to_sinks(special: bool) -> None:
    weights = np.full((1, 2, 4, 4), 0.2)
    view = inspection_of(tokens_of(["a", "b"]), weights).view(special=special)
    parsed, file = run(view), npz(view)
    assert parsed["formula"] == "softmax([q kᵀ / √d_k, sink]); rows sum to 1 with the sink's share"
    for place, head in enumerate(parsed["heads"]):
        rows, sink = np.array(head["weights"]), np.array(head["sink"])
        np.testing.assert_allclose(rows.sum(axis=1) + sink, 1, atol=1e-6)
        np.testing.assert_allclose(sink, 0.2 if special else 1 / 3, atol=1e-6)
        assert head.get("dropped") == (None if special else pytest.approx([0.4, 0.4]))
        np.testing.assert_allclose(file["0.sink"][place], sink, atol=1e-7)
    change = compared(view, view, query=1)["heads"][0]
    assert change["a_rest"] == change["b_rest"] == pytest.approx(0.2 if special else 1 / 3)


def test_a_window_says_where_it_is() -> None:
    words = ["a", "b", "c", "d"]
    inspection = inspection_of(tokens_of(words), np.full((1, 1, 6, 6), 1 / 6))
    parsed = run(inspection.view(special=False, window=(3, 99)))
    assert parsed["window"] == [3, 6]
    places = [(token["index"], token["position"], token["text"]) for token in parsed["tokens"]]
    assert places == [(0, 3, "c"), (1, 4, "d")]
    assert found(inspection.view(window=(1, 4)), "a", "c")[0]["window"] == [1, 4]
    change = compared(inspection.view(window=(1, 4)), inspection.view(window=(1, 4)), query=0)
    assert change["a"]["window"] == [1, 4]
    assert change["heads"][0]["a_rest"] == pytest.approx(0.5)
    meta = json.loads(str(npz(inspection.view(window=(0, 2)))["meta"]))
    assert meta["sentences"][0]["window"] == [0, 2]
    cut = run(across().view(window=(1, 2)))
    assert [token.get("position") for token in cut["tokens"]] == [1]
    assert [key.get("position") for key in cut["keys"]] == [None] * 5


def test_a_dtype_is_told() -> None:
    inspection = inspection_of(tokens_of(["a"]), np.full((1, 1, 3, 3), 1 / 3))
    facts = replace(inspection.model, dtype="bfloat16")
    parsed = run(replace(inspection, model=facts).view())
    assert parsed["model"]["dtype"] == "bfloat16"
    assert "dtype" not in run(inspection.view())["model"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda run: run.pop("source"),
        lambda run: run.pop("keys"),
        lambda run: run.pop("attention"),
        lambda run: run.update(attention="decoder"),
        lambda run: run.update(attention="encoder"),
        lambda run: run.update(source_pair="another"),  # keys without segments
        lambda run: run.update(window=[0, 2]),  # tokens without positions
        lambda run: run["tokens"][0].update(position=3),
        lambda run: run["keys"][0].update(position=3),
        lambda run: run["keys"][0].update(segment=0),
        lambda run: run["keys"].clear(),
        lambda run: run["keys"][1].pop("pieces"),
        lambda run: run["heads"][0].update(sink=[0.1] * 4),  # one head alone
        lambda run: run["model"].update(dtype="float32"),
    ],
)
def test_damage_is_found(damage: Callable[[Any], object]) -> None:
    parsed = run(across().view())
    damage(parsed)
    with pytest.raises(jsonschema.ValidationError):
        check(parsed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda one: one.pop("queries"),
        lambda one: one["b"].pop("keys"),
        lambda one: one["a"].pop("keys"),
        lambda one: one["a"].pop("attention"),
        lambda one: one["heads"][0].update(a_rest=0.1),
        lambda one: one["heads"][0].update(b_rest=0.1),
    ],
)
def test_damage_of_a_comparison_is_found(damage: Callable[[Any], object]) -> None:
    parsed = compared(across().view(), across().view())
    damage(parsed)
    with pytest.raises(jsonschema.ValidationError):
        check(parsed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda one: one.pop("key_tokens"),
        lambda one: one.update(keys=one["key_tokens"]),
        lambda one: one.pop("attention"),
        lambda one: one["heads"][0].update(weight=None),
    ],
)
def test_damage_of_a_finding_is_found(damage: Callable[[Any], object]) -> None:
    parsed, _ = found(across().view(), "Es", "It")
    damage(parsed)
    with pytest.raises(jsonschema.ValidationError):
        check(parsed)


# Of the translator in samples/


@pytest.fixture(scope="module")
def translated() -> dict[str, tuple[Inspection, Inspection]]:
    """The founding sentences, tired and wide, as the decoder sees them: its own, and the source."""
    name = str(FOLDER / "samples" / "translator")
    kinds = {"decoder": load_model(name, attention="decoder")}
    kinds["cross"] = load_model(name, attention="cross")
    return {
        kind: (model.inspect(FOUNDING.format("tired")), model.inspect(FOUNDING.format("wide")))
        for kind, model in kinds.items()
    }


def test_a_real_decoder(translated: dict[str, tuple[Inspection, Inspection]]) -> None:
    tired, wide = (inspection.view() for inspection in translated["decoder"])
    parsed = run(tired)
    assert (parsed["attention"], parsed["text"].split()[:2]) == ("decoder", ["Das", "Tier"])
    assert not {"source", "keys"} & set(parsed)
    for head in parsed["heads"]:
        assert not np.triu(np.array(head["weights"]), k=1).any()
    one, _ = found(tired, "es", "Tier")
    best = one["heads"][0]
    assert (best["layer"], best["head"], best["rank"]) == (1, 1, 1)
    assert best["weight"] > 0.9
    assert best["excess"] > 0.5
    assert compared(tired, wide)["a"]["attention"] == "decoder"


def test_a_real_cross_attention(translated: dict[str, tuple[Inspection, Inspection]]) -> None:
    tired, wide = (inspection.view() for inspection in translated["cross"])
    parsed = run(tired)
    assert parsed["source"] == FOUNDING.format("tired")
    assert parsed["text"].startswith("Das Tier")
    assert (len(parsed["tokens"]), len(parsed["keys"])) == (len(tired.tokens), len(tired.keys))
    one, summary = found(tired, "zu", "tired")
    assert (one["heads"][0]["layer"], one["heads"][0]["head"]) == (1, 3)
    assert one["heads"][0]["weight"] > 0.9
    assert summary["sentences"] == 2
    change = compared(tired, wide)
    words = [(column["text_a"], column["text_b"]) for column in change["keys"]]
    assert ("tired", "wide") in words
    assert any(column["text_a"] != column["text_b"] for column in change["queries"])
