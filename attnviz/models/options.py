"""How a model is run, and what of it is looked at."""

from dataclasses import dataclass
from typing import Literal

from attnviz.inspection.facts import AttentionKind

Device = Literal["auto", "cpu", "cuda", "mps"]
Dtype = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class RunOptions:
    """How a model is run, and what of it is looked at.

    `device` "auto" is a GPU where there is one. `dtype`: what the model computes in. `attention`:
    whose attention is recorded, None for the usual one: an encoder's, where there is one. `target`:
    what a decoder is fed beside the encoder's text; None lets the model write it.
    `trust_remote_code`: a type of model that transformers does not know is run by code of its own.
    """

    device: Device = "cpu"
    dtype: Dtype = "float32"
    attention: AttentionKind | None = None
    target: str | None = None
    trust_remote_code: bool = False
