"""Attention written down by hand, whose kinds, entropies and links are known."""

import numpy as np
import pytest
from handmade import inspection_of, random_inspection, tokens_of

from attnviz.answers.overview import HeadSummary, Overview, is_near, overview
from attnviz.inspection import HeadId, Inspection

WORDS = ["the", "cat", "sat", "on", "mats"]
LENGTH = len(WORDS) + 2


def one_head(matrix: np.ndarray, special: bool = True) -> HeadSummary:
    inspection = inspection_of(tokens_of(WORDS), matrix[None, None])
    return overview(inspection.view(special=special)).heads[0]


def looking(offset: int) -> np.ndarray:
    """Each query looks at the key `offset` further on, or where it ends, at itself."""
    matrix = np.zeros((LENGTH, LENGTH))
    for query in range(LENGTH):
        key = query + offset
        matrix[query, key if 0 <= key < LENGTH else query] = 1
    return matrix


@pytest.mark.parametrize(
    ("offset", "kind"), [(0, "to itself"), (-1, "previous"), (1, "next"), (2, "other")]
)
def test_positional_heads_are_named(offset: int, kind: str) -> None:
    summary = one_head(looking(offset))
    assert summary.kind == kind
    assert summary.entropy == pytest.approx(0, abs=1e-5)
    assert summary.spread == pytest.approx(0, abs=1e-5)


def test_shares_of_a_previous_word_head() -> None:
    shares = one_head(looking(-1)).shares
    assert shares.previous == pytest.approx(1)
    assert shares.special == pytest.approx(1 / 5), "the first of five words looks at [CLS]"
    assert shares.itself == shares.next == pytest.approx(0, abs=1e-6)


def test_a_head_that_rests_on_special_tokens() -> None:
    matrix = np.full((LENGTH, LENGTH), 0.3 / 5)
    matrix[:, [0, -1]] = 0.35
    summary = one_head(matrix)
    assert summary.kind == "first/special"
    assert summary.shares.special == pytest.approx(0.7)


def test_a_head_that_rests_on_the_first_token_where_there_are_no_special_ones() -> None:
    matrix = np.full((5, 5), 0.02)
    matrix[:, 0] = 0.92
    tokens = tokens_of(WORDS, special=False)
    head = overview(inspection_of(tokens, matrix[None, None]).view()).heads[0]
    assert head.kind == "first/special"
    assert head.shares.special == pytest.approx(0.92 * 4 / 5), "the first word's own is not counted"


def test_a_uniform_head_is_broad_with_the_largest_entropy() -> None:
    summary = one_head(np.full((LENGTH, LENGTH), 1 / LENGTH))
    assert summary.kind == "broad"
    assert summary.entropy == pytest.approx(np.log2(7), abs=1e-5)
    assert summary.spread == pytest.approx(1, abs=1e-5)


def test_entropy_is_in_bits_and_over_words_only() -> None:
    matrix = np.full((LENGTH, LENGTH), 1 / LENGTH)
    matrix[1:-1] = 0
    matrix[1:-1, 2] = matrix[1:-1, 4] = 0.5
    summary = one_head(matrix)
    assert summary.entropy == pytest.approx(1, abs=1e-5), "two keys alike are one bit"
    assert summary.kind == "other"


def test_strongest_links_join_two_different_words_in_order() -> None:
    matrix = np.full((LENGTH, LENGTH), 0.01)
    matrix[0, 2] = 0.9  # from [CLS]: not a link between words
    matrix[1, 0] = 0.9  # to [CLS]: neither
    matrix[2, 2] = 0.8  # to itself: neither
    matrix[3, 1] = 0.7
    matrix[4, 5] = 0.62
    matrix[5, 3] = 0.6
    matrix[range(LENGTH), LENGTH - 1] += 1 - matrix.sum(axis=-1)
    links = one_head(matrix).links
    named = [(link.query.label, link.key.label) for link in links]
    assert named == [("sat", "the"), ("on", "mats"), ("mats", "sat")]
    assert [link.weight for link in links] == pytest.approx([0.7, 0.62, 0.6], abs=1e-6)


