"""Checkpoints: what is read as it should be, and what is refused in words."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_bert import SENTENCES, save_tiny_bert
from torch import Tensor
from transformers import BertForMaskedLM, BertForSequenceClassification

from attnviz.encoder.checkpoint import load_checkpoint
from attnviz.encoder.numpy_engine import NumpyEngine
from attnviz.encoder.torch_engine import TorchEngine
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection
from attnviz.model import load_model

Weights = dict[str, Tensor]
QUERY = "encoder.layer.0.attention.self.query.weight"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT as it was saved, which no test changes."""
    folder = tmp_path_factory.mktemp("published")
    save_tiny_bert(folder)
    return folder


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    """A copy of the tiny BERT, to be damaged."""
    for file in published.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


@pytest.fixture(scope="module")
def expected(published: Path) -> Inspection:
    return load_model(str(published)).inspect(SENTENCES[0])


def rewrite(folder: Path, change: Callable[[Weights], object]) -> None:
    """Change the tensors of a folder's model.safetensors."""
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


def reconfigure(folder: Path, **changes: Any) -> None:
    """Change entries of a folder's config.json; `...` removes one."""
    config = {**json.loads((folder / "config.json").read_text()), **changes}
    kept = {key: value for key, value in config.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(kept))


def refused(folder: Path) -> AttnvizError:
    """The error that loading the folder ends in: one sentence, without a full stop."""
    with pytest.raises(AttnvizError) as caught:
        load_model(str(folder))
    message, hint = caught.value.message, caught.value.hint
    assert not isinstance(caught.value, RequestError)  # the request is fine, the files are not
    assert "\n" not in message + hint
    assert not message.endswith(".")
    assert len(message) < 700
    return caught.value


def hold(inspection: Inspection, expected: Inspection, tolerance: float = 0) -> None:
    for mine, other in zip(inspection.layers, expected.layers, strict=True):
        for part in ("x", "q", "k", "v"):
            ours = getattr(mine, part)
            assert ours.dtype == np.float32
            np.testing.assert_allclose(ours, getattr(other, part), rtol=0, atol=tolerance)


def test_names_with_a_prefix(published: Path, folder: Path, expected: Inspection) -> None:
    def prefixed(weights: Weights) -> None:
        for name in list(weights):
            weights[f"bert.{name}"] = weights.pop(name)

    rewrite(folder, prefixed)
    model = load_model(str(folder))
    hold(model.inspect(SENTENCES[0]), expected)
    assert model.notes == ()


def test_a_masked_language_model(tmp_path: Path) -> None:
    theirs = save_tiny_bert(tmp_path, kind=BertForMaskedLM)
    assert any(name.startswith("bert.") for name in load_file(tmp_path / "model.safetensors"))
    model = load_model(str(tmp_path))
    weights = theirs.bert.encoder.layer[1].attention.self.key.weight
    files = (tmp_path / "config.json", tmp_path / "model.safetensors")
    ours = load_checkpoint(*files).weights["layers.1.attention.W_K.weight"]
    assert torch.equal(torch.from_numpy(ours), weights)
    assert model.notes == ()


def test_a_classifiers_head_is_no_surprise(tmp_path: Path) -> None:
    save_tiny_bert(tmp_path, kind=BertForSequenceClassification)
    model = load_model(str(tmp_path))
    assert model.notes == ()  # attnviz predict reads it


def test_poolers_and_position_numbers_are_usual(folder: Path, expected: Inspection) -> None:
    def add(weights: Weights) -> None:
        weights["embeddings.position_ids"] = torch.arange(31)[None]
        weights["cls.seq_relationship.weight"] = torch.zeros(2, 21)

    rewrite(folder, add)
    assert "pooler.dense.weight" in load_file(folder / "model.safetensors")
    model = load_model(str(folder))
    assert model.notes == ()
    hold(model.inspect(SENTENCES[0]), expected)


def test_the_first_names_of_layer_norms(folder: Path, expected: Inspection) -> None:
    def as_of_old(weights: Weights) -> None:
        for name in [name for name in weights if "LayerNorm" in name]:
            old = name.replace("weight", "gamma").replace("bias", "beta")
            weights[old] = weights.pop(name)

    rewrite(folder, as_of_old)
    assert "embeddings.LayerNorm.gamma" in load_file(folder / "model.safetensors")
    hold(load_model(str(folder)).inspect(SENTENCES[0]), expected)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_point_numbers(kind: torch.dtype, folder: Path, published: Path) -> None:
    rewrite(folder, lambda weights: weights.update({n: t.to(kind) for n, t in weights.items()}))
    checkpoint = load_checkpoint(folder / "config.json", folder / "model.safetensors")
    expected = load_file(published / "model.safetensors")[QUERY].to(kind).to(torch.float32)
    for engine in (NumpyEngine(), TorchEngine()):
        weight = checkpoint.encoder(engine).layers[0].attention.W_Q.weight
        assert str(weight.dtype).removeprefix("torch.") == "float32"
        np.testing.assert_array_equal(weight, expected)
    load_model(str(folder)).inspect(SENTENCES[0])


