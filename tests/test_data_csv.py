"""CSV holds the very numbers of the view, and any word is read back as it was."""

import csv
import io

import numpy as np
import pytest
from blocks import weights_of
from handmade import random_inspection, tokens_of
from hypothesis import given
from hypothesis import strategies as st
from rounding import assert_numbers, assert_written_as_float32
from shown import run_csv

from attnviz.inspection import HeadId, Inspection, View
from attnviz.show.matrix_data import CSV_HEADER

SOME_HEADS = [HeadId(0, 0), HeadId(3, 1), HeadId(5, 11)]


def made_up(words: list[str]) -> View:
    return random_inspection(tokens_of(words), 2, 3, seed=5).view("piece", special=False)


def test_one_row_for_each_link(animal: Inspection) -> None:
    view = animal.view()
    text = (CSV_HEADER + b"\n" + b"".join(run_csv(view, SOME_HEADS, 4))).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    words = len(view.tokens)
    assert len(rows) == len(SOME_HEADS) * words**2
    link = next(r for r in rows if (r["head"], r["query"], r["key"]) == ("1", "it", "animal"))
    assert link["text_index"] == "4"
    assert link["layer"] == "3"
    assert (link["query_index"], link["key_index"]) == ("8", "2")
    assert float(link["weight"]) == pytest.approx(0.677, abs=5e-4)
    places = [(int(r["query_index"]), int(r["key_index"])) for r in rows[: words**2]]
    assert places == [(q, k) for q in range(words) for k in range(words)]
    assert_written_as_float32([row["weight"] for row in rows])
    weights = np.array([row["weight"] for row in rows]).astype(np.float32)
    expected = [matrix for _, matrix in weights_of(view, SOME_HEADS)]
    assert_numbers(weights.reshape(len(SOME_HEADS), words, words), np.array(expected))


@given(
    words=st.lists(st.text(min_size=1) | st.text(',"\r\n;\t ', min_size=1), min_size=1, max_size=5)
)
def test_any_word_is_read_back(words: list[str]) -> None:
    view = made_up(words)
    text = b"".join(run_csv(view, [HeadId(1, 2)], 0)).decode()
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert [row[4] for row in rows] == [word for word in words for _ in words]
    assert [row[6] for row in rows] == words * len(words)
    rows_by_rule = [",".join(map(quoted, row)) + "\n" for row in rows]
    assert text == "".join(rows_by_rule)


def quoted(field: str) -> str:
    """A field as RFC 4180, section 2, has it."""
    return f'"{field.replace(chr(34), chr(34) * 2)}"' if set(field) & set(',"\r\n') else field


def test_long_sentences_come_in_parts() -> None:
    view = made_up(["w"] * 298)
    chunks = list(run_csv(view, view.all_heads()[:2], 0))
    assert max(map(len, chunks)) < 1_000_000
    rows = list(csv.reader(io.StringIO(b"".join(chunks).decode(), newline="")))
    weights = np.array([row[7] for row in rows]).astype(np.float32).reshape(2, 298, 298)
    assert_numbers(weights[1], view.weights(0, 1))
    assert [int(row[3]) for row in rows] == np.repeat(range(298), 298).tolist() * 2
