"""Pieces put beside the text, held to worked cases and to what SentencePiece says itself."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepieces import KINDS, cut, pieces_of, processor
from test_tokens import FAMILY, TEXTS

from attnviz.text.spans import UNPRINTED, Span, spans_in_reading, spans_of
from attnviz.text.tokens import Tokens
from attnviz.transformers_backend.tokenizers import in_bytes, spelling_of

EACH = "animal 동물은 The"


def covered(text: str, spellings: list[bytes | None]) -> list[str]:
    return [text[start:end] for start, end in spans_of(text, spellings)]


def utf8(*pieces: str | None) -> list[bytes | None]:
    return [None if piece is None else piece.encode() for piece in pieces]


@pytest.mark.parametrize(
    ("text", "pieces", "expected"),
    [
        ("an animal", [" an", " ani", "mal"], ["an", "ani", "mal"]),
        ("an  animal", [" ", "an", " ", "animal"], ["", "an", " ", "animal"]),
        ("  an", [" an"], ["an"]),
        ("The", ["the"], ["The"]),
        ("ﬁne ½", ["f", "i", "ne", " 1", "⁄", "2"], ["ﬁ", "ﬁ", "ne", "½", "½", "½"]),
        ("e\u0301a", ["é", "a"], ["e\u0301", "a"]),
        ("é", ["e"], ["é"]),
        ("nai\u0308ve", ["naive"], ["nai\u0308ve"]),
        ("동물은", ["동", "물은"], ["동", "물은"]),
        ("㍿ x", ["株式", "会社", " x"], ["㍿", "㍿", "x"]),
        ("xyz the", [None, "the"], ["xyz", "the"]),
        ("the xyz", ["the", None], ["the", "xyz"]),
        ("我 是 a", [None, None, "a"], ["我 是", "我 是", "a"]),
        ("aab", [None, "a", None], ["a", "a", "b"]),
        ("say “it”", ["say", '"', "it", '"'], ["say", "“", "it", "”"]),
        ("a▁b", ["a", " b"], ["a", "b"]),
        ("a\x00b", ["a", "b"], ["a", "b"]),
        ("", [" "], [""]),
        ("a", [], []),
    ],
)
def test_worked_cases(text: str, pieces: list[str | None], expected: list[str]) -> None:
    assert covered(text, utf8(*pieces)) == expected


def test_bytes_of_a_character_all_have_it() -> None:
    text = "a 동 é"
    spellings: list[bytes | None] = [b"a", b" ", *(bytes([b]) for b in "동".encode()), b" \xc3\xa9"]
    assert covered(text, spellings) == ["a", " ", "동", "동", "동", "é"]
    # a piece that ends in the middle of one character, and one that begins there
    assert covered("동물", ["동".encode()[:2], "동".encode()[2:] + "물".encode()]) == ["동", "동물"]


def test_bytes_that_are_no_text_say_nothing() -> None:
    assert covered("a b", [b"a", b"\xff", b"b"]) == ["a", " ", "b"]


def test_a_long_run_of_unknown_pieces_is_put_together_again() -> None:
    unknown = "xyzzy " * 50
    spans = spans_of(unknown + "the end", [*[None] * 50, b"the", b"end"])
    assert spans[-2:] == [(300, 303), (304, 307)]
    assert set(spans[:-2]) == {(0, 299)}


def test_a_text_that_pieces_have_nothing_of() -> None:
    assert spans_of("ab cd", utf8("x", "y")) == [(0, 5), (0, 5)]


@pytest.mark.slow
def test_a_long_text_that_pieces_have_nothing_of_takes_seconds_at_most() -> None:
    started = time.process_time()
    assert len(spans_of("abc" * 4000, utf8(*["xyz"] * 4000))) == 4000
    assert time.process_time() - started < 20  # two hundred times that, searched from each place


def printed(text: str, span: Span) -> Span | None:
    """The span without what is not printed at its ends; None where nothing else is in it."""
    from unicodedata import category

    inside = [
        place
        for place in range(*span)
        if not (text[place].isspace() or text[place] == "▁" or category(text[place]) in UNPRINTED)
    ]
    return (inside[0], inside[-1] + 1) if inside else None


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None, derandomize=True)
@given(text=TEXTS | st.lists(st.sampled_from([*EACH.split(), " ", FAMILY, "½"])).map("".join))
def test_as_sentencepiece_says(kind: str, text: str) -> None:
    library = processor(kind)
    spelling = spelling_of(pieces_of(library))
    pieces = list(cut(library, text))
    ours = spans_of(text, [spelling(piece) for piece, _, _ in pieces])
    for (piece, start, end), span in zip(pieces, ours, strict=True):
        theirs = printed(text, (start, end))
        assert theirs is None or theirs == printed(text, span), (piece, span)
    # whatever they are, they serve as tokens do
    zeros = (0,) * len(ours)
    Tokens(text, None, zeros, ("",) * len(ours), tuple(ours), zeros, zeros)


@pytest.mark.parametrize("kind", ["with bytes", "pairs with bytes"])
def test_every_byte_has_its_character(kind: str) -> None:
    text = f"나는 학 {FAMILY} 動物"
    library = processor(kind)
    spelling = spelling_of(pieces_of(library))
    pieces = library.encode(text, out_type=str)
    spans = spans_of(text, [spelling(piece) for piece in pieces])
    of = {
        character: [
            piece
            for piece, span in zip(pieces, spans, strict=True)
            if text[slice(*span)] == character
        ]
        for character in "👩動物"
    }
    for character, own in of.items():
        told = bytes(int(piece[3:5], 16) for piece in own)
        assert told == character.encode() * text.count(character)


@pytest.mark.parametrize(
    ("vocabulary", "piece", "spelled"),
    [
        (["▁a", "▁b", "##x"], "▁a▁b", b" a b"),
        (["▁a", "▁b"], "<0xE3>", b"\xe3"),
        (["a", "##b", "##c"], "##ing", b"ing"),
        (["a", "##b", "##c"], "<0xE3>", b"<0xE3>"),
        (["a</w>", "b</w>"], "ing</w>", b"ing"),
        (["a</w>", "b</w>"], "ing", b"ing"),
        (["a@@", "b@@"], "ing@@", b"ing"),
        (["Ġa", "Ġb"], "ĠëıĻ", b" \xeb\x8f\x99"),
        (["a", "b"], "▁##", "▁##".encode()),
        ([], "a", b"a"),
    ],
)
def test_marks_of_vocabularies(vocabulary: list[str], piece: str, spelled: bytes) -> None:
    assert spelling_of(vocabulary)(piece) == spelled


def test_every_byte_of_gpt2s_letters() -> None:
    from tokenizers import pre_tokenizers

    cutter = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    text = "".join(map(chr, range(0x20, 0x800))) + "동👩"
    [(letters, _)] = cutter.pre_tokenize_str(text)
    assert spelling_of(["Ġ"])(letters) == text.encode()


def test_letters_of_latin_1_may_be_bytes() -> None:
    pieces = [chr(byte) for byte in "é동".encode()]
    assert in_bytes("é동", pieces) == [bytes([byte]) for byte in "é동".encode()]
    assert in_bytes("é", ["é"]) is None
    assert in_bytes("동", ["동"]) is None


@pytest.mark.parametrize(
    ("text", "read", "expected"),
    [
        ("the end", ["the", "the en", "the end"], [(0, 3), (4, 6), (6, 7)]),
        # half a character is read as another one
        ("a 동", ["a", "a �", "a �", "a 동"], [(0, 1), (1, 2), (2, 3), (2, 3)]),
        ("do it.", ["do", "do it", "do it ."], [(0, 2), (3, 5), (5, 6)]),
        ("", [""], [(0, 0)]),
        ("a", ["", "a", "a"], [(0, 1), (0, 1), (1, 1)]),
    ],
)
def test_what_pieces_add_to_a_reading(text: str, read: list[str], expected: list[Span]) -> None:
    assert spans_in_reading(text, read) == expected
