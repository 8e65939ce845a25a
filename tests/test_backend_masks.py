"""What masks and biases come to, and attention in parts: small cases, worked by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attnviz.transformers_backend import attention_call as attending
from attnviz.transformers_backend.attention_call import Call, UnlikeError, attend, make_mask
from attnviz.transformers_backend.record import Bias, Masks

pytestmark = pytest.mark.usefixtures("one_thread")

LEAST = torch.finfo(torch.float32).min
NEVER = -torch.inf


def call_of(n: int = 3, m: int = 3, heads: int = 2, shared: int = 2, **given: Any) -> Call:
    """A call of one sentence with random q, k and v; d_k 5 and, unless told, d_v 5."""
    generator = torch.Generator().manual_seed(1)
    d_v = given.pop("d_v", 5)
    q, k, v = (
        torch.randn(1, count, length, width, generator=generator)
        for count, length, width in ((heads, n, 5), (shared, m, 5), (shared, m, d_v))
    )
    return Call.of(nn.Identity(), q, k, v, given)


def causal(length: int) -> Tensor:
    """A causal mask, as it is made for a model."""
    made = make_mask(batch_size=1, q_length=length, kv_length=length)
    if made is None:
        raise TypeError("there should be a mask")
    return made


def bias_of(n: int = 3, m: int = 3, **given: Any) -> Bias:
    [bias] = Masks([(n, m)]).of(call_of(n, m, **given))
    return bias


def seen(*rows: str) -> Tensor:
    """A mask of one sentence: x where a key may be looked at."""
    return torch.tensor([[[[letter == "x" for letter in row] for row in rows]]])


def test_nothing_is_masked_and_nothing_added() -> None:
    for mask in (None, seen("xxx", "xxx", "xxx"), torch.zeros(1, 1, 3, 3)):
        bias = bias_of(attention_mask=mask)
        assert (bias.key_ranges, bias.bias, bias.distance_bias) == (None, None, None)


def test_a_causal_mask_is_known_as_such_and_not_used() -> None:
    assert causal(3).tolist() == seen("x..", "xx.", "xxx").tolist()
    call = call_of(attention_mask=causal(3))
    assert (call.mask, call.causal) == (None, True)
    # whatever a module says of itself: some say nothing, or what is not so
    call = call_of(is_causal=True)
    assert (call.mask, call.causal) == (None, False)
    bias = bias_of(attention_mask=causal(3))
    assert bias.key_ranges is not None
    assert bias.key_ranges.tolist() == [[0, 1], [0, 2], [0, 3]]


@pytest.mark.parametrize("how", ["true", "least", "infinity"])
def test_one_run_of_keys_for_each_query(how: str) -> None:
    mask = seen("xx.", ".xx", "..x")
    if how != "true":
        mask = torch.zeros(mask.shape).masked_fill(~mask, LEAST if how == "least" else NEVER)
    bias = bias_of(attention_mask=mask)
    assert bias.key_ranges is not None
    assert bias.key_ranges.dtype == np.int32
    assert bias.key_ranges.tolist() == [[0, 2], [1, 3], [2, 3]]
    assert (bias.bias, bias.distance_bias) == (None, None)


def test_a_mask_with_gaps_is_a_bias() -> None:
    bias = bias_of(attention_mask=seen("x.x", "xxx", "xx."))
    assert bias.key_ranges is None
    assert bias.bias is not None
    assert bias.bias.tolist() == [[[0, NEVER, 0], [0, 0, 0], [0, 0, NEVER]]]


def test_a_mask_that_differs_between_heads_is_a_bias() -> None:
    mask = torch.cat([seen("x.", "xx"), seen("xx", ".x")], dim=1)
    bias = bias_of(2, 2, attention_mask=mask)
    assert bias.key_ranges is None
    assert bias.bias is not None
    assert bias.bias.tolist() == [[[0, NEVER], [0, 0]], [[0, 0], [NEVER, 0]]]


def test_numbers_that_are_added_beside_a_mask() -> None:
    added = torch.tensor([[[[1.0, LEAST, LEAST], [2.0, 3.0, LEAST], [4.0, 5.0, 6.0]]]])
    bias = bias_of(attention_mask=added)
    assert bias.key_ranges is not None
    assert bias.key_ranges.tolist() == [[0, 1], [0, 2], [0, 3]]
    assert bias.bias is not None
    assert bias.bias.tolist() == [[[1, 0, 0], [2, 3, 0], [4, 5, 6]]]


def test_what_is_added_by_distance_is_kept_by_distance() -> None:
    # key - query from -1 to 2: 10, 0, 1, 2
    by_distance = torch.tensor([[[[0.0, 1, 2], [10, 0, 1]], [[5.0, 6, 7], [4, 5, 6]]]])
    bias = bias_of(2, 3, position_bias=by_distance)
    assert bias.bias is None
    assert bias.distance_bias is not None
    assert bias.distance_bias.tolist() == [[10, 0, 1, 2], [4, 5, 6, 7]]
    uneven = by_distance.clone()
    uneven[0, 1, 1, 2] += 1
    dense = bias_of(2, 3, position_bias=uneven)
    assert dense.distance_bias is None
    assert dense.bias is not None
    assert dense.bias.tolist() == uneven[0].tolist()


def test_mask_and_position_bias_together() -> None:
    by_distance = torch.tensor([[[[0.0, 1], [10, 0]]]])
    bias = bias_of(2, 2, attention_mask=seen("x.", "xx"), position_bias=by_distance)
    assert bias.key_ranges is not None
    assert bias.key_ranges.tolist() == [[0, 1], [0, 2]]
    assert bias.distance_bias is not None
    assert bias.distance_bias.tolist() == [[10, 0, 1]]


def test_each_sentence_of_a_batch_has_its_own_and_padding_is_cut_off() -> None:
    mask = torch.cat([seen("xx..", "xx..", "....", "...."), seen("x...", "xx..", "xxx.", "xxxx")])
    call = call_of(4, 4, attention_mask=mask)
    whole, causal = Masks([(2, 2), (4, 4)]).of(call)
    assert whole.key_ranges is None
    assert causal.key_ranges is not None
    assert causal.key_ranges.tolist() == [[0, 1], [0, 2], [0, 3], [0, 4]]


def test_layers_share_what_their_masks_come_to() -> None:
    masks, mask = Masks([(3, 3)]), seen("xx.", ".xx", "..x")
    first = masks.of(call_of(attention_mask=mask))
    assert masks.of(call_of(attention_mask=mask)) is first
    assert masks.of(call_of(attention_mask=mask.clone())) is not first


def weights_of(call: Call) -> Tensor:
    """Attention's weights, spelled out: (num_heads, n, m)."""
    groups = call.q.shape[1] // call.k.shape[1]
    scores = call.q[0] @ call.k[0].repeat_interleave(groups, 0).mT * call.scale
    if call.softcap is not None:
        scores = torch.tanh(scores / call.softcap) * call.softcap
    if call.position_bias is not None:
        scores = scores + call.position_bias[0]
    if call.causal:
        scores = scores.masked_fill(~torch.ones_like(scores, dtype=torch.bool).tril(), NEVER)
    if call.mask is not None:
        hidden = ~call.mask[0] if call.mask.dtype == torch.bool else call.mask[0] < LEAST / 2
        scores = scores.masked_fill(hidden, NEVER)
    if call.sinks is None:
        return scores.softmax(-1)
    sinks = call.sinks[:, None, None].expand(-1, scores.shape[1], 1)
    return torch.cat([scores, sinks], -1).softmax(-1)[..., :-1]


