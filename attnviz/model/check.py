"""Run a model on built-in sentences, in several ways, to check the numbers that attnviz gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from attnviz.attention.request import AttentionKind, RecordRequest
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import HeadId, Inspection
from attnviz.inspection.evidence import Batch, Cut, Evidence, Own, Text, Without
from attnviz.model.describe import describe
from attnviz.model.load import find_config
from attnviz.model.model import Model
from attnviz.model.native import NativeRunner
from attnviz.models import PAPER
from attnviz.models.config import RunOptions
from attnviz.text.tokens import Tokens

if TYPE_CHECKING:
    from attnviz.transformers_backend.reference import Reference

SENTENCES = (
    "The animal didn't cross the street because it was too tired.",
    "I am a student.",
    "A dog sat on the mat, and nobody saw it.",
)
SHORT = "No."  # shorter than the others, even in a model that takes seven tokens
PAIR = ("Did the animal cross the street?", "It was too tired.")
RUN: tuple[tuple[str, str | None], ...] = (*((text, None) for text in (*SENTENCES, SHORT)), PAIR)
"""What the model reads; of unlike length, so that a batch of them is padded."""

ORDERS = ((0, 1, 2, 3), (4, 3, 2, 1, 0), (1, 2))  # of batches; the last one has other padding

TEXTS: tuple[tuple[str, str | None], ...] = (
    *((sentence, None) for sentence in SENTENCES),
    ("UPPER and lower, with CamelCase", None),
    ("Crème brûlée à la carte — naïve façade, ﬁne", None),
    ("Das Tier überquerte die Straße nicht, weil es zu müde war.", None),
    ("Животное не перешло улицу, потому что оно слишком устало.", None),
    ("그 동물은 너무 피곤해서 길을 건너지 않았다.", None),
    ("その動物は疲れすぎていたので通りを渡らなかった。", None),
    ("那只动物没有过马路,因为它太累了。", None),
    ("لم يعبر الحيوان الشارع لأنه كان متعبا جدا.", None),
    ("वह जानवर बहुत थका हुआ था।", None),
    ("สัตว์นั้นเหนื่อยเกินไป", None),
    ("3.14159 is > 3, isn't it? #1 @home 50% e-mail: a_b@c.de", None),
    ("I like it 😀 and 👩‍👩‍👧 too", None),
    ("two  spaces, a\ttab, and the end ", None),
    PAIR,
    (SENTENCES[0], SENTENCES[1]),
    (SENTENCES[1], "그 동물은 길을 건너지 않았다."),
)
"""Texts and pairs whose tokens are compared."""

LONGEST = 4608  # tokens of the text that is longer than a sliding window

Say = Callable[[str], None]
Result = TypeVar("Result")


def gather(model: Model, run: RunOptions, say: Say = lambda what: None) -> Evidence:
    """Run the built-in sentences alone, in batches, without heads, and by transformers alone.

    `run`: as from `run_to_check`; `say` is told what is going on. AttnvizError if the model
    cannot run the sentences one by one.
    """
    say("running sentences")
    sources = _sources(model)
    alone = [next(model.inspect_tokens([tokens])) for tokens in sources]
    kind = alone[0].attention
    sees = _sees(model.facts.name, run, kind)
    orders = dict.fromkeys(tuple(n for n in order if n < len(sources)) for order in ORDERS)
    batches = tuple(_batch(model, sources, order) for order in orders)
    long = None if isinstance(sees, str) else _long(model, sees, alone[0])
    projected = tuple(_projected(model, alone[0], n) for n in range(model.facts.num_layers))
    say("loading the model again, with transformers alone")
    reference = _or_reason(lambda: _reference(model, run, kind))
    texts: tuple[Text, ...] | str
    own: tuple[Own, ...] | str
    without: tuple[Without, ...] | str
    rounding: float | str = 0.0
    if isinstance(reference, str):
        texts = own = without = reference
    else:
        texts = _or_reason(lambda: reference.texts([(*t, _cut(model, *t)) for t in TEXTS]))
        say("running sentences with transformers alone")
        own = _or_reason(lambda: tuple(map(reference.run, alone, sources)))
        say("taking heads away")
        without = _or_reason(lambda: _without(model, reference, sources[0], alone[0]))
        if not isinstance(own, str) and run.dtype == "float32":
            rounding = _or_reason(lambda: reference.rounding(alone, sources, own))
    return Evidence(
        model.facts,
        isinstance(model._runner, NativeRunner),
        kind,
        tuple(alone),
        tuple(sources),
        batches,
        texts,
        sees,
        long,
        own,
        0.0 if isinstance(rounding, str) else rounding,
        projected,
        without,
    )


def run_to_check(name: str, options: Mapping[str, Any]) -> RunOptions:
    """How a model is run to be checked; `options`: of `load_model`, whose errors it raises.

    A decoder next to an encoder gets a target, or it would write one for each run.
    """
    if not isinstance(name, str):
        raise RequestError(
            f"check takes the name of a model, and a {type(name).__name__} came",
            "save it with save_pretrained, and give the folder",
        )
    given = {field.name: options.get(field.name) for field in fields(RunOptions)}
    run = RunOptions(**{key: option for key, option in given.items() if option is not None})
    needed = run.target is None and run.attention in ("decoder", "cross") and name != PAPER
    if needed and find_config(name, run)[0].architecture.seq2seq:
        return replace(run, target=SENTENCES[1])
    return run


def _sources(model: Model) -> list[Tokens]:
    """The tokens of the sentences, and of a pair if the model takes one."""
    found = []
    for text, pair in RUN:
        try:
            found.append(model.tokenize(text, pair, truncate=True))
        except AttnvizError:
            if pair is None:
                raise
    return found


def _or_reason(attempt: Callable[[], Result]) -> Result | str:
    """What was attempted, or why it failed: the lines that need it say so."""
    try:
        return attempt()
    except AttnvizError as error:
        return error.message
    except Exception as error:  # whatever a model, or what looks into it, raises
        return str(error).partition("\n")[0] or type(error).__name__


def _reference(model: Model, run: RunOptions, kind: AttentionKind) -> "Reference":
    """The model loaded anew by transformers alone, from the same files."""
    if model.facts.name == PAPER:
        raise AttnvizError("paper is drawn from its seed, and transformers has no such model")
    from attnviz.encoder.devices import placement
    from attnviz.transformers_backend.reference import Reference

    config, files = find_config(model.facts.name, run)
    return Reference(config.architecture, files, placement(run.device, run.dtype), kind)


def _cut(model: Model, text: str, pair: str | None) -> Cut | None:
    """A text as the model is fed; None if it is refused."""
    try:
        tokens = model.tokenize(text, pair)
    except AttnvizError:
        return None
    fed = model._runner.feeds_types and model.tokenizer.gives_types
    return Cut(tokens.ids, tokens.type_ids if fed else ())


def _batch(model: Model, sources: Sequence[Tokens], numbers: tuple[int, ...]) -> Batch:
    batch = [sources[n] for n in numbers]
    return Batch(numbers, _or_reason(lambda: tuple(model.inspect_tokens(batch))))


def _sees(name: str, run: RunOptions, kind: AttentionKind) -> tuple[str, ...] | str:
    """What config.json says that the queries of each layer may attend to."""
    try:
        described = describe(name, run.trust_remote_code).attention
    except AttnvizError as error:
        return error.message
    kinds = {attention.kind: attention.sees for attention in described}
    return kinds.get(kind, "config.json speaks of another kind of attention")


def _long(model: Model, sees: Sequence[str], one: Inspection) -> tuple[int, Inspection] | None:
    """A text longer than the sliding window of the first layer that has one, up to that layer."""
    windows = {n: int(seen.split()[-1]) for n, seen in enumerate(sees) if "window" in seen}
    layer = min(windows, default=0)
    if not windows or windows[layer] + 8 > LONGEST or one.keys is not None:
        return None
    times = (windows[layer] + 8) // max(1, len(one.tokens) - 4) + 1
    try:
        tokens = model.tokenize(" ".join(SENTENCES[:1] * times), truncate=True)
        request = RecordRequest(frozenset([layer]), whole=False)
        return layer, next(model.inspect_tokens([tokens], request))
    except AttnvizError:
        return None


def _projected(model: Model, inspection: Inspection, layer: int) -> str:
    """Why x times the layer's matrices is not its q, k and v; empty if it is."""
    try:
        model.projections(inspection, layer)
    except AttnvizError as error:
        return error.message
    return ""


def _without(
    model: Model, reference: "Reference", source: Tokens, one: Inspection
) -> tuple[Without, ...]:
    """What the final states become without one head or several; after `Reference.run`.

    Heads are left out where no module of the model takes their z alone.
    """
    layers, heads = model.facts.num_layers, model.facts.num_heads
    places = (0, heads - 1), (layers // 2, heads // 2), (layers - 1, 0)
    single = [HeadId(*place) for place in dict.fromkeys(places)]
    runs = [model.ablate(one, chosen) for chosen in [*([head] for head in single), single]]
    plain = reference.without(source, one.tokens, (), heads)
    found = []
    for ours in runs:
        ablated = reference.without(source, one.tokens, ours.heads, heads)
        if plain is not None and ablated is not None:
            found.append(Without(ours.heads, (ours.plain, ours.ablated), (plain, ablated)))
    return tuple(found)
