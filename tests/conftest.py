"""What many tests share: the default model, and the founding example looked into."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from attnviz.inspection import Inspection
from attnviz.inspector import Model, load_model

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


@pytest.fixture(scope="session")
def minilm(own_cache: Path) -> Model:
    """The default model."""
    return load_model("minilm")


@pytest.fixture(scope="session")
def animal(minilm: Model) -> Inspection:
    """The founding example, looked into."""
    return minilm.inspect(ANIMAL)
