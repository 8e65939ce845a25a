"""The Model that a name, an object or an inspection stands for; named ones are kept."""

from dataclasses import asdict
from functools import lru_cache
from typing import Any

from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.model.load import ModelOptions, load_model, load_model_of, model_in_memory
from attnviz.model.model import Model
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
