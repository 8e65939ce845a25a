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

from attnviz.cli.app import COMMANDS, EXIT_CODES

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
- A **piece** is what the model's tokenizer cuts; a **word** is a Unicode word (UAX #29). Pieces
  become words as in Clark et al. 2019: sum over the key's pieces, mean over the query's pieces.
- In an option, write a word as `it`, as `it#2` for its second occurrence, or as `@10` for the
  token at index 10. Upper and lower case are the same.

The [glossary](glossary.md) defines all words of the output. See also the names of axes
([shapes.md](shapes.md)), `--measure` ([measures.md](measures.md)), and how to use the commands
together ([guide.md](guide.md)).

## Input

- `TEXT` is one or more sentences. `-` reads standard input, one sentence a line, and so does a pipe
  if there is no TEXT. Results come out line by line. Lines are in UTF-8, or in UTF-16 or UTF-32
  as a whole; LF, CR LF or CR ends them. If nothing comes for a second, a note says what attnviz
  waits for.
- A script or a loop passes its own standard input on, and attnviz would take the lines that follow
  for sentences. There, add `< /dev/null`:
  `while read h; do attnviz run --head $h < /dev/null; done < heads`.
- Without TEXT and without a pipe, attnviz uses the last sentence of this terminal, at once and
  without loading the model. If there is none, it uses the animal sentence. Standard error says
  which sentence it is, and which model read it. It stays with that model unless `--model` names
  another.
- A terminal's last sentence is its own: no other terminal changes it. Commands without a terminal,
  as in scripts and in cells of a notebook, share one. `ATTNVIZ_TERMINAL=NAME` makes commands share
  one of that name.
- `compare`, `patch` and `similar` remember both sentences: the last sentence is A, and `--from B`
  takes B.
  `compare TEXT` compares A with TEXT, and `compare` alone shows the last comparison again.
- `--as NAME` keeps a sentence under a name, and `--from NAME` takes it, in every terminal.
  `attnviz memory` lists what is remembered, and forgets. It all lies in your cache folder, readable
  only by you: each up to 64 MB, up to 100 by name, and of terminals the newest 40 for 30 days.
- `--load FILE` reads an inspection that `--save FILE` wrote.
- `find` also takes a table of sentences, each with its own query and key (`--tsv FILE` or
  `--csv FILE`), and phrases (`--key "the street"`). A column `id` comes back in JSON and CSV.
  `compare` takes two sentences, or one to compare with the last.

## Output

Results go to standard output, or to the file that `-o` names. Everything else goes to standard
error. A file appears whole or not at all. Tables have colours only on a terminal, and can be read
without them.

`-f html`, or a name that ends in `.html`, asks for a page: one file that works offline, in any
browser. Its path is printed; without `-o` it gets a name of its own, as pictures do. `attnviz view`
writes it of a sentence; `run`, `heatmap`, `lines`, `find`, `compare` and `explain` write the same
page, which begins with what they were asked. Several sentences, windows or pieces of a word have
one page. Of a text that is too long for a page it has the first tokens; a note says how many, and
`--window A:B` chooses others.
"""

ENVIRONMENT = """\
## Completion

`attnviz --install-completion` gives the shell that calls it (bash 4 or later, zsh or fish) a
function; terminals that you open from then on have it. The Tab key then completes

- commands, options, and the values of options such as `--format` and `--measure`;
- models: those that come with attnviz, those in the hub's cache, those of remembered sentences, and
  folders;
- words after `--query` and `--key`: those of TEXT on the same line; without TEXT, those of the
  sentence that `--load` or `--from` names, or of the last one. `@` offers places, as in `@10`;
- layers and heads of a model that is remembered, and names for `--from`.

Words are quoted as the shell needs it. `attnviz --show-completion` prints the function.

## Settings

Defaults of your own go into `config.toml`, in the folder that your system has for settings
(`~/.config/attnviz/` on Linux). A variable is above the file, and an option above both; in a
variable, `true` and `false` may also be `1` and `0`. attnviz reads the file when a command runs. A
key that it does not know, or a value that does not fit, is an error that names the line;
`memory` and `--spec`, which need no setting, only say so. A note names a variable `ATTNVIZ_…` that
does not exist. `attnviz --spec` says where the file is looked for, and what is in force.

