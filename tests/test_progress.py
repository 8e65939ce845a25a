"""How far work over many heads has come is told to whoever watches, and to nobody else."""

import pytest
from handmade import random_inspection, tokens_of

from attnviz.answers.word import word
from attnviz.cli.options import ModelChoice, Output, Source
from attnviz.cli.output import Notes
from attnviz.cli.sentences import Sentences
from attnviz.cli.waiting import Waiting
from attnviz.inspection import View
from attnviz.inspection import view as rooms
from attnviz.progress import advanced, watched


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> View:
    """Two layers of three heads, one of which is computed at a time, on threads."""
    monkeypatch.setattr(rooms, "WEIGHTS_AT_ONCE", 8)
    return random_inspection(tokens_of(["a", "b", "c"]), 2, 3, seed=1).view()


def test_every_head_of_a_long_text_is_told_in_its_turn(view: View) -> None:
    told: list[tuple[int, int]] = []
    heads = view.all_heads()[:4]
    with watched(lambda done, total: told.append((done, total))):
        word(view, 1, "key", heads)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    word(view, 1, "key", heads)
    assert len(told) == 4


def test_heads_of_a_short_text_are_told_together() -> None:
    view = random_inspection(tokens_of(["a", "b"]), 2, 3, seed=1).view()
    told: list[tuple[int, int]] = []
    with watched(lambda done, total: told.append((done, total))):
        word(view, 1, "key", view.all_heads())
    assert told == [(6, 6)]


def test_who_watches_no_longer_is_not_told_even_after_an_error() -> None:
    told: list[int] = []

    def watch_and_fail() -> None:
        with watched(lambda done, total: told.append(done)):
            advanced(1, 2)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        watch_and_fail()
    advanced(2, 2)
    assert told == [1]


def test_the_sign_of_life_says_how_far_it_is(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(Waiting, "update", lambda self, what: said.append(what))
    sentences = Sentences(Source(["a"]), ModelChoice(), Output(quiet=True), Notes(quiet=True))
    with sentences.working("looking"):
        word(view, 0, "key", view.all_heads()[:2])
    heads = ["looking: 1 of 2 heads", "looking: 2 of 2 heads"]
    assert said == ["looking", *heads, "at work"]  # and then what it was before
    assert list(sentences.worked("drawing", iter("abc"))) == ["a", "b", "c"]
    assert said[4:] == ["drawing", "at work"] * 4
