"""Which heads hold over many sentences, and which were lucky in one?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from attnviz.answers.find import Finding, lifts_of
from attnviz.attention.order import tiers
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, View


@dataclass(frozen=True)
class HoldingHead:
    """How one head joins queries and keys over many sentences.

    `hits`: in how many the key is the query's argmax, and `share`, the part of all that this is.
    `mean` and `minimum`: of the weights. `expected`: the mean of what was expected, None where in a
    sentence a mask let nothing be; and `lift`, mean / expected (a mean of lifts would be ruled by
    the sentences where next to nothing was expected), None where nothing was. `dropped`: the mean
    share of the queries' rows that went to special tokens, None where they are not left out.
    """

    head: HeadId
    hits: int
    share: float
    mean: float
    minimum: float
    expected: float | None
    lift: float | None
    dropped: float | None


@dataclass(frozen=True)
class Holding:
    """The heads, best first: by hits, then by mean weight, then as in the model.

    `view` is that of the first of the `sentences`: they share its model and whose attention it is,
    its unit and its measure. `link`:
    the query and the key where all sentences have the same, upper and lower case alike; else None.
    """

    view: View
    sentences: int
    link: tuple[str, str] | None
    heads: tuple[HoldingHead, ...]


class Tally:
    """Counts findings, one after the other, and keeps none of them but the first."""

    def __init__(self) -> None:
        self._first: Finding | None = None
        self._count = 0
        self._link: tuple[str, str] | None = None

    def add(self, finding: Finding) -> None:
        """Count one more; RequestError if it cannot be counted with those before it."""
        link = (finding.query.text.casefold(), finding.key.text.casefold())
        if self._first is None:
            self._first, self._link = finding, link
            self._hits, self._minimum = np.zeros(len(finding.places), int), finding.weights
            self._sum, self._expected, self._dropped = np.zeros((3, len(finding.places)))
        _check_alike(self._first, finding)
        self._count += 1
        self._link = link if link == self._link else None
        self._hits += finding.argmax
        self._sum += finding.weights
        self._expected += finding.expected
        self._minimum = np.minimum(self._minimum, finding.weights)
        if finding.dropped is not None:
            self._dropped += finding.dropped

    def holding(self) -> Holding:
        """What was counted; RequestError if nothing was."""
        if self._first is None:
            raise RequestError("no sentence was found to count", "give one sentence or more")
        order = np.lexsort((tiers(self._sum), -self._hits))
        return Holding(
            view=self._first.view,
            sentences=self._count,
            link=self._link,
            heads=tuple(self._head(self._first, int(place)) for place in order),
        )

    def _head(self, first: Finding, place: int) -> HoldingHead:
        lift = float(lifts_of(self._sum, self._expected)[place])
        expected = float(self._expected[place] / self._count)
        return HoldingHead(
            head=first.places[place],
            hits=int(self._hits[place]),
            share=float(self._hits[place] / self._count),
            mean=float(self._sum[place] / self._count),
            minimum=float(self._minimum[place]),
            expected=None if np.isnan(expected) else expected,
            lift=None if np.isnan(lift) else lift,
            dropped=None if first.dropped is None else float(self._dropped[place] / self._count),
        )


def holding(findings: Iterable[Finding]) -> Holding:
    """The heads that hold over all of these sentences.

    Raises RequestError if there are none, or if they differ in model, kind of attention, unit,
    measure, special tokens or heads: then their numbers are not of one kind.
    """
    tally = Tally()
    for finding in findings:
        tally.add(finding)
    return tally.holding()


def _check_alike(first: Finding, other: Finding) -> None:
    a, b = first.view, other.view
    alike = a.model == b.model and first.places == other.places
    of_a, of_b = a.inspection.attention, b.inspection.attention
    if alike and (a.unit, a.measure, a.special, of_a) == (b.unit, b.measure, b.special, of_b):
        return
    for what, one, two in (
        ("model", str(a.model), str(b.model)),
        ("kind of attention", of_a, of_b),
        ("unit", a.unit, b.unit),
        ("measure", a.measure, b.measure),
        ("special tokens", _shown(a), _shown(b)),
        ("choice of heads", _named(first.places), _named(other.places)),
    ):
        if one != two:
            raise RequestError(
                f"sentences counted together have one {what}, and here are {one} and {two}",
                "count each kind for itself",
            )


def _shown(view: View) -> str:
    return "shown" if view.special else "left out"


def _named(places: Sequence[HeadId]) -> str:
    return " ".join(map(str, places))
