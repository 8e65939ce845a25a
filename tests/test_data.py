"""attnviz knows the files that it wrote, by their first bytes."""

import io
from typing import Any

import numpy as np
import pytest
from shown import run_csv, run_json
from written import OURS_BYTES, is_ours

from attnviz.answers.matrices import matrices
from attnviz.inspection import HeadId, Inspection
from attnviz.show.matrix_data import CSV_HEADER, NpzWriter

SOME_HEADS = [HeadId(0, 0), HeadId(3, 1), HeadId(5, 11)]


@pytest.fixture
def written(animal: Inspection) -> dict[str, bytes]:
    view, npz = animal.view(), io.BytesIO()
    with NpzWriter(npz) as writer:
        writer.add(matrices(view, SOME_HEADS))
    return {
        "json": b"".join(run_json(view, view.all_heads())),
        "jsonl": b"".join(run_json(view, SOME_HEADS)),
        "csv": CSV_HEADER + b"\n" + b"".join(run_csv(view, SOME_HEADS, 0)),
        "npz": npz.getvalue(),
    }


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "npz"])
def test_our_files_are_known_by_their_first_bytes(written: dict[str, bytes], form: Any) -> None:
    assert is_ours(written[form][:OURS_BYTES], form)
    for other in {"json", "csv", "npz"} - {form, form[:4]}:
        assert is_ours(written[other][:OURS_BYTES], form) == ({form, other} == {"json", "jsonl"})


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "npz"])
def test_other_files_are_not_ours(form: Any) -> None:
    foreign = io.BytesIO()
    np.savez(foreign, weights=np.zeros(3))
    for head in (
        b"",
        b"{}",
        b'{"schema":"other/1"}',
        b"text_index,layer\n",
        foreign.getvalue()[:OURS_BYTES],
    ):
        assert not is_ours(head, form)
