"""The model that an inspection came from: had again, to be run anew, or for its matrices."""

from collections.abc import Callable
from typing import Any

from attnviz.attention.layer import Projections
from attnviz.errors import AttnvizError
from attnviz.inspection import Inspection
from attnviz.model.ablating import not_ablated
from attnviz.model.load import load_model
from attnviz.model.matrices import projections_of
from attnviz.model.model import Model
from attnviz.models import PAPER
from attnviz.models.families import FAMILIES
from attnviz.text.tokens import Tokens


def load_model_of(inspection: Inspection, load: Callable[..., Model] | None = None) -> Model:
    """Load the model that an inspection came from, as it was run: by its name, what it computed in
    and, if untrained, its shape.

    `load` is `load_model`, or what stands in for it. Raises AttnvizError if the model cannot be had
    any more, or cuts the sentence into other pieces.
    """
    facts, tokens = inspection.model, inspection.key_tokens
    shape = () if facts.trained else ("num_layers", "num_heads", "d_model", "d_ff", "seed")
    options: dict[str, Any] = {name: getattr(facts, name) for name in ("dtype", *shape)}
    if inspection.attention != "encoder":
        options["attention"] = inspection.attention
    try:
        model = (load or load_model)(facts.name, **options)
    except AttnvizError as error:
        raise AttnvizError(
            f"the model that the sentence was looked at in cannot be had: {error.message}",
            error.hint,
        ) from error
    same = model.facts == facts
    if same and inspection.attention != "decoder":  # whose tokens may be those that it was fed
        same = _cuts_alike(model, tokens)
    if not same:
        raise AttnvizError(
            f"the model {facts.name} is not the one that the sentence was looked at in",
            "look at the sentence anew: give it as TEXT",
        )
    return model


def matrices_of(
    inspection: Inspection, layer: int, load: Callable[[Inspection], Model] = load_model_of
) -> Projections:
    """A layer's matrices, which made what was recorded of it; see `Projections`.

    Those of a model that attnviz reads itself are read from its files; another model is loaded by
    `load`. Raises AttnvizError where they cannot be had, made other numbers, or are not how the
    model makes them; IndexError for a layer that is not there.
    """
    if is_native(inspection):
        return projections_of(inspection, layer)
    inspection.layer(layer).inputs()  # where these are missing, no model is loaded in vain
    return load(inspection).projections(inspection, layer)


def _cuts_alike(model: Model, tokens: Tokens) -> bool:
    """Whether the model cuts the text into these pieces; or has them, where it was a window's."""
    if tokens.part is None:
        return model.tokenize(tokens.text, tokens.pair, truncate=True).ids == tokens.ids
    # what stood before it is not known any more, and a tokenizer may heed it
    return tuple(map(model.tokenizer.entry, tokens.ids)) == tokens.vocabulary


def is_native(inspection: Inspection) -> bool:
    """Whether our own encoder made it."""
    return inspection.attention == "encoder" and inspection.model.family in (*FAMILIES, PAPER)


def check_ablatable(inspection: Inspection) -> None:
    """RequestError if heads cannot be ablated in the inspection's model."""
    if not is_native(inspection):
        raise not_ablated(inspection.model)
