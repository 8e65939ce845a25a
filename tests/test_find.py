"""How heads join two words: by hand, beside a direct computation, and on the founding example."""

import itertools
from typing import get_args

import numpy as np
import pytest
from blocks import weights_of
from conftest import ANIMAL
from handmade import inspection_of, random_inspection, tokens_of

import attnviz
from attnviz.answers.find import By, Finding, find
from attnviz.answers.select import Phrase, find_phrase
from attnviz.answers.yardsticks import best_first
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


def near(mean: float, of: int, weight: float) -> object:
    """A yardstick, nearly."""
    return pytest.approx((mean, of, weight / mean))


def test_one_word_and_another() -> None:
    """d looks at b: two to the left, as c at a; a, b and c look at b too; no special token does."""
    view = by_hand()
    finding = find(view, phrase(view, D), phrase(view, B))
    best, other = finding.heads
    assert (best.head, other.head) == (HeadId(0, 1), HeadId(0, 0))
    assert (best.rank, best.argmax) == (2, False)  # [CLS] has more
    assert best.weight == pytest.approx(0.3)
    assert best.same_distance == near(0.1, 1, 0.3)
    key = (1 / 6 + 0.0 + 0.4) / 3
    assert best.same_key == near(key, 3, 0.3)
    assert best.excess == pytest.approx(0.3 - key)
    assert view.tokens[finding.strongest[1]].label == "[CLS]"
    assert finding.most[1] == pytest.approx(0.4)
    assert (finding.keys, finding.dropped) == (6, None)


def test_what_all_keys_share_is_nobodys_argmax() -> None:
    view = by_hand()
    even = find(view, phrase(view, D), phrase(view, B)).heads[1]
    assert (even.rank, even.argmax) == (1, False)
    assert even.same_distance == near(1 / 6, 1, 1 / 6)
    assert even.excess == pytest.approx(0)
    assert even.explained == "same_key"


def test_the_argmax_is_alone_at_the_top() -> None:
    view = by_hand()
    head = find(view, phrase(view, B), phrase(view, A)).heads[0]
    assert (head.head, head.rank, head.argmax) == (HeadId(0, 1), 1, True)
    assert head.same_distance == near((0.4 + 0.2) / 2, 2, 0.8)  # c at b, d at c
    assert head.same_key == near((1 / 6 + 0.1 + 0.0) / 3, 3, 0.8)
    assert head.excess == pytest.approx(0.8 - 0.3)
    assert head.explained is None


def test_special_tokens_count_where_they_are_asked_for() -> None:
    """c to [CLS] is three to the left, as d to a; [SEP], which is no query here, does not count."""
    view = by_hand()
    head = find(view, phrase(view, C), phrase(view, 0)).heads[0]
    assert head.same_distance == (0, 1, None)
    assert head.same_key == near((1 / 6 + 0.0 + 0.4) / 3, 3, 0.2)
    # [SEP] is a query, and so is [CLS]; as far to the left as [SEP] is from b, d looks at a
    [special] = find(view, phrase(view, 5), phrase(view, B), [HeadId(0, 1)]).heads
    assert special.same_distance == (0, 1, None)
    assert special.same_key == near((1 / 6 + 1 / 6 + 0.0 + 0.4 + 0.3) / 5, 5, 1 / 6)


def test_a_mean_of_nothing_has_no_lift() -> None:
    weights = np.zeros((1, 1, 3, 3))
    weights[0, 0, :, 0] = 1
    view = inspection_of(tokens_of(["a", "b", "c"], special=False), weights).view()
    [head] = find(view, phrase(view, 0), phrase(view, 1)).heads
    assert (head.weight, head.excess, head.rank, head.argmax) == (0, 0, 2, False)
    assert (head.same_distance, head.same_key) == ((0, 1, None), (0, 2, None))
    assert head.explained is None


def test_where_there_is_nothing_to_compare_with() -> None:
    """No other words are as far apart, and only the key looks at itself: that is no yardstick."""
    view = inspection_of(tokens_of(["it", "ran"]), np.full((1, 2, 4, 4), 0.25)).view()
    for head in find(view, phrase(view, 1), phrase(view, 2)).heads:
        assert (head.same_distance, head.same_key, head.excess) == (None, None, None)
        assert head.explained is None
    view = by_hand()
    head = find(view, phrase(view, D), phrase(view, A)).heads[0]
    assert head.same_distance is None  # nothing else is three to the left
    assert head.same_key is not None
    assert head.excess == pytest.approx(head.weight - head.same_key.mean, abs=1e-6)


