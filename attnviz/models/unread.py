"""Files of a model that attnviz does not read: what they are, and what to do about it."""

import re
from collections.abc import Collection
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from attnviz.errors import AttnvizError, RequestError
from attnviz.files import read_json
from attnviz.models.files import OLD_LAYOUT, WEIGHTS_INDEX

ADAPTER = "adapter_config.json"

_MOST_NAMES = 2000  # of a folder's files that are looked at
_FOLDER = "AutoModel.from_pretrained(folder, {}=True).save_pretrained(folder)"
_POINTER = b"version https://git-lfs"
_FIRST = "give the model that it was made from"


class _Kind(NamedTuple):
    files: str  # how their names look
    what: str
    hint: str


_ADAPTER = _Kind(
    re.escape(ADAPTER),
    "an adapter, which changes another model",
    "merge the two and save them with save_pretrained, or look into the one that it changes",
)
_KINDS = (
    _ADAPTER,
    _Kind(
        rf"{OLD_LAYOUT}/config\.json",
        f"a model of the old sentence-transformers layout, in {OLD_LAYOUT}",
        "download it (hf download NAME --local-dir FOLDER), and give that folder",
    ),
    _Kind(r".*\.gguf", "weights for llama.cpp (GGUF)", f"{_FIRST}, often the name without -GGUF"),
    _Kind(
        r"tf_model[\w.-]*\.h5|[\w.-]+\.ckpt\.index|(.*/)?saved_model\.pb",
        "weights for TensorFlow",
        f"convert them with transformers 4 and TensorFlow: {_FOLDER.format('from_tf')}",
    ),
    _Kind(
        r"flax_model[\w.-]*\.msgpack",
        "weights for Flax",
        f"convert them with transformers 4 and Flax: {_FOLDER.format('from_flax')}",
    ),
    _Kind(r"(.*/)?[\w.-]+\.onnx", "weights for ONNX", f"{_FIRST}, for transformers"),
    _Kind(r"(.*/)?openvino[\w.-]*\.xml", "weights for OpenVINO", f"{_FIRST}, for transformers"),
    _Kind(
        r"model-\d+-of-\d+\.safetensors",
        "parts of weights without model.safetensors.index.json, which says what is in them",
        "copy that file too",
    ),
)


def check_files(name: str, folder: Path) -> None:
    """Raise RequestError if a folder without a model holds something else that is known."""
    paths = islice(chain(folder.glob("*"), folder.glob("*/*")), _MOST_NAMES)
    names = sorted(path.relative_to(folder).as_posix() for path in paths)
    kind = _kind_of(names)
    if kind is not None:
        hint = _merging(folder / ADAPTER) if kind is _ADAPTER else kind.hint
        raise RequestError(f'the folder "{name}" holds {kind.what}', hint)
    inner = [one for one in names if one.endswith("/config.json")]
    if inner and "config.json" not in names:
        raise RequestError(
            f'the folder "{name}" has no config.json, and {inner[-1]} is in it',
            f"give {folder / inner[-1].partition('/')[0]}",
        )


def check_names(repository: str, names: Collection[str]) -> None:
    """The same of a repository on the hub."""
    kind = _kind_of(sorted(names))
    if kind is not None:
        raise RequestError(f"{repository} on the hub holds {kind.what}", kind.hint)


def check_gguf(path: Path) -> None:
    """Raise RequestError for a file of llama.cpp, which is a model by itself there."""
    kind = _kind_of([path.name])
    if kind is not None:
        raise RequestError(f'"{path}" holds {kind.what}', kind.hint)


def check_pointer(path: Path) -> None:
    """Raise RequestError if Git has left a pointer where the file should be."""
    try:
        with path.open("rb") as stream:
            is_pointer = stream.read(len(_POINTER)) == _POINTER
    except OSError:  # told by whoever reads it
        return
    if is_pointer:
        raise RequestError(
            f"{path} is a pointer of Git LFS, not the file itself",
            "fetch it with git lfs pull, in that folder",
        )


def _kind_of(names: Collection[str]) -> _Kind | None:
    if WEIGHTS_INDEX in names:  # then a part is lacking
        return None
    return next((k for k in _KINDS if any(re.fullmatch(k.files, name) for name in names)), None)


def _merging(path: Path) -> str:
    """How an adapter becomes a model, by its adapter_config.json."""
    try:
        said = read_json(path, "")
    except AttnvizError:
        said = {}
    kind, base = str(said.get("peft_type", "")), said.get("base_model_name_or_path")
    if not isinstance(base, str) or not base or not kind:
        return _ADAPTER.hint
    if "TUNING" in kind:  # prompts, prefixes
        return f"its vectors stand before the text, and cannot be merged; look into {base}"
    return (
        "merge the two with peft: AutoPeftModelForFeatureExtraction.from_pretrained(folder)"
        f".merge_and_unload().save_pretrained(merged), and save the tokenizer of {base} there too"
    )
