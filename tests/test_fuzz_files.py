"""The fuzzers of files and text, as many runs as a test has time for; more of them by hand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz_bases import inspections
from fuzz_files import Arena, run
from local_hub import asked_hub
from process import PACKAGES, Workplace
from tiny_bert import save_tiny_bert

from attnviz.inspection.storage import save
from attnviz.model import load_model

RUNS = {"saved": 120, "models": 24, "sentences": 30}
TOKENIZERS = 250
"""A library that aborts would end the tests, so these run in a process of their own."""


@pytest.mark.parametrize("kind", RUNS)
def test_promises_hold(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    arena = Arena(tmp_path / kind)
    broken = [f"{number}: {error!r}" for number, error in run(kind, range(RUNS[kind]), arena)]
    assert not broken
    assert sum(arena.codes.values()) >= RUNS[kind]
    assert arena.codes["exit 0"] > 5


def test_promises_hold_for_tokenizers() -> None:
    script = Path(__file__).with_name("fuzz_files.py")
    done = subprocess.run(
        [sys.executable, script, "--kind", "tokenizers", "--runs", str(TOKENIZERS)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"tokenizers: {TOKENIZERS} runs" in done.stdout
    assert "panicked" not in done.stderr


def test_a_process_looks_at_files_as_the_fuzzers_do(tmp_path: Path, minilm: object) -> None:
    place = Workplace(tmp_path)
    for number, inspection in enumerate(inspections()):
        if number % 4:
            continue
        path = place.folder / "i.safetensors"
        save(inspection, path)
        assert place("run", "--load", "i.safetensors").code == 0
        content = bytearray(path.read_bytes())
        content[-3] ^= 0x7F  # the exponent of a number
        path.write_bytes(content)
        done = place("run", "--load", "i.safetensors")
        assert done.code in (0, 1)
        assert "Warning" not in done.err


def test_explaining_a_saved_inspection_tells_that_it_asks_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from attnviz.cli.app import app, exit_code_of

    folder = tmp_path / "model"
    save_tiny_bert(folder)
    with asked_hub(tmp_path, monkeypatch) as hub:
        hub.serve("org/name", folder)
        save(load_model("org/name").inspect("a dog"), tmp_path / "i")
        words = ["explain", "--load", str(tmp_path / "i"), "--query", "dog", "--head", "L0H0"]
        assert exit_code_of(lambda: app(words, prog_name="attnviz")) == 0
    told = capfd.readouterr().err
    assert "taking the matrices from org/name, of the Hugging Face Hub" in told


def test_the_page_says_how_often_it_is_tried() -> None:
    page = (PACKAGES / "docs" / "reliability.md").read_text(encoding="utf-8")
    for kind, runs in {**RUNS, "tokenizers": TOKENIZERS}.items():
        assert re.search(rf"^\| {kind} \|.*\| {runs} \|", page, re.MULTILINE), kind
