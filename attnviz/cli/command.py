"""How a function becomes a command: options in groups, and errors as messages and exit codes.

A command takes dataclasses, each a group of options declared once in `options.py`. Typer wants one
flat list of parameters, so the groups are spread out for it and gathered again for the command.
"""

import dataclasses
import functools
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any, get_type_hints

import typer

from attnviz.attention.request import LESS_OF_A_TEXT
from attnviz.cli.output import complain
from attnviz.cli.streams import STDOUT, lead_nowhere
from attnviz.errors import AttnvizError, RequestError

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done; fine, but could not be done; the request is wrong; interrupted."""


def add_command(app: typer.Typer, function: Callable[..., None]) -> None:
    """Make `function`, whose parameters are groups of options, a command of its own name."""
    groups = get_type_hints(function)
    groups.pop("return", None)

    @functools.wraps(function)
    def command(**values: Any) -> None:
        gathered = {
            name: group(**{field.name: values[field.name] for field in dataclasses.fields(group)})
            for name, group in groups.items()
        }
        code = exit_code_of(lambda: function(**gathered))
        if code:
            raise typer.Exit(code)

    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=get_type_hints(group, include_extras=True)[field.name],
        )
        for group in groups.values()
        for field in dataclasses.fields(group)
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    app.command(help=_flowing(function.__doc__ or ""), no_args_is_help=False)(command)


def _flowing(text: str) -> str:
    """Paragraphs without the line ends that the source is broken by: terminals have their own."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.splitlines()) for paragraph in paragraphs)


def exit_code_of(action: Callable[[], None]) -> int:
    """Do it, tell what went wrong in words, and give back the exit code."""
    try:
        return _do(action)
    except AttnvizError as error:
        complain(error)
        return WRONG if isinstance(error, RequestError) else FAILED
    except BrokenPipeError:
        lead_nowhere(STDOUT)
        return DONE
    except OSError as error:
        if error.filename is None:  # not of a file, so of a standard stream
            lead_nowhere(STDOUT)
        complain(_disk_error(error))
        return FAILED
    except MemoryError:
        complain(AttnvizError("there is not enough memory", LESS_OF_A_TEXT))
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _do(action: Callable[[], None]) -> int:
    """Do it, and give back the code that it leaves with; what it wrote is written out."""
    code: str | int | None = DONE
    try:
        action()
    except SystemExit as leaving:
        # rich and Typer leave with 1 where a reader has seen enough
        if isinstance(leaving.__context__, BrokenPipeError):
            raise leaving.__context__ from None
        code = leaving.code
    if sys.stdout is not None:
        sys.stdout.flush()
    return code if isinstance(code, int) else DONE


def _disk_error(error: OSError) -> AttnvizError:
    reason = (error.strerror or str(error)).lower()
    if error.filename is None:
        return AttnvizError(f"cannot write the results: {reason}", "write to another place with -o")
    return AttnvizError(f"cannot use {os.fsdecode(error.filename)}: {reason}", "check the path")
