"""What inspections of a text take in memory while they are kept, as a JSON object.

`each`: bytes that one takes, as the process grows; `vectors`: the bytes of its x, q, k, v, z;
`weights`: the bytes that the weights of all heads would take.

usage: python benchmarks/kept.py TEXT
"""

import json
import sys

import psutil

from attnviz.model import load_model

COUNT = 10
"""Inspections kept at once, so that what one takes is well above the noise."""


def kept(text: str) -> dict[str, float]:
    model = load_model()
    inspections = [model.inspect(text, truncate=True)]
    before = psutil.Process().memory_info().rss
    inspections += [model.inspect(text, truncate=True) for _ in range(COUNT)]
    each = (psutil.Process().memory_info().rss - before) / COUNT
    layers, tokens = inspections[0].layers, len(inspections[0].tokens)
    return {
        "tokens": tokens,
        "each": each,
        "vectors": sum(getattr(layer, name).nbytes for layer in layers for name in "xqkvz"),
        "weights": model.facts.num_layers * model.facts.num_heads * tokens**2 * 4,
    }


if __name__ == "__main__":
    print(json.dumps(kept(sys.argv[1])))
