"""Defaults of one's own: config.toml in the user's configuration folder, ATTNVIZ_… above it.

Options are above both. The file is read when a command runs, not for `--help`.
"""

import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, get_args

from attnviz.attention.request import Device
from attnviz.errors import RequestError
from attnviz.show.forms import Form, Language

WITHOUT: dict[str, Any] = {
    "model": "minilm",
    "device": "auto",
    "format": None,  # a table, or a picture where a command draws
    "lang": None,  # of pictures' labels: English
    "special": True,
    "words": True,
    "quiet": False,
}
"""The names that can be set, with what holds without."""

CHOICES: dict[str, tuple[str, ...]] = {
    "device": get_args(Device),
    "format": tuple(form for form in get_args(Form) if form not in ("npz", "html")),  # few have it
    "lang": get_args(Language),
}
FLAGS = tuple(name for name, value in WITHOUT.items() if isinstance(value, bool))
VARIABLES = tuple(
    f"ATTNVIZ_{name}" for name in (*map(str.upper, WITHOUT), "ENGINE", "NO_MEMORY", "TERMINAL")
)
"""All that are read."""

_SPELLED = dict.fromkeys(("1", "true", "yes", "on"), True)
_SPELLED |= dict.fromkeys(("0", "false", "no", "off"), False)


class Setting(NamedTuple):
    """What holds where no option says otherwise, and the file or variable that says so."""

    value: Any
    origin: str = ""


def settings(forgiving: bool = False) -> dict[str, Setting]:
    """All settings; RequestError for a file or a variable that makes no sense.

    `forgiving`: without what is in such a file.
    """
    path = config_path()
    found = {name: Setting(value) for name, value in WITHOUT.items()}
    try:
        if path.is_file():
            found |= dict(_from_file(path))
    except RequestError:
        if not forgiving:
            raise
    for name in WITHOUT:
        variable = f"ATTNVIZ_{name.upper()}"
        value: Any = os.environ.get(variable)
        if value:
            value = _SPELLED.get(value.lower(), value) if name in FLAGS else value
            found[name] = Setting(_checked(variable, name, value), variable)
    return found


def remarks(forgiving: bool = False) -> Iterator[str]:
    """What to say of variables that look like ours, and of a file that `settings` forgives."""
    for name in sorted(os.environ):
        if name.startswith("ATTNVIZ_") and name not in VARIABLES:
            near = get_close_matches(name, VARIABLES, 1) or VARIABLES
            yield f"{name} is set, but is no variable of attnviz: did you mean {' or '.join(near)}?"
    try:
        if forgiving:
            settings()
    except RequestError as error:
        yield f"{error.message}: settings are as without the file"


def setting(name: str) -> Any:
    """The value of one setting."""
    return settings()[name].value


def config_path() -> Path:
    """Where the file is looked for."""
    import platformdirs

    return platformdirs.user_config_path("attnviz", appauthor=False) / "config.toml"


def _from_file(path: Path) -> Iterator[tuple[str, Setting]]:
    import tomllib

    try:
        text = path.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, UnicodeDecodeError):
            reason = "it is not UTF-8"
        raise RequestError(f"{path} cannot be read: {reason}", 'as in model = "minilm"') from error
    for name, value in content.items():
        line = re.search(rf"^[ \t]*\[*[ \t]*[\"']?{re.escape(name)}\b", text, re.MULTILINE)
        number = text.count("\n", 0, line.start()) + 1 if line else 1
        place = f"{path}, line {number}"
        if name not in WITHOUT:
            near = get_close_matches(name, WITHOUT, 1)
            known = f"there are {', '.join(WITHOUT)}"
            raise RequestError(
                f'{place}: there is no setting "{name}"',
                f"did you mean {near[0]}? {known}" if near else known,
            )
        yield name, Setting(_checked(f"{place}: {name}", name, value), str(path))


def _checked(place: str, name: str, value: Any) -> Any:
    """The value, if it is one; RequestError otherwise."""
    choices = CHOICES.get(name)
    if name in FLAGS:
        fits, expected = isinstance(value, bool), "true or false"
    elif choices:
        fits, expected = value in choices, f"one of {', '.join(choices)}"
    else:
        fits, expected = isinstance(value, str) and value != "", "a name in quotes"
    if not fits:
        raise RequestError(
            f'{place} is "{value}", and {expected} is expected', "correct it, or take it out"
        )
    return os.path.expanduser(value) if name == "model" else value
