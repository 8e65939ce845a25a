"""How a model is run, on the command line: --device, --dtype, and what is run again."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import ANIMAL
from process import Done, Workplace, workplace
from tiny_others import RECORDED, SENTENCES, SEQ2SEQ, TARGET, WEIGHTS_ONLY

from attnviz.inspection import Inspection
from attnviz.inspection.storage import load, save
from attnviz.model import load_model

PAPER = ["-m", "paper", "--num-layers", "2", "--num-heads", "3", "--d-model", "21", "--seed", "7"]

Here = Callable[..., Done]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    return workplace(tmp_path_factory.mktemp("devices"), animal)


@pytest.fixture
def here(here: Here, monkeypatch: pytest.MonkeyPatch) -> Here:
    """The same, where there is no GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return here


def test_a_device_that_is_not_here(here: Here) -> None:
    done = here("run", "I am", "--device", "cuda")
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first.startswith("attnviz: --device cuda needs an NVIDIA or AMD GPU, and torch ")
    assert second == "  use --device cpu, or leave --device out"


@pytest.mark.parametrize(("option", "value"), [("--device", "tpu"), ("--dtype", "int8")])
def test_names_that_mean_nothing(here: Here, option: str, value: str) -> None:
    done = here("run", "I am", option, value)
    assert (done.code, done.out) == (2, "")
    assert value in done.err


def test_a_dtype_alone_runs_the_last_sentence_again_in_its_own_model(here: Here) -> None:
    assert here("run", "a student", *PAPER, "--json", "--layer", "0", "--head", "0").code == 0
    done = here("run", "--dtype", "bfloat16", "--json", "--layer", "1", "--head", "2")
    assert (done.code, done.json["text"]) == (0, "a student")
    told = '"a student", in paper (UNTRAINED); --model NAME runs it in another'
    assert done.err == f"attnviz: the last sentence, {told}\n"
    model = done.json["model"]
    assert (model["name"], model["num_layers"], model["seed"]) == ("paper", 2, 7)
    assert model["dtype"] == "bfloat16"
    # what ran last is remembered as it ran, and stays so until something else is asked for
    table = here("run", "--query", "student")
    assert "d_ff 2048, in bfloat16, UNTRAINED (seed 7)" in " ".join(table.out.split())
    moved = here("run", "--device", "cpu", "--json", "--layer", "1", "--head", "2")
    assert moved.json == done.json
    ablated = here("ablate", "--head", "1.1", "--json")
    assert (ablated.code, ablated.json["model"]["dtype"]) == (0, "bfloat16")
    compared = here("compare", "a teacher", "--query", "a", "--json")
    assert compared.code == 0
    assert compared.json["a"]["model"] == compared.json["b"]["model"] == done.json["model"]
    exact = here("run", "--dtype", "float32", "--json", "--layer", "1", "--head", "2")
    assert "dtype" not in exact.json["model"]
    assert exact.json["heads"] != done.json["heads"]


def test_a_model_beside_it_is_another_model(here: Here) -> None:
    here("run", "a student", *PAPER, "--quiet")
    done = here("run", "-m", "minilm", "--dtype", "float16", "--json", "--layer", "0")
    told = '"a student", in minilm instead of paper (UNTRAINED)'
    assert done.err == f"attnviz: the last sentence, {told}\n"
    assert (done.json["model"]["name"], done.json["model"]["dtype"]) == ("minilm", "float16")


def test_two_models_in_one_dtype(here: Here) -> None:
    options = ["--query", "it", "--json", "--dtype", "bfloat16"]
    done = here("compare", ANIMAL, "--models", "minilm", "minilm", *options)
    assert done.code == 0
    assert [done.json[side]["model"]["dtype"] for side in "ab"] == ["bfloat16", "bfloat16"]


def test_a_saved_inspection_is_what_it_is(here: Here, place: Workplace, animal: Inspection) -> None:
    save(animal, place.folder / "kept")
    done = here("run", "--load", "kept", "--dtype", "bfloat16")
    assert done.code == 2
    assert done.err.startswith("attnviz: --load brings a sentence and its model with it")


