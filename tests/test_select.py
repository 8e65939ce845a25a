"""Which token and which heads a selector names."""

import unicodedata

import pytest
from test_tokens import tokenizer as pieces_with

from attnviz.answers.select import find_phrase, find_token, select_heads
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, ModelFacts
from attnviz.models import default_tokenizer
from attnviz.text.tokenizer import Tokenizer
from attnviz.text.tokens import Token, Tokens, Unit

MODEL = ModelFacts("m", "bert", 6, 12, 24, 2, 48, trained=True)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(default_tokenizer())


def tokens_of(tokenizer: Tokenizer, text: str, unit: Unit = "word") -> tuple[Token, ...]:
    return tokenizer.encode(text).unit(unit)


def literal(*labels: str) -> tuple[Token, ...]:
    """Words as given, whatever a tokenizer would make of them."""
    ends = [sum(map(len, labels[: i + 1])) + i for i in range(len(labels))]
    spans = tuple((end - len(label), end) for label, end in zip(labels, ends, strict=True))
    n = len(labels)
    return Tokens(" ".join(labels), None, tuple(range(n)), labels, spans, (0,) * n, (0,) * n).pieces


@pytest.mark.parametrize(
    ("selector", "index", "matches"),
    [
        ("it", 1, 3),
        ("IT", 1, 3),
        ("it#1", 1, 1),
        ("it#2", 4, 1),
        ("It#3", 7, 1),
        ("rains", 2, 1),
        ("don't", 5, 1),
        ("@0", 0, 1),
        ("@5", 5, 1),
        ("@-1", 9, 1),
        ("@-10", 0, 1),
        ("it@7", 7, 1),
        ("it@4", 4, 1),
        ("don’t", 5, 1),
        ("ｉｔ", 1, 3),
        ("[SEP]", 9, 1),
        ("[cls]", 0, 1),
    ],
)
def test_words_occurrences_and_indices(
    tokenizer: Tokenizer, selector: str, index: int, matches: int
) -> None:
    tokens = tokens_of(tokenizer, "It rains, it don't see it.")
    found = find_token(tokens, selector)
    assert (found.token.index, found.matches) == (index, matches)


@pytest.mark.parametrize(
    ("selector", "message", "hint"),
    [
        ("dog", 'there is no "dog" in the sentence', "it has [CLS], The, cat, and, it, ., [SEP]"),
        ("", 'there is no "" in the sentence', "it has [CLS]"),
        ("@", 'there is no "@" in the sentence', "it has [CLS]"),
        ("@x", 'there is no "@x" in the sentence', "it has [CLS]"),
        ("@-9", "there is no token @-9: the tokens run from @0 to @7", "it has [CLS]"),
        ("cat@3", 'there is no "cat@3" in the sentence', "did you mean cat? it has [CLS]"),
        ("cats", 'there is no "cats" in the sentence', "did you mean cat? it has [CLS]"),
        ("a", 'there is no "a" in the sentence', "did you mean and? it has [CLS]"),
        ("@1_0", 'there is no "@1_0" in the sentence', "it has [CLS]"),
        ("@１", 'there is no "@１" in the sentence', "it has [CLS]"),  # a full-width digit
        ("@8", "there is no token @8: the tokens run from @0 to @7", "it has [CLS]"),
        ("@999", "there is no token @999: the tokens run from @0 to @7", "it has [CLS]"),
        ("it#9", 'there is no it#9: "it" occurs 2 times', "it#1 is the first"),
        ("cat#2", 'there is no cat#2: "cat" occurs once', "cat#1 is the first"),
        ("it#0", 'there is no it#0: "it" occurs 2 times', "it#1 is the first"),
        ("dog#2", 'there is no "dog#2" in the sentence', "it has [CLS]"),
        ("#", 'there is no "#" in the sentence', "it has [CLS]"),
        ("The cat", '"The cat" is 2 words, and this takes one', "name one, as in cat"),
        ("the dog", 'there is no "the dog" in the sentence', "it has [CLS]"),
        ("#2", 'there is no "#2" in the sentence', "it has [CLS]"),
        ("@" + "9" * 5000, "in the sentence", "it has [CLS]"),
        ("it#" + "9" * 5000, "in the sentence", "it has [CLS]"),
    ],
)
def test_what_is_not_there_is_told(
    tokenizer: Tokenizer, selector: str, message: str, hint: str
) -> None:
    with pytest.raises(RequestError) as caught:
        find_token(tokens_of(tokenizer, "The cat and it it."), selector)
    assert message in caught.value.message
    assert caught.value.hint.startswith(hint)


