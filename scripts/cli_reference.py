"""Writes docs/cli.md, the reference of the command line, from what attnviz says of itself.

The options come from the real `--help` of each command, the JSON fields from docs/schema/.

usage: python scripts/cli_reference.py            write docs/cli.md
       python scripts/cli_reference.py --check    say what differs, and exit with 1 if anything does
"""

import difflib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from attnviz.cli.app import app
from attnviz.cli.command import DONE, FAILED, INTERRUPTED, WRONG

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "cli.md"
SCHEMAS = ROOT / "docs" / "schema"
HELP_WIDTH = 100

Schema = dict[str, Any]

INTRODUCTION = """\
# The command line

<!-- Written by scripts/cli_reference.py: `make docs` writes it, `make docs-check` compares it. -->

## Words that mean one thing

- **layer** and **head** count from 0: `L3H1` is head 1 of layer 3, and `-1` is the last layer.
- **query** is the token that looks, a row. **key** is the token that is looked at, a column.
- **piece** is what the model's tokenizer cut, **word** a Unicode word (UAX #29). Pieces become
  words as in Clark et al. 2019: sum over the keys' pieces, mean over the queries' pieces.
- A word in an option is given as `it`, as `it#2` for its second occurrence, or as `@10` for the
  token at index 10. Upper and lower case are alike.

All axis names are in [shapes.md](shapes.md).

## What goes in

- `TEXT` is one or more sentences. `-`, or no TEXT with something piped in, reads standard input,
  one sentence a line; results come out line by line.
- Without TEXT and without a pipe, the sentence of the last run is shown again, at once and without
  loading the model. attnviz keeps it in your cache folder, readable by you alone, and only up to
  64 MB. Where there is none, the animal sentence is taken. Standard error says which it was.
- `--load FILE` takes an inspection that `--save FILE` kept.

## What comes out

Results go to standard output, or to the file that `-o` names; everything else goes to standard
error. A file appears whole or not at all. Tables are coloured on a terminal only, and can be read
without colour.
"""

ENVIRONMENT = """\
## Environment

| variable | what it does |
|---|---|
| `ATTNVIZ_MODEL` | the model to use where `--model` is not given |
| `ATTNVIZ_NO_MEMORY` | `1`: the last sentence is not kept |
| `NO_COLOR` | tables without colour |
| `COLUMNS` | the width of tables, instead of the terminal's |
| `XDG_CACHE_HOME` | where the cache folder lies, instead of `~/.cache` (on Linux) |
"""

OTHER_FORMATS = """\
## CSV and NPZ

CSV has one row for each link, and this header:

```text
{header}
```

NPZ holds for each sentence i, counted from 0, the arrays `{{i}}.weights` (head, query, key),
`{{i}}.heads` (layer and head of each matrix) and `{{i}}.tokens`, and with `--no-special`
`{{i}}.dropped` (head, query); and once `schema` and `meta`, a JSON string with the model and the
sentences.
"""


def main(arguments: list[str]) -> int:
    """Write the reference, or compare it; gives back the exit code."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    reference = "".join(_parts())
    if not arguments:
        REFERENCE.write_text(reference, encoding="utf-8")
        return 0
    written = REFERENCE.read_text(encoding="utf-8") if REFERENCE.is_file() else ""
    if written == reference:
        return 0
    differences = difflib.unified_diff(
        written.splitlines(), reference.splitlines(), "docs/cli.md", "attnviz --help", lineterm=""
    )
    print("\n".join(differences))
    print("docs/cli.md is not what attnviz says of itself; run: make docs", file=sys.stderr)
    return 1


def commands() -> list[str]:
    """The names of attnviz's commands, in the order in which `--help` lists them."""
    command: Any = get_command(app)
    return list(command.commands)


def _parts() -> Iterator[str]:
    yield INTRODUCTION
    yield f"\n## attnviz\n\n{_help()}"
    for name in commands():
        yield f"\n## attnviz {name}\n\n{_help(name)}"
    yield f"\n{_exit_codes()}\n{ENVIRONMENT}\n## JSON\n"
    for path in sorted(SCHEMAS.glob("*.schema.json")):
        yield from _fields(path)
    from attnviz.render.data import CSV_HEADER

    yield "\n" + OTHER_FORMATS.format(header=CSV_HEADER.decode().rstrip())


def _help(*command: str) -> str:
    """What `attnviz COMMAND --help` prints at a fixed width, without colour."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    plain = {"COLUMNS": str(HELP_WIDTH), "NO_COLOR": "1", "TERM": "dumb", "LANG": "C.UTF-8"}
    shown = subprocess.run(
        [sys.executable, "-m", "attnviz", *command, "--help"],
        env=kept | plain,
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout
    lines = "\n".join(line.rstrip() for line in shown.splitlines()).strip("\n")
    return f"```text\n{lines}\n```\n"


def _exit_codes() -> str:
    return f"""\
## Exit codes

| code | meaning |
|---|---|
| {DONE} | done; also when the reader of a pipe had enough |
| {WRONG} | the request is wrong: an unknown word, a layer out of range, an empty sentence |
| {FAILED} | the request is fine and could not be done: damaged weights, a full disk |
| {INTERRUPTED} | interrupted with ctrl-C |

Errors are one sentence on what came and what was expected, and one on what to try. Of several
sentences, those that can be shown are shown; the others are told with their number.
"""


def _fields(path: Path) -> Iterator[str]:
    """A schema's description, and a table of its fields."""
    schema: Schema = json.loads(path.read_text(encoding="utf-8"))
    yield f"\n### {schema['title']}\n\n{schema['description']}\n"
    yield f"The schema is [schema/{path.name}](schema/{path.name}).\n\n"
    yield "| field | type | what it is |\n|---|---|---|\n"
    for name, field, always in _walk(schema, schema, ""):
        what = field.get("description", "") + ("" if always else " Only where it applies.")
        yield f"| `{name}` | {_type(field)} | {what.replace('|', '&#124;')} |\n"


def _walk(root: Schema, schema: Schema, above: str) -> Iterator[tuple[str, Schema, bool]]:
    """Each field below `schema` with its path, and whether it is always there."""
    for name, field in schema.get("properties", {}).items():
        path = f"{above}{name}"
        resolved = _resolved(root, field)
        yield path, resolved, name in schema.get("required", [])
        items = _resolved(root, resolved.get("items", {}))
        if "properties" in items:
            yield from _walk(root, items, f"{path}[].")
        elif resolved.get("type") == "object":
            yield from _walk(root, resolved, f"{path}.")


def _resolved(root: Schema, schema: Schema) -> Schema:
    """The schema itself, or what its `$ref` into `$defs` means, with its own description first."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    meant: Schema = root["$defs"][reference.rpartition("/")[2]]
    return meant | {key: value for key, value in schema.items() if key != "$ref"}


def _type(field: Schema) -> str:
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return " or ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    types = field["type"]
    return " or ".join(types) if isinstance(types, list) else str(types)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
