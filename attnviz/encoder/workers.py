"""Threads on which batches run side by side, each batch on a thread of its own.

A short sentence's matrix products are small: to cut one up among threads takes longer than it
saves, many times longer on a machine that is busy, where each part waits for the slowest. So
torch's threads are spent on different batches instead, and on one batch together only if it is
alone and long.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

import torch

Result = TypeVar("Result")


class Begin(Protocol):
    """Begins a piece of work, on a thread of its own or with all of torch's threads."""

    def __call__(self, all_threads: bool, work: Callable[[], Result]) -> Future[Result]:
        """What will be the work's result."""


@contextmanager
def workers(alone: bool = False) -> Iterator[Begin]:
    """As many workers as torch would use threads; work not begun when the block ends is dropped.

    With `alone`, one: a GPU has one queue, and one memory, for all of them. torch's number of
    threads is what it was, before and after, for whoever uses it beside us.
    """
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(1 if alone else threads)

    def begin(all_threads: bool, work: Callable[[], Result]) -> Future[Result]:
        return pool.submit(_on_threads, threads if all_threads else 1, work)

    try:
        yield begin
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def _on_threads(threads: int, work: Callable[[], Result]) -> Result:
    """Do it with so many of torch's threads, which are set for the calling thread alone."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    return work()
