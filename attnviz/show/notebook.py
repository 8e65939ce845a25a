"""What a notebook shows of an inspection: one piece of HTML that needs nothing else.

No script, no style sheet, no address: inline styles and pictures inside the text. Letters keep the
notebook's own colour and shades are transparent, so that light and dark pages serve alike.
"""

import base64
import html
import math
from collections.abc import Sequence

from attnviz.answers.masks import allowed, allowed_blocks
from attnviz.answers.strongest import HeadLink, strongest_of
from attnviz.answers.summary import POOLED, HeadSummary, Summary, summaries
from attnviz.inspection import HeadId, View
from attnviz.show.labels import visible
from attnviz.show.thumbnail import COLOUR, thumbnail
from attnviz.show.wording import (
    MAY_NOT,
    PURPOSE,
    Said,
    role_name,
    texts,
    whose,
    window_told,
)
from attnviz.text.tokens import Token

THUMBNAIL = 44
"""Pixels of a thumbnail's longer side on the page."""

NARROWEST = 14
"""Pixels of its shorter side, at least."""

LINKS_SEARCHED = 8
"""Links of each head among which the one for the sentence below is sought."""

LETTERS = 600
"""Letters of a long text that the header shows."""

EXCERPT = 60
"""Tokens of a long text that the sentence below the heads shows, around the word that looks."""

_QUIET = "opacity:.65"
_CELL = "padding:2px;border:none;text-align:center;background:none"


def view_html(view: View) -> str:
    """An inspection as a notebook shows it: the model, all heads, and one strong link."""
    found = list(summaries(view, top=LINKS_SEARCHED))
    shares = view.measured.shares
    largest = 1.0 if shares else max(float(weights.max()) for _, weights in found) or 1.0
    counts = len(view.tokens), len(view.keys)
    steps = math.ceil(counts[0] / POOLED), math.ceil(counts[1] / POOLED)
    seen = {layer: allowed_blocks(view, layer, steps) for layer in view.inspection.recorded}
    pictures = {
        summary.head: _picture(
            view, summary, thumbnail(weights / largest, seen[summary.head.layer])
        )
        for summary, weights in found
    }
    masked = any(one is not None for one in seen.values())
    parts = [_header(view), _heads(view, pictures), _caption(view, masked)]
    sinks = [summary.sink for summary, _ in found if summary.sink is not None]
    if sinks:
        share = sum(sinks) / len(sinks)
        parts.append(
            _remark(f"on average, {share:.0%} goes to the model's sink, which is no token")
        )
    link = strongest_of(view, Summary(tuple(summary for summary, _ in found)))
    if link is not None:
        parts.append(_sentence(view, link, largest))
    body = "".join(parts)
    return f'<div style="font-family:sans-serif;line-height:1.5;overflow-x:auto">{body}</div>'


def _text(text: str) -> str:
    return html.escape(visible(text), quote=True)


def _header(view: View) -> str:
    model = view.model
    mark = "" if model.trained else _untrained()
    shape = (
        f"{model.num_layers} layers × {model.num_heads} heads · "
        f"d_model {model.d_model} · d_k {model.d_k}"
    )
    shape += "" if model.dtype == "float32" else f" · computed in {model.dtype}"
    return (
        f'<div><b>{_text(model.name)}</b>{mark} <span style="{_QUIET}">{shape}</span></div>'
        f"{_remark(whose(view.context))}{''.join(map(_line, texts(view.context)))}"
        f"{_remark(window_told(view.context))}{_remark(view.measured.line)}"
    )


def _line(said: Said) -> str:
    """A text, behind its name if it has one; of a long one the beginning, or the window's part."""
    first, end = said.span or (0, len(said.text))
    last = min(end, first + LETTERS)
    before, after = "…" if first else "", "…" if last < len(said.text) else ""
    name = f'<span style="{_QUIET}">{said.name}: </span>' if said.name else ""
    return f"<div>{name}{before}{_text(said.text[first:last])}{after}</div>"


def _remark(text: str) -> str:
    """A quiet line, for what there is to say."""
    return f'<div style="{_QUIET};font-size:85%">{_text(text)}</div>' if text else ""


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
    return (
        '<table style="border-collapse:collapse;margin:.6em 0;border:none;color:inherit">'
        f"{''.join(rows)}</table>"
    )


def _caption(view: View, masked: bool) -> str:
    """What the small pictures are."""
    place = view.context.places.removesuffix("s")
    if view.is_cross_attention:
        queries, keys = role_name(view.context, "query"), role_name(view.context, "key")
        return _remark(f"each picture a {place}: rows are {queries}, columns {keys}; {PURPOSE}")
    grey = f"; grey: {MAY_NOT}" if masked else ""
    rows = "rows look (queries), columns are looked at (keys)"
    return _remark(f"each square a {place}: {rows}{grey}")


def _row(name: str, cells: Sequence[str]) -> str:
    inside = "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells)
    return f'<tr style="background:none"><td style="{_CELL};{_QUIET}">{name}</td>{inside}</tr>'


def _picture(view: View, head: HeadSummary, picture: bytes) -> str:
    """A head as a small picture; its tooltip says what the head does."""
    said = f"{head.head} · {head.kind} · {head.entropy:.1f} bits"
    if head.links:
        link = head.links[0]
        said += f" · {_text(link.query.label)} → {_text(link.key.label)} "
        said += view.measured.number(link.weight)
    data = base64.b64encode(picture).decode("ascii")
    longest = max(len(view.tokens), len(view.keys))
    width, height = (
        max(NARROWEST, round(THUMBNAIL * len(tokens) / longest))
        for tokens in (view.keys, view.tokens)
    )
    return (
        f'<img alt="{said}" title="{said}" width="{width}" height="{height}" '
        'style="image-rendering:pixelated;border:1px solid rgba(128,128,128,.35);margin:0" '
        f'src="data:image/png;base64,{data}">'
    )


def _sentence(view: View, found: HeadLink, largest: float) -> str:
    """The text that is looked at, each word shaded by how much the link's query looks at it."""
    link, measured, head = found.link, view.measured, found.head
    row = view.query(link.query.index)[head.layer, head.place]
    seen = allowed(view, link.query.index, "query", [head.layer])[0]
    middle = link.key.index if view.is_cross_attention else link.query.index
    first = max(0, min(middle - EXCERPT // 2, len(row) - EXCERPT))
    words = []
    for token in view.keys[first : first + EXCERPT]:
        number = float(row[token.index])
        told = measured.number(number) if seen[token.index] else MAY_NOT
        looks = not view.is_cross_attention and token == link.query
        words.append(_word(token, told, number / largest, looks))
    before, after = "… " if first else "", " …" if first + EXCERPT < len(row) else ""
    query, key = _text(link.query.label), _text(link.key.label)
    return (
        f'<div style="margin-top:.6em">In <b>{head}</b>, <b>{query}</b> looks at '
        f"<b>{key}</b>: {measured.number(link.weight)}</div>"
        f'<div style="line-height:2">{before}{" ".join(words)}{after}</div>'
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
