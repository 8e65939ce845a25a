"""What many tests share: the default model, and the founding example looked into."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from attnviz.inspection import Inspection
from attnviz.model import Model, load_model

# nothing fails for being slow on a busy day
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

ANIMAL = "The animal didn't cross the street because it was too tired."


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the tests' remembered inspections and stamps out of the user's cache."""
    cache = tmp_path_factory.mktemp("cache")
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(cache)
    yield cache / "attnviz"
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


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
