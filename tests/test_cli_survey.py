"""`attnviz survey` as people run it: files and pipes, what is broken, what is interrupted."""

import gzip
import json
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from process import Done, Workplace, at_a_prompt, workplace

from attnviz.inspection import Inspection

NOUNS = ("cat", "dog", "horse", "child", "teacher", "river", "window", "doctor")
VERBS = ("saw", "liked", "followed", "heard", "painted", "left")
TINY = ("-m", "paper", "--num-layers", "1", "--num-heads", "2", "--d-model", "8", "--d-ff", "8")


def sentence(number: int) -> str:
    """One of many, as people might write them."""
    one, other = NOUNS[number % 8], NOUNS[number // 8 % 8]
    words = ["The", one, VERBS[number % 6], "the", other, "near", "house", str(number)]
    return " ".join(words[: 5 + number % 4]) + "."


def lines(count: int) -> str:
    return "".join(f"{sentence(number)}\n" for number in range(count))


@pytest.fixture
def place(tmp_path: Path, animal: Inspection) -> Workplace:
    return workplace(tmp_path, animal)


def numbers(done: Done) -> Any:
    """What is computed: the same wherever the texts came from."""
    assert done.code == 0, done.err
    answer = done.json
    return [{**head, "examples": None, "sample": None} for head in answer["heads"]]


def test_a_corpus_of_files_and_one_that_is_piped(place: Workplace) -> None:
    folder = place.folder / "corpus"
    folder.mkdir()
    texts = [sentence(number) for number in range(9)]
    (folder / "a.txt").write_text("\n".join(texts[:3]))
    (folder / "b.csv").write_text(
        "id,text\n" + "".join(f"{n},{t}\n" for n, t in enumerate(texts[3:6]))
    )
    (folder / "c.jsonl.gz").write_bytes(
        gzip.compress("".join(json.dumps({"text": text}) + "\n" for text in texts[6:]).encode())
    )
    done = place("survey", "corpus", "--json")
    corpus = done.json["corpus"]
    assert (done.code, done.err) == (0, "")
    assert corpus["files"] == ["corpus/a.txt", "corpus/b.csv", "corpus/c.jsonl.gz"]
    assert (corpus["documents"], corpus["windows"], corpus["left_out"]) == (9, 9, 0)
    piped = place("survey", "--json", given="\n".join(texts).encode())
    assert piped.json["corpus"]["files"] == ["-"]
    means = [
        [number["mean"] for number in head["statistics"].values()]
        for answer in (done, piped)
        for head in answer.json["heads"]
    ]
    half = len(means) // 2
    for one, other in zip(means[:half], means[half:], strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(place: Workplace) -> None:
    (place.folder / "a.txt").write_bytes(lines(4).encode() + b"caf\xe9\n" + lines(4).encode())
    (place.folder / "b.csv").write_text("body,label\nx,1\n")
    (place.folder / "c.txt.gz").write_bytes(gzip.compress(lines(20).encode())[:-12])
    (place.folder / "d.txt").write_text("")
    done = place("survey", "a.txt", "b.csv", "c.txt.gz", "d.txt", "--json", "--no-distances")
    assert done.code == 0
    said = done.err.splitlines()
    assert said[0].startswith("attnviz: a.txt:5: the line is not UTF-8 at byte 3 (convert the file")
    assert said[1].startswith("attnviz: b.csv:1: there is no column text: there are body, label")
    assert said[2].startswith("attnviz: c.txt.gz:")
    assert said[2].endswith("it cannot be read any further: it ends in the middle")
    assert said[3] == "attnviz: d.txt: there is no text in it"
    assert len(said) == 4
    assert done.json["corpus"]["left_out"] == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.txt"], ["there is no file none.txt", "check the path; - is standard input"]),
        (["empty.txt"], ["empty.txt: there is no text in it",
                         "no document could be read, see above"]),
        ([], ["no FILE was given, and nothing comes on standard input",
              "name files or folders, as in attnviz survey corpus.txt"]),
        (["empty.txt", "--stride", "510"],
         ["with a stride of 510, windows would not overlap: the model takes 510 tokens besides "
          "special ones", "give at most 509; 255 lets half of each window overlap"]),
        (["empty.txt", "--workers", "2"], ["--workers is for --engine ray",
                                           "add that, or leave it out"]),
        (["empty.txt", "--resume", "none/kept"],
         ["cannot write none/kept: there is no folder none", "make the folder first"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(place: Workplace, arguments: list[str], said: list[str]) -> None:
    (place.folder / "empty.txt").write_text("")
    done = place("survey", *arguments)
    assert (done.code, done.out) == (2, "")
    assert [line.removeprefix("attnviz: ").strip() for line in done.err.splitlines()] == said


def test_a_file_of_another_kind_is_not_written_over(place: Workplace) -> None:
    (place.folder / "a.txt").write_text(lines(3))
    done = place("survey", "a.txt", "--resume", "a.txt", *TINY)
    assert (done.code, done.out) == (2, "")
    assert done.message[0] == "attnviz: a.txt exists, and it is no file that --resume wrote"
    assert (place.folder / "a.txt").read_text() == lines(3)


def test_ctrl_c_while_it_waits_for_a_pipe(place: Workplace) -> None:
    reading, writing = os.pipe()
    with place.start("survey", "-", *TINY, stdin=reading, before=at_a_prompt) as process:
        os.write(writing, lines(3).encode())
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    os.close(reading)
    os.close(writing)
    assert (process.returncode, output) == (130, b"")
    assert errors.startswith(b"attnviz: interrupted: nothing was kept")


def test_completion_offers_files_and_forms(place: Workplace) -> None:
    def offered(line: str) -> list[str]:
        done = place(line, " \t\n", env={"_ATTNVIZ_COMPLETE": "bash"})
        return done.out.splitlines()

    assert offered("attnviz survey corp")[0] == "files"
    assert offered("attnviz survey --resume k")[0] == "files"
    assert offered("attnviz survey a.txt --as ")[1:] == [
        "txt", "csv", "tsv", "jsonl", "parquet", "conllu",
    ]  # fmt: skip
    assert "survey" in offered("attnviz su")


def test_one_text_has_no_interval(place: Workplace) -> None:
    done = place("survey", "-", "--json", given=b"The cat saw the dog.\n")
    assert done.code == 0
    assert done.json["intervals"] is None
    assert done.json["corpus"]["documents"] == 1
    assert {one["low"] for one in done.json["heads"][0]["statistics"].values()} == {None}


def test_limits_and_going_on(place: Workplace) -> None:
    (place.folder / "a.txt").write_text(lines(30))
    whole = place("survey", "a.txt", "--json", "--no-distances")
    some = place("survey", "a.txt", "--json", "--no-distances", "--limit", "9", "--resume", "kept")
    assert some.json["corpus"]["documents"] == 9
    first = place("survey", "a.txt", "--no-distances", "--limit", "1", "--resume", "one")
    assert (first.code, first.err) == (0, "")
    one = place("survey", "a.txt", "--no-distances", "--limit", "2", "--resume", "one")
    assert one.err == "attnviz: going on after 1 document\n"
    rest = place("survey", "a.txt", "--json", "--no-distances", "--resume", "kept")
    assert rest.err == "attnviz: going on after 9 documents\n"
    assert rest.json["corpus"] == whole.json["corpus"]
    close(rest, whole)
    again = place("survey", "a.txt", "--json", "--no-distances", "--resume", "kept", "--quiet")
    assert (again.json, again.err) == (rest.json, "")
    other = place("survey", "a.txt", "--resume", "kept", "--measure", "norm")
    assert other.code == 2
    assert other.message[0] == "attnviz: kept keeps a run with measure weights, and norm came"
    probe = place("probe", "--conllu", "a.txt", "--resume", "kept")
    assert (probe.code, probe.message[0]) == (
        2, "attnviz: kept keeps a run of survey, and probe --conllu came",
    )  # fmt: skip
    fewer = place("survey", "a.txt", "--no-distances", "--resume", "kept", "--limit", "9")
    assert (fewer.code, fewer.message) == (
        2,
        ["attnviz: kept keeps the first 30 documents, and --limit 9 came",
         "  give --limit 30 or more, or another --resume FILE"],
    )  # fmt: skip


def close(one: Done, other: Done) -> None:
    """Whether two runs found the same."""
    for a, b in zip(numbers(one), numbers(other), strict=True):
        for name, number in a["statistics"].items():
            for key in ("mean", "low", "high"):
                assert number[key] == pytest.approx(b["statistics"][name][key], abs=1e-6)
        assert [role["name"] for role in a["roles"]] == [role["name"] for role in b["roles"]]


def until_kept(path: Path, process: Any) -> None:
    """Wait until a part of the work was kept."""
    first = None
    while process.poll() is None:
        if path.exists():
            first = first or path.stat().st_mtime_ns
            if path.stat().st_mtime_ns > first:
                return
        time.sleep(0.01)
    raise AssertionError("it ended too early")


def small_files() -> None:
    """As on a full disk: no file can be longer."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))


def test_a_full_disk(place: Workplace) -> None:
    (place.folder / "a.txt").write_text(lines(9))
    done = place("survey", "a.txt", "--resume", "kept", before=small_files)
    assert (done.code, done.out) == (1, "")
    assert done.message == ["attnviz: cannot write kept: file too large", "  choose another place"]
    done = place("survey", "a.txt", "--json", "-o", "/dev/full")
    assert (done.code, done.out) == (1, "")
    assert done.message[0] == "attnviz: cannot write /dev/full: no space left on device"


@pytest.mark.slow
def test_progress_on_a_terminal(place: Workplace) -> None:
    (place.folder / "a.txt").write_text(lines(3000))
    command = ("survey", "a.txt", "--no-distances", *TINY)
    code, screen = place.on_terminal(*command, "-o", "a.json", columns=100)
    assert code == 0
    assert "documents" in screen
    assert "tokens/s" in screen
    assert "time left" in screen
    code, screen = place.on_terminal(*command, "--limit", "50", "-o", "b.json", "--quiet")
    assert (code, screen) == (0, "")


def test_pages_and_pictures(place: Workplace) -> None:
    (place.folder / "a.txt").write_text(lines(9))
    done = place("survey", "a.txt", "-o", "atlas.html")
    assert (done.code, done.out, done.err) == (0, "atlas.html\n", "")
    assert (place.folder / "atlas.html").read_bytes().startswith(b"<!doctype html>")
    done = place("survey", "a.txt", "-f", "png")
    name = done.out.rstrip("\n")
    assert done.code == 0
    assert name.startswith("attnviz-minilm-survey-a-")
    assert (place.folder / name).read_bytes().startswith(b"\x89PNG")
    assert len(os.listdir(place.folder)) == 3
