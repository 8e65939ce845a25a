"""What a configuration of transformers says that its model is made of, without weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from attnviz.errors import AttnvizError
from attnviz.inspection import ModelFacts
from attnviz.inspection.facts import AttentionKind
from attnviz.models.catalog import AttentionFacts, How, other_types
from attnviz.transformers_backend.facts import d_ff_of, entry, max_positions, num_token_types
from attnviz.transformers_backend.load import Architecture, quiet

Names = Mapping[str, tuple[str, ...]]

LAYERS: Names = {
    "encoder": ("encoder_layers",),
    "decoder": ("decoder_layers", "num_decoder_layers"),
}
HEADS: Names = {"encoder": ("encoder_attention_heads",), "decoder": ("decoder_attention_heads",)}
"""What configurations of models with both parts call these; others, as all do."""

WIDTHS = ("head_dim", "d_kv", "attention_head_size")
"""What they call d_k, where it is not d_model divided among the heads."""

WINDOWED = ("sliding_attention", "local")
"""What they call layers in which a token sees what is near it alone."""

POSITIONS = {
    "rotary": ("rotary",),
    "relative": ("relative", "rel_embeddings", "alibi"),
    "sinusoidal": ("sinusoidal", "sinusoid"),
    "learned": ("position", "wpe"),
}
"""How the names of modules, and of their classes, tell the ways in which order is known."""


@dataclass(frozen=True)
class Configured:
    """A model that was not loaded: its configuration, and its modules without numbers."""

    config: Any
    own_config: Any
    model: Any
    kind: AttentionKind

    @property
    def parameters(self) -> int:
        """How many numbers it has."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def configured(built: Architecture) -> Configured:
    """The model as its class builds it; AttnvizError where the configuration makes none."""
    with quiet():
        try:
            with torch.device("meta"):
                model = built.model_class._from_config(built.config)
        except Exception as error:  # whatever a model makes of numbers that do not fit together
            raise AttnvizError(
                f"the config.json of the {built.name} model makes no model: {error}",
                "save the model again with model.save_pretrained(folder)",
            ) from error
    own = built.config if built.seq2seq else built.config.get_text_config()
    return Configured(built.config, own, model, _part_of(built, own))


def facts(name: str, family: str, model: Configured) -> ModelFacts:
    """Layers and sizes of the part that is looked at where nothing else is asked for."""
    config = _side(model.own_config, model.kind)
    heads = _count(config, HEADS, model.kind)
    # MobileBERT's layers are narrower than what goes from one to the next
    d_model = int(getattr(config, "true_hidden_size", config.hidden_size))
    return ModelFacts(
        name=name,
        family=family,
        num_layers=_count(config, LAYERS, model.kind),
        num_heads=heads,
        d_model=d_model,
        d_k=_d_k(config, d_model // heads),
        d_ff=d_ff_of(config, model.kind, d_model),
        trained=True,
    )


def num_kv_heads(model: Configured) -> int:
    """How many pairs of keys and values a layer's heads share."""
    config = _side(model.own_config, model.kind)
    if getattr(config, "multi_query", False) is True:
        return 1
    return entry(config, "num_key_value_heads") or _count(config, HEADS, model.kind)


def context(model: Configured) -> tuple[int | None, int]:
    """How many tokens fit in, None where nothing says so, and how many token types there are."""
    return max_positions(model), num_token_types(model)


def positions(model: Configured) -> tuple[str, ...]:
    """The ways in which it knows order, where its modules' names tell."""
    found = []
    for name, module in model.model.named_modules():
        called = f"{name.rpartition('.')[2]} {type(module).__name__}".lower()
        way = next((way for way, marks in POSITIONS.items() if any(m in called for m in marks)), "")
        is_table = isinstance(module, nn.Embedding) or way in ("rotary", "sinusoidal")
        if way and is_table and way not in found:
            found.append(way)
    return tuple(found)


def attention(built: Architecture, model: Configured) -> tuple[AttentionFacts, ...]:
    """The kinds of attention in the model, and what each layer's queries see."""
    kinds: list[AttentionKind] = ["encoder", "decoder", "cross"] if built.seq2seq else [model.kind]
    how: How = "through transformers"
    others = other_types()
    recorded = built.name in others.recorded or built.calls
    if built.name in others.weights_only or not recorded:
        how = "weights alone"
    found = []
    for kind in kinds:
        side = "encoder" if kind == "encoder" else "decoder"
        config = _side(model.own_config, side)
        layers = _count(config, LAYERS, side)
        everywhere = ("global",) * layers
        sees = everywhere if kind == "cross" else _sees(config, layers, side == "decoder")
        found.append(AttentionFacts(kind, how, _count(config, HEADS, side), sees))
    return tuple(found)


def _part_of(built: Architecture, config: Any) -> AttentionKind:
    """Whose attention is looked at where nothing else is asked for."""
    others = other_types()
    part = others.recorded.get(built.name) or others.weights_only.get(built.name)
    if built.seq2seq or part == "encoder":
        return "encoder"
    if part == "decoder" or getattr(config, "is_decoder", False):
        return "decoder"
    # a type that was not tried: what predicts the next token is a decoder, unless masks too
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

    kind = type(built.config)
    alone = kind in MODEL_FOR_CAUSAL_LM_MAPPING and kind not in MODEL_FOR_MASKED_LM_MAPPING
    return "decoder" if alone else "encoder"


def _sees(config: Any, layers: int, causal: bool) -> tuple[str, ...]:
    """What a query of each layer sees, in words."""
    every, near = ("causal", "causal sliding window") if causal else ("global", "sliding window")
    own = getattr(config, "attention_window", None)  # as Longformer has them, for each layer
    if isinstance(own, int | list) and not causal:
        windows = own if isinstance(own, list) else [own] * layers
        return tuple(f"{near} {window}" for window in windows)
    window = entry(config, "sliding_window") or entry(config, "window_size")
    if not window or getattr(config, "use_sliding_window", True) is False:
        return (every,) * layers
    near += f" {window if causal else 2 * window}"  # to both sides, where there are two
    kinds = getattr(config, "layer_types", None) or getattr(config, "attention_layers", None)
    if not isinstance(kinds, list) or len(kinds) != layers:
        return (near,) * layers
    return tuple(near if kind in WINDOWED else every for kind in kinds)


def _side(config: Any, side: str) -> Any:
    """The configuration of a part that has one of its own, as in T5Gemma."""
    own = getattr(config, side, None)
    return own if hasattr(own, "num_hidden_layers") else config


def _count(config: Any, names: Names, side: str) -> int:
    usual = "num_hidden_layers" if names is LAYERS else "num_attention_heads"
    found = (entry(config, name) for name in (*names[side], usual))
    number = next(number for number in found if number)
    # some of ConvBERT's heads are convolutions
    return number // getattr(config, "head_ratio", 1) if names is HEADS else number


def _d_k(config: Any, divided: int) -> int:
    apart = [entry(config, f"qk_{part}_head_dim") for part in ("nope", "rope")]
    if None not in apart:
        return sum(filter(None, apart))
    found = (entry(config, name) for name in WIDTHS)
    return next((width for width in found if width), divided)
