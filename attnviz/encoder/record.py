"""Token ids in, every layer's vectors out, as numpy arrays: the door of the encoder."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from attnviz.attention.layer import LayerRecord
from attnviz.attention.request import LESS_OF_A_TEXT, WHOLE, RecordRequest
from attnviz.encoder.encoder import Encoder, LayerVectors
from attnviz.encoder.engine import Array, Engine
from attnviz.errors import enough_memory

if TYPE_CHECKING:
    from attnviz.attention.sublayers import Embedded


def record(
    encoder: Encoder,
    ids: Sequence[Sequence[int]],
    types: Sequence[Sequence[int]],
    request: RecordRequest = WHOLE,
) -> list[list[LayerRecord | None]]:
    """Run a batch of sentences and return each one's layers, without padding and in its own arrays.

    A layer not requested is None. AttnvizError if memory is too small.
    """
    engine, num_layers = encoder.engine, encoder.config.num_layers
    lengths = [len(sentence) for sentence in ids]
    longest = max(lengths)
    records: list[list[LayerRecord | None]] = [[None] * num_layers for _ in ids]
    mask = None
    if min(lengths) != longest:
        mask = engine.array(np.arange(longest) < np.array(lengths)[:, None])
    with memory_for(len(ids), longest), engine.running():
        biases = _biases(engine, encoder.bias(longest), lengths)
        inputs = [engine.array(padded(rows)) for rows in (ids, types)]
        steps = encoder.steps(inputs[0], inputs[1], mask)
        for number, vectors in enumerate(islice(steps, request.last(num_layers) + 1)):
            if not request.has(number):
                continue
            norms = encoder.layers[number].attention.value_norms(vectors.v)
            for sentence, length in enumerate(lengths):
                own = _record(engine, vectors, norms, sentence, length, request.whole)
                records[sentence][number] = replace(own, distance_bias=biases[sentence])
    return records


def output_of(encoder: Encoder, ids: Sequence[int], types: Sequence[int], layer: int) -> np.ndarray:
    """What a layer gives for one sentence, (n, d_model): the next layer's x."""
    engine = encoder.engine
    with memory_for(1, len(ids)), engine.running():
        inputs = [engine.array(padded([row])) for row in (ids, types)]
        steps = encoder.steps(inputs[0], inputs[1], None)
        for _ in islice(steps, layer + 1):
            pass
        try:
            output = next(steps).x
        except StopIteration as last:
            output = last.value
        return engine.numpy(output[0])


def embedded(
    encoder: Encoder, ids: Sequence[int], types: Sequence[int], pieces: Sequence[int]
) -> "Embedded":
    """What the embeddings of some pieces of a sentence are the sum of, in float32."""
    from attnviz.attention.sublayers import Embedded, Norm

    engine, made, rows = encoder.engine, encoder.embeddings, list(pieces)
    with memory_for(1, len(ids)), engine.running():
        inputs = [engine.array(padded([row])) for row in (ids, types)]
        summed = {
            name: engine.numpy(array.reshape(len(ids), -1))[rows]
            for name, array in made.summed(*inputs).items()
        }
        norm, project = getattr(made, "norm", None), getattr(made, "project", None)
        if norm is not None:
            gain, shift = engine.numpy(norm.gain), engine.numpy(norm.shift)
            norm = Norm("layer norm", norm.eps, gain, shift)
        if project is None:
            return Embedded(summed, norm)
        return Embedded(summed, norm, *(map(engine.numpy, (project.weight.T, project.bias))))


def _record(
    engine: Engine,
    vectors: LayerVectors,
    norms: Array,
    sentence: int,
    length: int,
    whole: bool,
) -> LayerRecord:
    """A sentence's part of a layer, without its padding; `whole`: with x, v and z."""

    def own(array: Array) -> np.ndarray:
        return engine.numpy(array[sentence, :, :length])

    scale = vectors.q.shape[-1] ** -0.5
    record = LayerRecord(q=own(vectors.q), k=own(vectors.k), scale=scale, value_norms=own(norms))
    if not whole:
        return record
    x = engine.numpy(vectors.x[sentence, :length])
    return replace(record, x=x, v=own(vectors.v), z=own(vectors.z))


def _biases(engine: Engine, bias: Array | None, lengths: Sequence[int]) -> list[np.ndarray | None]:
    """Each sentence's bias by distance, from key n - 1 before the query to key n - 1 after it."""
    if bias is None:
        return [None] * len(lengths)
    before, after = engine.numpy(bias[0, :, -1]), engine.numpy(bias[0, :, 0, 1:])
    longest = before.shape[-1]
    joined = np.concatenate([before, after], axis=-1)
    return [joined[:, longest - length : longest + length - 1].copy() for length in lengths]


def memory_for(sentences: int, longest: int) -> AbstractContextManager[None]:
    """Raise AttnvizError if memory is too small for these sentences of up to `longest` tokens."""
    many, one = f"{sentences} sentences of up to {longest} tokens do", f"{longest} tokens do"
    return enough_memory(one if sentences == 1 else many, LESS_OF_A_TEXT)


def padded(rows: Sequence[Sequence[int]], filler: int = 0) -> np.ndarray:
    """Rows of ids as one array, (row, longest), filled up at the end."""
    longest = max(map(len, rows))
    return np.array([[*row, *([filler] * (longest - len(row)))] for row in rows], np.int64)
