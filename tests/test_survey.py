"""A survey of a corpus with the default model: its notes, and any split of the texts."""

from dataclasses import replace

import numpy as np
import pytest
from corpora import documents_of
from test_fold import TEXTS
from test_survey_statistics import numbers_of, text_of

from attnviz.corpus import copies as copying
from attnviz.corpus.copies import Copies
from attnviz.corpus.fold import Folded, Seen, fold
from attnviz.corpus.survey import FEW, NO_BLOCKS, NO_TREES, SurveyAccumulator, SurveyWork, survey
from attnviz.model import Model
from attnviz.text.tokens import Part

WORK = SurveyWork(examples=2)


@pytest.fixture(scope="module")
def whole(minilm: Model) -> Folded:
    return fold(WORK, documents_of(TEXTS), minilm)


def accumulator_of(folded: Folded) -> SurveyAccumulator:
    assert isinstance(folded.accumulator, SurveyAccumulator)
    return folded.accumulator


def test_a_survey_tells_every_head(minilm: Model, whole: Folded) -> None:
    found = survey(WORK, whole, minilm.facts, ["corpus.txt"])
    assert len(found.heads) == 72
    assert found.corpus.documents == len(TEXTS)
    assert found.notes == (NO_TREES, NO_BLOCKS)
    assert found.intervals is not None
    names = {statistic.name for statistic in found.statistics}
    assert {"entropy", "cls", "brought"} < names
    assert not {"sink", "induction"} & names
    for head in found.heads:
        shares = [head.unknown, *(role.share for role in head.roles)]
        assert sum(share.mean or 0 for share in shares) == pytest.approx(1, abs=1e-5)
        assert len(head.examples) == len(head.sample) == 2
        for estimate in head.statistics.values():
            assert estimate.mean is not None
            assert (estimate.low or 0) - 1e-9 <= estimate.mean <= (estimate.high or 0) + 1e-9
    positional = next(head for head in found.heads if str(head.head) == "L0H2")
    assert positional.tests["positional"]["offset"] == -1
    assert positional.role == "positional"
    assert found.distances is not None


def test_parts_joined_in_another_order_are_the_whole(minilm: Model, whole: Folded) -> None:
    documents = documents_of(TEXTS)
    parts = [fold(WORK, documents[a::3], minilm) for a in (2, 0, 1)]
    first, second, third = map(accumulator_of, parts)
    restored = accumulator_of(Folded(WORK.accumulator(minilm.facts)))
    restored.restore(third.state())
    first.merge(restored)
    first.merge(second)
    np.testing.assert_allclose(
        numbers_of(first.statistics.heads()),
        numbers_of(accumulator_of(whole).statistics.heads()),
        rtol=1e-6,
        atol=1e-6,
    )


def test_a_corpus_of_one_sentence_says_what_it_lacks(minilm: Model) -> None:
    folded = fold(WORK, documents_of(TEXTS[:1]), minilm)
    found = survey(WORK, folded, minilm.facts, ["corpus.txt"])
    assert found.intervals is None
    assert found.notes == (FEW,)
    assert found.heads[0].statistics["entropy"].low is None


def test_texts_that_come_again_are_told(minilm: Model) -> None:
    """Of twenty copies of a line all intervals have no width: a reader should know why."""
    work = SurveyWork(distances=False)
    texts = [TEXTS[0]] * 18 + TEXTS[1:3]
    found = survey(work, fold(work, documents_of(texts), minilm), minilm.facts, ["a"])
    assert found.notes[0].startswith("17 of 20 texts are copies of earlier ones")
    same = survey(work, fold(work, documents_of(texts[:18]), minilm), minilm.facts, ["a"])
    entropy = same.heads[0].statistics["entropy"]
    assert entropy.low == pytest.approx(entropy.high)


@pytest.mark.parametrize("kept", [8, 1000])
def test_copies_are_counted_in_any_split(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    """A third of the texts comes again: exactly, and of a sample of the texts about."""
    monkeypatch.setattr(copying, "KEPT", kept)
    texts = [f"text {n % 200}" for n in range(300)]
    order = np.random.default_rng(0).permutation(300)
    seen = [text_of(int(n), texts[n].split(), True, False) for n in order]
    whole, parts = Copies(), [Copies(), Copies(), Copies()]
    for number, one in enumerate(seen):
        whole.add(one)
        parts[number % 3].add(one)
    restored = Copies()
    restored.restore(parts[2].state())
    restored.merge(parts[0])
    restored.merge(parts[1])
    assert restored.share == whole.share
    assert whole.share == pytest.approx(1 / 3, abs=1e-9 if kept == 1000 else 0.25)
    assert len(whole.state()["hashes"]) == min(kept, 200)


def test_a_window_is_no_copy_of_its_document() -> None:
    found = Copies()
    for index in range(3):
        text = text_of(0, ["a", "b"], True, False)
        tokens = replace(text.inspection.tokens, part=Part(index, 3, 0, 2, 0))
        inspection = replace(text.inspection, tokens=tokens)
        found.add(Seen(text.document, inspection, "weights"))
    assert found.share == 0


def test_nothing_gives_no_heads(minilm: Model) -> None:
    found = survey(WORK, fold(WORK, [], minilm), minilm.facts, [])
    assert found.heads == ()


def test_the_norm_measure_is_surveyed_too(minilm: Model) -> None:
    work = SurveyWork(measure="norm", distances=False)
    found = survey(work, fold(work, documents_of(TEXTS[:8]), minilm), minilm.facts, ["a"])
    assert "norm" in found.notes[-1]
    assert "W_O" in found.formula
    assert found.heads[0].statistics["spread"].mean is not None
