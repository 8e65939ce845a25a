"""What numbers are about: the model, the text, the tokens, the unit and the measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Literal, NamedTuple

import numpy as np

from attnviz.attention.layer import LayerRecord
from attnviz.attention.measures import Measure, MeasureName
from attnviz.attention.request import AttentionKind
from attnviz.inspection.facts import HeadId, ModelFacts, Window
from attnviz.text.tokens import Part, Token, Tokens, Unit

Role = Literal["query", "key"]
"""A query looks (a row); a key is looked at (a column)."""


class Reach(NamedTuple):
    """How many pieces before and after itself each piece may attend to; None for all."""

    before: int | None
    after: int | None


ALL = Reach(None, None)


@dataclass(frozen=True, eq=False)
class Context:
    """The model, text, tokens, unit and measure that an answer is about; no weights.

    text: the queries' tokens. source: the keys' tokens in cross-attention, None otherwise. tokens:
    the rows shown. keys: the columns shown. positions: the index of each row among all tokens of
    the text. recorded: the layers that were recorded. reaches: how far their queries may attend,
    None if that is not a question of distance.
    """

    model: ModelFacts
    attention: AttentionKind
    text: Tokens
    source: Tokens | None
    tokens: tuple[Token, ...]
    keys: tuple[Token, ...]
    positions: Sequence[int]
    unit: Unit
    special: bool
    window: Window | None
    measured: Measure
    recorded: Sequence[int]
    reaches: Mapping[int, Reach | None]

    @property
    def measure(self) -> MeasureName:
        """The measure's name."""
        return self.measured.name

    @property
    def key_text(self) -> Tokens:
        """The text of the keys: the queries' own, or the source."""
        return self.text if self.source is None else self.source

    @property
    def is_cross_attention(self) -> bool:
        """Whether the keys come from another text than the queries."""
        return self.source is not None

    @property
    def part(self) -> Part | None:
        """Which window of a longer text this is, if the text was cut into windows."""
        return self.key_text.part

    @property
    def num_heads(self) -> int:
        """How many matrices a layer has: one for each head, or 1 if the measure mixes heads."""
        return self.model.num_heads if self.measured.per_head else 1

    @property
    def places(self) -> str:
        """What has a matrix each: "heads", or "layers" if the measure mixes heads."""
        return "heads" if self.measured.per_head else "layers"

    @property
    def first_index(self) -> int:
        """The index, as in `@10`, of the window's first token in the whole text."""
        if self.window is None:
            return 0
        before = self.text.unit(self.unit)[: self.window[0]]
        return sum(self.special or not token.special for token in before)

    def head_at(self, layer: int, place: int) -> HeadId:
        """The head of matrix number `place` in a layer."""
        return HeadId(layer, place if self.measured.per_head else None)

    def all_heads(self) -> list[HeadId]:
        """All recorded heads, layer by layer, or all recorded layers if the measure mixes heads."""
        return [self.head_at(n, place) for n in self.recorded for place in range(self.num_heads)]


def reach_of(record: LayerRecord) -> Reach | None:
    """How far the queries of a layer may attend; None if unknown or no question of distance."""
    if record.recorded_weights is not None or (
        record.bias is not None and np.isneginf(record.bias).any()
    ):
        return None
    if record.key_ranges is None:
        return ALL
    to_start = np.arange(len(record.key_ranges))
    to_end = to_start[::-1]
    before = to_start - record.key_ranges[:, 0]
    after = record.key_ranges[:, 1] - 1 - to_start
    most = int(before.max()), int(after.max())
    # Every query must reach equally far, except where the text begins or ends.
    if (before != np.minimum(to_start, most[0])).any() or (
        after != np.minimum(to_end, most[1])
    ).any():
        return None
    return Reach(*(None if reach >= to_end[0] > 0 else reach for reach in most))


class Shown:
    """Shows itself in a notebook, as a table of HTML.

    The room that draws is named here, and imported when a notebook asks: this one knows no drawing.
    """

    def _repr_html_(self) -> str:
        html: str = import_module("attnviz.show.notebook").table_html(self)
        return html
