"""The fold under Ray: a real cluster of two workers gives what this machine gives alone."""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import Itself, ShareToItself
from test_cli_survey import until_kept

from attnviz.corpus import ray_engine
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.fold import Folded, Tally, fold
from attnviz.corpus.kept import Kept
from attnviz.corpus.place import documents_from
from attnviz.corpus.ray_cluster import Cluster
from attnviz.corpus.ray_engine import Loading, fold_ray
from attnviz.errors import AttnvizError, RequestError
from attnviz.model import Model

ROOT = Path(__file__).parent.parent
WORK = Itself()
MINILM = Loading("minilm", {})


@dataclass(frozen=True)
class Lines:
    """A reader of a document a line; empty lines are told.

    Whoever reads the line `fatal` of the file is killed, but not if `scar` names a file that is
    there: the first one leaves it.
    """

    paths: tuple[str, ...]
    fatal: int | None = None
    scar: str | None = None

    @property
    def what(self) -> dict[str, Any]:
        return {"files": [(file, None) for file in self.files()]}

    def files(self) -> list[str]:
        return list(self.paths)

    def documents(self, file: str) -> Iterator[Document | Problem]:
        for number, line in enumerate(Path(file).read_text(encoding="utf-8").splitlines()):
            if number == self.fatal:
                self._die()
            if line:
                yield Document(file, number, number + 1, line)
            else:
                yield Problem(file, number + 1, "the line is empty")

    def _die(self) -> None:
        if self.scar is not None:
            if Path(self.scar).exists():
                return
            Path(self.scar).touch()
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[str, str]:
    """Two files of 40 lines; one line is empty, and one is too long for the model."""
    nouns = ("ship", "animal", "student", "letter", "bridge")
    lines = [
        f"The {a} and the {b} did not work {'very ' * n}well."
        for a in nouns
        for b in nouns
        for n in range(4)
    ][:80]
    lines[7], lines[61] = "", "word " * 600
    paths = tmp_path / "a.txt", tmp_path / "b.txt"
    for path, part in zip(paths, (lines[:40], lines[40:]), strict=True):
        path.write_text("\n".join(part), encoding="utf-8")
    return str(paths[0]), str(paths[1])


@contextmanager
def running_cluster(folder: Path) -> Iterator[str]:
    """The address of a cluster with two workers, as `ray start --head` starts it."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    line = [Path(sys.executable).with_name("ray"), "start", "--head", "--block", f"--port={port}"]
    line += ["--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats"]
    line += [f"--object-store-memory={100 << 20}", "--node-ip-address=127.0.0.1"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    with (folder / "cluster.txt").open("w") as said:
        process = subprocess.Popen(
            list(map(str, line)),
            stdout=said,
            stderr=said,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        try:
            until = time.monotonic() + 60
            while "Ray runtime started" not in (folder / "cluster.txt").read_text():
                assert time.monotonic() < until, (folder / "cluster.txt").read_text()
                time.sleep(0.1)
            yield f"127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def assert_same(found: Folded, expected: Folded) -> None:
    assert sorted(found.tally.problems, key=str) == sorted(expected.tally.problems, key=str)
    for name in ("documents", "windows", "pieces", "words", "left_out"):
        assert getattr(found.tally, name) == getattr(expected.tally, name)
    ours, theirs = found.accumulator, expected.accumulator
    assert isinstance(ours, ShareToItself)
    assert isinstance(theirs, ShareToItself)
    assert ours.seen == theirs.seen
    np.testing.assert_allclose(ours.means.mean(), theirs.means.mean(), rtol=0, atol=1e-6)
    both = zip(ours.means.interval(), theirs.means.interval(), strict=True)
    for own, other in both:
        np.testing.assert_allclose(own, other, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_two_workers_give_what_one_machine_gives(
    minilm: Model, corpus: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them is killed, the run is interrupted and resumed: nothing is lost or counted twice.

    The files are named from this folder, which is not the one that the cluster was started in.
    """
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with running_cluster(tmp_path) as address:
        monkeypatch.chdir(tmp_path)
        names = tuple(Path(path).name for path in corpus)
        plain = Lines(names)
        expected = fold(WORK, documents_from(plain, names, None), minilm)
        assert expected.tally.left_out == 2
        cluster = Cluster(2, address)
        killed = Lines(names, fatal=20, scar=str(tmp_path / "scar"))
        kept = Kept.of(tmp_path / "run", WORK, plain, minilm.facts)
        counted: list[int] = []

        def interrupt(tally: Tally, part: float) -> None:
            assert part == len(counted) / 16
            counted.append(tally.documents)
            if len(counted) == 6:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fold_ray(WORK, killed, MINILM, minilm.facts, cluster, kept, interrupt)
        assert Path(killed.scar or "").exists()
        assert counted == sorted(counted)
        assert 0 < counted[-1] < expected.tally.documents
        resumed = fold_ray(WORK, plain, MINILM, minilm.facts, cluster, kept)
        assert_same(resumed, expected)
        # all shards are done: nothing is left to run
        assert_same(fold_ray(WORK, plain, MINILM, minilm.facts, cluster, kept), expected)
        lost = Lines(names, fatal=20)
        with pytest.raises(AttnvizError, match="was lost 4 times with the same part"):
            fold_ray(WORK, lost, MINILM, minilm.facts, cluster)
        unknown = Loading(str(tmp_path / "nothing"), {})
        with pytest.raises(RequestError, match="nothing"):
            fold_ray(WORK, plain, unknown, minilm.facts, cluster)
    time.sleep(1)  # in which a thread of Ray's might join the cluster again
    assert not importlib.import_module("ray").is_initialized()


