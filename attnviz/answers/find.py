"""Which heads join these two words, and is it more than what each head gives other pairs?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from attnviz.answers.answer import facts_of, if_there, last_cells, last_columns, shortest
from attnviz.answers.select import Phrase, check_apart
from attnviz.answers.yardsticks import (
    OtherPairs,
    Reason,
    Yardstick,
    Yardsticks,
    best_first,
    reason_of,
)
from attnviz.attention.order import exceeds, largest
from attnviz.attention.shapes import Bool, Float, Int
from attnviz.errors import RequestError
from attnviz.inspection import Block, Context, HeadId, Shown, View

By = Literal["excess", "weight"]
"""What heads are ranked by."""

COLUMNS = (
    "layer", "head", "query_index", "query", "key_index", "key", "weight", "excess", "rank",
    "argmax", "same_distance", "same_distance_pairs", "same_distance_lift", "same_key",
    "same_key_queries", "same_key_lift",
)  # fmt: skip


@dataclass(frozen=True)
class HeadFinding:
    """How one head joins a query and a key.

    `weight`: the sum over the key's words, averaged over the query's. `excess`: the weight less the
    larger yardstick. `rank`: 1 plus the number of other keys that get more. `argmax`: whether a
    word of the key gets more than any other key. `same_distance`, `same_key`: the yardsticks, see
    `find`; None, as `excess`, where there is no other pair. `sees`: whether the mask lets the query
    look at the key.
    """

    head: HeadId
    weight: float
    excess: float | None
    rank: int
    argmax: bool
    same_distance: Yardstick | None
    same_key: Yardstick | None
    sees: bool

    @property
    def explained(self) -> Reason | None:
        """The yardstick that explains the weight away, if one does."""
        return reason_of(self.same_distance, self.same_key)


@dataclass(frozen=True, eq=False, repr=False)
class Finding(Shown):
    """How heads join a query and a key in one sentence; arrays are as in HeadFinding, NaN for None.

    `strongest`: the key that the query gives most, `most` how much. `keys`: how many keys are
    ranked. A phrase counts as one. `by`: what the heads are ranked by. `dropped`: the share that
    went to special tokens left out. `reverse`: the other direction, if asked for. `id`: the
    sentence's in a table of sentences, where that has one.
    """

    schema: ClassVar[str] = "attnviz.find/2"

    context: Context
    query: Phrase
    key: Phrase
    places: list[HeadId]
    weights: Float[np.ndarray, "head"]
    ranks: Int[np.ndarray, "head"]
    same_distance: Yardsticks
    same_key: Yardsticks
    argmax: Bool[np.ndarray, "head"]
    sees: Bool[np.ndarray, "head"]
    strongest: Int[np.ndarray, "head"]
    most: Float[np.ndarray, "head"]
    keys: int
    by: By = "excess"
    dropped: Float[np.ndarray, "head"] | None = None
    reverse: "Finding | None" = None
    id: str | None = None

    def __repr__(self) -> str:
        return f"<Finding of {self.query.text!r} looking at {self.key.text!r}: {self.heads[:1]}>"

    @cached_property
    def excess(self) -> Float[np.ndarray, "head"]:
        """The weight less the larger yardstick; NaN where there is none."""
        larger = np.fmax(self.same_distance.means, self.same_key.means)
        return np.asarray(self.weights - larger)

    @cached_property
    def order(self) -> Int[np.ndarray, "head"]:
        """The heads' places, best first; equals, and those without an excess, by weight."""
        return best_first(self.weights, self.excess if self.by == "excess" else self.weights)

    @cached_property
    def heads(self) -> tuple[HeadFinding, ...]:
        """The heads, best first."""
        return tuple(
            HeadFinding(
                head=self.places[place],
                weight=float(self.weights[place]),
                excess=_or_none(float(self.excess[place])),
                rank=int(self.ranks[place]),
                argmax=bool(self.argmax[place]),
                same_distance=self.same_distance.at(place, self.weights[place]),
                same_key=self.same_key.at(place, self.weights[place]),
                sees=bool(self.sees[place]),
            )
            for place in self.order
        )

    @property
    def both(self) -> "tuple[Finding, ...]":
        """Both directions, or the one there is."""
        return (self,) if self.reverse is None else (self, self.reverse)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of `rows`."""
        own = () if self.id is None else ("id",)
        return (*COLUMNS, *last_columns(self.context), *own)

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.find/2` object, heads best first."""
        facts = facts_of(self.context, self.schema, keys="key_tokens")
        facts |= if_there("id", self.id) | {
            "query": {"text": self.query.text, "indices": self.query.indices},
            "key": {"text": self.key.text, "indices": self.key.indices},
            "keys": self.keys,
            "by": self.by,
            "heads": list(self._heads(top)),
        }
        if self.reverse is not None:
            facts["reverse"] = list(self.reverse._heads(top))
        return facts

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a head, best first, then the reverse; a phrase has its first word's index."""
        for finding in self.both:
            query, key = finding.query, finding.key
            words = (query.indices[0], query.text, key.indices[0], key.text)
            for head in finding._heads(top):
                yield (
                    *(head["layer"], head["head"], *words),
                    *(_cell(head["weight"]), _cell(head["excess"]), head["rank"], head["argmax"]),
                    *_cells(head["same_distance"]),
                    *_cells(head["same_key"]),
                    *last_cells(self.context, head.get("dropped")),
                    *(() if self.id is None else (self.id,)),
                )

    def _heads(self, top: int | None) -> Iterator[dict[str, Any]]:
        """The heads' objects, best first; numbers stay float32."""
        for place in self.order[:top].tolist():
            (layer, head), weight = self.places[place], self.weights[place]
            yield {
                "layer": layer,
                "head": head,
                "weight": weight,
                "excess": _or_none(self.excess[place]),
                "rank": int(self.ranks[place]),
                "argmax": bool(self.argmax[place]),
                "same_distance": self.same_distance.facts(place, weight, "pairs"),
                "same_key": self.same_key.facts(place, weight, "queries"),
                **({} if self.dropped is None else {"dropped": self.dropped[place]}),
            }


