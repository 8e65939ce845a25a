"""Standard input as shells and programs hand it on: open pipes, loops, other encodings."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
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
def open_pipe() -> Iterator[int]:
    """A pipe in which nothing comes, and which nobody closes for three seconds."""
    read, write = os.pipe()
    closing = threading.Timer(3, os.close, [write])
    closing.start()
    yield read
    closing.join()
    os.close(read)


@pytest.mark.slow
def test_what_it_waits_for_is_told(place: Workplace, open_pipe: int) -> None:
    done = place("run", "--head", "L3H1", stdin=open_pipe)
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        f"{WAITING}; give TEXT instead, or add < /dev/null if none is to come",
        "attnviz: no sentence came on standard input",
        "  give one a line, or add < /dev/null if none is to come",
    ]
    # the hint works
    assert "queries" in place("run", "--head", "L3H1", stdin=subprocess.DEVNULL).out
    assert "queries" in place("run", "--head", "L3H1", "I am", stdin=open_pipe).out


@pytest.mark.slow
def test_what_a_prompt_waits_for(place: Workplace) -> None:
    leader, follower = os.openpty()
    threading.Timer(2, os.write, [leader, b"I am\n\x04"]).start()
    code, screen = place.on_terminal("run", "--head", "0.0", "-", stdin=follower, columns=100)
    os.close(follower)
    os.close(leader)
    assert code == 0
    assert f"{WAITING}; Ctrl-D ends them\n" in screen


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
