"""How does a weight come about? One query in one head, from x to what the head puts out.

The steps are the attention function's (Vaswani et al. 2017, 3.2): q, k and v out of x, the query's
products with all keys, scaled, their softmax, the sum of the values so weighted, and W_O.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from attnviz.answers.explanation import Differences, Explanation, Projected, Sink, whose
from attnviz.attention.layer import Between, LayerRecord, Projections
from attnviz.errors import AttnvizError
from attnviz.inspection import HeadId, Inspection, View

Z_TOLERANCES = {"float32": 1e-3, "float16": 1e-2, "bfloat16": 5e-2}
"""How far the model's z may be from what its q, k and v make, as a part of the largest value.

Scores of some hundred, whose rounding softmax enlarges, leave 1e-5 in float32.
"""


def explain(inspection: Inspection, query: int, head: HeadId, layer: Projections) -> Explanation:
    """How one piece's attention in one head comes about; `layer` holds its layer's matrices.

    `query` is the piece's index. Raises IndexError for a piece, layer or head that is not there,
    AttnvizError if the model's own z is not what these steps make.
    """
    view, record = inspection.view("piece"), inspection.layer(head.layer)
    token, number = view.tokens[query], range(inspection.model.num_heads)[head.place]
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
        view=view,
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
    )


def explain_token(
    view: View, index: int, head: HeadId, layer: Projections
) -> tuple[Explanation, ...]:
    """`explain` for each piece of the view's token at `index`, a word or a piece itself."""
    pieces = view.inspection.tokens.pieces
    if view.unit == "piece":
        own = [pieces[view.positions[index]]]
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
    """What follows from q, k and v is what the model had, or its numbers were damaged since."""
    record = inspection.layer(head.layer)
    if record.z is None:
        return
    # z is a mean of values, so that these say what is large
    largest = _largest(record.of_head(record.inputs().v, head.place))
    tolerance = Z_TOLERANCES[inspection.model.dtype]
    if not _largest(z - record.z[head.place, query]) <= tolerance * largest:
        raise AttnvizError(
            f"z as the {whose(inspection)} had it is not what its q, k and v make: this inspection "
            "is damaged",
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
