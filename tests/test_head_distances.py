"""Jensen-Shannon distances between heads: by hand, and the same in any split and order."""

import json

import numpy as np
import pytest
from corpora import seen_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from attnviz.answers.distances import Distances
from attnviz.corpus.fold import Seen
from attnviz.corpus.statistics import distances as module
from attnviz.corpus.statistics.distances import HeadDistances, clustered, distances

HEADS = 2, 3
TEXTS = [seen_of(number, [f"w{n}" for n in range(3 + number % 5)], HEADS) for number in range(23)]


def found(accumulator: HeadDistances) -> Distances:
    result = accumulator.result()
    assert result is not None
    return result


def folded(texts: list[Seen]) -> HeadDistances:
    accumulator = HeadDistances()
    for seen in texts:
        accumulator.add(seen)
    return accumulator


def test_the_distance_of_two_rows_by_hand() -> None:
    """[1, 0] and [1/2, 1/2]: H(3/4, 1/4) − (0 + 1) / 2 = 0.8113 − 0.5; no key in common: 1 bit."""
    rows = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0.3, 0.7], [1, 0, 0, 0]], np.float32)
    expected = [0.3112781, 1, 0, 1, 0.3112781, 1]
    np.testing.assert_allclose(distances(rows), expected, rtol=0, atol=2e-6)


def test_distances_are_those_of_scipy() -> None:
    rows = np.random.default_rng(1).dirichlet(np.full(400, 0.3), 91).astype(np.float32)
    found = distances(rows)
    a, b = np.triu_indices(91, 1)
    some = np.arange(0, len(a), 97)
    precise = rows.astype(np.float64)
    expected = jensenshannon(precise[a[some]], precise[b[some]], base=2, axis=1) ** 2
    np.testing.assert_allclose(found[some], expected, rtol=0, atol=1e-5)


def test_a_small_corpus_is_compared_in_every_word() -> None:
    """The mean over all words of all texts; special tokens are keys, and no queries."""
    sums, count = np.zeros((6, 6)), 0
    for seen in TEXTS:
        weights = seen.view.inspection.view().blocks(seen.view.all_heads())
        matrix = np.concatenate([block.weights for block in weights])
        for query in range(1, matrix.shape[1] - 1):
            rows = matrix[:, query]
            sums += jensenshannon(rows[:, None], rows[None], base=2, axis=2) ** 2
            count += 1
    result = found(folded(TEXTS))
    assert result.rows == count
    np.testing.assert_allclose(result.matrix, sums / count, rtol=0, atol=2e-6)


def test_of_many_words_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 32)
    monkeypatch.setattr(module, "EVERY", 1 << 20)
    words = sum(len(seen.view.tokens) - 2 for seen in TEXTS)
    assert words == 112
    few, all_ = found(folded(TEXTS)), found(folded(TEXTS[:6]))
    assert all_.rows == sum(len(seen.view.tokens) - 2 for seen in TEXTS[:6])
    assert 15 < few.rows < 45  # a quarter of the words, by lot


@settings(max_examples=25)
@given(data=st.data())
@pytest.mark.parametrize("waiting", [0, 1 << 24], ids=["at once", "later"])
def test_any_split_and_order_gives_the_same(waiting: int, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_ROWS", 16)
        patch.setattr(module, "FEWEST_ROWS", 1)
        patch.setattr(module, "EVERY", 1 << 20)
        patch.setattr(module, "WAITING_BYTES", waiting)
        order = data.draw(st.permutations(range(len(TEXTS))))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(TEXTS)), max_size=4)))
        whole, joined = folded(TEXTS), HeadDistances()
        for start, end in zip([0, *cuts], [*cuts, len(TEXTS)], strict=True):
            part = folded([TEXTS[place] for place in order[start:end]])
            if data.draw(st.booleans()):
                part = restored(part)
            joined.merge(part)
        one, other = found(whole), found(joined)
        assert one.rows == other.rows
        np.testing.assert_allclose(one.matrix, other.matrix, rtol=0, atol=1e-9)
        assert one.clusters == other.clusters


def restored(accumulator: HeadDistances) -> HeadDistances:
    """What was kept, after values were JSON."""
    state, other = accumulator.state(), HeadDistances()
    arrays = {name: one for name, one in state.items() if isinstance(one, np.ndarray)}
    values = json.loads(json.dumps({name: state[name] for name in state.keys() - arrays.keys()}))
    other.restore(values | arrays)
    return other


def test_clusters_are_branches_that_are_near() -> None:
    """Two pairs, 0.1 and 0.2 apart, 0.9 between them; a fifth head is far from all."""
    matrix = np.full((5, 5), 0.9)
    matrix[4] = matrix[:, 4] = 1
    for a, b, far in ((0, 2, 0.1), (1, 3, 0.2)):
        matrix[a, b] = matrix[b, a] = far
    np.fill_diagonal(matrix, 0)
    result = clustered(matrix, 7)
    assert result.clusters == ((0, 2), (1, 3), (4,))
    assert [join[:2] for join in result.tree] == [(0, 2), (1, 3), (5, 6), (4, 7)]
    np.testing.assert_allclose([join[2] for join in result.tree], [0.1, 0.2, 0.9, 1])
    assert [join[3] for join in result.tree] == [2, 2, 4, 5]
    assert result.cluster_of == (0, 1, 0, 1, 2)
    assert result.data()["rows"] == 7


def test_too_many_heads_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_HEADS", 5)
    assert folded(TEXTS[:3]).result() is None


def test_nothing_to_compare_has_no_distances() -> None:
    assert HeadDistances().result() is None
    alone = folded([seen_of(0, ["a", "b"], (1, 1))])
    assert alone.result() is None
    assert restored(HeadDistances()).result() is None
