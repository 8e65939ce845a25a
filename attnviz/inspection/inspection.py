"""What a model computed for one text, as numbers.

An Inspection keeps the queries and keys of each layer and what they were made from. Attention
weights are computed when a head is asked for: all of them are `num_layers x num_heads x n^2`
numbers, queries and keys only `num_layers x 2 x n x d_model`. numpy only: nothing here knows where
the vectors come from, or how they are shown.

The axes of every array are in this order: layer, head, query (a row), key (a column).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attnviz.attention.check import check_record
from attnviz.attention.layer import LayerRecord
from attnviz.attention.measures import MEASURES, MeasureName
from attnviz.attention.request import AttentionKind
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection.facts import FullHeadName, ModelFacts, Window
from attnviz.inspection.view import View
from attnviz.text.tokens import Part, Tokens, Unit

if TYPE_CHECKING:
    from attnviz.attention.rollout import Mixed


@dataclass(frozen=True, eq=False, repr=False)
class Inspection:
    """Tokens, the model's facts, and a LayerRecord for each layer.

    tokens: the queries, and also the keys unless `keys` has another text's (cross-attention).
    layers: None for a layer that was not recorded. attention: whose attention it is; `model` has
    the facts of that part of the model.

    All is checked here: AttnvizError if the sizes do not agree, a number is not finite, or a query
    has no key to attend to. So every row of weights sums to 1, which is checked again whenever
    weights are computed.
    """

    tokens: Tokens
    model: ModelFacts
    layers: tuple[LayerRecord | None, ...]
    keys: Tokens | None = None
    attention: AttentionKind = "encoder"

    def __post_init__(self) -> None:
        facts = self.model
        sizes = {
            **{"head": facts.num_heads, "d_model": facts.d_model, "d_k": facts.d_k},
            **{"query": len(self.tokens), "key": len(self.key_tokens)},
        }
        if min(facts.num_layers, *sizes.values()) < 1:
            raise AttnvizError(f"there is nothing to look at: {facts}, {len(self.tokens)} tokens")
        if len(self.layers) != self.model.num_layers:
            raise AttnvizError(
                f"the model has {self.model.num_layers} layers, {len(self.layers)} were recorded"
            )
        for number, record in enumerate(self.layers):
            if record is not None:
                check_record(number, record, sizes, facts.dtype)
        if not self.recorded:
            raise AttnvizError("no layer was recorded")

    def __repr__(self) -> str:
        return f"<Inspection of {self.tokens.text!r}: {len(self.tokens)} pieces in {self.model}>"

    def _repr_html_(self) -> str:
        return self.view()._repr_html_()

    @property
    def key_tokens(self) -> Tokens:
        """The keys: the queries' own tokens, or another text's."""
        return self.tokens if self.keys is None else self.keys

    @property
    def part(self) -> Part | None:
        """Which window of a longer text this is, if the text was cut into windows."""
        return self.key_tokens.part

    @cached_property
    def recorded(self) -> list[int]:
        """The numbers of the layers that were recorded."""
        return [number for number, record in enumerate(self.layers) if record is not None]

    @property
    def nbytes(self) -> int:
        """The memory that its arrays take, in bytes."""
        return sum(record.nbytes for record in self.layers if record is not None)

    @property
    def sinks(self) -> bool:
        """Whether a sink takes a part of the rows, so that they sum to less than 1."""
        return any(record is not None and record.sinks is not None for record in self.layers)

    def layer(self, number: int) -> LayerRecord:
        """The record of a layer; RequestError if it was not recorded."""
        record = self.layers[number]
        if record is None:
            numbers = ", ".join(map(str, self.recorded))
            raise RequestError(
                f"layer {number % len(self.layers)} was not recorded, only {numbers}",
                "run the text again, with that layer or without --layer",
            )
        return record

    def weights(
        self,
        layer: int | FullHeadName,
        head: int | None = None,
        unit: Unit = "word",
        special: bool = True,
    ) -> np.ndarray:
        """The attention weights of one head, (query, key), or of a layer, (head, query, key).

        A head is `(3, 1)`, `"L3H1"` or a HeadId, or its layer and its number. Rows and columns are
        words, or pieces with `unit="piece"`; each row sums to 1.
        `special=False` leaves special tokens out and renormalises (see `View`). Negative numbers
        count from the end. Raises IndexError for a layer or head that is not there.
        """
        return self.view(unit, special).weights(layer, head)

    def mixed(self, measure: MeasureName) -> "Mixed | None":
        """The matrices of a measure that mixes heads, kept between calls; None for the others."""
        start = MEASURES[measure].of_layers
        if start is not None and measure not in self._mixed:
            self._mixed[measure] = start(self.layer, len(self.layers))
        return self._mixed.get(measure)

    @cached_property
    def _mixed(self) -> "dict[MeasureName, Mixed]":
        return {}

    def view(
        self,
        unit: Unit = "word",
        special: bool = True,
        measure: MeasureName = "weights",
        window: Window | None = None,
    ) -> "View":
        """The attention in one unit and measure, with or without special tokens.

        `window`: the part of the text to show, in tokens of the unit: the first, and the end.
        """
        return View(self, unit, special, measure, window)