```toml
model = "bert-base-uncased"  # what --model takes
device = "cpu"
format = "json"              # or a picture's, for commands that draw
lang = "ko"                  # of pictures and pages
special = false              # as --no-special
words = true
quiet = false
```

## Environment

| variable | what it does |
|---|---|
| `ATTNVIZ_MODEL`, `ATTNVIZ_FORMAT` … | each key of `config.toml` has its variable |
| `ATTNVIZ_ENGINE` | `numpy` or `torch`: runs attnviz's own encoder; else whichever is faster |
| `ATTNVIZ_NO_MEMORY` | `1`: remember no sentence and no trial of a model, and use none |
| `ATTNVIZ_TERMINAL` | commands with the same value share a last sentence, not those of a terminal |
| `NO_COLOR` | tables without colour |
| `COLUMNS` | the width of tables, instead of the terminal's |
| `XDG_CACHE_HOME` | the folder that contains the cache, instead of `~/.cache` (on Linux) |
| `XDG_CONFIG_HOME` | the folder that contains the settings, instead of `~/.config` (on Linux) |
"""

OTHER_FORMATS = """\
## CSV, TSV, Parquet, Markdown and NPZ

CSV has a header and one row for each result: for `run` a link from a query to a key, for
`find` a head, for `compare` a head and an aligned key, for `explain` a key, or a query and a key
of a whole head, for `why` a term, for `ablate` a word that moved, for `patch` a
head (without `--each` these heads at all words, then at each one), for `similar` a pair of words.
TSV and Parquet have the same columns and rows (Parquet needs `pyarrow`:
`pip install 'attnviz[parquet]'`). Markdown has a table for each answer, with rounded numbers.

```text
{headers}
```

There may be two more columns at the end: `dropped`, if special tokens are left out (their share of
the query's row; in `compare` one column for each side), and `measure`, if the numbers are not
attention weights. If a measure has no heads, the column `head` is empty.

NPZ has these arrays for each sentence i, counted from 0: `{{i}}.weights` (head, query, key),
`{{i}}.heads` (layer and head of each matrix) and `{{i}}.tokens`, and with `--no-special`
`{{i}}.dropped` (head, query). `explain` of a whole head has the arrays of its JSON there, from
`{{i}}.X` to `{{i}}.Z`. It also has `schema` and `meta` once; `meta` is a JSON string with
the model and the sentences.
"""


def main(arguments: list[str]) -> int:
    """Write the reference, or compare it; returns the exit code."""
    return written_or_compared(arguments, REFERENCE, "".join(_parts()), __doc__ or "")


def written_or_compared(arguments: list[str], path: Path, reference: str, usage: str) -> int:
    """Write a reference, or with --check say what differs; returns the exit code."""
    if arguments not in ([], ["--check"]):
        print(usage, file=sys.stderr)
        return 2
    if not arguments:
        path.write_text(reference, encoding="utf-8")
        return 0
    written = path.read_text(encoding="utf-8") if path.is_file() else ""
    if written == reference:
        return 0
    name = f"docs/{path.name}"
    differences = difflib.unified_diff(
        written.splitlines(), reference.splitlines(), name, "what attnviz says", lineterm=""
    )
    print("\n".join(differences))
    print(f"{name} is not what attnviz says of itself; run: make docs", file=sys.stderr)
    return 1


def commands() -> list[str]:
    """The names of attnviz's commands, in the order in which `--help` lists them."""
    return list(COMMANDS)


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
    from attnviz.answers import ablate, compare, explain, find, patch, similar, why
    from attnviz.answers.head import HeadSteps
    from attnviz.answers.word import LINK_COLUMNS

    headers = {
        "run": ("text_index", *LINK_COLUMNS),
        "find": ("text_index", *find.COLUMNS),
        "compare": compare.COLUMNS,
        "explain": ("text_index", *explain.COLUMNS),
        "a head": ("text_index", *HeadSteps.columns),
        "why": ("text_index", *why.Why.columns),
        "ablate": ("text_index", *ablate.COLUMNS),
        "patch": patch.EachPatched.columns,
        "similar": ("text_index", *similar.Similarity.columns),
    }
    for name, header in headers.items():
        yield f"{name + ':':<9}{','.join(header)}"


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
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    return f"""\
## Exit codes

| code | meaning |
|---|---|
{codes}

An error message says what came, what was expected, and what to try. If one of several sentences
fails, attnviz shows the others and names the number of the one that failed.
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
