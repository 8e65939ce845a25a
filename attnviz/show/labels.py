"""What tokens are called wherever they are shown: told apart, marked if unknown, escaped."""

import re
import unicodedata
from functools import lru_cache
from operator import add
from typing import TYPE_CHECKING

from attnviz import errors
from attnviz.text.spans import folded

if TYPE_CHECKING:
    from attnviz.answers.align import Alignment
    from attnviz.answers.select import Phrase
    from attnviz.inspection import Context
    from attnviz.inspection.context import Role

UNKNOWN = "?"  # Stands before a word that the model reads as unknown: as text, in every font
BLANK = "␣"  # What a token of nothing but white space is called

FILLER = "\u115f"  # Stands for the first consonant of a Korean syllable that has none

_JAMO = re.compile(
    r"""
    (?P<whole> (?: [\u1100-\u115f\ua960-\ua97c][\u1160-\u11a7\ud7b0-\ud7c6] | [\uac00-\ud7a3] )
               [\u1160-\u11ff\ud7b0-\ud7fb]* )
    | (?P<part> [\u1160-\u11ff\ud7b0-\ud7fb] )
    """,
    re.VERBOSE,
)
"""A syllable that is drawn as one; or a vowel or final consonant, which are drawn on what precedes.
"""

_PLACE = re.compile(r"(?<=.)@[0-9]+\*?\Z", re.DOTALL)


@lru_cache(maxsize=8)
def names(context: "Context", role: "Role", every: bool = False) -> tuple[str, ...]:
    """What the queries, or the keys, are called: each by its label, escaped; `?` if it is unknown.

    Where another has the same, and if `every` one should, with the index by which `--query @1` asks
    for it: `Alice@1`.
    """
    from attnviz.answers.select import places_of

    tokens = context.tokens if role == "query" else context.keys
    plain = (
        UNKNOWN * token.unknown + (visible(token.label) if token.label.strip() else BLANK)
        for token in tokens
    )
    return tuple(map(add, plain, places_of(context, role, every)))


def percent(share: float) -> str:
    """As in `68%`; `<1%` for what is little but not nothing."""
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def visible(text: str) -> str:
    """The text as `errors.visible` has it, and without letters that are drawn over those before.

    So are pieces of Korean syllables, as in `##ᅩ`: a vowel or final consonant after anything but
    the rest of its syllable becomes the letter that is written alone, `##ㅗ`.
    """
    shown = errors.visible(text)
    if shown.isascii():
        return shown
    return _JAMO.sub(lambda found: found["whole"] or _alone(found["part"]), shown)


def _alone(jamo: str) -> str:
    name = re.sub("(JUNG|JONG)SEONG", "LETTER", unicodedata.name(jamo, ""))
    try:
        return unicodedata.lookup(name)
    except KeyError:  # of old Korean
        return f"{FILLER}{jamo}"


def phrase_name(context: "Context", role: "Role", phrase: "Phrase") -> str:
    """What a phrase is called: as its token; several tokens by their text, as typed.

    Where the same words stand elsewhere too, with the index of the first: `the street@5`.
    """
    first, count = phrase.token.index, len(phrase.tokens)
    if count == 1:
        return names(context, role)[first]
    tokens = context.tokens if role == "query" else context.keys
    read = [folded(token.label) for token in tokens]
    runs = (read[start : start + count] for start in range(len(read)))
    repeated = sum(run == read[first : first + count] for run in runs) > 1
    _, place = parted(names(context, role, every=True)[first])
    unknown = any(token.unknown for token in phrase.tokens)
    return UNKNOWN * unknown + visible(phrase.text) + (place if repeated else "")


def aligned_names(words: "Alignment", role: "Role") -> tuple[str, ...]:
    """What aligned words are called: as in A, or as in B where A has none; both where they differ,
    as in `tired→wide`.
    """
    a, b = names(words.a, role), names(words.b, role)
    called = []
    for column in words.of(role):
        both = [] if column.a is None else [a[column.a.index]]
        both += [] if column.b is None else [b[column.b.index]]
        called.append(both[0] if column.same else "→".join(both))
    return tuple(called)


def parted(name: str) -> tuple[str, str]:
    """A name, and the place at its end, as in `@5`, which stays whole where the name is cut."""
    place = _PLACE.search(name)
    return (name, "") if place is None else (name[: place.start()], place[0])
