"""Files from the Hugging Face Hub, by way of its own library and cache."""

import logging
import re
import sys
from pathlib import Path

from attnviz.errors import AttnvizError, RequestError
from attnviz.models.files import check_sha256


class NotOnTheHub(RequestError):
    """The repository exists, but has no such file."""


class NotInCache(AttnvizError):
    """The file is not in the cache, and the hub cannot be reached."""


def download(
    repository: str, file: str, revision: str | None = None, where_missing: str = ""
) -> Path:
    """The file in the hub's cache, fetched if it is not there yet.

    `where_missing`: the hint if the repository has no such file. Raises RequestError if the
    repository, revision or file does not exist (NotOnTheHub for the file), AttnvizError if the hub
    cannot be reached (NotInCache) or refuses the file, or the file's hash is not the hub's.
    """
    import huggingface_hub
    from huggingface_hub.utils.logging import set_verbosity
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():  # no one watches the progress
        disable_progress_bars()
        set_verbosity(logging.ERROR)
    try:
        path = Path(huggingface_hub.hf_hub_download(repository, file, revision=revision))
    except Exception as error:  # it has changed its HTTP library, and so its exceptions, before
        raise _translated(error, repository, file, revision, where_missing) from error
    # the cache names a file as the hub does: a large one by its hash
    kept = path.resolve()
    if re.fullmatch("[0-9a-f]{64}", kept.name):
        check_sha256(kept, kept.name, f"delete {kept} and try again")
    return path


def listed(repository: str, commit: str) -> frozenset[str]:
    """The names of all files of this commit, from the hub; raises as `download` does."""
    import huggingface_hub

    try:
        return frozenset(huggingface_hub.HfApi().list_repo_files(repository, revision=commit))
    except Exception as error:  # as in download
        raise _translated(error, repository, "the list of files", commit, "") from error


def in_cache(repository: str, file: str, commit: str) -> bool | None:
    """Whether the cache has the file; False: the hub has none, as it once said; None: not asked."""
    import huggingface_hub

    known = huggingface_hub.try_to_load_from_cache(repository, file, revision=commit)
    return None if known is None else isinstance(known, str)


def _translated(
    error: Exception, repository: str, file: str, revision: str | None, where_missing: str
) -> AttnvizError:
    from huggingface_hub import errors

    match error:
        case errors.LocalEntryNotFoundError():
            return _not_in_cache(error, f"{file} of {repository}")
        case errors.RevisionNotFoundError():
            return RequestError(
                f'{repository} on the hub has no revision "{revision}"',
                "give a branch, a tag or a commit of it after the @",
            )
        case errors.EntryNotFoundError():
            return NotOnTheHub(f"{repository} on the hub has no {file}", where_missing)
        case errors.GatedRepoError():
            return AttnvizError(
                f"{repository} is gated: the hub gives it only to users who were granted access",
                "ask for it on the model's page, then set HF_TOKEN",
            )
        case errors.RepositoryNotFoundError():
            return RequestError(
                f'there is no folder "{repository}", and no such model on the hub, '
                "or none without a token",
                "check the name, or set HF_TOKEN",
            )
        case errors.HFValidationError():
            return RequestError(
                f'"{repository}" is neither a folder nor a valid name on the hub',
                "hub names look like org/name",
            )
        case errors.HfHubHTTPError():
            status = error.response.status_code
            return AttnvizError(
                f"the hub refuses {file} of {repository} (HTTP {status})",
                f"{_hint(status)}, or give a folder with --model",
            )
    reason = error.strerror if isinstance(error, OSError) else None
    lines = (reason or str(error)).strip().splitlines() or [type(error).__name__]
    return AttnvizError(
        f"{file} of {repository} could not be fetched: {lines[0]}",
        "try again, or give a folder with --model",
    )


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
            reason, hint = f"the hub answers HTTP {status}", _hint(status)
        case _:
            reason, hint = "the hub cannot be reached", "check the network"
    return NotInCache(
        f"{what} is not in the hub's cache, and {reason}", f"{hint}, or give a folder with --model"
    )


def _hint(status: int) -> str:
    """What to try after an HTTP error."""
    return "check HF_TOKEN" if status in (401, 403) else "try again later"
