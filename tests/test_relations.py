"""`probe --conllu`: by hand, beside a slow and plain count, in any split and order."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from handmade import causal, inspection_of, tokens_of, with_layer
from probes import WORK, answer, documents, found, some
from treebank import SMALL

from attnviz.answers.corpus import Estimate
from attnviz.answers.probe import Direction, Relation, Trial
from attnviz.corpus import probing
from attnviz.corpus.findings import METHOD
from attnviz.corpus.fold import Seen
from attnviz.corpus.probing import FURTHEST
from attnviz.corpus.relations import TO_DEPENDENT, TO_HEAD
from attnviz.errors import RequestError
from attnviz.inspection import HeadId
from attnviz.model import Model


def by_hand(rows: Any) -> Seen:
    """`The old dog barked.` in one head; the rows of its five words, each over all seven keys."""
    (document,) = documents("The/DET/3/det old/ADJ/3/amod dog/NOUN/4/nsubj barked/VERB/0/root "
                            "./PUNCT/4/punct")  # fmt: skip
    weights = np.full((1, 1, 7, 7), 1 / 7)
    weights[0, 0, 1:6] = rows
    inspection = inspection_of(tokens_of(document.text), weights)
    return Seen(document, inspection, "weights")


def direction(relation: Relation | None, name: str) -> Direction:
    assert relation is not None
    return next(one for one in relation.directions if one.name == name)


def test_by_hand() -> None:
    """The special tokens, the word itself and the full stop have most, and are no answers."""
    probe = found(
        [
            by_hand(
                [
                    (0.3, 0.3, 0.0, 0.1, 0.0, 0.2, 0.1),  # the: dog
                    (0.0, 0.1, 0.3, 0.0, 0.2, 0.4, 0.0),  # old: barked
                    (0.0, 0.2, 0.1, 0.3, 0.1, 0.3, 0.0),  # dog: the
                    (0.6, 0.0, 0.0, 0.1, 0.3, 0.0, 0.0),  # barked: dog
                    (0.0, 0.0, 0.9, 0.0, 0.0, 0.1, 0.0),  # the full stop looks at old
                ]
            )
        ]
    )
    assert [one.name for one in probe.relations] == ["amod", "det", "nsubj"]
    assert probe.directions == [TO_HEAD, TO_DEPENDENT]
    right = {
        (one.name, asked.name): asked.accuracy.tolist()
        for one in probe.relations
        for asked in one.directions
    }
    assert right == {
        ("det", TO_HEAD): [1], ("det", TO_DEPENDENT): [1],
        ("amod", TO_HEAD): [0], ("amod", TO_DEPENDENT): [0],
        ("nsubj", TO_HEAD): [0], ("nsubj", TO_DEPENDENT): [1],
    }  # fmt: skip
    det = direction(probe.relation("det"), TO_HEAD)
    assert (det.count, det.documents) == (1, 1)
    assert {name: one.accuracy.mean for name, one in det.baselines.items()} == {
        "offset": 1,  # two words on
        "same_key": 0,  # of the rows of old, dog, barked and the stop, old has most, of the stop
        "nearest": 0,  # old
        "nearest_pos": 1,  # the nearest noun
        "first": 0,
        "random": pytest.approx(1 / 3),  # old, dog, barked
    }
    assert det.baselines["offset"].how == {"offset": 2}
    assert det.baselines["nearest_pos"].how == {"side": "after"}
    assert probe.intervals is None
    assert np.isnan(det.low).all()
    data = probe.data()
    assert data["tried"] == {"heads": 1, "directions": 2}
    assert data["relations"][2]["best"] == {
        "layer": 0, "head": 0, "direction": TO_DEPENDENT, "accuracy": 1.0, "low": None, "high": None
    }  # fmt: skip
    assert data["relations"][2]["held_out"] is None  # one sentence is in one half


def test_a_row_of_nothing_finds_nothing() -> None:
    """`the` may answer old, dog and barked, and gives them nothing: the first is no answer."""
    rows = np.tile((1.0, 0, 0, 0, 0, 0, 0), (5, 1))
    probe = found([by_hand(rows)])
    assert all((d.accuracy == 0).all() for one in probe.relations for d in one.directions)


def test_what_no_head_may_look_at_is_no_candidate() -> None:
    """In a causal model a word chooses among those before it; a distance does not ask the model."""
    seen = by_hand(np.full((5, 7), 1 / 7))
    inspection = with_layer(seen.inspection, 0, key_ranges=causal(7))
    probe = found([Seen(seen.document, inspection, "weights")])
    random, first, offset = (
        {
            (relation.name, one.name): one.baselines[name].accuracy.mean
            for relation in probe.relations
            for one in relation.directions
        }
        for name in ("random", "first", "offset")
    )
    assert random == {
        ("det", TO_HEAD): 0, ("det", TO_DEPENDENT): 1 / 2,  # the, old
        ("amod", TO_HEAD): 0, ("amod", TO_DEPENDENT): 1 / 2,
        ("nsubj", TO_HEAD): 0, ("nsubj", TO_DEPENDENT): pytest.approx(1 / 3),
    }  # fmt: skip
    assert [name for name, share in first.items() if share] == [("det", TO_DEPENDENT)]
    assert set(offset.values()) == {1}


def plainly(seen: list[Seen]) -> dict[tuple[str, str, int, str], float]:
    """The shares found, by relation, direction, head and what finds them: slow and plain."""
    right: Counter[tuple[str, str, int, str]] = Counter()
    asked: Counter[tuple[str, str]] = Counter()
    for one in seen:
        tree = one.document.marks
        weights = np.concatenate([block.weights for block in one.blocks()])[:, 1:-1, 1:-1]
        words = range(len(tree.forms))
        for dependent in words:
            link = tree.heads[dependent], dependent
            if min(link) < 0 or "PUNCT" in (tree.upos[link[0]], tree.upos[link[1]]):
                continue
            for name, query, key in ((TO_HEAD, dependent, link[0]), (TO_DEPENDENT, *link)):
                relation = tree.relations[dependent], name
                answers = [k for k in words if k != query and tree.upos[k] != "PUNCT"]
                asked[relation] += 1
                right[*relation, 0, "random"] += 1 / len(answers)  # type: ignore[assignment]
                right[*relation, 0, "first"] += answers[0] == key
                for head, matrix in enumerate(weights):
                    own = max(answers, key=lambda k: matrix[query, k])
                    others = {k: sum(matrix[q, k] for q in words if q not in (query, k))
                              for k in answers}  # fmt: skip
                    right[*relation, head, "accuracy"] += own == key
                    right[*relation, head, "same_key"] += max(others, key=others.__getitem__) == key
                for offset in range(-FURTHEST, FURTHEST + 1):
                    right[*relation, offset, "offset"] += query + offset == key
                alike = [k for k in answers if tree.upos[k] == tree.upos[key]]
                for what, among in (("nearest", answers), ("nearest_pos", alike)):
                    before = [k for k in among if k < query][-1:]
                    after = [k for k in among if k > query][:1]
                    either = sorted(before + after, key=lambda k: abs(k - query))[:1]
                    for side, nearest in enumerate((before, after, either)):
                        right[*relation, side, what] += nearest == [key]
    return {name: count / asked[name[0], name[1]] for name, count in right.items()}


def test_beside_a_plain_count() -> None:
    seen = some(1)
    expected = plainly(seen)
    for relation in found(seen).relations:
        for one in relation.directions:
            own = {
                key[2:]: n for key, n in expected.items() if key[:2] == (relation.name, one.name)
            }
            for what, numbers in (("accuracy", one.accuracy), ("same_key", one.same_key)):
                wanted = [own[head, what] for head in range(6)]
                np.testing.assert_allclose(numbers, wanted, err_msg=what)
            best = int(np.argmax(one.accuracy))
            for what, baseline in one.baselines.items():
                most = max(number for (_, called), number in own.items() if called == what)
                expected_one = own[best, what] if what == "same_key" else most
                assert baseline.accuracy.mean == pytest.approx(expected_one, abs=1e-6), what


def test_too_many_relations_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of labels that are ids, which would fill the memory; also where parts come together."""
    seen = some(6)
    parts = [WORK.accumulator(seen[0].inspection.model) for _ in range(2)]
    parts[0].add(seen[0])
    parts[1].add(seen[2])
    most = len(parts[0].state()["names"]), len(parts[1].state()["names"])
    monkeypatch.setattr(probing, "MOST", max(most))
    with pytest.raises(RequestError, match=f"more than {max(most)} relations or labels"):
        parts[0].merge(parts[1])
    with pytest.raises(RequestError, match="leave out a column of labels that holds ids"):
        found(seen)


