"""Tiny random models that are not read natively, and what transformers computes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tiny_bert import save_tokenizer
from transformers import AutoModel, AutoModelForSeq2SeqLM

from attnviz.inspection import Inspection
from attnviz.model import Model
from attnviz.transformers_backend.runner import TransformersRunner

SENTENCES = [
    "the cat sat on the mat. it was too tired to cross the street",
    "a dog",
    "it was the cat, too!",
]
"""Longer than the windows of those that have some, and shorter."""

TARGET = "a dog sat on it"

SPECIALS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
"""What the tiny tokenizer has: [PAD], [CLS], [SEP]."""

STACK = {
    "vocab_size": 97,
    "hidden_size": 28,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 23,
    "max_position_embeddings": 61,
    **SPECIALS,
}
GROUPED = {**STACK, "hidden_size": 20, "num_key_value_heads": 2, "head_dim": 6}
"""Heads that share keys and values, and are together not as wide as d_model."""

BOTH = {
    "vocab_size": 97,
    "d_model": 24,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 3,
    "encoder_ffn_dim": 23,
    "decoder_ffn_dim": 29,
    "max_position_embeddings": 61,
    "decoder_start_token_id": 0,
    **SPECIALS,
}


@dataclass(frozen=True)
class Other:
    """An architecture: its configuration's class in transformers, sizes, and where layer 1 has the
    matrix that makes values, perhaps with queries and keys, and W_O.
    """

    config: str
    sizes: Mapping[str, Any]
    task: type[Any] = AutoModel
    values: str = "layers.1.self_attn.v_proj"
    output: str = "layers.1.self_attn.o_proj"
    gives_types: bool = True  # its tokenizer

    def build(self, seed: int = 5, **changes: Any) -> Any:
        """A model in evaluation mode, every trained number random, its attention far from even."""
        config = getattr(transformers, self.config)(**{**self.sizes, **changes})
        torch.manual_seed(seed)
        model = self.task.from_config(config, attn_implementation="eager").eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if not parameter.requires_grad or "embed_positions" in name:
                    continue  # sinusoids, which are not saved
                noise = torch.randn_like(parameter)
                parameter.copy_(0.3 * noise if parameter.ndim > 1 else parameter + 0.2 * noise)
        return model

    def save(self, folder: Path, **changes: Any) -> Any:
        """Save such a model and a tokenizer as a folder that attnviz reads; give the model back."""
        model = self.build(**changes)
        model.save_pretrained(folder)
        save_tokenizer(folder, gives_types=self.gives_types)
        return model


RECORDED: dict[str, Other] = {
    "modernbert": Other(
        "ModernBertConfig",
        {
            **STACK,
            "hidden_size": 30,  # rotations need an even d_k
            "num_attention_heads": 3,
            "local_attention": 8,
            "cls_token_id": 2,
            "sep_token_id": 3,
        },
        values="layers.1.attn.Wqkv",
        output="layers.1.attn.Wo",
    ),
    "albert": Other(
        "AlbertConfig",
        {**STACK, "embedding_size": 13},
        values="encoder.albert_layer_groups.0.albert_layers.0.attention.value",
        output="encoder.albert_layer_groups.0.albert_layers.0.attention.dense",
    ),
    "gpt2": Other(
        "GPT2Config",
        {"vocab_size": 97, "n_embd": 28, "n_layer": 3, "n_head": 4, "n_positions": 61, **SPECIALS},
        values="h.1.attn.c_attn",
        output="h.1.attn.c_proj",
        gives_types=False,  # which the model would take for words
    ),
    "llama": Other("LlamaConfig", GROUPED),
    "mistral": Other("MistralConfig", {**GROUPED, "sliding_window": 5}),
    "qwen3": Other("Qwen3Config", GROUPED),
    "gemma2": Other(
        "Gemma2Config",
        {
            **GROUPED,
            "sliding_window": 5,
            "query_pre_attn_scalar": 7,
            "attn_logit_softcapping": 2.5,
        },
    ),
    "gemma3_text": Other(
        "Gemma3TextConfig", {**GROUPED, "sliding_window": 5, "query_pre_attn_scalar": 1}
    ),
    # its experts' matrices must lie on 16 bytes
    "gpt_oss": Other(
        "GptOssConfig",
        {
            **GROUPED,
            "intermediate_size": 12,
            "sliding_window": 5,
            "num_local_experts": 3,
            "num_experts_per_tok": 2,
        },
    ),
}
"""Models of one part whose queries, keys and values are recorded, by `model_type`."""

SEQ2SEQ: dict[str, Other] = {
    "t5": Other(
        "T5Config",
        {
            "vocab_size": 97,
            "d_model": 24,
            "d_kv": 5,
            "d_ff": 29,
            "num_layers": 3,
            "num_decoder_layers": 2,
            "num_heads": 3,
            "relative_attention_num_buckets": 8,
            "relative_attention_max_distance": 11,
            "pad_token_id": 0,
            "eos_token_id": 3,
            "decoder_start_token_id": 0,
        },
        AutoModelForSeq2SeqLM,
    ),
    "bart": Other("BartConfig", BOTH, AutoModelForSeq2SeqLM),
    "marian": Other("MarianConfig", BOTH, AutoModelForSeq2SeqLM),
    "m2m_100": Other("M2M100Config", BOTH, AutoModelForSeq2SeqLM),
}
"""Models with an encoder and a decoder."""

WEIGHTS_ONLY: dict[str, Other] = {
    "deberta-v2": Other(
        "DebertaV2Config",
        {
            **STACK,
            "relative_attention": True,
            "pos_att_type": ["c2p", "p2c"],
            "position_buckets": 8,
            "type_vocab_size": 0,
        },
    ),
    "longformer": Other("LongformerConfig", {**STACK, "attention_window": [4, 8, 4]}),
    "xlnet": Other(
        "XLNetConfig",
        {"vocab_size": 97, "d_model": 28, "n_layer": 3, "n_head": 4, "d_inner": 23, **SPECIALS},
    ),
}
"""Models that give their weights alone."""

Ids = Sequence[Sequence[int]]


def runner_of(model: Model) -> TransformersRunner:
    """What runs a model through transformers; a TypeError for any other."""
    if not isinstance(model._runner, TransformersRunner):
        raise TypeError(f"{model.facts.name} does not run through transformers")
    return model._runner


def eager(model: Any, ids: Ids, targets: Ids | None = None, **options: Any) -> Any:
    """What transformers computes of a padded batch with eager attention: its output, weights and
    all."""
    fed = {"input_ids": _padded(ids), "attention_mask": _mask(ids)}
    if targets is not None:
        fed |= {"decoder_input_ids": _padded(targets), "decoder_attention_mask": _mask(targets)}
    with torch.inference_mode():
        return model(**fed, output_attentions=True, use_cache=False, **options)


def hold(inspection: Inspection, weights: Sequence[torch.Tensor], row: int = 0) -> None:
    """Hold all heads of all layers to a row of the reference's batch, to 1e-5."""
    n, m = len(inspection.tokens), len(inspection.key_tokens)
    assert len(inspection.layers) == len(weights)
    for number, expected in enumerate(weights):
        ours = inspection.layer(number).weights(number)
        assert ours.shape == (expected.shape[1], n, m)
        np.testing.assert_allclose(ours, expected[row, :, :n, :m].numpy(), rtol=0, atol=1e-5)


def _padded(rows: Ids) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *([0] * (longest - len(row)))] for row in rows])


def _mask(rows: Ids) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
