"""An inspection's attention in one unit and one measure: the numbers of every answer."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, TypeVar, get_args

import numpy as np

from attnviz.attention.layer import LayerRecord
from attnviz.attention.measures import MEASURES, MeasureName
from attnviz.attention.shapes import Bool, Float
from attnviz.errors import AttnvizError, OutOfRangeError, RequestError
from attnviz.inspection.block import Block
from attnviz.inspection.context import Context, FullHeadName, HeadId, Window, reach_of
from attnviz.inspection.frame import Frame, missing_share
from attnviz.text.tokens import Token, Unit
from attnviz.threads import side_by_side

if TYPE_CHECKING:
    from attnviz.inspection.inspection import Inspection

# Between pieces (4 MiB): many heads of a short text, or some rows of one head of a long text.
WEIGHTS_AT_ONCE = 1 << 20
Progress = Callable[[int, int], None]  # Called with the number of heads done, and of all heads
Result = TypeVar("Result")


class QueryRow(NamedTuple):
    """The row of one query in every recorded head, in the order of `Context.all_heads`."""

    block: Block
    special: Float[np.ndarray, "head"]  # the share of special tokens, shown or not
    sink: Float[np.ndarray, "head"] | None  # the share of the model's sink


@dataclass(frozen=True, eq=False)
class View:
    """An inspection's attention in one unit and one measure.

    A word has the sum over its pieces as a key, the mean as a query. Without special tokens, rows
    that are shares are divided by their sum, and `dropped` has what went to them. `sink` has what a
    sink takes. A window keeps the weights of the whole text. RequestError if nothing is left to
    show, and for a measure that mixes heads in cross-attention. The special tokens `asked`, by
    their indices among all, are kept as queries; as keys they are left out with the others.
    """

    inspection: "Inspection"
    unit: Unit = "word"
    special: bool = True
    measure: MeasureName = "weights"
    window: Window | None = None
    asked: tuple[int, ...] = ()
    progress: Progress | None = None  # called while `over` works on many heads

    def __post_init__(self) -> None:
        for what, name, known in (
            ("unit", self.unit, get_args(Unit)),
            ("measure", self.measure, tuple(MEASURES)),
        ):
            if name not in known:
                raise RequestError(
                    f'there is no {what} "{name}"', f"{what}s are {', '.join(known)}"
                )
        if self.window is not None:
            count = len(self.inspection.tokens.unit(self.unit))
            first, end = self.window
            if not 0 <= first < end or first >= count:
                raise RequestError(
                    f"the window {first}:{end} holds no token: there are {count}, "
                    f"from 0 to {count - 1}",
                    "give the first token and the end, as in 0:40",
                )
        if self.inspection.keys is not None and not MEASURES[self.measure].per_head:
            raise RequestError(
                f"{self.measure} follows tokens down through the layers of one text, and "
                "cross-attention joins two",
                "take --measure weights or norm",
            )
        if not self._frame.queries or not self._frame.keys:
            raise RequestError(
                "without special tokens, nothing is left to show", "keep the special tokens"
            )

    def _repr_html_(self) -> str:
        """What a notebook shows; the rooms that ask and draw are imported when it does."""
        overview, link = import_module("attnviz.answers.links").at_a_glance(self)
        html: str = import_module("attnviz.show.notebook").overview_html(overview, link)
        return html

    @cached_property
    def context(self) -> Context:
        """What the numbers are about: model, text, tokens, unit, measure."""
        inspection, frame = self.inspection, self._frame
        records = {n: inspection.layer(n) for n in inspection.recorded}
        return Context(
            model=inspection.model,
            attention=inspection.attention,
            text=inspection.tokens,
            source=inspection.keys,
            tokens=frame.tokens,
            keys=frame.key_tokens,
            positions=frame.queries,
            unit=self.unit,
            special=self.special,
            window=self.window,
            measured=MEASURES[self.measure].adapted(list(records.values())),
            recorded=inspection.recorded,
            reaches={n: reach_of(record) for n, record in records.items()},
        )

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The rows, and also the columns unless keys come from another text."""
        return self._frame.tokens

    @property
    def keys(self) -> tuple[Token, ...]:
        """The columns: the rows' own tokens, or another text's."""
        return self._frame.key_tokens

    def all_heads(self) -> list[HeadId]:
        """See `Context.all_heads`."""
        return self.context.all_heads()

    def weights(
        self, layer: int | FullHeadName, head: int | None = None
    ) -> Float[np.ndarray, "*head query key"]:
        """One head's weights, or a mixed layer's, (query, key); or a layer's, (head, query, key).

        IndexError for a layer or head that is not there, RequestError for a layer not recorded.
        """
        if not isinstance(layer, int):
            layer, head = HeadId.named(layer)
        return self._only(self._layer(layer, head).weights, head)

    def dropped(self, layer: int, head: int | None = None) -> Float[np.ndarray, "*head query"]:
        """The share of each row that went to special tokens left out: ([head,] query)."""
        block = self._layer(layer, head)
        return self._only(_or_zeros(block.dropped, block), head)

    def sink(self, layer: int, head: int | None = None) -> Float[np.ndarray, "*head query"]:
        """The share of what is shown of each row that went to the sink: ([head,] query)."""
        block = self._layer(layer, head)
        return self._only(_or_zeros(block.sink, block), head)

    def block(self, head: HeadId) -> Block:
        """All rows of one head."""
        return self._layer(head.layer, head.head)

    def visible(
        self, layer: int, rows: slice = slice(None)
    ) -> Bool[np.ndarray, "query key"] | None:
        """The attention mask of some rows (of any piece of words); None if all may attend."""
        _check_index("layer", layer, self.inspection.model.num_layers)
        tokens = self._frame.queries[rows]
        pieces = self._frame.pieces(tokens[0], tokens[-1])
        layer %= self.inspection.model.num_layers
        mixed = self.inspection.mixed(self.measure)
        if mixed is None:
            mask = self.inspection.layer(layer).attention_mask(pieces)
        else:
            mask = mixed.attention_mask(layer, pieces)
        if mask is None and self._frame.blank:
            mask = np.ones((pieces.stop - pieces.start, len(self.inspection.key_tokens)), bool)
        if mask is not None:
            mask = self._frame.mask(mask, tokens)
        return None if mask is None or mask.all() else mask

    def over(
        self, heads: Iterable[HeadId], work: Callable[[list[HeadId], Iterator[Block]], Result]
    ) -> Iterator[Result]:
        """The results of `work` on groups of heads, in their order; threads share a long text."""
        chosen, done = list(heads), 0
        groups = ((some, self._blocks_of(some)) for some in self._together(chosen))

        def counted(group: tuple[list[HeadId], Iterator[Block]]) -> tuple[int, Result]:
            return len(group[0]), work(*group)

        # A measure that mixes heads caches what it computes, which is not safe in threads.
        threads = self._is_long and self.context.measured.per_head
        for count, result in (side_by_side if threads else map)(counted, groups):
            done += count
            if self.progress is not None:
                self.progress(done, len(chosen))
            yield result

    def blocks(self, heads: Iterable[HeadId]) -> Iterator[Block]:
        """The heads in their order: several in a block, or one in blocks of some rows each."""
        for some in self._together(list(heads)):
            yield from self._blocks_of(some)

    def query(self, index: int) -> Float[np.ndarray, "layer head key"]:
        """The row of the query at `index` in every head; NaN for layers that were not recorded."""
        weights = self.row(index).block.weights[:, 0]
        shape = self.inspection.model.num_layers, self.context.num_heads, len(self.keys)
        rows = np.full(shape, np.nan, weights.dtype)
        rows[self.inspection.recorded] = weights.reshape(-1, *shape[1:])
        return rows

    def row(self, index: int) -> QueryRow:
        """The row of the query at `index` in every recorded head; weights are computed once."""
        _check_index("token", index, len(self.tokens))
        index %= len(self.tokens)
        token = self._frame.queries[index]
        pieces = self._frame.pieces(token, token)
        rows = [
            self._pieces(layer, None, pieces).mean(axis=-2, keepdims=True)
            for layer in self.inspection.recorded
        ]
        every_key = np.concatenate([self._frame.merged_keys(row) for row in rows])
        block = self._frame.shown(self.context.all_heads(), slice(index, index + 1), every_key)
        special = self._frame.special_shares(every_key)[:, 0]
        sink = missing_share(every_key)[:, 0] if self._frame.sinks else None
        return QueryRow(block, special, sink)

    @cached_property
    def _frame(self) -> Frame:
        rows, columns = self.inspection.tokens, self.inspection.key_tokens
        shares = MEASURES[self.measure].shares
        sinks = shares and self.inspection.sinks
        shown = self.special, self.asked, self.window
        return Frame(rows, columns, self.unit, *shown, shares, sinks)

    @property
    def _weights_a_head(self) -> int:
        return len(self.inspection.tokens) * len(self.inspection.key_tokens)

    @property
    def _is_long(self) -> bool:
        """Whether the weights of even one head are too many to compute at once."""
        return self._weights_a_head > WEIGHTS_AT_ONCE

    def _together(self, heads: Sequence[HeadId]) -> Iterator[list[HeadId]]:
        """Groups of heads that are computed together, in their order."""
        at_once = max(1, WEIGHTS_AT_ONCE // self._weights_a_head)
        for first in range(0, len(heads), at_once):
            yield list(heads[first : first + at_once])

    def _blocks_of(self, heads: list[HeadId]) -> Iterator[Block]:
        """One group's heads in one block, or (one head of a long text) in blocks of some rows."""
        if self._is_long:
            yield from self._parts(heads)
            return
        queries = self._frame.queries
        rows = self._frame.pieces(queries[0], queries[-1])
        joined = self._stacked_pieces(heads, rows)
        if joined is None:
            layers = groupby(heads, key=lambda head: head.layer)
            parts = [
                self._pieces(layer, [one for _, one in group], rows) for layer, group in layers
            ]
            joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        yield self._rows(heads, slice(0, len(queries)), joined, queries, queries[0])

    def _stacked_pieces(
        self, heads: list[HeadId], queries: slice
    ) -> Float[np.ndarray, "head query_piece key_piece"] | None:
        """All heads of all layers in one product; None if they are not all, or it cannot be."""
        recorded = self.inspection.recorded
        if len(recorded) == 1 or not self.context.measured.per_head or heads != self.all_heads():
            return None
        record = _stacked([self.inspection.layer(number) for number in recorded])
        if record is None:
            return None
        try:
            return self.context.measured.of_heads(record, recorded[0], None, queries)
        except AttnvizError:  # layer by layer, the error names the layer
            return None

    def _layer(self, layer: int, head: int | None) -> Block:
        """All rows of one head of a layer, or of all its heads (None)."""
        if head is None:
            numbers = range(self.context.num_heads)
            heads = [self.context.head_at(layer, number) for number in numbers]
        else:
            heads = [HeadId(layer, head)]
        return Block.concat(list(self._parts(heads)))

    def _only(self, array: np.ndarray, head: int | None) -> np.ndarray:
        """The only head of an array by heads; the whole array if a layer of heads was asked for."""
        whole = head is None and self.context.measured.per_head
        own: np.ndarray = array if whole else array[0]
        return own

    def _parts(self, heads: list[HeadId]) -> Iterator[Block]:
        """Some heads of one layer, in blocks of some rows each."""
        at_once = max(1, WEIGHTS_AT_ONCE // (len(heads) * len(self.inspection.key_tokens)))
        queries, starts, done = self._frame.queries, self._frame.starts, 0
        while done < len(queries):
            # Take one token, and further ones as long as all pieces from the first to the last,
            # also those of tokens that are not shown, are few enough.
            first, end = queries[done], done + 1
            while end < len(queries) and starts[queries[end] + 1] - starts[first] <= at_once:
                end += 1
            tokens = queries[done:end]
            rows = self._frame.pieces(first, tokens[-1])
            pieces = self._pieces(heads[0].layer, [head.head for head in heads], rows)
            yield self._rows(heads, slice(done, end), pieces, tokens, first)
            done = end

    def _rows(
        self,
        heads: list[HeadId],
        span: slice,
        pieces: Float[np.ndarray, "head query_piece key_piece"],
        tokens: list[int],
        first: int,
    ) -> Block:
        """The block of some tokens; `pieces` are those of the tokens from `first` on."""
        rows = self._frame.merged(pieces, first)
        if len(tokens) < rows.shape[1]:
            rows = rows[:, [token - first for token in tokens]]
        return self._frame.shown(heads, span, rows)

    def _pieces(
        self, layer: int, heads: Sequence[int | None] | None, queries: slice = slice(None)
    ) -> Float[np.ndarray, "head query_piece key_piece"]:
        _check_index("layer", layer, self.inspection.model.num_layers)
        numbers = [head for head in heads or () if head is not None]
        if numbers and not self.context.measured.per_head:
            raise OutOfRangeError(
                f"{self.measure} mixes the heads of a layer: there is no head to take"
            )
        for number in numbers:
            _check_index("head", number, self.inspection.model.num_heads)
        # All heads in order are None: the record then computes them without copying q and k.
        whole = len(numbers) == self.inspection.model.num_heads and numbers == sorted(set(numbers))
        chosen = None if whole or not numbers else numbers
        layer %= self.inspection.model.num_layers
        mixed = self.inspection.mixed(self.measure)
        if mixed is not None:
            return mixed.pieces(layer, queries)
        return self.context.measured.of_heads(self.inspection.layer(layer), layer, chosen, queries)


def _or_zeros(share: np.ndarray | None, block: Block) -> np.ndarray:
    return np.zeros(block.weights.shape[:-1], block.weights.dtype) if share is None else share


def _check_index(what: str, index: int, count: int) -> None:
    if not -count <= index < count:
        raise OutOfRangeError(
            f"there is no {what} {index}: there are {count}, from 0 to {count - 1}"
        )


def _stacked(records: Sequence[LayerRecord]) -> LayerRecord | None:
    """Queries, keys and value norms of all heads; None unless layers do nothing else to scores.

    q: (layer * head, query, d_k), k: (layer * kv_head, key, d_k), value_norms: (layer * head, key).
    A short text's layers have so few numbers that each step takes less than beginning it.
    """
    first = records[0]
    if not all(map(_is_plain, records)) or len({_shapes(record) for record in records}) > 1:
        return None
    q, k, norms = ([getattr(one, name) for one in records] for name in ("q", "k", "value_norms"))
    return LayerRecord(
        q=np.concatenate(q),
        k=np.concatenate(k),
        scale=first.scale,
        value_norms=None if first.value_norms is None else np.concatenate(norms),
    )


def _is_plain(record: LayerRecord) -> bool:
    """Whether its scores are those of its queries and keys, and the text is its own."""
    changes = (record.bias, record.distance_bias, record.key_ranges, record.sinks, record.softcap)
    return record.recorded_weights is None and all(change is None for change in changes)


def _shapes(record: LayerRecord) -> tuple[object, ...]:
    arrays = (record.q, record.k, record.value_norms)
    return record.scale, *(None if array is None else array.shape for array in arrays)
