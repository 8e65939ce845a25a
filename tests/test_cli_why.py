"""`attnviz why` as people run it: what it tells, what it refuses, and what it loads for that."""

import csv
import io
from dataclasses import replace

import jsonschema
import pytest
from conftest import ANIMAL
from process import PNG, Workplace, workplace
from tiny_bert import save_tiny_bert
from tiny_others import RECORDED
from written import schema

from attnviz.inspection import Inspection
from attnviz.inspection.storage import save

PAIR = ("--query", "it", "--key", "animal")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    return workplace(tmp_path_factory.mktemp("why"), animal)


def test_it_tells_the_terms(place: Workplace) -> None:
    done = place("why", ANIMAL, *PAIR, "--head", "L3H1")
    assert (done.code, done.err) == (0, "")
    assert 'L3H1  why "it" looks at "animal": their score, split' in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    excess = place("why", *PAIR, "--head", "3.1", "--by", "excess", "--top", "2")
    assert "the first 2 of 2809 terms, by excess over the other keys" in excess.out


def test_it_imports_no_torch(place: Workplace) -> None:
    done = place("why", ANIMAL, *PAIR, "--head", "L5H3", env=place.without("torch", "transformers"))
    assert done.code == 0
    assert "torch" not in done.err


def test_json_and_rows(place: Workplace) -> None:
    done = place("why", ANIMAL, *PAIR, "--head", "L2H0", "--json", "--top", "3")
    jsonschema.validate(done.json, schema("why-1"))
    assert len(done.json["strongest"]) == 3
    rows = list(csv.DictReader(io.StringIO(place("why", *PAIR, "--head", "L2H0", "-f", "csv").out)))
    assert len(rows) == len(done.json["query_parts"]) * len(done.json["key_parts"])
    total = sum(float(row["term"]) for row in rows)
    assert total == pytest.approx(done.json["score"], abs=1e-4)
    assert rows[0]["query_part"] == done.json["strongest"][0]["query"]


def test_pieces_are_split_one_by_one(place: Workplace) -> None:
    text = "The unhappiest zebra slept."
    given = ("why", text, "--query", "slept", "--key", "unhappiest", "--head", "L1H0")
    found = place(*given, "--json").json_lines
    assert [one["key"]["text"] for one in found] == ["un", "ha", "pp", "iest"]
    refused = place(*given, "-o", "split.png")
    assert refused.code == 2
    assert "the words were cut into 4 pairs of pieces, slept to un, slept to ##ha" in refused.err
    asked = ("--query", "@7", "--key", "@3", "--head", "L1H0", "--pieces", "-o", "one.png")
    assert place("why", *asked).code == 0
    assert (place.folder / "one.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--query", "it"), "--key is missing"),
        ((), "--query and --key are missing"),
        (("--query", "it", "--key", "cat"), 'there is no "cat" in the sentence'),
        (("--query", "its", "--key", "animal"), "did you mean it"),
        ((*PAIR, "--head", "L9H0"), "there is no layer 9"),
        ((*PAIR, "--layer", "3"), "one head can be followed, and 12 were chosen"),
        ((*PAIR, "--head", "L3H1", "--by", "size"), "'size' is not one of 'term', 'excess'"),
        ((*PAIR, "--head", "L3H1", "-f", "npz"), "-f npz asks for an npz file"),
    ],
)
def test_what_is_wrong_is_told(place: Workplace, given: tuple[str, ...], told: str) -> None:
    done = place("why", ANIMAL, *given)
    assert done.code == 2
    assert told in " ".join(done.err.split())


def test_without_a_head_that_of_the_pair_is_taken(place: Workplace) -> None:
    done = place("why", ANIMAL, *PAIR)
    assert done.code == 0
    assert 'no head given, so L3H1, in which "it" looks hardest at "animal": 0.68' in done.err
    assert "L3H1  why" in done.out


def test_saved_inspections(place: Workplace, animal: Inspection) -> None:
    assert place("run", ANIMAL, "--save", "kept").code == 0
    done = place("why", "--load", "kept", *PAIR, "--head", "L3H1")
    assert done.code == 0
    assert "taking the parts from minilm" in done.err
    lacking = replace(animal, layers=(replace(animal.layer(0), x=None), *animal.layers[1:]))
    save(lacking, place.folder / "lacking")
    refused = place("why", "--load", "lacking", *PAIR, "--head", "L3H1")
    assert refused.code == 1
    assert "were not recorded, because the text is long" in refused.err


def test_a_model_that_transformers_runs(place: Workplace) -> None:
    (place.folder / "gpt2").mkdir()
    RECORDED["gpt2"].save(place.folder / "gpt2")
    text = "the cat sat on the mat"
    done = place("why", text, "-m", "./gpt2", "--query", "mat", "--key", "cat", "--head", "L1H2")
    assert done.code == 0
    assert "position" in done.out
    masked = place("why", text, "-m", "./gpt2", "--query", "cat", "--key", "mat", "--head", "L1H2")
    assert masked.code == 2
    assert "may not look at" in masked.err


def test_several_sentences(place: Workplace) -> None:
    (place.folder / "tiny").mkdir()
    save_tiny_bert(place.folder / "tiny")
    done = place("why", "the cat sat", "a cat sat", "-m", "./tiny", "--query", "sat",
                 "--key", "cat", "--head", "L1H0", "--json")  # fmt: skip
    assert [one["text"] for one in done.json_lines] == ["the cat sat", "a cat sat"]


def test_its_words_and_orders_are_completed(place: Workplace) -> None:
    for typed, offered in (
        ('attnviz why "The animal was" --key an', "animal"),
        ("attnviz why --by ", "term\nexcess"),
    ):
        done = place(typed, " ", env={"_ATTNVIZ_COMPLETE": "bash"})
        assert done.out == f"words\n{offered}\n"
