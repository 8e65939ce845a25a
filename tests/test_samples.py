"""The samples: what they hold, and that their scripts make what lies in the tree."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reader import alike, difference

import attnviz
from attnviz.inspection import Inspection
from attnviz.model import Model

SAMPLES = Path(__file__).parent.parent / "samples"
PICTURES = sorted(path.name for path in (SAMPLES / "pictures").iterdir())

PIPELINE = """\
The animal didn't cross the street because it was too tired.
    71% to tired, in L2H1
    68% to animal, in L3H1
    67% to animal, in L5H11
The animal didn't cross the street because it was too wide.
    87% to wide, in L2H1
    79% to wide, in L2H8
    56% to animal, in L5H11
"""

LEVELS, OTHERS = 8, 2e-4
"""How far two pixels may be apart, of 255, and the part of them that may be further apart.

Weights' last digits depend on the processor: shades move by little, and now and then a digit.
"""


def script(name: str, *arguments: str) -> str:
    """What a script in samples/ prints, run from elsewhere."""
    bin_folder = Path(sys.executable).parent
    done = subprocess.run(
        [SAMPLES / name, *arguments],
        cwd="/",
        env=os.environ | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=np.int16)


@pytest.mark.slow
def test_make_draws_the_pictures_in_the_tree(tmp_path: Path, animal: Inspection) -> None:
    printed = script("make.sh", str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == PICTURES
    assert difference("\n".join(printed.split("\n")[-PIPELINE.count("\n") - 1 :]), PIPELINE) == ""
    for name in PICTURES:
        fresh, kept = tmp_path / name, SAMPLES / "pictures" / name
        if fresh.suffix == ".svg":
            assert alike(fresh.read_text(encoding="utf-8"), kept.read_text(encoding="utf-8")), name
            continue
        assert pixels(fresh).shape == pixels(kept).shape, f"{name}: make samples"
        if name.startswith("page-"):  # a browser's, with the fonts of the system
            assert fresh.stat().st_size > kept.stat().st_size / 2, f"{name} is empty"
            continue
        apart = np.abs(pixels(fresh) - pixels(kept)).max(axis=-1) > LEVELS
        assert apart.mean() <= OTHERS, f"{name}: make samples"
    # on one machine, the same input gives the same bytes, from the command line and from Python
    again = tmp_path / "again.png"
    attnviz.write_figure(attnviz.lines(animal, query="it", layer=3, head=1), again)
    assert again.read_bytes() == (tmp_path / "tired.png").read_bytes()


@pytest.mark.slow
def test_the_pipeline_takes_a_file(tmp_path: Path) -> None:
    sentences = tmp_path / "my sentences.txt"
    sentences.write_text("Is it me?\n", encoding="utf-8")
    lines = script("pipeline.sh", str(sentences)).splitlines()
    assert lines[0] == "Is it me?"
    assert [line.partition(" in L")[0].split("to ")[1] for line in lines[1:]] == ["?,"] * 3


def test_the_terminals_picture_needs_nothing_from_elsewhere() -> None:
    svg = (SAMPLES / "pictures" / "terminal.svg").read_text(encoding="utf-8")
    addresses = svg.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "://" not in addresses
    assert re.search(r">▸animal(&#160;)+\.68", svg)


@pytest.mark.parametrize("number", range(5))
def test_the_sentences_can_be_inspected(minilm: Model, number: int) -> None:
    lines = (SAMPLES / "sentences.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 5
    inspection = minilm.inspect(lines[number])
    assert inspection.tokens.text == lines[number]
    assert np.allclose(inspection.weights(3, 1).sum(axis=-1), 1, atol=1e-5)


def test_the_paragraph_is_long_and_fits(minilm: Model) -> None:
    [paragraph] = (SAMPLES / "paragraph.txt").read_text(encoding="utf-8").splitlines()
    inspection = minilm.inspect(paragraph)
    assert 150 < len(inspection.tokens.words) <= len(inspection.tokens.pieces) <= 512
