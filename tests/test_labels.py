"""What was typed, as it is shown, and what tokens are called: twins are told apart everywhere."""

import io
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from handmade import cross_inspection_of, random_inspection, tokens_of
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text as MatplotlibText
from rich.cells import cell_len
from rich.console import Console

import attnviz
from attnviz.answers.links import strongest_link
from attnviz.answers.select import find_in, find_phrase
from attnviz.inspection import Inspection, View
from attnviz.inspection.context import Role
from attnviz.model import Model
from attnviz.show.forms import forms_of
from attnviz.show.labels import names, parted, phrase_name, visible
from attnviz.show.terminal.cells import fit

ALICE = "Alice saw Alice and Alice ran."
SAT = "Alice saw Alice and Alice sat."


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("animal", "animal"),
        ("동물은 是 ἄνθρωπος שלום", "동물은 是 ἄνθρωπος שלום"),
        ("cafe\u0301", "cafe\u0301"),
        ("[bold]$x_1$\\frac :smile: <b>&amp;", "[bold]$x_1$\\frac :smile: <b>&amp;"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\x00b\x07\x7f\x85", "a\\x00b\\x07\\x7f\\x85"),
        ("a\tb\r\n", "a\\x09b\\x0d\\x0a"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),  # text direction turned around
        ("\ufeffa\u200bb\u2060\u00ad", "\\ufeffa\\u200bb\\u2060\\xad"),
        ("\udc80", "\\udc80"),
        ("\U000e0001", "\\U000e0001"),
        ("👩\u200d👩\u200d👧 ❤\ufe0f", "👩\u200d👩\u200d👧 ❤\ufe0f"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0067\U000e0062\U000e007f"),
        ("", ""),
    ],
)
def test_visible(typed: str, shown: str) -> None:
    assert visible(typed) == shown


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text())
def test_nothing_that_commands_a_terminal_is_left(text: str) -> None:
    shown = visible(text)
    assert not {"Cc", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, shown))
    assert len(shown.splitlines()) <= 1
    assert visible(shown) == shown


def alices() -> Inspection:
    return random_inspection(tokens_of(["Alice", "saw", "alice", "and", "it"]), 2, 3, seed=1)


def called(view: View, role: Role = "query", every: bool = False) -> tuple[str, ...]:
    return names(view.context, role, every)


def test_what_occurs_again_has_the_index_that_options_take() -> None:
    whole = ("[CLS]", "Alice@1", "saw", "alice@3", "and", "it", "[SEP]")
    assert called(alices().view()) == called(alices().view(), "key") == whole
    assert called(alices().view(special=False)) == ("Alice@0", "saw", "alice@2", "and", "it")
    assert called(alices().view(window=(1, 4))) == ("Alice@1", "saw", "alice@3")
    assert called(alices().view(window=(2, 5))) == ("saw", "alice", "and")  # alone there
    assert called(alices().view(window=(2, 5)), every=True) == ("saw@2", "alice@3", "and@4")


def test_special_tokens_pieces_and_pairs_too() -> None:
    pair = random_inspection(tokens_of(["it", "##s"], pair=["##S", "ran"]), 2, 3, seed=1)
    shown = ("[CLS]", "it", "##s@2", "[SEP]@3", "##S@4", "ran", "[SEP]@6")
    assert called(pair.view(unit="piece")) == shown


def test_source_and_target_count_for_themselves() -> None:
    target, source = tokens_of(["es", "es"]), tokens_of(["it", "es", "it"])
    weights = np.full((1, 1, 4, 5), 0.2)
    view = cross_inspection_of(target, source, weights).view(window=(1, 3))
    assert called(view) == ("es@1", "es@2")
    assert called(view, "key") == ("[CLS]", "it@1", "es", "it@3", "[SEP]")


def test_a_phrase_that_occurs_again_has_the_index_of_its_first_word() -> None:
    text = ["the", "cat", "and", "The", "cat", "ran"]
    context = random_inspection(tokens_of(text), 2, 3, seed=1).view().context
    phrases = ("cat", "the cat", "the cat#2", "cat ran")
    found = [find_in(context, "key", name, find_phrase) for name in phrases]
    shown = [phrase_name(context, "key", phrase) for phrase in found]
    assert shown == ["cat@2", "the cat@1", "The cat@4", "cat ran"]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(["a", "A", "b", "ß", "SS", "é", "e\u0301", "동"]), min_size=1),
    st.data(),
)
def test_no_two_have_one_name_and_a_place_is_an_index(text: list[str], data: st.DataObject) -> None:
    inspection = random_inspection(tokens_of(text), 1, 1, seed=1)
    first = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(first + 1, len(text) + 2))
    for view in (
        inspection.view(),
        inspection.view(special=False),
        inspection.view(window=(first, end)),
    ):
        shown = called(view)
        folded = [unicodedata.normalize("NFC", name).casefold() for name in shown]
        assert len(set(folded)) == len(shown)
        for token, name in zip(view.tokens, shown, strict=True):
            word, place = parted(name)
            assert word == token.label
            if place:
                assert find_in(view.context, "query", place).token == token


def test_eight_thousand_tokens_are_named_once() -> None:
    view = random_inspection(tokens_of(["to", "be", "or"] * 2730), 1, 1, seed=1).view()
    assert called(view) is called(view)
    assert called(view)[:4] == ("[CLS]", "to@1", "be@2", "or@3")


