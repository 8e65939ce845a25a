"""What version 2 of the format holds, and files of version 1."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import tokens_of, with_layer
from rounding import assert_numbers
from safetensors import safe_open
from safetensors.numpy import save_file
from test_checking import whole
from test_storage import WORDS, assert_same
from test_storage import made as small

from attnviz.attention.layer import ARRAYS, LayerRecord
from attnviz.errors import AttnvizError
from attnviz.inspection import Inspection
from attnviz.inspection.storage import is_saved_inspection, load, save

# Version 2


def parts_of(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A file's metadata and arrays, as anybody would read them."""
    with safe_open(path, framework="numpy") as file:
        metadata = json.loads(file.metadata()["attnviz"])
        return metadata, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def full() -> Inspection:
    """Three layers: q and k alone, nothing, and all that there may be."""
    inspection = whole()
    first, second = inspection.layers
    return replace(
        inspection,
        model=replace(inspection.model, num_layers=3, dtype="bfloat16"),
        layers=(first, None, second),
        attention="cross",
    )


def test_everything_that_may_be_recorded_comes_back(tmp_path: Path) -> None:
    path, inspection = tmp_path / "a", full()
    save(inspection, path)
    again = load(path)
    assert_same(again, inspection)
    assert (again.model.dtype, again.attention, again.layers[1]) == ("bfloat16", "cross", None)
    assert (again.layer(0).softcap, again.layer(2).softcap) == (None, 30)
    assert_numbers(again.weights(2), inspection.weights(2))
    metadata, arrays = parts_of(path)
    assert metadata["schema"] == "attnviz.inspection/3"
    assert metadata["layers"] == [
        {"scale": 0.4, "softcap": None},
        None,
        {"scale": 0.4, "softcap": 30},
    ]
    assert metadata["keys"]["text"] == "b b b b b b b b b"
    everything = {f"2.{array.stored or name}" for name, array in ARRAYS.items()} - {"2.given"}
    assert set(arrays) == {"0.q", "0.k"} | everything
    assert {name for name, array in arrays.items() if array.dtype == np.int32} == {"2.visible"}


@pytest.mark.parametrize("name", ARRAYS)
def test_each_array_may_be_there_or_not(tmp_path: Path, name: str) -> None:
    given = np.full((6, 7, 11), 1 / 11, np.float32)
    weights_alone = with_layer(full(), 0, q=None, k=None, recorded_weights=given)
    without = (
        {name: None}
        if name not in ("q", "k")
        else {"q": None, "k": None, "recorded_weights": given}
    )
    for inspection in (weights_alone, with_layer(full(), 2, **without)):
        save(inspection, tmp_path / "a")
        assert_same(load(tmp_path / "a"), inspection)


@pytest.mark.parametrize("attention", ["encoder", "decoder", "cross"])
def test_whose_attention_it_is(tmp_path: Path, attention: Any) -> None:
    save(replace(small(), attention=attention), tmp_path / "a")
    assert load(tmp_path / "a").attention == attention
    assert load(tmp_path / "a").keys is None


