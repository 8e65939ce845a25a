"""Files from the Hugging Face Hub: fetched into its cache, with patience, and nowhere else.

huggingface_hub makes paths from what the server says (commit, ETag, names), and waits as long as it
is told to. Here each answer is checked before the library acts on it, and silence has an end.
"""

import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

from attnviz.errors import AttnvizError, RequestError
from attnviz.models import files

TOLD_AFTER = 2.0  # seconds after which waiting is told
LISTING = 1 << 26  # the most bytes that the list of a repository's files may take

FOLDER = "or give a folder with --model"

_PATH_HEADERS = ("X-Repo-Commit", "X-Linked-Etag", "ETag", "X-Xet-Hash")
_PATH_VALUE = re.compile(r'(?:W/)?"?(?!\.*"?$)[\w.+=~-]{1,200}"?', re.ASCII)
"""What of an answer becomes the name of a file in the cache, and what such a name may be."""

_log = logging.getLogger("attnviz")
_here = threading.local()  # `fetch`: what this thread fetches


class NotOnTheHub(RequestError):
    """The repository exists, but has no such file."""


class NotInCache(AttnvizError):
    """The file is not in the cache, and the hub cannot be reached."""


def download(
    repository: str, file: str, revision: str | None = None, where_missing: str = ""
) -> Path:
    """The file in the hub's cache, fetched if it is not there yet.

    `where_missing`: the hint of NotOnTheHub. Raises RequestError if what is asked for does not
    exist, AttnvizError if the hub cannot be reached (NotInCache), refuses it, or its hash differs.
    """
    import huggingface_hub
    from huggingface_hub.utils.logging import set_verbosity
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr or not sys.stderr.isatty():  # no one watches the progress
        disable_progress_bars()
        set_verbosity(logging.ERROR)
    fetch = _Fetch(repository, file)
    try:
        path = Path(
            fetch.patiently(
                lambda: huggingface_hub.hf_hub_download(
                    repository, file, revision=revision, tqdm_class=fetch.bar()
                )
            )
        )
    except NotInCache:
        known = huggingface_hub.try_to_load_from_cache(repository, file, revision=revision)
        if not isinstance(known, str):
            raise
        path = Path(known)
    except AttnvizError:
        raise
    except Exception as error:  # it has changed its HTTP library, and so its exceptions, before
        raise _translated(error, repository, file, revision, where_missing) from error
    # the cache names a file as the hub does: a large one by its hash
    kept = path.resolve()
    if re.fullmatch("[0-9a-fA-F]{64}", kept.name):
        files.check_sha256(kept, kept.name.lower(), f"delete {kept} and try again")
    return path


def listed(repository: str, commit: str) -> frozenset[str]:
    """The names of all files of this commit, from the hub; raises as `download` does."""
    import huggingface_hub

    what = "the list of files"
    fetch = _Fetch(repository, what, limit=LISTING)
    ask = huggingface_hub.HfApi().list_repo_files
    try:
        names = frozenset(fetch.patiently(lambda: ask(repository, revision=commit)))
    except AttnvizError:
        raise
    except Exception as error:  # as in download
        raise _translated(error, repository, what, commit, "") from error
    for name in names:
        if not _is_inside(name):
            raise AttnvizError(
                f"{repository} on the hub lists a file that is not inside it: {name[:99]!r}",
                f"check HF_ENDPOINT, {FOLDER}",
            )
    return names


def in_cache(repository: str, file: str, commit: str) -> bool | None:
    """Whether the cache has the file; False: the hub has none, as it once said; None: not asked."""
    import huggingface_hub

    known = huggingface_hub.try_to_load_from_cache(repository, file, revision=commit)
    return None if known is None else isinstance(known, str)


def _is_inside(name: str) -> bool:
    """Whether a file's name leads to a place inside its repository."""
    parts = name.replace("\\", "/").split("/")
    return name.isprintable() and not any(part in ("", ".", "..") for part in parts)


def longest_silence() -> float:
    """The seconds without a byte after which the hub is given up; more where a user allows more."""
    from huggingface_hub import constants

    return max(30.0, constants.HF_HUB_ETAG_TIMEOUT + 1, constants.HF_HUB_DOWNLOAD_TIMEOUT + 1)