@pytest.mark.slow
def test_the_command_line_tells_the_same_under_ray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a cluster of its own; Ray itself says nothing."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    texts = importlib.import_module("sentences").sentences(60)
    (tmp_path / "corpus.txt").write_text("\n".join(texts), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
    told = {}
    for engine in ("local", "ray"):
        line = [
            sys.executable,
            "-m",
            "attnviz",
            "survey",
            "corpus.txt",
            "--examples",
            "2",
            "--json",
        ]
        line += ["--engine", engine, *(["--workers", "2"] if engine == "ray" else [])]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        told[engine] = json.loads(done.stdout)
    assert_close(told["ray"], told["local"])


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_from_what_was_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After kill -9 of the process that merges; its cluster ends with it."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    texts = importlib.import_module("sentences").sentences(600)
    (tmp_path / "corpus.txt").write_text("\n".join(texts), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
    line = [sys.executable, "-m", "attnviz", "survey", "corpus.txt", "--no-distances", "--json"]
    under_ray = [*line, "--engine", "ray", "--workers", "2", "--resume", "kept"]
    where: dict[str, Any] = {"env": environment, "cwd": tmp_path}
    with subprocess.Popen(
        under_ray, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **where
    ) as process:
        until_kept(tmp_path / "kept", process)
        process.kill()
    told = {}
    for name, command in (("local", line), ("ray", under_ray)):
        done = subprocess.run(command, capture_output=True, text=True, check=True, **where)
        told[name] = json.loads(done.stdout)
        before = int(done.stderr.split()[-2]) if done.stderr else 0
        assert (0 < before < 600) == (name == "ray")
    assert_close(told["ray"], told["local"])


def assert_close(found: Any, expected: Any, within: float = 1e-6) -> None:
    """The same in JSON, numbers to 1e-6, those above 1 relatively.

    Two numbers are rounded a thousand times more: a corrected p is a p times the number of all
    tests, and maxima that are almost equal count in part.
    """
    loose = ("corrected", "maxima")
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for name, value in expected.items():
            assert_close(found[name], value, 1e-3 if name in loose else within)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other, within)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=within, abs=within)
    else:
        assert found == expected


@pytest.mark.slow
def test_an_address_that_does_not_answer(minilm: Model, corpus: tuple[str, str]) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        free = f"127.0.0.1:{found.getsockname()[1]}"
    for address, said in (
        (free, f"no cluster of Ray answers at {free}"),
        ("nowhere", "--address nowhere is not the address of a cluster"),
    ):
        with pytest.raises(RequestError, match=said):
            fold_ray(WORK, Lines(corpus), MINILM, minilm.facts, Cluster(address=address))


def test_without_ray(
    minilm: Model, corpus: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RequestError, match="needs Ray, and it is not installed") as caught:
        fold_ray(WORK, Lines(corpus), MINILM, minilm.facts, Cluster())
    assert caught.value.hint == "pip install 'attnviz[ray]'"


def test_standard_input_is_on_this_machine_alone(minilm: Model) -> None:
    with pytest.raises(RequestError, match="standard input is here"):
        fold_ray(WORK, Lines(("-",)), MINILM, minilm.facts, Cluster())


def test_large_files_are_cut_and_small_ones_are_read_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_engine, "SHARD_BYTES", 100)
    names = []
    for name, size in (("a", 30), ("b", 60), ("c", 20), ("d", 250), ("e", 5)):
        (tmp_path / name).write_bytes(b"." * size)
        names.append(str(tmp_path / name))
    a, b, c, d, e = names
    several = ray_engine._Plan.of(names * 4, 2)
    assert several.shards[:6] == [
        [(a, 0, 1), (b, 0, 1)],
        [(c, 0, 1)],
        [(d, 0, 3)],
        [(d, 1, 3)],
        [(d, 2, 3)],
        [(e, 0, 1), (a, 0, 1), (b, 0, 1)],
    ]
    assert ray_engine._Plan.of([a], 2).shards == [[(a, part, 16)] for part in range(16)]
    # of a file that this machine does not see, only the number of workers tells
    assert len(ray_engine._Plan.of(["s3://bucket/corpus.txt"], 100).shards) == 64
    told = ray_engine._Plan([[(a, 0, 2)], [(a, 1, 2)], [(b, 0, 1)]], [1]).told()
    assert ray_engine._Plan.kept(told).left() == [0, 2]
    with pytest.raises(RequestError, match="a run of --engine local"):
        ray_engine._Plan.kept({"file": "a.txt", "number": 3})
