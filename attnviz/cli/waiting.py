"""A sign of life on standard error for work that takes over two seconds."""

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status

PATIENCE = 2.0
"""Seconds that pass before anything is shown."""


class Waiting:
    """A context that shows a spinner with what is going on, if standard error is a terminal."""

    def __init__(self, what: str, quiet: bool = False) -> None:
        self._what = what
        self._status: Status | None = None
        self._lock = threading.Lock()
        shown = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._timer = threading.Timer(PATIENCE, self._show) if shown else None

    def __enter__(self) -> "Waiting":
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
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
        self._what = what
        if self._status is not None:
            self._status.update(what)

    def stop(self) -> None:
        """Show nothing from here on."""
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
                self._status = Console(stderr=True).status(self._what)
                self._status.start()
