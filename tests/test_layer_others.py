"""Layers of models that transformers runs: retraced, and held to their own hidden states."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from test_layer import SCHEMA, check_summary
from tiny_others import BOTH, GROUPED, RECORDED, SENTENCES, SEQ2SEQ, STACK, TARGET, Other

import attnviz
from attnviz.answers.layer import Layer, layer
from attnviz.attention.sublayers import Sublayers
from attnviz.errors import AttnvizError
from attnviz.model import load_model
from attnviz.model.reload import layers_behind

EVEN = {**STACK, "hidden_size": 32}  # rotations need an even d_k
BOTHS = SEQ2SEQ["bart"].task

BEFORE = (
    "layer norm(x) | z W_O + b_O | x + a | layer norm(r) | {}(h′ W_1 + b_1) | u W_2 + b_2 | r + f"
)
AFTER = (
    "z W_O + b_O | x + a | layer norm(r) | {}(h W_1 + b_1) | u W_2 + b_2 | h + f | layer norm(r′)"
)
GATED = "RMS norm(x) | z W_O | x + a | RMS norm(r) | {}(h′ W_G) * (h′ W_1) | u W_2 | r + f"
TWICE = (
    "RMS norm(x) | z W_O | RMS norm(a) | x + a′ | RMS norm(r) | gelu_tanh(h′ W_G) * (h′ W_1)"
    " | u W_2 | RMS norm(f) | r + f′"
)

LAYERS: dict[str, tuple[Other, str]] = {
    "albert": (RECORDED["albert"], AFTER.format("gelu_tanh")),
    "bert": (Other("BertConfig", {**STACK, "hidden_act": "gelu_fast"}), AFTER.format("gelu_tanh")),
    "esm": (
        Other("EsmConfig", {**STACK, "position_embedding_type": "absolute"}),
        BEFORE.format("gelu"),
    ),
    "gpt2": (RECORDED["gpt2"], BEFORE.format("gelu_tanh")),
    "modernbert": (
        RECORDED["modernbert"],
        "layer norm(x) | z W_O | x + a | layer norm(r) | gelu(h′ W_G) * (h′ W_1) | u W_2 | r + f",
    ),
    "llama": (RECORDED["llama"], GATED.format("silu")),
    "mistral": (RECORDED["mistral"], GATED.format("silu")),
    "qwen3": (RECORDED["qwen3"], GATED.format("silu")),
    "phi3": (Other("Phi3Config", EVEN), GATED.format("silu")),  # W_1 and W_G in one matrix
    "gemma2": (RECORDED["gemma2"], TWICE),
    "gemma3_text": (RECORDED["gemma3_text"], TWICE),
    "olmo2": (
        Other("Olmo2Config", EVEN),
        "z W_O | RMS norm(a) | x + a′ | silu(r W_G) * (r W_1) | u W_2 | RMS norm(f) | r + f′",
    ),
    "granite": (
        Other("GraniteConfig", {**EVEN, "residual_multiplier": 0.22}),
        "RMS norm(x) | z W_O | x + 0.22 a | RMS norm(r) | silu(h′ W_G) * (h′ W_1) | u W_2"
        " | r + 0.22 f",
    ),
    "gpt_neox": (
        Other("GPTNeoXConfig", EVEN),
        "layer norm(x) | z W_O + b_O | x + a | layer norm(x) | gelu(h′ W_1 + b_1) | u W_2 + b_2"
        " | r + f",
    ),
    "apertus": (  # its activation has weights of its own
        Other("ApertusConfig", GROUPED),
        "RMS norm(x) | z W_O | x + a | RMS norm(r) | XIELUActivation(h′ W_1) | u W_2 | r + f",
    ),
    "gpt_oss": (  # a mixture of experts
        RECORDED["gpt_oss"],
        "RMS norm(x) | z W_O + b_O | x + a | RMS norm(r) | GptOssMLP(h′) | r + f",
    ),
    "mbart": (Other("MBartConfig", BOTH, BOTHS), BEFORE.format("gelu")),
    "t5": (
        SEQ2SEQ["t5"],
        "RMS norm(x) | z W_O | x + a | RMS norm(r) | relu(h′ W_1) | u W_2 | r + f",
    ),
}
"""Architectures, and what their layers compute, but for the heads side by side."""

CROSS = {
    "t5": "RMS norm(x) | self_attention(h) | x + c | RMS norm(r) | z W_O | r + a | RMS norm(r′) | "
    "relu(h′′ W_1) | u W_2 | r′ + f",
    "bart": "self_attention(x) | x + c | layer norm(r) | z W_O + b_O | h + a | layer norm(r′) | "
    "gelu(h′ W_1 + b_1) | u W_2 + b_2 | h′ + f | layer norm(r′′)",
}
"""Decoders' layers, which have three sublayers."""


