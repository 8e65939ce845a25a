"""What changes, and in which heads, if a word of the sentence changes, or the model?

The distance of a query's two distributions over the aligned words is the square root of the
Jensen-Shannon divergence to base 2, from 0 to 1 (Lin 1991; Endres & Schindelin 2003).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, ClassVar, NamedTuple

import numpy as np

from attnviz.answers.align import SIDES, Aligned, Alignment, Column, Side
from attnviz.answers.answer import facts_of, shortest
from attnviz.attention.order import NEAR_ZERO, descending
from attnviz.attention.shapes import Float
from attnviz.inspection import Block, HeadId, Shown, row_shares
from attnviz.inspection.view import QueryRow

NUMBERS_AT_ONCE = 1 << 18
"""Weights of each side that are compared together: all of a short text's, some rows of a long's."""

NAMED = 3
"""How many of the keys that gained, and that lost, JSON names for each head."""

COLUMNS = (
    "layer", "head", "distance", "a_query_index", "a_query", "b_query_index", "b_query",
    "a_key_index", "a_key", "b_key_index", "b_key", "a", "b", "change",
)  # fmt: skip


class Both(NamedTuple):
    """A number of A, and the same of B."""

    a: float
    b: float

    @classmethod
    def mean(cls, found: Sequence["Both | None"]) -> "Both | None":
        """The mean of those that are there."""
        both = [one for one in found if one is not None]
        return cls(*(float(mean) for mean in np.mean(both, axis=0))) if both else None


class Arrays(NamedTuple):
    """An array of A, and the same of B."""

    a: np.ndarray
    b: np.ndarray


@dataclass(frozen=True, eq=False)
class HeadChange:
    """One head in A and in B.

    `a`, `b`: the query's distribution, 0 for a word that the sentence lacks; without a query the
    mean over all words that both have. `distance`: between them, or the mean of the words'
    `distances`, NaN for special tokens and words of one sentence alone. `sums`: what rows that are
    not shares were divided by. `dropped`, `rest`: the share of special tokens left out, and of the
    sink or what is outside the window, which distances count as one more key.
    """

    head: HeadId
    distance: float
    a: Float[np.ndarray, "key"]
    b: Float[np.ndarray, "key"]
    distances: Float[np.ndarray, "column"] | None
    sums: Both | None
    dropped: Both | None
    rest: Both | None = None

    @property
    def change(self) -> Float[np.ndarray, "key"]:
        """B minus A."""
        change: np.ndarray = self.b - self.a
        return change

    def gained(self, count: int) -> list[int]:
        """The keys that gained most, most first."""
        return _largest(self.change, count)

    def lost(self, count: int) -> list[int]:
        """The keys that lost most, most first."""
        return _largest(-self.change, count)

    def data(self, key: int | None) -> dict[str, Any]:
        """The head's object in JSON; `key` is the column whose change is asked for."""
        facts: dict[str, Any] = {
            "layer": self.head.layer,
            "head": self.head.head,
            "distance": self.distance,
        }
        if key is not None:
            facts["change"] = self.change[key]
        for name, both in (("sum", self.sums), ("dropped", self.dropped), ("rest", self.rest)):
            facts |= {} if both is None else {f"a_{name}": both.a, f"b_{name}": both.b}
        if self.distances is not None:
            facts["distances"] = [None if np.isnan(d) else float(d) for d in self.distances]
        for name, keys in (("gained", self.gained(NAMED)), ("lost", self.lost(NAMED))):
            facts[name] = [{"key": place, "change": self.change[place]} for place in keys]
        return facts | {"a": np.ascontiguousarray(self.a), "b": np.ascontiguousarray(self.b)}


