"""What a probe found, from its counts: best heads, baselines, halves, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np

from attnviz.answers.bootstrap import EXPANDED, FEWEST, covered
from attnviz.answers.corpus import CorpusFacts, Estimate, Intervals
from attnviz.answers.probe import (
    BASELINES,
    INFORMED,
    Baseline,
    Direction,
    HeldOut,
    Probe,
    Relation,
    Trial,
)
from attnviz.attention.order import descending
from attnviz.attention.shapes import Float
from attnviz.corpus.document import hashed
from attnviz.corpus.fold import Folded
from attnviz.corpus.probing import (
    COUNT,
    DOCUMENTS,
    FIRST,
    FURTHEST,
    GROUPS,
    HEADS,
    NEAREST,
    NEAREST_POS,
    OFFSETS,
    RANDOM,
    SIDES,
    Findings,
    Probing,
)
from attnviz.corpus.resampling import RESAMPLES, times_of
from attnviz.inspection import HeadId, ModelFacts

METHOD = f"Poisson bootstrap over {GROUPS} random groups of documents, {EXPANDED}"


def probe_of(
    work: Probing,
    folded: Folded,
    model: ModelFacts,
    files: Sequence[str],
) -> Probe:
    """The answer: each relation's best head beside the baselines, the most frequent one first."""
    findings, tally = cast("Findings", folded.accumulator), folded.tally
    relations = [
        _relation(name, findings, directions) for name, directions in findings.counts().items()
    ]
    relations.sort(key=lambda one: (-one.asked.count, one.name))
    counts = {
        name: getattr(tally, name)
        for name in ("documents", "windows", "pieces", "words", "left_out")
    }
    probe = Probe(
        kind=work.kind,
        model=model,
        measure=work.measure,
        formula=work.formula,
        corpus=CorpusFacts(tuple(files), **counts),
        intervals=Intervals(METHOD, RESAMPLES) if tally.documents >= FEWEST else None,
        heads=findings.heads,
        relations=tuple(relations),
    )
    return work.told(probe, findings)


@cache
def _draws() -> Float[np.ndarray, "resample group"]:
    """How often each group is drawn into each resample."""
    return np.stack([times_of(hashed("group of documents", group)) for group in range(GROUPS)], 1)


