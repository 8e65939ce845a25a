"""Short texts in models that attnviz runs itself: nothing imports torch, and numbers are torch's.

Each command runs in a fresh process that ends where torch or transformers is imported, and once
more in this one, in torch.
"""

import csv
import io
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ANIMAL
from process import PNG, Done, Workplace, workplace
from reader import difference
from tiny_bert import save_tiny_bert
from tiny_families import TINY, save_tiny
from transformers import (
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)

from attnviz.inspection import Inspection
from attnviz.threads import loaded_torch

pytestmark = pytest.mark.slow  # many processes

WALLED = ("torch", "transformers")
WIDE = ANIMAL.replace("tired", "wide")
MASKED = "the cat [MASK] on the mat."
PAPER = ("-m", "paper", "--num-layers", "2", "--num-heads", "3", "--d-model", "21", "--d-ff", "31")
HEADS = {
    "masked": BertForMaskedLM,
    "labels": BertForSequenceClassification,
    "word-labels": BertForTokenClassification,
    "answers": BertForQuestionAnswering,
}
TABLE = f"sentence\tquery\tkey\n{ANIMAL}\tit\tanimal\n{WIDE}\tit\tstreet\n"

NUMBERS: dict[str, tuple[str, ...]] = {
    "run, several texts": ("run", ANIMAL, "I am a student", "-f", "jsonl"),
    "run, a pair, pieces": (
        *("run", ANIMAL, "--pair", WIDE, "--pieces", "--no-special", "--query", "it#2"),
        *("--measure", "norm"),
    ),
    "run, rollout": ("run", ANIMAL, "--measure", "rollout", "--save", "kept", "--as", "animal"),
    "run, flow": ("run", "--from", "tired", "--measure", "flow", "--layer", "1"),
    "run, csv": ("run", ANIMAL, "--query", "it", "-f", "csv"),
    "find": ("find", ANIMAL, "--query", "it", "--key", "animal", "--both"),
    "find, a table": ("find", "--tsv", "table.tsv", "--summary"),
    "compare": ("compare", ANIMAL, WIDE),
    "compare, untrained": ("compare", ANIMAL, "--untrained", "--query", "it"),
    "compare, models": ("compare", "the cat sat", "--models", "./bert", "./masked"),
    "explain, the strongest head": ("explain", ANIMAL, "--query", "it"),
    "explain, a layer": ("explain", "--query", "it", "--layer", "3"),
    "explain, a whole head": ("explain", ANIMAL, "--head", "3.1"),
    "explain, a whole layer": ("explain", "I am", "--query", "am", "--layer", "-1", "--pieces"),
    "why": ("why", ANIMAL, "--query", "it", "--key", "animal", "--head", "3.1", "--top", "3"),
    "ablate": ("ablate", ANIMAL, "--head", "3.1", "--with", "mean"),
    "ablate, each": ("ablate", "--each", "--query", "it"),
    "ablate, a mask": ("ablate", MASKED, "-m", "./masked", "--layer", "0"),
    "predict, a mask": ("predict", MASKED, "-m", "./masked", "--top", "3"),
    "predict, two texts": ("predict", ANIMAL, WIDE),
    "predict, labels": ("predict", "the cat sat", "-m", "./labels"),
    "predict, labels of words": ("predict", "the cat sat", "-m", "./word-labels"),
    "predict, an answer": ("predict", "a dog", "--pair", "the cat sat", "-m", "./answers"),
    "similar": ("similar", ANIMAL, WIDE),
    "similar, each": ("similar", "a dog", "a cat", "--each"),
    "models": ("models", "minilm"),
    "paper": ("run", "I am a student", *PAPER),
    **{
        family: ("explain", "the cat sat", "--query", "cat", "--layer", "1", "-m", f"./{family}")
        for family in TINY
    },
}
"""Commands whose JSON, or CSV, has numbers of the model's."""

TABLES: dict[str, tuple[str, ...]] = {
    "run": ("run", ANIMAL),
    "compare": ("compare", ANIMAL, WIDE, "--query", "it"),
}

