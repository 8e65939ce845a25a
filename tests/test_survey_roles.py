"""Roles by hypothesis tests: bias scores by hand, Holm's correction, and each role in a mixture."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from handmade import inspection_of, tokens_of
from scipy import stats
from test_survey_statistics import ONE, looking, one_head

from attnviz.answers.statistics import LEVEL
from attnviz.answers.survey import SurveyHead
from attnviz.corpus.document import Document
from attnviz.corpus.fold import Seen
from attnviz.corpus.statistics.heads import HeadStatistics
from attnviz.corpus.statistics.hypotheses import holm
from attnviz.text.tokens import Part


def test_holm_is_holms() -> None:
    """The values of a table worked out by hand: sorted 0.01, 0.02, 0.03, 0.04."""
    found = holm({"a": np.array([0.04, np.nan, 0.01]), "b": np.array([0.02, 0.03, np.nan])})
    np.testing.assert_allclose(found["a"], [0.06, np.nan, 0.04])
    np.testing.assert_allclose(found["b"], [0.06, 0.06, np.nan])


def previous_with(shares: Sequence[float], words: int = 9) -> SurveyHead:
    """A head that gives the previous word this share in each text, and all keys the rest evenly."""
    n = words + 2

    def weights(number: int) -> np.ndarray:
        even = np.full((1, 1, n, n), (1 - shares[number]) / n)
        rows = np.arange(1, n)
        even[0, 0, rows, rows - 1] += shares[number]
        even[0, 0, 0] = 1 / n
        return even

    return one_head(weights, texts=len(shares), words=words)


def test_bias_scores_and_p_values_are_those_of_scipy() -> None:
    shares = [0.05, 0.12, 0.2, 0.1, 0.16, 0.08, 0.14]
    head = previous_with(shares)
    # 8 of 9 words have a word before them, which even attention to words would give 1 / 9
    scores = []
    for share in shares:
        inside = 8 * (share + (1 - share) / 11)
        words = 8 * share + 9 * 9 * (1 - share) / 11
        scores.append(inside / words / (8 / 9 / 9))
    test = head.tests["previous"]
    assert test["score"] == pytest.approx(np.mean(scores), rel=1e-5)
    expected = stats.ttest_1samp(scores, 2, alternative="greater").pvalue
    assert test["p"] == pytest.approx(expected, rel=1e-3)


def windows_of(shares: Sequence[float], each: int) -> SurveyHead:
    """The same head in documents of so many windows that are alike."""
    found, n = HeadStatistics(ONE), 11
    for number, share in enumerate(shares):
        weights = np.full((1, 1, n, n), (1 - share) / n)
        rows = np.arange(1, n)
        weights[0, 0, rows, rows - 1] += share
        weights[0, 0, 0] = 1 / n
        for index in range(each):
            plain = tokens_of([f"w{k}" for k in range(n - 2)])
            part = Part(index, each, 9 * index, 9 * index + 9, 0) if each > 1 else None
            inspection = inspection_of(replace(plain, part=part), weights)
            document = Document("corpus.txt", number, number + 1, plain.text)
            found.add(Seen(document, inspection, "weights"))
    (head,) = found.heads()
    return head


def test_the_windows_of_a_document_are_one_text() -> None:
    shares = [0.05, 0.12, 0.2, 0.1, 0.16, 0.08, 0.14]
    whole, cut = windows_of(shares, 1), windows_of(shares, 4)
    for name in ("previous", "local", "delimiter"):
        assert cut.tests[name]["p"] == pytest.approx(whole.tests[name]["p"], rel=1e-5)
        assert cut.tests[name]["score"] == pytest.approx(whole.tests[name]["score"])
    assert np.isnan(windows_of(shares[:5], 4).tests["previous"]["p"])  # five documents


@pytest.mark.parametrize(("share", "passes"), [(0.02, False), (0.6, True)])
def test_a_role_needs_twice_what_chance_gives(share: float, passes: bool) -> None:
    chance = np.random.default_rng(2)
    head = previous_with((share + chance.normal(0, 0.01, 12)).tolist())
    assert head.tests["previous"]["passed"] == passes
    assert "positional" in [role.name for role in head.roles]  # the largest in every row
    assert not head.tests["local"]["passed"]
    shares = [head.unknown, *(role.share for role in head.roles)]
    assert sum(one.mean or 0 for one in shares) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("share", "passes"), [(0.6, False), (0.9, True)])
def test_in_short_texts_half_way_to_all_is_enough(share: float, passes: bool) -> None:
    """Of two words, each gives the other twice what chance does if it gives it all."""
    weights = np.full((1, 1, 4, 4), 0.1)
    weights[0, 0, [1, 2], [2, 1]] = 0.8 * share
    weights[0, 0, [1, 2], [1, 2]] = 0.8 * (1 - share)
    weights[0, 0, [0, 3]] = 0.25
    head = one_head(lambda _: weights, words=2)
    assert head.tests["previous"]["score"] == pytest.approx(2 * share)
    assert head.tests["previous"]["passed"] == passes  # half way from 1 to 2


def test_rest_does_not_hide_what_words_get() -> None:
    """A head that rests with 70 %, and looks at the previous word with all else, does both."""
    weights = 0.3 * looking(9, {row: row - 1 for row in range(1, 10)})
    weights[..., -1] += 0.7
    head = one_head(lambda _: weights, value_norms=np.ones((1, 1, 11)))
    assert [role.name for role in head.roles] == ["broadcast", "previous"]
    assert head.roles[1].share.mean == pytest.approx(0.3 * 8 / 9)


def test_chance_alone_gives_no_role() -> None:
    """Over many random heads, hardly one has a role that is not there: tests hold their level."""
    chance = np.random.default_rng(7)
    n, wrong = 14, 0
    for trial in range(20):
        found = HeadStatistics(ONE)
        for number in range(8):
            weights = chance.dirichlet(np.ones(n), (1, 1, n))
            tokens = tokens_of([f"w{k}" for k in range(n - 2)])
            document = Document(f"{trial}.txt", number, number + 1, tokens.text)
            found.add(Seen(document, inspection_of(tokens, weights), "weights"))
        (head,) = found.heads()
        wrong += any(t.get("corrected", 1) < LEVEL for t in head.tests.values())
    assert wrong == 0


def pair_of(number: int, own: float) -> Seen:
    """A pair of sentences whose words give their own sentence this much, and the rest evenly."""
    tokens = tokens_of(["a", "b", "c", "d"], pair=["e", "f", "g", "h"])
    n = len(tokens)
    weights = np.full((n, n), 1.0)
    first, second = range(1, 5), range(6, 10)
    for side, other in ((first, second), (second, first)):
        for row in side:
            weights[row, list(side)] = own / 4
            weights[row, list(other)] = (1 - own) / 8
            weights[row, [0, 5, 10]] = (1 - own) / 6
    weights /= weights.sum(axis=-1, keepdims=True)
    document = Document("p.txt", number, 1, "a b c d", pair="e f g h")
    return Seen(document, inspection_of(tokens, weights[None, None]), "weights")


@pytest.mark.parametrize(("own", "passes"), [(0.9, True), (0.4, False)])
def test_a_block_is_a_sentence_of_several(own: float, passes: bool) -> None:
    found = HeadStatistics(ONE)
    for number in range(8):
        found.add(pair_of(number, own))
    (head,) = found.heads()
    assert head.tests["block"]["passed"] == passes
    assert found.tested()["block"]


def test_texts_of_several_sentences_have_blocks_too() -> None:
    found = HeadStatistics(ONE)
    words = ["One", "two", ".", "Three", "four", "."]
    tokens = tokens_of(words)
    weights = np.full((1, 1, 8, 8), 1 / 8)
    found.add(Seen(Document("a", 0, 1, " ".join(words)), inspection_of(tokens, weights), "weights"))
    assert found.tested()["block"]
    (head,) = found.heads()
    assert head.statistics["previous"].mean == pytest.approx(1 / 8)
    assert found.tested()["syntactic"] is False


def test_a_sink_of_the_model_rests_and_brings_nothing() -> None:
    """Rows that sum to 0.4 leave 0.6 to a sink, as in gpt-oss."""
    weights = np.full((1, 1, 11, 11), 0.4 / 11)
    head = one_head(lambda _: weights, value_norms=np.ones((1, 1, 11)))
    assert head.statistics["sink"].mean == pytest.approx(0.6)
    assert head.statistics["rest"].mean == pytest.approx(0.6 + 0.4 * 2 / 11)
    assert head.role == "no-op"
    largest = math.log2(12)
    entropy = -0.6 * math.log2(0.6) - 0.4 * math.log2(0.4 / 11)
    assert head.statistics["entropy"].mean == pytest.approx(entropy, rel=1e-5)
    assert head.statistics["spread"].mean == pytest.approx(entropy / largest, rel=1e-5)


def test_equal_maxima_are_shared() -> None:
    head = one_head(lambda _: np.full((1, 1, 11, 11), 1 / 11))
    assert head.tests["positional"]["maxima"] < 0.5
    both = looking(9, {row: row - 1 for row in range(1, 10)})
    both[0, 0, 2:9] = 0
    rows = np.arange(2, 9)
    both[0, 0, rows, rows - 1] = both[0, 0, rows, rows + 1] = 0.5
    shared = one_head(lambda _: both)
    assert shared.tests["positional"]["maxima"] == pytest.approx((7 / 2 + 1) / 8)