def test_left_out_special_tokens_are_counted_and_the_rest_sums_to_one() -> None:
    matrix = np.full((LENGTH, LENGTH), 0.04)
    matrix[:, 0] = 0.75
    matrix[:, 1] = 0.05
    summary = one_head(matrix, special=False)
    assert summary.dropped == pytest.approx(0.79, abs=1e-5)
    assert summary.links[0].weight == pytest.approx(0.05 / 0.21, abs=1e-5)
    assert one_head(matrix).dropped == 0


def test_neighbours_across_a_pair_are_not_neighbours() -> None:
    tokens = tokens_of(["a", "b"], special=False, pair=["c", "d"])
    a, b, c, _ = tokens.words
    assert is_near(a, b)
    assert is_near(b, b)
    assert not is_near(b, c)
    matrix = np.zeros((4, 4))
    matrix[[0, 1, 2, 3], [0, 1, 1, 2]] = 1
    shares = overview(inspection_of(tokens, matrix[None, None]).view()).heads[0].shares
    assert shares.previous == pytest.approx(0.5), "of b and d, which follow a word, d looks back"


def test_one_word_has_no_links() -> None:
    inspection = inspection_of(tokens_of(["hi"], special=False), np.ones((1, 1, 1, 1)))
    head = overview(inspection.view()).heads[0]
    assert (head.kind, head.entropy, head.spread, head.links) == ("to itself", 0, 0, ())


@pytest.mark.parametrize(("top", "count"), [(0, 0), (1, 1), (4, 4), (100, 20)])
def test_as_many_links_as_asked_for_or_as_there_are(top: int, count: int) -> None:
    inspection = random_inspection(tokens_of(WORDS), 1, 1, seed=3)
    links = overview(inspection.view(), links=top).heads[0].links
    assert len(links) == count
    weights = [link.weight for link in links]
    assert weights == pytest.approx(sorted(weights, reverse=True), rel=1e-5, abs=1e-6)


def test_heads_come_layer_by_layer() -> None:
    summary = overview(random_inspection(tokens_of(WORDS), 2, 3, seed=5).view())
    assert [str(head.head) for head in summary.layer(1)] == ["L1H0", "L1H1", "L1H2"]
    assert len(summary.heads) == 6


def test_a_long_text_is_summarised_head_by_head() -> None:
    words = [f"w{i}" for i in range(509)]
    summary = overview(random_inspection(tokens_of(words), 1, 2, seed=7).view(), links=5)
    assert [len(head.links) for head in summary.heads] == [5, 5]


@pytest.fixture(scope="module")
def founding(animal: Inspection) -> Overview:
    return overview(animal.view())


def test_the_founding_example(founding: Overview) -> None:
    heads = {head.head: head for head in founding.heads}
    found = heads[HeadId(3, 1)]
    assert found.kind == "other"
    assert (found.links[0].query.label, found.links[0].key.label) == ("it", "animal")
    assert found.links[0].weight == pytest.approx(0.677, abs=1e-3)
    assert heads[HeadId(0, 2)].kind == "previous"
    assert heads[HeadId(1, 8)].kind == "next"
    assert heads[HeadId(2, 7)].kind == "first/special"
    assert heads[HeadId(0, 1)].kind == "broad"


def test_what_lies_outside_a_window_is_one_key_more() -> None:
    """Of each row, a third stays in the window, in equal parts."""
    inspection = inspection_of(tokens_of(WORDS[:4]), np.full((1, 1, 6, 6), 1 / 6))
    head = overview(inspection.view(window=(1, 3))).heads[0]
    bits = 2 / 6 * np.log2(6) + 4 / 6 * np.log2(6 / 4)
    assert head.entropy == pytest.approx(bits, abs=1e-5)
    assert head.spread == pytest.approx(bits / np.log2(3), abs=1e-5)
    assert head.sink is None
    assert [(link.query.text, link.key.text) for link in head.links] == [
        ("the", "cat"),
        ("cat", "the"),
    ]