@pytest.mark.parametrize("kind", [torch.int8, torch.int64, torch.uint8, torch.bool])
def test_quantised_numbers(kind: torch.dtype, folder: Path) -> None:
    rewrite(folder, lambda weights: weights.update({QUERY: weights[QUERY].to(kind)}))
    error = refused(folder)
    assert f"{QUERY} holds {str(kind)[6:]} numbers" in error.message
    assert "quantised" in error.hint


def test_missing_tensors(folder: Path) -> None:
    rewrite(folder, lambda weights: weights.pop(QUERY))
    assert f"lack {QUERY} of a bert with 2 layers" in refused(folder).message


def test_many_missing_tensors_are_counted(folder: Path) -> None:
    reconfigure(folder, num_hidden_layers=3)
    error = refused(folder)
    assert "lack encoder.layer.2." in error.message
    assert "and 11 more of a bert with 3 layers" in error.message
    assert "belong together" in error.hint


def test_a_layer_more_than_the_config_says(folder: Path) -> None:
    reconfigure(folder, num_hidden_layers=1)
    error = refused(folder)
    assert "hold encoder.layer.1." in error.message
    assert "which a bert with 1 layers does not have" in error.message


def test_a_decoders_attention_inside_the_encoder(folder: Path) -> None:
    name = "encoder.layer.0.crossattention.self.query.weight"
    rewrite(folder, lambda weights: weights.update({name: torch.zeros(21, 21)}))
    assert f"hold {name}, which" in refused(folder).message


def test_misshapen_tensors(folder: Path) -> None:
    rewrite(folder, lambda weights: weights.update({QUERY: weights[QUERY][:20].contiguous()}))
    message = refused(folder).message
    assert f"{QUERY} has shape (20, 21), and config.json calls for (21, 21)" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite(value: float, folder: Path) -> None:
    rewrite(folder, lambda weights: weights[QUERY][3].fill_(value))
    message = refused(folder).message
    assert "not finite (NaN or infinity), in layers.0.attention.W_Q.weight" in message


def test_doubles_too_large_for_single_precision(folder: Path) -> None:
    rewrite(folder, lambda weights: weights.update({QUERY: weights[QUERY].double() * 1e300}))
    assert "not finite" in refused(folder).message


