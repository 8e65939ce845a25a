"""attnviz with whatever the system hands it: names, hubs, caches, options, environments, signals.

usage: python tests/fuzz_system.py [--runs N] [--seed S] [KIND…]

Each run is drawn from a seed, does one thing, and checks what is promised: nothing outside the
folders named, nothing half-written, no traceback, no escape byte, a documented exit code. What
breaks a promise ends the script with the seed. Prints a row of docs/reliability.md for each kind.
"""

import argparse
import hashlib
import io
import logging
import os
import random
import signal
import stat
import string
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import pytest
from huggingface_hub import constants
from local_hub import LocalHub, asked_hub
from process import TIMEOUT, Workplace, at_a_prompt
from tiny_bert import SENTENCES, save_tiny_bert

from attnviz.cli.app import COMMANDS, app, exit_code_of
from attnviz.errors import AttnvizError, RequestError
from attnviz.files import cache_folder
from attnviz.inspection import Inspection
from attnviz.inspection.memory import recall, remember
from attnviz.inspection.storage import save
from attnviz.model import load_model
from attnviz.models import find_model, hub
from attnviz.models.files import check_sha256

CODES = {0, 1, 2, 3}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
THEIRS = b"a user's"


def words(text: str) -> tuple[str, ...]:
    """What stands between spaces."""
    return tuple(text.split())


ODD_WORDS = (
    *words("""
    .. ../x / /etc/passwd ~ ~nobody - -- -1 0 1e9 nan it#9 it#-1 @99 @-99 @ # L3H1 L99H99 3.1 3.1.2
    -1.-1 minilm@../x org/name@../../x [bold] :smile: $x_1$ 동물 👩‍💻 %s%n {0} out.png out.xyz
    /dev/full /dev/null /dev/null/x.json kept tiny true paper csv png norm rollout cpu auto
    """),
    *("", " ", "9" * 40, "a" * 5000, "\x1b[31m", "\x07\x08", "\u202e", "\ufeff", "\udcff", "a\nb"),
)
OPTIONS = words("""
    --query --key --layer --head --top --measure --format -f -o --save --load --model -m --pair
    --window --stride --scale --device --dtype --seed --pieces --no-special --json --quiet --force
    --truncate --summary --tsv --csv --both --by --each --mean --nonsense -h --attention --target
    --num-heads --d-model --beside --models --tour --lang
""")

ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "MPLBACKEND": ("module://nowhere.backend_inline", "nonsense", "TkAgg", ""),
    "MATPLOTLIBRC": ("/dev/null/x", "/dev/null", "."),
    "SOURCE_DATE_EPOCH": ("now", "-1", "9" * 20),
    "HF_HUB_ETAG_TIMEOUT": ("10s", "-1", ""),
    "HF_HUB_DOWNLOAD_TIMEOUT": ("x", "1e9"),
    "HF_HUB_VERBOSITY": ("loud",),
    "HF_HOME": ("/dev/null", "relative"),
    "HF_TOKEN": ("a\nb", "é"),
    "TERMINAL_WIDTH": ("auto", "0", "-5", "1"),
    "TQDM_MININTERVAL": ("often",),
    "TQDM_NCOLS": ("x",),
    "COLUMNS": ("0", "-1", "abc", "1", "9" * 12),
    "LINES": ("x", "-1"),
    "PYTHONWARNINGS": ("default", "error"),
    "PYTHONIOENCODING": ("latin-1", "ascii"),
    "PYTHONOPTIMIZE": ("2",),
    "LC_ALL": ("C", "POSIX", "tr_TR.UTF-8", "nonsense"),
    "LANG": ("C", "nonsense"),
    "HOME": ("/dev/null", "/dev/null/x"),
    "XDG_CACHE_HOME": ("relative", "/dev/null", "/dev/null/x", "~"),
    "XDG_CONFIG_HOME": ("relative", "/dev/null"),
    "MPLCONFIGDIR": ("/dev/null", "/dev/null/x", "/proc", ""),
    "TMPDIR": ("/dev/null",),
    "TERM": ("", "dumb", "nonsense"),
    "JUPYTER_COLUMNS": ("x",),
    "JUPYTER_LINES": ("x",),
    "DATABRICKS_RUNTIME_VERSION": ("1",),
    "NO_COLOR": ("1",),
    "TYPER_USE_RICH": ("0", "maybe"),
    "ATTNVIZ_MODEL": ("nonsense", "a\nb", "\x1b[31m", "paper", "../x", "org/name@../x"),
    "ATTNVIZ_NO_MEMORY": ("x", "0"),
    "WORLD_SIZE": ("x",),
    "TRANSFORMERS_VERBOSITY": ("loud",),
    "TOKENIZERS_PARALLELISM": ("x",),
    "RAYON_NUM_THREADS": ("x",),
    "CUDA_VISIBLE_DEVICES": ("x",),
    "_ATTNVIZ_COMPLETE": ("x",),
    **dict.fromkeys(
        words("""
    AOTINDUCTOR_REPRO_LEVEL PYTORCH_ALLOC_CONF PYTORCH_JIT PYTORCH_JIT_USE_NNC_NOT_NVFUSER
    PYTORCH_NO_CUDA_MEMORY_CACHING TORCHDYNAMO_REPRO_LEVEL TORCHINDUCTOR_CACHE_DIR
    TORCHINDUCTOR_COMPILE_THREADS TORCH_ALLOW_TF32_CUBLAS_OVERRIDE TORCH_COMPILE_DEBUG
    TORCH_CPP_LOG_LEVEL TORCH_DEVICE_BACKEND_AUTOLOAD TORCH_HOME TORCH_LOGS TORCH_LOGS_FORMAT
    TORCH_SHOW_CPP_STACKTRACES TORCH_TRACE
    """),
        ("x", "/dev/null/x", "-1", ""),
    ),
}
"""What attnviz and its libraries read from the environment, with values that make little sense."""


