"""What to type instead of what was typed: near options, commands and names, and `run` for a text.

Also what to say of errors of disks and libraries. It is imported when something is wrong.
"""

import os
import re
import shlex
from collections.abc import Iterable
from difflib import get_close_matches
from traceback import walk_tb
from typing import Any

from attnviz.errors import AttnvizError

_LIKE = 0.7  # of 1, how alike an option must be to be offered
_TWICE = re.compile(r"( Did you mean [^?]*\?)\1$")  # by typer before 0.26, and by click 8.4
_NOT_ONE_OF = re.compile(r"(?P<typed>'[^']*') is not one of (?P<names>'.*')\.")


def with_hint(error: Any, commands: Iterable[tuple[str, Any]]) -> str:
    """Typer's message on what is wrong, in our words, and what to type instead.

    `commands`: all there are, by name. `error.arguments`: what came where one was expected.
    """
    if hasattr(error, "possibilities") and hasattr(error, "option_name"):
        return _no_such_option(error, commands)
    message = _TWICE.sub(r"\1", str(error.format_message()))
    found = _NOT_ONE_OF.search(message)
    if found is not None:
        return message + _did_you_mean(found["typed"], re.findall("'[^']*'", found["names"]))
    arguments = getattr(error, "arguments", ())
    if arguments and arguments[0] in ("help", "version"):
        return f"{message} Did you mean --{arguments[0]}?"
    if arguments and "Did you mean" not in message:
        return f"{message} To look into a text: {_line(['attnviz', 'run', *arguments])}"
    return message


def _no_such_option(error: Any, commands: Iterable[tuple[str, Any]]) -> str:
    """The near option of this command, or the commands that have this one."""
    typed, context = str(error.option_name), error.ctx
    have = [name for name, command in commands if typed in _options_of(command)]
    told = f"No such option: {typed}."
    told += "" if context is None else _did_you_mean(typed, _options_of(context.command))
    if have:
        *others, last = have
        told += f" {typed} is an option of {' and '.join(filter(None, [', '.join(others), last]))}"
        first = context is not None and context.parent is None
        told += ", which comes first." if first else "."
    return told


def _options_of(found: Any) -> set[str]:
    """All names of a command's options."""
    options = {name for one in found.params for name in (*one.opts, *one.secondary_opts)}
    return options | {"--help"}


def _did_you_mean(typed: str, names: Iterable[str]) -> str:
    """The name that is spelled much like it, or that it begins; nothing if there is none."""
    bare = {name.strip("-'"): name for name in sorted(names)}
    wanted = typed.strip("-'").casefold()
    near = get_close_matches(wanted, bare, 1, _LIKE)
    near += [name for name in bare if len(wanted) > 1 and name.startswith(wanted)]
    return f" Did you mean {bare[near[0]]}?" if near else ""


def _line(words: Iterable[str]) -> str:
    """The words as they are typed in a shell."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """A word in the quotes that it needs: double ones where these change nothing."""
    if re.fullmatch(r"[\w@%+=:,./-]+", word):
        return word
    return shlex.quote(word) if re.search(r'["$`\\!]', word) else f'"{word}"'


def import_error(error: Exception) -> AttnvizError | None:
    """What a library raised while it was imported; None if it was not."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    modules = [str(frame.f_globals.get("__name__")).partition(".")[0] for frame in frames]
    first = len(modules) - modules[::-1].index("attnviz")  # of the frames that attnviz called
    if all(frame.f_code.co_name != "<module>" for frame in frames[first:]):
        return None
    library = next(name for name in modules[first:] if name != "importlib")
    reason = next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__)
    return AttnvizError(
        f"{library} cannot be imported: {reason.rstrip('.')}",
        f"check the environment variables that {library} reads, or install it again",
    )


def disk_error(error: OSError) -> AttnvizError:
    """What to say of a file, or a standard stream, that cannot be used."""
    reason = (error.strerror or str(error)).lower()
    if error.filename is None:
        return AttnvizError(f"cannot write the results: {reason}", "write to another place with -o")
    return AttnvizError(f"cannot use {os.fsdecode(error.filename)}: {reason}", "check the path")
