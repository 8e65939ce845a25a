"""The measures: what the number between two tokens can be.

MEASURES has one whole entry for each. No numpy is imported here, so that the command line can name
the measures without it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, isclose, sqrt
from typing import TYPE_CHECKING, Literal

from attnviz.errors import AttnvizError

if TYPE_CHECKING:
    import numpy as np

    from attnviz.attention.layer import LayerRecord
    from attnviz.attention.rollout import Mixed

MeasureName = Literal["weights", "norm", "rollout", "flow"]

Heads = Sequence[int] | None
"""Some heads of a layer by number, or all of them (None)."""

OfHeads = Callable[["LayerRecord", int, Heads, slice], "np.ndarray"]
"""From a layer's record, its number, heads and queries to numbers between pieces,
(head, query, key)."""

OfLayers = Callable[[Callable[[int], "LayerRecord"], int], "Mixed"]
"""From a function that gives a layer's record, and the number of layers, to a measure of layers."""

NO_SHARES = "rows are not distributions"
"""What outputs say of a measure whose rows do not sum to 1."""

WITH_SINK = "rows sum to 1 with the sink's share"
"""What outputs say where the model has a sink, which takes a part of every row."""

SCORES = "q kᵀ / √d_k"
SOFTMAX = f"softmax({SCORES})"
"""The weights of Vaswani et al. 2017, equation 1."""

GIVEN = "as the model's own code computes them"
"""What replaces the formula of weights that the model gives without queries and keys."""


def weights(record: "LayerRecord", layer: int, heads: Heads, queries: slice) -> "np.ndarray":
    """Attention weights as the model computed them, (head, query, key)."""
    return record.weights(layer, heads, queries)


def norms(record: "LayerRecord", layer: int, heads: Heads, queries: slice) -> "np.ndarray":
    """`||alpha * v W_O||`, (head, query, key), in the units of the layer's output.

    Kobayashi et al. 2020, equation 4: a head's output is the sum of its values v, each times its
    weight alpha, multiplied by the head's rows of W_O. A large weight on a small value brings
    little. v includes the bias of W_V; the bias of W_O belongs to no token and is left out.
    """
    if record.value_norms is None:
        record.check_more_than_weights()
        raise AttnvizError(
            "the norm measure needs the lengths of v W_O, and this inspection does not have them",
            "run the text again, or take --measure weights; models that do more to the output of a "
            "head than multiply it by W_O have no such lengths",
        )
    numbers = record.weights(layer, heads, queries)
    numbers *= record.value_norms[slice(None) if heads is None else list(heads), None]
    return numbers


def _rollout(record_of: Callable[[int], "LayerRecord"], num_layers: int) -> "Mixed":
    from attnviz.attention.rollout import Rollout

    return Rollout(record_of, num_layers)


def _flow(record_of: Callable[[int], "LayerRecord"], num_layers: int) -> "Mixed":
    from attnviz.attention.rollout import Flow

    return Flow(record_of, num_layers)


@dataclass(frozen=True)
class Measure:
    """What the numbers mean, as every output says it, and how they are computed.

    quantity: what a colour bar calls one number. shares: rows sum to 1, together with what goes to
    a sink if the model has `sinks`. of_heads: computes a measure of heads. of_layers: starts a
    measure that mixes the heads of each layer; None otherwise.
    """

    name: MeasureName
    quantity: str
    formula: str
    source: str
    shares: bool
    sinks: bool = False
    of_heads: OfHeads = weights
    of_layers: OfLayers | None = None

    def __str__(self) -> str:
        rows = self.caveat or "rows sum to 1"
        return f"{self.name}: {self.formula} ({self.source}); {rows}"

    @property
    def per_head(self) -> bool:
        """Whether each head has a matrix; otherwise each layer has one."""
        return self.of_layers is None

    @property
    def caveat(self) -> str:
        """A warning about rows that do not sum to 1; empty if they do."""
        if not self.shares:
            return NO_SHARES
        return WITH_SINK if self.sinks else ""

    @property
    def description(self) -> str:
        """The formula and the caveat, as data has it."""
        return f"{self.formula}; {self.caveat}" if self.caveat else self.formula

    @property
    def line(self) -> str:
        """The measure's name, formula and caveat, as the line above a table."""
        return f"{self.name}: {self.description}"

    def number(self, value: float) -> str:
        """One of the measure's numbers in running text: a share as `0.68`, others as `37.5`."""
        return f"{value:.2f}" if self.shares else number(value)

    @property
    def noun(self) -> str:
        """What tokens give and take, as in "39% of its attention"."""
        return "attention" if self.name == "weights" else self.name

    def adapted(self, records: Sequence["LayerRecord"]) -> "Measure":
        """The measure with the formula of these layers: their scale, soft cap, bias and sinks.

        A term that only some layers have is named too.
        """
        sinks = any(record.sinks is not None for record in records)
        if any(record.recorded_weights is not None for record in records):
            softmax = GIVEN
        else:
            scores = _capped(records, _scaled(records)) + _bias(records)
            softmax = f"softmax([{scores}, sink])" if sinks else f"softmax({scores})"
        return replace(self, formula=self.formula.replace(SOFTMAX, softmax), sinks=sinks)


def _scaled(records: Sequence["LayerRecord"]) -> str:
    scales = {record.scale for record in records}
    usual = {1 / sqrt(record.q.shape[-1]) for record in records if record.q is not None}
    if len(usual) == 1 and all(isclose(scale, min(usual), rel_tol=1e-5) for scale in scales):
        return SCORES
    if scales == {1.0}:
        return "q kᵀ"
    return f"{min(scales):.4g} · q kᵀ" if len(scales) == 1 else "scale · q kᵀ"


def _capped(records: Sequence["LayerRecord"], scores: str) -> str:
    caps = {record.softcap for record in records if record.softcap is not None}
    if not caps:
        return scores
    cap = f"{min(caps):g}" if len(caps) == 1 else "cap"
    return f"{cap} · tanh({scores} / {cap})"


def _bias(records: Sequence["LayerRecord"]) -> str:
    for record in records:
        bias = record.bias
        # A bias of 0 and minus infinity only masks, and is not named.
        if record.distance_bias is not None or (
            bias is not None and ((abs(bias) < inf) & (bias != 0)).any()
        ):
            return " + bias"
    return ""


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
            shares=True,
        ),
        Measure(
            name="norm",
            quantity="size of what arrives",
            formula=f"‖α v W_O‖ with α = {SOFTMAX}",
            source="Kobayashi et al. 2020",
            shares=False,
            of_heads=norms,
        ),
        Measure(
            name="rollout",
            quantity="attention rollout",
            formula="A · rollout of the layer below, with A = ½ (mean of heads + I)",
            source="Abnar & Zuidema 2020",
            shares=True,
            of_layers=_rollout,
        ),
        Measure(
            name="flow",
            quantity="attention flow",
            formula="maximum flow down to the input, with capacities A = ½ (mean of heads + I)",
            source="Abnar & Zuidema 2020",
            shares=False,
            of_layers=_flow,
        ),
    )
}
"""The measures by name."""
