"""The models at hand: the built-in ones, and what the hub's cache holds. Nothing is fetched."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.errors import AttnvizError
from attnviz.models.catalog import Catalog, How, Known
from attnviz.models.configs import CONFIGS, read_config, read_object
from attnviz.models.extra_files import has_tokenizer
from attnviz.models.find import (
    CONFIG,
    DEFAULT,
    DEFAULT_PACKAGE,
    DEFAULT_REPOSITORY,
    DEFAULT_REVISION,
    PAPER,
    TOKENIZER,
)
from attnviz.models.layout import LAYOUTS, WEIGHTS
from attnviz.models.tried import GIVEN, RECORDED, TRANSFORMERS

if TYPE_CHECKING:
    from huggingface_hub import CachedRepoInfo, CachedRevisionInfo


def catalog(default: str) -> Catalog:
    """What can be looked with here; `default` is taken where no model is named."""
    minilm = Known(DEFAULT, "bert", _default_size(), "", DEFAULT_REPOSITORY, DEFAULT_REVISION)
    families: dict[How, tuple[str, ...]] = {
        "natively": tuple(CONFIGS),
        "through transformers": tuple(RECORDED),
        "weights alone": tuple(GIVEN),
    }
    paper = Known(PAPER, PAPER, None, trained=False)
    return Catalog(default, (minilm, paper), _cached(), families, TRANSFORMERS)


def _default_size() -> int | None:
    """The bytes of the default model's package; None where it is not installed."""
    spec = find_spec(DEFAULT_PACKAGE)
    folders = (spec.submodule_search_locations if spec else None) or ()
    files = [path for folder in folders for path in Path(folder, "model").rglob("*")]
    return sum(path.stat().st_size for path in files if path.is_file()) or None


def _cached() -> tuple[Known, ...]:
    """The models in the hub's cache by name, each revision by itself."""
    from huggingface_hub import CacheNotFound, constants, scan_cache_dir

    try:
        found = scan_cache_dir(constants.HF_HUB_CACHE)
    except CacheNotFound:
        return ()
    except (OSError, ValueError) as error:
        raise AttnvizError(
            f"the hub's cache cannot be looked into: {error}", "check HF_HOME and its rights"
        ) from error
    models = [
        _known(repository, revision)
        for repository in found.repos
        if repository.repo_type == "model"
        for revision in repository.revisions
    ]
    return tuple(sorted(models, key=lambda known: known.name))


def _known(repository: "CachedRepoInfo", revision: "CachedRevisionInfo") -> Known:
    name = repository.repo_id
    if "main" not in revision.refs:
        name += f"@{min(revision.refs, default=revision.commit_hash)}"
    family, obstacle = _looked_into(revision.snapshot_path)
    return Known(
        name, family, revision.size_on_disk, obstacle, repository.repo_id, revision.commit_hash
    )


def _looked_into(folder: Path) -> tuple[str | None, str]:
    """A folder's model_type, and what stands in the way of looking with it."""
    config = folder / CONFIG
    if not config.is_file():
        return None, f"no {CONFIG}"
    try:
        family = read_object(config).get("model_type")
    except AttnvizError:
        return None, f"its {CONFIG} is damaged"
    if not isinstance(family, str):
        return None, f"its {CONFIG} names no model_type"
    if family not in (*CONFIGS, *RECORDED, *GIVEN):
        return family, "a type of model that was not tried"
    try:
        if family in CONFIGS:
            read_config(config)
    except AttnvizError as error:
        return family, error.message
    if not (folder / TOKENIZER).is_file() and not has_tokenizer(os.listdir(folder)):
        return family, f"no {TOKENIZER}"
    if not any((folder / file).is_file() for file in LAYOUTS):
        return family, f"no {WEIGHTS}"
    return family, ""
