"""What each number on a page is: one head, step by step, from recorded numbers to what is shown.

`LayerRecord` and `View` compute the same in float32, for many heads at once and some rows at a
time. This is plain and in float64; tests hold both, and the page's mathematics.js, to it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from attnviz.attention.shapes import Bool, Float

LEAST = float(np.finfo(np.float32).tiny)
"""A row of less has nothing left: float32 numbers, which views show, would be 0."""


class LayerNumbers(NamedTuple):
    """What one layer's attention computed with; names and shapes are LayerRecord's.

    Where the keys at hand are a part of a long text, `log_totals`, (head, query),
    has the logarithm of each row's whole sum of exponentials, and `special_outside`, (head, query),
    the share of special tokens among the keys that are not at hand.
    """

    scale: float = 1.0
    softcap: float | None = None
    q: np.ndarray | None = None
    k: np.ndarray | None = None
    bias: np.ndarray | None = None
    distance_bias: np.ndarray | None = None
    key_ranges: np.ndarray | None = None
    sinks: np.ndarray | None = None
    recorded_weights: np.ndarray | None = None
    log_totals: np.ndarray | None = None
    special_outside: np.ndarray | None = None


class Side(NamedTuple):
    """The queries or the keys, as words or as pieces."""

    starts: Sequence[int]  # the first of each token's pieces
    special: Sequence[bool]  # whether it is a special token


class HeadShown(NamedTuple):
    """A head's numbers as shown, for the rows and columns shown (indices among all tokens).

    `dropped`: the share of each row that went to special tokens left out. `sink`: the share that
    went to the model's sink. `allowed`: whether any head of the layer may look; None if all may.
    """

    rows: list[int]
    columns: list[int]
    weights: Float[np.ndarray, "row column"]
    dropped: Float[np.ndarray, "row"] | None
    sink: Float[np.ndarray, "row"] | None
    allowed: Bool[np.ndarray, "row column"] | None


def attention(
    layer: LayerNumbers,
    head: int,
    queries: Side,
    keys: Side | None = None,
    special: bool = True,
    window: tuple[int, int] | None = None,
) -> HeadShown:
    """The numbers that a page shows of a head; `keys` are None if they are the queries' own text.

    A word has the sum over its pieces as a key, and their mean as a query. Without special tokens,
    each row is divided by what is left of it. A window leaves out rows, and columns of the same
    text; the numbers of the others stay.
    """
    columns = queries if keys is None else keys
    weights = attention_weights(layer, head)
    sink = _sink(layer, head, weights)
    weights = _mean(np.add.reduceat(weights, columns.starts, axis=1), queries)
    sink = None if sink is None else _mean(sink, queries)
    dropped = None
    if not special:
        is_special = np.array(columns.special, bool)
        dropped = weights[:, is_special].sum(axis=1)
        left = weights[:, ~is_special].sum(axis=1) + (0 if sink is None else sink)
        if layer.special_outside is not None:
            dropped += _mean(layer.special_outside[head].astype(np.float64), queries)
            left = np.maximum(left, 1 - dropped)  # the plain keys that are not at hand, too
        left[left < LEAST] = np.inf  # nothing is left: a row of zeros
        weights, sink = weights / left[:, None], None if sink is None else sink / left
    rows = _shown(queries, special, window)
    shown = rows, rows if keys is None else _shown(keys, special, None)
    mask = _allowed_tokens(layer, queries, columns)
    mask = None if mask is None else mask[np.ix_(*shown)]
    return HeadShown(
        *shown,
        weights[np.ix_(*shown)],
        None if dropped is None else dropped[rows],
        None if sink is None else sink[rows],
        None if mask is None or mask.all() else mask,
    )


def attention_weights(layer: LayerNumbers, head: int) -> Float[np.ndarray, "query key"]:
    """One head's weights between pieces: the softmax of each row's scores, or as recorded."""
    if layer.recorded_weights is not None:
        recorded: np.ndarray = layer.recorded_weights[head].astype(np.float64)
        return recorded
    scores = attention_scores(layer, head)
    weights: np.ndarray = np.exp(scores - _totals(layer, head, scores)[:, None])
    return weights


def attention_scores(layer: LayerNumbers, head: int) -> Float[np.ndarray, "query key"]:
    """One head's scores between pieces: minus infinity where a query may not look."""
    if layer.q is None or layer.k is None:
        raise ValueError("scores are made of queries and keys")
    q = layer.q[head].astype(np.float64)
    k = layer.k[head * len(layer.k) // len(layer.q)].astype(np.float64)  # heads may share them
    scores: np.ndarray = layer.scale * (q @ k.T)
    if layer.softcap is not None:
        scores = layer.softcap * np.tanh(scores / layer.softcap)
    if layer.bias is not None:
        scores += layer.bias[head % len(layer.bias)]  # one of its own, or one for all heads
    if layer.distance_bias is not None:
        by_distance = layer.distance_bias[head % len(layer.distance_bias)]
        distances = np.arange(len(k)) - np.arange(len(q))[:, None]
        scores += by_distance[distances + len(q) - 1]
    if layer.key_ranges is not None:
        scores[~_in_ranges(layer.key_ranges, len(k))] = -np.inf
    return scores


def attention_mask(layer: LayerNumbers) -> Bool[np.ndarray, "query key"] | None:
    """The attention mask between pieces: whether any head may look; None if nothing is masked."""
    masks = []
    if layer.bias is not None:
        masks.append(~np.isneginf(layer.bias.max(axis=0)))
    if layer.key_ranges is not None:
        masks.append(_in_ranges(layer.key_ranges, _lengths(layer)[1]))
    if not masks:
        return None
    mask: np.ndarray = np.all(masks, axis=0)
    return mask


def _by_head(layer: LayerNumbers) -> np.ndarray:
    """Queries or recorded weights: (head, query, ...)."""
    by_head = layer.q if layer.recorded_weights is None else layer.recorded_weights
    if by_head is None:
        raise ValueError("a layer has queries and keys, or weights")
    return by_head


def _lengths(layer: LayerNumbers) -> tuple[int, int]:
    """The numbers of queries and keys, in pieces."""
    by_head = _by_head(layer)
    return by_head.shape[1], by_head.shape[2] if layer.k is None else layer.k.shape[1]


def _totals(layer: LayerNumbers, head: int, scores: np.ndarray) -> Float[np.ndarray, "query"]:
    """The logarithm of each row's sum of exponentials, a sink's among them."""
    if layer.log_totals is not None:
        known: np.ndarray = layer.log_totals[head].astype(np.float64)
        return known
    if layer.sinks is not None:
        sinks = np.full((len(scores), 1), layer.sinks[head])
        scores = np.concatenate([scores, sinks], axis=1)
    highest = scores.max(axis=1, keepdims=True)
    totals: np.ndarray = highest + np.log(np.exp(scores - highest).sum(axis=1, keepdims=True))
    return totals[:, 0]


def _sink(
    layer: LayerNumbers, head: int, weights: Float[np.ndarray, "query key"]
) -> Float[np.ndarray, "query"] | None:
    """The share of each piece's row that the model's sink takes."""
    if layer.sinks is None:
        return None
    if layer.log_totals is None:
        missing: np.ndarray = np.maximum(1 - weights.sum(axis=1), 0)
        return missing
    taken: np.ndarray = np.exp(layer.sinks[head] - layer.log_totals[head].astype(np.float64))
    return taken


def _in_ranges(ranges: np.ndarray, keys: int) -> Bool[np.ndarray, "query key"]:
    numbers = np.arange(keys)
    inside: np.ndarray = (ranges[:, :1] <= numbers) & (numbers < ranges[:, 1:])
    return inside


def _mean(of_pieces: Float[np.ndarray, "query_piece *key"], queries: Side) -> np.ndarray:
    """The mean over each query's pieces: (query, ...)."""
    sizes = np.diff([*queries.starts, len(of_pieces)])
    sums = np.add.reduceat(of_pieces, queries.starts, axis=0)
    means: np.ndarray = (sums.T / sizes).T
    return means


def _shown(side: Side, special: bool, window: tuple[int, int] | None) -> list[int]:
    """The indices of the tokens shown."""
    places = range(len(side.starts))[slice(*(window or (None,)))]
    return [place for place in places if special or not side.special[place]]


def _allowed_tokens(
    layer: LayerNumbers, queries: Side, keys: Side
) -> Bool[np.ndarray, "query key"] | None:
    """The mask between tokens: whether any piece of the one may look at any of the other."""
    mask = attention_mask(layer)
    if mask is None:
        return None
    rows = np.logical_or.reduceat(mask, queries.starts, axis=0)
    tokens: np.ndarray = np.logical_or.reduceat(rows, keys.starts, axis=1)
    return tokens
