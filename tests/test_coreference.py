"""Coreference is read from CoNLL-U and GAP, and run in windows of whole sentences."""

import gzip
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handmade import random_inspection, tokens_of
from mentioned import ANNA, BOB, GAP, LONG, NONE, ROW, SHE
from probed import asked, baselines, found, split, weights_of

from attnviz.corpus.conllu import sentences
from attnviz.corpus.coreference import MENTIONS, Coreferences, CoreferenceWork
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.findings import probe_of
from attnviz.corpus.fold import Seen, fold
from attnviz.corpus.gap import Ambiguous, of_gap
from attnviz.corpus.mentions import KINDS, Mentions, of_sentences
from attnviz.model import Model
from attnviz.text.tokens import spans_given


def read(text: str) -> list[Document | Problem]:
    lines = [f"{line}\n".encode() for line in text.split("\n")[:-1]]
    return list(of_sentences(sentences(lines, "a.conllu")))


def test_sentences_are_joined_to_documents_with_their_mentions() -> None:
    anna, bob = read(ANNA + SHE + BOB)
    assert isinstance(anna, Document)
    assert isinstance(bob, Document)
    assert (anna.id, anna.number, anna.line, bob.id, bob.number) == ("anna", 0, 1, "bob", 1)
    assert anna.text == ("Anna", "met", "her", "old", ",", "teacher", ".", "She", "thanked", "him")
    marks: Mentions = anna.marks
    assert marks.sentences == (0, 7)
    found = [(one.entity, one.first, one.last, one.head, one.kind) for one in marks.mentions]
    assert found == [
        (0, 0, 0, 0, "proper"),
        (0, 2, 2, 2, "pronoun"),
        (1, 2, 5, 4, "nominal"),  # the field `head` names the third word
        (0, 7, 7, 7, "pronoun"),
        (1, 9, 9, 9, "pronoun"),
    ]
    assert marks.mentions[2].text == "her old , teacher"
    assert [one.entity for one in bob.marks.mentions] == [0]


def test_a_mention_never_closed_is_told_with_its_line_and_the_document_is_kept() -> None:
    broken = ANNA.replace("Entity=e2)", "Entity=e9)")
    *problems, anna = read(broken + SHE)
    assert [str(problem) for problem in problems] == [
        "a.conllu:8: a mention of e9 is closed, and none is open",
        "a.conllu:5: a mention of e2 is opened and never closed",
    ]
    assert isinstance(anna, Document)
    assert [one.entity for one in anna.marks.mentions] == [0, 0, 0, 1]


def test_empty_nodes_and_multiword_tokens_keep_their_places() -> None:
    text = (
        "1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n"
        "1\tde\t_\tADP\t_\t_\t3\tcase\t_\t_\n"
        "2\tle\t_\tDET\t_\t_\t3\tdet\t_\tEntity=(e1-x-2-\n"
        "3\troi\t_\tNOUN\t_\t_\t4\tobl\t_\tEntity=e1)\n"
        "3.1\t_\t_\tPRON\t_\t_\t_\t_\t4:nsubj\tEntity=(e1-x-1-)\n"
        "4\tparle\t_\tVERB\t_\t_\t0\troot\t_\tEntity=(e2-event-1-)\n\n"
    )
    [found] = read(text)
    assert isinstance(found, Document)
    assert found.text == ("du", "roi", "parle")
    assert [(one.entity, one.first, one.last, one.head) for one in found.marks.mentions] == [
        (0, 0, 1, 1),
        (1, 2, 2, 2),
    ]


def of_lines(*lines: str) -> list[Document | Problem]:
    return list(of_gap(iter(lines), "gap.tsv"))


