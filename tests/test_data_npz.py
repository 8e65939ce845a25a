"""NPZ holds the very numbers of the view, through files and pipes, sentence by sentence."""

import io
import json
import os
import threading
import tracemalloc
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from blocks import weights_of
from handmade import random_inspection, tokens_of
from rounding import assert_numbers

from attnviz.answers.matrices import matrices
from attnviz.inspection import HeadId, Inspection, View
from attnviz.model import Model
from attnviz.show.matrix_data import NpzWriter

SOME_HEADS = [HeadId(0, 0), HeadId(3, 1), HeadId(5, 11)]


def made_up(words: list[str]) -> View:
    return random_inspection(tokens_of(words), 2, 3, seed=5).view("piece")


def npz(views: Iterable[View], heads: list[HeadId]) -> bytes:
    stream = io.BytesIO()
    write(stream, views, heads)
    return stream.getvalue()


def write(stream: BinaryIO, views: Iterable[View], heads: list[HeadId]) -> None:
    with NpzWriter(stream) as writer:
        for view in views:
            writer.add(matrices(view, heads))


def loaded(data: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


class Sink(io.BytesIO):
    """A stream that counts what is written, and is full at its limit."""

    def __init__(self, limit: int | None = None) -> None:
        super().__init__()
        self.written = 0
        self.limit = limit

    def write(self, data: Any) -> int:
        if self.limit is not None and self.written + len(data) > self.limit:
            raise OSError("full")
        self.written += len(data)
        return len(data)


def test_what_it_holds(animal: Inspection, minilm: Model) -> None:
    pair = minilm.inspect("Who was tired?", "동물은 피곤했다.")
    arrays = loaded(npz([animal.view(), pair.view()], SOME_HEADS))
    assert list(arrays) == [
        "schema", "0.weights", "0.heads", "0.tokens",
        "1.weights", "1.heads", "1.tokens", "meta",
    ]  # fmt: skip
    for number, view in enumerate([animal.view(), pair.view()]):
        weights = arrays[f"{number}.weights"]
        assert weights.dtype == np.float32
        assert_numbers(weights, [matrix for _, matrix in weights_of(view, SOME_HEADS)])
        assert arrays[f"{number}.heads"].tolist() == [list(head) for head in SOME_HEADS]
        assert arrays[f"{number}.tokens"].tolist() == [token.text for token in view.tokens]
    assert str(arrays["schema"]) == "attnviz.run/1"
    assert json.loads(str(arrays["meta"])) == {
        "schema": "attnviz.run/1",
        "model": {
            "name": "minilm",
            "family": "bert",
            "num_layers": 6,
            "num_heads": 12,
            "d_model": 384,
            "d_k": 32,
            "d_ff": 1536,
            "trained": True,
        },
        "unit": "word",
        "measure": "weights",
        "formula": "softmax(q kᵀ / √d_k)",
        "sentences": [
            {"index": 0, "text": animal.tokens.text, "pair": None},
            {"index": 1, "text": "Who was tired?", "pair": "동물은 피곤했다."},
        ],
    }


def test_a_sentence_keeps_its_number() -> None:
    stream = io.BytesIO()
    with NpzWriter(stream) as writer:
        writer.add(matrices(made_up(["a"]), [HeadId(0, 0)]), 2)
        writer.add(matrices(made_up(["b"]), [HeadId(0, 0)]), 5)
    arrays = loaded(stream.getvalue())
    assert [name for name in arrays if name.endswith("weights")] == ["2.weights", "5.weights"]
    sentences = json.loads(str(arrays["meta"]))["sentences"]
    assert [(sentence["index"], sentence["text"]) for sentence in sentences] == [(2, "a"), (5, "b")]


def test_what_was_dropped(animal: Inspection) -> None:
    view = animal.view(special=False)
    arrays = loaded(npz([view], view.all_heads()))
    assert arrays["0.dropped"].shape == (72, 12)
    expected = [view.dropped(*head) for head in view.all_heads()]
    np.testing.assert_allclose(arrays["0.dropped"], expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(arrays["0.weights"].sum(axis=-1), 1, rtol=0, atol=1e-6)


def test_a_pipe_gets_the_bytes_that_a_file_gets(
    animal: Inspection, minilm: Model, tmp_path: Path
) -> None:
    views = [animal.view(), minilm.inspect("I am a student").view()]
    path = tmp_path / "run.npz"
    with path.open("wb") as stream:
        write(stream, views, SOME_HEADS)
    receiving, sending = os.pipe()
    received: list[bytes] = []

    def receive() -> None:
        with open(receiving, "rb") as stream:
            received.append(stream.read())

    reader = threading.Thread(target=receive)
    reader.start()
    with open(sending, "wb") as stream:
        write(stream, views, SOME_HEADS)
    reader.join()
    assert received[0] == path.read_bytes()
    with np.load(path, allow_pickle=False) as arrays:
        assert_numbers(arrays["1.weights"], [w for _, w in weights_of(views[1], SOME_HEADS)])
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


def test_memory_stays_flat() -> None:
    sentence = made_up(["word"] * 58)
    sink = Sink()

    def peak(count: int) -> int:
        tracemalloc.start()
        write(sink, [sentence] * count, sentence.all_heads())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few = peak(3)
    before = sink.written
    assert peak(30) < few + 100_000
    assert sink.written - before > 30 * 6 * 60 * 60 * 4


def test_nothing_more_is_written_after_an_error(animal: Inspection) -> None:
    full = Sink(limit=50_000)
    with pytest.raises(OSError, match="full"):
        write(full, [animal.view()] * 3, animal.view().all_heads())
    assert 0 < full.written <= 50_000

    def interrupted() -> Iterable[View]:
        yield animal.view()
        sizes.append(sink.written)
        raise KeyboardInterrupt

    sizes: list[int] = []
    sink = Sink()
    with pytest.raises(KeyboardInterrupt):
        write(sink, interrupted(), SOME_HEADS)
    assert [sink.written] == sizes


def test_models_and_units_are_not_mixed(animal: Inspection) -> None:
    with NpzWriter(io.BytesIO()) as writer:
        writer.add(matrices(animal.view(), SOME_HEADS))
        with pytest.raises(ValueError, match="one view of one model"):
            writer.add(matrices(animal.view("piece"), SOME_HEADS))
        with pytest.raises(ValueError, match="one view of one model"):
            writer.add(matrices(made_up(["a"]), [HeadId(0, 0)]))


def test_no_sentence_at_all() -> None:
    arrays = loaded(npz([], []))
    assert list(arrays) == ["schema", "meta"]
    assert json.loads(str(arrays["meta"])) == {"schema": "attnviz.run/1", "sentences": []}
