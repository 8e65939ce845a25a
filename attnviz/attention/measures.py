"""What a number between two tokens can measure: the weight itself, and what lies beyond it.

A measure turns the records of a model's layers into matrices between pieces, (query, key), for each
head or, where heads are mixed, for each layer. Here are the facts of each; `matrices.py` computes.
How pieces become words is the same for all of them; see `attnviz.inspection.View`.
"""

from dataclasses import dataclass
from typing import Literal

MeasureName = Literal["weights", "norm", "rollout", "flow"]

NO_SHARES = "rows are not distributions"
"""What outputs say of a measure whose rows do not sum to 1."""

WITH_SINK = "rows sum to 1 with the sink's share"
"""What they say where a model has a sink, which takes a part of every row."""

SCORES = "q kᵀ / √d_k"
SOFTMAX = f"softmax({SCORES})"
"""The weights of Vaswani et al. 2017, equation 1."""


@dataclass(frozen=True)
class Measure:
    """What the numbers mean, as every output names it.

    `quantity` is what a colour bar calls one number. `per_head`: whether each head has a matrix, or
    only each layer. `shares`: whether rows are distributions, which sum to 1; together with what
    goes to a sink where a model has `sinks`.
    """

    name: MeasureName
    quantity: str
    formula: str
    source: str
    per_head: bool
    shares: bool
    sinks: bool = False

    def __str__(self) -> str:
        rows = self.caveat or "rows sum to 1"
        return f"{self.name}: {self.formula} ({self.source}); {rows}"

    @property
    def caveat(self) -> str:
        """What must be known of rows that do not sum to 1; nothing of those that do."""
        if not self.shares:
            return NO_SHARES
        return WITH_SINK if self.sinks else ""

    @property
    def told(self) -> str:
        """What data says: the formula, and what rows are not."""
        return f"{self.formula}; {self.caveat}" if self.caveat else self.formula

    @property
    def line(self) -> str:
        """What stands above a table: the same, behind the measure's name."""
        return f"{self.name}: {self.told}"

    def number(self, value: float) -> str:
        """One of the measure's numbers in running text: `0.68`, and beyond shares `37.5`."""
        return f"{value:.2f}" if self.shares else number(value)

    @property
    def noun(self) -> str:
        """What tokens give and take, as in "39% of its attention"."""
        return "attention" if self.name == "weights" else self.name


def number(value: float) -> str:
    """A number in running text, with about two digits: `0.0043`, `0.68`, `37.5`, `412`."""
    if 0.01 <= value < 10 or value == 0:
        return f"{value:.2f}"
    return f"{value:.2g}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


MEASURES: dict[MeasureName, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            name="weights",
            quantity="attention weight",
            formula=SOFTMAX,
            source="Vaswani et al. 2017",
            per_head=True,
            shares=True,
        ),
        Measure(
            name="norm",
            quantity="size of what arrives",
            formula=f"‖α v W_O‖ with α = {SOFTMAX}",
            source="Kobayashi et al. 2020",
            per_head=True,
            shares=False,
        ),
        Measure(
            name="rollout",
            quantity="attention rollout",
            formula="A · rollout of the layer below, with A = ½ (mean of heads + I)",
            source="Abnar & Zuidema 2020",
            per_head=False,
            shares=True,
        ),
        Measure(
            name="flow",
            quantity="attention flow",
            formula="maximum flow down to the input, with capacities A = ½ (mean of heads + I)",
            source="Abnar & Zuidema 2020",
            per_head=False,
            shares=False,
        ),
    )
}
"""The measures there are, by their names."""
