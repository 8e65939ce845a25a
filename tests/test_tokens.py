"""Pieces and words of any text, under the default tokenizer and under every other kind."""

import unicodedata
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from handmade import merged
from hypothesis import given, settings
from hypothesis import strategies as st
from vocabularies import KINDS

from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection.frame import merge_keys, merge_queries
from attnviz.models import default_tokenizer
from attnviz.text.spans import word_spans
from attnviz.text.tokenizer import FastCutter, Tokenizer
from attnviz.text.tokens import Tokens

FAMILY = "👩\u200d👩\u200d👧\u200d👦"

ODDITIES = [
    *"abTh'’._,-:;\"59 \t\n\r\x00\x1b\x7f\x85\xa0\u2028\u3000",
    *"동물은\u1103\u1169\u11bc我是。アーשלוםعربيก่า",
    *"\u0301\u0308\u200d\u200c\u200b\ufe0f\u00ad\ufeff\u202e\u0600👩👧❤\U0001f3fd🇰🇷🇫ﬁ½éßİ▁Ġ",
    "[MASK]",
    "[SEP]",
    "##a",
    "<0x0A>",
    " The animal",
    " didn't",
]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.lists(
    st.sampled_from(ODDITIES), max_size=12
).map("".join)

KIND_NAMES = ["default", *KINDS]


@cache
def tokenizer(kind: str, special: bool = True, max_length: int | None = None) -> Tokenizer:
    if kind == "default":
        return Tokenizer.from_file(default_tokenizer(), max_length, special)
    return Tokenizer(FastCutter(KINDS[kind]()), max_length, special)


def encoded(
    kind: str, text: str, pair: str | None = None, special: bool = True, length: int | None = None
) -> Tokens | None:
    """The tokens; None for a text in which there is nothing to read."""
    try:
        return tokenizer(kind, special, length).encode(text, pair, truncate=length is not None)
    except RequestError:
        return None


def words_of(text: str, kind: str = "default") -> list[str]:
    return [word.text for word in tokenizer(kind).encode(text).words if not word.special]


def check_pieces(tokens: Tokens) -> None:
    starts = tokens.word_starts
    assert starts[0] == 0
    assert all(a < b for a, b in pairwise((*starts, len(tokens))))
    for i, piece in enumerate(tokens.pieces):
        assert piece.index == i
        assert piece.word == sum(start <= i for start in starts) - 1
        assert piece.pieces == (tokens.vocabulary[i],)
        assert piece.label == (piece.text if piece.unknown else tokens.vocabulary[i])
        assert piece.unknown == (i in tokens.unknown)
        source = tokens.pair if piece.segment else tokens.text
        assert piece.special == (tokens.spans[i] is None) == (piece.start is None)
        if piece.start is not None and piece.end is not None:
            assert source is not None
            assert 0 <= piece.start <= piece.end <= len(source)
            assert piece.text == (source[piece.start : piece.end] or piece.label)


def check_words(tokens: Tokens) -> None:
    assert sum((word.pieces for word in tokens.words), ()) == tokens.vocabulary
    reached = {0: 0, 1: 0}
    for i, word in enumerate(tokens.words):
        assert word.index == word.word == i
        assert word.text == word.label != ""
        if word.start is None or word.end is None:
            assert word.special
            assert len(word.pieces) == 1
            continue
        source = (tokens.pair if word.segment else tokens.text) or ""
        assert not word.special
        assert reached[word.segment] <= word.start <= word.end
        reached[word.segment] = word.end
        typed = source[word.start : word.end]
        assert word.text == (typed or word.pieces[0])
        assert typed == typed.strip() or not typed.strip()


def check_no_word_is_split(tokens: Tokens) -> None:
    for segment, source in enumerate((tokens.text, tokens.pair or "")):
        pieces = [p for p in tokens.pieces if not p.special and p.segment == segment]
        for start, end in word_spans(source):
            touching = [(p.start or 0, p.end or 0, p.word) for p in pieces]
            rows = {word for a, b, word in touching if max(a, start) < min(b, end)}
            assert len(rows) <= 1, (source[start:end], tokens.words)


