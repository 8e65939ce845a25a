"""A hub on the loopback: serves what huggingface_hub asks for, and fails as it is told."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants
from tiny_bert import save_tiny_bert

FILES = ("config.json", "tokenizer.json", "model.safetensors")
COMMIT = "c0ffee" + "0" * 34
"""The commit that every revision of a repository here stands for."""


def _awake() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class LocalHub:
    """Files by repository and name; `failures` by repository: a status and the hub's error code.

    `requests` are what was asked for, as "HEAD org/name main config.json", or "LIST org/name main"
    for the names of all files, which it does not tell if it is `unlisted`; `cut` is a file whose
    connection breaks in the middle; `redirects` sends downloads elsewhere, as for large files.
    `hashes`, by file, are what it says that large ones have as their SHA-256. A hostile one also
    sends `headers` with every answer, in place of its own, lists `more` files, or page after page
    if it is `endless`, waits until `awake` is set, and sends `excess` bytes after each file.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    revisions: tuple[str, ...] = ("main", COMMIT)
    failures: dict[str, tuple[int, str]] = field(default_factory=dict)
    cut: str = ""
    hashes: dict[str, str] = field(default_factory=dict)
    redirects: bool = False
    foreign: bool = False
    unlisted: bool = False
    requests: list[str] = field(default_factory=list)
    endpoint: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    more: tuple[str, ...] = ()
    endless: bool = False
    excess: int = 0
    awake: threading.Event = field(default_factory=_awake)

    def serve(self, name: str, folder: Path) -> None:
        """Serve a folder's files as the repository of that name."""
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        self.repositories[name] = files


@cache
def tiny_files() -> dict[str, bytes]:
    """The files of a tiny BERT, by name."""
    with TemporaryDirectory() as folder:
        save_tiny_bert(Path(folder))
        return {file: Path(folder, file).read_bytes() for file in FILES}


@contextmanager
def local_hub() -> Iterator[LocalHub]:
    """A hub that listens while the block runs; `endpoint` is its address."""
    hub = LocalHub()

    class Handler(_Handler):
        serves = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.awake.set()
        server.shutdown()
        server.server_close()
        thread.join()


def ask_at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT does, after huggingface_hub was imported."""
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@contextmanager
def asked_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """A hub that is asked while the block runs; nothing is in the cache, and nobody waits."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with local_hub() as hub:
        ask_at(hub.endpoint, monkeypatch)
        huggingface_hub.close_session()
        yield hub
    huggingface_hub.close_session()


class _Handler(BaseHTTPRequestHandler):
    serves: LocalHub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: tests read standard error."""

    def end_headers(self) -> None:
        for name, value in self.serves.headers.items():
            super().send_header(name, value)
        super().end_headers()

    def send_header(self, keyword: str, value: str) -> None:
        if keyword not in self.serves.headers:
            super().send_header(keyword, value)

    def _answer(self, body: bool) -> None:
        hub = self.serves
        hub.awake.wait()
        if "/tree/" in self.path:
            return self._list()
        if "/resolve/" not in self.path:  # once a process, huggingface_hub asks about itself
            return self._fail(404, "")
        path = self.path.removeprefix("/stored")
        repository, _, rest = path.strip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        revision = revision.replace("%2F", "/")
        hub.requests.append(f"{self.command} {repository} {revision} {file}")
        files = hub.repositories.get(repository)
        if repository in hub.failures:
            return self._fail(*hub.failures[repository])
        if files is None:
            return self._fail(401, "RepoNotFound")
        if revision not in hub.revisions:
            return self._fail(404, "RevisionNotFound")
        if file not in files:
            return self._fail(404, "EntryNotFound", COMMIT)
        return self._give(file, files[file], body)

    def _list(self) -> None:
        """All files of a revision, as JSON."""
        hub = self.serves
        path, _, _ = self.path.removeprefix("/api/models/").partition("?")
        repository, _, revision = path.partition("/tree/")
        hub.requests.append(f"LIST {repository} {revision}")
        if repository in hub.failures:
            return self._fail(*hub.failures[repository])
        if hub.unlisted:
            return self._fail(503, "")
        listed = [
            {"type": "file", "path": file, "size": len(content), "oid": "0" * 40}
            for file, content in hub.repositories[repository].items()
        ] + [{"type": "file", "path": file, "size": 1, "oid": "0" * 40} for file in hub.more]
        body = json.dumps(listed).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if hub.endless:
            self.send_header("Link", f'<{hub.endpoint}{self.path}>; rel="next"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _fail(self, status: int, code: str, commit: str = "") -> None:
        self.send_response(status)
        if commit:
            self.send_header("X-Repo-Commit", commit)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _give(self, file: str, content: bytes, body: bool) -> None:
        hub = self.serves
        away = hub.redirects and not self.path.startswith("/stored")
        self.send_response(302 if away else 200)
        if away:
            self.send_header("Location", f"/stored{self.path}")
        if not hub.foreign:
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
        if file in hub.hashes:
            self.send_header("X-Linked-Etag", f'"{hub.hashes[file]}"')
        excess = hub.excess if body else 0
        self.send_header("Content-Length", str(0 if away else len(content) + excess))
        self.end_headers()
        if body and not away:
            content += bytes(excess)
            self.wfile.write(content[: len(content) // 2] if file == hub.cut else content)
        if file == hub.cut:
            self.close_connection = True
