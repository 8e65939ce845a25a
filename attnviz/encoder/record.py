"""Token ids in, every layer's vectors out, as numpy: the door between torch and the rest."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from attnviz.attention.layer import LayerRecord
from attnviz.attention.request import LESS_OF_A_TEXT, WHOLE, RecordRequest
from attnviz.encoder.devices import as_numpy, enough_memory
from attnviz.encoder.encoder import Encoder, LayerVectors


def record(
    encoder: Encoder,
    ids: Sequence[Sequence[int]],
    types: Sequence[Sequence[int]],
    request: RecordRequest = WHOLE,
) -> list[list[LayerRecord | None]]:
    """Run a batch of sentences and return each one's layers, without padding and in its own arrays.

    A layer not requested is None. AttnvizError if memory is too small.
    """
    lengths = [len(sentence) for sentence in ids]
    longest = max(lengths)
    num_layers = encoder.config.num_layers
    records: list[list[LayerRecord | None]] = [[None] * num_layers for _ in ids]
    mask = None
    if min(lengths) != longest:
        mask = (torch.arange(longest) < torch.tensor(lengths)[:, None]).to(encoder.device)
    with memory_for(len(ids), longest), torch.inference_mode():
        biases = _biases(encoder.bias(longest), lengths)
        inputs = [padded(rows, encoder.device) for rows in (ids, types)]
        steps = encoder.steps(inputs[0], inputs[1], mask)
        for number, vectors in enumerate(islice(steps, request.last(num_layers) + 1)):
            if not request.has(number):
                continue
            norms = encoder.layer(number).attention.value_norms(vectors.v)
            for sentence, length in enumerate(lengths):
                own = _record(vectors, norms, sentence, length, request.whole)
                records[sentence][number] = replace(own, distance_bias=biases[sentence])
    return records


def output_of(encoder: Encoder, ids: Sequence[int], types: Sequence[int], layer: int) -> np.ndarray:
    """What a layer gives for one sentence, (n, d_model): the next layer's x."""
    with memory_for(1, len(ids)), torch.inference_mode():
        inputs = [padded([row], encoder.device) for row in (ids, types)]
        steps = encoder.steps(inputs[0], inputs[1], None)
        for _ in islice(steps, layer + 1):
            pass
        try:
            output = next(steps).x
        except StopIteration as last:
            output = last.value
    return as_numpy(output[0])


def _record(
    vectors: LayerVectors, norms: Tensor, sentence: int, length: int, whole: bool
) -> LayerRecord:
    """A sentence's part of a layer, without its padding; `whole`: with x, v and z."""

    def own(tensor: Tensor) -> np.ndarray:
        return as_numpy(tensor[sentence, :, :length])

    scale = vectors.q.shape[-1] ** -0.5
    record = LayerRecord(q=own(vectors.q), k=own(vectors.k), scale=scale, value_norms=own(norms))
    if not whole:
        return record
    x = as_numpy(vectors.x[sentence, :length])
    return replace(record, x=x, v=own(vectors.v), z=own(vectors.z))


def _biases(bias: Tensor | None, lengths: Sequence[int]) -> list[np.ndarray | None]:
    """Each sentence's bias by distance, from key n - 1 before the query to key n - 1 after it."""
    if bias is None:
        return [None] * len(lengths)
    before, after = as_numpy(bias[0, :, -1]), as_numpy(bias[0, :, 0, 1:])
    longest = before.shape[-1]
    joined = np.concatenate([before, after], axis=-1)
    return [joined[:, longest - length : longest + length - 1].copy() for length in lengths]


def memory_for(sentences: int, longest: int) -> AbstractContextManager[None]:
    """Raise AttnvizError if memory is too small for these sentences of up to `longest` tokens."""
    many, one = f"{sentences} sentences of up to {longest} tokens do", f"{longest} tokens do"
    return enough_memory(one if sentences == 1 else many, LESS_OF_A_TEXT)


def padded(rows: Sequence[Sequence[int]], device: torch.device, filler: int = 0) -> Tensor:
    """Rows of ids as one tensor, (row, longest), filled up at the end."""
    longest = max(map(len, rows))
    filled = [[*row, *([filler] * (longest - len(row)))] for row in rows]
    return torch.tensor(filled, device=device)
