"""Which heads hold over many sentences, and which were lucky in one?"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from attnviz.answers.answer import attention_facts, last_columns
from attnviz.answers.find import Finding, lifts_of
from attnviz.attention.order import tiers
from attnviz.errors import RequestError
from attnviz.inspection import Context, HeadId, Shown


@dataclass(frozen=True)
class HoldingHead:
    """How one head joins queries and keys over many sentences.

    `hits`: in how many of them the key is the query's argmax; `share`: the part of all. `mean`,
    `minimum`: of the weights. `expected`: the mean, None where some sentence has none. `lift`: mean
    / expected. `dropped`: the mean share of special tokens left out.
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
class Holding(Shown):
    """The heads, best first: by hits, then by mean weight, then as in the model.

    `context` is that of the first sentence. `link`: the query and the key where all sentences have
    the same, case aside. `left_out`: how many could not be counted. `reverse`: the other direction.
    """

    schema: ClassVar[str] = "attnviz.find-summary/1"

    context: Context = field(compare=False)
    sentences: int
    link: tuple[str, str] | None
    heads: tuple[HoldingHead, ...]
    left_out: int = 0
    reverse: "Holding | None" = None

    @property
    def both(self) -> "tuple[Holding, ...]":
        """Both directions, or the one there is."""
        return (self,) if self.reverse is None else (self, self.reverse)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of `rows`; `reverse` tells the directions apart."""
        names = ("layer", "head", "hits", "share", "mean", "minimum", "expected", "lift")
        reverse = () if self.reverse is None else ("reverse",)
        return (*names, *last_columns(self.context), *reverse)

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.find-summary/1` object, heads best first."""
        context, (query, key) = self.context, self.link or (None, None)
        facts = {
            "schema": self.schema,
            "model": context.model.data(),
            "unit": context.unit,
            "measure": context.measure,
            **attention_facts(context),
            "formula": context.measured.description,
            "query": query,
            "key": key,
            "sentences": self.sentences,
            "left_out": self.left_out,
            "heads": list(self._heads(top)),
        }
        if self.reverse is not None:
            facts["reverse"] = list(self.reverse._heads(top))
        return facts

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a head, best first, then the reverse."""
        for holding in self.both:
            measure = () if self.context.measure == "weights" else (self.context.measure,)
            reverse = () if self.reverse is None else (holding is self.reverse,)
            for head in holding._heads(top):
                yield (*head.values(), *measure, *reverse)

    def _heads(self, top: int | None) -> Iterator[dict[str, Any]]:
        for held in self.heads[:top]:
            facts = dict(vars(held))
            layer, head = facts.pop("head")
            if held.dropped is None:
                del facts["dropped"]
            yield {"layer": layer, "head": head, **facts}


class Tally:
    """Counts findings, and keeps none of them but the first."""

    def __init__(self) -> None:
        self._first: Finding | None = None
        self.count = 0
        self._link: tuple[str, str] | None = None
        self._reverse: Tally | None = None

    def add(self, finding: Finding) -> None:
        """Count one more; RequestError if it cannot be counted with those before it."""
        link = (finding.query.text.casefold(), finding.key.text.casefold())
        if self._first is None:
            self._first, self._link = finding, link
            self._hits, self._minimum = np.zeros(len(finding.places), int), finding.weights
            self._sum, self._expected, self._dropped = np.zeros((3, len(finding.places)))
            self._reverse = None if finding.reverse is None else Tally()
        _check_alike(self._first, finding)
        self.count += 1
        self._link = link if link == self._link else None
        self._hits += finding.argmax
        self._sum += finding.weights
        self._expected += finding.expected
        self._minimum = np.minimum(self._minimum, finding.weights)
        if finding.dropped is not None:
            self._dropped += finding.dropped
        if self._reverse is not None and finding.reverse is not None:
            self._reverse.add(finding.reverse)

    def holding(self, left_out: int = 0) -> Holding:
        """The heads over what was counted; RequestError if nothing was."""
        if self._first is None:
            raise RequestError("no sentence was found to count", "give one sentence or more")
        order = np.lexsort((tiers(self._sum), -self._hits))
        return Holding(
            context=self._first.context,
            sentences=self.count,
            link=self._link,
            heads=tuple(self._head(self._first, int(place)) for place in order),
            left_out=left_out,
            reverse=None if self._reverse is None else self._reverse.holding(left_out),
        )

    def _head(self, first: Finding, place: int) -> HoldingHead:
        lift = float(lifts_of(self._sum, self._expected)[place])
        expected = float(self._expected[place] / self.count)
        return HoldingHead(
            head=first.places[place],
            hits=int(self._hits[place]),
            share=float(self._hits[place] / self.count),
            mean=float(self._sum[place] / self.count),
            minimum=float(self._minimum[place]),
            expected=None if np.isnan(expected) else expected,
            lift=None if np.isnan(lift) else lift,
            dropped=None if first.dropped is None else float(self._dropped[place] / self.count),
        )


def holding(findings: Iterable[Finding]) -> Holding:
    """The heads that hold over all of these sentences; RequestError if there are none, or they
    differ.
    """
    tally = Tally()
    for finding in findings:
        tally.add(finding)
    return tally.holding()


def _check_alike(first: Finding, other: Finding) -> None:
    a, b = first.context, other.context
    for what, one, two in (
        ("model", a.model, b.model),
        ("kind of attention", a.attention, b.attention),
        ("unit", a.unit, b.unit),
        ("measure", a.measure, b.measure),
        ("special tokens", *("shown" if c.special else "left out" for c in (a, b))),
        ("choice of heads", first.places, other.places),
    ):
        if one != two:
            names = [" ".join(map(str, it)) if isinstance(it, list) else it for it in (one, two)]
            raise RequestError(
                f"sentences counted together have one {what}, and here are {names[0]} and "
                f"{names[1]}",
                "count each kind for itself",
            )
