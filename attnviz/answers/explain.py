"""How does a weight come about? One query in one head, from x to what the head puts out.

The steps are the attention function's (Vaswani et al. 2017, 3.2): q, k and v from x, the query's
products with all keys, scaled, their softmax, the sum of the values so weighted, and W_O.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from attnviz.answers.answer import facts_of, shortest, token_facts
from attnviz.attention.layer import Between, LayerRecord, Projections
from attnviz.attention.order import descending
from attnviz.attention.request import AttentionKind
from attnviz.errors import AttnvizError
from attnviz.inspection import Context, HeadId, Inspection, Shown, View
from attnviz.text.tokens import Token

Z_TOLERANCES = {"float32": 1e-3, "float16": 1e-2, "bfloat16": 5e-2}
"""How far the model's z may be from what its q, k and v make, as a part of the largest value.

Scores of some hundred, whose rounding softmax enlarges, leave 1e-5 in float32.
"""

COLUMNS = (
    "layer", "head", "query_index", "query", "key_index", "key",
    "weight", "dot", "score", "norm",
)  # fmt: skip


@dataclass(frozen=True)
class Differences:
    """The largest differences between recomputed numbers and the model's own.

    None where there is nothing to compare: in an inspection without z, and where the model does
    more to x W_Q (or W_K, W_V) than these steps follow, so that they take its own q.
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
    """The sink: it takes a part of the softmax, and has no value of its own."""

    score: float
    weight: float


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(Shown):
    """Every step of one query in one head, recomputed in float64 and kept in float32.

    The keys are all pieces, special tokens included: the softmax runs over them; in cross-attention
    they are the source's. `matrices`: the head's. x: (d_model,); q: (d_k,); k: (key, d_k); v:
    (key, d_v); z: (d_v,). Where the model does more than x W_Q (`matrices.between`), `projected`
    has what W_Q made, and q is the model's own; k and v alike.

    dots, scores, weights: (key,); `dots` are q k^T; `scores` are scale times these, through
    `softcap * tanh(score / softcap)` if there is a soft cap, plus `bias` if the layer has one, and
    minus infinity for keys that the query may not look at; `weights` are their softmax, together
    with the `sink`'s score where there is one. z is the sum of weights times v. outputs:
    (num_heads, d_model), z W_O of each head of the layer, with the head's rows of W_O. `masked`:
    whether the layer's mask keeps some queries from some keys. `shared_by`: how many heads share
    one k and v.
    """

    schema: ClassVar[str] = "attnviz.explain/1"
    columns: ClassVar[tuple[str, ...]] = COLUMNS

    context: Context
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
    masked: bool
    shared_by: int

    def __repr__(self) -> str:
        return f"<Explanation of {self.query.label!r} in {self.head}: {len(self.keys)} keys>"

    @property
    def keys(self) -> tuple[Token, ...]:
        """All pieces that are looked at, in their text's order."""
        return self.context.keys

    @property
    def stack(self) -> str:
        """The stack that the layer belongs to: "encoder" or "decoder"."""
        return _stack(self.context.attention)

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
        memory = {"memory": self.matrices.W_K.shape[:1]} if self.context.is_cross_attention else {}
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

    def strongest(self, count: int | None) -> list[int]:
        """The `count` keys of most weight that the query may look at (None: all keys), in order."""
        if count is None:
            return list(range(len(self.keys)))
        return sorted([key for key in self.order if self.seen[key]][:count])

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.explain/1` object; the score of a masked key is minus infinity, or null."""
        paired, between = self.context.text.pair is not None, self.matrices.between
        facts = facts_of(self.context, self.schema)
        facts.pop("keys", None)  # each comes with its steps
        return facts | {
            "layer": self.head.layer,
            "head": self.head.head,
            "query": token_facts(self.query, paired),
            "scale": self.scale,
            **_if_there("softcap", self.softcap),
            "shapes": self.shapes,
            "x": self.x,
            **({"between": between._asdict()} if any(between) else {}),
            **_if_there("projected_q", self.projected.q),
            "q": self.q,
            "keys": [self._key(key) for key in self.strongest(top)],
            **_if_there("sink", None if self.sink is None else self.sink._asdict()),
            "z": self.z,
            "output": self.output,
            "share": self.share,
            "check": asdict(self.check),
        }

    def _key(self, key: int) -> dict[str, Any]:
        token, (_, k, v) = self.keys[key], self.projected
        facts: dict[str, Any] = {"index": key, "text": token.text}
        if self.context.is_cross_attention:  # the source's tokens stand nowhere else
            facts = token_facts(token, self.context.key_text.pair is not None)
        return {
            **facts,
            **_if_there("projected_k", None if k is None else k[key]),
            "k": self.k[key],
            "dot": self.dots[key],
            **({"seen": bool(self.seen[key])} if self.masked else {}),
            **_if_there("bias", None if self.bias is None else self.bias[key]),
            "score": self.scores[key],
            "weight": self.weights[key],
            **_if_there("projected_v", None if v is None else v[key]),
            "v": self.v[key],
            "norm": self.norms[key],
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a key: the steps that are one number; None for the score of a masked key."""
        start = (self.head.layer, self.head.head, self.query.index, self.query.text)
        for key in self.strongest(top):
            token, score = self.keys[key], shortest(self.scores[key])
            weight, dot, norm = (shortest(of[key]) for of in (self.weights, self.dots, self.norms))
            numbers = (weight, dot, score if self.seen[key] else None, norm)
            yield (*start, token.index, token.text, *numbers)


def _stack(attention: AttentionKind) -> str:
    return "encoder" if attention == "encoder" else "decoder"


def _if_there(name: str, value: object) -> dict[str, object]:
    return {} if value is None else {name: value}


def explain(inspection: Inspection, query: int, head: HeadId, layer: Projections) -> Explanation:
    """How one piece's attention in one head comes about; `layer` holds its layer's matrices.

    `query` is the piece's index. Raises IndexError for a piece, layer or head that is not there,
    AttnvizError if the model's own z is not what these steps make.
    """
    context, record = inspection.view("piece").context, inspection.layer(head.layer)
    token, number = context.tokens[query], range(inspection.model.num_heads)[head.place]
    matrices, inputs = layer.head(number, record.num_heads), record.inputs()
    own = _Vectors(
        inputs.q[number, query], record.of_head(inputs.k, number), record.of_head(inputs.v, number)
    )
    made = _made(inputs.x[query], inputs.key_value_states, matrices)
    between = matrices.between
    q, k, v = (
        recorded.astype(np.float64) if step else product
        for step, product, recorded in zip(between, made, own, strict=True)
    )
    dots = k @ q
    scores = record.scores_row(number, query, dots)
    weights, sink = _softmax(scores, None if record.sinks is None else float(record.sinks[number]))
    z = weights @ v
    _check_z(inspection, HeadId(head.layer, number), query, z)
    return Explanation(
        context=context,
        head=HeadId(head.layer, number),
        query=token,
        matrices=matrices,
        scale=record.scale,
        x=inputs.x[query],
        projected=Projected(
            *(_short(one) if step else None for step, one in zip(between, made, strict=True))
        ),
        q=_short(q),
        k=_short(k),
        v=_short(v),
        dots=_short(dots),
        softcap=record.softcap,
        bias=_bias(record, number, query),
        scores=_short(scores),
        weights=_short(weights),
        sink=sink,
        z=_short(z),
        outputs=_short(_outputs(record, layer, query, HeadId(head.layer, number), z)),
        check=_differences(
            between, made, own, None if record.z is None else z - record.z[number, query]
        ),
        masked=record.key_ranges is not None,
        shared_by=1 if record.k is None else inspection.model.num_heads // len(record.k),
    )


def explain_token(
    view: View, index: int, head: HeadId, layer: Projections
) -> tuple[Explanation, ...]:
    """`explain` for each piece of the view's token at `index`, a word or a piece itself."""
    pieces = view.inspection.tokens.pieces
    if view.unit == "piece":
        own = [pieces[view.context.positions[index]]]
    else:
        own = [piece for piece in pieces if piece.word == view.tokens[index].word]
    return tuple(explain(view.inspection, piece.index, head, layer) for piece in own)


class _Vectors(NamedTuple):
    """A query's q, and all keys' k and v, in one head."""

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray


def _made(x: np.ndarray, memory: np.ndarray, matrices: Projections) -> _Vectors:
    """What a head's matrices make of the query's vector, and of all keys' vectors."""
    x, memory = x.astype(np.float64), memory.astype(np.float64)
    return _Vectors(
        _times(x, matrices.W_Q, matrices.b_Q),
        _times(memory, matrices.W_K, matrices.b_K),
        _times(memory, matrices.W_V, matrices.b_V),
    )


def _differences(
    between: Between, made: _Vectors, recorded: _Vectors, z: np.ndarray | None
) -> Differences:
    """How far products are from what was recorded, where they should be that; z: the same, of z."""
    q, k, v = (
        None if step else _largest(product - own)
        for step, product, own in zip(between, made, recorded, strict=True)
    )
    return Differences(q, k, v, None if z is None else _largest(z))


def _softmax(scores: np.ndarray, sink: float | None) -> tuple[np.ndarray, Sink | None]:
    """The weights, (key,), and what the sink takes."""
    highest = scores.max() if sink is None else max(scores.max(), sink)
    powers = np.exp(scores - highest)
    if sink is None:
        return powers / powers.sum(), None
    taken = np.exp(sink - highest)
    total = powers.sum() + taken
    return powers / total, Sink(sink, float(taken / total))


def _check_z(inspection: Inspection, head: HeadId, query: int, z: np.ndarray) -> None:
    """Raise AttnvizError unless z follows from q, k and v, as in an undamaged inspection."""
    record = inspection.layer(head.layer)
    if record.z is None:
        return
    # z is a mean of values, so that these say what is large
    largest = _largest(record.of_head(record.inputs().v, head.place))
    tolerance = Z_TOLERANCES[inspection.model.dtype]
    if not _largest(z - record.z[head.place, query]) <= tolerance * largest:
        raise AttnvizError(
            f"the {_stack(inspection.attention)}'s z is not what its q, k and v make: this "
            "inspection is damaged",
            "run the sentence again",
        )


def _times(x: np.ndarray, matrix: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    product: np.ndarray = x @ matrix.astype(np.float64)
    return product if bias is None else product + bias


def _bias(record: LayerRecord, head: int, query: int) -> np.ndarray | None:
    """What is added to the query's scores: (key,)."""
    if record.bias is None and record.distance_bias is None:
        return None
    nothing = np.zeros(record.lengths[1], np.float32)
    return replace(record, softcap=None, key_ranges=None).scores_row(head, query, nothing)


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
        v = record.inputs().v
        summed = enumerate(rows[:, 0].astype(np.float64))
        every = np.stack([row @ record.of_head(v, number) for number, row in summed])
    every[head.place] = z
    matrices = layer.W_O.reshape(len(every), len(z), -1)
    outputs: np.ndarray = np.einsum("hi,hio->ho", every, matrices)
    return outputs


def _short(step: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(step, np.float32)


def _largest(difference: np.ndarray) -> float:
    return float(np.abs(difference).max())
