"""How far work over many heads has come: a view tells whoever asks, and the spinner shows it."""

import io
import os
import threading

import pytest
from handmade import random_inspection, tokens_of

from attnviz.answers.word import word
from attnviz.cli import session as spinners
from attnviz.cli.session import Spinner
from attnviz.inspection import View
from attnviz.inspection import view as rooms


def long_view(told: list[tuple[int, int]]) -> View:
    """Two layers of three heads."""
    inspection = random_inspection(tokens_of(["a", "b", "c"]), 2, 3, seed=1)
    return View(inspection, progress=lambda done, total: told.append((done, total)))


def test_every_head_of_a_long_text_is_told_in_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "WEIGHTS_AT_ONCE", 8)  # one head at a time, on threads
    told: list[tuple[int, int]] = []
    view = long_view(told)
    word(view, 1, "key", view.all_heads()[:4])
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_heads_of_a_short_text_are_told_together() -> None:
    told: list[tuple[int, int]] = []
    word(long_view(told), 1, "key")
    assert told == [(6, 6)]


class Terminal(io.StringIO):
    """What a spinner takes for a terminal; `written` is set at the first character."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal on standard error, set in the test itself, after pytest has set its own."""
    screen = Terminal()
    monkeypatch.setattr(spinners, "PATIENCE", 0.0)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    return screen


def is_clear(screen: Terminal) -> bool:
    """Whether the last frame was erased, and the cursor is back."""
    text = screen.getvalue()
    return text.count("\x1b[?25l") == text.count("\x1b[?25h") and text.endswith("\x1b[2K")


def test_the_spinner_says_what_is_going_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = terminal(monkeypatch)
    spinner = Spinner("at work")
    with spinner:
        assert screen.written.wait(5)
        with spinner.doing("looking"):
            spinner.count(1, 2)
            assert spinner.what == "looking"
        assert spinner.what == "at work"  # what it was before
    assert "at work" in screen.getvalue()
    assert is_clear(screen)


def test_the_spinner_is_gone_before_results_go_through_a_pipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who reads the pipe may write to the same terminal at any time from then on."""
    screen = terminal(monkeypatch)
    read, write = os.pipe()
    monkeypatch.setattr(spinners, "STDOUT", write)
    spinner = Spinner("at work")
    with spinner:
        assert screen.written.wait(5)
        spinner.make_way()
        assert is_clear(screen)
        before = screen.getvalue()
        spinner.start()
        with spinner.doing("looking"):
            pass
        assert spinner._timer is None
    assert screen.getvalue() == before
    os.close(read)
    os.close(write)


def test_the_spinner_stays_while_results_go_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    spinner = Spinner("at work")
    with spinner:
        assert screen.written.wait(5)
        spinner._in_the_way = False  # pytest's standard output may be anything
        spinner.make_way()
        assert not is_clear(screen)
    assert is_clear(screen)
