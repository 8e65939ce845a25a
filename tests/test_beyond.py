"""Models of our families that our encoder does not run: transformers does, and a note says so."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from handmade import part
from safetensors.torch import load_file, save_file
from test_batches import two_berts
from tiny_families import TINY, save_tiny
from tiny_others import SENTENCES, eager, hold
from transformers.activations import ACT2FN

from attnviz.attention.activations import FUNCTIONS
from attnviz.encoder.numpy_engine import NumpyEngine
from attnviz.encoder.torch_engine import TorchEngine
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection
from attnviz.model import Model, check_ablatable, load_model, load_model_of, matrices_of
from attnviz.model.describe import describe
from attnviz.models.config import ACTIVATIONS

pytestmark = pytest.mark.usefixtures("one_thread")

OWN_WEIGHTS = {"xielu", "prelu"}


def note(reason: str) -> str:
    return f"{reason}, so it runs through transformers, not in attnviz's encoder"


def held(model: Model, theirs: Any) -> Inspection:
    """All sentences in one batch, held to transformers' eager run of each alone."""
    inspections = list(model.inspect_tokens([model.tokenize(text) for text in SENTENCES]))
    if theirs.config.is_encoder_decoder:
        theirs = theirs.get_encoder()
    for inspection in inspections:
        hold(inspection, eager(theirs, [inspection.tokens.ids]).attentions)
    return inspections[0]


def test_our_encoder_has_every_activation_without_weights() -> None:
    assert ACTIVATIONS.keys() == ACT2FN.keys() - OWN_WEIGHTS
    assert set(ACTIVATIONS.values()) == FUNCTIONS.keys()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation: str, tmp_path: Path) -> None:
    theirs = save_tiny(tmp_path, "bert", hidden_act=activation)
    model = load_model(str(tmp_path))
    assert model.notes == ()
    inspection = held(model, theirs)
    assert (model.facts.family, inspection.attention) == ("bert", "encoder")
    check_ablatable(inspection)
    numbers = torch.linspace(-30, 30, 601)
    for values in (numbers, 0.1 * numbers):
        expected = ACT2FN[activation](values)
        ours = ACTIVATIONS[activation]
        wide = FUNCTIONS[ours](values.double().numpy())
        in_torch = TorchEngine().activation(ours, values.clone())
        in_numpy = NumpyEngine().activation(ours, values.numpy().copy())
        for found in (wide, in_torch, in_numpy):
            np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", TINY)
def test_another_activation_in_every_family(family: str, tmp_path: Path) -> None:
    theirs = save_tiny(tmp_path, family, hidden_act="prelu")
    model = load_model(str(tmp_path))
    assert note('its activation is "prelu"') in model.notes
    inspection = held(model, theirs)
    given = family == "mpnet"  # whose own code computes its attention
    if not given:  # explained with matrices of the model that ran it
        matrices = matrices_of(inspection, 1)
        q = inspection.layer(1).inputs().x @ matrices.W_Q + matrices.b_Q
        recorded = part(inspection.layer(1), "q")
        np.testing.assert_allclose(q, recorded.swapaxes(0, 1).reshape(q.shape), rtol=0, atol=1e-4)
    again = load_model_of(inspection)
    assert again.facts == inspection.model
    if given:
        with pytest.raises(AttnvizError, match="gives its attention weights alone"):
            check_ablatable(inspection)
    else:
        check_ablatable(inspection)
    [attention] = (kind for kind in describe(str(tmp_path)).attention if kind.kind == "encoder")
    assert attention.how == ("weights alone" if given else "through transformers")


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "camembert", "electra"])
def test_a_decoder(family: str, tmp_path: Path) -> None:
    theirs = save_tiny(tmp_path, family, is_decoder=True)
    model = load_model(str(tmp_path))
    assert model.notes == (note("it is a decoder (is_decoder is true)"),)
    inspection = held(model, theirs)
    assert inspection.attention == "decoder"
    assert not np.triu(inspection.layer(0).weights(0), 1).any()
    assert load_model(str(tmp_path), attention="decoder").facts == model.facts
    assert load_model_of(inspection).facts == model.facts
    assert [kind.kind for kind in describe(str(tmp_path)).attention] == ["decoder"]
    with pytest.raises(RequestError, match=r"needs an encoder, and .* is a decoder alone"):
        load_model(str(tmp_path), attention="encoder")


def test_an_activation_that_nobody_has(tmp_path: Path) -> None:
    save_tiny(tmp_path, "bert")
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"gelu"', '"softmax"'))
    with pytest.raises(AttnvizError, match=r"could not load the bert model: .*softmax"):
        load_model(str(tmp_path))


def test_relative_positions_that_transformers_leaves_out(tmp_path: Path) -> None:
    """A type that transformers runs: it would read the file, and compute something else."""
    config = transformers.ErnieConfig(
        vocab_size=97, hidden_size=24, num_hidden_layers=1, num_attention_heads=3,
        intermediate_size=23, max_position_embeddings=31,
    )  # fmt: skip
    two_berts(tmp_path)  # for its tokenizer
    transformers.ErnieModel(config).save_pretrained(tmp_path)
    assert load_model(str(tmp_path)).notes == ()
    tensors = load_file(tmp_path / "model.safetensors")
    name = "encoder.layer.0.attention.self.distance_embedding.weight"
    tensors[name] = torch.zeros(61, 8)
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(AttnvizError, match=r"has relative positions .*distance_embedding"):
        load_model(str(tmp_path))
