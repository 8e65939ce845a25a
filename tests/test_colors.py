"""Colours: even steps in pictures, a colour a head, and strength in terminals of any ground."""

import io
from collections.abc import Callable
from typing import Any, Literal, cast

import numpy as np
import pytest
from matplotlib.colors import Colormap
from rich.color import Color
from rich.console import Console, RenderableType
from rich.style import Style
from rich.text import Text

import attnviz
from attnviz.inspection import Inspection
from attnviz.model import Model
from attnviz.show.figure.drawing import MOST_HEADS, head_colors, signed_colors, weight_colors
from attnviz.show.terminal.cells import Page, Tone, weight_style

OKLAB = np.array(
    [
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    ]
)
LMS = np.array(
    [
        (0.4122214708, 0.5363325363, 0.0514459929),
        (0.2119034982, 0.6806995451, 0.1073969566),
        (0.0883024619, 0.2817188376, 0.6299787005),
    ]
)


def oklab(colors: Colormap | np.ndarray) -> np.ndarray:
    """Colours, or the 256 of a scale, as (colour, lightness a b), by the published transform."""
    rgb = np.asarray(colors if isinstance(colors, np.ndarray) else colors(np.arange(256)))[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ LMS.T) @ OKLAB.T)


def test_equal_steps_of_weight_look_equally_large() -> None:
    steps = np.linalg.norm(np.diff(oklab(weight_colors()), axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.08)


def test_more_weight_is_always_darker_from_white_to_nearly_black() -> None:
    lightness = oklab(weight_colors())[:, 0]
    assert (np.diff(lightness) < 0).all()
    assert lightness[0] > 0.99
    assert lightness[-1] < 0.25


@pytest.mark.parametrize(("side", "sign"), [(slice(127, None, -1), -1), (slice(128, None), 1)])
def test_signed_numbers_go_from_white_to_a_dark_colour_of_their_own(side: slice, sign: int) -> None:
    """Blue below 0 and orange above, in even steps, darker the further from 0."""
    lab = oklab(signed_colors())[side]
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.09)  # a corner cuts one short
    assert (np.diff(lab[:, 0]) < 0).all()
    assert lab[0, 0] > 0.98
    assert (sign * lab[1:, 2] > 0).all()  # b, from blue to yellow


@pytest.mark.parametrize(
    ("count", "apart"), [(2, 0.3), (12, 0.18), (24, 0.13), (72, 0.07), (144, 0.05)]
)
def test_no_two_heads_have_one_colour(count: int, apart: float) -> None:
    """Pairwise distances in OKLab, where 0.02 is just noticeable; all show on white."""
    colors = head_colors(count)
    lab = oklab(colors)
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    assert distances[~np.eye(count, dtype=bool)].min() >= apart
    assert np.linalg.norm(lab - (1, 0, 0), axis=1).min() > 0.2
    np.testing.assert_array_equal(colors, head_colors(MOST_HEADS)[:count])


# Terminals: what is seen of a cell, on a light and on a dark ground


System = Literal["truecolor", "256", "standard"]
GROUNDS = ("#ffffff", "#000000")
PALETTES = {  # yellow, cyan and black of 16 colours, in some terminals and themes
    "xterm": ("#cdcd00", "#00cdcd", "#000000"),
    "Windows": ("#c19c00", "#3a96dd", "#0c0c0c"),
    "macOS": ("#999900", "#00a6b2", "#000000"),
    "GNOME": ("#a2734c", "#2aa1b3", "#171421"),
}


