"""What the vectors that a layer's attention reads are made of: a sum of parts, each by its writer.

Every norm on the way is held at its values, so that it is a linear map and a shift: gain * (part -
mean of part) / size (Kobayashi et al. 2021, equation 5). Then what embeddings, heads, feed-forward
networks and biases wrote passes through it part by part.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from attnviz.answers.head import Z_TOLERANCES
from attnviz.answers.layer_steps import ATTENTION, HEAD, LayerSteps, shift_of
from attnviz.attention.shapes import Float
from attnviz.attention.sublayers import Embedded, Norm, Origins, Sublayers
from attnviz.errors import AttnvizError
from attnviz.inspection import HeadId, Inspection

Vectors = Float[np.ndarray, "part piece d_model"]


class PartName(NamedTuple):
    """Who wrote a part.

    `kind`: token, position, type, embeddings, embeddings_shift, embeddings_bias; head,
    feed_forward, b_O, attention_shift, feed_forward_shift and the like, of a layer; b_Q, b_K.
    """

    kind: str
    layer: int | None = None
    head: int | None = None

    def __str__(self) -> str:
        if self.head is not None and self.layer is not None:
            return str(HeadId(self.layer, self.head))
        return self.kind if self.layer is None else f"L{self.layer} {self.kind}"

    def data(self) -> dict[str, Any]:
        """The part's object in JSON."""
        return {"name": str(self), **self._asdict()}


@dataclass(frozen=True, eq=False)
class Made:
    """The parts of some pieces' vectors, (part, piece, d_model), and their names."""

    names: tuple[PartName, ...]
    vectors: Vectors

    @property
    def sum(self) -> Float[np.ndarray, "piece d_model"]:
        """The vectors themselves."""
        whole: np.ndarray = self.vectors.sum(axis=0)
        return whole


def made_of(inspection: Inspection, origins: Origins, number: int) -> Made:
    """What a layer's attention reads of the pieces that `origins` are for, in float64.

    AttnvizError where the parts are not the model's own vectors: it does more between its layers.
    """
    made = _written(_embedded(origins.embedded))
    for below, sublayers in enumerate(origins.layers):
        _check_x(inspection, made, sublayers.x, below)
        record = inspection.layer(below)
        way = LayerSteps(record, below, sublayers, of_x=made.vectors)
        made = _joined(made, way, below)
    if origins.own is None:
        return made
    _check_x(inspection, made, origins.own.x, number)
    return _read(inspection, origins.own, made, number)


def _embedded(embedded: Embedded) -> Made:
    """The parts of what enters the first layer."""
    names = list(embedded.parts)
    vectors = np.stack([one.astype(np.float64) for one in embedded.parts.values()])
    if embedded.norm is not None:
        vectors = _normed(vectors, embedded.norm, vectors.sum(axis=0))
        names.append("embeddings_shift")
    if embedded.matrix is not None:
        vectors = vectors @ embedded.matrix.astype(np.float64)
    if embedded.bias is not None:
        bias = np.broadcast_to(embedded.bias.astype(np.float64), vectors.shape[1:])
        vectors = np.concatenate([vectors, bias[None]])
        names.append("embeddings_bias")
    return Made(tuple(map(PartName, names)), vectors)


def _normed(vectors: Vectors, norm: Norm, whole: np.ndarray) -> np.ndarray:
    """The parts after the norm of what they sum to, its shift the last one."""
    shift = np.broadcast_to(norm.shift, whole.shape)
    return np.concatenate([norm.linear(vectors, whole), shift[None]])


def _joined(made: Made, way: LayerSteps, number: int) -> Made:
    """The parts of a layer's output: those of its x, and what it wrote itself."""
    own = way.names[len(made.names) :]
    names = [
        PartName(HEAD, number, place) if name == HEAD else PartName(name, number)
        for place, name in enumerate(own)
    ]
    return _written(Made((*made.names, *names), way.parts))


def _written(made: Made) -> Made:
    """Without parts that are zero at every piece, as of a bias that is not there."""
    there = [place for place, vectors in enumerate(made.vectors) if vectors.any()]
    return Made(tuple(made.names[place] for place in there), made.vectors[there])


def _read(inspection: Inspection, own: Sublayers, made: Made, number: int) -> Made:
    """What attention reads in its own layer: x, or what stands before it, through its norm."""
    place = [adding.name for adding in own.order].index(ATTENTION)
    attention, before = own.order[place], replace(own, order=own.order[:place])
    x = own.x.astype(np.float64)
    if place and not attention.beside:
        record = inspection.layer(number)
        way = LayerSteps(record, number, before, of_x=made.vectors)
        made, x = _joined(made, way, number), way.output
    if attention.before is None:
        return made
    names = (*made.names, PartName(shift_of(attention), number))
    return _written(Made(names, _normed(made.vectors, attention.before, x)))


def _check_x(inspection: Inspection, made: Made, x: np.ndarray, number: int) -> None:
    """AttnvizError if the parts do not sum to a layer's x."""
    tolerance = Z_TOLERANCES[inspection.model.dtype]
    if not np.abs(made.sum - x).max() <= tolerance * np.abs(x).max():  # true of NaN too
        below = f"between layers {number - 1} and {number}" if number else "below its first layer"
        raise AttnvizError(
            f"{inspection.model.title} does more {below} than its layers show, so that what its "
            "queries and keys are made of cannot be split",
            "attnviz explain shows how a weight comes about",
        )
