"""JSON holds the very numbers of the view, for any text, and the memory it takes is bounded."""

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from blocks import weights_of
from handmade import random_inspection, tokens_of
from hypothesis import given
from hypothesis import strategies as st
from rounding import assert_numbers, assert_written_as_float32
from shown import run_json

from attnviz.inspection import HeadId, Inspection, View
from attnviz.text.tokens import Unit

SOME_HEADS = [HeadId(0, 0), HeadId(3, 1), HeadId(5, 11)]


def as_json(view: View, heads: list[HeadId] | None = None) -> dict[str, Any]:
    text = b"".join(run_json(view, heads or view.all_heads()))
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def made_up(words: list[str], num_layers: int = 2, num_heads: int = 3) -> View:
    return random_inspection(tokens_of(words), num_layers, num_heads, seed=5).view("piece")


def test_the_founding_example(animal: Inspection) -> None:
    parsed = as_json(animal.view())
    assert list(parsed) == [
        "schema", "text", "pair", "model", "unit", "measure", "formula", "tokens", "heads",
    ]  # fmt: skip
    assert parsed["schema"] == "attnviz.run/1"
    assert parsed["text"] == animal.tokens.text
    assert parsed["pair"] is None
    assert parsed["model"] == {
        "name": "minilm", "family": "bert", "num_layers": 6, "num_heads": 12, "d_model": 384,
        "d_k": 32, "d_ff": 1536, "trained": True,
    }  # fmt: skip
    assert [token["text"] for token in parsed["tokens"]] == [
        "[CLS]", "The", "animal", "didn't", "cross", "the", "street", "because", "it", "was",
        "too", "tired", ".", "[SEP]",
    ]  # fmt: skip
    assert parsed["tokens"][0] == {
        "index": 0, "text": "[CLS]", "start": None, "end": None, "special": True,
        "unknown": False, "pieces": ["[CLS]"],
    }  # fmt: skip
    assert parsed["tokens"][3] == {
        "index": 3, "text": "didn't", "start": 11, "end": 17, "special": False,
        "unknown": False, "pieces": ["didn", "'", "t"],
    }  # fmt: skip
    head = next(h for h in parsed["heads"] if (h["layer"], h["head"]) == (3, 1))
    assert head["weights"][8][2] == pytest.approx(0.677, abs=5e-4)
    assert head["weights"][8][6] == pytest.approx(0.050, abs=5e-4)


@pytest.mark.parametrize("unit", ["word", "piece"])
@pytest.mark.parametrize("special", [True, False])
def test_numbers_are_exact_after_a_round_trip(
    animal: Inspection, unit: Unit, special: bool
) -> None:
    view = animal.view(unit, special)
    parsed = as_json(view)
    assert [(head["layer"], head["head"]) for head in parsed["heads"]] == view.all_heads()
    for (_, weights), head in zip(weights_of(view, view.all_heads()), parsed["heads"], strict=True):
        assert_numbers(np.array(head["weights"], dtype=np.float32), weights)
        assert_written_as_float32(head["weights"])
        np.testing.assert_allclose(np.sum(head["weights"], axis=-1), 1, rtol=0, atol=1e-6)
        assert ("dropped" in head) == (not special)
    if not special:
        dropped = np.array([head["dropped"] for head in parsed["heads"]], dtype=np.float32)
        expected = np.array([view.dropped(*head) for head in view.all_heads()])
        np.testing.assert_allclose(dropped, expected, rtol=0, atol=1e-6)


def test_it_stands_on_one_line(animal: Inspection) -> None:
    text = b"".join(run_json(animal.view(), SOME_HEADS))
    assert text.count(b"\n") == 1
    assert text.endswith(b"}]}]}\n")
    [*_, head] = json.loads(text)["heads"]
    assert list(head) == ["layer", "head", "weights", "kind", "entropy", "strongest"]


@pytest.mark.parametrize("length", [255, 256, 257, 300])
def test_long_sentences_come_in_parts(length: int) -> None:
    view = made_up(["w"] * (length - 2))
    chunks = list(run_json(view, view.all_heads()))
    assert max(map(len, chunks)) < 2_000_000
    parsed = json.loads(b"".join(chunks))
    assert len(parsed["heads"]) == 6
    for (_, weights), head in zip(weights_of(view, view.all_heads()), parsed["heads"], strict=True):
        assert_numbers(np.array(head["weights"], dtype=np.float32), weights)


def test_memory_stays_flat() -> None:
    def peak(view: View) -> int:
        tracemalloc.start()
        size = sum(map(len, run_json(view, view.all_heads())))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size > len(view.all_heads()) * 512 * 512 * 8
        return most

    few, many = (made_up(["w"] * 510, num_layers=2, num_heads=heads) for heads in (6, 12))
    assert peak(many) < peak(few) + 1_000_000 < 30_000_000


@given(words=st.lists(st.text(min_size=1), min_size=1, max_size=6))
def test_any_text_survives(words: list[str]) -> None:
    parsed = as_json(made_up(words))
    assert parsed["text"] == " ".join(words)
    assert [token["text"] for token in parsed["tokens"][1:-1]] == words
    assert [token["pieces"] for token in parsed["tokens"][1:-1]] == [[word] for word in words]
