"""Which fonts have the characters of a sentence, and what to install if none has them.

DejaVu Sans comes with matplotlib and has Latin, Greek, Cyrillic, Hebrew, Arabic and more. Hangul is
drawn with NanumGothic from the package koreanize-matplotlib, whose code is never imported: it would
change matplotlib's global settings. Installed fonts are searched only for what both lack, since
that takes a moment.
"""

import importlib.util
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from matplotlib import font_manager
from matplotlib.font_manager import FontEntry, FontProperties
from matplotlib.ft2font import FT2Font

from attnviz.inspection import Context
from attnviz.show.labels import visible
from attnviz.show.wording import texts

BASE_FAMILY = "DejaVu Sans"
KOREAN_FAMILY = "NanumGothic"

CHARACTERS_TOLD = 12
"""How many missing characters a message lists at most."""

_NOT_FOR_TEXT = ("Last Resort", "STIXNonUnicode", "STIXSize", "cm")
"""Families that matplotlib carries for formulas, and for boxes in place of missing characters."""

_EAST_ASIAN = ("CJK", "HANGUL", "HIRAGANA", "KATAKANA", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH")


@dataclass(frozen=True)
class FontChoice:
    """Font families in the order to try them, the characters that none of them has, and a hint.

    `package` names the Debian package to install, and is empty where none is known to help.
    """

    families: tuple[str, ...]
    missing: tuple[str, ...]
    package: str

    @property
    def message(self) -> str | None:
        """What to tell the user; None if every character can be drawn."""
        if not self.missing:
            return None
        told = " ".join(self.missing[:CHARACTERS_TOLD])
        more = len(self.missing) - CHARACTERS_TOLD
        told += f" and {more} more" if more > 0 else ""
        what = f"no installed font has {told}: drawn as a box"
        return f"{what} (try: apt-get install {self.package})" if self.package else what


def missing_glyphs(context: Context) -> str | None:
    """A note on characters that no installed font has; None if there are none."""
    return font_families(texts_of(context)).message


def texts_of(context: Context) -> list[str]:
    """Every text that pictures show, as it is shown."""
    shown = [context.model.title, *(said.text for said in texts(context))]
    shown += [token.label for token in (*context.tokens, *context.keys)]
    return [visible(part) for part in shown]


def font_families(texts: Iterable[str]) -> FontChoice:
    """The families that together have the characters of the texts, as far as possible."""
    characters = frozenset().union(*texts)
    return _choose(frozenset(filter(_needs_glyph, characters)))


def _needs_glyph(character: str) -> bool:
    """Whether a reader would miss it: not spaces, joiners and variation selectors."""
    if character.isascii() or character.isspace() or "VARIATION SELECTOR" in _name(character):
        return False
    return unicodedata.category(character) != "Cf"


@lru_cache(maxsize=64)
def _choose(characters: frozenset[str]) -> FontChoice:
    families = [BASE_FAMILY]
    missing = characters - _had_by(_file_of(BASE_FAMILY), characters)
    if missing and _add_korean():
        had = _had_by(_file_of(KOREAN_FAMILY), missing)
        if had == missing:
            families.append(KOREAN_FAMILY)
            missing -= had
    if missing:
        found, lacking = _search(missing, _installed())
        if lacking and _add_new_fonts():
            found, lacking = _search(missing, _installed())
        families += found
        missing = lacking
    ordered = tuple(sorted(missing))
    return FontChoice(tuple(families), ordered, _package(ordered))


def _search(missing: frozenset[str], faces: dict[str, str]) -> tuple[list[str], frozenset[str]]:
    """Families to add, the most useful first, and the characters that stay missing."""
    had = {family: _had_by(path, missing) for family, path in faces.items()}
    locale = _east_asian_locale(missing)
    found: list[str] = []
    while had:
        best = min(had, key=lambda family: (-len(had[family] & missing), _taste(family, locale)))
        gained = had.pop(best) & missing
        if not gained:
            break
        # the family's name must lead matplotlib to a file that has them too
        gained &= _had_by(_file_of(best), gained)
        if gained:
            found.append(best)
            missing -= gained
    return found, missing


def _taste(family: str, locale: str) -> tuple[bool, bool, bool, str]:
    """A sort key: which of the families with the same characters looks best beside DejaVu Sans."""
    return (
        not family.endswith(locale),
        "Serif" in family or "Mono" in family,
        not family.startswith("Noto Sans"),
        family,
    )


def _east_asian_locale(characters: Iterable[str]) -> str:
    """The locale of a text: Han characters look different in Japanese, Korean and Chinese."""
    names = " ".join(_name(character) for character in characters)
    if "HIRAGANA" in names or "KATAKANA" in names:
        return "JP"
    return "KR" if "HANGUL" in names else "SC"


def _installed() -> dict[str, str]:
    """Each installed family with the file of its plainest face."""
    plainest: dict[str, tuple[tuple[int, str], str]] = {}
    for entry in font_manager.fontManager.ttflist:
        if entry.style != "normal" or entry.name.startswith(_NOT_FOR_TEXT):
            continue
        rank = (abs(_weight(entry) - 400), entry.fname)
        if entry.name not in plainest or rank < plainest[entry.name][0]:
            plainest[entry.name] = (rank, entry.fname)
    return {family: path for family, (_, path) in sorted(plainest.items())}


def _weight(entry: FontEntry) -> int:
    if isinstance(entry.weight, int):
        return entry.weight
    return font_manager.weight_dict.get(entry.weight, 400)


@cache
def _add_korean() -> bool:
    """Register NanumGothic with matplotlib; False if its package is not installed."""
    spec = importlib.util.find_spec("koreanize_matplotlib")
    if spec is None or spec.origin is None:
        return False
    folder = Path(spec.origin).parent / "fonts"
    regular, bold = (folder / f"{KOREAN_FAMILY}{weight}.ttf" for weight in ("", "Bold"))
    if not regular.is_file():
        return False
    for path in (regular, bold):
        if path.is_file():
            font_manager.fontManager.addfont(path)
    return True


def _add_new_fonts() -> int:
    """Register fonts installed after matplotlib made its list; return how many there were."""
    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    added = 0
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        try:
            font_manager.fontManager.addfont(path)
        except (OSError, RuntimeError, NotImplementedError):
            continue  # damaged, or made of bitmaps, which matplotlib cannot draw
        added += 1
    return added


def _file_of(family: str) -> str:
    return font_manager.findfont(FontProperties(family=[family]))


def _had_by(path: str, characters: frozenset[str]) -> frozenset[str]:
    try:
        face = FT2Font(path)
    except (OSError, RuntimeError):
        return frozenset()  # listed, but damaged or gone
    return frozenset(char for char in characters if face.get_char_index(ord(char)))


def _name(character: str) -> str:
    return unicodedata.name(character, "")


def _package(missing: tuple[str, ...]) -> str:
    """The Debian packages likely to have the characters, without those already installed."""
    families = {entry.name for entry in font_manager.fontManager.ttflist} if missing else set()
    packages: dict[str, None] = {}
    for character in missing:
        package, family = _package_for(character)
        if not any(name.startswith(family) for name in families):
            packages[package] = None
    return " ".join(packages)


def _package_for(character: str) -> tuple[str, str]:
    """A Debian package whose fonts matplotlib can draw, and a family that shows it is installed."""
    if _name(character).startswith(_EAST_ASIAN):
        return "fonts-noto-cjk", "Noto Sans CJK"
    if unicodedata.category(character) in ("So", "Sk", "Sm"):
        return "fonts-symbola", "Symbola"  # outlines; matplotlib cannot draw colour emoji
    return "fonts-noto-core", "Noto Sans Devanagari"
