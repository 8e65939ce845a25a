"""A layer's matrices from where the weights lie: the numbers, and files that will not do."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from handmade import part
from safetensors.torch import load_file, save_file
from tiny_bert import SENTENCES, save_tiny_bert
from torch import Tensor
from transformers import BertForMaskedLM

from attnviz.encoder.paper import paper_checkpoint
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection
from attnviz.model import load_model
from attnviz.model.native import MATRICES, projections_of, read_projections
from attnviz.models.config import EncoderConfig

Weights = dict[str, Tensor]
PARTS = {"W_Q": "self.query", "W_K": "self.key", "W_V": "self.value", "W_O": "output.dense"}


def rewrite(folder: Path, change: Callable[[Weights], Weights]) -> None:
    """Change the tensors of a folder's model.safetensors."""
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path)


def inspected(folder: Path) -> Inspection:
    return load_model(str(folder)).inspect(SENTENCES[0])


def test_they_are_the_models_in_the_articles_orientation(tmp_path: Path) -> None:
    theirs = save_tiny_bert(tmp_path)
    inspection = inspected(tmp_path)
    for layer in range(2):
        projections = projections_of(inspection, layer)
        attention = theirs.encoder.layer[layer].attention
        for name, inside in PARTS.items():
            linear = attention.get_submodule(inside)
            ours, bias = getattr(projections, name), getattr(projections, f"b{name[1:]}")
            np.testing.assert_array_equal(ours, linear.weight.detach().numpy().T)
            np.testing.assert_array_equal(bias, linear.bias.detach().numpy())
            assert ours.dtype == bias.dtype == np.float32


