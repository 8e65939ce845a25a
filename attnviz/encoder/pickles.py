"""Weights in a pickle, as torch.save wrote them: read as tensors alone, by torch."""

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from attnviz.errors import AttnvizError, lacks_memory
from attnviz.files import check_readable
from attnviz.models.files import AGAIN, CONVERT

INSIDE = ("state_dict", "model_state_dict", "model")  # the tensors' place in files of training


def pickled_arrays(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a pickle as arrays; those of dtypes that numpy lacks in float32.

    AttnvizError as in `read_pickle`.
    """
    return {name: _array(tensor) for name, tensor in read_pickle(path).items()}


def _array(tensor: Tensor) -> np.ndarray:
    try:
        array: np.ndarray = tensor.numpy()
    except TypeError:  # bfloat16, for one
        array = tensor.float().numpy()
    return array


def read_pickle(path: Path) -> dict[str, Tensor]:
    """All tensors of a pytorch_model.bin; AttnvizError if it is damaged or holds more than tensors.

    torch's reader runs only the steps of a pickle that build tensors, and refuses all others.
    """
    check_readable(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about how it was stored, which users cannot change
            held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch's reader raise anything
        if lacks_memory(error):
            raise MemoryError(str(error)) from error
        if "unsupported" in str(error).casefold():  # a step that builds no tensor
            raise AttnvizError(
                f"{path} is a pickle that holds more than tensors, which could be code, "
                "so it is not read",
                CONVERT,
            ) from error
        raise AttnvizError(f"{path} is not a whole pickle of tensors", AGAIN) from error
    if not isinstance(held, dict) or not all(map(_is_plain, held.items())):
        inside = next((key for key in INSIDE if isinstance(held, dict) and key in held), None)
        hint = f'save what is inside: torch.save(torch.load(file)["{inside}"], file)'
        raise AttnvizError(
            f"{path} should hold tensors by their names, and holds something else",
            CONVERT if inside is None else hint,
        )
    for name, tensor in held.items():
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise AttnvizError(
                f"{path} holds fewer numbers than {name} has by its shape, {tuple(tensor.shape)}",
                AGAIN,
            )
    return {name: tensor.detach() for name, tensor in held.items()}


def _is_plain(item: tuple[object, object]) -> bool:
    name, tensor = item
    return (
        isinstance(name, str)
        and isinstance(tensor, Tensor)
        and tensor.layout == torch.strided
        and tensor.device.type == "cpu"
    )
