"""One table of forms, one writer: every answer in every form that it has, and refusals."""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from ablated import summed
from atlases import random_survey
from handmade import random_inspection, tokens_of
from probes import found as probe_of
from probes import some
from rich.console import Console
from tiny_bert import save_tiny_bert
from transformers import BertForSequenceClassification

import attnviz
from attnviz.answers.answer import Answer
from attnviz.answers.memory import memory
from attnviz.answers.overview import overview
from attnviz.answers.word import word
from attnviz.errors import RequestError
from attnviz.inspection import Context, HeadId, Inspection
from attnviz.inspection.memory import remember
from attnviz.model import Model
from attnviz.models.describe import Catalog
from attnviz.show import parquet
from attnviz.show.forms import BINARY, FORMS, PICTURES, SUFFIXES, Form, Forms, check_form, forms_of
from attnviz.show.write import is_ours, writer

FORMS_OF_ALL: tuple[Form, ...] = get_args(Form)
KINDS = [kind for kind, forms in FORMS.items() if forms.alone is None]


@pytest.fixture(scope="module")
def answers(
    animal: Inspection, minilm: Model, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Answer]:
    """An answer of each kind."""
    labelled = tmp_path_factory.mktemp("labelled")
    save_tiny_bert(labelled, kind=BertForSequenceClassification)
    wide = attnviz.inspect(animal.tokens.text.replace("tired", "wide"))
    finding = attnviz.find(animal, "it", "animal")
    remember(animal, wide)
    found: list[Answer] = [
        attnviz.overview(animal),
        attnviz.word(animal, query="it"),
        attnviz.word(animal, query="it", key="animal"),
        attnviz.matrices(animal, head=[(3, 1), "L5H11"]),
        attnviz.links(animal, "it"),
        finding,
        attnviz.holding([finding]),
        attnviz.compare(animal, wide, query="it"),
        attnviz.explain(animal, "it", head=(3, 1))[0],
        attnviz.explain_head(animal, "L3H1"),
        attnviz.layer(animal, "it", 3)[0],
        attnviz.why(animal, "it", "animal", (1, 1))[0],
        attnviz.ablate(animal, (3, 1)),
        attnviz.ablate_each(animal, query="it"),
        attnviz.ablate_each(animal, outcome="similarity", of="A dog was tired."),
        summed(np.tile([-0.1, 0.1, 0.0, 0.0], (6, 1))),
        attnviz.patch(animal, wide, "L3H1", query="it", by="position"),
        attnviz.patch(animal, wide, query="it"),
        attnviz.patch_twins([(animal.tokens.text, wide.tokens.text)], "it"),
        attnviz.similar(animal.tokens.text, "A dog was tired."),
        attnviz.similar_each(animal.tokens.text, "A dog was tired."),
        attnviz.predict("the cat", model=str(labelled)),
        attnviz.check("paper", num_layers=1, num_heads=1, d_model=8, d_ff=4),
        memory(),
        random_survey(),
        probe_of(some(0)),
        attnviz.compare_models(
            [f"Word {number} stands here." for number in range(7)], minilm, minilm
        ),
        attnviz.page(animal),
        attnviz.catalog(),
        attnviz.describe("minilm"),
    ]
    return {type(answer).__name__: answer for answer in found}


def written(answer: Answer, form: Form, top: int | None = None, index: int = 0) -> bytes:
    stream = io.BytesIO()
    with writer(stream, form, top, to_file=True) as write:
        write(answer, index)
    return stream.getvalue()


def test_every_kind_of_answer_is_in_the_table(answers: dict[str, Answer]) -> None:
    assert set(answers) == set(FORMS)


def test_every_function_that_the_table_names_is_there() -> None:
    for forms in FORMS.values():
        for name in filter(None, (forms.table, forms.figure)):
            module, _, function = name.partition(":")
            assert callable(getattr(import_module(f"attnviz.show.{module}"), function)), name


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("form", FORMS_OF_ALL)
def test_an_answer_has_the_forms_that_the_table_says(
    answers: dict[str, Answer], tmp_path: Path, kind: str, form: Form
) -> None:
    if form not in FORMS[kind].offered:
        with pytest.raises(RequestError, match=f"-f {form} asks for .*, and this answer comes as"):
            check_form(kind, form)
        with pytest.raises(RequestError, match=r"^x\.y is the name of"):
            check_form(kind, form, Path("x.y"))
        return
    check_form(kind, form)
    content = written(answers["Page" if form == "html" else kind], form)
    path = tmp_path / f"answer.{form}"
    path.write_bytes(content)
    assert content
    assert is_ours(path, form) == (form != "table")
    path.write_bytes(b"layer,head,mine\n" + content[::-1])
    assert not is_ours(path, form)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_of_all_tables_of_data(answers: dict[str, Answer], kind: str) -> None:
    answer = answers[kind]
    rows = list(answer.rows())
    assert {len(row) for row in rows} == {len(answer.columns)}
    about_text = FORMS[kind].header is None
    columns = ["text_index", *answer.columns] if about_text else list(answer.columns)
    delimiters: dict[Form, str] = {"csv": ",", "tsv": "\t"}
    for form, between in delimiters.items():
        read = list(
            csv.reader(io.StringIO(written(answer, form, index=7).decode()), delimiter=between)
        )
        assert read[0] == columns
        assert len(read) == 1 + len(rows)
        assert about_text == (read[1][0] == "7" and read[0][0] == "text_index")
    table = pyarrow.parquet.read_table(io.BytesIO(written(answer, "parquet")))
    assert table.column_names == columns
    assert table.num_rows == len(rows)
    lines = [line for line in written(answer, "md").decode().splitlines() if line[:1] == "|"]
    assert len(lines) == 2 + len(rows)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {1 + len(answer.columns)}


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"Described"}))
def test_top_limits_every_form(answers: dict[str, Answer], kind: str) -> None:
    answer = answers[kind]
    fewer = len(list(answer.rows(1)))
    assert 0 < fewer <= len(list(answer.rows()))
    assert written(answer, "csv", 1).count(b"\n") == 1 + fewer
    if kind != "Pair":
        assert len(written(answer, "json", 1)) < len(written(answer, "json"))


