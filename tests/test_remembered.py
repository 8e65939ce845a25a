"""The last inspection, remembered for the user alone."""

import json
import os
import stat
from pathlib import Path

import pytest
from test_storage import assert_same, made

from attnviz.errors import AttnvizError, RequestError
from attnviz.files import cache_folder, stamp
from attnviz.inspection import memory, storage
from attnviz.inspection.memory import recall, remember
from attnviz.models.files import check_sha256


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
    assert memory.MEMORY_LIMIT == 64_000_000
    size = 2 * 4 * (2 * 12 + 3 * 3 * 2 * 4 + 2 * 2)  # layers x bytes x (x, q k v, bias)
    monkeypatch.setattr(memory, "MEMORY_LIMIT", size - 1)
    assert not remember(made(1))
    assert not cache.exists()
    monkeypatch.setattr(memory, "MEMORY_LIMIT", size + 100)  # the numbers fit, the file does not
    assert not remember(made(1))
    monkeypatch.setattr(memory, "MEMORY_LIMIT", 1 << 20)
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
    with pytest.raises(AttnvizError, match=r"cannot use .*: not a directory") as caught:
        remember(made())
    assert not isinstance(caught.value, RequestError)


def test_what_stands_in_its_place_is_not_read_and_not_waited_for(
    cache: Path, tmp_path: Path
) -> None:
    remember(made())
    theirs = tmp_path / "theirs"
    theirs.write_bytes(cache.read_bytes())
    for pipe in (False, True):
        cache.unlink()
        os.mkfifo(cache) if pipe else cache.symlink_to(theirs)
        with pytest.raises(AttnvizError, match="is not a file of attnviz's own"):
            recall()
        assert remember(made(1))
        assert stat.S_ISREG(cache.lstat().st_mode)
    assert_same(storage.load(theirs), made())


def test_a_cache_of_others_is_not_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(made())
    before = cache.read_bytes()
    cache.parent.chmod(0o777)
    remember(made())
    assert stat.S_IMODE(cache.parent.stat().st_mode) == 0o700
    monkeypatch.setattr(os, "geteuid", lambda: cache.stat().st_uid + 1)
    for action in (recall, lambda: remember(made(1))):
        with pytest.raises(AttnvizError, match="belongs to another user"):
            action()
    assert cache.read_bytes() == before


def test_the_list_of_known_files_is_made_anew(cache: Path, tmp_path: Path) -> None:
    """verified.json: a link is not followed, and what it holds is checked."""
    stamps, known, theirs = (
        cache.with_name("verified.json"),
        tmp_path / "known",
        tmp_path / "theirs",
    )
    known.write_bytes(b"abc")
    theirs.write_bytes(b"a user's")
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    cache.parent.mkdir(parents=True)
    stamps.symlink_to(theirs)
    check_sha256(known, sha256, "")
    expected = {str(known): [*stamp(known), sha256]}
    assert theirs.read_bytes() == b"a user's"
    assert json.loads(stamps.read_bytes()) == expected
    for damaged in (
        b'{"a":' * 100_000,
        b"[" * 100_000,
        b"\xff",
        b"[1]",
        b'{"a": [[1]]}',
        b" " * 2**21,
    ):
        stamps.write_bytes(damaged)
        check_sha256(known, sha256, "")
        assert json.loads(stamps.read_bytes()) == expected
    stamps.write_bytes(
        json.dumps({str(known): [3, 1, 1, 1, sha256], "b": [1, 2, 3, 4, "c"]}).encode()
    )
    check_sha256(known, sha256, "")
    assert json.loads(stamps.read_bytes()) == {**expected, "b": [1, 2, 3, 4, "c"]}
    with pytest.raises(AttnvizError, match="is not the file that was published"):
        check_sha256(known, "0" * 64, "")


def test_a_cache_folder_that_is_relative_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    for home, folder in (("/home/me", "/home/me"), ("relative", "/"), ("", "/")):
        monkeypatch.setenv("HOME", home)
        assert cache_folder().is_absolute()
        assert str(cache_folder()).startswith(folder)