class _Fetch:
    """One file, or list of files, asked for in a thread of its own, so that waiting has an end.

    `limit`: the most bytes that may come, if it is known.
    """

    def __init__(self, repository: str, what: str, limit: int | None = None) -> None:
        from huggingface_hub import constants

        self.what = f"{what} of {repository}"
        self._folder = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
        self._limit = limit
        self._is_list = limit is not None
        self._came = 0  # bytes, as far as they are seen
        self._wait = 0  # seconds that the hub asks to wait
        self._given_up = False
        self._done = threading.Event()
        self._result: str | list[str] = ""
        self._error: BaseException | None = None

    def patiently(self, action: Callable[[], Any]) -> Any:
        """What the action gives or raises; NotInCache if nothing comes for too long."""
        _check_answers()
        thread = threading.Thread(target=self._run, args=(action,), daemon=True)
        thread.start()
        try:
            self._await()
        except BaseException:
            self._given_up = True  # the next byte ends it, and the library removes what it began
            thread.join(1)
            raise
        if self._error is not None:
            raise self._error
        return self._result

    def bar(self) -> type[Any]:
        """The library's progress bar, which also tells that something came."""
        from huggingface_hub.utils.tqdm import tqdm

        fetch = self

        class Bar(tqdm):
            def update(self, n: float | None = 1) -> Any:
                fetch.count(int(n or 0))
                return super().update(n)

        return Bar

    def count(self, size: int) -> None:
        """So many bytes came."""
        if self._given_up:
            raise TimeoutError("given up")
        self._came += size

    def answered(self, response: Any) -> None:
        """Look at the headers of an answer before the library does; AttnvizError for bad ones."""
        headers, head = response.headers, response.request.method == "HEAD"
        for name in _PATH_HEADERS if head else ():
            if name in headers and not _PATH_VALUE.fullmatch(headers[name]):
                raise AttnvizError(
                    f"the hub's answer for {self.what} has the {name} {headers[name][:99]!r}, "
                    "which cannot be the name of a file",
                    f"check HF_ENDPOINT, {FOLDER}",
                )
        size = headers.get("X-Linked-Size") or headers.get("Content-Length") or ""
        if head and size.isdecimal() and not response.is_redirect:
            self._limit = int(size)
        wait = headers.get("Retry-After", "")
        rate = re.search(r"\bt\s*=\s*([0-9]+)", headers.get("RateLimit", ""))
        if response.status_code >= 400:
            self._wait = min(int(wait), 10**9) if wait.isdecimal() else int(rate[1]) if rate else 0
        limited = not head and response.status_code < 400
        response.stream = _counted(response, self, self._limit if limited else None)

    def _run(self, action: Callable[[], Any]) -> None:
        _here.fetch = self
        try:
            self._result = action()
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()

    def _await(self) -> None:
        """Wait for the end; NotInCache if the hub takes too long, or says that it will."""
        if self._done.wait(TOLD_AFTER):
            return
        _log.warning("waiting for the hub: %s", self.what)
        patience, seen, last = longest_silence(), self._seen(), monotonic()
        while not self._done.wait(0.5):
            if self._wait > patience:
                reason = f"the hub asks to wait {self._wait} seconds"
            elif monotonic() - last > patience:
                silence = f"within {patience:.0f} seconds"
                reason = f"the hub sent nothing {silence}"
                if self._is_list and self._came:  # its pages may come for ever
                    reason = f"the hub's list did not end {silence}"
                elif self._lock_held():
                    reason = f"another process fetches it, and got nothing {silence}"
            else:
                if self._seen() > seen and not self._is_list:
                    seen, last = self._seen(), monotonic()
                continue
            raise NotInCache(
                f"{self.what} could not be fetched: {reason}", f"try again later, {FOLDER}"
            )

    def _lock_held(self) -> bool:
        """Whether another process holds a lock on what is fetched."""
        from filelock import FileLock, Timeout

        for path in (self._folder.parent / ".locks" / self._folder.name).glob("*.lock"):
            try:
                with FileLock(path, timeout=0):
                    pass
            except Timeout:
                return True
            except OSError:
                continue
        return False

    def _seen(self) -> int:
        """The bytes that came, also those that another process brings into the cache."""
        try:
            return self._came + sum(e.stat().st_size for e in (self._folder / "blobs").iterdir())
        except OSError:
            return self._came


