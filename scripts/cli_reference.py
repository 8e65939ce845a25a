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
FIRST = SCHEMAS / "run-1.schema.json"
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

All axis names are in [shapes.md](shapes.md), what `--measure` means in [measures.md](measures.md),
and how the commands are used together in [guide.md](guide.md).

## What goes in

- `TEXT` is one or more sentences. `-`, or no TEXT with something piped in, reads standard input,
  one sentence a line; results come out line by line.
- Without TEXT and without a pipe, the sentence of the last run is shown again, at once and without
  loading the model. attnviz keeps it in your cache folder, readable by you alone, and only up to
  64 MB. Where there is none, the animal sentence is taken. Standard error says which it was.
- `--load FILE` takes an inspection that `--save FILE` kept.
- `find` also takes a table of sentences, each with a query and a key of its own (`--tsv FILE`), and
  phrases (`--key "the street"`). `compare` takes two sentences, or one and the last one.

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

CSV has a header, and a row for each thing that is told: of `run` a link from a query to a key, of
`find` a head's link, of `compare` a head and two aligned keys, of `explain` a key, of `ablate` a
word that moved.

```text
{headers}
```

Last come `dropped` where special tokens are left out (the share of the query's row that they had;
of `compare` one column for each side), and `measure` where the numbers are not attention weights.
Where a measure has no heads, the column `head` is empty.

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
    for path in sorted(SCHEMAS.glob("*.schema.json"), key=lambda path: (path != FIRST, path)):
        yield from _fields(path)
    yield "\n" + OTHER_FORMATS.format(headers="\n".join(_csv_headers()))


def _csv_headers() -> Iterator[str]:
    """The first line of each command's CSV, without the columns that come only at times."""
    from attnviz.show.data.ablations import ABLATE_CSV_HEADER
    from attnviz.show.data.as_csv import csv_header
    from attnviz.show.data.comparisons import compare_csv_header
    from attnviz.show.data.explanations import EXPLAIN_CSV_HEADER
    from attnviz.show.data.findings import find_csv_header

    headers = {
        "run": csv_header(True, "weights"),
        "find": find_csv_header(True, "weights"),
        "compare": compare_csv_header(True, "weights"),
        "explain": EXPLAIN_CSV_HEADER,
        "ablate": ABLATE_CSV_HEADER,
    }
    for name, header in headers.items():
        yield f"{name + ':':<9}{header.decode().strip()}"


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
    first: Schema = json.loads(FIRST.read_text(encoding="utf-8"))
    known = {} if path == FIRST else first["$defs"]
    yield f"\n### {schema['title']}\n\n{schema['description']}\n"
    yield f"The schema is [schema/{path.name}](schema/{path.name}).\n\n"
    yield "| field | type | what it is |\n|---|---|---|\n"
    for name, field, always in _walk(schema, schema, "", known):
        what = field.get("description", "") + ("" if always else " Only where it applies.")
        yield f"| `{name}` | {_type(field)} | {what.replace('|', '&#124;')} |\n"


def _walk(
    root: Schema, schema: Schema, above: str, known: Schema
) -> Iterator[tuple[str, Schema, bool]]:
    """Each field below `schema` with its path, and whether it is always there.

    What has the fields of a definition told of in the first table (`known`) is not told of again.
    """
    for name, field in schema.get("properties", {}).items():
        path = f"{above}{name}"
        resolved = _resolved(root, field)
        yield path, resolved, name in schema.get("required", [])
        items = _resolved(root, resolved.get("items", {}))
        inside, below = (items, f"{path}[].") if "properties" in items else (resolved, f"{path}.")
        fields = set(inside.get("properties", ()))
        if fields not in [set(told.get("properties", ())) for told in known.values()]:
            yield from _walk(root, inside, below, known)


def _resolved(root: Schema, schema: Schema) -> Schema:
    """What a schema means, with its own description first.

    A `$ref` into `$defs` means what stands there, and one of several choices, of which others are
    null, the choice that is not.
    """
    choices: list[Schema] = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    for choice in choices:
        if choice.get("type") != "null":
            schema = {**choice, **schema, "null": True}
            break
    if "$ref" not in schema:
        return schema
    reference = str(schema["$ref"])
    meant = _resolved(root, root["$defs"][reference.rpartition("/")[2]])
    fields = meant.get("properties", {}) | schema.get("properties", {})
    own = {key: value for key, value in schema.items() if key != "$ref"}
    return meant | own | ({"properties": fields} if fields else {})


def _type(field: Schema) -> str:
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return " or ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    types = field["type"]
    named = types if isinstance(types, list) else [types]
    return " or ".join([*named, *(["null"] if "null" in field else [])])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