@dataclass(frozen=True, eq=False)
class Comparison(Shown):
    """Heads of A beside the same heads of B, those that change most first.

    `query` is one of the `columns`, `key` one of the `keys`. With a key, heads are ranked by how
    much the link to it changes. With a query, `special` is the mean share that it gives special
    tokens, if any are shown, and `sees` has the keys that it may look at in each layer. `matrices`:
    those kept, (column, key), NaN where masked and for words that a sentence lacks.
    """

    schema: ClassVar[str] = "attnviz.compare/1"

    alignment: Alignment
    query: int | None
    key: int | None
    heads: tuple[HeadChange, ...]
    special: Both | None = None
    sees: dict[int, Arrays] = field(default_factory=dict)
    matrices: dict[HeadId, Arrays] = field(default_factory=dict)

    def __repr__(self) -> str:
        texts = [side.text.text for side in (self.alignment.a, self.alignment.b)]
        return f"<Comparison of {texts[0]!r} and {texts[1]!r}: {len(self.heads)} heads>"

    @property
    def keys(self) -> tuple[Column, ...]:
        """The aligned words that are looked at."""
        return self.alignment.keys

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of `rows`."""
        context = self.alignment.a
        dropped = () if context.special else ("a_dropped", "b_dropped")
        sums = () if context.measured.shares else ("a_sum", "b_sum")
        measure = () if context.measure == "weights" else ("measure",)
        return (*COLUMNS, *dropped, *sums, *measure)

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.compare/1` object; a key that one side lacks has 0 there."""
        words = self.alignment
        facts: dict[str, Any] = {"schema": self.schema}
        for side in SIDES:
            facts[side] = facts_of(words.context(side))
            del facts[side]["schema"]
        facts["same_input"] = words.same_input
        facts["query"] = None if self.query is None else words.columns[self.query].data()
        facts["key"] = None if self.key is None else words.keys[self.key].data()
        if words.a.is_cross_attention:
            facts["queries"] = [column.data() for column in words.columns]
        facts["keys"] = [column.data() for column in words.keys]
        facts["heads"] = [head.data(self.key) for head in self.heads[:top]]
        return facts

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row for each head and aligned key; None for a word that one side lacks."""
        words, name = self.alignment, self.alignment.a.measure
        measure = () if name == "weights" else (name,)
        query = (None,) * 4 if self.query is None else words.columns[self.query].cells
        for head in self.heads[:top]:
            start = (head.head.layer, head.head.head, head.distance, *query)
            end = (*(head.dropped or ()), *(head.sums or ()), *measure)
            for key, a, b in zip(self.keys, head.a, head.b, strict=True):
                in_a, in_b = key.a is not None, key.b is not None
                change = shortest(b - a) if in_a and in_b else None
                numbers = (shortest(a) if in_a else None, shortest(b) if in_b else None, change)
                yield (*start, *key.cells, *numbers, *end)


def compare(
    aligned: Aligned,
    query: int | None = None,
    key: int | None = None,
    heads: Sequence[HeadId] = (),
    matrices_of: Sequence[HeadId] | int = (),
) -> Comparison:
    """Compare what the word in column `query`, or every word, looks at in the heads (none: all).

    `key` is a column of the keys. `matrices_of`: the heads whose matrices are kept for pictures, or
    how many of those that change most. Raises RequestError if query or key is not in both
    sentences.
    """
    if query is not None:
        aligned.pair(query)
    if key is not None:
        aligned.pair(key, "key")
    chosen = list(heads) or aligned.a.all_heads()
    special, sees = None, {}
    if query is None:
        sides = (_each_head(aligned, side, chosen) for side in SIDES)
        changes = [
            _change(aligned, head, zip(a, b, strict=True), aligned.words)
            for head, a, b in zip(chosen, *sides, strict=True)
        ]
    else:
        tokens = aligned.pair(query)
        rows = [view.row(t.index) for view, t in zip(aligned.views, tokens, strict=True)]
        changes = list(_one_word(aligned, rows, chosen))
        special = _special(aligned, rows, chosen)
        sees = {layer: _sees(aligned, query, layer) for layer in {head.layer for head in chosen}}

    changes.sort(key=lambda head: (head.head.layer, head.head.place))
    sizes = [head.distance if key is None else abs(float(head.change[key])) for head in changes]
    changes = [changes[i] for i in descending(np.array(sizes), floor=NEAR_ZERO)]
    if isinstance(matrices_of, int):
        matrices_of = [change.head for change in changes[:matrices_of]]
    matrices = {head: _matrices(aligned, head) for head in matrices_of}
    return Comparison(aligned.alignment, query, key, tuple(changes), special, sees, matrices)


def _largest(change: np.ndarray, count: int) -> list[int]:
    order = descending(change, count, floor=NEAR_ZERO)
    return [int(place) for place in order if change[place] > NEAR_ZERO]


def jensen_shannon(
    p: Float[np.ndarray, "*rows key"], q: Float[np.ndarray, "*rows key"]
) -> Float[np.ndarray, "*rows"]:
    """The Jensen-Shannon distance to base 2; 1 from an all-zero row to another that is not."""
    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    distance: np.ndarray = np.sqrt(np.clip(divergence, 0, 1))
    empty = (p.sum(axis=-1) == 0) != (q.sum(axis=-1) == 0)
    return np.where(empty, 1.0, distance)


def _relative_entropy(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The Kullback-Leibler divergence in bits; 0 log 0 counts as 0."""
    logs = np.log2(np.divide(p, q, out=np.ones_like(p), where=p > 0))
    return np.asarray((p * logs).sum(axis=-1))


