"""Text that a tokenizer replaces or drops: every typed word stays a word, or is named."""

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tokens import TEXTS, check
from tokenizers import Regex, normalizers
from vocabularies import KINDS

from attnviz.errors import RequestError
from attnviz.text.spans import spans_of, word_spans
from attnviz.text.tokenizer import FastCutter, Tokenizer
from attnviz.text.tokens import Tokens
from attnviz.transformers_backend.tokenizers import wrapped

NAMES = {"❤️": ":red_heart:", "❤": ":red_heart:", "😴": ":sleeping_face:"}
"""What is replaced, and by what, longest first."""


def demojized(text: str) -> str:
    for typed, name in NAMES.items():
        text = text.replace(typed, name)
    return text.replace("\ufe0f", "")


@cache
def bertweet() -> Tokenizer:
    """BERTweet's tokenizer, which cuts by itself, with the library that names emoji."""
    letters = sorted({*"the animal is cool!,.'", *":red_heart::sleeping_face:"} - {" "})
    entries = [*(f"{letter}@@" for letter in letters), *letters, "the", "is"]
    with TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        names = [Path(folder, name) for name in ("vocab.txt", "bpe.codes")]
        names[0].write_text("\n".join(f"{entry} 1" for entry in entries))
        names[1].write_text("t h\nth e</w>\ni s</w>\n")
        vocabulary, merges = map(str, names)
        made: Any = transformers.BertweetTokenizer
        library = made(vocabulary, merges, normalization=True)
    library.demojizer = demojized
    return wrapped(library)


def replacing(kind: str) -> Tokenizer:
    """A tokenizer of the tokenizers library that names emoji, and deletes what no name is."""
    library = KINDS[kind]()
    steps = [normalizers.Replace(typed, name) for typed, name in NAMES.items()]
    steps.append(normalizers.Replace(Regex(r"\p{So}|\p{Mn}"), ""))
    own = [] if library.normalizer is None else [library.normalizer]
    library.normalizer = normalizers.Sequence([*steps, *own])
    return Tokenizer(FastCutter(library))


MAKERS: dict[str, Callable[[], Tokenizer]] = {
    "bertweet": bertweet,
    **{kind: cache(lambda kind=kind: replacing(kind)) for kind in KINDS if kind != "byte_fallback"},
}

SENTENCES = {
    "❤️ the animal is cool": ["❤️", "the", "animal", "is", "cool"],
    "❤️ 😴 the animal": ["❤️", "😴", "the", "animal"],
    "the ❤️😴 animal ❤️": ["the", "❤️", "😴", "animal", "❤️"],
    "is the heart ❤️ heart 😴": ["is", "the", "heart", "❤️", "heart", "😴"],
    "cool❤️ the, animal!": ["cool", "❤️", "the", ",", "animal", "!"],
}


def typed(tokens: Tokens) -> list[str]:
    return [word.text for word in tokens.words if not word.special]


@pytest.mark.parametrize("text", SENTENCES)
@pytest.mark.parametrize("maker", MAKERS)
def test_what_is_replaced_stays_the_word_that_was_typed(maker: str, text: str) -> None:
    tokens, words = MAKERS[maker]().encode(text), SENTENCES[text]
    if maker == "unigram" and "❤️😴" in text:  # its piece `::` lies in both
        words = ["the", "❤️😴", "animal", "❤️"]
    assert (typed(tokens), tokens.lost) == (words, ())


def test_the_pieces_of_a_name_are_those_of_the_emoji() -> None:
    tokens = bertweet().encode("is ❤️ cool")
    heart = next(word for word in tokens.words if word.text == "❤️")
    assert "".join(piece.removesuffix("@@") for piece in heart.pieces) == ":red_heart:"
    assert not heart.unknown


def test_without_cutting_again_the_longest_agreement_is_followed() -> None:
    text, pieces = "❤️ the animal is cool", [":red_heart:", "the", "an", "imal", "is", "cool"]
    spans = spans_of(text, [piece.encode() for piece in pieces])
    assert [text[a:b] for a, b in spans] == ["❤️", "the", "an", "imal", "is", "cool"]


def test_unknown_words_side_by_side_stay_apart() -> None:
    tokens = bertweet().encode("the 𐎀 동물은 ꙮ cool")
    assert typed(tokens) == ["the", "𐎀", "동물은", "ꙮ", "cool"]
    assert [word.text for word in tokens.words if word.unknown] == ["𐎀", "동물은", "ꙮ"]


def test_what_is_deleted_is_named() -> None:
    tokens = replacing("wordpiece").encode("the ☃ animal \u0301 is ☂️")
    assert (typed(tokens), tokens.lost) == (["the", "animal", "is"], ("☃", "\u0301", "☂️"))


WORDS = st.lists(
    st.sampled_from(
        [*NAMES, "the", "animal", "heart", "is", "☃", "동물은", "\u200b", "\ufe0f", "!"]
    ),
    min_size=1,
    max_size=9,
)


@pytest.mark.parametrize("maker", MAKERS)
@settings(max_examples=100, deadline=None, derandomize=True)
@given(text=WORDS.map(" ".join))
def test_any_words(maker: str, text: str) -> None:
    try:
        tokens = MAKERS[maker]().encode(text)
    except RequestError:  # nothing is left
        return
    check(tokens)
    for start, end in word_spans(text):
        rows = [w for w in tokens.words if (w.start or 0) <= start and end <= (w.end or 0)]
        assert rows or text[start:end] in tokens.lost
        # a row of several words has pieces that lie in more than one of them
        assert all(len(word_spans(row.text)) <= len(row.pieces) for row in rows)


@pytest.mark.parametrize("maker", MAKERS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(text=TEXTS)
def test_any_text(maker: str, text: str) -> None:
    try:
        check(MAKERS[maker]().encode(text))
    except RequestError:
        return
