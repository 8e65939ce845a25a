"""Describe models that transformers runs: from a record of their attention, or without weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from attnviz.attention.request import AttentionKind
from attnviz.errors import AttnvizError
from attnviz.inspection import ModelFacts
from attnviz.models.config import SAVE_AGAIN
from attnviz.models.describe import AttentionFacts, AttentionSource, other_types
from attnviz.transformers_backend import quirks
from attnviz.transformers_backend.load import Architecture, model_errors, no_larger_than, quiet
from attnviz.transformers_backend.recordable import RecordableModel

Side = Literal["encoder", "decoder"]
Entries = Mapping[Side, tuple[str, ...]]

# config entries for the number of layers and of heads; the last of each is the usual one
LAYERS: Entries = {
    "encoder": ("encoder_layers", "num_hidden_layers"),
    "decoder": ("decoder_layers", "num_decoder_layers", "num_hidden_layers"),
}
HEADS: Entries = {
    "encoder": ("encoder_attention_heads", "num_attention_heads"),
    "decoder": ("decoder_attention_heads", "num_attention_heads"),
}
D_FF = (
    "intermediate_size", "d_ff", "n_inner", "d_inner", "ffn_dim", "ffn_hidden_size", "hidden_dim",
    "moe_intermediate_size",
)  # fmt: skip
D_K = ("head_dim", "d_kv", "attention_head_size")  # where it is not d_model / num_heads

POSITIONS = {  # parts of the names of modules or their classes
    "rotary": ("rotary",),
    "relative": ("relative", "rel_embeddings", "alibi"),
    "sinusoidal": ("sinusoidal", "sinusoid"),
    "learned": ("position", "wpe"),
}


def facts_of(name: str, model: RecordableModel) -> ModelFacts:
    """The facts of the recorded part; AttnvizError if some of its layers are not attention."""
    config, trial = model.own_config, model.trial
    total = entry(config, "num_hidden_layers")
    if not (model.weights_only or model.seq2seq) and total not in (None, trial.num_layers):
        raise AttnvizError(
            f"attnviz cannot show {model.name} models: {trial.num_layers} of their {total} layers "
            "are attention, and the others something else"
        )
    d_model = int(config.hidden_size) if trial.d_model is None else trial.d_model
    return ModelFacts(
        name=name,
        family=model.name,
        num_layers=trial.num_layers,
        num_heads=trial.num_heads,
        d_model=d_model,
        d_k=d_model // trial.num_heads if trial.d_k is None else trial.d_k,
        d_ff=_d_ff(config, model.kind, d_model),
        trained=True,
        dtype=model.dtype,
    )


def num_token_types(model: "RecordableModel | WithoutWeights") -> int:
    """The number of token types; 0 for a model that takes none."""
    if not takes_types(model):
        return 0
    count = entry(_config_of(model.config, "encoder"), "type_vocab_size")
    return quirks.TOKEN_TYPES.get(model.config.model_type, count or 0)


def takes_types(model: "RecordableModel | WithoutWeights") -> bool:
    """Whether the model is fed token types, where its tokenizer gives them.

    GPT-2 and others have no table of types: what they are fed are rows of their word embeddings,
    so that zeros are not the same as none.
    """
    reader = model.model.get_encoder() if model.decodes else model.model
    config = _config_of(model.config, "encoder")
    # DeBERTa may have an empty table, and TAPAS has several: seven types a token
    if getattr(config, "type_vocab_size", None) == 0 or hasattr(config, "type_vocab_sizes"):
        return False
    return "token_type_ids" in signature(reader.forward).parameters


def vocab_size(model: "RecordableModel | WithoutWeights", side: Side = "encoder") -> int:
    """The number of tokens that the model, or one side of it, has embeddings for."""
    own = _config_of(model.config, side)
    return int((model.config.get_text_config() if own is model.config else own).vocab_size)


def max_positions(model: "RecordableModel | WithoutWeights", side: Side = "encoder") -> int | None:
    """The most tokens that the model, or one side of it, takes; None if nothing says so."""
    config = _config_of(model.own_config, side)
    entries = (entry(config, name) for name in quirks.position_entries(side))
    most = next((number for number in entries if number is not None), None)
    if most is None or most < 1:
        return None
    if side == "encoder":
        most = min(most, quirks.sparse_from(config) or most)
    # RoBERTa and its successors count positions from the padding id + 1
    unused = [
        table.padding_idx + 1
        for name, table in model.model.named_modules()
        if isinstance(table, nn.Embedding)
        and "position" in name
        and table.num_embeddings == most
        and table.padding_idx is not None
    ]
    return most - max(unused, default=0)


def entry(config: Any, name: str) -> int | None:
    """A whole number in a configuration; None if there is none, or a different one a layer."""
    try:
        value = getattr(config, name, None)
    except RuntimeError:  # how transformers says that layers differ in it
        return None
    return value if isinstance(value, int) else None


@dataclass(frozen=True)
class WithoutWeights:
    """A model without weights: its configuration, and its modules on torch's meta device."""

    config: Any
    own_config: Any
    model: Any
    decodes: bool  # it has a decoder after an encoder
    kind: AttentionKind
    side: Side


