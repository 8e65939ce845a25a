"""Inspections whose attention weights are written down by hand."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from attnviz.answers.head import Differences
from attnviz.attention.layer import LayerRecord
from attnviz.inspection import Inspection, ModelFacts
from attnviz.inspection.frame import merge_keys, merge_queries
from attnviz.text.tokens import Tokens

SMALLEST = 1e-60
"""So small that its softmax is 0 in float32."""


def tokens_of(
    words: Sequence[str], special: bool = True, pair: Sequence[str] | None = None
) -> Tokens:
    """Words, one piece each, with `[CLS]` and `[SEP]` around them where asked for."""
    vocabulary: list[str] = ["[CLS]"] if special else []
    spans: list[tuple[int, int] | None] = [None] if special else []
    segments = [0] if special else []
    for number, segment in enumerate([words] if pair is None else [words, pair]):
        start = 0
        for word in segment:
            vocabulary.append(word)
            spans.append((start, start + len(word)))
            segments.append(number)
            start += len(word) + 1
        if special:
            vocabulary.append("[SEP]")
            spans.append(None)
            segments.append(number)
    ids = tuple(range(len(vocabulary)))
    return Tokens(
        text=" ".join(words),
        pair=None if pair is None else " ".join(pair),
        ids=ids,
        vocabulary=tuple(vocabulary),
        spans=tuple(spans),
        segments=tuple(segments),
        type_ids=tuple(segments),
    )


def inspection_of(
    tokens: Tokens,
    weights: np.ndarray,
    trained: bool = True,
    name: str = "handmade",
    value_norms: np.ndarray | None = None,
) -> Inspection:
    """An inspection with these weights, (layer, head, query, key): q k^T are the logarithms.

    Rows that sum to less than 1 leave the rest to a sink. value_norms: (layer, head, key), or None
    where they were not recorded.
    """
    num_layers, num_heads, length, _ = weights.shape
    model = ModelFacts(
        name, "hand", num_layers, num_heads, num_heads * length, length, 7, trained, 0
    )
    v = np.broadcast_to(np.eye(length, dtype=np.float32), (num_heads, length, length))
    q, scale = v * np.float32(np.sqrt(length)), 1 / np.sqrt(length)
    x = np.zeros((length, num_heads * length), dtype=np.float32)
    rest = np.maximum(1 - weights.sum(axis=-1, keepdims=True), 1e-9)
    sinks = np.zeros(num_heads, np.float32) if (rest > 1e-3).any() else None
    scores = weights if sinks is None else weights / rest
    logs = np.log(np.maximum(scores, SMALLEST)).astype(np.float32)
    norms = [None] * num_layers if value_norms is None else value_norms.astype(np.float32)
    layers = tuple(
        LayerRecord(
            x=x,
            q=q,
            k=np.swapaxes(layer, -1, -2),
            v=v,
            scale=scale,
            value_norms=lengths,
            sinks=sinks,
        )
        for layer, lengths in zip(logs, norms, strict=True)
    )
    return Inspection(tokens, model, layers)


def cross_inspection_of(tokens: Tokens, keys: Tokens, weights: np.ndarray) -> Inspection:
    """A decoder that looks at its encoder: weights (layer, head, query, key), keys of their own."""
    num_layers, num_heads, count, length = weights.shape
    model = ModelFacts("handmade", "hand", num_layers, num_heads, 8, count, 7, True)
    q = np.broadcast_to(np.eye(count, dtype=np.float32), (num_heads, count, count))
    q, scale = q * np.float32(np.sqrt(count)), 1 / np.sqrt(count)
    logs = np.log(np.maximum(weights, SMALLEST)).astype(np.float32)
    layers = tuple(
        LayerRecord(
            x=np.zeros((count, 8), np.float32),
            encoder_states=np.zeros((length, 8), np.float32),
            q=q,
            k=np.swapaxes(layer, -1, -2),
            v=np.swapaxes(layer, -1, -2),
            scale=scale,
        )
        for layer in logs
    )
    return Inspection(tokens, model, layers, keys, "cross")


def causal(count: int, reach: int | None = None) -> np.ndarray:
    """`key_ranges`: each query may attend to itself and to `reach` keys before it, or all."""
    ends = np.arange(1, count + 1)
    first = np.zeros(count, int) if reach is None else np.maximum(ends - 1 - reach, 0)
    return np.stack([first, ends], axis=-1).astype(np.int32)


def merged(weights: np.ndarray, word_starts: Sequence[int]) -> np.ndarray:
    """Weights between pieces as weights between words: (..., query, key)."""
    return merge_keys(merge_queries(weights, word_starts), word_starts)


def part(record: LayerRecord, name: str) -> np.ndarray:
    """An array of a record, which must be there."""
    array = getattr(record, name)
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} was not recorded")
    return array


def records(layers: Sequence[LayerRecord | None]) -> list[LayerRecord]:
    """The records of layers, each of which must be there."""
    found = [record for record in layers if record is not None]
    if len(found) != len(layers):
        raise TypeError("a layer was not recorded")
    return found


def with_layer(inspection: Inspection, number: int, **changes: Any) -> Inspection:
    """The same inspection with one layer's record changed."""
    layers = list(inspection.layers)
    layers[number] = replace(inspection.layer(number), **changes)
    return replace(inspection, layers=tuple(layers))


def random_inspection(tokens: Tokens, num_layers: int, num_heads: int, seed: int) -> Inspection:
    """An inspection with peaked random weights."""
    shape = (num_layers, num_heads, len(tokens), len(tokens))
    scores = np.random.default_rng(seed).gamma(0.1, size=shape) + 1e-6
    return inspection_of(tokens, scores / scores.sum(axis=-1, keepdims=True))


def largest(check: Differences) -> float:
    """The largest of the differences that there are."""
    differences = (check.q, check.k, check.v, check.z)
    return max(difference for difference in differences if difference is not None)