def _check_answers() -> None:
    """Let what is fetched here look at each answer before huggingface_hub does."""
    from huggingface_hub import get_session, set_client_factory
    from huggingface_hub.utils import _http

    if _answered in get_session().event_hooks["response"]:
        return
    make = _http._GLOBAL_CLIENT_FACTORY  # a user's own, perhaps

    def client() -> Any:
        made = make()
        made.event_hooks["response"].append(_answered)
        return made

    set_client_factory(client)


def _answered(response: Any) -> None:
    """An event hook of the library's HTTP client: it sees the headers first."""
    fetch = getattr(_here, "fetch", None)
    if fetch is not None:
        fetch.answered(response)


def _counted(response: Any, fetch: _Fetch, limit: int | None) -> Any:
    """The answer's bytes, counted as they come; AttnvizError if there are more than the limit."""
    stream = response.stream
    http = import_module(type(response).__module__.partition(".")[0])  # httpx, or what follows it

    class Counted(http.SyncByteStream):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Iterator[bytes]:
            size = 0
            for chunk in stream:
                fetch.count(len(chunk))
                size += len(chunk)
                if limit is not None and size > limit:
                    raise AttnvizError(
                        f"the hub sends more of {fetch.what} than the {limit} bytes expected",
                        f"check HF_ENDPOINT, {FOLDER}",
                    )
                yield chunk

        def close(self) -> None:
            stream.close()

    return Counted()


def _translated(
    error: Exception, repository: str, file: str, revision: str | None, where_missing: str
) -> AttnvizError:
    from huggingface_hub import errors

    kind: type[AttnvizError] = RequestError
    match error:
        case errors.LocalEntryNotFoundError():
            return _not_in_cache(error, f"{file} of {repository}")
        case errors.RevisionNotFoundError():
            message = f'{repository} on the hub has no revision "{revision}"'
            hint = "give a branch, a tag or a commit of it after the @"
        case errors.EntryNotFoundError():
            kind, hint = NotOnTheHub, where_missing
            message = f"{repository} on the hub has no {file}"
        case errors.GatedRepoError():
            kind, hint = AttnvizError, "ask for it on the model's page, then set HF_TOKEN"
            granted = "the hub gives it only to users who were granted access"
            message = f"{repository} is gated: {granted}"
        case errors.RepositoryNotFoundError():
            nowhere = "and no such model on the hub, or none without a token"
            message = f'there is no folder "{repository}", {nowhere}'
            hint = "check the name, or set HF_TOKEN"
        case errors.HFValidationError():
            message = f'"{repository}" is neither a folder nor a valid name on the hub'
            hint = "hub names look like org/name"
        case errors.HfHubHTTPError(response=response):
            kind, status = AttnvizError, response.status_code
            message = f"the hub refuses {file} of {repository} (HTTP {status})"
            hint = f"{_after(status)}, or give a folder with --model"
        case _:
            reason = error.strerror if isinstance(error, OSError) else None
            lines = (reason or str(error)).strip().splitlines() or [type(error).__name__]
            kind, hint = AttnvizError, "try again, or give a folder with --model"
            message = f"{file} of {repository} could not be fetched: {lines[0]}"
    return kind(message, hint)


def _not_in_cache(error: Exception, what: str) -> NotInCache:
    """The file is not in the cache and the hub cannot be reached; the error's cause says why."""
    from huggingface_hub import errors

    match error.__cause__:
        case errors.OfflineModeIsEnabled():
            reason, hint = "HF_HUB_OFFLINE is set", "unset it"
        case errors.FileMetadataError():
            reason, hint = "the server is not a hub", "check HF_ENDPOINT and the network's proxy"
        case errors.HfHubHTTPError(response=response):
            status = response.status_code
            reason, hint = f"the hub answers HTTP {status}", _after(status)
        case _:
            reason, hint = "the hub cannot be reached", "check the network"
    return NotInCache(
        f"{what} is not in the hub's cache, and {reason}", f"{hint}, or give a folder with --model"
    )


def _after(status: int) -> str:
    """What to try after an HTTP error."""
    return "check HF_TOKEN" if status in (401, 403) else "try again later"
