"""What a model says of a text: its checkpoint's own head, read when it is first asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection.predicted import (
    Guess,
    HeadFacts,
    Place,
    Predicted,
    likeliest,
    softmax,
)
from attnviz.model.load import find_config
from attnviz.model.model import Model
from attnviz.model.native import NativeRunner
from attnviz.models import PAPER
from attnviz.models.config import Config, RunOptions, model_type
from attnviz.models.heads import architecture_in, head_in, steps_of
from attnviz.text.tokens import Tokens, Typed

if TYPE_CHECKING:
    from attnviz.encoder.devices import Placement

TOP = 5  # guesses at a mask, or at the next token, unless the user says how many
LONGEST_ANSWER = 15  # pieces of an answer, as in transformers' pipeline
OTHER_MODELS = (
    "choose a model with a head: google-bert/bert-base-uncased predicts at [MASK], "
    "distilbert/distilbert-base-uncased-finetuned-sst-2-english gives labels"
)


class Head(Protocol):
    """A checkpoint's head, ready to be asked."""

    @property
    def facts(self) -> HeadFacts:
        """Its kind and its labels."""

    def scores(self, tokens: Tokens, places: Sequence[int]) -> np.ndarray:
        """The scores at these pieces, (place, choice); of a whole text one row, wherever asked."""


@runtime_checkable
class Writer(Head, Protocol):
    """The head of a decoder next to an encoder, which writes a text."""

    def write(self, tokens: Tokens) -> tuple[list[int], np.ndarray, bool]:
        """The ids that a decoder writes, the likeliest each time; the scores, (id, choice); and
        whether it ended by itself.
        """


def predict(
    model: Model, tokens: Tokens, top: int | None = None, other: Typed | None = None
) -> Predicted:
    """What the model says of a text; `top` guesses, 5 unless told, or all labels.

    `other`: the text that it is compared with, if that is what the model is for; or its pair.
    Raises RequestError for a model without a head, and a text without a mask where one is needed;
    AttnvizError for a head that is damaged, or not whole.
    """
    runner: Any = model._runner
    if not isinstance(runner, NativeRunner) and runner.model.decodes:
        raise RequestError(
            "a model says something of its encoder's text, and this is its decoder's attention",
            "give the text as TEXT, without --attention and --target",
        )
    if compares(model):
        return _similarity(model, tokens, tokens.typed[1] if other is None else other)
    head = head_of(model)
    facts = head.facts
    if isinstance(head, Writer):
        return _written(model, head, tokens, top or TOP)
    if facts.kind == "masked-lm":
        return _at_masks(model, head, tokens, top or TOP)
    if facts.kind == "causal-lm":
        return _at(head, tokens, [len(tokens) - 1], model.tokenizer.reads, top or TOP)
    if facts.kind == "question-answering":
        return _answers(model, head, tokens, top or TOP)
    if facts.kind == "token-classification":
        places = [place for place, span in enumerate(tokens.spans) if span is not None]
        return _at(head, tokens, places, facts.label)
    [row] = head.scores(tokens, [0])
    if len(row) == 1 and facts.function == "softmax":  # as of transformers, a regression
        facts = replace(facts, function=None)
    return Predicted(tokens, facts, (likeliest(row, facts.function, facts.label),))


@lru_cache(maxsize=1)
def compares(model: Model) -> bool:
    """Whether the checkpoint is there to compare texts: it has no head, and says how to pool."""
    facts, runner = facts_of(model), model._runner
    lacks = isinstance(runner, NativeRunner) and not runner.has_masked_lm
    if facts is not None and not (facts.kind == "masked-lm" and lacks):
        return False
    return model.files is not None and model.pooling.assumed is None


def _similarity(model: Model, tokens: Tokens, other: Typed | None) -> Predicted:
    """The cosine of the vectors that the checkpoint's own pooling makes of two texts."""
    if other is None:
        raise RequestError(
            f"{model.facts.name} says nothing of one text: it makes a vector of each of two, and "
            "says how similar they are",
            f"give another text beside it, or {OTHER_MODELS}",
        )
    cut = bool(tokens.dropped)
    own = tokens if tokens.pair is None else model.tokenize(tokens.typed[0], truncate=cut)
    both = [model.pooled(own), model.pooled(model.tokenize(other, truncate=cut))]
    a, b = (one.vector / max(float(np.linalg.norm(one.vector)), 1e-12) for one in both)
    head = HeadFacts("similarity", function=None, pooling=str(both[0].facts))
    return Predicted(tokens, head, (Place(None, (Guess("cosine", float(a @ b)),), 1),))


def _at(
    head: Head,
    tokens: Tokens,
    places: Sequence[int],
    name: Callable[[int], str],
    top: int | None = None,
) -> Predicted:
    """What is said at each of these pieces; `name` gives the names of the choices."""
    rows = head.scores(tokens, places)
    found = (
        likeliest(row, head.facts.function, name, top, place)
        for place, row in zip(places, rows, strict=True)
    )
    return Predicted(tokens, head.facts, tuple(found))


def _at_masks(model: Model, head: Head, tokens: Tokens, top: int) -> Predicted:
    number, name = model.tokenizer.mask_id, model.facts.name
    if number is None:
        raise RequestError(
            f"the tokenizer of {name} has no mask token, so its masked-LM head cannot be asked",
            OTHER_MODELS,
        )
    places = [place for place, own in enumerate(tokens.ids) if own == number]
    if not places:
        mask = model.tokenizer.entry(number)
        words = [token for token in tokens.words if not token.special and token.segment == 0]
        hidden = next((word for word in reversed(words) if word.text.isalnum()), words[-1])
        start, end = hidden.start or 0, hidden.end or 0
        shown = f"{tokens.text[:start]}{mask}{tokens.text[end:]}"
        raise RequestError(
            f"the text has no {mask}, and {name} predicts the words that stand there",
            f'put {mask} in place of a word, as in "{shown}"',
        )
    return _at(head, tokens, places, model.tokenizer.reads, top)


