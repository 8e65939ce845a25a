"""The encoder's hyperparameters: how many layers and heads, how wide, what differs by family."""

from dataclasses import dataclass

from attnviz.errors import RequestError

ACTIVATIONS = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "silu": "silu",
    "swish": "silu",
}
"""The activations by the names that published configurations use, and what each of them means."""

BUCKETS = 32
"""Into how many buckets distances between tokens are put, where they are."""

LARGEST_SIZE = 1 << 24
MOST_LAYERS = 1000
"""Far beyond any encoder there is: a larger number is a slip, told before anything is built."""


@dataclass(frozen=True)
class EncoderConfig:
    """The encoder's hyperparameters; RequestError if they do not fit together.

    `max_positions` tokens fit in, None being any number of them; the first stands at
    `first_position` of the table of positions. `d_embedding` is the width of the embeddings where
    it is not d_model, `distance_buckets` how many distances between tokens are told apart by a
    number added to the scores. `scaled_embeddings` says whether word vectors that sinusoids are
    added to are first multiplied by sqrt(d_model), as in the paper.
    """

    vocab_size: int
    num_layers: int
    num_heads: int
    d_model: int
    d_ff: int
    activation: str = "relu"
    max_positions: int | None = None
    num_token_types: int = 0
    projection_bias: bool = True
    norm_eps: float = 1e-5
    first_position: int = 0
    d_embedding: int | None = None
    distance_buckets: int | None = None
    scaled_embeddings: bool = True

    def __post_init__(self) -> None:
        _check_size("num_layers", self.num_layers, MOST_LAYERS)
        for name in ("vocab_size", "num_heads", "d_model", "d_ff"):
            _check_size(name, getattr(self, name))
        for name in ("max_positions", "d_embedding", "distance_buckets"):
            if getattr(self, name) is not None:
                _check_size(name, getattr(self, name))
        if self.num_token_types:
            _check_size("num_token_types", self.num_token_types)
        if self.d_model % self.num_heads:
            raise RequestError(
                f"d_model {self.d_model} cannot be divided among {self.num_heads} heads",
                "choose a d_model that is a multiple of num_heads: d_k is d_model / num_heads",
            )
        if self.activation not in ACTIVATIONS:
            raise RequestError(
                f'the activation "{self.activation}" is not known',
                f"known are {', '.join(ACTIVATIONS)}",
            )

    @property
    def d_k(self) -> int:
        """The width of one head's query, key and value vectors (the paper: 512 / 8 = 64)."""
        return self.d_model // self.num_heads


def _check_size(name: str, size: int, largest: int = LARGEST_SIZE) -> None:
    if not 1 <= size <= largest:
        raise RequestError(f"{name} is {size}", f"it should be from 1 to {largest}")


PAPER_SEED = 0
"""The seed of the untrained model's random weights, unless somebody gives another."""


def paper_config(
    vocab_size: int,
    num_layers: int = 6,
    num_heads: int = 8,
    d_model: int = 512,
    d_ff: int = 2048,
) -> EncoderConfig:
    """Transformer-base (Vaswani et al. 2017, table 3), or one of another shape."""
    return EncoderConfig(
        vocab_size, num_layers, num_heads, d_model, d_ff, "relu", projection_bias=False
    )