class _Rows(NamedTuple):
    """Some queries' rows of one head; see HeadChange."""

    shares: Float[np.ndarray, "query key"]
    sums: Float[np.ndarray, "query"]
    dropped: Float[np.ndarray, "query"] | None
    rest: Float[np.ndarray, "query"] | None

    @classmethod
    def of(cls, aligned: Aligned, side: Side, block: Block, place: int = 0) -> "_Rows":
        """From the rows of the head at `place`, over the sentence's own tokens."""
        context, rows = aligned.context(side), block.weights[place]
        dropped, rest = (None if a is None else a[place] for a in (block.dropped, block.sink))
        shares = rows if context.measured.shares else row_shares(rows)
        spread = np.zeros((len(rows), len(aligned.keys)), rows.dtype)
        spread[:, aligned.places(side)] = shares
        sums = rows.sum(axis=-1)
        windowed = context.window is not None and not context.is_cross_attention
        if windowed and context.measured.shares:
            rest = np.maximum(1 - sums, 0)
        return cls(spread, sums, dropped, rest)


def _distances(a: _Rows, b: _Rows) -> Float[np.ndarray, "query"]:
    """How far the rows of A and B are apart, (query,); `rest` counts as one more key."""
    if a.rest is None and b.rest is None:
        return jensen_shannon(a.shares, b.shares)
    whole = (np.c_[r.shares, np.zeros_like(r.sums) if r.rest is None else r.rest] for r in (a, b))
    return jensen_shannon(*whole)


def _one_word(
    aligned: Aligned, rows: Sequence[QueryRow], heads: Sequence[HeadId]
) -> Iterator[HeadChange]:
    """The heads' changes for one word, from its rows in A and in B."""
    place_of = {head: place for place, head in enumerate(aligned.a.all_heads())}
    a, b = rows
    for head in heads:
        place = place_of[head]
        both = _Rows.of(aligned, "a", a.block, place), _Rows.of(aligned, "b", b.block, place)
        yield _change(aligned, head, [both], None)


def _special(aligned: Aligned, rows: Sequence[QueryRow], heads: Sequence[HeadId]) -> Both | None:
    """The mean share of special tokens in the query's rows; see Comparison."""
    texts = [side.key_text.pieces for side in (aligned.a, aligned.b)]
    if not aligned.a.special or not all(any(t.special for t in pieces) for pieces in texts):
        return None
    shares = (dict(zip(aligned.a.all_heads(), row.special, strict=True)) for row in rows)
    return Both(*(float(np.mean([share[head] for head in heads])) for share in shares))


