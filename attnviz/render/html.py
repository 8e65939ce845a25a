"""What a notebook shows of an inspection: one piece of HTML that needs nothing else.

No script, no style sheet, no address: inline styles and pictures inside the text. Letters keep the
notebook's own colour and shades are transparent, so that light and dark pages serve alike.
"""

import base64
import html
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from attnviz.analysis.strongest import HeadLink, strongest_of
from attnviz.analysis.summary import HeadSummary, Summary, summaries
from attnviz.inspection import HeadId, View
from attnviz.render.labels import visible
from attnviz.tokens import Token

COLOUR = (237, 137, 33)
"""The one colour, more or less opaque: an orange that stands out on white and on black."""

LEVELS = 16
"""Shades in a thumbnail."""

THUMBNAIL = 44
"""Pixels of a thumbnail's side on the page."""

LINKS_SEARCHED = 8
"""Links of each head among which the one for the sentence below is sought."""

EXCERPT = 60
"""Tokens of a long text that the sentence below the heads shows, around the word that looks."""

_QUIET = "opacity:.65"
_CELL = "padding:2px;border:none;text-align:center;background:none"


def view_html(view: View) -> str:
    """An inspection as a notebook shows it: the model, all heads, and one strong link."""
    found = list(summaries(view, top=LINKS_SEARCHED))
    shares = view.measured.shares
    largest = 1.0 if shares else max(float(weights.max()) for _, weights in found) or 1.0
    pictures = {
        summary.head: _picture(view, summary, weights / largest) for summary, weights in found
    }
    parts = [_header(view), _heads(view, pictures)]
    link = strongest_of(view, Summary(tuple(summary for summary, _ in found)))
    if link is not None:
        parts.append(_sentence(view, link, largest))
    body = "".join(parts)
    return f'<div style="font-family:sans-serif;line-height:1.5;overflow-x:auto">{body}</div>'


def _text(text: str) -> str:
    return html.escape(visible(text), quote=True)


def _header(view: View) -> str:
    inspection, model = view.inspection, view.model
    mark = "" if model.trained else _untrained()
    sentences = (inspection.tokens.text, inspection.tokens.pair)
    lines = "".join(f"<div>{_text(line)}</div>" for line in sentences if line is not None)
    shape = (
        f"{model.num_layers} layers × {model.num_heads} heads · "
        f"d_model {model.d_model} · d_k {model.d_k}"
    )
    return (
        f'<div><b>{_text(model.name)}</b>{mark} <span style="{_QUIET}">{shape}</span></div>{lines}'
        f'<div style="{_QUIET};font-size:85%">{_text(view.measured.line)}</div>'
    )


def _untrained() -> str:
    return ' <b style="background:#f5d742;color:#000;padding:0 .4em">UNTRAINED</b>'


def _heads(view: View, pictures: dict[HeadId, str]) -> str:
    """All heads as small pictures, layers down, heads across; layers alone, side by side."""
    if view.measured.per_head:
        rows = [_row("", [f"H{head}" for head in range(view.num_heads)])]
        for layer in view.inspection.recorded:
            heads = [HeadId(layer, head) for head in range(view.num_heads)]
            rows.append(_row(f"L{layer}", [pictures[head] for head in heads]))
    else:
        rows = [_row("", list(map(str, pictures))), _row("", list(pictures.values()))]
    place = view.places.removesuffix("s")
    caption = f"each square a {place}: rows look (queries), columns are looked at (keys)"
    return (
        '<table style="border-collapse:collapse;margin:.6em 0;border:none;color:inherit">'
        f"{''.join(rows)}</table>"
        f'<div style="{_QUIET};font-size:85%">{caption}</div>'
    )


def _row(name: str, cells: Sequence[str]) -> str:
    inside = "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells)
    return f'<tr style="background:none"><td style="{_CELL};{_QUIET}">{name}</td>{inside}</tr>'


def _picture(view: View, head: HeadSummary, shades: np.ndarray) -> str:
    """A head as a small picture; its tooltip says what the head does."""
    said = f"{head.head} · {head.kind} · {head.entropy:.1f} bits"
    if head.links:
        link = head.links[0]
        said += f" · {_text(link.query.label)} → {_text(link.key.label)} "
        said += view.measured.number(link.weight)
    data = base64.b64encode(thumbnail(shades)).decode("ascii")
    return (
        f'<img alt="{said}" title="{said}" width="{THUMBNAIL}" height="{THUMBNAIL}" '
        'style="image-rendering:pixelated;border:1px solid rgba(128,128,128,.35);margin:0" '
        f'src="data:image/png;base64,{data}">'
    )


def thumbnail(shades: np.ndarray) -> bytes:
    """A PNG with a pixel a number, opaque where it is 1, clear where it is 0."""
    pixels = np.rint(np.clip(shades, 0, 1) * (LEVELS - 1)).astype(np.uint8)
    down, across = pixels.shape
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    opacity = bytes(level * 255 // (LEVELS - 1) for level in range(LEVELS))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", across, down, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(COLOUR) * LEVELS),
        (b"tRNS", opacity),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _sentence(view: View, found: HeadLink, largest: float) -> str:
    """The sentence, each word shaded by how much the link's query looks at it."""
    link, measured = found.link, view.measured
    row = view.query(link.query.index)[found.head.layer, found.head.place]
    first = max(0, min(link.query.index - EXCERPT // 2, len(row) - EXCERPT))
    shown = view.tokens[first : first + EXCERPT]
    words = " ".join(
        _word(
            token,
            measured.number(float(row[token.index])),
            float(row[token.index]) / largest,
            token == link.query,
        )
        for token in shown
    )
    before, after = "… " if first else "", " …" if first + EXCERPT < len(row) else ""
    query, key = _text(link.query.label), _text(link.key.label)
    return (
        f'<div style="margin-top:.6em">In <b>{found.head}</b>, <b>{query}</b> looks at '
        f"<b>{key}</b>: {measured.number(link.weight)}</div>"
        f'<div style="line-height:2">{before}{words}{after}</div>'
    )


def _word(token: Token, told: str, shade: float, looks: bool) -> str:
    red, green, blue = COLOUR
    outline = ";outline:1px solid currentColor" if looks else _quiet_special(token)
    return (
        f'<span title="{told}" style="padding:.15em .3em;border-radius:.2em{outline};'
        f'background:rgba({red},{green},{blue},{shade:.2f})">{_text(token.label)}</span>'
    )


def _quiet_special(token: Token) -> str:
    return f";{_QUIET}" if token.special else ""
