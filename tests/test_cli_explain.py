"""`attnviz explain` as people run it."""

import csv
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import ANIMAL
from PIL import Image
from process import Workplace, workplace
from tiny_bert import SENTENCES, save_tiny_bert
from tiny_others import RECORDED, STACK, Other

from attnviz.inspection import Inspection
from attnviz.inspection.storage import save
from attnviz.model import load_model

LAST = f'attnviz: the last sentence, "{ANIMAL}", in minilm\n'
L3H1 = ["--query", "it", "--head", "L3H1"]
MODEL = ("torch", "transformers", "tokenizers", "huggingface_hub")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    """A workplace in which the animal sentence is remembered, and kept in `animal`."""
    place = workplace(tmp_path_factory.mktemp("explain"), animal)
    (place.folder / "animal").write_bytes(place.last.read_bytes())
    return place


@pytest.mark.slow
def test_the_readmes_example(place: Workplace) -> None:
    """Also that a sentence given is remembered, and explained again without torch."""
    options = ["--query", "student", "--layer", "0", "--head", "0"]
    done = place("explain", "I am a student", "--model", "paper", *options)
    assert (done.code, done.err) == (0, "")
    for part in ("UNTRAINED (seed 0)", "each 512 × 64", "64 × 512", "÷ √d_k = √64 = 8"):
        assert part in done.out
    assert "z from these steps agrees with the encoder's own within 1e-5." in done.out
    again = place("explain", *options, "--quiet", env=place.without(*MODEL))
    assert (again.code, again.out, again.err) == (0, done.out, "")


def test_what_was_kept_is_explained_without_torch(place: Workplace) -> None:
    env = place.without(*MODEL, "matplotlib")
    loaded = place("explain", "--load", "animal", *L3H1, env=env)
    assert (loaded.code, loaded.err) == (0, "")
    assert re.search(r"^ ▸ animal +21\.69 +3\.83 +\.68 ", loaded.out, re.MULTILINE)
    assert "each 384 × 32" in loaded.out


def test_a_layer_without_a_head_is_the_whole_layer(place: Workplace) -> None:
    """Also without torch, from a file that has the next layer's x; the last one needs the model."""
    layer = ["explain", "--load", "animal", "--query", "it"]
    done = place(*layer, "--layer", "3", env=place.without(*MODEL))
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^6  u = gelu\(h W_1 \+ b_1\) +384 × 1536 → 1536 +9\.72 ", done.out, re.M)
    assert "Check: y agrees with the encoder's own output within 1e-5." in done.out
    told = place(*layer, "--layer", "3", "--json", env=place.without(*MODEL)).json_lines
    assert [one["schema"] for one in told] == ["attnviz.layer/1"]
    rows = list(csv.DictReader(io.StringIO(place(*layer, "--layer", "3", "-f", "csv").out)))
    assert [row["part"] for row in rows] == ["x", *["head"] * 12, "feed_forward", "biases"]
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1, abs=1e-6)
    last = place(*layer, "--layer", "-1")
    assert (last.code, last.err) == (0, "attnviz: taking the matrices from minilm\n")
    assert "9  y = layer norm(r′)" in last.out


@pytest.mark.slow
def test_a_layer_of_a_model_that_transformers_runs(tmp_path: Path, animal: Inspection) -> None:
    place = workplace(tmp_path, animal)
    RECORDED["llama"].save(place.folder / "llama")
    layer = ["explain", "--query", "sat", "--layer", "1"]
    done = place(*layer, "the cat sat on the mat", "--model", "llama")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^7  u = silu\(h′ W_G\) \* \(h′ W_1\) +20 × 23 → 23", done.out, re.M)
    assert "Check: y agrees with the decoder's own output within 1e-5." in done.out
    again = place(*layer, "-o", "layer.png")
    assert (again.code, again.out) == (0, "layer.png\n")
    assert "taking the matrices from" in again.err
    with Image.open(place.folder / "layer.png") as picture:
        assert picture.width > 1000
    Other("MobileBertConfig", {**STACK, "intra_bottleneck_size": 16, "embedding_size": 16}).save(
        place.folder / "mobilebert"
    )
    refused = place(*layer, "the cat sat on the mat", "--model", "mobilebert")
    assert (refused.code, refused.out) == (1, "")
    assert "so its steps cannot be retraced" in refused.err


def test_json_is_an_object_a_piece(place: Workplace, animal: Inspection) -> None:
    done = place("explain", "--load", "animal", "--query", "didn't", "--head", "3-1", "--json")
    assert (done.code, done.err) == (0, "")
    explained = done.json_lines
    assert [e["query"]["text"] for e in explained] == ["didn", "'", "t"]
    assert {e["schema"] for e in explained} == {"attnviz.explain/1"}
    for e in explained:
        weights = np.array([key["weight"] for key in e["keys"]], np.float32)
        expected = animal.view("piece").weights(3, 1)[e["query"]["index"]]
        np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-6)
        assert e["check"]["z"] < 3e-6


def test_csv_in_a_file_that_is_known_again(place: Workplace) -> None:
    options = ["explain", "--load", "animal", *L3H1, "-o", "it.csv"]
    assert place(*options).code == 0
    rows = list(csv.DictReader(io.StringIO((place.folder / "it.csv").read_text())))
    assert len(rows) == 16
    assert max(rows, key=lambda row: float(row["weight"]))["key"] == "animal"
    done = place(*options, "--top", "3")
    assert (done.code, done.err) == (0, "")
    fewer = list(csv.DictReader(io.StringIO((place.folder / "it.csv").read_text())))
    assert sorted(row["weight"] for row in fewer) == sorted(row["weight"] for row in rows)[-3:]