def test_without_special_tokens() -> None:
    """Rows are renormalised, distances count what is left, and the dropped share is told."""
    view = by_hand(special=False)
    finding = find(view, phrase(view, D - 1), phrase(view, B - 1))
    best = finding.heads[0]
    assert (best.head, best.rank, best.argmax) == (HeadId(0, 1), 1, True)
    assert best.weight == pytest.approx(0.3 / 0.5)
    assert best.same_distance == near(0.1 / 0.7, 1, 0.6)
    assert best.same_key == near((1 / 4 + 0.0 + 0.4 / 0.7) / 3, 3, 0.6)
    assert finding.dropped is not None
    np.testing.assert_allclose(finding.dropped, [2 / 6, 0.5], rtol=1e-6)
    assert finding.keys == 4


def test_a_phrase_counts_as_its_words_together() -> None:
    """c and d look at b: the mean over the queries; each pair of words has its own yardsticks."""
    view = by_hand()
    finding = find(view, phrase(view, C, D), phrase(view, B))
    best = finding.heads[0]
    assert best.weight == pytest.approx((0.4 + 0.3) / 2)
    # [CLS] has (0.2 + 0.4) / 2 = 0.3
    assert (best.rank, best.argmax, finding.keys) == (1, True, 6)
    one, two = (0.8 + 0.2) / 2, 0.1  # b at a, d at c; c at a
    assert best.same_distance == near((one + two) / 2, 3, 0.35)
    assert best.same_key == near((1 / 6 + 0.0) / 2, 2, 0.35)  # a, and b itself
    assert best.excess == pytest.approx(0.35 - (one + two) / 2)


def test_a_key_of_two_words_sums_their_yardsticks() -> None:
    """d looks at b and c, and a and b look at them too, beside c itself."""
    view = by_hand()
    [head] = find(view, phrase(view, D), phrase(view, B, C), [HeadId(0, 1)]).heads
    assert head.weight == pytest.approx(0.3 + 0.2)
    assert head.same_distance == near(0.1 + (0.8 + 0.4) / 2, 1 + 2, 0.5)  # c at a; b at a, c at b
    at_b, at_c = (1 / 6 + 0.0 + 0.4) / 3, (1 / 6 + 0.1 + 0.1) / 3
    assert head.same_key == near(at_b + at_c, 3, 0.5)
    assert head.excess == pytest.approx(0.5 - 0.7)
    lacks = find(view, phrase(view, D), phrase(view, A, B)).heads[0]
    assert lacks.same_distance is None  # a is further from d than any other word from another
    assert lacks.same_key is not None


def test_a_stripe_ranks_below_a_link() -> None:
    """L0H0 gives `b` 0.7 from everywhere, L0H1 0.6 from d alone, L0H2 0.65 two words back."""
    weights = np.full((1, 3, 5, 5), 0.2)
    weights[0, 0] = (0.075, 0.7, 0.075, 0.075, 0.075)
    weights[0, 1, 3] = (0.1, 0.6, 0.1, 0.1, 0.1)
    for row in (2, 3, 4):
        weights[0, 2, row] = 0.0875
        weights[0, 2, row, row - 2] = 0.65
    view = inspection_of(tokens_of(list("abcde"), special=False), weights).view()
    query, key = phrase(view, 3), phrase(view, 1)
    ranked = find(view, query, key)
    assert [str(head.head) for head in ranked.heads] == ["L0H1", "L0H0", "L0H2"]
    assert [head.explained for head in ranked.heads] == [None, "same_key", "same_distance"]
    assert [head.excess for head in ranked.heads] == pytest.approx([0.4, 0, 0], abs=1e-6)
    by_weight = find(view, query, key, by="weight")
    assert [str(head.head) for head in by_weight.heads] == ["L0H0", "L0H2", "L0H1"]
    assert (ranked.data()["by"], by_weight.data()["by"]) == ("excess", "weight")


def test_heads_with_nothing_to_compare_with_come_last() -> None:
    """Equal ones, and those without an excess, stand by weight."""
    excess = np.array([np.nan, -0.2, 0.1, np.nan, 0.1], np.float32)
    weights = np.array([0.3, 0.1, 0.2, 0.9, 0.4], np.float32)
    assert best_first(weights, excess).tolist() == [4, 2, 1, 3, 0]


def test_a_phrase_may_come_first_without_the_strongest_word() -> None:
    weights = np.full((1, 1, 4, 4), 0.25)
    weights[0, 0, 0] = (0.1, 0.3, 0.25, 0.35)
    view = inspection_of(tokens_of(["a", "b", "c", "d"], special=False), weights).view()
    [head] = find(view, phrase(view, 0), phrase(view, 1, 2)).heads
    assert (head.rank, head.argmax) == (1, False)


Direct = tuple[float, tuple[float, int] | None, tuple[float, int] | None]


