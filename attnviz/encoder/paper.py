"""The article's encoder: the Transformer-base of the paper, seeded and never trained."""

import os
from math import prod

import numpy as np

from attnviz.encoder.checkpoint import Checkpoint
from attnviz.encoder.parts import WORD_VECTORS, Shapes, encoder_shapes
from attnviz.errors import AttnvizError
from attnviz.models import PAPER
from attnviz.models.config import EncoderConfig
from attnviz.models.tables import DrawnTable, Table, untrained


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
    """A weight before any training; word vectors are drawn when they are used."""
    if name != WORD_VECTORS:
        return untrained(name, shape, seed)
    return DrawnTable((shape[0], shape[1]), seed, name.removesuffix(".weight"), shape[1] ** -0.5)


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
