"""Models with nothing but a pickle: read as tensors alone, and said so; nothing in one is run."""

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from local_hub import FILES
from process import workplace
from safetensors.torch import load_file
from tiny_bert import SENTENCES, save_tiny_bert

from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection
from attnviz.model import PICKLE_NOTES, load_model
from attnviz.model.native import projections_of
from attnviz.models import find_model
from attnviz.models.files import tensor_names

PICKLE = "pytorch_model.bin"
QUERY = "encoder.layer.1.attention.self.query.weight"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with safetensors, which no test changes."""
    folder = tmp_path_factory.mktemp("whole")
    save_tiny_bert(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """The same with a pickle instead."""
    folder = tmp_path / "pickled"
    folder.mkdir()
    for file in FILES[:2]:
        (folder / file).write_bytes((whole / file).read_bytes())
    torch.save(load_file(whole / FILES[2]), folder / PICKLE)
    return folder


def same(inspection: Inspection, other: Inspection) -> None:
    for mine, theirs in zip(inspection.layers, other.layers, strict=True):
        for array in ("x", "q", "k", "v"):
            np.testing.assert_array_equal(getattr(mine, array), getattr(theirs, array))


def refused(folder: Path) -> AttnvizError:
    with pytest.raises(AttnvizError) as caught:
        load_model(str(folder))
    assert not isinstance(caught.value, RequestError)
    assert "\n" not in caught.value.message + caught.value.hint
    assert not caught.value.message.endswith(".")
    return caught.value


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_makes_the_model_and_is_told(zipped: bool, folder: Path, whole: Path) -> None:
    weights = load_file(whole / FILES[2])
    parameters = {name: torch.nn.Parameter(tensor) for name, tensor in weights.items()}
    torch.save(parameters, folder / PICKLE, _use_new_zipfile_serialization=zipped)
    model = load_model(str(folder))
    assert model.notes == PICKLE_NOTES
    same(model.inspect(SENTENCES[0]), load_model(str(whole)).inspect(SENTENCES[0]))


def test_safetensors_are_preferred(folder: Path, whole: Path) -> None:
    (folder / FILES[2]).write_bytes((whole / FILES[2]).read_bytes())
    (folder / PICKLE).write_bytes(b"no pickle at all")
    assert load_model(str(folder)).notes == ()


def test_the_matrices_of_a_layer(folder: Path, whole: Path) -> None:
    inspection = load_model(str(folder)).inspect(SENTENCES[0])
    expected = load_file(whole / FILES[2])[QUERY]
    np.testing.assert_array_equal(projections_of(inspection, 1).W_Q, expected.T)
    torch.save({QUERY: expected}, folder / PICKLE)
    with pytest.raises(AttnvizError, match="are not those of this inspection"):
        projections_of(inspection, 1)


def test_without_torch_a_pickle_is_refused_in_words(folder: Path) -> None:
    with pytest.raises(AttnvizError, match=r"is a pickle, which cannot be read without torch"):
        tensor_names(find_model(str(folder)).weights)


class Touches:
    """What runs when it is unpickled: a file appears."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["zip", "legacy", "bare"])
def test_code_in_a_pickle_is_not_run(how: str, folder: Path, whole: Path) -> None:
    mark = folder / "it-ran"
    held = {**load_file(whole / FILES[2]), "more": Touches(mark)}
    if how == "bare":
        (folder / PICKLE).write_bytes(pickle.dumps(held["more"], protocol=2))
    else:
        torch.save(held, folder / PICKLE, _use_new_zipfile_serialization=how == "zip")
    error = refused(folder)
    assert error.message == (
        f"{folder / PICKLE} is a pickle that holds more than tensors, which could be code, "
        "so it is not read"
    )
    assert "if you trust it, convert it" in error.hint
    assert not mark.exists()
    pickle.loads(pickle.dumps(Touches(mark)))
    assert mark.exists()  # whoever runs it finds out


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_a_pickle_that_breaks_off(part: float, folder: Path) -> None:
    content = (folder / PICKLE).read_bytes()
    (folder / PICKLE).write_bytes(content[: int(part * len(content))])
    error = refused(folder)
    assert error.message == f"{folder / PICKLE} is not a whole pickle of tensors"
    assert error.hint == "copy or download it again"


@pytest.mark.parametrize(
    "held",
    [
        [torch.zeros(3)],
        torch.zeros(3),
        {"epoch": 3, "state": torch.zeros(3)},
        {7: torch.zeros(3)},
        {"sparse": torch.zeros(3, 3).to_sparse()},
        {"nowhere": torch.zeros(3, device="meta")},
        None,
    ],
)
def test_pickles_of_something_else(held: object, folder: Path) -> None:
    stream = io.BytesIO()
    torch.save(held, stream)
    (folder / PICKLE).write_bytes(stream.getvalue())
    message = refused(folder).message
    assert message == (
        f"{folder / PICKLE} should hold tensors by their names, and holds something else"
    )


@pytest.mark.slow
def test_it_is_said_on_standard_error(folder: Path, tmp_path: Path, animal: Inspection) -> None:
    place = workplace(tmp_path, animal)
    done = place("run", SENTENCES[0], "-m", str(folder), "--format", "json")
    assert done.code == 0
    assert [line for line in done.err.splitlines() if "pickle" in line] == [
        f"attnviz: {PICKLE_NOTES[0]}"
    ]
    assert "pickle" not in done.out.replace(str(folder), "")
    assert place("explain", "--query", "cat", "--head", "L1H2").code == 0
