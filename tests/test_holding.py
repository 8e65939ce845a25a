"""Which heads hold over several sentences."""

from collections.abc import Sequence

import numpy as np
import pytest
from handmade import inspection_of, tokens_of

import attnviz
from attnviz.answers.find import Finding
from attnviz.answers.holding import Tally, holding
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection


def sentence(rows: Sequence[Sequence[float]], words: str = "a b c", name: str = "m") -> Inspection:
    """Heads whose last word looks like this; all else is even."""
    tokens = tokens_of(words.split(), special=False)
    weights = np.full((1, len(rows), 3, 3), 1 / 3)
    weights[0, :, 2] = rows
    return inspection_of(tokens, weights, name=name)


def found(rows: Sequence[Sequence[float]], **options: str) -> Finding:
    inspection = sentence(rows, **options)
    words = inspection.tokens.text.split()
    return attnviz.find(inspection, words[2], words[0])


FIRST = found([(0.5, 0.3, 0.2), (0.8, 0.1, 0.1), (0.4, 0.4, 0.2)])
SECOND = found([(0.6, 0.3, 0.1), (0.3, 0.6, 0.1), (0.4, 0.5, 0.1)])


def test_hits_come_first_then_the_mean() -> None:
    """L0H0 hits twice with less than L0H1, which hits once; a tie at the top is no hit."""
    found = attnviz.holding([FIRST, SECOND])
    assert [head.head for head in found.heads] == [HeadId(0, 0), HeadId(0, 1), HeadId(0, 2)]
    best, second, third = found.heads
    assert (best.hits, best.share, second.hits, second.share) == (2, 1.0, 1, 0.5)
    assert third.hits == 0
    assert (best.mean, best.minimum) == pytest.approx((0.55, 0.5))
    assert (second.mean, second.minimum) == pytest.approx((0.55, 0.3))
    assert found.sentences == 2
    assert found.link == ("c", "a")
    assert best.dropped is None


def test_the_lift_is_that_of_the_means() -> None:
    """Words two to the left: c to a alone, so that all of it is expected."""
    best = holding([FIRST, SECOND]).heads[0]
    assert best.expected == pytest.approx(0.55)
    assert best.lift == pytest.approx(1)
    longer, findings = tokens_of(["a", "b", "c", "d"], special=False), []
    for c_to_a, d_to_b in ((0.7, 0.1), (0.5, 0.01)):
        weights = np.full((1, 1, 4, 4), 0.25)
        weights[0, 0, 2] = (c_to_a, *[(1 - c_to_a) / 3] * 3)
        weights[0, 0, 3] = (0.1, d_to_b, 0.4, 0.5 - d_to_b)
        findings.append(attnviz.find(inspection_of(longer, weights), "c", "a"))
    [both] = holding(findings).heads
    assert both.expected == pytest.approx((0.4 + 0.255) / 2)
    assert both.lift == pytest.approx(0.6 / 0.3275)


def test_nothing_expected_has_no_lift() -> None:
    [head] = holding([found([(0, 1, 0)])]).heads
    assert (head.mean, head.lift) == (0, None)


def test_equal_heads_stand_as_in_the_model() -> None:
    even = found([(0.5, 0.3, 0.2)] * 3)
    assert [head.head.head for head in holding([even, even]).heads] == [0, 1, 2]


def test_words_of_their_own_have_no_name_in_common() -> None:
    other = found([(0.5, 0.3, 0.2)] * 3, words="A b C")
    assert holding([FIRST, other]).link == ("c", "a")
    other = found([(0.5, 0.3, 0.2)] * 3, words="x b c")
    assert holding([FIRST, other]).link is None
    assert holding([FIRST, other, FIRST]).link is None


def test_the_dropped_share_is_a_mean(animal: Inspection) -> None:
    findings = [
        attnviz.find(animal, "it", key, layer=3, special=False) for key in ("animal", "street")
    ]
    dropped = findings[0].dropped
    assert dropped is not None
    held = {head.head.head: head.dropped for head in holding(findings).heads}
    assert held == pytest.approx(dict(enumerate(dropped.tolist())))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (found([(0.5, 0.3, 0.2)] * 3, name="n"), "have one model, and here are m: .* and n: "),
        (found([(0.5, 0.3, 0.2)] * 2), "have one model"),
        (attnviz.find(sentence([(1, 0, 0)] * 3), "c", "a", unit="piece"), "one unit"),
        (attnviz.find(sentence([(1, 0, 0)] * 3), "c", "a", special=False), "one special tokens"),
        (attnviz.find(sentence([(1, 0, 0)] * 3), "c", "a", measure="rollout"), "one measure"),
        (attnviz.find(sentence([(1, 0, 0)] * 3), "c", "a", head="0.1"), "one choice of heads"),
    ],
)
def test_unlike_sentences_are_never_mixed(other: Finding, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        holding([FIRST, other])


def test_none_at_all() -> None:
    with pytest.raises(RequestError, match="no sentence was found to count"):
        holding([])


def test_what_is_counted_later_changes_nothing_told_before() -> None:
    tally = Tally()
    tally.add(FIRST)
    before = tally.holding()
    tally.add(SECOND)
    assert before == holding([FIRST])
    assert tally.holding().heads == holding([FIRST, SECOND]).heads
