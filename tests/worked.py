"""Inspections made of matrices that are written down by hand, or drawn."""

import math
from dataclasses import replace

import numpy as np
from handmade import tokens_of

from attnviz.attention.layer import LayerRecord, Projections
from attnviz.inspection import Inspection, ModelFacts

X = np.array([[1.0, 0], [0, 2]])
"""The vectors of "a" and "b"."""

WORKED = Projections(
    W_Q=np.eye(2),
    W_K=np.eye(2),
    W_V=np.array([[1.0, 0], [1, 1]]),
    W_O=np.array([[3.0, 0], [0, 4]]),
)
"""Two heads of one number each, which write to a number of the output each.

"b" has q = 0 in head 0 and q = 2 in head 1; the keys are 1, 0 in head 0 and 0, 2 in head 1; the
values 1, 2 and 0, 2.
"""


def inspection_with(
    x: np.ndarray, layer: Projections, num_heads: int, bias: np.ndarray | None = None
) -> Inspection:
    """One layer's run of vectors x, (n, d_model), through the matrices, as an encoder would."""
    d_model = x.shape[1]
    d_k = d_model // num_heads
    q, k, v = (
        np.stack(np.split(made, num_heads, axis=1)).astype(np.float32)
        for made in (
            x @ layer.W_Q + (0 if layer.b_Q is None else layer.b_Q),
            x @ layer.W_K + (0 if layer.b_K is None else layer.b_K),
            x @ layer.W_V + (0 if layer.b_V is None else layer.b_V),
        )
    )
    x = x.astype(np.float32)
    record = LayerRecord(x=x, q=q, k=k, v=v, scale=1 / math.sqrt(d_k), bias=bias)
    record = replace(record, z=record.weights(0) @ v)
    words = "abcdefghijklmnopqrstuvwxyz"[: len(x)]
    facts = ModelFacts("worked", "hand", 1, num_heads, d_model, d_k, 7, True)
    return Inspection(tokens_of(list(words), special=False), facts, (record,))


def random_layer(d_model: int, seed: int) -> Projections:
    """Matrices and biases at random."""
    drawn = np.random.default_rng(seed)
    matrices = [drawn.normal(size=(d_model, d_model)).astype(np.float32) for _ in range(4)]
    return Projections(*matrices, *(drawn.normal(size=d_model).astype(np.float32) for _ in "QKVO"))
