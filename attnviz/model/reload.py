"""The Model that a name, an object or an inspection stands for; named ones are kept."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from attnviz.attention.layer import Projections
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection
from attnviz.model.load import IN_MEMORY, ModelOptions, find_config, load_model, model_in_memory
from attnviz.model.model import Model
from attnviz.model.native import projections_of, sublayers_of
from attnviz.models import PAPER
from attnviz.models.config import RunOptions
from attnviz.models.families import FAMILIES

if TYPE_CHECKING:
    from attnviz.attention.sublayers import Origins, Sublayers


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
) -> "Sublayers":
    """A layer's parts, and what it does to some pieces; `load` loads the model, where that must
    run.

    Raises AttnvizError if the parts are gone, cannot be found, or do not give the layer's output;
    IndexError for a layer that does not exist.
    """
    [found] = layers_behind(inspection, [layer], pieces, load)
    if isinstance(found, AttnvizError):
        raise found
    return found


def layers_behind(
    inspection: Inspection,
    layers: Sequence[int],
    pieces: Sequence[int],
    load: Callable[[Inspection], Model] = model_behind,
) -> "list[Sublayers | AttnvizError]":
    """`sublayers_behind` of several layers, for which a model runs once: an error for each layer
    without, and one raised if that is so of all.
    """
    count = inspection.model.num_layers
    numbers = [range(count)[layer] for layer in layers]
    for number in numbers:
        inspection.layer(number).inputs()  # raises before a model is loaded for nothing
    above = {
        number: x
        for number in numbers
        if number + 1 < count
        and (record := inspection.layers[number + 1]) is not None
        and (x := record.x) is not None
    }
    if not is_native(inspection):
        above = {}
    rest = [number for number in numbers if number not in above]
    made = load(inspection).sublayers(inspection, rest, pieces) if rest else []
    found = dict(zip(rest, made, strict=True))
    found |= {number: sublayers_of(inspection, number, pieces, x) for number, x in above.items()}
    return [found[number] for number in numbers]


def origins_behind(
    inspection: Inspection,
    layer: int,
    pieces: Sequence[int],
    load: Callable[[Inspection], Model] = model_behind,
) -> "Origins":
    """What some pieces' vectors come from that a layer's attention reads; as `sublayers_behind`."""
    from attnviz.attention.sublayers import Origins

    number, load_once = range(inspection.model.num_layers)[layer], lru_cache(load)
    _check_split(inspection, number, load_once)
    projections = matrices_of(inspection, number, load_once)
    # attention that reads x itself needs no parts of its own layer
    found = layers_behind(inspection, range(number + (not projections.direct)), pieces, load_once)
    for one in found:
        if isinstance(one, AttnvizError):
            raise one
    layers = [one for one in found if not isinstance(one, AttnvizError)]
    embedded = load_once(inspection).embedded(inspection, pieces)
    own = None if projections.direct else layers.pop()
    return Origins(tuple(pieces), embedded, tuple(layers), own, projections)


def _check_split(inspection: Inspection, number: int, load: Callable[[Inspection], Model]) -> None:
    """AttnvizError if what a layer's attention reads is not known to be a sum of parts."""
    name, kind = inspection.model.title, inspection.attention
    if any(inspection.layer(n).recorded_weights is not None for n in range(number + 1)):
        raise AttnvizError(
            f"{name} gives its attention weights alone, without the queries and keys whose "
            "products are split",
            "attnviz models says which models give all of it",
        )
    for below in range(number + 1):
        inspection.layer(below).inputs()  # raises before a model is loaded for nothing
    if kind == "cross" or (kind == "decoder" and load(inspection).decodes):
        raise AttnvizError(
            f"the decoder of {name} reads its encoder's states, which are not split into parts",
            "--attention encoder splits a score of the encoder",
        )


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


def options_of(inspection: Inspection) -> dict[str, Any]:
    """The options of `load_model` with which the inspection's model was run."""
    facts = inspection.model
    shape = ("num_layers", "num_heads", "d_model", "d_ff") if facts.family == PAPER else ()
    seeded = () if facts.trained else ("seed",)
    options: dict[str, Any] = {name: getattr(facts, name) for name in (*shape, *seeded, "dtype")}
    if seeded and not shape:
        options["untrained"] = True
    if inspection.attention != "encoder":  # which a model that has one shows by default
        options["attention"] = inspection.attention
    return options


def load_model_of(inspection: Inspection, load: Callable[..., Model] = load_model) -> Model:
    """Load the inspection's model as it was run; AttnvizError if it is not the same now."""
    facts = inspection.model
    if facts.name.endswith(IN_MEMORY):
        raise AttnvizError(
            f"the model of this inspection, {facts.name}, cannot be loaded by its name",
            "pass the model itself",
        )
    try:
        model = load(facts.name, **options_of(inspection))
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
    if inspection.attention != "encoder" or facts.name.endswith(IN_MEMORY):
        return False
    if facts.family not in FAMILIES:
        return facts.family == PAPER
    try:
        return find_config(facts.name, RunOptions())[0].beyond is None
    except AttnvizError:  # its files are gone, or others now: told by whoever needs them
        return True


def check_ablatable(inspection: Inspection) -> None:
    """AttnvizError if heads cannot be edited in the inspection's model, before it is loaded."""
    for record in inspection.layers:
        if record is not None:
            record.check_more_than_weights(inspection.model.name)


def _same_tokens(model: Model, inspection: Inspection) -> bool:
    """Whether the model still tokenizes the inspection's text as it did."""
    if inspection.attention == "decoder":  # its tokens may be those that it wrote itself
        return True
    tokens = inspection.key_tokens
    if tokens.part is None:
        return model.tokenize(*tokens.typed, truncate=True).ids == tokens.ids
    # the text before a window is gone, and a tokenizer may depend on it
    return tuple(map(model.tokenizer.entry, tokens.ids)) == tokens.vocabulary
