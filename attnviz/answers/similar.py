"""Why are these two alike? The cosine of two texts' vectors, as a sum over pairs of words.

A text's vector is a sum over its pieces (`Pooled.parts`: with mean pooling, each final state over
n). So the dot product of two vectors is the sum over all pairs of a piece of A and a piece of B,
exactly; the lengths of the two vectors divide each part.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from attnviz.answers.answer import facts_of, if_there, token_name
from attnviz.attention.order import NEAR_ZERO, descending
from attnviz.inspection import Context, HeadId, Shown, View
from attnviz.inspection.ablated import Replacement
from attnviz.inspection.pooled import Pooled, PoolingFacts
from attnviz.text.tokens import Token, parts_of

SCHEMA = "attnviz.similar/1"
FORMULA = "cos(a, b) = Σ_i Σ_j a_i · b_j / (|a| |b|), with a = Σ_i a_i and b = Σ_j b_j"
PAIRS = 10  # the strongest pairs that are named, unless the user says how many


@dataclass(frozen=True)
class PairPart:
    """A word of A and one of B: what they give to the cosine, and their own cosine.

    `even`: what they would give, if all pairs of pieces gave as much.
    """

    a: Token
    b: Token
    part: float
    even: float
    cosine: float | None  # None if one of them gives nothing to its text's vector

    def data(self) -> dict[str, Any]:
        """The pair's object in JSON."""
        pair = {"a": token_name(self.a), "b": token_name(self.b)}
        return pair | {"part": self.part, "even": self.even, "cosine": self.cosine}


@dataclass(frozen=True, eq=False)
class Parts:
    """What each pair gives to the cosine, and its own cosine (NaN: none), both (a, b).

    `even`: what a pair of pieces gives on average. `hidden`: what pairs with a special token give,
    where special tokens are not shown.
    """

    parts: np.ndarray
    cosines: np.ndarray
    even: float
    hidden: float | None


@dataclass(frozen=True, eq=False)
class Similarity(Shown):
    """Two texts, their cosine, and what each pair of words gives to it.

    `pairs`: None if the pooling makes no sum of words, as `pooling.whole` says.
    """

    schema: ClassVar[str] = SCHEMA
    columns: ClassVar[tuple[str, ...]] = (
        "a_index", "a", "b_index", "b", "part", "even", "pair_cosine", "cosine",
    )  # fmt: skip

    contexts: tuple[Context, Context]
    pooling: PoolingFacts
    cosine: float
    pairs: Parts | None

    def __repr__(self) -> str:
        a, b = (context.text.text for context in self.contexts)
        return f"<Similarity of {a!r} and {b!r}: {self.cosine:.3f}>"

    @property
    def several_pieces(self) -> bool:
        """Whether a word has more than one piece, and so gives more."""
        return any(len(token.pieces) > 1 for side in self.contexts for token in side.tokens)

    def strongest(self, top: int | None = None) -> Iterator[PairPart]:
        """The pairs that give most, or all, the largest part first."""
        if self.pairs is None:
            return
        (a, b), found = self.contexts, self.pairs
        for at in descending(found.parts.ravel(), top).tolist():
            row, column = divmod(at, found.parts.shape[1])
            words = a.tokens[row], b.tokens[column]
            even = found.even * len(words[0].pieces) * len(words[1].pieces)
            part, own = float(found.parts[row, column]), float(found.cosines[row, column])
            yield PairPart(*words, part, even, None if np.isnan(own) else own)

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.similar/1` object; `top` limits the pairs that are listed, 10 unless told.

        `parts` has all pairs, a row a word of A.
        """
        facts = _facts(self.contexts, self.pooling, self.cosine)
        if self.pairs is None:
            return facts | {"parts": None, "pairs": None}
        return facts | {
            "even": self.pairs.even,
            **if_there("hidden", self.pairs.hidden),
            "parts": np.ascontiguousarray(self.pairs.parts),
            "pairs": [pair.data() for pair in self.strongest(top or PAIRS)],
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a pair, the largest part first; without pairs one row, of the cosine alone."""
        if self.pairs is None:
            yield (*[None] * 7, self.cosine)
        for pair in self.strongest(top):
            words = (pair.a.index, pair.a.text, pair.b.index, pair.b.text)
            yield (*words, pair.part, pair.even, pair.cosine, self.cosine)


@dataclass(frozen=True)
class HeadSimilarity:
    """The cosine of two texts without one head; `change`: what that adds to it."""

    head: HeadId
    rank: int
    cosine: float
    change: float


@dataclass(frozen=True, eq=False)
class EachSimilarity(Shown):
    """Two texts' cosine without each head of the model in turn, the largest change first."""

    schema: ClassVar[str] = SCHEMA
    columns: ClassVar[tuple[str, ...]] = ("layer", "head", "rank", "with", "cosine", "change")

    contexts: tuple[Context, Context]
    pooling: PoolingFacts
    cosine: float
    replacement: Replacement
    heads: tuple[HeadSimilarity, ...]

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.similar/1` object."""
        return _facts(self.contexts, self.pooling, self.cosine) | {
            "with": self.replacement,
            "each": [
                {
                    "layer": one.head.layer,
                    "head": one.head.head,
                    "rank": one.rank,
                    "cosine": one.cosine,
                    "change": one.change,
                }
                for one in self.heads[:top]
            ],
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a head, the largest change first."""
        for one in self.heads[:top]:
            yield (*one.head, one.rank, self.replacement, one.cosine, one.change)