def test_gap_is_read_as_it_is_without_quotes() -> None:
    [found] = of_lines(GAP, ROW)
    assert isinstance(found, Document)
    assert (found.id, found.number, found.line) == ("d-1", 0, 2)
    assert found.text == '"Zoë" saw Eve Ray as she left.'
    assert found.marks == Ambiguous((21, 24), ((1, 4), (10, 17)), (False, True), "feminine")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("\t21\t", "\t20\t", 'Pronoun is "she" at offset 20, and the text has " sh" there'),
        ("\t21\t", "\t900\t", 'Pronoun is "she" at offset 900, and the text has nothing there'),
        ("\t21\t", "\t-9\t", 'Pronoun is "she" at offset -9, and the text has nothing there'),
        ("\t21\t", "\tx\t", 'Pronoun is "she" at offset x, and the text has nothing there'),
        ("TRUE", "maybe", 'B-coref is "maybe", and not TRUE or FALSE'),
        ("\tEve Ray\t10\tTRUE\tu", "", f"the row has 7 cells: {NONE}"),
    ],
)  # fmt: skip
def test_a_broken_row_of_gap_is_told_and_the_next_is_read(old: str, new: str, told: str) -> None:
    problem, found = of_lines(GAP, ROW.replace(old, new), ROW)
    assert str(problem) == f"gap.tsv:2: {told}"
    assert isinstance(found, Document)
    assert found.line == 3


def test_gap_without_its_answers_is_told_once() -> None:
    [problem] = of_lines("ID\tText\tPronoun\tPronoun-offset\tA\tA-offset\tB\tB-offset\tURL", ROW)
    assert str(problem) == "gap.tsv:1: the columns A-coref, B-coref are not there"


def cut(model: Model, words: list[str], firsts: Iterable[int], at_once: int | None) -> list[str]:
    starts = [spans_given(words)[first][0] for first in firsts]
    windows = model.windows_at(tuple(words), starts, at_once)
    assert all(len(window) <= 512 for window in windows)
    parts = [window.part for window in windows]
    if len(windows) == 1:
        assert parts == [None]
    else:
        for index, part in enumerate(parts):
            assert part is not None
            assert (part.index, part.count) == (index, len(windows))
            text = windows[index].text
            assert " ".join(words)[part.offset : part.offset + len(text)] == text
    return [window.text for window in windows]


def test_windows_have_whole_sentences_and_leave_nothing_out(minilm: Model) -> None:
    words = ["One", "sits", ".", "Two", "run", ".", "Three", "sing", "songs", ".", "Four", "."]
    firsts = [0, 3, 6, 10]
    assert cut(minilm, words, firsts, None) == [" ".join(words)]
    assert cut(minilm, words, firsts, 3) == ["One sits . Two run . Three sing songs .", "Four ."]
    assert cut(minilm, words, firsts, 1) == [
        "One sits .",
        "Two run .",
        "Three sing songs .",
        "Four .",
    ]
    long = ["word"] * 2000
    pieces = cut(minilm, long, [0, 300, 600, 900, 1500], None)
    assert [len(text.split()) for text in pieces] == [300, 300, 300, 510, 90, 500]
    huge = [*["a"] * 100, "x" * 1500, *["b"] * 30]  # a word of more pieces than a window has
    assert "".join("".join(cut(minilm, huge, [0], None)).split()) == "".join(huge)


WORK = CoreferenceWork()


def seen(text: str, seed: int = 0) -> list[Seen]:
    """Random weights over each document of some CoNLL-U."""
    found = []
    for number, document in enumerate(read(text)):
        assert isinstance(document, Document), str(document)
        tokens = tokens_of(document.text)
        own = replace(tokens, given=(spans_given(document.text), ()))
        inspection = random_inspection(own, 2, 3, seed + number)
        found.append(Seen(replace(document, number=number + seed), inspection, "weights"))
    return found


def plainly(every: list[Seen]) -> dict[str, tuple[int, dict[str, float], list[float]]]:
    """Counts, what baselines find, and what each head finds, by relation: slow and plain."""
    counts: Counter[str] = Counter()
    right: Counter[tuple[str, str]] = Counter()
    heads = {name: np.zeros(6) for name in (MENTIONS, *KINDS)}
    for one in every:
        words = [word.casefold() for word in one.document.text]
        mentions: Mentions = one.document.marks
        weights = weights_of(one)[:, 1:-1, 1:-1]
        for mention in mentions.mentions:
            earlier = sorted({m.head for m in mentions.mentions if m.head < mention.head})
            same = {m.head for m in mentions.mentions if m.entity == mention.entity}
            gold = [head for head in earlier if head in same]
            if not gold:
                continue
            twins = [head for head in earlier if words[head] == words[mention.head]]
            for name in (MENTIONS, mention.kind):
                counts[name] += 1
                right[name, "nearest"] += earlier[-1] in gold
                right[name, "first"] += earlier[0] in gold
                right[name, "head_match"] += bool(twins) and twins[-1] in gold
                right[name, "random"] += len(gold) / len(earlier)  # type: ignore[assignment]
                for head, matrix in enumerate(weights):
                    most = max(earlier, key=lambda k: matrix[mention.head, k])
                    heads[name][head] += most in gold
    return {
        name: (
            counts[name],
            {what: n / counts[name] for (of, what), n in right.items() if of == name},
            (heads[name] / counts[name]).tolist(),
        )
        for name in counts
    }


