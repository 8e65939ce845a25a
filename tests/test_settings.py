"""Defaults of one's own: config.toml, variables above it, options above both."""

from pathlib import Path

import pytest
from process import workplace
from test_cli_startup import SLOW

from attnviz.cli.drawn import PictureOutput
from attnviz.cli.options import ModelChoice, Output
from attnviz.cli.settings import WITHOUT, Setting, config_path, settings
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.show.forms import Style


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's file, not written yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "attnviz" / "config.toml"
    path.parent.mkdir()
    assert path == config_path()
    return path


def test_without_a_file_nothing_is_changed(file: Path) -> None:
    assert settings() == {name: Setting(value) for name, value in WITHOUT.items()}


def test_variables_are_above_the_file_and_options_above_both(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('\ufeff# mine\nmodel = "paper"\ndevice = "cpu"\nspecial = false\n', "utf-8")
    assert (ModelChoice().name, ModelChoice().place) == ("paper", "cpu")
    assert not ModelChoice().chosen  # so the last sentence stays with its model
    monkeypatch.setenv("ATTNVIZ_MODEL", "~/models/bert")
    monkeypatch.setenv("ATTNVIZ_SPECIAL", "Yes")
    monkeypatch.setenv("ATTNVIZ_DEVICE", "")
    assert settings()["special"] == Setting(True, "ATTNVIZ_SPECIAL")
    assert settings()["device"] == Setting("cpu", str(file))
    assert ModelChoice().name == str(Path.home() / "models" / "bert")
    assert ModelChoice(model="minilm", device="auto").name == "minilm"
    assert ModelChoice(model="minilm", device="auto").place == "auto"


def test_a_picture_s_form_is_for_commands_that_draw(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for form, table, picture in (("json", "json", "png"), ("svg", "table", "svg")):
        monkeypatch.setenv("ATTNVIZ_FORMAT", form)
        assert (Output().form, PictureOutput().form) == (table, picture)
    assert Output(output=Path("x.csv")).form == "csv"
    assert PictureOutput(output=Path("x.pdf")).form == "pdf"
    assert Output(format="md").form == "md"
    monkeypatch.setenv("ATTNVIZ_LANG", "ko")
    assert PictureOutput().style == Style(language="ko")
    assert PictureOutput(lang="en").style == Style(language="en")
    assert PictureOutput(format="json").style is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('model = "minilm"\nmodle = "x"', ', line 2: there is no setting "modle"'),
        ('[run]\nmodel = "x"', ', line 1: there is no setting "run"'),
        ('special = "no"', ', line 1: special is "no", and true or false is expected'),
        ("\n\n  quiet=1", ', line 3: quiet is "1", and true or false is expected'),
        ("model = 3", ', line 1: model is "3", and a name in quotes is expected'),
        ('model = ""', ', line 1: model is "", and a name in quotes is expected'),
        ('format = "npz"', ', line 1: format is "npz", and one of table, json,'),
        ('device = "gpu"', ', line 1: device is "gpu", and one of auto, cpu, cuda, mps is'),
        ("model = minilm", " cannot be read: Invalid value (at line 1, column 9)"),
        ("x = " + "[" * 100_000, " cannot be read: "),
    ],
)
def test_what_makes_no_sense_is_told_with_its_line(file: Path, content: str, message: str) -> None:
    file.write_text(content)
    with pytest.raises(RequestError) as caught:
        settings()
    assert caught.value.message.startswith(f"{file}{message}")
    assert caught.value.hint


def test_near_names_are_offered(file: Path) -> None:
    file.write_bytes(b'modle = "x"')
    with pytest.raises(RequestError) as caught:
        settings()
    assert caught.value.hint.startswith("did you mean model? there are model, device,")
    file.write_bytes(b"model = '\xff'")
    with pytest.raises(RequestError, match="cannot be read: it is not UTF-8"):
        settings()


def test_a_variable_that_makes_no_sense(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNVIZ_WORDS", "maybe")
    with pytest.raises(RequestError, match='ATTNVIZ_WORDS is "maybe", and true or false is'):
        settings()


def test_a_variable_that_is_none_is_told_once(tmp_path: Path, animal: Inspection) -> None:
    place = workplace(tmp_path, animal)
    done = place("run", "--query", "it", env={"ATTNVIZ_MODLE": "paper", "ATTNVIZ_ENGINE": "numpy"})
    assert done.code == 0
    told = "ATTNVIZ_MODLE is set, but is no variable of attnviz: did you mean ATTNVIZ_MODEL?"
    assert done.err.startswith(f"attnviz: {told}\n")
    assert done.err.count("ATTNVIZ_") == 2
    far = place("memory", env={"ATTNVIZ_": "1"}).err
    assert "ATTNVIZ_ is set, but is no variable of attnviz: did you mean ATTNVIZ_" in far
    assert place("memory", "--quiet", env={"ATTNVIZ_MODLE": "1"}).err == ""


def test_commands_obey_it(tmp_path: Path, animal: Inspection) -> None:
    place = workplace(tmp_path, animal)
    file = place.folder / ".config" / "attnviz" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('special = false\nwords = false\nformat = "json"\nquiet = true\n')
    env = place.without("torch", "transformers", "matplotlib")
    done = place("run", "--query", "it", "--head", "3.1", env=env)
    assert (done.code, done.err) == (0, "")
    assert done.json["unit"] == "piece"
    assert not any(token["special"] for token in done.json["tokens"])
    options = ("--query", "it", "--head", "3.1", "--special", "--words", "-f", "csv")
    above = place("run", *options, env=env)
    assert "[CLS]" in above.out
    file.write_text('modle = "x"\n')
    wrong = place("run", "--query", "it")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err.startswith(f'attnviz: {file}, line 1: there is no setting "modle"\n')
    said = f'attnviz: {file}, line 1: there is no setting "modle": settings are as without the file'
    for form in (["memory"], ["--spec"]):  # which need none
        done = place(*form)
        assert (done.code, done.err) == (0, f"{said}\n")
        assert done.out
    assert place("memory", "--quiet").err == ""
    for help in (["--help"], ["run", "-h"], ["--version"]):  # which do not read it
        assert place(*help, env=place.without(*SLOW, "tomllib")).code == 0
