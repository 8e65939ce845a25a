"""Records of every kind that a page may show, with the views of them that tests compare."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from handmade import causal, tokens_of
from test_inspection import made_tokens

from attnviz.answers.page import PageLayer, PageText, page
from attnviz.attention.layer import LayerRecord
from attnviz.inspection import Inspection, ModelFacts
from attnviz.inspection.specification import LayerNumbers, Side
from attnviz.text.tokens import Tokens, Unit


class Shape(NamedTuple):
    """What of a record is looked at."""

    unit: Unit
    special: bool
    window: tuple[int, int] | None = None


WHOLE = (
    Shape("word", True), Shape("word", False), Shape("piece", True), Shape("piece", False),
)  # fmt: skip
WINDOWS = Shape("word", True, (1, 6)), Shape("word", False, (1, 6)), Shape("piece", False, (2, 10))


@dataclass(eq=False)
class Kind:
    """One layer's record, and whether the page has only the words of `part`, of a long text."""

    name: str
    inspection: Inspection
    shapes: Sequence[Shape] = WHOLE
    part: tuple[int, int] | None = None

    @property
    def record(self) -> LayerRecord:
        """The only layer's record."""
        return self.inspection.layer(0)

    @property
    def query(self) -> int:
        """The piece whose steps are asked for."""
        return min(2, self.text.end - self.text.first - 1)

    @cached_property
    def text(self) -> PageText:
        """The record as a page has it."""
        return page([self.inspection.view(window=self.part)]).texts[0]

    @property
    def layer(self) -> PageLayer:
        """The only layer as a page has it."""
        layer = self.text.layers[0]
        if layer is None:
            raise TypeError("the layer was not recorded")
        return layer

    @property
    def numbers(self) -> LayerNumbers:
        """The numbers that a page has, not rounded."""
        record, arrays = self.record, self.layer.arrays
        given = {name: array for name, array in arrays.items() if name in LayerNumbers._fields}
        return LayerNumbers(scale=record.scale, softcap=record.softcap, **given)

    def sides(self, unit: Unit) -> tuple[Side, Side | None]:
        """The queries and keys that the page has; no keys if they are the same text."""
        keys = self.inspection.keys
        return self._side(self.inspection.tokens, unit, self._span(unit)), (
            None if keys is None else self._side(keys, unit, (0, len(keys.unit(unit))))
        )

    def whole(self, shape: Shape) -> tuple[int, int] | None:
        """The window of the whole text that a view needs to show the same."""
        if self.part is None:
            return shape.window
        first, end = self._span(shape.unit)
        if shape.window is None:
            return first, end
        return first + shape.window[0], min(first + shape.window[1], end)

    def offset(self, unit: Unit) -> int:
        """The index of the page's first token in the whole text."""
        return self._span(unit)[0]

    def _span(self, unit: Unit) -> tuple[int, int]:
        span = self.text.span(unit)
        return span.start, span.stop

    def _side(self, tokens: Tokens, unit: Unit, span: tuple[int, int]) -> Side:
        starts = tokens.word_starts if unit == "word" else range(len(tokens))
        special = [token.special for token in tokens.unit(unit)]
        own = slice(*span)
        return Side([start - starts[own.start] for start in starts[own]], special[own])


