"""Completion: what fits a line at the cursor, and what bash, zsh and fish make of it."""

import fcntl
import json
import os
import pty
import shutil
import string
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from process import PACKAGES, Workplace, workplace
from typer.main import get_command

from attnviz.cli.app import app
from attnviz.cli.completion import SCRIPTS, Line, answer
from attnviz.inspection import Inspection
from attnviz.inspection.memory import keep
from attnviz.inspection.storage import save
from attnviz.model import Model

BREAKS = " \t\n\"'@><=;|&(:"
"""What bash begins a new word at, unless told otherwise."""

ODD = 'He didn\'t pay $5 for `it` (twice): the "cat" said no, no; 동물은 \\o/ *'
"""A sentence whose words would mean something else to a shell."""


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of what is remembered, still empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("ATTNVIZ_TERMINAL", "")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    (tmp_path / "attnviz").mkdir(mode=0o700)
    return tmp_path / "attnviz"


def offered(*words: str) -> tuple[str, list[str]]:
    """What comes, and the words, without what they mean."""
    kind, *lines = answer("zsh", words, get_command(app)).splitlines()
    return kind, [line.partition("\t")[0] for line in lines]


def test_commands_and_options(memory: Path) -> None:
    assert offered("e") == ("words", ["explain"])
    assert offered("run", "--que") == ("words", ["--query"])
    assert offered("run", "--query", "it", "--que") == ("words", [])  # it is there already
    assert offered("run", "--head", "L0H0", "--hea") == ("words", ["--head"])  # it may repeat
    assert offered("--vers") == ("words", ["--version"])
    assert offered("memory", "--help") == ("words", ["--help"])
    kind, words = offered("run", "-")
    assert kind == "words"
    assert {"-m", "--model", "--words", "--pieces", "--no-special"} <= set(words)
    assert offered("no-command", "--q") == ("words", [])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["run", "--format", "j"], ("words", ["json", "jsonl"])),
        (["run", "-f", "np"], ("words", ["npz"])),
        (["run", "--format=js"], ("words", ["--format=json", "--format=jsonl"])),
        (["run", "--measure", "r"], ("words", ["rollout"])),
        (["run", "--dtype", "b"], ("words", ["bfloat16"])),
        (["run", "--device", "c"], ("words", ["cpu", "cuda"])),
        (["find", "--by", "w"], ("words", ["weight"])),
        (["heatmap", "--lang", "k"], ("words", ["ko"])),
        (["run", "--model", "mi"], ("folders", ["minilm"])),
        (["compare", "a dog", "--models", "minilm", "pa"], ("folders", ["paper"])),
        (["models", "e"], ("folders", ["e5"])),
        (["run", "-o", ""], ("files", [])),
        (["compare", "--load", "x"], ("files", [])),
        (["ablate", "--mean-of", "c"], ("files", [])),
        (["ablate", "--outcome", "m"], ("words", ["mask"])),
        (["patch", "--what", "w"], ("words", ["weights"])),
        (["run", "--top", ""], ("words", [])),
        (["run", "a te"], ("words", [])),
        (["run", "--", "--q"], ("words", [])),
    ],
)
def test_values(memory: Path, line: list[str], expected: tuple[str, list[str]]) -> None:
    assert offered(*line) == expected


def test_models_of_the_cache_and_of_what_is_kept(memory: Path, animal: Inspection) -> None:
    folder = memory.parent / "hub/hub/models--some-org--a-model/snapshots/0123"
    folder.mkdir(parents=True)
    assert offered("run", "-m", "some") == ("folders", [])
    (folder / "config.json").write_text("{}")
    assert offered("run", "-m", "some") == ("folders", ["some-org/a-model"])


