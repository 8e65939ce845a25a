"""What ranking all heads takes beside plain forward passes, as a JSON object of seconds.

`one`: a pass of the sentence alone, on one thread or on all of torch's, whichever is quicker;
`batch`: a pass of as many copies of it as there are heads, and one; `query`, `words`: every head
ablated alone, asked about one word, and about all. They take turns, and each figure is a median.

usage: python benchmarks/each.py TOKENS
"""

import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch

from attnviz.encoder.checkpoint import load_checkpoint
from attnviz.encoder.torch_engine import TorchEngine
from attnviz.model import load_model
from attnviz.models import find_model

ANIMAL = "The animal didn't cross the street because it was too tired."

TURNS = 3


def each(length: int) -> dict[str, float]:
    model, files = load_model(), find_model("minilm")
    encoder = load_checkpoint(files.config, files.weights, files.verified).encoder(TorchEngine())
    whole = model.tokenize(" ".join([ANIMAL] * (1 + length // 14)))
    fields = ("ids", "vocabulary", "spans", "segments", "type_ids")
    tokens = dataclasses.replace(whole, **{name: getattr(whole, name)[:length] for name in fields})
    ids, types = torch.tensor([tokens.ids]), torch.tensor([tokens.type_ids])
    copies = 1 + model.facts.num_layers * model.facts.num_heads
    threads = torch.get_num_threads()
    timed: dict[str, Callable[[], object]] = {
        "alone": lambda: encoder(ids, types),
        "one": lambda: encoder(ids, types),
        "batch": lambda: encoder(ids.repeat(copies, 1), types.repeat(copies, 1)),
        "query": lambda: list(model.ablate_each(tokens, "zero", slice(8, 9))),
        "words": lambda: list(model.ablate_each(tokens)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    with torch.inference_mode():
        for turn in range(1 + TURNS):
            for name, work in timed.items():
                torch.set_num_threads(1 if name == "alone" else threads)
                start = time.perf_counter()
                work()
                if turn:  # the first is a warm-up
                    seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(runs) for name, runs in seconds.items()}
    return {**medians, "one": min(medians["one"], medians.pop("alone"))}


if __name__ == "__main__":
    print(json.dumps(each(int(sys.argv[1]))))
