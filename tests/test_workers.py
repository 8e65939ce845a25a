"""Batches on threads of their own, and torch's number of threads as it was."""

import sys
import threading
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
import torch

from attnviz import threads
from attnviz.threads import loaded_torch, workers


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_a_piece_of_work_has_one_thread_or_all() -> None:
    with workers() as begin:
        few = [begin(False, torch.get_num_threads).result() for _ in range(4)]
        all_of_them = begin(True, torch.get_num_threads).result()
        again = begin(False, torch.get_num_threads).result()
    assert (few, all_of_them, again) == ([1] * 4, 3, 1)


def test_torch_keeps_its_threads_for_whoever_uses_it_beside_us() -> None:
    seen = []
    with workers() as begin:
        begin(False, torch.get_num_threads).result()
        assert torch.get_num_threads() == 3
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert (torch.get_num_threads(), seen) == (3, [3])


def test_as_many_run_side_by_side_as_torch_has_threads() -> None:
    meeting = threading.Barrier(3, timeout=30)
    with workers() as begin:
        places = [begin(False, meeting.wait) for _ in range(3)]
        assert sorted(place.result() for place in places) == [0, 1, 2]


def test_work_not_begun_is_dropped_when_nobody_waits_for_it() -> None:
    release, done = threading.Event(), []
    with workers() as begin:
        blocked = [begin(False, lambda: release.wait(30)) for _ in range(3)]
        dropped = [begin(False, lambda: done.append(1)) for _ in range(5)]
        threading.Timer(0.1, release.set).start()
    assert [future.result() for future in blocked] == [True] * 3
    assert all(future.cancelled() for future in dropped)
    assert done == []


def test_what_goes_wrong_in_a_thread_is_raised_where_its_result_is_asked_for() -> None:
    def fail() -> None:
        raise ValueError("in the thread")

    with workers() as begin:
        future = begin(False, fail)
        with pytest.raises(ValueError, match="in the thread"):
            future.result()


def test_torch_that_another_thread_is_importing_is_not_there_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    half = ModuleType("torch")
    half.__spec__ = ModuleSpec("torch", None)
    half.__spec__._initializing = True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", half)
    assert loaded_torch() is None
    with workers() as begin:
        assert begin(False, loaded_torch).result() is None
        monkeypatch.setitem(sys.modules, "torch", torch)  # now it has come
        assert begin(False, torch.get_num_threads).result() == 1
        assert begin(True, torch.get_num_threads).result() == 3
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(
    ("wanted", "count"), [("1", 1), ("3", 3), ("99", 4), ("", 4), ("0", 4), ("2,1", 4), ("x", 4)]
)
def test_without_torch_there_are_as_many_as_torch_would_have(
    wanted: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "loaded_torch", lambda: None)
    monkeypatch.setattr(threads, "processors", lambda: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert threads.thread_count() == count
