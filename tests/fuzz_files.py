"""Fuzzers of what comes in files and as text: inspections, model folders, tokenizers, sentences.

Each run changes something sound, asks attnviz about it as on the command line, and checks what is
promised (docs/reliability.md): nothing runs, nothing is written elsewhere or in half, no traceback,
nothing of the text acts. The runs are numbered, and a number always makes the same.

    python tests/fuzz_files.py --kind saved --runs 5000 [--first 0]
"""

import argparse
import contextlib
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from fuzz_bases import folders, saved_bases, tokenizer_bases
from fuzz_changes import (
    changed_bytes,
    changed_facts,
    changed_json,
    changed_tensors,
    damaged,
    text_of,
)
from test_hostile_text import check_terminal

from attnviz.cli.app import app, exit_code_of
from attnviz.errors import AttnvizError
from attnviz.inspection.storage import load
from attnviz.models.describe import tokenizer_facts
from attnviz.text.tokenizer import Tokenizer

SECONDS = 60  # of one run
MEMORY = 8 << 30  # of the process, when run by hand


@dataclass
class Arena:
    """A folder for the runs: what they may write is in `work`; `trap` shows that code ran."""

    root: Path
    codes: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.root = self.root.resolve()
        self.work, self.trap = self.root / "work", self.root / "trap"
        self.work.mkdir(parents=True)
        Path(os.environ["XDG_CACHE_HOME"]).mkdir(exist_ok=True)
        self.before: set[Path] = set()

    def clear(self) -> None:
        shutil.rmtree(self.work)
        self.work.mkdir()
        self.before = self.elsewhere()

    def ask(self, *arguments: str) -> str:
        """Run a command; what it wrote on both streams."""
        written = io.BytesIO(), io.BytesIO()
        out, err = (io.TextIOWrapper(one, "utf-8", "replace") for one in written)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), only_ours():
            code = exit_code_of(lambda: app(list(arguments), prog_name="attnviz"))
        out.flush()
        err.flush()
        shown, told = (one.getvalue().decode() for one in written)
        assert code in (0, 1, 2), code
        assert code == 0 or "attnviz: " in told or "Error" in told, told
        for word in ("Traceback", "panicked", "Warning:", "Error:"):
            assert word not in told.replace("AttnvizError:", ""), told
        check_terminal(told)
        self.codes[f"exit {code}"] += 1
        return shown

    def check(self) -> None:
        """Nothing ran, nothing is written elsewhere, nothing in half."""
        assert not self.trap.exists(), "something in a file was run"
        assert self.elsewhere() <= self.before, self.elsewhere() - self.before
        for path in self.work.iterdir():
            assert not path.name.startswith("."), path
            if path.suffix == ".svg":
                ElementTree.parse(path)
            if path.suffix == ".json":
                json.loads(path.read_bytes())
            if path.suffix == ".npz":
                np.load(path).close()

    def elsewhere(self) -> set[Path]:
        cache = Path(os.environ["XDG_CACHE_HOME"])
        return {
            path
            for path in [*self.root.rglob("*"), *self.root.parent.iterdir()]
            if self.work not in path.parents and cache not in path.parents
        }


@contextlib.contextmanager
def only_ours() -> Iterator[None]:
    """Numpy's warnings are errors: nobody should see them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


LOOKS: tuple[tuple[str, ...], ...] = (
    ("run",), ("run", "--query", "@1"), ("run", "--key", "@0"), ("run", "--layer", "0"),
    ("run", "--query", "@0", "--key", "@1"), ("run", "--json"), ("run", "--summary", "--json"),
    ("run", "-f", "csv"), ("run", "-f", "md"), ("run", "-o", "{}/a.npz"), ("run", "--pieces"),
    ("run", "--no-special"), ("run", "--window", "0:2"), ("run", "--measure", "norm"),
    ("run", "--measure", "rollout"), ("run", "--measure", "flow", "--query", "@1"),
    ("find", "--query", "@0", "--key", "@1"), ("find", "--query", "@1", "--key", "@0", "--both"),
    ("lines", "--query", "@1", "-o", "{}/a.svg"), ("heatmap", "--head", "L0H0", "-o", "{}/a.svg"),
    ("explain", "--query", "@1", "--layer", "0", "--head", "0"), ("explain", "--query", "@0"),
    ("ablate", "--head", "L0H0"), ("run", "--save", "{}/a.safetensors"),
    ("run", "--json", "-o", "{}/a.json"),
)  # fmt: skip


def looks(rng: random.Random, arena: Arena, count: int) -> Iterator[list[str]]:
    for look in rng.sample(LOOKS, count):
        yield [word.format(arena.work) for word in look]


def saved(rng: random.Random, arena: Arena) -> None:
    """A saved inspection: bytes, metadata or arrays changed."""
    content = rng.choice(saved_bases())
    change = rng.choice((changed_bytes, changed_tensors, changed_facts, changed_facts))
    path = arena.work / "i.safetensors"
    path.write_bytes(change(rng, content))
    with only_ours():
        try:
            inspection = load(path)
        except AttnvizError:
            arena.codes["refused"] += 1
            arena.ask("run", "--load", str(path))
            return
        repr(inspection)
        with contextlib.suppress(AttnvizError):
            inspection._repr_html_()
    arena.codes["read"] += 1
    for look in looks(rng, arena, 2):
        arena.ask(look[0], "--load", str(path), *look[1:])
    if rng.random() < 0.1:
        arena.ask("compare", "--load", str(path), "--load", str(path), "--query", "@1")


def models(rng: random.Random, arena: Arena) -> None:
    """A model's folder: its configuration, tensors, settings or files changed."""
    name, source = rng.choice(sorted(folders(arena.root.parent / "sound").items()))
    folder = arena.work.parent / "model"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    for _ in range(rng.choice((1, 1, 2))):
        damaged(rng, folder, arena.trap)
    arena.before = arena.elsewhere()
    options: list[str] = []
    if name in ("bart", "marian"):
        options = rng.choice(([], ["--attention", "decoder"], ["--attention", "cross"]))
    if rng.random() < 0.3:
        arena.ask("models", str(folder))
    look = next(looks(rng, arena, 1))
    arena.ask(look[0], "a dog sat", *look[1:], "--model", str(folder), *options)


