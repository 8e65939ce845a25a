"""Scripts and style as one file has them: ES modules do not load from `file://`.

All modules become one, in the order of their imports, without `import`, `export` and comments.
"""

import re
from functools import cache
from pathlib import Path
from posixpath import dirname, join, normpath

FOLDER = Path(__file__).parent

_IMPORT = re.compile(r'^import\s+\{[^}]*\}\s+from\s+"(\.\.?/[^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async )?function|const|let|class)", re.MULTILINE)
_BLOCK = r"/\*\*?(?:(?!\*/)[\s\S])*\*/"
_COMMENT = re.compile(rf"^[ \t]*(?:{_BLOCK}|//.*)\n", re.MULTILINE)
_CAST = re.compile(r"/\*\* @type (?:(?!\*/).)*\*/ ?")
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_BLANK = re.compile(r"\n{2,}")
_ENDED = re.compile(r"([{};,])\n")


@cache
def script(name: str = "main.js") -> str:
    """A script and all that it imports, as one module."""
    return "".join(_stripped(_source(file)) for file in files(name))


def files(name: str) -> list[str]:
    """The files of a script and of all that it imports, those first that others import."""
    order: list[str] = []
    _visit(name, order, ())
    return order


@cache
def style(name: str = "view.css") -> str:
    """What all pages look like, and then what one has of its own, without comments."""
    both = ((FOLDER / one).read_text(encoding="utf-8") for one in ("style.css", name))
    return _ENDED.sub(r"\1", _tidy("".join(both)))


def _source(name: str) -> str:
    return (FOLDER / "script" / name).read_text(encoding="utf-8")


def _visit(name: str, order: list[str], above: tuple[str, ...]) -> None:
    """Put the files that a file imports before it."""
    if name in order:
        return
    if name in above:
        raise ValueError(f"scripts import each other in a circle: {' → '.join((*above, name))}")
    for imported in _IMPORT.findall(_source(name)):
        _visit(normpath(join(dirname(name), imported)), order, (*above, name))
    order.append(name)


def _stripped(source: str) -> str:
    return _EXPORT.sub("", _tidy(_IMPORT.sub("", source)))


def _tidy(source: str) -> str:
    """Without types, comments that have lines of their own, indents and empty lines."""
    return _BLANK.sub("\n", _INDENT.sub("", _CAST.sub("", _COMMENT.sub("", source))))
