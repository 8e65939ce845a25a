"""Corpora of every form: what is read of them, and what is said of what cannot be."""

import gzip
import io
import json
import os
import pickle
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import fsspec
import pyarrow
import pytest
import zstandard
from pyarrow import parquet

from attnviz.answers.probe import Kind
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.fold import whole_or_windows
from attnviz.corpus.probing import asked
from attnviz.corpus.reading import LONGEST_TEXT, Columns, Files
from attnviz.errors import AttnvizError, RequestError
from attnviz.model import Model

TEXTS = ["The cat sleeps.", "동물은 피곤해", "A dog barked, twice."]
Told = tuple[int | None, str]  # a line, and a text or what is wrong


def told(reader: Files) -> list[Told]:
    """Line and text of each document, line and message of each problem."""
    items = (item for file in reader.files() for item in reader.documents(file))
    return [
        (item.line, item.text if isinstance(item.text, str) else "|".join(item.text))
        if isinstance(item, Document)
        else (item.line, item.message)
        for item in items
    ]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Told]]:
    """What a file with this name and content gives."""

    def from_file(name: str, content: str | bytes, **options: Any) -> list[Told]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return told(Files([str(path)], Columns(**options)))

    return from_file


def documents(path: Path | str, **options: Any) -> list[Document]:
    reader = Files([str(path)], Columns(**options))
    found = [item for file in reader.files() for item in reader.documents(file)]
    assert not [item for item in found if isinstance(item, Problem)]
    return [item for item in found if isinstance(item, Document)]


def test_lines_of_a_text(read: Callable[..., list[Told]]) -> None:
    content = f"{TEXTS[0]}\r\n\r\n{TEXTS[1]}\r\n{TEXTS[2]}"
    assert read("a.txt", f"\ufeff{content}") == [(1, TEXTS[0]), (3, TEXTS[1]), (4, TEXTS[2])]
    assert read("b.txt", content.encode("utf-16")) == read("a.txt", content)
    assert read("no_suffix", content) == read("a.txt", content)


def test_a_table_with_commas(read: Callable[..., list[Told]], tmp_path: Path) -> None:
    content = f'id,text,label\na1,{TEXTS[0]},1\n\na2,"{TEXTS[2]}",0\na3,"two\nlines",0\na4,,0\n'
    expected = [(2, TEXTS[0]), (4, TEXTS[2]), (5, "two\nlines")]
    assert read("a.csv", content) == expected
    assert [one.id for one in documents(tmp_path / "a.csv")] == ["a1", "a2", "a3"]
    assert [one.number for one in documents(tmp_path / "a.csv")] == [0, 1, 2]
    assert read("b.csv", "label;sentence\n1;I am, so to say, tired\n") == [
        (2, "I am, so to say, tired")
    ]


def test_columns_that_are_named(read: Callable[..., list[Told]], tmp_path: Path) -> None:
    content = "text,body,number\nno,The cat sleeps.,7\n"
    assert read("a.csv", content, text="body") == [(2, "The cat sleeps.")]
    [one] = documents(tmp_path / "a.csv", text="body", id="number")
    assert one.id == "7"
    assert read("one.csv", "whatever\nThe cat sleeps.\n") == [(2, "The cat sleeps.")]


def test_second_texts_have_a_column_of_their_own(
    read: Callable[..., list[Told]], tmp_path: Path
) -> None:
    content = "en\tde\nIt rains.\tEs regnet.\nIt snows.\t\n\t\n"
    assert read("a.tsv", content, pair="de") == [
        (2, "It rains."),
        (3, "the column de is empty here"),
    ]
    assert read("b.tsv", "en\tde\nIt rains.\tEs regnet.\n", pair="de") == [(2, "It rains.")]
    [one] = documents(tmp_path / "b.tsv", pair="de")
    assert (one.text, one.pair) == ("It rains.", "Es regnet.")
    [(line, told)] = read("a.tsv", content, text="en", pair="fr")
    assert (line, told) == (
        1,
        "there is no column fr: there are en, de (name the one with the second texts with "
        "--pair-column)",
    )


