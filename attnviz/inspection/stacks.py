"""Heads' weights as they come: of several heads at once, or of one head some rows at a time."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from attnviz.inspection.facts import HeadId


class HeadStack(NamedTuple):
    """The weights of some heads, together; they may belong to several layers.

    weights: (head, query, key), in the view's measure, of all queries or of those in `rows`;
    dropped: (head, query), the share of each query's row that went to the special tokens left out,
    or None where none are left out; sink: (head, query), the share of what is shown that went to
    the model's sink, None where it has none, and in measures that are no shares.
    """

    heads: list[HeadId]
    rows: slice
    weights: np.ndarray
    dropped: np.ndarray | None
    sink: np.ndarray | None


class Group(NamedTuple):
    """Some heads, and their rows: all in one stack, or some in each of several, in their order.

    The stacks are computed as they are asked for, and can be gone through once.
    """

    heads: list[HeadId]
    stacks: Iterator[HeadStack]
