"""How the roles of heads look in tables and pictures: a letter each, and a colour."""

from typing import NamedTuple

from attnviz.answers.survey import UNKNOWN


class Look(NamedTuple):
    """A role's letter, and its colour: light enough for black letters on it."""

    letter: str
    colour: str


LOOKS: dict[str, Look] = {
    "delimiter": Look("D", "#b9b9bd"),
    "no-op": Look("O", "#93939b"),
    "broadcast": Look("C", "#d8c46e"),
    "positional": Look("X", "#9a92dc"),
    "itself": Look("I", "#45b088"),
    "previous": Look("P", "#6098d8"),
    "next": Look("N", "#84ccf0"),
    "same word": Look("W", "#eca440"),
    "syntactic": Look("S", "#e2733f"),
    "punctuation": Look("U", "#c98bd0"),
    "local": Look("L", "#66bfb2"),
    "block": Look("K", "#d0789a"),
    "broad": Look("B", "#efe27e"),
    UNKNOWN: Look("·", "#ffffff"),
}
"""By name. Colours of roles that are near to each other are too, and letters tell all apart."""


def look_of(role: str) -> Look:
    """The letter and the colour of a role, known or not."""
    return LOOKS.get(role, Look(role[:1].upper(), "#d9d9de"))
