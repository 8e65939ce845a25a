"""How many files of the package a reader goes through who follows a command: not too many."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ANIMAL
from process import Workplace, workplace

from attnviz.inspection import Inspection

OPENED = Path(__file__).parent / "opened.py"

COMMANDS: dict[str, tuple[int, list[str]]] = {
    "run cold": (53, ["run", ANIMAL, "--query", "it"]),
    "heatmap remembered": (39, ["heatmap", "--head", "L3H1", "-o", "head.png"]),
    "find from stdin": (57, ["find", "--query", "it", "--key", "animal"]),
    "view": (65, ["view", ANIMAL, "--query", "it", "--no-open"]),
    "why": (62, ["why", ANIMAL, "--query", "it", "--key", "animal", "--head", "L3H1"]),
    "explain": (56, ["explain", ANIMAL, "--query", "it", "--head", "L3H1"]),
}
"""The most files that each may go through."""


@pytest.fixture
def place(tmp_path: Path, animal: Inspection) -> Workplace:
    return workplace(tmp_path, animal)


def opened(place: Workplace, arguments: list[str], given: str | None = None) -> list[str]:
    """The files of the package that a command goes through, in their order."""
    told = place.folder / "opened"
    subprocess.run(
        [sys.executable, OPENED, told, *arguments],
        cwd=place.folder,
        env=place.environment(),
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    return told.read_text(encoding="utf-8").split()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_goes_through_few_files(place: Workplace, name: str) -> None:
    most, arguments = COMMANDS[name]
    given = f"{ANIMAL}\n{ANIMAL}\n" if name == "find from stdin" else None
    files = opened(place, arguments, given)
    assert files[0] == "cli/__init__.py"
    assert len(files) <= most, "\n".join(files)


def test_files_that_run_are_told_and_others_are_not(place: Workplace) -> None:
    told = place.folder / "opened"
    done = subprocess.run(
        [sys.executable, OPENED, told, "--version"],
        env=place.environment(),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout.startswith("attnviz ")
    files = told.read_text(encoding="utf-8").split()
    assert "cli/__init__.py" in files
    assert not [name for name in files if not name.startswith("cli/")]
    assert "cli/run.py" not in files
