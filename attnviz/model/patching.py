"""Run B with heads of A in it, and measure in both, and in each such run, what the model says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from attnviz.attention.edits import Edit, Patch, What
from attnviz.attention.layer import LayerRecord
from attnviz.inspection import HeadId, Inspection
from attnviz.inspection.outcomes import Asked, Measured, OutcomeFacts
from attnviz.model.choices import begun
from attnviz.model.edits import fed
from attnviz.model.load import through_transformers
from attnviz.model.model import Model
from attnviz.model.native import NativeRunner
from attnviz.model.outcomes import Outcome, outcome_of, usual_outcome
from attnviz.model.predict import Writer, head_of
from attnviz.text.tokens import Tokens, Translated, Unit, parts_of

Pieces = Sequence[tuple[int, int]] | None
"""Which pieces of A go where in B; None: all, each to its own place."""

Words = Sequence[tuple[int, int]]
"""Indices of words of A, and of those of B in their places."""


@dataclass(frozen=True, eq=False)
class Patches:
    """What was measured in A, and B, which can be run with heads of A in it."""

    a: Measured
    outcome: Outcome  # of B
    layers: Sequence[LayerRecord | None]  # of A

    @property
    def facts(self) -> OutcomeFacts:
        """What is measured."""
        return self.outcome.facts

    @property
    def b(self) -> Measured:
        """What was measured in B."""
        return self.outcome.plain

    def measured(
        self, what: What, runs: Sequence[tuple[Sequence[HeadId], Pieces]]
    ) -> Iterator[Measured]:
        """The outcome of B with these heads' pieces in it, for each run; errors as in `Runs`."""
        return self.outcome.values([self._edits(what, *run) for run in runs])

    def _edits(self, what: What, heads: Sequence[HeadId], pieces: Pieces) -> list[Edit]:
        if pieces is None:
            source, rows = Patch(self.layers), None
        else:
            source, rows = Patch(self.layers, [a for a, _ in pieces]), [b for _, b in pieces]
        return [Edit(layer, head, what, rows, source) for layer, head in heads if head is not None]


def patches_of(
    model: Model,
    texts: tuple[Tokens | Inspection, Tokens | Inspection],
    unit: Unit,
    asked: Asked,
    words: Words,
    *,
    token: tuple[int, int] | None = None,
    runs: float = 2,
) -> Patches:
    """A and B, to be run about `runs` times; errors as in `outcome_of`.

    The state of `token`, or of all `words` that both share, is measured by its distance from A's.
    What a head says, at that token if it is asked at one, is by default what it finds likeliest in
    A less what it finds likeliest in B; a decoder is fed what it writes itself of both, until they
    differ.
    """
    a, b = (one if isinstance(one, Tokens) else fed(one, model.decodes) for one in texts)
    name = asked.name or usual_outcome(model, a)
    if name == "states":
        own, outcome = _states(model, (a, b), unit, asked, [token] if token else words, runs)
        return Patches(Measured(0.0), outcome, _recorded(texts[0], own))
    if name == "next":
        a, b = _with_one_target(model, a, b, unit, asked)
    places = token or (None, None)

    def outcomes(asked: Asked) -> tuple[Outcome, Outcome]:
        return (
            outcome_of(model, a, unit, asked, token=places[0], both=False),
            outcome_of(model, b, unit, asked, runs, token=places[1], both=False),
        )

    asked = replace(asked, name=name)
    own, other = outcomes(asked)
    if name != "similarity" and asked.of is None:
        best = _likeliest(own), _likeliest(other)
        against = best[1] if asked.against is None and best[0] != best[1] else None
        own, other = outcomes(replace(asked, choices=(best[0], against)))
    return Patches(own.plain, other, _recorded(texts[0], own))


def _recorded(text: Tokens | Inspection, outcome: Outcome) -> Sequence[LayerRecord | None]:
    """The layers of a text: as they were recorded whole, or recorded now."""
    if isinstance(text, Inspection) and all(map(_is_whole, text.layers)):
        return text.layers
    return outcome.text.layers


def _is_whole(record: LayerRecord | None) -> bool:
    """Whether all is there of which a head's numbers are made."""
    parts = () if record is None else (record.x, record.q, record.k, record.v)
    return bool(parts) and all(part is not None for part in parts)


def _likeliest(outcome: Outcome) -> int:
    """The number of the label or token that the head finds likeliest in the plain run."""
    scores = outcome.text.plain.scores
    if scores is None:
        raise ValueError("a run without scores")
    return int(scores[0].argmax())


def _states(
    model: Model, texts: tuple[Tokens, Tokens], unit: Unit, asked: Asked, words: Words, runs: float
) -> tuple[Outcome, Outcome]:
    """The states of A, and the distance of B's from them, of these words."""
    a, b = texts
    own = outcome_of(model, a, unit, replace(asked, name="states"))
    states = own.text.plain.states
    shown = [
        text.target if isinstance(text, Translated) and model.decodes else text for text in texts
    ]
    of_a, of_b = (parts_of(text or a, unit) for text in shown)
    reference = np.zeros((of_b[-1].stop, states.shape[1]), states.dtype)
    for one, other in words:
        reference[of_b[other]] = _as_long(states[of_a[one]], of_b[other].stop - of_b[other].start)
    token = words[0][1] if len(words) == 1 else [index for _, index in words]
    named = replace(asked, name="states")
    outcome = outcome_of(model, b, unit, named, runs, token=token, reference=reference)
    return own, outcome


def _as_long(states: np.ndarray, count: int) -> np.ndarray:
    """States of a word's pieces, (piece, d_model); their mean each, where there are not `count`."""
    if len(states) == count:
        return states
    return np.broadcast_to(states.mean(0), (count, states.shape[1]))


def _with_one_target(
    model: Model, a: Tokens, b: Tokens, unit: Unit, asked: Asked
) -> tuple[Tokens, Tokens]:
    """Both, with the target that the decoder is fed before the next token, if one is to be found:
    what it writes of A before `of`, or what it writes of both until they differ.
    """
    head = head_of(model)
    if not isinstance(head, Writer) or isinstance(a, Translated) or asked.target is not None:
        return a, b
    if asked.of is not None:
        own = outcome_of(model, a, unit, asked).text.tokens
        target = own.target if isinstance(own, Translated) else None
    else:
        if isinstance(model._runner, NativeRunner):  # whose decoder only transformers runs
            model = through_transformers(model)
        (ids, *_), (other, *_) = head.write(a), head.write(b)
        target = begun(model, ids[: alike(ids, other)])
    return (a, b) if target is None else (Translated.of(a, target), Translated.of(b, target))


def alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids two rows begin with that are the same; all but the last of two that are one."""
    pairs = enumerate(zip(one, other, strict=False))
    first = next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
    return min(first, max(len(one) - 1, 0))


def one_target(model: Model, a: Inspection, b: Inspection) -> tuple[Inspection, Inspection]:
    """Both, or where a decoder was fed what it writes, again with what it writes of both until they
    differ.
    """
    targets = [a.tokens, b.tokens]
    sources = [one.source or one.keys for one in (a, b)]
    if None in sources or targets[0].ids == targets[1].ids:
        return a, b
    count = alike(*(tokens.ids for tokens in targets))
    target = model.tokenizer.reading(targets[0].ids[: max(count, 1)])
    texts = [Translated.of(one, target) for one in sources if one is not None]
    one, other = model.inspect_tokens(texts)
    return one, other