@pytest.fixture(scope="module")
def llama(place: Workplace) -> str:
    """A model that transformers runs, and an inspection of it beside."""
    folder = place.folder / "llama"
    folder.mkdir()
    RECORDED["llama"].save(folder)
    save(load_model(str(folder)).inspect(SENTENCES[0]), place.folder / "of-llama")
    return str(folder)


def test_ablate_what_is_not_ours(here: Here, llama: str, place: Workplace) -> None:
    done = here("ablate", SENTENCES[0], "-m", llama, "--head", "0.1", "--json")
    loaded = place("ablate", "--load", "of-llama", "--head", "0.1", "--json")
    assert (done.code, loaded.code) == (0, 0)
    assert done.json["moved"][0]["distance"] > 1e-3
    one, other = (run.json["moved"][0]["distance"] for run in (done, loaded))
    assert one == pytest.approx(other, abs=1e-5)


@pytest.mark.slow
def test_explain_takes_the_matrices_from_the_model(here: Here, llama: str) -> None:
    options = ["--query", "tired", "--layer", "1", "--head", "2", "--json"]
    given = here("explain", SENTENCES[0], "-m", llama, *options)
    assert (given.code, given.err) == (0, "")
    loaded = here("explain", "--load", "of-llama", *options)
    assert loaded.err == f"attnviz: taking the matrices from {llama}\n"
    assert loaded.json == given.json
    assert given.json["between"]["q"] == "rotated by its position"
    table = here("explain", *options[:-1])
    assert table.code == 0
    assert "q: rotated by its position" in table.out
    assert "agrees with the decoder's own within 1e-" in " ".join(table.out.split())
    drawn = here("explain", *options[:-1], "-o", "steps.svg")
    assert (drawn.code, drawn.out) == (0, "steps.svg\n")


def test_explain_without_its_model(here: Here, llama: str, place: Workplace) -> None:
    away = Path(llama).rename(place.folder / "away")
    done = here("explain", "--load", "of-llama", "--query", "tired")
    away.rename(llama)
    assert done.code == 1
    assert "the model of this inspection cannot be loaded" in done.err


def test_weights_alone_are_neither_explained_nor_measured(here: Here, place: Workplace) -> None:
    folder = place.folder / "deberta"
    folder.mkdir()
    WEIGHTS_ONLY["deberta-v2"].save(folder)
    assert here("run", SENTENCES[0], "-m", str(folder), "--quiet").code == 0
    for asked in (
        ["explain", "--query", "tired"],
        ["run", "--query", "tired", "--measure", "norm"],
    ):
        done = here(*asked)
        assert (done.code, done.out) == (1, "")
        assert "this model gives its attention weights alone" in done.err


@pytest.mark.slow
def test_how_a_seq2seq_model_is_run_again(here: Here, place: Workplace) -> None:
    """The last sentence is the source's; what the decoder was fed stays what it was."""
    folder = place.folder / "t5"
    folder.mkdir()
    SEQ2SEQ["t5"].save(folder)
    crossed = ["--attention", "cross", "--target", TARGET]
    assert here("run", SENTENCES[1], "-m", str(folder), *crossed, "--quiet").code == 0
    first = load(place.last)
    assert here("run", "--dtype", "bfloat16", "--quiet").code == 0
    again = load(place.last)
    assert (again.tokens, again.keys) == (first.tokens, first.keys)
    assert (again.attention, again.model.dtype) == ("cross", "bfloat16")
    assert here("run", "--attention", "encoder", "--quiet").code == 0
    assert load(place.last).attention == "encoder"
    assert load(place.last).tokens == first.keys
    decoding = ["--attention", "decoder", "--target", TARGET]
    assert here("run", SENTENCES[1], "-m", str(folder), *decoding, "--quiet").code == 0
    done = here("run", "--dtype", "float32")
    assert done.code == 2
    assert "the last sentence is what a decoder was fed" in done.err