class Fuzz:
    """A folder to do it in, with a tiny model and an inspection, and what each run found there."""

    def __init__(self, folder: Path, inspection: Inspection) -> None:
        self.place = Workplace(folder)
        self.folder = self.place.folder
        save_tiny_bert(self.folder / "tiny")
        save(inspection, self.folder / "kept")
        self.inspection = inspection
        self.outside = folder / "outside"
        self.outside.mkdir()
        (self.outside / "theirs").write_bytes(THEIRS)

    def check(self, output: str) -> None:
        """What holds after every run."""
        assert "Traceback" not in output, output
        assert "\x1b" not in output, output
        assert self.place.temporary_files() == []
        assert [path.name for path in self.outside.iterdir()] == ["theirs"]
        assert (self.outside / "theirs").read_bytes() == THEIRS


def odd_text(chance: random.Random) -> str:
    """A name or a word that few would type."""
    if chance.random() < 0.6:
        return chance.choice(ODD_WORDS)
    letters = string.printable + "동é\u202e\x1b\x00\x7f/@.#-"
    return "".join(chance.choice(letters) for _ in range(chance.randrange(12)))


def names(fuzz: Fuzz, chance: random.Random) -> str:
    """A model of an odd name: refused in words, and nothing is made."""
    name = odd_text(chance)
    if chance.random() < 0.5:
        name = f"org/name@{name}"
    before = sorted(fuzz.folder.rglob("*"))
    found = told(lambda: find_model(name))
    assert sorted(fuzz.folder.rglob("*")) == before
    return found


def told(action: Callable[[], object]) -> str:
    """How it ended: done, or refused in words."""
    try:
        action()
    except AttnvizError as error:
        return "the request is wrong" if isinstance(error, RequestError) else "refused"
    return "done"


class _Kept(io.BytesIO):
    """Standard output, which is still there when whoever wraps it is gone."""

    def close(self) -> None:
        pass


def options(fuzz: Fuzz, chance: random.Random) -> str:
    """A command with odd options: a documented exit code."""
    arguments = [chance.choice(COMMANDS)]
    arguments += ["--load", "kept"] if chance.random() < 0.7 else ["a dog", "-m", "tiny"]
    for _ in range(chance.randrange(4)):
        arguments += [chance.choice(OPTIONS)]
        if chance.random() < 0.7:
            arguments += [odd_text(chance).replace("\0", "")]
    output, errors = _Kept(), io.StringIO()
    with (
        redirect_stdout(io.TextIOWrapper(output, "utf-8", errors="replace")),
        redirect_stderr(errors),
    ):
        code = exit_code_of(lambda: app(arguments, prog_name="attnviz"))
        sys.stdout.flush()
    binary = output.getvalue().startswith((b"\x89PNG", b"PK", b"%PDF", b"PAR1", b"<!doctype html>"))
    fuzz.check(errors.getvalue() + ("" if binary else output.getvalue().decode()))
    assert code in CODES, arguments
    for path in fuzz.folder.iterdir():
        if path.name not in ("tiny", "kept") and path.is_file():
            path.unlink()
    return f"exit {code}"


