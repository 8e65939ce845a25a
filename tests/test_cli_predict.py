"""`attnviz predict`: its tables and forms, what it refuses, and what other commands say of it."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from process import Done, in_process, workplace
from tiny_bert import save_tiny_bert, save_tokenizer
from tiny_families import save_tiny
from tiny_others import RECORDED, SEQ2SEQ, Other
from transformers import (
    AutoModelForCausalLM,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from vocabularies import ROBERTAS, byte_level
from written import schema

import attnviz
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.inspection.predicted import Guess
from attnviz.model import Model
from attnviz.show.wording import guess_number

SCHEMA = schema("predict-1")
HOSTILE = {0: "[red]$x^2$\x1b[31m", 1: "<b>&</b>\u202e", 2: "O"}

Run = Callable[..., Done]


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("masked")
    save_tiny_bert(folder, kind=BertForMaskedLM)
    return str(folder)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("labelled")
    save_tiny_bert(folder, kind=BertForTokenClassification, id2label=HOSTILE)
    return str(folder)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in this very process, in a folder and with a memory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")

    def called(*options: str, command: str = "predict") -> Done:
        return in_process(command, *options)

    return called


def close(ours: list[float], theirs: list[float]) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def valid(line: str | bytes) -> Any:
    parsed = json.loads(line)
    jsonschema.Draft202012Validator(SCHEMA).validate(parsed)
    return parsed


def test_masks_in_a_table_in_json_and_as_rows(run: Run, masked: str) -> None:
    text = "the [MASK] sat on the [MASK]"
    table = run(text, "-m", masked, "--top", "3")
    assert (table.code, table.errors) == (0, b"")
    lines = table.out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "what stands at each mask" in lines
    assert [line for line in lines if line.startswith("[MASK]@")] == ["[MASK]@2", "[MASK]@6"]
    assert sum("%" in line for line in lines) == 6
    told = "The model fills each mask by itself"
    assert told in table.out
    assert told not in run("the [MASK] sat", "-m", masked).out
    found = valid(run(text, "-m", masked, "--json").output)
    assert (found["head"], found["architecture"]) == ("masked-lm", "BertForMaskedLM")
    assert [one["index"] for one in found["predictions"]] == [2, 6]
    assert [len(one["guesses"]) for one in found["predictions"]] == [5, 5]
    assert {one["choices"] for one in found["predictions"]} == {97}
    for form, between in (("csv", ","), ("tsv", "\t")):
        rows = list(
            csv.DictReader(
                io.StringIO(run(text, "-m", masked, "-f", form, "--top", "2").out),
                delimiter=between,
            )
        )
        assert [(row["token_index"], row["rank"]) for row in rows] == [
            ("2", "1"), ("2", "2"), ("6", "1"), ("6", "2"),
        ]  # fmt: skip
        guesses = found["predictions"][1]["guesses"]
        assert rows[3]["guess"] == guesses[1]["text"]
        close([float(rows[3]["probability"])], [guesses[1]["probability"]])


def test_one_forward_pass_gives_what_ablate_shows_before(run: Run, masked: str) -> None:
    text = "the [MASK] sat on the mat"
    found = valid(run(text, "-m", masked, "--json").output)
    options = ("-m", masked, "--head", "0.0", "--json")
    before = json.loads(run(text, *options, command="ablate").output)["masks"][0]["before"]
    guesses = found["predictions"][0]["guesses"]
    assert [one["text"] for one in guesses] == [one["token"] for one in before]
    close(*([one["probability"] for one in some] for some in (guesses, before)))


def test_torch_is_not_imported_for_a_short_text(
    tmp_path: Path, animal: Inspection, masked: str, labelled: str
) -> None:
    place = workplace(tmp_path, animal)
    text = "the [MASK] sat on the mat"
    for options in (
        ["predict", text, "-m", masked],
        ["predict", "the catty mat", "-m", labelled],
        ["ablate", text, "--head", "0.0", "-m", masked],
    ):
        done = place(*options, env=place.without("torch", "transformers"))
        assert (done.code, done.err) == (0, ""), options
    # and says the same as torch does
    json_of = [
        place("predict", text, "-m", masked, "--json", env={"ATTNVIZ_ENGINE": engine}).json_lines
        for engine in ("numpy", "torch")
    ]
    mine, theirs = (lines[0]["predictions"][0]["guesses"] for lines in json_of)
    assert [one["text"] for one in mine] == [one["text"] for one in theirs]
    close(*([one["probability"] for one in some] for some in (mine, theirs)))


def test_without_a_mask_it_says_where_one_may_stand(run: Run, masked: str) -> None:
    done = run("the cat sat, didn't it?", "-m", masked)
    assert done.code == 2
    assert "the text has no [MASK]" in done.err
    assert 'put [MASK] in place of a word, as in "the cat sat, didn\'t [MASK]?"' in done.err


def test_a_stream_of_sentences(masked: str, animal: Inspection, tmp_path: Path) -> None:
    place = workplace(tmp_path, animal)
    done = place(
        "predict", "-m", masked, "-f", "jsonl", given=b"the [MASK]\n\nno mask\n[MASK] cat\n"
    )
    assert done.code == 2
    assert "attnviz: line 3: the text has no [MASK]" in done.err
    found = list(map(valid, done.output.splitlines()))
    assert [one["predictions"][0]["index"] for one in found] == [2, 1]


def test_another_models_mask_is_named(run: Run, tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    save_tiny(tmp_path, "roberta", AutoModelForMaskedLM)
    save_tokenizer(tmp_path, byte_level(True, ROBERTAS))
    done = run("the [MASK] sat", "-m", str(tmp_path))
    assert done.code == 2
    assert "the text has no <mask>" in done.err
    assert run("the <mask> sat", "-m", str(tmp_path)).code == 0


def test_labels_of_words_and_pieces_with_hostile_names(run: Run, labelled: str) -> None:
    text = "the catty sat."
    done = run(text, "-m", labelled)
    assert done.code == 0
    assert "what it calls each word" in done.out
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    words = valid(run(text, "-m", labelled, "--json").output)
    pieces = valid(run(text, "-m", labelled, "--json", "--pieces").output)
    assert [one["text"] for one in words["predictions"]] == ["the", "catty", "sat", "."]
    assert len(pieces["predictions"]) > 4
    assert words["predictions"][1]["guesses"] == pieces["predictions"][1]["guesses"]
    names = {one["text"] for one in words["predictions"][0]["guesses"]}
    assert names == set(HOSTILE.values())
    all_of_them = run(text, "-m", labelled, "--top", "3", "-o", "labels.md")
    assert (all_of_them.code, all_of_them.errors) == (0, b"")
    assert Path("labels.md").read_text().count("|") > 12 * 7
    assert run(text, "-m", labelled, "-o", "labels.svg").code == 0
    assert "\x1b" not in Path("labels.svg").read_text()


def test_labels_of_a_pair_and_of_a_text_that_is_cut(run: Run, tmp_path: Path) -> None:
    save_tiny_bert(
        tmp_path, kind=BertForSequenceClassification, problem_type="regression", num_labels=1
    )
    model = str(tmp_path)
    found = valid(run("the cat", "--pair", "a dog", "-m", model, "--json").output)
    [one] = found["predictions"]
    assert (found["function"], one["index"], one["choices"]) == (None, None, 1)
    assert one["guesses"][0]["probability"] is None
    long = "cat " * 90
    assert "--truncate" in run(long, "-m", model).err
    cut = run(long, "-m", model, "--truncate")
    assert cut.code == 0
    assert "cut to 31 of" in cut.err
    assert "score: a number of its own, no probability" in cut.out


def test_what_is_remembered_and_what_is_saved(run: Run, labelled: str) -> None:
    text = "the cat sat"
    given = valid(run(text, "-m", labelled, "--json", "--save", "cat").output)
    again = run("--json")
    assert f'the last sentence, "{text}"' in again.err
    assert valid(again.output) == given
    loaded = run("--load", "cat", "--json")
    assert valid(loaded.output) == given


def test_run_says_that_there_is_more(run: Run, labelled: str, masked: str) -> None:
    more = "attnviz predict shows what it says: "
    done = run("the cat", "-m", labelled, command="run")
    assert f"{more}labels of each word (BertForTokenClassification)" in done.err
    assert "not read" not in done.err
    assert more in run("the cat", "-m", masked, command="run").err
    assert more not in run("the cat", "-m", labelled, "--quiet", command="run").err
    assert more not in run("the cat", command="run").err


def test_models_names_the_head(run: Run, labelled: str) -> None:
    told = " ".join(run(labelled, command="models").out.split())
    assert "head labels of each word: [red]$x^2$\\x1b[31m, <b>&</b>\\u202e, O" in told
    found = json.loads(run(labelled, "--json", command="models").output)["head"]
    assert found["kind"] == "token-classification"
    assert found["labels"] == list(HOSTILE.values())
    own = json.loads(run("minilm", "--json", command="models").output)["head"]
    assert (own["kind"], own["pooling"]) == (
        "similarity",
        "mean, normalized (1_Pooling/config.json)",
    )


def test_the_default_model_compares_texts(run: Run, minilm: Model) -> None:
    a, b, c = "I love cats", "I like dogs", "The market fell"
    done = run(a, b, c, "--json")
    first, second = map(valid, done.output.splitlines())
    assert [(one["text"], one["pair"]) for one in (first, second)] == [(a, b), (a, c)]
    vectors = [minilm.pooled(minilm.tokenize(text)).vector for text in (a, b, c)]
    found = [one["predictions"][0]["guesses"][0]["score"] for one in (first, second)]
    close(found, [vectors[0] @ vectors[1], vectors[0] @ vectors[2]])
    paired = valid(run(a, "--pair", b, "--json").output)
    close([paired["predictions"][0]["guesses"][0]["score"]], found[:1])
    lines = run(a, c, "--pair", b, "-f", "csv").out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["text_index", "0", "1"]
    alone = run(a)
    assert alone.code == 2
    assert "minilm says nothing of one text" in alone.err
    assert "bert-base-uncased predicts at [MASK]" in alone.err
    pictures = run(a, b, c, "-f", "png").out.split()
    assert len(set(pictures)) == 2


@pytest.mark.usefixtures("one_thread")
def test_the_next_token_and_what_a_decoder_writes(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import attnviz.transformers_backend.heads as heads

    monkeypatch.setattr(heads, "MAX_WRITTEN", 6)
    gpt2 = RECORDED["gpt2"]
    (tmp_path / "gpt2").mkdir()
    Other(gpt2.config, gpt2.sizes, AutoModelForCausalLM, gives_types=False).save(tmp_path / "gpt2")
    found = valid(run("the cat", "-m", "gpt2", "--json").output)
    assert (found["head"], found["attention"]) == ("causal-lm", "decoder")
    assert len(found["predictions"]) == 1
    assert "what comes next" in run("the cat", "-m", "gpt2").out
    (tmp_path / "bart").mkdir()
    SEQ2SEQ["bart"].save(tmp_path / "bart")
    table = run("the cat", "-m", "bart")
    assert table.code == 0
    written = valid(run("the cat", "-m", "bart", "--json").output)
    assert written["written"] in table.out
    assert len(written["predictions"]) == 6
    assert not written["complete"]
    refused = run("the cat", "-m", "bart", "--attention", "cross")
    assert refused.code == 2
    assert "without --attention and --target" in refused.err


def test_from_python(masked: str, labelled: str) -> None:
    found = attnviz.predict("the [MASK] sat", top=2, model=masked)
    assert len(attnviz.to_rows(found)) == 2
    inspection = attnviz.inspect("the cat", labelled)
    labels = attnviz.predict(inspection, unit="piece")
    assert [one.token.text for one in labels.said if one.token] == ["the", "cat"]
    with pytest.raises(RequestError, match="the inspection is of one text, and a pair came"):
        attnviz.predict(inspection, pair="a dog")
    with pytest.raises(RequestError, match="top is 0"):
        attnviz.predict("the [MASK]", top=0, model=masked)


def test_a_model_in_memory_is_asked_as_it_is() -> None:
    from tiny_bert import tiny_bert, tiny_tokenizer
    from transformers import PreTrainedTokenizerFast

    theirs = tiny_bert(kind=BertForMaskedLM).train()
    make: Any = PreTrainedTokenizerFast
    library = make(tokenizer_object=tiny_tokenizer(), mask_token="[MASK]")
    found = attnviz.predict("the [MASK] sat", model=theirs, tokenizer=library)
    assert theirs.training
    ids = torch.tensor([library("the [MASK] sat").input_ids])
    with torch.inference_mode():
        logits = theirs.eval()(ids).logits[0, 2]
    shares = logits.softmax(-1)
    best = found.said[0].guesses[0]
    close([best.probability or 0], [float(shares.max())])


@pytest.mark.parametrize(
    ("probability", "shown"),
    [
        (1.0, "100.0%"),
        (0.4567, "45.7%"),
        (0.001, "0.1%"),
        (0.00045, "0.045%"),
        (3e-5, "0.003%"),
        (2e-7, "<0.0001%"),
        (0.0, "0.0%"),
        (None, "-1.2000"),
    ],
)
def test_small_probabilities_are_told_apart(probability: float | None, shown: str) -> None:
    assert guess_number(Guess("a", -1.2, probability)) == shown


def test_a_guess_is_left_out_with_its_number(run: Run, labelled: str) -> None:
    done = run("the catty sat.", "-m", labelled, "--top", "3", "--quiet")
    header = next(line for line in done.out.splitlines() if "rank 1" in line)
    row = next(line for line in done.out.splitlines() if line.startswith("catty"))
    assert header.count("rank") == row.count("%")
