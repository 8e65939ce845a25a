"""What a check compares: attnviz's numbers, and those of transformers alone; numpy only."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from attnviz.attention.request import AttentionKind
from attnviz.inspection import HeadId, Inspection, ModelFacts
from attnviz.text.tokens import Tokens


class Cut(NamedTuple):
    """Token ids, and token types; none if the model is fed none."""

    ids: tuple[int, ...]
    types: tuple[int, ...]


class Text(NamedTuple):
    """A text, or a pair, as attnviz cuts it (None: it refuses) and as AutoTokenizer does."""

    text: str
    pair: str | None
    ours: Cut | None
    theirs: Cut | None


@dataclass(frozen=True, eq=False)
class Mixing:
    """What enters a layer's W_O in the model itself, and what leaves it.

    z: (query, heads * d_v); output: (query, d_model); mixed: the sum over heads of the recorded
    z_h W_O_h, and the bias; norms: the lengths of the recorded v_h W_O_h, (head, key).
    """

    z: np.ndarray
    output: np.ndarray
    mixed: np.ndarray
    norms: np.ndarray


@dataclass(frozen=True, eq=False)
class Own:
    """What transformers alone computes for the tokens of an inspection, with eager attention.

    By layer: the weights, (head, query, key); the vectors that enter a module and are nearest to
    the recorded x; and what happens at W_O, None if nothing like the recorded z enters a matrix.
    """

    weights: tuple[np.ndarray | None, ...]
    x: tuple[np.ndarray | None, ...]
    mixing: tuple[Mixing | None, ...]


class Batch(NamedTuple):
    """Sentences that ran together, by their number; or why they could not."""

    sentences: tuple[int, ...]
    result: tuple[Inspection, ...] | str


class Without(NamedTuple):
    """Final states, (piece, d_model), with and without some heads: ours, and the model's own."""

    heads: tuple[HeadId, ...]
    ours: tuple[np.ndarray, np.ndarray]
    theirs: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Evidence:
    """A model's built-in sentences, run in several ways; where something is missing, the reason."""

    model: ModelFacts
    native: bool  # run by our own encoder
    attention: AttentionKind
    alone: tuple[Inspection, ...]  # the sentences, one by one
    sources: tuple[Tokens, ...]  # the sentences, which a decoder's encoder reads
    batches: tuple[Batch, ...]
    texts: tuple[Text, ...] | str
    sees: tuple[str, ...] | str  # by layer, what config.json says that a query may attend to
    long: tuple[int, Inspection] | None  # a layer with a sliding window, and a text beyond it
    own: tuple[Own, ...] | str  # of the sentences
    rounding: float  # how far its own weights are from those in float64; 0 if not known
    projected: tuple[str, ...]  # by layer, why x times W_Q, W_K and W_V is not q, k, v, if so
    without: tuple[Without, ...] | str
