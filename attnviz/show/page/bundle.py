"""A page as one HTML file that works offline: ES modules do not load from `file://`.

All modules become one, in the order of their imports, without `import`, `export` and comments.
"""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from posixpath import dirname, join, normpath
from string import Template
from typing import Any

from attnviz.show.page.packing import packed_text

FOLDER = Path(__file__).parent
LANGUAGES = ("en", "ko")

_IMPORT = re.compile(r'^import\s+\{[^}]*\}\s+from\s+"(\.\.?/[^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async )?function|const|let|class)", re.MULTILINE)
_BLOCK = r"/\*\*?(?:(?!\*/)[\s\S])*\*/"
_COMMENT = re.compile(rf"^[ \t]*(?:{_BLOCK}|//.*)\n", re.MULTILINE)
_CAST = re.compile(r"/\*\* @type (?:(?!\*/).)*\*/ ?")
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_BLANK = re.compile(r"\n{2,}")
_ENDED = re.compile(r"([{};,])\n")


def whole(
    title: str,
    data: Any,
    packed: Mapping[str, str],
    words: Mapping[str, Mapping[str, str]],
    *,
    language: str | None = None,
    entry: str = "main.js",
    look: str = "view.css",
) -> str:
    """The file of a page whose script is `entry`, whose own style is `look`.

    `data` come as they are; `packed`: texts of `packed_text` by the names of their elements, of
    which the first is read before the script runs.
    """
    from attnviz import __version__

    first, *others = (
        f'<script type="application/octet-stream" id="{name}">{text}</script>'
        for name, text in packed.items()
    )
    file = Template((FOLDER / "page.html").read_text(encoding="utf-8")).substitute(
        language=language or LANGUAGES[0],
        version=__version__,
        title=escape(title),
        style=style(look),
        style_hash=_hash(style(look)),
        words=packed_text(json_of(words).encode()),
        boot=script("boot.js"),
        boot_hash=_hash(script("boot.js")),
        script=packed_text(script(entry).encode()),
        script_hash=_hash(script(entry)),
        data=json_of(data).replace("<", "\\u003c"),  # no text in it can end the element
        first=first,
        numbers="\n".join(others),
    )
    return file.encode("utf-8", "replace").decode()


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


def _hash(source: str) -> str:
    return b64encode(hashlib.sha256(source.encode()).digest()).decode()


def json_of(data: Any) -> str:
    """JSON in few letters; of numbers, only those that JSON has."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@cache
def words_of(name: str) -> dict[str, dict[str, str]]:
    """The words of a page in each language, as in `words.en.json`."""
    paths = {language: FOLDER / f"{name}.{language}.json" for language in LANGUAGES}
    return {language: json.loads(path.read_text("utf-8")) for language, path in paths.items()}
