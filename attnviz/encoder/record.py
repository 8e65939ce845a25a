"""Token ids in, every layer's vectors out, as numpy: the door between torch and the rest."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from attnviz.encoder.encoder import Encoder
from attnviz.errors import AttnvizError


class LayerArrays(NamedTuple):
    """One sentence's part of a layer, named as in `attnviz.attention.LayerRecord`.

    x: (n, d_model); q, k, v, z: (num_heads, n, d_k); value_norms: (num_heads, n); distance_bias:
    (num_heads, 2n - 1), one array for all layers, or None.
    """

    x: np.ndarray
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    z: np.ndarray
    value_norms: np.ndarray
    distance_bias: np.ndarray | None


def record(
    encoder: Encoder, ids: Sequence[Sequence[int]], types: Sequence[Sequence[int]]
) -> list[list[LayerArrays]]:
    """Run a batch of sentences, and give back for each of them its layers' vectors.

    n is the sentence's own length: padding is cut off, and each sentence has arrays of its own, so
    that it does not keep the batch alive. What the last layer makes of its attention is not needed,
    so it is not computed. Raises AttnvizError if memory does not do.
    """
    lengths = [len(sentence) for sentence in ids]
    longest = max(lengths)
    mask = None
    if min(lengths) != longest:
        mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    records: list[list[LayerArrays]] = [[] for _ in ids]
    with enough_memory(len(ids), longest), torch.inference_mode():
        biases = _biases(encoder.bias(longest), lengths)
        steps = encoder.steps(_padded(ids, longest), _padded(types, longest), mask)
        for number, vectors in enumerate(islice(steps, encoder.config.num_layers)):
            norms = encoder.layer(number).attention.value_norms(vectors.v)
            x, *in_heads = (tensor.numpy() for tensor in (*vectors, norms))
            for sentence, length in enumerate(lengths):
                q, k, v, z, value_norms = (heads[sentence, :, :length].copy() for heads in in_heads)
                own = x[sentence, :length].copy(), q, k, v, z, value_norms, biases[sentence]
                records[sentence].append(LayerArrays(*own))
    return records


def _biases(bias: Tensor | None, lengths: Sequence[int]) -> list[np.ndarray | None]:
    """What is added to each sentence's scores, by distance: of key n - 1 before the query, first.

    The last query's row has the keys before it, the first query's those behind it.
    """
    if bias is None:
        return [None] * len(lengths)
    before, behind = bias[0, :, -1].numpy(), bias[0, :, 0, 1:].numpy()
    longest = before.shape[-1]
    joined = np.concatenate([before, behind], axis=-1)
    return [joined[:, longest - length : longest + length - 1].copy() for length in lengths]


@contextmanager
def enough_memory(sentences: int, longest: int) -> Iterator[None]:
    """Raises AttnvizError where memory does not do for so many sentences of so many tokens."""
    try:
        yield
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        raise AttnvizError(
            f"{sentences} sentences of up to {longest} tokens do not fit in memory",
            "give shorter or fewer sentences",
        ) from error


def _padded(rows: Sequence[Sequence[int]], length: int) -> Tensor:
    return torch.tensor([[*row, *([0] * (length - len(row)))] for row in rows])
