"""From a model's name to a model that is loaded."""

from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack

from attnviz.errors import RequestError
from attnviz.inspection.facts import AttentionKind
from attnviz.model.attention_kind import check_parts
from attnviz.model.model import Model
from attnviz.model.native import NativeRunner
from attnviz.model.notes import PICKLE_NOTES, code_note, left_over_note, sizes_note
from attnviz.model.tokenizers import tokenizer_of
from attnviz.model.via_transformers import load_through, wanted_through
from attnviz.models import DEFAULT, PAPER, ModelFiles, default_tokenizer, find_model
from attnviz.models.config import (
    PAPER_SEED,
    ModelType,
    model_type,
    paper_config,
)
from attnviz.models.describe import model_facts
from attnviz.models.families import FAMILIES, read_config
from attnviz.models.files import Wanted
from attnviz.models.options import Device, Dtype, RunOptions
from attnviz.text.tokenizer import Tokenizer

RUNNING = [field.name for field in fields(RunOptions)]


class ModelOptions(TypedDict, total=False):
    """How a model is run, as in `RunOptions`, and the shape of the untrained `paper`.

    None is as if it were not given.
    """

    device: Device
    dtype: Dtype
    attention: AttentionKind | None
    target: str | None
    trust_remote_code: bool | None
    num_layers: int | None
    num_heads: int | None
    d_model: int | None
    d_ff: int | None
    seed: int | None


def load_model(name: str = DEFAULT, **options: Unpack[ModelOptions]) -> Model:
    """Load `minilm` (the default), `paper`, a folder, or a hub name.

    The numbers among the options shape `paper`, and go with it alone. Raises RequestError for a
    name or options that make no sense, AttnvizError for files that are damaged.
    """
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    running = RunOptions(**{key: given.pop(key) for key in RUNNING if key in given})
    shape: dict[str, int] = given
    if name == PAPER:
        check_parts(name, running, "encoder")
        return _load_paper({"seed": PAPER_SEED, **shape}, running)
    if shape:
        given_options = ", ".join("--" + key.replace("_", "-") for key in shape)
        raise RequestError(
            f"{given_options} shapes the untrained model, and {name} has its own shape",
            f"use it with --model {PAPER}",
        )
    files = find_model(name, partial(_look, name, running))
    kind = _kind(name, running, files.config)
    if _is_native(kind, running):
        return _load_native(name, kind, files, running)
    return load_through(name, kind, files, running)


def _look(name: str, running: RunOptions, config: Path) -> Wanted:
    """What is needed of a model beside its weights; refuses what cannot be had before they are."""
    kind = _kind(name, running, config)
    if _is_native(kind, running):
        read_config(config)
        return Wanted()
    return wanted_through(name, kind, config.parent, running)


def _kind(name: str, running: RunOptions, config: Path) -> ModelType:
    """The type of model that a config.json is of; refuses parts that a family does not have."""
    kind = model_type(config)
    if kind.name in FAMILIES:
        check_parts(name, running, "both" if kind.both else "encoder")
    return kind


def _is_native(kind: ModelType, running: RunOptions) -> bool:
    """Whether our own encoder reads what is to be looked at."""
    return kind.name in FAMILIES and running.attention not in ("decoder", "cross")


def _load_native(name: str, kind: ModelType, files: ModelFiles, running: RunOptions) -> Model:
    from attnviz.encoder.checkpoint import load_checkpoint
    from attnviz.encoder.devices import placement

    place = placement(running.device, running.dtype)
    checkpoint = load_checkpoint(files.config, files.weights, files.verified, place)
    config = checkpoint.encoder.config
    notes = (*code_note(kind.own_code, ran=False), *(PICKLE_NOTES if files.pickled else ()))
    notes += left_over_note(checkpoint.left_over, "the encoder")
    facts = replace(model_facts(name, checkpoint.family, config), dtype=running.dtype)
    tokenizer = tokenizer_of(files, config.max_positions)
    runner = NativeRunner(facts, checkpoint.encoder, checkpoint.masked_lm)
    notes += sizes_note(tokenizer.vocabulary_size, runner.vocab_size)
    return Model(tokenizer, runner, notes)


def _load_paper(shape: dict[str, int], running: RunOptions) -> Model:
    tokenizer = Tokenizer.from_file(default_tokenizer(), add_special_tokens=False)
    from attnviz.encoder.devices import placement
    from attnviz.encoder.paper import paper_encoder

    seed = shape.pop("seed")
    config = paper_config(tokenizer.vocabulary_size, **shape)
    encoder = paper_encoder(config, seed, placement(running.device, running.dtype))
    facts = replace(model_facts(PAPER, PAPER, config, seed), dtype=running.dtype)
    return Model(tokenizer, NativeRunner(facts, encoder))
