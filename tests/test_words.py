"""Word boundaries against the rules of UAX #29, read one by one, and its own test cases."""

from functools import cache
from itertools import pairwise

import pytest
import regex
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attnviz.text.spans import segments, word_spans

LETTER = {"ALetter", "Hebrew_Letter"}
MID_LETTER = {"MidLetter", "MidNumLet", "Single_Quote"}
MID_NUMBER = {"MidNum", "MidNumLet", "Single_Quote"}
IGNORED = {"Extend", "Format", "ZWJ"}
NEWLINE = {"CR", "LF", "Newline"}
CONNECTED = LETTER | {"Numeric", "Katakana", "ExtendNumLet"}
CLASSES = [
    *sorted(CONNECTED | MID_LETTER | MID_NUMBER | IGNORED | NEWLINE),
    *("Double_Quote", "Regional_Indicator", "WSegSpace"),
]

ALPHABET = (
    "aé가①ℹⓂאב0٣_\u203fアー:·\u0589,;.\u2024\u2019'\"🇰🇷🇫 \u3000\n\r\x0b\u2028"
    "\u0301\U0001f3fd\ufe0f\u200c\u00ad\u2060\u0600\u200d❤👩©㎏我ก-$\t\x00"
)


@cache
def word_break(character: str) -> str:
    return next((c for c in CLASSES if regex.match(rf"\p{{WB={c}}}", character)), "Other")


def breaks(text: str, at: int) -> bool:
    """Whether the standard's rules, taken in their order, put a boundary before `text[at]`."""
    before, after = word_break(text[at - 1]), word_break(text[at])
    if (before, after) == ("CR", "LF"):  # WB3
        return False
    if before in NEWLINE or after in NEWLINE:  # WB3a, WB3b
        return True
    if before == "ZWJ" and regex.match(r"\p{ExtPict}", text[at]):  # WB3c
        return False
    if before == after == "WSegSpace":  # WB3d
        return False
    if after in IGNORED:  # WB4
        return False
    left = [c for i, c in enumerate(map(word_break, text[:at])) if not ignored(text, i)]
    right = [c for i, c in enumerate(map(word_break, text)) if i >= at and not ignored(text, i)]
    return breaks_between(["sot", "sot", *left][-2:], [*right, "eot"][:2], left)


def ignored(text: str, i: int) -> bool:
    """WB4: marks count as part of what they follow, but not at the start of a text or line."""
    if word_break(text[i]) not in IGNORED:
        return False
    while i > 0 and word_break(text[i]) in IGNORED:
        i -= 1
    return word_break(text[i]) not in IGNORED | NEWLINE


def breaks_between(left: list[str], right: list[str], all_left: list[str]) -> bool:
    (second, first), (after, following) = left, right
    flags = 0
    while flags < len(all_left) and all_left[-1 - flags] == "Regional_Indicator":
        flags += 1
    joined = (
        (first in LETTER and after in LETTER)  # WB5
        or (first in LETTER and after in MID_LETTER and following in LETTER)  # WB6
        or (second in LETTER and first in MID_LETTER and after in LETTER)  # WB7
        or (first == "Hebrew_Letter" and after == "Single_Quote")  # WB7a
        or (first == following == "Hebrew_Letter" and after == "Double_Quote")  # WB7b
        or (second == after == "Hebrew_Letter" and first == "Double_Quote")  # WB7c
        or (first in LETTER | {"Numeric"} and after == "Numeric")  # WB8, WB9
        or (first == "Numeric" and after in LETTER)  # WB10
        or (second == after == "Numeric" and first in MID_NUMBER)  # WB11
        or (first == following == "Numeric" and after in MID_NUMBER)  # WB12
        or (first == after == "Katakana")  # WB13
        or (first in CONNECTED and after == "ExtendNumLet")  # WB13a
        or (first == "ExtendNumLet" and after in CONNECTED)  # WB13b
        or (after == "Regional_Indicator" and flags % 2 == 1)  # WB15, WB16
    )
    return not joined


def by_the_rules(text: str) -> list[tuple[int, int]]:
    cuts = [0, *(at for at in range(1, len(text)) if breaks(text, at)), len(text)]
    return list(pairwise(cuts)) if text else []


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in segments(text)]


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(st.text(st.sampled_from(ALPHABET), max_size=9))
def test_segments_follow_the_rules(text: str) -> None:
    # "9.", a joiner and a pictograph: the library joins all three, the rules only the last two
    assume(not regex.search(r"\u200d\p{ExtPict}", text))
    assert segments(text) == by_the_rules(text)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(max_size=40))
def test_segments_of_any_text_leave_no_gap(text: str) -> None:
    assert "".join(cut(text)) == text
    assert all(cut(text))


@pytest.mark.parametrize(
    "line",
    [  # from the Unicode character database, auxiliary/WordBreakTest.txt, version 15.0
        "0041 × 005F × 0030 × 005F × 3031 × 005F",
        "0061 ÷ 1F1E6 × 1F1E7 × 200D ÷ 1F1E8 ÷ 0062",
        "0061 ÷ 1F1E6 × 200D × 1F1E7 ÷ 1F1E8 ÷ 0062",
        "0061 ÷ 1F1E6 × 1F1E7 ÷ 1F1E8 × 1F1E9 ÷ 0062",
        "1F476 × 1F3FF × 0308 × 200D × 1F476 × 1F3FF",
        "0061 × 0027 × 2060 × 0308 × 0061 ÷ 0027 × 2060",
        "0061 ÷ 0027 × 2060 × 0308 ÷ 0031 ÷ 002E × 2060",
        "0031 × 002E × 2060 × 0308 × 0031 ÷ 002E × 2060",
        "0061 × 2060 × 0308 ÷ 000D",
        "002E × 0308 ÷ 1F1E6",
        "0061 × 005F × 0061 ÷ 002E ÷ 002C ÷ 0061",
        "0022 × 0308 ÷ 0061 ÷ 0027 × 2060",
        "1F1E6 × 0308 ÷ 0061 ÷ 0027 × 2060",
        "1F1E6 ÷ 003A",
        "0300 ÷ 0061 ÷ 003A",
        "0300 × 0308 ÷ 1F1E6",
        "00AD ÷ 0031 ÷ 002C",
        "0061 × 0027 × 0308 × 0061 ÷ 003A",
    ],
)
def test_official_cases(line: str) -> None:
    parts = [part.replace("×", " ").split() for part in line.split("÷")]
    expected = ["".join(chr(int(code, 16)) for code in part) for part in parts]
    assert cut("".join(expected)) == expected


def test_white_space_is_left_out() -> None:
    text = " The cat,\u3000\t'it'\n"
    assert [text[start:end] for start, end in word_spans(text)] == [
        *("The", "cat", ",", "'", "it", "'"),
    ]
    assert word_spans(" \r\n") == ()


def test_long_texts_take_time_in_proportion() -> None:
    for text in ("a'", "א'", 'א"', "\u200d❤", "\u0301", "🇰", "_a", "1,"):
        assert segments(text * 50_000)[-1][1] == len(text) * 50_000
