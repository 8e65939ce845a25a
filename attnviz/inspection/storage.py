"""Inspections in safetensors files: those that the user saves, and those that are remembered.

Arrays are named `{layer}.q` and so on (`attention.layer.ARRAYS`). The metadata's entry `attnviz` is
JSON: tokens, facts, and each layer's factors, null for a layer that was not recorded.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from attnviz.attention.layer import ARRAYS, LayerRecord
from attnviz.attention.request import AttentionKind
from attnviz.errors import AttnvizError, RequestError
from attnviz.files import check_readable, whole_file
from attnviz.inspection import Inspection, ModelFacts
from attnviz.text.tokens import Part, Tokens

SCHEMA = "attnviz.inspection"
VERSION = 3  # 2 had no unknown pieces, 1 only encoders
_T = TypeVar("_T", Tokens, Part, ModelFacts)
LARGEST = 1 << 62  # of whole numbers: JSON and NPZ have 64 bits for the sum of two
# what comes of content that makes no sense
_NONSENSE = (
    KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip
UNKNOWN_ENTRIES = ("[UNK]", "<unk>")  # What older files call an unknown piece
SAVE = "make one with attnviz run TEXT --save FILE"
SAVE_AGAIN = "save it again with attnviz run TEXT --save FILE"


def save(inspection: Inspection, path: Path) -> None:
    """Write an inspection to a file, whole or not at all; errors as in `whole_file`."""
    with whole_file(path) as stream:
        stream.write(to_bytes(inspection))


def load(path: Path) -> Inspection:
    """Read a saved inspection; RequestError if there is none, AttnvizError if it is damaged."""
    metadata, arrays = _read(path, numbers=True)
    _upgrade(path, metadata)
    with _damage(path):
        keys, attention = metadata.get("keys"), metadata.get("attention", "encoder")
        if attention not in get_args(AttentionKind):
            raise ValueError(f"there is no attention of kind {attention}")
        inspection = Inspection(
            tokens=_built(Tokens, metadata["tokens"]),
            model=_built(ModelFacts, metadata["model"]),
            layers=tuple(_record(n, each, arrays) for n, each in enumerate(metadata["layers"])),
            keys=None if keys is None else _built(Tokens, keys),
            attention=attention,
        )
        if arrays:
            raise ValueError(f"{', '.join(sorted(arrays)[:3])} belongs to no layer")
    return inspection


def glance(path: Path) -> tuple[Tokens, ModelFacts]:
    """The tokens of the text that was typed, and the model, without any number; errors as `load`.

    Of cross-attention, the text that was typed is the source.
    """
    metadata, _ = _read(path, numbers=False)
    _upgrade(path, metadata)
    with _damage(path):
        typed = metadata.get("keys") or metadata["tokens"]
        return _built(Tokens, typed), _built(ModelFacts, metadata["model"])


def _read(path: Path, numbers: bool) -> tuple[Any, dict[str, np.ndarray]]:
    """What the file's metadata say, and its arrays if the numbers are wanted."""
    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):
        raise RequestError(f"there is no file {path}", SAVE)
    check_readable(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = json.loads((file.metadata() or {}).get("attnviz", "null"))
            names = file.keys() if numbers else ()
            return metadata, {name: file.get_tensor(name) for name in names}
    # AttributeError: of a dtype that numpy does not have
    except (SafetensorError, OSError, *_NONSENSE) as error:
        raise AttnvizError(
            f"{path} is damaged, or not a saved inspection: {error}", SAVE_AGAIN
        ) from error


def is_saved_inspection(path: Path) -> bool:
    """Whether the file looks like what `save` wrote."""
    with path.open("rb") as stream:
        return b'"__metadata__":{"attnviz":' in stream.read(64)


def to_bytes(inspection: Inspection) -> bytes:
    """The content of an inspection's file."""
    from safetensors.numpy import save as to_safetensors

    arrays, factors = {}, []
    for number, record in enumerate(inspection.layers):
        factors.append(record and {"scale": record.scale, "softcap": record.softcap})
        for name, array in (record.arrays() if record else {}).items():
            arrays[f"{number}.{ARRAYS[name].stored or name}"] = np.ascontiguousarray(array)
    metadata = {
        "schema": f"{SCHEMA}/{VERSION}",
        "tokens": asdict(inspection.tokens),
        "model": asdict(inspection.model),
        "layers": factors,
        "keys": inspection.keys and asdict(inspection.keys),
        "attention": inspection.attention,
    }
    return to_safetensors(arrays, {"attnviz": json.dumps(metadata)})


def _upgrade(path: Path, metadata: Any) -> None:
    """Bring older metadata to the form of this version; AttnvizError for a newer, or for others."""
    schema = metadata.get("schema") if isinstance(metadata, dict) else None
    named = re.fullmatch(re.escape(SCHEMA) + r"/([0-9]{1,9})", str(schema))
    if named is None:
        raise AttnvizError(
            f"{path} is a safetensors file, but not a saved inspection",
            f"{SAVE}; a model's folder goes to --model",
        )
    if int(named[1]) > VERSION:
        raise AttnvizError(
            f"{path} was written by a newer attnviz ({schema}; this one reads {SCHEMA}/{VERSION})",
            "upgrade with pip install --upgrade attnviz",
        )
    with _damage(path):
        if named[1] == "1":  # which knew only encoders, with one scale for each layer
            metadata["layers"] = [{"scale": scale} for scale in metadata["scales"]]


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Say of which file it is that the content makes no sense."""
    try:
        yield
    except AttnvizError as error:
        raise AttnvizError(f"{path} is damaged: {error.message}", SAVE_AGAIN) from error
    except _NONSENSE as error:
        raise AttnvizError(
            f"{path} is damaged: its metadata does not fit its numbers ({error})", SAVE_AGAIN
        ) from error


def _record(
    layer: int, factors: dict[str, Any] | None, arrays: dict[str, np.ndarray]
) -> LayerRecord | None:
    if factors is None:
        return None
    softcap = factors.get("softcap")
    return LayerRecord(
        **{name: arrays.pop(f"{layer}.{a.stored or name}", None) for name, a in ARRAYS.items()},
        scale=float(factors["scale"]),
        softcap=None if softcap is None else float(softcap),
    )


def _built(kind: type[_T], entry: dict[str, Any]) -> _T:
    """Tokens, Part or ModelFacts from JSON, each field checked against its annotation.

    The texts are any that can be written as UTF-8: they are escaped where they are shown. Whole
    numbers are counts, places or ids, so none is below 0.
    """
    json.dumps(entry, ensure_ascii=False).encode()  # UnicodeEncodeError for a lone surrogate
    if kind is Tokens and "unknown" not in entry:  # a file from before it was saved
        pairs = enumerate(zip(entry["vocabulary"], entry["spans"], strict=False))
        unknown = [i for i, (name, span) in pairs if span is not None and name in UNKNOWN_ENTRIES]
        entry = entry | {"unknown": unknown}
    fields = {name: _frozen(value) for name, value in entry.items()}
    if isinstance(entry.get("part"), dict):
        fields["part"] = _built(Part, entry["part"])
    for name, annotation in get_type_hints(kind).items():
        if name in fields and not _fits(fields[name], annotation):
            raise TypeError(f"{name} is not {annotation}")
    return kind(**fields)


def _frozen(value: Any) -> Any:
    """Turn JSON's lists into the tuples that Tokens holds."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _fits(value: Any, annotation: Any) -> bool:
    parts = get_args(annotation)
    if isinstance(annotation, UnionType):
        return any(_fits(value, part) for part in parts)
    if get_origin(annotation) is not tuple:
        return type(value) is annotation and (annotation is not int or 0 <= value <= LARGEST)
    if not isinstance(value, tuple):
        return False
    if parts[-1] is Ellipsis:
        return all(_fits(item, parts[0]) for item in value)
    return len(value) == len(parts) and all(map(_fits, value, parts))
