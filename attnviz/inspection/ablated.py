"""A sentence's final hidden states with and without some heads; numpy only."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attnviz.attention.shapes import Float
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, ModelFacts
from attnviz.text.tokens import Token, Tokens

if TYPE_CHECKING:
    from attnviz.attention.edits import Edit, Source, What

Replacement = Literal["zero", "mean", "noise"]
"""For what is ablated of a head: zeros, its mean over positions in the plain run (or a corpus), or
noise with its mean and spread.
"""


@dataclass(frozen=True, eq=False)
class CorpusMeans:
    """What heads compute on average over all pieces of texts; values: a layer, (head, width)."""

    files: tuple[str, ...]
    pieces: int
    values: tuple[Float[np.ndarray, "head width"], ...]


@dataclass(frozen=True)
class Ablating:
    """What is replaced in each ablated head, and with what.

    rows: the tokens, queries or for k and v keys, whose `pieces` alone are replaced; None for all.
    seed: of noise. corpus: means over texts, in place of those over the sentence.
    """

    replacement: Replacement = "zero"
    what: "What" = "z"
    rows: tuple[Token, ...] | None = None
    pieces: tuple[int, ...] | None = None
    seed: int = 0
    corpus: CorpusMeans | None = None

    def edit(self, head: HeadId) -> "Edit":
        """The edit of one head; RequestError for a layer without a head."""
        from attnviz.attention.edits import Edit, Given, Noise

        if head.head is None:
            raise RequestError(f"there is no head {head} to edit", 'name one as in "L3H1"')
        source: Source = "zero" if self.replacement == "zero" else "mean"
        if self.replacement == "noise":
            source = Noise(self.seed)
        elif self.corpus is not None:
            source = Given(self.corpus.values[head.layer][head.head][None])
        return Edit(head.layer, head.head, self.what, self.pieces, source)

    def data(self) -> dict[str, Any]:
        """The edit's object in JSON."""
        rows = self.rows and [{"index": row.index, "text": row.text} for row in self.rows]
        return {
            "what": self.what,
            "with": self.replacement,
            "rows": rows,
            "seed": self.seed if self.replacement == "noise" else None,
            "mean_of": None if self.corpus is None else list(self.corpus.files),
        }


@dataclass(frozen=True)
class Guess:
    """An entry of the vocabulary, and how likely a masked-LM head finds it."""

    token: str
    probability: float


@dataclass(frozen=True)
class MaskPrediction:
    """Predictions at a `[MASK]`, with the heads (before) and without, likeliest first."""

    piece: int  # its place among the pieces
    before: tuple[Guess, ...]
    after: tuple[Guess, ...]
    kept: Guess  # what was most likely before, with its probability after


@dataclass(frozen=True, eq=False, repr=False)
class Ablated:
    """A sentence's final hidden states, as the model gives them and without some of its heads."""

    tokens: Tokens
    model: ModelFacts
    heads: tuple[HeadId, ...]
    how: Ablating
    plain: np.ndarray  # (piece, d_model), float32
    ablated: np.ndarray  # likewise
    first: int = 0  # the first piece whose states were asked for
    # at each `[MASK]`; None without a masked-LM head, or if not asked
    masks: tuple[MaskPrediction, ...] | None = None

    @property
    def replacement(self) -> Replacement:
        """What the heads' outputs became."""
        return self.how.replacement
