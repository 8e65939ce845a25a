"""`attnviz ablate` through real processes: its looks, its forms, what it refuses."""

import csv
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import jsonschema
import pytest
from conftest import ANIMAL
from process import Done, Workplace, workplace
from tiny_bert import save_tiny_bert, save_tokenizer
from tiny_families import save_tiny
from tokenizers import AddedToken
from transformers import AutoModelForMaskedLM, BertForMaskedLM
from vocabularies import ROBERTAS, byte_level
from written import schema

from attnviz.inspection import Inspection

SCHEMA = schema("ablate-1")
AGAIN = [
    f'attnviz: the last sentence, "{ANIMAL}", in minilm',
    "attnviz: running it again in minilm",
]
STUDENT = "I am a student"
PAPER = ["-m", "paper", "--num-layers", "2", "--num-heads", "3", "--d-model", "21", "--seed", "7"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    """A workplace in which the animal sentence is remembered, and kept in `animal`."""
    place = workplace(tmp_path_factory.mktemp("ablate"), animal)
    (place.folder / "animal").write_bytes(place.last.read_bytes())
    return place


@pytest.fixture
def here(here: Callable[..., Done]) -> Callable[..., Done]:
    return partial(here, "ablate")


def remembered(place: Workplace) -> None:
    place.last.write_bytes((place.folder / "animal").read_bytes())


def valid(parsed: Any) -> Any:
    jsonschema.validate(parsed, SCHEMA)
    return parsed


@pytest.mark.slow
def test_the_last_sentence_is_run_again(place: Workplace) -> None:
    remembered(place)
    done = place("ablate", "--head", "3.1", "--top", "3")
    assert (done.code, done.err.splitlines()) == (0, AGAIN)
    lines = done.out.splitlines()
    assert lines[1] == ANIMAL
    assert "without L3H1  set to zero: how far each word moves" in lines
    assert [line.split()[:2] for line in lines if "█" in line] == [
        ["[SEP]", ".0100"], ["it", ".0067"], ["The@1", ".0066"],
    ]  # fmt: skip
    assert "11 of 14 are not shown" in done.out


def test_a_text_is_remembered_and_saved(here: Callable[..., Done]) -> None:
    done = here(STUDENT, "--layer", "3", "--with", "mean", "--save", "saved", "--json")
    assert (done.code, done.err) == (0, "")
    parsed = valid(done.json)
    assert (parsed["with"], parsed["text"]) == ("mean", STUDENT)
    assert parsed["heads"] == [{"layer": 3, "head": head} for head in range(12)]
    assert here("--quiet", "--layer", "3", "--with", "mean", "--json").json == parsed
    loaded = here("--load", "saved", "--layer", "3", "--with", "mean", "--json")
    assert (loaded.json, loaded.err) == (parsed, "attnviz: running it again in minilm\n")


def test_each_head_by_a_query(here: Callable[..., Done]) -> None:
    done = here("--load", "animal", "--each", "--query", "it", "--json")
    each = valid(done.json)["each"]
    assert [(e["layer"], e["head"]) for e in each[:3]] == [(5, 11), (5, 10), (5, 7)]
    assert [e["rank"] for e in each] == list(range(1, 73))
    [founding] = [e for e in each if (e["layer"], e["head"]) == (3, 1)]
    assert (founding["rank"], round(founding["distance"], 4)) == (12, 0.0067)
    table = here("--load", "animal", "--each", "--query", "it", "--quiet", "--top", "12")
    assert "▸.106" in table.out
    assert "12  L3H1   .0067" in table.out
    assert 'L5H11 moves "it" most, by .1060' in table.out


def test_one_word_without_a_head(here: Callable[..., Done]) -> None:
    asked = "--load", "animal", "--head", "3.1"
    whole, done = (valid(here(*asked, *more, "--json").json) for more in ((), ("--query", "it")))
    [moved] = done["moved"]
    assert moved == whole["moved"][1] == {**moved, "text": "it"}
    assert done["query"] == {"index": moved["index"], "text": "it", "rank": 2}
    assert "query" not in whole
    table = here(*asked, "--query", "it", "--quiet").out
    assert "without L3H1  set to zero: how far it moves" in table
    assert [line.split()[:2] for line in table.splitlines() if "█" in line] == [["it", ".0067"]]
    assert "2 of 14 by how far they move; [SEP] moves most, by .0100." in table


@pytest.mark.slow
def test_sentences_one_after_the_other(place: Workplace) -> None:
    given = b"It was tired.\nNobody knows.\nWhere is it?\n"
    done = place("ablate", "--each", "--query", "it", "--top", "2", "-f", "jsonl", given=given)
    assert done.code == 2
    assert 'line 2: there is no "it" in the sentence' in done.err
    first, last = map(valid, done.json_lines)
    assert (first["query"]["text"], last["query"]["text"]) == ("It", "it")
    assert len(first["each"]) == 2
    rows = place("ablate", "--head", "3.1", "--top", "1", "-o", "two.csv", STUDENT, "Who?")
    assert (rows.code, rows.out) == (0, "")
    found = list(csv.DictReader(io.StringIO((place.folder / "two.csv").read_text())))
    assert [(row["text_index"], row["ablated"]) for row in found] == [("0", "L3H1"), ("1", "L3H1")]
    assert place("ablate", STUDENT, "--layer", "1", "-o", "two.csv").code == 0  # it is ours
    (place.folder / "two.csv").write_text("text_index,mine\n")
    refused = place("ablate", "--head", "3.1", "-o", "two.csv", STUDENT)
    assert (refused.code, "two.csv exists" in refused.err) == (2, True)


def test_pieces_and_pairs(here: Callable[..., Done]) -> None:
    options = ["--pair", "Was it?", "--pieces", "--head", "L3H1", "--head", "5.0", "--json"]
    parsed = valid(here("It didn't", *options).json)
    assert (parsed["unit"], parsed["pair"]) == ("piece", "Was it?")
    assert len(parsed["moved"]) == len(parsed["tokens"]) == 10
    distances = [moved["distance"] for moved in parsed["moved"]]
    assert distances == pytest.approx(sorted(distances, reverse=True), rel=1e-5, abs=1e-6)


def test_an_untrained_model(here: Callable[..., Done]) -> None:
    shown = here(STUDENT, *PAPER, "--head", "1.2")
    assert "UNTRAINED (seed 7)" in shown.out.splitlines()[0]
    again = here("--head", "1.2")
    assert again.out == shown.out
    assert again.err.splitlines()[1:] == ["attnviz: running it again in paper (UNTRAINED)"]
    assert "UNTRAINED (seed 7); its numbers mean nothing" in here("--head", "1.2", "-f", "csv"
    ).err  # fmt: skip


def test_masks(here: Callable[..., Done], place: Workplace) -> None:
    folder = place.folder / "masked"
    save_tiny_bert(folder, kind=BertForMaskedLM)
    options = ["-m", "masked", "--head", "0.1"]
    done = here("the [MASK] sat", *options, "--json")
    assert (done.code, done.err) == (0, "")
    [mask] = valid(done.json)["masks"]
    assert done.json["tokens"][mask["index"]]["text"] == "[MASK]"
    assert mask["best"]["token"] == mask["before"][0]["token"]
    table = here("the [MASK] sat", *options)
    assert "[MASK]@2: what is predicted" in table.out
    assert mask["after"][0]["token"] in table.out
    rows = here("the [MASK] sat", *options, "-f", "csv", "--outcome", "states")
    assert rows.err == ("attnviz: csv has no room for the predictions at [MASK]; take -f json\n")
    gone = place.folder / "elsewhere"
    folder.rename(gone)
    lost = here("--head", "0.1")
    assert lost.code == 1
    assert "the model of this inspection cannot be loaded" in lost.err


def test_a_mask_that_takes_the_space_before_it(here: Callable[..., Done], place: Workplace) -> None:
    folder = place.folder / "roberta"
    folder.mkdir()
    save_tiny(folder, "roberta", AutoModelForMaskedLM)
    cutter = byte_level(True, ROBERTAS)
    cutter.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    save_tokenizer(folder, cutter)
    done = here("the <mask> cat", "-m", "roberta", "--head", "0.0", "--json")
    assert (done.code, done.err) == (0, "")
    [mask] = valid(done.json)["masks"]
    assert done.json["tokens"][mask["index"]]["text"] == "<mask>"
    other = here("the [MASK] cat", "-m", "roberta", "--head", "0.0", "--json")
    assert other.json["masks"] == []
    assert other.err == (
        "attnviz: the mask token of roberta is <mask>, so nothing is predicted at [MASK]\n"
    )


def test_a_model_without_a_mask_token_says_so(here: Callable[..., Done], place: Workplace) -> None:
    folder = place.folder / "blind"
    save_tiny_bert(folder, kind=BertForMaskedLM)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "TokenizersBackend"}')
    done = here("the [MASK] cat", "-m", "blind", "--each", "-f", "csv")
    assert done.err == "attnviz: blind has no mask token, so nothing is predicted at [MASK]\n"


