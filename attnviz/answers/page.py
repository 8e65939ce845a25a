"""What a page shows: the numbers from which it computes any head, and what it shows first."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from attnviz.answers.align import aligned
from attnviz.answers.answer import facts_of
from attnviz.answers.layer import LayerSummary, layer_summary
from attnviz.answers.rounding import Rounding, rounding
from attnviz.attention.layer import LayerRecord
from attnviz.attention.shapes import Float
from attnviz.attention.sublayers import Sublayers
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Context, Inspection, View
from attnviz.inspection.specification import Side
from attnviz.text.tokens import Unit
from attnviz.threads import side_by_side

Shows = Literal["lines", "grid", "head", "steps", "layer", "tour"]

MOST_NUMBERS = 10_000_000  # of queries and keys in a text: about 16 MB of a page
MOST_WEIGHTS = 2048**2  # of a head, which a browser computes and draws
MOST_IN_ALL = 40_000_000  # the same of all texts
MOST_VALUES = 2_000_000  # of values, which are left out of longer texts: about 2 MB
SHORTEST = 1e-6  # of lengths, whose logarithms a page has: some are thousands, others below 1
ROWS_AT_ONCE = 128  # of a long text, whose whole rows are computed once
COPIED = ("bias", "sinks", "recorded_weights", "distance_bias", "key_ranges")

FindSublayers = Callable[
    [Inspection, Sequence[int], Sequence[int]], Sequence[Sublayers | AttnvizError]
]
Pairs = tuple[tuple[int | None, int | None], ...]  # the places in A and in B; None where one lacks


@dataclass(frozen=True)
class State:
    """What a page shows first; None: what the page chooses itself. Tokens are given by their
    index in the unit; `phrase`: how many words the query and the key are, from these on, for find.
    `off`: the layer's heads that are switched off in lines.
    """

    view: Shows | None = None
    text: int = 0
    pair: int | None = None
    layer: int | None = None
    head: int | None = None
    query: int | None = None
    key: int | None = None
    unit: Unit = "word"
    special: bool = True
    find: bool = False
    phrase: tuple[int, int] | None = None
    off: tuple[int, ...] | None = None
    lang: Literal["en", "ko"] | None = None

    def data(self) -> dict[str, Any]:
        """What is not left to the page."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class PageLayer(NamedTuple):
    """The numbers of one layer, by the names of LayerRecord, and how they may be rounded.

    Of a cut text also `log_totals`, (head, query): the logarithm of the softmax's denominator over
    the whole row; and `special_outside`, (head, query): what went to special tokens left out.
    `steps`: what the layer makes of each piece, whose numbers are `layer_lengths`, `layer_shares`
    and `layer_part_lengths`, as logarithms; a sentence says why there are none, None that nobody
    asked.
    """

    record: LayerRecord
    arrays: dict[str, np.ndarray]
    rounding: Rounding
    steps: LayerSummary | str | None = None


@dataclass(frozen=True, eq=False)
class PageText:
    """One text of a page. `first`, `end`: its pieces in the page, of all."""

    words: Context
    pieces: Context
    layers: tuple[PageLayer | None, ...]
    first: int
    end: int

    @property
    def is_cut(self) -> bool:
        """Whether the page lacks some of the text's pieces."""
        return self.end - self.first < len(self.pieces.tokens)

    @property
    def has_values(self) -> bool:
        """Whether values travel too."""
        return any(layer is not None and "v" in layer.arrays for layer in self.layers)

    @property
    def tolerance(self) -> float:
        """How far any weight is off in the page."""
        return max(layer.rounding.off for layer in self.layers if layer is not None)

    def span(self, unit: Unit) -> slice:
        """Its words, or its pieces, in the page."""
        if unit == "piece":
            return slice(self.first, self.end)
        starts = self.words.text.word_starts
        places = [n for n, start in enumerate(starts) if self.first <= start < self.end]
        return slice(places[0], places[-1] + 1)

    @property
    def key_words(self) -> Side:
        """The words looked at, in the page."""
        tokens = self.words.key_text
        whole = self.words.is_cross_attention
        own, first = (slice(None), 0) if whole else (self.span("word"), self.first)
        starts = [start - first for start in tokens.word_starts[own]]
        return Side(starts, [token.special for token in tokens.words[own]])


class PagePair(NamedTuple):
    """Two of the texts, by their places, token by token; pieces: none if they do not align."""

    a: int
    b: int
    words: Pairs
    pieces: Pairs
    key_words: Pairs
    key_pieces: Pairs


