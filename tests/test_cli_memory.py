"""`attnviz memory`, `--as` and `--from`, as people use them: names, terminals, limits."""

import fcntl
import json
import os
import stat
import subprocess
import sys
import termios
import time
import unicodedata
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import ANIMAL
from handmade import random_inspection, tokens_of
from process import Workplace, workplace
from test_cli_startup import MODEL
from test_storage import assert_same, made
from written import schema

from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection, memory
from attnviz.inspection.memory import forget, keep, recall, remember, remembered
from attnviz.inspection.storage import load

SCHEMA = schema("memory-1")
WIDE = ANIMAL.replace("tired", "wide")
NAMED = '"{}" cannot be a name'


@pytest.fixture
def place(tmp_path: Path, animal: Inspection) -> Workplace:
    return workplace(tmp_path, animal)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, not made yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "attnviz"


def listed(place: Workplace, *arguments: str, **options: Any) -> dict[str, tuple[str, str | None]]:
    """The kind and the text of all that is remembered, by name."""
    done = place("memory", "--json", *arguments, **options)
    assert done.code == 0, done.err
    jsonschema.validate(done.json, SCHEMA)
    return {one["name"]: (one["kind"], one["text"]) for one in done.json["inspections"]}


def test_a_sentence_is_kept_under_a_name_and_taken_without_a_model(place: Workplace) -> None:
    env = place.without(*MODEL, "matplotlib")
    done = place("run", "--as", "tired", "--query", "it", env=env)
    assert (done.code, done.err) == (0, f'attnviz: the last sentence, "{ANIMAL}", in minilm\n')
    taken = place("run", "--from", "tired", "--query", "it", env=env)
    assert (taken.out, taken.err) == (done.out, f'attnviz: tired, "{ANIMAL}", in minilm\n')
    again = place("run", "--as", "tired", "--head", "3.1", "--top", "1", env=env)
    assert "attnviz: tired is kept anew, in place of what had that name\n" in again.err
    file = place.last.with_name("kept-tired.safetensors")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert listed(place) == {"last": ("last", ANIMAL), "tired": ("kept", ANIMAL)}
    table = place("memory").out.splitlines()
    assert [line.split()[0] for line in table] == ["name", "last", "tired"]
    assert "kB" in table[1]
    _, narrow = place.on_terminal("memory", columns=30)
    assert all(name in narrow for name in ("last", "tired", "The animal didn…"))
    assert "3 columns are hidden: model," in narrow
    both = ("compare", "--from", "tired", "--from", "last", "--query", "it", "--top", "1")
    compared = place(*both, env=env)
    assert compared.err.splitlines()[:2] == [
        f'attnviz: A is tired, "{ANIMAL}", in minilm',
        f'attnviz: B is the last sentence, "{ANIMAL}", in minilm',
    ]


def test_what_is_remembered_is_forgotten(place: Workplace) -> None:
    for name in ("one", "two", "three"):
        place("heatmap", "--head", "0.0", "--as", name, "-f", "json", "--quiet")
    done = place("memory", "--forget", "one", "--forget", "two")
    assert done.err == "attnviz: forgotten: one, two\n"
    assert "did you mean last?" in place("run", "--from", "A").err  # of the last comparison
    assert list(listed(place)) == ["last", "three"]
    wrong = place("memory", "--forget", "three", "--forget", "thre")
    assert (wrong.code, wrong.out) == (2, "")
    assert (
        wrong.err.splitlines()[1] == "  did you mean three? attnviz memory lists what is remembered"
    )
    assert list(listed(place)) == ["last", "three"]
    assert listed(place, "--forget-all") == {}
    assert place("memory", "--forget-all").out == "Nothing is remembered.\n"
    assert [path.name for path in place.last.parent.iterdir()] == ["verified.json"]
    assert place("memory", "--forget", "x", "--forget-all").code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--as", "../x"], NAMED.format("../x")),
        (["run", "--as", ""], NAMED.format("")),
        (["run", "--as", "a\x1bb"], NAMED.format("a\\x1bb")),
        (["run", "--as", "x" * 65], NAMED.format("x" * 65)),
        (["run", "--as", "b"], "b is the name of what attnviz remembers by itself"),
        (["run", "--as", "last-scripts"], "last-scripts is the name of what attnviz remembers"),
        (["run", "--from", "../last"], 'nothing is kept under the name "../last"'),
        (["run", "--from", "B"], "no comparison is remembered"),
        (["run", "it ran", "--from", "last"], "--from brings a sentence with it"),
        (["run", "--load", "x", "--from", "last"], "--from brings a sentence with it"),
        (["run", "it", "ran", "--as", "x"], "several sentences came, and --as keeps one"),
        (["find", "--tsv", "x", "--from", "last"], "--tsv brings sentences and words with it"),
        (["compare", "--as", "x"], "compare looks at two sentences, and --as keeps one"),
    ],
)
def test_what_cannot_be_kept_or_taken(place: Workplace, arguments: list[str], message: str) -> None:
    done = place(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"attnviz: {message}")


def test_memory_that_is_off(place: Workplace) -> None:
    for arguments in (["memory"], ["run", "--as", "x"], ["run", "--from", "last-scripts"]):
        done = place(*arguments, env={"ATTNVIZ_NO_MEMORY": "1"})
        assert (done.code, done.out) == (2, "")
        assert done.err == "attnviz: memory is off: ATTNVIZ_NO_MEMORY is set\n  unset it\n"