def test_a_row_whose_quotes_do_not_match_costs_no_other(read: Callable[..., list[Told]]) -> None:
    content = 'id,text\n1,"open\n2,plain\n3,"whole, cell"\n4,"cell" twice\n5,last\n'
    assert read("a.csv", content) == [
        (
            2,
            "the row has a quoted cell that does not end as it should (put quotation marks around "
            "the whole cell, and two for one within it)",
        ),
        (3, "plain"),
        (4, "whole, cell"),
        (
            5,
            "the row has a quoted cell that does not end as it should (put quotation marks around "
            "the whole cell, and two for one within it)",
        ),
        (6, "last"),
    ]
    assert [line for line, _ in read("b.csv", 'text\nsome\n"never closed\nmore\nlast')] == [
        2,
        3,
        4,
        5,
    ]


def test_rows_of_another_length(read: Callable[..., list[Told]]) -> None:
    assert read("a.csv", "id,text\n1,one, two\n2,three\n3\n") == [
        (
            2,
            "the row has 3 cells, and the header 2 (put quotation marks around a cell with a comma "
            "in it)",
        ),
        (3, "three"),
        (
            4,
            "the row has 1 cell, and the header 2 (put quotation marks around a cell with a comma "
            "in it)",
        ),
    ]


def test_a_table_with_tabs(read: Callable[..., list[Told]], tmp_path: Path) -> None:
    content = f'id\ttext\n1\t"So, it is," she said\n2\t{TEXTS[1]}\n\n3\t"a ""quote"""\n'
    assert read("a.tsv", content) == [
        (2, '"So, it is," she said'),
        (3, TEXTS[1]),
        (5, 'a "quote"'),
    ]
    assert [one.id for one in documents(tmp_path / "a.tsv")] == ["1", "2", "3"]


def test_json_lines(read: Callable[..., list[Told]], tmp_path: Path) -> None:
    records = [{"text": TEXTS[1], "id": 3}, {"text": ["I", "do", "n't"], "id": None}, {"text": ""}]
    content = "\n".join(json.dumps(record) for record in records)
    assert read("a.jsonl", content) == [(1, TEXTS[1]), (2, "I|do|n't")]
    first, second = documents(tmp_path / "a.jsonl")
    assert (first.id, second.id, second.text) == ("3", None, ("I", "do", "n't"))


def test_what_is_wrong_with_json_lines(read: Callable[..., list[Told]]) -> None:
    content = '{"text": 3}\n{"text": \n[1]\n{"other": "x"}\n{"text": "good"}\n'
    assert read("a.jsonl", content + "[" * 100_000) == [
        (1, "the column text holds a number, and a text, or a list of its words, is expected"),
        (2, "the line is not JSON: Expecting value at character 9"),
        (
            3,
            "the line holds a list, and a JSON object is expected "
            "(jq -c '.[]' FILE writes an object a line)",
        ),
        (
            4,
            "there is no column text: there are other (name the one with the texts with --column)",
        ),
        (5, "good"),
        (6, "the line is not JSON: it is nested too deep"),
    ]
    assert read("a.json", '[\n  {"text": "x"}\n]\n') == [
        (
            1,
            "the file is one JSON value over many lines, and an object a line is expected "
            "(jq -c '.[]' FILE writes a list so)",
        )
    ]


LACKING = "there is no column {}: there are {} (name the one with the texts with --column)"


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        # the only string of the first record, but its id, is the text of all others
        (
            [{"id": "a", "body": "x", "n": 1}, {"url": "no"}, {"body": "y", "title": "t"}],
            ["x", LACKING.format("body", "url"), "y"],
        ),
        ([{"words": ["I", "am"]}, {"words": "It is"}], ["I|am", "It is"]),
        ([{"sentence": "x", "body": "no"}, {"text": "no"}, {"sentence": "y"}],
         ["x", LACKING.format("sentence", "text"), "y"]),
        # two strings: it is not clear; later only the usual names say which
        (
            [{"title": "no", "url": "no"}, {"url": "no"}, {"text": "x"}, {"url": "no"}],
            [LACKING.format("text", "title, url"), LACKING.format("text", "url"), "x",
             LACKING.format("text", "url")],
        ),
        ([{}, {"n": 1, "m": 2}], [LACKING.format("text", "none"), LACKING.format("text", "n, m")]),
        ([{"text": None}, {"text": ""}, {"text": [" "]}, {"text": "x"}], ["x"]),
        (
            [{"text": 0}, {"text": False}, {"text": 1.5}, {"text": {}}, {"text": ["x", None]}],
            [f"the column text holds {kind}, and a text, or a list of its words, is expected"
             for kind in ("a number", "true or false", "a number", "an object",
                          "a list, not of strings alone")],
        ),
    ],
)  # fmt: skip
def test_one_field_has_all_texts_of_json_lines(
    records: list[Any], expected: list[str], read: Callable[..., list[Told]]
) -> None:
    found = read("a.jsonl", "\n".join(map(json.dumps, records)))
    assert [text for _, text in found] == expected