def test_numbers_keep_their_float32_in_data_and_are_readable_in_markdown(
    animal: Inspection,
) -> None:
    answer = word(animal.view(), 8, "query", [HeadId(3, 1)])
    expected = np.sort(answer.weights[0])[::-1]
    rows = list(csv.DictReader(io.StringIO(written(answer, "csv").decode())))
    assert np.array_equal(np.array([row["weight"] for row in rows], np.float32), expected)
    table = pyarrow.parquet.read_table(io.BytesIO(written(answer, "parquet")))
    assert np.array_equal(table["weight"].to_numpy(), expected)
    assert "| 3 | 1 | 8 | it | 2 | animal | 0.677 |" in written(answer, "md").decode()


def test_a_form_is_known_by_its_suffix() -> None:
    assert SUFFIXES[".txt"] == "table"
    assert {SUFFIXES[f".{form}"] for form in FORMS_OF_ALL if form != "table"} == {*FORMS_OF_ALL} - {
        "table"
    }
    assert set(PICTURES) < set(BINARY)


def test_markdown_shows_what_was_typed() -> None:
    words = ["a|b", "`x`", "_it_", "*", "<b>", "\\|", "[CLS]", "a`b", ":smile:", "\x1b[1m", "it's"]
    inspection = random_inspection(tokens_of(words), 1, 1, seed=1)
    text = written(word(inspection.view(), 0, "query"), "md").decode()
    cells = {line.split(" | ")[-2] for line in text.splitlines() if line.startswith("| 0")}
    shown = {"`a\\|b`", "`` `x` ``", "`_it_`", "`*`", "`<b>`", "`\\\\|`", "`[CLS]`", "``a`b``"}
    assert shown <= cells
    assert {"`\\x1b[1m`", "it's"} <= cells
    assert "\x1b" not in text


def test_parquet_is_written_in_row_groups_to_a_pipe(
    animal: Inspection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROWS_AT_ONCE", 100)
    stream = io.BytesIO()
    stream.seek = stream.tell = None  # type: ignore[assignment,method-assign]
    with writer(stream, "parquet") as write:
        for index in range(2):
            write(overview(animal.view()), index)
    file = pyarrow.parquet.ParquetFile(io.BytesIO(stream.getvalue()))
    groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert sum(groups) == file.metadata.num_rows
    assert groups == [100, 100, 100, 100, 32]
    assert set(file.read()["text_index"].to_pylist()) == {0, 1}


def test_an_answer_without_a_table_of_its_own_is_shown_as_rows(
    animal: Inspection, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class Shares:
        context: Context | None = None
        columns: tuple[str, ...] = ("word", "share", "place")

        def rows(self, top: int | None = None) -> Sequence[tuple[object, ...]]:
            return [("[b]it\x1b", np.float32(2 / 3), 12), ("was", None, 3)][:top]

    def printed(answer: Shares, top: int | None = None) -> list[str]:
        stream = io.StringIO()
        Console(file=stream, width=60).print(attnviz.table(answer, top))
        return [line.rstrip() for line in stream.getvalue().splitlines()]

    monkeypatch.setitem(FORMS, "Shares", Forms())
    lines = ["word       share  place", r"[b]it\x1b  0.667     12", "was                   3"]
    assert printed(Shares()) == lines
    assert printed(Shares(), 1) == lines[:2]
    below = printed(Shares(animal.view().context))
    assert below[0].startswith("minilm")
    assert below[-4:] == ["", *lines]


def test_what_is_no_answer_is_refused() -> None:
    with pytest.raises(RequestError, match="a int is not an answer"):
        forms_of(3)
    with pytest.raises(RequestError, match="a Catalog has no picture"):
        attnviz.figure(attnviz.catalog())
    assert isinstance(attnviz.catalog(), Catalog)


def test_the_python_api_gives_rows_of_any_answer(answers: dict[str, Answer]) -> None:
    for kind, answer in answers.items():
        rows = attnviz.to_rows(answer)
        frame = attnviz.to_dataframe(answer)
        assert isinstance(frame, pd.DataFrame)
        assert list(frame.columns) == list(answer.columns) == list(rows[0])
        assert len(frame) == len(rows)
        if kind == "Page":
            with pytest.raises(RequestError, match="a page has no JSON"):
                attnviz.to_json(answer)
        else:
            assert json.loads(attnviz.to_json(answer))["schema"].startswith("attnviz."), kind
        assert attnviz.table(answer) is not None
        html = answer._repr_html_()  # type: ignore[attr-defined]
        assert html.startswith("<")
        assert "<script" not in html
