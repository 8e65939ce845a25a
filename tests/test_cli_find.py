"""`attnviz find` through real processes: its forms, several sentences, tables of them, mistakes."""

import csv
import io
import re
from pathlib import Path

import jsonschema
import numpy as np
import orjson
import pytest
from conftest import ANIMAL
from process import Workplace, workplace
from rounding import assert_numbers

from attnviz.inspection import Inspection

ROOT = Path(__file__).parent.parent
SCHEMAS = {
    f"attnviz.{name}/2": orjson.loads((ROOT / f"docs/schema/{name}-2.schema.json").read_bytes())
    for name in ("find", "find-summary")
}
LINK = ["--query", "it", "--key", "animal"]
WIDE = "The animal didn't cross the street because it was too wide."
COLUMNS = (
    "text_index,layer,head,query_index,query,key_index,key,weight,excess,rank,argmax,"
    "same_distance,same_distance_pairs,same_distance_lift,same_key,same_key_queries,same_key_lift"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    """A workplace in which the animal sentence is remembered, and kept in `animal`."""
    place = workplace(tmp_path_factory.mktemp("find"), animal)
    (place.folder / "animal").write_bytes(place.last.read_bytes())
    return place


def rows_of(output: str) -> list[list[str]]:
    return [line.replace("▸", " ").split() for line in re.findall(r"^L\d.* ×.*$", output, re.M)]


def test_the_founding_example_without_a_model(place: Workplace) -> None:
    env = place.without("torch", "transformers", "tokenizers", "matplotlib")
    for source in (["--load", "animal"], []):
        done = place("find", *source, *LINK, env={**env, "COLUMNS": "100"})
        assert (done.code, done.message) == (0, [])
        assert [row[:2] for row in rows_of(done.out)[:2]] == [["L3H1", "0.677"], ["L5H11", "0.673"]]
        assert len(rows_of(done.out)) == 10
        assert 'L3H1: "it" gives "animal" 0.677, more than any other of its 14 keys' in done.out


def test_json(place: Workplace, animal: Inspection) -> None:
    done = place("find", "--load", "animal", *LINK, "--both", "--json")
    assert (done.code, done.err, done.output.count(b"\n")) == (0, "", 1)
    parsed = done.json
    jsonschema.validate(parsed, SCHEMAS[parsed["schema"]])
    assert (parsed["query"], parsed["key"]["indices"]) == ({"text": "it", "indices": [8]}, [2])
    assert len(parsed["heads"]) == len(parsed["reverse"]) == 72
    view = animal.view()
    for part, query, key in (("heads", 8, 2), ("reverse", 2, 8)):
        excess = [head["excess"] for head in parsed[part]]
        assert excess == pytest.approx(sorted(excess, reverse=True), rel=1e-5, abs=1e-6)
        told = np.zeros((6, 12), np.float32)
        for head in parsed[part]:
            told[head["layer"], head["head"]] = head["weight"]
        assert_numbers(told, view.query(query)[..., key])


def test_csv(place: Workplace, animal: Inspection) -> None:
    options = ["--load", "animal", "--query", "the street", "--key", "it", "-f", "csv"]
    done = place("find", *options, "--both", "--top", "2")
    assert done.err == ""
    header, *rows = csv.reader(io.StringIO(done.out))
    assert ",".join(header) == COLUMNS
    assert [row[3:7] for row in rows] == [["5", "the street", "8", "it"]] * 2 + [
        ["8", "it", "5", "the street"]
    ] * 2
    by_head = dict(zip(header, rows[0], strict=True))
    weights = animal.weights(int(by_head["layer"]), int(by_head["head"]))
    assert float(by_head["weight"]) == pytest.approx(float(weights[[5, 6], 8].mean()), rel=1e-6)
    assert by_head["argmax"] in ("true", "false")


def test_csv_says_what_is_special_about_its_numbers(place: Workplace) -> None:
    done = place("find", "--load", "animal", *LINK, "-f", "csv", "--no-special", "--top", "1")
    assert done.out.splitlines()[0] == COLUMNS + ",dropped"
    assert 0 < float(done.out.splitlines()[1].rpartition(",")[2]) < 1
    norm = place(
        "find", "--load", "animal", *LINK, "-f", "csv", "--measure", "rollout", "--by", "weight"
    )
    assert norm.out.splitlines()[0] == COLUMNS + ",measure"
    assert re.match(
        r"0,3,,8,it,2,animal,0\.03\d+,-0\.00\d+,10,.*,rollout$", norm.out.splitlines()[1]
    )
    assert "rollout: " in norm.err


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv", "txt"])
def test_a_files_suffix_says_the_form(place: Workplace, suffix: str) -> None:
    name, form = f"out.{suffix}", "table" if suffix == "txt" else suffix
    options = ["find", "--load", "animal", *LINK]
    codes = [place(*options, "-o", name).code for _ in range(2)]
    assert codes == ([0, 2] if suffix == "txt" else [0, 0])
    printed = place(*options, "-f", form, env={"COLUMNS": "100"}).output
    assert (place.folder / name).read_bytes() == printed


@pytest.mark.parametrize("head", ["L3H1", "3-1", "3.1"])
def test_heads_may_be_chosen(place: Workplace, head: str) -> None:
    done = place("find", "--load", "animal", *LINK, "--head", head)
    assert [row[0] for row in rows_of(done.out)] == ["L3H1"]
    assert place("find", "--load", "animal", *LINK, "--by", "lift").code == 2
    layer = place("find", "--load", "animal", *LINK, "--layer", "-1", "--json").json
    assert {head["layer"] for head in layer["heads"]} == {5}


def test_a_pair_and_pieces_are_saved_and_found_again(place: Workplace) -> None:
    options = ["--query", "wasn't", "--key", "It", "--pieces", "--json"]
    done = place("find", "It didn't matter", "--pair", "She wasn't tired", *options, "--save", "p")
    assert (done.code, done.err) == (0, "")
    assert (done.json["query"]["text"], len(done.json["query"]["indices"])) == ("wasn't", 3)
    assert place("find", "--load", "p", *options).output == done.output


def test_the_first_of_several_words_is_taken_and_told(place: Workplace) -> None:
    done = place("find", "--load", "animal", "--query", "it", "--key", "the")
    assert done.err == "attnviz: the occurs 2 times; --key takes the first, the#1 or @1\n"
    phrase = place("find", "--load", "animal", "--query", "it", "--key", "The#2")
    assert (phrase.code, phrase.err) == (0, "")


@pytest.mark.slow
def test_several_sentences(place: Workplace) -> None:
    lines = f"{ANIMAL}\n\n{WIDE}\nNothing here.\n".encode()
    done = place("find", *LINK, "--json", "--both", given=lines)
    assert done.code == 2
    assert done.err.startswith('attnviz: line 4: there is no "it" in the sentence\n')
    assert done.err.endswith("attnviz: 1 sentence left out, see above\n")
    first, second, summary = done.json_lines
    for parsed in (first, second, summary):
        jsonschema.validate(parsed, SCHEMAS[parsed["schema"]])
    assert [first["text"], second["text"]] == [ANIMAL, WIDE]
    assert (summary["sentences"], summary["left_out"], summary["query"]) == (2, 1, "it")
    halves = summary["held_out"] + summary["reverse_held_out"]
    assert [half[part]["sentences"] for half in halves for part in ("chosen", "scored")] == [1] * 8
    for part in ("heads", "reverse"):
        weights = [
            {(head["layer"], head["head"]): head for head in parsed[part]}
            for parsed in (first, second)
        ]
        for head in summary[part]:
            of_both = [one[head["layer"], head["head"]] for one in weights]
            assert head["mean"] == pytest.approx(np.mean([one["weight"] for one in of_both]))
            assert head["minimum"] == pytest.approx(min(one["weight"] for one in of_both))
            assert head["hits"] == sum(one["argmax"] for one in of_both)
            for name in ("same_distance", "same_key"):
                mean = np.mean([one[name]["mean"] for one in of_both])
                assert head[name]["mean"] == pytest.approx(mean)
            assert head["excess"] == pytest.approx(np.mean([one["excess"] for one in of_both]))
            assert head["interval"] is head["excess_interval"] is None  # two are too few
    table = place("find", ANIMAL, WIDE, *LINK, "--no-special", "--top", "1", "--quiet")
    assert table.code == 0
    assert "2 sentences" in table.out
    assert rows_of(table.out)[0][0] == "L3H1"
    by_hits = place("find", ANIMAL, WIDE, *LINK, "--no-special", "--by", "weight", "--quiet")
    assert rows_of(by_hits.out)[0][0] == "L5H11"
    assert "in 2 of 2 sentences (100%)" in by_hits.out.replace("\n", " ")


@pytest.mark.slow
def test_one_line_is_one_sentence(place: Workplace) -> None:
    for options in ([], ["--json"]):
        piped = place("find", "-", *LINK, *options, given=f"{ANIMAL}\n".encode())
        assert piped.output == place("find", ANIMAL, *LINK, *options).output


@pytest.mark.slow
def test_a_table_of_sentences(place: Workplace) -> None:
    rows = ["note\tkey\tquery\tsentence", f"x\tanimal\tit\t{ANIMAL}", f"x\tstreet\tit\t{WIDE}"]
    (place.folder / "good.tsv").write_text("".join(f"{row}\n" for row in rows))
    done = place("find", "--tsv", "good.tsv", "-f", "csv", "--head", "3.1")
    assert (done.code, done.err.count("\n")) == (0, 1)
    assert "rows are per sentence: --summary gives the means over all sentences" in done.err
    short = place("find", "--tsv", "good.tsv", "-f", "csv", "--head", "3.1", "--summary")
    assert (short.code, short.err) == (0, "")
    [row] = csv.DictReader(io.StringIO(short.out))
    assert (row["layer"], row["head"], row["hits"], row["mean_low"]) == ("3", "1", "1", "")
    halves = [float(row[name]) for name in ("first_half", "second_half")]
    assert float(row["excess"]) == pytest.approx(np.mean(halves))
    assert [line.split(",")[:7] for line in done.out.splitlines()[1:]] == [
        ["0", "3", "1", "8", "it", "2", "animal"],
        ["1", "3", "1", "8", "it", "6", "street"],
    ]
    summary = place("find", "--tsv", "-", "--json", given=b"\n".join(map(str.encode, rows[:2])))
    one, held = summary.json_lines
    assert (one["text"], held["sentences"], held["heads"][0]["hits"]) == (ANIMAL, 1, 1)
    table = place("find", "--tsv", "good.tsv", "--both", "--head", "3.1").out
    there, back = (line for line in table.splitlines() if line.startswith("how much"))
    assert there == "how much the query looks at the key, by excess"
    assert back == "how much the key looks at the query, by excess"
    assert "more than any other key in 0 of 2 sentences (0%)" in " ".join(table.split())


@pytest.mark.slow
def test_a_spreadsheet_whose_ids_come_back(place: Workplace) -> None:
    rows = ["id,sentence,query,key", f'a-1,"{ANIMAL}",it,animal', "b 2,It rains, and pours.,it,a"]
    rows += ['c,"He said ""it is late""\nand left.",it,he']
    (place.folder / "table.csv").write_text("\n".join(rows))
    done = place("find", "--csv", "table.csv", "--json", "--head", "3.1")
    assert done.code == 2
    assert done.err.splitlines() == [
        "attnviz: table.csv, line 3: the row has 5 columns, and the header 4",
        "  put quotation marks around a cell with a comma in it",
        "attnviz: 1 sentence left out, see above",
    ]
    one, two, _ = done.json_lines
    assert [(found["id"], found["text"]) for found in (one, two)] == [
        ("a-1", ANIMAL),
        ("c", 'He said "it is late"\nand left.'),
    ]
    done = place("find", "--csv", "table.csv", "-f", "tsv", "--head", "3.1", "--quiet")
    table = csv.DictReader(io.StringIO(done.out), delimiter="\t")
    assert [row["id"] for row in table] == ["a-1", "c"]


def test_what_is_wrong_in_a_table_is_told_with_its_line(place: Workplace) -> None:
    rows = [f"{ANIMAL}\tit\tdog", f"{ANIMAL}\tit", "", f"{ANIMAL}\tit\tthe", f"{ANIMAL}\tit\tit"]
    content = "\n".join(rows).encode() + b"\n\xff\tit\tit\n"
    done = place("find", "--tsv", "-", "--top", "1", given=content)
    assert done.code == 2
    told = [line.removeprefix("attnviz: ") for line in done.err.splitlines() if line[0] != " "]
    assert sorted(told) == sorted(
        [
            'line 1: there is no "dog" in the sentence',
            "line 2: the row has 2 columns, and sentence, query, key are expected",
            "line 4: the occurs 2 times; key takes the first, the#1 or @1",
            'line 5: the query and the key are the same word, "it"',
            "line 6: the line is not UTF-8 at byte 0",
            "blank lines left out: 1",
            "4 sentences left out, see above",
        ]
    )
    assert "1 sentence (4 sentences left out)" in done.out


def test_pronouns(place: Workplace) -> None:
    """The sample holds no mistake; its best head is that of the founding example."""
    done = place("find", "--tsv", str(ROOT / "samples" / "pronouns.tsv"), "--json")
    assert (done.code, done.err) == (0, "")
    *each, summary = done.json_lines
    assert len(each) == summary["sentences"] == 60
    assert (summary["left_out"], summary["query"], summary["key"]) == (0, None, None)
    best = summary["heads"][0]
    assert (best["layer"], best["head"]) == (3, 1)
    hits = sum(one["heads"][0]["argmax"] for one in each if one["heads"][0]["layer"] == 3)
    assert best["hits"] >= hits > 10
    low, high = best["excess_interval"]
    assert 0.2 < low < best["excess"] < high < 0.4
    [stripe] = [head for head in summary["heads"] if (head["layer"], head["head"]) == (5, 11)]
    assert stripe["excess"] < 0.1 < stripe["same_key"]["mean"]
    first, second = summary["held_out"]
    assert (first["layer"], first["head"]) == (3, 1)
    assert first["scored"]["excess"] < first["chosen"]["excess"]
    assert second["scored"]["excess"] < second["chosen"]["excess"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([ANIMAL], "--query and --key are missing"),
        ([ANIMAL, "--query", "it"], "--key is missing"),
        (["--tsv", "t.tsv", "--query", "it"], "does not go with --query"),
        (["--tsv", "t.tsv", "--load", "animal", ANIMAL], "does not go with TEXT and --load"),
        (["--tsv", "t.tsv", "--pair", "a"], "does not go with --pair"),
        (["--csv", "t.csv", "--key", "it"], "--csv brings sentences and words with it"),
        (["--csv", "t.csv", "--tsv", "t.tsv"], "does not go with --csv"),
        (["--tsv", "nothing.tsv"], "there is no file nothing.tsv"),
        ([*LINK, "--load", "animal", "-o", "x.npz"], "x.npz is the name of an npz file"),
        ([*LINK, "--load", "animal", "--head", "3.99"], "there is no head 99: the model has 12"),
        ([*LINK, "--load", "animal", "--head", "3.1", "--measure", "rollout"], "there is no head"),
        (["--load", "animal", "--query", "it", "--key", "IT"], "the same word"),
        (["--load", "animal", "--query", "street", "--key", "the street"], "overlap"),
        (["--load", "animal", "--query", "it", "--key", "a dog"], 'there is no "a dog"'),
    ],
)
def test_what_is_wrong_is_told(place: Workplace, options: list[str], message: str) -> None:
    done = place("find", *options, env=place.without("torch"))
    assert (done.code, done.out) == (2, "")
    assert message in done.message[0]
    assert len(done.message) <= 2


def test_no_file_is_left_where_nothing_was_found(place: Workplace) -> None:
    done = place("find", "--tsv", "-", "-o", "none.json", given=b"It rains.\tit\tdog\n")
    assert done.code == 2
    assert not (place.folder / "none.json").exists()


def test_help_imports_nothing_slow(place: Workplace) -> None:
    slow = ("torch", "transformers", "tokenizers", "matplotlib", "numpy", "huggingface_hub")
    done = place("find", "--help", env={**place.without(*slow), "COLUMNS": "120"})
    assert (done.code, done.err) == (0, "")
    assert "Example: attnviz find" in done.out


def test_markdown_of_many_sentences_says_how_many(place: Workplace) -> None:
    done = place("find", "-", *LINK, "-f", "md", given=f"{ANIMAL}\n{WIDE}\n".encode())
    lines = done.out.splitlines()
    assert lines[:4] == ["<!-- attnviz.find-summary/2 -->", "", "2 sentences", ""]
    assert lines[6].startswith("| 3 | 1 | ")
