"""Whole matrices as JSON, CSV and NPZ, written while they are computed.

For sentence i of the input, counted from 0, `np.load(file)` of an NPZ file has

- `{i}.weights`: float32 (head, query, key)
- `{i}.heads`: int (head, 2), the layer and the head that each matrix belongs to; -1 in place of a
  head for a measure that mixes a layer's heads
- `{i}.tokens`: str (token,), what rows and columns stand for (numpy cuts NULs at a string's end)
- `{i}.keys`: str (key,), what columns stand for, only in cross-attention
- `{i}.dropped`: float32 (head, query), what went to special tokens, only where they are left out
- `{i}.sink`: float32 (head, query), what went to the model's sink, only where it has one

and once `schema`, the format's name, and `meta`, a JSON string: model, unit, measure and its
formula, whose `attention` it is, unless an encoder's, and each sentence's `index`, `text` and
`pair`, its `source` in cross-attention, its `window` where there is one, and its `part` where it is
a window of a longer text, which counts as a sentence of its own. A sentence that could not be read
leaves its number out. A head with all of its steps has, in place of weights alone, `{i}.head`, its
layer and number, `{i}.tokens`, and the arrays of `HeadSteps.arrays` by name, from `{i}.X` to
`{i}.Z`. One sentence is laid out as many are. The same input gives the same bytes.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import repeat
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import orjson

from attnviz.answers.answer import (
    RUN_SCHEMA,
    attention_facts,
    facts_of,
    if_there,
    part_facts,
    source_facts,
    window_of,
)
from attnviz.answers.head import HeadSteps
from attnviz.answers.matrices import Matrices
from attnviz.answers.overview import LINKS, HeadSummary
from attnviz.attention.measures import MeasureName
from attnviz.inspection import Block, Context, HeadId
from attnviz.text.tokens import Token

NUMBERS_AT_ONCE = 1 << 16  # numbers made into JSON together at most, about 1 MB of it
ROWS_AT_ONCE = 1 << 14  # rows of CSV written together at most, about half a megabyte
CSV_HEADER = b"text_index,layer,head,query_index,query,key_index,key,weight"
NO_HEAD = -1  # in an NPZ file, for the head of a measure that has none


def json_chunks(matrices: Matrices, top: int | None = None) -> Iterator[bytes]:
    """The object `attnviz.run/1` as one line of UTF-8, in chunks; `top` links a head."""
    yield orjson.dumps(facts_of(matrices.context)).removesuffix(b"}") + b',"heads":['
    for place, text in enumerate(_objects(matrices, LINKS if top is None else top)):
        yield b"," + text if place else text
    yield b"]}\n"


def with_numbers(value: object) -> bytes:
    """A value as JSON, arrays in it included, each float32 in the fewest digits that keep it."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _objects(matrices: Matrices, top: int) -> Iterator[bytes]:
    """The heads' objects, to be joined by commas: several at once, or one head in several parts."""
    count = len(matrices.context.tokens)
    shares: dict[str, list[np.ndarray]] = {"dropped": [], "sink": []}
    for block, summaries in matrices.summarised(top):
        if block.rows == slice(0, count):
            yield from _whole(block, summaries)
            continue
        for name, share in _shares(block, 0).items():
            shares[name].append(share)
        opening = _opening(block.heads[0]._asdict()) if block.rows.start == 0 else b""
        closing = b""
        if summaries:
            told = {name: np.concatenate(parts) for name, parts in shares.items() if parts}
            closing = _closing(told | summaries[0].data())
            shares = {name: [] for name in shares}
        yield from _framed(opening, _rows(block.weights[0]), closing)


def _whole(block: Block, summaries: list[HeadSummary]) -> Iterator[bytes]:
    """The objects of heads all of whose rows are there."""
    numbers = block.weights.shape[1] * block.weights.shape[2]
    if numbers > NUMBERS_AT_ONCE:
        for place, summary in enumerate(summaries):
            opening = _opening(block.heads[place]._asdict() | _shares(block, place))
            yield from _framed(opening, _rows(block.weights[place]), _closing(summary.data()))
        return
    weights, at_once = np.ascontiguousarray(block.weights), NUMBERS_AT_ONCE // numbers
    for start in range(0, len(summaries), at_once):
        heads = [
            block.heads[place]._asdict()
            | _shares(block, place)
            | {"weights": weights[place]}
            | summary.data()
            for place, summary in enumerate(summaries[start : start + at_once], start)
        ]
        yield with_numbers(heads)[1:-1]


