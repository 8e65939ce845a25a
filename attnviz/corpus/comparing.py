"""`attnviz compare --corpus`: two models over one corpus, as a Work and its answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from attnviz.answers.bootstrap import FEWEST, covered
from attnviz.answers.statistics import ROLES, STATISTICS
from attnviz.answers.survey import Survey, SurveyHead
from attnviz.answers.survey_comparison import (
    BetweenHeads,
    Change,
    Kind,
    MatchedHead,
    Matching,
    RoleCount,
    SurveyComparison,
)
from attnviz.attention.measures import MeasureName
from attnviz.attention.order import NEAR_ZERO, descending
from attnviz.corpus.document import Document
from attnviz.corpus.fold import Folded, Seen
from attnviz.corpus.kept import named, part_of
from attnviz.corpus.matching import Rows, between
from attnviz.corpus.statistics.heads import Drawn
from attnviz.corpus.survey import SurveyAccumulator, SurveyWork, survey
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, ModelFacts
from attnviz.model.model import Model
from attnviz.text.tokens import Tokens

Pair = tuple[HeadId, HeadId]
"""A head of A, and its partner in B."""


_ORDER: list[tuple[Kind, str]] = [
    *(("statistic", one.name) for one in STATISTICS),
    *(("role", one.name) for one in ROLES),
]
"""What is compared, in the order of a survey."""


@dataclass(frozen=True)
class ComparingWork:
    """Asks for a survey of each model, and for rows in which their heads can be compared."""

    survey: SurveyWork

    @property
    def measure(self) -> MeasureName:
        """The measure that is looked at."""
        return self.survey.measure

    @property
    def what(self) -> dict[str, Any]:
        """What is asked, in JSON."""
        return self.survey.what | {"question": "compare"}

    def accumulator(self, facts: ModelFacts) -> "Compared":
        """A new one, which has seen nothing."""
        return Compared(self.survey, facts)

    def tokens(self, model: Model, document: Document) -> list[Tokens]:
        """The text, or its windows."""
        return self.survey.tokens(model, document)


class Compared:
    """A survey of one model, and its heads' rows of some words."""

    def __init__(self, work: SurveyWork, facts: ModelFacts) -> None:
        self.survey = SurveyAccumulator(work, facts)
        self.rows = Rows(facts.num_layers * facts.num_heads)

    def add(self, seen: Seen) -> None:
        """Add a text."""
        self.survey.add(seen)
        self.rows.add(seen)

    def merge(self, other: "Compared") -> None:
        """Add what another has added up."""
        self.survey.merge(other.survey)
        self.rows.merge(other.rows)

    def state(self) -> dict[str, Any]:
        """All that it knows."""
        return named("survey", self.survey.state()) | named("rows", self.rows.state())

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.survey.restore(part_of("survey", state))
        self.rows.restore(part_of("rows", state))


class Side(NamedTuple):
    """One model's part of a comparison."""

    compared: Compared
    survey: Survey
    drawn: Mapping[tuple[Kind, str], Drawn]

    @classmethod
    def of(
        cls, work: ComparingWork, folded: Folded, facts: ModelFacts, files: Sequence[str]
    ) -> "Side":
        """From what was folded with one model."""
        compared = folded.accumulator
        if not isinstance(compared, Compared):
            raise TypeError(f"a comparison is made of Compared, and not of {type(compared)}")
        own = Folded(compared.survey, folded.tally)
        told = survey(work.survey, own, facts, files)
        return cls(compared, told, compared.survey.statistics.drawn())

    @property
    def heads(self) -> dict[HeadId, SurveyHead]:
        """Every head that was surveyed, in order."""
        return {one.head: one for one in self.survey.heads}

    def knows(self, kind: Kind, name: str) -> bool:
        """Whether a statistic was counted in the corpus, or a role tested."""
        if (kind, name) not in self.drawn:
            return False
        told = self.survey.statistics if kind == "statistic" else self.survey.roles
        if kind == "statistic" or all(one.name != name for one in told):
            return any(one.name == name for one in told)
        tests = (head.tests.get(name, {}) for head in self.survey.heads)
        return any(not np.isnan(test.get("p", 0.0)) for test in tests)

    def tests(self, kind: Kind, name: str, heads: Sequence[HeadId]) -> list[bool | None]:
        """Whether each head passes a role's test; None for statistics."""
        if kind == "statistic":
            return [None] * len(heads)
        every = self.heads
        return [_holds(every[head], name) for head in heads]


