"""The house stays in shape: small files, short functions, few parameters, documented names."""

import ast
import functools
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from graph import PACKAGE, importers, modules, package

FILES = sorted(PACKAGE.rglob("*.py"))
OUTSIDE_CLI = [path for path in FILES if PACKAGE / "cli" not in path.parents]

MAX_FILE, MAX_FUNCTION, MOST_FUNCTIONS, MAX_PARAMETERS = 400, 60, 40, 8
MIN_FILE = 40

ALONE = {
    "cli/heatmap.py": "a command is a file",
}
"""Files that are shorter than that though only one other imports them, and why they may be."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def length(function: Function) -> int:
    """Lines from `def` to the end, its docstring included, decorators not."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def parameters(function: Function) -> int:
    given = function.args
    names = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    starred = [extra for extra in (given.vararg, given.kwarg) if extra is not None]
    return len([n for n in names if n.arg not in ("self", "cls")]) + len(starred)


def is_overload(node: ast.AST) -> bool:
    """Whether it is a signature alone, for the type checker."""
    names = node.decorator_list if isinstance(node, Function) else []
    return any(isinstance(name, ast.Name) and name.id == "overload" for name in names)


def given_twice(tree: ast.Module) -> list[str]:
    """The module's names that a second assignment gives another value: two meant one name."""
    plain = [node.targets[0] for node in tree.body if isinstance(node, ast.Assign)]
    typed = [node.target for node in tree.body if isinstance(node, ast.AnnAssign) and node.value]
    names = [target.id for target in (*plain, *typed) if isinstance(target, ast.Name)]
    return sorted({name for name in names if names.count(name) > 1})


def public(tree: ast.Module) -> Iterator[tuple[str, Documented]]:
    """The module, its public classes and functions, and their public methods."""
    yield "the module", tree
    for node in tree.body:
        if is_overload(node):
            continue
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                if isinstance(inner, Function) and not inner.name.startswith("_"):
                    yield f"{node.name}.{inner.name}", inner


def calls_of(tree: ast.AST, name: str) -> list[int]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == name]


def test_there_is_a_house() -> None:
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_are_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE


def test_files_are_not_too_small() -> None:
    """What only one file needs, and is short, stands in that file."""
    graph = package()
    small = [
        name_of(path)
        for module, path in modules().items()
        if path.name != "__init__.py" and len(importers(graph, module)) == 1
        if len(path.read_text(encoding="utf-8").splitlines()) < MIN_FILE
    ]
    assert [name for name in small if name not in ALONE] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_functions_are_short(path: Path) -> None:
    found = {function.name: length(function) for function in functions(tree_of(path))}
    assert {name: lines for name, lines in found.items() if lines > MAX_FUNCTION} == {}


def test_nine_functions_in_ten_are_shorter_still() -> None:
    lengths = [length(f) for path in FILES for f in functions(tree_of(path))]
    assert sum(lines <= MOST_FUNCTIONS for lines in lengths) >= 0.9 * len(lengths)


@pytest.mark.parametrize("path", OUTSIDE_CLI, ids=name_of)
def test_functions_take_few_parameters(path: Path) -> None:
    found = {function.name: parameters(function) for function in functions(tree_of(path))}
    assert {name: count for name, count in found.items() if count > MAX_PARAMETERS} == {}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_public_things_are_documented(path: Path) -> None:
    bare = [name for name, node in public(tree_of(path)) if not ast.get_docstring(node)]
    assert bare == []


@pytest.mark.parametrize("path", OUTSIDE_CLI, ids=name_of)
def test_nothing_but_the_command_line_prints(path: Path) -> None:
    assert calls_of(tree_of(path), "print") == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_input_is_never_asserted(path: Path) -> None:
    asserts = [node.lineno for node in ast.walk(tree_of(path)) if isinstance(node, ast.Assert)]
    assert asserts == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_annotations_are_real(path: Path) -> None:
    imports = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom)]
    assert [node.lineno for node in imports if node.module == "__future__"] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_name_of_a_module_is_given_two_values(path: Path) -> None:
    assert given_twice(tree_of(path)) == []


BAD = '''
LIMIT = 1
LIMIT: int = 2
def shout(a, /, b, *c, d, **e):
    print(a)
    assert b


class Thing:
    """A thing."""

    def method(self):
        """Say nothing."""

    def bare(self):
        return 1

    def _hidden(self):
        return 2
'''


def test_a_bad_module_would_be_found() -> None:
    tree = ast.parse(BAD)
    shout, *_ = functions(tree)
    assert (length(shout), parameters(shout)) == (3, 5)
    assert calls_of(tree, "print") == [5]
    assert given_twice(tree) == ["LIMIT"]
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)] == [6]
    bare = [name for name, node in public(tree) if not ast.get_docstring(node)]
    assert bare == ["the module", "shout", "Thing.bare"]


ROOT = Path(__file__).parent.parent
TOOLS = ROOT / "node_modules" / ".bin"
UNSAFE = """
node.innerHTML = text;
node["outerHTML"] = text;
node.insertAdjacentHTML("beforeend", text);
node?.insertAdjacentHTML("beforeend", text);
Reflect.set(node, "innerHTML", text);
document.write(text);
node.setAttribute("style", text);
node.setAttribute("onclick", text);
eval(text);
new Function(text)();
setTimeout("text", 1);
fetch(text);
navigator.sendBeacon(text);
import(text);
"""


def complaints(folder: Path, tool: str, *arguments: str) -> str:
    """What Biome or tsc find in the page's scripts and style."""
    assert (TOOLS / tool).exists(), "Biome and tsc check the page's scripts: run npm ci"
    done = subprocess.run([TOOLS / tool, *arguments], cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


def test_the_scripts_and_the_style_of_the_page_are_in_shape() -> None:
    found = complaints(ROOT, "biome", "check", "--error-on-warnings")
    assert found == "", "node_modules/.bin/biome check --write mends most"


def test_the_types_of_the_scripts_hold() -> None:
    assert complaints(ROOT, "tsc") == ""


def test_a_script_that_is_not_safe_would_be_found(tmp_path: Path) -> None:
    folder = tmp_path / "attnviz" / "show" / "page" / "script"
    folder.mkdir(parents=True)
    (folder / "unsafe.js").write_text(UNSAFE, encoding="utf-8")
    shutil.copy(ROOT / "biome.json", tmp_path)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    found = complaints(tmp_path, "biome", "lint", "--max-diagnostics=100")
    places = re.findall(r"unsafe\.js:(\d+)", found)
    assert {int(line) for line in places} == set(range(2, len(UNSAFE.splitlines()) + 1))
