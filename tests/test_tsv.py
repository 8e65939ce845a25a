"""Sentences from a table, each with its own words."""

from pathlib import Path

import pytest

from attnviz.cli.reading import Row, TableReader
from attnviz.errors import AttnvizError, RequestError


def read(tmp_path: Path, content: bytes) -> tuple[dict[int, Row | str], TableReader]:
    """Each line's number as messages tell it, and its row, or what is wrong with it."""
    path = tmp_path / "table.tsv"
    path.write_bytes(content)
    reader = TableReader(path)
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
        TableReader(tmp_path / "nothing.tsv")
    with pytest.raises(RequestError, match="is a folder"):
        TableReader(tmp_path)


def test_a_file_that_cannot_be_read() -> None:
    with pytest.raises(AttnvizError, match="/proc/self/mem cannot be read"):
        list(TableReader(Path("/proc/self/mem")))


def read_csv(tmp_path: Path, content: str) -> dict[int, Row | str]:
    """As `read`, with commas between the cells."""
    path = tmp_path / "table.csv"
    path.write_bytes(content.encode())
    reader = TableReader(path, commas=True)
    return {
        line[0] + 1 + reader.skipped: line[1].message
        if isinstance(line[1], RequestError)
        else reader.row(line[0])
        for line in reader
        if line is not None
    }


RAINS = Row("It rains, and pours.", "rains", "It")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("header", ["", "Sentence,query,KEY\n", "\ufeffsentence,query,key\n"])
def test_commas_between_cells(tmp_path: Path, header: str, line_end: str) -> None:
    content = header + '"It rains, and pours.",rains,It\n"""Go,"" she said.",she,Go\n'
    found = read_csv(tmp_path, content.replace("\n", line_end))
    assert list(found.values()) == [RAINS, Row('"Go," she said.', "she", "Go")]
    assert list(found) == ([2, 3] if header else [1, 2])


def test_semicolons_as_some_spreadsheets_write_them(tmp_path: Path) -> None:
    content = "id;sentence;query;key\n7;It rains, and pours.;rains;It\n"
    assert read_csv(tmp_path, content) == {2: RAINS._replace(id="7")}


def test_a_quoted_cell_goes_on_in_the_next_line(tmp_path: Path) -> None:
    content = '"It rains,\nand pours.",rains,It\nIt rains.,rains,It\n'
    assert read_csv(tmp_path, content) == {
        1: Row("It rains,\nand pours.", "rains", "It"),
        3: Row("It rains.", "rains", "It"),
    }


def test_ids_are_kept(tmp_path: Path) -> None:
    content = "key,ID,query,sentence\nIt,a-1,rains,It rains.\nIt,,rains,It rains.\n"
    row = Row("It rains.", "rains", "It")
    assert read_csv(tmp_path, content) == {2: row._replace(id="a-1"), 3: row._replace(id="")}
    found, _ = read(tmp_path, b"sentence\tquery\tkey\tid\nIt rains.\trains\tIt\nI\tI\tI\tx y \n")
    assert found == {2: row._replace(id=""), 3: Row("I", "I", "I", "x y")}


def test_what_is_wrong_with_commas(tmp_path: Path) -> None:
    content = (
        "sentence,query,key\nIt rains, and pours.,rains,It\n"
        '"Go," she said.,she,Go\nalone\nIt rains.,rains,It\n"It does not\nend,does,It\n'
    )
    assert read_csv(tmp_path, content) == {
        2: "the row has 4 columns, and the header 3",
        3: "the row has a quoted cell that does not end as it should",
        4: "the row has 1 column, and sentence, query, key are expected",
        5: Row("It rains.", "rains", "It"),
        6: "the row has a quoted cell that does not end as it should",
    }


def test_commas_read_as_tabs_are_told(tmp_path: Path) -> None:
    (tmp_path / "table.tsv").write_text("It rains.,rains,It\n")
    [line] = filter(None, TableReader(tmp_path / "table.tsv"))
    assert isinstance(line[1], RequestError)
    assert line[1].hint == "put a tab between two columns, or read commas with --csv"
