"""All steps of one head: from the words' vectors X, by Q, K and V, to the weights and to Z.

The attention function of Vaswani et al. 2017, 3.2: softmax(Q K^T / sqrt(d_k)) V, in float64.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from attnviz.answers.answer import facts_of, if_there, shortest
from attnviz.attention.layer import LayerRecord, Projections, times
from attnviz.attention.request import AttentionKind
from attnviz.attention.shapes import Bool, Float
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Context, HeadId, Inspection, Shown

Z_TOLERANCES = {"float64": 1e-3, "float32": 1e-3, "float16": 1e-2, "bfloat16": 5e-2}
"""How far z may be from what q, k and v make, as a part of the largest value: in float32, softmax
enlarges the rounding of scores of some hundred to 1e-5.
"""

LONGEST = 2048  # Tokens: of more, three matrices of all pairs are too much to keep or to read


@dataclass(frozen=True)
class Differences:
    """The largest differences from the model's own numbers; None where there are none to
    compare.
    """

    q: float | None
    k: float | None
    v: float | None
    z: float | None


class Projected(NamedTuple):
    """What W_Q, W_K and W_V make of the vectors, with biases; None where it is q, k or v
    already.
    """

    q: Float[np.ndarray, "*query d_k"] | None
    k: Float[np.ndarray, "key d_k"] | None
    v: Float[np.ndarray, "key d_v"] | None


class SinkShares(NamedTuple):
    """The sink: its score, and the part of each query's softmax that it takes."""

    score: float
    weights: Float[np.ndarray, "query"]


@dataclass(frozen=True, eq=False, repr=False)
class OfHead(Shown):
    """What the steps of one query in a head, and of all queries, have in common.

    `masked`: whether some queries may not look at some keys. `shared_by`: how many heads share one
    k and v.
    """

    context: Context
    head: HeadId
    matrices: Projections
    scale: float
    projected: Projected
    dots: Float[np.ndarray, "*query key"]
    softcap: float | None
    bias: Float[np.ndarray, "*query key"] | None
    scores: Float[np.ndarray, "*query key"]
    weights: Float[np.ndarray, "*query key"]
    check: Differences
    masked: bool
    shared_by: int

    @property
    def stack(self) -> str:
        """The stack that the layer belongs to: "encoder" or "decoder"."""
        return stack_of(self.context.attention)

    @property
    def seen(self) -> Bool[np.ndarray, "*query key"]:
        """Which keys each query may look at."""
        seen: np.ndarray = np.isfinite(self.scores)
        return seen


