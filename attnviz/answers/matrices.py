"""The whole matrices of some heads: the one answer that comes block by block."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import numpy as np

from attnviz.answers.answer import RUN_SCHEMA, facts_of, last_cells, last_columns, shortest
from attnviz.answers.masks import Pool, allowed_blocks, by_mask
from attnviz.answers.overview import LINKS, HeadSummary, tallies
from attnviz.answers.word import LINK_COLUMNS, by_weight
from attnviz.attention.shapes import Bool, Float
from attnviz.inspection import Block, Context, HeadId, Shown, View


@dataclass(frozen=True)
class RowShares:
    """Means over rows of what went to special tokens left out (`dropped`), to the sink, and of what
    stayed in the window; None where there is nothing to tell.
    """

    dropped: float | None = None
    sink: float | None = None
    inside: float | None = None


class ShareTally:
    """Adds up the shares of rows, block by block."""

    def __init__(self, context: Context) -> None:
        self._has_window = context.window is not None
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, block: Block) -> None:
        """Add the rows of a block."""
        inside = block.weights.sum(axis=-1) if self._has_window else None
        for name, shares in (("dropped", block.dropped), ("sink", block.sink), ("inside", inside)):
            if shares is not None:
                self._add(name, float(shares.sum(dtype=np.float64)), shares.size)

    def join(self, other: "ShareTally") -> None:
        """Add what another has added up."""
        for name, (total, count) in other._sums.items():
            self._add(name, total, count)

    @property
    def shares(self) -> RowShares:
        """The means."""
        return RowShares(**{name: total / count for name, (total, count) in self._sums.items()})

    def _add(self, name: str, total: float, count: int) -> None:
        before = self._sums.get(name, (0.0, 0))
        self._sums[name] = before[0] + total, before[1] + count


@dataclass(frozen=True, eq=False)
class Pooled:
    """Heads' weights, each block of `steps` queries and keys by its largest, NaN where masked."""

    weights: dict[HeadId, Float[np.ndarray, "row column"]]
    steps: tuple[int, int]
    shares: RowShares


@dataclass(frozen=True, eq=False)
class Matrices(Shown):
    """The matrices of some heads; every walk through them computes the weights again."""

    schema = RUN_SCHEMA

    context: Context
    heads: tuple[HeadId, ...]
    _view: View = field(repr=False)

    def blocks(self) -> Iterator[Block]:
        """The heads in their order: several in a block, or a long text's some rows at a time."""
        return self._view.blocks(self.heads)

    def block(self, head: HeadId) -> Block:
        """All rows of one head."""
        return self._view.block(head)

    def first_rows(self, head: HeadId, most: int) -> Block:
        """The first rows of one head; no more than these are computed of a long text."""
        blocks = []
        for block in self._view.blocks([head]):
            blocks.append(block)
            if block.rows.stop >= most:
                break
        return Block.concat(blocks).take(slice(0, most))

    def allowed(
        self, layer: int, rows: slice = slice(None)
    ) -> Bool[np.ndarray, "query key"] | None:
        """A layer's attention mask for some queries; None where nothing is masked."""
        return self._view.visible(layer, rows)

    def summarised(self, links: int = LINKS) -> Iterator[tuple[Block, list[HeadSummary]]]:
        """The blocks; with the last of some heads' rows, also what these heads do."""
        tally_of = tallies(self._view, links)
        for block in self.blocks():
            if block.rows.start == 0:
                tally = tally_of(block.heads)
            tally.add(block)
            complete = block.rows.stop == len(self.context.tokens)
            yield block, tally.summaries() if complete else []

    def pooled(self, steps: tuple[int, int]) -> Pooled:
        """The matrices by blocks of `steps` queries and keys, as a picture of them needs."""
        view, context = self._view, self.context
        shape = len(context.tokens), len(context.keys)
        masks = by_mask(view, lambda layer: allowed_blocks(view, layer, steps))

        def collected(
            some: list[HeadId], blocks: Iterator[Block]
        ) -> tuple[list[HeadId], np.ndarray, ShareTally]:
            pool, tally = Pool((len(some), *shape), steps), ShareTally(context)
            for block in blocks:
                pool.add(block.rows, block.weights)
                tally.add(block)
            return some, pool.numbers, tally

        weights: dict[HeadId, np.ndarray] = {}
        shares = ShareTally(context)
        for some, numbers, tally in view.over(self.heads, collected):
            shares.join(tally)
            for head, own in zip(some, numbers, strict=True):
                mask = masks(head.layer)
                weights[head] = own if mask is None else np.where(mask, own, np.nan)
        return Pooled(weights, steps, shares.shares)

    @property
    def columns(self) -> tuple[str, ...]:
        """A link, in a head."""
        return LINK_COLUMNS + last_columns(self.context)

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The object `attnviz.run/1`, all matrices in memory; `top` limits each head's links."""
        heads: list[dict[str, Any]] = []
        parts: list[Block] = []
        for block, summaries in self.summarised(LINKS if top is None else top):
            parts.append(block)
            if not summaries:
                continue
            whole, parts = Block.concat(parts), []
            for place, summary in enumerate(summaries):
                layer, head = whole.heads[place]
                shares = {"dropped": whole.dropped, "sink": whole.sink}
                heads.append(
                    {
                        "layer": layer,
                        "head": head,
                        **{name: s[place] for name, s in shares.items() if s is not None},
                        "weights": np.ascontiguousarray(whole.weights[place]),
                        **summary.data(),
                    }
                )
        return facts_of(self.context) | {"heads": heads}

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a link, query by query; or the `top` strongest keys of each query."""
        for block in self.blocks():
            for place, head in enumerate(block.heads):
                dropped = repeat(None) if block.dropped is None else block.dropped[place]
                mask = None if top is None else self.allowed(head.layer, block.rows)
                queries = self.context.tokens[block.rows]
                for row, (query, weights, share) in enumerate(
                    zip(queries, block.weights[place], dropped, strict=False)
                ):
                    start = (*head, query.index, query.text)
                    end = last_cells(self.context, share)
                    keys: Sequence[int] = range(len(weights))
                    if top is not None:
                        keys = by_weight(weights, None if mask is None else mask[row], top)
                    for key in keys:
                        named = (key, self.context.keys[key].text)
                        yield (*start, *named, shortest(weights[key]), *end)


def matrices(view: View, heads: Sequence[HeadId] | None = None) -> Matrices:
    """The whole matrices of some heads, or of all that were recorded."""
    return Matrices(view.context, tuple(view.all_heads() if heads is None else heads), view)
