"""Which engine a run takes: numpy, until torch would have saved the time that its import takes."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock, RLock
from typing import TYPE_CHECKING, Literal, get_args

from attnviz.attention.request import Device, Dtype
from attnviz.encoder.checkpoint import Checkpoint, MaskedLm
from attnviz.encoder.encoder import Encoder
from attnviz.encoder.parts import work
from attnviz.errors import RequestError
from attnviz.threads import loaded_torch, processors

if TYPE_CHECKING:
    from attnviz.encoder.speeds import Speeds

EngineName = Literal["numpy", "torch"]
VARIABLE = "ATTNVIZ_ENGINE"

LITTLE = 3 * 10**9
"""Multiply-adds that take less time than importing torch on any machine: nothing is measured."""

LONG = 512
"""The tokens above which a text that runs alone has all of torch's threads."""


class Encoders:
    """A checkpoint's encoder and head in each engine, made when they are first needed."""

    def __init__(
        self, checkpoint: Checkpoint, device: Device = "cpu", dtype: Dtype = "float32"
    ) -> None:
        self.checkpoint = checkpoint
        self.config = checkpoint.config
        self._placed = device, dtype
        self._asked = asked()
        self._made: dict[EngineName, Encoder] = {}
        self._making, self._counting = RLock(), Lock()
        self.expected = 0  # tokens that are to come in all, as far as is known
        self._begun = 0.0  # multiply-adds in numpy
        self._speeds: Speeds | None = None
        self._torch_comes = False
        self._heads: dict[Encoder, MaskedLm | None] = {}
        # short texts are not worth a GPU
        self._torch_only = dtype != "float32" or device not in ("cpu", "auto")
        if self._torch_only:
            _ = self.in_torch  # raises for a device that is absent

    @property
    def alone(self) -> bool:
        """Whether runs have a GPU, on which they run one after the other."""
        return "torch" in self._made and self.in_torch.engine.alone

    @property
    def device(self) -> str:
        """The device that was asked for, or the one that torch computes on."""
        return self.in_torch.engine.device if "torch" in self._made else self._placed[0]

    def of(self, lengths: Sequence[int], runs: float = 1) -> Encoder:
        """The encoder for sentences of so many tokens, each run so many times.

        What was run before counts too, and what is expected: once torch would have saved as much
        time as importing it takes, whoever asks imports it, and other threads go on in numpy until
        it is there.
        """
        if self._torch_only or self._asked == "torch":
            return self.in_torch
        if self._asked == "numpy":
            return self.in_numpy
        all_threads = sum(lengths) > LONG and len(lengths) == 1
        if loaded_torch() is not None or self._pays(runs * work(self.config, lengths), all_threads):
            return self.in_torch
        return self.in_numpy

    def _pays(self, added: float, all_threads: bool) -> bool:
        """Whether to import torch now, with so much more work."""
        with self._counting:
            self._begun += added
            if self._begun < LITTLE or self._torch_comes:
                return False
            from attnviz.encoder.speeds import known, measured

            if self._speeds is None:
                self._speeds = known(self._placed[0], measured(self.in_numpy.engine))
            before = self._begun - added
            if before >= LITTLE:  # the first of many sentences do not wait for torch
                before = max(before, self.expected * work(self.config, [1]))
            saved = self._speeds.saved(before)
            saved += self._speeds.saved(added, processors() if all_threads else 1)
            self._torch_comes = saved > self._speeds.loading
            return self._torch_comes

    @property
    def head(self) -> MaskedLm | None:
        """The checkpoint's masked-LM head, if it has one."""
        encoder = self.of([1])
        if encoder not in self._heads:
            self._heads[encoder] = self.checkpoint.head(encoder)
        return self._heads[encoder]

    @property
    def in_numpy(self) -> Encoder:
        """The encoder in numpy."""
        return self._made.get("numpy") or self._make("numpy", self._in_numpy)

    @property
    def in_torch(self) -> Encoder:
        """The encoder in torch; AttnvizError if its device or memory do not serve."""
        return self._made.get("torch") or self._make("torch", self._in_torch)

    def _make(self, name: EngineName, make: Callable[[], Encoder]) -> Encoder:
        """Make it once, whichever thread asks first."""
        with self._making:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]

    def _in_numpy(self) -> Encoder:
        from attnviz.encoder.numpy_engine import NumpyEngine

        return self.checkpoint.encoder(NumpyEngine())

    def _in_torch(self) -> Encoder:
        was_loaded, start = loaded_torch() is not None, time.thread_time()
        from attnviz.encoder.devices import placement
        from attnviz.encoder.torch_engine import TorchEngine

        loading = time.thread_time() - start
        checkpoint, in_numpy = self.checkpoint, self._made.get("numpy")
        if in_numpy is not None:  # its numbers are in float32 already, and stay in memory
            checkpoint = replace(checkpoint, weights=in_numpy.weights.arrays)
        encoder = checkpoint.encoder(TorchEngine(placement(*self._placed)))
        if not was_loaded and not self._torch_only:
            from attnviz.encoder.speeds import measured, remember

            remember(self._placed[0], measured(encoder.engine), loading)
        return encoder


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
