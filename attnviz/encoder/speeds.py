"""How fast this machine is: one layer in an engine, and what importing torch took last time."""

import os
import sys
import time
from contextlib import nullcontext
from math import isfinite
from typing import NamedTuple

import numpy as np

from attnviz.encoder.encoder import EncoderLayer
from attnviz.encoder.engine import Engine
from attnviz.encoder.parts import Weights, encoder_shapes, work
from attnviz.files import cache_folder, read_own_json, write_own_json
from attnviz.models.config import EncoderConfig
from attnviz.models.tables import untrained
from attnviz.threads import one_torch_thread

FILE = "speeds.json"
"""What is remembered, in the user's cache folder: a machine's torch, for each device."""

MOST_BYTES = 1 << 16
TOKENS, TRIES = 64, 8
LAYER = EncoderConfig(1, num_layers=1, num_heads=8, d_model=256, d_ff=1024, activation="gelu")
"""The layer that is timed, which takes one or two milliseconds.

It is the same for all models, since what is remembered counts for all: of small matrices, a machine
multiplies far fewer numbers a second.
"""

LOADING = 1.5
"""Seconds that importing torch takes if it is not known yet: see docs/benchmarks.md."""

USUALLY, ON_A_GPU = 1.2, 10.0
"""How many times as fast as numpy torch is taken for until it is known."""

GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Where Linux has the drivers of NVIDIA and AMD, or those of Windows around it."""


class Speeds(NamedTuple):
    """Multiply-adds a second of a layer in each engine, on one thread; seconds of an import."""

    numpy: float
    torch: float
    loading: float

    def saved(self, work: float, threads: int = 1) -> float:
        """The seconds by which torch, on so many threads, is faster; its import is not in it."""
        return work * (1 / self.numpy - 1 / (self.torch * threads))


def measured(engine: Engine) -> float:
    """Multiply-adds a second, the best of a few passes of a layer."""
    best = float("inf")
    # what others do meanwhile does not count, except where that clock is coarse, as on Windows
    fine = not engine.alone and time.get_clock_info("thread_time").resolution < 1e-6
    clock = time.thread_time if fine else time.perf_counter
    in_torch = type(engine).__module__ == "attnviz.encoder.torch_engine"
    with one_torch_thread() if in_torch else nullcontext(), engine.running():
        shapes = encoder_shapes(LAYER, "sinusoidal")
        drawn = {name: untrained(name, shape, 0) for name, shape in shapes.items()}
        layer = EncoderLayer(LAYER, Weights(engine, engine.put(drawn), "layers.0."))
        x = engine.array(np.tile(np.linspace(-1, 1, LAYER.d_model), (1, TOKENS, 1)))
        for _ in range(TRIES):
            start = clock()
            vectors = layer.attention(x, None)
            engine.numpy(layer(x, vectors.z))  # a GPU has computed it by then
            best = min(best, clock() - start)
    return work(LAYER, [TOKENS]) / max(best, 1e-9)


def known(device: str, numpy: float) -> Speeds:
    """Numpy's speed, and torch's as it was when attnviz last imported it here, or a usual one."""
    kept = read_own_json(cache_folder() / FILE, MOST_BYTES).get(device)
    found = kept if isinstance(kept, list) else []
    if len(found) == 2 and all(isinstance(n, float) and isfinite(n) and n > 0 for n in found):
        return Speeds(numpy, *found)
    gpu = device == "auto" and (sys.platform != "linux" or any(map(os.path.exists, GPUS)))
    return Speeds(numpy, numpy * (ON_A_GPU if gpu else USUALLY), LOADING)


def remember(device: str, torch: float, loading: float) -> None:
    """Remember what importing torch took, and how fast it is; nothing, where that cannot be."""
    path = cache_folder() / FILE
    write_own_json(path, read_own_json(path, MOST_BYTES) | {device: [torch, loading]})
