"""What does one word look at, or who looks at it? And how much does one word look at another?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from attnviz.answers.answer import facts_of, last_cells, last_columns, shortest, token_name
from attnviz.answers.masks import allowed
from attnviz.attention.order import descending
from attnviz.attention.shapes import Bool, Float
from attnviz.errors import RequestError
from attnviz.inspection import Block, Context, HeadId, Shown, View
from attnviz.inspection.context import Role
from attnviz.text.tokens import Token

LINK_COLUMNS = ("layer", "head", "query_index", "query", "key_index", "key", "weight")


@dataclass(frozen=True, eq=False)
class Word(Shown):
    """One token in some heads: the keys that it looks at, or the queries that look at it.

    `allowed`: by the attention mask. `special`, `sink`: means over these heads; of a query, the
    shares that special tokens, shown or not, and the sink take; of a key, what all queries give the
    special tokens left out. None if there is no such thing. `dropped`: the share of each query's
    row that went to special tokens left out. `chosen`: whether the user named the heads.
    """

    schema: ClassVar[str] = "attnviz.word/1"

    context: Context
    role: Role
    token: Token
    heads: tuple[HeadId, ...]
    weights: Float[np.ndarray, "head other"]
    allowed: Bool[np.ndarray, "head other"]
    special: float | None
    sink: float | None
    dropped: Float[np.ndarray, "head query"] | None
    chosen: bool

    @property
    def other_role(self) -> Role:
        """What the other tokens are."""
        return "key" if self.role == "query" else "query"

    @property
    def others(self) -> tuple[Token, ...]:
        """The tokens that weights go to, or come from."""
        return self.context.keys if self.role == "query" else self.context.tokens

    def strongest(self, place: int, top: int | None = None) -> list[int]:
        """The other tokens of the head at `place`, strongest first; only those allowed."""
        return by_weight(self.weights[place], self.allowed[place], top)

    @property
    def columns(self) -> tuple[str, ...]:
        """A link, in a head."""
        return LINK_COLUMNS + last_columns(self.context)

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The object `attnviz.word/1`; `top` limits the tokens listed for each head."""
        return self.data_of([self.strongest(place, top) for place in range(len(self.heads))])

    def data_of(self, others: Sequence[Sequence[int]], **facts: Any) -> dict[str, Any]:
        """The object with the other tokens that each head lists, and further facts."""
        named = {"role": self.role, "word": token_name(self.token), **facts}
        heads = []
        for place, (layer, head) in enumerate(self.heads):
            listed = [self._entry(place, other) for other in others[place]]
            own: dict[str, Any] = {"layer": layer, "head": head}
            if self.role == "query" and self.dropped is not None:
                own["dropped"] = shortest(self.dropped[place, 0])
            heads.append({**own, "keys" if self.role == "query" else "queries": listed})
        return facts_of(self.context, self.schema) | named | {"heads": heads}

    def _entry(self, place: int, other: int) -> dict[str, Any]:
        entry = token_name(self.others[other]) | {"weight": shortest(self.weights[place, other])}
        if self.role == "key" and self.dropped is not None:
            entry["dropped"] = shortest(self.dropped[place, other])
        return entry

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a link, head by head, strongest first."""
        for place in range(len(self.heads)):
            yield from self.rows_of(place, self.strongest(place, top))

    def rows_of(self, place: int, others: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        """The rows of one head and some of the other tokens."""
        for other in others:
            ends = self.token, self.others[other]
            query, key = ends if self.role == "query" else ends[::-1]
            dropped = None
            if self.dropped is not None:
                dropped = float(self.dropped[place, 0 if self.role == "query" else other])
            named = (query.index, query.text, key.index, key.text)
            weight = shortest(self.weights[place, other])
            yield (*self.heads[place], *named, weight, *last_cells(self.context, dropped))


@dataclass(frozen=True, eq=False)
class Pair(Shown):
    """How much one token, the query of `word`, looks at another, `key`, in some heads."""

    schema: ClassVar[str] = Word.schema

    word: Word
    key: Token

    @property
    def context(self) -> Context:
        """What the answer is about."""
        return self.word.context

    @property
    def heads(self) -> tuple[HeadId, ...]:
        """The heads."""
        return self.word.heads

    @property
    def query(self) -> Token:
        """The token that looks."""
        return self.word.token

    @property
    def weights(self) -> Float[np.ndarray, "head"]:
        """How much the query looks at the key."""
        return self.word.weights[:, self.key.index]

    @property
    def allowed(self) -> Bool[np.ndarray, "head"]:
        """Whether the attention mask lets the query look at the key."""
        return self.word.allowed[:, self.key.index]

    @property
    def columns(self) -> tuple[str, ...]:
        """A link, in a head."""
        return self.word.columns

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The object `attnviz.word/1`, with `key`; each head lists that key alone."""
        return self.word.data_of(self._others, key=token_name(self.key))

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a head in which the query may look at the key."""
        for place, others in enumerate(self._others):
            yield from self.word.rows_of(place, others)

    @property
    def _others(self) -> list[list[int]]:
        return [[self.key.index] if allowed else [] for allowed in self.allowed]


def word(view: View, index: int, role: Role, heads: Sequence[HeadId] | None = None) -> Word:
    """What the token at `index` looks at, or (`role="key"`) who looks at it, in some heads or in
    all.
    """
    chosen = tuple(view.all_heads() if heads is None else heads)
    make = _query if role == "query" else _key
    return make(view, index, chosen, heads is not None)


def pair(view: View, query: int, key: int, heads: Sequence[HeadId] | None = None) -> Pair:
    """How much the token at `query` looks at the one at `key`, in some heads or in all."""
    return Pair(word(view, query, "query", heads), view.keys[key])


def word_or_pair(
    view: View, query: int | None, key: int | None, heads: Sequence[HeadId] | None = None
) -> Word | Pair:
    """What a query looks at, who looks at a key, or how much the one looks at the other."""
    if query is not None and key is not None:
        return pair(view, query, key, heads)
    if query is not None:
        return word(view, query, "query", heads)
    if key is not None:
        return word(view, key, "key", heads)
    raise RequestError("no word was named", "name one, as a query or as a key")


def _query(view: View, index: int, heads: tuple[HeadId, ...], chosen: bool) -> Word:
    row, has_special = view.row(index), any(t.special for t in view.context.key_text.pieces)
    every = {head: place for place, head in enumerate(view.all_heads())}
    places = [every[head] for head in heads]
    dropped = row.block.dropped
    return Word(
        context=view.context,
        role="query",
        token=view.tokens[index],
        heads=heads,
        weights=row.block.weights[places, 0],
        allowed=allowed(view, index, "query", [head.layer for head in heads]),
        special=float(row.special[places].mean()) if has_special else None,
        sink=None if row.sink is None else float(row.sink[places].mean()),
        dropped=None if dropped is None else dropped[places],
        chosen=chosen,
    )


def _key(view: View, index: int, heads: tuple[HeadId, ...], chosen: bool) -> Word:
    def column(_: list[HeadId], blocks: Iterator[Block]) -> tuple[np.ndarray, np.ndarray | None]:
        columns, shares = [], []
        for block in blocks:
            columns.append(block.weights[..., index].copy())  # the block can be freed
            if block.dropped is not None:
                shares.append(block.dropped)
        return np.concatenate(columns, axis=1), np.concatenate(shares, axis=1) if shares else None

    columns, shares = zip(*view.over(heads, column), strict=True)
    found = [share for share in shares if share is not None]
    dropped = np.concatenate(found) if found else None
    return Word(
        context=view.context,
        role="key",
        token=view.keys[index],
        heads=heads,
        weights=np.concatenate(columns),
        allowed=allowed(view, index, "key", [head.layer for head in heads]),
        special=None if dropped is None else float(dropped.mean()),
        sink=None,
        dropped=dropped,
        chosen=chosen,
    )


def by_weight(
    row: Float[np.ndarray, "key"], allowed: Bool[np.ndarray, "key"] | None, top: int | None = None
) -> list[int]:
    """The places of a row's largest weights, largest first; only those that are allowed."""
    places = np.arange(len(row)) if allowed is None else np.flatnonzero(allowed)
    return [int(place) for place in places[descending(row[places], top)]]
