"""Where things are said: results on standard output or in a file, all else on standard error."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from attnviz.cli.streams import STDERR, lead_nowhere, on_terminal
from attnviz.errors import AttnvizError, RequestError
from attnviz.files import is_open_stream, whole_file
from attnviz.show.labels import visible


def complain(error: AttnvizError, where: str = "") -> None:
    """Say an error on standard error: what came and what was expected, then what to try."""
    _say(f"attnviz: {where}{visible(error.message)}")
    if error.hint:
        _say(f"  {visible(error.hint)}")


class Notes:
    """What is worth knowing beside the results, on standard error; `--quiet` keeps it back."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self._said: set[str] = set()

    def say(self, text: str) -> None:
        """Say one thing."""
        if not self.quiet:
            _say(f"attnviz: {visible(text)}")

    def say_once(self, text: str) -> None:
        """Say what is true of many sentences, and not again for the next."""
        if text not in self._said:
            self._said.add(text)
            self.say(text)


def _say(line: str) -> None:
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except OSError:  # nobody is left to be told, and the results are worth more
        lead_nowhere(STDERR)


@contextmanager
def results(path: Path | None) -> Iterator[BinaryIO]:
    """The stream that results go to: standard output, or a file that appears when it is whole."""
    if path is not None:
        with whole_file(path) as stream:
            yield stream
    elif sys.stdout is None:
        raise AttnvizError("standard output is closed", "write to a file with -o FILE")
    else:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()


def say_path(path: Path) -> None:
    """Name a file that was written, on standard output, for people and for scripts."""
    if sys.stdout is None:
        return
    name = visible(str(path)).encode() if on_terminal(sys.stdout) else os.fsencode(path)
    sys.stdout.buffer.write(name + b"\n")
    sys.stdout.buffer.flush()


def check_overwrite(
    path: Path,
    force: bool,
    written_by_us: Callable[[Path], bool],
    doubt: str = "attnviz did not write it, or not in this form",
) -> None:
    """Refuse to overwrite a file that attnviz did not write; RequestError says how to."""
    if force or is_open_stream(path) or not os.path.isfile(path) or not path.stat().st_size:
        return
    try:
        ours = written_by_us(path)
    except OSError as error:
        raise AttnvizError(f"cannot read {path}: {error.strerror}") from error
    if not ours:
        raise RequestError(
            f"{path} exists, and {doubt}",
            "overwrite it with --force, or give another name",
        )
