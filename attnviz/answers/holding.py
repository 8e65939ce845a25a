"""Which heads hold over many sentences, and which were lucky in one, or on one half of them?"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from attnviz.answers.answer import attention_facts, last_columns
from attnviz.answers.bootstrap import Blocks, intervals
from attnviz.answers.find import By, Finding
from attnviz.answers.yardsticks import Reason, Yardstick, best_first, reason_of
from attnviz.attention.order import tiers
from attnviz.attention.shapes import Float, Int
from attnviz.errors import RequestError
from attnviz.inspection import Context, HeadId, Shown
from attnviz.text.spans import folded

Interval = tuple[float, float]

COLUMNS = (
    "layer", "head", "hits", "share", "mean", "mean_low", "mean_high", "minimum", "excess",
    "excess_low", "excess_high", "first_half", "second_half", "excess_sentences", "same_distance",
    "same_distance_sentences", "same_distance_lift", "same_key", "same_key_sentences",
    "same_key_lift",
)  # fmt: skip


@dataclass(frozen=True)
class HoldingHead:
    """How one head joins queries and keys over many sentences.

    `hits`: in how many of them the key is the query's argmax; `share`: the part of all. `mean`,
    `minimum`: of the weights. `excess`, `same_distance`, `same_key`: means over the sentences that
    have one (`excess_sentences`, `of`); None where none has. Intervals are of 95 %, by a bootstrap
    over the sentences; None for fewer than six. `first_half`, `second_half`: the mean excess in
    each half of the sentences. `dropped`: the mean share of special tokens left out.
    """

    head: HeadId
    hits: int
    share: float
    mean: float
    interval: Interval | None
    minimum: float
    excess: float | None
    excess_interval: Interval | None
    first_half: float | None
    second_half: float | None
    excess_sentences: int
    same_distance: Yardstick | None
    same_key: Yardstick | None
    dropped: float | None

    @property
    def explained(self) -> Reason | None:
        """The yardstick that explains the mean weight away, if one does."""
        return reason_of(self.same_distance, self.same_key)


class Score(NamedTuple):
    """What a head does in one half of the sentences."""

    sentences: int
    hits: int
    mean: float
    excess: float | None


@dataclass(frozen=True)
class HeldOut:
    """The best head of one half of the sentences: there, and in the other half."""

    head: HeadId
    chosen: Score
    scored: Score


@dataclass(frozen=True)
class Holding(Shown):
    """The heads, best first: by mean excess, then by mean weight, then as in the model.

    If `by` is "weight": by hits, then by mean weight. `context` is that of the first sentence.
    `link`: the query and the key, as the first sentence has them, where all have the same, case
    aside. `held_out`: chosen on the first half, then on the second, None where that half has
    nothing to compare with; empty for one sentence. `left_out`: how many could not be counted.
    `reverse`: the other direction.
    """

    schema: ClassVar[str] = "attnviz.find-summary/2"

    context: Context = field(compare=False)
    sentences: int
    link: tuple[str, str] | None
    by: By
    heads: tuple[HoldingHead, ...]
    held_out: tuple[HeldOut | None, ...]
    left_out: int = 0
    reverse: "Holding | None" = None

    @property
    def both(self) -> "tuple[Holding, ...]":
        """Both directions, or the one there is."""
        return (self,) if self.reverse is None else (self, self.reverse)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of `rows`; `reverse` tells the directions apart."""
        reverse = () if self.reverse is None else ("reverse",)
        return (*COLUMNS, *last_columns(self.context), *reverse)

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.find-summary/2` object, heads best first."""
        context, (query, key) = self.context, self.link or (None, None)
        facts = {
            "schema": self.schema,
            "model": context.model.data(),
            "unit": context.unit,
            "measure": context.measure,
            **attention_facts(context),
            "formula": context.measured.description,
            "query": query and query.casefold(),
            "key": key and key.casefold(),
            "sentences": self.sentences,
            "left_out": self.left_out,
            "by": self.by,
            **self._facts(("heads", "held_out"), top),
        }
        if self.reverse is not None:
            facts |= self.reverse._facts(("reverse", "reverse_held_out"), top)
        return facts

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a head, best first, then the reverse."""
        for holding in self.both:
            measure = () if self.context.measure == "weights" else (self.context.measure,)
            reverse = () if self.reverse is None else (holding is self.reverse,)
            for held in holding.heads[:top]:
                yield (
                    *(*held.head, held.hits, held.share, held.mean),
                    *(*(held.interval or (None, None)), held.minimum, held.excess),
                    *(held.excess_interval or (None, None)),
                    *(held.first_half, held.second_half, held.excess_sentences),
                    *(held.same_distance or (None, None, None)),
                    *(held.same_key or (None, None, None)),
                    *(() if held.dropped is None else (held.dropped,)),
                    *(*measure, *reverse),
                )

    def _facts(self, names: tuple[str, str], top: int | None) -> dict[str, Any]:
        """What each direction has of its own."""
        halves = [
            half
            and {
                "layer": half.head.layer,
                "head": half.head.head,
                "chosen": half.chosen._asdict(),
                "scored": half.scored._asdict(),
            }
            for half in self.held_out
        ]
        heads = [_head_facts(held) for held in self.heads[:top]]
        return dict(zip(names, (heads, halves), strict=True))


def _head_facts(held: HoldingHead) -> dict[str, Any]:
    facts = dict(vars(held))
    layer, head = facts.pop("head")
    for name in ("same_distance", "same_key"):
        if facts[name] is not None:
            facts[name] = dict(zip(("mean", "sentences", "lift"), facts[name], strict=True))
    if held.dropped is None:
        del facts["dropped"]
    return {"layer": layer, "head": head, **facts}


class Tally:
    """Counts findings, and keeps none of them but the first."""

    def __init__(self) -> None:
        self._first: Finding | None = None
        self.count = 0
        self._link: tuple[str, str] | None = None
        self._reverse: Tally | None = None

    def add(self, finding: Finding) -> None:
        """Count one more; RequestError if it cannot be counted with those before it."""
        link = finding.query.text, finding.key.text
        if self._first is None:
            self._first, self._link = finding, link
            self._minimum, self._dropped = finding.weights, np.zeros(len(finding.places))
            self._same_distance, self._same_key = np.zeros((2, 3, len(finding.places)))
            self._blocks = Blocks()
            self._reverse = None if finding.reverse is None else Tally()
        _check_alike(self._first, finding)
        self.count += 1
        if self._link and [*map(folded, link)] != [*map(folded, self._link)]:
            self._link = None
        self._minimum = np.minimum(self._minimum, finding.weights)
        self._same_distance += _where_there(finding.same_distance.means, finding.weights)
        self._same_key += _where_there(finding.same_key.means, finding.weights)
        has, excess, _ = _where_there(finding.excess, finding.weights)
        ones = np.ones_like(has)
        self._blocks.add(np.stack([ones, finding.argmax, finding.weights, has, excess]))
        if finding.dropped is not None:
            self._dropped += finding.dropped
        if self._reverse is not None and finding.reverse is not None:
            self._reverse.add(finding.reverse)

    def holding(self, left_out: int = 0) -> Holding:
        """The heads over what was counted; RequestError if nothing was."""
        if self._first is None:
            raise RequestError("no sentence was found to count", "give one sentence or more")
        by, blocks = self._first.by, self._blocks.sums()
        means, (ones, _, weights, has, excess) = _Means.of(blocks), np.moveaxis(blocks, 1, 0)
        both = intervals(np.hstack([weights, excess]), np.hstack([ones, has]))
        bounds = both.reshape(2, 2, -1).swapaxes(0, 1)
        middle = len(blocks) // 2
        halves = _Means.of(blocks[:middle]), _Means.of(blocks[middle:])
        return Holding(
            context=self._first.context,
            sentences=self.count,
            link=self._link,
            by=by,
            heads=tuple(
                self._head(self._first, place, [means, *halves], bounds[..., place])
                for place in means.order(by).tolist()
            ),
            held_out=() if self.count < 2 else tuple(_held_out(halves, self._first.places, by)),
            left_out=left_out,
            reverse=None if self._reverse is None else self._reverse.holding(left_out),
        )

    def _head(
        self, first: Finding, place: int, every: "list[_Means]", bounds: Float[np.ndarray, "2 2"]
    ) -> HoldingHead:
        """One head, of all sentences and of each half; `bounds` of the weight and of the excess."""
        score, one, other = (means.score(place) for means in every)
        interval, excess_interval = (
            None if np.isnan(low) else (low, high) for low, high in bounds.tolist()
        )
        return HoldingHead(
            head=first.places[place],
            hits=score.hits,
            share=score.hits / self.count,
            mean=score.mean,
            interval=interval,
            minimum=float(self._minimum[place]),
            excess=score.excess,
            excess_interval=excess_interval,
            first_half=one.excess,
            second_half=other.excess,
            excess_sentences=int(every[0].compared[place]),
            same_distance=_yardstick(self._same_distance[:, place]),
            same_key=_yardstick(self._same_key[:, place]),
            dropped=None if first.dropped is None else float(self._dropped[place] / self.count),
        )


@dataclass(frozen=True, eq=False)
class _Means:
    """What each head does in some sentences."""

    sentences: int
    hits: Float[np.ndarray, "head"]
    mean: Float[np.ndarray, "head"]
    compared: Float[np.ndarray, "head"]  # in how many sentences there is an excess
    excess: Float[np.ndarray, "head"]

    @classmethod
    def of(cls, blocks: Float[np.ndarray, "block number head"]) -> "_Means":
        count, hits, weights, has, excess = blocks.sum(axis=0)
        nothing = np.full_like(excess, np.nan)
        excess = np.divide(excess, has, out=nothing, where=has > 0)
        return cls(int(count[0]), hits, weights / np.maximum(count, 1), has, excess)

    def order(self, by: By) -> Int[np.ndarray, "head"]:
        """The heads' places, best first."""
        if by == "excess":
            return best_first(self.mean, self.excess)
        return np.lexsort((tiers(self.mean), -self.hits))

    def score(self, place: int) -> Score:
        """One head's numbers."""
        excess = float(self.excess[place])
        return Score(
            self.sentences,
            int(self.hits[place]),
            float(self.mean[place]),
            None if np.isnan(excess) else excess,
        )


def _held_out(
    halves: tuple[_Means, _Means], places: Sequence[HeadId], by: By
) -> Iterator[HeldOut | None]:
    """The best head of either half, and what it does in the other; None where nothing ranks."""
    for chosen, scored in (halves, halves[::-1]):
        best = int(chosen.order(by)[0])
        nothing = by == "excess" and np.isnan(chosen.excess).all()
        half = HeldOut(places[best], chosen.score(best), scored.score(best))
        yield None if nothing else half


def _where_there(
    numbers: Float[np.ndarray, "head"], weights: Float[np.ndarray, "head"]
) -> Float[np.ndarray, "3 head"]:
    """1 where there is a number, the number, and the weight beside it; else 0."""
    has = ~np.isnan(numbers)
    return np.where(has, np.stack([has, numbers, weights]), 0.0)


def _yardstick(sums: Float[np.ndarray, "3"]) -> Yardstick | None:
    """The mean over the sentences that have one, how many they are, and weights / mean."""
    count, total, weights = sums.tolist()
    if not count:
        return None
    return Yardstick(total / count, int(count), weights / total if total > 0 else None)


def holding(findings: Iterable[Finding]) -> Holding:
    """The heads that hold over all of these sentences; RequestError if there are none, or they
    differ.
    """
    tally = Tally()
    for finding in findings:
        tally.add(finding)
    return tally.holding()


def _check_alike(first: Finding, other: Finding) -> None:
    a, b = first.context, other.context
    for what, one, two in (
        ("model", a.model, b.model),
        ("kind of attention", a.attention, b.attention),
        ("unit", a.unit, b.unit),
        ("measure", a.measure, b.measure),
        ("special tokens", *("shown" if c.special else "left out" for c in (a, b))),
        ("choice of heads", first.places, other.places),
    ):
        if one != two:
            names = [" ".join(map(str, it)) if isinstance(it, list) else it for it in (one, two)]
            raise RequestError(
                f"sentences counted together have one {what}, and here are {names[0]} and "
                f"{names[1]}",
                "count each kind for itself",
            )
