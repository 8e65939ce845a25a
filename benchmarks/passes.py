"""Our encoder beside transformers' eager attention on one family, as a JSON object of seconds.

A model of random weights, as large as the default one, is made by transformers and read by both.
Ours runs sentences and keeps x, q, k, v and z of every layer, so that any head's weights can be
had; theirs runs them and keeps all weights. For each size of batch there are two lists, `ours` and
`theirs`, a pass's seconds in each round; they take turns. First both are held to one another.

usage: python benchmarks/passes.py FAMILY ROUNDS
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from families import D_FF, D_MODEL, HEADS, LAYERS, TOKENS
from transformers import AutoConfig, AutoModel

from attnviz.encoder.checkpoint import load_checkpoint
from attnviz.encoder.record import record
from attnviz.encoder.torch_engine import TorchEngine

VOCABULARY, POSITIONS = 30522, 514

USUAL = {
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "hidden_size": D_MODEL,
    "intermediate_size": D_FF,
}
CALLED: dict[str, dict[str, Any]] = {
    "distilbert": {"n_layers": LAYERS, "n_heads": HEADS, "dim": D_MODEL, "hidden_dim": D_FF},
    "electra": {**USUAL, "embedding_size": D_MODEL // 3},
    "marian": {
        "encoder_layers": LAYERS,
        "encoder_attention_heads": HEADS,
        "d_model": D_MODEL,
        "encoder_ffn_dim": D_FF,
        "decoder_layers": 1,
        "decoder_attention_heads": HEADS,
        "pad_token_id": 1,
        "decoder_start_token_id": 1,
    },
}
"""What families call their sizes, where that is not the usual."""

PASSES = {1: 20, 32: 2}
"""Sentences in a batch, and how many passes a round times together."""

TOLERANCE = 1e-4


def passes(family: str, rounds: int) -> dict[int, dict[str, list[float]]]:
    sizes = {"vocab_size": VOCABULARY, "max_position_embeddings": POSITIONS}
    config = AutoConfig.for_model(family, **sizes, **CALLED.get(family, USUAL))
    torch.manual_seed(1)
    auto: Any = AutoModel
    model = auto.from_config(config, attn_implementation="eager").eval()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.save_pretrained(folder)
        checkpoint = load_checkpoint(folder / "config.json", folder / "model.safetensors")
        ours = checkpoint.encoder(TorchEngine())
    theirs = model.get_encoder() if config.is_encoder_decoder else model
    found: dict[int, dict[str, list[float]]] = {}
    with torch.inference_mode():
        for batch, count in PASSES.items():
            ids = torch.randint(5, VOCABULARY, (batch, TOKENS))
            rows, types, mask = ids.tolist(), [[0] * TOKENS] * batch, torch.ones_like(ids)

            def run_ours(rows: Any = rows, types: Any = types) -> Any:
                return record(ours, rows, types)

            def run_theirs(ids: Any = ids, mask: Any = mask) -> Any:
                return theirs(input_ids=ids, attention_mask=mask, output_attentions=True)

            check(run_ours()[0], run_theirs().attentions)
            works = {"ours": run_ours, "theirs": run_theirs}
            found[batch] = {name: [] for name in works}
            for turn in range(1 + rounds):
                for name, work in works.items():
                    seconds = timed(work, count)
                    if turn:  # the first is a warm-up
                        found[batch][name].append(seconds)
    return found


def timed(work: Callable[[], object], count: int) -> float:
    """Seconds that one of so many passes takes."""
    start = time.perf_counter()
    for _ in range(count):
        work()
    return (time.perf_counter() - start) / count


def check(ours: Any, theirs: Any) -> None:
    """Whatever was as quick and gave other numbers would be of no use."""
    for number, (layer, weights) in enumerate(zip(ours, theirs, strict=True)):
        off = abs(layer.weights(number) - weights[0].numpy()).max()
        if not off < TOLERANCE:
            raise RuntimeError(f"layer {number}: weights are off by {off:.2g}")


if __name__ == "__main__":
    print(json.dumps(passes(sys.argv[1], int(sys.argv[2]))))
