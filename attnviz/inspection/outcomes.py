"""Outcomes: what of a run is measured to say whether an edit matters; numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from attnviz.attention.shapes import Float
from attnviz.text.spans import folded
from attnviz.text.tokens import Token, Typed

OutcomeName = Literal["states", "mask", "label", "next", "similarity"]
OUTCOMES: tuple[OutcomeName, ...] = get_args(OutcomeName)
OutcomeUnit = Literal["distance", "probability", "logit", "cosine"]


@dataclass(frozen=True)
class OutcomeFacts:
    """What is measured: of − against, if there is something to hold it against.

    token: the word whose state it is, the mask, or the word after which a token comes; None for all
    words, or a whole text.
    """

    name: OutcomeName
    unit: OutcomeUnit
    formula: str
    of: str | None = None
    against: str | None = None
    token: Token | None = None

    def data(self) -> dict[str, Any]:
        """The object in JSON."""
        token = self.token
        return {
            "name": self.name,
            "unit": self.unit,
            "formula": self.formula,
            "of": self.of,
            "against": self.against,
            "token": None if token is None else {"index": token.index, "text": token.text},
        }


def in_common(one: OutcomeFacts, other: OutcomeFacts) -> OutcomeFacts:
    """What is measured in both sentences: without the words in which they differ."""
    words = [facts.token and folded(facts.token.text) for facts in (one, other)]
    return replace(
        one,
        of=one.of if one.of == other.of else None,
        against=one.against if one.against == other.against else None,
        token=one.token if words[0] == words[1] else None,
    )


@dataclass(frozen=True)
class Asked:
    """What to measure: see `model.outcomes.outcome_of`.

    logit: scores, and not probabilities of them. target: what a decoder beside the encoder is fed,
    before the next token; without, what the model writes itself. choices: the numbers of `of` and
    `against` among the head's labels or tokens, where they are known.
    """

    name: OutcomeName | None = None
    of: str | None = None
    against: str | None = None
    logit: bool = False
    target: Typed | None = None
    choices: tuple[int | None, int | None] | None = None


USUAL = Asked()  # what the checkpoint's head says


class Measured(NamedTuple):
    """A run's outcome; `best`: the likeliest label or token in it, if the outcome is of one."""

    value: float
    best: str | None = None


def state_distances(
    plain: Float[np.ndarray, "piece d_model"],
    edited: Float[np.ndarray, "piece d_model"],
    parts: Sequence[slice],
    first: int = 0,
) -> Float[np.ndarray, "token"]:
    """How far the mean state of each run of pieces moved, 1 − cos, from 0 to 2, in float64.

    first: the first piece of the states.
    """
    one, other = (_means(states, parts, first) for states in (plain, edited))
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    products = np.einsum("td,td->t", one, other)
    # an all-zero state has no direction: it moved unless the other is all zero too
    same = (one == other).all(axis=-1).astype(float)
    cosines = np.divide(products, lengths, out=same, where=lengths > 0)
    distances: np.ndarray = np.clip(1 - cosines, 0, 2)
    return distances


def _means(
    states: Float[np.ndarray, "piece d_model"], parts: Sequence[slice], first: int
) -> Float[np.ndarray, "token d_model"]:
    """The mean state of each run of pieces, in float64."""
    edges = [edge - first for part in parts for edge in (part.start, part.stop)]
    if edges[-1] == len(states):
        edges.pop()
    # every second sum is of what lies between two parts
    sums = np.add.reduceat(states, edges, axis=0, dtype=np.float64)[::2]
    means: np.ndarray = sums / np.array([[part.stop - part.start] for part in parts])
    return means
