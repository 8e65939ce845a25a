"""The words in and around pictures: token labels, headings, file names. Lengths are inches."""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count as powers
from typing import Any

from matplotlib.figure import Figure
from unicode_segmentation_rs import graphemes

from attnviz.answers.matrices import RowShares
from attnviz.inspection import Context, HeadId
from attnviz.inspection.context import Role
from attnviz.show.figure.drawing import INK, MARGIN, MUTED, ground, text_width, widest
from attnviz.show.figure.language import Name, say
from attnviz.show.labels import names, parted, visible
from attnviz.show.wording import (
    MAY_NOT,
    PURPOSE,
    Said,
    heads_title,
    role_name,
    texts,
    tokens_of,
    unknown_legend,
    whose,
    window_told,
)

_AXES: dict[Role, str] = {"query": "who looks", "key": "what is looked at"}
SMALLEST_FONT = 6.0
LARGEST_FONT = 10.0
LINE_SPACING = 1.3
LONGEST_LABEL = 22  # columns from which on a token's label is cut
_SENTENCE_ROOM = 6.0  # of a sentence over even the narrowest picture, in inches
MOST_SKIPPED = 6  # at least one of so many tokens is labelled; else a few, by position
POSITIONS_APART = 0.42  # of labels that are positions, in inches


def label(name: str) -> Name:
    """A token's name as a picture shows it: very long ones are cut, but for the place, as `@5`."""
    name = visible(name)
    shown, place = parted(name)
    columns = [2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in shown]
    if sum(columns) <= LONGEST_LABEL:
        return Name(name)
    kept, used = [], 1
    for cluster in graphemes(shown, is_extended=True):
        used += 2 if unicodedata.east_asian_width(cluster[0]) in "WF" else 1
        if used > LONGEST_LABEL:
            break
        kept.append(cluster)
    return Name("".join(kept) + "…" + place)


def fitted(text: str, width: float, size: float) -> str:
    """The text, or as much of its beginning as fits into `width` inches, and an ellipsis."""
    # no letter is so narrow that more would fit: a long text need not be measured whole
    clusters = graphemes(text[: int(width * 72 / size * 20)], is_extended=True)
    if len(text) == sum(map(len, clusters)) and text_width(text, size) <= width:
        return text
    fits, too_long = 0, len(clusters) + 1
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if text_width("".join(clusters[:middle]) + "…", size) <= width:
            fits = middle
        else:
            too_long = middle
    return "".join(clusters[:fits]).rstrip() + "…"


@dataclass(frozen=True)
class TokenLabels:
    """Which tokens along an axis are labelled, `slanted` or upright, or `numbered`: by position."""

    places: tuple[int, ...]
    texts: tuple[str, ...]
    colors: tuple[str, ...]
    size: float
    step: int
    width: float
    slanted: bool
    numbered: bool = False

    @property
    def height(self) -> float:
        """The room they take below a column, in inches."""
        return (self.width + self.size / 72) * math.sqrt(0.5) if self.slanted else self.width

    @property
    def note(self) -> str:
        """Which tokens are labelled; empty if all are."""
        if self.step == 1:
            return ""
        ending = {1: "st", 2: "nd", 3: "rd"}.get(self.step % 10, "th")
        ordinal = f"{self.step}{'th' if 10 <= self.step % 100 <= 20 else ending}"
        placed = ", with its position" if self.numbered else ""
        return say(f"every {ordinal} token labelled{placed}")


def axis_name(context: Context, role: Role) -> str:
    """The name of an axis of queries, or of keys."""
    name = role_name(context, role) if context.is_cross_attention else role
    return say(f"{name}: {_AXES[role]}")


def token_labels(context: Context, room: float, role: Role = "query") -> TokenLabels:
    """Labels for tokens `room` inches apart, as large and as many as fit: if few, by position."""
    tokens = tokens_of(context, role)
    if not many_labelled(room):
        return _position_labels(context, room, role)
    colors = [MUTED if token.special else INK for token in tokens]
    return labels_for(names(context, role), colors, room)


def many_labelled(room: float) -> bool:
    """Whether many of the tokens `room` inches apart can be labelled."""
    return room * MOST_SKIPPED * 72 >= SMALLEST_FONT * LINE_SPACING


def _position_labels(context: Context, room: float, role: Role) -> TokenLabels:
    """Round positions of the text, as in `@500`, each with the words that follow."""
    count = len(tokens_of(context, role))
    first = 0 if role == "key" and context.is_cross_attention else context.first_index
    steps = (factor * 10**power for power in powers(1) for factor in (1, 2, 5))
    apart = next(step for step in steps if step * room >= POSITIONS_APART)
    places = range(-first % apart, count, apart)
    texts = tuple(f"{first + place}  {_words_from(context, role, place)}" for place in places)
    return TokenLabels(
        places=tuple(places),
        texts=texts,
        colors=(INK,) * len(texts),
        size=SMALLEST_FONT + 1,
        step=apart,
        width=widest(texts, SMALLEST_FONT + 1),
        slanted=True,
        numbered=True,
    )


def _words_from(context: Context, role: Role, place: int) -> str:
    """As many whole words of the text from a token on as a label has room for."""
    token = tokens_of(context, role)[place]
    if token.start is None:
        return label(names(context, role)[place])
    source = context.text if role == "query" else context.key_text
    text = (source.pair if token.segment else source.text) or ""
    words = text[token.start : token.start + 2 * LONGEST_LABEL].split()
    while len(words) > 1 and label(" ".join(words)).endswith("…"):
        words.pop()
    return label(" ".join(words))


