"""The attention function that transformers' models call, and the finder of their calls."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.masking_utils import AttentionMaskInterface, eager_mask, sdpa_mask
from transformers.modeling_utils import AttentionInterface
from transformers.pytorch_utils import Conv1D

from attnviz.attention.request import AttentionKind
from attnviz.encoder.torch_engine import shape_of_output

# our attention function's names among transformers' own: one for each form in which it takes masks,
# True where a key may be attended to, or numbers to add, as a model's own eager attention reads it
NAME, ADDING = "attnviz", "attnviz_adding"
CAUSAL = "attnviz_causal"  # marks a mask as causal and nothing else: it need not be applied
WEIGHTS_AT_ONCE = 1 << 22  # in memory without torch's fused function (16 MiB in float32)


class UnlikeError(Exception):
    """The model's attention is of a kind that cannot be recorded as queries and keys."""


@dataclass(frozen=True, eq=False)
class Call:
    """One layer's call for a batch of sentences.

    q: (batch, num_heads, n, d_k); k, v: (batch, num_kv_heads, m, d_k or d_v). mask: (batch or 1,
    num_heads or 1, n, m), True where a key may be attended to, or numbers added to the scores, like
    position_bias. `causal`: each query attends to itself and all earlier keys.
    """

    module: nn.Module
    q: Tensor
    k: Tensor
    v: Tensor
    scale: float
    mask: Tensor | None
    causal: bool
    position_bias: Tensor | None
    softcap: float | None
    sinks: Tensor | None

    @classmethod
    def of(
        cls, module: nn.Module, q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]
    ) -> "Call":
        """From transformers' arguments; UnlikeError for what cannot be recorded."""
        # some models restrict each query to a few keys that another network chose
        chosen = [name for name in ("indices", "block_indices") if options.get(name) is not None]
        if chosen:
            raise UnlikeError(f"keys chosen beforehand ({chosen[0]})")
        mask = options.get("attention_mask")
        if mask is not None and mask.ndim != 4:
            raise UnlikeError(f"a mask of {mask.ndim} axes")
        causal = getattr(mask, CAUSAL, False)
        scale = options.get("scaling")
        return cls(
            module=module,
            q=q,
            k=k,
            v=v,
            scale=q.shape[-1] ** -0.5 if scale is None else float(scale),
            mask=None if causal else mask,
            causal=causal,
            position_bias=options.get("position_bias"),
            softcap=options.get("softcap"),
            sinks=options.get("s_aux", options.get("sinks")),
        )


def attend(call: Call) -> Tensor:
    """The weighted sums of values, z: (batch, num_heads, n, d_v)."""
    groups = call.q.shape[1] // call.k.shape[1]
    k, v = (t.repeat_interleave(groups, 1) if groups > 1 else t for t in (call.k, call.v))
    # torch's fused function has no soft cap, no sinks, and no values of another size than keys
    if call.softcap is None and call.sinks is None and k.shape[-1] == v.shape[-1]:
        mask, causal = _mask_and_bias(call), call.causal and call.position_bias is None
        return F.scaled_dot_product_attention(
            call.q, k, v, attn_mask=mask, is_causal=causal, scale=call.scale
        )
    batch, heads, n, _ = call.q.shape
    at_once = max(1, WEIGHTS_AT_ONCE // (batch * heads * k.shape[-2]))
    parts = (slice(first, min(first + at_once, n)) for first in range(0, n, at_once))
    blocks = [_weights(call, rows, k) @ v for rows in parts]
    return torch.cat(blocks, dim=-2)


def _mask_and_bias(call: Call) -> Tensor | None:
    """Mask and position bias as one mask for torch's function."""
    if call.position_bias is None:
        return call.mask
    bias = call.position_bias.to(call.q.dtype)
    mask = call.mask
    if call.causal:
        n, m = call.q.shape[-2], call.k.shape[-2]
        mask = torch.ones(n, m, dtype=torch.bool, device=bias.device).tril()
    if mask is None:
        return bias.expand(call.q.shape[0], -1, -1, -1)
    if mask.dtype == torch.bool:
        return torch.where(mask, bias, torch.finfo(bias.dtype).min)
    return mask + bias


def _weights(call: Call, rows: slice, k: Tensor) -> Tensor:
    """The weights of some queries, (batch, num_heads, row, m), in the dtype of k."""
    scores = (call.q[:, :, rows] @ k.mT * call.scale).float()
    if call.softcap is not None:
        scores = call.softcap * torch.tanh(scores / call.softcap)
    if call.position_bias is not None:
        scores = scores + call.position_bias[:, :, rows]
    # the lowest number, not -inf: a padding row without keys must not become NaN
    lowest = torch.finfo(scores.dtype).min
    if call.causal:
        keys = torch.arange(k.shape[-2], device=scores.device)
        queries = torch.arange(rows.start, rows.stop, device=scores.device)
        scores = scores.masked_fill(keys > queries[:, None], lowest)
    elif call.mask is not None and call.mask.dtype == torch.bool:
        scores = scores.masked_fill(~call.mask[:, :, rows], lowest)
    elif call.mask is not None:
        scores = scores + call.mask[:, :, rows]
    if call.sinks is None:
        return scores.softmax(-1).to(k.dtype)
    sinks = call.sinks.float().reshape(1, -1, 1, 1).expand(*scores.shape[:-1], 1)
    return torch.cat([scores, sinks], dim=-1).softmax(-1)[..., :-1].to(k.dtype)


# takes a call and its result, (batch, num_heads, n, d_v)
Listener = Callable[[Call, Tensor], None]

# gives a call's result, in place of `attend`
Computer = Callable[[Call], Tensor]

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)
_COMPUTER: ContextVar[Computer] = ContextVar("computer", default=attend)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let the listener hear every call that this thread makes inside the block."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@contextmanager
def computing(computer: Computer) -> Iterator[None]:
    """Let the computer give the result of every call that this thread makes inside the block."""
    token = _COMPUTER.set(computer)
    try:
        yield
    finally:
        _COMPUTER.reset(token)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """The function that models call; returns z as (batch, n, num_heads, d_v), and no weights."""
    call = Call.of(module, query, key, value, {**options, "attention_mask": attention_mask})
    z = _COMPUTER.get()(call)
    listener = _LISTENER.get()
    if listener is not None:
        listener(call, z)
    return z.transpose(1, 2).contiguous(), None


