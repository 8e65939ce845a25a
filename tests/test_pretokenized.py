"""Words of the user's own: `--pretokenized`, and lists of words from Python."""

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from process import Done, Workplace, workplace
from test_tokenizing import KINDS

import attnviz
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection
from attnviz.text.tokenizer import Tokenizer
from attnviz.text.tokens import spans_given, words_in
from attnviz.transformers_backend.tokenizers import transformers_tokenizer, wrapped

WORDS = ("The", "animal", "didn't,", "동물은", "New York", "(!)", "e\u0301t", "the")

Built = Callable[[str], tuple[Tokenizer, Path]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    @cache
    def build(kind: str) -> tuple[Tokenizer, Path]:
        folder = tmp_path_factory.mktemp(kind)
        for name, content in KINDS[kind]().items():
            data = content.encode() if isinstance(content, str) else content
            (folder / name).write_bytes(data)
        return wrapped(transformers_tokenizer(folder)), folder

    return build


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_those_of_transformers_for_words(kind: str, built: Built) -> None:
    tokenizer, folder = built(kind)
    # byte-level vocabularies lose the spaces between words without it, as transformers says
    space = {"add_prefix_space": True} if kind in ("roberta", "gpt2") else {}
    with warnings.catch_warnings(action="ignore"):  # Marian's recommends another library
        library = transformers.AutoTokenizer.from_pretrained(str(folder), **space)
    theirs = library(list(WORDS), is_split_into_words=True)["input_ids"]
    assert list(tokenizer.encode(WORDS).ids) == theirs
    pair = library(list(WORDS), ["It", "was"], is_split_into_words=True)["input_ids"]
    assert list(tokenizer.encode(WORDS, ("It", "was")).ids) == pair


@pytest.mark.parametrize("kind", KINDS)
def test_each_given_word_is_a_word(kind: str, built: Built) -> None:
    tokens = built(kind)[0].encode(WORDS, ("It", "was."))
    assert (tokens.text, tokens.pair) == (" ".join(WORDS), "It was.")
    words = [word for word in tokens.words if not word.special]
    assert [word.text for word in words] == [*WORDS, "It", "was."]
    spans = [*spans_given(WORDS), (0, 2), (3, 7)]
    assert [(word.start, word.end) for word in words] == spans
    assert [word.segment for word in words] == [0] * len(WORDS) + [1, 1]
    for piece in tokens.pieces:  # a piece lies inside its word
        word = tokens.words[piece.word]
        assert piece.special or (word.start or 0) <= (piece.start or 0) <= (piece.end or 0)
        assert piece.special or (piece.end or 0) <= (word.end or 0)
    assert tokens.typed == (WORDS, ("It", "was."))


@pytest.mark.parametrize("kind", ["bert", "roberta", "llama", "byt5"])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(words=st.lists(st.text("aé動 .'<[#", min_size=1, max_size=5), min_size=1, max_size=6))
def test_any_words(kind: str, words: list[str], built: Built) -> None:
    try:
        tokens = built(kind)[0].encode(tuple(words))
    except RequestError:
        assert any(not word.strip() for word in words)
        return
    found = [word.text for word in tokens.words if not word.special]
    left = iter(words)  # words of which a piece is left, in their order
    assert all(word in left for word in found)
    assert sorted([*found, *tokens.lost]) == sorted(words)


def test_words_of_which_nothing_is_read_are_told(built: Built) -> None:
    tokens = built("bert")[0].encode(("the", "\u200d", "animal"))
    assert [word.text for word in tokens.words if not word.special] == ["the", "animal"]
    assert tokens.lost == ("\u200d",)


def test_a_typed_mask_is_the_models(built: Built) -> None:
    for kind, mask in (("bert", "[MASK]"), ("roberta", "<mask>")):
        tokens = built(kind)[0].encode(("the", mask, "animal"))
        [word] = [word for word in tokens.words if word.text == mask]
        assert word.pieces == (mask,)


def test_truncated_and_in_windows() -> None:
    words = tuple(f"don't{n}," for n in range(200))
    model = attnviz.load_model()
    tokens = model.tokenize(words, truncate=True)
    found = [word.text for word in tokens.words if not word.special]
    assert found == list(words[: len(found)])
    assert tokens.dropped
    windows = list(attnviz.inspect_windows(list(words), 300, pretokenized=True))
    assert len(windows) > 1
    for window in windows:
        inside = [word.text for word in window.tokens.words if not word.special]
        assert set(inside) < set(words)
        assert " ".join(inside) == window.tokens.text
    last = [word.text for word in windows[-1].tokens.words if not word.special]
    assert last[-1] == words[-1]


def test_from_python(tmp_path: Path) -> None:
    one = attnviz.inspect(["The", "animal,", "didn't."], pretokenized=True)
    assert [word.text for word in one.tokens.words[1:-1]] == ["The", "animal,", "didn't."]
    assert attnviz.inspect("The animal, didn't.", pretokenized=True).tokens == one.tokens
    many = attnviz.inspect([["a b", "c"], ["d"]], pretokenized=True, pair=["x,", "y"])
    assert [each.tokens.typed for each in many] == [
        (("a b", "c"), ("x,", "y")),
        (("d",), ("x,", "y")),
    ]
    assert attnviz.to_rows(one, query="animal,")[0]["query"] == "animal,"
    attnviz.save(one, tmp_path / "kept")
    assert attnviz.load(tmp_path / "kept").tokens == one.tokens


@pytest.mark.parametrize("kind", ["t5", "marian", "mbart", "byt5"])
def test_a_decoders_text(kind: str, built: Built) -> None:
    tokens = built(kind)[0].encode_target(WORDS, 0)
    assert [word.text for word in tokens.words if not word.special] == list(WORDS)
    assert tokens.text == " ".join(WORDS)


def test_what_is_said_and_alike_of_words() -> None:
    a, b = ["A dog", "ran."], ["A cat,", "ran"]
    found = attnviz.similar(a, b, pretokenized=True)
    assert [[word.text for word in side.tokens[1:-1]] for side in found.contexts] == [a, b]
    assert attnviz.similar_each(a, b, pretokenized=True).heads
    said = attnviz.predict(a, pair=b, pretokenized=True)
    plain = attnviz.predict("A dog ran.", pair="A cat, ran")
    assert attnviz.to_rows(said) == attnviz.to_rows(plain)  # which reads the same pieces
    with pytest.raises(RequestError, match="a list came, and one text is expected"):
        attnviz.similar(a, b)


@pytest.mark.parametrize(
    ("text", "pretokenized", "message"),
    [
        ([["It", "was"]], False, "lists of words came"),
        ([["It"], "was"], True, "neither a string nor a list"),
        ([["It", 3]], True, "neither a string nor a list"),
        (["It", ""], True, "word number 2 of the sentence is empty"),
        ([], True, "the sentence is empty"),
        ('["It", "was', True, "begin as a JSON list"),
        ('["It", 3]', True, "not all of it is words in quotes"),
        ('[["It", "was"]]', True, "not all of it is words in quotes"),
    ],
)
def test_what_is_refused(text: object, pretokenized: bool, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        attnviz.inspect(text, pretokenized=pretokenized)  # type: ignore[call-overload]


def test_words_that_a_file_gives_elsewhere_are_refused() -> None:
    tokens = attnviz.inspect(["It", "was"], pretokenized=True).tokens
    for given_spans in (((0, 9),), ((0, 2), (1, 3)), ((3, 3),), ((-1, 2),)):
        with pytest.raises(AttnvizError, match="words are given"):
            type(tokens)(**{**vars(tokens), "given": (given_spans, ())})


def test_words_in_a_line() -> None:
    assert words_in(" It  was\ttired . ") == ("It", "was", "tired", ".")
    assert words_in('["New York", "is"]') == ("New York", "is")
    for line in ("[ 1 ]", "[1, 2]", "[CLS] it", "[]x"):
        assert words_in(line) == tuple(line.split())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    return workplace(tmp_path_factory.mktemp("pretokenized"), animal)


def test_a_line_of_words_in_every_form(here: Callable[..., Done]) -> None:
    asked = "run", "--pretokenized", '["The", "New York", "animal,"]', "--pair", "It was."
    done = here(*asked, "--json")
    words = ["The", "New York", "animal,", "It", "was."]
    tokens = [token for token in done.json["tokens"] if not token["special"]]
    assert [token["text"] for token in tokens] == words
    assert (done.json["text"], done.json["pair"]) == ("The New York animal,", "It was.")
    assert [token["start"] for token in tokens] == [0, 4, 13, 0, 3]
    table = here(*asked, "--head", "L3H1", "--quiet").out
    assert all(f"{word} " in table for word in words)
    row = here(*asked, "--query", "new york", "--key", "animal,", "--head", "L3H1", "-f", "csv")
    assert ',3,New York,4,"animal,",' in row.out.splitlines()[1] or ",New York," in row.out
    here(*asked, "--head", "L3H1", "-o", "kept.svg")


def test_the_last_sentence_keeps_its_words(here: Callable[..., Done]) -> None:
    here("run", "--pretokenized", "The animal, was tired .")
    again = here("run", "--query", "animal,", "--model", "paper", "--json")
    assert (again.code, again.json["word"]["text"]) == (0, "animal,")
    found = here("compare", "The animal, was wide .", "--query", "animal,", "--json")
    assert [key["text_b"] for key in found.json["keys"]] == [
        "The", "animal,", "was", "wide", ".",
    ]  # fmt: skip
    assert "B has words with blanks between, as A has" in found.err
    here("run", "Animals, too.")
    words = here("run", "--pretokenized", "--json").json["tokens"]
    assert [word["text"] for word in words] == ["[CLS]", "Animals,", "too.", "[SEP]"]


def test_lines_and_tables_of_words(place: Workplace) -> None:
    given = b'It was. tired\n["It was.", "wide"]\n["It\n'
    done = place("run", "--pretokenized", "--query", "It was.", "--json", given=given)
    assert done.code == 2
    assert 'line 1: "It was." is 2 words, and this takes one' in done.err
    assert "line 3: the words begin as a JSON list" in done.err
    assert done.json["word"]["text"] == "It was."
    rows = place.folder / "rows.tsv"
    rows.write_text("The animal, was it.\tit.\tanimal,\n", encoding="utf-8")
    found = place("find", "--pretokenized", "--tsv", "rows.tsv", "--json")
    first = found.json_lines[0]
    assert (first["query"]["text"], first["key"]["text"]) == ("it.", "animal,")


def test_similar_of_words(here: Callable[..., Done]) -> None:
    words = ["The animal,", "was"]
    here("run", "--pretokenized", '["The animal,", "was"]', "--quiet")
    done = here("similar", "It was.", "--json")
    for side, expected in (("a", words), ("b", ["It", "was."])):
        found = [token["text"] for token in done.json[side]["tokens"] if not token["special"]]
        assert found == expected


def test_what_does_not_go_together(here: Callable[..., Done]) -> None:
    here("run", "It was.", "--save", "saved")
    done = here("run", "--load", "saved", "--pretokenized")
    assert (done.code, "--load brings a sentence with its words" in done.err) == (2, True)
