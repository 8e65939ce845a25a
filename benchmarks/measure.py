"""Commands measured side by side: run in turn, A B A B, each in a process of its own.

Machines are noisy and drift, so no figure stands alone: what is quoted is a median over all rounds,
and for two commands the median of their ratios round by round. Time is wall time, memory the peak
resident memory that the operating system counted for the finished process. Linux counts in what
the parent had when it began the process, so these scripts import little themselves.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Command:
    """A program and its arguments, and the file that it reads as standard input, if any."""

    arguments: Sequence[str]
    stdin: Path | None = None


@dataclass(frozen=True)
class Run:
    """What one finished process took: wall seconds, its peak resident memory in bytes, and seconds
    of a processor.
    """

    seconds: float
    memory: float
    processor: float = 0.0


@dataclass(frozen=True)
class Goal:
    """A row of the table: what was measured beside what, their ratio, and where it should lie."""

    task: str
    ours: str
    beside: str
    ratio: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the ratio is on the right side of its limit."""
        return self.ratio >= self.limit if self.at_least else self.ratio <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        met = "yes" if self.met else "**no**"
        cells = (self.task, self.ours, self.beside, f"{self.ratio:.2f}")
        return f"| {' | '.join(cells)} | {sign} {self.limit:g} | {met} |"


HEADER = """\
| attnviz | measured | beside it | ratio | goal | met |
|---|---|---|---|---|---|"""


def side_by_side(
    commands: Mapping[str, Command], rounds: int, warm_up: bool = True
) -> dict[str, list[Run]]:
    """Run every command once to warm up, then all of them in turn, `rounds` times.

    A single round is a try of the scripts, and not warmed up.
    """
    for command in commands.values() if warm_up and rounds > 1 else ():
        run(command)
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, command in commands.items():
            runs[name].append(run(command))
            print(f"{number + 1}/{rounds} {name}: {_told(runs[name][-1])}", file=sys.stderr)
    return runs


def run(command: Command) -> Run:
    """Run it to its end; RuntimeError with what it wrote on standard error if it fails."""
    with tempfile.TemporaryFile() as errors, open(command.stdin or os.devnull, "rb") as stdin:
        start = time.perf_counter()
        process = subprocess.Popen(
            command.arguments,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=_as_a_user_has_it(),
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace")
            raise RuntimeError(f"{command.arguments} ended with {process.returncode}: {said}")
    # Linux counts in KiB, macOS in bytes
    memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Run(seconds, memory, usage.ru_utime + usage.ru_stime)


def _as_a_user_has_it() -> dict[str, str]:
    """The environment, less what keeps Python from storing byte code."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder, with a cache of its own for attnviz, so that the user's stays."""
    before = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CACHE_HOME"] = str(Path(name) / "cache")
        try:
            yield Path(name)
        finally:
            del os.environ["XDG_CACHE_HOME"]
            if before is not None:
                os.environ["XDG_CACHE_HOME"] = before


def make_model(family: str, folder: Path, sizes: Mapping[str, int] | None = None) -> None:
    """Make a model of random weights, of the family's usual sizes unless others are given."""
    script = str(Path(__file__).with_name("random_model.py"))
    run(Command(python(script, family, str(folder), json.dumps(sizes or {}))))


def attnviz(*arguments: str) -> list[str]:
    """The command line of this environment's attnviz."""
    return [str(Path(sys.executable).with_name("attnviz")), *arguments]


def python(*arguments: str) -> list[str]:
    """The command line of this environment's Python."""
    return [sys.executable, *arguments]


def median_seconds(runs: Sequence[Run]) -> float:
    """The median of the runs' wall times."""
    return statistics.median(run.seconds for run in runs)


def median_memory(runs: Sequence[Run]) -> float:
    """The median of the runs' peaks, in bytes."""
    return statistics.median(run.memory for run in runs)


def ratio_of(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios, round by round."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def asked() -> argparse.Namespace:
    """The options that the scripts share."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5, help="counted runs of each command (5)")
    parser.add_argument("--sentences", type=int, default=2000, help="sentences in the file (2000)")
    parser.add_argument("--out", type=Path, default=PAGE, help="what all.py writes")
    return parser.parse_args()


def _told(run: Run) -> str:
    return f"{run.seconds:.2f} s, {run.memory / MIB:.0f} MiB"
