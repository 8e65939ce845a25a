"""How heads join two words: by hand, beside a direct computation, and on the founding example."""

import itertools

import numpy as np
import pytest
from blocks import weights_of
from conftest import ANIMAL
from handmade import inspection_of, random_inspection, tokens_of

import attnviz
from attnviz.answers.find import Finding, find
from attnviz.answers.select import Phrase, find_phrase
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection, View

A, B, C, D = 1, 2, 3, 4
"""The words of `[CLS] a b c d [SEP]`."""


def phrase(view: View, *indices: int) -> Phrase:
    return Phrase(tuple(view.tokens[i] for i in indices))


def by_hand(special: bool = True) -> View:
    """One layer of two heads; in L0H1 the rows of b, c and d are written down, all else even."""
    weights = np.full((1, 2, 6, 6), 1 / 6)
    weights[0, 1, B] = (0.0, 0.8, 0.0, 0.1, 0.1, 0.0)
    weights[0, 1, C] = (0.2, 0.1, 0.4, 0.1, 0.1, 0.1)
    weights[0, 1, D] = (0.4, 0.0, 0.3, 0.2, 0.0, 0.1)
    return inspection_of(tokens_of(["a", "b", "c", "d"]), weights).view(special=special)


def test_one_word_and_another() -> None:
    """d looks at b: two to the left, as only c does at a, since special tokens do not count."""
    view = by_hand()
    finding = find(view, phrase(view, D), phrase(view, B))
    best, other = finding.heads
    assert (best.head, other.head) == (HeadId(0, 1), HeadId(0, 0))
    assert (best.rank, best.argmax) == (2, False)  # [CLS] has more
    assert best.weight == pytest.approx(0.3)
    assert best.expected == pytest.approx((0.3 + 0.1) / 2)
    assert best.lift == pytest.approx(1.5)
    assert view.tokens[finding.strongest[1]].label == "[CLS]"
    assert finding.most[1] == pytest.approx(0.4)
    assert (finding.keys, finding.pairs, finding.alone) == (6, 2, False)
    assert finding.dropped is None


def test_what_all_keys_share_is_nobodys_argmax() -> None:
    view = by_hand()
    even = find(view, phrase(view, D), phrase(view, B)).heads[1]
    assert (even.rank, even.argmax) == (1, False)
    assert even.lift == pytest.approx(1)


def test_the_argmax_is_alone_at_the_top() -> None:
    view = by_hand()
    head = find(view, phrase(view, B), phrase(view, A)).heads[0]
    assert (head.head, head.rank, head.argmax) == (HeadId(0, 1), 1, True)
    assert head.expected == pytest.approx((0.8 + 0.4 + 0.2) / 3)


def test_special_tokens_count_where_they_are_asked_for() -> None:
    """[CLS] is one to the left of a alone, and two of b; among words, only the key is special."""
    view = by_hand()
    finding = find(view, phrase(view, C), phrase(view, 0))
    [weights] = [weights for head, weights in weights_of(view, [HeadId(0, 1)])]
    # c to [CLS] is three to the left, as d to a; [SEP], which is no query here, to b is not counted
    assert finding.heads[0].expected == pytest.approx((weights[C, 0] + weights[D, A]) / 2)
    assert finding.pairs == 2


def test_nothing_expected_has_no_lift() -> None:
    weights = np.zeros((1, 1, 2, 2))
    weights[0, 0, :, 0] = 1
    view = inspection_of(tokens_of(["a", "b"], special=False), weights).view()
    [head] = find(view, phrase(view, 0), phrase(view, 1)).heads
    assert (head.weight, head.expected, head.lift, head.rank) == (0, 0, None, 2)
    assert head.argmax is False


def test_words_as_far_apart_as_no_others_are_told() -> None:
    view = by_hand()
    finding = find(view, phrase(view, D), phrase(view, A))
    assert (finding.pairs, finding.alone) == (1, True)
    assert {head.lift for head in find(view, phrase(view, C), phrase(view, A)).heads} != {1.0}