def check_no_word_is_lost(tokens: Tokens) -> None:
    """Every typed word with a letter or a digit is in one word, or named as lost."""
    for segment, source in enumerate((tokens.text, tokens.pair or "")):
        own = [w for w in tokens.words if w.segment == segment and not w.special]
        last = max((word.end or 0 for word in own), default=0)
        for start, end in word_spans(source):
            typed = source[start:end]
            if not any(map(str.isalnum, typed)) or (tokens.dropped and start >= last):
                continue
            inside = [w for w in own if (w.start or 0) <= start and end <= (w.end or 0)]
            assert inside or typed in tokens.lost, (typed, tokens.words, tokens.lost)
            assert len(inside) <= 1


def check(tokens: Tokens) -> None:
    check_pieces(tokens)
    check_words(tokens)
    check_no_word_is_split(tokens)
    check_no_word_is_lost(tokens)


@pytest.mark.parametrize("kind", KIND_NAMES)
@pytest.mark.parametrize("special", [True, False])
@settings(max_examples=150, deadline=None, derandomize=True)
@given(text=TEXTS)
def test_any_text(kind: str, special: bool, text: str) -> None:
    tokens = encoded(kind, text, special=special)
    if tokens is not None:
        check(tokens)
        assert set(tokens.segments) == {0}
        assert special or not any(piece.special for piece in tokens.pieces)


@pytest.mark.parametrize("kind", KIND_NAMES)
@settings(max_examples=80, deadline=None, derandomize=True)
@given(text=TEXTS, pair=TEXTS, length=st.none() | st.integers(6, 14))
def test_any_pair_truncated_or_not(kind: str, text: str, pair: str, length: int | None) -> None:
    whole = encoded(kind, text, pair)
    tokens = encoded(kind, text, pair, length=length) if length else whole
    if whole is None or tokens is None:
        return
    check(tokens)
    assert tokens.segments == tuple(sorted(tokens.segments))
    assert len(tokens) + tokens.dropped == len(whole)
    assert length is None or len(tokens) <= length


@settings(max_examples=80, deadline=None, derandomize=True)
@given(text=TEXTS, seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(KIND_NAMES))
def test_merged_rows_still_sum_to_one(text: str, seed: int, kind: str) -> None:
    tokens = encoded(kind, text)
    if tokens is None:
        return
    scores = np.random.default_rng(seed).gumbel(0, 3, (2, len(tokens), len(tokens)))
    weights = (np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)).astype(np.float32)
    words = merged(weights, tokens.word_starts)
    assert words.shape == (2, len(tokens.words), len(tokens.words))
    assert words.dtype == np.float32
    np.testing.assert_allclose(words.sum(-1), 1, atol=1e-6)
    starts, ends = tokens.word_starts, (*tokens.word_starts[1:], len(tokens))
    for row, (a, b) in enumerate(zip(starts, ends, strict=True)):
        for column, (c, d) in enumerate(zip(starts, ends, strict=True)):
            expected = weights[:, a:b, c:d].sum(-1).mean(-1)
            np.testing.assert_allclose(words[:, row, column], expected, atol=1e-6)


def test_merging_by_hand() -> None:
    weights = np.array(
        [[0.1, 0.2, 0.3, 0.4], [0.5, 0.25, 0.125, 0.125], [0, 0, 1, 0], [1, 0, 0, 0]]
    )
    before = weights.copy()
    # pieces 1 and 2 are one word: its columns add up, its rows are averaged
    words = merged(weights, (0, 1, 3))
    expected = np.array([[0.1, 0.5, 0.4], [0.25, 0.6875, 0.0625], [1, 0, 0]])
    np.testing.assert_allclose(words, expected)
    np.testing.assert_allclose(merge_keys(weights, (0, 1, 3))[1], [0.5, 0.375, 0.125])
    np.testing.assert_allclose(merge_queries(weights, (0, 1, 3))[1], [0.25, 0.125, 0.5625, 0.0625])
    np.testing.assert_array_equal(weights, before)