def test_a_head_has_its_columns(tmp_path: Path) -> None:
    """Each head's q, k and v alone, and the heads' outputs, which sum to the layer's."""
    save_tiny_bert(tmp_path)
    inspection = inspected(tmp_path)
    record, projections = inspection.layer(-1), projections_of(inspection, -1)
    (x, _, _, k, _), z = record.inputs(), part(record, "z")
    summed = np.zeros_like(x) + projections.b_O
    for number in range(3):
        head = projections.head(number, 3)
        assert head.W_Q.shape == head.W_K.shape == head.W_V.shape == (21, 7)
        assert head.W_O.shape == (7, 21)
        assert head.b_O is None
        np.testing.assert_allclose(x @ head.W_K + head.b_K, k[number], rtol=1e-4, atol=1e-5)
        summed = summed + z[number] @ head.W_O
    with torch.inference_mode():
        linear = torch.nn.Linear(21, 21)
        linear.weight.copy_(torch.tensor(projections.W_O.T))
        linear.bias.copy_(torch.tensor(projections.b_O))
        joined = torch.tensor(z).transpose(0, 1).reshape(len(x), 21)
        np.testing.assert_allclose(summed, linear(joined), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_point_numbers_are_read_exactly(kind: torch.dtype, tmp_path: Path) -> None:
    theirs = save_tiny_bert(tmp_path)
    rewrite(tmp_path, lambda weights: {name: t.to(kind) for name, t in weights.items()})
    projections = projections_of(inspected(tmp_path), 1)
    weight = theirs.encoder.layer[1].attention.self.value.weight.detach()
    np.testing.assert_array_equal(projections.W_V, weight.to(kind).float().T)
    assert projections.W_V.dtype == np.float32


def test_a_masked_language_models_names_have_a_prefix(tmp_path: Path) -> None:
    theirs = save_tiny_bert(tmp_path, kind=BertForMaskedLM)
    assert any(name.startswith("bert.") for name in load_file(tmp_path / "model.safetensors"))
    weight = theirs.bert.encoder.layer[0].attention.self.query.weight.detach()
    np.testing.assert_array_equal(projections_of(inspected(tmp_path), 0).W_Q, weight.T)


@pytest.mark.parametrize("shape", [(2, 3, 21, 5), (1, 1, 1, 1), (1, 7, 28, 3)])
def test_the_untrained_models_are_drawn_again(shape: tuple[int, int, int, int]) -> None:
    num_layers, num_heads, d_model, d_ff = shape
    model = load_model(
        "paper", num_layers=num_layers, num_heads=num_heads, d_model=d_model, d_ff=d_ff, seed=11
    )
    inspection = model.inspect("I am a student")
    projections = projections_of(inspection, num_layers - 1)
    config = EncoderConfig(model.tokenizer.vocabulary_size, *shape, projection_bias=False)
    weights = paper_checkpoint(config, 11).weights
    for name in MATRICES:
        weight = weights[f"layers.{num_layers - 1}.attention.{name}.weight"]
        np.testing.assert_array_equal(getattr(projections, name), weight.T)
        assert getattr(projections, f"b{name[1:]}") is None


def test_random_matrices_are_xavier_uniform_and_all_different() -> None:
    facts = load_model("paper", num_layers=2, num_heads=2, d_model=256, d_ff=3, seed=5).facts
    drawn = [
        getattr(read_projections(facts, layer), name) for layer in range(2) for name in MATRICES
    ]
    bound = (6 / 512) ** 0.5
    for number, matrix in enumerate(drawn):
        assert -bound <= matrix.min() < -0.999 * bound
        assert 0.999 * bound < matrix.max() <= bound
        assert matrix.std() == pytest.approx(bound / 3**0.5, rel=0.01)
        assert matrix.mean() == pytest.approx(0, abs=0.01 * bound)
        for other in drawn[:number]:
            assert abs(np.corrcoef(matrix.ravel(), other.ravel())[0, 1]) < 0.02
    other_seed = read_projections(replace(facts, seed=6), 0).W_Q
    assert abs(np.corrcoef(drawn[0].ravel(), other_seed.ravel())[0, 1]) < 0.02


def test_the_default_model(animal: Inspection) -> None:
    projections = projections_of(animal, 3)
    assert projections.W_Q.shape == (384, 384)
    assert projections.head(1, 12).W_O.shape == (32, 384)


def refused(inspection: Inspection) -> AttnvizError:
    with pytest.raises(AttnvizError) as caught:
        projections_of(inspection, 1)
    assert not isinstance(caught.value, RequestError)
    assert not caught.value.message.endswith(".")
    return caught.value


KEY = "encoder.layer.1.attention.self.key"


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: {**weights, f"{KEY}.weight": weights[f"{KEY}.weight"] * 1.001},
        lambda weights: {**weights, f"{KEY}.bias": weights[f"{KEY}.bias"] * torch.nan},
        lambda weights: {**weights, f"{KEY}.weight": weights[f"{KEY}.weight"][:, :20].clone()},
        lambda weights: {n: t for n, t in weights.items() if n != f"{KEY}.bias"},
        lambda weights: {n: t for n, t in weights.items() if "layer.1." not in n},
        lambda weights: {f"other.{n}": t for n, t in weights.items()},
    ],
)
def test_another_models_files(change: Callable[[Weights], Weights], tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    inspection = inspected(tmp_path)
    projections_of(inspection, 1)
    rewrite(tmp_path, change)
    error = refused(inspection)
    assert error.message == (f"the files of the model {tmp_path} are not those of this inspection")
    assert error.hint


def test_files_that_are_gone(tmp_path: Path) -> None:
    save_tiny_bert(tmp_path / "model")
    inspection = inspected(tmp_path / "model")
    shutil.rmtree(tmp_path / "model")
    error = refused(inspection)
    assert error.message.startswith("the model's own files are needed for its matrices, and there")
    assert error.hint.startswith(f'run this where "{tmp_path / "model"}" was found')


def test_a_default_model_that_is_not_what_was_published(
    animal: Inspection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(name: str) -> None:
        raise AttnvizError("it is damaged", "reinstall it")

    monkeypatch.setattr("attnviz.model.native.find_model", damaged)
    error = refused(animal)
    assert error.message.endswith("matrices, and it is damaged")
    assert error.hint == "reinstall it"


def test_files_that_are_damaged(tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    inspection = inspected(tmp_path)
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[:-9])
    assert "is not a whole safetensors file" in refused(inspection).message


def test_a_family_that_is_not_known(animal: Inspection) -> None:
    other = Inspection(animal.tokens, replace(animal.model, family="hand"), animal.layers)
    assert "hand" in refused(other).message


def test_a_layer_that_is_not_there(animal: Inspection) -> None:
    with pytest.raises(IndexError):
        projections_of(animal, 6)


def test_config_json_is_not_needed_for_reading(tmp_path: Path) -> None:
    """The facts say enough; a changed config.json is the business of whoever loads the model."""
    save_tiny_bert(tmp_path)
    inspection = inspected(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({}))
    assert projections_of(inspection, 0).W_Q.shape == (21, 21)
