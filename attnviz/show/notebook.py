"""An inspection as self-contained HTML for a notebook; its shades suit light and dark pages."""

import base64
import html
import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from attnviz.answers.overview import HeadSummary, Overview
from attnviz.answers.page import Page
from attnviz.answers.word import Pair
from attnviz.inspection import Context, HeadId
from attnviz.show import forms
from attnviz.show.labels import names, visible
from attnviz.show.wording import (
    MAY_NOT,
    PURPOSE,
    Said,
    role_name,
    texts,
    unknown_legend,
    whose,
    window_told,
)
from attnviz.text.tokens import Token

THUMBNAIL = 44  # Pixels of a thumbnail's longer side on the page
NARROWEST = 14  # Pixels of its shorter side, at least
TABLE_WIDTH = 100  # Columns of an answer's table
LETTERS = 600  # Letters of a long text that the header shows
EXCERPT = 60  # Tokens of a long text that the sentence below the heads shows

COLOUR = (237, 137, 33)  # The one colour: an orange that stands out on white and on black
LEVELS = 16  # Shades, from clear to opaque
GREY, VEIL = (128, 128, 128), 56  # Where a query may not look: the colour, and its opacity of 255

_QUIET = "opacity:.65"
_WARNING = "background:#f5d742;color:#000;padding:0 .4em"
_FRAME = "width:100%;height:760px;border:1px solid rgba(128,128,128,.35);resize:vertical"
_CELL = "padding:2px;border:none;text-align:center;background:none"


def overview_html(overview: Overview, pair: Pair | None) -> str:
    """The model, all heads as small pictures (which `overview` has), and one link with its row."""
    context, heads = overview.context, overview.heads
    largest = 1.0
    if not context.measured.shares:
        largest = max(float(np.nanmax(one)) for one in overview.pictures.values()) or 1.0
    pictures = {
        one.head: _picture(context, one, overview.pictures[one.head] / largest) for one in heads
    }
    masked = any(np.isnan(one).any() for one in overview.pictures.values())
    parts = [_header(context), _heads(context, pictures), _caption(context, masked)]
    sinks = [one.sink for one in heads if one.sink is not None]
    if sinks:
        share = sum(sinks) / len(sinks)
        remark = f"on average, {share:.0%} goes to the model's sink, which is no token"
        parts.append(_remark(remark))
    if pair is not None:
        parts.append(_sentence(pair, largest))
    body = "".join(parts)
    return f'<div style="font-family:sans-serif;line-height:1.5;overflow-x:auto">{body}</div>'


def _text(text: str) -> str:
    return html.escape(visible(text), quote=True)


def _header(context: Context) -> str:
    model = context.model
    mark = "" if model.trained else f' <b style="{_WARNING}">UNTRAINED</b>'
    shape = (
        f"{model.num_layers} layers × {model.num_heads} heads · "
        f"d_model {model.d_model} · d_k {model.d_k}"
    )
    shape += "" if model.dtype == "float32" else f" · computed in {model.dtype}"
    return (
        f'<div><b>{_text(model.name)}</b>{mark} <span style="{_QUIET}">{_text(shape)}</span></div>'
        f"{_remark(whose(context))}{''.join(map(_line, texts(context)))}"
        f"{_remark(unknown_legend(context))}{_remark(window_told(context))}{_remark(context.measured.line)}"
    )


def _line(said: Said) -> str:
    """A text, after its name if it has one; of a long one the beginning, or the window's part."""
    first, end = said.span or (0, len(said.text))
    last = min(end, first + LETTERS)
    before, after = "…" if first else "", "…" if last < len(said.text) else ""
    name = f'<span style="{_QUIET}">{_text(said.name)}: </span>' if said.name else ""
    return f"<div>{name}{before}{_text(said.text[first:last])}{after}</div>"


def _remark(text: str) -> str:
    return f'<div style="{_QUIET};font-size:85%">{_text(text)}</div>' if text else ""


def _heads(context: Context, pictures: Mapping[HeadId, str]) -> str:
    """All heads as small pictures, layers down, heads across; layers alone, side by side."""
    if context.measured.per_head:
        rows = [_row("", [f"H{head}" for head in range(context.num_heads)])]
        for layer in context.recorded:
            heads = [HeadId(layer, head) for head in range(context.num_heads)]
            rows.append(_row(f"L{layer}", [pictures[head] for head in heads]))
    else:
        rows = [_row("", list(map(str, pictures))), _row("", list(pictures.values()))]
    return (
        '<table style="border-collapse:collapse;margin:.6em 0;border:none;color:inherit">'
        f"{''.join(rows)}</table>"
    )


