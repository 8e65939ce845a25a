"""Names and hubs that mean harm: nothing appears outside the cache, and waiting has an end."""

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_hub import COMMIT, FILES, LocalHub, asked_hub, tiny_files

from attnviz.cli.output import Notes
from attnviz.errors import AttnvizError, RequestError
from attnviz.models import find_model, hub
from attnviz.models.hub import NotInCache


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """A hub with org/name, whose caller is soon out of patience."""
    assert hub.longest_silence() == 30
    monkeypatch.setattr(hub, "longest_silence", lambda: 0.5)
    monkeypatch.setattr(hub, "TOLD_AFTER", 0.2)
    with asked_hub(tmp_path, monkeypatch) as served:
        served.repositories["org/name"] = dict(tiny_files())
        yield served


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


REVISIONS = (
    "../../x", "..", "../x", "a/../b", "/etc/x", "a//b", "a/", "a.", ".a", "a/.b", "a.lock", "@",
    "a@{1}", "", " ", "a b", "a\nb", "a\0b", "a\x7fb", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b",
    "r" * 251,
)  # fmt: skip


def test_a_revision_that_no_branch_can_have(served: LocalHub, tmp_path: Path) -> None:
    theirs = tmp_path / "cache" / "x"
    theirs.parent.mkdir()
    theirs.write_text("a user's")
    told = r"cannot be the name of a revision|cannot be opened|there is no model"
    for revision in REVISIONS:
        with pytest.raises(RequestError, match=told):
            find_model(f"org/name@{revision}")
    assert served.requests == []
    assert files_of(tmp_path) == {theirs: b"a user's"}


def test_a_revision_that_git_allows(served: LocalHub) -> None:
    for revision in ("v1.0", "refs/pr/7", "a+b", "feature/#3", "a@b", "동물", "-x"):
        with pytest.raises(RequestError, match="has no revision"):
            find_model(f"org/name@{revision}")
    assert len(served.requests) == 7


LEADING_OUT = ("../../../../x", '"../../../../x"', "/tmp/x", "W/../x", "..", "a/b", '""', "a" * 300)


@pytest.mark.parametrize("header", ["ETag", "X-Linked-Etag", "X-Repo-Commit", "X-Xet-Hash"])
def test_an_answer_that_leads_outside_the_cache(
    header: str, served: LocalHub, tmp_path: Path
) -> None:
    for value in LEADING_OUT:
        served.headers[header] = value
        with pytest.raises(AttnvizError, match="cannot be the name of a file") as caught:
            find_model("org/name")
        assert not isinstance(caught.value, RequestError)
        assert f"config.json of org/name has the {header} " in caught.value.message
        assert files_of(tmp_path) == {}


@pytest.mark.parametrize("status", [404, 429, 503])
def test_an_error_that_leads_outside_the_cache(
    status: int, served: LocalHub, tmp_path: Path
) -> None:
    served.failures["org/name"] = status, "EntryNotFound" if status == 404 else ""
    served.headers["X-Repo-Commit"] = "../../../../x"
    with pytest.raises(AttnvizError):
        find_model("org/name")
    assert files_of(tmp_path) == {}


@pytest.mark.parametrize("name", ["../../x_vocab.py", "/tmp/x.py", "a/../../x.py", "a\nb.py"])
def test_a_list_of_files_that_leads_outside(name: str, served: LocalHub, tmp_path: Path) -> None:
    del served.repositories["org/name"]["tokenizer.json"]
    served.more = (name,)
    with pytest.raises(AttnvizError, match="lists a file that is not inside it"):
        find_model("org/name")
    assert {path.name for path in files_of(tmp_path)}.isdisjoint({"x_vocab.py", "x.py"})


def test_a_hash_in_capitals_is_held_to(served: LocalHub) -> None:
    true = hashlib.sha256(tiny_files()[FILES[2]]).hexdigest()
    served.hashes[FILES[2]] = true.upper()
    find_model("org/name")
    served.hashes[FILES[2]] = hashlib.sha256(b"another").hexdigest().upper()
    served.repositories["org/other"] = served.repositories["org/name"]
    with pytest.raises(AttnvizError, match="is not the file that was published"):
        find_model("org/other")


def test_more_than_was_said(served: LocalHub, tmp_path: Path) -> None:
    served.excess = 1 << 22
    with pytest.raises(AttnvizError, match=r"sends more of config\.json of org/name than the"):
        find_model("org/name")
    assert sum(map(len, files_of(tmp_path).values())) < 1 << 20


def test_a_silent_hub(served: LocalHub, caplog: pytest.LogCaptureFixture) -> None:
    find_model("org/name")
    served.awake.clear()
    begin = time.monotonic()
    with pytest.raises(NotInCache, match="the hub sent nothing within") as caught:
        find_model("org/name@v1")
    assert time.monotonic() - begin < 10
    assert "--model" in caught.value.hint
    assert [record.message for record in caplog.records] == [
        "waiting for the hub: config.json of org/name"
    ]
    find_model("org/name")  # what is in the cache serves
    find_model(f"org/name@{COMMIT}")


def test_a_hub_that_asks_to_wait(served: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: threading.Event().wait(seconds))
    served.failures["org/name"] = 429, ""
    served.headers["Retry-After"] = "100000"
    with pytest.raises(NotInCache, match="the hub asks to wait 100000 seconds"):
        find_model("org/name")


def test_a_list_without_end(served: LocalHub) -> None:
    del served.repositories["org/name"]["tokenizer.json"]
    served.endless = True
    with pytest.raises(NotInCache, match="the hub's list did not end"):
        find_model("org/name")


def test_a_lock_that_is_held(served: LocalHub, tmp_path: Path) -> None:
    from filelock import FileLock

    find_model("org/name")
    content = b'{"other": 1}'
    served.repositories["org/name"]["config.json"] = content
    served.headers["X-Repo-Commit"] = "d" * 40
    locks = tmp_path / "cache" / ".locks" / "models--org--name"
    with (
        FileLock(locks / f"{hashlib.sha1(content).hexdigest()}.lock"),
        pytest.raises(NotInCache, match="another process fetches it, and got nothing"),
    ):
        find_model("org/name")


def test_waiting_is_told_unless_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("attnviz")
    for quiet in (False, True):
        Notes(quiet)
        log.warning("waiting for the hub: %s", "config.json of org/name")
    log.handlers = []
    assert capsys.readouterr().err == "attnviz: waiting for the hub: config.json of org/name\n"
