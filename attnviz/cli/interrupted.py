"""What a signal does to work over a corpus: what is done is kept, or it is said that it is not."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from attnviz.cli.output import STDERR, Notes, fitted

if TYPE_CHECKING:
    from attnviz.corpus.fold import Folded

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Heed:
    """Heeds signals for a fold. `kept`: the file of --resume; without one, all ends at once."""

    def __init__(self, notes: Notes, kept: Path | None) -> None:
        from attnviz.corpus.pace import Stop

        self.stop: Stop = Stop()
        self._notes, self._kept = notes, kept
        self._code = 0
        self._before: dict[int, Callable[[int, FrameType | None], Any]] = {}

    @contextmanager
    def heeding(self) -> Iterator[None]:
        """Inside, the signals that end a command come here, except those that are ignored."""
        for name in _SIGNALS:
            number: int | None = getattr(signal, name, None)  # not every system has all
            before = None if number is None else signal.getsignal(number)
            if number is not None and callable(before):
                self._before[number] = before
                signal.signal(number, self._heed)
        try:
            yield
        finally:
            for number, before in self._before.items():
                signal.signal(number, before)

    def leave(self, folded: "Folded") -> None:
        """Say what is kept, and end the command, if a signal came."""
        if self._code:
            count = folded.tally.documents
            are = "document is" if count == 1 else "documents are"
            self._notes.say(
                f"interrupted: {count} {are} kept in {self._kept}; the same command goes on from "
                "there"
            )
            raise SystemExit(self._code)

    def _heed(self, number: int, frame: FrameType | None) -> None:
        if self._kept is not None and not self._code:
            self._code = 128 + number
            self.stop.ask()
            return
        if self._kept is None and number == signal.SIGINT:
            self._say("interrupted: nothing was kept; with --resume FILE, what is done would be")
        self._before[number](number, frame)

    def _say(self, text: str) -> None:
        """At once: a stream of Python's may be in use at this moment."""
        if not self._notes.quiet:
            start = "attnviz: "
            over = "\r\x1b[K" if os.isatty(STDERR) else ""  # what a spinner shows
            os.write(STDERR, f"{over}{start}{fitted(text, start)}\n".encode())