def tokenizers(rng: random.Random, arena: Arena) -> None:
    """A tokenizer.json: entries of every kind changed."""
    content = json.loads(rng.choice(tokenizer_bases()))
    path = arena.work / "tokenizer.json"
    for _ in range(rng.choice((1, 1, 3))):
        content = changed_json(rng, content)
    path.write_text(json.dumps(content, ensure_ascii=rng.random() < 0.5), errors="replace")
    with contextlib.suppress(AttnvizError):
        tokenizer_facts(path)
    tokenizer = None
    with contextlib.suppress(AttnvizError):
        tokenizer = Tokenizer.from_file(path, rng.choice((None, 4, 7, 31)))
    if tokenizer is None:
        arena.codes["refused"] += 1
        return
    for truncate in (False, True):
        with contextlib.suppress(AttnvizError):
            tokens = tokenizer.encode(text_of(rng), text_of(rng) if truncate else None, truncate)
            assert len(tokens.words) <= len(tokens.pieces) == len(tokens)
            arena.codes["cut"] += 1
    with contextlib.suppress(AttnvizError):
        tokenizer.windows(text_of(rng), rng.choice((1, 3)))
    with contextlib.suppress(AttnvizError):
        tokenizer.encode_target(text_of(rng), rng.choice((None, 0, -1, 10**10)))


def sentences(rng: random.Random, arena: Arena) -> None:
    """A sentence of any characters, run through a tiny model in every form."""
    name = rng.choice(("bert", "gpt2"))
    folder = folders(arena.root.parent / "sound")[name]
    arena.before = arena.elsewhere()
    look = next(looks(rng, arena, 1))
    shown = arena.ask(look[0], *look[1:], "--model", str(folder), "--", text_of(rng))
    if "-f" not in look and "--json" not in look:
        check_terminal(shown)


KINDS: dict[str, Callable[[random.Random, Arena], None]] = {
    "saved": saved,
    "models": models,
    "tokenizers": tokenizers,
    "sentences": sentences,
}


def run(kind: str, numbers: Sequence[int], arena: Arena) -> Iterator[tuple[int, BaseException]]:
    """Do the runs of these numbers; yields those that break a promise."""
    for number in numbers:
        if "FUZZ" in os.environ:
            print(kind, number, flush=True)
        rng = random.Random(f"{kind} {number}")
        arena.clear()
        try:
            with limited():
                KINDS[kind](rng, arena)
                arena.check()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever it is, it should not have come
            yield number, error


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """TimeoutError after SECONDS."""

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def main() -> int:
    """Run the fuzzers by hand; prints what broke, and how many of what were tried."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=[*KINDS, "all"], default="all")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        for kind in KINDS if given.kind == "all" else [given.kind]:
            arena = Arena(Path(folder, kind))
            seen: Counter[str] = Counter()
            for number, error in run(kind, range(given.first, given.first + given.runs), arena):
                broken += 1
                place = traceback.extract_tb(error.__traceback__)[-1]
                what = f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
                seen[what] += 1
                if "FUZZ" in os.environ:
                    traceback.print_exception(error)
                if seen[what] <= 2:
                    print(f"{kind} {number}: {what}: {str(error)[:300]}", flush=True)
            counted = ", ".join(f"{count} {what}" for what, count in sorted(arena.codes.items()))
            print(f"{kind}: {given.runs} runs ({counted}); broken: {dict(seen)}", flush=True)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
