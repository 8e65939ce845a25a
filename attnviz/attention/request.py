"""What of a run is to be recorded."""

from dataclasses import dataclass

KEPT_BYTES = 64_000_000
"""An inspection up to this size is recorded whole, whatever is asked for: it will be remembered."""

LESS_OF_A_TEXT = (
    "give a shorter text; --layer N records that layer alone, --window START:END looks at a part, "
    "and --dtype bfloat16 takes half of float32's room"
)
"""What to try where sentences are too long for memory."""


@dataclass(frozen=True)
class RecordRequest:
    """What of a long text's run is wanted; a short one's is recorded whole, see KEPT_BYTES.

    `layers`: their numbers, None for all. `whole`: x, v and z too, which explain and files need;
    otherwise queries, keys, and the lengths of v W_O.
    """

    layers: frozenset[int] | None = None
    whole: bool = True

    def of(self, numbers: int) -> "RecordRequest":
        """What to record of a text that leaves so many float32 numbers behind in all layers."""
        return self if 4 * numbers > KEPT_BYTES else WHOLE

    def last(self, num_layers: int) -> int:
        """The number of the last layer that is wanted."""
        return num_layers - 1 if self.layers is None else max(self.layers)

    def has(self, layer: int) -> bool:
        """Whether the layer of this number is wanted."""
        return self.layers is None or layer in self.layers


WHOLE = RecordRequest()
"""Everything of every layer."""