def rgb(*colors: str) -> np.ndarray:
    return np.array([Color.parse(one).get_truecolor() for one in colors]) / 255


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2."""
    parts = rgb(one, other)
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    dark, light = sorted(linear @ (0.2126, 0.7152, 0.0722) + 0.05)
    return float(light / dark)


def printed(answer: RenderableType, system: System | None, width: int = 80) -> Text:
    """What a terminal with these colours receives."""
    stream = io.StringIO()
    plain: dict[str, Any] = {"force_terminal": True, "highlight": False, "legacy_windows": False}
    Console(file=stream, width=width, color_system=system, **plain).print(answer)
    return Text.from_ansi(stream.getvalue())


def cell(weight: float, tone: Tone, system: System) -> Style:
    """The style of a cell, as it reaches the terminal."""
    text = printed(Page(lambda *_: [Text(".68", style=weight_style(weight, tone))]), system)
    styles = [span.style for span in text.spans if isinstance(span.style, Style)]
    return Style.combine([Style(), *styles])


def color_of(color: Color) -> str:
    return color.get_truecolor().hex


@pytest.mark.parametrize("system", ["truecolor", "256", "standard"])
@pytest.mark.parametrize("tone", ["warm", "cool"])
def test_more_weight_is_never_less_strong_on_any_ground(system: System, tone: Tone) -> None:
    """Dim, plain, bold, filled; and each fill further from the ground than the one before."""
    styles = [cell(weight, tone, system) for weight in np.linspace(0, 1, 41)]
    for ground in GROUNDS:
        strengths = []
        for style in styles:
            strength = -1.0 if style.dim else 1.0 if style.bold else 0.0
            if style.bgcolor is not None:
                fill = oklab(rgb(color_of(style.bgcolor), ground))
                strength = 2 + float(np.linalg.norm(fill[0] - fill[1]))
            strengths.append(strength)
        assert (np.diff(strengths) >= -0.0005).all()
        assert (strengths[0], strengths[2], strengths[10] >= 1) == (-1, 0, True)
        assert strengths[-1] - strengths[10] >= 0.01  # the first fill, and the last


@pytest.mark.parametrize("system", ["truecolor", "256"])
@pytest.mark.parametrize("tone", ["warm", "cool"])
def test_numbers_in_filled_cells_can_be_read(system: System, tone: Tone) -> None:
    """WCAG 2.2 AA; other numbers are in the terminal's own ink on its own ground."""
    for weight in np.linspace(0, 1, 41):
        style = cell(weight, tone, system)
        if style.bgcolor is None:
            assert style.color is None
        else:
            assert style.color is not None
            assert contrast(color_of(style.color), color_of(style.bgcolor)) >= 4.5
            assert min(contrast(color_of(style.bgcolor), ground) for ground in GROUNDS) >= 2.5


@pytest.mark.parametrize("palette", PALETTES)
def test_with_16_colours_numbers_are_black_on_yellow_or_cyan(palette: str) -> None:
    yellow, cyan, black = PALETTES[palette]
    for tone, fill in (("warm", 3), ("cool", 6)):
        style = cell(0.9, cast("Tone", tone), "standard")
        assert str(style) == f"color(0) on color({fill})"
    assert min(contrast(fill, black) for fill in (yellow, cyan)) >= 4.39  # GNOME's brown yellow


def twin(inspection: Inspection, model: Model) -> Inspection:
    return model.inspect(inspection.tokens.text.replace("tired", "wide"))


TABLES: dict[str, Callable[[Inspection, Model], Any]] = {
    "overview": lambda i, m: attnviz.overview(i),
    "grid": lambda i, m: attnviz.word(i, query="it"),
    "rows": lambda i, m: attnviz.word(i, query="it", layer=3),
    "pair": lambda i, m: attnviz.word(i, query="it", key="animal"),
    "matrix": lambda i, m: attnviz.matrices(i, head="L3H1"),
    "find": lambda i, m: attnviz.find(i, "it", "animal"),
    "holding": lambda i, m: attnviz.holding([attnviz.find(i, "it", "animal")] * 3),
    "compare": lambda i, m: attnviz.compare(i, m.inspect("It was too wide."), "it"),
    "explain": lambda i, m: attnviz.explain(i, "it", 3, 1, model=m)[0],
    "why": lambda i, m: attnviz.why(i, "it", "animal", "L1H1", model=m)[0],
    "ablate": lambda i, m: attnviz.ablate(i, "L3H1", model=m),
    "each": lambda i, m: attnviz.ablate_each(i, "it", model=m),
    "patch": lambda i, m: attnviz.patch(i, twin(i, m), "L3H1", "it", m, by="position"),
    "patch each": lambda i, m: attnviz.patch(i, twin(i, m), None, "it", m),
    "patch many": lambda i, m: attnviz.patch_twins([(i.tokens.text, twin(i, m).tokens.text)], "it"),
    "similar": lambda i, m: attnviz.similar(i.tokens.text, "We sing 12 songs.", m),
    "similar each": lambda i, m: attnviz.similar_each(i.tokens.text, "We sing.", model=m),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_legend_stands_wherever_there_are_colours(
    name: str, animal: Inspection, minilm: Model
) -> None:
    table = attnviz.table(TABLES[name](animal, minilm))
    for width in (40, 80, 200):
        for system, hues in (("truecolor", ("orange", "blue")), ("standard", ("yellow", "cyan"))):
            text = printed(table, cast("System", system), width)
            styles = [span.style for span in text.spans if isinstance(span.style, Style)]
            colored = any(style.bgcolor or style.color for style in styles)
            legends = [line for line in text.plain.splitlines() if any(hue in line for hue in hues)]
            assert len(legends) == colored, text.plain
            assert all(len(line) <= width for line in legends)
        assert "orange" not in printed(table, None, width).plain