def test_without_special_tokens() -> None:
    """Rows are renormalised, distances count what is left, and the dropped share is told."""
    view = by_hand(special=False)
    finding = find(view, phrase(view, D - 1), phrase(view, B - 1))
    best = finding.heads[0]
    assert (best.head, best.rank, best.argmax) == (HeadId(0, 1), 1, True)
    assert best.weight == pytest.approx(0.3 / 0.5)
    assert best.expected == pytest.approx((0.3 / 0.5 + 0.1 / 0.7) / 2)
    assert finding.dropped is not None
    np.testing.assert_allclose(finding.dropped, [2 / 6, 0.5], rtol=1e-6)
    assert finding.keys == 4


def test_a_phrase_counts_as_its_words_together() -> None:
    """c and d look at a and b: the sum over the keys, the mean over the queries."""
    view = by_hand()
    finding = find(view, phrase(view, C, D), phrase(view, A, B))
    best = finding.heads[0]
    assert best.weight == pytest.approx((0.1 + 0.4 + 0.0 + 0.3) / 2)
    # [CLS] has (0.2 + 0.4) / 2 = 0.3; b alone has 0.35
    assert (best.rank, best.argmax, finding.keys) == (1, True, 5)
    one, two, three = (0.8 + 0.4 + 0.2) / 3, (0.1 + 0.3) / 2, 0.0
    assert best.expected == pytest.approx((two + one + three + two) / 2)
    assert finding.pairs == 3 + 2 + 1


def test_a_phrase_may_come_first_without_the_strongest_word() -> None:
    weights = np.full((1, 1, 4, 4), 0.25)
    weights[0, 0, 0] = (0.1, 0.3, 0.25, 0.35)
    view = inspection_of(tokens_of(["a", "b", "c", "d"], special=False), weights).view()
    [head] = find(view, phrase(view, 0), phrase(view, 1, 2)).heads
    assert (head.rank, head.argmax) == (1, False)


def direct(weights: np.ndarray, view: View, query: Phrase, key: Phrase) -> tuple[float, float, int]:
    """Weight, expected and pairs of one matrix, pair by pair."""
    n = range(len(weights))
    looks = [i for i in n if query.special or not view.tokens[i].special]
    seen = [j for j in n if key.special or not view.tokens[j].special]
    expected, pairs = 0.0, set()
    for q, k in itertools.product(query.indices, key.indices):
        same = [(i, j) for i in looks for j in seen if j - i == k - q]
        pairs |= set(same)
        expected += sum(weights[i, j] for i, j in same) / len(same)
    total = sum(weights[q, k] for q, k in itertools.product(query.indices, key.indices))
    return total / len(query.tokens), expected / len(query.tokens), len(pairs)


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize(
    ("query", "key"),
    [([5], [2]), ([2], [5]), ([1, 2], [4]), ([6], [1, 2, 3]), ([4, 5], [1, 2]), ([0], [6])],
)
def test_beside_a_direct_computation(query: list[int], key: list[int], special: bool) -> None:
    tokens = tokens_of(["the", "cat", "sat", "and", "it", "slept", "well"])
    view = random_inspection(tokens, 3, 5, seed=11).view(special=special)
    finding = find(view, phrase(view, *query), phrase(view, *key))
    assert len(finding.places) == 15
    for place, (head, weights) in enumerate(weights_of(view, view.all_heads())):
        weight, expected, pairs = direct(weights, view, finding.query, finding.key)
        assert finding.places[place] == head
        assert finding.weights[place] == pytest.approx(weight, abs=1e-6)
        assert finding.expected[place] == pytest.approx(expected, abs=1e-6)
        row = weights[query].mean(axis=0)
        # a key's weight is that of another one's only by rounding
        least = finding.weights[place] * (1 + 1e-5)
        more = [j for j in range(len(row)) if j not in key and row[j] > least]
        assert finding.ranks[place] == 1 + len(more)
        assert finding.argmax[place] == (int(row.argmax()) in key)
        assert finding.strongest[place] == row.argmax()
        assert finding.pairs == pairs


