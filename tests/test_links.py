"""`probe --links`: tables of links, by hand, beside a plain count, in any split and order."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import inspection_of, random_inspection, tokens_of
from probed import asked, baselines, found, split, weights_of

from attnviz.corpus import links
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.fold import Seen, fold
from attnviz.corpus.links import (
    ALL,
    MOST,
    OTHER,
    Link,
    LinkFiles,
    LinksWork,
    Twins,
    luckiest,
    of_records,
)
from attnviz.model import Model

WORK = LinksWork()
TEXT = "The cat saw the dog , and it ran"


def document(number: int = 0, text: str = TEXT, **cells: Any) -> Document:
    record = {"sentence": text, "query": "it", "key": "cat", **cells}
    [one] = of_records([(number + 2, record)], "a.tsv")
    assert isinstance(one, Document), str(one)
    return replace(one, number=number)


def seen(one: Document, weights: np.ndarray | None = None, seed: int = 0) -> Seen:
    tokens = tokens_of(str(one.text).split())
    if weights is None:
        return Seen(one, random_inspection(tokens, 2, 3, seed), "weights")
    return Seen(one, inspection_of(tokens, weights), "weights")


def giving(**shares: float) -> np.ndarray:
    """One head, in which `it` gives the words so much, and all others the same to each."""
    weights = np.full((1, 1, 11, 11), 1 / 11)
    row = np.full(11, (1 - sum(shares.values())) / (11 - len(shares)))
    words = ["CLS", *TEXT.split(), "SEP"]
    for word, share in shares.items():
        row[words.index(word)] = share
    weights[0, 0, 8] = row
    return weights


def accuracy(one: Document, **shares: float) -> dict[str, float]:
    probe = found(WORK, [seen(one, giving(**shares))])
    return {
        name: float(asked(probe, name).accuracy[0]) for name in (r.name for r in probe.relations)
    }


def test_the_key_is_compared_with_the_distractor_and_with_all_words() -> None:
    alone, beside = document(label="sure"), document(distractor="dog", order="cat first")
    assert accuracy(alone, cat=0.4, dog=0.3) == {ALL: 1, "sure": 1}
    assert accuracy(alone, cat=0.3, dog=0.4) == {ALL: 0, "sure": 0}
    assert accuracy(alone, cat=0.3, CLS=0.6) == {ALL: 1, "sure": 1}  # special tokens are no answers
    everything = {ALL: 1, "cat first": 1, MOST: 1, OTHER: 0}
    assert accuracy(beside, cat=0.4, dog=0.3) == everything
    assert accuracy(beside, cat=0.3, saw=0.6, dog=0.1) == everything | {MOST: 0}
    assert accuracy(beside, cat=0.3, dog=0.6) == {ALL: 0, "cat first": 0, MOST: 0, OTHER: 1}
    probe = found(WORK, [seen(beside, giving(cat=0.4))])
    assert baselines(asked(probe, ALL)) == {
        "offset": 1, "same_key": 1, "nearest": 0, "first": 1, "random": 0.5
    }  # fmt: skip
    assert asked(probe, ALL).baselines["offset"].how == {"offset": -6}
    # the two articles, saw, dog, and, ran are the others: neither the comma nor `it` is an answer
    assert baselines(asked(probe, MOST))["random"] == pytest.approx(1 / 7, abs=1e-6)


def test_beside_a_plain_count_in_any_split_and_order() -> None:
    labels = ("one", "two")
    every = [
        seen(document(n, distractor="dog", label=labels[n % 2], group=str(n // 2)), seed=n)
        for n in range(40)
    ]
    probe = found(WORK, every)
    right: Counter[tuple[str, int]] = Counter()
    both: Counter[int] = Counter()
    for first, second in zip(every[::2], every[1::2], strict=True):
        rights = []
        for one in (first, second):
            rows = weights_of(one)[:, 8]
            rights.append(rows[:, 2] >= rows[:, 5])  # the first of equal ones counts
            others = [k for k in range(1, 10) if k not in (6, 8)]
            for head, row in enumerate(rows):
                right[ALL, head] += rights[-1][head]
                right[one.document.marks.label, head] += rights[-1][head]
                right[MOST, head] += max(others, key=lambda k: row[k]) == 2
                right[OTHER, head] += max(others, key=lambda k: row[k]) == 5
        for head in range(6):
            both[head] += bool(rights[0][head] and rights[1][head])
    for name, count in ((ALL, 40), ("one", 20), ("two", 20), (MOST, 40), (OTHER, 40)):
        expected = [right[name, head] / count for head in range(6)]
        np.testing.assert_allclose(asked(probe, name).accuracy, expected, err_msg=name)
    twins = probe.data()["groups"]
    assert twins["count"] == 20
    assert {(h["layer"] * 3 + h["head"]): h["right"] for h in twins["heads"]} == dict(both)
    assert [h["right"] for h in twins["heads"]] == sorted(both.values(), reverse=True)
    assert split(WORK, every).data() == probe.data()


def test_twins_are_in_one_half() -> None:
    twins = [document(n, distractor="dog", label=str(n)) for n in range(9)]
    assert len({one.key for one in twins}) == 1  # by their nouns
    assert twins[0].key == document(9, key="dog", distractor="cat").key
    assert twins[0].key != document(9, key="dog").key
    own = [document(n, distractor="dog", group=f"pair {n // 2}") for n in range(8)]
    assert len({one.key for one in own}) == 4


def test_of_many_groups_a_fair_sample_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever way they come, the same groups are kept, with all of their sentences."""
    rights = np.random.default_rng(1).random((300, 6)) < 0.6
    names = [f"group {n % 100}" for n in range(300)]
    whole = Twins()
    for name, right in zip(names, rights, strict=True):
        whole.add(name, right)
    monkeypatch.setattr(links, "MOST_GROUPS", 10)
    parts = [Twins(), Twins(), Twins()]
    for n in np.random.default_rng(2).permutation(300):
        parts[n % 3].add(names[n], rights[n])
    parts[1].merge(parts[0])
    parts[1].merge(parts[2])
    kept, every = parts[1].state(), whole.state()
    assert kept["groups"].tolist() == every["groups"].tolist()[:10]
    for name in ("sentences", "right"):
        np.testing.assert_array_equal(kept[name], every[name][:10])
    assert kept["sentences"].tolist() == [3] * 10