def direct(weights: np.ndarray, view: View, query: Phrase, key: Phrase) -> Direct:
    """The weight of one matrix, same distance and same key with their counts, pair by pair."""
    looks = [i for i, token in enumerate(view.tokens) if query.special or not token.special]
    seen = [j for j, token in enumerate(view.keys) if key.special or not token.special]
    own = list(itertools.product(query.indices, key.indices))
    total, far, at_key = 0.0, [], []
    for q, k in own:
        total += weights[q, k]
        far.append([(i, j) for i in looks for j in seen if j - i == k - q and (i, j) not in own])
        at_key.append([(i, k) for i in looks if i not in query.indices])

    def mean(others: list[list[tuple[int, int]]]) -> float:
        each = (float(np.mean([weights[pair] for pair in pairs])) for pairs in others)
        return sum(each) / len(query.tokens)

    distance = (mean(far), len(set(itertools.chain(*far)))) if all(far) else None
    lonely = not set(looks) - set(query.indices) - set(key.indices)
    return (
        total / len(query.tokens),
        distance,
        None if lonely else (mean(at_key), len(at_key[0])),
    )


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
    heads = {head.head: head for head in finding.heads}
    for place, (head, weights) in enumerate(weights_of(view, view.all_heads())):
        weight, distance, same_key = direct(weights, view, finding.query, finding.key)
        assert finding.places[place] == head
        assert finding.weights[place] == pytest.approx(weight, abs=1e-6)
        for found, told in (
            (heads[head].same_distance, distance),
            (heads[head].same_key, same_key),
        ):
            assert (found is None) == (told is None)
            if found is not None:
                assert found[:2] == pytest.approx(told, abs=1e-6)
        row = weights[query].mean(axis=0)
        # a key's weight is that of another one's only by rounding
        least = finding.weights[place] * (1 + 1e-5)
        more = [j for j in range(len(row)) if j not in key and row[j] > least]
        assert finding.ranks[place] == 1 + len(more)
        assert finding.argmax[place] == (int(row.argmax()) in key)
        assert finding.strongest[place] == row.argmax()


def test_heads_are_ranked_and_may_be_chosen() -> None:
    view = random_inspection(tokens_of(["a", "b", "c"]), 2, 4, seed=5).view()
    query, key = phrase(view, 3), phrase(view, 1)
    for by in get_args(By):
        ranked = [getattr(head, by) for head in find(view, query, key, by=by).heads]
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
    best = find(view, phrase(view, 8), phrase(view, 2), by="weight").heads[0]
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
    assert len(founding.heads) == 72
    assert "'it' looking at 'animal'" in repr(founding)


def test_its_yardsticks(animal: Inspection, founding: Finding) -> None:
    """L3H1 is a link, and L5H11 a stripe: `animal` gets much in it whoever looks."""
    link, stripe = founding.heads[:2]
    for head in (link, stripe):
        assert head.head.head is not None
        weights = animal.weights(head.head.layer, head.head.head)
        # as far apart as it (8) and animal (2), and all words, but it, that look at animal
        far = [weights[i, i - 6] for i in range(7, 13) if i != 8]
        at_key = [weights[i, 2] for i in range(1, 13) if i != 8]
        assert head.same_distance == near(float(np.mean(far)), 5, head.weight)
        assert head.same_key == near(float(np.mean(at_key)), 11, head.weight)
    assert (link.explained, stripe.explained) == (None, "same_key")
    assert [round(head.excess or 0, 3) for head in (link, stripe)] == [0.574, 0.290]
    told = [(head.same_distance, head.same_key) for head in (link, stripe)]
    assert [[round(one.mean, 3) for one in both if one] for both in told] == [
        [0.030, 0.103],
        [0.021, 0.383],
    ]
    assert told[0][0] is not None
    assert round(told[0][0].lift or 0, 1) == 22.9


def test_from_python(animal: Inspection, founding: Finding) -> None:
    chosen = attnviz.find(animal, "it", "the street", head="L5H5", special=False)
    [head] = chosen.heads
    weights = animal.weights(5, 5, special=False)
    assert head.weight == pytest.approx(weights[7, 4] + weights[7, 5])
    pieces = attnviz.find(animal, "didn't", "animal", by="weight", unit="piece")
    assert pieces.heads[0].weight == pytest.approx(
        float(animal.view().query(3)[..., 2].max()), rel=1e-5
    )
    assert attnviz.find(animal, "it", "animal", layer=3).heads[0] == founding.heads[0]
    with pytest.raises(RequestError, match='there is no "dog"'):
        attnviz.find(animal, "it", "dog")
    with pytest.raises(RequestError, match="the same word"):
        attnviz.find(animal, "it", "IT")
    assert find_phrase(animal.view().tokens, "it").text in ANIMAL
