"""Which engine a run takes: numpy, until its time would pass that of importing torch."""

import os
from collections.abc import Sequence
from functools import cached_property
from typing import Literal, get_args

from attnviz.attention.threads import loaded_torch
from attnviz.encoder.checkpoint import Checkpoint, MaskedLm
from attnviz.encoder.encoder import Encoder
from attnviz.errors import RequestError
from attnviz.models.config import Device, Dtype, EncoderConfig

EngineName = Literal["numpy", "torch"]
VARIABLE = "ATTNVIZ_ENGINE"

MOST_WORK = 15 * 10**9
"""Multiply-adds from which torch, its import included, is faster: see docs/benchmarks.md."""


class Encoders:
    """A checkpoint's encoder and head in each engine, made when they are first needed."""

    def __init__(
        self, checkpoint: Checkpoint, device: Device = "cpu", dtype: Dtype = "float32"
    ) -> None:
        self.checkpoint = checkpoint
        self.config = checkpoint.config
        self._placed = device, dtype
        self._asked = asked()
        self._heads: dict[Encoder, MaskedLm | None] = {}
        # short texts are not worth a GPU
        self._torch_only = dtype != "float32" or device not in ("cpu", "auto")
        if self._torch_only:
            _ = self.in_torch  # raises for a device that is absent

    @property
    def alone(self) -> bool:
        """Whether runs have a GPU, on which they run one after the other."""
        return "in_torch" in vars(self) and self.in_torch.engine.alone

    @property
    def device(self) -> str:
        """The device that was asked for, or the one that torch computes on."""
        return self.in_torch.engine.device if "in_torch" in vars(self) else self._placed[0]

    def of(self, lengths: Sequence[int], runs: float = 1) -> Encoder:
        """The encoder for sentences of so many tokens, each run so many times."""
        if self._torch_only or self._asked == "torch":
            return self.in_torch
        if self._asked == "numpy":
            return self.in_numpy
        short = runs * work(self.config, lengths) < MOST_WORK
        return self.in_numpy if short and loaded_torch() is None else self.in_torch

    @property
    def head(self) -> MaskedLm | None:
        """The checkpoint's masked-LM head, if it has one."""
        encoder = self.of([1])
        if encoder not in self._heads:
            self._heads[encoder] = self.checkpoint.head(encoder)
        return self._heads[encoder]

    @cached_property
    def in_numpy(self) -> Encoder:
        """The encoder in numpy."""
        from attnviz.encoder.numpy_engine import NumpyEngine

        return self.checkpoint.encoder(NumpyEngine())

    @cached_property
    def in_torch(self) -> Encoder:
        """The encoder in torch; AttnvizError if its device or memory do not serve."""
        from attnviz.encoder.devices import placement
        from attnviz.encoder.torch_engine import TorchEngine

        return self.checkpoint.encoder(TorchEngine(placement(*self._placed)))


def work(config: EncoderConfig, lengths: Sequence[int]) -> int:
    """The multiply-adds of a run: tokens by all matrices, and each token by each other."""
    matrices = 4 * config.d_model**2 + 2 * config.d_model * config.d_ff
    return config.num_layers * sum(n * (matrices + 2 * n * config.d_model) for n in lengths)


def asked() -> EngineName | None:
    """The engine that the environment asks for; RequestError for another name."""
    name = os.environ.get(VARIABLE, "")
    for known in get_args(EngineName):
        if name == known:
            return known  # type: ignore[no-any-return]
    if name:
        raise RequestError(
            f"{VARIABLE} is {name}, and there is no such engine",
            f"choose {' or '.join(get_args(EngineName))}, or leave it out",
        )
    return None
