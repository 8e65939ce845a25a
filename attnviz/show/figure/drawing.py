"""What the pictures share: look, colours, files. No pyplot, no global state; inches throughout."""

import io
import logging
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from attnviz.errors import RequestError
from attnviz.inspection import Context
from attnviz.show.figure import set_unchecked
from attnviz.show.figure.fonts import font_families, only, texts_of
from attnviz.show.forms import STYLE, Colours

FigureFormat = Literal["png", "svg", "pdf"]
FORMATS: dict[str, FigureFormat] = {".png": "png", ".svg": "svg", ".pdf": "pdf"}  # by suffix

DPI = 200
INK, MUTED, FAINT = "#1b1b1f", "#6e6e76", "#d9d9de"
BLANK = "#e9e9ed"  # the ground where there is no number: where a query may not look
MARGIN = 0.15

CREATOR = "attnviz"
_NOISY = ("matplotlib.font_manager", "fontTools.subset")

_LOOK: dict[Any, Any] = {
    "text.parse_math": False,  # `$` in a token is a letter
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "svg.fonttype": "none",  # text stays text: it can be selected and searched
    "svg.hashsalt": CREATOR,
    "pdf.fonttype": 42,
    "pdf.compression": 6,
}


@contextmanager
def drawing(families: Sequence[str] = ()) -> Iterator[None]:
    """Inside, matplotlib has attnviz's look; `fonts.missing_glyphs` reports missing glyphs."""
    with matplotlib.rc_context(), warnings.catch_warnings(), only(families):
        set_unchecked(_usual())
        matplotlib.rcParams.update(_LOOK)
        matplotlib.rcParams["font.sans-serif"] = ["DejaVu Sans"]
        if families:
            matplotlib.rcParams["font.family"] = [*families, "sans-serif"]
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        # messages on stderr that do not help: a family without a bold face, font tables
        loggers = [logging.getLogger(name) for name in _NOISY]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _usual() -> dict[Any, Any]:
    """What `matplotlib.rcdefaults` sets, which reads all styles that there are before it does."""
    usual = matplotlib.rcParamsDefault.items()
    return {name: value for name, value in usual if name != "backend"}


@contextmanager
def drawing_of(context: Context) -> Iterator[None]:
    """`drawing` with the fonts that the texts need."""
    with drawing(font_families(texts_of(context)).families):
        yield


def blank(width: float, height: float) -> Figure:
    """An empty figure, its size in inches a whole number of pixels."""
    return Figure(figsize=(round(width * DPI) / DPI, round(height * DPI) / DPI), dpi=DPI)


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place measured in inches from the figure's upper left corner."""
    across, down = figure.get_size_inches()
    box = (left / across, 1 - (top + height) / down, width / across, height / down)
    return figure.add_axes(box)


def text_width(text: str, size: float, bold: bool = False) -> float:
    """How wide a text is in the fonts of the enclosing `drawing`, in inches."""
    return _text_width(text, size, bold, tuple(matplotlib.rcParams["font.family"]))


@lru_cache(maxsize=4096)
def _text_width(text: str, size: float, bold: bool, families: tuple[str, ...]) -> float:
    weight = "bold" if bold else "normal"
    properties = FontProperties(family=list(families), size=size, weight=weight)
    width, _, _ = _renderer().get_text_width_height_descent(text, properties, ismath=False)
    return float(width) / DPI


def widest(texts: Sequence[str], size: float, bold: bool = False) -> float:
    """The width of the widest of the texts, in inches."""
    return max((text_width(text, size, bold) for text in texts), default=0.0)


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Lines of whole words, each at most so wide, in inches, if its words allow that."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or text_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


@lru_cache(maxsize=1)
def _renderer() -> Any:
    make: Any = RendererAgg  # untyped in matplotlib
    return make(1, 1, DPI)


def format_of(path: Path) -> FigureFormat:
    """The form that a file's suffix names; RequestError for an unknown one."""
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise RequestError(
            f"{path} does not say in which form to draw", "end its name in .png, .svg or .pdf"
        ) from None


def write_figure(figure: Figure, stream: BinaryIO, format: FigureFormat) -> None:
    """Write the figure, with text that can be selected; the same figure gives the same bytes."""
    metadata: dict[str, dict[str, str | None]] = {
        "svg": {"Creator": CREATOR, "Date": None},
        "pdf": {"Creator": CREATOR, "CreationDate": None},
    }
    texts: Any = figure.findobj(Text)
    with drawing(list(dict.fromkeys(one for text in texts for one in text.get_fontfamily()))):
        if format != "png":
            about = metadata[format]
            figure.savefig(stream, format=format, dpi=DPI, facecolor="white", metadata=about)
            return
        write_pixels(_drawn(figure), stream)


