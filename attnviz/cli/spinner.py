"""A spinner on standard error, for work that takes over two seconds."""

import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from attnviz.cli.output import STDOUT, on_terminal

if TYPE_CHECKING:
    from rich.status import Status

PATIENCE = 2.0
"""Seconds that pass before anything is shown."""


class Spinner:
    """A context that shows what is going on, if standard error is a terminal.

    Results may appear on the same terminal, so the spinner is gone before any are written: until
    the next start if they go there directly, and for good if they go through a pipe, whose reader
    may write to the terminal at any time.
    """

    def __init__(self, what: str, quiet: bool = False) -> None:
        self.what = what
        self._status: Status | None = None
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._enabled = not quiet and on_terminal(sys.stderr)
        self._piped = _is_pipe(STDOUT)
        self._in_the_way = self._piped or on_terminal(sys.stdout)

    def __enter__(self) -> "Spinner":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def update(self, what: str) -> None:
        """Say what is going on now."""
        self.what = what
        if self._status is not None:
            self._status.update(what)

    def count(self, done: int, total: int) -> None:
        """Say how many heads of all are done; a View calls it with its progress."""
        if self._status is not None:
            self._status.update(f"{self.what}: {done} of {total} heads")

    def start(self) -> None:
        """Show what is going on, if it still is after PATIENCE."""
        if self._enabled and self._timer is None:
            self._timer = threading.Timer(PATIENCE, self._show)
            self._timer.daemon = True
            self._timer.start()

    def stop(self) -> None:
        """Show nothing until the next start."""
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._timer = None
            if self._status is not None:
                self._status.stop()
                self._status = None

    def make_way(self) -> None:
        """Results are about to be written: stop if they may appear on the same terminal."""
        if self._in_the_way:
            self.stop()
            self._enabled &= not self._piped

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Say what is going on inside, and what was going on before afterwards."""
        before = self.what
        self.update(what)
        self.start()
        try:
            yield
        finally:
            self.update(before)

    def _show(self) -> None:
        from rich.console import Console

        with self._lock:
            if self._timer is not None:
                self._status = Console(stderr=True).status(self.what)
                self._status.start()


def _is_pipe(descriptor: int) -> bool:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
