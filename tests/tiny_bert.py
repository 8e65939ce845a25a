"""Tiny random BERTs, made and saved by transformers, whose sizes are all different primes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import tokenizers
import torch
from tokenizers import models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import BertConfig, BertModel

from attnviz.model import Model
from attnviz.model.native import NativeRunner

SIZES: dict[str, Any] = {
    "vocab_size": 97,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "hidden_size": 21,
    "intermediate_size": 23,
    "max_position_embeddings": 31,
    "type_vocab_size": 2,
    "layer_norm_eps": 3.7e-6,
}
"""d_k is 7; the odd epsilon would show if another one were used."""

SENTENCES = ["the cat sat on the mat.", "a dog", "it was too tired to cross the street"]
"""Sentences that the tiny tokenizer knows, of different lengths."""


def tiny_bert(seed: int = 5, kind: type[Any] = BertModel, **changes: Any) -> Any:
    """A BERT in evaluation mode, with every number random, the layer norms' included.

    The weights are large enough for attention to be far from even.
    """
    config = BertConfig(**{**SIZES, **changes})
    config._attn_implementation = "eager"
    model = kind(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(std=0.4, generator=generator)
            if name.endswith("LayerNorm.weight"):
                parameter.add_(1)
    return model


def save_tiny_bert(folder: Path, seed: int = 5, kind: type[Any] = BertModel, **changes: Any) -> Any:
    """Save a tiny BERT and its tokenizer as a folder that attnviz reads; give the model back."""
    model = tiny_bert(seed, kind, **changes)
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return model


def save_tokenizer(
    folder: Path, tokenizer: tokenizers.Tokenizer | None = None, gives_types: bool = True
) -> None:
    """Save a tokenizer, the tiny one unless given, as one of no class of transformers' own."""
    made = tokenizer or tiny_tokenizer()
    made.save(str(folder / "tokenizer.json"))
    added = {token.content for token in made.get_added_tokens_decoder().values()}
    mask = next((token for token in ("[MASK]", "<mask>") if token in added), None)
    inputs = ["input_ids", "token_type_ids", "attention_mask"][:: 1 if gives_types else 2]
    config = {"tokenizer_class": "TokenizersBackend", "model_input_names": inputs}
    config |= {"mask_token": mask} if mask else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def cut_in_parts(folder: Path, model: Any) -> list[str]:
    """Save a folder's model anew, as transformers saves large ones; give the names of the parts."""
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="6KB")
    return sorted(path.name for path in folder.glob("model-0*-of-0*.safetensors"))


def runner_of(model: Model) -> NativeRunner:
    """What runs a model that is read natively; a TypeError for any other."""
    if not isinstance(model._runner, NativeRunner):
        raise TypeError(f"{model.facts.name} is not read natively")
    return model._runner


def tiny_tokenizer() -> tokenizers.Tokenizer:
    """A WordPiece tokenizer of 97 pieces: letters, and a few words."""
    words = {word.strip(".") for sentence in SENTENCES for word in sentence.split()}
    others = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "'", "!", "?"]
    pieces = [*others, *ascii_lowercase, *("##" + letter for letter in ascii_lowercase)]
    pieces += sorted(words - set(pieces))
    pieces += [f"[unused{i}]" for i in range(SIZES["vocab_size"] - len(pieces))]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = tokenizers.Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(others[:5])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    return tokenizer


@dataclass(frozen=True)
class Reference:
    """What transformers computes, one entry a layer.

    x: (batch, n, d_model), one more at the end: the last hidden state; q, k, v: (batch, num_heads,
    n, d_k); weights: (batch, num_heads, query, key).
    """

    x: list[Tensor]
    q: list[Tensor]
    k: list[Tensor]
    v: list[Tensor]
    weights: list[Tensor]


def reference(
    model: Any, ids: Sequence[Sequence[int]], types: Sequence[Sequence[int]]
) -> Reference:
    """Run transformers' BERT on a padded batch, with hooks where queries, keys, values are made."""
    longest = max(len(row) for row in ids)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
    made: dict[str, list[Tensor]] = {"query": [], "key": [], "value": []}
    handles = [
        getattr(layer.attention.self, part).register_forward_hook(
            lambda _module, _inputs, output, part=part: made[part].append(output)
        )
        for layer in model.encoder.layer
        for part in made
    ]
    with torch.inference_mode():
        output = model(
            input_ids=_padded(ids, longest),
            token_type_ids=_padded(types, longest),
            attention_mask=mask,
            output_attentions=True,
            output_hidden_states=True,
        )
    for handle in handles:
        handle.remove()
    heads = model.config.num_attention_heads
    q, k, v = (
        [tensor.view(*tensor.shape[:2], heads, -1).transpose(1, 2) for tensor in made[part]]
        for part in ("query", "key", "value")
    )
    return Reference(list(output.hidden_states), q, k, v, list(output.attentions))


def _padded(rows: Sequence[Sequence[int]], length: int) -> Tensor:
    return torch.tensor([[*row, *([0] * (length - len(row)))] for row in rows])
