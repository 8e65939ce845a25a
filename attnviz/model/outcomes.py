"""Measure what a text's runs with edits change: states, a head's scores, or a similarity."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from attnviz.attention.edits import Edit
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.inspection.edited import Output
from attnviz.inspection.outcomes import (
    USUAL,
    Asked,
    Measured,
    OutcomeFacts,
    OutcomeName,
    OutcomeUnit,
    state_distances,
)
from attnviz.inspection.predicted import FUNCTIONS, HeadFacts, HeadKind
from attnviz.model.choices import entry_number, label_number, place_of, with_target
from attnviz.model.edits import EditableText, fed
from attnviz.model.load import through_transformers
from attnviz.model.model import Model
from attnviz.model.native import NativeRunner
from attnviz.model.predict import Head, Writer, facts_of, head_of
from attnviz.text.tokens import Token, Tokens, Unit, parts_of

Run = Sequence[Edit]

BY_HEAD: dict[HeadKind, OutcomeName] = {
    "masked-lm": "mask",
    "sequence-classification": "label",
    "token-classification": "label",
    "causal-lm": "next",
    "seq2seq-lm": "next",
}
"""What is measured of a checkpoint's head."""

FORMULAS: dict[OutcomeName, str] = {
    "states": "1 − cos(plain, edited) of final hidden states",
    "mask": "of the word at the mask",
    "label": "of the label",
    "next": "of the next token",
    "similarity": "cos(a, b) of the vectors that the model's pooling makes of two texts",
}


class Outcome(Protocol):
    """An outcome of one text in one model."""

    @property
    def facts(self) -> OutcomeFacts:
        """What is measured."""

    @property
    def text(self) -> EditableText:
        """The text whose runs are measured."""

    @property
    def plain(self) -> Measured:
        """The outcome of the run without edits."""

    def values(self, runs: Sequence[Run]) -> Iterator[Measured]:
        """The outcome of each run in turn; errors as in `EditableText.edited`."""


def outcome_of(
    model: Model,
    text: Tokens | Inspection,
    unit: Unit,
    asked: Asked = USUAL,
    runs: float = 2,
    *,
    token: int | Sequence[int] | None = None,
    reference: np.ndarray | None = None,
    both: bool = True,
) -> Outcome:
    """What is to be measured of a text that will be run about `runs` times.

    Without a name, the checkpoint's head chooses: the word at a mask, a label, the next token; else
    states. Without `of`, it is the likeliest in the plain run. token: of which `unit` the state is,
    or of which several, on average, or at which the head is asked; None for all words, or the first
    mask. reference: states that distances are from, (piece, d_model), in place of the plain run's.
    both: whether a similarity's other text, `of`, is edited too. RequestError for a head that the
    checkpoint does not have, and what is not one of its labels or tokens; AttnvizError as in
    `Model.editable`.
    """
    tokens = text if isinstance(text, Tokens) else fed(text, model.decodes)
    name = asked.name or usual_outcome(model, tokens)
    if name == "states":
        _check_bare(asked)
        return _States(model.editable(tokens, runs), unit, token, reference)
    if name == "similarity":
        return _similarity(model, tokens, asked, runs, both)
    head = _head(model, name)
    if isinstance(head, Writer):
        if isinstance(model._runner, NativeRunner):  # whose decoder only transformers runs
            model = through_transformers(model)
        tokens = with_target(model, head, tokens, asked)
    one = token if isinstance(token, int) else None
    place, shown = place_of(model, tokens, name, head.facts, (unit, one))
    editable = model.editable(tokens, runs, head, [place])
    return _scored(model, name, editable, head.facts, shown, asked)


def usual_outcome(model: Model, tokens: Tokens) -> OutcomeName:
    """What the checkpoint's head says of this text; its states, if it has none."""
    facts = facts_of(model)
    kind = None if facts is None else BY_HEAD.get(facts.kind)
    if kind == "mask" and model.tokenizer.mask_id not in tokens.ids:
        return "states"
    if kind == "label" and facts is not None and facts.kind == "token-classification":
        return "states"
    return kind or "states"


def _check_bare(asked: Asked) -> None:
    for option, given in (("--of", asked.of), ("--against", asked.against)):
        if given is not None:
            raise RequestError(
                f"{option} names a word, a label or a token of a head, and states are measured",
                "choose an outcome with --outcome mask, label or next; --query names a word whose "
                "state is measured",
            )


def _head(model: Model, name: OutcomeName) -> Head:
    """The head that gives an outcome; RequestError if the checkpoint has another, or none."""
    facts = facts_of(model)
    wanted = " or ".join(kind for kind, outcome in BY_HEAD.items() if outcome == name)
    if facts is None or BY_HEAD.get(facts.kind) != name:
        has = "no head" if facts is None else f"a {facts.kind} head"
        usual = None if facts is None else BY_HEAD.get(facts.kind)
        fits = f"--outcome {usual} fits it, or" if usual else "take"
        raise RequestError(
            f"the outcome {name} needs a {wanted} head, and {model.facts.name} has {has}",
            f"{fits} --outcome states",
        )
    return head_of(model)