def test_a_model_without_a_masked_lm_head_says_so(here: Callable[..., Done]) -> None:
    done = here("The [MASK] was tired.", "--head", "3.1", "--json")
    assert done.code == 0
    assert valid(done.json)["masks"] is None
    assert done.err == (
        "attnviz: minilm has no masked-LM head, so nothing is predicted at [MASK]\n"
    )


BAD: list[tuple[list[str], str]] = [
    ([], "no head was named"),
    (["--query", "it"], "no head was named"),
    (["--head", "3.1", "--each"], "does not go with --head or --layer"),
    (["--layer", "3", "--each"], "does not go with --head or --layer"),
    (["--head", "3.1", "--query", "dog"], 'there is no "dog" in the sentence'),
    (["--head", "3.99"], "there is no head 99: the model has 12"),
    (["--layer", "6"], "there is no layer 6"),
    (["--head", "1"], "head 1 needs a layer"),
    (["--head", "animal"], '"animal" is not a head'),
    (["--each", "--query", "dog"], 'there is no "dog" in the sentence'),
    (["--head", "3.1", "-o", "x.npz"], "x.npz is the name of an npz file"),
    (["--head", "3.1", "--with", "dust"], "--with"),
    (["--head", "3.1", "--no-special"], "--no-special"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=lambda part: " ".join(part)[:30])
def test_what_is_refused(
    here: Callable[..., Done], place: Workplace, options: list[str], message: str
) -> None:
    done = here("--load", "animal", *options)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert not (place.folder / "x.png").exists()


def test_what_is_refused_needs_no_torch(place: Workplace) -> None:
    """The request is wrong whatever the model says, and told before it is loaded."""
    for options in (["--head", "9.9"], ["--each", "--query", "dog"]):
        done = place("ablate", "--load", "animal", *options, env=place.without("torch"))
        assert (done.code, done.out) == (2, "")


def test_a_word_that_occurs_twice(here: Callable[..., Done]) -> None:
    done = here("--load", "animal", "--each", "--query", "the", "--json", "--top", "1")
    assert done.json["query"] == {"index": 1, "text": "The"}
    assert done.err.splitlines()[0] == (
        "attnviz: the occurs 2 times; --query takes the first, the#1 or @1"
    )
