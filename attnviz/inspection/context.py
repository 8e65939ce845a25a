"""What numbers are about: heads, the model, the text, the tokens, the unit and the measure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, Literal, NamedTuple

import numpy as np

from attnviz.attention.layer import LayerRecord
from attnviz.attention.measures import Measure, MeasureName
from attnviz.attention.request import AttentionKind
from attnviz.errors import RequestError, visible
from attnviz.text.tokens import Part, Token, Tokens, Unit

Window = tuple[int, int]  # the index of the first token, and the end
FullHeadName = str | tuple[int, int | None]  # `"L3H1"`, `"3.1"`, `"3-1"`, `(3, 1)` or a HeadId

# Numbers are ASCII digits, and few: int() would also take "1_0", and fails beyond 4300 digits.
FULL_NAME = re.compile(r"[lL]([0-9]{1,9})[hH]([0-9]{1,9})|([0-9]{1,9})[.-]([0-9]{1,9})")


class HeadId(NamedTuple):
    """A head, printed as `L3H1`; `head` is None (`L3`) if a measure mixes the heads of a layer."""

    layer: int
    head: int | None

    def __str__(self) -> str:
        return f"L{self.layer}" if self.head is None else f"L{self.layer}H{self.head}"

    @classmethod
    def named(cls, name: FullHeadName) -> "HeadId":
        """The head that `"L3H1"`, `"3.1"`, `"3-1"` or `(3, 1)` names; RequestError for another."""
        match = FULL_NAME.fullmatch(name.strip()) if isinstance(name, str) else None
        parts = name if match is None else [int(part) for part in match.groups() if part]
        if isinstance(parts, tuple | list) and len(parts) == 2 and isinstance(parts[0], int):
            return cls(*parts)
        raise RequestError(f"{name!r} is not a head", 'name it as in "L3H1" or (3, 1)')

    @property
    def place(self) -> int:
        """The number of its matrix in its layer, from 0."""
        return self.head or 0


def counted(number: int, what: str) -> str:
    """As in `1 layer`, `6 layers` and `1,000 layers`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


DTYPES = ("float32", "bfloat16", "float16", "float64")  # what a model may compute in


@dataclass(frozen=True)
class ModelFacts:
    """A model's name, the article's hyperparameters, and whether it was trained."""

    name: str
    family: str
    num_layers: int
    num_heads: int
    d_model: int
    d_k: int
    d_ff: int
    trained: bool
    seed: int | None = None
    dtype: str = "float32"  # what it computed in; recorded numbers are float32 whatever it is

    def __str__(self) -> str:
        dtype = "" if self.dtype == "float32" else f", in {visible(self.dtype)}"
        untrained = "" if self.trained else f", UNTRAINED (seed {self.seed})"
        return (
            f"{visible(self.name)}: {counted(self.num_layers, 'layer')} × "
            f"{counted(self.num_heads, 'head')}, "
            f"d_model {self.d_model}, d_k {self.d_k}, d_ff {self.d_ff}{dtype}{untrained}"
        )

    @property
    def title(self) -> str:
        """The name, marked if the model is untrained."""
        return self.name if self.trained else f"{self.name} (UNTRAINED)"

    def data(self) -> dict[str, Any]:
        """The facts as JSON has them; `seed` if untrained, `dtype` unless it is float32."""
        names = ("name", "family", "num_layers", "num_heads", "d_model", "d_k", "d_ff", "trained")
        facts = {name: getattr(self, name) for name in names}
        if not self.trained:
            facts["seed"] = self.seed
        return facts if self.dtype == "float32" else facts | {"dtype": self.dtype}


Role = Literal["query", "key"]  # A query looks (a row); a key is looked at (a column)


class Reach(NamedTuple):
    """How many pieces before and after itself each piece may attend to; None for all."""

    before: int | None
    after: int | None


ALL = Reach(None, None)


@dataclass(frozen=True, eq=False)
class Context:
    """The model, text, tokens, unit and measure that an answer is about; no weights."""

    model: ModelFacts
    attention: AttentionKind
    text: Tokens  # the queries'
    source: Tokens | None  # the keys' in cross-attention
    tokens: tuple[Token, ...]  # the rows shown
    keys: tuple[Token, ...]  # the columns shown
    positions: Sequence[int]  # the index of each row among all tokens of the text
    unit: Unit
    special: bool
    window: Window | None
    measured: Measure
    recorded: Sequence[int]  # layers
    reaches: Mapping[int, Reach | None]  # by layer; None if that is no question of distance

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
        heads = self.num_heads if self.measured.per_head else None
        return list(_heads_of(tuple(self.recorded), heads))


@lru_cache(maxsize=64)
def _heads_of(layers: tuple[int, ...], heads: int | None) -> tuple[HeadId, ...]:
    """So many heads of each layer, or the layers; the same for each text of a stream."""
    numbers = [None] if heads is None else range(heads)
    return tuple(HeadId(layer, head) for layer in layers for head in numbers)


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
    """Shows itself in a notebook, as a table of HTML."""

    def _repr_html_(self) -> str:
        html: str = import_module("attnviz.show.notebook").table_html(self)
        return html
