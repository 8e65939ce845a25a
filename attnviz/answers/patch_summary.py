"""Which heads carry what differs, over many twins: the mean share that each restores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from attnviz.answers.answer import attention_facts
from attnviz.answers.bootstrap import EXPANDED, RESAMPLES, Blocks, intervals
from attnviz.answers.patch import FORMULA, HARDLY, EachPatched
from attnviz.attention.edits import What
from attnviz.attention.order import NEAR_ZERO, descending
from attnviz.errors import RequestError
from attnviz.inspection import Context, HeadId, Shown
from attnviz.inspection.outcomes import OutcomeFacts, in_common

INTERVALS = (
    f"95 %, from {RESAMPLES} means of twins drawn anew (bootstrap, Efron 1979), {EXPANDED}; none "
    "of fewer than 6"
)


class HeadShare(NamedTuple):
    """The mean share that one head restores, and its 95 % interval, if told.

    toward: of how many twins it restores more than HARDLY.
    """

    head: HeadId
    rank: int
    mean: float
    low: float | None
    high: float | None
    toward: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends, if there are any."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True, eq=False)
class PatchSummary(Shown):
    """Heads over many twins, the largest mean share first.

    `context`: of the first A. `outcome`: of the first twin, with what all have in common. `twins`:
    how many were counted; `alike`: how many more had an A and B that hardly differ; `left_out`: how
    many could not be patched. difference: the mean of A − B, in size. own_words: whether each pair
    has a word, label or token of its own that is measured. rows_named: what
    goes where, as the user says, if not all.
    """

    schema: ClassVar[str] = "attnviz.patch_corpus/1"
    columns: ClassVar[tuple[str, ...]] = (
        "layer", "head", "rank", "what", "mean", "low", "high", "toward", "twins",
    )  # fmt: skip

    context: Context
    outcome: OutcomeFacts
    what: What
    heads: tuple[HeadShare, ...]
    twins: int
    alike: int
    left_out: int
    difference: float
    own_words: bool = False
    rows_named: tuple[str, ...] = ()

    @property
    def variant(self) -> str:
        """What tells one summary from another."""
        return f"{self.what} {self.outcome.data()} {self.rows_named} {self.twins}"

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.patch_corpus/1` object."""
        return {
            "schema": self.schema,
            "model": self.context.model.data(),
            "unit": self.context.unit,
            **attention_facts(self.context),
            "formula": FORMULA,
            "outcome": self.outcome.data(),
            "edit": {"what": self.what, "with": "patch", "rows": list(self.rows_named) or None},
            "own_words": self.own_words,
            "twins": self.twins,
            "alike": self.alike,
            "left_out": self.left_out,
            "difference": self.difference,
            "intervals": INTERVALS,
            "heads": [
                {
                    "layer": one.head.layer,
                    "head": one.head.head,
                    "rank": one.rank,
                    "mean": one.mean,
                    "low": one.low,
                    "high": one.high,
                    "toward": one.toward,
                }
                for one in self.heads[:top]
            ],
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a head, the largest mean share first."""
        for one in self.heads[:top]:
            numbers = one.mean, one.low, one.high, one.toward
            yield (*one.head, one.rank, self.what, *numbers, self.twins)


class Tally:
    """Adds up what heads restore in one pair of twins after the other."""

    def __init__(self, rows_named: Sequence[str] = ()) -> None:
        self._rows_named = tuple(rows_named)
        self._first: EachPatched | None = None
        self._blocks = Blocks()
        self.count, self.alike, self._size, self._own_words = 0, 0, 0.0, False

    def add(self, each: EachPatched) -> None:
        """Count one pair more: into the means if A and B differ."""
        if self._first is None:
            self._first, self._common = each, each.twins.outcome
        own = each.twins.outcome
        self._common, before = in_common(self._common, own), self._common
        self._own_words |= self._common != before or before != in_common(own, before)
        if not each.twins.differ:
            self.alike += 1
            return
        shares = [one.effect.restored or 0.0 for one in sorted(each.heads)]
        found = np.array(shares)
        self._blocks.add(np.stack([np.ones_like(found), found, found > HARDLY]))
        self.count += 1
        self._size += abs(each.twins.a.value - each.twins.b.value)

    def summary(self, left_out: int = 0) -> PatchSummary:
        """The heads over what was counted; RequestError if nothing was."""
        if self._first is None or not self.count:
            why = f"in all of them A and B differ by less than {HARDLY:g}" if self.alike else ""
            raise RequestError(
                "no twins were there to count" + (f": {why}" if why else ""),
                "give twins that differ in what is measured, or another --outcome",
            )
        blocks = self._blocks.sums()
        ones, shares, toward = np.moveaxis(blocks, 1, 0)
        means, bounds = shares.sum(axis=0) / self.count, intervals(shares, ones).T
        heads = [one.head for one in sorted(self._first.heads)]
        ranked = []
        for rank, at in enumerate(descending(means, floor=NEAR_ZERO).tolist(), start=1):
            low, high = (None if np.isnan(end) else float(end) for end in bounds[at])
            count = int(toward[:, at].sum())
            ranked.append(HeadShare(heads[at], rank, float(means[at]), low, high, count))
        return PatchSummary(
            self._first.alignment.a,
            self._common,
            self._first.twins.what,
            tuple(ranked),
            self.count,
            self.alike,
            left_out,
            self._size / self.count,
            self._own_words,
            self._rows_named,
        )
