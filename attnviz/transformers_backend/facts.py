"""A model that transformers runs as outputs name it: what was recorded of it, and its config."""

from collections.abc import Sequence
from inspect import signature
from typing import Any, Literal, Protocol

from torch import nn

from attnviz.attention.layer import LayerRecord
from attnviz.errors import AttnvizError
from attnviz.inspection import ModelFacts
from attnviz.inspection.facts import AttentionKind
from attnviz.transformers_backend.recordable import RecordableModel

FEED_FORWARD = (
    "intermediate_size",
    "d_ff",
    "n_inner",
    "d_inner",
    "ffn_dim",
    "ffn_hidden_size",
    "hidden_dim",
    "moe_intermediate_size",
)
"""What transformers' configurations call d_ff."""

GIVEN_TO = 512
"""The length of a sentence by which the room for weights that are given is reckoned."""

TOKEN_TYPES = {"xlnet": 3}
"""Of models whose configurations do not say how many token types they have."""

USUAL_WIDENING = 4
"""How many times d_model is d_ff where a configuration does not say, as in GPT-2."""


def facts_of(name: str, opened: RecordableModel) -> ModelFacts:
    """Layers and sizes of the part that is looked at.

    Raises AttnvizError where the layers are not alike, or not all of them are attention.
    """
    config, family, layers = opened.own_config, opened.name, opened.trial
    first = layers[0]
    shapes = {record.num_heads for record in layers}
    widths = {None if record.q is None else record.q.shape[-1] for record in layers}
    if len(shapes) > 1 or len(widths) > 1:
        raise AttnvizError(
            f"{family} models cannot be looked into: their layers have heads of different "
            "numbers or sizes"
        )
    total = entry(config, "num_hidden_layers")
    if opened.gives_all and not opened.seq2seq and total not in (None, len(layers)):
        raise AttnvizError(
            f"{family} models cannot be looked into: {len(layers)} of their {total} layers are "
            "attention, and the others something else"
        )
    d_model = _d_model(first, config)
    return ModelFacts(
        name=name,
        family=family,
        num_layers=len(layers),
        num_heads=first.num_heads,
        d_model=d_model,
        d_k=d_model // first.num_heads if first.q is None else first.q.shape[-1],
        d_ff=d_ff_of(config, opened.kind, d_model),
        trained=True,
        dtype=opened.dtype,
    )


def numbers_per_token(layers: Sequence[LayerRecord]) -> int:
    """How many numbers a token leaves behind; where weights are given alone, one to each token of
    a sentence of GIVEN_TO.
    """
    count = 0
    for record in layers:
        if record.recorded_weights is not None:
            count += record.num_heads * GIVEN_TO
        by_token = (record.x, record.encoder_states, record.q, record.k, record.v, record.z)
        count += sum(array.size // array.shape[-2] for array in by_token if array is not None)
    return count


class Part(Protocol):
    """A model, loaded or not, and the configuration of the part that is looked at."""

    @property
    def config(self) -> Any:
        """What config.json says."""

    @property
    def own_config(self) -> Any:
        """What it says of that part."""

    @property
    def model(self) -> Any:
        """The model itself."""


def num_token_types(opened: Part) -> int:
    """How many token types the model is fed; 0 for one that is fed none."""
    if "token_type_ids" not in signature(opened.model.forward).parameters:
        return 0
    count = entry(opened.config, "type_vocab_size")
    return TOKEN_TYPES.get(opened.config.model_type, count or 0)


def max_positions(opened: Part, side: Literal["encoder", "decoder"] = "encoder") -> int | None:
    """How many tokens the model takes at most; None where nothing says so.

    `side`: the part that takes them, where a model has two of unlike length, as LED.
    """
    names = (f"max_{side}_position_embeddings", "max_position_embeddings")
    found = (entry(opened.own_config, name) for name in names)
    most = next((number for number in found if number is not None), None)
    if most is None or most < 1:
        return None
    # RoBERTa and those after its model count positions from behind the one of padding
    unused = [
        table.padding_idx + 1
        for name, table in opened.model.named_modules()
        if isinstance(table, nn.Embedding)
        and "position" in name
        and table.num_embeddings == most
        and table.padding_idx is not None
    ]
    return most - max(unused, default=0)


def _d_model(record: LayerRecord, config: Any) -> int:
    return int(config.hidden_size) if record.x is None else record.x.shape[-1]


def d_ff_of(config: Any, kind: AttentionKind, d_model: int) -> int:
    """The width of the feed-forward network's inner layer, in the part with such attention."""
    side = "encoder" if kind == "encoder" else "decoder"
    for name in (f"{side}_ffn_dim", *FEED_FORWARD):
        value = entry(config, name)
        if value is not None:
            return value
    return USUAL_WIDENING * d_model


def entry(config: Any, name: str) -> int | None:
    """A whole number of a configuration; None where it has none, or another for each layer."""
    try:
        value = getattr(config, name, None)
    except RuntimeError:  # transformers' own way to say that layers differ in it
        return None
    return value if isinstance(value, int) else None
