"""Work in threads side by side: products of numpy and torch release Python's lock."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attnviz.files import look_ahead

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

MOST_THREADS = 8  # Each thread holds a few megabytes of weights
Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`map` in threads: results in the order of the items, with few items begun in advance."""
    threads = min(processors(), MOST_THREADS)
    with one_thread(), ThreadPoolExecutor(threads) as pool:
        begun = (pool.submit(work, item) for item in items)
        try:
            yield from map(Future.result, look_ahead(begun, threads))
        finally:
            pool.shutdown(cancel_futures=True)


def one_thread() -> AbstractContextManager[object]:
    """Inside, each product of numpy takes one thread; then as many as before.

    A short product that is cut up takes longer, and with all threads many times as long.
    """
    limit: AbstractContextManager[object] = _libraries().limit(limits=1, user_api="blas")
    return limit


@cache
def _libraries() -> "ThreadpoolController":
    """The BLAS library of numpy, which is loaded by now; it takes some milliseconds to find."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def processors() -> int:
    """How many processors this program may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Begin(Protocol):
    """Starts work on a worker thread."""

    def __call__(self, all_threads: bool, work: Callable[[], Result]) -> Future[Result]:
        """The work's future result; `all_threads`: torch may use all its threads for it."""


@contextmanager
def workers(alone: bool = False) -> Iterator[Begin]:
    """As many workers as there are threads, or one if `alone` (a GPU has one queue and one memory).

    Cutting up the small products of a short sentence takes longer than it saves, so each thread
    runs a batch of its own. Work not begun when the block ends is dropped.
    """
    torch, threads = loaded_torch(), thread_count()
    pool = ThreadPoolExecutor(1 if alone else threads)

    def begin(all_threads: bool, work: Callable[[], Result]) -> Future[Result]:
        return pool.submit(_on_threads, threads if all_threads else 1, work)

    try:
        with one_thread():
            yield begin
    finally:
        pool.shutdown(cancel_futures=True)
        if torch is not None:
            torch.set_num_threads(threads)


def thread_count() -> int:
    """How many threads may work side by side: torch's number, or that of the processors."""
    torch = loaded_torch()
    return processors() if torch is None else int(torch.get_num_threads())


def loaded_torch() -> Any:
    """The module torch, if it is loaded already: another thread may be at it."""
    torch = sys.modules.get("torch")
    unfinished = getattr(getattr(torch, "__spec__", None), "_initializing", False)
    return None if unfinished else torch


def _on_threads(threads: int, work: Callable[[], Result]) -> Result:
    """Do the work with so many of torch's threads; torch sets them for the calling thread only."""
    torch = loaded_torch()
    if torch is not None and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    return work()
