"""`probe --align`: Pharaoh's form in files of every kind, each head's error rate, bad input."""

import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import cross_inspection_of, tokens_of
from probed import asked, baselines, found, split, weights_of

from attnviz.corpus.alignment import (
    ALIGNED,
    READING,
    WRITING,
    AlignedFiles,
    Alignment,
    AlignmentWork,
    of_lines,
)
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.fold import Seen, fold
from attnviz.errors import RequestError
from attnviz.model import Model, load_model
from attnviz.text.tokens import Tokens, spans_given

WORK = AlignmentWork()
TRANSLATOR = str(Path(__file__).parents[1] / "samples" / "translator")
LINES = (
    ("we see it", "wir sehen es", "0-0 1-1 2-2"),
    ("it is not so old", "so alt ist es nicht", "0-3 1-2 2?4 3-0 4-1 3p1"),
    ("yes", "ja doch", "0-0 0?1"),
    ("she does know", "sie weiß", "0-0 2-1 1P1"),
    ("no links at all", "hier auch nicht", ""),
)


def documents(*lines: tuple[str, str, str]) -> list[Document]:
    read = list(of_lines(iter(lines), "a.txt"))
    assert all(isinstance(one, Document) for one in read), list(map(str, read))
    return [one for one in read if isinstance(one, Document)]


def target_of(document: Document) -> Tokens:
    """The words after a start token, as a decoder is fed them."""
    assert document.pair is not None
    with_end = tokens_of(["start", *document.pair], special=False)
    return Tokens(
        with_end.text[6:], None, with_end.ids, with_end.vocabulary,
        (None, *spans_given(document.pair)),
        with_end.segments, with_end.type_ids,
    )  # fmt: skip


def seen(document: Document, weights: np.ndarray | None = None, seed: int = 0) -> Seen:
    """weights: (layer, head, query, key) for the start and the words, over CLS, words and SEP."""
    target, source = target_of(document), tokens_of(list(document.text))
    if weights is None:
        shape = (2, 2, len(target), len(source))
        weights = np.random.default_rng(seed).gamma(0.1, size=shape) + 1e-6
        weights /= weights.sum(axis=-1, keepdims=True)
    return Seen(document, cross_inspection_of(target, source, weights), "weights")


def test_the_error_rate_by_hand() -> None:
    (document,) = documents(LINES[1])
    assert document.marks == Alignment(
        frozenset({(0, 3), (1, 2), (3, 0), (4, 1)}), frozenset({(2, 4), (3, 1)})
    )
    weights = np.full((1, 1, 6, 7), 0.02)
    # of `start so alt ist es nicht`: it, so, so, is, is, and the special token before `not`
    for row, key in enumerate([1, 4, 4, 2, 2, 0]):
        weights[0, 0, row, key] = 0.8
    weights[0, 0, 5, 3] = 0.1
    probe = found(WORK, [seen(document, weights)])
    reading, writing = (asked(probe, ALIGNED, way) for way in (READING, WRITING))
    # A has 5 links, S 4. Reading, so and ist are sure, alt and nicht possible; writing, alt is
    assert reading.count == writing.count == 9
    assert reading.accuracy[0] == (2 + 4) / 9
    assert writing.accuracy[0] == (0 + 1) / 9
    assert baselines(reading) == baselines(writing) | {"same_key": 0} == {
        "offset": 4 / 9, "same_key": 0, "nearest": 0, "first": 2 / 9,
        "random": pytest.approx(2 / 9, abs=1e-6),
    }  # fmt: skip
    assert reading.baselines["offset"].how == {"offset": 3}  # so and alt, both ways
    data = probe.data()
    [relation] = data["relations"]
    assert relation["direction"] == READING
    assert relation["error_rate"] == {"mean": pytest.approx(1 / 3), "low": None, "high": None}
    assert data["alignment_heads"] == []  # of one text, none is surely better


def rate(links: Alignment, chosen: set[tuple[int, int]]) -> tuple[int, int]:
    """What the error rate is 1 minus the ratio of."""
    possible = links.sure | links.possible
    both = len(chosen & links.sure) + len(chosen & possible)
    return both, len(chosen) + len(links.sure)