PICTURES: dict[str, tuple[str, ...]] = {
    "heatmap": ("heatmap", ANIMAL, "--head", "3.1"),
    "lines": ("lines", ANIMAL, "--layer", "3"),
    "ablate": ("ablate", ANIMAL, "--each"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    """A workplace with a tiny model of each family, and one with each head."""
    place = workplace(tmp_path_factory.mktemp("torchless"), animal)
    for name in (*TINY, *HEADS):
        (place.folder / name).mkdir()
    for family in TINY:
        save_tiny(place.folder / family, family)
    for name, kind in HEADS.items():
        save_tiny_bert(place.folder / name, kind=kind)
    (place.folder / "table.tsv").write_text(TABLE)
    return place


@pytest.fixture
def in_torch(
    here: Callable[..., Done], place: Workplace, animal: Inspection, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Done]:
    """The command in this very process, in torch."""
    monkeypatch.setenv("ATTNVIZ_ENGINE", "torch")
    place.remember(animal)
    (place.last.parent / "kept-tired.safetensors").write_bytes(place.last.read_bytes())
    return here


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_are_torch_s(case: str, place: Workplace, in_torch: Callable[..., Done]) -> None:
    arguments = [*NUMBERS[case], *([] if "-f" in NUMBERS[case] else ["--json"])]
    found = place(*arguments, env=place.without(*WALLED))
    assert found.code == 0, found.err
    ours, theirs = map(_by_field, (found, in_torch(*arguments)))
    assert ours.keys() == theirs.keys()
    for name, numbers in theirs.items():
        largest = max(1, np.abs(numbers).max())
        np.testing.assert_allclose(ours[name], numbers, rtol=0, atol=1e-5 * largest, err_msg=name)


@pytest.mark.parametrize("case", TABLES)
def test_tables_are_those_of_torch(
    case: str, place: Workplace, in_torch: Callable[..., Done]
) -> None:
    found = place(*TABLES[case], env=place.without(*WALLED))
    assert found.code == 0, found.err
    assert difference(found.out, in_torch(*TABLES[case]).out) == ""


@pytest.mark.parametrize("case", PICTURES)
def test_pictures_need_no_torch(case: str, place: Workplace) -> None:
    drawn = place(*PICTURES[case], "-o", "-", "-f", "png", env=place.without(*WALLED))
    assert drawn.code == 0, drawn.err
    assert drawn.output.startswith(PNG)


IN_PYTHON = f"""
import sys
import attnviz

one = attnviz.inspect({ANIMAL!r})
other = attnviz.inspect({WIDE!r})
found = [
    attnviz.find(one, "it", "animal"), attnviz.word(one, "it"), attnviz.compare(one, other),
    attnviz.overview(one), attnviz.ablate(one, "L3H1"), attnviz.explain_head(one, "L3H1"),
    attnviz.similar({ANIMAL!r}, {WIDE!r}), attnviz.predict({MASKED!r}, model="./masked"),
    *attnviz.explain(one, "it", head="L3H1"), *attnviz.layer(one, "it", 3),
]
for answer in found:
    attnviz.to_json(answer)
assert "numpy" in sys.modules
"""


def test_python_needs_no_torch(place: Workplace) -> None:
    env = place.environment(place.without(*WALLED))
    subprocess.run([sys.executable, "-c", IN_PYTHON], env=env, cwd=place.folder, check=True)


def test_torch_that_another_thread_is_loading_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    (tmp_path / "torch.py").write_text("import sys\nsys.begun.set()\nsys.go_on.wait(60)\n")
    monkeypatch.setattr(sys, "begun", begun, raising=False)
    monkeypatch.setattr(sys, "go_on", go_on, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch")
    thread = threading.Thread(target=import_module, args=("torch",))
    thread.start()
    assert begun.wait(60)
    assert (loaded_torch(), "torch" in sys.modules) == (None, True)
    go_on.set()
    thread.join()
    assert loaded_torch() is sys.modules["torch"]


def _by_field(done: Done) -> dict[str, np.ndarray]:
    """All numbers of JSON or CSV, by the names of their fields."""
    found: dict[str, list[float]] = {}
    for name, number in _numbers(
        done.json_lines if done.out.startswith("{") else list(csv.DictReader(io.StringIO(done.out)))
    ):
        found.setdefault(name, []).append(number)
    return {name: np.array(numbers) for name, numbers in found.items()}


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """All numbers in a value, each with its field; heads in the model's order."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _numbers(one, f"{name}.{key}")
    elif isinstance(value, list):
        if value and isinstance(value[0], dict) and {"layer", "head"} <= value[0].keys():
            # parts of a vector may have no layer, or no head
            value = sorted(value, key=lambda one: (one["layer"] or 0, one["head"] or 0))
            value = [{key: one[key] for key in one if key != "rank"} for one in value]
        for one in value:
            yield from _numbers(one, name)
    elif not isinstance(value, bool):
        with suppress(TypeError, ValueError):  # for what is no number
            yield name, float(value)
