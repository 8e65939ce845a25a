"""What special tokens take, and that no head is computed twice to tell it."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from handmade import random_inspection, tokens_of
from rich.console import Console
from rounding import assert_numbers
from shown import answer_about, head_table, key_grid, key_rows, view_html

import attnviz
from attnviz.answers.overview import overview
from attnviz.answers.word import Word, word
from attnviz.attention.layer import LayerRecord
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection, View
from attnviz.show.forms import table as table_of
from attnviz.text.tokens import Unit

HEADS = [HeadId(3, 1), HeadId(0, 2)]


def test_who_looks_at_a_key_and_what_was_dropped(animal: Inspection) -> None:
    view, whole = animal.view(special=False), animal.view()
    found = word(view, 1, "key", HEADS)
    for column, head in zip(found.weights, HEADS, strict=True):
        np.testing.assert_allclose(column, view.weights(*head)[:, 1], atol=1e-6)
    special = [whole.weights(*head)[1:-1][:, [0, -1]].sum(axis=-1).mean() for head in HEADS]
    assert found.special == pytest.approx(np.mean(special), abs=1e-6)
    assert word(whole, 1, "key", HEADS).special is None


@pytest.mark.parametrize(("special", "it"), [(True, 8), (False, 7)])
def test_a_querys_share_is_that_of_the_heads_asked_for(
    animal: Inspection, special: bool, it: int
) -> None:
    view = animal.view(special=special)
    rows = np.array([animal.weights(*head)[8] for head in HEADS])
    expected = rows[:, [0, -1]].sum(axis=-1).mean()
    assert word(view, it, "query", HEADS).special == pytest.approx(expected, abs=1e-6)
    assert word(view, it, "query").special == pytest.approx(0.39, abs=5e-3)


def test_without_special_tokens_there_is_no_share() -> None:
    view = random_inspection(tokens_of(["a", "b"], special=False), 1, 2, seed=1).view()
    assert word(view, 0, "query").special is None
    np.testing.assert_array_equal(view.row(0).special, np.zeros(2))


@pytest.mark.parametrize("unit", ["word", "piece"])
@pytest.mark.parametrize(("query", "row"), [("[CLS]", 0), ("[SEP]", -1)])
def test_a_special_query_is_kept_where_special_tokens_are_left_out(
    animal: Inspection, unit: Unit, query: str, row: int
) -> None:
    found = attnviz.word(animal, query=query, special=False, unit=unit)
    assert isinstance(found, Word)
    whole = animal.view(unit)
    for place, head in enumerate(found.heads):
        own = whole.weights(*head)[row]
        kept = own[1:-1] / own[1:-1].sum()
        seen = found.allowed[place]
        assert_numbers(found.weights[place][seen], kept)
        assert found.weights[place][~seen].tolist() == [0.0]
        assert found.dropped is not None
        assert_numbers(found.dropped[place, 0], own[[0, -1]].sum())
    listed = found.data()["heads"][0]["keys"]
    assert query not in [key["text"] for key in listed]
    assert len(listed) == len(whole.keys) - 2
    assert found.data()["word"]["text"] == query


def test_what_a_special_query_is_asked_without_special_tokens(animal: Inspection) -> None:
    wide = attnviz.inspect(f"{animal.tokens.text[:-6]}wide.")
    whole = attnviz.find(animal, "[CLS]", "animal")
    found = attnviz.find(animal, "[CLS]", "animal", special=False)
    assert found.keys == whole.keys - 2
    row = animal.weights(*found.places[0])[0]
    assert_numbers(found.weights[0], row[2] / row[1:-1].sum())
    assert set(found.same_key.counts) == {12}  # all words, and [SEP] beside them in the whole
    assert set(whole.same_key.counts) == {13}
    changed = attnviz.compare(animal, wide, query="[SEP]", special=False)
    assert changed.heads[0].distance > 0
    assert not any(abs(changed.heads[0].change[[0, -1]]) > 0.5)
    drawn = attnviz.links(animal, query="[CLS]", head="L3H1", special=False)
    assert 0 not in drawn.keys
    assert set(drawn.queries.tolist()) == {0}
    texts = [text.get_text() for text in attnviz.figure(drawn).axes[0].texts]
    assert texts.count("[CLS]") == 1  # among the queries alone
    with pytest.raises(RequestError, match="a query alone") as caught:
        attnviz.find(animal, "[CLS]", "animal", both=True, special=False)
    assert "--both" in caught.value.hint


def test_special_tokens_that_are_left_out_are_told(animal: Inspection) -> None:
    for query, key in ((None, "[CLS]"), ("it", "[SEP]")):
        with pytest.raises(RequestError, match="there is no") as caught:
            attnviz.word(animal, query, key, special=False)
        assert caught.value.hint == "special tokens are left out; keep them"
    with pytest.raises(RequestError) as caught:
        attnviz.word(animal, query="[MASK]", special=False)
    assert "it has The, animal" in caught.value.hint
    # a place counts what is shown, as ever
    assert attnviz.to_rows(animal, query="@0", special=False)[0]["query"] == "The"


COMPUTED: dict[str, tuple[Callable[[View], object], int]] = {
    "summary": (overview, 6),
    "who looks at a word": (lambda view: key_grid(view, 1), 6),
    "who looks at a word in a head": (lambda view: key_rows(view, 1, [HeadId(1, 2)]), 1),
    "a head": (lambda view: head_table(view, HeadId(1, 2)), 1),
    "a notebook, and a row of each": (view_html, 12),
}


@pytest.mark.parametrize(("unit", "special"), [("word", True), ("word", False), ("piece", True)])
def test_a_querys_rows_are_computed_once_a_layer(
    animal: Inspection, unit: Unit, special: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`attnviz run --query it`: the grid, the lines below it and the footnote, of 6 layers."""
    compute, calls = LayerRecord.weights, 0

    def counted(*asked: Any) -> np.ndarray:
        nonlocal calls
        calls += 1
        return compute(*asked)

    monkeypatch.setattr(LayerRecord, "weights", counted)
    view = animal.view(unit, special)
    stream = io.StringIO()
    Console(file=stream, width=100).print(table_of(answer_about(view, query=7), top=5))
    assert "special tokens" in stream.getvalue().lower()
    assert calls == 6


@pytest.mark.parametrize("look", COMPUTED)
@pytest.mark.parametrize("special", [True, False])
def test_each_head_is_computed_once(
    monkeypatch: pytest.MonkeyPatch, look: str, special: bool
) -> None:
    """The softmax over all keys of all queries is what takes the time."""
    view = random_inspection(tokens_of(["a", "b", "c"]), 2, 3, seed=1).view(special=special)
    compute, computed = LayerRecord.weights, 0

    def counted(*asked: Any) -> np.ndarray:
        nonlocal computed
        weights = compute(*asked)
        computed += len(weights)
        return weights

    monkeypatch.setattr(LayerRecord, "weights", counted)
    ask, heads = COMPUTED[look]
    ask(view)
    assert computed == heads
