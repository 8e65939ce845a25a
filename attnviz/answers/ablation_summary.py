"""Which heads help, which hurt, and which do not matter: an outcome over many sentences."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from attnviz.answers.answer import attention_facts
from attnviz.answers.bootstrap import EXPANDED, FEWEST, RESAMPLES
from attnviz.answers.corpus import Estimate, Intervals
from attnviz.answers.effects import LEAST, LEAST_SHARE, Verdict
from attnviz.inspection import Context, HeadId, Shown
from attnviz.inspection.ablated import Ablating
from attnviz.inspection.outcomes import OutcomeFacts

LEVEL = 0.05
"""The probability with which any head at all gets a verdict by chance, at most."""

TESTED = (
    "a head helps, or hurts, if the 95 % interval of the mean change leaves 0 out, and a two-sided "
    f"t test over sentences says so at {LEVEL}, corrected for the number of heads (Holm 1979); and "
    f"if the change is {LEAST:g} or more, or {LEAST_SHARE:.0%} of what is measured"
)
INTERVALS = Intervals(f"bootstrap over sentences (Efron 1979), {EXPANDED}", RESAMPLES)


class Accuracy(NamedTuple):
    """The share of labelled sentences in which the label is likeliest, with and without heads."""

    before: float
    after: float


@dataclass(frozen=True)
class HeadSummary:
    """What the edit of one head, or of several together, changes on average.

    `p`: of the t test, corrected; `verdict`: None of fewer than six sentences, and of states.
    """

    heads: tuple[HeadId, ...]
    rank: int
    change: Estimate
    p: float | None
    verdict: Verdict | None
    accuracy: Accuracy | None

    @property
    def head(self) -> HeadId:
        """The head; of several together, what they have in common: the layer, if they have one."""
        layer = self.heads[0].layer
        return self.heads[0] if len(self.heads) == 1 else HeadId(layer, None)

    @property
    def place(self) -> tuple[int | None, int | None]:
        """Layer and head, as rows and JSON have them; None for several."""
        layers = {head.layer for head in self.heads}
        layer = self.head.layer if len(layers) == 1 else None
        return layer, self.head.head

    def data(self) -> dict[str, Any]:
        """The object in JSON."""
        layer, head = self.place
        several = [{"layer": one.layer, "head": one.head} for one in self.heads]
        return {
            "layer": layer,
            "head": head,
            **({"together": several} if len(several) > 1 else {}),
            "rank": self.rank,
            "change": self.change.data(),
            "p": self.p,
            "verdict": self.verdict,
            "accuracy": None if self.accuracy is None else self.accuracy._asdict(),
        }


@dataclass(frozen=True, eq=False)
class AblationSummary(Shown):
    """Heads over many sentences, the largest mean change first.

    `context`: of the first sentence. `outcome`: what all have in common. `before`: the mean
    outcome of the runs as they are. `labelled`: how many sentences say what is right.
    """

    schema: ClassVar[str] = "attnviz.ablate_corpus/1"
    columns: ClassVar[tuple[str, ...]] = (
        "layer", "head", "rank", "outcome", "with", "before", "change", "low", "high", "p",
        "verdict", "accuracy_before", "accuracy_after", "sentences",
    )  # fmt: skip

    context: Context
    how: Ablating
    outcome: OutcomeFacts
    before: float
    heads: tuple[HeadSummary, ...]
    sentences: int
    labelled: int
    left_out: int

    def __repr__(self) -> str:
        return f"<AblationSummary of {self.sentences} sentences: {self.outcome.name}>"

    @property
    def has_intervals(self) -> bool:
        """Whether there are enough sentences."""
        return self.sentences >= FEWEST

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.ablate_corpus/1` object."""
        rows = self.how.rows
        words = rows and [row.text for row in rows]
        return {
            "schema": self.schema,
            "model": self.context.model.data(),
            "unit": self.context.unit,
            **attention_facts(self.context),
            "formula": self.outcome.formula,
            "with": self.how.replacement,
            "edit": self.how.data() | {"rows": words},
            "outcome": self.outcome.data(),
            "before": self.before,
            "sentences": self.sentences,
            "labelled": self.labelled,
            "left_out": self.left_out,
            "intervals": INTERVALS.data() if self.has_intervals else None,
            "tested": TESTED if self.heads[0].verdict is not None else None,
            "heads": [one.data() for one in self.heads[:top]],
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a head, the largest mean change first."""
        for one in self.heads[:top]:
            facts = self.outcome.name, self.how.replacement, self.before
            accuracy = one.accuracy or (None, None)
            found = (*one.change, one.p, one.verdict, *accuracy)
            yield (*one.place, one.rank, *facts, *found, self.sentences)
