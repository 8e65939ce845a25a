"""What many tests share: the default model, and the founding example looked into."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from browser import chromium as chromium
from browser import opened as opened
from hypothesis import settings
from process import Done, Workplace, in_process

from attnviz.inspection import Inspection
from attnviz.model import Model, load_model

# nothing fails for being slow on a busy day
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

ANIMAL = "The animal didn't cross the street because it was too tired."


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what tests remember out of the user's cache, and the user's settings out of tests."""
    cache = tmp_path_factory.mktemp("cache")
    before = dict(os.environ)
    for name in [name for name in before if name.startswith("ATTNVIZ_")]:
        del os.environ[name]
    # one memory for all, whatever terminal the tests are started from; no settings of the developer
    os.environ["ATTNVIZ_TERMINAL"] = ""
    os.environ["BROWSER"] = "true"  # a page is opened by a program that does nothing
    os.environ["XDG_CACHE_HOME"] = str(cache)
    os.environ["XDG_CONFIG_HOME"] = str(cache / "config")
    yield cache / "attnviz"
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For tiny models: cut up among threads, their products would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def minilm(own_cache: Path) -> Model:
    """The default model."""
    return load_model("minilm")


@pytest.fixture(scope="session")
def animal(minilm: Model) -> Inspection:
    """The founding example, looked into."""
    return minilm.inspect(ANIMAL)


@pytest.fixture
def here(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """The command in this very process, in the test file's own `place`."""
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place.cache))
    return in_process