def environment(fuzz: Fuzz, chance: random.Random) -> str:
    """A process in an odd environment: a documented exit code, no new file, its own words."""
    # one alone in half of the runs: others would hide what it does
    drawn = chance.sample(list(ENVIRONMENT), chance.choice((1, chance.randrange(2, 12))))
    env = {name: chance.choice(ENVIRONMENT[name]) for name in drawn}
    command = chance.choice((
        ["--help"], ["run", "--load", "kept", "--head", "0.1"],
        ["heatmap", "--load", "kept", "--head", "0.1", "--force", "-o", "out.pdf"],
        ["run", SENTENCES[0], "-m", "tiny", "--summary"],
    ))  # fmt: skip
    known = {"tiny", "kept", "out.pdf"}
    done = fuzz.place(*command, env=env)
    assert done.code in CODES, (env, done.err)
    fuzz.check(done.err)
    if done.code == 0:
        told = [line for line in done.err.splitlines() if not line.startswith("  ")]
        assert all(line.startswith("attnviz: ") for line in told), (env, done.err)
    # the working folder is the user's home as well
    new = {path.name for path in fuzz.folder.iterdir()} - known - {".cache", ".config"}
    assert not new, (env, new)
    return f"exit {done.code}"


def signals(fuzz: Fuzz, chance: random.Random) -> str:
    """A process that is stopped at any moment, perhaps twice: its code, quiet, nothing left."""
    number = chance.choice(SIGNALS)
    given = "".join(f"{chance.choice(SENTENCES)}\n" for _ in range(2000)).encode()
    options = ("run", "-m", "tiny", "-f", "jsonl", "-o", "out.jsonl", "-")
    with fuzz.place.start(*options, stdin=subprocess.PIPE, before=at_a_prompt) as process:
        stopper = subprocess.Popen(
            [sys.executable, "-c", STOPPER, str(process.pid), str(int(number)),
             str(chance.uniform(0.3, 4)), str(chance.choice((0, 0.001, 0.05)))],
        )  # fmt: skip
        done = fuzz.place.ended(process, given)
        stopper.wait(TIMEOUT)
    early = -number  # before attnviz is there to listen
    assert done.code in (0, 128 + number, early), (done.code, done.err)
    written = fuzz.folder / "out.jsonl"
    if written.exists():  # whole, also if the signal came right after the last line
        lines = written.read_bytes().splitlines(keepends=True)
        assert len(lines) == given.count(b"\n"), len(lines)
        assert lines[-1].endswith(b"]}\n")
        written.unlink()
    if done.code:
        assert done.code == early or done.err == "", done.err
    fuzz.check("")
    return "finished" if done.code == 0 else f"exit {abs(done.code) % 128 + 128}"


STOPPER = """
import os, sys, time
pid, number = int(sys.argv[1]), int(sys.argv[2])
wait, again = float(sys.argv[3]), float(sys.argv[4])
time.sleep(wait)
try:
    os.kill(pid, number)
    if again:
        time.sleep(again)
        os.kill(pid, number)
except ProcessLookupError:
    pass
"""


def own_cache(fuzz: Fuzz, chance: random.Random) -> str:
    """Anything in place of the files of our own cache: refused or made anew, never followed."""
    folder = fuzz.place.last.parent
    path = folder / chance.choice(("last.safetensors", "verified.json"))
    with suppress(FileNotFoundError):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    kind = chance.choice(("link", "pipe", "folder", "bytes", "nested", "cut", "flipped", "lost"))
    if kind == "link":
        path.symlink_to(fuzz.outside / chance.choice(("theirs", "theirs/x", "../outside")))
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "bytes":
        path.write_bytes(chance.randbytes(chance.randrange(200)))
    elif kind == "nested":
        path.write_text(chance.choice(('{"a":', "[", '{"a":[')) * chance.randrange(1, 100_000))
    elif kind in ("cut", "flipped"):
        content = bytearray((fuzz.folder / "kept").read_bytes())
        content[chance.randrange(min(len(content), 4000))] ^= 1 << chance.randrange(8)
        path.write_bytes(content[: chance.randrange(len(content))] if kind == "cut" else content)
    if kind in ("bytes", "nested") and chance.random() < 0.3:
        path.chmod(chance.choice((0, 0o666)))
    folder.chmod(chance.choice((0o700, 0o755, 0o777)))
    found = {told(recall), told(lambda: remember(fuzz.inspection)), told(lambda: check_known(fuzz))}
    fuzz.check("")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    return "refused, then made anew" if len(found) > 1 else "made anew"


def check_known(fuzz: Fuzz) -> None:
    """Ask for a file's hash, which the cache remembers."""
    check_sha256(fuzz.outside / "theirs", SHA256, "")


SHA256 = hashlib.sha256(THEIRS).hexdigest()

