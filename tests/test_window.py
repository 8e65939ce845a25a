"""`--window`: a part of a long text looked at closely, its words named as in the whole text."""

from typing import Any

import numpy as np
import pytest
from handmade import random_inspection, tokens_of

from attnviz.answers.select import find_in, find_phrase, find_token, with_window
from attnviz.cli.options import HeadChoice, Look, ModelChoice, Output
from attnviz.cli.session import Selection, Session
from attnviz.errors import RequestError
from attnviz.inspection import Inspection, View
from attnviz.inspection.context import Role

WORDS = ["it", "ran", "and", "it", "fell", "and", "it", "slept", "so", "it", "lived", "on"]


@pytest.fixture(scope="module")
def inspection() -> Inspection:
    """[CLS] and twelve words, the tokens 1 to 12, and [SEP]."""
    return random_inspection(tokens_of(WORDS), 2, 2, seed=3)


def labels(view: View) -> list[str]:
    return [token.label for token in view.tokens]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("4:7", ["it", "fell", "and"]),
        (" 4:7 ", ["it", "fell", "and"]),
        (":2", ["[CLS]", "it"]),
        ("12:", ["on", "[SEP]"]),
        ("12:99", ["on", "[SEP]"]),
        ("13:14", ["[SEP]"]),
        (":", ["[CLS]", *WORDS, "[SEP]"]),
    ],
)
def test_a_window_is_counted_as_tokens_are_named(
    inspection: Inspection, asked: str, expected: list[str]
) -> None:
    view = with_window(inspection.view(), asked)
    assert labels(view) == expected
    named = find_token(inspection.view().tokens, f"@{view.context.first_index}").token
    assert named.label == expected[0]


def test_without_special_tokens_these_are_not_counted(inspection: Inspection) -> None:
    whole = inspection.view(special=False)
    assert find_token(whole.tokens, "@3").token.label == "it"
    view = with_window(whole, "3:6")
    assert labels(view) == ["it", "fell", "and"]
    assert view.window == (4, 7)
    assert view.context.first_index == 3
    np.testing.assert_allclose(view.weights(1), whole.weights(1)[:, 3:6, 3:6], atol=1e-6)


@pytest.mark.parametrize("asked", ["", "4", "4-7", "a:b", "-3:", "4:7:9", "1e3:", "4 : 7", "٤:٧"])
def test_what_is_no_window(inspection: Inspection, asked: str) -> None:
    with pytest.raises(RequestError, match="is not a part of a text") as caught:
        with_window(inspection.view(), asked)
    assert "--window 40:80" in caught.value.hint


@pytest.mark.parametrize("asked", ["7:4", "4:4", "14:", "99:100", "0:0", ":0"])
def test_a_window_without_tokens(inspection: Inspection, asked: str) -> None:
    with pytest.raises(RequestError, match="there are 14, from @0 to @13") as caught:
        with_window(inspection.view(), asked)
    assert caught.value.hint.endswith("--window 0:14")


ROLES: list[Role] = ["query", "key"]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("selector", "index", "matches"),
    [
        ("@5", 1, 1),
        ("fell", 1, 1),
        ("it#2", 0, 1),
        ("it#3", 3, 1),
        ("and#2", 2, 1),
        ("it", 0, 2),
        ("and", 2, 1),
    ],
)
def test_words_are_named_as_in_the_whole_text(
    inspection: Inspection, role: Role, selector: str, index: int, matches: int
) -> None:
    view = with_window(inspection.view(), "4:8")
    assert labels(view) == ["it", "fell", "and", "it"]
    found = find_in(view.context, role, selector, find_token)
    assert (found.token, found.matches) == (view.tokens[index], matches)


def test_phrases_too(inspection: Inspection) -> None:
    view = with_window(inspection.view(), "3:9")
    found = find_in(view.context, "key", "and it#2", find_phrase)
    assert found.indices == [3, 4]
    assert find_in(view.context, "key", "and it", find_phrase).indices == [0, 1]
    with pytest.raises(
        RequestError, match=r'"so it" is outside the window: it is token 9, .* 3 to 8'
    ):
        find_in(view.context, "key", "so it", find_phrase)


@pytest.mark.parametrize(
    ("selector", "told"),
    [
        ("so", '"so" is outside the window: it is token 9, and the window holds 4 to 7'),
        ("@3", '"@3" is outside the window: it is token 3, and the window holds 4 to 7'),
        ("it#1", '"it#1" is outside the window: it is token 1, and the window holds 4 to 7'),
        ("ran", '"ran" is outside the window: it is token 2'),
        ("@99", "there is no token @99: the tokens run from @0 to @13"),
        ("cat", 'there is no "cat" in the sentence'),
    ],
)
def test_words_that_are_not_in_the_window(inspection: Inspection, selector: str, told: str) -> None:
    view = with_window(inspection.view(), "4:8")
    with pytest.raises(RequestError) as caught:
        find_in(view.context, "query", selector, find_token)
    assert caught.value.message.startswith(told)


def asked_of(inspection: Inspection, capsys: Any, query: str) -> tuple[int | None, str]:
    session = Session(ModelChoice(), Output())
    selection = Selection(session, Look(window="4:8"), HeadChoice())
    index = selection.word("", selection.view(inspection), "query", query)
    return index, capsys.readouterr().err


def test_the_first_of_several_is_told_by_its_place_in_the_text(
    inspection: Inspection, capsys: pytest.CaptureFixture[str]
) -> None:
    index, told = asked_of(inspection, capsys, query="it")
    assert index == 0
    assert told == "attnviz: it occurs 2 times; --query takes the first, that at @4\n"
    assert asked_of(inspection, capsys, query="@6") == (2, "")


def test_of_several_that_are_all_outside_the_first_is_told(inspection: Inspection) -> None:
    view = with_window(inspection.view(), "8:10")
    with pytest.raises(RequestError, match="the first of them is token 3, and the window holds 8"):
        find_in(view.context, "query", "and", find_token)