def test_merging_without_words_of_several_pieces_changes_nothing() -> None:
    weights = np.eye(3, dtype=np.float32)
    np.testing.assert_array_equal(merged(weights, (0, 1, 2)), weights)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The animal didn't cross.", ["The", "animal", "didn't", "cross", "."]),
        ("I don’t know", ["I", "don’t", "know"]),
        ("what does 'it' mean", ["what", "does", "'", "it", "'", "mean"]),
        ("동물은 길을 건너지 않았다.", ["동물은", "길을", "건너지", "않았다", "."]),
        ("我是学生。", ["我", "是", "学", "生", "。"]),
        (f"{FAMILY} eat", [FAMILY, "eat"]),
        ("go 🇰🇷 now", ["go", "🇰🇷", "now"]),
        ("cafe\u0301s", ["cafe\u0301s"]),
        ("Rene\u0301e's", ["Rene\u0301e's"]),
        ("שלום עולם", ["שלום", "עולם"]),
        ("foo_bar is 3.14", ["foo_bar", "is", "3.14"]),
        ("the U.S.A. won", ["the", "U.S.A", ".", "won"]),
        ("mail @10 now", ["mail", "@", "10", "now"]),
        ("a\x00b c", ["a\x00b", "c"]),
        ("\ufeffHello you", ["Hello", "you"]),
        ("  two\tspaces\n", ["two", "spaces"]),
    ],
)
def test_words_of_the_default_model(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize("text", ["ภาษาไทย", "🇰🇷🇫🇷"])
def test_a_piece_that_covers_several_words_is_one_row(text: str) -> None:
    assert words_of(text) == [text]


def test_korean_words_keep_the_pieces_that_share_a_character() -> None:
    tokens = tokenizer("default").encode("동물은 길을")
    animal = tokens.words[1]
    assert (animal.text, animal.start, animal.end, len(animal.pieces)) == ("동물은", 0, 3, 9)
    spans = [tokens.spans[i] for i in range(1, 10)]
    assert spans == [(0, 1)] * 3 + [(1, 2)] * 3 + [(2, 3)] * 3
    assert "".join(p.removeprefix("##") for p in animal.pieces) == unicodedata.normalize(
        "NFD", "동물은"
    ).replace("\u1103", "ᄃ")
    assert [tokens.pieces[i].text for i in (1, 4, 7)] == ["동", "물", "은"]


@pytest.mark.parametrize("kind", [kind for kind in KIND_NAMES if kind != "byte_fallback"])
def test_typed_special_tokens_are_words_like_others(kind: str) -> None:
    tokens = tokenizer(kind).encode("[MASK] and [SEP] it")
    typed = [word for word in tokens.words if word.text in ("[MASK]", "[SEP]")]
    assert [(word.text, word.special) for word in typed] == [
        ("[MASK]", False),
        ("[SEP]", False),
        ("[SEP]", True),
    ]


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_every_kind_finds_the_words_of_the_founding_sentence(kind: str) -> None:
    text = "The animal didn't cross the street because it was too tired."
    expected = [text[start:end] for start, end in word_spans(text)]
    assert words_of(text, kind) == expected


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("unigram", "an animal", [("an", "▁ a n"), ("animal", "▁ a n i m a l")]),
        ("unigram", "我 我", [("我", "▁ 我"), ("我", "▁ 我")]),
        ("byte_level", "a qa", [("a", "a"), ("qa", "Ġ q a")]),
        ("byte_level_trimmed", "a qa", [("a", "Ġ a"), ("qa", "Ġ q a")]),
        ("byte_fallback", "a  a", [("a", "▁ a"), ("a", "▁▁ a")]),
        ("byte_level", "a\nq", [("a", "a"), ("\n", "Ċ"), ("q", "q")]),
        ("unigram", "a ", [("a", "▁ a"), (" ", "▁")]),
    ],
)
def test_a_space_of_its_own_goes_with_the_next_word(
    kind: str, text: str, words: list[tuple[str, str]]
) -> None:
    tokens = tokenizer(kind).encode(text)
    assert [(w.text, " ".join(w.pieces)) for w in tokens.words if not w.special] == words