def find(
    view: View,
    query: Phrase,
    key: Phrase,
    heads: Sequence[HeadId] | None = None,
    both: bool = False,
    by: By = "excess",
) -> Finding:
    """How the heads given, or all, join a query and a key; with `both`, also the other way round.

    A phrase counts as a word of several pieces does: the sum over the key's words, the mean over
    the query's (Clark et al. 2019). Beside the weight are two yardsticks, means over other pairs of
    tokens that no mask keeps apart; special tokens count as queries only if the query is one, and
    as keys only if the key is one.
    `same_distance`: pairs as far apart, in the same order; none in cross-attention. `same_key`: all
    other queries and that key; none where only the key itself is left. Each pair of words of
    phrases has its own mean; these are summed and averaged as weights are.

    Raises RequestError if query and key overlap, where a mask keeps them apart in all heads, and
    for `both` in cross-attention.
    """
    if not view.context.is_cross_attention:
        check_apart(query, key)
    elif both:
        raise RequestError(
            "words of the source are keys, and do not look back at the target",
            "leave out --both",
        )
    if both and view.asked:
        raise RequestError(
            f'"{query.text}" is a query alone where special tokens are left out',
            "leave out --both, or keep special tokens",
        )
    places = view.all_heads() if heads is None else list(heads)
    directions = [(query, key), (key, query)][: 1 + both]
    links = [_Link(view, *direction, places, both) for direction in directions]

    def summed(some: list[HeadId], blocks: Iterator[Block]) -> list[dict[str, np.ndarray]]:
        sums = [_Sums(link, some) for link in links]
        for block in blocks:
            for one in sums:
                one.add(block)
        return [one.result() for one in sums]

    results = zip(*view.over(places, summed), strict=True)
    found = [link.finding(places, parts, by) for link, parts in zip(links, results, strict=True)]
    return replace(found[0], reverse=found[1]) if both else found[0]


def _or_none(number: Any) -> Any:
    return None if np.isnan(number) else number


def _cells(yardstick: dict[str, Any] | None) -> tuple[Any, ...]:
    """A yardstick's columns: mean, count and lift."""
    mean, count, lift = (None, None, None) if yardstick is None else yardstick.values()
    return _cell(mean), count, _cell(lift)