def _sees(aligned: Aligned, query: int, layer: int) -> Arrays:
    """Which aligned keys the query may look at in a layer, in A and in B: (key,)."""
    found = []
    for side, view, token in zip(SIDES, aligned.views, aligned.pair(query), strict=True):
        mask = view.visible(layer, slice(token.index, token.index + 1))
        seen = np.zeros(len(aligned.keys), bool)
        seen[aligned.places(side)] = True if mask is None else mask[0]
        found.append(seen)
    return Arrays(*found)


def _matrices(aligned: Aligned, head: HeadId) -> Arrays:
    """A head's whole matrices over the aligned words; see Comparison."""
    found = []
    for side, view in zip(SIDES, aligned.views, strict=True):
        weights, mask = view.block(head).weights[0], view.visible(head.layer)
        shares = weights if view.context.measured.shares else row_shares(weights)
        spread = np.full((len(aligned.columns), len(aligned.keys)), np.nan, shares.dtype)
        own = np.ix_(aligned.places(side, "query"), aligned.places(side))
        spread[own] = shares if mask is None else np.where(mask, shares, np.nan)
        found.append(spread)
    return Arrays(*found)


def _each_head(aligned: Aligned, side: Side, heads: Sequence[HeadId]) -> Iterator[Iterator[_Rows]]:
    """What the words in both sentences look at, head by head; of long texts, as many words at a
    time on both sides.
    """
    own = SIDES.index(side)
    queries = np.array([aligned.pair(column)[own].index for column in aligned.words])
    at_once = max(1, NUMBERS_AT_ONCE // len(aligned.keys))
    blocks = aligned.views[own].blocks(heads)
    for first in blocks:
        if first.rows.start:  # the rest of the head before, which was not needed
            continue
        for place in range(len(first.heads)):
            rows = _rows_of(queries, chain([first], blocks), place, at_once)
            yield (_Rows.of(aligned, side, block) for block in rows)


def _rows_of(
    queries: np.ndarray, blocks: Iterator[Block], place: int, at_once: int
) -> Iterator[Block]:
    """The rows of some queries, ascending, of the head at `place`, `at_once` of them together."""
    held: list[Block] = []
    left = len(queries)
    while left:
        wanted = min(at_once, left)
        while sum(block.weights.shape[1] for block in held) < wanted:
            block = next(blocks)
            first, end = np.searchsorted(queries, (block.rows.start, block.rows.stop))
            held.append(block.of([place]).take(queries[first:end] - block.rows.start))
        joined = Block.concat(held)
        yield joined.take(np.arange(wanted))
        held = [joined.take(np.arange(wanted, joined.weights.shape[1]))]
        left -= wanted


def _change(
    aligned: Aligned,
    head: HeadId,
    pairs: Iterable[tuple[_Rows, _Rows]],
    words: Sequence[int] | None,
) -> HeadChange:
    """From the rows of A and of B; `words` are their columns, None for one word."""
    found: list[np.ndarray] = []
    sides: tuple[list[_Rows], list[_Rows]] = ([], [])
    for both in pairs:
        found.append(_distances(*both))
        for side, rows in zip(sides, both, strict=True):
            side.append(rows._replace(shares=rows.shares.sum(axis=0)))
    each = np.concatenate(found)
    distances = None
    if words is not None:
        distances = np.full(len(aligned.columns), np.nan)
        distances[words] = each
    a, b = (
        np.stack([rows.shares for rows in side]).sum(axis=0) / np.float32(len(each))
        for side in sides
    )
    return HeadChange(
        head=head,
        distance=float(each.mean()),
        a=a,
        b=b,
        distances=distances,
        sums=None if aligned.a.measured.shares else _means(sides, "sums"),
        dropped=_means(sides, "dropped"),
        rest=_means(sides, "rest"),
    )


def _means(sides: tuple[list[_Rows], list[_Rows]], name: str) -> Both | None:
    """The means over A's rows and over B's, 0 where one has none; None where neither has any."""
    parts = ([part for rows in side if (part := getattr(rows, name)) is not None] for side in sides)
    means = [float(np.concatenate(own).mean()) if own else None for own in parts]
    return None if means == [None, None] else Both(*(mean or 0.0 for mean in means))
