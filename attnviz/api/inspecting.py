"""From texts to inspections, and how these are looked at."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal, TypedDict, Unpack, overload

from attnviz.answers.select import HeadName, select_heads, select_in
from attnviz.attention.measures import MeasureName
from attnviz.attention.request import WHOLE, RecordRequest
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection, ModelFacts, View, Window
from attnviz.model import Model
from attnviz.model.load import ModelOptions
from attnviz.model.reload import model_for
from attnviz.text.tokens import Typed, Unit, words_in


class InspectOptions(ModelOptions, total=False):
    """What `inspect` takes beside a text and a model."""

    pair: str | list[str] | None
    truncate: bool
    layers: int | Iterable[int] | None
    tokenizer: Any


@overload
def inspect(
    text: str, model: Any = ..., *, pretokenized: bool = ..., **options: Unpack[InspectOptions]
) -> Inspection: ...
@overload
def inspect(
    text: list[str], model: Any = ..., **options: Unpack[InspectOptions]
) -> list[Inspection]: ...
@overload
def inspect(
    text: list[str],
    model: Any = ...,
    *,
    pretokenized: Literal[True],
    **options: Unpack[InspectOptions],
) -> Inspection: ...
@overload
def inspect(
    text: list[list[str]],
    model: Any = ...,
    *,
    pretokenized: Literal[True],
    **options: Unpack[InspectOptions],
) -> list[Inspection]: ...
def inspect(
    text: Any,
    model: Any = "minilm",
    pair: Any = None,
    truncate: bool = False,
    layers: int | Iterable[int] | None = None,
    tokenizer: Any = None,
    pretokenized: bool = False,
    **options: Unpack[ModelOptions],
) -> Inspection | list[Inspection]:
    """Run a text, or each of a list of texts, through a model, and keep its attention.

    `model`: a name as in `load_model`, which takes the `options` too; a Model; or a transformers
    model in memory with its `tokenizer`, which is used as it is. A named model stays loaded for the
    next call. Of a long text only the `layers` given are recorded. With `pretokenized`, a text is a
    list of words, or has blanks between them, and many texts are a list of lists; transformers
    calls it is_split_into_words.
    """
    if options.get("target") is not None:
        options["target"] = one_text(options["target"], pretokenized)
    loaded = model_for(model, tokenizer, **options)
    texts, several = _texts(text, pretokenized)
    second = pair if pair is None else one_text(pair, pretokenized)
    tokens = [loaded.tokenize(one, second, truncate) for one in texts]
    found = list(loaded.inspect_tokens(tokens, _recording(loaded, layers)))
    return found if several else found[0]


def inspect_windows(
    text: str | list[str],
    stride: int,
    model: Any = "minilm",
    layers: int | Iterable[int] | None = None,
    tokenizer: Any = None,
    pretokenized: bool = False,
    **options: Unpack[ModelOptions],
) -> Iterator[Inspection]:
    """Run a text that is too long for a model in overlapping windows, one inspection each.

    Windows are as long as the model takes, and begin `stride` pieces apart, where a word begins;
    `inspection.part` says where. A text that fits gives one inspection, whose `part` is None.
    `pretokenized`: as in `inspect`.
    """
    loaded = model_for(model, tokenizer, **options)
    windows = loaded.windows(one_text(text, pretokenized), stride)
    return loaded.inspect_tokens(windows, _recording(loaded, layers))


def one_text(text: Any, pretokenized: bool) -> Typed:
    """The text that came, or its words; RequestError for several."""
    texts, several = _texts(text, pretokenized)
    if several:
        raise RequestError("a list came, and one text is expected", "give one of its texts")
    return texts[0]


def _texts(text: Any, pretokenized: bool) -> tuple[list[Typed], bool]:
    """The texts that came, or their words, and whether several may come; RequestError."""
    if isinstance(text, str):
        return [words_in(text) if pretokenized else text], False
    items: list[Any] = list(text) if isinstance(text, list | tuple) else [None]
    if all(isinstance(one, str) for one in items):
        return ([tuple(items)], False) if pretokenized else (items, True)
    lists = [tuple(one) for one in items if isinstance(one, list | tuple)]
    if len(lists) < len(items) or not all(isinstance(word, str) for one in lists for word in one):
        raise RequestError("the text is neither a string nor a list of strings", "give one of them")
    if not pretokenized:
        raise RequestError("lists of words came", "add pretokenized=True for words of your own")
    return list(lists), True


def _recording(model: Model, layers: int | Iterable[int] | None) -> RecordRequest:
    if layers is None:
        return WHOLE
    heads = select_heads(model.facts, [layers] if isinstance(layers, int) else list(layers))
    return RecordRequest(frozenset(head.layer for head in heads) or None)


class Look(TypedDict, total=False):
    """How an inspection is looked at.

    `unit`: "word", or "piece" for what the tokenizer cut. `special=False` leaves special tokens
    out, and divides what remains of each row by its sum. `measure`: "weights", "norm" (Kobayashi et
    al. 2020), "rollout" or "flow" (Abnar & Zuidema 2020; without heads). `window`: a part of a long
    text, as the index of its first token and the end.
    """

    unit: Unit
    special: bool
    measure: MeasureName
    window: Window | None


class Heads(Look, total=False):
    """Which heads, and how they are looked at. `head` may also be a list of heads."""

    layer: int | None
    head: HeadName | list[HeadName] | None


def looked_at(inspection: Any, heads: Heads) -> tuple[View, list[HeadId]]:
    """The inspection as it is looked at, and the heads chosen; an empty list if none are."""
    unknown = [name for name in heads if name not in Heads.__annotations__]
    if unknown:
        raise RequestError(
            f"there is no {', '.join(unknown)} to choose",
            f"choose among {', '.join(Heads.__annotations__)}",
        )
    look: Any = {name: value for name, value in heads.items() if name in Look.__annotations__}
    if isinstance(inspection, Inspection):
        view = inspection.view(**look)
    elif isinstance(inspection, View):
        view = replace(inspection, **look)
    else:
        raise RequestError(
            f"a {type(inspection).__name__} is not an inspection",
            "give what attnviz.inspect or attnviz.load returned",
        )
    layer = heads.get("layer")
    layers = [] if layer is None else [layer]
    return view, select_in(view.context, layers, several(heads.get("head")))


def several(head: HeadName | list[HeadName] | None) -> list[HeadName]:
    """A head, or several, as a list; a tuple is one head."""
    return list(head) if isinstance(head, list) else [] if head is None else [head]


def heads_named(model: ModelFacts, heads: HeadName | list[HeadName]) -> list[HeadId]:
    """The heads named, as "L3H1" or (3, 1), or "L3" for a whole layer; RequestError."""
    layers, names = [], []
    for name in heads if isinstance(heads, list) else [heads]:
        if isinstance(name, tuple) and name[-1] is None:
            name = str(HeadId(*name))
        layer = re.fullmatch(r"[lL](\d+)", name.strip()) if isinstance(name, str) else None
        layers += [layer[1]] if layer else []
        names += [] if layer else [name]
    return sorted({*select_heads(model, layers), *select_heads(model, [], names)})