def without_weights(built: Architecture, weights: Path) -> WithoutWeights:
    """Build the model without its weights; AttnvizError if the configuration makes no model, or one
    that is larger than its weights' files.
    """
    what = f"transformers cannot build a {built.name} model from config.json:"
    with quiet(), no_larger_than(weights), model_errors(what, SAVE_AGAIN), torch.device("meta"):
        model = built.model_class._from_config(built.config)
    own = built.config if built.seq2seq else built.config.get_text_config()
    kind = _usual_kind(built, own)
    return WithoutWeights(built.config, own, model, built.seq2seq, kind, _side_of(kind))


def facts(name: str, family: str, model: WithoutWeights) -> ModelFacts:
    """The facts of the part that is shown by default, from the configuration alone."""
    config = _config_of(model.own_config, model.side)
    heads = _count(config, HEADS, model.side)
    d_model = quirks.layer_width(config)
    d_k = next((width for name in D_K if (width := entry(config, name))), d_model // heads)
    nope, rope = (entry(config, f"qk_{part}_head_dim") for part in ("nope", "rope"))
    if nope is not None and rope is not None:
        d_k = nope + rope
    return ModelFacts(
        name=name,
        family=family,
        num_layers=_count(config, LAYERS, model.side),
        num_heads=heads,
        d_model=d_model,
        d_k=d_k,
        d_ff=_d_ff(config, model.kind, d_model),
        trained=True,
    )


def num_kv_heads(model: WithoutWeights) -> int:
    """The number of key and value heads in a layer."""
    config = _config_of(model.own_config, model.side)
    if getattr(config, "multi_query", False) is True:
        return 1
    return entry(config, "num_key_value_heads") or _count(config, HEADS, model.side)


def positions(model: WithoutWeights) -> tuple[str, ...]:
    """The kinds of position encoding, as far as the names of modules show them."""
    found = []
    for name, module in model.model.named_modules():
        names = f"{name.rpartition('.')[2]} {type(module).__name__}".lower()
        matching = (k for k, parts in POSITIONS.items() if any(part in names for part in parts))
        kind = next(matching, "")
        if kind in ("rotary", "sinusoidal") or (kind and isinstance(module, nn.Embedding)):
            found.append(kind)
    return tuple(dict.fromkeys(found))


def attention(built: Architecture, model: WithoutWeights) -> tuple[AttentionFacts, ...]:
    """The kinds of attention in the model, and what a query of each layer may attend to."""
    kinds: list[AttentionKind] = ["encoder", "decoder", "cross"] if built.seq2seq else [model.kind]
    others = other_types()
    recorded = built.name in others.recorded or built.calls
    weights_alone = built.name in others.weights_only or not recorded
    how: AttentionSource = "weights alone" if weights_alone else "through transformers"
    described = []
    for kind in kinds:
        side = _side_of(kind)
        config = _config_of(model.own_config, side)
        layers = _count(config, LAYERS, side)
        reach = ("global",) * layers if kind == "cross" else _reach(config, layers, side)
        described.append(AttentionFacts(kind, how, _count(config, HEADS, side), reach))
    return tuple(described)


def _side_of(kind: AttentionKind) -> Side:
    return "encoder" if kind == "encoder" else "decoder"


def _usual_kind(built: Architecture, config: Any) -> AttentionKind:
    """The kind of attention that is shown by default."""
    others = other_types()
    part = others.recorded.get(built.name) or others.weights_only.get(built.name)
    if built.seq2seq or part == "encoder":
        return "encoder"
    if part == "decoder" or getattr(config, "is_decoder", False):
        return "decoder"
    # an untried type that predicts the next token is a decoder, unless it also fills masks
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

    kind = type(built.config)
    causal = kind in MODEL_FOR_CAUSAL_LM_MAPPING and kind not in MODEL_FOR_MASKED_LM_MAPPING
    return "decoder" if causal else "encoder"


def _reach(config: Any, layers: int, side: Side) -> tuple[str, ...]:
    """What a query of each layer may attend to, in words."""
    causal = side == "decoder"
    every, near = ("causal", "causal sliding window") if causal else ("global", "sliding window")
    windows = quirks.layer_windows(config, layers)
    if windows is not None and not causal:
        return tuple(f"{near} {window}" for window in windows)
    kinds = getattr(config, "layer_types", None) or getattr(config, "attention_layers", None)
    # what is called so elsewhere, as in VITS, is no mask
    other = entry(config, "window_size") if kinds else None
    window = entry(config, "sliding_window") or other
    if not window or getattr(config, "use_sliding_window", True) is False:
        return (every,) * layers
    near += f" {window if causal else 2 * window}"  # without causality, to both sides
    if not isinstance(kinds, list) or len(kinds) != layers:
        return (near,) * layers
    return tuple(near if kind in ("sliding_attention", "local") else every for kind in kinds)


def _config_of(config: Any, side: Side) -> Any:
    """The configuration of a part that has its own, as in T5Gemma."""
    own = getattr(config, side, None)
    return own if hasattr(own, "num_hidden_layers") else config


def _count(config: Any, entries: Entries, side: Side) -> int:
    numbers = (entry(config, name) for name in entries[side])
    number = next(number for number in numbers if number and number > 0)
    return quirks.attention_heads(config, number) if entries is HEADS else number


def _d_ff(config: Any, kind: AttentionKind, d_model: int) -> int:
    """The width of the feed-forward network's inner layer; as in GPT-2 if it is not given."""
    values = (entry(config, name) for name in (f"{_side_of(kind)}_ffn_dim", *D_FF))
    return next((value for value in values if value is not None), 4 * d_model)
