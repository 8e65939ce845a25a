"""How a function becomes a command: options in groups, and errors as messages and exit codes.

A command takes dataclasses, each a group of options declared once in `options.py`. Typer wants one
flat list of parameters, so the groups are spread out for it and gathered again for the command.
"""

import dataclasses
import errno
import functools
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any, get_type_hints

import typer

from attnviz.cli.output import complain
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
    app.command(no_args_is_help=False)(command)


def exit_code_of(action: Callable[[], None]) -> int:
    """Do it, tell what went wrong in words, and give back the exit code."""
    try:
        action()
        if sys.stdout is not None:
            sys.stdout.flush()
    except AttnvizError as error:
        complain(error)
        return WRONG if isinstance(error, RequestError) else FAILED
    except BrokenPipeError:
        _stop_writing()
        return DONE
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF, errno.EDQUOT):
            raise
        _stop_writing()
        complain(AttnvizError(f"cannot write the results: {(error.strerror or '').lower()}"))
        return FAILED
    except MemoryError:
        complain(AttnvizError("there is not enough memory", "give shorter or fewer sentences"))
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return DONE


def _stop_writing() -> None:
    """Let what is still buffered for standard output go nowhere, instead of failing at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
