"""An inspection's attention in one unit and one measure, of which everything shown is made."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np

from attnviz.errors import RequestError
from attnviz.inspection.facts import HeadId, ModelFacts
from attnviz.measures import MEASURES, Measure, MeasureName
from attnviz.measures.matrices import Matrices
from attnviz.tokens import Token, Tokens, Unit, merge_keys, merge_queries

if TYPE_CHECKING:
    from attnviz.inspection.inspection import Inspection

WEIGHTS_AT_ONCE = 1 << 20
"""Weights between pieces computed together (4 MiB): all heads of a short text, some rows of one
head of a long."""

Window = tuple[int, int]
"""A part of a text: the index of its first token, and of the one behind its last."""


class HeadStack(NamedTuple):
    """The weights of some heads, together; they may belong to several layers.

    weights: (head, query, key), in the view's measure; dropped: (head, query), the share of each
    query's row that went to the special tokens left out, or None where none are left out.
    """

    heads: list[HeadId]
    weights: np.ndarray
    dropped: np.ndarray | None


@dataclass(frozen=True, eq=False)
class View:
    """An inspection's attention in one unit; every table, picture and file is drawn from one.

    Words are merged from pieces alike for every measure: summed over the key's pieces, mean over
    the query's (`tokens.merge_queries`). Shares stay shares; a norm or a flow of a word is the sum
    of its pieces' own, which what all of them bring together may stay below.

    With `special=False`, special tokens are left out as queries and as keys, and `dropped` tells
    how much of each row went to them. Rows that are shares are then divided by their sum; one that
    went to special tokens entirely stays all zero. Rows of other measures stay as they are.

    With a `window`, only the tokens in it are queries and keys; their weights stay what they are in
    the whole text, so that rows sum to less than 1. Where the inspection has keys of another text,
    it is about the queries alone.

    Raises RequestError for a unit or a measure that there is not, for a window without a token,
    where special tokens are left out and there are no others, and for a measure that mixes heads
    where the keys are another text's.
    """

    inspection: "Inspection"
    unit: Unit = "word"
    special: bool = True
    measure: MeasureName = "weights"
    window: Window | None = None

    def __post_init__(self) -> None:
        for what, name, known in (
            ("unit", self.unit, get_args(Unit)),
            ("measure", self.measure, tuple(MEASURES)),
        ):
            if name not in known:
                raise RequestError(
                    f'there is no {what} "{name}"', f"{what}s are {', '.join(known)}"
                )
        if self.window is not None:
            count = len(self.inspection.tokens.unit(self.unit))
            first, end = self.window
            if not 0 <= first < end or first >= count:
                raise RequestError(
                    f"the window {first}:{end} holds no token: there are {count}, "
                    f"from 0 to {count - 1}",
                    "give the first token and the end, as in 0:40",
                )
        if self.crossed and not self.measured.per_head:
            raise RequestError(
                f"{self.measure} follows tokens down through the layers, and here a text looks at "
                "another",
                "take --measure weights or norm",
            )
        if not self._queries or not self._keys:
            raise RequestError(
                "without special tokens there is nothing left to look at",
                "keep special tokens in",
            )

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """The rows, and the columns too unless there are keys of another text.

        `tokens[i].index == i`.
        """
        return self._numbered(self.inspection.tokens, self._queries)

    @cached_property
    def keys(self) -> tuple[Token, ...]:
        """The columns: the rows' own tokens, or another text's; `keys[i].index == i`."""
        if not self.crossed:
            return self.tokens
        return self._numbered(self.inspection.key_tokens, self._keys)

    @property
    def crossed(self) -> bool:
        """Whether the keys are another text's than the queries."""
        return self.inspection.keys is not None

    @property
    def model(self) -> ModelFacts:
        """The model that was looked into."""
        return self.inspection.model

    @property
    def measured(self) -> Measure:
        """What the numbers mean."""
        return MEASURES[self.measure]

    @property
    def places(self) -> str:
        """What its matrices belong to: "heads", or "layers" where the measure mixes heads."""
        return "heads" if self.measured.per_head else "layers"

    def head_at(self, layer: int, place: int) -> HeadId:
        """The head at `place` among the matrices of its layer; see `HeadId.place`."""
        return HeadId(layer, place if self.measured.per_head else None)

    @property
    def num_heads(self) -> int:
        """How many matrices a layer has: one for each head, or 1 where the measure mixes them."""
        return self.model.num_heads if self.measured.per_head else 1

    def weights(self, layer: int, head: int | None = None) -> np.ndarray:
        """One head's weights, (query, key), or a layer's, (head, query, key).

        A measure without heads has one matrix a layer, (query, key). Raises IndexError for a layer
        or head that is not there, RequestError for a layer that was not recorded.
        """
        return self._one(layer, head)[0]

    def dropped(self, layer: int, head: int | None = None) -> np.ndarray:
        """The share of each query's row that went to the keys left out: ([head,] query)."""
        weights, dropped = self._one(layer, head)
        return np.zeros(weights.shape[:-1], weights.dtype) if dropped is None else dropped

    def visible(self, layer: int, rows: slice = slice(None)) -> np.ndarray | None:
        """Which keys the queries may look at in a layer, (query, key); None where at all keys.

        Causal masks and sliding windows keep queries from keys, whose weight is 0 whatever the head
        does. A word may look at another if any of its pieces may look at any of the other's. `rows`
        takes some of the queries, of a long text.
        """
        _check_index("layer", layer, self.model.num_layers)
        queries = self._queries[rows]
        first, last = queries[0], queries[-1]
        pieces = slice(self._starts[first], self._starts[last + 1])
        seen = self._matrices.may_look(layer % self.model.num_layers, pieces)
        if seen is None:
            return None
        if self.unit == "word":
            starts = np.array(self._starts[first : last + 1]) - pieces.start
            seen = np.logical_or.reduceat(seen, starts, axis=0)
            seen = np.logical_or.reduceat(seen, self.inspection.key_tokens.word_starts, axis=1)
        seen = seen[np.ix_([query - first for query in queries], self._keys)]
        return None if seen.all() else seen

    def stacks(self, heads: Iterable[HeadId]) -> Iterator[HeadStack]:
        """The heads asked for, in their order, as many at a time as memory permits."""
        places = list(heads)
        weights_a_head = len(self.inspection.tokens) * len(self.inspection.key_tokens)
        at_once = max(1, WEIGHTS_AT_ONCE // weights_a_head)
        for first in range(0, len(places), at_once):
            part = places[first : first + at_once]
            if weights_a_head > WEIGHTS_AT_ONCE:
                yield HeadStack(part, *self._in_parts(part[0].layer, [part[0].head]))
                continue
            layers = groupby(part, key=lambda place: place.layer)
            pieces = [self._pieces(layer, [head for _, head in group]) for layer, group in layers]
            joined = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
            rows = self._by_query(joined, 0)
            whole = len(self._queries) == rows.shape[1]
            yield HeadStack(part, *self._seen(rows if whole else rows[:, self._queries]))

    def heads(self, heads: Iterable[HeadId]) -> Iterator[tuple[HeadId, np.ndarray]]:
        """Each head asked for with its weights, (query, key), few at a time in memory."""
        for stack in self.stacks(heads):
            yield from zip(stack.heads, stack.weights, strict=True)

    def parts(self, head: HeadId) -> Iterator[tuple[slice, np.ndarray]]:
        """A head's weights some rows at a time: which rows, and their weights, (query, key).

        So a long text's are never all in memory.
        """
        for rows, (weights, _) in self._parts(head.layer, [head.head]):
            yield rows, weights[0]

    def all_heads(self) -> list[HeadId]:
        """Every head recorded, layer by layer; every layer, where the measure has no heads."""
        layers, places = self.inspection.recorded, range(self.num_heads)
        return [self.head_at(layer, place) for layer in layers for place in places]

    def query(self, index: int) -> np.ndarray:
        """What the query at `index` looks at, in every head: (layer, head, key).

        Layers that were not recorded are NaN. Raises IndexError for a token that is not there.
        """
        _check_index("token", index, len(self._queries))
        unit = self._queries[index]
        pieces = slice(self._starts[unit], self._starts[unit + 1])
        rows: dict[int, np.ndarray] = {}
        for layer in self.inspection.recorded:
            row = self._pieces(layer, None, pieces).mean(axis=-2, keepdims=True)
            rows[layer] = self._seen(self._by_key(row))[0][:, 0]
        missing = np.full_like(next(iter(rows.values())), np.nan)
        return np.stack([rows.get(layer, missing) for layer in range(self.model.num_layers)])

    @cached_property
    def _queries(self) -> list[int]:
        """The rows kept, among all tokens of the unit."""
        return self._kept(self.inspection.tokens)

    @cached_property
    def _keys(self) -> list[int]:
        """The columns kept, among all tokens of the unit."""
        return self._kept(self.inspection.key_tokens) if self.crossed else self._queries

    @cached_property
    def _left_out(self) -> list[int]:
        """The columns of special tokens, where they are left out."""
        tokens = self.inspection.key_tokens.unit(self.unit)
        return [i for i, token in enumerate(tokens) if token.special and not self.special]

    def _kept(self, tokens: Tokens) -> list[int]:
        every = tokens.unit(self.unit)
        places = range(len(every))
        if self.window is not None and tokens is self.inspection.tokens:
            places = places[slice(*self.window)]
        return [place for place in places if self.special or not every[place].special]

    def _numbered(self, tokens: Tokens, kept: list[int]) -> tuple[Token, ...]:
        every = tokens.unit(self.unit)
        if len(kept) == len(every):
            return every
        return tuple(replace(every[old], index=new) for new, old in enumerate(kept))

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        """The first piece of each token of the unit, and the end of the last."""
        tokens = self.inspection.tokens
        starts = tokens.word_starts if self.unit == "word" else range(len(tokens))
        return (*starts, len(tokens))

    @property
    def _matrices(self) -> Matrices:
        return self.inspection.matrices(self.measure)

    def _one(self, layer: int, head: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        """One head of a layer, or all; the only matrix of a layer where the measure has no heads.

        weights: ([head,] query, key); dropped: ([head,] query), if any tokens are left out.
        """
        weights, dropped = self._in_parts(layer, None if head is None else [head])
        if head is None and self.measured.per_head:
            return weights, dropped
        return weights[0], None if dropped is None else dropped[0]

    def _in_parts(
        self, layer: int, heads: Sequence[int | None] | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Some heads of a layer, put together part by part: as HeadStack has them."""
        parts = self._parts(layer, heads)
        rows, (weights, dropped) = next(parts)
        if rows.stop == len(self._queries):
            return weights, dropped
        whole = np.empty((len(weights), len(self._queries), weights.shape[-1]), weights.dtype)
        shares = None if dropped is None else np.empty(whole.shape[:-1], whole.dtype)
        while True:
            whole[:, rows] = weights
            if shares is not None:
                shares[:, rows] = dropped
            if rows.stop == len(self._queries):
                return whole, shares
            rows, (weights, dropped) = next(parts)

    def _parts(
        self, layer: int, heads: Sequence[int | None] | None
    ) -> Iterator[tuple[slice, tuple[np.ndarray, np.ndarray | None]]]:
        """Some rows at a time of some heads of a layer: weights and dropped, as in HeadStack."""
        count = self.num_heads if heads is None else len(heads)
        at_once = max(1, WEIGHTS_AT_ONCE // (count * len(self.inspection.key_tokens)))
        done = 0
        while done < len(self._queries):
            first = self._queries[done]
            end = done + 1
            # further tokens, as long as their pieces are few enough
            while end < len(self._queries) and (
                self._starts[self._queries[end] + 1] - self._starts[first] <= at_once
            ):
                end += 1
            last = self._queries[end - 1]
            pieces = slice(self._starts[first], self._starts[last + 1])
            rows = self._by_query(self._pieces(layer, heads, pieces), first)
            own = [number - first for number in self._queries[done:end]]
            yield slice(done, end), self._seen(rows if len(own) == rows.shape[1] else rows[:, own])
            done = end

    def _pieces(
        self, layer: int, heads: Sequence[int | None] | None, queries: slice = slice(None)
    ) -> np.ndarray:
        """The measure's numbers between pieces, (head, query, key)."""
        _check_index("layer", layer, self.model.num_layers)
        numbers = [head for head in heads or () if head is not None]
        if numbers and not self.measured.per_head:
            raise IndexError(f"{self.measure} mixes the heads of a layer: there is no head to take")
        for number in numbers:
            _check_index("head", number, self.model.num_heads)
        return self._matrices.pieces(layer % self.model.num_layers, numbers or None, queries)

    def _by_query(self, pieces: np.ndarray, first: int) -> np.ndarray:
        """Numbers between pieces as numbers between tokens of the unit, from `first` on."""
        if self.unit == "piece":
            return pieces
        base, last = self._starts[first], self._starts[first] + pieces.shape[-2]
        starts = [start - base for start in self._starts[first:-1] if start < last]
        return self._by_key(merge_queries(pieces, starts))

    def _by_key(self, rows: np.ndarray) -> np.ndarray:
        """Rows whose keys are pieces as rows whose keys are tokens of the unit."""
        if self.unit == "piece":
            return rows
        return merge_keys(rows, self.inspection.key_tokens.word_starts)

    def _seen(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Of rows over all keys, those kept; and what went to special tokens, if they are not.

        rows: (head, query, every key) -> (head, query, key) and (head, query).
        """
        if self.special:
            whole = len(self._keys) == rows.shape[-1]
            return rows if whole else rows[..., self._keys], None
        dropped = rows[..., self._left_out].sum(axis=-1)
        total = rows.sum(axis=-1)
        kept = rows[..., self._keys]
        if not self.measured.shares:
            return kept, _ratio(dropped, total)
        if self.window is None and not self.inspection.sinks:
            return row_shares(kept), dropped
        plain = total - dropped
        return _ratio(kept, plain[..., None]), np.maximum(1 - plain, 0)


def _check_index(what: str, index: int, count: int) -> None:
    if not -count <= index < count:
        raise IndexError(f"there is no {what} {index}: there are {count}, from 0 to {count - 1}")


def row_shares(weights: np.ndarray) -> np.ndarray:
    """Rows as shares, (..., key): divided by their sum; a row of zeros stays as it is."""
    return _ratio(weights, weights.sum(axis=-1, keepdims=True))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Part of whole, and 0 where the whole is nothing."""
    shares: np.ndarray = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return shares
