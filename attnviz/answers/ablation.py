"""Does that head matter? How far words' final states move where heads are ablated.

The distance of two states is `1 - cos`: 0 where nothing moved, 1 at right angles, 2 where the state
points the other way. Final states have been through a layer norm, so that direction is nearly all
that there is to them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

import numpy as np

from attnviz.attention.order import NEAR_ZERO, descending, largest
from attnviz.inspection import HeadId
from attnviz.inspection.ablated import Ablated, Guess, Replacement
from attnviz.text.tokens import Token, Tokens, Unit

DISTANCE = "1 − cos(plain, ablated)"
"""The formula of every distance here, as outputs name it."""


@dataclass(frozen=True)
class Moved:
    """A token, and how far its final state moved: from 0 to 2."""

    token: Token
    distance: float


@dataclass(frozen=True)
class Prediction:
    """What the model predicts at a `[MASK]`, before and after heads are ablated; best first.

    `kept` is the best guess before, with its probability after.
    """

    token: Token
    before: tuple[Guess, ...]
    after: tuple[Guess, ...]
    kept: Guess


@dataclass(frozen=True)
class Ablation:
    """What it does to a sentence if some heads are ablated together.

    `moved` has every token, special ones too, most moved first. `predictions` is None where the
    model has no masked-LM head, and has one entry for each `[MASK]` where it does.
    """

    heads: tuple[HeadId, ...]
    replacement: Replacement
    moved: tuple[Moved, ...]
    predictions: tuple[Prediction, ...] | None


@dataclass(frozen=True)
class HeadEffect:
    """What it does to a sentence if one head alone is ablated.

    `distance`: how far the query moved, or, where none is asked about, the mean over the words that
    are not special tokens. `most`: the query, or the word that moved most. `rank` counts from 1.
    """

    head: HeadId
    rank: int
    distance: float
    most: Moved


@dataclass(frozen=True)
class EachAblation:
    """Every head of the model, largest effect first, on the query or (None) on all words."""

    replacement: Replacement
    query: Token | None
    heads: tuple[HeadEffect, ...]


def ablation_of(run: Ablated, unit: Unit = "word") -> Ablation:
    """How far each token moved; a word's state is the mean of its pieces' states.

    The run must have the states of all pieces.
    """
    tokens = run.tokens.unit(unit)
    distances = _distances(run, parts_of(run.tokens, unit))
    order = descending(distances, floor=NEAR_ZERO)
    predictions = None
    if run.masks is not None:
        pieces = run.tokens.pieces
        predictions = tuple(
            Prediction(
                tokens[mask.piece if unit == "piece" else pieces[mask.piece].word],
                mask.before,
                mask.after,
                mask.kept,
            )
            for mask in run.masks
        )
    return Ablation(
        heads=run.heads,
        replacement=run.replacement,
        moved=tuple(Moved(tokens[i], float(distances[i])) for i in order),
        predictions=predictions,
    )


def rank_heads(
    runs: Iterable[Ablated], unit: Unit = "word", query: int | None = None
) -> EachAblation:
    """Rank heads, each of them ablated alone in one of the runs, by what that does.

    query: the index of the token asked about; its pieces' states are all that the runs need have.
    There must be at least one run, and all of the same sentence.
    """
    runs = iter(runs)
    first = next(runs)
    tokens, parts = first.tokens.unit(unit), parts_of(first.tokens, unit)
    words = [token for token in tokens if not token.special] or list(tokens)
    asked = words if query is None else [tokens[query]]
    own = [parts[token.index] for token in asked]
    found = [_effect(run, asked, _distances(run, own)) for run in chain([first], runs)]
    found.sort(key=lambda effect: effect.head)
    order = descending(np.array([effect.distance for effect in found]), floor=NEAR_ZERO)
    ranked = (replace(found[place], rank=rank) for rank, place in enumerate(order, start=1))
    return EachAblation(first.replacement, None if query is None else tokens[query], tuple(ranked))


def _effect(run: Ablated, tokens: Sequence[Token], distances: np.ndarray) -> HeadEffect:
    most = int(largest(distances, floor=NEAR_ZERO))
    moved = Moved(tokens[most], float(distances[most]))
    return HeadEffect(run.heads[0], 0, float(distances.mean()), moved)


def parts_of(tokens: Tokens, unit: Unit) -> list[slice]:
    """The pieces that make up each token."""
    starts = range(len(tokens)) if unit == "piece" else tokens.word_starts
    return [slice(start, end) for start, end in pairwise((*starts, len(tokens)))]


def _distances(run: Ablated, parts: Sequence[slice]) -> np.ndarray:
    """How far the mean state of each run of pieces moved, in float64."""
    plain, ablated = (_means(states, parts, run.first) for states in (run.plain, run.ablated))
    lengths = np.linalg.norm(plain, axis=-1) * np.linalg.norm(ablated, axis=-1)
    products = np.einsum("td,td->t", plain, ablated)
    # a state of nothing but zeros has no direction: it moved if the other is not one too
    same = (plain == ablated).all(axis=-1).astype(float)
    cosines = np.divide(products, lengths, out=same, where=lengths > 0)
    distances: np.ndarray = np.clip(1 - cosines, 0, 2)
    return distances


def _means(states: np.ndarray, parts: Sequence[slice], first: int) -> np.ndarray:
    rows = [states[part.start - first : part.stop - first].mean(axis=0) for part in parts]
    return np.stack(rows).astype(np.float64)
