"""See what enters and leaves every module of one layer, in a run of one text."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from attnviz.attention.request import AttentionKind
from attnviz.encoder.devices import as_numpy
from attnviz.transformers_backend.attention_call import Call, CallSites, entering

TRIED_ROWS = 32  # the most tokens on which modules are tried, beside those asked for


@dataclass(eq=False)
class Invocation:
    """One run of a module: what entered and left it, for some tokens, and when, as counts.

    given, made: (row, width) in float64; None for what is not one vector a token.
    """

    module: nn.Module
    begin: int
    given: np.ndarray | None
    made: np.ndarray | None = None
    end: int = 0

    def holds(self, other: "Invocation") -> bool:
        """Whether another began and ended inside."""
        return self.begin < other.begin and other.end < self.end


class LayerRun:
    """Keeps the invocations around one call of attention, the layer's; hears all calls.

    `around`: those that the call was inside of, the outermost first; `rows`: the tokens kept, and
    `asked`, where the pieces asked for are among them.
    """

    def __init__(
        self, number: int, kind: AttentionKind, sites: CallSites, length: int, pieces: Sequence[int]
    ) -> None:
        self.sites = sites
        self.pieces = tuple(pieces)
        spread = np.linspace(0, length - 1, min(length, TRIED_ROWS)).round().astype(int)
        self.rows: np.ndarray = np.unique([*spread, *pieces])
        self.asked = np.searchsorted(self.rows, pieces)
        self.invocations: list[Invocation] = []
        self.around: list[Invocation] = []
        self.calls: list[tuple[AttentionKind | None, int]] = []
        self._number, self._kind, self._length = number, kind, length
        self._open: list[Invocation] = []
        self._clock = self._heard = 0

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """See the model's modules inside the block."""
        handles = [
            module.register_forward_hook(self._left, with_kwargs=True) for module in model.modules()
        ]
        try:
            with entering(model.modules(), self._entered):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def heard(self, call: Call, _z: Tensor) -> None:
        """Note a call; forget what ended before, up to the layer's own."""
        kind = self.sites.kinds.get(call.module)
        self.calls.append((kind, self._tick()))
        if kind != self._kind:
            return
        if self._heard < self._number:
            self.invocations.clear()
        elif self._heard == self._number:
            self.around = list(self._open)
        self._heard += 1

    def calls_in(self, invocation: Invocation) -> int:
        """How many calls of the layer's kind were made inside."""
        return sum(
            kind == self._kind and invocation.begin < at < invocation.end for kind, at in self.calls
        )

    def _entered(self, module: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        given = self._first((*args, *kwargs.values()))
        self._open.append(Invocation(module, self._tick(), given))

    def _left(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        while self._open and self._open[-1].module is not module:
            self._open.pop()  # what an error left open
        done = self._open.pop()
        done.end = self._tick()
        if self._heard <= self._number or done in self.around or self._is_inside():
            parts = output if isinstance(output, tuple | list) else (output,)
            if isinstance(output, dict):
                parts = tuple(output.values())
            done.made = self._first(parts)
            self.invocations.append(done)

    def _is_inside(self) -> bool:
        """Whether something around the layer's call is still open."""
        return any(one in self._open for one in self.around)

    def _first(self, candidates: Sequence[Any]) -> np.ndarray | None:
        """The rows of the first of these that is a vector a token."""
        for tensor in candidates:
            if isinstance(tensor, Tensor) and tensor.is_floating_point() and 2 <= tensor.ndim <= 3:
                width = tensor.shape[-1]
                if width and tensor.numel() == self._length * width:
                    rows = tensor.detach().reshape(self._length, width)[self.rows.tolist()]
                    return as_numpy(rows).astype(np.float64)
        return None

    def _tick(self) -> int:
        self._clock += 1
        return self._clock
