"""How a weight looks in the terminal: its digits, and colours that read on light and dark alike.

A filled cell sets foreground and background together, so that the terminal's own theme does not
matter. Both ramps start at a greyish colour of middle lightness, as near to black as to white, and
grow vivid: seven steps in OKLCH, warm from (0.56, 0.06, 55) to (0.77, 0.17, 62), cool from
(0.55, 0.03, 250) to (0.66, 0.10, 240).
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

from rich.color import Color
from rich.style import Style

from attnviz.attention.measures import Measure

Tone = Literal["warm", "cool"]
"""Warm: what a head finds by content. Cool: what it finds by place, or a special token.

Of changes, warm are those to more, and cool those to less.
"""

RAMPS: dict[Tone, tuple[str, ...]] = {
    "warm": ("#906b52", "#a37250", "#b57a4c", "#c88146", "#da883e", "#ed9032", "#ff971e"),
    "cool": ("#657383", "#64798f", "#63809b", "#6086a6", "#5d8db2", "#5993be", "#549ac9"),
}

TINTS: dict[Tone, str] = {"warm": "#b7743d", "cool": "#5c85a8"}
"""Letters of weights too small for a background."""

QUIET_BELOW = 0.05
"""Weights below are dim: they are there, and they are not what one looks for."""

TINTED_FROM = 0.15
FILLED_FROM = 0.25
"""Weights from here on have a background."""

FULL_FROM = 0.8
"""Weights from here on share the last colour of the ramp."""

STRONG_FROM = 0.5
"""A key that takes half of a query's attention, or more, is strong; half of a Scale's largest."""

PLAIN = Style()
BOLD = Style(bold=True)
DIM = Style(dim=True)
MARKER = "▸"
"""What shows the strongest without colour."""


@dataclass(frozen=True)
class Scale:
    """How the numbers of one look are shown: beside 1 for shares, else beside their largest.

    So are shares that are all next to nothing, as in a long text. `largest` has the strongest
    colour. Digits are multiples of `unit`, a power of ten that is 1 unless three cells could not
    tell the numbers apart.
    """

    largest: float = 1.0
    unit: float = 1.0

    @classmethod
    def of(cls, measured: Measure, largest: float) -> "Scale":
        """The scale for numbers of this measure, the largest of which is `largest`."""
        if not largest > 0 or (measured.shares and largest >= SMALLEST_SHARE):
            return SHARES
        readable = SMALLEST_READABLE <= largest < LARGEST_READABLE
        return cls(largest, 1.0 if readable else 10.0 ** math.floor(math.log10(largest)))

    @property
    def note(self) -> str:
        """What to say of the unit, or nothing."""
        return "" if self.unit == 1 else f"numbers are multiples of {self.unit:g}"

    def text(self, weight: float) -> str:
        """A number in three cells."""
        return weight_text(weight / self.unit)

    def style(self, weight: float, tone: Tone = "warm", bold: bool = False) -> Style:
        """The style of a cell that holds this number."""
        return weight_style(weight / self.largest, tone, bold)

    def strong(self, weight: float) -> bool:
        """Whether a number is at least half of the largest possible, or shown."""
        return weight >= STRONG_FROM * self.largest


SMALLEST_READABLE, LARGEST_READABLE = 0.1, 999.5
SMALLEST_SHARE = 0.01
SHARES = Scale()


def weight_text(weight: float) -> str:
    """A number in three cells: `.68`, `1.0`, ` 38`, and a dot for what rounds to zero."""
    if weight < 0.005:
        return "  ·"
    if weight >= 0.995:
        return f"{weight:.1f}" if weight < 9.95 else f"{weight:3.0f}"
    return f"{weight:.2f}"[1:]


def percent(share: float) -> str:
    """A share of attention as `41%`."""
    return f"{share:.0%}"


def weight_style(weight: float, tone: Tone = "warm", bold: bool = False) -> Style:
    """The style of a cell that holds this weight."""
    if weight < QUIET_BELOW:
        return BOLD if bold else DIM
    if weight < FILLED_FROM:
        return _tinted(tone if weight >= TINTED_FROM else None, bold)
    place = (weight - FILLED_FROM) / (FULL_FROM - FILLED_FROM)
    steps = len(RAMPS[tone])
    return _filled(RAMPS[tone][min(int(place * steps), steps - 1)], bold)


@cache
def _tinted(tone: Tone | None, bold: bool) -> Style:
    return Style(color=None if tone is None else TINTS[tone], bold=bold or None)


@cache
def _filled(background: str, bold: bool) -> Style:
    return Style(color=_ink(background), bgcolor=background, bold=bold or None)


def _ink(background: str) -> str:
    """Black or white, whichever contrasts more (WCAG relative luminance above or below 0.18)."""
    channels = Color.parse(background).get_truecolor()
    linear = [((part / 255 + 0.055) / 1.055) ** 2.4 for part in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.18 else "#ffffff"
