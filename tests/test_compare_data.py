"""docs/schema/compare-1 takes all that compare writes, and nothing damaged; and its CSV."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from handmade import inspection_of, random_inspection, tokens_of
from rounding import assert_numbers
from written import answer_csv, answer_json, csv_line, is_ours

from attnviz.answers.align import Aligned, aligned
from attnviz.answers.compare import Comparison, compare
from attnviz.attention.measures import MeasureName
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model
from attnviz.text.tokens import Unit

PATH = Path(__file__).parent.parent / "docs" / "schema" / "compare-1.schema.json"
SCHEMA = json.loads(PATH.read_text())
HOSTILE = 'He said "no", $x$ \x1b[31m red'


def written(comparison: Comparison, count: int | None = None) -> Any:
    text = answer_json(comparison, count)
    assert text.count(b"\n") == 1
    assert text.endswith(b"\n")
    assert is_ours(text, "json")
    return json.loads(text)


def check(parsed: Any) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(parsed)


def pair(trained: bool = True) -> tuple[Inspection, Inspection]:
    """`it ran, so` beside `it never ran "so`, with other weights."""
    a, b = (tokens_of(words) for words in (["it", "ran,", "so"], ["it", "never", "ran,", '"so']))
    return tuple(  # type: ignore[return-value]
        inspection_of(
            side.tokens, np.stack([side.view().weights(layer) for layer in (0, 1)]), trained
        )
        for side in (random_inspection(tokens, 2, 3, seed=7) for tokens in (a, b))
    )


def compared(query: str | None = "it", key: str | None = None, **look: Any) -> Comparison:
    both = aligned(*(side.view(**look) for side in pair()))
    return compare(both, *columns(both, query, key))


def columns(both: Aligned, query: str | None, key: str | None) -> tuple[int | None, int | None]:
    return (
        None if query is None else both.find(query)[0],
        None if key is None else both.find(key)[0],
    )


@pytest.mark.parametrize("query", ["it", None])
@pytest.mark.parametrize("key", ["too", None])
@pytest.mark.parametrize("measure", ["weights", "norm", "rollout", "flow"])
@pytest.mark.parametrize(("special", "unit"), [(True, "word"), (False, "piece")])
def test_what_is_written_is_valid(
    minilm: Model,
    query: str | None,
    key: str | None,
    measure: MeasureName,
    special: bool,
    unit: Unit,
) -> None:
    a, b = minilm.inspect("It was too tired."), minilm.inspect("It was too very wide!", "Why?")
    both = aligned(a.view(unit, special, measure), b.view(unit, special, measure))
    parsed = written(compare(both, *columns(both, query, key)), 3)
    check(parsed)
    assert len(parsed["heads"]) == 3
    assert (parsed["query"] is None, parsed["key"] is None) == (query is None, key is None)
    assert parsed["b"]["measure"] == measure
    for head in parsed["heads"]:
        assert sum(head["a"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("동물은 너무 피곤해서 길을 건너지 않았다.", "동물은 너무 넓어서 길을 건너지 않았다."),
        (HOSTILE, HOSTILE.replace("red", "blue")),
        ("Hi", "hi"),
    ],
)
def test_whatever_was_typed_is_valid(minilm: Model, a: str, b: str) -> None:
    parsed = written(compare(aligned(minilm.inspect(a).view(), minilm.inspect(b).view())))
    check(parsed)
    assert (parsed["a"]["text"], parsed["b"]["text"]) == (a, b)


def test_the_founding_pair_as_json(minilm: Model, animal: Inspection) -> None:
    wide = minilm.inspect(animal.tokens.text.replace("tired", "wide"))
    both = aligned(animal.view(), wide.view())
    parsed = written(compare(both, both.find("it")[0], both.find("animal")[0]))
    check(parsed)
    assert list(parsed) == ["schema", "a", "b", "same_input", "query", "key", "keys", "heads"]
    changed = {"a": 11, "b": 11, "text_a": "tired", "text_b": "wide", "same": False}
    assert parsed["keys"][11] == changed
    assert parsed["query"] == {"a": 8, "b": 8, "text_a": "it", "text_b": "it", "same": True}
    first = parsed["heads"][0]
    assert (first["layer"], first["head"], first["change"]) == (3, 1, first["lost"][0]["change"])
    assert first["lost"][0]["key"] == 2
    row = animal.view().weights(3, 1)[8]
    assert_numbers(first["a"], row)


def test_a_word_that_one_side_lacks_has_no_index_and_no_share() -> None:
    parsed = written(compared())
    check(parsed)
    absent = {"a": None, "b": 2, "text_a": None, "text_b": "never", "same": False}
    assert parsed["keys"][2] == absent
    assert {head["a"][2] for head in parsed["heads"]} == {0}


@pytest.mark.parametrize(
    "damage",
    [
        lambda found: found.update(extra=1),
        lambda found: found.pop("query"),
        lambda found: found.update(schema="attnviz.compare/2"),
        lambda found: found.update(query=None),  # then heads tell distances
        lambda found: found.update(key=found["query"]),  # then heads tell the change
        lambda found: found["query"].update(b=None),
        lambda found: found["a"].update(schema="attnviz.run/1"),
        lambda found: found["a"].update(measure="norm"),  # then heads tell sums
        lambda found: found["a"].update(measure="rollout"),  # then heads have no number
        lambda found: found["a"]["tokens"][1].update(end=None),
        lambda found: found["b"]["model"].pop("d_k"),
        lambda found: found["keys"][2].update(b=None, text_b=None),
        lambda found: found["keys"][2].update(same=True),
        lambda found: found["keys"][0].pop("text_b"),
        lambda found: found["heads"][0].update(distance=1.01),
        lambda found: found["heads"][0].update(distances=[0.5]),
        lambda found: found["heads"][0].update(change=0.5),
        lambda found: found["heads"][0].update(a_sum=3, b_sum=3),
        lambda found: found["heads"][0].update(a_dropped=0.5, b_dropped=0.5),  # one head alone
        lambda found: found["heads"][0].update(head=None),
        lambda found: found["heads"][0]["a"].__setitem__(0, -1e-9),
        lambda found: found["heads"][0]["gained"][0].update(change=-0.1),
        lambda found: found["heads"][0]["lost"].append({"key": 0, "change": 0}),
    ],
)
def test_damage_is_found(damage: Callable[[Any], object]) -> None:
    parsed = written(compared())
    check(parsed)
    damage(parsed)
    with pytest.raises(jsonschema.ValidationError):
        check(parsed)


def rows_of(comparison: Comparison, count: int | None = None) -> list[dict[str, str]]:
    header = csv_line(comparison.columns)
    assert is_ours(header, "csv")
    text = b"".join([header, *answer_csv(comparison, top=count)]).decode()
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_csv_has_a_row_for_each_head_and_key() -> None:
    comparison = compared()
    rows = rows_of(comparison)
    assert len(rows) == 6 * len(comparison.alignment.columns)
    first = comparison.heads[0]
    key, absent = rows[3], rows[2]
    assert (key["layer"], key["head"]) == tuple(map(str, first.head))
    assert float(key["distance"]) == first.distance
    assert [key[f"{side}_{name}"] for side in "ab" for name in ("query_index", "query")] == [
        "1", "it", "1", "it",
    ]  # fmt: skip
    assert (key["a_key_index"], key["a_key"], key["b_key_index"]) == ("2", "ran,", "3")
    for name, value in (("a", first.a[3]), ("b", first.b[3]), ("change", first.change[3])):
        assert np.float32(key[name]) == np.float32(value)
    assert (absent["a_key_index"], absent["a_key"], absent["b_key"]) == ("", "", "never")
    assert (absent["a"], absent["change"]) == ("", "")
    assert np.float32(absent["b"]) == np.float32(first.b[2])
    assert rows[4]["b_key"] == '"so'
    assert len(rows_of(comparison, 2)) == 2 * len(comparison.alignment.columns)


def test_csv_says_what_else_there_is_to_say(minilm: Model) -> None:
    a, b = minilm.inspect("It was tired."), minilm.inspect("It was wide.")
    plain = compare(aligned(a.view(), b.view()))
    assert {row["a_query"] for row in rows_of(plain)} == {""}
    assert "measure" not in rows_of(plain)[0]
    views = (side.view(measure="norm", special=False) for side in (a, b))
    norms = compare(aligned(*views), heads=[HeadId(0, 0)])
    row = rows_of(norms)[0]
    assert row["measure"] == "norm"
    [change] = norms.heads
    assert change.dropped is not None
    assert change.sums is not None
    told = [float(row[name]) for name in ("a_dropped", "b_dropped", "a_sum", "b_sum")]
    assert told == [change.dropped.a, change.dropped.b, change.sums.a, change.sums.b]
    rolled = compare(aligned(a.view(measure="rollout"), b.view(measure="rollout")))
    assert {(row["head"], row["measure"]) for row in rows_of(rolled)} == {("", "rollout")}


@pytest.mark.parametrize("query", ["it", None])
def test_csv_without_special_tokens_has_its_columns_where_there_are_none(query: str | None) -> None:
    a, b = (tokens_of(words, special=False) for words in (["it", "ran"], ["it", "sat"]))
    sides = (random_inspection(tokens, 1, 2, seed=3).view(special=False) for tokens in (a, b))
    both = aligned(*sides)
    rows = rows_of(compare(both, *columns(both, query, None)))
    assert {(row["a_dropped"], row["b_dropped"]) for row in rows} == {("0.0", "0.0")}
