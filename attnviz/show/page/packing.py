"""A page's numbers as text: whole numbers times a step, in two planes of bytes, deflated.

A head's queries lie around a mean, and so do its keys: each is written as its difference from the
mean of those before it, rounded. Seven bits make a letter of ASCII, which takes an eighth less than
base64. A letter that HTML reads as something else is written 128 letters further on.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from attnviz.answers.page import PageLayer
from attnviz.threads import side_by_side

VALUE_LEVELS = 127  # of a value, which is multiplied by a weight
SHOWN_LEVELS = 16383  # of numbers that are shown, and nothing is computed from
SHOWN = ("layer_lengths", "layer_shares", "layer_part_lengths")
FROM_MEAN = ("q", "k")  # of which differences are written
MASKED = 0xFFFF  # stands for minus infinity
READ_OTHERWISE = (0, ord("\r"), ord("<"))
STRATEGIES = (zlib.Z_RLE, zlib.Z_DEFAULT_STRATEGY)  # long texts get smaller by the first
LONG = 1 << 18  # bytes from which on the second, which takes six times as long, is not tried


@dataclass(frozen=True)
class Packed:
    """A layer's numbers as text, and what each array is."""

    text: str
    arrays: dict[str, dict[str, Any]]


def pack(layers: Mapping[str, PageLayer]) -> Iterator[tuple[str, Packed]]:
    """Pack layers by their names, side by side; each name comes with what was made of it."""
    yield from zip(layers, side_by_side(_packed, layers.values()), strict=True)


def _packed(layer: PageLayer) -> Packed:
    data, arrays = bytearray(), {}
    for name, array in layer.arrays.items():
        form, steps, raw = _coded(name, array, layer.rounding.steps.get(name))
        arrays[name] = {"shape": array.shape, "form": form, "at": len(data), "steps": steps}
        data += raw
    return Packed(packed_text(bytes(data)), arrays)


def packed_text(raw: bytes) -> str:
    """Bytes, deflated, as letters of seven bits each; the last is filled up with zeros."""
    data = _deflated(raw)
    groups = np.frombuffer(data + bytes(-len(data) % 7), np.uint8).reshape(-1, 7)  # of 8 letters
    padded = np.pad(groups, ((0, 0), (1, 1))).astype(np.uint16)
    every = (padded[:, :-1] << 8 | padded[:, 1:]) >> np.arange(1, 9, dtype=np.uint16) & 127
    letters = every.astype(np.uint8).ravel()[: -(-8 * len(data) // 7)]
    for letter in READ_OTHERWISE:
        letters[letters == letter] += 128
    return letters.tobytes().decode("latin-1")


def _deflated(data: bytes) -> bytes:
    """In the way that leaves the fewest bytes."""
    found = []
    for strategy in STRATEGIES if len(data) < LONG else STRATEGIES[:1]:
        deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS, 9, strategy)
        found.append(deflate.compress(data) + deflate.flush())
    return min(found, key=len)


def _coded(
    name: str, array: np.ndarray, steps: np.ndarray | None
) -> tuple[str, list[float], bytes]:
    """An array's form, its steps, and its bytes."""
    if name == "v":
        steps = _steps(np.abs(array).max(axis=(1, 2)), VALUE_LEVELS)
        return "int8", steps.tolist(), _zigzag(_whole(array, steps), np.uint8).tobytes()
    if name in SHOWN:
        steps = _steps(np.abs(array).max(initial=0, keepdims=True).ravel(), SHOWN_LEVELS)
    if steps is None:
        return "float32", [1.0], array.astype("<f4").tobytes()
    whole = _whole(array, steps)
    if name in FROM_MEAN:
        differences = whole - _means_before(whole)
        if np.abs(differences).max() < MASKED // 2:
            return "difference", steps.tolist(), _planes(_zigzag(differences, np.uint16))
    finite = np.isfinite(whole)
    numbers = np.where(finite, _zigzag(np.where(finite, whole, 0), np.uint16), MASKED)
    return "int16", steps.tolist(), _planes(numbers)


def _planes(numbers: np.ndarray) -> bytes:
    """The low bytes of all numbers, then the high bytes."""
    return b"".join((numbers >> bits & 0xFF).astype(np.uint8).tobytes() for bits in (0, 8))


def _means_before(whole: np.ndarray) -> np.ndarray:
    """For each token of each head the mean of the tokens before it, rounded; 0 for the first."""
    counts = np.maximum(np.arange(whole.shape[1]), 1)[:, None]
    means: np.ndarray = np.floor((whole.cumsum(axis=1) - whole) / counts + 0.5)
    return means


def _steps(largest: np.ndarray, levels: int) -> np.ndarray:
    smallest = float(np.finfo(np.float32).tiny)
    steps = np.maximum(largest, smallest) / levels
    return np.array([float(f"{1.005 * step:.2e}") for step in steps])  # of three digits, no smaller


def _whole(array: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """An array in steps, one for each place of its first axis, or one for all."""
    whole: np.ndarray = np.rint(array / steps.reshape(-1, *[1] * (array.ndim - 1)))
    return whole


def _zigzag(whole: np.ndarray, kind: type[np.unsignedinteger[Any]]) -> np.ndarray:
    """Whole numbers of both signs as those without: 0, -1, 1, -2, 2 become 0, 1, 2, 3, 4."""
    coded: np.ndarray = np.where(whole < 0, -2 * whole - 1, 2 * whole).astype(kind)
    return coded
