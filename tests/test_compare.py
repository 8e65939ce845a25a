"""What heads do differently in B: distances, gains and losses, by hand and beside scipy."""

import io
import math
from typing import Any

import numpy as np
import pytest
from handmade import inspection_of, random_inspection, tokens_of
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rounding import assert_numbers
from scipy.spatial.distance import jensenshannon

import attnviz
from attnviz.answers.align import Aligned, aligned
from attnviz.answers.compare import Comparison, compare, jensen_shannon
from attnviz.attention.layer import LayerRecord
from attnviz.attention.measures import MeasureName
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model
from attnviz.show.terminal.compare import table

TIRED = "The animal didn't cross the street because it was too tired."
WIDE = TIRED.replace("tired", "wide")
IT, ANIMAL = 8, 2


@pytest.fixture(scope="module")
def wide(minilm: Model) -> Inspection:
    return minilm.inspect(WIDE)


def by_hand() -> tuple[Inspection, Inspection]:
    """`it ran` and `it never ran`, without special tokens; in two heads the row of `it` by hand."""
    a = np.full((1, 2, 2, 2), 0.5)
    b = np.full((1, 2, 3, 3), 1 / 3)
    a[0, 0, 0], b[0, 0, 0] = (0.75, 0.25), (0.25, 0.5, 0.25)
    a[0, 1, 0], b[0, 1, 0] = (0.5, 0.5), (0.5, 0.0, 0.5)
    return (
        inspection_of(tokens_of(["it", "ran"], special=False), a),
        inspection_of(tokens_of(["it", "never", "ran"], special=False), b),
    )


def of(a: Inspection, b: Inspection) -> Aligned:
    return aligned(a.view(), b.view())


def test_a_query_by_hand() -> None:
    """A: .75, absent, .25 and B: .25, .5, .25 over the aligned `it never ran`."""
    compared = compare(of(*by_hand()), query=0)
    changed, unchanged = compared.heads
    assert (changed.head, unchanged.head) == (HeadId(0, 0), HeadId(0, 1))
    np.testing.assert_allclose(changed.a, [0.75, 0, 0.25], atol=1e-6)
    np.testing.assert_allclose(changed.b, [0.25, 0.5, 0.25], atol=1e-6)
    np.testing.assert_allclose(changed.change, [-0.5, 0.5, 0], atol=1e-6)
    # middle: .5, .25, .25; in bits .75 log2 1.5 and .25 log2 .5 + .5 log2 2
    divergence = (0.75 * math.log2(1.5) + (0.25 * -1 + 0.5)) / 2
    assert changed.distance == pytest.approx(math.sqrt(divergence), abs=1e-6)
    assert (changed.gained(9), changed.lost(9)) == ([1], [0])
    assert unchanged.distance == pytest.approx(0, abs=1e-6)
    assert (changed.distances, changed.sums, changed.dropped) == (None, None, None)


def test_all_words_by_hand() -> None:
    """The mean over `it` and `ran`, which both have; `never` is no query."""
    first, second = compare(of(*by_hand())).heads
    assert first.head == HeadId(0, 0)
    it = math.sqrt((0.75 * math.log2(1.5) + 0.25) / 2)
    ran = float(jensenshannon([0.5, 0, 0.5], [1 / 3] * 3, base=2))
    assert first.distances is not None
    np.testing.assert_allclose(first.distances, [it, np.nan, ran], atol=1e-6)
    assert first.distance == pytest.approx((it + ran) / 2, abs=1e-6)
    assert second.distance == pytest.approx(ran / 2, abs=1e-6)
    np.testing.assert_allclose(first.a, [0.625, 0, 0.375], atol=1e-6)
    np.testing.assert_allclose(first.b, [7 / 24, 5 / 12, 7 / 24], atol=1e-6)


def test_a_link_is_followed() -> None:
    a, b = by_hand()
    compared = compare(of(a, b), query=0, key=2)
    assert [str(change.head) for change in compared.heads] == ["L0H0", "L0H1"]
    compared = compare(of(a, b), query=2, key=0)
    assert compared.heads[0].change[0] == pytest.approx(1 / 3 - 1 / 2, abs=1e-6)
    with pytest.raises(RequestError, match="sentence A has nothing"):
        compare(of(a, b), query=0, key=1)


ROWS = st.lists(st.floats(0, 1).map(lambda x: round(x, 3)), min_size=4, max_size=4).filter(any)


@given(p=ROWS, q=ROWS)
def test_the_distance_is_scipys(p: list[float], q: list[float]) -> None:
    one, other = np.array(p) / sum(p), np.array(q) / sum(q)
    ours = float(jensen_shannon(one, other))
    assert ours == pytest.approx(float(np.nan_to_num(jensenshannon(one, other, base=2))), abs=1e-7)
    assert 0 <= ours <= 1
    assert ours == float(jensen_shannon(other, one))


def test_the_distance_reaches_both_ends() -> None:
    p = np.array([[1.0, 0], [0.3, 0.7], [0, 0], [0, 0]])
    q = np.array([[0, 1.0], [0.3, 0.7], [0, 0], [0.5, 0.5]])
    np.testing.assert_array_equal(jensen_shannon(p, q), [1, 0, 0, 1])


