"""Edits of a run: numbers that replace what heads computed, and where they are taken from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from attnviz.attention.layer import LayerRecord
from attnviz.attention.shapes import Bool, Float, Int
from attnviz.errors import AttnvizError, RequestError

What = Literal["z", "q", "k", "v", "weights"]
"""What an edit replaces in a head: its result z, its queries, keys or values as they are compared
(after any rotation), or its rows of weights."""

WHATS: tuple[What, ...] = get_args(What)
BY_KEY = ("k", "v")  # whose rows are keys; those of the others are queries


@dataclass(frozen=True, eq=False)
class Replaced:
    """What one head computes in an edited run: `values` in place of its own.

    rows: queries, or keys for k and v; None for all. values: (row or 1, d_k, d_v or key).
    """

    layer: int
    head: int
    what: What
    rows: Int[np.ndarray, "row"] | None
    values: Float[np.ndarray, "row_or_one width"]

    def numbers(self, width: int) -> Float[np.ndarray, "row_or_one width"]:
        """The values, so wide; RequestError if they do not fit."""
        found = self.values.shape[-1]
        if found not in (1, width):
            raise RequestError(
                f"{found} numbers a row cannot replace the {self.what} of "
                f"L{self.layer}H{self.head}, which has {width}",
                "take them from the same model, and weights from a text of the same length",
            )
        return self.values if found == width else np.repeat(self.values, width, -1)

    def among(self, rows: range) -> "Replaced | None":
        """The edit of some rows alone, numbered from the first of them; None if it has none."""
        if self.rows is None:
            whole = len(self.values) == 1
            values = self.values if whole else self.values[rows.start : rows.stop]
            return Replaced(self.layer, self.head, self.what, None, values)
        inside = (self.rows >= rows.start) & (self.rows < rows.stop)
        if not inside.any():
            return None
        values = self.values if len(self.values) == 1 else self.values[inside]
        return Replaced(self.layer, self.head, self.what, self.rows[inside] - rows.start, values)


@dataclass(frozen=True)
class Noise:
    """Normal noise with the mean and spread that each number has over the text's rows.

    In place of weights: exponential noise over the keys that each query may attend to, so that
    every way to share out its weight is as likely (a flat Dirichlet distribution).
    """

    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise RequestError(f"seed is {self.seed}", "it should be 0 or more")


@dataclass(frozen=True, eq=False)
class Given:
    """Numbers that are given: (row or 1, width), as the mean over a corpus."""

    values: Float[np.ndarray, "row_or_one width"]


@dataclass(frozen=True, eq=False)
class Patch:
    """Another run's numbers; `rows`: of it, one for each edited row; None for the same rows.

    layers: as an inspection has them, recorded whole.
    """

    layers: Sequence[LayerRecord | None]
    rows: Sequence[int] | None = None

    def record(self, layer: int) -> LayerRecord:
        """A layer's record; RequestError if it was not recorded."""
        found = self.layers[layer]
        if found is None:
            raise RequestError(f"layer {layer} of the other run was not recorded", "record it too")
        return found


Source = Literal["zero", "mean"] | Noise | Given | Patch
"""What replaces numbers: zeros; their mean over the rows of the same run; or one of these."""


