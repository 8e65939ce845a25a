"""What a model says of a text through the head that its checkpoint has; numpy only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from attnviz.attention.order import descending
from attnviz.text.tokens import Tokens

HeadKind = Literal[
    "masked-lm",
    "causal-lm",
    "seq2seq-lm",
    "sequence-classification",
    "token-classification",
    "question-answering",
    "similarity",
]
Function = Literal["softmax", "sigmoid"]


@dataclass(frozen=True)
class HeadFacts:
    """A checkpoint's head: its kind, the class in config.json, and the labels it tells apart.

    `function`: what makes probabilities of its scores; None where a score is all there is.
    `pooling`: how it makes one vector of a text, to compare it.
    """

    kind: HeadKind
    architecture: str | None = None
    labels: tuple[str, ...] = ()
    function: Function | None = "softmax"
    pooling: str | None = None

    def label(self, number: int) -> str:
        """A label's name; as transformers calls one that config.json does not name."""
        return self.labels[number] if number < len(self.labels) else f"LABEL_{number}"


@dataclass(frozen=True)
class Guess:
    """A label, an entry of the vocabulary, or an answer, `text[start:end]`; and its score.

    `probability`: None for a number that is none, as of a regression.
    """

    text: str
    score: float
    probability: float | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Place:
    """What is said of a piece, or (None) of the whole text, likeliest first; of `count` choices."""

    piece: int | None
    guesses: tuple[Guess, ...]
    count: int


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a head says of a text; `written`: what a decoder wrote, whose pieces are the places'."""

    tokens: Tokens
    head: HeadFacts
    places: tuple[Place, ...]
    written: Tokens | None = None
    complete: bool = True  # whether it ended by itself


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities of a row of scores, in float64."""
    powers = np.exp(scores.astype(np.float64) - scores.max())
    shares: np.ndarray = powers / powers.sum()
    return shares


def sigmoid(scores: np.ndarray) -> np.ndarray:
    """A probability for each score by itself, in float64."""
    shares: np.ndarray = 0.5 * (1 + np.tanh(scores.astype(np.float64) / 2))
    return shares


FUNCTIONS = {"softmax": softmax, "sigmoid": sigmoid}


def likeliest(
    scores: np.ndarray,
    function: Function | None,
    name: Callable[[int], str],
    top: int | None = None,
    piece: int | None = None,
) -> Place:
    """The `top` of a row of scores, or all, largest first, by their names."""
    shares = None if function is None else FUNCTIONS[function](scores)
    guesses = tuple(
        Guess(name(int(i)), float(scores[i]), None if shares is None else float(shares[i]))
        for i in descending(scores, top)
        if np.isfinite(scores[i])  # a decoder may not write what has no score
    )
    return Place(piece, guesses, len(scores))
