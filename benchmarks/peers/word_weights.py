"""A file's sentences to the attention between their words, all heads, with transformers alone.

Arguments: the model's folder, a file with a sentence a line, and the file to write: `.jsonl`, an
object for each sentence, or `.npz`, an array (head, query, key) for each. Written as one would:
eager attention with `output_attentions=True`, batches of 32 sentences sorted by length, padding
trimmed, and the tokenizer's own `word_ids` to sum a word's keys and average its queries.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

BATCH = 32


def word_weights(folder: str, texts: list[str]) -> Iterator[tuple[int, list[str], np.ndarray]]:
    """Each sentence's index, its words, and their weights: (layer, head, query, key)."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager")
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for first in range(0, len(order), BATCH):
        batch = order[first : first + BATCH]
        inputs = tokenizer([texts[i] for i in batch], padding=True, return_tensors="pt")
        with torch.inference_mode():
            attentions = model(**inputs, output_attentions=True).attentions
        weights = torch.stack(attentions, dim=1).numpy()
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        for place, (i, length) in enumerate(zip(batch, lengths, strict=True)):
            words, word_of = cut_words(inputs.encodings[place], length, texts[i])
            yield i, words, merge(weights[place, :, :, :length, :length], word_of)


def cut_words(encoding: Any, length: int, text: str) -> tuple[list[str], list[int]]:
    """The words of one sentence, special tokens too, and which of them each piece belongs to."""
    words: list[str] = []
    word_of: list[int] = []
    last = None
    for piece, word in enumerate(encoding.word_ids[:length]):
        if word is None:
            words.append(encoding.tokens[piece])
        elif word != last:
            start, end = encoding.word_to_chars(word)
            words.append(text[start:end])
        word_of.append(len(words) - 1)
        last = word
    return words, word_of


def merge(weights: np.ndarray, word_of: list[int]) -> np.ndarray:
    """Sum over the key's pieces, mean over the query's."""
    pieces = np.zeros((word_of[-1] + 1, len(word_of)), dtype=np.float32)
    pieces[word_of, np.arange(len(word_of))] = 1
    merged: np.ndarray = pieces / pieces.sum(axis=1, keepdims=True) @ weights @ pieces.T
    return merged


def write_jsonl(folder: str, texts: list[str], target: Path) -> None:
    lines = [""] * len(texts)
    for i, words, weights in word_weights(folder, texts):
        heads = [
            {"layer": layer, "head": head, "weights": matrix.tolist()}
            for layer, matrices in enumerate(weights)
            for head, matrix in enumerate(matrices)
        ]
        lines[i] = json.dumps({"text": texts[i], "tokens": words, "heads": heads})
    with target.open("w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def write_npz(folder: str, texts: list[str], target: Path) -> None:
    arrays: dict[str, np.ndarray] = {}
    for i, words, weights in word_weights(folder, texts):
        arrays[f"{i}.weights"] = weights
        arrays[f"{i}.tokens"] = np.array(words)
    np.savez(target, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    folder, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    texts = source.read_text(encoding="utf-8").splitlines()
    write = {".jsonl": write_jsonl, ".npz": write_npz}[target.suffix]
    write(folder, texts, target)
