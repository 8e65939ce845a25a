"""Weights that a model gives out itself, where it lets nobody else compute its attention."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnviz.attention.check import check_finite
from attnviz.attention.layer import LayerRecord
from attnviz.attention.request import RecordRequest
from attnviz.encoder.devices import as_numpy
from attnviz.inspection.facts import AttentionKind
from attnviz.transformers_backend.attention_call import UnlikeError

SHARE = 1e-2
"""How far from 1 a row of weights may sum that is still one, in whatever numbers it was made."""


def output_name(kind: AttentionKind, whole: bool) -> str:
    """What transformers calls these weights; `whole`: the model has both, encoder and decoder."""
    if kind == "cross":
        return "cross_attentions"
    return "decoder_attentions" if whole and kind == "decoder" else "attentions"


def records_of(
    attentions: Sequence[Tensor | None] | None,
    lengths: Sequence[tuple[int, int]],
    recording: RecordRequest,
) -> list[list[LayerRecord] | None]:
    """Weights, one tensor a layer, (batch, num_heads, n, m), as records: for each layer each
    sentence's, without padding, which models may add of their own.

    UnlikeError for weights of another shape, or whose rows do not sum to 1, AttnvizError for some
    that are not finite.
    """
    if not attentions:
        raise UnlikeError("no attention weights")
    return [
        _layer(number, layer, lengths) if recording.has(number) else None
        for number, layer in enumerate(attentions)
    ]


def _layer(
    number: int, layer: Tensor | None, lengths: Sequence[tuple[int, int]]
) -> list[LayerRecord]:
    if layer is None:
        raise UnlikeError("no attention weights in some of its layers")
    n, m = map(max, zip(*lengths, strict=True))
    shape = tuple(layer.shape)
    if len(shape) != 4 or shape[0] != len(lengths) or shape[-2] < n or shape[-1] < m:
        raise UnlikeError(f"weights of shape {shape}, for {n} queries and {m} keys")
    records = []
    for sentence, (queries, keys) in enumerate(lengths):
        given = as_numpy(layer[sentence, :, :queries, :keys])
        check_finite(number, "recorded_weights", given, str(layer.dtype).removeprefix("torch."))
        if not np.abs(given.sum(axis=-1) - 1).max() < SHARE:
            raise UnlikeError("weights whose rows do not sum to 1")
        records.append(LayerRecord(recorded_weights=given))
    return records


def looks_from_everywhere(config: Any) -> bool:
    """Whether all tokens look at the first, and it at all, beside the window that each looks at.

    That is what a Longformer does that classifies sentences; one that fills masks has no such
    token.
    """
    return any("LongformerForSequence" in name for name in config.architectures or ())


def first_of(shape: tuple[int, int]) -> Tensor:
    """1 for the first token of each sentence, and 0 for the others; shape: (batch, n)."""
    marked = torch.zeros(shape, dtype=torch.long)
    marked[:, 0] = 1
    return marked


def spread(local: Tensor, everywhere: Tensor | None = None) -> Tensor:
    """Weights to a window around each query, as Longformer gives them, as whole rows.

    local: (batch, num_heads, n, window + 1); with `everywhere`, (batch, num_heads, n, 1), which the
    first token, looking at all, gives to each key, a column in front that all give to the first.
    Returns (batch, num_heads, n, n).
    """
    n, first = local.shape[-2], 0 if everywhere is None else 1
    window = local.shape[-1] - first - 1
    keys = torch.arange(n, device=local.device)[:, None] + torch.arange(window + 1).to(local.device)
    rows = local.new_zeros(*local.shape[:-1], n + window)
    rows.scatter_(-1, keys.expand(*local.shape[:2], -1, -1), local[..., first:])
    rows = rows[..., window // 2 : window // 2 + n]
    if everywhere is not None:
        rows[..., 0] += local[..., 0]
        rows[..., 0, :] = everywhere[..., :n, 0]
    return rows
