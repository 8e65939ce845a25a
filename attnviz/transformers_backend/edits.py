"""Run a text again through a model of transformers with edits of some heads.

The attention function that the models call makes the edits; layers below the first edited one give
what they gave in the plain run, without being run.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attnviz.attention.edits import Edit, Find, Replaced
from attnviz.attention.layer import check_finite
from attnviz.encoder.devices import as_numpy
from attnviz.encoder.record import memory_for
from attnviz.errors import AttnvizError, lacks_memory
from attnviz.inspection.edited import Output
from attnviz.transformers_backend import load
from attnviz.transformers_backend.attention_call import (
    Call,
    CallSites,
    attend,
    computing,
    listening,
)
from attnviz.transformers_backend.heads import TransformersHead
from attnviz.transformers_backend.record import Batch
from attnviz.transformers_backend.recordable import RecordableModel

BATCH_TOKENS = 256  # in a batch of edited runs, as in our own encoder
# how far a run from the last layer on may be from the plain run, beside its numbers; and in
# bfloat16 and float16, where more is rounded
SAME, COARSELY_SAME = 1e-4, 0.02

Run = Sequence[Edit]


@dataclass(eq=False)
class Layers:
    """The modules of a list that hold attention, in their order, and what each gave when it ran.

    `first`: how many calls of the shown kind came before each layer's.
    """

    modules: list[nn.Module] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    outputs: dict[nn.Module, Any] = field(default_factory=dict)

    def of(self, run: Run) -> int:
        """The place of the layer that has a run's first edit."""
        number = min(edit.layer for edit in run)
        return max((at for at, first in enumerate(self.first) if first <= number), default=0)