@dataclass(frozen=True, eq=False)
class _Counted:
    """The sums of one relation in one direction."""

    sums: Float[np.ndarray, "group column"]
    kin: str = "nearest_pos"

    @property
    def heads(self) -> slice:
        """The columns of what heads find; after them come what their other queries find."""
        return slice(HEADS, HEADS + (self.sums.shape[1] - HEADS) // 2)

    @property
    def totals(self) -> Float[np.ndarray, "column"]:
        """The sums of all groups."""
        total: np.ndarray = self.sums.sum(axis=0)
        return total

    def shares(self, columns: slice | int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What was found of all links, and its interval; NaN for what there is not."""
        total = self.totals
        share = total[columns] / total[COUNT]
        low, high = _interval(self.sums[:, columns], self.sums[:, COUNT], self.sums[:, DOCUMENTS])
        return share, low, high

    def share(self, column: int) -> Estimate:
        """The same of one column."""
        return Estimate.of(*(float(number) for number in self.shares(column)))

    def best_of(self, columns: slice) -> int:
        """The column that finds most, the first of equal ones."""
        return int(columns.start + self.totals[columns].argmax())

    def chosen(self, best: int) -> dict[str, int]:
        """The column of each baseline beside a head's, in the order in which they are told."""
        totals = self.totals
        columns = {
            "offset": self.best_of(OFFSETS),
            "same_key": best + (self.heads.stop - self.heads.start),
            "nearest": self.best_of(NEAREST),
            self.kin: self.best_of(NEAREST_POS),
            "first": FIRST,
            "random": RANDOM,
        }
        if not totals[NEAREST_POS].any():  # no part of speech is known
            del columns[self.kin]
        return {name: columns[name] for name in BASELINES if name in columns}


def _interval(
    found: Float[np.ndarray, "group *column"],
    asked: Float[np.ndarray, "group"],
    documents: Float[np.ndarray, "group"],
) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % intervals of ratios, low and high; NaN below FEWEST documents."""
    if _number(documents) < FEWEST:
        low, high = np.full((2, *found.shape[1:]), np.nan)
        return low, high
    below = _draws() @ asked
    below = np.where(below > 0, below, np.nan)[:, None]
    groups = max(int(np.count_nonzero(asked)), FEWEST)  # two of six may have fallen into one
    low, high = covered((_draws() @ found.reshape(len(found), -1)) / below, groups)
    return low.reshape(found.shape[1:]), high.reshape(found.shape[1:])


def _number(documents: Float[np.ndarray, "group"]) -> int:
    """How many documents there are, at least: of long ones not every window need have a link."""
    return max(round(float(documents.sum())), int(np.count_nonzero(documents)))


def _relation(name: str, findings: Findings, directions: Mapping[str, np.ndarray]) -> Relation:
    heads, kin = findings.heads, findings.kin
    counted = {direction: _Counted(directions[direction], kin) for direction in sorted(directions)}
    found = [_direction(direction, one) for direction, one in counted.items()]
    found.sort(key=lambda one: -float(one.accuracy.max()))
    return Relation(name, heads, tuple(found), _held_out(heads, counted))


def _direction(name: str, counted: _Counted) -> Direction:
    accuracy, low, high = counted.shares(counted.heads)
    best = counted.heads.start + int(descending(accuracy, 1)[0])
    after = slice(counted.heads.stop, None)
    totals = counted.totals
    return Direction(
        name=name,
        count=int(totals[COUNT]),
        documents=_number(counted.sums[:, DOCUMENTS]),
        accuracy=accuracy,
        low=low,
        high=high,
        same_key=totals[after] / totals[COUNT],
        baselines={
            baseline: Baseline(counted.share(column), _how(baseline, column))
            for baseline, column in counted.chosen(best).items()
        },
    )


def _how(baseline: str, column: int) -> dict[str, Any]:
    """What was chosen on the data: an offset, or a side."""
    if baseline == "offset":
        return {"offset": column - OFFSETS.start - FURTHEST}
    for columns in (NEAREST, NEAREST_POS):
        if columns.start <= column < columns.stop:
            return {"side": SIDES[column - columns.start]}
    return {}


def _held_out(heads: tuple[HeadId, ...], counted: Mapping[str, _Counted]) -> HeldOut | None:
    """Choose a head and a direction on one half, and score them on the other, both ways.

    The margin is over the baseline that is right most often there, of the heads that were chosen.
    """
    odd = np.arange(GROUPS) % 2 == 1
    found, trials = [], []
    below: dict[str, list[np.ndarray]] = {}
    for half in (odd, ~odd):
        shares = []
        for one in counted.values():
            totals = one.sums[half].sum(axis=0)
            asked = totals[COUNT] or np.nan
            shares.append(totals[one.heads] / asked)
        every = np.concatenate(shares)
        if np.isnan(every).all():
            return None
        which, head = divmod(int(descending(every, 1)[0]), len(heads))
        direction = list(counted)[which]
        own = counted[direction]
        column = own.heads.start + head
        others = np.where(half, 0, 1)[:, None]
        found.append(others * own.sums[:, [column, COUNT, DOCUMENTS]])
        for name, base in own.chosen(column).items():
            if name not in INFORMED:
                below.setdefault(name, []).append(others[:, 0] * own.sums[:, base])
        trials.append((Trial(heads[head], direction), int(found[-1][:, 1].sum())))
    right, asked, documents = np.sum(found, axis=0).T
    if not asked.sum():
        return None
    bases = {name: np.sum(parts, axis=0) for name, parts in below.items()}
    over = max(bases, key=lambda name: float(bases[name].sum()))
    accuracy, margin = (
        Estimate.of(float(some.sum() / asked.sum()), *map(float, _interval(some, asked, documents)))
        for some in (right, right - bases[over])
    )
    return HeldOut(accuracy, tuple(trials), over, margin)
