"""Makes a BERT of base size whose queries and keys are a trained model's, from minilm's weights.

Random weights give queries and keys that pack smaller than a trained model's. Here two of minilm's
layers run side by side, each on its own half of x: layer l holds minilm's layers l and l + 3,
counted around. Head h of 64 dimensions is head h of both, and its scores are the sums of theirs.
No part is there twice. Nobody trained this arrangement: what its heads find means nothing.

usage: python benchmarks/woven_model.py FOLDER
"""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from attnviz.models import find_model

LAYERS, HEADS = 12, 12
SHIFT = 3  # how many layers the second half is ahead

SIZES = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
}


def make(folder: Path) -> None:
    files = find_model("minilm")
    config = json.loads(files.config.read_text(encoding="utf-8"))
    weights, trained = load_file(files.weights), config["num_hidden_layers"]
    folder.mkdir(parents=True)
    made = {
        name: np.concatenate([array, array], axis=-1)
        for name, array in weights.items()
        if name.startswith("embeddings.") and array.dtype == np.float32
    }
    for name in (name for name in weights if name.startswith("encoder.layer.0.")):
        for layer in range(LAYERS):
            a, b = (weights[_of(name, n % trained)] for n in (layer, layer + SHIFT))
            both = _side_by_side(name, a, b)
            # scores are divided by the square root of 64, and were by that of 32
            scale = np.float32(2**0.5 if ".self.query." in name else 1)
            made[_of(name, layer)] = np.ascontiguousarray(scale * both)
    save_file(made, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config | SIZES), encoding="utf-8")
    for file in files.config.parent.glob("*token*.json"):
        shutil.copy(file, folder)


def _of(name: str, layer: int) -> str:
    return re.sub(r"layer\.\d+", f"layer.{layer}", name)


def _side_by_side(name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Both layers' weights in one, or both biases; the rows of q, k, v head by head."""
    if a.ndim == 1:
        return _by_head(a, b) if ".self." in name else np.concatenate([a, b])
    none = np.zeros_like(a)
    if ".self." in name:
        return _by_head(np.hstack([a, none]), np.hstack([none, b]))
    if "attention.output.dense" in name:  # its columns are those rows
        return _by_head(np.vstack([a, none]).T, np.vstack([none, b]).T).T
    return np.block([[a, none], [none, b]])


def _by_head(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The rows of both, those of a head of `a` before those of the same head of `b`."""
    halves = [array.reshape(HEADS, -1, *array.shape[1:]) for array in (a, b)]
    return np.concatenate(halves, axis=1).reshape(-1, *a.shape[1:])


if __name__ == "__main__":
    make(Path(sys.argv[1]))
