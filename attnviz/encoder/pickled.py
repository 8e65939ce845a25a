"""Tensors out of a pickle, where a model has nothing better, and nothing else out of it.

A pickle is a program that builds what it holds. torch's own reader runs only the steps that build
tensors, and stops at every other one.
"""

import warnings
from pathlib import Path

import torch
from torch import Tensor

from attnviz.errors import AttnvizError
from attnviz.models.layout import AGAIN, CONVERT


def read_pickle(path: Path) -> dict[str, Tensor]:
    """All tensors of a pytorch_model.bin; no code in it is run.

    Raises AttnvizError for a file that cannot be read, is damaged, or holds more than tensors.
    """
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise AttnvizError(f"{path} cannot be read: {error.strerror}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about how it was stored, which nobody here can change
            held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file makes of torch's reader
        if "unsupported" in str(error).casefold():  # a step that builds no tensor
            raise AttnvizError(
                f"{path} is a pickle that holds more than tensors, which could be code, "
                "so it is not read",
                CONVERT,
            ) from error
        raise AttnvizError(f"{path} is not a whole pickle of tensors", AGAIN) from error
    if not isinstance(held, dict) or not all(map(_is_plain, held.items())):
        raise AttnvizError(
            f"{path} should hold tensors by their names, and holds something else", CONVERT
        )
    return {name: tensor.detach() for name, tensor in held.items()}


def _is_plain(item: tuple[object, object]) -> bool:
    """Whether it is a name with a tensor whose numbers are there, one by one."""
    name, tensor = item
    return (
        isinstance(name, str)
        and isinstance(tensor, Tensor)
        and tensor.layout == torch.strided
        and tensor.device.type == "cpu"
    )