def test_heads_are_ranked_and_may_be_chosen() -> None:
    view = random_inspection(tokens_of(["a", "b", "c"]), 2, 4, seed=5).view()
    query, key = phrase(view, 3), phrase(view, 1)
    ranked = [head.weight for head in find(view, query, key).heads]
    assert ranked == pytest.approx(sorted(ranked, reverse=True), rel=1e-5, abs=1e-6)
    chosen = find(view, query, key, [HeadId(1, 2), HeadId(0, 3)])
    assert {head.head for head in chosen.heads} == {HeadId(1, 2), HeadId(0, 3)}


def test_both_directions_at_once() -> None:
    view = random_inspection(tokens_of(["a", "b", "c"]), 2, 4, seed=6).view()
    query, key = phrase(view, 3), phrase(view, 1)
    there = find(view, query, key, both=True)
    back = there.reverse
    assert back is not None
    assert there.heads == find(view, query, key).heads
    assert back.heads == find(view, key, query).heads
    assert (back.query, back.key) == (key, query)


def test_a_measure_without_heads(animal: Inspection) -> None:
    view = animal.view(measure="rollout")
    finding = find(view, phrase(view, 8), phrase(view, 2))
    assert sorted(head.head for head in finding.heads) == view.all_heads()
    expected = {layer: view.weights(layer)[8, 2] for layer in range(6)}
    assert {h.head.layer: h.weight for h in finding.heads} == pytest.approx(expected)


def test_norms_are_ranked_by_what_arrives(animal: Inspection) -> None:
    view = animal.view(measure="norm")
    best = find(view, phrase(view, 8), phrase(view, 2)).heads[0]
    assert best.weight == pytest.approx(float(view.query(8)[..., 2].max()), rel=1e-6)
    assert best.weight > 1


@pytest.fixture(scope="module")
def founding(animal: Inspection) -> Finding:
    return attnviz.find(animal, "it", "animal")


def test_the_founding_example(animal: Inspection, founding: Finding) -> None:
    first, second = founding.heads[:2]
    assert (str(first.head), str(second.head)) == ("L3H1", "L5H11")
    assert (round(first.weight, 3), round(second.weight, 3)) == (0.677, 0.673)
    assert (first.rank, first.argmax, second.rank, second.argmax) == (1, True, 1, True)
    assert founding.keys == 14
    words = [(i, i - 6) for i in range(7, 13)]  # as far apart as it (8) and animal (2)
    assert founding.pairs == len(words)
    weights = animal.weights(3, 1)
    expected = float(np.mean([weights[pair] for pair in words]))
    assert first.expected == pytest.approx(expected, rel=1e-5)
    assert first.lift == pytest.approx(first.weight / expected, rel=1e-5)
    assert len(founding.heads) == 72
    assert "'it' looking at 'animal'" in repr(founding)


def test_from_python(animal: Inspection, founding: Finding) -> None:
    chosen = attnviz.find(animal, "it", "the street", head="L5H5", special=False)
    [head] = chosen.heads
    weights = animal.weights(5, 5, special=False)
    assert head.weight == pytest.approx(weights[7, 4] + weights[7, 5])
    pieces = attnviz.find(animal, "didn't", "animal", unit="piece")
    assert pieces.heads[0].weight == pytest.approx(
        float(animal.view().query(3)[..., 2].max()), rel=1e-5
    )
    assert attnviz.find(animal, "it", "animal", layer=3).heads[0] == founding.heads[0]
    with pytest.raises(RequestError, match='there is no "dog"'):
        attnviz.find(animal, "it", "dog")
    with pytest.raises(RequestError, match="the same word"):
        attnviz.find(animal, "it", "IT")
    assert find_phrase(animal.view().tokens, "it").text in ANIMAL
