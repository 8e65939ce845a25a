"""How much of what differs between A and B does a head carry? B is run with heads of A in it.

A patch (Vig et al. 2020; Meng et al. 2022; named activation patching) puts what a head computed in
A in the place of what it computes in B. The share restored is (patched − B) / (A − B), of whatever
is measured: 0 if nothing changes, 1 if B now gives what A gives; it may lie beyond both.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, NamedTuple

import numpy as np

from attnviz.answers.align import SIDES, Alignment, Side
from attnviz.answers.answer import attention_facts, facts_of
from attnviz.answers.select import find_in, find_phrase
from attnviz.attention.edits import BY_KEY, What
from attnviz.attention.order import NEAR_ZERO, descending
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Shown
from attnviz.inspection.context import Role, counted
from attnviz.inspection.outcomes import Measured, OutcomeFacts
from attnviz.text.tokens import Token, parts_of

SCHEMA = "attnviz.patch/1"

FORMULA = "restored = (patched − B) / (A − B)"

HARDLY = 1e-3
"""Of A and B that differ by less, no share is told: it would be a ratio of two near zeros."""

Pair = tuple[Token, Token]


@dataclass(frozen=True)
class Rows:
    """Which tokens of A go where in B; `named`: these alone, as the user says, and not all."""

    tokens: tuple[Pair, ...]
    pieces: tuple[tuple[int, int], ...]
    named: bool = False

    def only(self, place: int) -> "Rows":
        """One of the tokens alone, with its pieces."""
        before = sum(len(a.pieces) for a, _ in self.tokens[:place])
        count = len(self.tokens[place][0].pieces)
        return Rows(self.tokens[place : place + 1], self.pieces[before : before + count], True)


def rows_of(words: Alignment, what: What, named: Sequence[str] = ()) -> Rows:
    """What goes where: all aligned tokens, or those that are named as `A=B`, or one for both.

    Tokens are keys for k and v, else queries. RequestError if a token has nothing in its place, or
    one of more or fewer pieces, if there is no such word, and for two that go to one place.
    """
    role: Role = "key" if what in BY_KEY else "query"
    if named:
        tokens = tuple(pair for one in named for pair in _named(words, role, one))
    else:
        tokens = _aligned(words, role)
    places = [b.index for _, b in tokens]
    if len(set(places)) < len(places):
        twice = next(b for _, b in tokens if places.count(b.index) > 1)
        raise RequestError(f'two of --rows go to "{twice.label}" of B', "name one")
    of_a, of_b = (
        parts_of(context.text if role == "query" else context.key_text, context.unit)
        for context in (words.a, words.b)
    )
    pieces = chain.from_iterable(
        zip(_range(of_a[a.index]), _range(of_b[b.index]), strict=True) for a, b in tokens
    )
    return Rows(tokens, tuple(pieces), bool(named))


def _range(part: slice) -> range:
    return range(part.start, part.stop)


def _aligned(words: Alignment, role: Role) -> tuple[Pair, ...]:
    """The tokens of all columns; RequestError unless each has one of as many pieces beside it."""
    pairs: list[Pair] = []
    for a, b, _ in words.of(role):
        if a is None or b is None:
            token, side, other = (a, "A", "B") if b is None else (b, "B", "A")
            raise _unlike(
                words, role, f'"{token and token.label}" of {side} has no partner in {other}'
            )
        if len(a.pieces) != len(b.pieces):
            raise _unlike(words, role, _pieces_told(a, b))
        pairs.append((a, b))
    return tuple(pairs)


def _named(words: Alignment, role: Role, named: str) -> Iterator[Pair]:
    """The tokens that `tired=wide` names, or `it`, which both have."""
    in_a, sign, in_b = named.partition("=")
    if not in_a or (sign and not in_b):
        raise RequestError(
            f'"{named}" does not say what goes where',
            "name a word of A and one of B, as in --rows tired=wide, or one that both have",
        )
    found = []
    for side, selector in zip(SIDES, (in_a, in_b or in_a), strict=True):
        try:
            found.append(find_in(words.context(side), role, selector, find_phrase).tokens)
        except RequestError as error:
            raise RequestError(f"sentence {side.upper()}: {error.message}", error.hint) from None
    a, b = found
    if len(a) != len(b):
        raise RequestError(
            f'"{in_a}" is {len(a)} {words.a.unit}s of A, and "{in_b or in_a}" {len(b)} of B',
            "name as many",
        )
    for one, other in zip(a, b, strict=True):
        if len(one.pieces) != len(other.pieces):
            raise RequestError(
                f"{_pieces_told(one, other)}, so one cannot take the other's place",
                "name pieces, with --pieces, or other words",
            )
        yield one, other


def _pieces_told(a: Token, b: Token) -> str:
    of_a, of_b = counted(len(a.pieces), "piece"), len(b.pieces)
    return f'"{a.label}" of A is {of_a}, and "{b.label}" of B {of_b}'


def _unlike(words: Alignment, role: Role, why: str) -> RequestError:
    texts = [c.text if role == "query" else c.key_text for c in (words.a, words.b)]
    counts = [len(text) for text in texts]
    lengths = f": they have {counts[0]} and {counts[1]} pieces" * (counts[0] != counts[1])
    shared = max((c.label for c in words.of(role) if c.same and not c.special), key=len)
    return RequestError(
        f"A and B do not align piece by piece{lengths}; {why}",
        f"say which words go where, as in --rows {shared}, or choose a word of as many pieces",
    )


class Effect(NamedTuple):
    """What B gives with heads of A in it; `restored`: None where A and B hardly differ.

    best: the likeliest label or token in that run, where there is one.
    """

    value: float
    restored: float | None
    best: str | None

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        return self._asdict()


@dataclass(frozen=True, eq=False)
class Twins:
    """A and B word by word, what goes from one to the other, and what was measured in both."""

    alignment: Alignment
    outcome: OutcomeFacts
    what: What
    rows: Rows
    a: Measured
    b: Measured

    @property
    def differ(self) -> bool:
        """Whether A and B differ enough for shares of the difference."""
        return abs(self.a.value - self.b.value) >= HARDLY

    @property
    def variant(self) -> str:
        """What tells one patch of the same two sentences from another."""
        rows = [(a.index, b.index) for a, b in self.rows.tokens] if self.rows.named else ""
        return f"{self.what} {self.outcome.data()} {rows}"

    def effect(self, patched: Measured) -> Effect:
        """What a patched run gives."""
        whole = self.a.value - self.b.value
        restored = (patched.value - self.b.value) / whole if self.differ else None
        return Effect(patched.value, restored, patched.best)

    def data(self) -> dict[str, Any]:
        """What JSON says of both, the outcome and the edit."""
        words, named = self.alignment, self.rows.named
        rows = [[a.index, b.index] for a, b in self.rows.tokens] if named else None
        return {
            "schema": SCHEMA,
            "model": words.a.model.data(),
            "unit": words.a.unit,
            **attention_facts(words.a),
            "formula": FORMULA,
            "outcome": self.outcome.data(),
            "edit": {"what": self.what, "with": "patch", "rows": rows},
            "a": self._side("a"),
            "b": self._side("b"),
            "aligned": _indices(words, "query"),
            **({"aligned_keys": _indices(words, "key")} if words.a.is_cross_attention else {}),
        }

    def _side(self, side: Side) -> dict[str, Any]:
        facts, measured = facts_of(self.alignment.context(side)), getattr(self, side)
        names = "text", "pair", "source", "source_pair", "tokens", "keys"
        kept = {name: facts[name] for name in names if name in facts}
        return kept | {"value": measured.value, "best": measured.best}


def _indices(words: Alignment, role: Role) -> list[list[int | None]]:
    return [[column.cells[0], column.cells[2]] for column in words.of(role)]


class PositionPatch(NamedTuple):
    """What patching one token alone does: the token of A, that of B in its place."""

    a: Token
    b: Token
    effect: Effect


@dataclass(frozen=True, eq=False)
class Patched(Shown):
    """B with some heads of A in it together, at all rows; and at each token alone, if asked."""

    schema: ClassVar[str] = SCHEMA
    columns: ClassVar[tuple[str, ...]] = (
        "patched", "what", "token_index", "token", "restored", "value", "a", "b", "best",
    )  # fmt: skip

    twins: Twins
    heads: tuple[HeadId, ...]
    effect: Effect
    positions: tuple[PositionPatch, ...] = ()

    @property
    def alignment(self) -> Alignment:
        """The words of both."""
        return self.twins.alignment

    @property
    def variant(self) -> str:
        """See `Twins`; at each word or not."""
        return f"{self.twins.variant} {len(self.positions)}"

    def listed(self, top: int | None = None) -> tuple[PositionPatch, ...]:
        """The positions in the order of the text; with `top`, those that restore most."""
        return self.positions if top is None else self.ranked()[:top]

    def ranked(self) -> tuple[PositionPatch, ...]:
        """The positions, those that restore most first."""
        order = _order([one.effect for one in self.positions], self.twins)
        return tuple(self.positions[place] for place in order)

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.patch/1` object."""
        facts = self.twins.data()
        facts["heads"] = [{"layer": head.layer, "head": head.head} for head in self.heads]
        facts["patched"] = self.effect.data()
        if self.positions:
            facts["positions"] = [
                {"index": one.b.index, "text": one.b.text, **one.effect.data()}
                for one in self.listed(top)
            ]
        return facts

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row for all rows together, without a token; then one a position."""
        heads, twins = " ".join(map(str, self.heads)), self.twins
        every: list[tuple[int | None, str | None, Effect]] = [(None, None, self.effect)]
        every += [(one.b.index, one.b.text, one.effect) for one in self.listed(top)]
        for index, text, (value, restored, best) in every:
            both = twins.a.value, twins.b.value
            yield (heads, twins.what, index, text, restored, value, *both, best)


class HeadPatch(NamedTuple):
    """What patching one head alone does; `rank` counts from 1."""

    head: HeadId
    rank: int
    effect: Effect


@dataclass(frozen=True, eq=False)
class EachPatched(Shown):
    """B with each head of A in it alone; the head that restores most first."""

    schema: ClassVar[str] = SCHEMA
    columns: ClassVar[tuple[str, ...]] = (
        "layer", "head", "rank", "what", "restored", "value", "a", "b", "best",
    )  # fmt: skip

    twins: Twins
    heads: tuple[HeadPatch, ...]

    @property
    def alignment(self) -> Alignment:
        """The words of both."""
        return self.twins.alignment

    @property
    def variant(self) -> str:
        """See `Twins`."""
        return self.twins.variant

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.patch/1` object."""
        heads = [
            {"layer": one.head.layer, "head": one.head.head, "rank": one.rank, **one.effect.data()}
            for one in self.heads[:top]
        ]
        return self.twins.data() | {"heads": heads}

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a head, the one that restores most first."""
        twins = self.twins
        for head, rank, (value, restored, best) in self.heads[:top]:
            both = twins.a.value, twins.b.value
            yield (*head, rank, twins.what, restored, value, *both, best)


def patched_each(twins: Twins, heads: Sequence[HeadId], runs: Iterable[Measured]) -> EachPatched:
    """Rank heads, each patched alone in one of the runs, by the share that this restores."""
    effects = [twins.effect(run) for run in runs]
    order = _order(effects, twins)
    ranked = (HeadPatch(heads[at], rank, effects[at]) for rank, at in enumerate(order, start=1))
    return EachPatched(twins, tuple(ranked))


def patched_at_each(twins: Twins, heads: Sequence[HeadId], runs: Iterable[Measured]) -> Patched:
    """Heads patched together: the first run at all rows, each of the others at one token alone."""
    whole, *alone = (twins.effect(run) for run in runs)
    pairs = zip(twins.rows.tokens, alone, strict=False)
    return Patched(twins, tuple(heads), whole, tuple(PositionPatch(a, b, e) for (a, b), e in pairs))


def _order(effects: Sequence[Effect], twins: Twins) -> list[int]:
    """The places of effects: most restored first, or where there are no shares most changed."""
    changes = np.array([effect.value - twins.b.value for effect in effects])
    toward_a = changes * np.sign(twins.a.value - twins.b.value)
    order = descending(toward_a if twins.differ else np.abs(changes), floor=NEAR_ZERO)
    return [int(place) for place in order]