def _caption(context: Context, masked: bool) -> str:
    place = context.places.removesuffix("s")
    if context.is_cross_attention:
        queries, keys = role_name(context, "query"), role_name(context, "key")
        return _remark(f"each picture a {place}: rows are {queries}, columns {keys}; {PURPOSE}")
    grey = f"; grey: {MAY_NOT}" if masked else ""
    rows = "rows look (queries), columns are looked at (keys)"
    return _remark(f"each square a {place}: {rows}{grey}")


def _row(name: str, cells: Sequence[str]) -> str:
    inside = "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells)
    return f'<tr style="background:none"><td style="{_CELL};{_QUIET}">{name}</td>{inside}</tr>'


def _picture(context: Context, head: HeadSummary, shades: np.ndarray) -> str:
    """A head as a small picture; its tooltip says what the head does."""
    title = f"{head.head} · {head.kind} · {head.entropy:.1f} bits"
    if head.links:
        queries, keys = names(context, "query"), names(context, "key")
        link = head.links[0]
        title += f" · {queries[link.query.index]} → {keys[link.key.index]} "
        title += context.measured.number(link.weight)
    title = _text(title)
    data = base64.b64encode(thumbnail(shades)).decode("ascii")
    longest = max(len(context.tokens), len(context.keys))
    width, height = (
        max(NARROWEST, round(THUMBNAIL * len(tokens) / longest))
        for tokens in (context.keys, context.tokens)
    )
    return (
        f'<img alt="{title}" title="{title}" width="{width}" height="{height}" '
        'style="image-rendering:pixelated;border:1px solid rgba(128,128,128,.35);margin:0" '
        f'src="data:image/png;base64,{data}">'
    )


def thumbnail(shades: np.ndarray) -> bytes:
    """A PNG of a few hundred bytes, a pixel a number: opaque at 1, clear at 0, grey for NaN."""
    levels = np.rint(np.clip(shades, 0, 1) * (LEVELS - 1))
    pixels = np.nan_to_num(levels, nan=LEVELS).astype(np.uint8)
    image = Image.fromarray(pixels).convert("P")
    image.putpalette(bytes(COLOUR) * LEVELS + bytes(GREY))
    opacity = bytes(level * 255 // (LEVELS - 1) for level in range(LEVELS))
    stream = io.BytesIO()
    image.save(stream, "png", transparency=opacity + bytes([VEIL]))
    return stream.getvalue()


def _sentence(pair: Pair, largest: float) -> str:
    """The text that is looked at, each word shaded by how much the query looks at it."""
    context, measured, query, key = pair.context, pair.context.measured, pair.query, pair.key
    row, allowed = pair.word.weights[0], pair.word.allowed[0]
    middle = key.index if context.is_cross_attention else query.index
    first = max(0, min(middle - EXCERPT // 2, len(row) - EXCERPT))
    queries, keys = (list(map(_text, names(context, role))) for role in ("query", "key"))
    words = []
    for token in context.keys[first : first + EXCERPT]:
        number = float(row[token.index])
        title = measured.number(number) if allowed[token.index] else MAY_NOT
        looks = not context.is_cross_attention and token == query
        words.append(_word(token, keys[token.index], title, number / largest, looks))
    before, after = "… " if first else "", " …" if first + EXCERPT < len(row) else ""
    return (
        f'<div style="margin-top:.6em">In <b>{pair.heads[0]}</b>, <b>{queries[query.index]}</b> '
        f"looks at <b>{keys[key.index]}</b>: {measured.number(float(row[key.index]))}</div>"
        f'<div style="line-height:2">{before}{" ".join(words)}{after}</div>'
    )


def _word(token: Token, name: str, title: str, shade: float, looks: bool) -> str:
    red, green, blue = COLOUR
    style = ";outline:1px solid currentColor" if looks else f";{_QUIET}" * token.special
    return (
        f'<span title="{_text(title)}" style="padding:.15em .3em;border-radius:.2em{style};'
        f'background:rgba({red},{green},{blue},{shade:.2f})">{name}</span>'
    )


def table_html(answer: object) -> str:
    """The table of an answer as text with inline colours."""
    from rich.console import Console

    console = Console(record=True, width=TABLE_WIDTH, file=io.StringIO(), color_system="truecolor")
    console.print(forms.table(answer))
    style = "font-family:monospace;line-height:1.3;overflow-x:auto;color:inherit;background:none"
    return console.export_html(
        inline_styles=True, code_format=f'<pre style="{style}">{{code}}</pre>'
    )


def page_html(page: Page) -> str:
    """A page in a frame, whose script can neither read nor change the notebook."""
    from attnviz.show.page.document import html_of

    whole = html.escape(html_of(page), quote=True)
    title = _text(f"attnviz: {page.contexts[page.state.text].key_text.text[:LETTERS]}")
    return (
        f'<iframe title="{title}" sandbox="allow-scripts allow-downloads" '
        f'allow="clipboard-write" style="{_FRAME}" srcdoc="{whole}"></iframe>'
    )
