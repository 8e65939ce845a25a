"""Texts that are too long for a model, in windows that overlap."""

import csv
import io
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from handmade import random_inspection
from process import Workplace
from rich.console import Console
from shown import heatmap, looks, run_json

import attnviz
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection
from attnviz.inspection.storage import load, save
from attnviz.model import Model, load_model
from attnviz.models import default_tokenizer
from attnviz.show.naming import default_name
from attnviz.show.wording import window_told
from attnviz.text.tokenizer import Tokenizer
from attnviz.text.tokens import Part, Tokens
from attnviz.text.windows import windows_of

SCHEMAS = Path(__file__).parent.parent / "docs" / "schema"
LONG = " ".join(f"The animal didn't cross street number {number}." for number in range(60))


def cut(words: str) -> Tokens:
    """`[CLS]`, words whose pieces are parted by hyphens, one letter or more each, `[SEP]`."""
    text, spans, entries = words.replace("-", ""), [], []
    at = 0
    for word in words.split(" "):
        for piece in word.split("-"):
            entries.append(piece)
            spans.append((at, at + len(piece)))
            at += len(piece)
        at += 1
    count = len(entries) + 2
    return Tokens(
        text=text,
        pair=None,
        ids=(101, *range(len(entries)), 102),
        vocabulary=("[CLS]", *entries, "[SEP]"),
        spans=(None, *spans, None),
        segments=(0,) * count,
        type_ids=(0,) * count,
    )


def pieces(windows: list[Tokens]) -> list[str]:
    return [" ".join(window.vocabulary) for window in windows]


def test_windows_begin_a_stride_apart_with_special_tokens_around_each() -> None:
    windows = windows_of(cut("a b c d e f g"), most=6, stride=2)
    assert pieces(windows) == [
        "[CLS] a b c d [SEP]",
        "[CLS] c d e f [SEP]",
        "[CLS] e f g [SEP]",
    ]
    assert [window.part for window in windows] == [
        Part(0, 3, 0, 4, 0),
        Part(1, 3, 2, 6, 4),
        Part(2, 3, 4, 7, 8),
    ]
    assert [window.text for window in windows] == ["a b c d", "c d e f", "e f g"]
    assert windows[1].ids == (101, 2, 3, 4, 5, 102)
    assert windows[1].spans == (None, (0, 1), (2, 3), (4, 5), (6, 7), None)


def test_edges_are_moved_back_to_where_words_begin() -> None:
    windows = windows_of(cut("a b-b c d-d-d e f-f"), most=7, stride=4)
    assert pieces(windows) == [  # five would have fitted in the first two
        "[CLS] a b b c [SEP]",
        "[CLS] d d d e [SEP]",
        "[CLS] f f [SEP]",
    ]
    assert [window.text for window in windows] == ["a bb c", "ddd e", "ff"]


def test_a_word_that_fits_no_window_is_cut_all_the_same_and_nothing_is_left_out() -> None:
    windows = windows_of(cut("x-x-x-x-x-x-x-x-x y"), most=6, stride=3)
    spans = [(window.part.start, window.part.end) for window in windows if window.part]
    assert spans == [(0, 4), (3, 7), (6, 10)]
    assert [window.text for window in windows] == ["xxxx", "xxxx", "xxx y"]


@pytest.mark.parametrize("stride", [1, 7, 60, 109])
def test_every_piece_of_a_long_text_lies_in_a_window(stride: int) -> None:
    tokens = Tokenizer.from_file(default_tokenizer()).encode(LONG)
    windows = windows_of(tokens, most=112, stride=stride)
    starts = set(tokens.word_starts)
    covered: set[int] = set()
    for index, window in enumerate(windows):
        part = window.part
        assert part is not None
        assert (part.index, part.count) == (index, len(windows))
        assert len(window) == part.end - part.start + 2 <= 112
        assert window.ids[1:-1] == tokens.ids[1 + part.start : 1 + part.end]
        assert LONG[part.offset :].startswith(window.text)
        assert {part.start + 1, part.end + 1} <= starts
        covered.update(range(part.start, part.end))
        placed = [(start + part.offset, end + part.offset) for start, end in window.spans[1:-1]]  # type: ignore[misc]
        assert placed == list(tokens.spans[1 + part.start : 1 + part.end])
    assert covered == set(range(len(tokens) - 2))
    begun = [window.part.start for window in windows if window.part]
    assert all(
        0 < later - sooner <= max(stride, len(["didn", "'", "t"]))
        for sooner, later in pairwise(begun)
    )


def test_a_window_is_what_the_model_makes_of_its_text_alone(minilm: Model) -> None:
    windows = list(attnviz.inspect_windows(LONG, 300, minilm))
    assert [inspection.part is not None for inspection in windows] == [True] * len(windows)
    alone = minilm.inspect(windows[1].tokens.text)
    assert alone.tokens.ids == windows[1].tokens.ids
    np.testing.assert_allclose(windows[1].weights(3, 2), alone.weights(3, 2), atol=1e-5)


def test_a_text_that_fits_is_one_plain_inspection(minilm: Model) -> None:
    [one] = attnviz.inspect_windows("It was tired.", 300, minilm)
    plain = minilm.inspect("It was tired.")
    assert one.part is None
    assert one.tokens == plain.tokens