def _written(model: Model, head: Writer, tokens: Tokens, top: int) -> Predicted:
    ids, rows, complete = head.write(tokens)
    written = model.tokenizer.reading(ids)
    found = (
        likeliest(row, head.facts.function, model.tokenizer.reads, top, place)
        for place, row in enumerate(rows)
    )
    return Predicted(tokens, head.facts, tuple(found), written, complete)


def _answers(model: Model, head: Head, tokens: Tokens, top: int) -> Predicted:
    """The likeliest spans of the second text; a span's probability is its start's by its end's."""
    if tokens.pair is None:
        raise RequestError(
            f"{model.facts.name} answers a question about a text, and one text came",
            "give the question as TEXT, and the text that has the answer with --pair",
        )
    places = [
        place
        for place, (span, segment) in enumerate(zip(tokens.spans, tokens.segments, strict=True))
        if span is not None and segment == 1
    ]
    rows = head.scores(tokens, places)
    starts, ends = (softmax(rows[:, side]) for side in (0, 1))
    joint = np.triu(np.outer(starts, ends))
    joint -= np.triu(joint, LONGEST_ANSWER)
    guesses = []
    for flat in np.argsort(-joint, axis=None, kind="stable")[:top]:
        first, last = divmod(int(flat), len(places))
        if joint[first, last] <= 0:
            break
        start, end = (tokens.spans[places[place]] or (0, 0) for place in (first, last))
        text = tokens.pair[start[0] : end[1]]
        score = float(rows[first, 0]) + float(rows[last, 1])
        guesses.append(Guess(text, score, float(joint[first, last]), start[0], end[1]))
    return Predicted(tokens, head.facts, (Place(None, tuple(guesses), joint.size),))


@dataclass(frozen=True, eq=False)
class _Native:
    """A head whose scores are made of our own encoder's final states."""

    facts: HeadFacts
    model: Model
    scorer: Any  # with a method `scores`: final states, (piece, d_model), to scores

    def scores(self, tokens: Tokens, places: Sequence[int]) -> np.ndarray:
        """See `Head`."""
        rows: np.ndarray = self.scorer.scores(self.model.states(tokens)[list(places)])
        return rows


@lru_cache(maxsize=1)
def head_of(model: Model) -> Head:
    """The head of the model's checkpoint, read; errors as in `predict`."""
    facts = facts_of(model)
    runner: Any = model._runner
    if facts is None:
        raise _without(model)
    if not isinstance(runner, NativeRunner) or facts.kind == "seq2seq-lm":
        return _through_transformers(model, facts)
    scorer: Any = runner.encoders.head
    if facts.kind != "masked-lm" and model.files is not None:
        from attnviz.encoder.heads import read_head

        steps_in = partial(steps_of, model.facts.family, facts)
        engine = runner.encoders.of([1]).engine
        scorer = read_head(steps_in, model.files.weights, model.facts.d_model, engine)
    if scorer is None:
        raise AttnvizError(
            f"the config.json of {model.facts.name} names a {facts.architecture}, and its weights "
            "have no such head",
            "check that config.json and the weights belong together",
        )
    return _Native(facts, model, scorer)


@lru_cache(maxsize=1)
def facts_of(model: Model) -> HeadFacts | None:
    """Which head the model's checkpoint has; None if it has none that attnviz can ask."""
    content, architecture = _config_of(model)
    runner: Any = model._runner
    if isinstance(runner, NativeRunner):
        facts = head_in(content, architecture, native=True)
        return HeadFacts("masked-lm") if facts is None and runner.has_masked_lm else facts
    return head_in(content, architecture, causal=runner.model.kind != "encoder")


def _config_of(model: Model) -> tuple[Config, str]:
    """What config.json says, or a model in memory, and the class that it names."""
    if model.files is not None:
        content = model_type(model.files.config).content
        return content, architecture_in(content)
    runner: Any = model._runner
    if isinstance(runner, NativeRunner):  # the untrained one
        return {}, ""
    own = runner.model.borrowed
    return own.config.to_dict(), type(own).__name__


def _through_transformers(model: Model, facts: HeadFacts) -> Head:
    from attnviz.transformers_backend.heads import TransformersHead, TransformersWriter, read_head
    from attnviz.transformers_backend.load import Loaded

    runner: Any = model._runner
    if model.files is None:
        loaded = Loaded(runner.model.borrowed, borrowed=True)
    else:
        native = isinstance(runner, NativeRunner)
        own_code = not native and runner.model.own_code
        config, files = find_config(model.facts.name, RunOptions(trust_remote_code=own_code))
        device = runner.encoders.device if native else runner.model.model.device
        place = _place(model, device)
        loaded = read_head(config.architecture, files, place, facts)
    made = TransformersWriter if facts.kind == "seq2seq-lm" else TransformersHead
    return made(facts, loaded, runner.feeds_types)


def _place(model: Model, device: object) -> "Placement":
    from attnviz.encoder.devices import placement

    return placement(str(device).partition(":")[0], model.facts.dtype)


def _without(model: Model) -> RequestError:
    name = model.facts.name
    if name == PAPER:
        return RequestError(f"{name} is an encoder without a head, and untrained", OTHER_MODELS)
    _, architecture = _config_of(model)
    has = f"its class is {architecture}" if architecture else "its config.json names no class"
    return RequestError(f"{name} has no head that attnviz can ask: {has}", OTHER_MODELS)
