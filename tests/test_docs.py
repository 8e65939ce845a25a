"""The documents tell the truth: sessions, code, numbers, links, the tree, the CLI reference."""

import doctest
import importlib.util
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from process import KERNELS
from reader import alike

from attnviz.model import Model

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.ko.md")
PAGES = ("docs/guide.md", "docs/measures.md", "docs/article.md", "docs/cause.md")
DOCUMENTS = (
    *READMES,
    *PAGES,
    "docs/article.ko.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/api.md",
    "docs/atlas.md",
    "docs/cli.md",
    "docs/glossary.md",
    "docs/models.md",
    "docs/probe.md",
    "docs/pronouns.md",
    "docs/shapes.md",
    "docs/view.md",
)
ELIDED = "…"
HANGUL = re.compile("[가-힣]")


LEAVING_OUT = {"attnviz patch --tsv samples/pronouns.tsv --top 5 --quiet"}
"""Commands that tell what they leave out, and exit with 2."""


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", read(name), re.MULTILINE | re.DOTALL)


def sessions(name: str) -> dict[str, list[str]]:
    """Each command of a document's sessions with the lines it is shown to print."""
    shown: dict[str, list[str]] = {}
    command = ""
    for line in "".join(blocks(name, "console")).splitlines():
        if line.startswith("$ "):
            command = line[2:]
            shown[command] = []
        elif line.startswith("> ") and not shown[command]:
            lines = shown.pop(command)
            command += f"\n{line[2:]}"
            shown[command] = lines
        else:
            shown[command].append(line)
    return shown


def run(command: str, folder: Path) -> list[str]:
    """What a terminal of 80 columns would show of a command, without colour."""
    bin_folder = Path(sys.executable).parent
    environment = {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "ATTNVIZ_TERMINAL": "",
        "COLUMNS": "80",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        **{name: os.environ[name] for name in KERNELS if name in os.environ},
    }
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == (2 if command in LEAVING_OUT else 0), f"{command}\n{done.stdout}"
    return [line.rstrip() for line in done.stdout.splitlines()]


def is_as_shown(printed: list[str], shown: list[str]) -> bool:
    """Whether a reader sees these lines, where `…` stands for any number of lines."""
    if not shown:
        return not printed
    if shown[0] == ELIDED:
        return any(is_as_shown(printed[start:], shown[1:]) for start in range(len(printed) + 1))
    return printed != [] and alike(printed[0], shown[0]) and is_as_shown(printed[1:], shown[1:])


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder of a reader who stands in the checkout: samples/ lies there, nothing else does."""
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    return tmp_path


@pytest.mark.slow
def test_the_sessions_are_real(workplace: Path) -> None:
    printed = {command: run(command, workplace) for command in sessions("README.ko.md")}
    for name in READMES:
        for command, shown in sessions(name).items():
            assert is_as_shown(printed[command], shown), (
                f"{name} shows of {command!r} what it does not print:\n"
                + "\n".join(printed[command])
            )
    written = {path.name for path in workplace.iterdir()}
    assert {"head.png", "동물.png"} <= written


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_the_sessions_of_a_page_are_real(name: str, workplace: Path) -> None:
    shown = sessions(name)
    assert len(shown) >= 5
    for command, lines in shown.items():
        printed = run(command, workplace)
        assert is_as_shown(printed, lines), "\n".join([command, *printed])


def test_both_readmes_show_the_same_commands() -> None:
    english, korean = list(sessions("README.md")), list(sessions("README.ko.md"))
    assert len(english) >= 2
    assert korean[: len(english)] == english
    assert any(HANGUL.search(command) for command in korean[len(english) :])
    assert set_up("README.md") == set_up("README.ko.md") == ["make run", "make test"]


def set_up(name: str) -> list[str]:
    return [line.partition("#")[0].strip() for line in blocks(name, "sh")[0].splitlines()]


def test_elided_lines_are_the_only_ones_that_may_differ() -> None:
    assert is_as_shown(["a", "b", "c"], ["a", ELIDED])
    assert is_as_shown(["a"], ["a", ELIDED])
    assert not is_as_shown(["a", "b"], ["a"])
    assert not is_as_shown(["a .68"], ["a .66"])


def test_the_set_up_commands_are_targets_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = {word for name in DOCUMENTS for word in re.findall(r"\bmake ([a-z-]+)`", read(name))}
    assert {"run", "test"} <= targets
    assert {"docs", "samples", "bench"} <= named <= targets


@pytest.mark.parametrize(("name", "lines"), [("README.md", 7), ("docs/guide.md", 5)])
def test_the_python_code_does_what_it_shows(
    name: str, lines: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks(name, "pycon"))
    examples = doctest.DocTestParser().get_doctest(code, {}, name, name, 0)
    report: list[str] = []
    doctest.DocTestRunner(checker=Reader(), verbose=False).run(examples, out=report.append)
    assert "".join(report) == ""
    assert len(examples.examples) >= lines
    if name == "README.md":
        assert (tmp_path / "it.png").stat().st_size > 10_000


class Reader(doctest.OutputChecker):
    """Compares what a reader sees."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(want, got, optionflags) or alike(got, want)