def test_arrays_that_are_parts_of_others(tmp_path: Path) -> None:
    """A transposed view, every second row, one number said to be many."""
    whole_k = np.random.default_rng(1).random((12, 11, 6), np.float32)
    offsets = np.broadcast_to(np.float32(0.5), (6, 17))
    inspection = with_layer(full(), 2, k=whole_k[::2, :, :5], distance_bias=offsets)
    save(inspection, tmp_path / "a")
    assert_same(load(tmp_path / "a"), inspection)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attention": "sideways"}, "there is no attention of kind sideways"),
        ({"attention": None}, "there is no attention of kind None"),
        ({"keys": {"text": "b"}}, "its metadata does not fit its numbers"),
        ({"keys": None}, r"layer 0: k has shape \(6, 11, 5\)"),
        ({"layers": [None, None, None]}, "no layer was recorded"),
        ({"layers": [{"scale": 1}]}, "the model has 3 layers, 1 were recorded"),
        ({"layers": [{"scale": 1}] * 3}, "layer 1: neither queries and keys were recorded"),
        ({"layers": [{"softcap": 1}, None, None]}, "does not fit its numbers .*scale"),
        ({"layers": [{"scale": 1, "softcap": "x"}, None, None]}, "does not fit its numbers"),
        (
            {"layers": [{"scale": 1, "softcap": 0}, None, None]},
            "the soft cap is 0.0, and not above",
        ),
        ({"layers": [{"scale": math.nan}, None, None]}, "the scale is nan"),
        ({"scales": [1, 1, 1], "schema": "attnviz.inspection/1"}, "layer 1: neither queries"),
    ],
)
def test_metadata_that_does_not_fit(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "a"
    save(full(), path)
    metadata, arrays = parts_of(path)
    save_file(arrays, path, {"attnviz": json.dumps(metadata | change)})
    with pytest.raises(AttnvizError, match=f"a is damaged: .*{message}") as caught:
        load(path)
    assert caught.value.hint == "save it again with attnviz run TEXT --save FILE"


# Version 1, written here as attnviz 0.1 did


def written(path: Path, change: dict[str, Any] | None = None) -> dict[str, np.ndarray]:
    """A file of version 1 with two layers of three heads; its arrays."""
    rng = np.random.default_rng(2)
    arrays = {}
    for layer in range(2):
        arrays[f"{layer}.x"] = rng.standard_normal((2, 12)).astype(np.float32)
        for name in "qkv":
            arrays[f"{layer}.{name}"] = rng.standard_normal((3, 2, 4)).astype(np.float32)
    arrays["1.bias"] = np.array([[[0, -np.inf], [1, 0]]], np.float32)
    arrays["1.z"] = rng.standard_normal((3, 2, 4)).astype(np.float32)
    arrays["1.value_norms"] = np.ones((3, 2), np.float32)
    metadata = {
        "schema": "attnviz.inspection/1",
        "tokens": {
            "text": "It rains",
            "pair": None,
            "ids": [1, 2],
            "vocabulary": ["it", "rains"],
            "spans": [[0, 2], [3, 8]],
            "segments": [0, 0],
            "type_ids": [0, 0],
            "dropped": 0,
        },
        "model": {
            "name": "m",
            "family": "bert",
            "num_layers": 2,
            "num_heads": 3,
            "d_model": 12,
            "d_k": 4,
            "d_ff": 5,
            "trained": False,
            "seed": 7,
        },
        "scales": [0.5, 0.25],
    }
    save_file(arrays, path, {"attnviz": json.dumps(metadata | (change or {}))})
    return arrays


def test_a_file_of_version_1_still_loads(tmp_path: Path) -> None:
    path = tmp_path / "old"
    arrays = written(path)
    assert is_saved_inspection(path)
    inspection = load(path)
    assert (inspection.tokens, inspection.keys, inspection.attention) == (WORDS, None, "encoder")
    assert (inspection.model.seed, inspection.model.dtype) == (7, "float32")

    def held(layer: int) -> dict[str, Any]:
        return {name: arrays.get(f"{layer}.{name}") for name in ARRAYS}

    expected = [
        replace(LayerRecord(scale=scale), **held(layer)) for layer, scale in enumerate([0.5, 0.25])
    ]
    assert_same(inspection, replace(inspection, layers=tuple(expected)))
    assert [inspection.layer(layer).scale for layer in range(2)] == [0.5, 0.25]
    for layer, scale in enumerate([0.5, 0.25]):
        scores = scale * np.einsum("hqd,hkd->hqk", arrays[f"{layer}.q"], arrays[f"{layer}.k"])
        scores = scores + arrays.get(f"{layer}.bias", 0)
        powers = np.exp(scores)
        shares = powers / powers.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(inspection.weights(layer), shares, atol=1e-6)
    assert inspection.weights(1, 0)[0].tolist() == [1, 0]


def test_saved_again_it_is_of_the_newest_version(tmp_path: Path) -> None:
    written(tmp_path / "old")
    inspection = load(tmp_path / "old")
    save(inspection, tmp_path / "new")
    assert parts_of(tmp_path / "new")[0]["schema"] == "attnviz.inspection/3"
    assert_same(load(tmp_path / "new"), inspection)


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ([0.5], "the model has 2 layers, 1 were recorded"),
        ([0.5, 0.5, 0.5], "layer 2: neither queries|the model has 2 layers, 3 were recorded"),
        ([0.5, None], "does not fit its numbers"),
        ([0.5, "half"], "does not fit its numbers"),
        ([0.5, math.inf], "layer 1: the scale is inf"),
        (0.5, "does not fit its numbers"),
        (None, "does not fit its numbers"),
    ],
)
def test_scales_that_do_not_fit(tmp_path: Path, scales: Any, message: str) -> None:
    written(tmp_path / "old", {"scales": scales})
    with pytest.raises(AttnvizError, match=f"old is damaged: .*({message})"):
        load(tmp_path / "old")


def test_keys_of_another_text_are_words_of_their_own(tmp_path: Path) -> None:
    inspection = full()
    save(inspection, tmp_path / "a")
    view = load(tmp_path / "a").view(special=False)
    assert (len(view.tokens), len(view.keys)) == (5, 9)
    assert view.inspection.keys == tokens_of(["b"] * 9)