def make_mask(*, allow_is_causal_skip: bool = True, **options: Any) -> Tensor | None:
    """The mask of transformers' fused attention, True where a key may be attended to; or None.

    transformers leaves a purely causal mask to each module. Some forget it: we make it, as CAUSAL.
    """
    mask: Tensor | None = sdpa_mask(allow_is_causal_skip=allow_is_causal_skip, **options)
    if mask is not None or not allow_is_causal_skip:
        return mask
    mask = sdpa_mask(allow_is_causal_skip=False, **options)
    if mask is not None and mask.shape[-2] == mask.shape[-1]:
        setattr(mask, CAUSAL, True)
    return mask


def register() -> None:
    """Register our attention function, and its masks, with transformers."""
    # without a mask function of the same name, it would pass no masks at all
    for name, mask in ((NAME, make_mask), (ADDING, eager_mask)):
        AttentionInterface.register(name, attention)
        AttentionMaskInterface.register(name, mask)


class ModuleInputs(NamedTuple):
    """What entered a module: x, (batch, n, d_model), and the encoder's vectors, if any."""

    x: Tensor | None
    encoder_hidden_states: Tensor | None


@dataclass(eq=False)
class CallSites:
    """The modules that call us: kind and W_O; `begun`: those begun by the kind's last call."""

    kinds: dict[nn.Module, AttentionKind] = field(default_factory=dict)
    outputs: dict[nn.Module, nn.Module] = field(default_factory=dict)
    begun: dict[AttentionKind, set[nn.Module]] = field(default_factory=dict)
    shapes: dict[nn.Module, Tensor] = field(default_factory=dict)
    measured: dict[nn.Module, int] = field(default_factory=dict)  # vectors, without a shape

    def value_norms(self, module: nn.Module, v: Tensor, num_heads: int) -> Tensor | None:
        """The lengths of v W_O, (batch, num_heads, m); v: (batch, num_kv_heads, m, d_v)."""
        output = self.outputs.get(module)
        if output is None:
            return None
        shapes = self.shapes.get(module)
        if shapes is None:
            weight = output.weight
            if not isinstance(weight, Tensor):
                raise TypeError(f"{type(output).__name__} has no weight")
            matrix = weight.T if isinstance(output, Conv1D) else weight  # (out, in)
            # to find the shape pays once there have been about as many vectors as their width
            self.measured[module] = self.measured.get(module, 0) + v.shape[0] * v.shape[2]
            if self.measured[module] > v.shape[-1]:
                shapes = self.shapes[module] = shape_of_output(matrix, num_heads)
            else:
                shapes = matrix.T.reshape(num_heads, -1, len(matrix)).float()
        # consecutive heads share a value
        shapes = torch.unflatten(shapes, 0, (v.shape[1], -1))
        norm = torch.linalg.vector_norm
        lengths = [norm(v.float() @ shape, dim=-1) for shape in shapes.unbind(1)]
        return torch.stack(lengths, 2).flatten(1, 2)


class SiteFinder:
    """Finds call sites and calls, and which modules begin; `encoder`: the one before a decoder."""

    def __init__(self, encoder: nn.Module | None) -> None:
        self.sites = CallSites()
        self.calls: list[tuple[Call, Tensor, ModuleInputs]] = []
        self.begun: set[nn.Module] = set()
        self._in_encoder = set() if encoder is None else set(encoder.modules())
        self._inputs: dict[nn.Module, ModuleInputs] = {}
        self._last: tuple[nn.Module, Tensor] | None = None

    def heard(self, call: Call, z: Tensor) -> None:
        """Note the module that called; see `listening`."""
        kind: AttentionKind = "encoder" if call.module in self._in_encoder else "decoder"
        inputs = self._inputs[call.module]
        self.calls.append((call, z, inputs))
        if inputs.encoder_hidden_states is not None:
            kind = "cross"
        self.sites.kinds[call.module] = kind
        self.sites.begun[kind] = set(self.begun)
        self._last = call.module, z.transpose(1, 2).flatten(2)

    def entered(self, module: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        """Note what enters a module; see `entering`."""
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