@dataclass(frozen=True, eq=False)
class Page:
    """All texts of a page, which of them are compared, and what is shown first."""

    schema: ClassVar[str] = "attnviz.page/1"
    columns: ClassVar[tuple[str, ...]] = ("text_index", "text", "model", "tokens")

    texts: tuple[PageText, ...]
    pairs: tuple[PagePair, ...]
    state: State

    @property
    def contexts(self) -> tuple[Context, ...]:
        """What the texts are about."""
        return tuple(text.words for text in self.texts)

    def _repr_html_(self) -> str:
        """What a notebook shows; the room that draws is imported when it does."""
        html: str = import_module("attnviz.show.notebook").page_html(self)
        return html

    def data(self, top: int | None = None) -> dict[str, Any]:
        """What the page is about; its numbers are in the page alone."""
        texts = [facts_of(context, self.schema) for context in self.contexts]
        return {"schema": self.schema, "texts": texts, "state": self.state.data()}

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a text."""
        for index, context in enumerate(self.contexts):
            yield index, context.text.text, context.model.name, len(context.tokens)


def page(
    views: Sequence[View],
    state: State | None = None,
    pairs: Sequence[tuple[int, int]] = (),
    sublayers: FindSublayers | None = None,
) -> Page:
    """The page of some texts; `pairs`: the places of those that are compared.

    `sublayers` gives the parts of layers, without which the page lacks the layers' steps.
    RequestError for another measure than weights, and for texts too long to draw.
    """
    check_room(sum(map(numbers_held, views)), len(views))
    texts = tuple(_text(view, sublayers) for view in views)
    found = tuple(_pair(views, a, b) for a, b in pairs)
    return Page(texts, found, state or State())


def numbers_held(view: View) -> int:
    """How many numbers of weights, or of what they come from, the page of a text holds."""
    first, end = _held(view)
    return _numbers_of(view.inspection, end - first)


def check_room(held: int, texts: int) -> None:
    """RequestError if so many texts hold more numbers than there is room for in a page."""
    if held > MOST_IN_ALL:
        raise RequestError(
            f"{texts} texts are too long to draw in one page: they have {held:,} numbers, and "
            f"a page holds {MOST_IN_ALL:,}",
            "give fewer sentences, or write a page for each",
        )


def _text(view: View, sublayers: FindSublayers | None) -> PageText:
    if view.measure != "weights":
        raise RequestError(
            f"a page shows attention weights, and not the measure {view.measure}",
            "leave out --measure, or draw a picture with attnviz heatmap",
        )
    inspection = view.inspection
    words, pieces = (inspection.view(unit).context for unit in ("word", "piece"))
    first, end = _held(view)
    text = PageText(words, pieces, (), first, end)
    values = inspection.model.num_layers * inspection.model.d_model * (end - first) <= MOST_VALUES
    recorded = inspection.recorded
    parts = _parts(inspection, text, sublayers)
    work = partial(_layer, inspection, text, values)
    made = side_by_side(work, zip(recorded, parts, strict=True))
    layers = dict(zip(recorded, made, strict=True))
    every = range(inspection.model.num_layers)
    return replace(text, layers=tuple(layers.get(number) for number in every))


def _parts(
    inspection: Inspection, text: PageText, sublayers: FindSublayers | None
) -> list[Sublayers | str | None]:
    """Each recorded layer's parts, with what they give for the page's pieces, or why there are
    none.
    """
    recorded = inspection.recorded
    if sublayers is None:
        return [None] * len(recorded)
    try:
        found = sublayers(inspection, recorded, range(text.first, text.end))
    except AttnvizError as error:
        return [error.message] * len(recorded)
    return [one.message if isinstance(one, AttnvizError) else one for one in found]


def _numbers_of(inspection: Inspection, rows: int) -> int:
    """The same, of so many pieces that look; in one text as many are looked at."""
    columns = rows if inspection.keys is None else len(inspection.keys)
    if rows * columns > MOST_WEIGHTS:
        return MOST_IN_ALL + 1
    sizes = {"q": rows, "k": columns, "bias": rows * columns, "recorded_weights": rows * columns}
    total = 0
    for number in inspection.recorded:
        for name, array in inspection.layer(number).arrays().items():
            of_piece = array.shape[-1] if name in ("q", "k") else 1
            total += len(array) * of_piece * sizes.get(name, 0)
    return total


def _held(view: View) -> tuple[int, int]:
    """The pieces that the page holds: of the view's window, of all, or of the first words."""
    inspection, tokens = view.inspection, view.inspection.tokens
    starts = (*tokens.word_starts, len(tokens))
    if view.window is None:
        fitting = bisect_right(starts, MOST_NUMBERS, key=partial(_numbers_of, inspection))
        return 0, starts[max(fitting - 1, 1)]
    first, last = (min(place, len(tokens.unit(view.unit))) for place in view.window)
    if view.unit == "word":
        first, last = starts[first], starts[last]
    if _numbers_of(inspection, last - first) > MOST_NUMBERS:
        pieces = range(1, last - first)
        most = bisect_right(pieces, MOST_NUMBERS, key=partial(_numbers_of, inspection))
        raise RequestError(
            f"the window has {last - first} pieces, too many to draw: a page holds {most} of "
            f"{inspection.model.name}",
            "give a shorter window, as in --window 0:200",
        )
    return first, last


