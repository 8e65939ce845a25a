"""Imports go one way, as the design says; this reads every one of them and fails on the others."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import attnviz

PACKAGE = Path(attnviz.__file__).parent

BASE = {"errors", "files", "running"}
DATA = BASE | {"words", "tokens", "attention", "checking", "measures", "inspection", "ablated"}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "running": set(),
    "words": set(),
    "files": {"errors"},
    "tokens": {"errors", "files", "words"},
    "spans": {"words"},
    "striding": {"errors", "tokens"},
    "tokenizer": {"errors", "spans", "striding", "tokens", "words"},
    "attention": {"errors"},
    "recording": set(),
    "progress": set(),
    "checking": {"errors", "attention"},
    "measures": {"errors", "attention"},
    "inspection": {
        "errors",
        "attention",
        "checking",
        "measures",
        "progress",
        "running",
        "tokens",
    },
    "ablated": {"inspection", "tokens"},
    "catalog": {"inspection", "running"},
    "storage": DATA | {"recording"},
    "analysis": DATA,
    "render": DATA | {"analysis", "catalog"},
    "weights": {"errors"},
    "encoder": {"errors", "attention", "recording", "weights"},
    "backends": DATA | {"catalog", "encoder", "recording", "spans", "tokenizer", "weights"},
    "models": DATA | {"catalog", "weights"},
    "projections": DATA | {"encoder", "models", "weights"},
    "inspector": DATA
    | {
        "backends",
        "catalog",
        "encoder",
        "models",
        "projections",
        "recording",
        "tokenizer",
        "weights",
    },
    "api": DATA
    | {"analysis", "inspector", "models", "projections", "recording", "render", "storage"},
    "cli": DATA
    | {
        "analysis",
        "catalog",
        "inspector",
        "models",
        "progress",
        "projections",
        "recording",
        "render",
        "storage",
    },
    "__init__": DATA | {"analysis", "api", "inspector", "render", "storage"},
    "__main__": {"cli"},
}
"""For each room, the rooms that it may know; the top of the house stands at the bottom."""

ONLY_IN: dict[str, set[str]] = {
    "torch": {"encoder", "backends"},
    "tokenizers": {"tokenizer"},
    "scipy": {"measures"},
    "threadpoolctl": {"inspection"},
    "huggingface_hub": {"models"},
    "unicode_segmentation_rs": {"words", "render"},
    "typer": {"cli"},
    "rich": {"api", "cli", "render"},
    "matplotlib": {"api", "cli", "render"},
    "matplotlib.pyplot": set(),
    "transformers": {"backends"},
}
"""Libraries that have their room; pyplot has none."""


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package: `render.labels`, and where it lies."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts), path


def imported(module: str, source: str) -> set[str]:
    """The full names of what a module imports, wherever it does so."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ["attnviz", *module.split(".")][: -node.level] if node.level else []
            base = ".".join([*package, *filter(None, [node.module])])
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


def breaches(module: str, source: str) -> list[str]:
    """What a module imports and should not."""
    room = module.split(".")[0]
    found = []
    for name in sorted(imported(module, source)):
        top, _, rest = name.partition(".")
        if top == "attnviz":
            other = rest.split(".")[0]
            is_room = other in MAY_IMPORT and other != room
            if is_room and other not in MAY_IMPORT[room]:
                found.append(f"{module} imports {name}")
        for library, rooms in ONLY_IN.items():
            if f"{name}.".startswith(f"{library}.") and room not in rooms:
                found.append(f"{module} imports {name}")
    return found


MODULES = dict(modules())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_what_its_room_may_know(module: str) -> None:
    assert module.split(".")[0] in MAY_IMPORT, "a new room: say above what it may import"
    assert breaches(module, MODULES[module].read_text(encoding="utf-8")) == []


def test_the_rooms_stand_in_an_order() -> None:
    placed: set[str] = set()
    for room, below in MAY_IMPORT.items():
        assert below <= placed, f"{room} may import what stands above it"
        placed.add(room)
    rooms = {module.split(".")[0] for module in MODULES}
    assert rooms == placed


@pytest.mark.parametrize(
    ("module", "source", "name"),
    [
        ("inspection", "from attnviz.inspector import load_model", "attnviz.inspector.load_model"),
        ("inspection", "import torch", "torch"),
        ("analysis.find", "from attnviz import storage", "attnviz.storage"),
        ("analysis.find", "def f():\n    import attnviz.cli.run", "attnviz.cli.run"),
        ("analysis.find", "from ..render import labels", "attnviz.render.labels"),
        ("analysis.find", "from ..render.labels import visible", "attnviz.render.labels.visible"),
        ("render.html", "from attnviz.encoder.encoder import Encoder", "attnviz.encoder.encoder"),
        ("render.html", "from attnviz.models import find_model", "attnviz.models.find_model"),
        ("render.plot", "import matplotlib.pyplot as plt", "matplotlib.pyplot"),
        ("render.plot", "from matplotlib import pyplot", "matplotlib.pyplot"),
        ("storage", "from attnviz.inspector import Model", "attnviz.inspector.Model"),
        ("tokens", "from attnviz.inspection import HeadId", "attnviz.inspection.HeadId"),
        ("errors", "from .files import whole_file", "attnviz.files.whole_file"),
        ("inspector", "import torch.nn.functional as F", "torch.nn.functional"),
        ("encoder.encoder", "from attnviz.tokens import Tokens", "attnviz.tokens.Tokens"),
        ("models.find", "try:\n    import transformers\nexcept ImportError: ...", "transformers"),
        ("analysis.find", "from rich.table import Table", "rich.table.Table"),
    ],
)
def test_a_backward_import_would_be_found(module: str, source: str, name: str) -> None:
    (found,) = breaches(module, source)
    assert found.startswith(f"{module} imports {name}")


def test_forward_imports_are_left_alone() -> None:
    source = (
        "import numpy\nfrom attnviz.inspection import View\nfrom . import figure\n"
        "from matplotlib.figure import Figure\nfrom attnviz import errors\nimport torchless\n"
    )
    assert breaches("render.html", source) == []
    assert imported("render.html", source) >= {"attnviz.render.figure", "attnviz.errors"}


def test_nothing_outside_the_encoder_loads_torch() -> None:
    rest = [module for module in MODULES if not module.startswith(("encoder", "backends", "__"))]
    names = ["attnviz", *(f"attnviz.{m.removesuffix('.__init__')}" for m in rest)]
    code = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        "print(sorted({'torch', 'transformers', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
