"""The last inspection, remembered for the user alone."""

import stat
from pathlib import Path

import pytest
from test_storage import assert_same, made

from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import storage
from attnviz.inspection.storage import recall, remember


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, not made yet; the path is that of the remembered file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ATTNVIZ_NO_MEMORY", raising=False)
    return tmp_path / "cache" / "attnviz" / "last.safetensors"


def test_the_last_inspection_is_remembered_for_the_user_alone(cache: Path) -> None:
    assert recall() is None
    assert remember(made())
    remembered = recall()
    assert remembered is not None
    assert_same(remembered, made())
    assert stat.S_IMODE(cache.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.parent.stat().st_mode) == 0o700
    cache.chmod(0o644)
    assert remember(made(1))
    remembered = recall()
    assert remembered is not None
    assert_same(remembered, made(1))
    assert stat.S_IMODE(cache.stat().st_mode) == 0o600
    assert [path.name for path in cache.parent.iterdir()] == ["last.safetensors"]


def test_memory_can_be_turned_off(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(made())
    monkeypatch.setenv("ATTNVIZ_NO_MEMORY", "1")
    assert recall() is None
    assert remember(made(1))
    for on in ("", "0"):
        monkeypatch.setenv("ATTNVIZ_NO_MEMORY", on)
        remembered = recall()
        assert remembered is not None
        assert_same(remembered, made())


def test_what_is_too_large_is_not_remembered(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert storage.MEMORY_LIMIT == 64_000_000
    size = 2 * 4 * (2 * 12 + 3 * 3 * 2 * 4 + 2 * 2)  # layers x bytes x (x, q k v, bias)
    monkeypatch.setattr(storage, "MEMORY_LIMIT", size - 1)
    assert not remember(made(1))
    assert not cache.exists()
    monkeypatch.setattr(storage, "MEMORY_LIMIT", size + 100)  # the numbers fit, the file does not
    assert not remember(made(1))
    monkeypatch.setattr(storage, "MEMORY_LIMIT", 1 << 20)
    assert remember(made(1))


def test_a_damaged_memory_says_how_it_mends_itself(cache: Path) -> None:
    remember(made())
    cache.write_bytes(cache.read_bytes()[:100])
    with pytest.raises(AttnvizError, match="damaged") as caught:
        recall()
    assert caught.value.hint == "run a text, which will replace it"
    remember(made())
    assert recall() is not None


def test_a_cache_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.delenv("ATTNVIZ_NO_MEMORY", raising=False)
    assert recall() is None
    with pytest.raises(AttnvizError, match=r"cannot write .*last\.safetensors") as caught:
        remember(made())
    assert not isinstance(caught.value, RequestError)
