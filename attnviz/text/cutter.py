"""What `Tokenizer` needs of a library that cuts a text into pieces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from attnviz.text.spans import Span
from attnviz.text.tokens import Typed


@dataclass(frozen=True)
class Cut:
    """Text as a library cut it, with one entry for each piece in every field."""

    ids: tuple[int, ...]
    entries: tuple[str, ...]  # the vocabulary's
    spans: tuple[Span | None, ...]  # characters of that sentence; None likewise
    sentences: tuple[int | None, ...]  # of a pair; None for a special token that was added
    type_ids: tuple[int, ...]


class Said(NamedTuple):
    """What other files than tokenizer.json say of a tokenizer."""

    types: bool = True  # whether the model is fed token types
    mask: str | None = None  # the token that stands for a masked word
    side: str = "right"  # where truncation takes pieces away
    most: float | None = None  # what truncation leaves at most, if less than the model takes


ALONE = Said()


class Cutter(Protocol):
    """A library's tokenizer, as `Tokenizer` needs it."""

    size: int  # how many ids it can give
    special_ids: frozenset[int]  # without the one that stands for unknown text
    unknown_ids: frozenset[int]  # that one; none for a vocabulary of bytes, which lacks nothing
    mask_id: int | None  # the id that stands for a masked word
    types: bool  # whether it gives token types
    side: str  # where truncation takes pieces away, "right" or "left"
    most: float | None  # the pieces that truncation leaves, if less than the model takes
    by_piece: bool  # whether each piece is a word (see `spells_sequences`)

    def cut(self, text: Typed, pair: Typed | None, special: bool, most: int | None) -> Cut:
        """Cut a sentence or a pair, with or without special tokens, into at most `most` pieces.

        The words of both may be given; then spans are those in the joined text.
        """

    def num_special(self, pair: bool) -> int:
        """How many special tokens it adds to a sentence, or to a pair."""

    def entry(self, number: int) -> str:
        """The vocabulary's entry of this id, or the number in brackets if it has no such id."""

    def read(self, ids: Sequence[int]) -> str:
        """Decode ids to text."""