def test_words_with_the_signs_of_selectors_are_found_as_they_are() -> None:
    tokens = literal("C", "C#", "C#2", "#", "#1", "C#")
    for selector, index in (("C#", 1), ("c#2", 2), ("#", 3), ("#1", 4), ("C#2#1", 2), ("C##2", 5)):
        assert find_token(tokens, selector).token.index == index
    assert find_token(literal("C", "C"), "C#2").token.index == 1


def test_long_lists_of_words_are_cut() -> None:
    labels = [f"w{i}" for i in range(45)]
    with pytest.raises(RequestError) as caught:
        find_token(literal(*labels, "w0"), "x")
    assert caught.value.hint == f"it has {', '.join(labels[:40])} and 5 more"
    with pytest.raises(RequestError) as caught:
        find_token(literal(*labels[:40]), "x")
    assert caught.value.hint == f"it has {', '.join(labels[:40])}"


def test_accents_and_scripts(tokenizer: Tokenizer) -> None:
    tokens = tokens_of(tokenizer, "Café STRASSE 동물은 길을 ΣΑΣ 是")
    for word in ("Café", "STRASSE", "동물은", "ΣΑΣ", "是"):
        index = find_token(tokens, word).token.index
        for form in ("NFC", "NFD"):
            spelled = unicodedata.normalize(form, word)
            assert find_token(tokens, spelled).token.index == index
            assert find_token(tokens, spelled.lower()).token.index == index
    assert find_token(tokens, "straße").token.text == "STRASSE"
    with pytest.raises(RequestError):
        find_token(tokens, "Cafe")


def test_pieces_are_found_by_what_was_typed_and_by_the_vocabularys_spelling(
    tokenizer: Tokenizer,
) -> None:
    pieces = tokens_of(tokenizer, "Tokenizing tokens", "piece")
    assert [piece.label for piece in pieces] == [
        *("[CLS]", "token", "##izing", "token", "##s", "[SEP]")
    ]
    assert find_token(pieces, "##izing").token.index == 2
    assert find_token(pieces, "izing").token.index == 2
    assert find_token(pieces, "token").matches == 2
    assert find_token(pieces, "token#2").token.index == 3


L3 = [HeadId(3, head) for head in range(12)]


@pytest.mark.parametrize(
    ("layers", "heads", "expected"),
    [
        ([], [], []),
        (["3"], [], L3),
        (["3"], ["1"], [HeadId(3, 1)]),
        ([], ["3.1"], [HeadId(3, 1)]),
        ([], ["3-1"], [HeadId(3, 1)]),
        ([], ["L3H1"], [HeadId(3, 1)]),
        ([], ["l3h1"], [HeadId(3, 1)]),
        ([], [" 3.1 "], [HeadId(3, 1)]),
        (["-1"], ["-1"], [HeadId(5, 11)]),
        (["-6"], ["-12"], [HeadId(0, 0)]),
        ([" 3 "], ["01"], [HeadId(3, 1)]),
        (["3", "3"], ["1", "3.1", "L3H1"], [HeadId(3, 1)]),
        (["3", "0"], ["1", "0"], [HeadId(0, 0), HeadId(0, 1), HeadId(3, 0), HeadId(3, 1)]),
        (["0", "3"], ["3.2"], [*(HeadId(0, head) for head in range(12)), HeadId(3, 2)]),
        (["3"], ["3.2", "5"], [HeadId(3, 2), HeadId(3, 5)]),
        ([], ["5.0", "0.5"], [HeadId(0, 5), HeadId(5, 0)]),
        (["-1"], ["L5H0"], [HeadId(5, 0)]),
    ],
)
def test_heads(layers: list[str], heads: list[str], expected: list[HeadId]) -> None:
    assert select_heads(MODEL, layers, heads) == expected


