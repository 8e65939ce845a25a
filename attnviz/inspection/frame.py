"""Which tokens a view shows, and what becomes of numbers between pieces to stand between them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from attnviz.inspection.block import Block
from attnviz.inspection.facts import HeadId
from attnviz.text.tokens import Token, Tokens, Unit, merge_keys, merge_masks, merge_queries

Window = tuple[int, int]
"""A part of a text: the index of its first token, and of the one behind its last."""


@dataclass(frozen=True, eq=False)
class Frame:
    """The rows and columns of a view; `rows` are the tokens that look, `columns` all keys.

    `special`: whether special tokens are among those shown; `window`: the rows shown, and the
    columns too where both are one text.
    """

    rows: Tokens
    columns: Tokens
    unit: Unit
    special: bool
    window: Window | None

    @cached_property
    def queries(self) -> list[int]:
        """The rows shown, among all tokens of the unit."""
        return self._kept(self.rows)

    @cached_property
    def keys(self) -> list[int]:
        """The columns shown, among all tokens of the unit."""
        return self.queries if self.columns is self.rows else self._kept(self.columns)

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """The rows shown, counted anew."""
        return self._numbered(self.rows, self.queries)

    @cached_property
    def key_tokens(self) -> tuple[Token, ...]:
        """The columns shown, counted anew."""
        if self.columns is self.rows:
            return self.tokens
        return self._numbered(self.columns, self.keys)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The first piece of each row's token, shown or not, and the end of the last."""
        starts = self.rows.word_starts if self.unit == "word" else range(len(self.rows))
        return (*starts, len(self.rows))

    def pieces(self, first: int, last: int) -> slice:
        """The pieces of the rows' tokens from `first` to `last`, among all of them."""
        return slice(self.starts[first], self.starts[last + 1])

    def merged(self, numbers: np.ndarray, first: int) -> np.ndarray:
        """Numbers between pieces as numbers between all tokens of the unit, from `first` on.

        (..., query piece, key piece) -> (..., query, key): sum over the key's pieces, mean over
        the query's.
        """
        if self.unit == "piece":
            return numbers
        return self.by_key(merge_queries(numbers, self._starts_in(numbers, first)))

    def by_key(self, numbers: np.ndarray) -> np.ndarray:
        """The same for the columns alone."""
        return numbers if self.unit == "piece" else merge_keys(numbers, self.columns.word_starts)

    def mask(self, pieces: np.ndarray, own: list[int]) -> np.ndarray:
        """What pieces may look at, (query piece, key piece), as what tokens may: (query, key).

        `own` are the rows' tokens, whose pieces these are; any of a word's may look at any other's.
        """
        first = own[0]
        if self.unit == "word":
            own_starts = self._starts_in(pieces, first)
            pieces = merge_masks(pieces, own_starts, self.columns.word_starts)
        shown: np.ndarray = pieces[np.ix_([token - first for token in own], self.keys)]
        return shown

    def shown(
        self, heads: Sequence[HeadId], rows: slice, every_key: np.ndarray, shares: bool, sinks: bool
    ) -> Block:
        """What is shown of some heads' rows over all keys: (head, query, every key).

        Where rows are shares and special tokens are left out, what remains is divided by its sum;
        the sink's share, and what lies outside the window, count in that sum.
        """
        weights, dropped, sink = self._kept_keys(every_key, shares, sinks)
        return Block(heads, rows, weights, dropped, sink)

    def _kept_keys(
        self, rows: np.ndarray, shares: bool, sinks: bool
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        sink = missing_share(rows) if shares and sinks else None
        if self.special:
            whole = len(self.keys) == rows.shape[-1]
            return rows if whole else rows[..., self.keys], None, sink
        kept = rows[..., self.keys]
        if not shares:
            return kept, self.special_shares(rows, sinks=False), None
        remaining = (kept if self.window is None else rows[..., self._plain]).sum(axis=-1)
        if sink is not None:
            remaining += sink
            sink = ratio(sink, remaining)
        dropped = rows[..., self._special].sum(axis=-1)
        return ratio(kept, remaining[..., None]), dropped, sink

    def special_shares(self, rows: np.ndarray, sinks: bool) -> np.ndarray:
        """The share of special tokens in rows over all keys, (..., every key), and their sinks."""
        total = rows.sum(axis=-1)
        return ratio(rows[..., self._special].sum(axis=-1), total + missing_share(rows) * sinks)

    @cached_property
    def _special(self) -> list[int]:
        return [i for i, token in enumerate(self.columns.unit(self.unit)) if token.special]

    @cached_property
    def _plain(self) -> list[int]:
        return [i for i, token in enumerate(self.columns.unit(self.unit)) if not token.special]

    def _starts_in(self, pieces: np.ndarray, first: int) -> list[int]:
        """Where the tokens from `first` on begin among rows of pieces, which begin with it."""
        base, last = self.starts[first], self.starts[first] + pieces.shape[-2]
        return [start - base for start in self.starts[first:-1] if start < last]

    def _kept(self, tokens: Tokens) -> list[int]:
        every = tokens.unit(self.unit)
        places = range(len(every))
        if self.window is not None and tokens is self.rows:
            places = places[slice(*self.window)]
        return [place for place in places if self.special or not every[place].special]

    def _numbered(self, tokens: Tokens, kept: list[int]) -> tuple[Token, ...]:
        every = tokens.unit(self.unit)
        if len(kept) == len(every):
            return every
        return tuple(replace(every[old], index=new) for new, old in enumerate(kept))


def row_shares(weights: np.ndarray) -> np.ndarray:
    """Rows as shares, (..., key): divided by their sum; a row of zeros stays as it is."""
    return ratio(weights, weights.sum(axis=-1, keepdims=True))


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Part of whole, and 0 where the whole is nothing."""
    shares: np.ndarray = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return shares


def missing_share(rows: np.ndarray) -> np.ndarray:
    """1 − row sum, 0 at least: (..., key) -> (...)."""
    missing: np.ndarray = np.maximum(1 - rows.sum(axis=-1), 0)
    return missing
