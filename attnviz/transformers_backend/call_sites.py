"""Find the modules that compute attention, by running the model once on a few tokens.

A module that calls our attention function is a call site; its arguments tell the kind of attention,
and its W_O is the matrix that its result goes into.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from attnviz.attention.request import AttentionKind
from attnviz.encoder.encoder import shape_of_output
from attnviz.transformers_backend.attention_call import Call


class ModuleInputs(NamedTuple):
    """What entered a module: x, (batch, n, d_model), and the encoder's vectors, if any."""

    x: Tensor | None
    encoder_hidden_states: Tensor | None


@dataclass(eq=False)
class CallSites:
    """The modules that call our attention function, and the kind of attention of each.

    `outputs`: W_O of each, if it was found. `begun`: for each kind, the modules that had begun to
    run when its last layer called. `shapes`: kept results of `shape_of_output`.
    """

    kinds: dict[nn.Module, AttentionKind] = field(default_factory=dict)
    outputs: dict[nn.Module, nn.Module] = field(default_factory=dict)
    begun: dict[AttentionKind, set[nn.Module]] = field(default_factory=dict)
    shapes: dict[nn.Module, Tensor] = field(default_factory=dict)

    def value_norms(self, module: nn.Module, v: Tensor, num_heads: int) -> Tensor | None:
        """The lengths of v W_O, (batch, num_heads, m); v: (batch, num_kv_heads, m, d_v)."""
        output = self.outputs.get(module)
        if output is None:
            return None
        if module not in self.shapes:
            weight = output.weight
            if not isinstance(weight, Tensor):
                raise TypeError(f"{type(output).__name__} has no weight")
            matrix = weight.T if isinstance(output, Conv1D) else weight  # (out, in)
            self.shapes[module] = shape_of_output(matrix, num_heads)
        # consecutive heads share a value
        shapes = torch.unflatten(self.shapes[module], 0, (v.shape[1], -1))
        lengths = [
            torch.linalg.vector_norm(v.float() @ shapes[:, nth], dim=-1)
            for nth in range(shapes.shape[1])
        ]
        return torch.stack(lengths, 2).flatten(1, 2)


class SiteFinder:
    """A listener that finds a model's call sites, and notes which modules begin to run.

    `encoder`: the encoder of a model that has a decoder too.
    """

    def __init__(self, encoder: nn.Module | None) -> None:
        self.sites = CallSites()
        self.begun: set[nn.Module] = set()
        self._in_encoder = set() if encoder is None else set(encoder.modules())
        self._inputs: dict[nn.Module, ModuleInputs] = {}
        self._last: tuple[nn.Module, Tensor] | None = None

    def heard(self, call: Call, z: Tensor) -> None:
        """See Listener."""
        kind: AttentionKind = "encoder" if call.module in self._in_encoder else "decoder"
        if self._inputs[call.module].encoder_hidden_states is not None:
            kind = "cross"
        self.sites.kinds[call.module] = kind
        self.sites.begun[kind] = set(self.begun)
        self._last = call.module, z.transpose(1, 2).flatten(2)

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """See what enters each module of the model inside the block."""
        with entering(model.modules(), self._entered):
            yield

    def _entered(self, module: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        self.begun.add(module)
        self._inputs[module] = inputs_of(module, args, kwargs)
        if self._last is None or not isinstance(module, nn.Linear | Conv1D) or not args:
            return
        site, z = self._last
        entered = args[0]
        if entered.shape[-1] == z.shape[-1] and torch.equal(entered.reshape(z.shape), z):
            self.sites.outputs.setdefault(site, module)
            self._last = None


@contextmanager
def entering(modules: Iterable[nn.Module], entered: Callable[..., None]) -> Iterator[None]:
    """Inside the block, call `entered` with each of these modules and its arguments."""
    handles = [module.register_forward_pre_hook(entered, with_kwargs=True) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def inputs_of(module: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> ModuleInputs:
    """The vectors among a module's arguments."""
    arguments = signature(module.forward).bind_partial(*args, **kwargs).arguments
    vectors = [t for t in arguments.values() if isinstance(t, Tensor) and t.ndim == 3]
    # what cross-attention makes keys and values from
    others = (arguments.get(name) for name in ("key_value_states", "encoder_hidden_states"))
    states = next((tensor for tensor in others if tensor is not None), None)
    x = arguments.get("hidden_states", vectors[0] if vectors else None)
    return ModuleInputs(x if isinstance(x, Tensor) and x.ndim == 3 else None, states)