@dataclass(frozen=True, eq=False)
class Edit:
    """What to replace in one head, where, and with what.

    rows: pieces that are queries, or keys for k and v; None for all.
    """

    layer: int
    head: int
    what: What = "z"
    rows: Sequence[int] | None = None
    source: Source = "zero"

    @property
    def needs_record(self) -> bool:
        """Whether the plain run's record is needed: to find numbers, or heads that share keys."""
        given = self.source == "zero" or isinstance(self.source, Given | Patch)
        return not given or self.what in (*BY_KEY, "weights")

    def replaced(self, queries: int, record: LayerRecord | None = None) -> Replaced:
        """The edit with its numbers, in a text with so many queries.

        record: the layer's in the plain run, see `needs_record`. RequestError for rows that are not
        there, a head that shares what is edited with others, and two runs of a patch that do not
        fit together; AttnvizError if numbers that are needed were not recorded.
        """
        if record is not None:
            _check_own(self, record)
        elif self.needs_record:
            raise ValueError("this edit needs the record of the plain run")
        count = record.lengths[1] if record is not None and self.what in BY_KEY else queries
        rows = None if self.rows is None else _rows(self.rows, count, "this")
        edited = count if rows is None else len(rows)
        if self.source == "zero":
            values = np.zeros((1, 1), np.float32)
        elif isinstance(self.source, Given):
            values = np.atleast_2d(self.source.values)
        elif isinstance(self.source, Patch):
            values = self._patched(self.source)
        elif record is not None:
            values = self._drawn(self.source, record)
        one = len(values) == 1 and not isinstance(self.source, Patch)
        if len(values) != edited and not one:
            raise RequestError(
                f"{len(values)} rows of {self.what} cannot replace {edited} in "
                f"L{self.layer}H{self.head}",
                "say which rows go where, or take a text of the same length",
            )
        values = np.require(values, np.float32, "W")  # what a file holds may be read-only
        return Replaced(self.layer, self.head, self.what, rows, values)

    def _drawn(
        self, source: Literal["mean"] | Noise, record: LayerRecord
    ) -> Float[np.ndarray, "row width"]:
        """The mean over rows, or noise, of what the head has in the plain run."""
        own = numbers_of(record, self.layer, self.head, self.what)
        generator = None
        if isinstance(source, Noise):
            place = self.layer, self.head, WHATS.index(self.what)
            generator = np.random.default_rng((source.seed, *place))
        if self.what == "weights":
            values = _rows_of_weights(own, record.attention_mask(), generator)
        else:
            values = own.mean(0, keepdims=True)
            if generator is not None:
                values = values + own.std(0) * generator.standard_normal(own.shape)
        return values if self.rows is None or len(values) == 1 else values[list(self.rows)]

    def _patched(self, source: Patch) -> np.ndarray:
        values = numbers_of(source.record(self.layer), self.layer, self.head, self.what)
        taken = self.rows if source.rows is None else source.rows
        rows = slice(None) if taken is None else _rows(taken, len(values), "the other")
        found: np.ndarray = values[rows]
        return found


Find = Callable[[Edit], Replaced]
"""Finds an edit's numbers."""


def _rows(numbers: Sequence[int], count: int, run: str) -> Int[np.ndarray, "row"]:
    """Rows that a run has; RequestError for others."""
    rows = np.asarray(numbers, np.int64)
    for row in rows[(rows < 0) | (rows >= count)][:1]:
        raise RequestError(
            f"there is no row {row} in {run} run, whose rows are 0 to {count - 1}",
            "name pieces of the text",
        )
    return rows


def numbers_of(record: LayerRecord, layer: int, head: int, what: What) -> np.ndarray:
    """What a run has in place of an edit: (query, d_v), (query or key, d_k), or (query, key)."""
    if what == "weights":
        weights: np.ndarray = record.weights(layer, [head])[0]
        return weights
    if what == "z" and record.z is not None:
        z: np.ndarray = record.z[head]
        return z
    name = "v" if what == "z" else what
    vectors = getattr(record, name)
    if vectors is None:
        raise AttnvizError(f"{name} of layer {layer} was not recorded", "record the run whole")
    if what == "q":
        q: np.ndarray = vectors[head]
        return q
    own = record.of_head(vectors, head)
    if what != "z":
        return own
    product: np.ndarray = record.weights(layer, [head])[0] @ own
    return product


def _rows_of_weights(
    own: Float[np.ndarray, "query key"],
    mask: Bool[np.ndarray, "query key"] | None,
    generator: np.random.Generator | None,
) -> Float[np.ndarray, "query key"]:
    """The mean row of weights, or noise, over the keys that each query may attend to.

    Each row keeps its sum, which is less than 1 where a sink takes a part.
    """
    if generator is None:
        spread = np.broadcast_to(own.mean(0), own.shape)
    else:
        spread = generator.standard_exponential(own.shape)
    spread = spread if mask is None else np.where(mask, spread, 0)
    sums = spread.sum(-1, keepdims=True)
    shares: np.ndarray = spread * own.sum(-1, keepdims=True) / np.where(sums > 0, sums, 1)
    return shares


def _check_own(edit: Edit, record: LayerRecord) -> None:
    """RequestError if a head has no keys and values of its own; AttnvizError for weights alone."""
    record.check_more_than_weights()
    if edit.what not in BY_KEY or record.k is None or len(record.k) == record.num_heads:
        return
    group = record.num_heads // len(record.k)
    first = edit.head // group * group
    others = [f"H{other}" for other in range(first, first + group) if other != edit.head]
    raise RequestError(
        f"L{edit.layer}H{edit.head} shares its {'keys' if edit.what == 'k' else 'values'} with "
        f"{', '.join(others)}, so its {edit.what} cannot be edited alone",
        "edit its z, q or weights",
    )