def _shares(block: Block, place: int) -> dict[str, np.ndarray]:
    """What went elsewhere than to the keys shown, in one of the heads, as far as there is any."""
    shares = {"dropped": block.dropped, "sink": block.sink}
    return {
        name: np.ascontiguousarray(share[place])
        for name, share in shares.items()
        if share is not None
    }


def _opening(facts: dict[str, Any]) -> bytes:
    return with_numbers(facts).removesuffix(b"}") + b',"weights":['


def _closing(facts: dict[str, Any]) -> bytes:
    return b"]," + with_numbers(facts).removeprefix(b"{")


def _framed(opening: bytes, parts: Iterator[bytes], closing: bytes) -> Iterator[bytes]:
    """The parts, of which the first begins with `opening` and the last ends with `closing`."""
    text = opening + next(parts)
    for part in parts:
        yield text
        text = part
    yield text + closing


def _rows(weights: np.ndarray) -> Iterator[bytes]:
    """Rows, (query, key), without the brackets around all of them; some at a time."""
    at_once = max(1, NUMBERS_AT_ONCE // weights.shape[1])
    for first in range(0, len(weights), at_once):
        yield with_numbers(np.ascontiguousarray(weights[first : first + at_once]))[1:-1]


def csv_header(special: bool, measure: MeasureName, columns: bytes = CSV_HEADER) -> bytes:
    """The first line; `dropped` is added without special tokens, `measure` unless it is weights."""
    dropped = b"" if special else b",dropped"
    return columns + dropped + (b"" if measure == "weights" else b",measure") + b"\n"


def csv_chunks(matrices: Matrices, text_index: int) -> Iterator[bytes]:
    """One row a link, by head, query and key, in chunks of UTF-8; quoted as in RFC 4180."""
    context = matrices.context
    queries, keys = ([_named(token) for token in side] for side in (context.tokens, context.keys))
    at_once = max(1, ROWS_AT_ONCE // len(keys))

    @lru_cache(maxsize=1)  # a short sentence has the same links in every head
    def links(first: int, end: int) -> list[bytes]:
        return [query + key for query in queries[first:end] for key in keys]

    measure = measure_cell(context.measure).encode()
    for head, rows, weights, dropped in _each(matrices):
        start = f"{text_index},{head_cells(head)},".encode()
        for first in range(0, len(weights), at_once):
            numbers = _numbers(weights[first : first + at_once])
            end = first + len(numbers) // len(keys)
            parts = [b"\n" + start] * (3 * len(numbers))
            parts[0] = start
            parts[1::3] = links(rows.start + first, rows.start + end)
            parts[2::3] = numbers
            if dropped is not None or measure:
                shares = None if dropped is None else dropped[first:end]
                ends = repeat(measure) if shares is None else _ends(shares, len(keys), measure)
                parts[2::3] = map(bytes.__add__, numbers, ends)
            yield b"".join(parts) + b"\n"


def _named(token: Token) -> bytes:
    return b"%d,%b," % (token.index, quoted(token.text).encode())


def _each(matrices: Matrices) -> Iterator[tuple[HeadId, slice, np.ndarray, np.ndarray | None]]:
    """Some rows of each head: which, their weights, (query, key), and what was lost, (query,)."""
    for block in matrices.blocks():
        lost = [None] * len(block.heads) if block.dropped is None else block.dropped
        for head, weights, dropped in zip(block.heads, block.weights, lost, strict=True):
            yield head, block.rows, weights, dropped


def _ends(dropped: np.ndarray, keys: int, measure: bytes) -> Iterator[bytes]:
    """What comes after each weight of some queries, (query,), of so many keys each."""
    for share in _numbers(dropped):
        yield from repeat(b"," + share + measure, keys)


def _numbers(array: np.ndarray) -> list[bytes]:
    return with_numbers(np.ascontiguousarray(array).reshape(-1))[1:-1].split(b",")


def head_cells(head: HeadId) -> str:
    """Layer and head; the latter is empty where a measure has none."""
    return f"{head.layer},{'' if head.head is None else head.head}"


def measure_cell(measure: MeasureName) -> str:
    """The last column, with the comma before it, where there is one."""
    return "" if measure == "weights" else f",{measure}"


def quoted(field: str) -> str:
    """A field as RFC 4180 wants it: in quotes, and quotes doubled, if it would be misread."""
    if any(character in field for character in ',"\r\n'):
        return '"' + field.replace('"', '""') + '"'
    return field


class NpzWriter:
    """Writes matrices, a sentence after the other, as members of one `.npz`.

    A context manager: an error inside abandons the file. The stream need not seek and stays open.
    """

    def __init__(self, stream: BinaryIO, schema: str = RUN_SCHEMA) -> None:
        self._schema, self._stream = schema, _Sequential(stream)
        self._archive = zipfile.ZipFile(self._stream, "w")  # type: ignore[call-overload]  # write, flush suffice
        self._facts: dict[str, Any] = {}
        self._sentences: list[dict[str, Any]] = []
        self._write_array("schema", np.array(schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is None:
            meta = {"schema": self._schema, **self._facts, "sentences": self._sentences}
            self._write_array("meta", np.array(orjson.dumps(meta).decode()))
        else:
            self._stream.abandon()
        self._archive.close()

    def add(self, matrices: Matrices, index: int | None = None) -> None:
        """Write the sentence of this index; ValueError for another model, unit or measure."""
        context, heads = matrices.context, matrices.heads
        number = len(self._sentences) if index is None else index
        self._add_facts(context, number)
        shape = (len(heads), len(context.tokens), len(context.keys))
        shares: dict[str, list[np.ndarray]] = {"dropped": [], "sink": []}

        def weights() -> Iterable[np.ndarray]:
            for block in matrices.blocks():
                yield block.weights
                for name, share in (("dropped", block.dropped), ("sink", block.sink)):
                    if share is not None:
                        shares[name].append(share.ravel())

        self._write(f"{number}.weights", np.dtype(np.float32), shape, weights())
        numbers = [(layer, NO_HEAD if head is None else head) for layer, head in heads]
        self._write_array(f"{number}.heads", np.array(numbers, dtype=np.int64).reshape(-1, 2))
        self._add_tokens(context, number)
        for name, parts in shares.items():
            if parts:
                self._write_array(f"{number}.{name}", np.concatenate(parts).reshape(shape[:2]))

    def add_arrays(self, steps: HeadSteps, index: int) -> None:
        """Write all matrices of a head's steps, of the sentence of this index."""
        self._add_facts(steps.context, index)
        self._write_array(f"{index}.head", np.array(steps.head, dtype=np.int64))
        self._add_tokens(steps.context, index)
        for name, array in steps.arrays().items():
            self._write_array(f"{index}.{name}", array)

    def _add_tokens(self, context: Context, number: int) -> None:
        self._write_array(f"{number}.tokens", np.array([token.text for token in context.tokens]))
        if context.is_cross_attention:
            self._write_array(f"{number}.keys", np.array([token.text for token in context.keys]))

    def _add_facts(self, context: Context, number: int) -> None:
        facts = {
            "model": context.model.data(),
            "unit": context.unit,
            "measure": context.measure,
            **attention_facts(context),
            "formula": context.measured.description,
        }
        if self._facts and facts != self._facts:
            raise ValueError(f"one file holds one view of one model: {self._facts}, not {facts}")
        self._facts = facts
        window = window_of(context)
        self._sentences.append(
            {
                "index": number,
                "text": context.text.text,
                "pair": context.text.pair,
                **source_facts(context.source),
                **part_facts(context),
                **if_there("window", window),
            }
        )

    def _write_array(self, name: str, array: np.ndarray) -> None:
        self._write(name, array.dtype, array.shape, [array])

    def _write(
        self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], parts: Iterable[np.ndarray]
    ) -> None:
        """Write one member from parts that follow each other along the first axis."""
        header = _npy_header(dtype, shape)
        member = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, so that equal input is equal bytes
        member.file_size = len(header) + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        with self._archive.open(member, "w") as out:
            out.write(header)
            for part in parts:
                out.write(np.ascontiguousarray(part).tobytes())


@lru_cache(maxsize=1024)
def _npy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    facts = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, facts)
    return header.getvalue()


class _Sequential:
    """A stream without seek, so that zipfile writes the same bytes to a file and to a pipe."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream: BinaryIO | None = stream

    def abandon(self) -> None:
        """Write nothing from here on."""
        self._stream = None

    def write(self, data: bytes) -> int:
        """Write to the stream."""
        return len(data) if self._stream is None else self._stream.write(data)

    def flush(self) -> None:
        """Hand on what the stream has buffered."""
        if self._stream is not None:
            self._stream.flush()
