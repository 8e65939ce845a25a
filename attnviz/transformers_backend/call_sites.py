"""Where in a model attention happens: found out by running it once, on a few tokens.

Nothing here knows an architecture. A module that calls our attention function is a site; whose
attention it is shows in what it was given, and its W_O is whatever matrix its sums go into next.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from attnviz.encoder.encoder import shape_of_output
from attnviz.inspection.facts import AttentionKind
from attnviz.transformers_backend.attention_call import Call

MEMORY = ("key_value_states", "encoder_hidden_states")
"""What attention modules call the vectors of which keys and values are made, if not their own."""


class Inputs(NamedTuple):
    """The vectors that entered a module, (batch, n, d_model), and those of the keys, if others."""

    x: Tensor | None
    memory: Tensor | None


@dataclass(eq=False)
class Sites:
    """Where a model calls our attention: the modules, and whose attention each one's is.

    `outputs`: the W_O of each of them, where there is one. `run`: by kind of attention, the modules
    that had begun to run when its last layer called.
    """

    kinds: dict[nn.Module, AttentionKind] = field(default_factory=dict)
    outputs: dict[nn.Module, nn.Module] = field(default_factory=dict)
    run: dict[AttentionKind, set[nn.Module]] = field(default_factory=dict)
    _shapes: dict[nn.Module, Tensor] = field(default_factory=dict)

    def value_norms(self, module: nn.Module, v: Tensor, num_heads: int) -> Tensor | None:
        """The lengths of v W_O, (batch, num_heads, m); v: (batch, num_kv_heads, m, d_v)."""
        output = self.outputs.get(module)
        if output is None:
            return None
        if module not in self._shapes:
            self._shapes[module] = shape_of_output(_matrix(output), num_heads)
        # heads in a row share a value
        shapes = torch.unflatten(self._shapes[module], 0, (v.shape[1], -1))
        lengths = [
            torch.linalg.vector_norm(v.float() @ shapes[:, nth], dim=-1)
            for nth in range(shapes.shape[1])
        ]
        return torch.stack(lengths, 2).flatten(1, 2)


class Finder:
    """A listener that finds a model's sites, and the modules that have begun to run.

    `encoder` is the part of it whose own attention is an
    encoder's, None in a model of one part.
    """

    def __init__(self, encoder: nn.Module | None) -> None:
        self.sites = Sites()
        self._inside = set() if encoder is None else set(encoder.modules())
        self._inputs: dict[nn.Module, Inputs] = {}
        self.begun: set[nn.Module] = set()
        self._waiting: tuple[nn.Module, Tensor] | None = None

    def heard(self, call: Call, z: Tensor) -> None:
        """As in Listener."""
        kind: AttentionKind = "encoder" if call.module in self._inside else "decoder"
        if self._inputs[call.module].memory is not None:
            kind = "cross"
        self.sites.kinds[call.module] = kind
        self.sites.run[kind] = set(self.begun)
        self._waiting = call.module, z.transpose(1, 2).flatten(2)

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """See what goes into every module of the model meanwhile."""
        handles = [
            module.register_forward_pre_hook(self._entered, with_kwargs=True)
            for module in model.modules()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _entered(self, module: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        self.begun.add(module)
        self._inputs[module] = inputs_of(module, args, kwargs)
        if self._waiting is None or not isinstance(module, nn.Linear | Conv1D) or not args:
            return
        site, sums = self._waiting
        entered = args[0]
        if entered.shape[-1] == sums.shape[-1] and torch.equal(entered.reshape(sums.shape), sums):
            self.sites.outputs.setdefault(site, module)
            self._waiting = None


def inputs_of(module: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> Inputs:
    """The vectors among what a module is called with."""
    given = signature(module.forward).bind_partial(*args, **kwargs).arguments
    vectors = [t for t in given.values() if isinstance(t, Tensor) and t.ndim == 3]
    memory = next((given[name] for name in MEMORY if given.get(name) is not None), None)
    x = given.get("hidden_states", vectors[0] if vectors else None)
    return Inputs(x if isinstance(x, Tensor) and x.ndim == 3 else None, memory)


def _matrix(module: nn.Module) -> Tensor:
    """A module's matrix as nn.Linear has it, (out, in); Conv1D has it the other way round."""
    weight = module.weight
    if not isinstance(weight, Tensor):
        raise TypeError(f"{type(module).__name__} has no weight")
    return weight.T if isinstance(module, Conv1D) else weight
