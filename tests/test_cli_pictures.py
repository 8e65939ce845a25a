"""`attnviz heatmap` and `attnviz lines`: the files they write, and what they say."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
from conftest import ANIMAL
from matplotlib.artist import Artist
from PIL import Image
from process import Workplace, workplace
from pypdf import PdfReader

import attnviz
from attnviz.inspection import Inspection
from attnviz.inspection.storage import save
from attnviz.model import Model
from attnviz.show.figure import _import_figures, set_unchecked
from attnviz.show.figure.drawing import write_figure

LAST = f'attnviz: the last sentence, "{ANIMAL}", in minilm\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection, minilm: Model) -> Workplace:
    """The animal sentence is remembered, and another one kept in `student`."""
    place = workplace(tmp_path_factory.mktemp("pictures"), animal)
    save(minilm.inspect("I am a student"), place.folder / "student")
    return place


@pytest.fixture(scope="module")
def head(place: Workplace) -> Path:
    """The picture of one head under its default name."""
    done = place("heatmap", "--layer", "3", "--head", "1")
    assert (done.code, done.err) == (0, LAST)
    sentence = "the-animal-didn-t-cross-the-street-because-it-was-too-tired"
    assert re.fullmatch(rf"attnviz-minilm-L3H1-{sentence}-[0-9a-f]{{6}}\.png\n", done.out)
    return place.folder / done.out.rstrip("\n")


def test_a_head_has_a_name_of_its_own(head: Path) -> None:
    assert head.name in os.listdir(head.parent)
    with Image.open(head) as picture:
        assert picture.size > (600, 600)
        assert len(picture.getcolors(1 << 20) or []) > 100


def test_the_same_picture_is_written_over_with_the_same_bytes(place: Workplace, head: Path) -> None:
    before = head.read_bytes()
    env = place.without("mpl_toolkits")  # which no picture needs
    done = place("heatmap", "--head", "L3H1", "--quiet", env=env)
    assert (done.code, done.out, done.err) == (0, f"{head.name}\n", "")
    assert head.read_bytes() == before


def test_python_draws_what_the_command_draws(head: Path, animal: Inspection) -> None:
    drawn = io.BytesIO()
    write_figure(attnviz.heatmap(animal, layer=3, head=1), drawn, "png")
    assert drawn.getvalue() == head.read_bytes()


def test_only_a_command_imports_matplotlib_without_its_descriptions() -> None:
    script = (
        "import sys\nfrom attnviz.show.forms import ALONE\nALONE.set(bool(sys.argv[1:]))\n"
        "import attnviz.show.figure.heatmap\nfrom matplotlib.lines import Line2D\n"
        "print(bool(Line2D.set.__doc__), 'mpl_toolkits.mplot3d' in sys.modules)"
    )
    for given, said in ([], "True True"), (["alone"], "False False"):
        command = [sys.executable, "-W", "error", "-c", script, *given]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == (f"{said}\n", "")


@pytest.mark.parametrize("older", [False, True])
def test_parameters_are_set_in_every_matplotlib(
    older: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with matplotlib.rc_context(), monkeypatch.context() as patch:
        if older:
            patch.delattr("matplotlib.RcParams._update_raw", raising=False)
        set_unchecked({"font.size": 37.0})
        assert matplotlib.rcParams["font.size"] == 37


def test_a_matplotlib_made_otherwise_is_imported_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("matplotlib.artist.kwdoc")
    tell = vars(Artist)["_update_set_signature_and_docstring"]
    _import_figures()
    assert vars(Artist)["_update_set_signature_and_docstring"] is tell


@pytest.mark.parametrize("command", ["heatmap", "lines"])
@pytest.mark.parametrize("suffix", ["png", "svg", "PDF"])
def test_the_suffix_says_the_form(place: Workplace, command: str, suffix: str) -> None:
    name = f"{command}.{suffix}"
    done = place(command, "--layer", "3", "-o", name)
    assert (done.code, done.out, done.err) == (0, f"{name}\n", LAST)
    content = (place.folder / name).read_bytes()
    if suffix == "png":
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.format == "PNG"
        return
    text = (
        content.decode()
        if suffix == "svg"
        else PdfReader(io.BytesIO(content)).pages[0].extract_text()
    )
    for told in ("minilm · layer 3", ANIMAL, "query: who looks", "key: what is looked at"):
        assert told in text


def test_all_heads(place: Workplace) -> None:
    done = place("heatmap", "-o", "all.svg")
    assert (done.code, done.out) == (0, "all.svg\n")
    text = (place.folder / "all.svg").read_text()
    assert "minilm · all heads" in text
    assert "layer 5" in text
    assert "head 11" in text


@pytest.mark.slow
def test_what_somebody_else_wrote_stays(place: Workplace) -> None:
    for name, content in (("mine.png", b"holidays"), ("text.svg", b"<?xml version='1.0'?><svg/>")):
        (place.folder / name).write_bytes(content)
        done = place("heatmap", "--head", "3.1", "-o", name)
        assert (done.code, done.out) == (2, "")
        assert done.err == (
            f"attnviz: {name} exists, and attnviz did not write it, or not in this form\n"
            "  overwrite it with --force, or give another name\n"
        )
        assert (place.folder / name).read_bytes() == content
        forced = place("heatmap", "--head", "3.1", "-o", name, "--force")
        assert (forced.code, forced.out) == (0, f"{name}\n")
        assert place("heatmap", "--head", "3.2", "-o", name).code == 0


@pytest.mark.slow
def test_a_form_that_is_none(place: Workplace) -> None:
    for name, told in (("picture", "does not say in which form"), ("picture.gif", "ends in .gif")):
        done = place("heatmap", "--head", "3.1", "-o", name)
        assert (done.code, done.out) == (2, "")
        assert told in done.err
        assert not (place.folder / name).exists()


@pytest.mark.parametrize("command", [["heatmap"], ["run", "-f", "png"]])
def test_a_picture_on_standard_output(place: Workplace, command: list[str]) -> None:
    done = place(*command, "--load", "student", "--head", "3.1", "-o", "-")
    assert (done.code, done.err) == (0, "")
    with Image.open(io.BytesIO(done.output)) as picture:
        assert picture.format == "PNG"
    assert not (place.folder / "-").exists()


def test_a_picture_command_has_other_forms_too(place: Workplace) -> None:
    done = place("heatmap", "--load", "student", "--head", "3.1", "--json")
    assert (done.code, done.json["schema"]) == (0, "attnviz.run/1")


def test_a_saved_sentence_is_drawn(place: Workplace) -> None:
    done = place("heatmap", "--load", "student", "--head", "3.1")
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"attnviz-minilm-L3H1-i-am-a-student-[0-9a-f]{6}\.png\n", done.out)


@pytest.mark.slow
def test_what_reads_alike_is_not_written_over(place: Workplace) -> None:
    options = ["He left.", "He left?", "--head", "3.1", "--quiet"]
    done = place("heatmap", *options, env={"ATTNVIZ_NO_MEMORY": "1"})
    assert done.code == 0
    names = done.out.splitlines()
    assert len(set(names)) == 2
    assert {re.sub("-[0-9a-f]{6}.png$", "", name) for name in names} == {
        "attnviz-minilm-L3H1-he-left"
    }
    assert (place.folder / names[0]).read_bytes() != (place.folder / names[1]).read_bytes()


def test_lines_choose_the_strongest_head(place: Workplace) -> None:
    done = place("lines", "--query", "it", "-o", "it.svg")
    assert (done.code, done.out) == (0, "it.svg\n")
    note = 'attnviz: no head given, so L2H1, in which "it" looks hardest at "tired": 0.71\n'
    assert done.err == LAST + note
    text = (place.folder / "it.svg").read_text()
    assert "minilm · L2H1 · query: it" in text
    quiet = place("lines", "--query", "it", "--quiet", "-o", "it.svg")
    assert (quiet.code, quiet.err) == (0, "")


def test_a_word_alone_looks_at_what_there_is(place: Workplace) -> None:
    options = ["Hi", "--query", "Hi", "-o", "hi.svg"]
    done = place("lines", *options, env={"ATTNVIZ_NO_MEMORY": "1"})
    assert (done.code, done.out) == (0, "hi.svg\n")
    assert re.fullmatch(
        r'attnviz: no head given, so L\dH\d+, in which "Hi" looks hardest at "\[CLS\]": 1.00\n',
        done.err,
    )


def test_lines_of_everything_are_refused_at_once(place: Workplace) -> None:
    done = place("lines", ANIMAL, env=place.without("torch", "numpy"))
    assert (done.code, done.out) == (2, "")
    assert "--query or --key WORD" in done.err


def test_several_sentences_are_several_pictures(place: Workplace) -> None:
    done = place("lines", "I am a student", "You are a student", "--query", "student")
    assert done.code == 0
    names = done.out.splitlines()
    assert [re.sub("L.H.|-[0-9a-f]{6}.png", "", name) for name in names] == [
        "attnviz-minilm--lines-student-4-i-am-a-student",
        "attnviz-minilm--lines-student-4-you-are-a-student",
    ]
    assert all((place.folder / name).read_bytes().startswith(b"\x89PNG") for name in names)
    assert done.err.count("no head given") == 2


@pytest.mark.slow
def test_several_sentences_do_not_go_into_one_picture(place: Workplace) -> None:
    said = "attnviz: several sentences came, and -o one.png names one picture\n  leave out -o\n"
    arguments = place("heatmap", "I am", "You are", "-o", "one.png")
    piped = place("heatmap", "-o", "one.png", given=b"I am\nYou are\n")
    assert (arguments.code, arguments.out, arguments.err) == (2, "", said)
    assert (piped.code, piped.out, piped.err) == (2, "", said)
    assert not (place.folder / "one.png").exists()


def test_one_sentence_that_is_piped_in_is_one_picture(place: Workplace) -> None:
    options = ["--head", "3.1", "-o", "piped.svg", "--save", "piped"]
    done = place("heatmap", *options, given=b"\nI am a student")
    assert (done.code, done.out, done.err) == (
        0,
        "piped.svg\n",
        "attnviz: blank lines left out: 1\n",
    )
    assert "“I am a student”" in (place.folder / "piped.svg").read_text()
    assert (place.folder / "piped").read_bytes() == place.last.read_bytes()


def test_missing_characters_are_told(place: Workplace, minilm: Model) -> None:
    save(minilm.inspect("the \U00013000 was tired"), place.folder / "hieroglyph")
    done = place("heatmap", "--load", "hieroglyph", "--head", "3.1", "-o", "hieroglyph.png")
    assert (done.code, done.out) == (0, "hieroglyph.png\n")
    assert "attnviz: no installed font has \U00013000: drawn as a box" in done.err
    assert "try: install the font Noto Sans" in done.err


def test_a_name_is_printed_as_it_is(place: Workplace) -> None:
    """A script gets the very bytes; a terminal is not told what its escape codes mean."""
    name = b"\xff.png"
    done = place("heatmap", "--load", "student", "--head", "3.1", "-o", name)
    assert (done.code, done.output, done.err) == (0, name + b"\n", "")
    assert name in os.listdir(os.fsencode(place.folder))
    options = ["--load", "student", "--head", "3.1", "-o", "\x1b[31m.png"]
    code, screen = place.on_terminal("heatmap", *options)
    assert (code, screen) == (0, "\\x1b[31m.png\n")
    assert (place.folder / "\x1b[31m.png").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("heatmap", "--scale", "0-1"), '"0-1" is not a scale\n  give two numbers, as in'),
        (("lines", "--query", "it", "--scale", "1:0"), "a scale from 1 to 0 has no room"),
        (("heatmap", "--scale", "0:1", "-f", "csv"), "--scale is for pictures, and csv is not"),
    ],
)
def test_what_is_no_scale_is_told(place: Workplace, arguments: tuple[str, ...], told: str) -> None:
    done = place(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"attnviz: {told}")


def test_a_scale_of_ones_own_has_a_picture_of_its_own(place: Workplace) -> None:
    asked = "heatmap", "--load", "student", "--head", "3.1"
    pictures = [place(*asked), place(*asked, "--scale", "0:1")]
    assert [(done.code, done.err) for done in pictures] == [(0, "")] * 2
    assert len({done.out for done in pictures}) == 2