def test_a_damaged_file_is_listed_and_can_be_forgotten(place: Workplace) -> None:
    place("run", "--as", "x", "--head", "0.0")
    place.last.with_name("kept-x.safetensors").write_bytes(b"damaged")
    place.last.with_name("kept-link.safetensors").symlink_to(place.last)
    os.mkfifo(place.last.with_name("kept-pipe.safetensors"))
    assert {name: text for name, (_, text) in listed(place).items()} == {
        "last": ANIMAL, "link": None, "pipe": None, "x": None,
    }  # fmt: skip
    assert "cannot be read" in place("memory").out
    done = place("run", "--from", "x")
    assert (done.code, done.err.splitlines()[1]) == (
        1, "  forget it with attnviz memory --forget x",
    )  # fmt: skip
    assert "is not a file of attnviz's own" in place("run", "--from", "link").err
    assert list(listed(place, "--forget", "x", "--forget", "link", "--forget", "pipe")) == ["last"]


REMEMBER = """
import sys
from attnviz.inspection.memory import remember
from handmade import random_inspection, tokens_of
remember(random_inspection(tokens_of(sys.argv[1:]), 1, 1, 0))
""".replace("\n", "; ").strip("; ")


class Terminal:
    """A shell on a terminal of its own, which is given one command after the other."""

    def __init__(self, place: Workplace) -> None:
        leader, follower = os.openpty()

        def control() -> None:
            os.setsid()
            fcntl.ioctl(follower, termios.TIOCSCTTY, 0)

        env = place.environment()
        del env["ATTNVIZ_TERMINAL"]
        env["PYTHONPATH"] += f"{os.pathsep}{Path(__file__).parent}"
        self.shell = subprocess.Popen(
            ["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd=place.folder,
            preexec_fn=control, encoding="utf-8",
        )  # fmt: skip
        os.close(follower)
        self.leader = leader

    def __call__(self, command: str) -> str:
        """What the command prints, in one line."""
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.write(f"{sys.executable} {command} </dev/null 2>/dev/null; echo .\n")
        self.shell.stdin.flush()
        lines = list(iter(self.shell.stdout.readline, ".\n"))
        return "".join(lines)

    def close(self) -> None:
        self.shell.communicate(timeout=60)
        os.close(self.leader)


def test_two_terminals_do_not_change_each_others(place: Workplace) -> None:
    terminals = [Terminal(place), Terminal(place)]
    for text, terminal in zip(("one ran", "two ran"), terminals, strict=True):
        terminal(f"-c '{REMEMBER}' {text}")
    found = [json.loads(terminal("-m attnviz memory --json")) for terminal in terminals]
    for terminal in terminals:
        terminal.close()
    own = [[i["text"] for i in each["inspections"] if i["kind"] == "last"] for each in found]
    assert own == [["one ran"], ["two ran"]]
    # commands without a terminal share one of their own, and can take those of terminals by name
    assert listed(place)["last"] == ("last", ANIMAL)
    names = [name for name, (kind, _) in listed(place).items() if kind == "elsewhere"]
    assert sorted(path.stem for path in place.last.parent.glob("last-*")) == names
    assert len(names) == 2
    taken = place("run", "--from", names[0], "--head", "0.0", "--json")
    assert taken.json["text"] in ("one ran", "two ran")


def test_a_terminal_is_told_by_its_name_where_one_is_given(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        monkeypatch.setenv("ATTNVIZ_TERMINAL", name)
        assert recall() is None
        remember(random_inspection(tokens_of([name]), 1, 1, 0))
    monkeypatch.setenv("ATTNVIZ_TERMINAL", "a")
    last = recall()
    assert last is not None
    assert last.tokens.words[1].text == "a"
    assert next(iter(remembered())) == "last"
    assert len(list(cache.iterdir())) == 2


def test_old_files_are_tidied_and_kept_ones_stay(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(made(), "for-good")
    now = time.time()
    for number in range(memory.MOST_LAST + 5):
        monkeypatch.setenv("ATTNVIZ_TERMINAL", str(number))
        remember(made())
        for path in cache.iterdir():
            os.utime(path, (now - 100, path.stat().st_mtime - 10))
    assert len(list(cache.iterdir())) == 1 + memory.MOST_LAST
    half, young = (cache / f".last.safetensors.{digit * 12}" for digit in "ab")
    half.write_bytes(b"left by a killed process")
    young.write_bytes(b"being written")
    for path in cache.iterdir():
        if path != young:
            os.utime(path, (now, now - memory.OLDEST - 1))
    remember(made(), made(1))
    left = sorted(path.name.partition("-")[0] for path in cache.iterdir())
    assert left == [young.name, "B", "kept", "last"]
    monkeypatch.setattr(memory, "LAST_LIMIT", 1)
    remember(made())
    assert [path.name for path in cache.iterdir() if path.name != young.name] == [
        "kept-for-good.safetensors"
    ]


def test_what_is_kept_has_limits(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_KEPT", 2)
    for name in ("a", "c", "a"):  # what is kept anew takes no more room
        keep(made(), name)
    with pytest.raises(AttnvizError, match="2 inspections are kept, and there is room for 2"):
        keep(made(), "d")
    forget("a")
    keep(made(), "d")
    monkeypatch.setattr(memory, "KEPT_LIMIT", 1000)
    with pytest.raises(AttnvizError, match="make room with attnviz memory --forget NAME"):
        keep(made(), "c")
    monkeypatch.setattr(memory, "MEMORY_LIMIT", 10)
    with pytest.raises(AttnvizError, match="too large to be kept"):
        keep(made(), "c")
    assert_same(load(cache / "kept-c.safetensors"), made())


def test_names_of_any_script(cache: Path) -> None:
    keep(made(1), "피곤한_동물")
    decomposed = unicodedata.normalize("NFD", "피곤한_동물")
    found = recall(decomposed)
    assert found is not None
    assert_same(found, made(1))
    with pytest.raises(RequestError, match="did you mean 피곤한_동물"):
        recall("피곤한동물")
