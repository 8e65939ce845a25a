"""How a model is run, and what of it is inspected."""

from dataclasses import dataclass
from typing import Literal

from attnviz.attention.request import AttentionKind

Device = Literal["auto", "cpu", "cuda", "mps"]
Dtype = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class RunOptions:
    """How a model is run, and what of it is inspected.

    "auto" takes a GPU if there is one. Without `attention`, the encoder's is recorded if the model
    has one, else the decoder's. `target` is the text for the decoder; without it, the model writes
    one. `trust_remote_code`: run the model's own code if transformers does not know its type.
    """

    device: Device = "cpu"
    dtype: Dtype = "float32"
    attention: AttentionKind | None = None
    target: str | None = None
    trust_remote_code: bool = False