@pytest.mark.parametrize("length", [0, 1, 7, 8, 100, 5000, -1])
def test_truncated_files(length: int, folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    assert f"{path} is not a whole safetensors file" in refused(folder).message


@pytest.mark.parametrize("content", [b"PK\x03\x04" + b"\0" * 99, b"\x80\x02}q\x00." * 9, b"{}" * 9])
def test_files_that_are_something_else(content: bytes, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(content)
    assert "is not a whole safetensors file" in refused(folder).message


def test_a_foreign_model(folder: Path) -> None:
    save_file({f"h.{i}.attn": torch.zeros(3) for i in range(9)}, folder / "model.safetensors")
    message = refused(folder).message
    assert "hold none of the tensors of a bert with 2 layers, but h.0.attn, h.1.attn" in message
    assert message.endswith("and 4 more")


def test_a_file_without_tensors(folder: Path) -> None:
    save_file({}, folder / "model.safetensors")
    assert "calls for 2 layers" in refused(folder).message


CONFIGS: dict[str, tuple[str, str]] = {
    "not JSON": ("{model_type: bert}", "cannot be read as JSON"),
    "empty": ("", "cannot be read as JSON"),
    "cut": ('{"model_type": "bert", ', "cannot be read as JSON"),
    "deep": ("[" * 100_000, "cannot be read as JSON"),
    "list": ('["bert"]', "should hold a JSON object, and holds a list"),
    "null": ("null", "should hold a JSON object, and holds a NoneType"),
    "nothing": ("{}", 'has no "model_type"'),
    "digits": ('{"model_type": ' + "9" * 5000 + "}", "cannot be read as JSON"),
}


@pytest.mark.parametrize(("content", "said"), CONFIGS.values(), ids=CONFIGS)
def test_config_that_is_no_config(content: str, said: str, folder: Path) -> None:
    (folder / "config.json").write_text(content)
    message = refused(folder).message
    assert str(folder / "config.json") in message
    assert said in message


def test_config_that_is_no_text(folder: Path) -> None:
    (folder / "config.json").write_bytes(b'{"model_type": "b\xe9rt"}')
    assert "cannot be read as JSON" in refused(folder).message


def test_config_with_a_byte_order_mark(folder: Path, expected: Inspection) -> None:
    path = folder / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    hold(load_model(str(folder)).inspect(SENTENCES[0]), expected)


NUMBERS = [
    "vocab_size",
    "num_hidden_layers",
    "num_attention_heads",
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
]


@pytest.mark.parametrize("key", NUMBERS)
def test_config_that_lacks_a_number(key: str, folder: Path) -> None:
    reconfigure(folder, **{key: ...})
    assert f'config.json has no "{key}"' in refused(folder).message


@pytest.mark.parametrize("value", [0, -3, 2.0, "21", True, None, [21], {}, [1] * 9999])
@pytest.mark.parametrize("key", NUMBERS)
def test_config_with_a_wrong_number(key: str, value: Any, folder: Path) -> None:
    reconfigure(folder, **{key: value})
    assert f'should hold a whole number above 0 as "{key}", and has ' in refused(folder).message


@pytest.mark.parametrize("value", [10**5, 2**31, 2**63, 10**300])
@pytest.mark.parametrize("key", NUMBERS)
def test_config_with_a_huge_number(key: str, value: int, folder: Path) -> None:
    reconfigure(folder, **{key: value})
    message = refused(folder).message
    assert "config.json" in message
    if value > 2**24:
        assert str(value)[:9] in message


@pytest.mark.parametrize("layers", [40, 1000, 100_000, 10**12])
def test_layers_that_the_file_cannot_hold(layers: int, folder: Path) -> None:
    reconfigure(folder, num_hidden_layers=layers)
    message = refused(folder).message
    if layers <= 1000:
        assert f"calls for {layers} layers" in message
        assert "holds 39 tensors in all" in message
    else:
        assert f'has {layers} as "num_hidden_layers", and at most 1000' in message


@pytest.mark.parametrize("value", ["1e-12", None, 0, -1e-12, True, 1, float("nan"), 10**400, 1e300])
def test_config_with_a_wrong_epsilon(value: Any, folder: Path) -> None:
    reconfigure(folder, layer_norm_eps=value)
    message = refused(folder).message
    assert "a small number above 0" in message or value == 10**400
    assert '"layer_norm_eps"' in message


def test_config_without_an_epsilon_means_berts_own(folder: Path) -> None:
    reconfigure(folder, layer_norm_eps=...)
    files = (folder / "config.json", folder / "model.safetensors")
    assert load_checkpoint(*files).config.norm_eps == 1e-12


@pytest.mark.parametrize("kind", [None, ["bert"], {"bert": 1}, 7])
def test_model_types_that_are_no_names(kind: Any, folder: Path) -> None:
    reconfigure(folder, model_type=kind)
    expected = f"has model_type {kind!r}, which should be a name"
    assert refused(folder).message.endswith(expected)


@pytest.mark.parametrize("kind", ["Bert", "", "bert-2049"])
def test_model_types_that_nobody_knows_yet(kind: str, folder: Path) -> None:
    reconfigure(folder, model_type=kind)
    error = refused(folder)
    version = transformers.__version__
    assert error.message.endswith(
        f"has model_type {kind!r}, which transformers {version} does not know"
    )
    assert error.hint == "a newer transformers may: pip install --upgrade transformers"


def test_config_without_a_model_type(folder: Path) -> None:
    reconfigure(folder, model_type=...)
    assert 'has no "model_type"' in refused(folder).message


OTHER_BERTS: dict[str, tuple[dict[str, Any], str]] = {
    "pruned": ({"pruned_heads": {"0": [1]}}, "bert with pruned heads is not read"),
    "relative": (
        {"position_embedding_type": "relative_key"},
        "bert with 'relative_key' positions is not read",
    ),
    "no activation": ({"hidden_act": None}, 'the activation "None" is not known'),
    "activations": ({"hidden_act": ["gelu"]}, "is not known"),
    "heads": ({"num_attention_heads": 4}, "d_model 21 cannot be divided among 4 heads"),
    "more heads": ({"num_attention_heads": 22}, "d_model 21 cannot be divided among 22 heads"),
}


@pytest.mark.parametrize(("changes", "said"), OTHER_BERTS.values(), ids=OTHER_BERTS)
def test_berts_of_another_kind(changes: dict[str, Any], said: str, folder: Path) -> None:
    reconfigure(folder, **changes)
    assert said in refused(folder).message


def test_every_byte_of_the_header_matters_or_does_not(folder: Path, expected: Inspection) -> None:
    """A flipped or lost byte ends in an AttnvizError, or leaves the numbers as they were."""
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    random = np.random.default_rng(3)
    outcomes = {"refused": 0, "same": 0}
    places = [*range(8), *random.integers(8, 8 + length, 240).tolist()]
    for place in places:
        damaged = bytearray(whole)
        if place % 3:
            damaged[place] ^= 1 << int(random.integers(8))
        else:
            del damaged[place]
        path.write_bytes(damaged)
        try:
            hold(load_model(str(folder)).inspect(SENTENCES[0]), expected)
            outcomes["same"] += 1
        except AttnvizError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 200
    assert sum(outcomes.values()) == len(places)