@dataclass(frozen=True, eq=False, repr=False)
class HeadSteps(OfHead):
    """Every step of one head, for all pieces at once, recomputed in float64 and kept in float32.

    X has a row for each query, and Y, in cross-attention, one for each key. Where the model does
    more than X W_Q (`matrices.between`), `projected` has what W_Q made, and Q is the model's own; K
    and V alike. `dots` are Q K^T; `scores` are scale times these, through the `softcap`, plus
    `bias`, as far as the layer has them, minus infinity where a query may not look; `weights` are
    the softmax of each row, the `sink`'s score included, and Z is weights times V.
    """

    schema: ClassVar[str] = "attnviz.head/1"
    columns: ClassVar[tuple[str, ...]] = (
        "layer", "head", "query_index", "query", "key_index", "key", "weight", "dot", "score",
    )  # fmt: skip

    X: Float[np.ndarray, "query d_model"]
    Y: Float[np.ndarray, "key d_states"] | None
    Q: Float[np.ndarray, "query d_k"]
    K: Float[np.ndarray, "key d_k"]
    V: Float[np.ndarray, "key d_v"]
    sink: SinkShares | None
    Z: Float[np.ndarray, "query d_v"]

    def __repr__(self) -> str:
        return f"<HeadSteps of {self.head}: {' × '.join(map(str, self.weights.shape))} weights>"

    def arrays(self, top: int | None = None) -> dict[str, np.ndarray]:
        """All matrices by name, in the order of the steps; of queries the first `top` rows."""
        m, made, q = self.matrices, self.projected, slice(top)
        every = {
            "X": self.X[q], "Y": self.Y,
            "W_Q": m.W_Q, "W_K": m.W_K, "W_V": m.W_V, "b_Q": m.b_Q, "b_K": m.b_K, "b_V": m.b_V,
            "projected_Q": None if made.q is None else made.q[q],
            "projected_K": made.k, "projected_V": made.v,
            "Q": self.Q[q], "K": self.K, "V": self.V,
            "dots": self.dots[q], "bias": None if self.bias is None else self.bias[q],
            "scores": self.scores[q], "weights": self.weights[q],
            "sink": None if self.sink is None else self.sink.weights[q],
            "Z": self.Z[q],
        }  # fmt: skip
        return {name: short(array) for name, array in every.items() if array is not None}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each of the `arrays`."""
        return {name: array.shape for name, array in self.arrays().items()}

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.head/1` object; scores are null where a query may not look."""
        between, arrays = self.matrices.between, self.arrays(top)
        return {
            **facts_of(self.context, self.schema),
            "layer": self.head.layer,
            "head": self.head.head,
            "scale": self.scale,
            **if_there("softcap", self.softcap),
            **({"between": between._asdict()} if any(between) else {}),
            **if_there("sink_score", None if self.sink is None else self.sink.score),
            "shapes": {name: array.shape for name, array in arrays.items()},
            **arrays,
            "check": asdict(self.check),
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a link, of all queries or the first `top`; no score where they may not look."""
        for query, seen in zip(self.context.tokens[:top], self.seen, strict=False):
            for key in self.context.keys:
                at = query.index, key.index
                weight, dot, score = (
                    shortest(of[at]) for of in (self.weights, self.dots, self.scores)
                )
                named = (*self.head, query.index, query.text, key.index, key.text)
                yield (*named, weight, dot, score if seen[key.index] else None)


def stack_of(attention: AttentionKind) -> str:
    """The stack that a layer belongs to."""
    return "encoder" if attention == "encoder" else "decoder"


def explain_head(inspection: Inspection, head: HeadId, layer: Projections) -> HeadSteps:
    """How all attention of one head comes about; `layer` holds its layer's matrices.

    RequestError for a text of more than LONGEST pieces; see `head_steps`.
    """
    count = max(inspection.layer(head.layer).lengths)
    if count > LONGEST:
        raise RequestError(
            f"the text has {count} tokens, and a head is shown with all of its steps up to "
            f"{LONGEST}",
            "follow one word with --query WORD, or draw the weights with attnviz heatmap",
        )
    return head_steps(inspection, head, layer)


def head_steps(
    inspection: Inspection, head: HeadId, layer: Projections, queries: slice = slice(None)
) -> HeadSteps:
    """The steps of some queries, and all keys, in one head.

    IndexError for a head that is not there, AttnvizError if the model's own z is not what these
    steps make.
    """
    context, record = inspection.view("piece").context, inspection.layer(head.layer)
    number = range(inspection.model.num_heads)[head.place]
    head = HeadId(head.layer, number)
    matrices, inputs = layer.head(number, record.num_heads), record.inputs()
    x, states = inputs.x[queries], inputs.key_value_states
    shared = (record.of_head(array, number) for array in (inputs.k, inputs.v))
    own = (inputs.q[number, queries], *shared)
    made = (
        times(x, matrices.W_Q, matrices.b_Q),
        times(states, matrices.W_K, matrices.b_K),
        times(states, matrices.W_V, matrices.b_V),
    )
    between = matrices.between
    q, k, v = (
        recorded.astype(np.float64) if step else product
        for step, product, recorded in zip(between, made, own, strict=True)
    )
    dots = q @ k.T
    scores = record.scores(number, queries, dots)
    weights, sink = _softmax(scores, None if record.sinks is None else float(record.sinks[number]))
    z = weights @ v
    check = [
        None if step else _largest(product - recorded)
        for step, product, recorded in zip(between, made, own, strict=True)
    ]
    check.append(_checked_z(inspection, head, queries, z))
    return HeadSteps(
        context=context,
        head=head,
        matrices=matrices,
        scale=record.scale,
        X=x,
        Y=states if context.is_cross_attention else None,
        projected=Projected(
            *(short(one) if step else None for step, one in zip(between, made, strict=True))
        ),
        Q=short(q),
        K=short(k),
        V=short(v),
        dots=short(dots),
        softcap=record.softcap,
        bias=_bias(record, number, queries),
        scores=short(scores),
        weights=short(weights),
        sink=sink,
        Z=short(z),
        check=Differences(*check),
        masked=record.key_ranges is not None,
        shared_by=1 if record.k is None else inspection.model.num_heads // len(record.k),
    )


def _softmax(scores: np.ndarray, sink: float | None) -> tuple[np.ndarray, SinkShares | None]:
    """The weights, (query, key), and what the sink takes."""
    highest = scores.max(axis=-1, keepdims=True)
    if sink is not None:
        highest = np.maximum(highest, sink)
    powers = np.exp(scores - highest)
    total = powers.sum(axis=-1, keepdims=True)
    if sink is None:
        return powers / total, None
    taken = np.exp(sink - highest)
    total += taken
    return powers / total, SinkShares(sink, short((taken / total)[:, 0]))


def _checked_z(inspection: Inspection, head: HeadId, queries: slice, z: np.ndarray) -> float | None:
    """How far z is from the model's own; AttnvizError where that does not follow from q, k, v."""
    record = inspection.layer(head.layer)
    if record.z is None:
        return None
    difference = _largest(z - record.z[head.place, queries])
    # z is a mean of values, so that these say what is large
    largest = _largest(record.of_head(record.inputs().v, head.place))
    tolerance = Z_TOLERANCES[inspection.model.dtype]
    if not difference <= tolerance * largest:
        raise AttnvizError(
            f"the {stack_of(inspection.attention)}'s z is not what its q, k and v make: this "
            "inspection is damaged",
            "run the sentence again",
        )
    return difference


def _bias(record: LayerRecord, head: int, queries: slice) -> np.ndarray | None:
    """What is added to the queries' scores: (query, key)."""
    if record.bias is None and record.distance_bias is None:
        return None
    count, keys = record.lengths
    nothing = np.zeros((len(range(count)[queries]), keys), np.float32)
    return replace(record, softcap=None, key_ranges=None).scores(head, queries, nothing)


def short(step: np.ndarray) -> np.ndarray:
    """The numbers as float32, in the order that JSON needs."""
    return np.ascontiguousarray(step, np.float32)


def _largest(difference: np.ndarray) -> float:
    return float(np.abs(difference).max())
