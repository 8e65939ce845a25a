"""Two models over one corpus: which of their heads are alike, and what the heads of B do else."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from attnviz.answers.corpus import CorpusFacts, Intervals
from attnviz.answers.statistics import Role, Statistic
from attnviz.attention.measures import MeasureName
from attnviz.attention.order import NEAR_ZERO, largest
from attnviz.attention.request import AttentionKind
from attnviz.attention.shapes import Float, Int
from attnviz.inspection.context import HeadId, ModelFacts, Shown

Kind = Literal["statistic", "role"]
Matching = Literal["number", "nearest"]

COLUMNS = (
    "layer", "head", "b_layer", "b_head", "distance", "kind", "name", "a", "b", "change",
    "low", "high", "verdict",
)  # fmt: skip


@dataclass(frozen=True)
class Change:
    """A statistic, or the share of a role, in a head of A and in its partner in B; None: none.

    `low`, `high`: the 95 % interval of B minus A, for which both models are resampled alike; None
    below six documents. `holds_a`, `holds_b`: whether a role passes its test; None for statistics.
    """

    kind: Kind
    name: str
    a: float | None
    b: float | None
    low: float | None
    high: float | None
    holds_a: bool | None = None
    holds_b: bool | None = None

    @property
    def change(self) -> float | None:
        """B minus A."""
        return None if self.a is None or self.b is None else self.b - self.a

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def verdict(self) -> str | None:
        """Whether the head of B `gained` or `lost` the role: it passes its test in one alone."""
        if self.holds_a == self.holds_b:
            return None
        return "gained" if self.holds_b else "lost"

    def data(self) -> dict[str, Any]:
        """The change as JSON has it."""
        names = ("name", "a", "b", "change", "low", "high")
        verdict = {} if self.kind == "statistic" else {"verdict": self.verdict}
        return {name: getattr(self, name) for name in names} | verdict


@dataclass(frozen=True)
class MatchedHead:
    """A head of A and its partner in B, and how far their rows are apart, in bits.

    `distance` is None where no row could be compared.
    """

    a: HeadId
    b: HeadId
    distance: float | None
    changes: tuple[Change, ...]

    @property
    def gained(self) -> tuple[str, ...]:
        """The roles that the head has in B alone."""
        return tuple(change.name for change in self.changes if change.verdict == "gained")

    @property
    def lost(self) -> tuple[str, ...]:
        """The roles that the head has in A alone."""
        return tuple(change.name for change in self.changes if change.verdict == "lost")

    def of(self, kind: Kind) -> tuple[Change, ...]:
        """The changes of statistics, or of roles."""
        return tuple(change for change in self.changes if change.kind == kind)


@dataclass(frozen=True, eq=False)
class BetweenHeads:
    """Mean Jensen-Shannon distances in bits of all heads of A from all of B, over `rows` words.

    `apart`: words left out, since the models cut their texts into other words. `assigned`: places
    of heads of A and of B, each used once, so that the sum of distances is smallest.
    """

    matrix: Float[np.ndarray, "head other_head"]
    rows: int
    apart: int
    assigned: Int[np.ndarray, "two pair"]

    @cached_property
    def nearest(self) -> tuple[list[int], list[int]]:
        """For each head of A the place of the nearest of B, and for each of B that of A."""
        to_b, to_a = (
            largest(-matrix, NEAR_ZERO).tolist() for matrix in (self.matrix, self.matrix.T)
        )
        return to_b, to_a

    @property
    def mutual(self) -> list[tuple[int, int]]:
        """The places of heads of A and of B of which each is the nearest of the other."""
        to_b, to_a = self.nearest
        return [(a, b) for a, b in enumerate(to_b) if to_a[b] == a]


@dataclass(frozen=True)
class RoleCount:
    """How many heads have a role in A and in B, and how many partners gained or lost it."""

    name: str
    a: int
    b: int
    gained: int
    lost: int


@dataclass(frozen=True, eq=False)
class SurveyComparison(Shown):
    """What the heads of two models do over one corpus, and which are alike.

    `by`: heads of one number are partners ("number": the models have one shape), or heads that are
    each other's nearest, or the nearest to one that was chosen ("nearest"). `heads`: the partners,
    those furthest apart first, or of nearest ones the nearest first. `heads_a`, `heads_b`: all
    heads, in the order of `between`.
    `corpus`, `corpus_b`: how much of it A and B read. `attention`, `attention_b`: whose attention
    is looked at in A and in B. `counts`: how many heads have each role.
    """

    schema: ClassVar[str] = "attnviz.survey-comparison/1"
    columns: ClassVar[tuple[str, ...]] = COLUMNS
    unit: ClassVar[str] = "word"

    a: ModelFacts
    b: ModelFacts
    measure: MeasureName
    formula: str
    corpus: CorpusFacts
    corpus_b: CorpusFacts
    intervals: Intervals | None
    by: Matching
    heads: tuple[MatchedHead, ...]
    counts: tuple[RoleCount, ...]
    statistics: tuple[Statistic, ...]
    roles: tuple[Role, ...]
    heads_a: tuple[HeadId, ...]
    heads_b: tuple[HeadId, ...]
    between: BetweenHeads | None
    attention: AttentionKind = "encoder"
    attention_b: AttentionKind = "encoder"

    def __repr__(self) -> str:
        return f"<SurveyComparison of {self.a.title} and {self.b.title}: {len(self.heads)} heads>"

    @property
    def own_nearest(self) -> int:
        """How many partners are each other's nearest head."""
        if self.between is None:
            return 0
        mutual = {(self.heads_a[a], self.heads_b[b]) for a, b in self.between.mutual}
        return sum((head.a, head.b) in mutual for head in self.heads)

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.survey-comparison/1` object."""
        return {
            "schema": self.schema,
            "a": _side(self.a, self.attention, self.corpus),
            "b": _side(self.b, self.attention_b, self.corpus_b),
            "unit": self.unit,
            "measure": self.measure,
            "formula": self.formula,
            "intervals": None if self.intervals is None else self.intervals.data(),
            "matched_by": self.by,
            "statistics": [asdict(one) for one in self.statistics],
            "roles": [asdict(role) | asdict(count) for role, count in self._counted()],
            "heads": [_partners(head) for head in self.heads[:top]],
            "distances": None if self.between is None else self._distances(self.between),
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row for each two partners and each statistic and role."""
        for head in self.heads[:top]:
            for one in head.changes:
                names = (*head.a, *head.b, head.distance, one.kind, one.name)
                yield (*names, one.a, one.b, one.change, one.low, one.high, one.verdict)

    def _counted(self) -> Iterator[tuple[Role, RoleCount]]:
        return zip(self.roles, self.counts, strict=True)

    def _distances(self, between: BetweenHeads) -> dict[str, Any]:
        to_b, to_a = between.nearest
        a, b = self.heads_a, self.heads_b
        matrix = between.matrix
        return {
            "unit": "bits",
            "rows": between.rows,
            "rows_apart": between.apart,
            "matrix": matrix.astype(np.float32),
            "nearest": [
                {"a": _named(a[i]), "b": _named(b[j]), "distance": float(matrix[i, j])}
                for i, j in enumerate(to_b)
            ],
            "nearest_back": [
                {"b": _named(b[j]), "a": _named(a[i]), "distance": float(matrix[i, j])}
                for j, i in enumerate(to_a)
            ],
            "assigned": [
                {"a": _named(a[i]), "b": _named(b[j]), "distance": float(matrix[i, j])}
                for i, j in between.assigned.T.tolist()
            ],
        }


def _side(model: ModelFacts, attention: AttentionKind, corpus: CorpusFacts) -> dict[str, Any]:
    whose = {} if attention == "encoder" else {"attention": attention}
    return {"model": model.data(), **whose, "corpus": corpus.data()}


def _named(head: HeadId) -> dict[str, int | None]:
    return {"layer": head.layer, "head": head.head}


def _partners(head: MatchedHead) -> dict[str, Any]:
    return {
        "a": _named(head.a),
        "b": _named(head.b),
        "distance": head.distance,
        "gained": list(head.gained),
        "lost": list(head.lost),
        "statistics": [change.data() for change in head.of("statistic")],
        "roles": [change.data() for change in head.of("role")],
    }