def test_the_luckiest_of_many_that_guess() -> None:
    """Of two coins thrown once, the better is right in 3 of 4; one coin is right in half."""
    probe = found(WORK, [seen(document(distractor="dog"))])
    one = asked(probe, ALL)
    assert luckiest(2, one) == pytest.approx(0.75)
    assert luckiest(1, replace(one, count=60)) == pytest.approx(0.5)
    throws = np.random.default_rng(1).binomial(60, 0.5, size=(20000, 72)).max(axis=1)
    assert luckiest(72, replace(one, count=60)) == pytest.approx(throws.mean() / 60, abs=0.002)
    assert probe.data()["relations"][0]["luckiest"] == luckiest(6, one)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"sentence": "It is."}, "there is no query and no key: there are sentence"),
        ({"sentence": "It is.", "query": "it", "key": " "}, "the key is empty"),
        ({"sentence": "", "query": "it", "key": "is"}, "the sentence is empty"),
        ({"sentence": [], "query": None, "key": "is"}, "the sentence and the query are empty"),
        ({"sentence": None, "query": None, "key": None}, "the sentence is null, and a text"),
        ({"sentence": ["It", 1], "query": "it", "key": "is"}, "the sentence is a list, not of str"),
        ({"sentence": "It is.", "query": "it", "key": "is", "label": ALL}, 'the label "all" is'),
        ({"sentence": "It is.", "query": "it", "key": "is", "label": [1]}, "the label is a list"),
        ({"sentence": 5, "query": "it", "key": "is"}, "the sentence is a number, and a text"),
        ({"sentence": "It is.", "query": 3, "key": "is"}, "the query is a number, and not a word"),
    ],
)  # fmt: skip
def test_a_broken_record_is_told(record: dict[str, Any], told: str) -> None:
    problem, good = of_records(
        [(2, record), (3, {"Sentence": ["It", "is"], "QUERY": "it", "key": "is"})], "a.jsonl"
    )
    assert str(problem).startswith(f"a.jsonl:2: {told}")
    assert isinstance(good, Document)
    assert (good.text, good.marks) == (("It", "is"), Link("it", "is", None, None))


@pytest.mark.parametrize(
    "table",
    [
        "sentence\tquery\tkey\nIt is, I see.\tit\tis\n",
        'sentence,query,key\n"It is, I see.",it,is\n',
        '{"sentence": "It is, I see.", "query": "it", "key": "is"}\n',
    ],
)
def test_a_table_is_known_without_a_name(table: str, tmp_path: Path) -> None:
    name = str(tmp_path / "links")
    (tmp_path / "links").write_text(table)
    [one] = LinkFiles([name]).documents(name)
    assert isinstance(one, Document)
    assert (one.text, one.marks) == ("It is, I see.", Link("it", "is", None, None))


def test_groups_and_labels_may_be_numbers() -> None:
    """Also 0, and a label that is false."""
    zero, one = document(0, group=0, label=0), document(1, group=1, label=False)
    assert (zero.group, one.group) == ("a.tsv:0", "a.tsv:1")
    assert (zero.marks.label, one.marks.label) == ("0", "False")
    assert (document(0, group="", label=" ", order="x").group, zero.id) == (None, None)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ({"key": "horse"}, 'there is no "horse" in the sentence'),
        ({"query": "the#3"}, 'there is no the#3: "the" occurs 2 times'),
        ({"key": "@40"}, "there is no token @40"),
        ({"key": "it#1"}, '"it" and "it#1" are the same word of the sentence'),
        ({"distractor": "CAT"}, '"cat" and "CAT" are the same word of the sentence'),
        ({"query": "saw the"}, 'the query "saw the" is 2 words'),
    ],
)
def test_words_that_are_not_there_leave_a_sentence_out(
    minilm: Model, cells: dict[str, str], told: str
) -> None:
    folded = fold(WORK, [document(0, **cells), document(1, key="the dog")], minilm)
    assert (folded.tally.documents, folded.tally.left_out) == (1, 1)
    [problem] = folded.tally.problems
    assert problem.line == 2
    assert told in problem.message


def test_tables_and_json_lines_are_read_alike(tmp_path: Path) -> None:
    rows = [("It is.", "it", "is", "a", "1"), ("He was.", "he", "@2", "b", "2")]
    columns = ("sentence", "query", "key", "label", "id")
    (tmp_path / "a.tsv").write_text("".join("\t".join(row) + "\n" for row in [columns, *rows]))
    (tmp_path / "a.csv").write_text("".join(",".join(row) + "\n" for row in [columns, *rows]))
    lines = (json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows)
    (tmp_path / "a.jsonl").write_text("".join(lines))
    for name, first in (("a.tsv", 2), ("a.csv", 2), ("a.jsonl", 1)):
        reader = LinkFiles([str(tmp_path / name)])
        [file] = reader.files()
        read = list(reader.documents(file))
        assert not any(isinstance(one, Problem) for one in read), list(map(str, read))
        assert [(one.line, one.text, one.id) for one in read if isinstance(one, Document)] == [
            (first, "It is.", "1"), (first + 1, "He was.", "2"),
        ]  # fmt: skip