def test_each_file_of_a_folder_has_its_own_field(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 0, "body": "one"}\n{"id": "", "body": "two"}\n')
    (tmp_path / "b.jsonl").write_text('{"text": "three", "body": "no"}\n')
    (tmp_path / "c.csv").write_text("id,title\n7,four\n")
    (tmp_path / "d.csv").write_text("text,,\nfive,,\n")  # as spreadsheets write it
    strings = pyarrow.table({"n": [1], "body": ["six"], "id": ["x"]})
    parquet.write_table(strings, tmp_path / "e.parquet")
    assert [(one.text, one.id) for one in documents(tmp_path)] == [
        ("one", "0"), ("two", None), ("three", None), ("four", "7"), ("five", None), ("six", "x"),
    ]  # fmt: skip


@pytest.mark.parametrize("given", [{"text": "body"}, {"id": "key"}])
def test_a_column_of_what_is_no_table(given: dict[str, str], tmp_path: Path) -> None:
    """It is told before anything is read; a folder may hold tables and other texts."""
    (tmp_path / "a.txt").write_text("one\n")
    option = "--column" if "text" in given else "--id-column"
    with pytest.raises(RequestError) as error:
        Files([str(tmp_path)], Columns(**given)).files()
    assert str(error.value) == (
        f"{option} names a column of a table, and {tmp_path / 'a.txt'} is none "
        "(leave it out, or give csv, tsv, jsonl or parquet)"
    )
    (tmp_path / "b.csv").write_text("body,key\ntwo,3\n")
    assert told(Files([str(tmp_path)], Columns(**given))) == [(1, "one"), (2, "two")]
    with pytest.raises(RequestError, match="is read as txt"):
        Files([str(tmp_path)], Columns(**given), "txt").files()
    (tmp_path / "b").write_text("three\n")
    assert told(Files([str(tmp_path / "b")], Columns(**given))) == [
        (
            None,
            f"nothing says that it is a table, and {option} names a column "
            "(end its name in its form, or in survey give --as)",
        )
    ]
    assert told(Files([str(tmp_path / "b.csv")], Columns(**given), "csv")) == [(2, "two")]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "a.parquet"
    words = [["I", "am"], None, ["You"]]
    columns = {"text": TEXTS, "id": [1, 2, 3], "words": words}
    parquet.write_table(pyarrow.table(columns), path, row_group_size=2)
    return path


def test_parquet(table: Path, tmp_path: Path) -> None:
    assert [(one.line, one.text, one.id) for one in documents(table)] == [
        (line, text, str(line)) for line, text in enumerate(TEXTS, start=1)
    ]
    assert [one.text for one in documents(table, text="words")] == [("I", "am"), ("You",)]
    renamed = tmp_path / "table"
    renamed.write_bytes(table.read_bytes())
    assert [one.text for one in documents(renamed)] == TEXTS


def test_broken_parquet(table: Path, read: Callable[..., list[Told]]) -> None:
    content = table.read_bytes()
    [(line, said)] = read("b.parquet", content[:-9])
    assert line is None
    assert said.startswith("it cannot be read: Parquet magic bytes not found in footer.")
    [(line, said)] = read("c.parquet", "text\n")
    assert said.startswith("it cannot be read: Parquet")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_a_column_that_is_not_there(name: str, read: Callable[..., list[Told]]) -> None:
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table({"body": ["x"], "title": ["1"]}), stream)
    content = {
        "a.csv": "body,title\nx,1\ny,2\n",
        "a.tsv": "body\ttitle\nx\t1\ny\t2\n",
        "a.jsonl": '{"body": "x", "title": "1"}\n',
        "a.parquet": stream.getvalue(),
    }[name]
    there = "there are body, title (name the one with the"
    assert read(name, content) == [(1, f"there is no column text: {there} texts with --column)")]
    assert read(name, content, text="Body") == [
        (1, f"there is no column Body: {there} texts with --column)")
    ]
    assert read(name, content, text="body", id="id") == [
        (1, f"there is no column id: {there} ids with --id-column)")
    ]


PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": lambda content: zstandard.ZstdCompressor(write_checksum=True).compress(content),
}


@pytest.mark.parametrize("end", PACKED)
def test_what_is_compressed(end: str, read: Callable[..., list[Told]]) -> None:
    pack = PACKED[end]
    content = "".join(f"{text}\n" for text in TEXTS).encode()
    whole = read("a.txt", content)
    assert read(f"a.txt{end}", pack(content)) == whole
    assert read("mislabelled.txt", pack(content)) == whole
    assert read(f"two.txt{end}", pack(content[:9]) + pack(content[9:])) == whole
    table = ("text\n" + content.decode().replace(",", ";")).encode("utf-16")
    assert len(read(f"a.csv{end}", pack(table))) == 3
    assert read(f"plain.txt{end}", content) == [
        (None, f"the file's name ends in {end}, and it is not compressed so")
    ]


@pytest.mark.parametrize("end", PACKED)
def test_what_is_compressed_and_broken(end: str, read: Callable[..., list[Told]]) -> None:
    lines = "".join(f"line number {number} of many\n" for number in range(20_000)).encode()
    *good, last = read(f"a.txt{end}", PACKED[end](lines)[:-1])
    assert len(good) > 10_000
    line = (last[0] or 0) - 1
    assert [one[0] for one in good] == list(range(1, line + 1))
    assert last[1] == "it cannot be read any further: it ends in the middle"
    packed = bytearray(PACKED[end](os.urandom(1 << 16) + lines))
    packed[1 << 15] ^= 0xFF
    last = read(f"b.txt{end}", bytes(packed))[-1]
    assert last[1].startswith("it cannot be read any further: ")
    assert len(read(f"c.txt{end}", PACKED[end](lines) + bytes(5000))) == 20_000


def test_lines_that_cannot_be_read(read: Callable[..., list[Told]]) -> None:
    convert = "(convert the file, as in iconv -f LATIN1 -t UTF-8 FILE (Korean: -f CP949))"
    long = "word " * (10 << 20 >> 2)
    content = b"one\ncaf\xe9\ntwo\n" + long.encode() + b"\n" + b"x" * (17 << 20) + b"\nthree\n"
    assert read("a.txt", content) == [
        (1, "one"),
        (2, f"the line is not UTF-8 at byte 3 {convert}"),
        (3, "two"),
        (
            4,
            f"the text has {len(long)} characters, and {LONGEST_TEXT} are the most that are read "
            "at once (give it in parts)",
        ),
        (5, "the line is longer than 16 MiB, and is not read further (give a sentence a line)"),
        (6, "three"),
    ]
    row = b'id,text\n1,"two\nl\xe9nes"\n2,good\n'
    assert read("a.csv", row) == [(2, f"the line is not UTF-8 at byte 1 {convert}"), (4, "good")]


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv", "a.jsonl", "a.txt.gz", "unknown"])
def test_empty_files(name: str, read: Callable[..., list[Told]]) -> None:
    assert read(name, b"") == [(None, "there is no text in it")]
    if not name.endswith(".gz"):
        assert read(name, "\n\n") == [(None, "there is no text in it")]


@pytest.mark.parametrize("begins", ["", "\ufeff", " \n"])
def test_json_lines_are_known_without_a_name(begins: str, read: Callable[..., list[Told]]) -> None:
    """As on standard input; of a name that says txt they are lines."""
    content = begins + '{"text": "one"}\n'
    assert [text for _, text in read("a", content)] == ["one"]
    assert [text for _, text in read("a.txt", content)] == ['{"text": "one"}']


