"""Which fonts have a sentence's characters, and what to install if none has them.

DejaVu Sans comes with matplotlib. Hangul needs NanumGothic from koreanize-matplotlib, which is not
imported, as it would change matplotlib's global settings. Searching installed fonts is slow: last.
"""

import importlib.util
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from matplotlib import font_manager
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font

from attnviz.errors import listed
from attnviz.inspection import Context
from attnviz.show.figure.language import letters
from attnviz.show.labels import names, visible
from attnviz.show.wording import texts

BASE_FAMILY = "DejaVu Sans"
KOREAN_FAMILY = "NanumGothic"
CHARACTERS_LISTED = 12  # missing characters that a message lists at most

# families that matplotlib carries for formulas, and for boxes in place of missing characters
_NOT_FOR_TEXT = ("Last Resort", "STIXNonUnicode", "STIXSize", "cm")

_EAST_ASIAN = ("CJK", "HANGUL", "HIRAGANA", "KATAKANA", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH")


@dataclass(frozen=True)
class FontChoice:
    """Families in the order to try them, the characters none has, and families to install."""

    families: tuple[str, ...]
    missing: tuple[str, ...]
    install: tuple[str, ...]

    @property
    def message(self) -> str | None:
        """What to tell the user; None if every character can be drawn."""
        if not self.missing:
            return None
        characters = listed(self.missing, CHARACTERS_LISTED, " ")
        hint = f" (try: install the font {' and '.join(self.install)})" if self.install else ""
        return f"no installed font has {characters}: drawn as a box{hint}"


def missing_glyphs(context: Context) -> str | None:
    """A note on characters that no installed font has; None if there are none."""
    return font_families(texts_of(context)).message


def texts_of(context: Context) -> list[str]:
    """Every text that pictures show, as it is shown."""
    shown = [context.model.title, *(said.text for said in texts(context))]
    return [*map(visible, shown), *names(context, "query"), *names(context, "key")]


def font_families(texts: Iterable[str]) -> FontChoice:
    """The families that together have the characters of the texts, as far as possible."""
    return _choose(frozenset(filter(_needs_glyph, frozenset().union(*texts, letters()))))


@contextmanager
def only(families: Iterable[str]) -> Iterator[None]:
    """Inside, matplotlib chooses among these families and DejaVu Sans: for each size of letters it
    would go through all fonts that are installed.
    """
    manager, wanted = font_manager.fontManager, {BASE_FAMILY, *families}
    every = manager.ttflist
    manager.ttflist = [entry for entry in every if entry.name in wanted]
    try:
        yield
    finally:
        manager.ttflist = every


def _needs_glyph(character: str) -> bool:
    """Whether a reader would miss it: not spaces, joiners and variation selectors."""
    if character.isascii() or character.isspace() or "VARIATION SELECTOR" in _name(character):
        return False
    return unicodedata.category(character) != "Cf"


@lru_cache(maxsize=64)
def _choose(characters: frozenset[str]) -> FontChoice:
    families = [BASE_FAMILY]
    missing = characters - _had_by(_file_of(BASE_FAMILY), characters)
    if missing and _add_korean() and _had_by(_file_of(KOREAN_FAMILY), missing) == missing:
        families.append(KOREAN_FAMILY)
        missing = frozenset()
    if missing:
        found, lacking = _search(missing)
        if lacking and _add_new_fonts():
            found, lacking = _search(missing)
        families += found
        missing = lacking
    return FontChoice(tuple(families), tuple(sorted(missing)), _helpful(missing))


def _search(missing: frozenset[str]) -> tuple[list[str], frozenset[str]]:
    """Families to add, the most useful first, and the characters that stay missing."""
    had = {family: _had_by(path, missing) for family, path in _installed().items()}
    locale = _east_asian_locale(missing)

    def rank(family: str) -> tuple[object, ...]:
        """Most characters first; then what looks best beside DejaVu Sans."""
        ornate = "Serif" in family or "Mono" in family
        gained, other_locale = len(had[family] & missing), not family.endswith(locale)
        return -gained, other_locale, ornate, not family.startswith("Noto Sans"), family

    found: list[str] = []
    while had:
        best = min(had, key=rank)
        gained = had.pop(best) & missing
        if not gained:
            break
        # the family's name must lead matplotlib to a file that has them too
        gained &= _had_by(_file_of(best), gained)
        if gained:
            found.append(best)
            missing -= gained
    return found, missing


def _east_asian_locale(characters: Iterable[str]) -> str:
    """The locale of a text: Han characters look different in Japanese, Korean and Chinese."""
    names = " ".join(map(_name, characters))
    if "HIRAGANA" in names or "KATAKANA" in names:
        return "JP"
    return "KR" if "HANGUL" in names else "SC"


def _installed() -> dict[str, str]:
    """Each installed family with the file of its plainest face."""
    plainest: dict[str, tuple[int, str]] = {}
    for entry in font_manager.fontManager.ttflist:
        if entry.style != "normal" or entry.name.startswith(_NOT_FOR_TEXT):
            continue
        weight = entry.weight
        if not isinstance(weight, int):
            weight = font_manager.weight_dict.get(weight, 400)
        face = abs(weight - 400), entry.fname
        plainest[entry.name] = min(face, plainest.get(entry.name, face))
    return {family: path for family, (_, path) in sorted(plainest.items())}


@cache
def _add_korean() -> bool:
    """Register NanumGothic with matplotlib; False if its package is not installed."""
    spec = importlib.util.find_spec("koreanize_matplotlib")
    if spec is None or spec.origin is None:
        return False
    folder = Path(spec.origin).parent / "fonts"
    return _add_fonts(folder / f"{KOREAN_FAMILY}{weight}.ttf" for weight in ("", "Bold"))


def _add_new_fonts() -> bool:
    """Register fonts installed after matplotlib made its list; whether there are any."""
    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    return _add_fonts(map(Path, sorted(set(font_manager.findSystemFonts()) - known)))


def _add_fonts(paths: Iterable[Path]) -> bool:
    added = False
    for path in paths:
        try:
            font_manager.fontManager.addfont(path)
        except (OSError, RuntimeError, NotImplementedError):
            continue  # gone, damaged, or made of bitmaps, which matplotlib cannot draw
        added = True
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


def _helpful(missing: frozenset[str]) -> tuple[str, ...]:
    """Free fonts likely to have the characters, without those already installed."""
    helpful: dict[str, None] = {}
    for character in sorted(missing):
        if _name(character).startswith(_EAST_ASIAN):
            helpful[f"Noto Sans CJK {_east_asian_locale(missing)}"] = None
        elif unicodedata.category(character) in ("So", "Sk", "Sm"):
            helpful["Symbola"] = None  # outlines; matplotlib cannot draw colour emoji
        else:
            helpful["Noto Sans"] = None
    installed = {entry.name for entry in font_manager.fontManager.ttflist} if missing else set()
    return tuple(family for family in helpful if family not in installed)
