"""Standard input as shells and programs hand it on: open pipes, loops, other encodings."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from process import COMMAND, TIMEOUT, Workplace, workplace

from attnviz.cli.reading import LineReader
from attnviz.errors import RequestError
from attnviz.inspection import Inspection

WAITING = "attnviz: waiting for sentences, one a line, on standard input"
SHARED = "attnviz: standard input is shared with what called attnviz"
TEXTS = ["I am a student", "동물은 피곤해", "You are tired"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    return workplace(tmp_path_factory.mktemp("stdin"), animal)


@pytest.fixture
def open_pipe() -> Iterator[tuple[int, int]]:
    """A pipe in which nothing comes; what is written to its second end is read from its first."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):  # a test may have closed it
            os.close(end)


def told_first(process: subprocess.Popen[bytes]) -> str:
    """What it says first, while it waits; a line."""
    assert process.stderr is not None
    return process.stderr.readline().decode().rstrip("\n")


@pytest.mark.slow
def test_what_it_waits_for_is_told(place: Workplace, open_pipe: tuple[int, int]) -> None:
    reading, writing = open_pipe
    with place.start("run", "--head", "L3H1", stdin=reading) as process:
        first = told_first(process)
        os.close(writing)
        done = place.ended(process)
    assert first == f"{WAITING}; give TEXT instead, or add < /dev/null if none is to come"
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        "attnviz: no sentence came on standard input",
        "  give one a line, or add < /dev/null if none is to come",
    ]


@pytest.mark.slow
def test_the_hints_work_while_a_pipe_is_open(place: Workplace, open_pipe: tuple[int, int]) -> None:
    assert "queries" in place("run", "--head", "L3H1", stdin=subprocess.DEVNULL).out
    assert "queries" in place("run", "--head", "L3H1", "I am", stdin=open_pipe[0]).out


@pytest.mark.slow
def test_what_a_prompt_waits_for(place: Workplace) -> None:
    leader, follower = os.openpty()
    with place.start("run", "--head", "0.0", "-", stdin=follower) as process:
        first = told_first(process)
        os.write(leader, b"I am\n\x04")
        done = place.ended(process)
    os.close(follower)
    os.close(leader)
    assert first == f"{WAITING}; Ctrl-D ends them"
    assert done.code == 0
    assert "queries" in done.out


@pytest.mark.slow
@pytest.mark.parametrize("lines", ["< heads", "piped"])
@pytest.mark.parametrize("hint", ["", "< /dev/null"])
def test_loops_share_their_input(place: Workplace, lines: str, hint: str) -> None:
    (place.folder / "heads").write_text("L3H1\nL0H0\n")
    loop = f'while read h; do {" ".join(COMMAND)} run --json --head "$h" {hint}; done'
    shell = shutil.which("bash") or "sh"
    script = f"cat heads | {loop}" if lines == "piped" else f"{loop} {lines}"
    done = subprocess.run(
        [shell, "-c", script],
        cwd=place.folder,
        env=place.environment(),
        capture_output=True,
        timeout=TIMEOUT,
    )
    said, count = done.stderr.decode(), done.stdout.count(b"\n")
    assert done.returncode == 0
    if hint:
        assert (SHARED in said, count) == (False, 2)
        assert b'"layer":0,"head":0' in done.stdout
    else:
        assert (SHARED in said, count) == (True, 1)
        assert "add < /dev/null" in said


def read(path: Path, content: bytes) -> list[str | RequestError]:
    path.write_bytes(content)
    return [line[1] for line in LineReader(path) if line is not None]


def test_the_size_of_a_file_is_known_and_that_of_a_pipe_is_not(tmp_path: Path) -> None:
    path, pipe = tmp_path / "lines.txt", tmp_path / "pipe"
    path.write_text("a dog\nit ran\n", encoding="utf-8")
    os.mkfifo(pipe)
    assert [LineReader(one).size for one in (path, pipe, tmp_path / "none.txt")] == [13, 0, 0]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_lines_of_every_kind(tmp_path: Path, encoding: str, end: str) -> None:
    for last in ("", end):
        assert read(tmp_path / "text", (end.join(TEXTS) + last).encode(encoding)) == TEXTS


@pytest.mark.parametrize("order", ["le", "be"])
def test_utf_16_without_a_mark(tmp_path: Path, order: str) -> None:
    assert read(tmp_path / "text", "\r\n".join(TEXTS).encode(f"utf-16-{order}")) == TEXTS


@pytest.mark.parametrize("order", ["le", "be"])
def test_utf_16_of_korean_without_a_mark(tmp_path: Path, order: str) -> None:
    texts = ["동물은 피곤해", "길을 건너지 않았다", "갊"]
    assert read(tmp_path / "text", "\n".join(texts).encode(f"utf-16-{order}")) == texts
    assert read(tmp_path / "text", b"\x00\nab\x00\n") == ["\0", "ab\0"]  # UTF-8, with NULs


def test_a_carriage_return_within_a_line_is_text(tmp_path: Path) -> None:
    assert read(tmp_path / "text", b"one\ntwo\rthree\r\n") == ["one", "two\rthree"]


def test_what_is_not_whole(tmp_path: Path) -> None:
    good, bad = read(tmp_path / "text", "I am\nyou".encode("utf-16") + b"\x00")
    assert good == "I am"
    assert isinstance(bad, RequestError)
    assert bad.message == "the line is not whole UTF-16"
    old = read(tmp_path / "text", b"I am\rcaf\xe9\rtired")
    assert [str(line)[:23] for line in old] == ["I am", "the line is not UTF-8 a", "tired"]


@pytest.mark.parametrize("encoding", ["latin1", "cp949"])
def test_the_hint_on_encodings_works(tmp_path: Path, encoding: str) -> None:
    text = {"latin1": "Le café est fermé", "cp949": "동물은 피곤해"}[encoding]
    path = tmp_path / "text"
    [wrong] = read(path, text.encode(encoding))
    assert isinstance(wrong, RequestError)
    words = "iconv -f LATIN1 -t UTF-8".replace("LATIN1", encoding.upper())
    assert encoding.upper() in wrong.hint
    converted = subprocess.run([*words.split(), str(path)], capture_output=True, check=True)
    assert read(path, converted.stdout) == [text]
