"""The rows and columns that a view shows, and numbers between pieces turned into theirs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from attnviz.attention.shapes import Bool, Float
from attnviz.inspection.block import Block
from attnviz.inspection.context import HeadId, Window
from attnviz.text.tokens import Token, Tokens, Unit

LONG_ROW = 1000  # From this many words on, their pieces are added with array operations


@dataclass(frozen=True, eq=False)
class Frame:
    """The rows and columns of a view; arrays over "every key" also have the columns not shown."""

    rows: Tokens
    columns: Tokens
    unit: Unit
    special: bool  # show special tokens too
    asked: tuple[int, ...]  # the special tokens that are kept as queries though others are left out
    window: Window | None  # of the rows, and of the columns if both are one text
    shares: bool  # rows are shares
    sinks: bool  # rows are shares, and a sink takes 1 − row sum

    @cached_property
    def queries(self) -> list[int]:
        """The indices of the rows shown among all tokens of their text."""
        return self._kept(self.rows)

    @cached_property
    def keys(self) -> list[int]:
        """The indices of the columns shown among all tokens of their text."""
        return self.queries if self.columns is self.rows else self._kept(self.columns)

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """The rows shown, with indices from 0."""
        return self._numbered(self.rows, self.queries)

    @cached_property
    def key_tokens(self) -> tuple[Token, ...]:
        """The columns shown, with indices from 0."""
        one_text = self.columns is self.rows
        return self.tokens if one_text else self._numbered(self.columns, self.keys)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The first piece of each token of `rows`, shown or not, and the end of the last."""
        starts = self.rows.word_starts if self.unit == "word" else range(len(self.rows))
        return (*starts, len(self.rows))

    def pieces(self, first: int, last: int) -> slice:
        """The pieces of the tokens of `rows` from `first` to `last`."""
        return slice(self.starts[first], self.starts[last + 1])

    def merged(
        self, numbers: Float[np.ndarray, "head query_piece key_piece"], first: int
    ) -> Float[np.ndarray, "head query every_key"]:
        """Merge pieces into tokens; the rows are the pieces of the tokens from `first` on."""
        if self.unit == "piece" or self._uncut:
            return numbers
        return self.merged_keys(merge_queries(numbers, self._starts_in(numbers, first)))

    def merged_keys(
        self, numbers: Float[np.ndarray, "head query key_piece"]
    ) -> Float[np.ndarray, "head query every_key"]:
        """Merge the pieces of keys alone."""
        return numbers if self.unit == "piece" else merge_keys(numbers, self.columns.word_starts)

    def mask(
        self, pieces: Bool[np.ndarray, "query_piece key_piece"], tokens: list[int]
    ) -> Bool[np.ndarray, "query key"]:
        """The attention mask of these tokens; `pieces` has the rows from the first to the last."""
        if self.unit == "word":
            starts = self._starts_in(pieces, tokens[0])
            pieces = merge_masks(pieces, starts, self.columns.word_starts)
        shown: np.ndarray = pieces[np.ix_([token - tokens[0] for token in tokens], self.keys)]
        shown[:, self.blank] = False
        return shown

    def shown(
        self,
        heads: Sequence[HeadId],
        rows: slice,
        every_key: Float[np.ndarray, "head query every_key"],
    ) -> Block:
        """The block of columns shown, from rows over every key."""
        sink = missing_share(every_key) if self.sinks else None
        whole = len(self.keys) == every_key.shape[-1]
        kept = every_key if whole else every_key[..., self.keys]
        if self.special:
            return Block(heads, rows, kept, None, sink)
        kept[..., self.blank] = 0
        if not self.shares:
            return Block(heads, rows, kept, self.special_shares(every_key), None)
        plain = kept if self.window is None else every_key[..., self._plain]
        remaining = plain.sum(axis=-1)
        if sink is not None:
            remaining += sink
            sink = ratio(sink, remaining)
        dropped = every_key[..., self._special].sum(axis=-1)
        return Block(heads, rows, ratio(kept, remaining[..., None]), dropped, sink)

    def special_shares(
        self, every_key: Float[np.ndarray, "head query every_key"]
    ) -> Float[np.ndarray, "head query"]:
        """The share of special tokens in each row, a sink's share included."""
        total = every_key.sum(axis=-1) + missing_share(every_key) * self.sinks
        return ratio(every_key[..., self._special].sum(axis=-1), total)

    @cached_property
    def blank(self) -> list[int]:
        """The columns of special tokens that are queries alone: nothing looks at them."""
        if self.special or self.columns is not self.rows:
            return []
        return [column for column, key in enumerate(self.keys) if key in self.asked]

    @cached_property
    def _special(self) -> list[int]:
        return [i for i, token in enumerate(self.columns.unit(self.unit)) if token.special]

    @cached_property
    def _plain(self) -> list[int]:
        return [i for i, token in enumerate(self.columns.unit(self.unit)) if not token.special]

    @property
    def _uncut(self) -> bool:
        """Whether each word is one piece."""
        texts = self.rows, self.columns
        return all(len(text.word_starts) == len(text) for text in texts)

    def _starts_in(self, pieces: np.ndarray, first: int) -> list[int]:
        """The first row of each token, if the rows are the pieces of tokens from `first` on."""
        base, last = self.starts[first], self.starts[first] + pieces.shape[-2]
        return [start - base for start in self.starts[first:-1] if start < last]

    def _kept(self, tokens: Tokens) -> list[int]:
        every = tokens.unit(self.unit)
        places = range(len(every))
        if self.window is not None and tokens is self.rows:
            places = places[slice(*self.window)]
        asked = self.asked if tokens is self.rows else ()
        return [p for p in places if self.special or p in asked or not every[p].special]

    def _numbered(self, tokens: Tokens, kept: list[int]) -> tuple[Token, ...]:
        every = tokens.unit(self.unit)
        if len(kept) == len(every):
            return every
        return tuple(replace(every[old], index=new) for new, old in enumerate(kept))


