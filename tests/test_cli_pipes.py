"""attnviz between other programs: sentences that come in, results that go out, and what breaks."""

import io
import os
import re
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from conftest import ANIMAL
from process import TIMEOUT, Workplace, workplace

from attnviz.inspection import Inspection
from attnviz.model import Model

MIXED = (
    b"\xef\xbb\xbfThe animal was tired.\r\n"  # a byte order mark, as Windows has it
    b"\n"
    b"caf\xe9 in Latin-1\n"
    b" \t \r\n" + b"tired " * 600 + b"\n"
    b"I am \x1b[31mred\x07 and \x00nothing\n"
    b"\xeb\x8f\x99\xeb\xac\xbc\xec\x9d\x80 \xed\x94\xbc\xea\xb3\xa4\xed\x95\xb4"
)
"""Lines 1, 6 and 7 can be looked at; 2 and 4 are blank, 3 is not UTF-8, 5 is too long."""

MIXED_TEXTS = ["The animal was tired.", "I am \x1b[31mred\x07 and \x00nothing", "동물은 피곤해"]
MIXED_ERRORS = """\
attnviz: line 3: the line is not UTF-8 at byte 3
  convert the file, as in iconv -f LATIN1 -t UTF-8 FILE (Korean: -f CP949)
attnviz: line 5: the sentence is 602 tokens long, and the model takes at most 512
  use --truncate for its beginning, or attnviz run --stride N for windows that overlap
attnviz: line 6: 3 words were dropped by the tokenizer of minilm, so that the model never sees \
them: U+001B, U+0007, U+0000
attnviz: blank lines left out: 2
attnviz: 2 sentences left out, see above
"""


