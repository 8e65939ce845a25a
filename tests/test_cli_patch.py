"""`attnviz patch` through real processes: its looks, its forms, what it refuses."""

import csv
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import ANIMAL
from process import PNG, Done, Workplace, workplace
from written import schema

from attnviz.inspection import Inspection

SCHEMA, CORPUS = schema("patch-1"), schema("patch_corpus-1")
WIDE = ANIMAL.replace("tired", "wide")
SAMPLES = Path(__file__).parent.parent / "samples"
TRANSLATOR = ["-m", str(SAMPLES / "translator")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    return workplace(tmp_path_factory.mktemp("patch"), animal)


@pytest.fixture
def here(here: Callable[..., Done]) -> Callable[..., Done]:
    return partial(here, "patch")


def valid(parsed: Any) -> Any:
    jsonschema.validate(parsed, SCHEMA)
    return parsed


@pytest.mark.slow
def test_the_twins_in_the_default_model(place: Workplace) -> None:
    done = place("patch", ANIMAL, WIDE, "--each", "--query", "it", "--top", "5")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[1:3] == [
        f"A  {ANIMAL.replace('tired', '‹tired›')}",
        f"B  {WIDE.replace('wide', '‹wide›')}",
    ]
    assert 'measured: how far the final state of "it" is from A\'s, 1 − cos' in lines
    assert "A 0 · B 0.149" in lines
    assert "share restored by one head of A in B: the result z" in lines
    ranked = [line.split()[1] for line in lines if "█" in line]
    assert set(ranked) == {"L2H3", "L2H1", "L2H8", "L5H9", "L3H1"}
    again = place("patch", "--head", "3.1", "--json").json  # the last comparison
    assert [again[side]["text"] for side in "ab"] == [ANIMAL, WIDE]


def test_at_each_word(here: Callable[..., Done]) -> None:
    done = here(WIDE, "--head", "3.1", "--by", "position", "--query", "it")  # A is the last one
    assert done.code == 0
    assert "restores 0.169 of the difference: B goes from 0.149 to 0.124" in done.out
    assert "share restored at each word alone" in done.out
    parsed = valid(
        here(ANIMAL, WIDE, "--head", "3.1", "--by", "position", "--query", "it", "--json").json
    )
    assert parsed["patched"]["restored"] == pytest.approx(0.169, abs=0.01)
    most = max(parsed["positions"], key=lambda one: one["restored"])
    assert (most["text"], round(most["restored"], 1)) == ("it", 0.2)
    assert parsed["aligned"] == [[place, place] for place in range(14)]
    rows = here(ANIMAL, WIDE, "--head", "3.1", "--rows", "it", "--query", "it", "--json").json
    assert valid(rows)["edit"] == {"what": "z", "with": "patch", "rows": [[8, 8]]}
    assert rows["patched"]["value"] == pytest.approx(most["value"], abs=1e-5)


def test_a_cross_head_flips_the_word(here: Callable[..., Done]) -> None:
    done = here(ANIMAL, WIDE, "--each", *TRANSLATOR, "--attention", "cross")
    assert done.code == 0
    assert 'until they differ: "Das Tier überquerte die Straße nicht, weil"' in done.err
    assert 'measured: the probability of "es" less that of "sie" after "weil"' in done.out
    [first] = [line.split() for line in done.out.splitlines() if "█" in line]
    assert first[1:5] == ["L0H0", "1.000", "1.00", "es"]
    target = ["--target", "Das Tier überquerte die Straße nicht, weil"]
    told = here(ANIMAL, WIDE, "--head", "0.0", *TRANSLATOR, "--attention", "cross", *target)
    assert 'it says "es", not "sie"' in " ".join(told.out.split())
    parsed = valid(
        here(
            ANIMAL, WIDE, "--layer", "0", "--what", "v", *TRANSLATOR, *target, "--of", "es",
            "--against", "sie", "--logit", "--json",
        ).json
    )  # fmt: skip
    assert parsed["outcome"] == {
        "name": "next", "unit": "logit", "formula": parsed["outcome"]["formula"], "of": "es",
        "against": "sie", "token": {"index": 8, "text": "weil"},
    }  # fmt: skip
    assert (parsed["a"]["best"], parsed["b"]["best"]) == ("es", "sie")


def test_many_twins(here: Callable[..., Done], place: Workplace) -> None:
    twins = ["weak", "heavy", "old", "young", "late", "slow", "fast"]
    rows = [
        (f"He was too {a}.", f"He was too {b}.", "he") for a in twins for b in twins[:1] if a != b
    ]
    (place.folder / "twins.tsv").write_text(
        "\n".join(
            "\t".join(row)
            for row in [("a", "b", "query"), *rows, ("x", "He was so very weak.", "he")]
        )
    )
    done = here("--tsv", "twins.tsv", "--json")
    assert done.code == 2  # as of every file of sentences, if one of them is left out
    assert "twins.tsv:8: the two sentences have no word in common" in done.err
    assert done.err.splitlines()[-1] == "attnviz: 1 pair left out, see above"
    jsonschema.validate(done.json, CORPUS)
    assert (done.json["twins"], done.json["left_out"], len(done.json["heads"])) == (6, 1, 72)
    best = done.json["heads"][0]
    assert best["low"] <= best["mean"] <= best["high"]
    table = here("--tsv", "twins.tsv", "--quiet")
    assert "6 pairs of twins; 1 left out; mean of |A − B|: " in table.out
    found = list(csv.DictReader(io.StringIO(here("--tsv", "twins.tsv", "-f", "csv").out)))
    assert (found[0]["rank"], found[0]["what"], found[0]["twins"]) == ("1", "z", "6")


def test_pictures_and_files(here: Callable[..., Done], place: Workplace) -> None:
    asked = [ANIMAL, WIDE, "--query", "it"]
    for name, options in {
        "each.png": ["--each"],
        "at.png": ["--head", "3.1", "--by", "position"],
    }.items():
        assert here(*asked, *options, "-o", name).code == 0
        assert (place.folder / name).read_bytes().startswith(PNG)
    assert here(*asked, "--each", "-o", "each.csv").code == 0
    assert here(*asked, "--each", "--top", "3", "-o", "each.csv").code == 0  # it is ours
    assert len((place.folder / "each.csv").read_text().splitlines()) == 4
    named = here(*asked, "--each", "-f", "svg").out
    assert named.startswith("attnviz-minilm-all-heads-patch-each")
    assert here(*asked, "--each", "--what", "v", "-f", "svg").out != named


def test_a_sentence_beside_itself(here: Callable[..., Done]) -> None:
    done = here("a dog sat", "a dog sat", "--each")
    assert done.code == 0
    assert "A and B are the same, so there is no difference to restore" in done.out
    assert not {"▸", "█"} & set(done.out)
    heads = here("a dog sat", "a dog sat", "--each", "--json").json["heads"]
    assert {one["restored"] for one in heads} == {None}


BAD: list[tuple[list[str], str]] = [
    ([ANIMAL, WIDE], "no head was named"),
    ([ANIMAL, WIDE, "--head", "3.1", "--each"], "does not go with --head or --layer"),
    ([ANIMAL, WIDE, "--by", "position"], "no head was named"),
    ([ANIMAL, WIDE, "--head", "9.9"], "there is no layer 9"),
    ([ANIMAL, WIDE, "--each", "--query", "dog"], '"dog"'),
    ([ANIMAL, WIDE, "--each", "--outcome", "next"], "minilm has no head that attnviz can ask"),
    ([ANIMAL, WIDE, "--each", "--of", "es"], "--of is of what a head says, and minilm has no head"),
    ([ANIMAL, WIDE, "--each", "--target", "es"], "and minilm has none"),
    ([ANIMAL, WIDE, "--each", "--attention", "cross"], "--attention cross needs"),
    ([ANIMAL, WIDE, WIDE, "--each"], "patch looks at two sentences, and 3 came"),
    ([ANIMAL, "It was exhausted.", "--each"], "do not align piece by piece"),
    ([ANIMAL, WIDE, "--each", "--rows", "tired"], "sentence B: there is no"),
    ([ANIMAL, WIDE, "--each", "--save", "x"], "patch looks at two sentences, and --save keeps one"),
    ([ANIMAL, WIDE, "--each", "--limit", "2"], "--limit is for --tsv"),
    (["--tsv", "nowhere.tsv"], "there is no file nowhere.tsv"),
    (["--tsv", "nowhere.tsv", "--head", "3.1"], "--tsv patches every head alone"),
    (["--tsv", "nowhere.tsv", ANIMAL], "--tsv brings twins with it"),
    (["--tsv", "nowhere.tsv", "--truncate"], "and --truncate came beside it"),
    ([ANIMAL, WIDE, "--each", "-f", "npz"], "npz"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=lambda part: " ".join(part)[-30:])
def test_what_is_refused(here: Callable[..., Done], options: list[str], message: str) -> None:
    done = here(*options)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
