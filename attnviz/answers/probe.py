"""Which head finds a relation, how often, and how often one would without looking at the words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from attnviz.answers.corpus import CorpusFacts, Estimate, Intervals, plain
from attnviz.attention.measures import MeasureName
from attnviz.attention.order import descending
from attnviz.attention.shapes import Float
from attnviz.inspection import HeadId, ModelFacts, Shown

Kind = Literal["conllu", "coref", "align", "links"]

BASELINES: dict[str, str] = {
    "offset": "the word so many places on, by the distance that is right most often",
    "same_key": "the word to which the same head's other queries give most",
    "nearest": "the nearest word before, after, or on either side, whichever is right most often",
    "nearest_pos": "likewise, the nearest of the right word's part of speech",
    "head_match": "the nearest earlier mention whose head is the same word",
    "diagonal": "the word as far on in the source as the other in the target",
    "first": "the first word",
    "random": "any word",
}
"""What one would answer without the head's row; punctuation and the query itself are left out.

So are keys that no head may look at, as in causal models those after the query; not by `offset`.
"""

INFORMED = ("nearest_pos",)
"""Baselines that know something of the right word, so that a head need not be better."""


class Trial(NamedTuple):
    """A head, asked in a direction: from which of a link's two words it looks at the other."""

    head: HeadId
    direction: str

    def data(self) -> dict[str, Any]:
        """Both in JSON."""
        return {"layer": self.head.layer, "head": self.head.head, "direction": self.direction}


@dataclass(frozen=True)
class Baseline:
    """How often a baseline is right; `how`: its offset, or its side, if that was chosen."""

    accuracy: Estimate
    how: Mapping[str, Any] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        """The baseline in JSON."""
        return {**self.accuracy.data("accuracy"), **plain(self.how)}


@dataclass(frozen=True, eq=False)
class Direction:
    """A relation asked in one direction: what every head finds of it.

    `count`: links; `documents`: those that have one. `accuracy`, `low`, `high`, `same_key` (what
    the head's other queries find): by head, NaN for what there is not.
    """

    name: str  # as in `dependent->head`
    count: int
    documents: int
    accuracy: Float[np.ndarray, "head"]
    low: Float[np.ndarray, "head"]
    high: Float[np.ndarray, "head"]
    same_key: Float[np.ndarray, "head"]
    baselines: Mapping[str, Baseline]  # `same_key` is the best head's


@dataclass(frozen=True)
class HeldOut:
    """Heads chosen on one half of the documents and scored on the other, both ways.

    `trials`: which were chosen, and of how many links each was asked. `margin`: how much more of
    them it finds than the baseline `over`, the best that knows nothing of the right word.
    """

    accuracy: Estimate
    trials: tuple[tuple[Trial, int], ...]
    over: str
    margin: Estimate

    def data(self) -> dict[str, Any]:
        """The halves in JSON."""
        heads = [trial.data() | {"count": count} for trial, count in self.trials]
        margin = {"over": self.over, **self.margin.data("accuracy")}
        return {**self.accuracy.data("accuracy"), "heads": heads, "margin": margin}


@dataclass(frozen=True, eq=False)
class Relation:
    """One relation: its best head, in the direction that suits it, beside the baselines.

    `more`: what this kind of probe says beside that, in JSON.
    """

    name: str
    heads: tuple[HeadId, ...]
    directions: tuple[Direction, ...]  # the best head's first
    held_out: HeldOut | None  # None where a half has no link
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> Direction:
        """The direction of the best head."""
        return self.directions[0]

    @cached_property
    def best(self) -> Trial:
        """The head that finds most, and in which direction."""
        return self.ranked(1)[0][0]

    @property
    def accuracy(self) -> Estimate:
        """How much the best head finds."""
        return self.ranked(1)[0][1]

    @property
    def beats(self) -> bool:
        """Whether heads chosen on other documents surely find more than the best baseline."""
        margin = None if self.held_out is None else self.held_out.margin.low
        return margin is not None and margin > 0

    def ranked(self, top: int | None = None) -> list[tuple[Trial, Estimate]]:
        """The best `top` of all heads, or all, in both directions; of equals the first head."""
        every = np.concatenate([one.accuracy for one in self.directions])
        found = []
        for place in descending(every, len(every) if top is None else min(top, len(every))):
            which, head = divmod(int(place), len(self.heads))
            one = self.directions[which]
            numbers = one.accuracy[head], one.low[head], one.high[head]
            found.append((Trial(self.heads[head], one.name), Estimate.of(*map(float, numbers))))
        return found

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The relation in JSON, with its `top` best heads, or all."""
        asked = self.asked
        ranked = self.ranked(top)
        return {
            "name": self.name,
            "direction": asked.name,
            "count": asked.count,
            "documents": asked.documents,
            "best": self.best.data() | self.accuracy.data("accuracy"),
            "held_out": None if self.held_out is None else self.held_out.data(),
            "baselines": {name: one.data() for name, one in asked.baselines.items()},
            **plain(self.more),
            "heads": [trial.data() | {"accuracy": number.mean} for trial, number in ranked],
        }


@dataclass(frozen=True, eq=False)
class Probe(Shown):
    """Relations over a corpus, the most frequent first, and which heads find them.

    `intervals`: None below six documents. `failed`: the conditions of --fail-if that hold.
    """

    schema: ClassVar[str] = "attnviz.probe/1"
    unit: ClassVar[str] = "word"
    columns: ClassVar[tuple[str, ...]] = (
        "relation",
        "direction",
        "layer",
        "head",
        "count",
        "accuracy",
        "low",
        "high",
        *BASELINES,
    )

    kind: Kind
    model: ModelFacts
    measure: MeasureName
    formula: str
    corpus: CorpusFacts
    intervals: Intervals | None
    heads: tuple[HeadId, ...]
    relations: tuple[Relation, ...]
    failed: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)  # what this kind says beside that

    @property
    def directions(self) -> list[str]:
        """All directions that were asked."""
        return sorted({one.name for relation in self.relations for one in relation.directions})

    def relation(self, name: str) -> Relation | None:
        """The relation of that name; None if there is none."""
        return next((one for one in self.relations if one.name == name), None)

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The object `attnviz.probe/1`; `top` limits each relation's heads."""
        return {
            "schema": self.schema,
            "kind": self.kind,
            "model": self.model.data(),
            "unit": self.unit,
            "measure": self.measure,
            "formula": self.formula,
            "corpus": self.corpus.data(),
            "intervals": None if self.intervals is None else self.intervals.data(),
            "tried": {"heads": len(self.heads), "directions": len(self.directions)},
            "relations": [relation.data(top) for relation in self.relations],
            **plain(self.more),
            "failed": list(self.failed),
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a relation, direction and head, the best first; `top` of each relation."""
        for relation in self.relations:
            places = {head: place for place, head in enumerate(relation.heads)}
            directions = {one.name: one for one in relation.directions}
            for trial, number in relation.ranked(top):
                asked = directions[trial.direction]
                shared = _accuracies(asked.baselines, float(asked.same_key[places[trial.head]]))
                yield (relation.name, trial.direction, *trial.head, asked.count, *number, *shared)


def _accuracies(baselines: Mapping[str, Baseline], same_key: float) -> Sequence[float | None]:
    """What the baselines find, in the order of their columns; `same_key`: of this row's head."""
    found = {name: one.accuracy.mean for name, one in baselines.items()} | {"same_key": same_key}
    return [found.get(name) for name in BASELINES]
