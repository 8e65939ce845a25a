"""Work in threads side by side: products of numpy and torch release Python's lock."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from threading import Lock
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
    return _ONE


class _OneThread:
    """Set by the first thread that comes in, for all; taken back by the last one that leaves."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._limit = _libraries().limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limit.restore_original_limits()


_ONE = _OneThread()


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
    threads = _TorchThreads()
    pool = ThreadPoolExecutor(1 if alone else thread_count())

    def begin(all_threads: bool, work: Callable[[], Result]) -> Future[Result]:
        return pool.submit(threads.at_work, all_threads, work)

    try:
        with one_thread():
            yield begin
    finally:
        pool.shutdown(cancel_futures=True)
        threads.put_back()


def thread_count() -> int:
    """How many threads may work side by side: torch's number, or what it would be."""
    torch = loaded_torch()
    if torch is not None:
        return int(torch.get_num_threads())
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(processors(), int(wanted) if wanted.isdecimal() and int(wanted) else processors())


def loaded_torch() -> Any:
    """The module torch if it is loaded; None too while another thread is still importing it."""
    torch = sys.modules.get("torch")
    unfinished = getattr(getattr(torch, "__spec__", None), "_initializing", False)
    return None if unfinished else torch


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Inside, torch, which is loaded, takes one thread here; then as many as before."""
    torch = loaded_torch()
    with _COUNTING:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


_COUNTING = Lock()  # while it is held, torch may have a number that is not its own


class _TorchThreads:
    """Torch's number of threads, which it keeps for each thread; torch may come at any time."""

    def __init__(self) -> None:
        self._before: int | None = None
        self._found()

    def at_work(self, all_threads: bool, work: Callable[[], Result]) -> Result:
        """Do the work with one of torch's threads, or with all."""
        torch, before = loaded_torch(), self._found()
        threads = before if all_threads else 1
        if torch is not None and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        return work()

    def put_back(self) -> None:
        """As many as before, for the threads of others too."""
        if self._before is not None:
            loaded_torch().set_num_threads(self._before)

    def _found(self) -> int:
        """As many as torch had when it was first seen here, before any were set."""
        with _COUNTING:
            torch = loaded_torch()
            if self._before is None and torch is not None:
                self._before = int(torch.get_num_threads())
        return self._before or 1