def test_words_and_heads_of_the_last_sentence(memory: Path, animal: Inspection) -> None:
    assert offered("run", "--query", "") == ("words", [])
    assert offered("run", "--head", "") == ("words", [])
    save(animal, memory / "last.safetensors")
    models = answer("zsh", ("run", "--model", "min"), get_command(app))
    assert models == "folders\nminilm\tthe default\n"
    assert offered("run", "--query", "t") == ("words", ["the", "the#2", "too", "tired"])
    assert offered("run", "--key", "@1")[1] == ["@1", "@10", "@11", "@12", "@13"]
    assert offered("run", "--query", "[") == ("words", ["[CLS]", "[SEP]"])
    assert offered("run", "--pieces", "--query", "d") == ("words", ["didn"])
    assert offered("ablate", "--rows", "an") == ("words", ["animal"])
    assert offered("run", "--layer", "") == ("words", [str(n) for n in range(6)])
    assert offered("run", "--head", "L5H1") == ("words", ["L5H1", "L5H10", "L5H11"])
    assert offered("run", "--head", "3.1") == ("words", ["3.1", "3.10", "3.11"])
    assert offered("run", "--layer", "3", "--head", "")[1] == [str(n) for n in range(12)]
    assert offered("run", "a dog", "--head", "L5H1")[1] == ["L5H1", "L5H10", "L5H11"]
    assert offered("run", "a dog", "--head", "L", "-m", "paper", "--layer", "") == ("words", [])


def test_words_of_the_text_on_the_line(memory: Path, animal: Inspection) -> None:
    save(animal, memory / "last.safetensors")
    assert offered("run", "a dog can't", "--query", "") == ("words", ["a", "dog", "can't"])
    assert offered("compare", "a dog", "a cat", "--key", "c") == ("words", ["cat"])
    joined = "می\u200cخواهم"  # Persian joins no letters here
    assert offered("run", f"{joined} \u202ecat", "--query", "") == ("words", [joined, "cat"])


def test_what_is_kept_by_name(memory: Path, animal: Inspection, minilm: Model) -> None:
    save(animal, memory / "last.safetensors")
    keep(minilm.inspect("Blue cheese"), "cheese")
    assert offered("run", "--from", "")[1] == ["last", "cheese"]
    assert offered("memory", "--forget", "c")[1] == ["cheese"]
    assert offered("run", "--from", "cheese", "--query", "B")[1] == ["Blue"]
    save(animal, memory / "own")
    assert offered("run", "--load", str(memory / "own"), "--key", "an")[1] == ["animal"]


DAMAGED = (
    "[" * 100_000,
    "null",
    '{"model": {"name": "a", "num_layers": 2, "num_heads": 2}}',
    '{"model": {"name": 1, "num_layers": 2, "num_heads": 2}, "tokens": {"text": "a"}}',
    '{"model": {"name": "a", "num_layers": 1000000000, "num_heads": 2}, "tokens": {"text": "a"}}',
)


def test_what_a_choice_means_is_one_visible_line(memory: Path, minilm: Model) -> None:
    keep(minilm.inspect("a\nred \x1b[31m\tdog"), "odd")
    for shell in ("zsh", "fish"):
        told = answer(shell, ("memory", "--forget", "o"), get_command(app))
        assert told == "words\nodd\ta\\x0ared \\x1b[31m\\x09dog\n"