def test_any_split_and_order_gives_the_same() -> None:
    seen = some(2)
    whole = found(seen)
    parts = []
    for place in range(3):
        part = WORK.accumulator(seen[0].inspection.model)
        for one in seen[place::3][::-1]:
            part.add(one)
        again = WORK.accumulator(seen[0].inspection.model)
        again.restore(part.state())
        parts.append(again)
    parts.append(WORK.accumulator(seen[0].inspection.model))  # which saw nothing
    joined = parts.pop()
    for part in parts:
        joined.merge(part)
    split = answer(joined, seen)
    assert list(split.rows()) == list(whole.rows())
    assert split.relations[0].data() == whole.relations[0].data()


def test_halves_and_intervals() -> None:
    """A head that is right in one half alone is chosen there, and fails in the other."""
    seen = some(3, count=60)
    probe = found(seen)
    assert probe.intervals is not None
    assert probe.intervals.method == METHOD
    for relation in probe.relations:
        held = relation.held_out
        assert held is not None
        assert held.accuracy.mean is not None
        assert relation.accuracy.mean is not None
        assert held.accuracy.mean <= relation.accuracy.mean
        assert sum(count for _, count in held.trials) == relation.asked.count
        low, high = relation.accuracy.low, relation.accuracy.high
        assert low is not None
        assert high is not None
        assert low <= relation.accuracy.mean <= high
        assert not relation.beats  # weights are random


