"""Imports go one way, as the design says; this reads every one of them and fails on the others."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from graph import circles, graph_of, package

import attnviz

PACKAGE = Path(attnviz.__file__).parent

DATA = {"errors", "files", "threads", "text", "attention", "inspection"}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "files": {"errors"},
    "threads": {"files"},
    "text": {"errors", "files"},
    "attention": {"errors"},
    "inspection": {"errors", "files", "threads", "text", "attention"},
    "models": DATA,
    "encoder": {"errors", "files", "threads", "attention", "models"},
    "transformers_backend": DATA | {"models", "encoder"},
    "model": DATA | {"models", "encoder", "transformers_backend"},
    "answers": DATA,
    "corpus": DATA | {"models", "model", "answers"},
    "show": DATA | {"answers", "models"},
    "api": DATA | {"models", "model", "answers", "corpus", "show"},
    "cli": DATA | {"models", "model", "answers", "corpus", "show"},
    "__init__": {"api"},
    "__main__": {"cli"},
}
"""For each room, the rooms that it may know; the top of the house stands at the bottom."""

ONLY_IN: dict[str, set[str]] = {
    "torch": {"encoder", "transformers_backend"},
    "tokenizers": {"text"},
    "scipy": {"attention", "answers", "corpus"},
    "threadpoolctl": {"threads"},
    "huggingface_hub": {"models"},
    "unicode_segmentation_rs": {"text", "show"},
    "typer": {"cli"},
    "rich": {"api", "cli", "show"},
    "matplotlib": {"api", "cli", "show"},
    "matplotlib.pyplot": set(),
    "transformers": {"transformers_backend"},
}
"""Libraries that have their room; pyplot has none."""


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package: `show.labels`, and where it lies."""
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

COMPUTE = {
    "View",
    "LayerRecord",
    "Inspection",
    "attnviz.inspection.view",
    "attnviz.inspection.inspection",
    "attnviz.attention.layer",
    "attnviz.model",
    "attnviz.encoder",
}
"""What gives numbers: who shows an answer has no need of it."""


def sources(module: str, source: str) -> list[str]:
    """What a module imports that gives numbers."""
    return [
        name
        for name in sorted(imported(module, source))
        if name.rpartition(".")[2] in COMPUTE
        or any(f"{name}.".startswith(f"{room}.") for room in COMPUTE)
    ]


SHOW = [module for module in MODULES if module.startswith("show.")]


@pytest.mark.parametrize("module", SHOW)
def test_who_shows_an_answer_computes_nothing(module: str) -> None:
    found = sources(module, MODULES[module].read_text(encoding="utf-8"))
    assert found == []


def test_who_would_compute_is_found() -> None:
    source = (
        "from attnviz.inspection import Context, View\nfrom attnviz.attention.layer import A\n"
        "def f():\n    import attnviz.model.load"
    )
    assert sources("show.page", source) == [
        "attnviz.attention.layer.A",
        "attnviz.inspection.View",
        "attnviz.model.load",
    ]


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
        ("inspection", "from attnviz.model import load_model", "attnviz.model.load_model"),
        ("inspection", "import torch", "torch"),
        ("answers.find", "from attnviz import model", "attnviz.model"),
        ("answers.find", "def f():\n    import attnviz.cli.run", "attnviz.cli.run"),
        ("answers.find", "from ..show import labels", "attnviz.show.labels"),
        ("answers.find", "from ..show.labels import visible", "attnviz.show.labels.visible"),
        ("show.page", "from attnviz.encoder.encoder import Encoder", "attnviz.encoder.encoder"),
        ("show.page", "from attnviz.model import Model", "attnviz.model.Model"),
        ("show.plot", "import matplotlib.pyplot as plt", "matplotlib.pyplot"),
        ("show.plot", "from matplotlib import pyplot", "matplotlib.pyplot"),
        ("inspection.storage", "from attnviz.model import Model", "attnviz.model.Model"),
        ("text", "from attnviz.inspection import HeadId", "attnviz.inspection.HeadId"),
        ("errors", "from .files import whole_file", "attnviz.files.whole_file"),
        ("model", "import torch.nn.functional as F", "torch.nn.functional"),
        ("encoder.encoder", "from attnviz.text.tokens import Tokens", "attnviz.text.tokens.Tokens"),
        ("models.find", "try:\n    import transformers\nexcept ImportError: ...", "transformers"),
        ("answers.find", "from rich.table import Table", "rich.table.Table"),
    ],
)
def test_a_backward_import_would_be_found(module: str, source: str, name: str) -> None:
    (found,) = breaches(module, source)
    assert found.startswith(f"{module} imports {name}")


def test_forward_imports_are_left_alone() -> None:
    source = (
        "import numpy\nfrom attnviz.answers.find import Finding\nfrom . import figure\n"
        "from matplotlib.figure import Figure\nfrom attnviz import errors\nimport torchless\n"
    )
    assert breaches("show.page", source) == []
    assert imported("show.page", source) >= {"attnviz.show.figure", "attnviz.errors"}


def test_nothing_outside_the_encoder_loads_torch() -> None:
    rest = [
        module
        for module in MODULES
        if not module.startswith(("encoder", "transformers_backend", "__"))
    ]
    names = ["attnviz", *(f"attnviz.{m.removesuffix('.__init__')}" for m in rest)]
    code = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        "print(sorted({'torch', 'transformers', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_no_files_import_each_other() -> None:
    assert circles(package()) == []


def test_a_circle_would_be_found() -> None:
    sources = {
        "attnviz.a": "from attnviz.b import thing",
        "attnviz.b": "def later():\n    from attnviz import c",
        "attnviz.c": "import attnviz.a\nfrom attnviz.d import one",
        "attnviz.d": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import attnviz.c",
        "attnviz.e": "from attnviz.a import other",
    }
    assert circles(graph_of(sources)) == [["attnviz.a", "attnviz.b", "attnviz.c"]]