def formulas(e: Layer) -> str:
    """How the steps come about, but for x and the heads side by side."""
    return " | ".join(step.formula for step in e.steps if step.name not in ("x", "z"))


def hold(e: Layer, after: torch.Tensor) -> None:
    """Hold a layer to the model's own hidden states after it, (1, n, d_model)."""
    own = after[0, e.query.index].numpy()
    atol = 1e-5 * float(np.abs(own).max())
    np.testing.assert_allclose(e.output, own, rtol=0, atol=atol)
    np.testing.assert_allclose(sum(part.vector for part in e.parts), own, rtol=0, atol=2 * atol)
    assert sum(part.share for part in e.parts) == pytest.approx(1)
    assert e.check.relative is not None
    assert e.check.relative < 1e-5
    jsonschema.validate(json.loads(attnviz.to_json(e)), SCHEMA)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_retraced(name: str, tmp_path: Path) -> None:
    other, expected = LAYERS[name]
    theirs = other.save(tmp_path)
    model = load_model(str(tmp_path))
    inspection = model.inspect(SENTENCES[0])
    ids = torch.tensor([inspection.tokens.ids])
    part = theirs.get_encoder() if other.task is BOTHS else theirs
    with torch.inference_mode():
        states = part(input_ids=ids, output_hidden_states=True).hidden_states
    [e] = attnviz.layer(inspection, "@7", 1, "piece", model)
    if inspection.model.num_layers > 2:  # above the last, there may be a norm
        hold(e, states[2])
    assert formulas(e) == expected
    [first] = attnviz.layer(inspection, "@0", 0, "piece", model)
    hold(first, states[1])
    layers, pieces = range(inspection.model.num_layers), range(len(inspection.tokens))
    every = layers_behind(inspection, layers, pieces, lambda _: model)  # in one run
    for number, parts in enumerate(every):
        assert isinstance(parts, Sublayers)
        check_summary(inspection, number, parts)
        if number == 1:
            again = layer(inspection, number, parts)[7]
            assert formulas(again) == expected
            np.testing.assert_allclose(again.output, e.output, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", CROSS)
def test_a_decoders_layer_is_retraced(name: str, tmp_path: Path) -> None:
    theirs = SEQ2SEQ[name].save(tmp_path)
    model = load_model(str(tmp_path), attention="cross", target=TARGET)
    inspection = model.inspect(SENTENCES[0])
    fed = {"input_ids": inspection.key_tokens.ids, "decoder_input_ids": inspection.tokens.ids}
    tensors: Any = {key: torch.tensor([ids]) for key, ids in fed.items()}
    with torch.inference_mode():
        states = theirs(**tensors, output_hidden_states=True).decoder_hidden_states
    [e] = attnviz.layer(inspection, "@3", 0, "piece", model)
    hold(e, states[1])
    assert formulas(e) == CROSS[name]
    assert [part.name for part in e.summed] == [
        "x", "attention", "feed_forward", "self_attention", "biases"
    ]  # fmt: skip
    decoder = load_model(str(tmp_path), attention="decoder", target=TARGET)
    with pytest.raises(AttnvizError, match="a decoder's layer reads the encoder's text too"):
        attnviz.layer(decoder.inspect(SENTENCES[0]), "@3", 0, "piece", decoder)


@pytest.mark.parametrize(
    ("config", "sizes", "reason"),
    [
        (
            "MobileBertConfig",
            {**STACK, "intra_bottleneck_size": 16, "embedding_size": 16},
            "layer does more than add what attention and a feed-forward network give",
        ),
        (
            "BloomConfig",
            {"vocab_size": 97, "hidden_size": 28, "n_layer": 2, "n_head": 4},
            "this model gives its attention weights alone",
        ),
    ],
)
def test_what_cannot_be_retraced_is_refused(
    config: str, sizes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    Other(config, sizes).save(tmp_path)
    model = load_model(str(tmp_path))
    with pytest.raises(AttnvizError, match=reason):
        attnviz.layer(model.inspect(SENTENCES[0]), "@3", 1, "piece", model)


def test_in_fewer_bits(tmp_path: Path) -> None:
    RECORDED["llama"].save(tmp_path)
    model = load_model(str(tmp_path), dtype="bfloat16")
    [e] = attnviz.layer(model.inspect(SENTENCES[0]), "@3", 1, "piece", model)
    assert formulas(e) == LAYERS["llama"][1]
    assert e.check.relative is not None
    assert e.check.relative < 0.05
