"""CoNLL-U: what is read of it, and what is told of broken lines."""

import pickle

import pytest
from treebank import SMALL, conllu

from attnviz.corpus.conllu import MOST_WORDS, NO_HEAD, ROOT, Tree, sentences
from attnviz.corpus.document import Document, Problem

GOOD = conllu("Dogs/NOUN/2/nsubj sleep/VERB/0/root")


def word(number: int | str, form: str = "a", head: int | str = 0, relation: str = "root") -> str:
    return f"{number}\t{form}\t{form}\tX\t_\t_\t{head}\t{relation}\t_\t_\n"


def read(text: str | bytes) -> list[Document | Problem]:
    content = text if isinstance(text, bytes) else text.encode()
    return list(sentences(content.splitlines(keepends=True), "a.conllu"))


def trees(text: str | bytes) -> list[Tree]:
    return [one.marks for one in read(text) if isinstance(one, Document)]


def test_words_heads_and_relations() -> None:
    found = read(conllu(*SMALL))
    assert [type(one) for one in found] == [Document] * len(SMALL)
    third = found[2]
    assert isinstance(third, Document)
    assert (third.id, third.number, third.line) == ("s3", 2, 17)
    assert third.text == ("We", "were", "seen", "by", "the", "old", "teacher", ".")
    tree = third.marks
    assert tree.forms == third.text
    assert tree.units == tuple(range(8))
    assert tree.heads[:4] == (2, 2, ROOT, 5)
    assert " ".join(tree.relations) == "nsubj aux root case det amod obl punct"
    assert tree.comment("sent_id") == "s3"
    assert tree.comment("text") is None
    assert pickle.loads(pickle.dumps(third)) == third


def test_words_that_a_token_is_made_of() -> None:
    """`don't` is written as its words are, one after the other; `du` is not."""
    rows = (
        "1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_\n"
        + word(1, "do", 3, "aux")
        + word(2, "n't", 3, "advmod")
        + word(3, "go")
        + "4-5\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n"
        + word(4, "de", 6, "case")
        + word(5, "le", 6, "det")
        + "5.1\tnothing\t_\t_\t_\t_\t_\t_\t3:obl\t_\n"
        + word(6, "parc", 3, "obl")
    )
    (found,) = read(rows)
    assert isinstance(found, Document)
    assert found.text == ("do", "n't", "go", "du", "parc")
    assert found.marks.forms == ("do", "n't", "go", "de", "le", "parc")
    assert found.marks.units == (0, 1, 2, 3, 3, 4)
    assert found.marks.heads == (2, 2, ROOT, 5, 5, 2)


def test_what_files_also_have() -> None:
    """A byte order mark, CR LF, comments between words, words with spaces, no last empty line."""
    rows = f"\ufeff# newdoc id = d\n# sent_id=x\n{word(1, '10 000', 2, 'nummod:gov')}# more\n"
    text = (rows + word(2, "_", "_", "_")).replace("\n", "\r\n")
    (found,) = read(text)
    assert isinstance(found, Document)
    assert (found.id, found.line, found.text) == ("x", 1, ("10 000", "_"))
    assert found.marks.comments == ("newdoc id = d", "sent_id=x", "more")
    assert found.marks.heads == (1, NO_HEAD)
    assert found.marks.relations == ("nummod", "_")


def test_comments_alone_are_no_sentence() -> None:
    assert len(read(f"# a licence\n\n\n\n{GOOD}\n \t\n# the end\n")) == 1


BROKEN = {
    word(1) + word(3): (2, 'word 2 comes next, and "3" came'),
    word(1) + word(1): (2, 'word 2 comes next, and "1" came: is an empty line missing before it?'),
    word("x"): (1, 'word 1 comes next, and "x" came'),
    word(2): (1, 'word 1 comes next, and "2" came'),
    "1 a a X _ _ 0 root _ _\n": (1, "a word has 10 columns with tabs between, and here are 1"),
    word(1) + word(2)[:-3] + "\n": (2, "a word has 10 columns with tabs between, and here are 9"),
    word(1).strip() + "\t_\n": (1, "a word has 10 columns with tabs between, and here are 11"),
    word(1, head=2): (1, "the head is word 2, and the last word is 1"),
    word(1, head=1): (1, "word 1 is its own head"),
    word(1, head=-1): (1, 'the head of word 1 is "-1", and not the number of a word, or 0'),
    word(1, head="1.5"): (1, 'the head of word 1 is "1.5", and not the number of a word, or 0'),
    word(1, head="٠"): (1, 'the head of word 1 is "٠", and not the number of a word, or 0'),
    word(1, head=""): (1, 'the head of word 1 is "", and not the number of a word, or 0'),
    word(1, relation="_"): (1, "word 1 has no relation"),
    word(1, " "): (1, "word 1 has no form"),
    word("1-2") + word(1): (
        1,
        "the multiword token 1-2 (a) does not fit words 1 to 1, and those before it",
    ),
    "# a\n" + word("1-2") + word("2-3") + word(1) + word(2) + word(3): (
        3,
        "the multiword token 2-3 (a) does not fit words 1 to 3, and those before it",
    ),
    word(1, head=4) + word(2, head=1) + word(3) + word(4, head=1): (
        1,
        "word 1 is its own head, by way of others",
    ),
    word(1, head=0) + word(2, head=3) + word(3, head=4) + word(4, head=3): (
        3,
        "word 3 is its own head, by way of others",
    ),
    word("1-2", "") + word(1) + word(2): (1, "a multiword token has no form"),
    word("1.1"): (1, "the sentence has no words"),
}


@pytest.mark.parametrize("rows", BROKEN)
def test_what_is_broken_is_told_and_the_rest_goes_on(rows: str) -> None:
    line, message = BROKEN[rows]
    first, problem, last = read(f"{GOOD}{rows}\n{GOOD}")
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert problem == Problem("a.conllu", line + 4, message)
    assert (first.number, last.number) == (0, 2)


def test_bytes_that_are_no_text() -> None:
    problem, good = read(word(1).replace("a", "é").encode("latin-1") + b"\n" + GOOD.encode())
    assert problem == Problem("a.conllu", 1, "it is not UTF-8 at byte 3 of the line")
    assert isinstance(good, Document)


@pytest.mark.parametrize("text", ["", "\n\n", "# a comment\n"])
def test_a_file_without_a_sentence(text: str) -> None:
    assert read(text) == []


def test_a_sentence_that_never_ends() -> None:
    rows = "".join(word(number) for number in range(1, MOST_WORDS + 50))
    (problem,) = read(rows)
    assert isinstance(problem, Problem)
    assert problem.line == MOST_WORDS + 1
    assert "are empty lines missing?" in problem.message
