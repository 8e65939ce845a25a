"""Which heads hold over several sentences."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from handmade import inspection_of, tokens_of
from written import printed

import attnviz
from attnviz.answers import bootstrap
from attnviz.answers.find import By, Finding
from attnviz.answers.holding import Tally, holding
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection


def sentence(rows: Sequence[Sequence[float]], words: str = "a b c", name: str = "m") -> Inspection:
    """Heads whose last word looks like this; all else is even."""
    tokens = tokens_of(words.split(), special=False)
    weights = np.full((1, len(rows), 3, 3), 1 / 3)
    weights[0, :, 2] = rows
    return inspection_of(tokens, weights, name=name)


def found(rows: Sequence[Sequence[float]], by: By = "weight", **options: str) -> Finding:
    """The last word looks at the first; no other words are as far apart, and the one between gives
    it 1 / 3, as it gives itself.
    """
    inspection = sentence(rows, **options)
    words = inspection.tokens.text.split()
    return attnviz.find(inspection, words[2], words[0], by=by)


FIRST = found([(0.5, 0.3, 0.2), (0.8, 0.1, 0.1), (0.4, 0.4, 0.2)])
SECOND = found([(0.6, 0.3, 0.1), (0.3, 0.6, 0.1), (0.4, 0.5, 0.1)])


def test_by_weight_hits_come_first_then_the_mean() -> None:
    """L0H0 hits twice with less than L0H1, which hits once; a tie at the top is no hit."""
    found = attnviz.holding([FIRST, SECOND])
    assert [head.head for head in found.heads] == [HeadId(0, 0), HeadId(0, 1), HeadId(0, 2)]
    best, second, third = found.heads
    assert (best.hits, best.share, second.hits, second.share) == (2, 1.0, 1, 0.5)
    assert third.hits == 0
    assert (best.mean, best.minimum) == pytest.approx((0.55, 0.5))
    assert (second.mean, second.minimum) == pytest.approx((0.55, 0.3))
    assert (found.sentences, found.by) == (2, "weight")
    assert found.link == ("c", "a")
    assert best.dropped is None


def of_four(c_to_a: float, d_to_b: float, b_to_a: float) -> Finding:
    """How a word looks two words back, where another does too, in one head of `a b c d`."""
    weights = np.full((1, 1, 4, 4), 0.25)
    weights[0, 0, 1] = (b_to_a, *[(1 - b_to_a) / 3] * 3)
    weights[0, 0, 2] = (c_to_a, *[(1 - c_to_a) / 3] * 3)
    weights[0, 0, 3] = (0.25, d_to_b, 0.35, 0.4 - d_to_b)
    return attnviz.find(inspection_of(tokens_of(list("abcd"), special=False), weights), "c", "a")


def test_means_of_both_yardsticks_and_of_the_excess() -> None:
    """The larger yardstick is the other one in the second sentence."""
    [both] = holding([of_four(0.7, 0.1, 0.4), of_four(0.5, 0.38, 0.1)]).heads
    far, key = (0.1 + 0.38) / 2, ((0.25 + 0.4 + 0.25) / 3 + (0.25 + 0.1 + 0.25) / 3) / 2
    assert both.same_distance == pytest.approx((far, 2, 0.6 / far))
    assert both.same_key == pytest.approx((key, 2, 0.6 / key))
    assert both.excess == pytest.approx(((0.7 - 0.3) + (0.5 - 0.38)) / 2)
    assert both.explained is None


def test_a_yardstick_is_that_of_the_sentences_that_have_one() -> None:
    """In the sentence of three words, no others are two words apart."""
    short, long = found([(0.2, 0.3, 0.5)]), of_four(0.7, 0.1, 0.4)
    context = replace(short.context, model=long.context.model)
    [head] = holding([long, replace(short, context=context)]).heads
    assert head.mean == pytest.approx(0.45)
    assert head.same_distance == pytest.approx((0.1, 1, 7))
    assert head.same_key == pytest.approx(((0.3 + 1 / 3) / 2, 2, 0.9 / (0.3 + 1 / 3)))
    assert head.excess == pytest.approx(((0.7 - 0.3) + (0.2 - 1 / 3)) / 2)
    assert head.excess_sentences == 2


def test_nothing_to_compare_with_has_no_excess() -> None:
    tokens = tokens_of(["it", "ran"], special=False)
    alone = attnviz.find(inspection_of(tokens, np.full((1, 1, 2, 2), 0.5)), "it", "ran")
    [head] = holding([alone] * 6).heads
    assert (head.excess, head.excess_interval) == (None, None)
    assert (head.same_distance, head.same_key) == (None, None)
    assert head.interval == (0.5, 0.5)
    assert head.excess_sentences == 0


# Intervals and halves


def drawn(count: int, heads: int, seed: int) -> list[Finding]:
    """Findings of as many sentences, which differ."""
    rows = np.random.default_rng(seed).dirichlet(np.ones(3), (count, heads))
    return [found(list(row), by="excess") for row in rows]


@pytest.mark.parametrize(("name", "of"), [("interval", "weights"), ("excess_interval", "excess")])
def test_intervals_are_scipys(name: str, of: str) -> None:
    """Percentiles as in Hesterberg 2015, of sentences drawn by another generator."""
    findings = drawn(23, 3, seed=1)
    numbers = np.stack([getattr(finding, of) for finding in findings])
    outside = scipy.stats.norm.cdf(scipy.stats.t.ppf(0.025, df=22) * (23 / 22) ** 0.5)
    assert outside == pytest.approx(0.017, abs=0.0005)
    theirs = scipy.stats.bootstrap(
        (numbers,),
        np.mean,
        n_resamples=20000,
        method="percentile",
        confidence_level=1 - 2 * outside,
        rng=2,
    ).confidence_interval
    width = float((theirs.high - theirs.low).max())
    for head in attnviz.holding(findings).heads:
        low, high = getattr(head, name)
        place = head.head.place
        assert low == pytest.approx(theirs.low[place], abs=0.08 * width)
        assert high == pytest.approx(theirs.high[place], abs=0.08 * width)


def test_intervals_are_seeded_and_few_sentences_have_none() -> None:
    findings = drawn(7, 2, seed=3)
    assert holding(findings) == holding(findings)
    assert all(head.interval and head.excess_interval for head in holding(findings[:6]).heads)
    for count in (1, 2, 5):
        for head in holding(findings[:count]).heads:
            assert (head.interval, head.excess_interval) == (None, None)
    assert holding(findings[:1]).held_out == ()
    assert holding(findings[:1]).heads[0].first_half is None


def test_the_best_of_one_half_is_tried_on_the_other() -> None:
    """L0H0 looks in the first two sentences alone, L0H1 in the other three."""
    findings = [found([(0.9, 0.05, 0.05), (0.4, 0.5, 0.1)], by="excess")] * 2
    findings += [found([(0.2, 0.3, 0.5), (0.8, 0.1, 0.1)], by="excess")] * 3
    first, second = holding(findings).held_out
    assert first is not None
    assert second is not None
    assert (first.head, second.head) == (HeadId(0, 0), HeadId(0, 1))
    third = 1 / 3  # what b gives a, and a itself
    assert first.chosen == pytest.approx((2, 2, 0.9, 0.9 - third))
    assert first.scored == pytest.approx((3, 0, 0.2, 0.2 - third))
    assert second.chosen == pytest.approx((3, 3, 0.8, 0.8 - third))
    assert second.scored == pytest.approx((2, 0, 0.4, 0.4 - third))
    halves = {
        head.head.head: (head.first_half, head.second_half) for head in holding(findings).heads
    }
    assert halves[0] == pytest.approx((0.9 - third, 0.2 - third))
    assert halves[1] == pytest.approx((0.4 - third, 0.8 - third))


@pytest.mark.parametrize("by", ["excess", "weight"])
def test_a_half_with_nothing_to_compare_with_chooses_no_head(by: By) -> None:
    """By weight it has hits, and chooses."""
    tokens = tokens_of(["c", "a"], special=False)
    alone = attnviz.find(inspection_of(tokens, np.full((1, 1, 2, 2), 0.5)), "c", "a", by=by)
    other = found([(0.5, 0.3, 0.2)], by=by)
    context = replace(other.context, model=alone.context.model)
    held = holding([alone, replace(other, context=context)])
    first, second = held.held_out
    assert (first is None) == (by == "excess")
    assert second is not None
    assert second.chosen.excess == pytest.approx(0.5 - 1 / 3)
    assert second.scored.excess is None
    assert held.heads[0].excess_sentences == 1
    row = dict(zip(held.columns, next(iter(held.rows())), strict=True))
    assert (row["excess_sentences"], row["same_key_sentences"]) == (1, 1)
    assert [half is None for half in held.data()["held_out"]] == [by == "excess", False]


def test_many_sentences_are_kept_in_few_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that memory stays flat; means are the same, and intervals and halves nearly so."""
    findings = drawn(61, 2, seed=4)
    whole = holding(findings)
    monkeypatch.setattr(bootstrap, "MOST_BLOCKS", 32)
    tally = Tally()
    for finding in findings:
        tally.add(finding)
    assert len(tally._blocks.sums()) == 31
    few = tally.holding()
    for one, other in zip(whole.heads, few.heads, strict=True):
        assert (one.head, one.hits) == (other.head, other.hits)
        assert (one.mean, one.excess) == pytest.approx((other.mean, other.excess))
        assert one.interval is not None
        width = one.interval[1] - one.interval[0]
        assert one.interval == pytest.approx(other.interval, abs=0.5 * width)
    halves = [half for half in few.held_out if half is not None]
    assert [half.chosen.sentences for half in halves] == [30, 31]
    assert halves[0].scored.hits > 0


def test_equal_heads_stand_as_in_the_model() -> None:
    even = found([(0.5, 0.3, 0.2)] * 3)
    assert [head.head.head for head in holding([even, even]).heads] == [0, 1, 2]
    even = found([(0.5, 0.3, 0.2)] * 3, by="excess")
    assert [head.head.head for head in holding([even, even]).heads] == [0, 1, 2]


def test_words_of_their_own_have_no_name_in_common() -> None:
    other = found([(0.5, 0.3, 0.2)] * 3, words="A b C")
    assert holding([FIRST, other]).link == ("c", "a")
    typed = holding([other, FIRST])
    assert typed.link == ("C", "A")  # as the first sentence has them
    assert "how much C looks at A" in printed(attnviz.table(typed))
    assert (typed.data()["query"], typed.data()["key"]) == ("c", "a")
    other = found([(0.5, 0.3, 0.2)] * 3, words="x b c")
    assert holding([FIRST, other]).link is None
    assert holding([FIRST, other, FIRST]).link is None
    assert holding([FIRST, other, FIRST]).data()["query"] is None


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
