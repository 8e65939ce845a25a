"""How a model is run, and what of it is inspected."""

from dataclasses import dataclass
from typing import Literal

from attnviz.attention.request import AttentionKind

Device = Literal["auto", "cpu", "cuda", "mps"]
Dtype = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class RunOptions:
    """How a model is run, and what of it is inspected.

    `device`: "auto" takes a GPU if there is one. `dtype`: what the model computes in. `attention`:
    which attention is recorded; None: the encoder's if the model has one, else the decoder's.
    `target`: the text for the decoder, beside the encoder's; None: the model writes it.
    `trust_remote_code`: run the model's own code if transformers does not know its type.
    """

    device: Device = "cpu"
    dtype: Dtype = "float32"
    attention: AttentionKind | None = None
    target: str | None = None
    trust_remote_code: bool = False
