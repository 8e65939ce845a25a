"""What the fuzzers change: sound inspections, model folders and tokenizers, made on the spot."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from handmade import causal, cross_inspection_of, random_inspection, tokens_of, with_layer
from tiny_bert import save_tiny_bert
from tiny_families import save_tiny
from tiny_others import RECORDED, SEQ2SEQ
from vocabularies import byte_fallback, byte_level, unigram, wordpiece

from attnviz.attention.layer import LayerRecord
from attnviz.inspection import Inspection, ModelFacts
from attnviz.inspection.storage import save
from attnviz.model import load_model
from attnviz.text.tokens import Part

WORDS = ["The", "animal", "ran", "because", "동물은", "it"]


def inspections() -> Iterator[Inspection]:
    """Of every kind of record: pairs, cross-attention, masks, biases, sinks, weights alone."""
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    paper = load_model("paper", num_layers=2, num_heads=2, d_model=8, d_ff=16)
    yield paper.inspect("The animal ran because it was tired")
    pair = random_inspection(tokens_of(WORDS, pair=["It", "was"]), 2, 3, 1)
    yield pair
    yield replace(pair, layers=(None, pair.layers[1]))
    n = len(pair.tokens)
    yield with_layer(pair, 0, bias=drawn(1, n, n), sinks=drawn(3), softcap=30.0)
    yield with_layer(pair, 1, distance_bias=drawn(3, 2 * n - 1), value_norms=np.abs(drawn(3, n)))
    plain = random_inspection(tokens_of(WORDS), 2, 2, 2)
    yield replace(plain, tokens=replace(plain.tokens, part=Part(0, 2, 0, 4, 0)))
    m = len(plain.tokens)
    yield with_layer(plain, 0, key_ranges=causal(m, 2), z=drawn(2, m, m))
    keys = tokens_of(["Das", "Tier"])
    yield cross_inspection_of(plain.tokens, keys, np.full((2, 2, m, 4), 0.25))
    facts = ModelFacts("given", "hand", 1, 2, 8, 4, 7, True, dtype="bfloat16")
    given = LayerRecord(recorded_weights=np.full((2, m, m), 1 / m, np.float32))
    yield Inspection(plain.tokens, facts, (given,))
    shared = LayerRecord(q=drawn(4, m, 2), k=drawn(2, m, 2), v=drawn(2, m, 3), x=drawn(m, 8))
    facts = ModelFacts("grouped", "llama", 1, 4, 8, 2, 7, True)
    yield Inspection(plain.tokens, facts, (shared,), attention="decoder")


@cache
def saved_bases() -> tuple[bytes, ...]:
    """Saved inspections."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "i")
        contents = []
        for inspection in inspections():
            save(inspection, path)
            contents.append(path.read_bytes())
    return tuple(contents)


@cache
def folders(place: Path) -> dict[str, Path]:
    """Folders of models that our own encoder runs, and transformers."""
    names = ("bert", "distilbert", "marian", "gpt2", "llama", "modernbert", "albert", "bart")
    found = {name: place / name for name in names}
    for name, folder in found.items():
        if folder.exists():
            continue
        folder.mkdir(parents=True)
        if name == "bert":
            save_tiny_bert(folder)
        elif name in ("distilbert", "marian"):
            save_tiny(folder, name)
        else:
            (RECORDED | SEQ2SEQ)[name].save(folder)
    return found


@cache
def tokenizer_bases() -> tuple[str, ...]:
    """Contents of tokenizer.json, one of each kind."""
    kinds = wordpiece(), byte_level(True), byte_level(False), unigram(), byte_fallback()
    return tuple(tokenizer.to_str() for tokenizer in kinds)
