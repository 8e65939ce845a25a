"""Sentences from a table, each with its own words."""

from pathlib import Path

import pytest

from attnviz.cli.reading import Row, TsvReader
from attnviz.errors import AttnvizError, RequestError


def read(tmp_path: Path, content: bytes) -> tuple[dict[int, Row | str], TsvReader]:
    """Each line's number as messages tell it, and its row, or what is wrong with it."""
    path = tmp_path / "table.tsv"
    path.write_bytes(content)
    reader = TsvReader(path)
    found: dict[int, Row | str] = {}
    for line in reader:
        if line is None:
            continue
        index, text = line
        number = index + 1 + reader.skipped
        found[number] = text.message if isinstance(text, RequestError) else reader.row(index)
        if isinstance(text, str):
            assert found[number][0] == text
    return found, reader


def test_without_a_header_the_first_three_columns_count(tmp_path: Path) -> None:
    found, _ = read(tmp_path, b"It rains.\trains\tIt\tmore\r\n\nIt was it.\tit#2\tIt\n")
    assert found == {1: Row("It rains.", "rains", "It"), 3: Row("It was it.", "it#2", "It")}


def test_a_header_names_columns_in_any_order(tmp_path: Path) -> None:
    content = "\ufeffkey\tnote\tSentence\tquery \nIt\tx\tIt rains.\trains\n".encode()
    found, reader = read(tmp_path, content)
    assert found == {2: Row("It rains.", "rains", "It")}
    assert (reader.blank, reader.skipped, reader.where) == (0, 1, f"in {tmp_path / 'table.tsv'}")


def test_a_first_row_about_a_key_is_no_header(tmp_path: Path) -> None:
    found, _ = read(tmp_path, b"The key fits.\tfits\tkey\n")
    assert found == {1: Row("The key fits.", "fits", "key")}


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ('"""Go,"" she said."', '"Go," she said.'),  # as spreadsheets write it
        ('"a\tb"', "a\tb"),
        ('"Go," she said.', '"Go," she said.'),  # as it was typed
        ('"Go, she said.', '"Go, she said.'),
        ('She said "go".', 'She said "go".'),
        ("'Go,' she said.", "'Go,' she said."),
        ("  It rains. ", "It rains."),
    ],
)
def test_quotes(tmp_path: Path, cell: str, sentence: str) -> None:
    found, _ = read(tmp_path, f"{cell}\tshe\tgo\nIt rains.\trains\tIt\n".encode())
    assert found == {1: Row(sentence, "she", "go"), 2: Row("It rains.", "rains", "It")}


def test_what_is_wrong_with_a_row_is_told_with_its_line(tmp_path: Path) -> None:
    content = (
        b"sentence\tquery\tkey\n\nalone\ntwo\tcells\n\tit\tcat\nIt.\t \tIt\nIt.\tIt\t\n"
        b"\xff\tit\tcat\nIt rains.\trains\tIt\n"
    )
    found, reader = read(tmp_path, content)
    assert found == {
        3: "the row has 1 column, and sentence, query, key are expected",
        4: "the row has 2 columns, and sentence, query, key are expected",
        5: "the sentence is empty",
        6: "the query is empty",
        7: "the key is empty",
        8: "the line is not UTF-8 at byte 0",
        9: Row("It rains.", "rains", "It"),
    }
    assert reader.blank == 1


def test_a_row_may_be_too_short_for_its_headers_columns(tmp_path: Path) -> None:
    found, _ = read(tmp_path, b"sentence\tquery\tnote\tkey\nIt rains.\trains\tIt\n")
    assert found == {2: "the row has 3 columns, and sentence, query, key are expected"}


@pytest.mark.parametrize("header", [b"sentence\tquery\ttext\n", b"Sentence\n"])
def test_a_header_that_lacks_a_column_is_refused(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(RequestError, match="key is not among them"):
        read(tmp_path, header + b"a\tb\tc\n")


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no file"):
        TsvReader(tmp_path / "nothing.tsv")
    with pytest.raises(RequestError, match="is a folder"):
        TsvReader(tmp_path)


def test_a_file_that_cannot_be_read() -> None:
    with pytest.raises(AttnvizError, match="/proc/self/mem cannot be read"):
        list(TsvReader(Path("/proc/self/mem")))