def test_beside_a_plain_count_in_any_split_and_order() -> None:
    every = [seen(document, seed=n) for n, document in enumerate(documents(*(LINES * 6)))]
    probe = found(WORK, every)
    expected = np.zeros((2, 2, 4))  # (direction, above and below, head)
    diagonal = np.zeros(2)
    for one in every:
        links: Alignment = one.document.marks
        targets = range(len(one.document.pair or ()))
        last = len(one.document.text) - 1
        steps = [int(t * last / max(1, len(targets) - 1) + 0.5) for t in targets]
        diagonal += rate(links, set(zip(steps, targets, strict=True)))
        for head, matrix in enumerate(weights_of(one)):
            for way, row in enumerate((1, 0)):
                chosen = {(int(matrix[t + row, 1:-1].argmax()), t) for t in targets}
                expected[way, :, head] += rate(links, chosen)
    for way, direction in enumerate((READING, WRITING)):
        way_of = asked(probe, ALIGNED, direction)
        assert way_of.count == expected[way, 1, 0]
        np.testing.assert_allclose(way_of.accuracy, expected[way, 0] / expected[way, 1])
        assert way_of.baselines["diagonal"].accuracy.mean == pytest.approx(
            diagonal[0] / diagonal[1]
        )
    assert split(WORK, every).data() == probe.data()


def test_a_head_that_aligns_is_among_the_alignment_heads() -> None:
    every = []
    for n, document in enumerate(documents(*(LINES[1:4] * 4))):
        one = seen(document, seed=n)
        weights = weights_of(one).reshape(2, 2, *one.view.weights("L0H0").shape)
        for links, weight in ((document.marks.sure, 5), (document.marks.possible, 4)):
            for source, target in links:
                weights[1, 0, target, source + 1] = weight  # where the word is written
        every.append(seen(document, weights / weights.sum(axis=-1, keepdims=True)))
    probe = found(WORK, every)
    assert probe.data()["alignment_heads"] == [[1, 0]]
    assert probe.relations[0].asked.name == WRITING
    assert probe.relations[0].accuracy.mean == 1
    assert probe.relations[0].data()["error_rate"] == {"mean": 0, "low": 0, "high": 0}


def read(*files: Path, first_word: int = 0) -> list[str]:
    reader = AlignedFiles([str(file) for file in files], first_word)
    told = []
    for file in reader.files():
        for one in reader.documents(file):
            if isinstance(one, Problem):
                told.append(f"{one.line}: {one.message}")
            else:
                links = sorted(one.marks.sure)
                told.append(f"{' '.join(one.text)} = {' '.join(one.pair or ())} {links}")
    return told


