"""Orders that rounding does not change: numbers that are all but equal stay in their places."""

import numpy as np

from attnviz.attention.shapes import Bool, Float, Int

EQUAL = 1e-5  # numbers are equal if they differ by less than this part of the larger one

# differences and distances of numbers up to 1 are equal if this near to each other
NEAR_ZERO = 1e-6


def tiers(values: Float[np.ndarray, "n"], floor: float = 0.0) -> Int[np.ndarray, "n"]:
    """The tier of each number: 0 for the largest and equals (by `floor` too); NaN comes last."""
    values = values.astype(np.float64)  # or the bounds of equality would be rounded themselves
    order = np.argsort(-values, kind="stable")
    found, tier, least = np.empty(len(values), np.intp), -1, np.inf
    for place, value in zip(order, values[order].tolist(), strict=True):
        if not value >= least:
            tier, least = tier + 1, value - max(EQUAL * abs(value), floor)
        found[place] = tier
    return found


def descending(
    values: Float[np.ndarray, "n"], top: int | None = None, floor: float = 0.0
) -> Int[np.ndarray, "top"]:
    """The places of the `top` largest numbers, or of all: largest first, equal ones by place."""
    return descending_rows(values[None], top, floor)[0]


def descending_rows(
    values: Float[np.ndarray, "row n"], top: int | None = None, floor: float = 0.0
) -> list[Int[np.ndarray, "top"]]:
    """`descending` of each row."""
    rows, length = values.shape
    if not rows or (top is not None and top < 1):
        return [np.arange(0)] * rows
    if top is None or top >= length:
        return [np.argsort(tiers(row, floor), kind="stable") for row in values]
    below = -values
    below.partition(top - 1, axis=1)
    last = -below[:, top - 1 : top].astype(np.float64)
    row_of, places = np.nonzero(~(values < last - np.maximum(EQUAL * np.abs(last), floor)))
    ends = np.searchsorted(row_of, np.arange(1, rows))
    numbers = np.split(values[row_of, places], ends)
    return [
        place[np.argsort(tiers(own, floor), kind="stable")][:top]
        for place, own in zip(np.split(places, ends), numbers, strict=True)
    ]


def largest(values: Float[np.ndarray, "*rows n"], floor: float = 0.0) -> np.ndarray:
    """The place of the largest number along the last axis, the first of equal ones; NaN is none."""
    values = values.astype(np.float64)
    most = np.fmax.reduce(values, axis=-1, keepdims=True)
    place: np.ndarray = (values >= most - np.maximum(EQUAL * np.abs(most), floor)).argmax(axis=-1)
    return place


def exceeds(
    values: Float[np.ndarray, "*rows n"], others: Float[np.ndarray, "*rows #n"]
) -> Bool[np.ndarray, "*rows n"]:
    """Where a number is larger than the other by more than rounding makes it."""
    above: np.ndarray = values - others > EQUAL * np.abs(others)
    return above
