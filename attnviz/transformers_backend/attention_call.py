"""What transformers' models give an attention function, one layer's call at a time."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

CHOSEN_KEYS = ("indices", "block_indices")
"""What a model gives that lets each query look at a few keys only, chosen by a network beside."""


CAUSAL = "attnviz_causal"
"""The attribute by which a mask is known to be causal and no more, so that it need not be used."""


class UnlikeError(Exception):
    """A model asks for attention of a kind that is not recorded as queries and keys."""


@dataclass(frozen=True, eq=False)
class Call:
    """One layer's attention, as a model asks for it; a batch of sentences in every tensor.

    q: (batch, num_heads, n, d_k); k, v: (batch, num_kv_heads, m, d_k or d_v); mask: (batch or 1,
    num_heads or 1, n, m), true where a key is looked at, or numbers that are added to the scores;
    `causal`: queries look at no key behind them, and at all others; position_bias: (batch or 1,
    num_heads or 1, n, m), added to the scores. `softcap` and `sinks` are as in LayerRecord.
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
        cls, module: nn.Module, q: Tensor, k: Tensor, v: Tensor, given: dict[str, Any]
    ) -> "Call":
        """What transformers gives its attention functions; UnlikeError for what they cannot do."""
        chosen = [name for name in CHOSEN_KEYS if given.get(name) is not None]
        if chosen:
            raise UnlikeError(f"keys chosen beforehand ({chosen[0]})")
        mask = given.get("attention_mask")
        if mask is not None and mask.ndim != 4:
            raise UnlikeError(f"a mask of {mask.ndim} axes")
        causal = getattr(mask, CAUSAL, False)
        scale, sinks = given.get("scaling"), given.get("s_aux", given.get("sinks"))
        return cls(
            module=module,
            q=q,
            k=k,
            v=v,
            scale=q.shape[-1] ** -0.5 if scale is None else float(scale),
            mask=None if causal else mask,
            causal=causal,
            position_bias=given.get("position_bias"),
            softcap=given.get("softcap"),
            sinks=sinks,
        )
