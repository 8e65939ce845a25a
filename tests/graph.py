"""Which file of the package imports which."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import attnviz

PACKAGE = Path(attnviz.__file__).parent

Graph = Mapping[str, set[str]]
"""For each module, those that it imports."""


def modules() -> dict[str, Path]:
    """Every module of the package, as in `attnviz.answers.find`, and its file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of what is imported anywhere, in functions too, but for the type checker alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from imported(node)


def graph_of(sources: Mapping[str, str]) -> Graph:
    """The graph of modules, by their sources."""
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        graph[module] = set()
        for name in imported(ast.parse(source)):
            # a name in a module, or the module
            known = next((one for one in (name, name.rpartition(".")[0]) if one in sources), module)
            graph[module] |= {known} - {module}
    return graph


def package() -> Graph:
    """The graph of the package."""
    return graph_of({name: path.read_text(encoding="utf-8") for name, path in modules().items()})


def importers(graph: Graph, module: str) -> list[str]:
    """The modules that import this one."""
    return [other for other, names in graph.items() if module in names]


def circles(graph: Graph) -> list[list[str]]:
    """The modules that import each other, however many are between."""
    reached = {module: _reached(graph, module) for module in graph}
    found = {
        tuple(sorted(other for other in reached[module] if module in reached[other]))
        for module in graph
    }
    return sorted(list(circle) for circle in found if circle)


def _reached(graph: Graph, module: str) -> set[str]:
    """What a module imports, what that imports, and so on."""
    found: set[str] = set()
    ahead = set(graph[module])
    while ahead:
        other = ahead.pop()
        found.add(other)
        ahead |= graph[other] - found
    return found
