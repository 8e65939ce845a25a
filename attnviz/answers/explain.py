"""How does a weight come about? One query in one head, from x to what the head puts out.

The steps are the attention function's (Vaswani et al. 2017, 3.2).
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from attnviz.answers.answer import facts_of, if_there, shortest, token_facts
from attnviz.answers.head import OfHead, head_steps, short
from attnviz.attention.layer import LayerRecord, Projections
from attnviz.attention.order import descending
from attnviz.attention.shapes import Float
from attnviz.inspection import HeadId, Inspection, View
from attnviz.text.tokens import Token

COLUMNS = (
    "layer", "head", "query_index", "query", "key_index", "key",
    "weight", "dot", "score", "norm",
)  # fmt: skip


class Sink(NamedTuple):
    """The sink: it takes a part of the softmax, and has no value of its own."""

    score: float
    weight: float


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(OfHead):
    """Every step of one query in one head, recomputed in float64 and kept in float32.

    The keys are all pieces, special tokens included. Where the model does more than x W_Q
    (`matrices.between`), `projected` has what W_Q made, and q is the model's own; k and v alike.

    `dots` are q k^T; `scores` are scale times these, through `softcap * tanh(score / softcap)`,
    plus `bias`, as far as the layer has them, minus infinity for keys that the query may not look
    at; `weights` are their softmax, the `sink`'s score included. z is the sum of weights times v,
    and `outputs` are each head's z W_O. `masked`: whether some queries may not look at some keys.
    `shared_by`: how many heads share one k and v.
    """

    schema: ClassVar[str] = "attnviz.explain/1"
    columns: ClassVar[tuple[str, ...]] = COLUMNS

    query: Token
    x: Float[np.ndarray, "d_model"]
    q: Float[np.ndarray, "d_k"]
    k: Float[np.ndarray, "key d_k"]
    v: Float[np.ndarray, "key d_v"]
    sink: Sink | None
    z: Float[np.ndarray, "d_v"]
    outputs: Float[np.ndarray, "head d_model"]

    def __repr__(self) -> str:
        return f"<Explanation of {self.query.label!r} in {self.head}: {len(self.keys)} keys>"

    @property
    def keys(self) -> tuple[Token, ...]:
        """All pieces that are looked at, in their text's order."""
        return self.context.keys

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of x and the head's matrices, and of another text's vectors (`memory`)."""
        matrices = {name: getattr(self.matrices, name).shape for name in ("W_Q", "W_K", "W_V")}
        memory = {"memory": self.matrices.W_K.shape[:1]} if self.context.is_cross_attention else {}
        return {"x": self.x.shape, **memory, **matrices, "W_O": self.matrices.W_O.shape}

    @cached_property
    def order(self) -> list[int]:
        """The keys' indices, the largest weight first."""
        return [int(key) for key in descending(self.weights)]

    @cached_property
    def brought(self) -> Float[np.ndarray, "key d_v"]:
        """What each key brings to z: its weight times its v."""
        brought: np.ndarray = self.weights[:, None] * self.v
        return brought

    @cached_property
    def norms(self) -> Float[np.ndarray, "key"]:
        """How much of each key arrives, the lengths of weight * v W_O: Kobayashi et al. 2020,
        equation 4.
        """
        norms: np.ndarray = np.linalg.norm(self.brought @ self.matrices.W_O, axis=1)
        return norms

    @property
    def output(self) -> Float[np.ndarray, "d_model"]:
        """What the head adds to what W_O gives: z W_O."""
        own: np.ndarray = self.outputs[self.head.place]
        return own

    @property
    def share(self) -> float:
        """The head's share of the outputs' sum o: o_h . o / o . o, 0 if o is 0.

        The heads' shares sum to 1; a head that works against the others has one below 0.
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
            **if_there("softcap", self.softcap),
            "shapes": self.shapes,
            "x": self.x,
            **({"between": between._asdict()} if any(between) else {}),
            **if_there("projected_q", self.projected.q),
            "q": self.q,
            "keys": [self._key(key) for key in self.strongest(top)],
            **if_there("sink", None if self.sink is None else self.sink._asdict()),
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
            **if_there("projected_k", None if k is None else k[key]),
            "k": self.k[key],
            "dot": self.dots[key],
            **({"seen": bool(self.seen[key])} if self.masked else {}),
            **if_there("bias", None if self.bias is None else self.bias[key]),
            "score": self.scores[key],
            "weight": self.weights[key],
            **if_there("projected_v", None if v is None else v[key]),
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


def explain(inspection: Inspection, query: int, head: HeadId, layer: Projections) -> Explanation:
    """How one piece's attention in one head comes about; `layer` holds its layer's matrices.

    IndexError for what is not there, AttnvizError if the model's own z is not what these steps
    make.
    """
    query = range(len(inspection.tokens))[query]
    steps = head_steps(inspection, head, layer, slice(query, query + 1))
    sink, made = steps.sink, steps.projected
    every = every_z(inspection.layer(head.layer), head.layer, [query])
    every[steps.head.place] = steps.Z
    return Explanation(
        context=steps.context,
        head=steps.head,
        query=steps.context.tokens[query],
        matrices=steps.matrices,
        scale=steps.scale,
        x=steps.X[0],
        projected=made._replace(q=None if made.q is None else made.q[0]),
        q=steps.Q[0],
        k=steps.K,
        v=steps.V,
        dots=steps.dots[0],
        softcap=steps.softcap,
        bias=None if steps.bias is None else steps.bias[0],
        scores=steps.scores[0],
        weights=steps.weights[0],
        sink=None if sink is None else Sink(sink.score, float(sink.weights[0])),
        z=steps.Z[0],
        outputs=short(by_head(every, layer.W_O)[:, 0]),
        check=steps.check,
        masked=steps.masked,
        shared_by=steps.shared_by,
    )


def explain_token(
    view: View, index: int, head: HeadId, layer: Projections
) -> tuple[Explanation, ...]:
    """`explain` for each piece of the view's token at `index`, a word or a piece itself."""
    return tuple(explain(view.inspection, piece, head, layer) for piece in pieces_of(view, index))


def pieces_of(view: View, index: int) -> list[int]:
    """The pieces of the view's token at `index`, a word or a piece itself."""
    if view.unit == "piece":
        return [view.context.positions[index]]
    word = view.tokens[index].word
    return [piece.index for piece in view.inspection.tokens.pieces if piece.word == word]


def every_z(
    record: LayerRecord, layer: int, queries: Sequence[int]
) -> Float[np.ndarray, "head query d_v"]:
    """Each head's z of some queries, in float64: as recorded, or as its weights make it."""
    if record.z is not None:
        recorded: np.ndarray = record.z[:, queries].astype(np.float64)
        return recorded
    v = record.inputs().v
    made = []
    for query in queries:
        rows = record.weights(layer, queries=slice(query, query + 1))[:, 0].astype(np.float64)
        made.append([row @ record.of_head(v, number) for number, row in enumerate(rows)])
    return np.stack(made, axis=1)


def by_head(
    z: Float[np.ndarray, "head query d_v"], W_O: np.ndarray
) -> Float[np.ndarray, "head query d_model"]:
    """What each head gives: its z times its rows of W_O."""
    outputs: np.ndarray = z @ W_O.reshape(len(z), z.shape[-1], -1)
    return outputs
