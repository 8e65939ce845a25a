"""Every step from a query's vector to what its head puts out, as numbers."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from attnviz.attention.layer import Projections
from attnviz.attention.order import descending
from attnviz.inspection import HeadId, Inspection, View
from attnviz.text.tokens import Token


@dataclass(frozen=True)
class Differences:
    """The largest differences between numbers recomputed and those that the model recorded.

    `q`, of the query; `k` and `v`, over all keys; `z`, None in an inspection that has none. Where
    the model does more to x W_Q than these steps follow, they go on with its own q, and there is no
    difference to tell: None; k and v alike.
    """

    q: float | None
    k: float | None
    v: float | None
    z: float | None


class Projected(NamedTuple):
    """x W_Q of the query, (d_k,), and W_K and W_V of every key's vector, (key, d_k or d_v).

    Each with its bias; None where it is q, k or v already.
    """

    q: np.ndarray | None
    k: np.ndarray | None
    v: np.ndarray | None


class Sink(NamedTuple):
    """The place beside all keys that takes a part of the softmax, which has no value of its own."""

    score: float
    weight: float


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Every step of one query in one head, recomputed in float64 and kept in float32.

    The keys are all pieces, special tokens included: the softmax runs over them; in cross-attention
    they are the other text's. `matrices`: the head's. x: (d_model,); q: (d_k,); k: (key, d_k); v:
    (key, d_v); z: (d_v,). Where the model does more than x W_Q (`matrices.between`), `projected`
    has what W_Q made, and q is the model's own; k and v alike.

    dots, scores, weights: (key,); `dots` are q k^T; `scores` are scale times these, through
    `softcap * tanh(score / softcap)` if there is a soft cap, plus `bias` if the layer has one, and
    minus infinity for keys that the query may not look at; `weights` are their softmax, together
    with the `sink`'s score where there is one. z is the sum of weights times v. outputs:
    (num_heads, d_model), what each head of the layer adds to what W_O gives, z W_O with the head's
    rows of it.
    """

    view: View
    head: HeadId
    query: Token
    matrices: Projections
    scale: float
    x: np.ndarray
    projected: Projected
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    dots: np.ndarray
    softcap: float | None
    bias: np.ndarray | None
    scores: np.ndarray
    weights: np.ndarray
    sink: Sink | None
    z: np.ndarray
    outputs: np.ndarray
    check: Differences

    def __repr__(self) -> str:
        return f"<Explanation of {self.query.label!r} in {self.head}: {len(self.keys)} keys>"

    @property
    def keys(self) -> tuple[Token, ...]:
        """All pieces that are looked at, in their text's order."""
        return self.view.keys

    @property
    def masked(self) -> bool:
        """Whether there are keys that queries of the layer may not look at."""
        return self.view.inspection.layer(self.head.layer).key_ranges is not None

    @property
    def seen(self) -> np.ndarray:
        """Which keys the query may look at: (key,)."""
        seen: np.ndarray = np.isfinite(self.scores)
        return seen

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of x and of the head's matrices; of memory's vectors, which keys are made of,
        where these are another text's.
        """
        matrices = {name: getattr(self.matrices, name).shape for name in ("W_Q", "W_K", "W_V")}
        memory = {"memory": self.matrices.W_K.shape[:1]} if self.view.is_cross_attention else {}
        return {"x": self.x.shape, **memory, **matrices, "W_O": self.matrices.W_O.shape}

    @cached_property
    def order(self) -> list[int]:
        """The keys' indices, the largest weight first."""
        return [int(key) for key in descending(self.weights)]

    @cached_property
    def brought(self) -> np.ndarray:
        """What each key brings to z: its weight times its v, (key, d_k)."""
        brought: np.ndarray = self.weights[:, None] * self.v
        return brought

    @cached_property
    def norms(self) -> np.ndarray:
        """How much of each key arrives: the lengths of weight * v W_O, (key,).

        Kobayashi et al. 2020, "Attention is Not Only a Weight", equation 4.
        """
        norms: np.ndarray = np.linalg.norm(self.brought @ self.matrices.W_O, axis=1)
        return norms

    @property
    def output(self) -> np.ndarray:
        """What the head adds to what W_O gives: z W_O, (d_model,)."""
        own: np.ndarray = self.outputs[self.head.place]
        return own

    @property
    def share(self) -> float:
        """The head's share of what W_O gives for the query, b_O left out.

        The outputs of all heads sum to one vector. A head's share is how far its own reaches in
        that vector's direction, o_h . o / o . o: the heads' shares sum to 1, and a head that works
        against the others has one below 0. It is 0 where all outputs are.
        """
        whole = self.outputs.sum(axis=0, dtype=np.float64)
        length = float(whole @ whole)
        return float(self.output @ whole) / length if length else 0.0


def whose(inspection: Inspection) -> str:
    """Whose layers these are: the encoder's, or the decoder's."""
    return "encoder" if inspection.attention == "encoder" else "decoder"
