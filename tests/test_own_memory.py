"""What is recorded of a long text has memory of its own, and is not scattered among tensors."""

import mmap

import numpy as np
import pytest
import torch

from attnviz.encoder.devices import LARGE, as_numpy

COUNT = LARGE // 4


def base_of(array: np.ndarray) -> object:
    """What an array's memory belongs to in the end."""
    owner: object = array
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    return owner.obj if isinstance(owner, memoryview) else owner


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("count", "apart"), [(COUNT - 1, False), (COUNT, True), (3 * COUNT, True)])
def test_large_arrays_lie_apart(dtype: torch.dtype, count: int, apart: bool) -> None:
    tensor = torch.arange(count).remainder(251).to(dtype)
    array = as_numpy(tensor)
    assert isinstance(base_of(array), mmap.mmap) == apart
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, tensor.float().numpy())
    array[0] = 7
    assert tensor[0] == 0


def test_their_order_is_the_usual_one_whatever_the_tensor_s() -> None:
    tensor = torch.arange(2 * COUNT, dtype=torch.float32).reshape(COUNT // 8, 4, 4).permute(2, 0, 1)
    array = as_numpy(tensor)
    assert array.flags.c_contiguous
    assert array.shape == (4, COUNT // 8, 4)
    np.testing.assert_array_equal(array, tensor.numpy())


def test_where_there_is_no_memory_that_is_said_as_python_says_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*asked: object, **options: object) -> mmap.mmap:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("attnviz.encoder.devices.mmap.mmap", refuse)
    with pytest.raises(MemoryError):
        as_numpy(torch.zeros(COUNT))
