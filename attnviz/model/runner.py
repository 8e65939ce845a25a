"""What runs tokens through a model: our own encoder, or another library's code."""

from collections.abc import Sequence
from typing import Protocol

from attnviz.attention.layer import Projections
from attnviz.attention.request import RecordRequest
from attnviz.errors import AttnvizError
from attnviz.inspection import Inspection, ModelFacts
from attnviz.text.tokens import Tokens

Results = list[Inspection | AttnvizError]


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

    def run(self, batch: Sequence[Tokens], recording: RecordRequest) -> Results:
        """Run sentences together; what became of each, in their order."""

    def projections(self, inspection: Inspection, layer: int) -> Projections:
        """The matrices of a layer that made what an inspection of this model has of it.

        Raises AttnvizError where they made other numbers, or are not how the model makes them.
        """
