"""What a command does not need, it does not import: that is what makes it quick to start."""

from pathlib import Path

import pytest
from conftest import ANIMAL
from process import Workplace, workplace
from tiny_others import SEQ2SEQ

from attnviz.cli.app import COMMANDS
from attnviz.inspection import Inspection

SLOW = (
    "torch", "transformers", "tokenizers", "matplotlib", "numpy", "huggingface_hub", "safetensors",
    "scipy", "pydantic", "rich", "asyncio",
)  # fmt: skip
MODEL = ("torch", "transformers", "tokenizers", "huggingface_hub")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    return workplace(tmp_path_factory.mktemp("startup"), animal)


def test_the_wall_stands(place: Workplace) -> None:
    done = place("run", "I am", env=place.without("torch") | {"ATTNVIZ_ENGINE": "torch"})
    assert (done.code, done.out, done.err) == (99, "", "imported torch\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        *([command, "-h"] for command in COMMANDS),
        ["--skill"],
        ["--show-completion"],
    ],
)
def test_help_imports_nothing_slow(place: Workplace, arguments: list[str]) -> None:
    done = place(*arguments, env=place.without(*SLOW) | {"SHELL": "/bin/zsh"})
    assert (done.code, done.err) == (0, "")
    assert "attnviz" in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_two_screens(place: Workplace, command: str) -> None:
    lines = place(command, "-h", env={"COLUMNS": "80"}).out.splitlines()
    assert len(lines) <= 96
    assert max(map(len, lines)) <= 80


def test_help_fits_a_narrow_terminal(place: Workplace) -> None:
    for columns, widest in (("40", 38), ("10", 38), ("500", 98)):
        lines = place("heatmap", "-h", env={"COLUMNS": columns}).out.splitlines()
        assert max(map(len, lines)) == widest


WRONG = {
    "run --colour": "No such option: --colour",
    "run --top many": "Error: Invalid value for '--top': it should be a valid integer",
    "run --measure wieghts": "Did you mean 'weights'?",
    "run --layer": "Option '--layer' requires an argument.",
    "runn": "No such command 'runn'. Did you mean 'run'?",
    "the cat": "To look into a text: attnviz run the cat",
    "": "Usage: attnviz [OPTIONS] COMMAND [ARGS]...",
}


@pytest.mark.parametrize("typed", WRONG)
def test_what_is_wrong_is_told_without_importing_anything_slow(
    place: Workplace, typed: str
) -> None:
    done = place(*typed.split(), env=place.without(*SLOW))
    assert (done.code, done.out) == (2, "")
    assert WRONG[typed] in done.err


def test_run_needs_numpy_and_tokenizers_only(place: Workplace) -> None:
    env = place.without("torch", "transformers", "matplotlib", "huggingface_hub", "jaxtyping")
    done = place("run", ANIMAL, "--query", "it", env=env)
    assert (done.code, done.err) == (0, "")
    assert "▸animal .68" in done.out


def test_a_translators_encoder_is_ours_and_needs_no_transformers(
    place: Workplace, tmp_path: Path
) -> None:
    SEQ2SEQ["marian"].save(tmp_path)
    env = place.without("torch", "transformers", "matplotlib", "huggingface_hub")
    options = ("run", "a dog", "--query", "dog", "--model", str(tmp_path))
    assert place(*options, "--attention", "encoder", env=env).code == 0
    # the wall stands where the decoder is looked at
    assert place(*options, "--attention", "decoder", env=env).code == 99


def test_what_was_kept_is_shown_without_a_model(place: Workplace, animal: Inspection) -> None:
    place.remember(animal)
    (place.folder / "kept").write_bytes(place.last.read_bytes())
    env = place.without(*MODEL, "matplotlib")
    loaded = place("run", "--load", "kept", "--query", "it", env=env)
    assert (loaded.code, loaded.err) == (0, "")
    remembered = place("run", "--query", "it", env=env)
    assert remembered.err == f'attnviz: the last sentence, "{ANIMAL}", in minilm\n'
    assert remembered.out == loaded.out
    assert "▸animal .68" in loaded.out


@pytest.mark.parametrize("command", ["heatmap", "lines"])
def test_what_was_kept_is_drawn_without_a_model(
    place: Workplace, animal: Inspection, command: str
) -> None:
    place.remember(animal)
    env = place.without(*MODEL)
    done = place(command, "--layer", "3", "--head", "1", "-o", f"{command}.svg", env=env)
    assert (done.code, done.out) == (0, f"{command}.svg\n")
    assert (place.folder / f"{command}.svg").read_bytes().startswith(b"<?xml")