def comparison(
    work: ComparingWork, a: Side, b: Side, chosen: Sequence[HeadId] = ()
) -> SurveyComparison:
    """What the heads of B do otherwise than those of A, all or those `chosen` in A.

    RequestError if nothing was read, or the models see other words in every text.
    """
    for side in (a, b):
        if not side.survey.heads:
            raise RequestError(
                f"of the model {side.survey.model.title} there is nothing to compare: "
                f"{side.survey.nothing}",
                "give another corpus, or another model",
            )
    heads_a, heads_b = tuple(a.heads), tuple(b.heads)
    apart = _between(a, b)
    by, pairs = _pairs(heads_a, heads_b, apart, chosen)
    changes = list(_changes(a, b, pairs))
    matched = [
        MatchedHead(*pair, _distance(heads_a, heads_b, pair, apart), own)
        for pair, own in zip(pairs, zip(*changes, strict=True), strict=True)
    ]
    few = min(a.survey.corpus.documents, b.survey.corpus.documents) < FEWEST
    return SurveyComparison(
        a=a.survey.model,
        b=b.survey.model,
        measure=work.measure,
        formula=a.survey.formula,
        corpus=a.survey.corpus,
        corpus_b=b.survey.corpus,
        intervals=None if few else a.survey.intervals,
        by=by,
        heads=tuple(_in_order(matched, by)),
        counts=tuple(_counts(a, b, matched)),
        statistics=tuple(one for one in a.survey.statistics if one in b.survey.statistics),
        roles=a.survey.roles,
        heads_a=heads_a,
        heads_b=heads_b,
        between=apart,
        attention=a.survey.attention,
        attention_b=b.survey.attention,
    )


def _between(a: Side, b: Side) -> BetweenHeads | None:
    """How far the heads are apart; None if no text is short enough."""
    found = between(a.compared.rows, b.compared.rows)
    if not found.rows and found.apart:
        both = f"{a.survey.model.title} and {b.survey.model.title}"
        if a.survey.attention == b.survey.attention == "encoder":
            hint = "give models that read the texts whole, and take both for the same language"
        else:
            hint = "give both decoders the same texts, with --pair-column or --target"
        raise RequestError(f"{both} see other words in every text", hint)
    if not found.rows:
        return None
    return BetweenHeads(found.matrix, found.rows, found.apart, found.assigned())


def _pairs(
    a: tuple[HeadId, ...],
    b: tuple[HeadId, ...],
    apart: BetweenHeads | None,
    chosen: Sequence[HeadId],
) -> tuple[Matching, list[Pair]]:
    """Heads of one number if both models have the same ones; else those nearest to each other, or
    the nearest to each that is chosen.
    """
    if a == b:
        return "number", [(head, head) for head in a if not chosen or head in chosen]
    if apart is None:
        return "nearest", []
    places = enumerate(apart.nearest[0]) if chosen else apart.mutual
    pairs = [(a[one], b[other]) for one, other in places]
    return "nearest", [pair for pair in pairs if not chosen or pair[0] in chosen]


def _distance(
    a: tuple[HeadId, ...], b: tuple[HeadId, ...], pair: Pair, apart: BetweenHeads | None
) -> float | None:
    return None if apart is None else float(apart.matrix[a.index(pair[0]), b.index(pair[1])])


def _changes(a: Side, b: Side, pairs: Sequence[Pair]) -> Iterator[list[Change]]:
    """Each number of all partners, and its change with an interval."""
    places = [
        tuple(np.array([[head.layer, head.place] for head in side]).T)
        for side in zip(*pairs, strict=True)
    ]
    for kind, name in _ORDER:
        if not pairs or not (a.knows(kind, name) and b.knows(kind, name)):
            continue
        drawn = a.drawn[kind, name], b.drawn[kind, name]
        means = [one.mean[place] for one, place in zip(drawn, places, strict=True)]
        before, after = (
            one.resampled[(slice(None), *place)] for one, place in zip(drawn, places, strict=True)
        )
        texts = np.minimum(*(o.texts[p[0], 0] for o, p in zip(drawn, places, strict=True)))
        ends = covered(after - before, texts)
        heads = zip(*pairs, strict=True)
        holds = (side.tests(kind, name, own) for side, own in zip((a, b), heads, strict=True))
        numbers = (map(_number, own.tolist()) for own in (*means, *ends))
        yield [Change(kind, name, *own) for own in zip(*numbers, *holds, strict=True)]


def _holds(head: SurveyHead, name: str) -> bool:
    return bool(head.tests.get(name, {}).get("passed"))


def _number(number: float) -> float | None:
    return None if np.isnan(number) else float(number)


def _in_order(matched: Sequence[MatchedHead], by: Matching) -> list[MatchedHead]:
    """Those furthest apart first; of nearest heads the nearest first."""
    sizes = np.array([head.distance or 0.0 for head in matched])
    order = descending(sizes if by == "number" else -sizes, floor=NEAR_ZERO)
    return [matched[place] for place in order]


def _counts(a: Side, b: Side, matched: Sequence[MatchedHead]) -> Iterator[RoleCount]:
    """How many heads have each role, and how many partners gained or lost it."""
    for role in a.survey.roles:
        in_a, in_b = (sum(_holds(head, role.name) for head in side.survey.heads) for side in (a, b))
        gained = sum(role.name in head.gained for head in matched)
        lost = sum(role.name in head.lost for head in matched)
        yield RoleCount(role.name, in_a, in_b, gained, lost)
