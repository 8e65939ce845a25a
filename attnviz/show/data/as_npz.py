"""Inspections as one NPZ file, written sentence by sentence to a file or a pipe.

For sentence i of the input, counted from 0, `np.load(file)` has

- `{i}.weights`: float32 (head, query, key)
- `{i}.heads`: int (head, 2), the layer and the head that each matrix belongs to; -1 in place of a
  head for a measure that mixes a layer's heads
- `{i}.tokens`: str (token,), what rows and columns stand for (numpy cuts NULs at a string's end)
- `{i}.keys`: str (key,), what columns stand for, only where it is another text
- `{i}.dropped`: float32 (head, query), what went to special tokens, only where they are left out
- `{i}.sink`: float32 (head, query), what went to the model's sink, only where it has one

and once `schema`, the format's name, and `meta`, a JSON string: model, unit, measure and its
formula, whose `attention` it is, unless an encoder's, and each sentence's `index`, `text` and
`pair`, its `source` where keys are of another text, its `window` where there is one, and its
`part` where it is a window of a longer text, which counts as a sentence of its own. A sentence that
was left out of the input leaves its number out. One sentence is laid out as many are. The same
input gives the same bytes.
"""

import io
import zipfile
from collections.abc import Iterable, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import orjson

from attnviz.answers.answer import (
    RUN_SCHEMA,
    attention_facts,
    model_facts,
    part_facts,
    source_facts,
    window_of,
)
from attnviz.inspection import HeadId, View

NO_HEAD = -1


class NpzWriter:
    """Writes inspections, one after the other, as the members of one `.npz`.

    Used as a context manager: the file is complete once the block ends, and nothing more is written
    if it ends with an error. The stream need not be seekable, and is not closed.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = _Sequential(stream)
        self._archive = zipfile.ZipFile(self._stream, "w")  # type: ignore[call-overload]  # write, flush suffice
        self._facts: dict[str, Any] = {}
        self._sentences: list[dict[str, Any]] = []
        self._write_array("schema", np.array(RUN_SCHEMA))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is None:
            meta = {"schema": RUN_SCHEMA, **self._facts, "sentences": self._sentences}
            self._write_array("meta", np.array(orjson.dumps(meta).decode()))
        else:
            self._stream.abandon()
        self._archive.close()

    def add(self, view: View, heads: Sequence[HeadId], index: int | None = None) -> None:
        """Write the next sentence; `index` is its place in the input, larger than those before.

        Raises ValueError if its model, unit or measure is not that of the sentences before it.
        """
        facts = {
            "model": model_facts(view.model),
            "unit": view.unit,
            "measure": view.measure,
            **attention_facts(view.context),
            "formula": view.measured.told,
        }
        if self._facts and facts != self._facts:
            raise ValueError(f"one file holds one view of one model: {self._facts}, not {facts}")
        self._facts = facts
        number = len(self._sentences) if index is None else index
        tokens, window = view.inspection.tokens, window_of(view.context)
        self._sentences.append(
            {
                "index": number,
                "text": tokens.text,
                "pair": tokens.pair,
                **source_facts(view.inspection.keys),
                **part_facts(view.context),
                **({} if window is None else {"window": window}),
            }
        )
        shape = (len(heads), len(view.tokens), len(view.keys))
        beside: dict[str, list[np.ndarray]] = {"dropped": [], "sink": []}

        def stacks() -> Iterable[np.ndarray]:
            for stack in view.blocks(heads):
                yield stack.weights
                for name, share in (("dropped", stack.dropped), ("sink", stack.sink)):
                    if share is not None:
                        beside[name].append(share.ravel())

        self._write(f"{number}.weights", np.dtype(np.float32), shape, stacks())
        numbers = [(layer, NO_HEAD if head is None else head) for layer, head in heads]
        self._write_array(f"{number}.heads", np.array(numbers, dtype=np.int64).reshape(-1, 2))
        self._write_array(f"{number}.tokens", np.array([token.text for token in view.tokens]))
        if view.is_cross_attention:
            self._write_array(f"{number}.keys", np.array([token.text for token in view.keys]))
        for name, shares in beside.items():
            if shares:
                self._write_array(f"{number}.{name}", np.concatenate(shares).reshape(shape[:2]))

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
    """A stream that is only written to, front to back, until it is abandoned.

    zipfile goes back to fill in sizes where a stream can seek; on this one it writes them behind
    each member, so that a file and a pipe get the same bytes.
    """

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
