"""attnviz as people run it: a process in a folder of its own, behind pipes or on a terminal.

Whatever the command, a few manners hold always, and are checked here for every process: no
traceback, no temporary file left behind, and no escape byte where there is no terminal.
"""

import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson
from typer.testing import CliRunner

import attnviz
from attnviz.cli.app import app
from attnviz.inspection import Inspection
from attnviz.inspection.storage import save

COMMAND = [sys.executable, "-m", "attnviz"]
TIMEOUT = 120
ARCHIVE = b"PK"
PNG = b"\x89PNG"
PAGE = b"<!doctype html>"  # whose numbers may hold any byte
PACKAGES = Path(attnviz.__file__).parent.parent

KERNELS = ("OPENBLAS_CORETYPE", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS")
"""Which instructions numbers are computed with: set, the tests run as on another processor."""

WALL = """
import os, sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in os.environ["WALLED"].split(","):
            os.write(2, f"imported {name}\\n".encode())
            os._exit(99)

sys.meta_path.insert(0, Wall())
"""
"""A sitecustomize that ends the process, with code 99, where a module is imported."""


@dataclass(frozen=True)
class Done:
    """What a process left: its exit code, and the bytes it wrote."""

    code: int
    output: bytes
    errors: bytes

    @property
    def out(self) -> str:
        return self.output.decode()

    @property
    def err(self) -> str:
        return self.errors.decode()

    @property
    def json(self) -> Any:
        return orjson.loads(self.output)

    @property
    def json_lines(self) -> list[Any]:
        return [orjson.loads(line) for line in self.output.splitlines()]

    @property
    def message(self) -> list[str]:
        """The lines of standard error, less the note that says which sentence is looked at."""
        return [line for line in self.err.splitlines() if "the last sentence" not in line]


def at_a_prompt() -> None:
    """Before a process: heed Ctrl-C, which shells let what runs in the background ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Workplace:
    """A folder to work in, a cache folder beside it, and the processes that are run there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.cache = folder / "cache"
        self.wall = folder / "wall"
        for path in (self.folder, self.wall, self.last.parent):
            path.mkdir(parents=True)
        (self.wall / "sitecustomize.py").write_text(WALL)
        # what takes a while to be found out a first time: the model's hash, the installed fonts
        self._known = Path(os.environ["XDG_CACHE_HOME"])
        shutil.copy(self._known / "attnviz" / "verified.json", self.last.parent)

    @property
    def last(self) -> Path:
        """Where the last sentence is remembered."""
        return self.cache / "attnviz" / "last.safetensors"

    def remember(self, inspection: Inspection) -> None:
        """As if a run had just looked at it."""
        save(inspection, self.last)

    def environment(self, changes: dict[str, str] | None = None) -> dict[str, str]:
        found = [changes["PYTHONPATH"]] if changes and "PYTHONPATH" in changes else []
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.cache),
            "MPLCONFIGDIR": str(self._known / "matplotlib"),
            "LANG": "C.UTF-8",
            "ATTNVIZ_TERMINAL": "",  # one memory, whatever terminal the tests are started from
            "OMP_NUM_THREADS": "1",  # tests that run side by side share the processors
            **{name: os.environ[name] for name in KERNELS if name in os.environ},
            **(changes or {}),
            # the package that is tested, wherever another one is installed
            "PYTHONPATH": os.pathsep.join([*found, str(PACKAGES)]),
        }

    def without(self, *modules: str) -> dict[str, str]:
        """An environment in which importing one of the modules ends the process."""
        path = [str(self.wall), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {"PYTHONPATH": os.pathsep.join(path), "WALLED": ",".join(modules)}

    def start(
        self,
        *arguments: str | bytes,
        env: dict[str, str] | None = None,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.PIPE,
        stderr: int | IO[bytes] = subprocess.PIPE,
        before: Callable[[], object] | None = None,
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            preexec_fn=before,
        )

    def __call__(self, *arguments: str | bytes, given: bytes | None = None, **options: Any) -> Done:
        """Run it to its end, `given` on standard input."""
        if given is not None:
            options["stdin"] = subprocess.PIPE
        with self.start(*arguments, **options) as process:
            return self.ended(process, given)

    def ended(self, process: subprocess.Popen[bytes], given: bytes | None = None) -> Done:
        """Wait for the end; what holds for every process is checked."""
        try:
            output, errors = process.communicate(given, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        done = Done(process.returncode, output or b"", errors or b"")
        assert b"Traceback" not in done.errors, done.err
        printed = b"" if done.output.startswith((ARCHIVE, PNG, PAGE)) else done.output
        assert b"\x1b" not in printed + done.errors
        assert self.temporary_files() == []
        return done

    def temporary_files(self) -> list[str]:
        places = (self.folder, self.last.parent)
        found = [path for place in places if place.is_dir() for path in place.iterdir()]
        return [path.name for path in found if path.name.startswith(".") and path.is_file()]

    def on_terminal(
        self,
        *arguments: str,
        columns: int = 80,
        env: dict[str, str] | None = None,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = None,
    ) -> tuple[int, str]:
        """Run it on a terminal; standard output may go elsewhere. The exit code, and the screen."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = self.start(
            *arguments,
            env={"TERM": "xterm-256color", **(env or {})},
            stdin=stdin,
            stdout=follower if stdout is None else stdout,
            stderr=follower,
        )
        os.close(follower)
        screen: list[bytes] = []
        reader = threading.Thread(target=_read_all, args=(leader, screen))
        reader.start()
        code = process.wait(TIMEOUT)
        reader.join(TIMEOUT)
        os.close(leader)
        shown = b"".join(screen).decode()
        assert "Traceback" not in shown, shown
        return code, shown.replace("\r\n", "\n")


def in_process(*arguments: str) -> Done:
    """The command in this very process, where torch is loaded already."""
    result = CliRunner().invoke(app, arguments)
    return Done(result.exit_code, result.stdout_bytes, result.stderr_bytes)


def workplace(folder: Path, inspection: Inspection) -> Workplace:
    """A workplace in which the inspection is remembered."""
    place = Workplace(folder)
    place.remember(inspection)
    return place


def _read_all(leader: int, screen: list[bytes]) -> None:
    while True:
        try:
            chunk = os.read(leader, 1 << 16)
        except OSError:  # how Linux says that the other side is closed
            return
        if not chunk:
            return
        screen.append(chunk)
