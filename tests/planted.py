"""A tiny masked language model with a planted circuit: two heads carry the answer, no other does.

The words that it tells apart are marked as such. L0H2 carries which of them is there to "was", and
L1H1 from there to [MASK], whose head reads it. All other heads have random numbers, and write where
nothing reads: they change the outcome a little alone, through the layer norms.
"""

from pathlib import Path
from typing import Any

import torch
from tiny_bert import save_tokenizer, tiny_tokenizer
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM

PLANTED = ((0, 2), (1, 1))
"""The layer and head of each that carries the answer."""

LAYERS, HEADS, D_K = 3, 4, 7
WORDS = ("cat", "dog", "mat", "street")
A, B = (f"the {word} was too tired to cross. it was the [MASK]." for word in WORDS[:2])
"""Twins: the model says `cat` at the mask of A, and `dog` at that of B."""

# the numbers of a vector: which word it is; marks of a word, of "was", of [MASK]; what was carried
# to "was" and to [MASK]; and room that nothing reads
WORD, CARRIED, ANSWER = range(4), range(7, 11), range(11, 15)
MARKS = {"word": 4, "was": 5, "[MASK]": 6}
D_MODEL, REST = HEADS * D_K, range(15, HEADS * D_K)


def planted() -> Any:
    """The model, in evaluation mode; its tokenizer is the tiny one."""
    vocabulary = tiny_tokenizer().get_vocab()
    config = BertConfig(
        vocab_size=len(vocabulary), num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        hidden_size=D_MODEL, intermediate_size=5, max_position_embeddings=31,
    )  # fmt: skip
    config._attn_implementation = "eager"
    made: Any = BertForMaskedLM
    model = made(config).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(float(name.endswith("LayerNorm.weight")))
        embeddings = model.bert.embeddings
        for table in (embeddings.word_embeddings.weight, embeddings.position_embeddings.weight):
            table[:, REST.start :].normal_(std=0.2, generator=generator)
        for place, word in zip(WORD, WORDS, strict=True):
            embeddings.word_embeddings.weight[vocabulary[word], [place, MARKS["word"]]] = 1
        for mark in ("was", "[MASK]"):
            embeddings.word_embeddings.weight[vocabulary[mark], MARKS[mark]] = 1
        for layer in range(LAYERS):
            for head in range(HEADS):
                if (layer, head) not in PLANTED:
                    _scattered(model, layer, head, generator)
        _carries(model, PLANTED[0], ("was", "word"), (WORD, CARRIED))
        _carries(model, PLANTED[1], ("[MASK]", "was"), (CARRIED, ANSWER))
        transform: Any = model.cls.predictions.transform
        transform.dense.weight[list(WORD), list(ANSWER)] = 1
        transform.LayerNorm.weight.fill_(3)
    return model


def save_planted(folder: Path) -> None:
    """Save it with its tokenizer, as a folder that attnviz reads."""
    planted().save_pretrained(folder)
    save_tokenizer(folder)


def auroc(effects: dict[tuple[int, int], float]) -> float:
    """How often a planted head has a larger effect than another: 1 if always."""
    inside = [effect for head, effect in effects.items() if head in PLANTED]
    others = [effect for head, effect in effects.items() if head not in PLANTED]
    pairs = [(one > other) + 0.5 * (one == other) for one in inside for other in others]
    return sum(pairs) / len(pairs)


def _rows(model: Any, layer: int, head: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A head's rows of W_Q, W_K and W_V, (d_k, d_model), and columns of W_O, (d_model, d_k)."""
    attention = model.bert.encoder.layer[layer].attention
    rows, own = slice(head * D_K, (head + 1) * D_K), attention.self
    return (
        own.query.weight[rows],
        own.key.weight[rows],
        own.value.weight[rows],
        attention.output.dense.weight[:, rows],
    )


def _scattered(model: Any, layer: int, head: int, generator: torch.Generator) -> None:
    """Random numbers; the head writes where nothing reads."""
    q, k, v, o = _rows(model, layer, head)
    for matrix in (q, k, v, o[REST.start :]):
        matrix.normal_(std=0.15, generator=generator)


def _carries(
    model: Any, place: tuple[int, int], marks: tuple[str, str], way: tuple[range, range]
) -> None:
    """A head in which what has the first mark looks at what has the second, and copies numbers."""
    q, k, v, o = _rows(model, *place)
    q[0, MARKS[marks[0]]], k[0, MARKS[marks[1]]] = 3, 3
    for number, (source, goal) in enumerate(zip(*way, strict=True)):
        v[number, source], o[goal, number] = 1, 1