@pytest.mark.parametrize(
    ("layers", "heads", "message", "hint"),
    [
        (["6"], [], "there is no layer 6: the model has 6", "numbered from 0 to 5"),
        (["-7"], [], "there is no layer -7: the model has 6", "-1 is the last"),
        (["99"], [], "there is no layer 99: the model has 6", "numbered from 0 to 5"),
        (["3"], ["12"], "there is no head 12: the model has 12", "numbered from 0 to 11"),
        ([], ["3.99"], "there is no head 99: the model has 12", "numbered from 0 to 11"),
        ([], ["L9H1"], "there is no layer 9: the model has 6", "numbered from 0 to 5"),
        (["x"], [], '"x" is not a layer', "numbers from 0 to 5"),
        ([""], [], '"" is not a layer', "numbers from 0 to 5"),
        (["3.1"], [], '"3.1" is not a layer', "numbers from 0 to 5"),
        (["1_0"], [], '"1_0" is not a layer', "numbers from 0 to 5"),
        (["１"], [], '"１" is not a layer', "numbers from 0 to 5"),
        (["+1"], [], '"+1" is not a layer', "numbers from 0 to 5"),
        (["1" * 5000], [], "is not a layer", "numbers from 0 to 5"),
        (["3"], ["x"], '"x" is not a head', "as in 1, 3.1, 3-1 or L3H1"),
        (["3"], [""], '"" is not a head', "as in 1, 3.1, 3-1 or L3H1"),
        ([], ["H1"], '"H1" is not a head', "as in 1, 3.1, 3-1 or L3H1"),
        ([], ["3.1.2"], '"3.1.2" is not a head', "as in 1, 3.1, 3-1 or L3H1"),
        ([], ["٣.1"], '"٣.1" is not a head', "as in 1, 3.1, 3-1 or L3H1"),
        ([], ["1"], "head 1 needs a layer", "name its layer too, as in L5H1"),
        ([], ["3.1", "-1"], "head -1 needs a layer", "name its layer too, as in L5H11"),
        (["2"], ["3.1"], "head 3.1 is not in the layer given", "one of the two"),
    ],
)
def test_heads_that_are_refused(
    layers: list[str], heads: list[str], message: str, hint: str
) -> None:
    with pytest.raises(RequestError) as caught:
        select_heads(MODEL, layers, heads)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(("kind", "mark"), [("byte_level", "Ġ"), ("unigram", "▁")])
def test_pieces_are_found_without_their_marks(kind: str, mark: str) -> None:
    pieces = pieces_with(kind).encode("cross the the").pieces
    the = [piece.index for piece in pieces if piece.pieces[0].startswith(f"{mark}t")]
    typed = pieces[the[0]].text.strip()
    assert pieces[the[0]].label == mark + typed
    for asked in (typed, typed.upper(), mark + typed, f"##{typed}"):
        assert find_token(pieces, asked).token.index == the[0]


@pytest.mark.parametrize(
    ("unit", "typed", "near"),
    [
        ("word", "동물", "동물은"),
        ("word", "dog", "dog's"),
        ("word", "dgo's", "dog's"),
        ("word", "“cross”", "cross"),
        ("word", '"strete"', "street"),
        ("piece", "dogs", "dog"),
        ("piece", "cros", "cross"),
    ],
)
def test_near_words_are_offered_first(
    tokenizer: Tokenizer, unit: Unit, typed: str, near: str
) -> None:
    tokens = tokens_of(tokenizer, "The dog's 동물은 didn't cross the street.", unit)
    with pytest.raises(RequestError, match="there is no") as caught:
        find_token(tokens, typed)
    assert caught.value.hint.startswith(f"did you mean {near}? ")
    assert find_token(tokens, near).text == near


def test_a_word_of_several_pieces_is_told_where_pieces_are_asked_for(tokenizer: Tokenizer) -> None:
    pieces = tokens_of(tokenizer, "It didn't.", "piece")
    with pytest.raises(RequestError) as caught:
        find_token(pieces, "Didn't")
    message = '"Didn\'t" is cut into the pieces @2 to @4, and this takes one'
    assert caught.value.message == message
    assert caught.value.hint == "name one, as in @2, or ask for words, without --pieces"
    assert find_phrase(pieces, "didn't").indices == [2, 3, 4]
