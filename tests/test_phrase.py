"""Which words a phrase names."""

import pytest
from handmade import tokens_of

from attnviz.answers.select import Phrase, check_apart, find_phrase
from attnviz.errors import RequestError
from attnviz.model import Model
from attnviz.models import default_tokenizer
from attnviz.text.tokenizer import Tokenizer
from attnviz.text.tokens import Token, Unit

STREETS = "The street is the  Street, the\tstreet."


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(default_tokenizer())


def tokens(tokenizer: Tokenizer, text: str, unit: Unit = "word") -> tuple[Token, ...]:
    return tokenizer.encode(text).unit(unit)


@pytest.mark.parametrize(
    ("selector", "indices", "matches", "text"),
    [
        ("is", [3], 1, "is"),
        ("STREET", [2], 3, "street"),
        ("street#2", [5], 1, "Street"),
        ("the street", [1, 2], 3, "The street"),
        (" the \n STREET ", [1, 2], 3, "The street"),
        ("the street#2", [4, 5], 1, "the Street"),
        ("the street#3", [7, 8], 1, "the street"),
        ("street, the", [5, 6, 7], 1, "Street, the"),
        ("@4", [4], 1, "the"),
        ("[sep]", [10], 1, "[SEP]"),
        ("street.", [8, 9], 1, "street."),
    ],
)
def test_words_in_a_row(
    tokenizer: Tokenizer, selector: str, indices: list[int], matches: int, text: str
) -> None:
    found = find_phrase(tokens(tokenizer, STREETS), selector)
    assert found.indices == indices
    assert (found.matches, found.text) == (matches, text)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("the dog", 'there is no "the dog" in the sentence'),
        ("the street#4", 'there is no the street#4: "the street" occurs 3 times'),
        ("thestreet", 'there is no "thestreet" in the sentence'),
        (". [SEP]", 'there is no ". [SEP]" in the sentence'),
        ("street ,", 'there is no "street ," in the sentence'),
        ("", 'there is no "" in the sentence'),
        ("@99", "there is no token @99: the tokens run from @0 to @10"),
    ],
)
def test_what_is_not_there_is_told(tokenizer: Tokenizer, selector: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        find_phrase(tokens(tokenizer, STREETS), selector)
    assert caught.value.message == message
    assert "The, street" in caught.value.hint or caught.value.hint == "the street#1 is the first"


def test_pieces_join_to_words(tokenizer: Tokenizer) -> None:
    pieces = tokens(tokenizer, "We didn't see flugelhorns.", "piece")
    found = find_phrase(pieces, "didn't")
    assert [piece.label for piece in found.tokens] == ["didn", "'", "t"]
    assert found.text == "didn't"
    horns = find_phrase(pieces, "FLUGELHORNS")
    assert len(horns.tokens) > 1
    assert horns.text == "flugelhorns"
    assert find_phrase(pieces, "##gel").text == "gel"  # as the vocabulary spells it


def test_pieces_of_one_letter_count_once() -> None:
    """Byte-level vocabularies cut a letter into pieces that all lie where the letter does."""
    letter = Token(0, "👩", "ð", 0, 1, False, 0, 0, ("ð",))
    pieces = [letter, *(Token(i, "👩", "x", 0, 1, False, 0, 0, ("x",)) for i in (1, 2))]
    pieces.append(Token(3, "s", "s", 1, 2, False, 0, 0, ("s",)))
    assert find_phrase(pieces, "👩s").indices == [0, 1, 2, 3]


def test_a_phrase_lies_in_one_sentence_of_a_pair() -> None:
    pair = tokens_of(["red", "car"], special=False, pair=["car", "park"]).words
    assert find_phrase(pair, "car park").indices == [2, 3]
    with pytest.raises(RequestError, match="car car"):
        find_phrase(pair, "car car")


def test_korean(minilm: Model) -> None:
    words = minilm.tokenize("동물은 너무 피곤해서 길을 건너지 않았다.").words
    assert find_phrase(words, "길을 건너지").indices == [4, 5]


def test_query_and_key_stand_apart(tokenizer: Tokenizer) -> None:
    words = tokens(tokenizer, STREETS)
    the, street, both = Phrase((words[1],)), Phrase((words[2],)), Phrase((words[1], words[2]))
    check_apart(the, street)
    with pytest.raises(RequestError, match='are the same word, "The"'):
        check_apart(the, Phrase((words[1],)))
    for query, key in ((both, street), (the, both)):
        with pytest.raises(RequestError, match="overlap"):
            check_apart(query, key)
