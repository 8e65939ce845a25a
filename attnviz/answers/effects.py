"""What edits of heads change in what a model says: for some heads together, or each alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from attnviz.answers.answer import facts_of
from attnviz.attention.order import NEAR_ZERO, descending
from attnviz.inspection import Context, HeadId, Shown
from attnviz.inspection.ablated import Ablating
from attnviz.inspection.outcomes import Measured, OutcomeFacts

SCHEMA = "attnviz.ablate/1"

Verdict = Literal["helps", "hurts", "does not matter"]
"""What a head does to an outcome (Nam et al. 2025: facilitating, interfering, irrelevant): it helps
if the outcome is less without it."""

COLUMNS = ("ablated", "with", "outcome", "of", "against", "before", "value", "change", "best")


LEAST, LEAST_SHARE = 1e-3, 0.01
"""Of a smaller change, which is also a smaller part of what is measured, a head does not matter."""


def verdict_of(before: float, change: float) -> Verdict:
    """What heads do whose edit changes an outcome by this."""
    small = min(LEAST, LEAST_SHARE * max(abs(before), abs(before + change)))
    if abs(change) <= max(small, NEAR_ZERO):
        return "does not matter"
    return "helps" if change < 0 else "hurts"


@dataclass(frozen=True)
class Effect:
    """An outcome in the run as it is, and in the one with edits."""

    outcome: OutcomeFacts
    before: Measured
    after: Measured

    @property
    def change(self) -> float:
        """After minus before."""
        return self.after.value - self.before.value

    @property
    def verdict(self) -> Verdict | None:
        """What the heads do; None of states, which move and are no better for that."""
        return None if self.outcome.name == "states" else verdict_of(self.before.value, self.change)

    def data(self) -> dict[str, Any]:
        """The fields of JSON."""
        best = self.before.best, self.after.best
        return {
            "outcome": self.outcome.data(),
            "before": self.before.value,
            "after": self.after.value,
            "change": self.change,
            **({} if best[0] is None else {"best": {"before": best[0], "after": best[1]}}),
        }

    def cells(self, heads: str, how: Ablating) -> tuple[Any, ...]:
        """The row of these heads, as of `COLUMNS`."""
        facts = self.outcome
        named = facts.name, facts.of, facts.against
        numbers = self.before.value, self.after.value, self.change
        return (heads, how.replacement, *named, *numbers, self.after.best)


@dataclass(frozen=True)
class HeadOutcome:
    """What one head's edit alone changes; `rank` counts from 1, the largest change first."""

    head: HeadId
    rank: int
    effect: Effect


@dataclass(frozen=True)
class EachOutcome(Shown):
    """Every head of the model, edited alone, the largest change of the outcome first."""

    schema: ClassVar[str] = SCHEMA
    columns: ClassVar[tuple[str, ...]] = COLUMNS

    context: Context = field(compare=False)
    how: Ablating
    outcome: OutcomeFacts
    before: Measured
    heads: tuple[HeadOutcome, ...]

    def __repr__(self) -> str:
        return f"<EachOutcome of {self.context.text.text!r}: {self.outcome.name}>"

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.ablate/1` object."""
        outcome = self.outcome.data()
        best = {} if self.before.best is None else {"best": self.before.best}
        return ablation_facts(self.context, self.how, self.outcome.formula) | {
            "outcome": outcome,
            "before": self.before.value,
            **best,
            "query": outcome["token"] if self.outcome.name in ("mask", "label") else None,
            "each": [
                {
                    "layer": one.head.layer,
                    "head": one.head.head,
                    "rank": one.rank,
                    "distance": None,
                    "value": one.effect.after.value,
                    "change": one.effect.change,
                    **({"best": one.effect.after.best} if best else {}),
                }
                for one in self.heads[:top]
            ],
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a head, the largest change first."""
        for one in self.heads[:top]:
            yield one.effect.cells(str(one.head), self.how)


def rank_outcomes(
    context: Context,
    how: Ablating,
    outcome: OutcomeFacts,
    before: Measured,
    found: Iterable[tuple[HeadId, Measured]],
) -> EachOutcome:
    """Rank heads, each edited alone, by how much the outcome changes."""
    effects = [(head, Effect(outcome, before, after)) for head, after in sorted(found)]
    sizes = np.array([abs(effect.change) for _, effect in effects])
    ranked = tuple(
        HeadOutcome(effects[place][0], rank, effects[place][1])
        for rank, place in enumerate(descending(sizes, floor=NEAR_ZERO).tolist(), start=1)
    )
    return EachOutcome(context, how, outcome, before, ranked)


def ablation_facts(context: Context, how: Ablating, formula: str) -> dict[str, Any]:
    """What `attnviz.ablate/1` begins with."""
    facts = facts_of(context, SCHEMA)
    tokens = facts.pop("tokens")
    del facts["measure"]
    edit = {"with": how.replacement, "edit": how.data()}
    return facts | {"formula": formula, **edit, "tokens": tokens}