def test_what_is_damaged_offers_nothing(
    memory: Path, animal: Inspection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in (b"", b"\xff" * 20, b"\2\0\0\0\0\0\0\0{}", b"\2\0\0\0\0\0\0\0[]"):
        (memory / "last.safetensors").write_bytes(content)
        assert offered("run", "--query", "") == ("words", [])
        assert offered("run", "--from", "") == ("words", [])
    for facts in DAMAGED:
        header = json.dumps({"__metadata__": {"attnviz": facts}}).encode()
        (memory / "last.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        assert offered("run", "--from", "") == ("words", [])
        assert offered("run", "--model", "p") == ("folders", ["paper"])
        assert offered("run", "--head", "") == ("words", [])
    (memory / "last.safetensors").unlink()
    os.mkfifo(memory / "last.safetensors")  # to read which would wait for ever
    assert offered("run", "--load", str(memory / "last.safetensors"), "--head", "")[1] == []
    (memory / "last.safetensors").unlink()
    save(animal, memory / "last.safetensors")
    monkeypatch.setenv("ATTNVIZ_NO_MEMORY", "1")
    assert offered("run", "--query", "") == ("words", [])


@pytest.mark.parametrize(
    ("typed", "words", "current", "inserted"),
    [
        ("attnviz run --query di", ["run", "--query"], "di", r"didn\'t"),
        ("attnviz run --query 'di", ["run", "--query"], "di", r"didn'\''t"),
        ('attnviz run --query "di', ["run", "--query"], "di", "didn't"),
        (r"attnviz run --query didn\'", ["run", "--query"], "didn'", r"didn\'t"),
        ('LANG=C attnviz run \'a b\' "c \\" d" e\\ f ', ["run", "a b", 'c " d', "e f"], "", r"\*"),
        ("attnviz run --query @1", ["run", "--query"], "@1", "10"),
        ('attnviz run --query "@1', ["run", "--query"], "@1", "@10"),
        ("attnviz run --measure=ro", ["run"], "--measure=ro", "rollout"),
        ('attnviz run --key "$', ["run", "--key"], "$", r"\$5"),
        ("attnviz run --key ह", ["run", "--key"], "ह", "हिन्दी"),
        ('attnviz run --key "!', ["run", "--key"], "!", '""\\!"#2'),
    ],
)
def test_a_line_of_bash(typed: str, words: list[str], current: str, inserted: str) -> None:
    line = Line.of_bash(typed, BREAKS)
    assert (line.words, line.current) == (words, current)
    names = ("didn't", "*", "@10", "--measure=rollout", "$5", "हिन्दी", "!#2")
    word = next(name for name in names if name.startswith(current)) if current else "*"
    assert line.typed(word) == inserted


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_bash_reads_every_sign_as_it_is(quote: str) -> None:
    words = [
        f"{before}{sign}a"
        for sign in string.punctuation + " é동“\u3000\u200c🐈"
        for before in ("", "a")
    ]
    line = Line.of_bash(f"attnviz run --query {quote}", BREAKS)
    words += ["!!", "a!b!c", "!#2"]
    typed = [line.typed(word) for word in words]
    # bash puts the quote before it, unless there is one
    typed = [word if quote and word.startswith(quote) else quote + word for word in typed]
    script = "\n".join(f"printf '%s\\0' {word}{quote}" for word in typed)
    script = f"set -H -o history\n: past\n{script}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == words


def test_nothing_is_said_in_a_shell(tmp_path: Path, animal: Inspection) -> None:
    place = workplace(tmp_path, animal)
    heavy = ("numpy", "pydantic", "rich", "torch", "safetensors", "tokenizers", "huggingface_hub")
    env = place.without(*heavy) | {"_ATTNVIZ_COMPLETE": "fish"}
    for words, expected in (
        (("run", "--key", "an"), "words\nanimal\t@2\n"),
        (("run", "--head", "L0H0"), "words\nL0H0\n"),
        (("ru",), "words\nrun\tShow what every head does with a sentence.\n"),
    ):
        done = place(*words, env=env)
        assert (done.code, done.out, done.err) == (0, expected, "")
    for shell in ("complete_bash", "x"):
        done = place("ru", env={"_ATTNVIZ_COMPLETE": shell})
        assert (done.code, done.out, done.err) == (1, "", "")


SHOWN = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
SHELLS = [shell for shell in SHOWN if shutil.which(shell)]
START = {
    "bash": """
        bind 'set bell-style none'; bind 'set enable-bracketed-paste off'
        show() { printf %s "$READLINE_LINE" > shown.new; mv shown.new shown; }
        bind -x '"\\C-g": show'
    """,
    "zsh": """
        autoload -Uz compinit; compinit -D -u
        show() { printf %s "$BUFFER" > shown.new; mv shown.new shown; BUFFER=; }
        zle -N show; bindkey '^G' show
    """,
    "fish": """
        bind \\cg 'commandline > shown.new; mv shown.new shown; commandline ""'
    """,
}
SAID = {
    "bash": 'attnviz() { printf "%s\\0" "$@"; }; eval "$LINE"',
    "zsh": 'attnviz() { printf "%s\\0" "$@"; }; eval "$LINE"',
    "fish": 'function attnviz; printf "%s\\0" $argv; end; eval $LINE',
}


class Shell:
    """A shell in a terminal, with attnviz's completion."""

    def __init__(self, name: str, place: Workplace) -> None:
        self.name, self.folder = name, place.folder
        command = place.folder / "bin" / "attnviz"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m attnviz "$@"\n')
        command.chmod(0o755)
        self.env = place.environment({"TERM": "dumb", "LC_ALL": "C.UTF-8"})
        self.env |= {"PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": str(PACKAGES)}
        (place.folder / "start").write_text(f"{START[name]}\n{SCRIPTS[name]}")
        self.leader, follower = pty.openpty()
        self.process = subprocess.Popen(
            SHOWN[name],
            cwd=place.folder,
            env=self.env,
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # fish works in no other
        )
        os.close(follower)
        os.write(self.leader, b". ./start; : > ready\n")
        self.wait("ready")

    def wait(self, name: str) -> str:
        """The content of a file, when it is there."""
        path, until = self.folder / name, time.monotonic() + 30
        os.set_blocking(self.leader, False)
        while not path.is_file() and time.monotonic() < until:
            with_screen(self.leader)
            time.sleep(0.02)
        content = path.read_text()
        path.unlink()
        return content

    def completes(self, typed: str) -> str:
        """The line after a tab."""
        os.write(self.leader, f"{typed}\t\x07".encode())
        line = self.wait("shown")
        os.write(self.leader, b"\x15")
        return line

    def means(self, line: str) -> list[str]:
        """The arguments that attnviz would get."""
        done = subprocess.run(
            [self.name, "-c", SAID[self.name]],
            env=self.env | {"LINE": line},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split("\0")[:-1]

    def end(self) -> None:
        os.close(self.leader)
        self.process.kill()
        self.process.wait()


def with_screen(leader: int) -> bytes:
    """What the shell wrote, so that it can go on writing."""
    try:
        return os.read(leader, 1 << 16)
    except BlockingIOError:
        return b""


@pytest.mark.slow
@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_completes_words_as_they_are(name: str, tmp_path: Path, minilm: Model) -> None:
    shell = Shell(name, workplace(tmp_path, minilm.inspect(ODD)))
    (shell.folder / "folder of models").mkdir()
    try:
        for begun, word in (
            ("did", "didn't"), ("$", "$"), ("동", "동물은"), ("*", "*"), ("cat", "cat"),
        ):  # fmt: skip
            typed = f"attnviz run --query '{begun}"
            assert shell.means(shell.completes(typed)) == ["run", "--query", word], typed
        for typed, words in (
            ("attnviz expl", ["explain"]),
            ("attnviz run --meas", ["run", "--measure"]),
            ("attnviz run --query did", ["run", "--query", "didn't"]),
            ('attnviz run --query "did', ["run", "--query", "didn't"]),
            ("attnviz run --model min", ["run", "--model", "minilm"]),
            ("attnviz run --head L3H2", ["run", "--head", "L3H2"]),
            ('attnviz run "can\'t" --query can', ["run", "can't", "--query", "can't"]),
            ("attnviz run -o star", ["run", "-o", "start"]),
            ("attnviz run --load=star", ["run", "--load=start"]),
            ("attnviz run --model fold", ["run", "--model", "folder of models/"]),
            ("attnviz run --model=fold", ["run", "--model=folder of models/"]),
        ):
            assert shell.means(shell.completes(typed)) == words, typed
    finally:
        shell.end()


@pytest.mark.parametrize("name", SCRIPTS)
def test_completion_is_installed_once(name: str, tmp_path: Path) -> None:
    place, home = Workplace(tmp_path), tmp_path / "home"
    home.mkdir()
    (home / ".bashrc").write_text("alias ll='ls -l'")
    env = {"SHELL": f"/usr/bin/{name}", "HOME": str(home)}
    shown = place("--show-completion", env=env)
    assert (shown.code, shown.out, shown.err) == (0, SCRIPTS[name], "")
    for _ in range(2):
        done = place("--install-completion", env=env)
        assert (done.code, done.err) == (0, "")
    files = {path.name: path.read_text() for path in home.rglob("*") if path.is_file()}
    assert SCRIPTS[name] in files.values()
    started = {"bash": "source ", "zsh": "compinit"}.get(name)
    if started:
        assert files[f".{name}rc"].count(started) == (2 if name == "zsh" else 1)
    assert files[".bashrc"].startswith("alias ll='ls -l'")


def test_a_shell_that_is_not_known_is_told(tmp_path: Path) -> None:
    done = Workplace(tmp_path)("--install-completion", env={"SHELL": "/bin/tcsh"})
    assert (done.code, done.out) == (2, "")
    assert "bash, zsh, fish" in done.err