def _layer(
    inspection: Inspection,
    text: PageText,
    values: bool,
    layer: tuple[int, Sublayers | str | None],
) -> PageLayer:
    """A layer's numbers, of the text's pieces in the page."""
    number, parts = layer
    record = inspection.layer(number)
    arrays = _arrays(inspection, number, text, values)
    steps = parts if not isinstance(parts, Sublayers) else _steps(inspection, number, parts)
    if isinstance(steps, LayerSummary):
        arrays |= {
            "layer_lengths": np.log(np.maximum(steps.lengths, SHORTEST)),
            "layer_shares": steps.shares,
            "layer_part_lengths": np.log(np.maximum(steps.part_lengths, SHORTEST)),
        }
    return PageLayer(record, arrays, rounding(record, arrays, text.key_words), steps)


def _steps(inspection: Inspection, number: int, parts: Sublayers) -> LayerSummary | str:
    """What a layer makes of each piece, or why that cannot be told."""
    try:
        return layer_summary(inspection, number, parts)
    except AttnvizError as error:
        return error.message


def _arrays(
    inspection: Inspection, number: int, text: PageText, values: bool
) -> dict[str, np.ndarray]:
    """The arrays of LayerRecord that a page has, and those of a cut text."""
    record = inspection.layer(number)
    one_text = inspection.keys is None
    rows, whole = slice(text.first, text.end), slice(None)
    columns = rows if one_text else whole
    names = ("q", "k", "v") if values else ("q", "k")
    arrays = {
        name: array[:, rows if name == "q" else columns]
        for name in names
        if (array := getattr(record, name)) is not None
    }
    arrays |= {name: a for name in COPIED if (a := getattr(record, name)) is not None}
    if text.is_cut:
        arrays = _cut(arrays, rows, columns, record.lengths)
        if one_text:
            arrays |= _outside(inspection, number, rows)
    return arrays


def _cut(
    arrays: dict[str, np.ndarray], rows: slice, columns: slice, lengths: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Masks and biases of some rows and columns; q, k and v are of these already."""
    kept = dict(arrays)
    for name in ("bias", "recorded_weights"):
        if name in kept:
            kept[name] = kept[name][:, rows, columns]
    first, end, _ = columns.indices(lengths[1])
    if "distance_bias" in kept:  # entry j - i + n - 1 of query i and key j
        lowest = first - (rows.stop - 1) + lengths[0] - 1
        kept["distance_bias"] = kept["distance_bias"][:, lowest : end - rows.start + lengths[0] - 1]
    if "key_ranges" in kept:
        kept["key_ranges"] = np.clip(kept["key_ranges"][rows] - first, 0, end - first)
    return kept


def _outside(inspection: Inspection, number: int, rows: slice) -> dict[str, np.ndarray]:
    """What a cut text needs to know of the keys outside: see PageLayer."""
    record, tokens = inspection.layer(number), inspection.tokens
    special = np.array([span is None for span in tokens.spans])
    special[rows] = False
    if record.q is None or record.k is None:
        outside = record.weights(number, queries=rows)[..., special]
        return {"special_outside": outside.sum(axis=-1, dtype=np.float32)}
    of_heads = [
        _totals(record, head, (record.q[head], record.of_head(record.k, head)), rows, special)
        for head in range(record.num_heads)
    ]
    totals, shares = (np.stack(one) for one in zip(*of_heads, strict=True))
    return {"log_totals": totals, "special_outside": shares}


def _totals(
    record: LayerRecord,
    head: int,
    vectors: tuple[np.ndarray, np.ndarray],
    rows: slice,
    special: np.ndarray,
) -> tuple[Float[np.ndarray, "row"], Float[np.ndarray, "row"]]:
    """The logarithm of each whole row's sum of exponentials, and the share of some keys in it.

    `vectors`: the head's queries and keys.
    """
    q, k = vectors
    totals, shares = [], []
    for first in range(rows.start, rows.stop, ROWS_AT_ONCE):
        some = slice(first, min(first + ROWS_AT_ONCE, rows.stop))
        scores = record.scores(head, some, q[some] @ k.T)
        of_special = scores[:, special]
        largest = scores.max(axis=-1, keepdims=True)
        scores -= largest
        total = np.exp(scores, out=scores).sum(axis=-1)
        if record.sinks is not None:
            total += np.exp(record.sinks[head] - largest[:, 0])
        total = np.log(total) + largest[:, 0]
        totals.append(total)
        shares.append(np.exp(of_special - total[:, None]).sum(axis=-1))
    return np.concatenate(totals), np.concatenate(shares)


def _pair(views: Sequence[View], a: int, b: int) -> PagePair:
    one, other = (replace(views[place], window=None, special=True, asked=()) for place in (a, b))
    words = aligned(replace(one, unit="word"), replace(other, unit="word"))
    try:
        pieces = aligned(replace(one, unit="piece"), replace(other, unit="piece"))
    except RequestError:  # two models cut the sentence into different pieces
        pieces = None
    found = [_places(words.columns), () if pieces is None else _places(pieces.columns)]
    found += [_places(words.keys), () if pieces is None else _places(pieces.keys)]
    return PagePair(a, b, *found)


def _places(columns: Sequence[Any]) -> Pairs:
    return tuple(
        (None if c.a is None else c.a.index, None if c.b is None else c.b.index) for c in columns
    )
