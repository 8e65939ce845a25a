"""When a fold keeps what is done, and how it is asked to end early."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

KEPT_AFTER, KEPT_EVERY = 0.25, 2.0
"""Seconds after which what is done is kept: a first time, and from then on."""

SELDOM, WAITING = 50, 5
"""Keeping it takes one of so many parts of a core at most, and of the time, which may be a slow
disk's and leaves the cores to the texts.
"""

Item = TypeVar("Item")


class Stop:
    """Asks a fold to end early; a signal's handler may do so at any time."""

    def __init__(self) -> None:
        self.asked = False
        self._waits = False

    def ask(self) -> None:
        """End it: at once where it waits for what comes next, else as soon as it looks here."""
        self.asked = True
        if self._waits:
            raise KeyboardInterrupt

    def until(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, up to the one that comes once the end was asked for."""
        rest = iter(items)
        while not self.asked:
            try:
                self._waits = True
                try:
                    item = next(rest)
                finally:
                    self._waits = False
            except StopIteration:
                return
            except KeyboardInterrupt:
                if not self.asked:
                    raise
                return
            yield item


class Rhythm:
    """When to keep what is done: soon at first, and never in much of the time."""

    def __init__(self) -> None:
        self._wait = KEPT_AFTER
        self._next = time.monotonic() + self._wait

    @property
    def due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() >= self._next

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Inside, it is kept; the time that this takes says when it is due again."""
        began, worked = time.monotonic(), time.thread_time()
        yield
        ended, worked = time.monotonic(), time.thread_time() - worked
        self._wait = min(2 * self._wait, KEPT_EVERY)
        self._next = ended + max(self._wait, SELDOM * worked, WAITING * (ended - began))
