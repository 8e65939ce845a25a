"""Tensors mapped from their files: as stored, of every dtype; numbers that are not finite."""

import json
import os
import subprocess
import sys
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from attnviz.errors import AttnvizError
from attnviz.files import cache_folder
from attnviz.models import files, find_model
from attnviz.models.files import check_finite, dtype_of, mapped_tensors

STORED = {
    "float64": torch.tensor([[1.5, -2.0, 1e300]], dtype=torch.float64),
    "float32": torch.arange(6.0).reshape(2, 3),
    "float16": torch.tensor([0.1, -65504.0], dtype=torch.float16),
    "bfloat16": torch.tensor([[0.1], [-3e38], [float("inf")]], dtype=torch.bfloat16),
    "int64": torch.tensor([-7]),
    "uint8": torch.arange(3, dtype=torch.uint8),
    "bool": torch.tensor([True, False, True]),
    "complex64": torch.tensor([1 - 2j]),
    "float8_e4m3": torch.tensor([0.5, 2.0, 4.0]).to(torch.float8_e4m3fn),
}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("name", STORED)
def test_each_dtype_as_stored(name: str, path: Path) -> None:
    save_file({name: STORED[name], "none": STORED[name][:0], "one": torch.tensor(2.5)}, path)
    mapped = mapped_tensors(path)
    assert dtype_of(path, name) == name
    assert mapped["one"].shape == ()
    assert mapped["none"].shape == tuple(STORED[name][:0].shape)
    if name.startswith("float8"):
        assert mapped[name].dtype.kind == "V"
        expected = STORED[name].view(torch.uint8).numpy()
        np.testing.assert_array_equal(mapped[name].view(np.uint8), expected)
        return
    widened = STORED[name].float() if name == "bfloat16" else STORED[name]
    np.testing.assert_array_equal(mapped[name], widened.numpy())
    assert mapped[name].dtype == widened.numpy().dtype
    assert np.asarray(mapped[name]).flags.aligned


def test_numbers_stay_in_the_file_until_they_are_used(path: Path) -> None:
    """Arrays are the file's pages; torch takes them as they are, and changes stay in memory."""
    table = torch.arange(120.0).reshape(40, 3)
    save_file({"table": table}, path)
    before = path.read_bytes()
    mapped = mapped_tensors(path)["table"]
    held = torch.from_numpy(mapped)  # a warning would be an error here
    assert not mapped.flags.owndata
    with path.open("r+b") as stream:  # not yet read, so the change is seen
        stream.seek(-4, os.SEEK_END)
        stream.write(np.float32(7).tobytes())
    assert mapped[-1, -1] == 7
    mapped[0, 0] = 9
    assert held[0, 0] == 9
    assert path.read_bytes()[:-4] == before[:-4]


def test_only_the_named(path: Path) -> None:
    save_file({"a": torch.ones(2), "b": torch.zeros(3), "c": torch.ones(1)}, path)
    assert list(mapped_tensors(path, ["c", "a"])) == ["c", "a"]
    with pytest.raises(KeyError):
        mapped_tensors(path, ["d"])


@pytest.mark.parametrize("length", [0, 7, 50, -1])
def test_a_file_that_breaks_off(length: int, path: Path) -> None:
    save_file({"a": torch.ones(20)}, path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(AttnvizError, match="is not a whole safetensors file"):
        mapped_tensors(path)


@pytest.mark.parametrize("shape", [[0, 1 << 62], [0, (1 << 64) - 1], [1] * 65, [0] * 99])
def test_shapes_beyond_reason(shape: list[int], path: Path) -> None:
    """safetensors takes them, since the bytes are there: four of them, or none."""
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * prod(shape)]}
    header = json.dumps({"a": entry}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4 * prod(shape)))
    with pytest.raises(AttnvizError, match="is not a whole safetensors file"):
        mapped_tensors(path)


@pytest.mark.parametrize(
    ("dtype", "number"),
    [
        (dtype, number)
        for dtype in (np.float16, np.float32, np.float64)
        for number in (np.nan, np.inf, -np.inf)
    ]
    + [(np.float64, 1e39)],
)
def test_numbers_that_are_not_finite(dtype: type, number: float, path: Path) -> None:
    path.write_bytes(b"")
    array: np.ndarray = np.ones((3, 5), dtype)
    array[1, 2] = number
    with pytest.raises(AttnvizError, match=r"not finite \(NaN or infinity\), in second") as caught:
        check_finite(path, {"first": np.ones(3, dtype), "second": array})
    assert caught.value.hint.startswith("the training diverged")


@pytest.mark.parametrize("array", [
    np.full(5, 3e38, np.float32), np.full(9, 6e4, np.float16), np.full(9, -3e38), np.array(1.0),
    np.ones((0, 3), np.float32),
])  # fmt: skip
def test_large_numbers_are_finite(array: np.ndarray, path: Path) -> None:
    path.write_bytes(b"")
    check_finite(path, {"numbers": array})


def test_a_file_that_passed_is_checked_again_only_after_a_change(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "CHECKED_AT_ONCE", 8)
    checked = []
    real = files.is_finite

    def counted(array: np.ndarray) -> bool:
        checked.append(array.shape)
        return real(array)

    monkeypatch.setattr(files, "is_finite", counted)
    path.write_bytes(b"weights")
    good, bad = {"a": np.ones(5)}, {"a": np.full(5, np.nan)}
    with pytest.raises(AttnvizError, match="not finite"):
        check_finite(path, bad)
    for _ in range(3):  # what failed is not remembered, what passed is
        check_finite(path, good)
    assert len(checked) == 2
    check_finite(path, {"a": np.ones(5), "b": np.ones(2)})  # more of the same file
    assert len(checked) == 4
    before = path.stat()
    path.write_bytes(b"damaged")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # and as long as before
    with pytest.raises(AttnvizError, match="not finite"):
        check_finite(path, bad)
    remembered = (cache_folder() / "verified.json").read_text()
    assert len(json.loads(remembered)) == 1
    assert path.name not in remembered


def test_small_files_leave_nothing_behind(path: Path) -> None:
    path.write_bytes(b"weights")
    check_finite(path, {"a": np.ones(5)})
    assert not cache_folder().exists()


RESIDENT = """
from pathlib import Path
from attnviz.model import load_model
model = load_model("minilm")
model.inspect("The animal was tired.")
regions = Path("/proc/self/smaps").read_text().split("VmFlags")
mapped = [region for region in regions if "model.safetensors" in region]
print(*(line.split()[1] for region in mapped for line in region.splitlines() if line[:4] == "Rss:"))
"""


def test_only_word_vectors_that_are_used_come_into_memory() -> None:
    """Of minilm's file, 23 million numbers, the table of word vectors is more than the half."""
    done = subprocess.run(
        [sys.executable, "-c", RESIDENT],
        env={**os.environ, "ATTNVIZ_ENGINE": "numpy"},
        capture_output=True,
        text=True,
        check=True,
    )
    kibibytes = sum(map(int, done.stdout.split()))
    table = 4 * 30522 * 384 / 1024
    assert 0 < kibibytes < find_model("minilm").weights.stat().st_size / 1024 - 0.9 * table
