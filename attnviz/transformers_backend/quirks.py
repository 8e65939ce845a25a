"""The list of what single architectures do differently. Everything else in this room is general."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

TOKEN_TYPES = {"xlnet": 3}  # for model types whose configurations do not give it


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


def sparse_from(config: Any) -> int | None:
    """The most tokens that BigBird gives full attention to; None for other models.

    Longer texts get block-sparse attention, of which transformers does not give whole rows.
    """
    if getattr(config, "attention_type", None) != "block_sparse":
        return None
    return int((5 + 2 * config.num_random_blocks) * config.block_size)


def use_full_attention(model: Any) -> None:
    """Let BigBird have full attention now: it changes in its first run, too late to be heard."""
    if sparse_from(model.config) is not None:
        parts = (part for part in model.modules() if hasattr(part, "set_attention_type"))
        next(parts).set_attention_type("original_full")


def longest_shared(config: Any) -> float:
    """The longest text that may be in a batch without changing how the others are computed."""
    if getattr(config, "moe_eval_capacity_token_fraction", 1.0) < 1:
        return 0  # NLLB's experts take so many tokens of a whole batch
    text = config.get_text_config()
    ropes = getattr(text, "rope_parameters", None) or {}
    ropes = [ropes] if "rope_type" in ropes else [r for r in ropes.values() if isinstance(r, dict)]
    most = getattr(text, "max_position_embeddings", math.inf)
    # a batch whose longest text is longer is rotated as that text is
    lengths = {"longrope": "original_max_position_embeddings", "dynamic": ""}
    return min(
        (rope.get(lengths[kind], most) for rope in ropes if (kind := rope["rope_type"]) in lengths),
        default=math.inf,
    )


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
