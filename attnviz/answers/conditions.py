"""Conditions on what a probe found, as in `nsubj < 0.5`, for --fail-if."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from attnviz.answers.probe import BASELINES, Probe, Relation
from attnviz.errors import RequestError, listed

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
QUANTITIES = ("accuracy", "held_out", "margin")

HOW = (
    "write RELATION [DIRECTION] [accuracy|held_out|margin] [- BASELINE] < NUMBER, as in "
    "'nsubj < 0.5' or 'nsubj held_out - offset < 0.1'"
)
_FORM = re.compile(
    rf"""
    \s* (?: "(?P<quoted>[^"]+)" | (?P<name>[^"<>=]+?) )
    (?: \s+ (?P<direction> [^\s<>]+->[^\s<>]+ ) )?
    (?: \s+ (?P<quantity> {"|".join(QUANTITIES)} ) )?
    (?: \s+ - \s+ (?P<baseline> \w+ ) )?
    \s* (?P<comparison> {"|".join(COMPARISONS)} )
    \s* (?P<number> -?[0-9]*\.?[0-9]+ ) (?P<percent> \s*% )? \s*
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Condition:
    """What to compare with which number."""

    text: str
    relation: str
    direction: str | None
    quantity: str
    baseline: str | None
    comparison: str
    number: float

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read a condition; RequestError if it is none."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise RequestError(f"--fail-if {text!r} is not a condition", HOW)
        baseline, quantity = found["baseline"], found["quantity"] or "accuracy"
        if baseline is not None and baseline not in BASELINES:
            raise RequestError(
                f"--fail-if {text!r} names no baseline", f"there are {', '.join(BASELINES)}"
            )
        if quantity == "margin" and baseline is not None:
            raise RequestError(
                f"--fail-if {text!r} takes a baseline from margin, which is over the best already",
                "leave one of the two out",
            )
        if found["direction"] is not None and quantity != "accuracy":
            raise RequestError(
                f"--fail-if {text!r} names a direction, and {quantity} chooses it on one half",
                "leave one of the two out",
            )
        number = float(found["number"]) / (100 if found["percent"] else 1)
        if abs(number) > 1:
            raise RequestError(
                f"--fail-if {text!r} compares a share, at most 1, with {found['number']}"
                f"{'%' if found['percent'] else ''}",
                "write 0.5 or 50%",
            )
        return cls(
            text=" ".join(text.split()),
            relation=found["quoted"] or found["name"].strip(),
            direction=found["direction"],
            quantity=quantity,
            baseline=baseline,
            comparison=found["comparison"],
            number=number,
        )

    def value(self, probe: Probe) -> float:
        """The number that is compared; RequestError if the probe does not have it."""
        relation = probe.relation(self.relation)
        if relation is None:
            names = [one.name for one in probe.relations]
            near = get_close_matches(re.split(r"[:\s]", self.relation)[0], names, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise RequestError(
                f"there is no {self.relation} of --fail-if {self.text!r} in these files",
                f"{hint}there are {listed(names, 12)}" if names else "there is no link in them",
            )
        value = self._of(relation)
        if value is None:
            raise RequestError(
                f"--fail-if {self.text!r} cannot be told: {self.relation} has no such number here",
                "give more sentences" if self.baseline is None else "name another baseline",
            )
        return value

    def _of(self, relation: Relation) -> float | None:
        asked = next(
            (one for one in relation.directions if self.direction in (None, one.name)), None
        )
        if asked is None:
            raise RequestError(
                f"--fail-if {self.text!r} names no direction of {self.relation}",
                f"there are {', '.join(one.name for one in relation.directions)}",
            )
        held, number = relation.held_out, float(asked.accuracy.max())
        if self.quantity != "accuracy":
            estimate = None if held is None else getattr(held, _HELD[self.quantity])
            if estimate is None or estimate.mean is None:
                return None
            number = estimate.mean
        if self.baseline is None:
            return number
        baseline = asked.baselines.get(self.baseline)
        mean = None if baseline is None else baseline.accuracy.mean
        return None if mean is None else number - mean

    def holds(self, probe: Probe) -> bool:
        """Whether it does."""
        return COMPARISONS[self.comparison](self.value(probe), self.number)

    def told(self, probe: Probe) -> str:
        """That it holds, and what was found."""
        what = self.quantity if self.baseline is None else f"{self.quantity} - {self.baseline}"
        return f"{self.text} holds: {what} is {self.value(probe):.3f}"


_HELD = {"held_out": "accuracy", "margin": "margin"}


def judged(probe: Probe, conditions: Sequence[Condition]) -> Probe:
    """The answer with the conditions that hold; those that name what is not there are no such."""
    failed = []
    for condition in conditions:
        try:
            if condition.holds(probe):
                failed.append(condition.text)
        except RequestError:
            continue
    return replace(probe, failed=tuple(failed))
