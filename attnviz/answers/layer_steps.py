"""The steps of tokens through one layer, from its x to the next layer's, all tokens at once."""

from typing import NamedTuple

import numpy as np

from attnviz.answers.explain import by_head, every_z
from attnviz.attention.layer import LayerRecord
from attnviz.attention.shapes import Float
from attnviz.attention.sublayers import Adding, FeedForward, SublayerName, Sublayers, Unopened

X, HEAD, FEED_FORWARD, BIASES = "x", "head", "feed_forward", "biases"
B_O = "b_O"
ATTENTION: SublayerName = "attention"
OUTPUT, Y = "output", "y"


class Step(NamedTuple):
    """A vector on the way from x to the next layer's x, y, and how it comes about.

    `formula` says which vectors it is made of, by their letters. `kept`: of a sum, the letter of
    the vector to which a sublayer's output is added.
    """

    name: str
    letter: str
    formula: str
    vector: Float[np.ndarray, "*piece size"]
    kept: str | None = None

    @property
    def length(self) -> float:
        """Its length, the Euclidean norm."""
        return float(np.linalg.norm(self.vector))


class LayerSteps:
    """Some pieces' way through a layer: the steps so far, and the parts that the last one sums.

    `places`: which of the pieces that `sublayers` was made for. All is computed in `dtype`.
    z: (head, piece, d_v); parts: (part, piece, d_model), named by `names`. Where x is given as a
    sum, `of_x`, each of its parts is followed by itself, and so are W_O's bias and each norm's
    shift.
    """

    def __init__(
        self,
        record: LayerRecord,
        number: int,
        sublayers: Sublayers,
        places: slice = slice(None),
        dtype: type[np.floating] = np.float64,
        of_x: Float[np.ndarray, "part piece d_model"] | None = None,
    ) -> None:
        self._sublayers, self._places = sublayers, places
        self.z = every_z(record, number, sublayers.pieces[places]).astype(dtype)
        self.steps: list[Step] = []
        self._x = self._step("x", "x", "x", sublayers.x[places].astype(dtype))
        constants = [BIASES] if of_x is None else [B_O, *map(shift_of, sublayers.order)]
        of_x = self._x.vector[None] if of_x is None else of_x
        self._heads = slice(len(of_x), len(of_x) + len(self.z))
        self.names = [X] * len(of_x) + [HEAD] * len(self.z)
        self.names += [FEED_FORWARD, *sublayers.others, *constants]
        self.parts = np.zeros((len(self.names), *self._x.vector.shape), dtype)
        self.parts[: len(of_x)] = of_x
        for adding in sublayers.order:
            self._add(adding)
        self.steps[-1] = self.steps[-1]._replace(name=OUTPUT, letter=Y)

    @property
    def output(self) -> Float[np.ndarray, "piece d_model"]:
        """The last step: what the layer gives to the next one."""
        return self.steps[-1].vector

    @property
    def shares(self) -> Float[np.ndarray, "part piece"]:
        """How far each part reaches in the output's direction, part . y / y . y; 0 if y is 0."""
        out = self.output.astype(np.float64)
        square = np.einsum("pd,pd->p", out, out)
        along = np.einsum("kpd,pd->kp", self.parts, out)
        shares: np.ndarray = along / np.where(square == 0, np.inf, square)
        return shares

    def _add(self, adding: Adding) -> None:
        """One sublayer, added to the last step."""
        name, before = adding.name, self.steps[-1]
        read = self._x if adding.beside else before
        if adding.before is not None:
            formula = f"{adding.before.kind}({read.letter})"
            read = self._step(f"{name}_input", "h", formula, adding.before(read.vector))
        given, parts = self._given(name, read)
        if adding.inside is not None:
            parts = adding.inside.linear(parts, given.vector)
            parts[self._constant(shift_of(adding))] += adding.inside.shift
            formula = f"{adding.inside.kind}({given.letter})"
            given = self._step(f"{name}_normed", given.letter, formula, adding.inside(given.vector))
        self.parts = adding.kept * self.parts + adding.factor * parts
        total = adding.kept * before.vector + adding.factor * given.vector
        formula = f"{_times(adding.kept)}{before.letter} + {_times(adding.factor)}{given.letter}"
        added = self._step(f"{name}_sum", "r", formula, total, before.letter)
        if adding.after is not None:
            self.parts = adding.after.linear(self.parts, total)
            self.parts[self._constant(shift_of(adding))] += adding.after.shift
            formula = f"{adding.after.kind}({added.letter})"
            self._step(f"{name}_norm", "h", formula, adding.after(total))

    def _given(self, name: SublayerName, read: Step) -> tuple[Step, np.ndarray]:
        """What a sublayer gives, and as a sum of parts, (part, piece, d_model)."""
        sublayers, parts = self._sublayers, np.zeros_like(self.parts)
        if name == "attention":
            heads, bias = by_head(self.z, sublayers.W_O), sublayers.b_O
            side_by_side = np.concatenate(list(self.z), axis=-1)
            self._step("z", "z", f"z_0 … z_{len(heads) - 1} side by side", side_by_side)
            parts[self._heads] = heads
            parts[self._constant(B_O)] = 0 if bias is None else bias
            return self._step(name, "a", f"z W_O{_plus('b_O', bias)}", parts.sum(axis=0)), parts
        others = sublayers.others
        network = Unopened(name, others[name]) if name in others else sublayers.feed_forward
        if isinstance(network, FeedForward):
            formula = _inner(network, read.letter)
            inner = self._step("inner", "u", formula, network.inner(read.vector))
            formula, vector = f"u W_2{_plus('b_2', network.b_2)}", network.outer(inner.vector)
        else:
            formula = f"{network.name}({read.letter})"
            vector = network.outputs[self._places].astype(self.parts.dtype)
        given = self._step(name, "f" if name == FEED_FORWARD else "c", formula, vector)
        parts[self.names.index(name)] = given.vector
        return given, parts

    def _constant(self, name: str) -> int:
        """The place of a bias or a shift among the parts."""
        return self.names.index(name) if name in self.names else -1

    def _step(
        self, name: str, letter: str, formula: str, vector: np.ndarray, kept: str | None = None
    ) -> Step:
        """Note a step, under a letter of its own."""
        letters = {step.letter for step in self.steps}
        while letter in letters:
            letter += "′"
        self.steps.append(Step(name, letter, formula, vector, kept))
        return self.steps[-1]


def shift_of(adding: Adding) -> str:
    """What the shift of a sublayer's norm is called, as a part."""
    return f"{adding.name}_shift"


def _inner(network: FeedForward, read: str) -> str:
    wide = f"{read} W_1{_plus('b_1', network.b_1)}"
    if network.W_G is None:
        return f"{network.activation}({wide})"
    return f"{network.activation}({read} W_G{_plus('b_G', network.b_G)}) * ({wide})"


def _plus(name: str, bias: np.ndarray | None) -> str:
    return "" if bias is None else f" + {name}"


def _times(factor: float) -> str:
    return "" if factor == 1 else f"{factor:.4g} "
