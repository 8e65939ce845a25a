"""How a model is run, and what to record of that; no numpy: the command line imports it."""

from dataclasses import dataclass
from typing import Literal

AttentionKind = Literal["encoder", "decoder", "cross"]  # a decoder's own, or to its encoder
Device = Literal["auto", "cpu", "cuda", "mps"]
Dtype = Literal["float32", "bfloat16", "float16"]
KEPT_BYTES = 64_000_000  # up to this size, inspections are recorded whole and remembered

LESS_OF_A_TEXT = (
    "give a shorter text; --layer N records that layer alone, --window START:END looks at a part, "
    "and --dtype bfloat16 takes half of float32's room"
)


@dataclass(frozen=True)
class RecordRequest:
    """What to record of a long text; short texts are recorded whole, see KEPT_BYTES."""

    layers: frozenset[int] | None = None  # None for all
    whole: bool = True  # also x, v and z, which `explain` and files need
    sparing: bool = False  # short texts too are recorded no more than this

    def of(self, numbers: int) -> "RecordRequest":
        """What to record of a text whose layers hold this many float32 numbers together."""
        return self if self.sparing or 4 * numbers > KEPT_BYTES else WHOLE

    def last(self, num_layers: int) -> int:
        """The number of the last layer wanted."""
        return num_layers - 1 if self.layers is None else max(self.layers)

    def has(self, layer: int) -> bool:
        """Whether this layer is wanted."""
        return self.layers is None or layer in self.layers


WHOLE = RecordRequest()  # Everything of every layer
