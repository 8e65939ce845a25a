"""What a model computed for one text. Axes: layer, head, query (a row), key (a column)."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attnviz.attention.layer import LayerRecord, check_record
from attnviz.attention.measures import MEASURES, MeasureName
from attnviz.attention.request import AttentionKind
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection.context import DTYPES, FullHeadName, ModelFacts, Window
from attnviz.inspection.view import View
from attnviz.text.tokens import Part, Tokens, Unit

if TYPE_CHECKING:
    from attnviz.attention.rollout import Mixed

_CHOICE = f"{', '.join(DTYPES[:-1])} or {DTYPES[-1]}"


@dataclass(frozen=True, eq=False, repr=False)
class Inspection:
    """Tokens, the model's facts, and each layer's record, from which weights are computed.

    AttnvizError if sizes do not agree, a number is not finite, or a query has no key to attend to.
    """

    tokens: Tokens  # the queries, and the keys too if `keys` is None
    model: ModelFacts  # the facts of the part whose attention this is
    layers: tuple[LayerRecord | None, ...]  # None for a layer that was not recorded
    keys: Tokens | None = None  # another text's, in cross-attention
    attention: AttentionKind = "encoder"
    source: Tokens | None = None  # what the encoder beside a decoder read; not kept in files

    def __post_init__(self) -> None:
        facts = self.model
        sizes = {
            **{"head": facts.num_heads, "d_model": facts.d_model, "d_k": facts.d_k},
            **{"query": len(self.tokens), "key": len(self.key_tokens)},
        }
        if min(facts.num_layers, *sizes.values()) < 1:
            raise AttnvizError(f"there is nothing to look at: {facts}, {len(self.tokens)} tokens")
        if facts.dtype not in DTYPES:
            raise AttnvizError(f"the model computes in {facts.dtype}, and not in {_CHOICE}")
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
        """One head's weights, (query, key), or a layer's, (head, query, key); see `View`."""
        return self.view(unit, special).weights(layer, head)

    def mixed(self, measure: MeasureName) -> "Mixed | None":
        """The matrices of a measure that mixes heads, kept between calls; None for the others."""
        start = MEASURES[measure].of_layers
        if start is not None and measure not in self._mixed:
            # of a copy: kept by what it holds itself, this would not be freed with its last user
            self._mixed[measure] = start(replace(self).layer, len(self.layers))
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
        """The attention in one unit and measure; `window`: the first token to show, and the end."""
        return View(self, unit, special, measure, window)
