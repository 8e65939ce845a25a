"""The Model that a name, an object or an inspection stands for; named ones are kept."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from attnviz.attention.sublayers import Sublayers
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.model.load import (
    ModelOptions,
    is_native,
    load_model,
    load_model_of,
    model_in_memory,
)
from attnviz.model.model import Model
from attnviz.model.native import sublayers_of
from attnviz.models.config import RunOptions


def model_behind(inspection: Inspection, model: Model | None = None) -> Model:
    """The model given, which must be the inspection's own, or else that model, loaded."""
    if model is None:
        return load_model_of(inspection, model_for)
    if model.facts != inspection.model:
        raise RequestError(
            f"the inspection is of {inspection.model.name}, and this is another model: "
            f"{model.facts}",
            "give the same one, or none",
        )
    return model


def sublayers_behind(
    inspection: Inspection,
    layer: int,
    pieces: Sequence[int],
    load: Callable[[Inspection], Model] = model_behind,
) -> Sublayers:
    """A layer's parts, and what it does to some pieces; `load` loads the model, where that must
    run.

    Raises AttnvizError if the parts are gone, cannot be found, or do not give the layer's output;
    IndexError for a layer that does not exist.
    """
    number, count = range(inspection.model.num_layers)[layer], inspection.model.num_layers
    inspection.layer(number).inputs()  # raises before a model is loaded for nothing
    above = inspection.layers[number + 1] if number + 1 < count else None
    if is_native(inspection) and above is not None and above.x is not None:
        return sublayers_of(inspection, number, pieces, above.x)
    return load(inspection).sublayers(inspection, number, pieces)


def model_for(model: object, tokenizer: object = None, **options: Any) -> Model:
    """The Model that a name, a Model, or a transformers model with its tokenizer means.

    A model loaded by its name stays loaded for the next call. Raises RequestError for anything
    else, and for options that do not exist or that come too late.
    """
    unknown = [name for name in options if name not in ModelOptions.__annotations__]
    if unknown:
        known = ", ".join(ModelOptions.__annotations__)
        raise RequestError(f"there is no option {', '.join(unknown)}", f"there are {known}")
    if isinstance(model, str) and tokenizer is None:
        usual = asdict(RunOptions())  # an option that has its usual value makes no other model
        return _kept(model, **{key: o for key, o in options.items() if o != usual.get(key)})
    takes = () if isinstance(model, Model) else ("attention", "target")
    late = [name for name in options if name not in takes]
    if late:
        raise RequestError(
            f"the model is loaded already, and {', '.join(late)} came with it",
            "give such options to load_model",
        )
    return model if isinstance(model, Model) else model_in_memory(model, tokenizer, **options)


@lru_cache(maxsize=1)
def _kept(name: str, **options: Any) -> Model:
    return load_model(name, **options)
