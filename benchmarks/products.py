"""Seconds that the encoder's products alone take for the sentences of a file: the floor of a run.

The default model's matrices times as many rows as there are tokens, padding included, in the
batches of attnviz: one on each thread. Loading is not counted.

usage: python benchmarks/products.py FILE
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch.nn.functional import linear

from attnviz.model import load_model
from attnviz.model.batches import batches_of
from attnviz.threads import processors


def products(texts: list[str]) -> float:
    model = load_model()
    by_length = sorted(map(model.tokenize, texts), key=len)
    batches = [
        len(batch) * max(len(tokens) for _, tokens in batch)
        for batch in batches_of(list(enumerate(by_length)))
    ]
    d_model, d_ff = model.facts.d_model, model.facts.d_ff
    shapes = [*[(d_model, d_model)] * 4, (d_ff, d_model), (d_model, d_ff)]
    layers = [
        [(torch.randn(shape), torch.randn(shape[0])) for shape in shapes]
        for _ in range(model.facts.num_layers)
    ]

    def multiply(rows: int) -> None:
        torch.set_num_threads(1)
        inputs = {width: torch.randn(rows, width) for width in (d_model, d_ff)}
        with torch.inference_mode():
            for weight, bias in (pair for layer in layers for pair in layer):
                linear(inputs[weight.shape[1]], weight, bias)

    with ThreadPoolExecutor(processors()) as pool:
        start = time.perf_counter()
        list(pool.map(multiply, batches))
        return time.perf_counter() - start


if __name__ == "__main__":
    print(products(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()))
