"""Words that a model reads as its unknown token: known by id, told in data and in notes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.text import Text
from process import Workplace, workplace
from safetensors import safe_open
from safetensors.numpy import save_file
from test_storage import WORDS, made
from test_terminal import printed
from test_tokenizing import built  # noqa: F401
from tokenizers import Regex, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Library
from vocabularies import KINDS, SPECIALS, unigram, wordpiece

from attnviz.answers.align import aligned
from attnviz.answers.compare import compare
from attnviz.answers.matrices import matrices
from attnviz.answers.overview import overview
from attnviz.answers.select import find_phrase, find_token
from attnviz.answers.word import word
from attnviz.errors import AttnvizError
from attnviz.inspection import HeadId, Inspection
from attnviz.inspection.storage import load, save
from attnviz.model import Model
from attnviz.show.forms import figure, table
from attnviz.show.labels import names, phrase_name
from attnviz.show.wording import alike_told, lost_told, unknown_told
from attnviz.text.tokenizer import FastCutter, Tokenizer
from attnviz.text.tokens import Tokens

KOREAN = "그 동물은 길을 건너지 않았다. 왜냐하면 너무 피곤했기 때문이다."
LACKED = ["않았다", "왜냐하면", "피곤했기", "때문이다"]
SUGGESTION = "attnviz: a multilingual model may know more words, such as --model e5"


def cut(library: Library, text: str) -> Tokens:
    return Tokenizer(FastCutter(library)).encode(text)


def unknown(tokens: Tokens) -> list[str]:
    return [word.text for word in tokens.words if word.unknown]


def word_level() -> Library:
    library = Library(models.WordLevel({"[UNK]": 0, "the": 1}, unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return library


def letter_pairs() -> Library:
    vocabulary = {piece: number for number, piece in enumerate([*SPECIALS, *"thenowT"])}
    library = Library(models.BPE(vocabulary, [], unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return library


@pytest.mark.parametrize(
    ("make", "lacked"),
    [
        (KINDS["wordpiece"], ["피곤했기", "😴"]),
        (KINDS["unigram"], ["피곤했기", "😴"]),
        (word_level, ["The", "피곤했기", "😴"]),
        (letter_pairs, ["피곤했기", "😴"]),
        *((KINDS[kind], []) for kind in ("byte_level", "byte_level_trimmed", "byte_fallback")),
    ],
)
def test_each_kind_of_vocabulary_says_what_it_lacks(
    make: Callable[[], Library], lacked: list[str]
) -> None:
    tokens = cut(make(), "The 피곤했기 😴 the")
    assert unknown(tokens) == lacked
    pieces = [piece for piece in tokens.pieces if piece.unknown]
    assert [tokens.vocabulary[piece.index] for piece in pieces] == ["[UNK]"] * len(pieces)
    assert "".join(piece.label for piece in pieces).endswith("".join(lacked[-2:]))


@pytest.mark.parametrize(
    ("kind", "entry"),
    [
        ("bert", "[UNK]"),
        *((kind, "<unk>") for kind in ("t5", "xlm-roberta", "m2m_100", "mbart")),
        *((kind, "") for kind in ("roberta", "gpt2", "llama", "byt5")),
    ],
)
def test_tokenizers_that_transformers_builds(
    kind: str,
    entry: str,
    built: Callable[[str], Tokenizer],  # noqa: F811
) -> None:
    tokens = built(kind).encode("the 𐎀 the")
    assert unknown(tokens) == (["𐎀"] if entry else [])
    assert {tokens.vocabulary[piece] for piece in tokens.unknown} == ({entry} if entry else set())


def test_a_vocabulary_of_bytes_lacks_nothing_whatever_its_settings_name() -> None:
    library = KINDS["byte_level"]()
    # as GPT-2's names <|endoftext|>
    library.model = models.BPE(library.get_vocab(), [], unk_token="[MASK]")
    assert unknown(cut(library, "the 😴 [MASK]")) == []


def test_a_normalizer_that_deletes_what_is_tried() -> None:
    library = wordpiece()
    library.normalizer = normalizers.Replace(Regex("[ㅹ𐎀 ]+"), " ")
    assert unknown(cut(library, "the 😴")) == ["😴"]


def test_a_typed_unknown_token_is_one(minilm: Model) -> None:
    tokens = minilm.tokenize("[UNK] it")
    assert (unknown(tokens), tokens.unknown) == (["[UNK]"], (1,))


def test_a_word_is_unknown_if_one_of_its_pieces_is() -> None:
    [word] = [word for word in cut(unigram(), "the tree😴").words if word.unknown]
    assert word.text == "😴"
    assert "[UNK]" in word.pieces


def test_pieces_are_labelled_as_typed_and_found_by_both_names(minilm: Model) -> None:
    view = minilm.inspect("I am 😴 now").view(unit="piece")
    token = view.tokens[3]
    assert (token.text, token.label, token.pieces) == ("😴", "😴", ("[UNK]",))
    assert find_token(view.tokens, "😴").token == find_token(view.tokens, "[unk]").token == token


def test_windows_keep_what_is_unknown(minilm: Model) -> None:
    tokenizer = replace_length(minilm.tokenizer, 9)
    windows = tokenizer.windows(f"the dog saw 😴 and the cat saw 😡 and {KOREAN}", 4)
    assert len(windows) > 3
    for window in windows:
        assert unknown(window) == [t.text for t in window.words if t.pieces == ("[UNK]",)]
    assert {word for window in windows for word in unknown(window)} == {"😴", "😡", *LACKED}


def test_words_dropped_at_the_ends_are_in_the_outer_windows(minilm: Model) -> None:
    text = "\u200b the dog saw the cat and the mouse \u200b"
    first, *inner, last = replace_length(minilm.tokenizer, 6).windows(text, 3)
    assert (first.lost, last.lost) == (("\u200b",), ("\u200b",))
    assert {window.lost for window in inner} == {()}
    for window in (first, last):
        assert window.part is not None
        assert text[window.part.offset :].startswith(window.text)


def replace_length(tokenizer: Tokenizer, length: int) -> Tokenizer:
    return Tokenizer(tokenizer._cutter, length)


# Saved


def test_it_is_saved(tmp_path: Path) -> None:
    inspection = made(tokens=replace(WORDS, unknown=(1,)))
    save(inspection, tmp_path / "a")
    assert load(tmp_path / "a").tokens == inspection.tokens


def test_in_older_files_the_entry_says_it(tmp_path: Path, minilm: Model) -> None:
    inspection = minilm.inspect("I am 😴 now")
    save(inspection, tmp_path / "a")
    with safe_open(tmp_path / "a", framework="numpy") as file:
        metadata = json.loads(file.metadata()["attnviz"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert metadata["tokens"].pop("unknown") == [3]
    save_file(arrays, tmp_path / "b", {"attnviz": json.dumps(metadata)})
    assert load(tmp_path / "b").tokens == inspection.tokens


@pytest.mark.parametrize("places", [(2,), (-1,)])
def test_what_no_piece_is_cannot_be_unknown(places: tuple[int, ...]) -> None:
    with pytest.raises(AttnvizError, match="said to be unknown"):
        replace(WORDS, unknown=places)


# Told


@pytest.fixture(scope="module")
def korean(minilm: Model) -> Inspection:
    return minilm.inspect(KOREAN)


def test_they_are_counted_and_named(korean: Inspection) -> None:
    told = f"4 of 9 words are unknown to minilm: {', '.join(LACKED)}"
    assert unknown_told(korean.view().context) == told
    in_pieces = unknown_told(korean.view(unit="piece").context)
    assert in_pieces == told.replace("9 words", "34 pieces")


def test_many_are_counted_once_each(minilm: Model) -> None:
    told = unknown_told(minilm.inspect("😴 😡 😴 🦙 🦊 🐙 🦀 and a dog.").view().context)
    assert told == "7 of 10 words are unknown to minilm: 😴 (2 times), 😡, 🦙, 🦊, 🐙 and 1 more"


def test_nothing_is_told_of_known_words(animal: Inspection) -> None:
    context = animal.view().context
    assert (unknown_told(context), lost_told(context)) == ("", "")


@pytest.mark.parametrize(
    ("text", "lost", "told"),
    [
        ("\x07 a dog", ("\x07",), "1 word was dropped by the tokenizer of minilm, so that the "
         "model never sees it: U+0007"),
        ("a \u200b dog \u200d", ("\u200b", "\u200d"), "2 words were dropped by the tokenizer of "
         "minilm, so that the model never sees them: U+200B, U+200D"),
    ],
)  # fmt: skip
def test_dropped_words_are_told(minilm: Model, text: str, lost: tuple[str, ...], told: str) -> None:
    inspection = minilm.inspect(text)
    assert inspection.tokens.lost == lost
    assert lost_told(inspection.view().context) == told


def test_what_truncation_cut_off_was_not_dropped(minilm: Model) -> None:
    short = replace_length(minilm.tokenizer, 5)
    tokens = short.encode("a \u200b dog ran \u200b away", truncate=True)
    assert (tokens.dropped, tokens.lost) == (1, ("\u200b",))


@pytest.mark.parametrize(
    ("a", "b", "same_input", "told"),
    [
        ("I am 😴 now", "I am 😡 now", True,
         "the words that differ, 😴 and 😡, are both unknown to minilm: the model reads the two "
         "sentences as one"),
        ("너무 피곤했기 😴", "너무 않았다 😡", True,
         "the words that differ, 피곤했기 and 않았다, 😴 and 😡, are all unknown to minilm: the "
         "model reads the two sentences as one"),
        ("😴 😡 now", "😡 😴 now", True,  # which may not be laid beside their twins
         "the words that differ, 😴 and 😡, 😡 and 😴, are all unknown to minilm: the model reads "
         "the two sentences as one"),
        ("a Café is", "a cafe is", True,
         "the words that differ, Café and cafe, are the same to minilm: the model reads the two "
         "sentences as one"),
        ("a dog\x07 is", "a dog is", True,
         "what differs never reaches minilm: the model reads the two sentences as one"),
        ("a  dog is", "a dog is", True,
         "what differs never reaches minilm: the model reads the two sentences as one"),
        ("I am 😴 now", "You am 😡 now", False,
         "😴 and 😡 are both unknown to minilm, which reads them alike"),
        ("I am 😴 now", "I am sad now", False, ""),
        ("I am 😴 now", "I am 😴 now", True, ""),
    ],
)  # fmt: skip
def test_what_a_model_reads_alike(
    minilm: Model, a: str, b: str, same_input: bool, told: str
) -> None:
    both = aligned(*(minilm.inspect(text).view() for text in (a, b)))
    assert (both.same_input, alike_told(both)) == (same_input, told)
    compared = compare(both)
    assert compared.data(1)["same_input"] is same_input
    assert (max(head.distance for head in compared.heads) < 1e-3) is same_input


# Shown

LEGEND = "? before a word: unknown to minilm (4 of 9 words)"


def test_tables_show_the_word_as_typed_marked(korean: Inspection) -> None:
    view = korean.view()
    for answer in (matrices(view, [HeadId(3, 1)]), word(view, 10, "query"), overview(view)):
        shown = printed(table(answer), 200)
        assert LEGEND in shown
        assert "?피곤했기" in shown
        assert "[UNK]" not in shown


def test_pieces_are_shown_as_typed_too(korean: Inspection) -> None:
    shown = printed(table(word(korean.view(unit="piece"), 33, "query")), 200)
    assert "? before a piece: unknown to minilm (4 of 34 pieces)" in shown
    assert "?때문이다 looks at" in shown
    assert "[UNK]" not in shown


def test_pictures_and_notebooks_mark_them(korean: Inspection) -> None:
    picture = figure(matrices(korean.view(), [HeadId(3, 1)]))
    said = [text.get_text() for text in picture.findobj(Text)]
    assert said.count("?피곤했기") >= 2
    assert LEGEND in said
    html = korean._repr_html_()
    assert LEGEND in html
    assert "?않았다" in html


def test_a_comparison_marks_both_sides(minilm: Model) -> None:
    views = [minilm.inspect(text).view() for text in ("I am 😴 now", "I am 😡 now 😡")]
    shown = printed(table(compare(aligned(*views))), 200)
    assert "A  ? before a word: unknown to minilm (1 of 4 words)" in shown
    assert "B  ? before a word: unknown to minilm (2 of 5 words)" in shown
    both = aligned(*views)
    said = [text.get_text() for text in figure(compare(both, 3)).findobj(Text)]
    assert "B: ? before a word: unknown to minilm (2 of 5 words)" in said
    same = aligned(views[0], views[0])
    said = [text.get_text() for text in figure(compare(same, 3)).findobj(Text)]
    assert said.count("? before a word: unknown to minilm (1 of 4 words)") == 1


def test_names_tell_marked_twins_apart(minilm: Model) -> None:
    context = minilm.inspect("😴 is 😴 a [UNK]").view().context
    called = ("[CLS]", "?😴@1", "is", "?😴@3", "a", "?[UNK]", "[SEP]")
    assert names(context, "query") == called
    both = find_phrase(context.tokens, "😴 a")
    assert phrase_name(context, "query", both) == "?😴 a"


# As people see it


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    return workplace(tmp_path_factory.mktemp("unknown"), animal)


def test_a_run_says_it_and_marks_it_in_data(place: Workplace) -> None:
    done = place("run", KOREAN, "--query", "피곤했기", "--json")
    told = f"attnviz: 4 of 9 words are unknown to minilm: {', '.join(LACKED)}"
    assert done.err.splitlines() == [told, SUGGESTION]
    assert [token["text"] for token in done.json["tokens"] if token["unknown"]] == LACKED
    assert [token["pieces"] for token in done.json["tokens"] if token["unknown"]] == [["[UNK]"]] * 4


@pytest.mark.slow
def test_of_many_lines_a_few_are_told_and_the_others_counted(place: Workplace) -> None:
    lines = "a 😴\na dog\n잤다 a\na 😡\na 😴\na 🦙\n".encode()
    done = place("run", "--query", "a", "--json", given=lines)
    assert done.err.splitlines() == [
        "attnviz: line 1: 1 of 2 words is unknown to minilm: 😴",
        SUGGESTION,
        "attnviz: line 3: 1 of 2 words is unknown to minilm: 잤다",
        "attnviz: line 4: 1 of 2 words is unknown to minilm: 😡",
        "attnviz: 2 more sentences have unknown words",
    ]


def test_a_comparison_says_that_both_are_read_as_one(place: Workplace) -> None:
    done = place("compare", "I am 😴 now", "I am 😡 now", "--query", "am")
    assert done.err.splitlines() == [
        "attnviz: sentence A: 1 of 4 words is unknown to minilm: 😴",
        SUGGESTION,
        "attnviz: sentence B: 1 of 4 words is unknown to minilm: 😡",
    ]
    read = "The words that differ, 😴 and 😡, are both unknown to minilm: the model reads"
    assert read in done.out
