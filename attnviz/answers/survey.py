"""What every head does over a corpus: its statistics, and the roles of which it is a mixture."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from attnviz.answers.corpus import CorpusFacts, Estimate, Intervals, plain
from attnviz.answers.distances import Distances
from attnviz.answers.examples import Example
from attnviz.answers.statistics import Role, Statistic
from attnviz.attention.measures import MeasureName
from attnviz.attention.order import descending
from attnviz.attention.request import AttentionKind
from attnviz.inspection import HeadId, ModelFacts, Shown

UNKNOWN = "unknown"
"""What the share of a head's attention is called that no role has."""


@dataclass(frozen=True)
class HeadRole:
    """A role that a head has: the share of its attention, and the test that it passed."""

    name: str
    share: Estimate
    test: Mapping[str, Any]

    def data(self) -> dict[str, Any]:
        """The role in JSON."""
        return {"name": self.name, **self.share.data("share"), "test": plain(self.test)}


@dataclass(frozen=True)
class SurveyHead:
    """What one head does over the corpus.

    `statistics`: by name. `roles`: those whose test it passes, the largest share first; with
    `unknown`, the shares sum to 1. `tests`: of all roles, passed or not, by name. `examples`: its
    strongest links; `sample`: a fair sample of the others.
    """

    head: HeadId
    statistics: Mapping[str, Estimate]
    roles: tuple[HeadRole, ...]
    unknown: Estimate
    tests: Mapping[str, Mapping[str, Any]]
    examples: tuple[Example, ...] = ()
    sample: tuple[Example, ...] = ()

    @property
    def role(self) -> str:
        """The role with the largest share, or `unknown` if more of its attention has none."""
        if not self.roles or (self.roles[0].share.mean or 0) < (self.unknown.mean or 0):
            return UNKNOWN
        return self.roles[0].name

    @property
    def share(self) -> Estimate:
        """The share of `role`."""
        return self.unknown if self.role == UNKNOWN else self.roles[0].share

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The head in JSON."""
        return {
            "layer": self.head.layer,
            "head": self.head.head,
            "statistics": {name: number.data() for name, number in self.statistics.items()},
            "roles": [role.data() for role in self.roles],
            "unknown": self.unknown.data("share"),
            "tests": {name: plain(test) for name, test in self.tests.items()},
            "examples": [example.data() for example in self.examples[:top]],
            "sample": [example.data() for example in self.sample[:top]],
        }


class RoleCount(NamedTuple):
    """A role over all heads: how many have it, in how many it is the largest, and its `share` of
    all their attention.
    """

    name: str
    heads: int
    largest: int
    share: float


@dataclass(frozen=True, eq=False)
class Survey(Shown):
    """All heads over a corpus, layer by layer.

    `intervals`: None below six documents. `notes`: what the reader should know, such as a role that
    was not tested, and why.
    """

    schema: ClassVar[str] = "attnviz.survey/1"
    columns: ClassVar[tuple[str, ...]] = ("layer", "head", "kind", "name", "mean", "low", "high")
    unit: ClassVar[str] = "word"

    model: ModelFacts
    measure: MeasureName
    formula: str
    corpus: CorpusFacts
    intervals: Intervals | None
    statistics: tuple[Statistic, ...]
    roles: tuple[Role, ...]
    heads: tuple[SurveyHead, ...]
    distances: Distances | None = None
    notes: tuple[str, ...] = ()
    attention: AttentionKind = "encoder"

    @property
    def nothing(self) -> str:
        """Why there are no heads; empty if there are some."""
        count, words = self.corpus.documents, self.corpus.words
        if self.heads:
            return ""
        if not count:
            return "no text was read"
        among = "the one text" if count == 1 else f"any of {count:,} texts"
        if words:
            return f"no word may look at more than one token in {among}"
        if self.attention == "encoder":
            return f"the model reads no word in {among}"
        return f"the decoder wrote no word for {among}"

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The object `attnviz.survey/1`; `top` limits each head's examples."""
        return {
            "schema": self.schema,
            "model": self.model.data(),
            "unit": self.unit,
            "measure": self.measure,
            **({} if self.attention == "encoder" else {"attention": self.attention}),
            "formula": self.formula,
            "corpus": self.corpus.data(),
            "intervals": None if self.intervals is None else self.intervals.data(),
            "statistics": [asdict(statistic) for statistic in self.statistics],
            "roles": [asdict(role) for role in self.roles],
            "notes": list(self.notes),
            "heads": [head.data(top) for head in self.heads],
            "distances": None if self.distances is None else self.distances.data(),
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a head and statistic, or role; the share of no role is the role `unknown`."""
        for one in self.heads:
            for name, number in one.statistics.items():
                yield (*one.head, "statistic", name, *number)
            for role in one.roles:
                yield (*one.head, "role", role.name, *role.share)
            yield (*one.head, "role", UNKNOWN, *one.unknown)

    def counts(self) -> list[RoleCount]:
        """The roles that some head has, the largest share first, and last what no role has."""
        shares: dict[str, list[float]] = {}
        for head in self.heads:
            for role in head.roles:
                shares.setdefault(role.name, []).append(role.share.mean or 0)
        unknown = [head.unknown.mean or 0 for head in self.heads]
        shares = dict(sorted(shares.items(), key=lambda own: (-sum(own[1]), own[0])))
        largest = Counter(head.role for head in self.heads)
        return [
            RoleCount(name, len(own), largest[name], sum(own) / max(len(self.heads), 1))
            for name, own in [*shares.items(), (UNKNOWN, unknown)]
        ]

    def strongest(self, name: str, top: int | None = None) -> list[tuple[HeadId, Estimate]]:
        """The heads with the largest mean of a statistic; those that have none are left out."""
        found = [(one.head, one.statistics[name]) for one in self.heads if name in one.statistics]
        numbers = np.array([number.mean for _, number in found], np.float64)
        places = descending(numbers, top).tolist()
        return [found[place] for place in places if not np.isnan(numbers[place])]

    def by_layer(self, name: str) -> dict[int, float]:
        """A statistic's mean over the heads of each layer that have it."""
        found: dict[int, list[float]] = {}
        for head, number in self.strongest(name):
            found.setdefault(head.layer, []).append(number.mean or 0)
        return {layer: sum(own) / len(own) for layer, own in sorted(found.items())}
