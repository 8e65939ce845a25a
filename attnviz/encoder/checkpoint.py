"""Published weights into our encoder: every name, shape and number is checked."""

import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from attnviz.encoder.devices import HERE, Placement, as_numpy
from attnviz.encoder.embeddings import (
    EMBEDDINGS,
    DistanceBias,
    HalvedSinusoidalEmbeddings,
    Table,
)
from attnviz.encoder.encoder import Encoder, activation_of
from attnviz.errors import AttnvizError, lacks_memory, listed
from attnviz.files import check_readable
from attnviz.models.config import EncoderConfig, ModelType, model_type, spread
from attnviz.models.families import Family, HeadNames, read_config
from attnviz.models.files import AGAIN, CONVERT, draw_normal, is_pickle, read_weights

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)  # stored
BELONG_TOGETHER = "check that config.json and the weights belong together"
WORD_VECTORS, POSITIONS = "embeddings.word.weight", "embeddings.position.weight"
INSIDE = ("state_dict", "model_state_dict", "model")  # the tensors' place in files of training


class MaskedLm(nn.Module):
    """A dense layer, its activation and a layer norm; then a score for each vocabulary entry."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.d_embedding or config.d_model
        self.dense = nn.Linear(config.d_model, width)
        self.activation = activation_of(config)
        self.norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.decoder = nn.Linear(width, config.vocab_size)

    def forward(self, states: Tensor) -> Tensor:
        """Final states, (..., d_model), to scores of all entries, (..., vocab_size)."""
        scores: Tensor = self.decoder(self.norm(self.activation(self.dense(states))))
        return scores

    def scores(self, states: np.ndarray) -> np.ndarray:
        """The score of each entry: (token, d_model) -> (token, vocab_size)."""
        with torch.inference_mode():
            return as_numpy(self(torch.from_numpy(states).to(self.dense.weight)))

    def probabilities(self, states: np.ndarray) -> np.ndarray:
        """The probability of each entry: (token, d_model) -> (token, vocab_size)."""
        with torch.inference_mode():
            scores: Tensor = self(torch.from_numpy(states).to(self.dense.weight))
            # in float32: rows of many small numbers would not sum to 1 in fewer bits
            return as_numpy(scores.softmax(dim=-1, dtype=torch.float32))


@dataclass(frozen=True)
class Checkpoint:
    """A filled encoder, its family's name, and the file's tensors that belong to another part."""

    encoder: Encoder
    family: str
    left_over: tuple[str, ...]  # without what every such file may have, such as a pooler
    masked_lm: MaskedLm | None  # None if the file has no complete head


def load_checkpoint(
    config: ModelType | Path,
    weights_path: Path,
    verified: bool = False,
    place: Placement = HERE,
    seed: int | None = None,
) -> Checkpoint:
    """Read a published model onto a device, in the dtype that it computes in.

    `weights_path`: a file, a pickle too, or the index of parts. `verified`: its hash was checked.
    `seed`: weights are drawn from it, in place of those in the file, and there is no head.
    AttnvizError for what is unknown, damaged or not as expected, and too little memory.
    """
    kind = model_type(config) if isinstance(config, Path) else config
    family, shape = read_config(kind)
    found: dict[str, Tensor] = (
        read_pickle(weights_path) if is_pickle(weights_path) else read_weights(weights_path, "pt")
    )
    # each layer has tensors; building a thousand layers in vain would take seconds
    if shape.num_layers > len(found):
        raise AttnvizError(
            f"config.json calls for {shape.num_layers} layers, "
            f"and {weights_path} holds {len(found)} tensors in all",
            BELONG_TOGETHER,
        )
    with torch.device("meta"):
        encoder = empty_encoder(family, shape, found)
    names = _names(encoder, family, found)
    _check_tensors(encoder, found, names)
    held = {ours: found[theirs] for ours, theirs in names.items()}
    if not verified:
        _check_finite(held, weights_path)
    if seed is not None:
        held |= dict(_drawn(encoder, seed, spread(kind.content)))
    weights = place.put(held)
    encoder.load_state_dict(weights, assign=True)
    left_over = sorted(found.keys() - names.values())
    others = tuple(name for name in left_over if not family.names.is_unused(name))
    head = replace(shape, activation=family.head_activation or shape.activation)
    names_of_head = family.head if seed is None else None
    masked_lm = read_masked_lm(head, names_of_head, found, weights[WORD_VECTORS], place)
    return Checkpoint(encoder.eval(), family.name, others, masked_lm)


def _drawn(encoder: Encoder, seed: int, spread: float) -> Iterator[tuple[str, Tensor]]:
    """What a model has before training: normal matrices and vectors, no biases, plain norms.

    Marian's positions, in a table of the file, are sinusoids before training too, and stay.
    """
    for name, parameter in encoder.named_parameters():
        module = encoder.get_submodule(name.rpartition(".")[0])
        if isinstance(encoder.embeddings, HalvedSinusoidalEmbeddings) and name == POSITIONS:
            continue
        shape = tuple(parameter.shape)
        if name.endswith(".bias"):
            yield name, torch.zeros(shape)
        elif isinstance(module, nn.LayerNorm):
            yield name, torch.ones(shape)
        else:
            yield name, torch.from_numpy(draw_normal(shape, seed, name, spread))


def empty_encoder(family: Family, config: EncoderConfig, found: Collection[str]) -> Encoder:
    """An encoder with a family's parts, without its weights; `found`: the tensors in its file."""
    bias = DistanceBias(config) if family.distance_buckets else None
    embeddings = EMBEDDINGS[family.embeddings](config)
    stored = isinstance(embeddings, HalvedSinusoidalEmbeddings) and POSITIONS in (
        family.names.resolve(found, 0)
    )
    if stored:
        embeddings.position = Table(config.max_positions or 0, config.d_model)
    return Encoder(config, embeddings, bias)