def written(folder: Path, name: str, *lines: str) -> Path:
    (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder / name


def test_every_kind_of_file_is_read_alike(tmp_path: Path) -> None:
    here = tmp_path
    sources, targets, links = (written(here, name, *lines) for name, lines in zip(
        ("a.en", "a.de", "a.align"), zip(*LINES[:3], strict=True), strict=True))  # fmt: skip
    pairs = written(here, "pairs.txt", *(f"{s} ||| {t}" for s, t, _ in LINES[:3]))
    whole = written(here, "whole.txt", *(" ||| ".join(line) for line in LINES[:3]))
    header = "alignment\tsource\ttarget"
    tabs = written(here, "a.tsv", header, *(f"{a}\t{s}\t{t}" for s, t, a in LINES[:3]))
    records = [
        {"source": s.split(), "target": t, "alignment": [[int(n) for n in link.split("-")]
         for link in a.split() if "-" in link]}
        for s, t, a in LINES[:3]
    ]  # fmt: skip
    lists = written(here, "a.jsonl", *map(json.dumps, records))
    expected = [
        "we see it = wir sehen es [(0, 0), (1, 1), (2, 2)]",
        "it is not so old = so alt ist es nicht [(0, 3), (1, 2), (3, 0), (4, 1)]",
        "yes = ja doch [(0, 0)]",
    ]
    for files in ([whole], [tabs], [lists], [pairs, links], [sources, targets, links]):
        assert read(*files) == expected, files
    again = written(here, "again.align", *(a for _, _, a in LINES[:3]))
    assert read(sources, targets, links, whole, pairs, again) == 3 * expected
    from_one = written(here, "one.txt", "we see ||| wir sehen ||| 1-1 2-2")
    assert read(from_one, first_word=1) == ["we see = wir sehen [(0, 0), (1, 1)]"]


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    sources = written(tmp_path, "a.en", "we see it")
    links = written(tmp_path, "a.align", "0-0")
    more = [written(tmp_path, name, "yes") for name in ("b.en", "c.en")]
    for files in ([sources], [links], [sources, *more, links], [sources, *more]):
        with pytest.raises(RequestError, match="no texts and alignments that belong together"):
            AlignedFiles([str(file) for file in files]).files()
    short = written(tmp_path, "b.de", "wir sehen es", "und das")
    assert read(sources, short, links) == [
        "we see it = wir sehen es [(0, 0)]",
        f"2: the files have different numbers of lines: this one is not in {sources}, {links} "
        "(check that those before it belong together)",
    ]
    short.write_text("wir sehen es\n\n  \n")  # blank lines at the end are none
    assert read(sources, short, links) == ["we see it = wir sehen es [(0, 0)]"]


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """As of `--align <(paste …)`: nobody looks into it before."""
    os.mkfifo(tmp_path / "pipe")
    reader = AlignedFiles([str(tmp_path / "pipe")])
    assert len(reader.files()) == 1
    content = "we see ||| wir sehen ||| 0-0\nyes ||| ja ||| 0-0\n"
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(content,))
    writer.start()
    found = list(reader.documents(reader.files()[0]))
    writer.join()
    assert [one.line for one in found if isinstance(one, Document)] == [1, 2]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("we see ||| wir sehen ||| 0-0 1-2", "1-2 names word 2 of the target, and its words are 0"),
        ("we see ||| wir sehen ||| 2-0", "2-0 names word 2 of the source, and its words are 0 to"),
        ("we see ||| wir sehen ||| 0:0", '"0:0" is no link between two words'),
        ("we see ||| ||| 0-0", "the target is empty"),
        ("we see ||| 0-0", "the line has 2 parts, and source, target, alignment are expected"),
    ],
)  # fmt: skip
def test_a_broken_line_is_told_and_the_next_is_read(tmp_path: Path, line: str, told: str) -> None:
    file = written(tmp_path, "a.txt", "no ||| nein ||| 0-0", line, "yes ||| ja ||| 0-0")
    before, problem, after = read(file)
    assert problem.startswith(f"2: {told}")
    assert (before, after) == ("no = nein [(0, 0)]", "yes = ja [(0, 0)]")


@pytest.fixture(scope="module")
def translator(own_cache: Path) -> Model:
    return load_model(TRANSLATOR, attention="cross")


def test_each_text_is_run_with_its_own_translation(translator: Model, minilm: Model) -> None:
    english = "The animal didn't cross the street because it was too {} ."
    german = "Das Tier überquerte die Straße nicht , weil {} zu {} war ."
    lines = [
        (english.format("tired"), german.format("es", "müde"), "0-0 1-1 7-8 11-12"),
        (english.format("wide"), german.format("sie", "breit"), "0-0 1-1 7-8 11-12"),
    ]
    first, second = documents(*lines)
    lost = replace(first, pair=("Das", "\u3000", "Tier"))
    folded = fold(WORK, [first, second, lost], translator)
    assert (folded.tally.documents, folded.tally.left_out) == (2, 1)
    assert folded.tally.problems[0].message.startswith("the word number 2 of the target is empty")
    for line in lines[:2]:
        (document,) = documents(line)
        (tokens,) = WORK.tokens(translator, document)
        alone = load_model(TRANSLATOR, attention="cross", target=document.pair)
        expected, own = (next(m.inspect_tokens([tokens])) for m in (alone, translator))
        assert own.tokens == expected.tokens
        np.testing.assert_allclose(own.weights(1), expected.weights(1), rtol=0, atol=1e-6)
    with pytest.raises(RequestError, match="shows no decoder beside an encoder"):
        WORK.tokens(minilm, document)


def test_what_a_record_holds_that_is_no_text(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"source": "a", "target": "b"},
        {"source": 1, "target": "b", "alignment": ""},
        {"source": "a b", "target": "c", "alignment": ["0-0", "1-0"]},
    ]
    told = read(written(tmp_path, "a.jsonl", *map(json.dumps, rows)))
    assert told == [
        "1: there is no alignment: there are source, target",
        "2: the source is a number, and a text, or a list of its words, is expected",
        "a b = c [(0, 0), (1, 0)]",
    ]
