"""Does that head matter? How far words' final states move where heads are ablated.

The distance of two states is `1 - cos`, from 0 (nothing moved) to 2: a final state has been through
a layer norm, so direction is nearly all that there is to it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, ClassVar

import numpy as np

from attnviz.answers.answer import token_name
from attnviz.answers.effects import COLUMNS as EFFECT_COLUMNS
from attnviz.answers.effects import SCHEMA, Effect, ablation_facts
from attnviz.attention.order import NEAR_ZERO, descending, largest
from attnviz.attention.shapes import Float
from attnviz.inspection import Context, HeadId, Shown
from attnviz.inspection.ablated import Ablated, Ablating, Guess, Replacement
from attnviz.inspection.context import Role
from attnviz.inspection.outcomes import Measured, OutcomeFacts, state_distances
from attnviz.text.tokens import Token, parts_of

DISTANCE = "1 − cos(plain, ablated)"

COLUMNS = ("ablated", "with", "token_index", "token", "distance")


@dataclass(frozen=True)
class Moved:
    """A token, and how far its final state moved: from 0 to 2."""

    token: Token
    distance: float

    def data(self) -> dict[str, Any]:
        """The token's object in JSON."""
        return {"index": self.token.index, "text": self.token.text, "distance": self.distance}


@dataclass(frozen=True)
class Prediction:
    """The best guesses at a `[MASK]`; `kept` is the best one before, with its probability after."""

    token: Token
    before: tuple[Guess, ...]
    after: tuple[Guess, ...]
    kept: Guess

    def data(self) -> dict[str, Any]:
        """The mask's object in JSON."""
        before, after = (
            [{"token": guess.token, "probability": guess.probability} for guess in guesses]
            for guesses in (self.before, self.after)
        )
        first, after_it = self.before[0], self.kept.probability
        best = {"token": first.token, "before": first.probability, "after": after_it}
        return {"index": self.token.index, "before": before, "after": after, "best": best}


@dataclass(frozen=True)
class Ablation(Shown):
    """What changes in a sentence if some heads are ablated together.

    `moved`: every token, most moved first. `predictions`: one a `[MASK]`; None without an MLM head.
    With a `query`, data and tables have that token alone. `effect`: on what is measured.
    """

    schema: ClassVar[str] = SCHEMA

    context: Context = field(compare=False)
    heads: tuple[HeadId, ...]
    how: Ablating
    moved: tuple[Moved, ...]
    predictions: tuple[Prediction, ...] | None
    query: Token | None
    effect: Effect

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of `rows`."""
        return COLUMNS if self.effect.verdict is None else EFFECT_COLUMNS

    @property
    def replacement(self) -> Replacement:
        """What the heads' outputs became."""
        return self.how.replacement

    @property
    def rank(self) -> int:
        """How many tokens move further than the query, and 1."""
        return 1 + next(i for i, one in enumerate(self.moved) if one.token == self.query)

    def listed(self, top: int | None = None) -> tuple[Moved, ...]:
        """What is listed: the query, or the `top` tokens that moved most."""
        return self.moved[:top] if self.query is None else self.moved[self.rank - 1 : self.rank]

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.ablate/1` object."""
        masks, query = self.predictions, self.query
        asked = {} if query is None else {"query": token_name(query) | {"rank": self.rank}}
        return ablation_facts(self.context, self.how, DISTANCE) | {
            **self.effect.data(),
            "heads": [{"layer": head.layer, "head": head.head} for head in self.heads],
            **asked,
            "moved": [moved.data() for moved in self.listed(top)],
            "masks": None if masks is None else [mask.data() for mask in masks],
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a token, most moved first; or one of what is measured, if that is not states."""
        heads = " ".join(str(head) for head in self.heads)
        if self.effect.verdict is not None:
            yield self.effect.cells(heads, self.how)
            return
        for moved in self.listed(top):
            token = moved.token
            yield (heads, self.how.replacement, token.index, token.text, moved.distance)


@dataclass(frozen=True)
class HeadEffect:
    """What changes if one head alone is ablated; `rank` counts from 1.

    `distance`: of the query, or the mean over words. `most`: the query, or the word that moved
    most.
    """

    head: HeadId
    rank: int
    distance: float
    most: Moved


@dataclass(frozen=True)
class EachAblation(Shown):
    """Every head of the model, largest effect first, on the query or (None) on all words."""

    schema: ClassVar[str] = SCHEMA
    columns: ClassVar[tuple[str, ...]] = COLUMNS

    context: Context = field(compare=False)
    how: Ablating
    query: Token | None
    heads: tuple[HeadEffect, ...]

    @property
    def replacement(self) -> Replacement:
        """What the heads' outputs became."""
        return self.how.replacement

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.ablate/1` object."""
        query = self.query
        outcome = states_facts(query)
        return ablation_facts(self.context, self.how, DISTANCE) | {
            "outcome": outcome.data(),
            "before": 0.0,
            "query": None if query is None else {"index": query.index, "text": query.text},
            "each": [
                {
                    "layer": effect.head.layer,
                    "head": effect.head.head,
                    "rank": effect.rank,
                    "distance": effect.distance,
                    "value": effect.distance,
                    "change": effect.distance,
                    **({} if query else {"most": effect.most.data()}),
                }
                for effect in self.heads[:top]
            ],
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a head, largest effect first; without a query, no token."""
        query = self.query
        token = (None, None) if query is None else (query.index, query.text)
        for effect in self.heads[:top]:
            yield (str(effect.head), self.how.replacement, *token, effect.distance)


