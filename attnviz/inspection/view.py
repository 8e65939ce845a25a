"""An inspection's attention in one unit and one measure, of which everything shown is made."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, TypeVar, get_args

import numpy as np

from attnviz.attention.formula import measured
from attnviz.attention.matrices import Matrices
from attnviz.attention.measures import MEASURES, Measure, MeasureName
from attnviz.errors import RequestError
from attnviz.inspection.facts import HeadId, ModelFacts
from attnviz.inspection.frame import Frame, Seen, Window, lacking
from attnviz.inspection.stacks import Group, HeadStack
from attnviz.inspection.threads import side_by_side
from attnviz.progress import advanced
from attnviz.text.tokens import Token, Unit

if TYPE_CHECKING:
    from attnviz.inspection.inspection import Inspection

WEIGHTS_AT_ONCE = 1 << 20
"""Weights between pieces computed together (4 MiB): all heads of a short text, some rows of one
head of a long."""

Result = TypeVar("Result")


class Aside(NamedTuple):
    """What of a query's row goes to special tokens, shown or not, and to the sink: (layer, head).

    Layers that were not recorded are NaN. `sink` is None where the model has none.
    """

    special: np.ndarray
    sink: np.ndarray | None


@dataclass(frozen=True, eq=False)
class View:
    """An inspection's attention in one unit; every table, picture and file is drawn from one.

    Words are merged from pieces alike for every measure: summed over the key's pieces, mean over
    the query's (`tokens.merge_queries`). Shares stay shares; a norm or a flow of a word is the sum
    of its pieces' own, which what all of them bring together may stay below.

    With `special=False`, special tokens are left out as queries and as keys, and `dropped` tells
    how much of each row went to them. Rows that are shares are then divided by their sum; one that
    went to special tokens entirely stays all zero. Rows of other measures stay as they are. Where a
    model has sinks, rows that are shares sum to less than 1, and `sink` tells what is missing.

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
        if self.is_cross_attention and not self.measured.per_head:
            raise RequestError(
                f"{self.measure} follows tokens down through the layers, and here a text looks at "
                "another",
                "take --measure weights or norm",
            )
        if not self._frame.queries or not self._frame.keys:
            raise RequestError(
                "without special tokens there is nothing left to look at",
                "keep special tokens in",
            )

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The rows, and the columns too unless there are keys of another text.

        `tokens[i].index == i`.
        """
        return self._frame.tokens

    @property
    def keys(self) -> tuple[Token, ...]:
        """The columns: the rows' own tokens, or another text's; `keys[i].index == i`."""
        return self._frame.key_tokens

    @property
    def positions(self) -> list[int]:
        """Where each row stands among all tokens of the text, special ones included, from 0."""
        return self._frame.queries

    @property
    def is_cross_attention(self) -> bool:
        """Whether the keys are another text's than the queries."""
        return self.inspection.keys is not None

    @property
    def model(self) -> ModelFacts:
        """The model that was looked into."""
        return self.inspection.model

    @cached_property
    def measured(self) -> Measure:
        """What the numbers mean, in this model's attention."""
        layers = self.inspection.layers
        return measured(MEASURES[self.measure], [layer for layer in layers if layer is not None])

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
        return self._one(layer, head).weights

    def dropped(self, layer: int, head: int | None = None) -> np.ndarray:
        """The share of each query's row that went to the keys left out: ([head,] query)."""
        weights, dropped, _ = self._one(layer, head)
        return np.zeros(weights.shape[:-1], weights.dtype) if dropped is None else dropped

    def sink(self, layer: int, head: int | None = None) -> np.ndarray:
        """The share of each query's row, as it is shown, that went to the sink: ([head,] query)."""
        weights, _, sink = self._one(layer, head)
        return np.zeros(weights.shape[:-1], weights.dtype) if sink is None else sink

    def visible(self, layer: int, rows: slice = slice(None)) -> np.ndarray | None:
        """Which keys the queries may look at in a layer, (query, key); None where at all keys.

        Causal masks and sliding windows keep queries from keys, whose weight is 0 whatever the head
        does. A word may look at another if any of its pieces may look at any of the other's. `rows`
        takes some of the queries, of a long text.
        """
        _check_index("layer", layer, self.model.num_layers)
        own = self._frame.queries[rows]
        pieces = self._frame.pieces(own[0], own[-1])
        seen = self._matrices.may_look(layer % self.model.num_layers, pieces)
        if seen is not None:
            seen = self._frame.mask(seen, own)
        return None if seen is None or seen.all() else seen

    def over(self, heads: Iterable[HeadId], work: Callable[[Group], Result]) -> Iterator[Result]:
        """What `work` makes of the heads asked for, in their order, group by group.

        Of a short text, groups are as large as memory permits. Of a long one they are single heads,
        whose rows come some at a time, so that weights are never all in memory; and several heads
        are worked on side by side. Whoever watches is told how many are done (`progress`).
        """
        places, done = list(heads), 0
        groups = (Group(some, self._stacks_of(some)) for some in self._together(places))

        def counted(group: Group) -> tuple[int, Result]:
            return len(group.heads), work(group)

        # a measure without heads keeps what it has computed, and does so on one thread
        threads = self._is_long and self.measured.per_head
        for count, result in (side_by_side if threads else map)(counted, groups):
            done += count
            advanced(done, len(places))
            yield result

    def stacks(self, heads: Iterable[HeadId]) -> Iterator[HeadStack]:
        """The heads asked for, in their order, as many at a time as memory permits."""
        for some in self._together(list(heads)):
            if self._is_long:
                parts = self._parts(some[0].layer, [some[0].head])
                seen = _joined([part for _, part in parts])
                yield HeadStack(some, slice(0, len(self.tokens)), *seen)
            else:
                yield from self._stacks_of(some)

    def blocks(self, heads: Iterable[HeadId]) -> Iterator[HeadStack]:
        """The same, but of a long text some rows at a time: a head's stacks follow each other.

        So weights are never all in memory.
        """
        for some in self._together(list(heads)):
            yield from self._stacks_of(some)

    def heads(self, heads: Iterable[HeadId]) -> Iterator[tuple[HeadId, np.ndarray]]:
        """Each head asked for with its weights, (query, key), few at a time in memory."""
        for stack in self.stacks(heads):
            yield from zip(stack.heads, stack.weights, strict=True)

    def parts(self, head: HeadId) -> Iterator[tuple[slice, np.ndarray]]:
        """A head's weights some rows at a time: which rows, and their weights, (query, key).

        So a long text's are never all in memory.
        """
        for rows, seen in self._parts(head.layer, [head.head]):
            yield rows, seen.weights[0]

    def all_heads(self) -> list[HeadId]:
        """Every head recorded, layer by layer; every layer, where the measure has no heads."""
        layers, places = self.inspection.recorded, range(self.num_heads)
        return [self.head_at(layer, place) for layer in layers for place in places]

    def query(self, index: int) -> np.ndarray:
        """What the query at `index` looks at, in every head: (layer, head, key).

        Layers that were not recorded are NaN. Raises IndexError for a token that is not there.
        """
        return self.row(index).weights

    def row(self, index: int) -> Seen:
        """The same, and beside it what was dropped and what the sink had: (layer, head)."""
        weights, dropped, sink = zip(
            *(self._shown(row) for row in self._rows_of(index)), strict=True
        )
        return Seen(
            self._layers(weights),
            None if dropped[0] is None else self._layers(dropped),
            None if sink[0] is None else self._layers(sink),
        )

    def aside(self, index: int) -> Aside:
        """What of the row of the query at `index` goes to special tokens and to the sink."""
        rows = self._layers(list(self._rows_of(index)))
        missing = [layer for layer in range(len(rows)) if layer not in self.inspection.recorded]
        special = self._frame.special_shares(rows, self._has_sinks)
        special[missing] = np.nan
        return Aside(special, lacking(rows) if self._has_sinks else None)

    def _rows_of(self, index: int) -> Iterator[np.ndarray]:
        """The row of a query over all keys, (head, 1, every key), in each layer recorded."""
        _check_index("token", index, len(self.tokens))
        token = self._frame.queries[index]
        pieces = self._frame.pieces(token, token)
        for layer in self.inspection.recorded:
            row = self._pieces(layer, None, pieces).mean(axis=-2, keepdims=True)
            yield self._frame.by_key(row)

    def _layers(self, found: Sequence[np.ndarray]) -> np.ndarray:
        """What one row has in each layer recorded, (head, 1, ...), as (layer, head, ...)."""
        rows = {
            layer: own[:, 0] for layer, own in zip(self.inspection.recorded, found, strict=True)
        }
        missing = np.full_like(found[0][:, 0], np.nan)
        return np.stack([rows.get(layer, missing) for layer in range(self.model.num_layers)])

    @cached_property
    def _frame(self) -> Frame:
        inspection = self.inspection
        return Frame(inspection.tokens, inspection.key_tokens, self.unit, self.special, self.window)

    @property
    def _matrices(self) -> Matrices:
        return self.inspection.matrices(self.measure)

    @property
    def _has_sinks(self) -> bool:
        """Whether rows are shares, and a model's sink has a part in them."""
        return self.measured.shares and self.inspection.sinks

    @property
    def _weights_a_head(self) -> int:
        return len(self.inspection.tokens) * len(self.inspection.key_tokens)

    @property
    def _is_long(self) -> bool:
        """Whether even one head's weights are too many to be computed at once."""
        return self._weights_a_head > WEIGHTS_AT_ONCE

    def _together(self, heads: Sequence[HeadId]) -> Iterator[list[HeadId]]:
        """The heads that are computed together, in their order."""
        at_once = max(1, WEIGHTS_AT_ONCE // self._weights_a_head)
        for first in range(0, len(heads), at_once):
            yield list(heads[first : first + at_once])

    def _stacks_of(self, heads: list[HeadId]) -> Iterator[HeadStack]:
        """The heads of one group, in one stack, or some rows at a time."""
        if self._is_long:
            for rows, seen in self._parts(heads[0].layer, [heads[0].head]):
                yield HeadStack(heads, rows, *seen)
        else:
            yield HeadStack(heads, slice(0, len(self.tokens)), *self._at_once(heads))

    def _at_once(self, heads: Sequence[HeadId]) -> Seen:
        """Some heads of a short text, of any layers."""
        layers = groupby(heads, key=lambda place: place.layer)
        pieces = [self._pieces(layer, [head for _, head in group]) for layer, group in layers]
        joined = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return self._rows(joined, self._frame.queries, 0)

    def _one(self, layer: int, head: int | None) -> Seen:
        """One head of a layer, or all; the only matrix of a layer where the measure has no heads.

        weights: ([head,] query, key); dropped, sink: ([head,] query).
        """
        parts = self._parts(layer, None if head is None else [head])
        seen = _joined([part for _, part in parts])
        if head is None and self.measured.per_head:
            return seen
        weights, *others = seen
        return Seen(weights[0], *(None if array is None else array[0] for array in others))

    def _parts(
        self, layer: int, heads: Sequence[int | None] | None
    ) -> Iterator[tuple[slice, Seen]]:
        """Some rows at a time of some heads of a layer: which, and how they are shown."""
        count = self.num_heads if heads is None else len(heads)
        at_once = max(1, WEIGHTS_AT_ONCE // (count * len(self.inspection.key_tokens)))
        queries, starts, done = self._frame.queries, self._frame.starts, 0
        while done < len(queries):
            first, end = queries[done], done + 1
            # further tokens, as long as their pieces are few enough
            while end < len(queries) and starts[queries[end] + 1] - starts[first] <= at_once:
                end += 1
            own = queries[done:end]
            pieces = self._pieces(layer, heads, self._frame.pieces(first, own[-1]))
            yield slice(done, end), self._rows(pieces, own, first)
            done = end

    def _rows(self, pieces: np.ndarray, own: list[int], first: int) -> Seen:
        """Of numbers between pieces, of the tokens from `first` on, the rows of some: as shown."""
        rows = self._frame.merged(pieces, first)
        every = len(own) == rows.shape[1]
        return self._shown(rows if every else rows[:, [token - first for token in own]])

    def _shown(self, rows: np.ndarray) -> Seen:
        return self._frame.seen(rows, self.measured.shares, self._has_sinks)

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


def _joined(parts: Sequence[Seen]) -> Seen:
    """Rows that follow each other, together; memory for twice as many at most."""
    if len(parts) == 1:
        return parts[0]
    weights, *others = zip(*parts, strict=True)
    return Seen(
        np.concatenate(weights, axis=1),
        *(None if arrays[0] is None else np.concatenate(arrays, axis=1) for arrays in others),
    )


def _check_index(what: str, index: int, count: int) -> None:
    if not -count <= index < count:
        raise IndexError(f"there is no {what} {index}: there are {count}, from 0 to {count - 1}")
