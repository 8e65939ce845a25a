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
from attnviz.answers.explain import by_head, every_z
from attnviz.answers.head import Z_TOLERANCES, short
from attnviz.attention.layer import LayerRecord
from attnviz.attention.order import descending
from attnviz.attention.shapes import Float
from attnviz.attention.sublayers import Adding, FeedForward, SublayerName, Sublayers, Unopened
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Context, HeadId, Inspection, Shown
from attnviz.text.tokens import Token

X, HEAD, FEED_FORWARD, BIASES, OUTPUT = "x", "head", "feed_forward", "biases", "output"
Y = "y"


class Step(NamedTuple):
    """A vector on the way from x to the next layer's x, y, and how it comes about.

    `formula` says which vectors it is made of, by their letters. `kept`: of a sum, the letter of
    the vector to which a sublayer's output is added.
    """

    name: str
    letter: str
    formula: str
    vector: Float[np.ndarray, "size"]
    kept: str | None = None

    @property
    def length(self) -> float:
        """Its length, the Euclidean norm."""
        return float(np.linalg.norm(self.vector))


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
        return Part("attention", None, together, sum(head.share for head in self.heads))

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
        order, every = self.sublayers.order, ("before", "inside", "after")
        places = [name for name in every if any(getattr(adding, name) for adding in order)]
        return " and ".join(places) or "none"

    @property
    def parallel(self) -> bool:
        """Whether the feed-forward network runs beside attention, and not on what that gives."""
        return any(adding.beside for adding in self.sublayers.order)

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
        shares = np.array([abs(head.share) for head in self.heads], np.float32)
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


def layer(inspection: Inspection, number: int, sublayers: Sublayers) -> tuple[Layer, ...]:
    """What a layer makes of each of the pieces that `sublayers` was made for.

    AttnvizError if that is not the model's own output.
    """
    context, record = inspection.view("piece").context, inspection.layer(number)
    places = range(len(sublayers.pieces))
    return tuple(_Way(context, record, number, sublayers, place).answer() for place in places)


class _Way:
    """One piece's way through a layer: the steps so far, and the parts that the last one sums."""

    def __init__(
        self, context: Context, record: LayerRecord, number: int, sublayers: Sublayers, place: int
    ) -> None:
        self._context, self._number = context, number
        self._sublayers, self._place = sublayers, place
        self._z = every_z(record, number, sublayers.pieces[place])
        self._steps: list[Step] = []
        self._x = self._step("x", "x", "x", sublayers.x[place].astype(np.float64))
        self._names = [X, *[HEAD] * len(self._z), FEED_FORWARD, *sublayers.others, BIASES]
        self._parts = np.zeros((len(self._names), len(self._x.vector)))
        self._parts[0] = self._x.vector
        for adding in sublayers.order:
            self._add(adding)

    def answer(self) -> Layer:
        """The layer as an answer; AttnvizError if it is not the model's own output."""
        *steps, last = (step._replace(vector=short(step.vector)) for step in self._steps)
        out = self._steps[-1].vector
        length = float(out @ out)
        shares = self._parts @ out / length if length else np.zeros(len(self._parts))
        heads = [
            HeadId(self._number, place - 1) if name == HEAD else None
            for place, name in enumerate(self._names)
        ]
        return Layer(
            context=self._context,
            layer=self._number,
            query=self._context.tokens[self._sublayers.pieces[self._place]],
            sublayers=self._sublayers,
            z=short(self._z),
            steps=(*steps, last._replace(name=OUTPUT, letter=Y)),
            parts=tuple(
                Part(name, head, short(part), float(share))
                for name, head, part, share in zip(
                    self._names, heads, self._parts, shares, strict=True
                )
            ),
            check=self._checked(out),
        )

    def _add(self, adding: Adding) -> None:
        """One sublayer, added to the last step."""
        name, before = adding.name, self._steps[-1]
        read = self._x if adding.beside else before
        if adding.before is not None:
            formula = f"{adding.before.kind}({read.letter})"
            read = self._step(f"{name}_input", "h", formula, adding.before(read.vector))
        given, parts = self._given(name, read)
        if adding.inside is not None:
            parts = adding.inside.linear(parts, given.vector)
            parts[-1] += adding.inside.shift
            formula = f"{adding.inside.kind}({given.letter})"
            given = self._step(f"{name}_normed", given.letter, formula, adding.inside(given.vector))
        self._parts = adding.kept * self._parts + adding.factor * parts
        total = adding.kept * before.vector + adding.factor * given.vector
        formula = f"{_times(adding.kept)}{before.letter} + {_times(adding.factor)}{given.letter}"
        added = self._step(f"{name}_sum", "r", formula, total, before.letter)
        if adding.after is not None:
            self._parts = adding.after.linear(self._parts, total)
            self._parts[-1] += adding.after.shift
            formula = f"{adding.after.kind}({added.letter})"
            self._step(f"{name}_norm", "h", formula, adding.after(total))

    def _given(self, name: SublayerName, read: Step) -> tuple[Step, np.ndarray]:
        """What a sublayer gives, and as a sum of parts, (part, d_model)."""
        sublayers, parts = self._sublayers, np.zeros_like(self._parts)
        if name == "attention":
            heads, bias = by_head(self._z, sublayers.W_O), sublayers.b_O
            self._step("z", "z", f"z_0 … z_{len(heads) - 1} side by side", self._z.ravel())
            parts[1 : 1 + len(heads)] = heads
            parts[-1] = 0 if bias is None else bias
            return self._step(name, "a", f"z W_O{_plus('b_O', bias)}", parts.sum(axis=0)), parts
        others = sublayers.others
        network = Unopened(name, others[name]) if name in others else sublayers.feed_forward
        if isinstance(network, FeedForward):
            formula = _inner(network, read.letter)
            inner = self._step("inner", "u", formula, network.inner(read.vector))
            formula, vector = f"u W_2{_plus('b_2', network.b_2)}", network.outer(inner.vector)
        else:
            formula = f"{network.name}({read.letter})"
            vector = network.outputs[self._place].astype(np.float64)
        given = self._step(name, "f" if name == FEED_FORWARD else "c", formula, vector)
        parts[self._names.index(name)] = given.vector
        return given, parts

    def _step(
        self, name: str, letter: str, formula: str, vector: np.ndarray, kept: str | None = None
    ) -> Step:
        """Note a step, under a letter of its own."""
        letters = {step.letter for step in self._steps}
        while letter in letters:
            letter += "′"
        self._steps.append(Step(name, letter, formula, vector, kept))
        return self._steps[-1]

    def _checked(self, out: np.ndarray) -> OutputCheck:
        if self._sublayers.output is None:
            return OutputCheck(None, None)
        own = self._sublayers.output[self._place].astype(np.float64)
        difference, largest = (float(np.abs(u).max()) for u in (out - own, own))
        if not difference <= Z_TOLERANCES[self._context.model.dtype] * largest:
            raise AttnvizError(
                f"layer {self._number}'s output is not what these steps make of its x: this "
                "inspection is damaged, or the model has changed",
                "run the sentence again",
            )
        return OutputCheck(difference, difference / largest if largest else 0.0)


def _inner(network: FeedForward, read: str) -> str:
    wide = f"{read} W_1{_plus('b_1', network.b_1)}"
    if network.W_G is None:
        return f"{network.activation}({wide})"
    return f"{network.activation}({read} W_G{_plus('b_G', network.b_G)}) * ({wide})"


def _plus(name: str, bias: np.ndarray | None) -> str:
    return "" if bias is None else f" + {name}"


def _times(factor: float) -> str:
    return "" if factor == 1 else f"{factor:.4g} "