def test_a_pair_has_two_segments_and_separators_of_their_own() -> None:
    tokens = tokenizer("default").encode("It rains.", "Bring it.")
    assert tokens.vocabulary == (
        *("[CLS]", "it", "rains", ".", "[SEP]"),
        *("bring", "it", ".", "[SEP]"),
    )
    assert tokens.segments == tokens.type_ids == (0, 0, 0, 0, 0, 1, 1, 1, 1)
    assert [(w.text, w.segment, w.start) for w in tokens.words if w.text.lower() == "it"] == [
        ("It", 0, 0),
        ("it", 1, 6),
    ]


def test_the_same_word_on_both_sides_of_a_pair_stays_two_words() -> None:
    tokens = Tokens("ab", "ab", (1, 2), ("ab", "b"), ((0, 2), (1, 2)), (0, 1), (0, 1))
    assert [(word.text, word.segment) for word in tokens.words] == [("ab", 0), ("ab", 1)]


def test_too_long_names_both_lengths_and_truncation_tells_what_it_dropped() -> None:
    short = tokenizer("default", True, 8)
    text = "one two three four five six seven eight"
    with pytest.raises(RequestError) as caught:
        short.encode(text)
    assert "10 tokens" in caught.value.message
    assert "at most 8" in caught.value.message
    assert "--truncate" in caught.value.hint
    tokens = short.encode(text, truncate=True)
    assert [word.text for word in tokens.words[1:-1]] == text.split()[:6]
    assert (len(tokens), tokens.dropped) == (8, 2)
    assert short.encode("one two", truncate=True).dropped == 0
    with pytest.raises(RequestError):  # truncation is not left switched on
        short.encode(text)


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u3000\u2028"])
def test_nothing_to_read_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="the sentence is empty"):
        tokenizer("default").encode(text)
    with pytest.raises(RequestError, match="the second sentence is empty"):
        tokenizer("default").encode("a", text)


@pytest.mark.parametrize("text", ["\x00", "\u200b\u200d", "\u0301"])
def test_a_text_that_the_tokenizer_drops_whole_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="nothing to read in the sentence"):
        tokenizer("default").encode(text)
    with pytest.raises(RequestError, match="nothing to read in the second sentence"):
        tokenizer("default").encode("a", text)


def test_a_lone_surrogate_is_refused_where_it_stands() -> None:
    with pytest.raises(RequestError, match="not valid Unicode text at character 3"):
        tokenizer("default").encode("it \udcff")


def test_a_file_that_is_no_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("model") / "tokenizer.json"
    for content in ("", "{}", "[1, 2", '{"version": "1.0", "model": {}}'):
        path.write_text(content)
        with pytest.raises(AttnvizError, match="is not a tokenizer that can be read"):
            Tokenizer.from_file(path)
    with pytest.raises(AttnvizError, match="is not a tokenizer that can be read"):
        Tokenizer.from_file(path.parent / "absent.json")


def test_a_file_that_truncates_and_pads_is_told_not_to() -> None:
    made = KINDS["wordpiece"]()
    made.enable_truncation(4)
    made.enable_padding(length=32)
    tokens = Tokenizer(FastCutter(made), None, True).encode("The animal was too tired.")
    assert len(tokens.words) == 8


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(AttnvizError, match=r"differ in length: \[2, 1, 1, 1, 1\]"):
        Tokens("a", None, (1, 2), ("a",), ((0, 1),), (0,), (0,))


def test_vocabulary_size_counts_added_tokens() -> None:
    assert tokenizer("default").vocabulary_size == 30522
