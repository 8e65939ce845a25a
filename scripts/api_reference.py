"""Writes docs/api.md, the reference of the Python API, from its signatures and docstrings.

usage: python scripts/api_reference.py            write docs/api.md
       python scripts/api_reference.py --check    say what differs, and exit with 1 if anything does
"""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

from cli_reference import written_or_compared

import attnviz.api
from attnviz.api.corpora import CorpusOptions
from attnviz.api.forms import Chosen
from attnviz.api.inspecting import Heads, Look
from attnviz.api.patching import PatchOptions

REFERENCE = Path(__file__).parent.parent / "docs" / "api.md"

INTRODUCTION = """\
# From Python

<!-- Written by scripts/api_reference.py: `make docs` writes it, `make docs-check` compares it. -->

```python
import attnviz

inspection = attnviz.inspect("The animal didn't cross the street because it was too tired.")
inspection.weights("L3H1")  # (query, key), each row sums to 1
finding = attnviz.find(inspection, "it", "animal")
attnviz.table(finding)  # for rich.print
attnviz.to_dataframe(finding)  # with pandas
attnviz.write_figure(attnviz.heatmap(inspection, head="L3H1"), "animal.png")
attnviz.page(inspection, query="it")  # in a notebook; write_page writes it to a file

survey = attnviz.survey(["A sentence.", "Many more."])  # or a file's name: what every head does
probe = attnviz.probe(conllu="treebank.conllu")  # which head finds a relation
```

A *question* takes an inspection and gives an *answer*, which is frozen. `table`, `figure`,
`to_json`, `to_rows` and `to_dataframe` take any answer, and a notebook shows it. They also take an
inspection itself. `survey`, `probe` and `compare_models` take a whole corpus, a text at a time.
"""


def main(arguments: list[str]) -> int:
    """Write the reference, or compare it; returns the exit code."""
    return written_or_compared(arguments, REFERENCE, "".join(_parts()), __doc__ or "")


def _parts() -> Iterator[str]:
    api = attnviz.api
    yield INTRODUCTION
    yield f"\n{_flowing(api.__doc__ or '')}\n"
    offered = {name: getattr(api, name) for name in api.__all__}
    functions = {name: thing for name, thing in offered.items() if inspect.isfunction(thing)}
    yield "\n## Functions\n"
    for name in sorted(functions, key=lambda name: _place(functions[name])):
        yield _entry(name, f"{name}{_signature(functions[name])}", functions[name])
    yield "\n## What questions take\n"
    for options in (Look, Heads, PatchOptions, Chosen, CorpusOptions):
        yield _entry(options.__name__, _fields(options), options)
    yield "\n## Classes\n"
    for name, thing in sorted(offered.items()):
        if inspect.isclass(thing):
            yield f"\n### {name}\n\n{_flowing(inspect.getdoc(thing) or '')}\n"


FILES = ("inspecting", "questions", "ablation", "patching", "predict", "corpora", "forms", "pages")


def _place(function: Any) -> tuple[int, int]:
    """As they stand in the files of attnviz.api, and what comes from elsewhere."""
    room, _, file = function.__module__.rpartition(".")
    place = FILES.index(file) if room == "attnviz.api" else len(FILES)
    return place, function.__code__.co_firstlineno


def _entry(name: str, code: str, thing: Any) -> str:
    return f"\n### {name}\n\n```python\n{code}\n```\n\n{_flowing(inspect.getdoc(thing) or '')}\n"


def _signature(function: Any) -> str:
    """The signature, a parameter a line if it is long; rooms of the package left out."""
    signature = inspect.signature(function)
    parts = [_plain(str(parameter)) for parameter in signature.parameters.values()]
    gives = _plain(inspect.formatannotation(signature.return_annotation))
    gives = gives.strip("'\"")
    line = f"({', '.join(parts)}) -> {gives}"
    if len(line) <= 80:
        return line
    return "(\n" + "".join(f"    {part},\n" for part in parts) + f") -> {gives}"


def _plain(text: str) -> str:
    """Annotations as they are written in the source: without the names of modules."""
    text = re.sub(r"(?:attnviz|collections|pathlib|typing)\.(?:\w+\.)*(\w+)", r"\1", text)
    text = re.sub(r"\*<class '(\w+)'>", r"\1", text)
    text = re.sub(r"Literal\[([^\]]*)\]", lambda found: found[1].replace(", ", " | "), text)
    return text.replace("'", '"')


def _fields(options: Any) -> str:
    own = get_type_hints(options)
    lines = (f"    {name}: {_plain(inspect.formatannotation(kind))}" for name, kind in own.items())
    return "\n".join([f"class {options.__name__}:", *lines])


def _flowing(text: str) -> str:
    """Paragraphs without the source's line ends."""
    return "\n\n".join(" ".join(p.splitlines()) for p in inspect.cleandoc(text).split("\n\n"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