def _facts(
    contexts: tuple[Context, Context], pooling: PoolingFacts, cosine: float
) -> dict[str, Any]:
    sides = {}
    for name, context in zip("ab", contexts, strict=True):
        facts = facts_of(context)
        sides[name] = {key: facts[key] for key in ("text", "tokens")}
    model, unit = contexts[0].model.data(), contexts[0].unit
    facts = {"schema": SCHEMA, "model": model, "unit": unit, "formula": FORMULA}
    return facts | {"pooling": pooling.data(), **sides, "cosine": cosine}


def cosine_of(a: Pooled, b: Pooled) -> float:
    """The cosine of two texts' vectors; 0 if one of them is all zero."""
    lengths = float(np.linalg.norm(a.vector) * np.linalg.norm(b.vector))
    return float(a.vector @ b.vector) / lengths if lengths > 0 else 0.0


def similarity(a: View, b: View, of_a: Pooled, of_b: Pooled) -> Similarity:
    """The cosine of two texts, and what each pair of words shown gives to it."""
    contexts, cosine = (a.context, b.context), cosine_of(of_a, of_b)
    if of_a.parts is None or of_b.parts is None:
        return Similarity(contexts, of_a.facts, cosine, None)
    whole = of_a.parts, of_b.parts
    lengths = [float(np.linalg.norm(parts.sum(axis=0))) for parts in whole]
    both = lengths[0] * lengths[1] or 1.0
    own = [_of_words(*one) for one in zip(contexts, whole, strict=True)]
    parts = own[0] @ own[1].T / both
    norms = [np.linalg.norm(words, axis=-1) for words in own]
    products = np.outer(*norms)
    cosines = np.divide(
        parts * both, products, out=np.full(parts.shape, np.nan), where=products > 0
    )
    even = cosine / (len(whole[0]) * len(whole[1]))
    hidden = None if a.special else cosine - float(parts.sum())
    return Similarity(contexts, of_a.facts, cosine, Parts(parts, cosines, even, hidden))


def _of_words(context: Context, parts: np.ndarray) -> np.ndarray:
    """What each word shown gives to its text's vector: the sum over its pieces, (word, d)."""
    pieces = parts_of(context.text, context.unit)
    return np.stack([parts[pieces[place]].sum(axis=0) for place in context.positions])


def rank_heads(
    plain: Similarity, without: Iterable[tuple[HeadId, Pooled, Pooled]], replacement: Replacement
) -> EachSimilarity:
    """Rank heads by how much the cosine changes without each, in both texts."""
    found = [(head, cosine_of(a, b)) for head, a, b in without]
    found.sort(key=lambda pair: pair[0])
    changes = np.array([cosine - plain.cosine for _, cosine in found])
    ranked = tuple(
        HeadSimilarity(found[place][0], rank, found[place][1], float(changes[place]))
        for rank, place in enumerate(descending(np.abs(changes), floor=NEAR_ZERO), start=1)
    )
    return EachSimilarity(plain.contexts, plain.pooling, plain.cosine, replacement, ranked)
