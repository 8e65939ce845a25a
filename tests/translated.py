"""A handmade translator and a handmade decoder: texts that look at others, and masks.

What heads do is easy to read off: they look where words are aligned, along the diagonal, at one
token, or nearly everywhere alike.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from handmade import causal, cross_inspection_of, inspection_of, tokens_of, with_layer

from attnviz.inspection import Inspection

SOURCE = "그 동물은 너무 지쳐서 길을 건너지 않았다 ."
TARGET = "The animal didn't cross the street because it was too tired ."
ALIGNED = (0, 1, 2, 7, 6, 5, 5, 4, 2, 4, 3, 4, 8, 9)
"""For each token of the target, special ones included, what it is made of in the source."""


def peaked(places: Sequence[int] | np.ndarray, seen: np.ndarray, weight: float) -> np.ndarray:
    """Rows that give one key each so much, a little less from row to row, and the others the rest.

    seen: (query, key), which keys may be looked at. No two numbers of a row are the same, so that
    their order is sure.
    """
    rows: np.ndarray = seen / (20.0 + np.arange(seen.shape[1]))
    own = np.arange(len(seen)), list(places)
    rows[own] = 0
    given = np.where(rows.any(axis=1), weight - 0.004 * np.arange(len(seen)), 1)
    rows *= ((1 - given) / np.maximum(rows.sum(axis=1), 1e-9))[:, None]
    rows[own] = given
    return rows


def translation(special: bool = True) -> Inspection:
    """Two layers of two heads: nearly even, along the diagonal; aligned, all at the first key."""
    target, source = (tokens_of(text.split(), special) for text in (TARGET, SOURCE))
    aligned = ALIGNED if special else [place - 1 for place in ALIGNED[1:-1]]
    return between(len(target), len(source), aligned, target.text, source.text, special)


def between(
    queries: int,
    keys: int,
    aligned: Sequence[int] = (),
    target: str = "",
    source: str = "",
    special: bool = False,
) -> Inspection:
    """A translation of any lengths; its words are called `q0`, `k0` and so on unless told."""
    diagonal = [place * keys // queries for place in range(queries)]
    seen = np.ones((queries, keys))
    weights = [
        [peaked([0] * queries, seen, 0.15), peaked(diagonal, seen, 0.5)],
        [peaked(aligned or diagonal, seen, 0.8), peaked([0] * queries, seen, 0.9)],
    ]
    looks = target or " ".join(f"q{place}" for place in range(queries))
    looked_at = source or " ".join(f"k{place}" for place in range(keys))
    own, other = (tokens_of(text.split(), special) for text in (looks, looked_at))
    inspection = cross_inspection_of(own, other, np.array(weights))
    return replace(inspection, model=replace(inspection.model, name="translator"))


def decoder(
    count: int = 12, reach: int | None = 3, sink: float = 0.0, special: bool = False
) -> Inspection:
    """A decoder of two layers, the second of which sees `reach` words before each alone.

    Head 0 gives itself half of what there is, head 1 its first visible key three quarters; `sink`
    is the share that goes to a sink.
    """
    words = (TARGET.split() + [f"word{place}" for place in range(count)])[:count]
    tokens = tokens_of(words, special)
    masks = [causal(len(tokens)), causal(len(tokens), reach)]
    layers = []
    for mask in masks:
        keys = np.arange(len(tokens))
        seen = (keys >= mask[:, :1]) & (keys < mask[:, 1:])
        layers.append([peaked(mask[:, 1] - 1, seen, 0.5), peaked(mask[:, 0], seen, 0.75)])
    inspection = inspection_of(tokens, np.array(layers) * (1 - sink))
    for number, mask in enumerate(masks):
        inspection = with_layer(inspection, number, key_ranges=mask)
    return replace(inspection, attention="decoder", model=replace(inspection.model, name="decoder"))
