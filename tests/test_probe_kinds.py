"""`attnviz probe` with --coref, --align and --links: the commands, their data and tables."""

import csv
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mentioned import GAP, LONG, ROW
from process import Workplace, workplace
from written import schema

from attnviz.inspection import Inspection

SCHEMA = schema("probe-1")
ROOT = Path(__file__).parents[1]
TRANSLATOR = str(ROOT / "samples" / "translator")
ENGLISH, GERMAN = "The dog crossed the street .", "Der Hund überquerte die Straße ."


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    place = workplace(tmp_path_factory.mktemp("kinds"), animal)
    (place.folder / "a.conllu").write_text(LONG * 2)
    (place.folder / "plain.conllu").write_text(
        "1\tDogs\tdog\tNOUN\t_\t_\t2\tnsubj\t_\t_\n2\trun\trun\tVERB\t_\t_\t0\troot\t_\t_\n"
    )
    (place.folder / "gap.tsv").write_text(f"{GAP}\n{ROW}\n{ROW.replace('21', '22')}\n")
    lines = [f"{ENGLISH} ||| {GERMAN} ||| 0-0 1-1 2-2 3-3 4-4 5?5"] * 2
    (place.folder / "a.align").write_text("\n".join([*lines, "a ||| b ||| 0-7"]) + "\n")
    (place.folder / "one.align").write_text(f"{ENGLISH} ||| {GERMAN} ||| 1-1 6-6\n")
    (place.folder / "a.en").write_text(f"{ENGLISH}\n")
    (place.folder / "a.de").write_text(f"{GERMAN}\n")
    (place.folder / "a.pharaoh").write_text("0-0 1-1\n")
    (place.folder / "pronouns.tsv").write_bytes((ROOT / "samples/pronouns.tsv").read_bytes())
    return place


def data_of(output: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(output)
    jsonschema.validate(data, SCHEMA)
    return data


def test_coreference(here: Any) -> None:
    done = here("probe", "--coref", "a.conllu", "--json")
    assert (done.code, done.err) == (0, "")
    data = data_of(done.out)
    assert data["kind"] == "coref"
    assert data["corpus"]["documents"] == 4
    relations = {one["name"]: one for one in data["relations"]}
    assert set(relations) == {"mention", "pronoun", "nominal", "proper"}
    assert relations["mention"]["count"] == 14
    assert "head_match" in relations["mention"]["baselines"]
    alone = data_of(here("probe", "--coref", "a.conllu", "--sentences", "1", "--json").out)
    assert {one["name"]: one["count"] for one in alone["relations"]} == {
        "mention": 4, "pronoun": 4
    }  # fmt: skip
    assert alone["corpus"]["windows"] == 10


def test_a_treebank_without_mentions_is_told(here: Any) -> None:
    done = here("probe", "--coref", "plain.conllu")
    assert (done.code, done.err) == (0, "")
    table = " ".join(done.out.split())
    assert "there is no link in what was read mentions are those of Entity=" in table


def test_coreference_of_gap(here: Any) -> None:
    done = here("probe", "--coref", "gap.tsv", "--json")
    assert done.code == 0
    assert 'gap.tsv:3: Pronoun is "she" at offset 22, and the text has "he " there' in done.err
    assert {one["name"] for one in data_of(done.out)["relations"]} == {"pronoun", "feminine"}


def test_alignment(here: Any) -> None:
    done = here("probe", "--align", "a.align", "--model", TRANSLATOR, "--json")
    assert done.code == 0
    assert done.err.splitlines() == [
        "attnviz: a.align:3: 0-7 names word 7 of the target, and its words are 0 to 0"
        " (if the first word is called 1, say --first-word 1)"
    ]
    data = data_of(done.out)
    [relation] = data["relations"]
    assert relation["count"] == 2 * (6 + 5)
    assert relation["error_rate"]["mean"] == pytest.approx(1 - relation["best"]["accuracy"])
    assert data["alignment_heads"] == []
    one = here(
        "probe", "--align", "one.align", "--model", TRANSLATOR, "--first-word", "1", "--json"
    )
    assert data_of(one.out)["relations"][0]["count"] == 6 + 2
    parts = here("probe", "--align", "a.en", "a.de", "a.pharaoh", "--model", TRANSLATOR)
    assert (parts.code, parts.err) == (0, "")
    assert "No head is surely better than every baseline." in parts.out  # of one text
    assert "Links: those of the head and the sure ones together, |A| + |S|." in parts.out


def test_links(here: Any) -> None:
    done = here("probe", "--links", "pronouns.tsv", "--json")
    assert (done.code, done.err) == (0, "")
    data = data_of(done.out)
    assert data["groups"]["count"] == 15
    assert data["relations"][0]["luckiest"] == pytest.approx(0.653, abs=0.001)
    table = here("probe", "--links", "pronouns.tsv").out
    assert "Of 15 groups of twins, L3H5 is right in all sentences of 4" in table
    assert "the best of 72 heads that guess would find 65.3 % on average" in " ".join(table.split())
    failed = here("probe", "--links", "pronouns.tsv", "--fail-if", '"antecedent first" > 0.9')
    assert failed.code == 3
    rows = list(
        csv.DictReader(here("probe", "--links", "pronouns.tsv", "-f", "csv").out.splitlines())
    )
    assert {row["relation"] for row in rows} >= {"all", "antecedent first", "most of all"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--align", "a.align"), "--align needs a decoder, and minilm is an encoder"),
        (("--align", "a.align", "--attention", "decoder"), "and --attention decoder came"),
        (("--align", "a.align", "--target", "Der Hund"), "and --target came"),
        (("--conllu", "a.conllu", "--attention", "decoder"), "--conllu asks attention among"),
        (("--coref", "a.conllu", "--attention", "cross"), "and --attention cross came"),
        (("--links", "pronouns.tsv", "--target", "Der Hund"), "and --target came"),
        (("--align", "a.en"), "a.en is no texts and alignments that belong together"),
        (("--links", "pronouns.tsv", "--sentences", "2"), "--sentences is for --coref"),
        (("--coref", "a.conllu", "--first-word", "1"), "--first-word is for --align"),
    ],
)
def test_what_does_not_go_together(here: Any, arguments: tuple[str, ...], told: str) -> None:
    done = here("probe", *arguments)
    assert done.code == 2
    assert told in done.err
    assert not done.out


@pytest.mark.parametrize("kind", ["links", "align"])
def test_columns_that_are_not_there_are_told_once(here: Any, place: Workplace, kind: str) -> None:
    (place.folder / "other.tsv").write_text("a\tb\n" + "c\td\n" * 9)
    done = here("probe", f"--{kind}", "other.tsv", "--model", TRANSLATOR)
    assert done.code == 2
    assert done.err.count("other.tsv:") == done.err.count("other.tsv:1: there is no s") == 1
