"""Files from the Hugging Face Hub, kept in its own cache by its own library."""

import sys
from pathlib import Path

from attnviz.errors import AttnvizError, RequestError


def download(repository: str, file: str, revision: str | None = None) -> Path:
    """The file in the hub's cache, fetched if it is not there yet.

    `HF_ENDPOINT`, `HF_HUB_OFFLINE`, `HF_HOME` and tokens work as everywhere. Raises RequestError if
    the repository or file does not exist, AttnvizError if the hub cannot be reached.
    """
    import huggingface_hub
    from huggingface_hub import errors
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    place = f"{repository}@{revision}" if revision else repository
    try:
        return Path(huggingface_hub.hf_hub_download(repository, file, revision=revision))
    except errors.LocalEntryNotFoundError as error:
        raise AttnvizError(
            f"{file} of {place} is not in the hub's cache, and the hub cannot be reached",
            "check the network and HF_HUB_OFFLINE, or give a folder with --model",
        ) from error
    except errors.EntryNotFoundError as error:
        raise RequestError(
            f"{place} on the hub has no {file}", "choose a repository that has one"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise RequestError(
            f"the hub knows no {place}, or not without a token", "check the name, or set HF_TOKEN"
        ) from error
    except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise AttnvizError(
            f"{file} of {place} could not be fetched: {reason}",
            "try again, or give a folder with --model",
        ) from error