def test_a_file_that_is_no_text(read: Callable[..., list[Told]]) -> None:
    assert read("a.doc", b"\xd0\xcf\x11\xe0\0\0\0\0\xff\xff\n") == [
        (None, "it is not text (end its name in its form, or in survey give --as)")
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.txt", "a.csv", "sub/c.txt.gz", ".hidden.txt", ".git/d.txt", "README.md"):
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = f"text\n{name}\n".encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return tmp_path / "corpus"


def names(folder: Path, *given: str, **options: Any) -> list[str]:
    found = Files([str(folder / name) for name in given], **options).files()
    return [Path(name).relative_to(folder).as_posix() for name in found]


def test_folders_and_patterns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(folder, "") == ["a.csv", "b.txt", "sub/c.txt.gz"]
    assert names(folder, "", form="txt") == ["README.md", "a.csv", "b.txt", "sub/c.txt.gz"]
    assert names(folder, "b.txt", "", "*.txt") == ["b.txt", "a.csv", "sub/c.txt.gz"]
    assert names(folder, "**/*.txt*") == ["b.txt", "sub/c.txt.gz"]
    monkeypatch.chdir(folder)
    assert Files(["b.txt", "./b.txt", str(folder / "b.txt")]).files() == ["b.txt"]
    (folder / "odd[1].txt").write_text("odd")
    assert Files(["odd[1].txt"]).files() == ["odd[1].txt"]


@pytest.mark.parametrize(
    ("kind", "ends"),
    [("conllu", ["conllu"]), ("coref", ["conllu", "tsv"]), ("links", ["csv", "tsv"])],
)
def test_of_a_folder_probes_read_their_own_files(
    kind: Kind, ends: list[str], tmp_path: Path
) -> None:
    """A treebank of Universal Dependencies comes with a licence, its texts and notes."""
    for name in ("a.conllu", "a.csv", "a.tsv", "a.txt", "LICENSE.txt", "README.md"):
        (tmp_path / name).write_text("text\n")
    reader = asked(kind, [str(tmp_path)], "weights")[1]
    assert reader.files() == [str(tmp_path / f"a.{end}") for end in ends]
    named = asked(kind, [str(tmp_path / "README.md")], "weights")[1]
    assert len(named.files()) == 1
    for end in ends:
        (tmp_path / f"a.{end}").unlink()
    with pytest.raises(RequestError, match=r"none of which ends in \.c"):
        asked(kind, [str(tmp_path)], "weights")[1].files()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.txt", "there is no file {}"),
        ("*.none", "no file fits {}"),
        ("empty", "the folder {} has no files"),
        (".git/..", ""),
    ],
)
def test_names_that_lead_nowhere(folder: Path, name: str, message: str) -> None:
    (folder / "empty").mkdir()
    path = str(folder / name)
    if not message:
        assert len(Files([path]).files()) == 3
        return
    with pytest.raises(RequestError) as error:
        Files([path]).files()
    assert error.value.message == message.format(path)


def test_a_folder_without_a_file_that_can_be_read(folder: Path) -> None:
    (folder / "a.csv").rename(folder / "sub" / "a.pdf")
    (folder / "sub" / "c.txt.gz").unlink()
    with pytest.raises(RequestError) as error:
        Files([str(folder / "sub")]).files()
    ends = ".conllu, .csv, .json, .jsonl, .ndjson, .parquet, .pq, .tab, .text, .tsv, .txt"
    assert error.value.message.endswith(f"sub has 1 file, none of which ends in {ends}")
    assert error.value.hint == "name the files, or in survey their form with --as"


def test_a_file_that_vanishes(folder: Path) -> None:
    reader = Files([str(folder)])
    first, gone, *_ = reader.files()
    Path(gone).unlink()
    assert told(reader) == [
        (2, Path(first).name),
        (None, "it cannot be read: there is no such file"),
        (1, "text"),
        (2, "sub/c.txt.gz"),
    ]


def test_a_file_that_fails_to_be_read() -> None:
    [(line, said)] = told(Files(["/proc/self/mem"]))
    assert (line, said) == (None, "it cannot be read: Input/output error")


def test_plain_sentences_of_conllu(read: Callable[..., list[Told]], tmp_path: Path) -> None:
    rows = ["1\tIt\tit\tPRON\t_\t_\t2\tnsubj\t_\t_", "2\truns\trun\tVERB\t_\t_\t0\troot\t_\t_"]
    good, broken = "# sent_id = s1\n" + "\n".join(rows) + "\n\n", "1\tIt\n\n"
    assert read("a.conllu", good + broken + good) == [
        (1, "It|runs"),
        (5, "a word has 10 columns with tabs between, and here are 2"),
        (7, "It|runs"),
    ]
    assert read("b.conllu.gz", gzip.compress(good.encode())) == [(1, "It|runs")]
    assert [one.id for one in documents(tmp_path / "b.conllu.gz")] == ["s1"]