class _Random:
    """Random float32 numbers: the same in every version of numpy, and on every processor."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.RandomState(seed)

    def __call__(self, *shape: int, size: float = 1.0) -> np.ndarray:
        """Numbers from -2 * size to 2 * size."""
        whole = self._random.randint(-(1 << 23), 1 << 23, shape)
        return (whole / (1 << 22) * size).astype(np.float32)


def _inspection(record: LayerRecord, tokens: Tokens, keys: Tokens | None = None) -> Inspection:
    by_head = record.q if record.q is not None else record.recorded_weights
    if by_head is None:
        raise TypeError("a record has queries or weights")
    heads, d_k = len(by_head), by_head.shape[2] if record.q is not None else 4
    facts = ModelFacts("made", "hand", 1, heads, heads * d_k, d_k, 7, trained=True)
    return Inspection(tokens, facts, (record,), keys, "encoder" if keys is None else "cross")


def _made(
    seed: int, tokens: Tokens, keys: Tokens | None = None, heads: int = 2, kv_heads: int = 0,
    d_k: int = 5, size: float = 1.0,
) -> Inspection:  # fmt: skip
    rng, other = _Random(seed), tokens if keys is None else keys
    record = LayerRecord(
        q=rng(heads, len(tokens), d_k, size=size),
        k=rng(kv_heads or heads, len(other), d_k, size=size),
        v=rng(kv_heads or heads, len(other), d_k),
        scale=d_k**-0.5,
    )
    return _inspection(record, tokens, keys)


def _with(inspection: Inspection, **changes: Any) -> Inspection:
    return replace(inspection, layers=(replace(inspection.layer(0), **changes),))


def _masked(rng: _Random, heads: int, count: int) -> np.ndarray:
    """A bias that also masks; each query may look at itself."""
    bias = rng(heads, count, count)
    bias[bias > 0.3] = -np.inf
    bias[:, np.arange(count), np.arange(count)] = 0.5
    return bias


def _around(count: int, reach: int) -> np.ndarray:
    places = np.arange(count)
    ends = np.maximum(places - reach, 0), np.minimum(places + reach + 1, count)
    return np.stack(ends, axis=-1).astype(np.int32)


def _given(inspection: Inspection) -> Inspection:
    """The same weights, which the model gives alone."""
    weights = LayerRecord(recorded_weights=inspection.layer(0).weights(0))
    return _inspection(weights, inspection.tokens, inspection.keys)


def kinds() -> Iterator[Kind]:
    """All kinds."""
    yield from _of_one_text()
    yield from _of_two_texts()
    yield from _of_parts()


def _of_one_text() -> Iterator[Kind]:
    tokens, rng = made_tokens(), _Random(0)
    n = len(tokens)
    plain = _made(1, tokens)
    yield Kind("plain", plain, (*WHOLE, *WINDOWS))
    yield Kind("grouped heads", _made(2, tokens, heads=4, kv_heads=2))
    yield Kind("one key-value head", _made(3, tokens, heads=3, kv_heads=1))
    yield Kind("sliding window", _with(plain, key_ranges=_around(n, 2)))
    yield Kind("causal", _with(plain, key_ranges=causal(n)), (*WHOLE, *WINDOWS))
    yield Kind("causal, sliding window", _with(_made(4, tokens), key_ranges=causal(n, 3)))
    yield Kind("soft cap", _with(_made(5, tokens, size=3), softcap=5.0))
    yield Kind("bias by head", _with(plain, bias=rng(2, n, n, size=2)))
    yield Kind("shared bias", _with(plain, bias=rng(1, n, n)))
    yield Kind("bias by distance", _with(plain, distance_bias=rng(2, 2 * n - 1)))
    yield Kind("shared bias by distance", _with(plain, distance_bias=rng(1, 2 * n - 1)))
    yield Kind("masked by a bias", _with(plain, bias=_masked(rng, 1, n)))
    yield Kind("masked by each head's bias", _with(plain, bias=_masked(rng, 2, n)))
    yield Kind("sinks", _with(plain, sinks=rng(2)), (*WHOLE, *WINDOWS))
    yield Kind("large sinks", _with(plain, sinks=rng(2) + np.float32(12)))
    yield Kind("sinks, causal", _with(plain, sinks=rng(2), key_ranges=causal(n)))
    every = {
        **{"softcap": 4.0, "bias": _masked(rng, 1, n), "distance_bias": rng(2, 2 * n - 1)},
        **{"key_ranges": _around(n, 4), "sinks": rng(2)},
    }
    yield Kind("everything at once", _with(_made(6, tokens, kv_heads=1, size=2), **every))
    yield Kind("weights alone", _given(plain))
    yield Kind("one-dimensional keys", _made(7, tokens, d_k=1))
    yield Kind("scores to 10,000", _made(8, tokens, size=50))
    yield Kind("unknown pieces", _made(9, replace(made_tokens(), unknown=(2, 9))))
    yield Kind("no special tokens", _made(10, tokens_of(["so", "it", "goes"], special=False)))
    yield Kind("one token", _made(11, tokens_of(["so"], special=False)), WHOLE[::2])
    resting = rng(1, 1, n) * np.float32(0.1)
    resting[..., [0, 8, 10]] += 9  # special tokens get nearly all
    yield Kind("at rest", _with(plain, bias=np.repeat(resting, n, axis=1)))


def _of_two_texts() -> Iterator[Kind]:
    long, short, rng = made_tokens(), tokens_of(["Es", "regnet", "nicht"]), _Random(20)
    yield Kind("cross-attention", _made(21, short, long), (*WHOLE, Shape("word", False, (1, 3))))
    across = _made(22, long, short)
    yield Kind("cross-attention from words of several pieces", across)
    bias = rng(2, len(long) + len(short) - 1)
    yield Kind("cross-attention with a bias", _with(across, distance_bias=bias))
    ranges = np.minimum([0, 2] + np.arange(len(long))[:, None] // [99, 3], 5).astype(np.int32)
    yield Kind("cross-attention, masked", _with(across, key_ranges=ranges))
    yield Kind("weights alone across", _given(across))
    yield Kind("part of cross-attention", _with(across, distance_bias=bias), part=(1, 6))


def _of_parts() -> Iterator[Kind]:
    tokens, rng = made_tokens(), _Random(30)
    n, part = len(tokens), (1, 6)
    plain = _made(31, tokens)
    yield Kind("part", plain, (*WHOLE, Shape("word", False, (1, 3))), part=part)
    yield Kind("part, causal", _with(plain, key_ranges=causal(n)), part=part)
    yield Kind("part, sliding window", _with(plain, key_ranges=_around(n, 2)), part=(2, 5))
    every = {
        **{"softcap": 4.0, "bias": _masked(rng, 2, n), "distance_bias": rng(1, 2 * n - 1)},
        **{"key_ranges": _around(n, 4), "sinks": rng(2)},
    }
    yield Kind("part of everything", _with(_made(32, tokens, size=2), **every), part=part)
    yield Kind("part of weights alone", _given(plain), part=part)
