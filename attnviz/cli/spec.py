"""`attnviz --spec`: everything that a program needs to know of the command line, as JSON."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from attnviz.cli.options import without_none
from attnviz.cli.settings import CHOICES, config_path, settings
from attnviz.errors import AttnvizError

SCHEMA = "attnviz.spec/1"
PACKAGE = Path(__file__).parent.parent
TYPES = {bool: "boolean", int: "integer", float: "number", Path: "path", str: "string"}


def spec(
    commands: Iterable[tuple[str, Any, Callable[..., None]]], exit_codes: Mapping[int, str]
) -> dict[str, Any]:
    """The `attnviz.spec/1` object.

    It comes from each command's name, what Typer made of it and its function, and from the schemas.
    """
    from importlib.metadata import version

    return {
        "schema": SCHEMA,
        "version": version("attnviz"),
        "commands": [_described(*command) for command in commands],
        "settings": {"file": str(config_path()), "values": list(_in_force())},
        "exit_codes": {str(code): meaning for code, meaning in exit_codes.items()},
        "schemas": {one["title"]: one for one in map(json.loads, _schemas())},
    }


def packaged(name: str) -> Path:
    """A file or folder that the wheel carries, and that lies elsewhere in the repository."""
    near = {"schema": PACKAGE.parent / "docs" / "schema"}.get(name, PACKAGE.parent / name)
    found = next((path for path in (PACKAGE / name, near) if path.exists()), None)
    if found is None:
        raise AttnvizError(f"{name} is not there", "install attnviz again")
    return found


def _schemas() -> Iterator[str]:
    for path in sorted(packaged("schema").glob("*.schema.json")):
        yield path.read_text(encoding="utf-8")


def _in_force() -> Iterator[dict[str, Any]]:
    """What holds where no option says otherwise, and where that comes from."""
    for name, setting in settings(forgiving=True).items():
        yield {
            "name": name,
            "variable": f"ATTNVIZ_{name.upper()}",
            "choices": CHOICES.get(name),
            "value": setting.value,
            "origin": setting.origin or None,
        }


def _described(name: str, command: Any, function: Callable[..., None]) -> dict[str, Any]:
    *paragraphs, example = str(command.help).split("\n\n")
    fields = {
        field.name: (get_type_hints(group, include_extras=True)[field.name], field.default)
        for group in get_type_hints(function).values()
        if dataclasses.is_dataclass(group)
        for field in dataclasses.fields(group)
    }
    parameters = [_parameter(one, *fields[one.name]) for one in command.params]
    return {
        "name": name,
        "help": "\n\n".join(paragraphs),
        "example": example.removeprefix("Example: "),
        "arguments": [one for one in parameters if not one["flags"]],
        "options": [one for one in parameters if one["flags"]],
    }


def _parameter(found: Any, annotation: Any, default: Any) -> dict[str, Any]:
    """One option or argument: what Typer made of it, and the type that it was declared with."""
    kind, info = get_args(annotation)[:2]
    kind = without_none(kind)
    repeats = get_origin(kind) is list
    parts = get_args(kind) if repeats or get_origin(kind) is tuple else (kind,)
    choices = get_args(parts[0]) if get_origin(parts[0]) is Literal else None
    flags = [one for one in found.opts if one.startswith("-")]
    return {
        "name": found.name,
        "flags": flags,
        "negative": list(found.secondary_opts),
        "type": "string" if choices else TYPES[parts[0]],
        "choices": choices and list(choices),
        "minimum": info.min,
        "values": 0 if kind is bool else len(parts),
        "repeats": repeats,
        "required": bool(found.required),
        "default": default,
        "metavar": info.metavar or None,
        "group": info.rich_help_panel or None,
        "help": info.help or "",
    }
