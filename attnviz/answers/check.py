"""Can these numbers be trusted? A line for each thing that must hold of a model's numbers.

A line compares numbers that were computed in two ways. It passes if the largest difference is
within the limit, and says "not applicable" if there is nothing to compare in such a model. It fails
if transformers cannot give what is to be compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from attnviz.answers.judges import CHECKS, Judge, NothingToCompare, Seen
from attnviz.attention.request import AttentionKind
from attnviz.errors import AttnvizError
from attnviz.inspection import ModelFacts, Shown
from attnviz.inspection.evidence import Evidence

Result = Literal["passed", "failed", "not applicable"]

LIMITS = {"float32": 1e-5, "float16": 1e-2, "bfloat16": 0.1}
"""The largest difference that rounding explains, by what the model computes in.

Of vectors, differences are divided by the largest number, or by 1 if that is smaller.
"""
ROUNDINGS, COARSEST = 4, 1e-3
"""The limit is at least so many times what the model's own rounding does, up to COARSEST."""


@dataclass(frozen=True)
class Line:
    """One thing that must hold: whether it does, the largest difference seen, and where."""

    check: str
    what: str
    result: Result
    largest: float | None  # None if nothing was compared, or something is not a number
    limit: float
    where: str  # of the largest difference; empty if there is none
    told: str  # what was compared, or why it failed, or why it does not apply


@dataclass(frozen=True)
class Check(Shown):
    """What was checked of a model's numbers, a line each."""

    schema: ClassVar[str] = "attnviz.check/1"
    columns: ClassVar[tuple[str, ...]] = (
        "check", "result", "largest", "limit", "where", "told",
    )  # fmt: skip

    model: ModelFacts
    attention: AttentionKind
    sentences: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the checks that failed."""
        return tuple(line.check for line in self.lines if line.result == "failed")

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.check/1` object; `top`: how many lines it has."""
        return {
            "schema": self.schema,
            "model": self.model.data(),
            "attention": self.attention,
            "passed": not self.failed,
            "sentences": self.sentences,
            "checks": [
                {"check": line.check, "what": line.what, "result": line.result}
                | {name: getattr(line, name) for name in self.columns[2:]}
                for line in self.lines[:top]
            ],
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a check."""
        return (tuple(getattr(line, name) for name in self.columns) for line in self.lines[:top])


def check(evidence: Evidence) -> Check:
    """Judge what a model gave for the built-in sentences."""
    pairs = ((source.text, source.pair) for source in evidence.sources)
    sentences = tuple(" | ".join(filter(None, pair)) for pair in pairs)
    rounding = min(COARSEST, ROUNDINGS * evidence.rounding)
    limit, exact = (max(LIMITS[dtype], rounding) for dtype in (evidence.model.dtype, "float32"))
    lines = tuple(_line(evidence, Seen(limit, exact), *facts) for facts in CHECKS.items())
    return Check(evidence.model, evidence.attention, sentences, lines)


def _line(evidence: Evidence, seen: Seen, name: str, checked: tuple[str, Judge]) -> Line:
    what, judge = checked
    try:
        told = judge(evidence, seen)
    except NothingToCompare as reason:
        return Line(name, what, "not applicable", None, seen.limit, "", str(reason))
    except AttnvizError as error:
        return Line(name, what, "failed", None, seen.limit, "", error.message)
    if seen.largest is None:
        return Line(name, what, "not applicable", None, seen.limit, "", told)
    result: Result = "passed" if seen.largest <= seen.limit else "failed"
    largest = seen.largest if np.isfinite(seen.largest) else None
    return Line(name, what, result, largest, seen.limit, seen.where, told)