HEADERS = words("""
    ETag X-Linked-Etag X-Repo-Commit X-Xet-Hash Location Retry-After RateLimit Content-Type
    X-Linked-Size X-Error-Code Link Content-Encoding
""")
VALUES = (
    *words("""
    ../../../../x /tmp/attnviz-x .. . " W/../x a/b -1 0 100000 gzip EntryNotFound file:///etc/passwd
    // <x>;rel="next" \\..\\x
    """),
    *("", "a" * 300, "9" * 30),
)


def hostile_hub(fuzz: Fuzz, chance: random.Random) -> str:
    """A hub that answers anything: only its cache is written to, and it ends soon."""
    root = Path(tempfile.mkdtemp(dir=fuzz.outside.parent))
    with pytest.MonkeyPatch.context() as patch, asked_hub(root, patch) as served:
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(hub, "longest_silence", lambda: 0.5)
        patch.setattr(hub, "TOLD_AFTER", 0.2)
        spoil(served, fuzz, chance)
        begin = time.monotonic()
        found = told(lambda: find_model("org/name"))
        assert time.monotonic() - begin < 60
    assert {path.name for path in root.iterdir()} <= {"cache"}
    fuzz.check("")
    return found


def spoil(served: LocalHub, fuzz: Fuzz, chance: random.Random) -> None:
    """Let the hub do a few of the things that a hub must not do."""
    names = ["config.json", "tokenizer.json", "model.safetensors"]
    files = {name: (fuzz.folder / "tiny" / name).read_bytes() for name in names}
    if chance.random() < 0.5:
        name = chance.choice(names)
        files[name] = chance.choice((b"", b"\xff", b"[" * 50_000, files[name][:50], b"{}"))
    if chance.random() < 0.3:
        del files[chance.choice(names)]
        served.more = tuple(
            odd_text(chance) + chance.choice(("", ".py", "vocab.txt")) for _ in "ab"
        )
        served.endless = chance.random() < 0.3
    served.repositories["org/name"] = files
    for _ in range(chance.randrange(3)):
        served.headers[chance.choice(HEADERS)] = chance.choice(VALUES)
    if chance.random() < 0.2:
        served.failures["org/name"] = (
            chance.choice((301, 401, 404, 429, 500, 503)),
            chance.choice(VALUES),
        )
    served.excess = chance.choice((0, 0, 0, 1, 1 << 20))
    served.cut = chance.choice(("", "", *names))
    served.redirects = chance.random() < 0.2
    served.foreign = chance.random() < 0.1
    if chance.random() < 0.05:
        served.awake.clear()


KINDS: dict[str, Callable[[Fuzz, random.Random], str]] = {
    "names": names,
    "options": options,
    "own cache": own_cache,
    "hostile hub": hostile_hub,
    "environment": environment,
    "signals": signals,
}


def fuzzed(fuzz: Fuzz, kind: str, runs: int, seed: int) -> Counter[str]:
    """So many runs of a kind, and how they ended; an error names the seed of its run."""
    ends: Counter[str] = Counter()
    for number in range(seed, seed + runs):
        try:
            ends[KINDS[kind](fuzz, random.Random(number))] += 1
        except BaseException as error:
            error.add_note(f"python tests/fuzz_system.py --runs 1 --seed {number} '{kind}'")
            raise
    return ends


@contextmanager
def fuzzing(folder: Path) -> Iterator[Fuzz]:
    """A folder of its own as the working folder, its cache as the user's, no model kept in mind."""
    known = cache_folder()  # what other tests found out, if there were any
    known.mkdir(parents=True, exist_ok=True)
    (known / "verified.json").touch()
    with pytest.MonkeyPatch.context() as patch:
        save_tiny_bert(folder / "first")
        fuzz = Fuzz(folder, load_model(str(folder / "first")).inspect(SENTENCES[0]))
        patch.chdir(fuzz.folder)
        patch.setenv("XDG_CACHE_HOME", str(fuzz.place.cache))
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        patch.setattr(logging.getLogger("attnviz"), "disabled", True)
        yield fuzz


def main() -> None:
    """Run each kind, and print how the runs ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print("| kind | runs | how they ended |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder, "known"))
        os.environ["BROWSER"] = "true"  # a page is opened by a program that does nothing
        with fuzzing(Path(folder, "fuzz")) as fuzz:
            for kind in asked.kinds or KINDS:
                ends = fuzzed(fuzz, kind, asked.runs, asked.seed)
                told = ", ".join(f"{end}: {count}" for end, count in sorted(ends.items()))
                print(f"| {kind} | {asked.runs:,} | {told} |", flush=True)


if __name__ == "__main__":
    main()
