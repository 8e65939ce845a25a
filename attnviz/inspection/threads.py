"""Work on several heads of a long text at once, in threads: numpy releases Python's lock."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from attnviz.files import look_ahead

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

MOST_THREADS = 8  # Each thread holds a few megabytes of weights
Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`map` in threads: results in the order of the items, with few items begun in advance."""
    threads = min(_processors(), MOST_THREADS)
    with _libraries().limit(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        begun = (pool.submit(work, item) for item in items)
        try:
            yield from map(Future.result, look_ahead(begun, threads))
        finally:
            pool.shutdown(cancel_futures=True)


@cache
def _libraries() -> "ThreadpoolController":
    """The BLAS library of numpy, which is loaded by now; it takes some milliseconds to find."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
