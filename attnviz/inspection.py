"""What one run of a model over one text left behind, as numbers.

An Inspection keeps, for each layer, the vectors x that came in and the queries, keys and values
made of them. Attention weights are computed from queries and keys when somebody asks for a head:
over all heads they take `num_layers x num_heads x n^2` numbers, the queries and keys together only
`num_layers x 2 x n x d_model`. numpy only: nothing here knows how the vectors came about, or how
they will be shown.

Axes, in every array: layer, head, query (who looks, a row), key (what is looked at, a column).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import NamedTuple, get_args

import numpy as np

from attnviz.attention import LayerRecord, check_record
from attnviz.errors import AttnvizError, RequestError
from attnviz.measures import MEASURES, Measure, MeasureName
from attnviz.measures.matrices import Matrices, matrices
from attnviz.tokens import Token, Tokens, Unit, merge_keys, merge_to_words

WEIGHTS_AT_ONCE = 1 << 20
"""Weights computed together: all heads of a short text, one by one those of a long (4 MiB)."""


class HeadId(NamedTuple):
    """A head's place in the model, both counted from 0, printed as `L3H1`.

    Where a measure mixes a layer's heads, `head` is None and the layer stands alone: `L3`.
    """

    layer: int
    head: int | None

    def __str__(self) -> str:
        return f"L{self.layer}" if self.head is None else f"L{self.layer}H{self.head}"

    @property
    def place(self) -> int:
        """Where it stands among the matrices of its layer, from 0."""
        return self.head or 0


class HeadStack(NamedTuple):
    """The weights of some heads, together; they may belong to several layers.

    weights: (head, query, key), in the view's measure; dropped: (head, query), the share of each
    query's row that went to the special tokens left out, or None where none are left out.
    """

    heads: list[HeadId]
    weights: np.ndarray
    dropped: np.ndarray | None


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class ModelFacts:
    """The model as outputs name it: the article's hyperparameters, and whether it was trained."""

    name: str
    family: str
    num_layers: int
    num_heads: int
    d_model: int
    d_k: int
    d_ff: int
    trained: bool
    seed: int | None = None

    def __str__(self) -> str:
        untrained = "" if self.trained else f", UNTRAINED (seed {self.seed})"
        return (
            f"{self.name}: {_counted(self.num_layers, 'layer')} × "
            f"{_counted(self.num_heads, 'head')}, "
            f"d_model {self.d_model}, d_k {self.d_k}, d_ff {self.d_ff}{untrained}"
        )

    @property
    def title(self) -> str:
        """The name, with the mark that an untrained model carries everywhere."""
        return self.name if self.trained else f"{self.name} (UNTRAINED)"


@dataclass(frozen=True, eq=False, repr=False)
class Inspection:
    """Tokens, model facts, and a LayerRecord for each layer; checked once, when built.

    Raises AttnvizError if the lengths do not agree, a number is not float32 or not finite, or a
    query is left without a key to look at; so that every row of weights sums to 1, which is checked
    again whenever weights are computed.
    """

    tokens: Tokens
    model: ModelFacts
    layers: tuple[LayerRecord, ...]

    def __post_init__(self) -> None:
        facts = self.model
        sizes = (facts.num_layers, facts.num_heads, facts.d_model, facts.d_k, len(self.tokens))
        if min(sizes) < 1:
            raise AttnvizError(f"there is nothing to look at: {facts}, {len(self.tokens)} tokens")
        if len(self.layers) != self.model.num_layers:
            raise AttnvizError(
                f"the model has {self.model.num_layers} layers, {len(self.layers)} were recorded"
            )
        for number, record in enumerate(self.layers):
            check_record(
                number,
                record,
                (facts.num_heads, len(self.tokens), facts.d_model, facts.d_k),
            )

    def __repr__(self) -> str:
        return f"<Inspection of {self.tokens.text!r}: {len(self.tokens)} pieces in {self.model}>"

    def weights(
        self, layer: int, head: int | None = None, unit: Unit = "word", special: bool = True
    ) -> np.ndarray:
        """The attention weights of one head, (query, key), or of a layer, (head, query, key).

        Rows and columns are `tokens.words`, or `tokens.pieces` with `unit="piece"`; each row sums
        to 1. `special=False` leaves special tokens out and renormalises (see `View`). Negative
        numbers count from the end. Raises IndexError for a layer or head that is not there.
        """
        return self.view(unit, special).weights(layer, head)

    def matrices(self, measure: MeasureName) -> Matrices:
        """The numbers of a measure, between pieces; what is costly to compute is kept.

        Raises AttnvizError if the inspection lacks what the measure is made of.
        """
        if measure not in self._measured:
            self._measured[measure] = matrices(measure, self.layers)
        return self._measured[measure]

    @cached_property
    def _measured(self) -> dict[MeasureName, Matrices]:
        return {}

    def view(
        self, unit: Unit = "word", special: bool = True, measure: MeasureName = "weights"
    ) -> "View":
        """The same attention in the unit asked for, with or without special tokens.

        `measure`: what the numbers are, one of `attnviz.measures.MEASURES`.
        """
        return View(self, unit, special, measure)


