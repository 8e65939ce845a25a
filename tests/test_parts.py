"""Weights in parts, as transformers saves large ones: read alike, and what is not whole is told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_bert import SENTENCES, cut_in_parts, save_tiny_bert

from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection
from attnviz.model import load_model
from attnviz.model.native import projections_of
from attnviz.models import find_model
from attnviz.models.files import read_tensors, tensor_names

INDEX = "model.safetensors.index.json"
QUERY = "encoder.layer.1.attention.self.query.weight"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Inspection]:
    """A tiny BERT in parts, which no test changes, and what it gave when it was whole."""
    folder = tmp_path_factory.mktemp("saved")
    model = save_tiny_bert(folder)
    whole = load_model(str(folder)).inspect(SENTENCES[0])
    assert len(cut_in_parts(folder, model)) > 3
    return folder, whole


@pytest.fixture
def folder(saved: tuple[Path, Inspection], tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(saved[0], tmp_path / "parts"))


def reindex(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    index = json.loads((folder / INDEX).read_text())
    change(index["weight_map"])
    (folder / INDEX).write_text(json.dumps(index))


def part_with(folder: Path, name: str) -> Path:
    """The part that a tensor lies in."""
    index = json.loads((folder / INDEX).read_text())
    return folder / str(index["weight_map"][name])


def refused(folder: Path) -> AttnvizError:
    with pytest.raises(AttnvizError) as caught:
        load_model(str(folder))
    assert "\n" not in caught.value.message + caught.value.hint
    assert not caught.value.message.endswith(".")
    return caught.value


def test_parts_make_the_model(saved: tuple[Path, Inspection]) -> None:
    folder, whole = saved
    model = load_model(str(folder))
    assert model.notes == ()
    for mine, other in zip(model.inspect(SENTENCES[0]).layers, whole.layers, strict=True):
        for array in ("x", "q", "k", "v"):
            np.testing.assert_array_equal(getattr(mine, array), getattr(other, array))


def test_one_layers_matrices_are_read_from_its_parts_alone(folder: Path) -> None:
    inspection = load_model(str(folder)).inspect(SENTENCES[0])
    path = find_model(str(folder)).weights
    assert path == folder / INDEX
    expected = load_file(part_with(folder, QUERY))[QUERY]
    np.testing.assert_array_equal(projections_of(inspection, 1).W_Q, expected.T)
    words = part_with(folder, "embeddings.word_embeddings.weight")
    assert words != part_with(folder, QUERY)
    words.write_bytes(b"")
    np.testing.assert_array_equal(read_tensors(path, [QUERY])[QUERY], expected)
    with pytest.raises(AttnvizError, match="is not a whole safetensors file"):
        tensor_names(path)
    with pytest.raises(KeyError):
        read_tensors(path, ["no.such.tensor"])


def test_bfloat16_in_parts(folder: Path) -> None:
    path = part_with(folder, QUERY)
    weights = {name: tensor.bfloat16() for name, tensor in load_file(path).items()}
    save_file(weights, path)
    read = read_tensors(folder / INDEX, [QUERY])[QUERY]
    np.testing.assert_array_equal(read, weights[QUERY].float())


def test_the_one_file_is_preferred(folder: Path) -> None:
    save_file({"h.0.attn": torch.zeros(3)}, folder / "model.safetensors")
    assert find_model(str(folder)).weights == folder / "model.safetensors"


def test_tensors_that_the_index_does_not_name_are_left_alone(folder: Path) -> None:
    path = part_with(folder, QUERY)
    save_file({**load_file(path), "encoder.layer.7.strange": torch.zeros(2)}, path)
    load_model(str(folder)).inspect(SENTENCES[0])


def test_a_part_that_is_not_there(folder: Path) -> None:
    path = part_with(folder, QUERY)
    path.unlink()
    error = refused(folder)
    assert isinstance(error, RequestError)
    assert error.message == f'the folder "{folder}" has no {path.name}, and {INDEX} names it'


@pytest.mark.parametrize("length", [0, 7, 500, -1])
def test_a_part_that_breaks_off(length: int, folder: Path) -> None:
    path = part_with(folder, QUERY)
    path.write_bytes(path.read_bytes()[:length])
    error = refused(folder)
    assert error.message.startswith(f"{path} is not a whole safetensors file")
    assert error.hint == "copy or download it again"


def test_parts_that_are_exchanged(folder: Path) -> None:
    path = part_with(folder, QUERY)
    other = part_with(folder, "embeddings.word_embeddings.weight")
    lacking = len(load_file(path))
    shutil.copyfile(other, path)
    message = refused(folder).message
    assert f"{path} does not hold encoder.layer." in message
    assert message.endswith(f" and {lacking - 1} more, which the index of the parts names")


def test_an_index_that_forgets_a_tensor(folder: Path) -> None:
    reindex(folder, lambda weight_map: weight_map.pop(QUERY))
    assert refused(folder).message == f"the weights lack {QUERY} of a bert with 2 layers"


def test_an_index_that_invents_a_tensor(folder: Path) -> None:
    path = part_with(folder, QUERY)
    reindex(folder, lambda weight_map: weight_map.update({"more": path.name}))
    assert refused(folder).message == (
        f"{path} does not hold more, which the index of the parts names"
    )


@pytest.mark.parametrize(
    "file",
    ["../x.safetensors", "/x.safetensors", "a/x.safetensors", "\0.safetensors", "..", "", "x.bin"],
)
def test_an_index_that_leads_elsewhere(file: str, folder: Path) -> None:
    refuse_in_index(folder, file)


@pytest.mark.parametrize("file", [None, 7, ["x.safetensors"], {}, "x" * 9999])
def test_an_index_that_names_no_file(file: object, folder: Path) -> None:
    refuse_in_index(folder, file)


def refuse_in_index(folder: Path, file: object) -> None:
    reindex(folder, lambda weight_map: weight_map.update({QUERY: file}))
    error = refused(folder)
    assert f"{folder / INDEX} should name a safetensors file beside it for" in error.message
    assert len(error.message) < 400


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read as JSON"),
        (b"\xff", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"[]", "should hold a JSON object"),
        (b"{}", 'has no "weight_map"'),
        (b'{"weight_map": {}}', 'has no "weight_map"'),
        (b'{"weight_map": ["a"]}', 'has no "weight_map"'),
    ],
)
def test_an_index_that_is_none(content: bytes, said: str, folder: Path) -> None:
    (folder / INDEX).write_bytes(content)
    error = refused(folder)
    assert not isinstance(error, RequestError)
    assert error.message.startswith(f"{folder / INDEX} {said}")