@pytest.mark.parametrize(
    ("name", "width", "shown"),
    [
        ("Alice@12", 8, "Alice@12"),
        ("Alice@12", 10, "Alice@12  "),
        ("Alice@12", 6, "Al…@12"),
        ("Alice@12", 5, "A…@12"),
        ("Alice@12", 4, "Ali…"),
        ("동물은@3", 6, "동…@3 "),
        ("@@@12", 5, "@@@12"),
        ("@12", 2, "@…"),
    ],
)
def test_a_place_is_cut_last(name: str, width: int, shown: str) -> None:
    assert fit(name, width) == shown


ANSWERS: dict[str, Callable[[Inspection, Model], Any]] = {
    "overview": lambda i, m: attnviz.overview(i),
    "grid": lambda i, m: attnviz.word(i, query="ran"),
    "row": lambda i, m: attnviz.word(i, query="ran", head="L0H3"),
    "key": lambda i, m: attnviz.word(i, key="@3"),
    "pair": lambda i, m: attnviz.word(i, query="@1", key="@3"),
    "matrix": lambda i, m: attnviz.matrices(i, head="L0H3"),
    "find": lambda i, m: attnviz.find(i, "ran", "Alice", both=True),
    "compare": lambda i, m: attnviz.compare(i, m.inspect("Alice saw Bob and Alice ran."), "ran"),
    "changes": lambda i, m: attnviz.compare(i, m.inspect("Alice saw Bob and Alice ran.")),
    "explain": lambda i, m: attnviz.explain(i, "@3", 0, 3, model=m)[0],
    "why": lambda i, m: attnviz.why(i, "@3", "@1", "L1H3", model=m)[0],
    "ablate": lambda i, m: attnviz.ablate(i, "L0H3", model=m),
    "each": lambda i, m: attnviz.ablate_each(i, "Alice", model=m),
    "patch": lambda i, m: attnviz.patch(i, m.inspect(SAT), "L0H3", model=m, by="position"),
    "lines": lambda i, m: attnviz.links(i, "ran", head="L0H3"),
    "similar": lambda i, m: attnviz.similar(i.tokens.text, "Bob ran.", m),
}
BARE = re.compile(r"\b(?:alice|alic…|ali…|al…)(?!@)")
"""The name without a place, whole or cut."""


@pytest.fixture(scope="module")
def alice(minilm: Model) -> Inspection:
    return minilm.inspect(ALICE)


@pytest.mark.parametrize("name", ANSWERS)
def test_no_table_or_picture_calls_two_words_alike(
    name: str, alice: Inspection, minilm: Model
) -> None:
    answer = ANSWERS[name](alice, minilm)
    for width in (80, 200) if name in ("compare", "changes") else (40, 80, 200):
        stream = io.StringIO()
        Console(width=width, file=stream, color_system=None).print(attnviz.table(answer))
        told = re.sub(r"Alice saw .*", "", stream.getvalue())
        assert "@" in told
        assert not BARE.findall(told.casefold()), told
    if forms_of(answer).figure:
        figure = attnviz.figure(answer)
        said = [text.get_text() for text in figure.findobj(MatplotlibText)]
        told = "\n".join(text for text in said if "Alice saw" not in text).casefold()
        assert "alice@1" in told
        assert not BARE.findall(told), told


def test_a_notebook_tells_them_apart(alice: Inspection) -> None:
    html = alice.view()._repr_html_()
    assert "Alice@1" in html
    assert not BARE.findall(html.replace(ALICE, "").casefold())


def test_a_sentence_about_one_is_true_of_it_alone(alice: Inspection) -> None:
    why = strongest_link(alice.view(), 3).why(alice.view().context)
    assert 'in which "Alice@3" looks hardest at "' in why
    finding = attnviz.find(alice, "ran", "Alice")
    stream = io.StringIO()
    Console(width=200, file=stream, color_system=None).print(attnviz.table(finding))
    assert "how much ran looks at Alice@1" in stream.getvalue()
    assert '"Alice@1" is the strongest key of "ran" in none of 72 heads.' in stream.getvalue()
    rows = [alice.view().weights(*head.head)[6] for head in finding.heads]
    assert not any(row.argmax() == 1 for row in rows)
    assert any(row.argmax() == 5 for row in rows)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("##\u1169", "##ㅗ"),
        ("##\u11bc", "##ㅇ"),
        ("##\u1169\u11bc", "##ㅗㅇ"),
        ("\u1103", "\u1103"),  # a first consonant is drawn by itself
        ("\u1103\u1169\u11bc", "\u1103\u1169\u11bc"),  # a syllable, as one
        ("##\u1103\u1169", "##\u1103\u1169"),
        ("동물\u11a8", "동물\u11a8"),
        ("x\u11fe", "x\u115f\u11fe"),  # old Korean has no letter of its own
        ("동물은 is", "동물은 is"),
    ],
)
def test_pieces_of_syllables_are_not_drawn_over_others(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_pieces_of_korean_have_cells_of_their_own(minilm: Model) -> None:
    shown = names(View(minilm.inspect("동물은"), "piece").context, "key")
    assert shown[1:4] == ("\u1103", "##ㅗ", "##ㅇ")
    assert [cell_len(name) for name in shown[1:4]] == [2, 4, 4]
