"""Where words begin and end: the default word boundaries of the Unicode standard.

UAX #29, "Unicode Text Segmentation", section 4.1. The classes of characters come from the `regex`
package; the rules are written out here, because that package's own `(?w)` boundaries depart from
them in one official test case out of seven (regex 2026.11.15): it leaves the opening quotation mark
on 'apple' and a byte order mark on the first word, and cuts cafe + combining acute + 's apart.
"""

import re
from functools import cache

import regex

Span = tuple[int, int]

_PROPERTIES = {
    "A": "ALetter",
    "H": "Hebrew_Letter",
    "N": "Numeric",
    "K": "Katakana",
    "X": "ExtendNumLet",
    "L": "MidLetter",
    "M": "MidNum",
    "B": "MidNumLet",
    "Q": "Single_Quote",
    "D": "Double_Quote",
    "R": "Regional_Indicator",
    "S": "WSegSpace",
    "Z": "ZWJ",
    "E": "Extend",
    "F": "Format",
    "r": "CR",
    "l": "LF",
    "n": "Newline",
}
"""A letter for each value of Word_Break; P and p are pictographs (p: letters too), O the rest."""


class _Classes(dict[int, str]):
    """A table for `str.translate`, from a character to the letter of its class; fills itself."""

    def __missing__(self, code: int) -> str:
        match = _character_class().match(chr(code))
        found = (match.lastgroup if match else None) or "O"
        self[code] = found
        return found


_CLASSES = _Classes()


@cache
def _character_class() -> "regex.Pattern[str]":
    letters = [rf"(?P<{letter}>\p{{WB={name}}})" for letter, name in _PROPERTIES.items()]
    pictographs = [r"(?P<p>(?=\p{ExtPict})\p{WB=ALetter})", r"(?P<P>\p{ExtPict})"]
    return regex.compile("|".join(pictographs + letters))


@cache
def _segment() -> "re.Pattern[str]":
    """One segment of a text written in class letters; the numbers of the rules are UAX #29's."""
    marks = "[EFZ]*+"  # WB4
    letter = "[AHp]"
    middle = f"[LBQ]{marks}(?={letter})"  # WB6, WB7
    element = (
        f"(?:[Ap]{marks}(?:{middle})?+"  # WB5, WB9
        f"|H{marks}(?:{middle}|D{marks}(?=H)|(?!Q))"  # WB7b, WB7c
        f"|N{marks}(?:[MBQ]{marks}(?=N))?+)"  # WB8, WB10, WB11, WB12
    )
    katakana = f"(?:K{marks})++"  # WB13
    connectors = f"(?:X{marks})++"  # WB13a, WB13b
    quoted = f"H{marks}Q{marks}"  # WB7a
    word = (
        f"(?=[AHNKXp])(?:(?:{element}++|{katakana})?+{connectors})*+"
        f"(?:{element}++(?:{quoted})?+|{katakana}|{quoted})?+"
    )
    flag = f"R{marks}R{marks}"  # WB15, WB16
    segment = f"(?:{word}|rl|[rln]|S++{marks}|{flag}|.{marks})"  # WB3, WB3a, WB3b, WB3d, WB999
    return re.compile(f"{segment}(?:(?<=Z)(?=[Pp]){segment})*+")  # WB3c


def segments(text: str) -> list[Span]:
    """The text cut at every word boundary: words, punctuation and white space, without gaps."""
    return [match.span() for match in _segment().finditer(text.translate(_CLASSES))]


def word_spans(text: str) -> list[Span]:
    """The words and punctuation marks of a text, in order; white space is left out."""
    spans = [_stripped(text, start, end) for start, end in segments(text)]
    return [span for span in spans if span[0] < span[1]]


def _stripped(text: str, start: int, end: int) -> Span:
    """The span without white space at its ends (a joiner can bind a space to what follows)."""
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())
