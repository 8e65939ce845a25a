"""What is an encoder layer made of? One token, from a layer's x to the next layer's.

Attention, the heads side by side and mixed by W_O, then the feed-forward network, each added to
what came in, and a norm (Vaswani et al. 2017, 3.1 to 3.3).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from attnviz.answers.answer import facts_of, shortest, token_facts
from attnviz.answers.head import Z_TOLERANCES, short
from attnviz.answers.layer_steps import ATTENTION, HEAD, LayerSteps, Step, X
from attnviz.attention.order import descending
from attnviz.attention.shapes import Float
from attnviz.attention.sublayers import FeedForward, Sublayers
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Context, HeadId, Inspection, Shown
from attnviz.text.tokens import Token

BLOCK = 64  # pieces at a time of all: their parts stay in a processor's cache


class Part(NamedTuple):
    """A part of the output: `name` is x, head, feed-forward, another attention's, or biases.

    The parts sum to the output. A part p's share is p . output / output . output: how far it
    reaches in the output's direction. All shares sum to 1, and one that works against it is below
    0.
    """

    name: str
    head: HeadId | None
    vector: Float[np.ndarray, "d_model"]
    share: float

    @property
    def length(self) -> float:
        """Its length, the Euclidean norm."""
        return float(np.linalg.norm(self.vector))


class OutputCheck(NamedTuple):
    """How far the last step is from the model's own output, at most: None if that is not known.

    `relative`: to the output's largest number.
    """

    output: float | None
    relative: float | None


@dataclass(frozen=True, eq=False, repr=False)
class Layer(Shown):
    """Every step of one token through one layer, recomputed in float64 and kept in float32.

    The steps begin with x and the heads' z, as recorded. `parts`: x, the heads, the feed-forward
    network, and biases: W_O's, and the norms' shifts. A norm divides by a number that all parts
    share, which is taken as it is (Kobayashi et al. 2021): so the parts sum to the output.
    """

    schema: ClassVar[str] = "attnviz.layer/1"
    columns: ClassVar[tuple[str, ...]] = (
        "layer", "head", "query_index", "query", "part", "share", "length",
    )  # fmt: skip

    context: Context
    layer: int
    query: Token
    sublayers: Sublayers
    z: Float[np.ndarray, "head d_v"]
    steps: tuple[Step, ...]
    parts: tuple[Part, ...]
    check: OutputCheck

    def __repr__(self) -> str:
        return f"<Layer {self.layer} of {self.query.label!r}: {len(self.steps)} steps>"

    @property
    def heads(self) -> tuple[Part, ...]:
        """The heads' parts, in order."""
        return tuple(part for part in self.parts if part.head is not None)

    @cached_property
    def attention(self) -> Part:
        """What all heads bring together."""
        together = np.sum([head.vector for head in self.heads], axis=0)
        return Part(ATTENTION, None, together, sum(head.share for head in self.heads))

    @property
    def feed_forward(self) -> FeedForward | None:
        """The feed-forward network; None if it is more than two matrices."""
        network = self.sublayers.feed_forward
        return network if isinstance(network, FeedForward) else None

    @property
    def output(self) -> Float[np.ndarray, "d_model"]:
        """The last step: what the layer gives to the next one."""
        return self.steps[-1].vector

    @property
    def norms(self) -> str:
        """Where the norms are: "after" a sum, as in the paper, "before" a sublayer, "inside" it."""
        return norms_of(self.sublayers)

    @property
    def parallel(self) -> bool:
        """Whether the feed-forward network runs beside attention, and not on what that gives."""
        return is_parallel(self.sublayers)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of x, the heads' z, and the matrices."""
        network = self.feed_forward
        shapes = {"x": self.output.shape, "z": self.z.shape, "W_O": self.sublayers.W_O.shape}
        if network is not None:
            gate = {} if network.W_G is None else {"W_G": network.W_G.shape}
            shapes |= {"W_1": network.W_1.shape, **gate, "W_2": network.W_2.shape}
        return shapes

    def strongest(self, top: int | None) -> list[Part]:
        """The `top` heads with the largest shares, of either sign; all in order without."""
        if top is None or top >= len(self.heads):
            return list(self.heads)
        shares = np.array([abs(head.share) for head in self.heads], np.float64)
        return [self.heads[int(place)] for place in descending(shares)[:top]]

    def shown(self, top: int) -> list[Part]:
        """The `top` heads with the largest shares, in order."""
        largest = {part.head for part in self.strongest(top)}
        return [part for part in self.heads if part.head in largest]

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.layer/1` object; with `top`, that many heads."""
        paired, network = self.context.text.pair is not None, self.sublayers.feed_forward
        return facts_of(self.context, self.schema) | {
            "layer": self.layer,
            "query": token_facts(self.query, paired),
            "norms": self.norms,
            "parallel": self.parallel,
            "activation": getattr(network, "activation", None),
            "gated": getattr(network, "W_G", None) is not None,
            "shapes": self.shapes,
            "steps": [
                {
                    "name": step.name,
                    "letter": step.letter,
                    "formula": step.formula,
                    "size": len(step.vector),
                    "length": step.length,
                    "vector": step.vector,
                }
                for step in self.steps
            ],
            "heads": [
                {
                    "head": head.place,
                    "share": part.share,
                    "length": part.length,
                    "z": self.z[head.place],
                    "part": part.vector,
                }
                for part in self.strongest(top)
                if (head := part.head) is not None
            ],
            "parts": [
                {"name": part.name, "share": part.share, "length": part.length}
                for part in self.summed
            ],
            "check": self.check._asdict(),
        }

    @property
    def summed(self) -> list[Part]:
        """The parts with all heads in one, "attention", after x."""
        others = [part for part in self.parts if part.head is None]
        return [others[0], self.attention, *others[1:]]

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a part: x, each head, the feed-forward network, biases."""
        query = self.query.index, self.query.text
        shown = {None, *(part.head for part in self.strongest(top))}
        for part in self.parts:
            if part.head in shown:
                numbers = shortest(part.share), shortest(part.length)
                head = None if part.head is None else part.head.place
                yield (self.layer, head, *query, part.name, *numbers)


def one_layer(heads: Sequence[HeadId]) -> int:
    """The layer that heads were chosen of; RequestError for several."""
    layers = sorted({head.layer for head in heads})
    if len(layers) > 1:
        raise RequestError(
            f"one layer can be followed, and {len(layers)} were chosen",
            f"name one, as in --layer {layers[0]}",
        )
    return layers[0]


class StepFacts(NamedTuple):
    """A step of every piece, without its numbers, of which there are `size`; see `Step`."""

    name: str
    letter: str
    formula: str
    size: int
    kept: str | None


@dataclass(frozen=True, eq=False)
class LayerSummary:
    """How long every step of every piece through a layer is, and the parts of what comes out.

    `parts`: x, attention, the heads that this is the sum of, then the others; `heads`: each part's
    head, by its number, or None.
    """

    steps: tuple[StepFacts, ...]
    lengths: Float[np.ndarray, "piece step"]
    parts: tuple[str, ...]
    heads: tuple[int | None, ...]
    shares: Float[np.ndarray, "piece part"]
    part_lengths: Float[np.ndarray, "piece part"]
    norms: str
    parallel: bool


def layer(inspection: Inspection, number: int, sublayers: Sublayers) -> tuple[Layer, ...]:
    """What a layer makes of each of the pieces that `sublayers` was made for.

    AttnvizError if that is not the model's own output.
    """
    context, record = inspection.view("piece").context, inspection.layer(number)
    way = LayerSteps(record, number, sublayers)
    checks, shares = _checks(context, number, way.output, sublayers.output), way.shares
    heads = [
        HeadId(number, place - 1) if name == HEAD else None for place, name in enumerate(way.names)
    ]
    return tuple(
        Layer(
            context=context,
            layer=number,
            query=context.tokens[piece],
            sublayers=sublayers,
            z=short(way.z[:, place]),
            steps=tuple(step._replace(vector=short(step.vector[place])) for step in way.steps),
            parts=tuple(
                Part(name, head, short(part[place]), float(share[place]))
                for name, head, part, share in zip(way.names, heads, way.parts, shares, strict=True)
            ),
            check=checks[place],
        )
        for place, piece in enumerate(sublayers.pieces)
    )


def layer_summary(inspection: Inspection, number: int, sublayers: Sublayers) -> LayerSummary:
    """The lengths and shares of `layer` for all pieces of `sublayers`, in float32.

    AttnvizError if the steps do not make the model's own output.
    """
    context, record = inspection.view("piece").context, inspection.layer(number)
    found: list[tuple[np.ndarray, ...]] = []
    for start in range(0, len(sublayers.pieces), BLOCK):
        places = slice(start, start + BLOCK)
        way = LayerSteps(record, number, sublayers, places, np.float32)
        own = None if sublayers.output is None else sublayers.output[places]
        _checks(context, number, way.output, own)
        lengths = np.stack([np.linalg.norm(step.vector, axis=-1) for step in way.steps], axis=-1)
        heads, shares = slice(1, 1 + len(way.z)), way.shares
        together = np.linalg.norm(way.parts[heads].sum(axis=0), axis=-1)
        part_lengths = np.insert(np.linalg.norm(way.parts, axis=-1), 1, together, axis=0)
        shares = np.insert(shares, 1, shares[heads].sum(axis=0), axis=0)
        found.append((lengths, shares.T, part_lengths.T))
    lengths, shares, part_lengths = (short(np.concatenate(one)) for one in zip(*found, strict=True))
    return LayerSummary(
        steps=tuple(
            StepFacts(step.name, step.letter, step.formula, step.vector.shape[-1], step.kept)
            for step in way.steps
        ),
        lengths=lengths,
        parts=(X, ATTENTION, *way.names[1:]),
        heads=(None, None, *(n if name == HEAD else None for n, name in enumerate(way.names[1:]))),
        shares=shares,
        part_lengths=part_lengths,
        norms=norms_of(sublayers),
        parallel=is_parallel(sublayers),
    )


def norms_of(sublayers: Sublayers) -> str:
    """Where the norms are: "after" a sum, as in the paper, "before" a sublayer, "inside" it."""
    every = ("before", "inside", "after")
    places = [n for n in every if any(getattr(adding, n) for adding in sublayers.order)]
    return " and ".join(places) or "none"


def is_parallel(sublayers: Sublayers) -> bool:
    """Whether the feed-forward network runs beside attention, and not on what that gives."""
    return any(adding.beside for adding in sublayers.order)


def _checks(
    context: Context, number: int, out: np.ndarray, own: np.ndarray | None
) -> list[OutputCheck]:
    """How far each piece's output is from the model's own; AttnvizError if one is too far."""
    if own is None:
        return [OutputCheck(None, None)] * len(out)
    differences, largest = np.abs(out - own.astype(np.float64)).max(axis=1), np.abs(own).max(axis=1)
    if not (differences <= Z_TOLERANCES[context.model.dtype] * largest).all():  # true of NaN too
        raise AttnvizError(
            f"layer {number}'s output is not what these steps make of its x: this "
            "inspection is damaged, or the model has changed",
            "run the sentence again",
        )
    return [
        OutputCheck(float(off), float(off / most) if most else 0.0)
        for off, most in zip(differences, largest, strict=True)
    ]
