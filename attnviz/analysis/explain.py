"""How does a weight come about? One query in one head, from x to what the head puts out.

The steps are the attention function's (Vaswani et al. 2017, 3.2): q, k and v out of x, the query's
products with all keys, scaled, their softmax, the sum of the values so weighted, and W_O.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from attnviz.attention import LayerRecord, Projections
from attnviz.errors import AttnvizError
from attnviz.inspection import HeadId, Inspection, View
from attnviz.tokens import Token

Z_TOLERANCE = 1e-3
"""How far the encoder's z may be from what its q, k and v make, as a part of the largest value.

Scores of some hundred, whose rounding softmax enlarges, leave 1e-5.
"""


@dataclass(frozen=True)
class Differences:
    """The largest differences between numbers recomputed and those that the encoder recorded.

    `q`, of the query; `k` and `v`, over all keys; `z`, None in an inspection that has none.
    """

    q: float
    k: float
    v: float
    z: float | None


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Every step of one query in one head, recomputed in float64 and kept in float32.

    The keys are all pieces, `view.tokens`, special tokens included: the softmax runs over them.
    `matrices`: the head's. x: (d_model,); q, z: (d_k,); k, v: (key, d_k). dots, scores, weights:
    (key,); `dots` are q k^T, `scores` scale times these plus `bias`, if the layer has one, and
    `weights` their softmax. z is the sum of weights times v. outputs: (num_heads, d_model), what
    each head of the layer adds to what W_O gives, z W_O with the head's rows of it.
    """

    view: View
    head: HeadId
    query: Token
    matrices: Projections
    scale: float
    x: np.ndarray
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    dots: np.ndarray
    bias: np.ndarray | None
    scores: np.ndarray
    weights: np.ndarray
    z: np.ndarray
    outputs: np.ndarray
    check: Differences

    def __repr__(self) -> str:
        return f"<Explanation of {self.query.label!r} in {self.head}: {len(self.keys)} keys>"

    @property
    def keys(self) -> tuple[Token, ...]:
        """All pieces, in the sentence's order."""
        return self.view.tokens

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of x and of the head's matrices."""
        matrices = {name: getattr(self.matrices, name).shape for name in ("W_Q", "W_K", "W_V")}
        return {"x": self.x.shape, **matrices, "W_O": self.matrices.W_O.shape}

    @cached_property
    def order(self) -> list[int]:
        """The keys' indices, the largest weight first."""
        return [int(key) for key in np.argsort(-self.weights, kind="stable")]

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


def explain(inspection: Inspection, query: int, head: HeadId, layer: Projections) -> Explanation:
    """How one piece's attention in one head comes about; `layer` holds its layer's matrices.

    `query` is the piece's index. Raises IndexError for a piece, layer or head that is not there,
    AttnvizError if the encoder's own z is not what these steps make.
    """
    view, record = inspection.view("piece"), inspection.layer(head.layer)
    token, number = view.tokens[query], range(inspection.model.num_heads)[head.place]
    matrices, inputs = layer.head(number, inspection.model.d_k), record.inputs()
    x, memory = inputs.x[query].astype(np.float64), inputs.memory.astype(np.float64)
    q = _times(x, matrices.W_Q, matrices.b_Q)
    k, v = _times(memory, matrices.W_K, matrices.b_K), _times(memory, matrices.W_V, matrices.b_V)
    dots = k @ q
    scores = record.scores_row(number, query, dots)
    powers = np.exp(scores - scores.max())
    weights = powers / powers.sum()
    z = weights @ v
    _check_z(record, number, query, z)
    return Explanation(
        view=view,
        head=HeadId(head.layer, number),
        query=token,
        matrices=matrices,
        scale=record.scale,
        x=inputs.x[query],
        q=_short(q),
        k=_short(k),
        v=_short(v),
        dots=_short(dots),
        bias=_bias(record, number, query),
        scores=_short(scores),
        weights=_short(weights),
        z=_short(z),
        outputs=_short(_outputs(record, layer, query, HeadId(head.layer, number), z)),
        check=Differences(
            q=_largest(q - inputs.q[number, query]),
            k=_largest(k - inputs.k[number]),
            v=_largest(v - inputs.v[number]),
            z=None if record.z is None else _largest(z - record.z[number, query]),
        ),
    )


def explain_token(
    view: View, index: int, head: HeadId, layer: Projections
) -> tuple[Explanation, ...]:
    """`explain` for each piece of the view's token at `index`, a word or a piece itself."""
    pieces = view.inspection.tokens.pieces
    if view.unit == "piece":
        own = [[piece for piece in pieces if view.special or not piece.special][index]]
    else:
        own = [piece for piece in pieces if piece.word == view.tokens[index].word]
    return tuple(explain(view.inspection, piece.index, head, layer) for piece in own)


def _check_z(record: LayerRecord, head: int, query: int, z: np.ndarray) -> None:
    """What follows from q, k and v is what the encoder had, or its numbers were damaged since."""
    if record.z is None:
        return
    # z is a mean of values, so that these say what is large
    if not _largest(z - record.z[head, query]) <= Z_TOLERANCE * _largest(record.inputs().v[head]):
        raise AttnvizError(
            "z as the encoder had it is not what its q, k and v make: this inspection is damaged",
            "look at the sentence anew",
        )


def _times(x: np.ndarray, matrix: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    product: np.ndarray = x @ matrix.astype(np.float64)
    return product if bias is None else product + bias


def _bias(record: LayerRecord, head: int, query: int) -> np.ndarray | None:
    """What is added to the query's scores: (key,)."""
    if record.bias is None and record.distance_bias is None:
        return None
    nothing = np.zeros(record.lengths[1], np.float32)
    return replace(record, softcap=None, visible=None).scores_row(head, query, nothing)


def _outputs(
    record: LayerRecord, layer: Projections, query: int, head: HeadId, z: np.ndarray
) -> np.ndarray:
    """Each head's z W_O, (num_heads, d_model): of this head's z, and of the others' as recorded.

    Where they were not recorded, z is what weights and values must have made.
    """
    if record.z is not None:
        every = record.z[:, query].astype(np.float64)
    else:
        rows = record.weights(head.layer, queries=slice(query, query + 1))
        every = np.matmul(rows.astype(np.float64), record.inputs().v)[:, 0]
    every[head.place] = z
    matrices = layer.W_O.reshape(len(every), len(z), -1)
    outputs: np.ndarray = np.einsum("hi,hio->ho", every, matrices)
    return outputs


def _short(step: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(step, np.float32)


def _largest(difference: np.ndarray) -> float:
    return float(np.abs(difference).max())
