"""Which heads join these two words, and is it more than what each head gives pairs like these?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from attnviz.answers.answer import facts_of, last_cells, last_columns, shortest
from attnviz.answers.masks import by_mask
from attnviz.answers.select import Phrase, check_apart
from attnviz.attention.order import descending, exceeds, largest
from attnviz.attention.shapes import Bool, Float, Int
from attnviz.errors import RequestError
from attnviz.inspection import Block, Context, HeadId, Shown, View

ROWS_AT_ONCE = 512

COLUMNS = (
    "layer", "head", "query_index", "query", "key_index", "key",
    "weight", "rank", "expected", "lift", "argmax",
)  # fmt: skip


@dataclass(frozen=True)
class HeadFinding:
    """How one head joins a query and a key.

    `weight`: the sum over the key's words, averaged over the query's. `rank`: 1 plus the number of
    other keys that get more. `expected`: the head's mean over pairs like these, see `find`; None
    where the mask allows none. `lift`: weight / expected. `argmax`: whether a word of the key gets
    more than any other key. `sees`: whether the mask lets the query look at the key.
    """

    head: HeadId
    weight: float
    rank: int
    expected: float | None
    lift: float | None
    argmax: bool
    sees: bool


@dataclass(frozen=True, eq=False, repr=False)
class Finding(Shown):
    """How heads join a query and a key in one sentence; arrays are as in HeadFinding, NaN for None.

    `strongest`: the key that the query gives most, `most` how much. `keys`: how many keys are
    ranked. A phrase counts as one. `pairs`: how many pairs of tokens `expected` is a mean of, at
    most. `dropped`: the share that went to special tokens left out. `reverse`: the other direction,
    if asked for.
    """

    schema: ClassVar[str] = "attnviz.find/1"

    context: Context
    query: Phrase
    key: Phrase
    places: list[HeadId]
    weights: Float[np.ndarray, "head"]
    ranks: Int[np.ndarray, "head"]
    expected: Float[np.ndarray, "head"]
    argmax: Bool[np.ndarray, "head"]
    sees: Bool[np.ndarray, "head"]
    strongest: Int[np.ndarray, "head"]
    most: Float[np.ndarray, "head"]
    keys: int
    pairs: int
    dropped: Float[np.ndarray, "head"] | None = None
    reverse: "Finding | None" = None

    def __repr__(self) -> str:
        return f"<Finding of {self.query.text!r} looking at {self.key.text!r}: {self.heads[:1]}>"

    @cached_property
    def order(self) -> Int[np.ndarray, "head"]:
        """The heads' places, best first: by weight, then as in the model."""
        return descending(self.weights)

    @cached_property
    def lifts(self) -> Float[np.ndarray, "head"]:
        """Weight / expected, NaN where nothing is expected."""
        return lifts_of(self.weights, self.expected)

    @cached_property
    def heads(self) -> tuple[HeadFinding, ...]:
        """The heads, best first."""
        return tuple(
            HeadFinding(
                head=self.places[place],
                weight=float(self.weights[place]),
                rank=int(self.ranks[place]),
                expected=_or_none(float(self.expected[place])),
                lift=_or_none(float(self.lifts[place])),
                argmax=bool(self.argmax[place]),
                sees=bool(self.sees[place]),
            )
            for place in self.order
        )

    @property
    def alone(self) -> bool:
        """Whether no other words are a pair like these, so that no lift can show."""
        return self.pairs == len(self.query.tokens) * len(self.key.tokens)

    @property
    def both(self) -> "tuple[Finding, ...]":
        """Both directions, or the one there is."""
        return (self,) if self.reverse is None else (self, self.reverse)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of `rows`."""
        return (*COLUMNS, *last_columns(self.context))

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.find/1` object, heads best first."""
        facts = facts_of(self.context, self.schema, keys="key_tokens")
        facts |= {
            "query": {"text": self.query.text, "indices": self.query.indices},
            "key": {"text": self.key.text, "indices": self.key.indices},
            "keys": self.keys,
            "pairs": self.pairs,
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
            for place in finding.order[:top]:
                weight, expected, lift = (
                    None if np.isnan(numbers[place]) else shortest(numbers[place])
                    for numbers in (finding.weights, finding.expected, finding.lifts)
                )
                dropped = None if finding.dropped is None else finding.dropped[place]
                yield (
                    *finding.places[place],
                    *words,
                    weight,
                    int(finding.ranks[place]),
                    expected,
                    lift,
                    bool(finding.argmax[place]),
                    *last_cells(self.context, dropped),
                )

    def _heads(self, top: int | None) -> Iterator[dict[str, Any]]:
        """The heads' objects, best first; numbers stay float32."""
        for place in self.order[:top]:
            layer, head = self.places[place]
            yield {
                "layer": layer,
                "head": head,
                "weight": self.weights[place],
                "rank": int(self.ranks[place]),
                "expected": _or_none(self.expected[place]),
                "lift": _or_none(self.lifts[place]),
                "argmax": bool(self.argmax[place]),
                **({} if self.dropped is None else {"dropped": self.dropped[place]}),
            }


def find(
    view: View,
    query: Phrase,
    key: Phrase,
    heads: Sequence[HeadId] | None = None,
    both: bool = False,
) -> Finding:
    """How the heads given, or all, join a query and a key; with `both`, also the other way round.

    A phrase counts as a word of several pieces does: the sum over the key's words, the mean over
    the query's (Clark et al. 2019). `expected` is the mean over all pairs of tokens as far apart,
    in the same order, that no mask keeps apart; special tokens count only where the query or the
    key is one. In cross-attention, which has no distances, it is the mean of what all queries give
    the key. Each pair of words of phrases has its own mean; these are summed and averaged as
    weights are.

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
    found = [link.finding(places, parts) for link, parts in zip(links, results, strict=True)]
    return replace(found[0], reverse=found[1]) if both else found[0]


def lifts_of(
    weights: Float[np.ndarray, "head"], expected: Float[np.ndarray, "head"]
) -> Float[np.ndarray, "head"]:
    """Weight / expected; NaN where nothing is expected."""
    nothing = np.full_like(weights, np.nan)
    return np.asarray(np.divide(weights, expected, out=nothing, where=expected > 0))


def _or_none(number: Any) -> Any:
    return None if np.isnan(number) else number


class _Pairs(NamedTuple):
    """Pairs of tokens, rows ascending, that are like `words` of the asked words' own pairs."""

    words: int
    rows: Int[np.ndarray, "pair"]
    columns: Int[np.ndarray, "pair"]


def _pairs_like(view: View, query: Phrase, key: Phrase) -> list[_Pairs]:
    """The pairs of tokens as far apart as words of the query and the key; see `find`."""
    looks = np.array([query.special or not token.special for token in view.tokens])
    if view.context.is_cross_attention:
        rows, words = np.flatnonzero(looks), len(query.tokens)
        return [_Pairs(words, rows, np.full_like(rows, column)) for column in key.indices]
    found, length = [], len(view.keys)
    counted = np.array([key.special or not token.special for token in view.keys])
    distances = np.subtract.outer(key.indices, query.indices).ravel()
    for distance, words in zip(*np.unique(distances, return_counts=True), strict=True):
        low, high = max(0, -distance), length - max(0, distance)
        rows = np.flatnonzero(looks[low:high]) + low
        rows = rows[counted[rows + distance]]
        found.append(_Pairs(int(words), rows, rows + distance))
    return found


def _count(view: View, layer: int, pairs: Sequence[_Pairs]) -> Int[np.ndarray, "like"]:
    """How many of the pairs the layer's mask allows."""
    counts = np.zeros(len(pairs), int)
    for start in range(0, len(view.tokens), ROWS_AT_ONCE):
        stop = start + ROWS_AT_ONCE
        mask = view.visible(layer, slice(start, stop))
        for place, (_, all_rows, all_columns) in enumerate(pairs):
            here = slice(*np.searchsorted(all_rows, (start, stop)))
            rows, columns = all_rows[here], all_columns[here]
            counts[place] += len(rows) if mask is None else mask[rows - start, columns].sum()
    return counts


def _seen(view: View, query: Phrase, layer: int) -> Bool[np.ndarray, "key"]:
    """Which keys any word of the query may look at in a layer."""
    mask = view.visible(layer, slice(query.indices[0], query.indices[-1] + 1))
    return np.ones(len(view.keys), bool) if mask is None else np.asarray(mask.any(axis=0))


class _Link:
    """One query and key: which entries of a head's matrix answer for them, and what masks allow.

    `pairs`: those like its words'; `counts`: how many of them each layer allows.
    """

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
        self.pairs = _pairs_like(view, query, key)
        counted = by_mask(view, lambda layer: _count(view, layer, self.pairs))
        self.counts = {layer: counted(layer) for layer in layers}

    def finding(self, places: list[HeadId], parts: Sequence[dict[str, np.ndarray]]) -> Finding:
        """The results of all heads together."""
        joined: dict[str, Any] = {
            name: np.concatenate([part[name] for part in parts]) for name in parts[0]
        }
        return Finding(
            context=self.context,
            query=self.query,
            key=self.key,
            places=places,
            sees=np.array([self.sees[head.layer] for head in places]),
            keys=self.ranked,
            pairs=max(int(counts.sum()) for counts in self.counts.values()),
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
    """Sums over a link's rows, and over the pairs like it, in some heads, block by block."""

    def __init__(self, link: _Link, heads: Sequence[HeadId]) -> None:
        self._link, self._heads = link, heads
        self._row: np.ndarray | None = None
        self._dropped: np.ndarray | None = None
        self._expected = np.zeros((len(link.pairs), len(heads)))

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
        for total, (_, rows, columns) in zip(self._expected, self._link.pairs, strict=True):
            here = slice(*np.searchsorted(rows, (start, stop)))
            weights = block.weights[:, rows[here] - start, columns[here]]
            total += weights.sum(axis=1, dtype=np.float64)

    def result(self) -> dict[str, np.ndarray]:
        """The fields of Finding that are arrays by head, after all rows are counted."""
        link = self._link
        if self._row is None:
            raise ValueError("the query's rows did not come")
        words = self._row.dtype.type(len(link.query.tokens))
        row = self._row / words
        counts = np.stack([link.counts[head.layer] for head in self._heads], axis=1)
        means = np.divide(
            self._expected, counts, out=np.zeros_like(self._expected), where=counts > 0
        )
        expected = np.array([pairs.words for pairs in link.pairs]) @ means / len(link.query.tokens)
        expected[~counts.any(axis=0)] = np.nan  # the mask allows no pair
        weight, others = row[:, link.keys].sum(axis=1), row[:, link.others]
        found = {
            "weights": weight,
            "ranks": 1 + exceeds(others, weight[:, None]).sum(axis=1),
            "expected": expected.astype(row.dtype),
            "argmax": exceeds(row[:, link.keys].max(axis=1), others.max(axis=1, initial=0)),
            "strongest": largest(row),
            "most": row.max(axis=1),
        }
        return found if self._dropped is None else {**found, "dropped": self._dropped / words}