@pytest.mark.parametrize(
    ("stride", "expected"),
    [(0, "the stride is 0"), (510, "would not overlap"), (4000, "the model takes 510")],
)
def test_strides_that_leave_windows_no_room(minilm: Model, stride: int, expected: str) -> None:
    with pytest.raises(RequestError, match=expected):
        attnviz.inspect_windows("It was tired.", stride, minilm)


def test_a_model_without_a_limit_needs_no_windows() -> None:
    with pytest.raises(RequestError, match="longest input, which is not known"):
        attnviz.inspect_windows(LONG, 10, load_model("paper", d_model=8, num_heads=2))


PART = Part(1, 3, 40, 44, 200)


@pytest.fixture
def window() -> Inspection:
    tokens = replace(cut("it is so ti-red"), part=PART)
    return random_inspection(tokens, 2, 2, seed=1)


def test_the_window_is_named_over_tables_pictures_and_in_file_names(window: Inspection) -> None:
    told = "window 2 of 3: pieces 40 to 43 of the text"
    view = window.view()
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(*looks(view, [HeadId(0, 1)]))
    assert told in console.export_text().splitlines()
    figure = heatmap(view, [HeadId(0, 1)])
    assert told in [text.get_text() for text in figure.texts]
    assert told in view._repr_html_()
    assert window_told(window.view(window=(1, 3)).context) == f"{told}; tokens 1 to 2 of 6"
    name = default_name(view.context, [HeadId(0, 1)])
    assert "-window-2-of-3-" in name
    other = replace(window, tokens=replace(window.tokens, part=replace(PART, offset=7)))
    assert default_name(other.view().context, [HeadId(0, 1)]) != name


def test_json_tells_which_window_it_is(window: Inspection) -> None:
    parsed = json.loads(b"".join(run_json(window.view(), [HeadId(0, 1)])))
    assert parsed["part"] == {"index": 1, "count": 3, "start": 40, "end": 44, "offset": 200}
    schema = json.loads((SCHEMAS / "run-1.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(parsed)
    for change in ({"index": -1}, {"count": 1}, {"more": 1}):
        damaged = parsed | {"part": parsed["part"] | change}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema).validate(damaged)


@pytest.mark.parametrize("name", ["find", "explain", "ablate", "compare"])
def test_every_schema_of_a_text_knows_the_part(name: str) -> None:
    def part_of(schema_name: str) -> object:
        [newest] = SCHEMAS.glob(f"{schema_name}-[0-9].schema.json")
        schema = json.loads(newest.read_text())
        places = [schema, *schema["$defs"].values()]
        [found] = [p["properties"]["part"] for p in places if "part" in p.get("properties", {})]
        return found["properties"], found["required"]

    assert part_of(name) == part_of("run")


def test_a_window_is_saved_as_one(window: Inspection, tmp_path: Path) -> None:
    path = tmp_path / "window"
    save(window, path)
    assert load(path).tokens == window.tokens
    assert load(path).part == PART


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("stride"))


@pytest.mark.slow
def test_windows_stream_out_as_sentences_do(place: Workplace) -> None:
    texts = f"It was tired.\n{LONG}\ncaf\n".encode().replace(b"caf", b"caf\xe9")
    ask = ("run", "--stride", "400", "--head", "3.1")
    done = place(*ask, "--json", given=texts)
    assert done.code == 2
    assert done.message == [
        "attnviz: line 2: 600 tokens, in 2 windows of 512 at most",
        "attnviz: line 3: the line is not UTF-8 at byte 3",
        "  convert the file, as in iconv -f LATIN1 -t UTF-8 FILE (Korean: -f CP949)",
        "attnviz: 1 sentence left out, see above",
    ]
    parts = [one.get("part") for one in done.json_lines]
    assert parts[0] is None
    assert [(part["index"], part["start"], part["end"]) for part in parts[1:]] == [
        (0, 0, 510),
        (1, 400, 600),
    ]
    rows = place(*ask, "-f", "csv", LONG)
    assert {row["text_index"] for row in csv.DictReader(io.StringIO(rows.out))} == {"0", "1"}
    assert "attnviz: each window counts as a text of its own: text_index counts them" in (
        rows.message
    )
    place(*ask, "-o", "windows.npz", LONG)
    with np.load(place.folder / "windows.npz") as file:
        told = json.loads(str(file["meta"]))["sentences"]
        assert [(one["index"], one["part"]["start"]) for one in told] == [(0, 0), (1, 400)]
        assert file["1.tokens"][0] == "[CLS]"


@pytest.mark.slow
def test_pictures_have_a_name_each_and_one_file_holds_one(place: Workplace) -> None:
    ask = ("heatmap", LONG, "--stride", "400", "--head", "3.1")
    done = place(*ask)
    assert done.code == 0
    assert ["window-1-of-2" in line for line in done.out.splitlines()] == [True, False]
    refused = place(*ask, "-o", "one.png")
    assert (refused.code, refused.message[0]) == (
        2,
        "attnviz: the text makes 2 windows, and -o one.png names one picture",
    )


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        (["it", "--pair", "is"], "does not go with --pair"),
        (["it", "--truncate"], "does not go with --truncate"),
        (["--load", "it"], "does not go with --load"),
        ([], "--stride came without TEXT"),
        (["it", "--model", "paper"], "longest input, which is not known"),
    ],
)
def test_what_does_not_go_with_a_stride(place: Workplace, beside: list[str], expected: str) -> None:
    done = place("run", "--stride", "9", *beside)
    assert (done.code, done.out) == (2, "")
    assert expected in done.message[0]
