"""How coarse a page's numbers may be: in steps so large that no weight moves further than allowed.

Float16 is off by up to 3e-3 in long texts and takes more bytes (benchmarks/view.py).
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from attnviz.attention.layer import LayerRecord, softmax
from attnviz.attention.shapes import Float
from attnviz.inspection.specification import LEAST, Side

TOLERANCE = 1e-3  # how far a weight may be off
AIMED = 0.9 * TOLERANCE
ROWS_TRIED = 48  # from which a step is guessed, before it is tried on all rows
WIDENED = 2  # how often a step that keeps all weights is tried wider
MOST = 32766  # the largest whole number, of 16 bits


class Rounding(NamedTuple):
    """The steps of arrays, one for each head, or one; and how far any weight is off with them.

    Arrays without a step stay as they are.
    """

    steps: dict[str, np.ndarray]
    off: float


def rounding(record: LayerRecord, arrays: dict[str, np.ndarray], words: Side) -> Rounding:
    """The steps of what weights come from: of queries and keys, of biases, or of weights.

    `arrays`: of the pieces in the page, by the names of PageLayer; `record`: the layer's factors.
    `words`: the keys, whose special tokens may be left out; then rows are divided by what is left.
    """
    if "recorded_weights" in arrays:
        given = arrays["recorded_weights"]
        return _of_weights(given, _Shown(given, arrays, words, range(len(given))))
    biased = {"bias": _step_of_bias(arrays["bias"])} if "bias" in arrays else {}
    q, k = arrays["q"], arrays["k"]
    shared = len(q) // len(k)  # heads with the same keys
    trials = (
        _Trial(record, arrays, words, biased, range(group * shared, (group + 1) * shared))
        for group in range(len(k))
    )
    steps, offs = zip(*(trial.step() for trial in trials), strict=True)
    of_k = np.array(steps)
    of_q = of_k.repeat(shared)
    largest = max(np.abs(a / s[:, None, None]).max() for a, s in ((q, of_q), (k, of_k)))
    if largest > MOST:
        return Rounding({}, 0.0)
    return Rounding({"q": of_q, "k": of_k, **biased}, max(offs))


class _Shown:
    """How far rows are off as they are shown: of pieces and words, with special tokens or not."""

    def __init__(
        self, exact: np.ndarray, arrays: dict[str, np.ndarray], words: Side, heads: range
    ) -> None:
        """`exact`: the weights of these heads, (head, row, key)."""
        starts, sizes = np.array(words.starts), np.diff([*words.starts, exact.shape[-1]])
        self._long, self._sizes = starts[sizes > 1], sizes[sizes > 1]  # words of several pieces
        self._special = np.flatnonzero(np.repeat(words.special, sizes))
        self._plain = np.repeat(~np.array(words.special), sizes).astype(np.float32)
        self._rest = "sinks" in arrays or "special_outside" in arrays  # something beside the keys
        outside = arrays.get("special_outside")
        self._outside = None if outside is None else outside[heads.start : heads.stop]
        self._exact, self._without = exact, self._without_special(exact, slice(None))

    def off(self, weights: Float[np.ndarray, "head row key"], rows: slice) -> float:
        """How far any weight is off."""
        changed = weights - self._exact[:, rows]
        off = self._largest(changed)
        if off <= TOLERANCE and len(self._special):
            shares = changed[..., self._special].sum(axis=-1)
            without = self._without_special(weights, rows) - self._without[:, rows]
            off = max(off, float(np.abs(shares).max()), self._largest(without))
        return off

    def _largest(self, changed: Float[np.ndarray, "head row key"]) -> float:
        """The largest change of a piece's weight, or of a word's."""
        largest = float(max(changed.max(), -changed.min()))
        if largest <= TOLERANCE and len(self._long):
            words = changed[..., self._long]
            for place in range(1, self._sizes.max()):
                longer = self._sizes > place
                words[..., longer] += changed[..., self._long[longer] + place]
            largest = max(largest, float(np.abs(words).max()))
        return largest

    def _without_special(self, weights: np.ndarray, rows: slice) -> np.ndarray:
        """The rows of plain keys, divided by what is left: see inspection/specification.py."""
        left = weights @ self._plain
        if self._rest:
            special = weights[..., self._special].sum(axis=-1)
            if self._outside is not None:
                special += self._outside[:, rows]
            left = np.maximum(left, 1 - special)
        left[left < LEAST] = np.inf
        plain: np.ndarray = weights / left[..., None]
        plain[..., self._special] = 0
        return plain


def _of_weights(given: np.ndarray, shown: _Shown) -> Rounding:
    """The step of weights that a model gives alone."""
    for step in (AIMED, AIMED / 4, 1 / MOST):
        off = shown.off(np.rint(given / step) * step, slice(None))
        if off <= TOLERANCE:
            return Rounding({"recorded_weights": np.array([step])}, off)
    return Rounding({}, 0.0)


def _step_of_bias(bias: np.ndarray) -> np.ndarray:
    """A step that no softmax tells apart; minus infinity stays what it is."""
    largest = np.abs(bias[np.isfinite(bias)]).max(initial=0)
    return np.array([max(float(largest) / MOST, TOLERANCE / 10)])


def _short(step: float) -> float:
    """A step of three digits, no larger: it travels as text."""
    return float(f"{0.995 * step:.2e}")


class _Trial:
    """Heads with the same keys, whose weights are computed from rounded queries and keys."""

    def __init__(
        self,
        factors: LayerRecord,
        arrays: dict[str, np.ndarray],
        words: Side,
        biased: dict[str, np.ndarray],
        heads: range,
    ) -> None:
        names = ("q", "k", "bias", "distance_bias", "key_ranges", "sinks")
        given = {name: arrays[name] for name in names if name in arrays}
        self._record = LayerRecord(**given, scale=factors.scale, softcap=factors.softcap)
        self._heads, self._totals = heads, arrays.get("log_totals")
        self._q = arrays["q"][heads.start : heads.stop]
        self._k = arrays["k"][heads.start // len(heads)]
        exact = self._weights(slice(0, self._q.shape[1]), 0)
        self._shown = _Shown(exact, arrays, words, heads)
        if biased:
            step = biased["bias"].astype(np.float32)
            self._record = replace(self._record, bias=np.rint(given["bias"] / step) * step)

    def step(self) -> tuple[float, float]:
        """The largest step that keeps the heads' weights, and how far they are off with it."""
        count = self._q.shape[1]
        lengths = np.linalg.norm(self._q, axis=-1).max(axis=0)  # of the queries at each place
        middle = int(np.argmax(lengths))
        some = slice(max(0, middle - ROWS_TRIED // 2), min(count, middle + ROWS_TRIED // 2))
        length = float(np.hypot(lengths.max(), np.linalg.norm(self._k, axis=-1).max()))
        step = 4 * AIMED / max(abs(self._record.scale) * length, TOLERANCE)
        step *= min(max(0.85 * AIMED / max(self._off(some, step), 1e-9), 0.05), 8)
        step = _short(step)
        while (off := self._off(slice(0, count), step)) > TOLERANCE:
            step = _short(step * 0.9 * TOLERANCE / off)
            if max(np.abs(self._q).max(), np.abs(self._k).max()) / step > MOST:
                return step, 0.0  # float32 then
        for _ in range(WIDENED):
            wider = _short(step * min(0.97 * TOLERANCE / max(off, 0.1 * TOLERANCE), 4))
            further = self._off(slice(0, count), wider) if wider > 1.05 * step else TOLERANCE
            if further >= TOLERANCE:
                break
            step, off = wider, further
        return step, off

    def _off(self, rows: slice, step: float) -> float:
        return self._shown.off(self._weights(rows, step), rows)

    def _weights(self, rows: slice, step: float) -> np.ndarray:
        """The weights of some rows, from queries and keys in whole steps, or as they are."""
        q, k = self._q[:, rows], self._k
        if step:
            q, k = (np.rint(a / np.float32(step)) * np.float32(step) for a in (q, k))
        found = []
        for head, own in zip(self._heads, q, strict=True):
            scores = self._record.scores(head, rows, own @ k.T)
            if self._totals is not None:
                found.append(np.exp(scores - self._totals[head, rows, None]))
                continue
            sinks = self._record.sinks
            sink = None if sinks is None else sinks[head : head + 1]
            found.append(softmax(scores[None], sink)[0])
        return np.stack(found)