NONE_CAME = """\
no sentence came on standard input
  give one a line, or add < /dev/null if none is to come"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    place = workplace(tmp_path_factory.mktemp("pipes"), animal)
    (place.folder / "animal").write_bytes(place.last.read_bytes())
    return place


def test_a_sentence_is_answered_before_the_next_one_comes(place: Workplace) -> None:
    with place.start("run", "--json", "--head", "3.1", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        guard = threading.Timer(TIMEOUT, process.kill)
        guard.start()
        texts = [ANIMAL, "동물은 피곤했다.", "And a last one"]
        for text in texts:
            process.stdin.write(f"{text}\n".encode())
            process.stdin.flush()
            assert orjson.loads(process.stdout.readline())["text"] == text
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(TIMEOUT) == 0
        guard.cancel()
    remembered = place("run", "--json")
    assert remembered.json["text"] == texts[-1]


def test_lines_of_all_kinds(place: Workplace) -> None:
    done = place("run", "--json", "--head", "3.1", "-", given=MIXED)
    assert [parsed["text"] for parsed in done.json_lines] == MIXED_TEXTS
    assert (done.code, done.err) == (2, MIXED_ERRORS)


def test_quiet_keeps_notes_back_and_tells_errors(place: Workplace) -> None:
    """The CSV's text_index is the line's, and words stand there as they came."""
    options = ["-f", "csv", "--head", "3.1", "--quiet", "-o", "mixed.csv"]
    done = place("run", *options, given=MIXED)
    assert (done.code, done.out) == (2, "")
    notes = ("attnviz: line 6", "attnviz: blank lines left out")
    told = [line for line in MIXED_ERRORS.splitlines() if not line.startswith(notes)]
    assert done.err.splitlines() == told
    rows = (place.folder / "mixed.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert list(Counter(row.split(",")[0] for row in rows)) == ["0", "5", "6"]
    assert any(",동물은," in row for row in rows)


@pytest.mark.slow
def test_the_archives_numbers_are_the_lines(place: Workplace) -> None:
    done = place("run", "-f", "npz", "--head", "3.1", "--truncate", given=MIXED)
    assert done.code == 2
    assert "attnviz: line 5: cut to 512 of 602 tokens\n" in done.err
    arrays = np.load(io.BytesIO(done.output))
    shapes = {name: arrays[name].shape for name in arrays.files if name.endswith(".weights")}
    assert list(shapes) == ["0.weights", "4.weights", "5.weights", "6.weights"]
    assert shapes["4.weights"] == (1, 512, 512)
    meta = orjson.loads(str(arrays["meta"]))
    assert [sentence["index"] for sentence in meta["sentences"]] == [0, 4, 5, 6]
    assert [s["text"] for s in meta["sentences"] if s["index"] != 4] == MIXED_TEXTS


@pytest.mark.slow
def test_a_word_that_one_sentence_lacks(place: Workplace) -> None:
    texts = b"it is tired\nnothing here\nand it#2 it\n"
    done = place("run", "--query", "it#2", "--key", "it", given=texts)
    assert done.code == 2
    assert done.out.count("how much it@5 looks at it@2") == 1
    assert done.err.splitlines() == [
        'attnviz: line 1: there is no it#2: "it" occurs once',
        "  it#1 is the first",
        'attnviz: line 2: there is no "it#2" in the sentence',
        "  it has [CLS], nothing, here, [SEP]",
        "attnviz: line 3: it occurs 2 times; --key takes the first, it#1 or @2",
        "attnviz: 2 sentences left out, see above",
    ]


@pytest.mark.slow
def test_no_result_is_no_file(place: Workplace) -> None:
    for given, said in (
        (b"", f"attnviz: {NONE_CAME}\n"),
        (b"\n  \n", f"attnviz: {NONE_CAME}\n"),
        (b"\xff\n", "attnviz: 1 sentence left out, see above\n"),
    ):
        done = place("run", "-f", "csv", "-o", "nothing.csv", given=given)
        assert (done.code, done.out) == (2, "")
        assert done.err.endswith(said)
        assert not (place.folder / "nothing.csv").exists()


@pytest.mark.slow
def test_three_hundred_sentences_in_their_order(place: Workplace, minilm: Model) -> None:
    """Batches change no number by more than 1e-5, whatever else is in them."""
    words = ANIMAL.split()
    texts = [f"{number} " + " ".join(words[: number % 11 + 1]) for number in range(300)]
    done = place(
        "run", "--json", "--head", "3.1", "--head", "5.11", given="\n".join(texts).encode()
    )
    assert (done.code, done.err) == (0, "")
    parsed = done.json_lines
    assert [one["text"] for one in parsed] == texts
    for number in (0, 54, 107, 299):
        alone = minilm.inspect(texts[number])
        for head in parsed[number]["heads"]:
            np.testing.assert_allclose(
                np.array(head["weights"], np.float32),
                alone.weights(head["layer"], head["head"]),
                rtol=0,
                atol=1e-5,
            )


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_of_many(place: Workplace) -> None:
    with (
        place.start("run", "--json", stdin=subprocess.PIPE) as process,
        subprocess.Popen(["head", "-1"], stdin=process.stdout, stdout=subprocess.PIPE) as head,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        process.stdin.write(f"{ANIMAL}\n".encode() * 300)
        process.stdin.close()
        process.stdin = None
        first, _ = head.communicate(timeout=TIMEOUT)
        assert orjson.loads(first)["text"] == ANIMAL
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(TIMEOUT) == 0


@pytest.mark.parametrize(
    "options", [["-f", "csv"], ["--json"], ["-f", "npz"], [f"--layer={n}" for n in range(6)]]
)
def test_a_reader_that_has_seen_enough(place: Workplace, options: list[str]) -> None:
    with place.start("run", "--load", "animal", *options) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(10)) == 10
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(TIMEOUT) == 0


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--load", "animal"]])
def test_a_reader_that_is_gone(place: Workplace, arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = place(*arguments, stdout=write)
    os.close(write)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["run", "--load", "animal"], ["run", "--json"]]
)
def test_a_full_disk_behind_standard_output(place: Workplace, arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = place(*arguments, stdout=full)
    assert done.code == 1
    assert done.message == [
        "attnviz: cannot write the results: no space left on device",
        "  write to another place with -o",
    ]


def test_a_full_disk_behind_standard_error(place: Workplace) -> None:
    """What cannot be told is no reason to keep the results back."""
    with open("/dev/full", "wb") as full:
        done = place("run", "--head", "3.1", stderr=full)
        wrong = place("run", "--head", "9.9", stderr=full)
    assert (done.code, "queries" in done.out) == (0, True)
    assert (wrong.code, wrong.out) == (2, "")


def closing(*descriptors: int) -> dict[str, Any]:
    def close() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return {"before": close}


@pytest.mark.slow
def test_streams_that_are_closed(place: Workplace) -> None:
    run, heatmap = ([name, "--load", "animal", "--head", "3.1"] for name in ("run", "heatmap"))
    no_output = place(*run, **closing(1))
    assert no_output.code == 1
    assert no_output.message == [
        "attnviz: standard output is closed",
        "  write to a file with -o FILE",
    ]
    no_errors = place(*run, **closing(2))
    assert (no_errors.code, "queries" in no_errors.out) == (0, True)
    wrong = place("run", "--wrods", **closing(2))
    assert (wrong.code, wrong.out) == (2, "")
    no_input = place(*run, **closing(0))
    assert (no_input.code, no_input.out) == (0, no_errors.out)
    nothing = place(*run, "-o", "closed.csv", **closing(0, 1, 2))
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "")
    assert (place.folder / "closed.csv").read_bytes().count(b"\n") == 1 + 14 * 14
    drawn = place(*heatmap, "-o", "closed.png", "--quiet", **closing(0, 1))
    assert (drawn.code, drawn.err) == (0, "")
    assert (place.folder / "closed.png").read_bytes().startswith(b"\x89PNG")


def test_standard_input_that_cannot_be_read(place: Workplace) -> None:
    with (place.folder / "written").open("wb") as written:
        done = place("run", "-", stdin=written)
    assert done.code == 1
    assert done.err == (
        "attnviz: standard input cannot be read: bad file descriptor\n"
        "  give a sentence as TEXT, or pipe some in\n"
    )


def test_a_sentence_given_is_not_looked_for_in_a_pipe(place: Workplace) -> None:
    read, write = os.pipe()  # nothing comes, and it is never closed
    done = place("run", "I am a student", "--json", "--head", "0.0", stdin=read)
    os.close(read)
    os.close(write)
    assert (done.code, done.json["text"]) == (0, "I am a student")


def test_jq_reads_it(place: Workplace) -> None:
    jq = shutil.which("jq")
    assert jq is not None, "make tools installs jq"
    program = ".heads[] | select(.layer == 3 and .head == 1) | .weights[8][2] * 1000 | round"
    done = place("run", "--load", "animal", "--json")
    answer = subprocess.run([jq, program], input=done.output, capture_output=True, check=True)
    assert answer.stdout == b"677\n"


def slowly(write: int, seconds: float) -> None:
    """Two sentences with a pause between them."""
    for _ in range(2):
        os.write(write, b"I am a student\n")
        time.sleep(seconds)
    os.close(write)


@pytest.fixture
def slow() -> Iterator[int]:
    read, write = os.pipe()
    writer = threading.Thread(target=slowly, args=(write, 3.0))
    writer.start()
    yield read
    os.close(read)
    writer.join()


@pytest.mark.slow
def test_progress_is_shown_where_it_takes_longer(place: Workplace, slow: int) -> None:
    """The names of the pictures go to standard output all the same."""
    with (place.folder / "names").open("wb") as names:
        options = ["lines", "-", "--head", "3.1"]
        code, screen = place.on_terminal(*options, stdin=slow, stdout=names)
    assert code == 0
    assert re.search(r"loading the model|sentence \d", screen)
    name, again = (place.folder / "names").read_text().splitlines()
    assert re.fullmatch(r"attnviz-minilm-L3H1-lines-i-am-a-student-[0-9a-f]{6}\.png", name)
    assert again == name
    assert "student.png" not in screen
