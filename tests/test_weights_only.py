"""Models that let nobody compute their attention: their own weights, and nothing else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_others import SENTENCES, WEIGHTS_ONLY, Other, eager, hold
from transformers import AutoModelForSequenceClassification

from attnviz.errors import AttnvizError
from attnviz.inspection import Inspection
from attnviz.model import Model, load_model

pytestmark = pytest.mark.usefixtures("one_thread")

WHOLE = [name for name in WEIGHTS_ONLY if name != "longformer"]
"""Those whose weights come as whole rows."""


def batch_of(model: Model) -> list[Inspection]:
    """The sentences, of three lengths, in one padded batch."""
    sentences = [model.tokenize(sentence) for sentence in SENTENCES]
    return list(model.inspect_tokens(sentences))


@pytest.mark.parametrize("name", WHOLE)
def test_every_head_alone_and_in_a_padded_batch(name: str, tmp_path: Path) -> None:
    theirs = WEIGHTS_ONLY[name].save(tmp_path)
    ours = load_model(str(tmp_path))
    together = batch_of(ours)
    ids = [inspection.tokens.ids for inspection in together]
    for row, inspection in enumerate(together):
        hold(inspection, eager(theirs, ids).attentions, row)
    expected = eager(theirs, ids[:1]).attentions
    alone = ours.inspect(SENTENCES[0])
    hold(alone, expected)
    assert alone.attention == "encoder"
    assert min(float(layer.std()) for layer in expected) > 0.02
    facts = ours.facts
    assert (facts.num_layers, facts.num_heads, facts.d_model, facts.d_k) == (3, 4, 28, 7)
    assert facts.d_ff == 23


@pytest.mark.parametrize("name", WEIGHTS_ONLY)
def test_what_needs_more_than_weights_is_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    WEIGHTS_ONLY[name].save(tmp_path)
    inspection = load_model(str(tmp_path)).inspect("a dog")
    record = inspection.layer(0)
    assert [record.q, record.k, record.v, record.x, record.z] == [None] * 5
    with pytest.raises(AttnvizError) as caught:
        record.inputs()
    assert "gives its attention weights alone, without queries, keys and values" in str(
        caught.value
    )
    with pytest.raises(AttnvizError, match="gives its attention weights alone"):
        inspection.view("piece", measure="norm").weights(0)


def windows(local: torch.Tensor, everywhere: torch.Tensor | None = None) -> np.ndarray:
    """Longformer's weights as whole rows, one by one: (batch, num_heads, n, n)."""
    batch, heads, n, width = local.shape
    first = 0 if everywhere is None else 1
    half = (width - first) // 2
    rows = np.zeros((batch, heads, n, n), np.float32)
    for query in range(n):
        for place in range(width - first):
            key = query + place - half
            if 0 <= key < n:
                rows[:, :, query, key] = local[:, :, query, first + place]
    if everywhere is not None:
        rows[:, :, :, 0] = local[:, :, :, 0]
        rows[:, :, 0] = everywhere[:, :, :n, 0]
    return rows


def hold_windows(output: Any, inspections: list[Inspection]) -> None:
    everywhere = output.global_attentions or [None] * 3
    expected = [windows(*layer) for layer in zip(output.attentions, everywhere, strict=True)]
    for row, inspection in enumerate(inspections):
        hold(inspection, list(map(torch.from_numpy, expected)), row)


def test_longformers_windows_are_spread_out_to_rows(tmp_path: Path) -> None:
    theirs = WEIGHTS_ONLY["longformer"].save(tmp_path)
    ours = load_model(str(tmp_path))
    together = batch_of(ours)
    hold_windows(eager(theirs, [inspection.tokens.ids for inspection in together]), together)
    alone = ours.inspect(SENTENCES[0])
    hold_windows(eager(theirs, [alone.tokens.ids]), [alone])
    n = len(alone.tokens)
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    for number, half in enumerate((2, 4, 2)):
        weights = alone.layer(number).weights(number)
        assert (weights[:, distance > half] == 0).all()
        assert (weights[:, distance <= half] > 0).all()


def test_a_longformer_that_classifies_looks_at_its_first_token_from_everywhere(
    tmp_path: Path,
) -> None:
    sizes = {**WEIGHTS_ONLY["longformer"].sizes, "num_labels": 2}
    theirs = Other("LongformerConfig", sizes, AutoModelForSequenceClassification).save(tmp_path)
    ours = load_model(str(tmp_path))
    together = batch_of(ours)
    # the classifier itself has its first token looked at
    hold_windows(eager(theirs, [inspection.tokens.ids for inspection in together]), together)
    weights = together[0].layer(1).weights(1)
    assert (weights[:, 0] > 0).all()
    assert (weights[:, :, 0] > 0).all()
    assert ours.notes == ()
