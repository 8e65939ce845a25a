"""The article's encoder: the Transformer-base of the paper, seeded and never trained."""

import os
from math import prod

import numpy as np

from attnviz.encoder.checkpoint import Checkpoint
from attnviz.encoder.parts import WORD_VECTORS, Shapes, encoder_shapes
from attnviz.errors import AttnvizError
from attnviz.models import PAPER
from attnviz.models.config import EncoderConfig
from attnviz.models.tables import DrawnTable, Table, draw_matrix


def paper_checkpoint(config: EncoderConfig, seed: int) -> Checkpoint:
    """The paper's encoder with random weights, which the seed alone determines.

    Word vectors have variance 1 / d_model, or 1 once scaled by sqrt(d_model). AttnvizError if it
    does not fit in memory.
    """
    shapes = encoder_shapes(config, "sinusoidal")
    _check_memory(config, shapes)
    try:
        weights = {name: _drawn(name, shape, seed) for name, shape in shapes.items()}
    except MemoryError as error:
        raise _too_large(config) from error
    return Checkpoint(PAPER, config, "sinusoidal", weights)


def _drawn(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray | Table:
    """A weight before any training: no biases, plain norms; word vectors are drawn when used."""
    if name.endswith(".bias"):
        return np.zeros(shape, np.float32)
    if len(shape) == 1:
        return np.ones(shape, np.float32)
    module = name.removesuffix(".weight")
    if name == WORD_VECTORS:
        return DrawnTable((shape[0], shape[1]), seed, module, shape[1] ** -0.5)
    weight = np.empty(shape, np.float32)
    draw_matrix(weight, seed, module)
    return weight


def _check_memory(config: EncoderConfig, shapes: Shapes) -> None:
    """Linux promises more memory than there is, and kills a process that uses it."""
    size = 4 * sum(map(prod, shapes.values()))
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # this system does not say
        return
    if size > memory:
        raise _too_large(config)


def _too_large(config: EncoderConfig) -> AttnvizError:
    return AttnvizError(
        f"an encoder of d_model {config.d_model}, d_ff {config.d_ff} and {config.num_layers} "
        "layers does not fit in memory",
        "choose smaller numbers",
    )
