"""Sentences in, inspections out: through a model, or from a file."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, Unpack

import attnviz.inspection.storage as storage
from attnviz.answers.select import select_heads
from attnviz.attention.request import WHOLE, RecordRequest
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.model import Model, RunOptions, load_model, load_model_of
from attnviz.model.load import ModelOptions


def inspect(
    text: str,
    model: str | Model = "minilm",
    pair: str | None = None,
    truncate: bool = False,
    layers: int | Iterable[int] | None = None,
    **options: Unpack[ModelOptions],
) -> Inspection:
    """Run a sentence, or a pair of sentences, through a model and keep its attention.

    `model` is a name as in `load_model`, which takes the `options` too: `attention` ("encoder",
    "decoder", "cross") and `target` of a model with a decoder, `device`, `dtype`. Or it is a Model
    that is loaded already. The model that a name means stays loaded for the next call. Of a long
    text only the `layers` given are recorded; negative numbers count from the end. Raises
    RequestError for a sentence that is empty or too long, for a name that means nothing and for a
    layer that is not there, AttnvizError for a model that is damaged.
    """
    loaded = _given(model, **options)
    return loaded.inspect(text, pair, truncate, _recording(loaded, layers))


def inspect_windows(
    text: str,
    stride: int,
    model: str | Model = "minilm",
    layers: int | Iterable[int] | None = None,
    **options: Unpack[ModelOptions],
) -> Iterator[Inspection]:
    """Run a text that is too long for a model in windows that overlap, and give out one by one.

    They are of the length that the model takes, begin `stride` pieces apart, where a word begins,
    and each is an inspection of its own text; `inspection.part` tells where that stands. A text
    that fits gives one inspection, whose `part` is None. What is wrong with the text, the stride,
    or the rest, as in `inspect`, is raised at once.
    """
    loaded = _given(model, **options)
    recording = _recording(loaded, layers)
    return loaded.inspect_tokens(loaded.windows(text, stride), recording)


def _given(model: str | Model, **options: Any) -> Model:
    if isinstance(model, Model) and options:
        raise RequestError(
            f"the model is loaded already, and {', '.join(options)} came beside it",
            "give them to load_model",
        )
    return model if isinstance(model, Model) else _loaded(model, **options)


def _loaded(name: str, **options: Any) -> Model:
    """The model, which stays loaded; options that are as they would be anyway make no other one."""
    usual = asdict(RunOptions())
    return _kept(name, **{key: value for key, value in options.items() if value != usual.get(key)})


@lru_cache(maxsize=1)
def _kept(name: str, **options: Any) -> Model:
    return load_model(name, **options)


def _recording(model: Model, layers: int | Iterable[int] | None) -> RecordRequest:
    if layers is None:
        return WHOLE
    numbers = [layers] if isinstance(layers, int) else layers
    heads = select_heads(model.facts, numbers)
    return RecordRequest(frozenset(head.layer for head in heads) or None)


def save(inspection: Inspection, path: str | Path) -> None:
    """Write an inspection to a safetensors file, whole or not at all; AttnvizError if it fails."""
    storage.save(inspection, Path(path))


def load(path: str | Path) -> Inspection:
    """Read a saved inspection; RequestError if there is none, AttnvizError if it is damaged."""
    return storage.load(Path(path))


def model_of(inspection: Inspection, model: Model | None) -> Model:
    """The model given, which must be the inspection's own, or else that model, loaded."""
    if model is None:
        return load_model_of(inspection, _loaded)
    if model.facts != inspection.model:
        raise RequestError(
            f"the sentence was looked at in {inspection.model.name}, and this is another model: "
            f"{model.facts}",
            "give the same one, or none",
        )
    return model
