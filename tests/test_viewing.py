"""`--open` and `--inline`: pictures in the system's viewer, and between the lines of a terminal."""

import fcntl
import os
import pty
import struct
import sys
import termios
import time
from pathlib import Path

import pytest
from process import Workplace, workplace

from attnviz.cli.drawn import FigureOutput
from attnviz.cli.heatmap import MapOutput
from attnviz.errors import RequestError
from attnviz.inspection import Inspection

HEAD = ["heatmap", "--head", "L3H1", "--quiet"]
SIXEL = {b"\x1b[c": b"\x1b[?62;4c"}  # what a terminal that can answers
COLOURS = {"COLORTERM": "truecolor"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    return workplace(tmp_path_factory.mktemp("viewing"), animal)


def opener(folder: Path, code: int = 0) -> dict[str, str]:
    """An environment whose viewer notes what it was given, and ends with a code."""
    folder.mkdir()
    program = folder / ("open" if sys.platform == "darwin" else "xdg-open")
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{folder}/opened"\nexit {code}\n')
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_the_picture_is_opened_when_it_is_whole(place: Workplace, tmp_path: Path) -> None:
    env = opener(tmp_path / "bin")
    done = place(*HEAD, "--open", "-o", "-it.png", env=env)
    assert (done.code, done.out, done.err) == (0, "-it.png\n", "")
    opened = (tmp_path / "bin" / "opened").read_text()
    assert opened == f"{place.folder / '-it.png'}\n"


def test_a_table_is_a_picture_if_it_is_to_be_opened(place: Workplace, tmp_path: Path) -> None:
    env = opener(tmp_path / "bin")
    done = place("find", "--query", "it", "--key", "animal", "--open", "--quiet", env=env)
    assert done.code == 0
    assert (tmp_path / "bin" / "opened").read_text() == f"{place.folder}/{done.out}"


def test_without_a_viewer_nothing_is_drawn(place: Workplace, tmp_path: Path) -> None:
    before = os.listdir(place.folder)
    done = place(*HEAD, "--open", "-o", "no.png", env={"PATH": str(tmp_path)})
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 2)
    assert "there is none here" in done.err
    assert os.listdir(place.folder) == before


def test_a_viewer_that_fails_is_told(place: Workplace, tmp_path: Path) -> None:
    done = place(*HEAD, "--open", "-o", "kept.png", env=opener(tmp_path / "bin", 3))
    assert (done.code, done.out) == (1, "kept.png\n")
    assert "cannot open kept.png: it ended with 3" in done.err
    assert (place.folder / "kept.png").exists()


def on_terminal(
    place: Workplace, *arguments: str, answers: dict[bytes, bytes], env: dict[str, str]
) -> tuple[int, bytes]:
    """Run it on a terminal of 80 × 24 cells of 10 × 20 pixels, which answers what it is asked."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 800, 480))
    env = {"TERM": "xterm-256color", **env}
    process = place.start(*arguments, env=env, stdout=follower, stderr=follower)
    os.close(follower)
    shown, begun = b"", time.monotonic()
    while time.monotonic() - begun < 100:
        try:
            came = os.read(leader, 1 << 16)
        except OSError:
            break
        shown += came
        for question, answer in answers.items():
            if question in came:
                os.write(leader, answer)
    os.close(leader)
    return process.wait(10), shown


def test_terminals_that_can_show_the_picture_itself(place: Workplace) -> None:
    before = os.listdir(place.folder)
    code, shown = on_terminal(place, *HEAD, "--inline", answers=SIXEL, env=COLOURS)
    assert code == 0
    assert b"\x1bP" in shown  # sixels begin
    assert b"\x1b\\" in shown
    assert os.listdir(place.folder) == before  # nothing is written


def test_others_show_half_blocks_and_the_file_is_written_too(place: Workplace) -> None:
    drawn = ["--inline", "-o", "also.png"]
    code, shown = on_terminal(place, *HEAD, *drawn, answers={}, env=COLOURS)
    assert code == 0
    text = shown.decode()
    rows = [line for line in text.splitlines() if "▀" in line]
    assert len(rows) > 20
    assert all(row.count("▀") == 80 for row in rows)
    assert text.rstrip().endswith("also.png")
    assert (place.folder / "also.png").exists()


def test_without_colours_there_is_nothing_to_show(place: Workplace) -> None:
    code, shown = on_terminal(place, *HEAD, "--inline", answers={}, env={"NO_COLOR": "1"})
    assert code == 2
    assert b"has no colours" in shown


def test_inline_is_for_terminals(place: Workplace) -> None:
    done = place(*HEAD, "--inline")
    assert (done.code, done.out) == (2, "")
    assert "standard output is none" in done.err


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (FigureOutput(open=True, json=True), "--open is for pictures"),
        (FigureOutput(inline=True, format="csv"), "--inline is for pictures"),
        (FigureOutput(lang="ko"), "--lang is for pictures"),
        (FigureOutput(open=True, output=Path("-")), "--open needs a file"),
        (FigureOutput(inline=True, output=Path("-")), "--inline shows the picture"),
        (MapOutput(each=True, open=True), "--each draws many pictures"),
    ],
)
def test_what_makes_no_sense_is_refused(output: FigureOutput, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        _ = output.style


def test_several_sentences_would_open_as_many_viewers(place: Workplace, tmp_path: Path) -> None:
    done = place("heatmap", "I am", "You are", "--open", env=opener(tmp_path / "bin"))
    assert done.code == 2
    assert "--open shows one picture" in done.err


def test_two_texts_that_are_compared_have_one_picture(place: Workplace, tmp_path: Path) -> None:
    env = opener(tmp_path / "bin")
    done = place("similar", "I am", "You are", "--open", "--quiet", env=env)
    assert done.code == 0, done.err
    assert (tmp_path / "bin" / "opened").read_text() == f"{place.folder}/{done.out}"
    refused = place("similar", "I am", "You are", "We are", "--open", env=env)
    assert refused.code == 2
    assert "several texts are put beside A, and --open shows one picture" in refused.err
