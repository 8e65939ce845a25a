"""`--resume` as people meet it: what is interrupted goes on, and only where it is the same run."""

import fcntl
import os
import shutil
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from process import TIMEOUT, Done, Workplace, at_a_prompt, workplace
from test_cli_survey import TINY, close, lines, until_kept

from attnviz.inspection import Inspection

QUICK = ("--json", "--no-distances", *TINY)


@pytest.fixture
def place(tmp_path: Path, animal: Inspection) -> Workplace:
    return workplace(tmp_path, animal)


@contextmanager
def waiting(place: Workplace, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has read 60 texts, and waits for more on standard input."""
    read, write = os.pipe()
    try:
        with place.start(*command, stdin=read, before=at_a_prompt) as process:
            os.write(write, lines(60).encode())
            until = time.monotonic() + TIMEOUT
            while any(fcntl.ioctl(read, termios.FIONREAD, bytes(4))):
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.02)
            time.sleep(0.3)  # for those that it has read to run
            yield process
    finally:
        os.close(read)
        os.close(write)


def kept_of(said: str) -> int:
    """How many documents a note says are kept."""
    words = said.split()
    assert said == (
        f"attnviz: interrupted: {words[2]} documents are kept in kept; the same command goes on "
        "from there\n"
    )
    return int(words[2])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_work_keeps_what_it_had(place: Workplace, number: signal.Signals) -> None:
    """The first part is kept at once, a few texts after the start."""
    (place.folder / "a.txt").write_text(lines(1500))
    command = ("survey", "a.txt", *QUICK)
    with place.start(*command, "--resume", "kept", before=at_a_prompt) as process:
        until_kept(place.folder / "kept", process)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130 if number == signal.SIGINT else -9, b"")
    for left in place.folder.glob(".kept.*"):  # SIGKILL leaves what was half-written
        assert number == signal.SIGKILL
        left.unlink()
    rest, whole = place(*command, "--resume", "kept"), place(*command)
    done = int(rest.err.split()[-2])
    assert 0 < done < 1500
    if number == signal.SIGINT:
        assert kept_of(errors.decode()) == done
    else:
        assert errors == b""
    assert rest.err == f"attnviz: going on after {done} documents\n"
    assert rest.json["corpus"] == whole.json["corpus"]
    close(rest, whole)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_few_texts_of_standard_input_are_kept(
    place: Workplace, number: signal.Signals, code: int
) -> None:
    """It waits for more when the signal comes; the same texts must come again."""
    command = ("survey", "-", *QUICK, "--resume", "kept")
    with waiting(place, *command) as process:
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (code, b"")
    done = kept_of(errors.decode())
    assert 0 < done <= 60
    other = place(*command, given="".join(lines(70).splitlines(True)[7:]).encode())
    assert (other.code, other.out) == (2, "")
    assert other.message[1:] == [
        "attnviz: --resume cannot go on: standard input has other texts than when it was read "
        "before",
        "  give another --resume FILE to begin anew",
    ]
    rest = place(*command, given=lines(70).encode())
    assert rest.err == f"attnviz: going on after {done} documents\n"
    whole = place("survey", "-", *QUICK, given=lines(70).encode())
    assert rest.json["corpus"] == whole.json["corpus"]
    close(rest, whole)
    # all was read, and of a stream only reading tells whether there is more
    more = place(*command, given=lines(80).encode())
    assert more.json["corpus"]["documents"] == 80


@pytest.mark.slow
def test_without_a_file_nothing_is_kept(place: Workplace) -> None:
    with waiting(place, "survey", "-", *QUICK) as process:
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, b"")
    assert errors.decode() == (
        "attnviz: interrupted: nothing was kept; with --resume FILE, what is done would be\n"
    )


def resumed(place: Workplace, *files: str) -> Done:
    return place("survey", *files, *QUICK, "--resume", "kept")


def test_other_texts_are_told_by_name(place: Workplace) -> None:
    (place.folder / "a.txt").write_text(lines(9))
    (place.folder / "b.txt").write_text(lines(12))
    first = resumed(place, "a.txt", "b.txt")
    assert first.code == 0
    # the same size, and the same time
    shutil.copy2(place.folder / "b.txt", place.folder / "copy")
    (place.folder / "b.txt").write_text(lines(12).replace("cat", "cow"))
    shutil.copystat(place.folder / "copy", place.folder / "b.txt")
    for files, told in (
        (("a.txt", "b.txt"), "b.txt has changed since it was read"),
        (("a.txt",), "b.txt was read before and not named now"),
        (("a.txt", "copy"), "b.txt was read before and not named now"),
        (("b.txt", "a.txt"), "b.txt has changed since it was read"),
    ):
        done = resumed(place, *files, *(("--as", "txt") if "copy" in files else ()))
        assert (done.code, done.out) == (2, "")
        assert done.message == [
            f"attnviz: kept keeps a run over other texts: {told}",
            "  give another --resume FILE, or delete this one to begin anew",
        ]
    shutil.copyfile(place.folder / "copy", place.folder / "b.txt")  # with another time
    again = resumed(place, "a.txt", "b.txt")
    assert (again.code, again.json) == (0, first.json)
    assert again.err == "attnviz: going on after 21 documents\n"


@pytest.mark.parametrize(
    ("name", "told", "hint"),
    [
        ("/dev/full", "--resume keeps work in a file, and /dev/full is no file that can be read "
                      "again", "give another --resume FILE"),
        (".", "--resume keeps work in a file, and . is a folder", "give another --resume FILE"),
        ("a.txt", "a.txt exists, and it is no file that --resume wrote",
                  "give another --resume FILE"),
        ("half", "half is damaged: the run that it kept cannot be resumed",
                 "delete it to begin anew, or give another file"),
        ("older", "older was written by another version of attnviz",
                  "give another --resume FILE, or delete this one to begin anew"),
    ],
)  # fmt: skip
def test_what_is_no_file_of_a_run_is_left_alone(
    place: Workplace, name: str, told: str, hint: str
) -> None:
    """And nobody is told to delete a file of their own."""
    (place.folder / "a.txt").write_text(lines(3))
    if name in ("half", "older"):
        assert resumed(place, "a.txt").code == 0
        content = (place.folder / "kept").read_bytes()
        content = content[:-9] if name == "half" else content.replace(b"kept/3", b"kept/1")
        (place.folder / name).write_bytes(content)
    before = (place.folder / name).read_bytes() if (place.folder / name).is_file() else None
    done = place("survey", "a.txt", *QUICK, "--resume", name)
    assert (done.out, done.message) == ("", [f"attnviz: {told}", f"  {hint}"])
    assert done.code == (1 if name == "half" else 2)
    if before is not None:
        assert (place.folder / name).read_bytes() == before


def test_an_empty_file_is_a_new_one(place: Workplace) -> None:
    """As mktemp makes them."""
    (place.folder / "a.txt").write_text(lines(3))
    (place.folder / "kept").touch()
    done = resumed(place, "a.txt")
    assert (done.code, done.err) == (0, "")
    same = place("survey", "a.txt", "--resume", "kept", "-o", "kept", "--force")
    assert same.message == [
        "attnviz: -o and --resume both name kept",
        "  give each a name of its own",
    ]