def test_the_founding_pair(animal: Inspection, wide: Inspection) -> None:
    """L3H1 changes most of all heads, and `animal` is what it loses."""
    compared = compare(of(animal, wide), IT)
    most = compared.heads[0]
    assert most.head == HeadId(3, 1)
    assert most.lost(1) == [ANIMAL]
    assert most.a[ANIMAL] == pytest.approx(0.677, abs=5e-4)
    assert most.b[ANIMAL] == pytest.approx(0.281, abs=5e-4)
    assert len(compared.heads) == 72
    rows = animal.view().query(IT), wide.view().query(IT)
    for change in compared.heads:
        a, b = (side[change.head.layer, change.head.place] for side in rows)
        assert_numbers(change.a, a)
        expected = jensenshannon(a.astype(float), b.astype(float), base=2)
        assert change.distance == pytest.approx(float(expected), abs=1e-6)
    distances = [change.distance for change in compared.heads]
    assert distances == pytest.approx(sorted(distances, reverse=True), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("measure", ["weights", "norm", "rollout"])
def test_all_words_are_what_each_word_is_alone(
    animal: Inspection, wide: Inspection, measure: MeasureName, special: bool
) -> None:
    both = aligned(*(side.view(special=special, measure=measure) for side in (animal, wide)))
    alone = {
        word: {change.head: change for change in compare(both, word).heads} for word in both.words
    }
    compared = compare(both)
    for change in compared.heads[:: 1 + len(compared.heads) // 9]:
        rows = [heads[change.head] for heads in alone.values()]
        assert change.distances is not None
        mine = [row.distance for row in rows]
        np.testing.assert_allclose(change.distances[both.words], mine, atol=1e-6)
        assert change.distance == pytest.approx(np.mean(mine), abs=1e-6)
        np.testing.assert_allclose(change.b, np.mean([r.b for r in rows], axis=0), atol=1e-6)
        assert change.a.sum() == pytest.approx(1, abs=1e-5)
        for name, told in (("sums", measure == "norm"), ("dropped", not special)):
            both_sums = getattr(change, name)
            assert (both_sums is not None) == told
            if both_sums is not None:
                mean = np.mean([getattr(row, name).b for row in rows])
                assert both_sums.b == pytest.approx(mean, rel=1e-5)


def test_norms_are_compared_as_shares_of_their_rows(animal: Inspection, wide: Inspection) -> None:
    both = aligned(animal.view(measure="norm"), wide.view(measure="norm"))
    change = compare(both, IT, heads=[HeadId(3, 1)]).heads[0]
    row = animal.view(measure="norm").weights(3, 1)[IT]
    assert change.sums is not None
    assert change.sums.a == pytest.approx(row.sum(), rel=1e-6)
    np.testing.assert_allclose(change.a * change.sums.a, row, rtol=1e-5)


def test_what_went_to_special_tokens_is_told(animal: Inspection, wide: Inspection) -> None:
    both = aligned(animal.view(special=False), wide.view(special=False))
    [change] = compare(both, both.find("it")[0], heads=[HeadId(3, 1)]).heads
    assert change.dropped is not None
    shares = [float(side.view(special=False).dropped(3, 1)[IT - 1]) for side in (animal, wide)]
    assert [change.dropped.a, change.dropped.b] == pytest.approx(shares, abs=1e-6)


def test_one_sentence_in_two_models() -> None:
    tokens = tokens_of(["it", "ran"])
    a, b = (random_inspection(tokens, 2, 3, seed) for seed in (1, 2))
    compared = compare(of(a, b), 1)
    first = compared.heads[0]
    pair = a.view().query(1)[first.head], b.view().query(1)[first.head]
    assert first.distance == pytest.approx(float(jensenshannon(*pair, base=2)), abs=1e-6)
    assert first.distance == max(change.distance for change in compared.heads) > 0


def test_a_sentence_and_itself(animal: Inspection) -> None:
    both = of(animal, animal)
    assert both.identical
    compared = compare(both)
    assert {change.distance for change in compared.heads} == {0.0}
    assert [change.head for change in compared.heads] == animal.view().all_heads()
    assert compared.heads[0].gained(3) == compared.heads[0].lost(3) == []


def test_from_python(animal: Inspection, wide: Inspection) -> None:
    compared = attnviz.compare(animal, wide, query="it", key="animal", layer=3)
    assert isinstance(compared, Comparison)
    assert str(compared.heads[0].head) == "L3H1"
    assert len(compared.heads) == 12
    assert repr(compared) == f"<Comparison of {TIRED!r} and {WIDE!r}: 12 heads>"
    figure = attnviz.figure(compared)
    assert figure.get_suptitle() == "minilm · L3H1 · query: it"
    with pytest.raises(RequestError, match="an answer is shown as it is, and head came with it"):
        attnviz.figure(compared, head="L2H0")
    rolled = attnviz.compare(animal, wide, "it", measure="rollout", special=False)
    assert {change.head.head for change in rolled.heads} == {None}
    changed = attnviz.compare(animal, wide, query="tired")
    assert changed.query is not None
    assert changed.alignment.columns[changed.query].label == "tired→wide"
    with pytest.raises(RequestError, match='"dog" is in neither sentence'):
        attnviz.compare(animal, wide, query="dog")


@pytest.mark.parametrize(("query", "special"), [("it", True), ("it", False), (None, True)])
def test_each_row_is_computed_once(
    animal: Inspection,
    wide: Inspection,
    query: str | None,
    special: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`attnviz compare --query it`, its footnotes too: one computation a layer and inspection."""
    compute, rows = LayerRecord.weights, []

    def counted(*asked: Any) -> np.ndarray:
        weights = compute(*asked)
        rows.append(weights.shape[:2])
        return weights

    monkeypatch.setattr(LayerRecord, "weights", counted)
    both = aligned(animal.view(special=special), wide.view(special=special))
    comparison = compare(both, None if query is None else both.find(query)[0])
    stream = io.StringIO()
    Console(file=stream, width=100).print(table(comparison))
    assert "special tokens" in stream.getvalue().lower() or query is None
    assert list(comparison.rows(1))
    assert comparison.data(1)["heads"]
    # all rows of all heads come from one product of all layers
    assert rows == (2 * [(72, 16)] if query is None else 2 * 6 * [(12, 1)])