@dataclass(frozen=True, eq=False)
class View:
    """An inspection's attention in one unit; every table, picture and file is drawn from one.

    Words are merged from pieces alike for every measure: summed over the key's pieces, mean over
    the query's (`tokens.merge_to_words`). Shares stay shares; a norm or a flow of a word is the sum
    of its pieces' own, which what all of them bring together may stay below.

    With `special=False`, special tokens are left out as queries and as keys, and `dropped` tells
    how much of each row went to them. Rows that are shares are then divided by their sum; one that
    went to special tokens entirely stays all zero. Rows of other measures stay as they are.

    Raises RequestError for a unit or a measure that there is not.
    """

    inspection: Inspection
    unit: Unit = "word"
    special: bool = True
    measure: MeasureName = "weights"

    def __post_init__(self) -> None:
        for what, name, known in (
            ("unit", self.unit, get_args(Unit)),
            ("measure", self.measure, tuple(MEASURES)),
        ):
            if name not in known:
                raise RequestError(
                    f'there is no {what} "{name}"', f"{what}s are {', '.join(known)}"
                )

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """The rows and columns, `tokens[i].index == i`."""
        tokens = self.inspection.tokens.unit(self.unit)
        if self.special:
            return tokens
        return tuple(replace(tokens[old], index=new) for new, old in enumerate(self._kept))

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
        or head that is not there.
        """
        return self._one(layer, head)[0]

    def dropped(self, layer: int, head: int | None = None) -> np.ndarray:
        """The share of each query's row that went to the keys left out: ([head,] query)."""
        weights, dropped = self._one(layer, head)
        return np.zeros(weights.shape[:-1], weights.dtype) if dropped is None else dropped

    def stacks(self, heads: Iterable[HeadId]) -> Iterator[HeadStack]:
        """The heads asked for, in their order, as many at a time as memory permits."""
        places = list(heads)
        at_once = max(1, WEIGHTS_AT_ONCE // len(self.inspection.tokens) ** 2)
        for first in range(0, len(places), at_once):
            part = places[first : first + at_once]
            layers = groupby(part, key=lambda place: place.layer)
            pieces = [self._pieces(layer, [head for _, head in group]) for layer, group in layers]
            yield HeadStack(part, *self._shares(np.concatenate(pieces)))

    def heads(self, heads: Iterable[HeadId]) -> Iterator[tuple[HeadId, np.ndarray]]:
        """Each head asked for with its weights, (query, key), few at a time in memory."""
        for stack in self.stacks(heads):
            yield from zip(stack.heads, stack.weights, strict=True)

    def all_heads(self) -> list[HeadId]:
        """Every head of the model, layer by layer; every layer, where the measure has no heads."""
        layers, places = range(self.model.num_layers), range(self.num_heads)
        return [self.head_at(layer, place) for layer in layers for place in places]

    def query(self, index: int) -> np.ndarray:
        """What the query at `index` looks at, in every head: (layer, head, key).

        Raises IndexError for a token that is not there.
        """
        pieces = self._pieces_of(index)
        layers = range(self.model.num_layers)
        rows = np.stack([self._pieces(layer, None, pieces).mean(axis=-2) for layer in layers])
        if self.unit == "word":
            rows = merge_keys(rows, self.inspection.tokens.word_starts)
        kept = rows[..., self._kept]
        return kept if self.special or not self.measured.shares else row_shares(kept)

    def key(self, index: int) -> np.ndarray:
        """Who looks at the key at `index`, in every head: (layer, head, query).

        Raises IndexError for a token that is not there.
        """
        _check_index("token", index, len(self._kept))
        heads = self.heads(self.all_heads())
        columns = np.stack([weights[:, index].copy() for _, weights in heads])  # lets go of weights
        return columns.reshape(self.model.num_layers, self.num_heads, -1)

    @cached_property
    def _kept(self) -> list[int]:
        tokens = self.inspection.tokens.unit(self.unit)
        return [i for i, token in enumerate(tokens) if self.special or not token.special]

    @cached_property
    def _left_out(self) -> list[int]:
        kept = set(self._kept)
        return [i for i in range(len(self.inspection.tokens.unit(self.unit))) if i not in kept]

    @property
    def _matrices(self) -> Matrices:
        return self.inspection.matrices(self.measure)

    def _pieces_of(self, index: int) -> slice:
        """The pieces that make up the token at `index`."""
        _check_index("token", index, len(self._kept))
        place = self._kept[index]
        if self.unit == "piece":
            return slice(place, place + 1)
        starts = (*self.inspection.tokens.word_starts, len(self.inspection.tokens))
        return slice(starts[place], starts[place + 1])

    def _one(self, layer: int, head: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        """One head of a layer, or all; the only matrix of a layer where the measure has no heads.

        weights: ([head,] query, key); dropped: ([head,] query), if any tokens are left out.
        """
        pieces = self._pieces(layer, None if head is None else [head])
        alone = head is not None or not self.measured.per_head
        return self._shares(pieces[0] if alone else pieces)

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

    def _shares(self, pieces: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Numbers between pieces in this view; what went to the tokens left out, if any are."""
        weights = self._words(pieces)
        if self.special:
            return weights, None
        rows = weights[..., self._kept, :]
        kept, dropped = rows[..., self._kept], rows[..., self._left_out].sum(axis=-1)
        if self.measured.shares:
            return row_shares(kept), dropped
        return kept, _ratio(dropped, rows.sum(axis=-1))

    def _words(self, weights: np.ndarray) -> np.ndarray:
        if self.unit == "piece":
            return weights
        return merge_to_words(weights, self.inspection.tokens.word_starts)


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
