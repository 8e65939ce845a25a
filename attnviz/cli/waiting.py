"""A sign of life on standard error for work that takes over two seconds."""

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from attnviz.cli.streams import on_terminal

if TYPE_CHECKING:
    from rich.status import Status

PATIENCE = 2.0
"""Seconds that pass before anything is shown."""


class Waiting:
    """A context that shows a spinner with what is going on, if standard error is a terminal."""

    def __init__(self, what: str, quiet: bool = False) -> None:
        self.what = what
        self._status: Status | None = None
        self._lock = threading.Lock()
        self._shown = not quiet and on_terminal(sys.stderr)
        self._timer: threading.Timer | None = None

    def __enter__(self) -> "Waiting":
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

    def count(self, what: str, done: int, total: int) -> None:
        """Say what is going on, and how many heads of all are done."""
        self.update(f"{what}: {done} of {total} heads")

    def start(self) -> None:
        """Show what is going on once it has taken its time, counted from here."""
        if self._shown and self._timer is None:
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

    def _show(self) -> None:
        from rich.console import Console

        with self._lock:
            if self._timer is not None:
                self._status = Console(stderr=True).status(self.what)
                self._status.start()