def _cell(number: Any) -> float | None:
    return None if number is None else shortest(number)


def _seen(view: View, query: Phrase, layer: int) -> Bool[np.ndarray, "key"]:
    """Which keys any word of the query may look at in a layer."""
    mask = view.visible(layer, slice(query.indices[0], query.indices[-1] + 1))
    return np.ones(len(view.keys), bool) if mask is None else np.asarray(mask.any(axis=0))


class _Link:
    """One query and key: which entries of a head's matrix answer for them, and what masks allow."""

    def __init__(
        self, view: View, query: Phrase, key: Phrase, places: Sequence[HeadId], both: bool
    ) -> None:
        self.context, self.query, self.key = view.context, query, key
        first, end = key.indices[0], key.indices[-1] + 1
        self.queries = slice(query.indices[0], query.indices[-1] + 1)
        self.keys, self.others = slice(first, end), np.r_[0:first, end : len(view.keys)]
        layers = list(dict.fromkeys(head.layer for head in places))
        seen = {layer: _seen(view, query, layer) for layer in layers}
        self.sees = {layer: bool(keys[self.keys].any()) for layer, keys in seen.items()}
        if not any(self.sees.values()):
            raise _masked(view, query, key, layers, both)
        self.ranked = 1 + int(np.any(list(seen.values()), axis=0)[self.others].sum())
        self.pairs = OtherPairs(view, query, key, layers)

    def finding(
        self, places: list[HeadId], parts: Sequence[dict[str, np.ndarray]], by: By
    ) -> Finding:
        """The results of all heads together."""
        joined: dict[str, Any] = {
            name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]
        }
        distance, key = self.pairs.yardsticks(joined.pop("sums"), places)
        return Finding(
            context=self.context,
            query=self.query,
            key=self.key,
            places=places,
            sees=np.array([self.sees[head.layer] for head in places]),
            keys=self.ranked,
            by=by,
            same_distance=distance,
            same_key=key,
            **joined,
        )


def _masked(
    view: View, query: Phrase, key: Phrase, layers: Sequence[int], both: bool
) -> RequestError:
    """The error where no word of the query may look at any of the key."""
    if both:
        hint = "leave out --both"
    elif not view.context.is_cross_attention and any(
        _seen(view, key, layer)[query.indices].any() for layer in layers
    ):
        hint = f'"{key.text}" may look at "{query.text}": name them the other way round'
    else:
        hint = "choose other words, or other layers"
    return RequestError(f'"{query.text}" may not look at "{key.text}": a mask keeps it off', hint)


class _Sums:
    """Sums over a link's rows, and over other pairs, in some heads, block by block."""

    def __init__(self, link: _Link, heads: Sequence[HeadId]) -> None:
        self._link = link
        self._row: np.ndarray | None = None
        self._dropped: np.ndarray | None = None
        self._compared = link.pairs.sums(len(heads))

    def add(self, block: Block) -> None:
        """Count some more rows."""
        asked, (start, stop) = self._link.queries, (block.rows.start, block.rows.stop)
        own = slice(max(asked.start, start) - start, min(asked.stop, stop) - start)
        if own.start < own.stop:
            row = block.weights[:, own].sum(axis=1)
            self._row = row if self._row is None else self._row + row
            if block.dropped is not None:
                dropped = block.dropped[:, own].sum(axis=1)
                self._dropped = dropped if self._dropped is None else self._dropped + dropped
        self._link.pairs.add(self._compared, block)

    def result(self) -> dict[str, np.ndarray]:
        """The fields of Finding that are arrays by head, after all rows are counted."""
        link = self._link
        if self._row is None:
            raise ValueError("the query's rows did not come")
        words = self._row.dtype.type(len(link.query.tokens))
        row = self._row / words
        weight, others = row[:, link.keys].sum(axis=1), row[:, link.others]
        found = {
            "weights": weight,
            "ranks": 1 + exceeds(others, weight[:, None]).sum(axis=1),
            "sums": self._compared,
            "argmax": exceeds(row[:, link.keys].max(axis=1), others.max(axis=1, initial=0)),
            "strongest": largest(row),
            "most": row.max(axis=1),
        }
        return found if self._dropped is None else {**found, "dropped": self._dropped / words}
