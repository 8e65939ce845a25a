"""Where a model computes, and in which numbers; and its numbers as the rest knows them."""

import math
import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from attnviz.attention.layer import WIDER
from attnviz.errors import AttnvizError, RequestError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""The numbers that a model may compute in."""

NAMES = {"cpu": "the processor", "cuda": "a GPU of NVIDIA's or AMD's", "mps": "a GPU of Apple's"}
"""The devices that a model may run on, and what they are."""

LARGE = 1 << 22
"""Bytes from which on an array has memory of its own."""


class Placement(NamedTuple):
    """A device, and the numbers that are computed with on it."""

    device: torch.device
    dtype: torch.dtype

    def put(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A model's tensors there, by name; those that are there already are not copied.

        Raises AttnvizError for one that these numbers are too small for, and where memory does not
        do.
        """
        with enough_memory("the model's weights do", LESS_MEMORY):
            placed = {name: tensor.to(self.device, self.dtype) for name, tensor in weights.items()}
        if self.dtype == torch.float16:
            for name, tensor in placed.items():
                _check_in_range(name, tensor, weights[name])
        return placed


LESS_MEMORY = "--dtype bfloat16 takes half of float32's; --device cpu takes the main memory"
"""What to try where a model is too large for a device."""

HERE = Placement(torch.device("cpu"), torch.float32)
"""The processor, and float32: what needs no GPU and rounds least."""


def placement(device: str = "auto", dtype: str = "float32") -> Placement:
    """Where `--device` and `--dtype` say; "auto" is a GPU where there is one.

    Raises RequestError for a device that is not here, or a name that means none.
    """
    present = _present()
    if device != "auto" and device not in NAMES:
        raise RequestError(f"there is no device {device}", f"it is one of auto, {', '.join(NAMES)}")
    if dtype not in DTYPES:
        raise RequestError(f"there is no dtype {dtype}", f"it is one of {', '.join(DTYPES)}")
    if device != "auto" and device not in present:
        raise RequestError(
            f"--device {device} is {NAMES[device]}, and torch {torch.__version__} finds none here, "
            f"but {' and '.join(present)}",
            f"take --device {present[0]}, or leave --device out",
        )
    return Placement(torch.device(present[0] if device == "auto" else device), DTYPES[dtype])


def _present() -> list[str]:
    """The devices there are, the quickest first."""
    gpus = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [*(name for name, there in gpus.items() if there), "cpu"]


def as_numpy(tensor: Tensor) -> np.ndarray:
    """A copy of a tensor, wherever it is and whatever its numbers: float32, in the usual order."""
    plain = tensor.dtype == torch.float32 and tensor.device.type == "cpu"
    if plain and 4 * tensor.numel() < LARGE:
        copied: np.ndarray = tensor.numpy().copy()  # twice as quick where tensors are small
        return copied
    own = _memory_of_its_own(tensor.shape)
    torch.from_numpy(own).copy_(tensor)
    return own


def _memory_of_its_own(shape: Sequence[int]) -> np.ndarray:
    """An array, (*shape), of float32; a large one does not lie where torch keeps its tensors.

    There, what is recorded would lie scattered among tensors that are let go of, and what is left
    between is too small for the next ones: a third of all memory, where a text is long.
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


@contextmanager
def enough_memory(what: str, hint: str) -> Iterator[None]:
    """Raises AttnvizError, which says that `what` is too large, where a device's memory is full."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch's own is one of the first
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise AttnvizError(f"{what} not fit in memory", hint) from error


def _check_in_range(name: str, placed: Tensor, tensor: Tensor) -> None:
    if not torch.isfinite(placed).all():
        raise AttnvizError(
            f"{name} holds numbers up to {tensor.abs().max():.3g}, and float16 ends at "
            f"{torch.finfo(torch.float16).max:.0f}",
            WIDER,
        )


Result = TypeVar("Result")


class Begin(Protocol):
    """Begins a piece of work, on a thread of its own or with all of torch's threads."""

    def __call__(self, all_threads: bool, work: Callable[[], Result]) -> Future[Result]:
        """What will be the work's result."""


@contextmanager
def workers(alone: bool = False) -> Iterator[Begin]:
    """As many workers as torch would use threads; work not begun when the block ends is dropped.

    With `alone`, one: a GPU has one queue, and one memory, for all of them. torch's number of
    threads is what it was, before and after, for whoever uses it beside us.
    """
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(1 if alone else threads)

    def begin(all_threads: bool, work: Callable[[], Result]) -> Future[Result]:
        return pool.submit(_on_threads, threads if all_threads else 1, work)

    try:
        yield begin
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def _on_threads(threads: int, work: Callable[[], Result]) -> Result:
    """Do it with so many of torch's threads, which are set for the calling thread alone."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    return work()