def test_what_is_clear_beats_the_baselines() -> None:
    """A head that finds nothing but heads: all of them, in every half."""
    seen = []
    for number, document in enumerate(documents(*SMALL) * 8):
        count = len(document.text)
        weights = np.full((1, 2, count + 2, count + 2), 1 / (count + 2))
        for place, head in enumerate(document.marks.heads):
            weights[0, 1, place + 1] = 1e-4
            weights[0, 1, place + 1, head + 1] = 0.9
        inspection = inspection_of(tokens_of(document.text), weights)
        seen.append(Seen(replace(document, number=number), inspection, "weights"))
    probe = found(seen)
    det, nsubj = probe.relation("det"), probe.relation("nsubj")
    assert det is not None
    assert nsubj is not None
    for one in (det, nsubj):
        assert one.best == Trial(HeadId(0, 1), TO_HEAD)
        assert one.accuracy == Estimate(1.0, 1.0, 1.0)
    assert det.beats
    assert not nsubj.beats  # as others too look at the verb
    assert nsubj.held_out is not None
    assert (nsubj.held_out.over, nsubj.held_out.margin.mean) == ("same_key", 0)
    row = next(iter(probe.rows()))
    assert len(row) == len(probe.columns)
    assert [len(relation.data(1)["heads"]) for relation in probe.relations] == [1] * 11


def test_words_of_the_model_are_the_files(minilm: Model) -> None:
    """The sum over a key's pieces, the mean over a query's."""
    (document,) = documents("unbelievableness/NOUN/2/nsubj reigns/VERB/0/root")
    (tokens,) = WORK.tokens(minilm, document)
    assert len(tokens) > 4
    assert [word.text for word in tokens.words[1:-1]] == ["unbelievableness", "reigns"]