BIASED = torch.linspace(-2, 2, 2 * 7 * 7).reshape(1, 2, 7, 7)
HIDDEN = torch.ones(1, 1, 7, 7, dtype=torch.bool).triu(-2)
CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "scaled": {"scaling": 0.9},
    "causal": {"attention_mask": causal(7)},
    "masked": {"attention_mask": HIDDEN},
    "biased": {"position_bias": BIASED},
    "biased and causal": {"position_bias": BIASED, "attention_mask": causal(7)},
    "biased and masked": {"position_bias": BIASED, "attention_mask": HIDDEN},
    "biased and hidden": {
        "position_bias": BIASED,
        "attention_mask": torch.zeros(1, 1, 7, 7).masked_fill(~HIDDEN, LEAST),
    },
    "capped": {"softcap": 0.7},
    "capped and causal": {"softcap": 0.7, "attention_mask": causal(7)},
    "capped, biased and masked": {
        "softcap": 0.7,
        "position_bias": BIASED,
        "attention_mask": HIDDEN,
    },
    "sinks": {"s_aux": torch.tensor([0.3, 2.0]), "attention_mask": HIDDEN},
    "sinks and causal": {"s_aux": torch.tensor([0.3, 2.0]), "attention_mask": causal(7)},
    "values of another size": {"d_v": 3, "attention_mask": causal(7)},
}


@pytest.mark.parametrize("shared", [1, 2])
@pytest.mark.parametrize("given", CALLS.values(), ids=CALLS)
def test_attention_is_computed_right_in_parts_too(
    given: dict[str, Any], shared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = call_of(7, 7, shared=shared, **given)
    expected = weights_of(call) @ call.v[0].repeat_interleave(2 // shared, 0)
    torch.testing.assert_close(attend(call)[0], expected)
    monkeypatch.setattr(attending, "WEIGHTS_AT_ONCE", 2 * 7 * 3)
    torch.testing.assert_close(attend(call)[0], expected)


def test_a_row_of_padding_that_sees_nothing_is_no_nan() -> None:
    mask = seen("xxx", "xxx", "...")
    for options in ({}, {"softcap": 1.0}, {"s_aux": torch.zeros(2)}):
        assert torch.isfinite(attend(call_of(attention_mask=mask, **options))).all()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"indices": torch.zeros(1, 3, 2)}, "keys chosen beforehand (indices)"),
        ({"attention_mask": torch.zeros(3, 3)}, "a mask of 2 axes"),
    ],
)
def test_what_is_not_attention_as_it_is_recorded(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnlikeError) as caught:
        call_of(**given)
    assert str(caught.value) == reason
