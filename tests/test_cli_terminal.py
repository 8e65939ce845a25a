"""attnviz on a terminal: colour, width, encodings, and what escape codes may not do."""

import os
import re
import threading
import time

import orjson
import pytest
from conftest import ANIMAL
from process import Workplace, workplace
from rich.cells import cell_len

from attnviz.inspection import Inspection
from attnviz.inspection.storage import save
from attnviz.model import Model

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
LOOKS = {
    "overview": [],
    "query": ["--query", "it"],
    "key": ["--key", "it"],
    "head": ["--head", "3.1"],
    "top": ["--head", "3.1", "--top", "9"],
    "pair": ["--query", "it", "--key", "animal"],
    "query rows": ["--query", "it", "--layer", "3"],
    "key rows": ["--key", "it", "--layer", "3", "--top", "9"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    place = workplace(tmp_path_factory.mktemp("terminal"), animal)
    (place.folder / "animal").write_bytes(place.last.read_bytes())
    return place


@pytest.mark.parametrize("look", LOOKS)
def test_colour_and_width(place: Workplace, look: str) -> None:
    """On a terminal, what is piped elsewhere in black and white, in colour; never too wide."""
    options = ["run", "--load", "animal", *LOOKS[look]]
    code, screen = place.on_terminal(*options, columns=60)
    assert code == 0
    assert ESCAPE.search(screen)
    lines = ESCAPE.sub("", screen).splitlines()
    assert max(map(cell_len, lines)) <= 60
    piped = place(*options, env={"COLUMNS": "60"}).out
    # legends name the colours where there are any
    legend = re.compile("looks at|^▸: |^(orange|yellow): ")
    black, colour = (
        [line.rstrip() for line in shown if not legend.search(line)]
        for shown in (piped.splitlines(), lines)
    )
    assert colour == black


@pytest.mark.parametrize("columns", [20, 100, 200])
def test_width_follows_the_terminal(place: Workplace, columns: int) -> None:
    options = ["run", "--load", "animal", "--head", "3.1"]
    _, screen = place.on_terminal(*options, columns=columns)
    text = ESCAPE.sub("", screen)
    widest = max(cell_len(line.rstrip()) for line in text.splitlines())
    assert widest <= columns
    assert ("columns are hidden" in " ".join(text.split())) == (columns == 20)
    piped = place(*options, env={"COLUMNS": str(columns)}).out
    assert max(cell_len(line.rstrip()) for line in piped.splitlines()) == widest


def test_columns_are_what_the_user_says(place: Workplace) -> None:
    options = ["run", "--load", "animal", "--head", "3.1"]
    piped = place(*options).out
    for unknown in ("0", "", "wide"):
        assert place(*options, env={"COLUMNS": unknown}).out == piped
    assert place(*options, env={"COLUMNS": "1"}).code == 0
    _, screen = place.on_terminal(*options, columns=200, env={"COLUMNS": "60"})
    assert max(cell_len(line) for line in ESCAPE.sub("", screen).splitlines()) <= 60


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(place: Workplace, env: dict[str, str]) -> None:
    code, screen = place.on_terminal("run", "--load", "animal", "--query", "it", env=env)
    assert code == 0
    colours = re.findall(r"\x1b\[[0-9;]*m", screen)
    assert not any(re.search(r"[34]8;|\b[349][0-7]\b", colour) for colour in colours)
    assert "▸animal .68" in ESCAPE.sub("", screen)


@pytest.mark.parametrize(
    "env",
    [{"LC_ALL": "C"}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX"},
     {"PYTHONIOENCODING": "ascii"}],
)  # fmt: skip
def test_encodings_that_lack_characters(
    place: Workplace, minilm: Model, env: dict[str, str]
) -> None:
    save(minilm.inspect("동물은 tired café"), place.folder / "korean")
    options = ["--load", "korean", "--query", "tired"]
    done = place("run", *options, env=env)
    assert (done.code, done.err) == (0, "")
    assert b"tired looks at" in done.output
    wrong = place("run", *options, "--key", "개", env=env)
    assert (wrong.code, b"attnviz: there is no " in wrong.errors) == (2, True)
    assert place("run", "--help", env=env).code == 0


def test_json_is_utf_8_whatever_the_encoding(place: Workplace, minilm: Model) -> None:
    save(minilm.inspect("동물은 tired café"), place.folder / "korean")
    done = place("run", "--load", "korean", "--json", env={"PYTHONIOENCODING": "ascii"})
    assert done.json["text"] == "동물은 tired café"


def test_escape_codes_are_not_obeyed(place: Workplace, minilm: Model) -> None:
    """Neither in tables, nor in the JSON and CSV that somebody looks at."""
    text = "sp\x1blit [31m a\x07b \x9b31m \u202etired"
    save(minilm.inspect(text), place.folder / "hostile")
    data = ["--json", "--quiet"], ["-f", "csv"]
    for options in ([], ["--query", "tired"], ["--head", "3.1"], *data):
        code, screen = place.on_terminal("run", "--load", "hostile", *options)
        assert code == 0
        left = ESCAPE.sub("", screen)
        assert not set(left) & set("\x1b\x07\x9b\u202e")
        assert "sp\\x1blit" in left or "sp\\u001blit" in left
        if "--json" in options:
            assert orjson.loads(screen)["text"] == text
    with place.start("run", "--load", "hostile", "-f", "csv") as process:
        assert process.stdout is not None
        assert b",sp\x1blit," in process.stdout.read()


def test_an_archive_is_not_for_the_screen(place: Workplace) -> None:
    code, screen = place.on_terminal("run", "--load", "animal", "-f", "npz")
    assert code == 2
    assert "npz is not for reading on a terminal" in screen


def test_nothing_given_at_a_prompt(place: Workplace, animal: Inspection) -> None:
    """With a terminal to type on, attnviz does not wait for it, and says what it shows instead."""
    place.remember(animal)
    leader, follower = os.openpty()
    code, screen = place.on_terminal("run", "--head", "3.1", stdin=follower)
    assert code == 0
    note = f'attnviz: the last sentence, "{ANIMAL}", in minilm\n'
    assert note in screen.replace("was\n         too", "was too")
    os.close(follower)
    os.close(leader)


@pytest.mark.parametrize("columns", [40, 200])
def test_notes_break_between_words(place: Workplace, columns: int) -> None:
    """No line is too wide; the words, joined again, are what a pipe gets."""
    options = ["run", "동물은 피곤했기 때문에 잤다", "--query", "개", "--quiet"]
    code, screen = place.on_terminal(*options, columns=columns)
    piped = place(*options)
    assert (code, piped.code) == (2, 2)
    lines = ESCAPE.sub("", screen).strip().splitlines()
    assert max(map(cell_len, lines)) <= columns
    assert " ".join(" ".join(lines).split()) == " ".join(piped.err.split())
    assert (len(lines) == len(piped.err.splitlines())) == (columns == 200)


def test_errors_in_options_break_between_words(place: Workplace) -> None:
    code, screen = place.on_terminal("run", "--measure", "wieghts", columns=40)
    assert code == 2
    lines = ["Error: Invalid value for '--measure':", "'wieghts' is not one of"]
    assert [line.strip() for line in screen.splitlines()[4:6]] == lines


def test_sentences_typed_at_a_prompt(place: Workplace) -> None:
    leader, follower = os.openpty()
    os.write(leader, b"I am a student\nYou are tired\n\x04")
    code, screen = place.on_terminal("run", "--head", "0.0", "-", stdin=follower)
    assert code == 0
    assert screen.count("queries (who looks) down") == 2
    assert screen.index("I am a student") < screen.index("You are tired")
    os.close(follower)
    os.close(leader)


def test_what_is_wrong_is_told_beside_the_progress(place: Workplace) -> None:
    """The spinner goes, and the message stays on a line of its own."""
    read, write = os.pipe()

    def late() -> None:
        time.sleep(4)
        os.write(write, b"I am\nnothing\n")
        os.close(write)

    writer = threading.Thread(target=late)
    writer.start()
    code, screen = place.on_terminal("run", "--query", "am", "-", stdin=read)
    writer.join()
    os.close(read)
    assert code == 2
    assert "⠋ " in ESCAPE.sub("", screen)
    assert '\nattnviz: line 2: there is no "am" in the sentence\n' in ESCAPE.sub("", screen)
    assert screen.count("\x1b[?25l") == screen.count("\x1b[?25h") > 0
