"""The measures: what a number between two tokens can be. No numpy: the command line imports it."""

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
Heads = Sequence[int] | None  # Some heads of a layer by number, or all of them (None)

# from a layer's record, its number, heads and queries to (head, query, key)
OfHeads = Callable[["LayerRecord", int, Heads, slice], "np.ndarray"]

# from a function that gives a layer's record, and the number of layers, to a measure of layers
OfLayers = Callable[[Callable[[int], "LayerRecord"], int], "Mixed"]
NO_SHARES = "rows are not distributions"  # said of a measure whose rows do not sum to 1
WITH_SINK = "rows sum to 1 with the sink's share"  # of a model with a sink
SCORES = "q kᵀ / √d_k"
SOFTMAX = f"softmax({SCORES})"  # Vaswani et al. 2017, equation 1

# the formula of weights that come without queries and keys
GIVEN = "as the model's own code computes them"


def weights(record: "LayerRecord", layer: int, heads: Heads, queries: slice) -> "np.ndarray":
    """Attention weights as the model computed them, (head, query, key)."""
    return record.weights(layer, heads, queries)


def norms(record: "LayerRecord", layer: int, heads: Heads, queries: slice) -> "np.ndarray":
    """`||alpha * v W_O||` (Kobayashi et al. 2020, equation 4), (head, query, key).

    In units of the layer's output. v includes the bias of W_V; the bias of W_O belongs to no token.
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
    """What the numbers mean, as every output says it, and how they are computed."""

    name: MeasureName
    quantity: str  # what a colour bar calls one number
    formula: str
    source: str
    shares: bool  # rows sum to 1, with what goes to a sink if there are `sinks`
    sinks: bool = False
    of_heads: OfHeads = weights
    of_layers: OfLayers | None = None  # for a measure that mixes the heads of each layer

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
        """The measure with the formula of these layers: scale, soft cap, bias, sinks of any."""
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
    # A bias of 0 and minus infinity only masks, and is not named.
    dense = (record.bias for record in records if record.bias is not None)
    biased = any(((abs(bias) < inf) & (bias != 0)).any() for bias in dense)
    return " + bias" * (biased or any(record.distance_bias is not None for record in records))


def number(value: float) -> str:
    """A number in running text, with about two digits: `0.0043`, `0.68`, `37.5`, `412`."""
    if 0.01 <= value < 10 or value == 0:
        return f"{value:.2f}"
    return f"{value:.2g}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


_EVERY = (
    Measure("weights", "attention weight", SOFTMAX, "Vaswani et al. 2017", shares=True),
    Measure(
        "norm",
        "size of what arrives",
        f"‖α v W_O‖ with α = {SOFTMAX}",
        "Kobayashi et al. 2020",
        shares=False,
        of_heads=norms,
    ),
    Measure(
        "rollout",
        "attention rollout",
        "A · rollout of the layer below, with A = ½ (mean of heads + I)",
        "Abnar & Zuidema 2020",
        shares=True,
        of_layers=_rollout,
    ),
    Measure(
        "flow",
        "attention flow",
        "maximum flow down to the input, with capacities A = ½ (mean of heads + I)",
        "Abnar & Zuidema 2020",
        shares=False,
        of_layers=_flow,
    ),
)
MEASURES: dict[MeasureName, Measure] = {measure.name: measure for measure in _EVERY}
