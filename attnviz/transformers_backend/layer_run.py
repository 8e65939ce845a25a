"""See what enters and leaves every module of a layer, layer by layer, in a run of one text."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from attnviz.attention.request import AttentionKind
from attnviz.attention.sublayers import Sublayers
from attnviz.encoder.devices import as_numpy
from attnviz.errors import AttnvizError
from attnviz.transformers_backend.attention_call import Call, CallSites, entering

Retraced = list[Sublayers | AttnvizError]

TRIED_ROWS = 32  # the most tokens on which modules are tried


class Rows(NamedTuple):
    """One vector a token, of what entered or left a module: of the tokens on which modules are
    tried, (row, width) in float64, and of those asked for, (piece, width) in float32.
    """

    tried: np.ndarray
    asked: np.ndarray


@dataclass(eq=False)
class Invocation:
    """One run of a module: what entered and left it, and when, as counts.

    None for what is not one vector a token.
    """

    module: nn.Module
    begin: int
    entered: Rows | None
    left: Rows | None = None
    end: int = 0

    @property
    def given(self) -> np.ndarray | None:
        """What entered, of the tokens on which modules are tried."""
        return None if self.entered is None else self.entered.tried

    @property
    def made(self) -> np.ndarray | None:
        """What left, of these."""
        return None if self.left is None else self.left.tried

    def holds(self, other: "Invocation") -> bool:
        """Whether another began and ended inside."""
        return self.begin < other.begin and other.end < self.end


class LayerRun:
    """Keeps the invocations around one call of attention, a layer's, at a time; hears all calls.

    `around`: those that the call was inside of, the outermost first. `found`: of each of the layers
    `numbers` its parts, or an error, when its invocations are complete.
    """

    def __init__(
        self,
        numbers: Collection[int],
        kind: AttentionKind,
        sites: CallSites,
        length: int,
        pieces: Sequence[int],
    ) -> None:
        self.sites = sites
        self.pieces = tuple(pieces)
        spread = np.linspace(0, length - 1, min(length, TRIED_ROWS)).round().astype(int)
        some = pieces[:: max(1, len(pieces) // TRIED_ROWS)]
        self._rows = [int(row) for row in np.unique([*spread, *some])]
        self.invocations: list[Invocation] = []
        self.around: list[Invocation] = []
        self.calls: list[tuple[AttentionKind | None, int]] = []
        self.found: dict[int, Sublayers | AttnvizError] = {}
        self._numbers, self._last = numbers, max(numbers)
        self._kind, self._length = kind, length
        self._open: list[Invocation] = []
        self._clock = self._heard = self._at = 0
        self._is_trying = False

    @contextmanager
    def watching(
        self, model: nn.Module, find: Callable[..., Sublayers], dtype: str
    ) -> Iterator[None]:
        """See the model's modules inside the block; `find` gives a run's layer's parts."""
        self._find = partial(find, dtype=dtype)
        handles = [
            module.register_forward_hook(self._left, with_kwargs=True) for module in model.modules()
        ]
        try:
            with entering(model.modules(), self._entered):
                yield
            self._complete()
            self.around = []  # nothing is known of a layer whose attention was not heard
            for number in set(self._numbers) - set(self.found):
                self._try(number)
        finally:
            for handle in handles:
                handle.remove()

    def heard(self, call: Call, _z: Tensor) -> None:
        """Note a call; if it is the next layer's, the one before is complete."""
        kind = self.sites.kinds.get(call.module)
        self.calls.append((kind, self._tick()))
        if kind != self._kind or self._heard > self._last + 1:
            return
        self._complete()
        self._heard += 1
        if self._heard <= self._last + 1:
            self.around = list(self._open)

    def _complete(self) -> None:
        """Find the parts of the layer heard last, and forget what ended before its call."""
        number = self._heard - 1
        if number in self._numbers:
            self._try(number)
        self.invocations = [one for one in self.invocations if one.end > self._at]
        self._at = self._clock

    def _try(self, number: int) -> None:
        self._is_trying = True
        try:
            self.found[number] = self._find(self)
        except AttnvizError as error:
            self.found[number] = error
        finally:
            self._is_trying = False

    def calls_in(self, invocation: Invocation) -> int:
        """How many calls of the layer's kind were made inside."""
        return sum(
            kind == self._kind and invocation.begin < at < invocation.end for kind, at in self.calls
        )

    def _entered(self, module: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        if not self._is_trying:
            given = self._first((*args, *kwargs.values()))
            self._open.append(Invocation(module, self._tick(), given))

    def _left(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if self._is_trying:
            return
        while self._open and self._open[-1].module is not module:
            self._open.pop()  # what an error left open
        done = self._open.pop()
        done.end = self._tick()
        if self._heard <= self._last or done in self.around or self._is_inside():
            parts = output if isinstance(output, tuple | list) else (output,)
            if isinstance(output, dict):
                parts = tuple(output.values())
            done.left = self._first(parts)
            self.invocations.append(done)

    def _is_inside(self) -> bool:
        """Whether something around the layer's call is still open."""
        return any(one in self._open for one in self.around)

    def _first(self, candidates: Sequence[Any]) -> Rows | None:
        """The rows of the first of these that is a vector a token."""
        for tensor in candidates:
            if isinstance(tensor, Tensor) and tensor.is_floating_point() and 2 <= tensor.ndim <= 3:
                width = tensor.shape[-1]
                if width and tensor.numel() == self._length * width:
                    rows = tensor.detach().reshape(self._length, width)
                    tried, asked = (as_numpy(rows[some]) for some in (self._rows, [*self.pieces]))
                    return Rows(tried.astype(np.float64), asked.astype(np.float32, copy=False))
        return None

    def _tick(self) -> int:
        self._clock += 1
        return self._clock