def states_facts(query: Token | None) -> OutcomeFacts:
    """That states are measured: of a token, or of all words."""
    return OutcomeFacts("states", "distance", DISTANCE, token=query)


def ablation_of(
    context: Context, run: Ablated, query: int | None = None, effect: Effect | None = None
) -> Ablation:
    """How far each token moved, or the query; the run must have the states of all pieces.

    effect: on what is measured, if that is not states.
    """
    unit = context.unit
    tokens, pieces = run.tokens.unit(unit), run.tokens.pieces
    distances = _distances(run, parts_of(run.tokens, unit))
    order = descending(distances, floor=NEAR_ZERO)
    predictions = None
    if run.masks is not None:
        of_piece = pieces if unit == "piece" else [tokens[piece.word] for piece in pieces]
        predictions = tuple(
            Prediction(of_piece[mask.piece], mask.before, mask.after, mask.kept)
            for mask in run.masks
        )
    moved = tuple(Moved(tokens[i], float(distances[i])) for i in order)
    asked = None if query is None else tokens[query]
    if effect is None:
        words = [token.index for token in tokens if not token.special] or range(len(tokens))
        own = list(words) if query is None else [query]
        after = Measured(float(distances[own].mean()))
        effect = Effect(states_facts(asked), Measured(0.0), after)
    return Ablation(context, run.heads, run.how, moved, predictions, asked, effect)


def rank_heads(context: Context, runs: Iterable[Ablated], query: int | None = None) -> EachAblation:
    """Rank heads, each ablated alone in one of the runs of a sentence, by what that does.

    The runs, one at least, need the states of the pieces of token `query`, or (None) of all.
    """
    runs = iter(runs)
    first = next(runs)
    tokens, parts = first.tokens.unit(context.unit), parts_of(first.tokens, context.unit)
    words = [token for token in tokens if not token.special] or list(tokens)
    asked = words if query is None else [tokens[query]]
    own = [parts[token.index] for token in asked]
    found = []
    for run in chain([first], runs):
        distances = _distances(run, own)
        most = int(largest(distances, floor=NEAR_ZERO))
        moved = Moved(asked[most], float(distances[most]))
        found.append(HeadEffect(run.heads[0], 0, float(distances.mean()), moved))
    found.sort(key=lambda effect: effect.head)
    order = descending(np.array([effect.distance for effect in found]), floor=NEAR_ZERO)
    ranked = tuple(replace(found[place], rank=rank) for rank, place in enumerate(order, start=1))
    return EachAblation(context, first.how, None if query is None else tokens[query], ranked)


def pieces_in(context: Context, role: Role, tokens: Sequence[Token]) -> list[int]:
    """The pieces of some queries, or keys, of a view."""
    text = context.text if role == "query" else context.key_text
    parts = parts_of(text, context.unit)
    return [piece for token in tokens for piece in range(len(text))[parts[token.index]]]


def _distances(run: Ablated, parts: Sequence[slice]) -> Float[np.ndarray, "token"]:
    """How far each token's final state moved."""
    return state_distances(run.plain, run.ablated, parts, run.first)