class EditedRuns:
    """A text that ran once, and can be run again with edits.

    head: the checkpoint's own, if its scores at `places` are asked for; then that model is run.
    AttnvizError for a model that gives weights alone, and for numbers that are not finite.
    """

    def __init__(
        self,
        model: RecordableModel,
        batch: Batch,
        head: TransformersHead | None = None,
        places: Sequence[int] = (),
    ) -> None:
        if model.weights_only:
            raise AttnvizError(
                f"heads of {model.name} models cannot be edited: their own code computes the "
                "weights, and gives nothing else",
                "choose a model whose queries, keys and values attnviz shows",
            )
        self._model, self._batch, self._head, self._places = model, batch, head, list(places)
        self._module: Any = model.part if head is None else head.model
        self._shown = _shown(self._module, model)
        self._sites = model.sites if head is None else _sites_in(self._module, model)
        self._length = sum(len(rows[0]) for rows in (batch.ids, batch.targets) if rows)
        self._calls: dict[nn.Module, list[int]] = {}
        self._layers = Layers()
        classifies = head is not None and head.facts.kind == "sequence-classification"
        unpadded = classifies and getattr(model.config, "pad_token_id", None) is None
        # without an id for padding, transformers finds no last token in a batch
        self._together = model.shares(self._length) and not unpadded
        self._last: nn.Module | None = None  # gives scores, of the places alone
        with self._running(1):
            self.plain = self._run_plain()
            if not self._is_shorter():
                self._last = None
                if not self._is_shorter():
                    self._layers = Layers()

    def edited(
        self, runs: Sequence[Run], find: Find, pieces: slice = slice(None)
    ) -> Iterator[Output]:
        """Each run's output in turn; the states of these pieces alone."""
        at_once = max(1, BATCH_TOKENS // self._length) if self._together else 1
        for first, group in groupby(runs, self._layers.of):
            same = list(group)
            for start in range(0, len(same), at_once):
                some = [list(map(find, run)) for run in same[start : start + at_once]]
                with self._running(len(some)), computing(Editor(self._calls, some)):
                    outputs = self._forward(len(some), first)
                for output in outputs:
                    yield output._replace(states=output.states[pieces])

    @contextmanager
    def _running(self, count: int) -> Iterator[None]:
        """Get the model ready to be run with so many texts, with our attention function."""
        model, own = self._model, self._module.config._attn_implementation
        failing = load.model_errors(f"{model.name} models cannot be edited: they fail with")
        with memory_for(count, self._length), model.running(), failing:
            if self._head is not None:
                self._module.set_attn_implementation(model.form)
            try:
                yield
            finally:
                if self._head is not None:
                    self._module.set_attn_implementation(own)

    def _run_plain(self) -> Output:
        """The plain run, which tells the order of calls and what each layer gives."""
        kind, inside = self._model.called, _layers_in(self._module)
        order: list[nn.Module] = []
        begun: Counter[nn.Module] = Counter()
        outputs: dict[nn.Module, Any] = {}
        with ExitStack() as stack:
            for layer in set(inside.values()):
                stack.enter_context(_leaving(layer, outputs, begun))
            stack.enter_context(listening(lambda call, _: order.append(call.module)))
            [output] = self._forward(1)
            self._last = self._scoring()
        layers, count = Layers(outputs=outputs), 0
        for module in order:
            if module in inside and inside[module] not in layers.modules:
                layers.modules.append(inside[module])
                layers.first.append(count)
            if self._sites.kinds.get(module) == kind:
                self._calls.setdefault(module, []).append(count)
                count += 1
        once = all(begun[layer] == 1 for layer in layers.modules)
        if once and len(order) == len(set(order)) and all(module in inside for module in order):
            self._layers = layers
        return output

    def _scoring(self) -> nn.Module | None:
        """The matrix that turns states into the head's scores, a row for each place."""
        return None if self._head is None else self._module.get_output_embeddings()

    def _is_shorter(self) -> bool:
        """Whether a run that begins at the last layer gives the plain run's numbers."""
        last = len(self._layers.modules) - 1
        if last < 1:
            return False
        try:
            runs = self._forward(2 if self._together else 1, last)
        except Exception as error:  # whatever a model raises that needs what a layer leaves behind
            if lacks_memory(error):
                raise
            return False
        within = SAME if self._model.dtype == "float32" else COARSELY_SAME
        return all(
            _alike(one, other, within)
            for run in runs
            for one, other in zip(run, self.plain, strict=True)
        )

    def _forward(self, count: int, first: int = 0) -> list[Output]:
        """Run the text in a batch of so many rows, from this layer on."""
        batch, layers = self._batch, self._layers
        ids, types, targets = (
            None if rows is None else list(rows) * count
            for rows in (batch.ids, batch.types, batch.targets)
        )
        tensors = Batch(ids or [], types, targets).tensors(self._model.pad, self._module.device)
        left: dict[nn.Module, Any] = {}
        with ExitStack() as stack:
            for layer in layers.modules[:first]:
                stack.enter_context(_giving(layer, _repeated(layers.outputs[layer], count)))
            stack.enter_context(_leaving(self._shown, left))
            if self._last is not None:
                stack.enter_context(_taking(self._last, self._places))
            output = self._module(**tensors)
        states = _states_in(left.get(self._shown))
        if states is None or states.ndim != 3 or len(states) != count:
            raise AttnvizError(f"{self._model.name} models give no state of each token")
        found = as_numpy(states)
        check_finite(self._model.num_layers, "final states", found, self._model.dtype)
        if self._head is None:
            return list(map(Output, found))
        places = self._places if self._last is None else range(len(self._places))
        return list(map(Output, found, self._head.rows(output, places)))


class Editor:
    """Computes calls with the edits of a batch of runs; `calls`: each module's, by their layers."""

    def __init__(
        self, calls: Mapping[nn.Module, Sequence[int]], runs: Sequence[Sequence[Replaced]]
    ) -> None:
        self._calls, self._runs = calls, runs
        self._heard: Counter[nn.Module] = Counter()

    def __call__(self, call: Call) -> Tensor:
        """z, (batch, num_heads, n, d_v), with the edits of the call's layer."""
        numbers, heard = self._calls.get(call.module, ()), self._heard[call.module]
        self._heard[call.module] += 1
        if heard >= len(numbers):
            return attend(call)
        edits = [
            (row, edit)
            for row, run in enumerate(self._runs)
            for edit in run
            if edit.layer == numbers[heard]
        ]
        made = {what: getattr(call, what).clone() for what in "qkv" if _has(edits, what)}
        for row, edit in edits:
            if edit.what in made:
                _write(made[edit.what][row], edit)
        z = attend(replace(call, **made) if made else call)
        if _has(edits, "z") or _has(edits, "weights"):
            z = z.clone()
        v = made.get("v", call.v)
        for row, edit in edits:
            if edit.what == "weights":
                _mix(z[row], v[row], edit)
        for row, edit in edits:
            if edit.what == "z":
                _write(z[row], edit)
        return z


def _has(edits: Sequence[tuple[int, Replaced]], what: str) -> bool:
    return any(edit.what == what for _, edit in edits)


def _write(heads: Tensor, edit: Replaced) -> None:
    """Write an edit's numbers into some rows of its head; heads: (num_heads, row, width)."""
    heads[edit.head, _rows(edit)] = _numbers(edit, heads)


def _mix(heads: Tensor, v: Tensor, edit: Replaced) -> None:
    """Write the sums of values that an edit's weights give; heads: z, (num_heads, n, d_v)."""
    own = v[edit.head * len(v) // len(heads)]
    heads[edit.head, _rows(edit)] = _numbers(edit, own.mT) @ own


def _numbers(edit: Replaced, like: Tensor) -> Tensor:
    """An edit's numbers, as wide as rows of this tensor."""
    return torch.from_numpy(edit.numbers(like.shape[-1])).to(like.device, like.dtype)


def _rows(edit: Replaced) -> Any:
    return slice(None) if edit.rows is None else edit.rows.tolist()


def _shown(module: Any, model: RecordableModel) -> nn.Module:
    """The part whose final states are shown."""
    if model.seq2seq and module is not model.part:
        module = module.get_decoder() if model.decodes else module.get_encoder()
    elif model.decodes:
        module = module.get_decoder()
    part: Any = getattr(module, "base_model", module)
    if part is module and getattr(part, "get_output_embeddings", lambda: None)() is not None:
        part = part.get_decoder()  # llama4 always has its head on, and does not name its base
        part = getattr(part, "model", part)
    shown: nn.Module = part
    return shown


def _sites_in(module: Any, model: RecordableModel) -> CallSites:
    """The call sites of a model with its head, by the names that they have without."""
    for part in (module, getattr(module, "base_model", module)):
        try:
            return model.trial.sites_in(part)
        except KeyError:
            continue
    raise AttnvizError(
        f"the heads of {model.name} models are not found in the {type(module).__name__}",
        "the model's states can be asked for, with --outcome states",
    )


def _layers_in(module: nn.Module) -> dict[nn.Module, nn.Module]:
    """For each module in a list of modules, the list's entry that it belongs to."""
    found: dict[nn.Module, nn.Module] = {}
    for part in module.modules():
        if not isinstance(part, nn.ModuleList):
            continue
        for entry in part:
            for inner in entry.modules():
                found.setdefault(inner, entry)  # the outermost list comes first
    return found


def _states_in(output: Any) -> Tensor | None:
    states = getattr(output, "last_hidden_state", None)
    if states is None and isinstance(output, tuple | list):
        states = output[0]
    return states if isinstance(states, Tensor) else None


def _repeated(value: Any, count: int) -> Any:
    """What a layer gave for one text, for so many."""
    if isinstance(value, Tensor):
        return value.repeat(count, *[1] * (value.ndim - 1)) if value.shape[:1] == (1,) else value
    if type(value) in (tuple, list):
        return type(value)(_repeated(part, count) for part in value)
    return value


@contextmanager
def _giving(layer: nn.Module, value: Any) -> Iterator[None]:
    """Inside the block, let a layer give this without being run."""
    own = vars(layer).get("forward")
    layer.forward = lambda *_, **__: value
    try:
        yield
    finally:
        if own is None:
            del layer.forward
        else:
            layer.forward = own


@contextmanager
def _leaving(
    module: nn.Module, outputs: dict[nn.Module, Any], begun: Counter[nn.Module] | None = None
) -> Iterator[None]:
    """Inside the block, keep what a module gives last, and count how often it runs."""

    def left(module: nn.Module, _: Any, output: Any) -> None:
        outputs[module] = output
        if begun is not None:
            begun[module] += 1

    handle = module.register_forward_hook(left)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _taking(module: nn.Module, places: Sequence[int]) -> Iterator[None]:
    """Inside the block, let a module see these places of each text alone: (text, place, width)."""
    handle = module.register_forward_pre_hook(lambda _, args: (args[0][:, list(places)], *args[1:]))
    try:
        yield
    finally:
        handle.remove()


def _alike(one: np.ndarray | None, other: np.ndarray | None, within: float) -> bool:
    if one is None or other is None:
        return one is other
    if one.shape != other.shape:
        return False
    return float(np.abs(one - other).max()) <= within * max(1.0, float(np.abs(other).max()))
