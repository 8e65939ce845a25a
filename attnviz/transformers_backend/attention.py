"""Attention itself, for whatever a model asks of it, without ever holding all weights."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnviz.transformers_backend.attention_call import Call

WEIGHTS_AT_ONCE = 1 << 22
"""Weights computed together where torch's own function does not do (16 MiB in float32)."""


def attend(call: Call) -> Tensor:
    """The sums of weights times values, (batch, num_heads, n, d_v).

    torch's fused function where it can express the scores, and rows of queries, some at a time,
    where it cannot: with a soft cap, with sinks, or with values of another size than keys.
    """
    groups = call.q.shape[1] // call.k.shape[1]
    k, v = (t.repeat_interleave(groups, 1) if groups > 1 else t for t in (call.k, call.v))
    if call.softcap is None and call.sinks is None and k.shape[-1] == v.shape[-1]:
        return F.scaled_dot_product_attention(
            call.q,
            k,
            v,
            attn_mask=_joined(call),
            is_causal=call.causal and call.position_bias is None,
            scale=call.scale,
        )
    return _by_rows(call, k, v)


def _joined(call: Call) -> Tensor | None:
    """Mask and position bias as one that is added to the scores."""
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


def _by_rows(call: Call, k: Tensor, v: Tensor) -> Tensor:
    batch, heads, n, _ = call.q.shape
    at_once = max(1, WEIGHTS_AT_ONCE // (batch * heads * k.shape[-2]))
    blocks = [
        _rows(call, slice(first, min(first + at_once, n)), k) @ v for first in range(0, n, at_once)
    ]
    return torch.cat(blocks, dim=-2)


def _rows(call: Call, rows: slice, k: Tensor) -> Tensor:
    """The weights of some queries, (batch, num_heads, row, m), in the values' own dtype."""
    scores = (call.q[:, :, rows] @ k.mT * call.scale).float()
    if call.softcap is not None:
        scores = call.softcap * torch.tanh(scores / call.softcap)
    if call.position_bias is not None:
        scores = scores + call.position_bias[:, :, rows]
    # the least number instead of -inf: a row of padding that sees nothing must not become NaN
    least = torch.finfo(scores.dtype).min
    if call.causal:
        keys = torch.arange(k.shape[-2], device=scores.device)
        queries = torch.arange(rows.start, rows.stop, device=scores.device)
        scores = scores.masked_fill(keys > queries[:, None], least)
    elif call.mask is not None and call.mask.dtype == torch.bool:
        scores = scores.masked_fill(~call.mask[:, :, rows], least)
    elif call.mask is not None:
        scores = scores + call.mask[:, :, rows]
    if call.sinks is None:
        return scores.softmax(-1).to(k.dtype)
    sinks = call.sinks.float().reshape(1, -1, 1, 1).expand(*scores.shape[:-1], 1)
    return torch.cat([scores, sinks], dim=-1).softmax(-1)[..., :-1].to(k.dtype)