def labels_for(texts: Sequence[str], colors: Sequence[str], room: float) -> TokenLabels:
    """Labels for texts of these colours; see `token_labels`."""
    size = min(max(room * 72 / LINE_SPACING, SMALLEST_FONT), LARGEST_FONT)
    step = max(1, math.ceil(SMALLEST_FONT * LINE_SPACING / 72 / room - 1e-6))
    shown = tuple(label(text) for text in texts[::step])
    return TokenLabels(
        places=tuple(range(0, len(texts), step)),
        texts=shown,
        colors=tuple(colors[::step]),
        size=size,
        step=step,
        width=widest(shown, size),
        slanted=room * math.sqrt(0.5) >= size * 1.2 / 72,
    )


@dataclass(frozen=True)
class Heading:
    """The lines above a picture: model and heads, the sentence or pair, and notes."""

    title: str
    sentences: tuple[str, ...]
    notes: tuple[str, ...]

    _SIZES = (12.0, 9.5, 8.0)

    @property
    def _lines(self) -> list[tuple[str, float, str]]:
        title, sentence, note = self._SIZES
        lines = [(say(self.title), title, INK)]
        lines += [(text, sentence, INK) for text in self.sentences]
        return lines + [(say(text), note, MUTED) for text in self.notes]

    @property
    def height(self) -> float:
        """Its height, in inches."""
        return sum(size * 1.45 / 72 for _, size, _ in self._lines) + 0.1

    @property
    def width(self) -> float:
        """The width of what must not be cut, in inches."""
        title, sentence, note = self._SIZES
        sentences = min(widest(self.sentences, sentence), _SENTENCE_ROOM)
        notes = widest(list(map(say, self.notes)), note)
        return max(text_width(say(self.title), title, bold=True), sentences, notes)

    def draw(self, figure: Figure) -> None:
        """Write it at the top left of the figure, the sentences shortened to its width."""
        width, height = figure.get_size_inches()
        room = width - 2 * MARGIN
        y = height - MARGIN
        for i, (text, size, color) in enumerate(self._lines):
            shown = fitted(text, room, size) if text in self.sentences else text
            weight = "normal" if i else "bold"
            place = (MARGIN / width, y / height)
            style: dict[str, Any] = {"size": size, "color": color, "weight": weight, "va": "top"}
            if i:
                figure.text(*place, shown, **style)
            else:
                figure.suptitle(shown, x=place[0], y=place[1], ha="left", **style)
            y -= size * 1.45 / 72


def heading(
    context: Context,
    heads: Sequence[HeadId],
    shares: RowShares | None = None,
    notes: Sequence[str] = (),
    query: int | None = None,
    legend: str = "",
    key: int | None = None,
) -> Heading:
    """The heading of a picture; a `legend` follows whose attention it is, `notes` come last."""
    asked = "" if query is None else f" · query: {label(names(context, 'query')[query])}"
    asked += "" if key is None else f" · key: {label(names(context, 'key')[key])}"
    sight = "; ".join(filter(None, (whose(context, [head.layer for head in heads]), legend)))
    purpose = PURPOSE if context.is_cross_attention else ""
    own = _told(context, shares or RowShares(), query)
    said = (sight, purpose, *measure_notes(context), unknown_legend(context), *own, *notes)
    return Heading(
        title=f"{visible(context.model.title)} · {heads_title(context, heads)}{asked}",
        sentences=tuple(map(quoted, texts(context))),
        notes=tuple(filter(None, said)),
    )


def steps_heading(
    context: Context, heads: Sequence[HeadId], said: str, query: int | None = None, origin: str = ""
) -> Heading:
    """The heading of a picture of steps: whose attention it is, what is `said`, unknown words, and
    the origin of Q, K and V.
    """
    who, unknown = whose(context, [head.layer for head in heads]), unknown_legend(context)
    notes = (who, said + computed_in(context), unknown, origin)
    return replace(heading(context, heads, query=query), notes=tuple(filter(None, notes)))


def ground_note(masked: bool) -> str:
    """What the ground means, where it is seen."""
    return f"{ground()[1]}: {MAY_NOT}" if masked else ""


def measure_notes(context: Context) -> list[str]:
    """The measure's formula, the dtype if it is not float32, and what to know of the rows."""
    measured = context.measured
    return [f"{measured.name}: {measured.formula}{computed_in(context)}", measured.caveat]


def computed_in(context: Context) -> str:
    """What comes after a formula where the model did not compute in float32."""
    dtype = visible(context.model.dtype)
    return "" if dtype == "float32" else f" · computed in {dtype}"


def _told(context: Context, shares: RowShares, query: int | None) -> Iterator[str]:
    """What the cells do not show: beyond the window, special tokens left out, the sink."""
    noun = context.measured.noun
    yield window_told(context, shares.inside, "their" if query is None else "its")
    if shares.dropped is not None:
        yield f"special tokens left out: they held {shares.dropped:.0%} of the {noun} here"
    if shares.sink is not None:
        whole = f"the {noun} here" if context.special else "what is shown"
        average = ", on average" if query is None else ""
        yield f"{shares.sink:.0%} of {whole} goes to the model's sink{average}"


def quoted(said: Said) -> str:
    """A text in quotation marks, after its name if it has one; of a long one the window's part."""
    first, end = (0, len(said.text)) if said.span is None else said.span
    before, after = "…" if first else "", "…" if end < len(said.text) else ""
    quoted = f"“{before}{visible(said.text[first:end])}{after}”"
    return f"{say(said.name)}: {quoted}" if said.name else quoted
