"""Load the model behind an inspection again: to run it, or for its matrices."""

from collections.abc import Callable
from typing import Any

from attnviz.attention.layer import Projections
from attnviz.errors import AttnvizError
from attnviz.inspection import Inspection
from attnviz.model.load import IN_MEMORY, load_model
from attnviz.model.matrices import projections_of
from attnviz.model.model import Model
from attnviz.model.native import not_ablatable
from attnviz.models import PAPER
from attnviz.models.families import FAMILIES


def load_model_of(inspection: Inspection, load: Callable[..., Model] = load_model) -> Model:
    """Load the inspection's model as it was run; `load` replaces `load_model`.

    Raises AttnvizError if the model cannot be loaded, or is not the same now.
    """
    facts = inspection.model
    if facts.name.endswith(IN_MEMORY):
        raise AttnvizError(
            f"the model of this inspection, {facts.name}, cannot be loaded by its name",
            "pass the model itself",
        )
    shape = () if facts.trained else ("num_layers", "num_heads", "d_model", "d_ff", "seed")
    options: dict[str, Any] = {name: getattr(facts, name) for name in (*shape, "dtype")}
    if inspection.attention != "encoder":  # which a model that has one shows by default
        options["attention"] = inspection.attention
    try:
        model = load(facts.name, **options)
    except AttnvizError as error:
        raise AttnvizError(
            f"the model of this inspection cannot be loaded: {error.message}", error.hint
        ) from error
    if model.facts != facts or not _same_tokens(model, inspection):
        raise AttnvizError(
            f"the model {facts.name} is not the one of this inspection",
            "inspect the sentence again: give it as TEXT",
        )
    return model


def matrices_of(
    inspection: Inspection, layer: int, load: Callable[[Inspection], Model] = load_model_of
) -> Projections:
    """The matrices behind what was recorded of a layer; `load` loads a model that is not native.

    Raises AttnvizError if they are gone or do not give the recorded numbers, IndexError for a layer
    that does not exist.
    """
    if is_native(inspection):
        return projections_of(inspection, layer)
    inspection.layer(layer).inputs()  # raises before a model is loaded for nothing
    return load(inspection).projections(inspection, layer)


def is_native(inspection: Inspection) -> bool:
    """Whether our own encoder made it."""
    facts = inspection.model
    ours = facts.family in (*FAMILIES, PAPER) and not facts.name.endswith(IN_MEMORY)
    return ours and inspection.attention == "encoder"


def check_ablatable(inspection: Inspection) -> None:
    """RequestError if heads cannot be ablated in the inspection's model."""
    if not is_native(inspection):
        raise not_ablatable(inspection.model)


def _same_tokens(model: Model, inspection: Inspection) -> bool:
    """Whether the model still tokenizes the inspection's text as it did."""
    if inspection.attention == "decoder":  # its tokens may be those that it wrote itself
        return True
    tokens = inspection.key_tokens
    if tokens.part is None:
        return model.tokenize(tokens.text, tokens.pair, truncate=True).ids == tokens.ids
    # the text before a window is gone, and a tokenizer may depend on it
    return tuple(map(model.tokenizer.entry, tokens.ids)) == tokens.vocabulary
