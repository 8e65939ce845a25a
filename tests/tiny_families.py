"""Tiny random models of every family, made and saved by transformers, and what they compute."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tiny_bert import SIZES, save_tokenizer, tiny_tokenizer
from tokenizers import Tokenizer, processors
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
)
from vocabularies import ROBERTAS, byte_level, unigram


@dataclass(frozen=True)
class Tiny:
    """One family as transformers has it: sizes, and where its layers and their matrices are.

    `changes` to SIZES, and `called`: what the family calls one of these, None where it has none;
    `encoder`: the part that runs, if not all of it does; `task`: a model with more than the
    encoder; `matrices`: what makes q, k and v, and W_O.
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    called: Mapping[str, str | None] = field(default_factory=dict)
    tokenizer: Callable[[], Tokenizer] = tiny_tokenizer
    layers: str = "encoder.layer"
    encoder: str = ""
    task: type[Any] = AutoModelForSequenceClassification
    matrices: tuple[str, str, str, str] = (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
    )


def _byte_level() -> Tokenizer:
    return byte_level(True, ROBERTAS)


def _sentencepiece() -> Tokenizer:
    return unigram(ROBERTAS)


def _translators() -> Tokenizer:
    """Marian's, which puts nothing before a sentence, and nothing between two."""
    tokenizer = _sentencepiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        "$A </s>", "$A $B </s>", [("</s>", tokenizer.token_to_id("</s>"))]
    )
    return tokenizer


TINY: dict[str, Tiny] = {
    "bert": Tiny(),
    "roberta": Tiny({"pad_token_id": 4, "type_vocab_size": 1}, tokenizer=_byte_level),
    # padding is here what every sentence begins with
    "xlm-roberta": Tiny({"pad_token_id": 1, "type_vocab_size": 2}, tokenizer=_sentencepiece),
    "camembert": Tiny({"pad_token_id": 0, "type_vocab_size": 3}, tokenizer=_sentencepiece),
    "distilbert": Tiny(
        called={
            "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads",
            "hidden_size": "dim",
            "intermediate_size": "hidden_dim",
            "hidden_act": "activation",
            "type_vocab_size": None,
            "layer_norm_eps": None,
        },
        layers="transformer.layer",
        matrices=("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"),
    ),
    "electra": Tiny({"embedding_size": 13}),
    # its code takes 1 for padding's id whatever the config says: here the unknown token's
    "mpnet": Tiny(
        {"pad_token_id": 4, "relative_attention_num_buckets": 37, "max_position_embeddings": 211},
        {"type_vocab_size": None},
        matrices=("attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o"),
    ),
    "marian": Tiny(
        {
            "pad_token_id": 4,
            "decoder_start_token_id": 4,
            "decoder_layers": 1,
            "decoder_attention_heads": 7,
            "decoder_ffn_dim": 11,
            "scale_embedding": True,
            "hidden_act": "swish",
        },
        called={
            "num_hidden_layers": "encoder_layers",
            "num_attention_heads": "encoder_attention_heads",
            "hidden_size": "d_model",
            "intermediate_size": "encoder_ffn_dim",
            "hidden_act": "activation_function",
            "type_vocab_size": None,
            "layer_norm_eps": None,
        },
        tokenizer=_translators,
        layers="encoder.layers",
        encoder="encoder",
        task=AutoModelForSeq2SeqLM,
        matrices=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"),
    ),
}
"""The families, by config.json's `model_type`; their sizes are all different primes."""


def save_tiny(folder: Path, family: str, auto: type[Any] = AutoModel, **changes: Any) -> Any:
    """Save a tiny model, all numbers random, with its tokenizer; give the model back.

    `auto` is the class of transformers that chooses the model, with a task's head or without.
    """
    tiny = TINY[family]
    tokenizer = tiny.tokenizer()
    save_tokenizer(folder, tokenizer)
    sizes = {**SIZES, "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 61}
    sizes |= {**tiny.changes, **changes}
    named = {tiny.called.get(key, key): value for key, value in sizes.items()}
    config = AutoConfig.for_model(family, **{key: named[key] for key in named if key is not None})
    config._attn_implementation = "eager"
    model = auto.from_config(config).eval()
    generator = torch.Generator().manual_seed(5)
    norms = {id(module.weight) for module in model.modules() if isinstance(module, nn.LayerNorm)}
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.3, generator=generator).add_(id(parameter) in norms)
    model.save_pretrained(folder)
    return model


def encoder_layers(model: Any, family: str) -> list[Any]:
    """The layers of the encoder in a model, whatever head it has."""
    return list(model.base_model.get_submodule(TINY[family].layers))


@dataclass(frozen=True)
class Computed:
    """What transformers computes, one entry a layer.

    x: (batch, n, d_model), one more at the end; q, k, v, z: (batch, num_heads, n, d_k);
    weights: (batch, num_heads, query, key).
    """

    x: list[Tensor]
    q: list[Tensor]
    k: list[Tensor]
    v: list[Tensor]
    z: list[Tensor]
    weights: list[Tensor]


def computed(
    model: Any, family: str, ids: Sequence[Sequence[int]], types: Sequence[Sequence[int]]
) -> Computed:
    """Run transformers' own on a padded batch, with hooks at every layer's matrices."""
    longest = max(map(len, ids))
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
    given = {"input_ids": _padded(ids, longest), "attention_mask": mask}
    if "type_vocab_size" not in TINY[family].called:
        given["token_type_ids"] = _padded(types, longest)
    made: tuple[list[Tensor], ...] = ([], [], [], [])
    with _watched(model, family, made), torch.inference_mode():
        encoder = model.base_model.get_submodule(TINY[family].encoder)
        output = encoder(**given, output_attentions=True, output_hidden_states=True)
    heads = model.config.num_attention_heads
    q, k, v, z = (
        [tensor.view(*tensor.shape[:2], heads, -1).transpose(1, 2) for tensor in tensors]
        for tensors in made
    )
    return Computed(list(output.hidden_states), q, k, v, z, list(output.attentions))


@contextmanager
def _watched(model: Any, family: str, made: tuple[list[Tensor], ...]) -> Iterator[None]:
    """Keep what each layer's W_Q, W_K and W_V put out, and what its W_O takes in."""
    *projections, mixing = TINY[family].matrices
    handles = []
    for layer in encoder_layers(model, family):
        for kept, name in zip(made, projections, strict=False):
            handles.append(
                layer.get_submodule(name).register_forward_hook(
                    lambda _module, _inputs, output, kept=kept: kept.append(output)
                )
            )
        handles.append(
            layer.get_submodule(mixing).register_forward_pre_hook(
                lambda _module, inputs: made[-1].append(inputs[0])
            )
        )
    yield
    for handle in handles:
        handle.remove()


@contextmanager
def without_head(model: Any, family: str, layer: int, head: int) -> Iterator[None]:
    """The model with zeros in place of a head's z."""

    def ablate(_module: Any, inputs: tuple[Tensor]) -> tuple[Tensor]:
        z = inputs[0].clone()
        z.view(*z.shape[:2], model.config.num_attention_heads, -1)[:, :, head] = 0
        return (z,)

    mixing = encoder_layers(model, family)[layer].get_submodule(TINY[family].matrices[-1])
    handle = mixing.register_forward_pre_hook(ablate)
    yield
    handle.remove()


def _padded(rows: Sequence[Sequence[int]], length: int) -> Tensor:
    return torch.tensor([[*row, *([0] * (length - len(row)))] for row in rows])
