"""What a view's numbers belong to: the model, the text, the tokens, the unit and the measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from attnviz.attention.layer import LayerRecord
from attnviz.attention.measures import Measure, MeasureName
from attnviz.attention.request import AttentionKind
from attnviz.inspection.facts import HeadId, ModelFacts
from attnviz.inspection.frame import Window
from attnviz.text.tokens import Part, Token, Tokens, Unit

Role = Literal["query", "key"]
"""Whether a token looks, a row, or is looked at, a column."""


class Reach(NamedTuple):
    """How many pieces before itself, and after, each piece may look at; None: all there are."""

    before: int | None
    after: int | None


ALL = Reach(None, None)


@dataclass(frozen=True, eq=False)
class Context:
    """The model, text, tokens, unit and measure that an answer is about; no weights.

    `text` has the queries' tokens. `source` has the keys' in cross-attention, and is None
    otherwise. `tokens` are the rows shown and `keys` the columns; `positions` are the rows' places
    among all tokens of the text. `recorded` are the layers recorded; `reaches` says how far the
    queries of each may look, None where that is not a question of distance.
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
        """Which window of a longer text this is, where one was cut into windows."""
        return self.key_text.part

    @property
    def num_heads(self) -> int:
        """How many matrices a layer has: one a head, or 1 where the measure mixes heads."""
        return self.model.num_heads if self.measured.per_head else 1

    @property
    def places(self) -> str:
        """What the matrices belong to: "heads", or "layers" where the measure mixes heads."""
        return "heads" if self.measured.per_head else "layers"

    @property
    def first_index(self) -> int:
        """The index in the whole text, as in `@10`, of the first token in the window."""
        if self.window is None:
            return 0
        before = self.text.unit(self.unit)[: self.window[0]]
        return sum(self.special or not token.special for token in before)

    def head_at(self, layer: int, place: int) -> HeadId:
        """The head at `place` among the matrices of its layer."""
        return HeadId(layer, place if self.measured.per_head else None)

    def all_heads(self) -> list[HeadId]:
        """Every head recorded, layer by layer; every layer, where the measure mixes heads."""
        return [self.head_at(n, place) for n in self.recorded for place in range(self.num_heads)]


def reach_of(record: LayerRecord) -> Reach | None:
    """How far a layer's queries may look; None where that is unknown or no question of distance."""
    if record.recorded_weights is not None or (
        record.bias is not None and np.isneginf(record.bias).any()
    ):
        return None
    if record.key_ranges is None:
        return ALL
    own = np.arange(len(record.key_ranges))
    back = own[::-1]
    before, after = own - record.key_ranges[:, 0], record.key_ranges[:, 1] - 1 - own
    most = int(before.max()), int(after.max())
    if (before != np.minimum(own, most[0])).any() or (after != np.minimum(back, most[1])).any():
        return None
    return Reach(*(None if reach >= back[0] > 0 else reach for reach in most))
