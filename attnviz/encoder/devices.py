"""Devices and dtypes of torch; and tensors as numpy arrays."""

import math
import mmap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from attnviz.attention.layer import WIDER
from attnviz.errors import AttnvizError, RequestError, enough_memory
from attnviz.models.config import LESS_MEMORY

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DEVICES = {"cpu": "the processor", "cuda": "an NVIDIA or AMD GPU", "mps": "an Apple GPU"}
LARGE = 1 << 22  # Bytes from which an array gets its own memory mapping


class Placement(NamedTuple):
    """A device, and the dtype to compute in."""

    device: torch.device
    dtype: torch.dtype

    def put(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A model's tensors on the device; AttnvizError if the dtype or memory is too small."""
        with enough_memory("the model's weights do", LESS_MEMORY):
            placed = {name: tensor.to(self.device, self.dtype) for name, tensor in weights.items()}
        if self.dtype == torch.float16:
            for name, tensor in placed.items():
                if not torch.isfinite(tensor).all():
                    raise AttnvizError(
                        f"{name} holds numbers up to {weights[name].abs().max():.3g}, and float16 "
                        f"ends at {torch.finfo(torch.float16).max:.0f}",
                        WIDER,
                    )
        return placed


HERE = Placement(torch.device("cpu"), torch.float32)  # the least rounding


def placement(device: str = "auto", dtype: str = "float32") -> Placement:
    """What `--device` and `--dtype` mean; RequestError for an unknown name or an absent device."""
    gpus = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    present = [*(name for name, there in gpus.items() if there), "cpu"]  # the fastest first
    if device != "auto" and device not in DEVICES:
        raise RequestError(f"there is no device {device}", f"choose auto, {', '.join(DEVICES)}")
    if dtype not in DTYPES:
        raise RequestError(f"there is no dtype {dtype}", f"choose {', '.join(DTYPES)}")
    if device != "auto" and device not in present:
        raise RequestError(
            f"--device {device} needs {DEVICES[device]}, and torch {torch.__version__} finds none "
            f"here, only {' and '.join(present)}",
            f"use --device {present[0]}, or leave --device out",
        )
    return Placement(torch.device(present[0] if device == "auto" else device), DTYPES[dtype])


def as_numpy(tensor: Tensor) -> np.ndarray:
    """A copy of a tensor from any device and dtype: float32, in C order."""
    plain = tensor.dtype == torch.float32 and tensor.device.type == "cpu"
    if plain and 4 * tensor.numel() < LARGE:
        copied: np.ndarray = tensor.numpy().copy()  # twice as fast for small tensors
        return copied
    array = _empty(tensor.shape)
    torch.from_numpy(array).copy_(tensor)
    return array


def _empty(shape: Sequence[int]) -> np.ndarray:
    """A float32 array of this shape; a large one has its own memory mapping.

    Among tensors in torch's heap, arrays that stay leave gaps: a third of memory for a long text.
    """
    size = 4 * math.prod(shape)
    if size < LARGE:
        return np.empty(shape, np.float32)
    private = hasattr(mmap, "MAP_PRIVATE")  # not everywhere
    options = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if private else {}
    try:
        memory = mmap.mmap(-1, size, **options)
    except OSError as error:
        raise MemoryError(f"{size} bytes") from error
    return np.frombuffer(memory, np.float32).reshape(shape)