def _drawn(figure: Figure) -> Image.Image:
    """What a figure shows."""
    pixels, before = io.BytesIO(), figure.dpi
    try:
        figure.dpi = DPI
        figure.savefig(pixels, format="rgba", dpi=DPI, facecolor="white")
        size = figure.canvas.get_width_height(physical=True)
    finally:
        figure.dpi = before
    return Image.frombuffer("RGBA", size, pixels.getvalue())


def write_pixels(pixels: Image.Image, stream: BinaryIO) -> None:
    """Write an opaque picture as PNG, compressed so far as it takes little time."""
    about = PngInfo()
    about.add_text("Software", CREATOR)
    pixels.convert("RGB").save(
        stream,
        "png",
        pnginfo=about,
        dpi=(DPI, DPI),
        compress_level=4,  # 6, the usual one, takes a third longer to save a hundredth
        compress_type=zlib.Z_DEFAULT_STRATEGY,
    )


_MARKS = (
    (b"\x89PNG\r\n\x1a\n", re.compile(rb"tEXtSoftware\x00attnviz")),
    (b"<?xml", re.compile(rb"<cc:Agent>\s*<dc:title>attnviz</dc:title>")),
    (b"%PDF-", re.compile(rb"/Creator \(attnviz\)")),
)


def written_by_attnviz(path: Path) -> bool:
    """Whether `write_figure` wrote the picture, so that it may be replaced; may raise OSError."""
    span = 1 << 16
    with path.open("rb") as stream:
        head = stream.read(span)
        stream.seek(max(len(head), stream.seek(0, 2) - span))
        content = head + stream.read()
    return any(head.startswith(magic) and mark.search(content) for magic, mark in _MARKS)


def weight_colors() -> Colormap:
    """White through orange and red to nearly black: even steps in OKLab, in print and grey too; or
    black to white, where the style's colours are grey.
    """
    return _weight_colors(STYLE.get().colours)


@cache
def _weight_colors(colours: Colours) -> Colormap:
    stops = "#fdfdfd #fcd8a8 #faa868 #ee7551 #d2495d #a72f6c #71246c #3d1c57 #141030"
    stops = "black white" if colours == "grey" else stops
    return LinearSegmentedColormap.from_list(f"attnviz-{colours}", stops.split())


def ink_on(share: float) -> str:
    """The colour of a number in a cell whose colour is so far, from 0 to 1, along the scale."""
    dark = share < 0.5 if STYLE.get().colours == "grey" else share > 0.45
    return "white" if dark else INK


def ground() -> tuple[str, str]:
    """The colour where there is no number, as a query may not look there, and its name."""
    return ("#b5dfb8", "green") if STYLE.get().colours == "grey" else (BLANK, "grey")


@cache
def signed_colors() -> Colormap:
    """White for nothing, through orange to brown above 0, through blue below: even steps too."""
    stops = "#0a3f86 #2a70b6 #66a1d8 #aacfef #fafafa #f1caa5 #e59658 #c9652a #9a3b1b"
    return LinearSegmentedColormap.from_list("attnviz-signed", stops.split())


HEADS_APART, MOST_HEADS = 24, 144
"""Up to how many heads have colours that are told apart at a glance, and at all."""

# Björn Ottosson, "A perceptual color space for image processing", 2020: linear sRGB -> cones -> Lab
_TO_CONES = np.array(
    [
        (0.4122214708, 0.5363325363, 0.0514459929),
        (0.2119034982, 0.6806995451, 0.1073969566),
        (0.0883024619, 0.2817188376, 0.6299787005),
    ]
)
_TO_LAB = np.array(
    [
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    ]
)


@cache
def head_colors(count: int) -> np.ndarray:
    """A colour for each head, (head, rgb): each the one furthest from all before it, in OKLab.

    Neither so pale nor so dark that it could not be seen; 24 are 0.13 apart, 72 are 0.07. More
    heads leave the first ones their colours.
    """
    levels = np.linspace(0, 1, 16)
    every = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    linear = np.where(every <= 0.04045, every / 12.92, ((every + 0.055) / 1.055) ** 2.4)
    lab = np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T
    seen = (lab[:, 0] >= 0.35) & (lab[:, 0] <= 0.8) & (np.hypot(lab[:, 1], lab[:, 2]) >= 0.05)
    every, lab = every[seen], lab[seen]
    chosen = [int(np.argmin(np.abs(every - (0.2, 0.4, 0.7333)).sum(axis=1)))]  # begin with a blue
    away = np.linalg.norm(lab - lab[chosen[0]], axis=1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(away.round(6))))  # the first of equals on any processor
        away = np.minimum(away, np.linalg.norm(lab - lab[chosen[-1]], axis=1))
    found: np.ndarray = every[chosen]
    return found
