"""Which words of two sentences stand in each other's place."""

from collections.abc import Sequence

import numpy as np
import pytest
from handmade import inspection_of, random_inspection, tokens_of
from hypothesis import given
from hypothesis import strategies as st

from attnviz.answers.align import Aligned, Column, align, aligned
from attnviz.errors import RequestError
from attnviz.model import Model
from attnviz.text.tokens import Tokens


def laid(a: str, b: str) -> list[str]:
    """The columns of two sentences: `word`, `old→new`, `-gone`, `+come`."""
    return [told(c) for c in align(tokens_of(a.split()).words, tokens_of(b.split()).words)]


def told(column: Column) -> str:
    sign = "-" if column.b is None else "+" if column.a is None else ""
    return sign + column.label


def of(a: Tokens, b: Tokens) -> Aligned:
    return aligned(*(random_inspection(tokens, 1, 2, seed=3).view() for tokens in (a, b)))


@pytest.mark.parametrize(
    ("a", "b", "columns"),
    [
        ("so it was tired", "so it was wide", "so it was tired→wide"),
        ("so it was", "so it was", "so it was"),
        ("It was", "it WAS", "It was"),
        ("the old dog ran", "the dog ran", "the -old dog ran"),
        ("the dog ran", "the dog never ran", "the dog +never ran"),
        ("a cat slept here", "a dog ran here", "a cat→dog slept→ran here"),
        ("it was tired", "it was very hot", "it was -tired +very +hot"),
        ("caf\u00e9 x", "cafe\u0301 x", "caf\u00e9 x"),
    ],
)
def test_words_are_laid_beside_each_other(a: str, b: str, columns: str) -> None:
    assert laid(a, b) == ["[CLS]", *columns.split(), "[SEP]"]


def test_a_word_that_is_frequent_is_aligned_as_any_other() -> None:
    """Unlike difflib's own way of taking it for junk, from 200 words on."""
    words = ["the"] * 250
    columns = align(tokens_of(words).words, tokens_of([*words, "end"]).words)
    assert [column.same for column in columns] == [True] * 251 + [False, True]


def test_special_tokens_and_segments_keep_to_themselves() -> None:
    """A word never stands in the place of `[SEP]`, nor in that of one in the other segment."""
    a, b = tokens_of(["x", "y"], pair=["x"]), tokens_of(["x"], pair=["q", "x"])
    columns = align(a.words, b.words)
    for column in columns:
        assert len({(token.special, token.segment) for token in column.tokens}) == 1
    assert [told(c) for c in columns] == ["[CLS]", "x", "-y", "[SEP]", "+q", "x", "[SEP]"]


def test_special_tokens_of_two_vocabularies_stand_beside_each_other(minilm: Model) -> None:
    a, b = tokens_of(["x"]), tokens_of(["x"])
    theirs = Tokens(**{**b.__dict__, "vocabulary": ("<s>", "x", "</s>")})
    assert [told(c) for c in align(a.words, theirs.words)] == ["[CLS]→<s>", "x", "[SEP]→</s>"]


WORDS = st.lists(st.sampled_from("abc"), min_size=1, max_size=12)


@given(a=WORDS, b=WORDS, pair=st.none() | WORDS)
def test_every_token_stands_once_and_in_its_order(
    a: Sequence[str], b: Sequence[str], pair: Sequence[str] | None
) -> None:
    of_a, of_b = tokens_of(a, pair=pair).words, tokens_of(b, pair=pair).words
    columns = align(of_a, of_b)
    assert tuple(c.a for c in columns if c.a is not None) == of_a
    assert tuple(c.b for c in columns if c.b is not None) == of_b
    for column in columns:
        assert len({(token.special, token.segment) for token in column.tokens}) == 1
        assert column.same == (
            len(column.tokens) == 2 and len({t.text for t in column.tokens}) == 1
        )


def test_a_word_is_found_in_both() -> None:
    both = of(
        tokens_of(["it", "ran", "when", "it", "saw", "it"]),
        tokens_of(["it", "sat", "when", "it", "saw"]),
    )
    assert both.find("it") == (1, 2)
    assert both.find("IT#2") == (4, 1)
    assert both.find("@2") == (2, 1)  # ran and sat, by their index in each
    assert [token.label for token in both.pair(2)] == ["ran", "sat"]
    assert both.find("ran") == both.find("Sat") == both.find("sat", "key") == (2, 1)
    assert both.find("it#2") == (4, 1)
    assert both.words == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("word", "message", "hint"),
    [
        (
            "ran",
            'sentence B: there is no "ran" in the sentence',
            "it has [CLS], it, sat, o, [SEP]",
        ),
        ("o", 'sentence A: there is no "o" in the sentence', "it has [CLS], it, ran, [SEP]"),
        ("dog", '"dog" is in neither sentence', "A: it has [CLS], it, ran, [SEP]"),
        ("it#2", 'there is no it#2: "it" occurs once', "it#1 is the first"),
        ("it it", '"it it" is 2 words, and this takes one', "name one, as in it"),
        ("it dog", '"it dog" is in neither sentence', "A: it has [CLS], it, ran, [SEP]"),
    ],
)
def test_a_word_that_one_lacks_is_told(word: str, message: str, hint: str) -> None:
    both = of(tokens_of(["it", "ran"]), tokens_of(["it", "sat", "o"]))
    with pytest.raises(RequestError) as caught:
        both.find(word)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_word_that_moved_is_not_compared() -> None:
    both = of(tokens_of(["x", "a", "b", "c"]), tokens_of(["a", "b", "c", "x"]))
    with pytest.raises(RequestError, match="x in A and x in B do not stand in each other's place"):
        both.find("x")


@pytest.mark.parametrize(("a", "b"), [("a dog .", "the cat ."), ("dog", "cat"), ("- !", "- !")])
def test_sentences_without_a_common_word_are_refused(a: str, b: str) -> None:
    """A full stop, or `[CLS]`, is no word to have in common."""
    with pytest.raises(RequestError, match="no word in common"):
        of(tokens_of(a.split()), tokens_of(b.split()))


def test_models_of_different_shapes_are_refused() -> None:
    tokens = tokens_of(["a"])
    a, b = random_inspection(tokens, 2, 3, seed=1), random_inspection(tokens, 2, 2, seed=1)
    with pytest.raises(RequestError) as caught:
        aligned(a.view(), b.view())
    assert "handmade has 2 layers of 3 heads, handmade has 2 layers of 2 heads" in str(caught.value)
    assert len(aligned(a.view(measure="rollout"), b.view(measure="rollout")).columns) == 3


def test_pieces_of_two_vocabularies_are_refused_and_words_are_not() -> None:
    one = tokens_of(["running"])
    two = Tokens(
        text="running",
        pair=None,
        ids=(0, 1, 2, 3),
        vocabulary=("[CLS]", "run", "##ning", "[SEP]"),
        spans=(None, (0, 3), (3, 7), None),
        segments=(0, 0, 0, 0),
        type_ids=(0, 0, 0, 0),
    )
    a = inspection_of(one, np.full((1, 1, 3, 3), 1 / 3))
    b = inspection_of(two, np.full((1, 1, 4, 4), 1 / 4))
    assert [c.same for c in aligned(a.view(), b.view()).columns] == [True] * 3
    with pytest.raises(RequestError, match="different pieces"):
        aligned(a.view("piece"), b.view("piece"))