@dataclass(eq=False)
class _States:
    """How far a token's final state moves, or those of all words on average."""

    text: EditableText
    unit: Unit
    token: int | Sequence[int] | None
    reference: np.ndarray | None

    @cached_property
    def facts(self) -> OutcomeFacts:
        """See `Outcome`."""
        one = self.token if isinstance(self.token, int) else None
        shown = None if one is None else self.text.tokens.unit(self.unit)[one]
        return OutcomeFacts("states", "distance", FORMULAS["states"], token=shown)

    @cached_property
    def _parts(self) -> list[slice]:
        tokens = self.text.tokens
        parts = parts_of(tokens, self.unit)
        if isinstance(self.token, int):
            return [parts[self.token]]
        every = (token.index for token in tokens.unit(self.unit) if not token.special)
        words = every if self.token is None else self.token
        return [parts[index] for index in words] or parts

    @cached_property
    def _pieces(self) -> slice:
        return slice(self._parts[0].start, self._parts[-1].stop)

    @cached_property
    def plain(self) -> Measured:
        """See `Outcome`."""
        states = self.text.plain.states[self._pieces]
        return self._measured(Output(states))

    def values(self, runs: Sequence[Run]) -> Iterator[Measured]:
        """See `Outcome`."""
        return map(self._measured, self.text.edited(runs, self._pieces))

    def _measured(self, output: Output) -> Measured:
        source = self.text.plain.states if self.reference is None else self.reference
        first, plain = self._pieces.start, source[self._pieces]
        distances = state_distances(plain, output.states, self._parts, first)
        return Measured(float(distances.mean()))


@dataclass(eq=False)
class _Scored:
    """What a head says: the probability or score of one choice, or the difference of two."""

    facts: OutcomeFacts
    text: EditableText
    head: HeadFacts
    choices: tuple[int, int | None]
    name: Any  # a choice's name, by its number

    @cached_property
    def plain(self) -> Measured:
        """See `Outcome`."""
        return self._measured(self.text.plain)

    def values(self, runs: Sequence[Run]) -> Iterator[Measured]:
        """See `Outcome`."""
        return map(self._measured, self.text.edited(runs, slice(0, 1)))

    def _measured(self, output: Output) -> Measured:
        row = _row(output)
        function = self.head.function
        if self.facts.unit == "probability" and function is not None:
            row = FUNCTIONS[function](row)
        of, against = self.choices
        value = row[of] - (0 if against is None else row[against])
        return Measured(float(value), self.name(int(row.argmax())))


def _row(output: Output) -> np.ndarray:
    """The scores at the one place that was asked for, in float64."""
    if output.scores is None:
        raise ValueError("a run without scores")
    row: np.ndarray = output.scores[0].astype(np.float64)
    return row


def _scored(
    model: Model,
    name: OutcomeName,
    text: EditableText,
    head: HeadFacts,
    shown: Token | None,
    asked: Asked,
) -> _Scored:
    """The outcome of a head, with its choices found in its scores of the plain run."""
    row = _row(text.plain)
    reads = head.label if name == "label" else model.tokenizer.reads
    find = label_number if name == "label" else entry_number
    of, against = asked.choices or (None, None)
    if of is None:
        of = int(row.argmax()) if asked.of is None else find(model, head, asked.of, row)
    if asked.against is not None:
        against = find(model, head, asked.against, row)
    if of == against:
        raise RequestError(
            f'--of and --against are both "{reads(of)}", and nothing is left of the difference',
            "name two, or leave out --against",
        )
    unit: OutcomeUnit = "logit" if asked.logit or head.function is None else "probability"
    other = None if against is None else reads(against)
    formula = f"{unit} {FORMULAS[name]}" + (" − that of another" if other is not None else "")
    facts = OutcomeFacts(name, unit, formula, reads(of), other, shown)
    return _Scored(facts, text, head, (of, against), reads)


@dataclass(eq=False)
class _Similar:
    """The cosine of a text's vector and another's."""

    facts: OutcomeFacts
    text: EditableText
    other: EditableText
    model: Model
    both: bool

    @cached_property
    def plain(self) -> Measured:
        """See `Outcome`."""
        return self._measured(self.text.plain, self.other.plain)

    def values(self, runs: Sequence[Run]) -> Iterator[Measured]:
        """See `Outcome`."""
        if not self.both:
            for output in self.text.edited(runs):
                yield self._measured(output, self.other.plain)
            return
        for pair in zip(self.text.edited(runs), self.other.edited(runs), strict=True):
            yield self._measured(*pair)

    def _measured(self, *outputs: Output) -> Measured:
        texts = self.text, self.other
        a, b = (
            self.model.pooled(text.tokens, output.states).vector
            for text, output in zip(texts, outputs, strict=True)
        )
        lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
        return Measured(float(a @ b) / lengths if lengths > 0 else 0.0)


def _similarity(model: Model, tokens: Tokens, asked: Asked, runs: float, both: bool) -> _Similar:
    if asked.of is None or asked.against is not None:
        raise RequestError(
            "the outcome similarity compares the text with another one",
            'name it with --of, as in --of "A dog was exhausted."',
        )
    other = model.tokenize(asked.of)
    facts = OutcomeFacts("similarity", "cosine", FORMULAS["similarity"], asked.of)
    texts = [model.editable(one, runs) for one in (tokens, other)]
    return _Similar(facts, texts[0], texts[1], model, both)
