"""What runs tokens through a model: our own encoder, or another library's code."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from attnviz.attention import AttentionKind, Projections
from attnviz.errors import AttnvizError
from attnviz.inspection import Inspection, ModelFacts
from attnviz.recording import Recording
from attnviz.tokens import Tokens

Device = Literal["auto", "cpu", "cuda", "mps"]
Dtype = Literal["float32", "bfloat16", "float16"]

Results = list[Inspection | AttnvizError]


@dataclass(frozen=True)
class Running:
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


class Runner(Protocol):
    """A model that is loaded, without its tokenizer.

    `facts` are those of the part whose attention is recorded; `numbers_per_token` says how many
    float32 numbers a token leaves behind when everything is recorded. `num_token_types` is 0 for a
    model without them. `alone`: whether batches run one after the other, as on a GPU.
    """

    facts: ModelFacts
    vocab_size: int
    num_token_types: int
    numbers_per_token: int
    alone: bool

    def run(self, batch: Sequence[Tokens], recording: Recording) -> Results:
        """Run sentences together; what became of each, in their order."""

    def projections(self, inspection: Inspection, layer: int) -> Projections:
        """The matrices of a layer that made what an inspection of this model has of it.

        Raises AttnvizError where they made other numbers, or are not how the model makes them.
        """
