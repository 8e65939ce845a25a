"""What editing each head of a model takes beside plain passes of transformers, in seconds.

`pass`: transformers' own forward pass, which gives no attention; `each`: every head's z set to zero
alone; `patch`: every head's z taken from another sentence. They take turns, and each figure is a
median of the turns, as a JSON object. `--alone pass` and `--alone each` do that alone, once, for
their peak memory.

usage: python benchmarks/edited.py FOLDER TOKENS [--alone WHAT]
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

TURNS = 3
ANIMAL = "The animal didn't cross the street because it was too tired."
OTHER = "A dog sat on the mat all day, and nobody in the old house saw it."


def passing(folder: str, ids: list[int]) -> Callable[[], object]:
    import torch
    from transformers import AutoModel

    auto: Any = AutoModel
    model, fed = auto.from_pretrained(folder).eval(), torch.tensor([ids])

    def run() -> object:
        with torch.inference_mode():
            return model(input_ids=fed, use_cache=False)

    return run


def editing(folder: str, length: int) -> tuple[list[int], dict[str, Callable[[], object]]]:
    import numpy as np

    from attnviz.attention.edits import Edit, Patch
    from attnviz.model import load_model

    model = load_model(folder)
    whole = [model.tokenize(" ".join([text] * (1 + length // 14))) for text in (ANIMAL, OTHER)]
    names = ("ids", "vocabulary", "spans", "segments", "type_ids")
    texts = [replace(one, **{name: getattr(one, name)[:length] for name in names}) for one in whole]
    places = list(np.ndindex(model.facts.num_layers, model.facts.num_heads))

    def each() -> object:
        return list(model.editable(texts[0]).edited([[Edit(*place)] for place in places]))

    def patch() -> object:
        source = Patch(model.editable(texts[1]).layers)
        runs = [[Edit(layer, head, source=source)] for layer, head in places]
        return list(model.editable(texts[0]).edited(runs))

    return list(texts[0].ids), {"each": each, "patch": patch}


def measured(folder: str, length: int) -> dict[str, float]:
    ids, timed = editing(folder, length)
    timed = {"pass": passing(folder, ids), **timed}
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(1 + TURNS):
        for name, work in timed.items():
            for _ in range(7 if name == "pass" else 1):
                start = time.perf_counter()
                work()
                if turn:  # the first is a warm-up
                    seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(runs) for name, runs in seconds.items()}


if __name__ == "__main__":
    folder, length = sys.argv[1], int(sys.argv[2])
    if sys.argv[3:] == ["--alone", "pass"]:
        passing(folder, list(range(1000, 1000 + length)))()
    elif sys.argv[3:] == ["--alone", "each"]:
        editing(folder, length)[1]["each"]()
    else:
        print(json.dumps(measured(folder, length)))
