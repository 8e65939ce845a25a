"""The one attention function under which transformers' models call us, and who is told of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from torch import Tensor, nn
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

from attnviz.transformers_backend.attention import attend
from attnviz.transformers_backend.attention_call import CAUSAL, Call

NAME = "attnviz"
"""What our attention function is called among transformers' own."""


class Listener(Protocol):
    """Is told of every call in the thread in which it listens."""

    def heard(self, call: Call, z: Tensor) -> None:
        """A call, and what came of it, (batch, num_heads, n, d_v)."""


_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell the listener of each call that is made meanwhile."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    **given: Any,
) -> tuple[Tensor, None]:
    """What transformers' models call; gives (batch, n, num_heads, d_v), and no weights."""
    call = Call.of(module, query, key, value, {**given, "attention_mask": attention_mask})
    z = attend(call)
    listener = _LISTENER.get()
    if listener is not None:
        listener.heard(call, z)
    return z.transpose(1, 2).contiguous(), None


def make_mask(*, allow_is_causal_skip: bool = True, **given: Any) -> Tensor | None:
    """The mask of transformers' fused attention, true where a key is looked at; None for none.

    transformers leaves out a mask that is causal and no more, and trusts each module to know that
    it is; some do not. So we have it made, as for eager attention, and marked as CAUSAL.
    """
    made: Tensor | None = sdpa_mask(allow_is_causal_skip=allow_is_causal_skip, **given)
    if made is not None or not allow_is_causal_skip:
        return made
    made = sdpa_mask(allow_is_causal_skip=False, **given)
    if made is not None and made.shape[-2] == made.shape[-1]:
        setattr(made, CAUSAL, True)
    return made


def register() -> None:
    """Make our attention known to transformers, by NAME.

    Without a mask function under the same name, transformers would hand over no mask at all, and
    padding and causality would be gone.
    """
    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, make_mask)
