"""The list of what single architectures do differently. Everything else in this room is general."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

TOKEN_TYPES = {"xlnet": 3}  # for model types whose configurations do not give it

LANGUAGE_FAMILIES = frozenset(  # their tokenizers add a language token to source and target
    {"mbart", "plbart", "m2m_100", "nllb-moe", "seamless_m4t", "seamless_m4t_v2"}
)


def layer_width(config: Any) -> int:
    """d_model inside a layer: MobileBERT's layers are narrower than its embeddings."""
    return int(getattr(config, "true_hidden_size", config.hidden_size))


def attention_heads(config: Any, heads: int) -> int:
    """The heads that are attention: some of ConvBERT's are convolutions."""
    return heads // getattr(config, "head_ratio", 1)


def position_entries(side: str) -> tuple[str, ...]:
    """Config entries for the most tokens that a part takes: LED's two parts differ."""
    return f"max_{side}_position_embeddings", "max_position_embeddings"


def language_tokens(library: Any) -> frozenset[int]:
    """The ids of M2M100's language tokens, which it does not count as special tokens."""
    return frozenset(getattr(library, "lang_token_to_id", {}).values())


def set_target_language(library: Any, token: int | None) -> None:
    """Give M2M100's tokenizer the language that the model writes first: fr for its token __fr__."""
    if token is not None and getattr(library, "tgt_lang", "") is None:
        library.tgt_lang = str(library.convert_ids_to_tokens(token)).strip("_")


def layer_windows(config: Any, layers: int) -> Sequence[int] | None:
    """The attention window of each layer of Longformer or LED, of both sides together."""
    window = getattr(config, "attention_window", None)
    if isinstance(window, int):
        return [window] * layers
    return window if isinstance(window, list) else None


def global_attention(config: Any, batch: int, n: int) -> dict[str, Tensor]:
    """Input that makes the first token global, in Longformers that classify sentences."""
    if not any("LongformerForSequence" in name for name in config.architectures or ()):
        return {}
    mask = torch.zeros((batch, n), dtype=torch.long)
    mask[:, 0] = 1
    return {"global_attention_mask": mask}


def whole_rows(config: Any, output: Any, weights: Sequence[Tensor]) -> Sequence[Tensor]:
    """Weights as (batch, num_heads, n, n): Longformer gives those in a window around each query."""
    if not hasattr(config, "attention_window"):
        return weights
    everywhere = getattr(output, "global_attentions", None) or [None] * len(weights)
    return list(map(_whole_rows, weights, everywhere))


def _whole_rows(local: Tensor, everywhere: Tensor | None) -> Tensor:
    """local: (batch, num_heads, n, window + 1), with a column in front for a global first token.

    everywhere: (batch, num_heads, n, 1), the weights that this token gives to each key.
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
