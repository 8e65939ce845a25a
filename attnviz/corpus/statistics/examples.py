"""For each head, the texts in which it has its strongest links, and a fair sample of the others."""

from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from operator import itemgetter
from typing import Any

import numpy as np

from attnviz.answers.examples import Example
from attnviz.attention.shapes import Bool, Float
from attnviz.corpus.fold import Seen
from attnviz.corpus.statistics.lots import lot_of, lots
from attnviz.inspection import Block, HeadId, View
from attnviz.text.spans import is_punctuation
from attnviz.text.tokens import Token

MOST_WORDS = 40
"""Words of a text that are kept: of a longer one, those around the link."""

ROUNDED_BITS = 7
"""Weights that differ in these last bits of float32 alone (7 of 10⁶) are equal."""

LAST = np.uint64(0xFFFFFFFFFFFFFFFF)
_ORDER, _HALF = itemgetter(0), 1 << (ROUNDED_BITS - 1)


@dataclass(frozen=True, eq=False)
class _Best:
    """The strongest link of each head in a text: (head,) each; no link has rank 0."""

    ranks: np.ndarray
    weights: np.ndarray
    queries: np.ndarray
    keys: np.ndarray


class _Lists:
    """For each head the `most` smallest of what came, by two numbers of which each is uint64."""

    def __init__(self, heads: int, most: int) -> None:
        self.most = most
        self.lists: list[list[tuple[tuple[int, int], Example]]] = [[] for _ in range(heads)]
        self._last = np.full((2, heads), LAST)

    def wants(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """In which heads' lists these numbers would come: all (head,)."""
        last = self._last
        wanted: np.ndarray = (first < last[0]) | ((first == last[0]) & (second < last[1]))
        return wanted

    def insert(self, head: int, order: tuple[int, int], example: Example) -> None:
        """Put an example into a head's list, and leave out its last if they are too many."""
        own = self.lists[head]
        if len(own) == self.most and order >= own[-1][0]:
            return
        insort(own, (order, example), key=_ORDER)
        del own[self.most :]
        if len(own) == self.most:
            self._last[:, head] = own[-1][0]

    def merge(self, other: "_Lists") -> None:
        """Take what another has."""
        for head, own in enumerate(other.lists):
            for order, example in own:
                self.insert(head, order, example)


class HeadExamples:
    """Keeps `most` texts for each head, and as many others; the memory does not grow.

    A link joins two different words; special tokens and punctuation are left out. A text, or a
    window of a long one, has one link for each head. Equal links and lots are told apart by text.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._strongest: _Lists | None = None
        self._sample: _Lists | None = None  # with the strongest, of which there are `most`

    def add(self, seen: Seen) -> None:
        """See whether a text belongs into the lists of any heads."""
        best = _best_of(seen)
        if self._strongest is None or self._sample is None:
            self._begin(len(best.ranks))
            return self.add(seen)
        lot = lot_of(seen, "example")
        own = np.full(len(best.ranks), lot, np.uint64)
        ranks = LAST - best.ranks.astype(np.uint64)
        drawn = lots(lot, np.arange(len(ranks)))
        wanted = self._strongest.wants(ranks, own) | self._sample.wants(drawn, own)
        for head, example in _examples(seen, best, np.flatnonzero(wanted & (best.ranks > 0))):
            self._strongest.insert(head, (int(ranks[head]), lot), example)
            self._sample.insert(head, (int(drawn[head]), lot), example)

    def merge(self, other: "HeadExamples") -> None:
        """Take what another has kept."""
        if other._strongest is None or other._sample is None:
            return
        if self._strongest is None or self._sample is None:
            self._begin(len(other._strongest.lists))
            return self.merge(other)
        self._strongest.merge(other._strongest)
        self._sample.merge(other._sample)

    def result(self) -> list[tuple[tuple[Example, ...], tuple[Example, ...]]]:
        """For each head the examples, strongest first, and the sample; none before any text."""
        if self._strongest is None or self._sample is None:
            return []
        found = []
        for strongest, sample in zip(self._strongest.lists, self._sample.lists, strict=True):
            lots_taken = {order[1] for order, _ in strongest}
            others = [example for order, example in sample if order[1] not in lots_taken]
            own = tuple(example for _, example in strongest)
            found.append((own, tuple(others[: self._most])))
        return found

    def state(self) -> dict[str, Any]:
        """All that it knows."""
        lists = [] if self._strongest is None or self._sample is None else self._both()
        entries = [
            (kind, head, order, example)
            for kind, own in enumerate(lists)
            for head, some in enumerate(own.lists)
            for order, example in some
        ]
        matrices = [example.matrix for *_, example in entries]
        return {
            "most": self._most,
            "heads": len(lists[0].lists) if lists else 0,
            "places": np.array([entry[:2] for entry in entries], np.int64).reshape(-1, 2),
            "orders": np.array([order for _, _, order, _ in entries], np.uint64).reshape(-1, 2),
            "sizes": np.array([matrix.shape for matrix in matrices], np.int64).reshape(-1, 2),
            "matrices": np.concatenate([np.zeros(0, np.uint8), *map(np.ravel, matrices)]),
            "texts": [_written(example) for *_, example in entries],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self._most, self._strongest, self._sample = int(state["most"]), None, None
        if not state["heads"]:
            return
        self._begin(int(state["heads"]))
        sizes = state["sizes"]
        parts = np.split(state["matrices"], np.cumsum(sizes.prod(axis=1))[:-1])
        for (kind, head), order, size, part, text in zip(
            state["places"].tolist(), state["orders"].tolist(), sizes, parts, state["texts"],
            strict=True,
        ):  # fmt: skip
            example = Example(**_read(text), matrix=part.reshape(size).copy())
            self._both()[kind].insert(head, (order[0], order[1]), example)

    def _both(self) -> tuple[_Lists, _Lists]:
        if self._strongest is None or self._sample is None:
            raise ValueError("no text has been seen")
        return self._strongest, self._sample

    def _begin(self, heads: int) -> None:
        self._strongest, self._sample = _Lists(heads, self._most), _Lists(heads, 2 * self._most)


_WRITTEN = tuple(one.name for one in fields(Example) if one.name != "matrix")


def _written(example: Example) -> dict[str, Any]:
    """An example as JSON has it, but for its matrix."""
    return {name: getattr(example, name) for name in _WRITTEN}


def _read(text: dict[str, Any]) -> dict[str, Any]:
    """What `_written` wrote, after it was JSON."""
    return {name: tuple(one) if isinstance(one, list) else one for name, one in text.items()}


def _best_of(seen: Seen) -> _Best:
    """The strongest link of each head, the first of equal ones."""
    joins = _joins(seen.view)
    count = len(seen.view.context.recorded) * seen.view.context.num_heads
    ranks, queries, keys = np.zeros((3, count), np.int64)
    weights = np.zeros(count, np.float32)
    end = 0
    for block in seen.blocks():
        end += len(block.heads) if block.rows.start == 0 else 0
        flat = np.flatnonzero(joins[block.rows])
        if not len(flat):
            continue
        own = np.arange(end - len(block.heads), end)
        picked = block.weights.reshape(len(own), -1).take(flat, axis=1)
        rounded = (picked.astype(np.float32, copy=False).view(np.int32) + _HALF) >> ROUNDED_BITS
        at = rounded.argmax(axis=1)
        most = rounded[np.arange(len(at)), at]
        better = np.flatnonzero(most > ranks[own])
        own, at = own[better], at[better]
        query, key = np.divmod(flat[at], joins.shape[1])
        ranks[own], queries[own], keys[own] = most[better], query + block.rows.start, key
        weights[own] = picked[better, at]
    return _Best(ranks, weights, queries, keys)


def _joins(view: View) -> Bool[np.ndarray, "query key"]:
    """Which links join two different words."""
    queries, keys = (np.array(list(map(_is_word, some))) for some in (view.tokens, view.keys))
    joins: np.ndarray = queries[:, None] & keys
    if view.keys is view.tokens:
        np.fill_diagonal(joins, False)
    return joins


def _is_word(token: Token) -> bool:
    """Whether a token is no special one, and has a letter, a digit or a symbol."""
    return not token.special and not is_punctuation(token.text)


def _examples(seen: Seen, best: _Best, wanted: np.ndarray) -> Iterator[tuple[int, Example]]:
    """The examples of some heads, by their places."""
    document, one_text = seen.document, seen.view.keys is seen.view.tokens
    words = tuple(token.text for token in seen.view.tokens)
    keys = words if one_text else tuple(token.text for token in seen.view.keys)
    if not len(wanted):
        return
    for head, rows, columns, matrix, scale in _matrices(seen, best, wanted):
        query, key = int(best.queries[head]), int(best.keys[head])
        yield (
            head,
            Example(
                source=document.source,
                line=document.line,
                id=document.id,
                words=_at(words, rows),
                query=query if rows is None else rows.index(query),
                key=key if columns is None else columns.index(key),
                weight=float(best.weights[head]),
                matrix=matrix,
                scale=scale,
                keys=None if one_text else _at(keys, columns),
                places=rows,
                key_places=None if one_text else columns,
            ),
        )


Places = tuple[int, ...] | None
"""The places of the words shown; None for all."""


def _matrices(
    seen: Seen, best: _Best, wanted: np.ndarray
) -> Iterator[tuple[int, Places, Places, np.ndarray, float]]:
    """For some heads the rows and the columns shown, and the weights between them, as uint8."""
    one_text = seen.view.keys is seen.view.tokens
    shape = len(seen.view.tokens), len(seen.view.keys)
    if max(shape) <= MOST_WORDS:
        blocks = list(seen.blocks())
        weights = blocks[0].weights if len(blocks) == 1 else Block.concat(blocks).weights
        matrices, scales = quantised(weights[wanted])
        for head, matrix, scale in zip(wanted.tolist(), matrices, scales, strict=True):
            yield head, None, None, matrix.copy(), scale
        return
    heads = seen.view.all_heads()
    for head in wanted.tolist():
        query, key = int(best.queries[head]), int(best.keys[head])
        rows = _around((query, key) if one_text else (query,), shape[0])
        columns = rows if one_text else _around((key,), shape[1])
        matrices, scales = quantised(_matrix(seen, heads[head], rows, columns)[None])
        yield head, rows, columns, matrices[0], scales[0]


def quantised(matrices: Float[np.ndarray, "head query key"]) -> tuple[np.ndarray, list[float]]:
    """Matrices as uint8, and what 255 stands for in each: its largest number."""
    scales = matrices.reshape(len(matrices), -1).max(axis=1)
    return (matrices * (255 / scales)[:, None, None] + 0.5).astype(np.uint8), scales.tolist()


def _at(words: tuple[str, ...], places: Places) -> tuple[str, ...]:
    return words if places is None else tuple(words[place] for place in places)


def _around(wanted: Sequence[int], count: int) -> Places:
    """The places of MOST_WORDS words with one or two among them; None for all of a short text."""
    if count <= MOST_WORDS:
        return None
    first, last = min(wanted), max(wanted)
    spans = [(first, last + 1, MOST_WORDS)]
    if last - first >= MOST_WORDS:
        spans = [(first, first + 1, MOST_WORDS // 2), (last, last + 1, MOST_WORDS // 2)]
    places: list[int] = []
    for start, end, room in spans:
        begin = min(max(start - (room - (end - start)) // 2, 0), count - room)
        places += range(begin, begin + room)
    return tuple(places)


def _matrix(seen: Seen, head: HeadId, rows: Places, columns: Places) -> np.ndarray:
    """A head's weights between some of the words: (query, key)."""
    blocks, parts = seen.blocks(), []
    for block in blocks if isinstance(blocks, list) else seen.view.blocks([head]):
        if head not in block.heads:
            continue
        weights = block.weights[block.heads.index(head)]
        inside = range(block.rows.start, block.rows.stop)
        kept = slice(None) if rows is None else [at - inside.start for at in rows if at in inside]
        part = weights[kept]
        parts.append(part if columns is None else part[:, columns])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