def row_shares(weights: Float[np.ndarray, "*rows key"]) -> Float[np.ndarray, "*rows key"]:
    """Rows divided by their sums; a row of zeros stays zero."""
    return ratio(weights, weights.sum(axis=-1, keepdims=True))


def ratio(
    part: Float[np.ndarray, "*shape"], whole: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "*shape"]:
    """The ratio part / whole, 0 where whole is 0."""
    shares: np.ndarray = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return shares


def missing_share(rows: Float[np.ndarray, "*rows key"]) -> Float[np.ndarray, "*rows"]:
    """1 − row sum, at least 0."""
    missing: np.ndarray = np.maximum(1 - rows.sum(axis=-1), 0)
    return missing


def merge_queries(weights: np.ndarray, word_starts: Sequence[int]) -> np.ndarray:
    """The mean over each query's pieces: (..., query piece, key) -> (..., query word, key).

    With `merge_keys`, rows that sum to 1 still do (Clark et al. 2019, section 4.1).
    """
    rows = _summed_queries(weights, word_starts)
    sizes = np.diff(np.asarray(word_starts), append=weights.shape[-2])
    for word in np.flatnonzero(sizes > 1):
        rows[..., word, :] /= sizes[word].astype(weights.dtype)
    return rows


def merge_keys(weights: np.ndarray, word_starts: Sequence[int]) -> np.ndarray:
    """The sum over each key's pieces: (..., key piece) -> (..., key word)."""
    starts, length = np.asarray(word_starts), weights.shape[-1]
    merged = weights.take(starts, axis=-1)
    if len(starts) < LONG_ROW:
        for piece, word in _continuations(word_starts, length):
            merged[..., word] += weights[..., piece]
        return merged
    sizes = np.diff(starts, append=length)
    # Add the second pieces of all words, then the third pieces, and so on.
    for place in range(1, int(sizes.max())):
        words = np.flatnonzero(sizes > place)
        if len(words) * 8 < len(starts):
            merged[..., words] += weights.take(starts[words] + place, axis=-1)
            continue
        # Add 0 times some piece to the other words: picking out single columns, which lie far apart
        # in memory, is slower.
        pieces = weights.take(np.minimum(starts + place, length - 1), axis=-1)
        pieces *= (sizes > place).astype(weights.dtype)
        merged += pieces
    return merged


def merge_masks(
    mask: np.ndarray, query_starts: Sequence[int], key_starts: Sequence[int]
) -> np.ndarray:
    """(..., piece, piece) -> (..., word, word): True if any piece may attend to any of the key."""
    return merge_keys(_summed_queries(mask, query_starts), key_starts)  # True + True is True


def _summed_queries(weights: np.ndarray, word_starts: Sequence[int]) -> np.ndarray:
    rows = weights.take(np.asarray(word_starts), axis=-2)
    for piece, word in _continuations(word_starts, weights.shape[-2]):
        rows[..., word, :] += weights[..., piece, :]
    return rows


def _continuations(word_starts: Sequence[int], length: int) -> list[tuple[int, int]]:
    """Each piece that is not the first of its word, and that word's index."""
    ends = (*word_starts[1:], length)
    return [
        (piece, word)
        for word, (start, end) in enumerate(zip(word_starts, ends, strict=True))
        for piece in range(start + 1, end)
    ]