@pytest.fixture
def far() -> Iterator[str]:
    system = fsspec.filesystem("memory")
    with system.open("/box/a.txt", "wb") as stream:
        stream.write(b"one\n")
    with system.open("/box/deep/b.jsonl.zst", "wb") as stream:
        stream.write(PACKED[".zst"](b'{"text": "two"}\n'))
    yield "memory://box"
    system.rm("/box", recursive=True)


def test_what_fsspec_opens(far: str, folder: Path, table: Path) -> None:
    assert told(Files([f"{far}/a.txt"])) == [(1, "one")]
    assert told(Files([far])) == [(1, "one"), (1, "two")]
    assert told(Files([f"{far}/**/*.zst"])) == [(1, "two")]
    assert told(Files([f"file://{folder}/b.txt"])) == [(1, "text"), (2, "b.txt")]
    assert len(told(Files([f"file://{folder}"]))) == 5
    assert [text for _, text in told(Files([f"file://{table}"]))] == TEXTS
    assert len(told(Files([f"simplecache::file://{folder}/*.txt"]))) == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("memory://box/none.txt", "there is no file memory://box/none.txt"),
        ("memory://box/*.none", "no file fits memory://box/*.none"),
        ("nosuch://x/a.txt", "nosuch://x/a.txt cannot be opened: Protocol not known: nosuch"),
    ],
)
def test_addresses_that_lead_nowhere(far: str, name: str, said: str) -> None:
    with pytest.raises(AttnvizError) as error:
        Files([name]).files()
    assert error.value.message == said


def test_a_reader_is_pickled_and_says_what_it_reads(folder: Path) -> None:
    reader = Files([str(folder)], Columns("text"), "csv")
    copy = pickle.loads(pickle.dumps(reader))
    assert copy.what == reader.what == json.loads(json.dumps(reader.what))
    assert told(copy) == told(reader)
    stamps = dict(reader.what["files"])
    assert reader.read == sum(stamp["size"] for stamp in stamps.values())
    (folder / "README.md").write_text("longer than it was before")
    now = dict(Files([str(folder)], Columns("text"), "csv").what["files"])
    changed = [file for file, stamp in stamps.items() if now[file] != stamp]
    assert changed == [str(folder / "README.md")]


def test_standard_input() -> None:
    code = (
        "from attnviz.corpus.reading import Files\n"
        "for item in Files(['-']).documents('-'): print(item.place, item.text, flush=True)"
    )
    for content in (b"one\n\ntwo\n", gzip.compress(b"one\n\ntwo\n")):
        done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True)
        assert done.stdout.decode().splitlines() == ["-:1 one", "-:3 two"], done.stderr


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    line = ("1," + "word " * 200).encode()
    with gzip.open(path, "wb") as stream:
        stream.write(b"id,text\n" + (line + b"\n") * 20_000)
    reader = Files([str(path)])
    tracemalloc.start()
    try:
        count = sum(1 for _ in reader.documents(str(path)))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert most < 4 << 20  # of the 20 MB in it


def test_long_documents_make_windows_that_touch(minilm: Model) -> None:
    text = " ".join(f"word{number}" for number in range(600))
    windows = whole_or_windows(minilm, Document("-", 0, 1, text))
    parts = [tokens.part for tokens in windows]
    assert [part.index for part in parts if part] == list(range(len(windows)))
    assert all(a and b and a.end == b.start for a, b in pairwise(parts))
    assert " ".join(tokens.text for tokens in windows) == text
    overlapping = whole_or_windows(minilm, Document("-", 0, 1, text), 100)
    assert len(overlapping) > len(windows) > 1
    words = tuple(text.split())
    assert len(whole_or_windows(minilm, Document("-", 0, 1, words))) == len(windows)
    [short] = whole_or_windows(minilm, Document("-", 0, 1, TEXTS[0]))
    assert (short.part, short.text) == (None, TEXTS[0])
