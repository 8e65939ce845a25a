"""What was typed, as it is shown."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnviz.show.labels import visible


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
