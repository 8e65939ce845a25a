"""A fold over a corpus: any split, any order, and interrupted anywhere, gives the same."""

import importlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from corpora import Itself, Listed, ShareToItself, documents_of
from scipy import stats

from attnviz.answers.bootstrap import covered
from attnviz.corpus import pace
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.fold import Folded, Tally, fold
from attnviz.corpus.kept import Kept
from attnviz.corpus.pace import Stop
from attnviz.corpus.place import Place, documents_from
from attnviz.corpus.resampling import RESAMPLES, Means, times_of
from attnviz.corpus.survey import SurveyWork, survey
from attnviz.errors import AttnvizError, RequestError
from attnviz.model import Model

NOUNS = ("ship", "animal", "student", "letter", "bridge", "song", "house")
TEXTS = [
    f"The {a} and the {b} did not {verb} {'very ' * (n % 4)}well."
    for n, (a, b, verb) in enumerate(
        (a, b, verb) for a in NOUNS for b in NOUNS for verb in ("work", "sing")
    )
]
WORK = Itself()


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done is kept after every text."""
    for name in ("KEPT_AFTER", "KEPT_EVERY", "SELDOM", "WAITING"):
        monkeypatch.setattr(pace, name, 0)


@pytest.fixture(scope="module")
def whole(minilm: Model) -> ShareToItself:
    return result_of(fold(WORK, documents_of(TEXTS), minilm))


def result_of(folded: Folded) -> ShareToItself:
    assert isinstance(folded.accumulator, ShareToItself)
    return folded.accumulator


def assert_same(found: ShareToItself, expected: ShareToItself) -> None:
    assert found.seen == expected.seen
    np.testing.assert_allclose(found.means.mean(), expected.means.mean(), rtol=0, atol=1e-6)
    for own, other in zip(found.means.interval(), expected.means.interval(), strict=True):
        np.testing.assert_allclose(own, other, rtol=0, atol=1e-6)


def test_means_are_those_of_every_text_by_itself(minilm: Model, whole: ShareToItself) -> None:
    sums, count = np.zeros(72), 0
    for text in TEXTS:
        view = minilm.inspect(text).view()
        sums += [np.trace(view.weights(layer, head)) for layer, head in view.all_heads()]
        count += len(view.tokens)
    np.testing.assert_allclose(whole.means.mean(), sums / count, rtol=0, atol=1e-6)
    low, high = whole.means.interval()
    assert (low < whole.means.mean()).all()
    assert (whole.means.mean() < high).all()


@pytest.mark.parametrize("seed", range(3))
def test_any_order_and_any_split_gives_the_same(
    minilm: Model, whole: ShareToItself, seed: int
) -> None:
    chance = random.Random(seed)
    documents = chance.sample(documents_of(TEXTS), len(TEXTS))
    cuts = [0, *sorted(chance.sample(range(len(TEXTS)), 3)), len(TEXTS)]
    parts = [fold(WORK, documents[a:b], minilm) for a, b in itertools.pairwise(cuts) if a < b]
    chance.shuffle(parts)
    first, *others = map(result_of, parts)
    for other in others:
        first.merge(other)
    assert_same(first, whole)


@pytest.mark.parametrize("times", [1, 2, 9])
def test_a_run_is_resumed_where_it_was_kept(
    minilm: Model, whole: ShareToItself, tmp_path: Path, times: int
) -> None:
    half = len(TEXTS) // 2
    by_file = {
        "a.txt": documents_of(TEXTS[:half], "a.txt"),
        "b.txt": documents_of(TEXTS[half:], "b.txt"),
    }
    by_file["a.txt"].insert(5, Problem("a.txt", 6, "not text"))
    by_file["b.txt"].append(Problem("b.txt", 99, "not text either"))
    reader = Listed(by_file)
    kept = Kept.of(tmp_path / "run", WORK, reader, minilm.facts)
    saved: list[Tally] = []

    def keep(folded: Folded) -> None:
        if len(saved) == times:
            raise KeyboardInterrupt
        kept.save(folded, folded.place.data())
        saved.append(folded.tally)

    with pytest.raises(KeyboardInterrupt):
        fold(WORK, documents_from(reader, reader.files(), None), minilm, keep=keep)
    counts = [tally.documents for tally in saved]
    assert counts == sorted(counts)
    assert 0 < counts[0] < len(TEXTS)
    again = resumed(kept, reader, minilm)
    plain = fold(WORK, documents_from(reader, reader.files(), None), minilm)
    assert {problem.line for problem in again.tally.problems} == {6, 99}
    assert replace(again.tally, problems=()) == replace(plain.tally, problems=())
    assert again.tally.documents == len(TEXTS)
    assert again.place == Place("b.txt", half + 1, len(TEXTS) + 2, again.place.mark)
    assert_same(result_of(again), result_of(plain))


def resumed(kept: Kept, reader: Listed, model: Model) -> Folded:
    found = kept.load(WORK.accumulator(model.facts))
    assert found is not None
    start = replace(found[0], place=Place.of(found[1]))
    return fold(WORK, documents_from(reader, reader.files(), start.place), model, start)


def test_a_run_that_is_stopped_has_all_that_ran(minilm: Model, tmp_path: Path) -> None:
    """Windows of long texts, too: what was read and not run is known text by text."""
    long = " ".join(["The cat saw the dog."] * 120)
    documents = documents_of([*TEXTS[:9], long, *TEXTS[9:30]])
    reader, work = Listed({"corpus.txt": documents}), SurveyWork(distances=False)
    kept = Kept.of(tmp_path / "run", work, reader, minilm.facts)
    plain = fold(work, documents, minilm)
    start, times = Folded(work.accumulator(minilm.facts)), 0
    while start.place.left or start.place.read < len(documents):
        stop, before = Stop(), start.tally.windows

        def look(tally: Tally, stop: Stop = stop, before: int = before) -> None:
            if tally.windows > before:
                stop.ask()

        rest = documents_from(reader, reader.files(), start.place)
        folded = fold(work, rest, minilm, start, lambda _: None, look, stop)
        assert folded.tally.windows > before
        kept.save(folded, folded.place.data())
        found = kept.load(work.accumulator(minilm.facts))
        assert found is not None
        start, times = replace(found[0], place=Place.of(found[1])), times + 1
    assert times >= 2
    assert start.tally == plain.tally
    ours, theirs = (survey(work, folded, minilm.facts, ["corpus.txt"]) for folded in (start, plain))
    for one, other in zip(ours.heads, theirs.heads, strict=True):
        for name, number in one.statistics.items():
            assert number == pytest.approx(other.statistics[name], abs=1e-6)


def test_a_stop_waits_for_nothing(minilm: Model) -> None:
    """Where reading waits for what comes next, as on standard input, it ends at once."""
    stop = Stop()

    def documents() -> Iterator[Document | Problem]:
        yield from documents_of(TEXTS[:3])
        stop.ask()  # as a signal's handler does while this waits
        raise AssertionError

    folded = fold(WORK, documents(), minilm, keep=lambda _: None, stop=stop)
    assert folded.place.read == 3
    assert folded.tally.documents + len(folded.place.left) == 3


def test_other_texts_are_not_gone_on_with(minilm: Model) -> None:
    place = fold(WORK, documents_of(TEXTS[:9], "-"), minilm).place
    assert place.read == 9
    for texts in (TEXTS[1:20], TEXTS[:8]):
        reader = Listed({"-": documents_of(texts, "-")})
        with pytest.raises(RequestError, match="standard input has other texts"):
            list(documents_from(reader, ["-"], place))
    same = Listed({"-": documents_of(TEXTS[:11], "-")})
    assert [*documents_from(same, ["-"], place)] == documents_of(TEXTS[:11], "-")[9:]


def test_another_run_is_not_resumed(minilm: Model, tmp_path: Path) -> None:
    path, reader = tmp_path / "run", Listed({"a.txt": documents_of(TEXTS[:2], "a.txt")})
    kept = Kept.of(path, WORK, reader, minilm.facts)
    assert kept.load(WORK.accumulator(minilm.facts)) is None
    kept.save(Folded(WORK.accumulator(minilm.facts)), None)
    others = {
        "other texts: a.txt was read before": Kept.of(
            path, WORK, Listed({"b.txt": []}), minilm.facts
        ),
        "with measure weights, and norm came": Kept.of(path, Itself("norm"), reader, minilm.facts),
    }
    for said, other in others.items():
        with pytest.raises(RequestError, match=said):
            other.load(WORK.accumulator(minilm.facts))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(AttnvizError, match="is damaged"):
        kept.load(WORK.accumulator(minilm.facts))


def test_what_cannot_be_run_is_told_and_left_out(minilm: Model) -> None:
    documents = documents_of([TEXTS[0], "  ", "word " * 600, TEXTS[1]])
    folded = fold(WORK, [Problem("corpus.txt", 9, "not text"), *documents], minilm)
    assert folded.tally.documents == 2
    assert folded.tally.left_out == 3
    assert [problem.line for problem in folded.tally.problems] == [9, 2, 3]
    assert "600" in folded.tally.problems[2].message or "602" in folded.tally.problems[2].message
    assert folded.tally.windows == 2


def test_nothing_gives_nothing(minilm: Model) -> None:
    folded = fold(WORK, [], minilm)
    assert folded.tally == Tally()
    assert np.isnan(result_of(folded).means.mean()).all()


@pytest.mark.parametrize("texts", [6, 10, 20])
def test_intervals_hold_what_they_should_as_often_as_they_say(
    monkeypatch: pytest.MonkeyPatch, texts: int
) -> None:
    """Of 400 corpora each: a right 95 % is outside 0.92 to 0.985 less than once in a hundred runs.

    Plain percentiles of six texts hold less.
    """
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    held, plain = importlib.import_module("intervals").coverage(texts, 400)
    assert ((held >= 0.92) & (held <= 0.985)).all()
    assert texts > 6 or (plain < held - 0.02).all()


def test_intervals_of_few_documents_are_expanded_as_hesterberg_says() -> None:
    """Of the numbers 0 to 1000: the quantiles Φ(±t √(n / (n − 1))), as scipy.stats has them."""
    numbers = np.random.default_rng(0).permutation(1001).astype(np.float64)[:, None]
    for documents in (6, 10, 1000):
        t = stats.t.ppf(0.975, documents - 1)
        outside = 1000 * stats.norm.cdf(-t * np.sqrt(documents / (documents - 1)))
        low, high = covered(numbers, documents)
        assert (low[0], high[0]) == pytest.approx((outside, 1000 - outside))
    assert outside == pytest.approx(25, abs=0.5)  # of many documents: plain percentiles
    some = np.where(numbers < 500, numbers, np.nan)
    assert covered(some, 6)[1][0] == pytest.approx(499 * stats.norm.cdf(2.5706 * 1.2**0.5), 1e-4)
    assert np.isnan(covered(numbers, 5)).all()


def test_intervals_of_shares_are_shares() -> None:
    means = Means((1,))
    for number in range(6):
        means.add(times_of(number), np.array([number == 3]), np.ones(1))
    low, high = means.interval()
    assert 0 <= low[0] < means.mean()[0] < high[0] <= 1


def test_few_documents_have_no_interval() -> None:
    means = Means((2, 3), (2, 1))
    for number in range(5):
        means.add(times_of(number), np.ones((2, 3)), np.array([[2], [number == 0]]))
    means.add(times_of(5), np.ones((2, 3)), np.array([[2], [0]]), share=0.5)
    assert np.isnan(np.stack(means.interval())).all()
    means.add(times_of(5), np.ones((2, 3)), np.array([[2], [0]]), share=0.5)
    low, _ = means.interval()
    assert not np.isnan(low[0]).any()
    assert np.isnan(low[1]).all()
    assert means.mean()[0] == pytest.approx([0.5] * 3)
    assert means.resampled().shape == (RESAMPLES, 2, 3)


def test_what_is_restored_is_what_was_kept() -> None:
    means = Means((2,), (1,))
    for number in range(7):
        means.add(times_of(number), np.array([number, 1.0]), np.array([1]))
    other = Means((2,), (1,))
    other.restore(means.state())
    np.testing.assert_array_equal(other.interval(), means.interval())
    with pytest.raises(ValueError, match="shape"):
        Means((3,), (1,)).restore(means.state())