@pytest.mark.slow
def test_pictures(place: Workplace) -> None:
    for suffix in ("png", "svg"):
        name = f"it.{suffix}"
        env = place.without(*MODEL)
        done = place("explain", "--load", "animal", *L3H1, "-o", name, env=env)
        assert (done.code, done.out, done.err) == (0, f"{name}\n", "")
    with Image.open(place.folder / "it.png") as picture:
        assert picture.width > 2000
        assert len(picture.getcolors(1 << 20) or []) > 100
    svg = (place.folder / "it.svg").read_text()
    for told in ("minilm · L3H1 · query: it", ANIMAL, "5  softmax", "0.677"):
        assert told in svg


@pytest.mark.slow
def test_several_sentences_each_on_a_line(place: Workplace) -> None:
    lines = f"{ANIMAL}\nNo such word\nHe saw it.\n".encode()
    done = place("explain", "-", *L3H1, "--json", given=lines)
    assert done.code == 2
    assert [e["text"] for e in done.json_lines] == [ANIMAL, "He saw it."]
    assert 'line 2: there is no "it" in the sentence' in done.err
    assert "1 sentence left out" in done.err


def test_without_a_head(place: Workplace, animal: Inspection) -> None:
    place.remember(animal)
    done = place("explain", "--query", "it", "--top", "2")
    note = 'attnviz: no head given, so L2H1, in which "it" looks hardest at "tired": 0.71\n'
    assert (done.code, done.err) == (0, LAST + note)
    assert "L2H1  how" in done.out
    assert "14 of 16 keys are hidden" in done.out


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            [],
            "explain follows one word, or all words in one head, and neither was named",
            "add --query WORD, or --head L0H0",
        ),
        (["--query", "dog"], 'there is no "dog" in the sentence', "it has [CLS], The, animal"),
        (
            ["--query", "it", "--layer", "3", "--layer", "5"],
            "one layer can be followed, and 2 were chosen",
            "name one, as in --layer 3",
        ),
        (["--query", "it", "--head", "1"], "head 1 needs a layer", "as in L5H1"),
        (["--query", "it", "--head", "9.1"], "there is no layer 9", "0 to 5"),
        (
            ["--query", "didn't", "--head", "L3H1", "-o", "x.png"],
            "the word was cut into 3 pieces, didn, ', t, and a picture explains one",
            "choose it with --pieces --query @3",
        ),
        (
            [*L3H1, "-o", "x.npz"],
            "x.npz is the name of an npz file, and this answer comes as table, json, jsonl, csv",
            "end the file's name in .txt, .json, .jsonl, .csv, .tsv, .parquet, .md, .png",
        ),
        (
            [*L3H1, "-o", "animal"],
            "wrote looks like any other text",
            "--force",
        ),
    ],
)
def test_wrong_requests(place: Workplace, arguments: list[str], message: str, hint: str) -> None:
    done = place("explain", "--load", "animal", *arguments, env=place.without(*MODEL))
    assert (done.code, done.out) == (2, "")
    told, tried = done.message
    assert message in told
    assert hint in tried
    assert not (place.folder / "x.png").exists()


@pytest.mark.parametrize("option", ["--no-special", "--measure"])
def test_what_makes_no_sense_is_not_offered(place: Workplace, option: str) -> None:
    done = place("explain", *L3H1, option)
    assert done.code == 2
    assert f"No such option: {option}" in done.err


def test_files_that_are_gone_or_others(place: Workplace, tmp_path: Path) -> None:
    """The request is fine; that the matrices cannot be had is no fault of it."""
    model = tmp_path / "model"
    save_tiny_bert(model)
    save(load_model(str(model)).inspect(SENTENCES[0]), place.folder / "tiny")
    options = ["explain", "--load", "tiny", "--query", "cat", "--head", "L1H2"]
    assert place(*options, env=place.without(*MODEL)).code == 0
    save_tiny_bert(model, seed=6)
    done = place(*options)
    assert (done.code, done.out) == (1, "")
    assert "are not those of this inspection" in done.message[0]
    shutil.rmtree(model)
    done = place(*options)
    assert (done.code, done.out) == (1, "")
    assert "the model's own files are needed for its matrices" in done.message[0]
    assert "inspect the sentence again" in done.message[1]


def test_a_closed_pipe_ends_quietly(place: Workplace) -> None:
    with place.start("explain", "--load", "animal", *L3H1, "--json") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_help_imports_nothing_slow(place: Workplace) -> None:
    slow = (*MODEL, "matplotlib", "numpy")
    done = place("explain", "-h", env=place.without(*slow))
    assert (done.code, done.err) == (0, "")
    assert "step by step" in done.out
    none = place("explain", env=place.without(*slow))
    assert none.code == 2


def test_on_a_terminal_numbers_are_cells_in_colour(place: Workplace) -> None:
    code, screen = place.on_terminal("explain", "--load", "animal", *L3H1, columns=100)
    assert code == 0
    assert "\x1b[38;5;" in screen or "\x1b[38;2;" in screen
    assert "▀" in screen
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen)
    assert max(map(len, plain.split("\n"))) <= 100
