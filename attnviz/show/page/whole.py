"""One HTML file that works offline: its script, style, words and numbers are all in it."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from html import escape
from string import Template
from typing import Any

from attnviz.show.page.bundle import FOLDER, script, style
from attnviz.show.page.packing import packed_text

LANGUAGES = ("en", "ko")


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