def test_both_readmes_show_the_same_python() -> None:
    english, korean = ("".join(blocks(name, "pycon")) for name in READMES)
    assert without_comments(english) == without_comments(korean)


def without_comments(code: str) -> list[str]:
    return [line.partition("#")[0].rstrip() for line in code.splitlines()]


@pytest.mark.parametrize(
    ("ending", "layer", "head", "animal", "street"),
    [
        ("tired", 3, 1, "0.677", "0.050"),
        ("tired", 5, 11, "0.673", "0.021"),
        ("wide", 3, 1, "0.281", "0.121"),
        ("wide", 5, 11, "0.558", "0.035"),
    ],
)
def test_the_numbers_in_the_text_are_the_models(
    minilm: Model, ending: str, layer: int, head: int, animal: str, street: str
) -> None:
    inspection = minilm.inspect(f"The animal didn't cross the street because it was too {ending}.")
    words = [token.text for token in inspection.tokens.words]
    row = inspection.weights(layer, head)[words.index("it")]
    assert f"{row[words.index('animal')]:.3f}" == animal
    assert f"{row[words.index('street')]:.3f}" == street
    assert animal in read("docs/guide.md")
    assert street in read("docs/guide.md")
    if (layer, head) == (3, 1):
        for name in READMES:
            assert animal in read(name)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    text = read(name)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    inside = [target for target in targets if not target.startswith("https://")]
    for target in inside:
        path = (ROOT / name).parent / target.partition("#")[0]
        assert path.exists(), f"{name} links to {target}, which is not there"


def test_the_map_of_the_tree_is_right() -> None:
    name = "CONTRIBUTING.md"
    [tree] = blocks(name, "text")
    paths = [line.split()[0] for line in tree.splitlines()]
    for path in paths:
        assert (ROOT / path).exists(), f"{name} names {path}, which is not there"
        assert path.endswith("/") == (ROOT / path).is_dir()
    rooms = {path.name for path in (ROOT / "attnviz").iterdir() if (path / "__init__.py").exists()}
    assert {f"attnviz/{room}/" for room in rooms} <= set(paths)


def test_every_command_is_documented() -> None:
    commands = reference().commands()
    assert {"run", "heatmap", "lines"} <= set(commands)
    for command in commands:
        assert f"\n## attnviz {command}\n" in read("docs/cli.md")
        for name in READMES:
            assert f"attnviz {command} " in read(name), f"{name} does not show {command}"


@pytest.mark.slow
def test_the_reference_is_what_help_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = reference()
    monkeypatch.setattr(script, "REFERENCE", tmp_path / "cli.md")
    assert script.main([]) == 0
    fresh = (tmp_path / "cli.md").read_text(encoding="utf-8")
    assert fresh == read("docs/cli.md"), "docs/cli.md is old: make docs"

    (tmp_path / "cli.md").write_text(fresh.replace("--truncate ", "--cut "), encoding="utf-8")
    assert script.main(["--check"]) == 1
    told = capsys.readouterr()
    assert "\n-  --cut " in told.out
    assert "\n+  --truncate " in told.out
    assert "run: make docs" in told.err


def test_the_reference_of_python_is_what_attnviz_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    script = import_module("api_reference")
    monkeypatch.setattr(script, "REFERENCE", tmp_path / "api.md")
    assert script.main([]) == 0
    fresh = (tmp_path / "api.md").read_text(encoding="utf-8")
    assert fresh == read("docs/api.md"), "docs/api.md is old: make docs"
    assert "<class" not in fresh


def reference() -> ModuleType:
    """scripts/cli_reference.py as a module."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts/cli_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
