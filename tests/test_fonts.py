import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from shown import heatmap

from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model
from attnviz.show.figure import fonts
from attnviz.show.figure.drawing import write_figure
from attnviz.show.figure.fonts import FontChoice, font_families, missing_glyphs, texts_of

NOWHERE = "\U0010fffd"
"""A private-use character at the very end of Unicode, which no font has."""


@pytest.fixture
def own_fonts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is installed: only what comes with attnviz, and the paths that a test adds."""
    system: list[str] = []
    families = {"DejaVu Sans", "NanumGothic"}
    listed = [face for face in font_manager.fontManager.ttflist if face.name in families]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", listed)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: list(system))
    fonts._choose.cache_clear()
    return system


def build_font(path: Path, family: str, characters: str) -> str:
    """A font whose every glyph is the same square."""
    pen = TTGlyphPen(None)
    for x, y in ((0, 0), (500, 0), (500, 500), (0, 500)):
        (pen.lineTo if (x or y) else pen.moveTo)((x, y))
    pen.closePath()
    square = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap(dict.fromkeys(map(ord, characters), "square"))
    builder.setupGlyf({".notdef": square, "square": square})
    builder.setupHorizontalMetrics({".notdef": (600, 0), "square": (600, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return str(path)


def test_latin_greek_hebrew_and_arabic_need_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_installed", lambda: pytest.fail("searched"))
    choice = font_families(["naïve “Ωμέγα” Привет", "שלום مرحبا \u200d\ufe0f\u00a0"])
    assert choice == FontChoice(("DejaVu Sans",), (), ())
    assert choice.message is None


def test_hangul_works_out_of_the_box_without_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_installed", lambda: pytest.fail("searched"))
    choice = font_families(["그 동물은 너무 지쳐서 길을 건너지 않았다."])
    assert choice == FontChoice(("DejaVu Sans", "NanumGothic"), (), ())


def test_the_korean_package_is_used_without_running_its_code() -> None:
    script = (
        "import sys; from matplotlib import rcParams\n"
        "looks = lambda: (rcParams['font.family'], rcParams['axes.unicode_minus'])\n"
        "before = looks()\n"
        "from attnviz.show.figure.fonts import font_families\n"
        "assert 'NanumGothic' in font_families(['동물']).families\n"
        "assert looks() == before\n"
        "sys.exit('koreanize_matplotlib' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_missing_characters_are_named_once_in_order(own_fonts: list[str]) -> None:
    choice = font_families([f"b{NOWHERE}🦊", "🦊 a"])
    assert choice.missing == ("🦊", NOWHERE)
    assert choice.message is not None
    assert choice.message.count("🦊") == 1


@pytest.mark.parametrize(
    ("text", "fonts"),
    [
        ("𠀀", ("Noto Sans CJK SC",)),
        ("नमस्ते", ("Noto Sans",)),
        ("🦊", ("Symbola",)),
        ("🦊 𠀀", ("Symbola", "Noto Sans CJK SC")),
    ],
)
def test_the_hint_names_fonts(own_fonts: list[str], text: str, fonts: tuple[str, ...]) -> None:
    choice = font_families([text])
    assert set(choice.install) == set(fonts)
    assert choice.message is not None
    assert f"install the font {' and '.join(choice.install)}" in choice.message


def test_many_missing_characters_are_counted(own_fonts: list[str]) -> None:
    choice = font_families(["".join(chr(0x20000 + i) for i in range(50))])
    assert len(choice.missing) == 50
    assert choice.message is not None
    assert "and 38 more" in choice.message


def test_a_font_installed_after_matplotlib_listed_its_fonts_is_found(
    own_fonts: list[str], tmp_path: Path
) -> None:
    own_fonts.append(build_font(tmp_path / "late.ttf", "Late Font", NOWHERE))
    choice = font_families([f"a{NOWHERE}"])
    assert choice == FontChoice(("DejaVu Sans", "Late Font"), (), ())


def test_a_font_that_is_there_and_does_not_help_is_not_suggested(
    own_fonts: list[str], tmp_path: Path
) -> None:
    own_fonts.append(build_font(tmp_path / "symbola.ttf", "Symbola", "🎉"))
    choice = font_families(["🎉🦊"])
    assert (choice.families, choice.missing) == (("DejaVu Sans", "Symbola"), ("🦊",))
    assert choice.install == ()


def test_few_fonts_are_preferred_to_many_and_the_text_s_language_decides(
    own_fonts: list[str], tmp_path: Path
) -> None:
    han = "\u4eca\U00020000"
    for family, characters in (
        ("Only One", "\U00020000"),
        ("Noto Sans CJK JP", han + "\u3042"),
        ("Noto Sans CJK SC", han + "\u3042"),
    ):
        path = tmp_path / f"{family}.ttf"
        own_fonts.append(build_font(path, family, characters))
    assert font_families([han]).families == ("DejaVu Sans", "Noto Sans CJK SC")
    assert font_families([f"{han}\u3042"]).families == ("DejaVu Sans", "Noto Sans CJK JP")


def test_a_damaged_font_file_is_passed_over(own_fonts: list[str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"not a font")
    own_fonts.append(str(broken))
    assert font_families([NOWHERE]).missing == (NOWHERE,)


def test_a_view_tells_what_its_pictures_lack(minilm: Model, animal: Inspection) -> None:
    assert missing_glyphs(animal.view().context) is None
    message = missing_glyphs(minilm.inspect(f"hi {NOWHERE} \x1b[31m").view().context)
    assert message is not None
    assert NOWHERE in message
    assert "\x1b" not in message


def test_a_picture_chooses_among_its_own_fonts(
    minilm: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager: Any = font_manager.fontManager
    judged, installed = set(), list(fonts._installed())
    score = type(manager).score_family

    def watched(self: Any, families: list[str], family: str) -> float:
        judged.add(family)
        return float(score(self, families, family))

    view = minilm.inspect("the animal").view()
    font_families(texts_of(view.context))
    manager._findfont_cached.cache_clear()
    monkeypatch.setattr(type(manager), "score_family", watched)
    write_figure(heatmap(view, [HeadId(3, 1)]), io.BytesIO(), "png")
    assert judged == {"DejaVu Sans"}
    assert list(fonts._installed()) == installed