def _names(encoder: Encoder, family: Family, found: Mapping[str, Tensor]) -> dict[str, str]:
    """The encoder's tensors, {ours: published}; AttnvizError unless the file has just these."""
    num_layers = encoder.config.num_layers
    model = f"{family.name} with {num_layers} layers"
    resolved = family.names.resolve(found, num_layers)
    wanted = encoder.state_dict().keys()
    names = {ours: resolved[ours] for ours in wanted if ours in resolved}
    if not names:
        raise AttnvizError(
            f"the weights hold none of the tensors of a {model}, but {listed(sorted(found))}",
            BELONG_TOGETHER,
        )
    prefix, published = family.names.prefix(found, num_layers), family.names.published(num_layers)
    missing = [prefix + published[ours] for ours in wanted if ours not in names]
    if missing:
        raise AttnvizError(f"the weights lack {listed(missing)} of a {model}", BELONG_TOGETHER)
    inside = tuple(prefix + part for part in family.names.inside)
    unread = [
        name
        for name in sorted(found.keys() - names.values())
        if name.startswith(inside) and not family.names.is_unused(name)
    ]
    if unread:
        raise AttnvizError(
            f"the weights hold {listed(unread)}, which a {model} does not have",
            BELONG_TOGETHER,
        )
    return names


def _check_tensors(encoder: Encoder, found: Mapping[str, Tensor], names: Mapping[str, str]) -> None:
    expected = encoder.state_dict()
    for ours, theirs in names.items():
        if found[theirs].shape != expected[ours].shape:
            raise AttnvizError(
                f"{theirs} has shape {tuple(found[theirs].shape)}, "
                f"and config.json calls for {tuple(expected[ours].shape)}",
                BELONG_TOGETHER,
            )
        if found[theirs].dtype not in FLOATS:
            dtype = str(found[theirs].dtype).removeprefix("torch.")
            raise AttnvizError(
                f"{theirs} holds {dtype} numbers, and should hold floating-point numbers",
                "use the model from before it was quantised",
            )


def _check_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in weights.items():
        if not torch.isfinite(tensor.float()).all():  # float64's largest overflow float32
            raise AttnvizError(
                f"{path} holds numbers that are not finite (NaN or infinity), in {name}",
                "the training diverged or the file is damaged; take another checkpoint",
            )


def read_pickle(path: Path) -> dict[str, Tensor]:
    """All tensors of a pytorch_model.bin; AttnvizError if it is damaged or holds more than tensors.

    torch's reader runs only the steps of a pickle that build tensors, and refuses all others.
    """
    check_readable(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about how it was stored, which users cannot change
            held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch's reader raise anything
        if lacks_memory(error):
            raise MemoryError(str(error)) from error
        if "unsupported" in str(error).casefold():  # a step that builds no tensor
            raise AttnvizError(
                f"{path} is a pickle that holds more than tensors, which could be code, "
                "so it is not read",
                CONVERT,
            ) from error
        raise AttnvizError(f"{path} is not a whole pickle of tensors", AGAIN) from error
    if not isinstance(held, dict) or not all(map(_is_plain, held.items())):
        inside = next((key for key in INSIDE if isinstance(held, dict) and key in held), None)
        hint = f'save what is inside: torch.save(torch.load(file)["{inside}"], file)'
        raise AttnvizError(
            f"{path} should hold tensors by their names, and holds something else",
            CONVERT if inside is None else hint,
        )
    for name, tensor in held.items():
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise AttnvizError(
                f"{path} holds fewer numbers than {name} has by its shape, {tuple(tensor.shape)}",
                AGAIN,
            )
    return {name: tensor.detach() for name, tensor in held.items()}


def _is_plain(item: tuple[object, object]) -> bool:
    name, tensor = item
    return (
        isinstance(name, str)
        and isinstance(tensor, Tensor)
        and tensor.layout == torch.strided
        and tensor.device.type == "cpu"
    )


def read_masked_lm(
    config: EncoderConfig,
    names: HeadNames | None,
    found: Mapping[str, Tensor],
    word_vectors: Tensor,
    place: Placement = HERE,
) -> MaskedLm | None:
    """The head in a file's tensors; None unless it is complete, finite and of the right shapes.

    A decoder without a weight of its own uses the word vectors, (vocab_size, width).
    """
    resolved = names.resolve(found) if names else {}
    if not resolved:
        return None
    weights = {"decoder.weight": word_vectors}
    weights |= {ours: found[theirs] for ours, theirs in resolved.items()}
    with torch.device("meta"):
        head = MaskedLm(config)
    for name, expected in head.state_dict().items():
        tensor = weights[name]
        whole = tensor.shape == expected.shape and tensor.dtype in FLOATS
        if not whole or not torch.isfinite(tensor).all():
            return None
    head.load_state_dict(place.put(weights), assign=True)
    return head.eval()
