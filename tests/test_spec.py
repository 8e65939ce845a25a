"""`attnviz --spec` and SKILL.md: what programs are told of the command line is so."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from process import Workplace, workplace
from test_cli_startup import SLOW
from test_docs import ROOT, is_as_shown, read, run, sessions

from attnviz.cli.app import COMMANDS, EXIT_CODES
from attnviz.cli.options import SHOW
from attnviz.cli.spec import packaged
from attnviz.inspection import Inspection

SCHEMAS = {path.name: json.loads(path.read_text()) for path in (ROOT / "docs/schema").glob("*")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    return workplace(tmp_path_factory.mktemp("spec"), animal)


@pytest.fixture(scope="module")
def spec(place: Workplace) -> Any:
    done = place("--spec", env=place.without(*SLOW))
    assert (done.code, done.err) == (0, "")
    return done.json


def options_of(spec: Any, name: str) -> dict[str, Any]:
    [command] = [one for one in spec["commands"] if one["name"] == name]
    return {option["flags"][0]: option for option in command["options"]}


def test_it_says_all_that_there_is(spec: Any) -> None:
    jsonschema.validate(spec, SCHEMAS["spec-1.schema.json"])
    assert [command["name"] for command in spec["commands"]] == list(COMMANDS)
    assert spec["schemas"] == {schema["title"]: schema for schema in SCHEMAS.values()}
    assert spec["exit_codes"] == {str(code): meaning for code, meaning in EXIT_CODES.items()}


def test_options_are_those_of_the_commands(spec: Any) -> None:
    run = options_of(spec, "run")
    assert run["--special"]["negative"] == ["--no-special"]
    assert (run["--special"]["type"], run["--special"]["values"]) == ("boolean", 0)
    assert run["--special"]["default"] is True
    assert run["--format"]["flags"] == ["--format", "-f"]
    assert run["--format"]["choices"][:3] == ["table", "json", "jsonl"]
    assert (run["--top"]["type"], run["--top"]["minimum"]) == ("integer", 1)
    assert (run["--head"]["repeats"], run["--head"]["group"]) == (True, SHOW)
    assert run["--measure"]["default"] == "weights"
    assert run["--from"]["name"] == "kept"
    compare = options_of(spec, "compare")
    assert (compare["--models"]["values"], compare["--models"]["repeats"]) == (2, False)
    assert compare["--load"]["repeats"]
    [text] = next(one for one in spec["commands"] if one["name"] == "run")["arguments"]
    assert (text["name"], text["repeats"], text["required"]) == ("text", True, False)


def test_its_options_are_those_that_help_shows(spec: Any, place: Workplace) -> None:
    for name in ("run", "compare"):
        shown = set(re.findall(r"--[a-z][a-z-]*", place(name, "-h", env={"COLUMNS": "200"}).out))
        flags = [
            flag
            for option in options_of(spec, name).values()
            for flag in (*option["flags"], *option["negative"])
            if flag.startswith("--")
        ]
        assert set(flags) <= shown
        assert shown - set(flags) <= {"--help"}


def test_the_settings_in_force_are_told(place: Workplace) -> None:
    file = place.folder / ".config" / "attnviz" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('model = "paper"\nspecial = false\n')
    told = place("--spec", env={"ATTNVIZ_SPECIAL": "1"}).json["settings"]
    file.unlink()
    assert told["file"] == str(file)
    values = {one["name"]: (one["value"], one["origin"]) for one in told["values"]}
    assert values["model"] == ("paper", str(file))
    assert values["special"] == (True, "ATTNVIZ_SPECIAL")
    assert values["words"] == (True, None)


def test_the_skill_is_shown(place: Workplace) -> None:
    assert place("--skill", env=place.without(*SLOW)).out == read("SKILL.md")


def test_the_skill_is_short_and_names_all_commands() -> None:
    skill = read("SKILL.md")
    assert skill.startswith("---\nname: attnviz\ndescription: ")
    assert len(skill.splitlines()) <= 110
    assert set(re.findall(r"`attnviz (\w+)", skill)) <= {*COMMANDS}
    for name in COMMANDS:
        assert f"attnviz {name}" in skill, name


@pytest.mark.slow
def test_every_command_of_the_skill_does_what_it_shows(tmp_path: Path) -> None:
    for command, shown in sessions("SKILL.md").items():
        printed = run(command, tmp_path)
        assert is_as_shown(printed, shown), f"{command}\n" + "\n".join(printed)


def test_every_option_in_the_skill_is_one(spec: Any) -> None:
    known = {
        flag
        for command in spec["commands"]
        for option in command["options"]
        for flag in (*option["flags"], *option["negative"])
    }
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", read("SKILL.md")))
    assert named - known <= {"--spec", "--skill", "--help"}


def test_the_wheel_and_the_sdist_carry_the_schemas_and_the_skill() -> None:
    """As .ci/run shows with an installed one."""
    targets = tomllib.loads(read("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]
    into = {"docs/schema": "attnviz/schema", "SKILL.md": "attnviz/SKILL.md"}
    assert targets["wheel"]["force-include"] == into
    assert set(into) <= set(targets["sdist"]["include"])
    assert {packaged(Path(path).name) for path in into.values()} == {ROOT / path for path in into}
