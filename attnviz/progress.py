"""How far work over many heads has come, for whoever shows it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Tell = Callable[[int, int], None]
"""Is told how many heads are done, and of how many."""

_watchers: list[Tell] = []


@contextmanager
def watched(tell: Tell) -> Iterator[None]:
    """Inside, `tell` learns of every step of such work."""
    _watchers.append(tell)
    try:
        yield
    finally:
        _watchers.remove(tell)


def advanced(done: int, total: int) -> None:
    """Say that so many heads of all are done."""
    for tell in _watchers:
        tell(done, total)