def test_antecedents_beside_a_plain_count_in_any_split_and_order() -> None:
    every = [one for seed in range(0, 40, 2) for one in seen(LONG, seed)]
    probe = found(WORK, every)
    expected = plainly(every)
    assert {one.name for one in probe.relations} == {MENTIONS, *KINDS} == set(expected)
    for name, (count, shares, heads) in expected.items():
        one = asked(probe, name)
        assert one.count == count
        np.testing.assert_allclose(one.accuracy, heads)
        own = baselines(one)
        assert {what: own.get(what, 0) for what in shares} == pytest.approx(shares, abs=1e-6)
    assert split(WORK, every).data() == probe.data()


def test_windows_ask_for_antecedents_in_them_alone(minilm: Model) -> None:
    (document, _) = read(LONG)
    assert isinstance(document, Document)
    whole, one_by_one = (
        fold(CoreferenceWork(sentences=most), [document], minilm) for most in (None, 1)
    )
    counts = []
    for folded in (whole, one_by_one):
        probe = probe_of(WORK, folded, minilm.facts, ["a.conllu"])
        counts.append({one.name: one.asked.count for one in probe.relations})
        assert probe.relations[0].asked.documents == 1
    assert (whole.tally.windows, one_by_one.tally.windows) == (1, 4)
    # in their own sentences: her and herself; over them also She, him, Anna, teacher and Teacher
    assert counts[0] == {MENTIONS: 7, "pronoun": 4, "nominal": 2, "proper": 1}
    assert counts[1] == {MENTIONS: 2, "pronoun": 2}


def test_what_a_pronoun_of_gap_gives_both_names(minilm: Model) -> None:
    document, neither = of_lines(GAP, ROW, ROW.replace("TRUE", "FALSE"))
    assert isinstance(document, Document)
    assert isinstance(neither, Document)
    folded = fold(WORK, [document, neither], minilm)
    assert (folded.tally.documents, folded.tally.windows) == (2, 1)
    probe = probe_of(WORK, folded, minilm.facts, ["gap.tsv"])
    assert [one.name for one in probe.relations] == ["feminine", "pronoun"]
    view = minilm.inspect(str(document.text)).view()
    words = [word.text for word in view.tokens]
    rows = np.stack([view.weights(head)[words.index("she")] for head in view.all_heads()])
    names = [words.index(name) for name in ("Zoë", "Eve", "Ray")]
    np.testing.assert_array_equal(asked(probe, "pronoun").accuracy, rows[:, names].argmax(1) > 0)
    assert baselines(asked(probe, "pronoun"))["random"] == pytest.approx(2 / 3, abs=1e-6)


def test_both_forms_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "a.conllu").write_text(LONG, encoding="utf-8")
    (tmp_path / "gap.tsv").write_text(f"{GAP}\r\n{ROW}\r\n", encoding="utf-8-sig")
    (tmp_path / "b.conllu.gz").write_bytes(gzip.compress(BOB.encode()))
    (tmp_path / "empty.conllu").write_text("")
    names = ["a.conllu", "gap.tsv", "b.conllu.gz", "empty.conllu"]
    reader = Coreferences([str(tmp_path / name) for name in names])
    every = [one for file in reader.files() for one in reader.documents(file)]
    texts = [one.text for one in every if isinstance(one, Document)]
    told = [str(one).rpartition("/")[2] for one in every if isinstance(one, Problem)]
    assert [text[0] if isinstance(text, tuple) else text for text in texts] == [
        "Anna", "Bob", '"Zoë" saw Eve Ray as she left.', "Bob"
    ]  # fmt: skip
    assert told[-1] == "empty.conllu: there is no text in it"
