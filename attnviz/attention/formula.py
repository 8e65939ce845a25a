"""A measure's formula as a model's own attention has it: with its bias, soft cap and sink."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attnviz.attention.layer import LayerRecord
from attnviz.attention.measures import SCORES, SOFTMAX, Measure

GIVEN = "as the model's own code computes them"
"""What stands in place of a formula where a model gives its weights alone."""


def measured(measure: Measure, records: Sequence[LayerRecord]) -> Measure:
    """The measure as these layers' attention has it; as it is, where they have nothing beside.

    What some of the layers have is named for all of them.
    """
    sinks = any(record.sinks is not None for record in records)
    if any(record.recorded_weights is not None for record in records):
        return replace(measure, formula=measure.formula.replace(SOFTMAX, GIVEN), sinks=sinks)
    scores = _capped(records, _scaled(records))
    if any(map(_has_bias, records)):
        scores += " + bias"
    softmax = f"softmax([{scores}, sink])" if sinks else f"softmax({scores})"
    return replace(measure, formula=measure.formula.replace(SOFTMAX, softmax), sinks=sinks)


def _scaled(records: Sequence[LayerRecord]) -> str:
    scales = {record.scale for record in records}
    usual = {1 / np.sqrt(record.q.shape[-1]) for record in records if record.q is not None}
    if all(np.isclose(scale, min(usual)) for scale in scales) and len(usual) == 1:
        return SCORES
    if scales == {1.0}:
        return "q kᵀ"
    return f"{min(scales):.4g} · q kᵀ" if len(scales) == 1 else "scale · q kᵀ"


def _capped(records: Sequence[LayerRecord], scores: str) -> str:
    caps = {record.softcap for record in records if record.softcap is not None}
    if not caps:
        return scores
    cap = f"{min(caps):g}" if len(caps) == 1 else "cap"
    return f"{cap} · tanh({scores} / {cap})"


def _has_bias(record: LayerRecord) -> bool:
    """Whether something is added to scores, beside minus infinity, which only masks."""
    if record.distance_bias is not None:
        return True
    return record.bias is not None and bool((np.isfinite(record.bias) & (record.bias != 0)).any())
