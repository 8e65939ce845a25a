"""How the fuzzers change what is sound."""

import copy
import json
import os
import pickle
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load as from_safetensors
from safetensors.numpy import save as to_safetensors
from safetensors.torch import load_file, save_file
from test_hostile_text import ACTING

NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2, 3, 7, 97, 1 << 16, 1 << 20, 1 << 24, 1 << 31, 1 << 40, 1 << 63, 1 << 70,
    -(1 << 63), 10**30, 0.5, -0.0, 1e-320, 1e15, 1e30, 1e308, float("nan"), float("inf"),
    -float("inf"),
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, "", "a", "float8_e4m3fn", "gelu", "../../x", [], [1], ["a"], [[0, 1]],
    [None], {}, {"a": 1}, {"type": "Sequence"}, *ACTING.values(),
)  # fmt: skip


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in JSON, as keys from the outside in; of long lists some."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, inside in items[:40]:
        yield (*here, key)
        yield from places(inside, (*here, key))


def changed_json(rng: random.Random, content: Any) -> Any:
    """JSON with one entry changed, taken out, doubled or taken from elsewhere."""
    content = copy.deepcopy(content)
    every = list(places(content))
    if not every:
        return rng.choice(ODD)
    *outer, last = rng.choice(every)
    inside = content
    for key in outer:
        inside = inside[key]
    way = rng.randrange(8)
    if way == 0:
        del inside[last]
    elif way == 1 and isinstance(inside, list):
        inside.insert(rng.randrange(len(inside) + 1), copy.deepcopy(inside[last]))
    elif way == 2:
        *path, end = rng.choice(every)
        other = content
        for key in path:
            other = other[key]
        inside[last] = copy.deepcopy(other[end]) if end in range(len(other)) or end in other else 0
    elif way == 3 and isinstance(inside[last], int | float) and not isinstance(inside[last], bool):
        inside[last] = rng.choice((inside[last] + 1, inside[last] - 1, inside[last] * 1000))
    elif way == 4 and isinstance(inside[last], str):
        inside[last] = changed_text(rng, inside[last])
    else:
        inside[last] = rng.choice(NUMBERS if rng.random() < 0.6 else ODD)
    return content


def changed_text(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    extra = rng.choice(("", "(a+)+$", "\\", "[", "\x00", "\ud800", *ACTING.values()))
    return text[:at] + extra + text[at + rng.randrange(3) :]


def changed_bytes(rng: random.Random, content: bytes) -> bytes:
    """Bits flipped, bytes replaced, cut off or repeated, more often at the beginning."""
    data = bytearray(content)
    end = 8 + int.from_bytes(content[:8], "little")
    way = rng.randrange(4)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(end if rng.random() < 0.7 else len(data))
        if way < 2:
            data[at] ^= 1 << rng.randrange(8)
        elif way == 2:
            data[at] = rng.randrange(256)
    if way == 3:
        at = rng.randrange(len(data))
        data = data[:at] + data[at // 2 : at] * rng.randrange(2)
    return bytes(data)


def changed_tensors(rng: random.Random, content: bytes) -> bytes:
    """A sound safetensors file again, with metadata or arrays that differ."""
    arrays = {name: array.copy() for name, array in from_safetensors(content).items()}
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["attnviz"])
    for _ in range(rng.choice((1, 1, 2, 4))):
        if rng.random() < 0.5:
            metadata = changed_json(rng, metadata)
        else:
            change_array(rng, arrays)
    text = json.dumps(metadata, ensure_ascii=rng.random() < 0.9)
    try:
        return to_safetensors(arrays, {"attnviz": text})
    except (UnicodeEncodeError, Exception):
        return to_safetensors(arrays, {"attnviz": json.dumps(metadata)})


def changed_facts(rng: random.Random, content: bytes) -> bytes:
    """A safetensors file that makes sense, and says or holds something else than it did."""
    arrays = {name: array.copy() for name, array in from_safetensors(content).items()}
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["attnviz"])
    for _ in range(rng.choice((1, 2, 3))):
        tokens, way = metadata["tokens"], rng.randrange(6)
        if way == 0:
            families = (
                "bert",
                "marian",
                "mpnet",
                "paper",
                "llama",
                rng.choice(list(ACTING.values())),
            )
            metadata["model"]["family"] = rng.choice(families)
            metadata["model"]["name"] = rng.choice(("paper", "minilm", text_of(rng)))
        elif way == 1:
            name = rng.choice(("d_ff", "seed", "trained", "dtype"))
            chosen = {"trained": rng.random() < 0.5, "dtype": rng.choice(("float16", "float64"))}
            metadata["model"][name] = chosen.get(name, rng.choice((0, 7, 1 << 61)))
        elif way == 2:
            tokens["text"] = (text_of(rng) + tokens["text"])[: max(len(tokens["text"]), 1)]
        elif way == 3:
            at = rng.randrange(len(tokens["vocabulary"]))
            tokens["vocabulary"][at] = text_of(rng)
            tokens["ids"][at] = rng.choice((0, 1 << 40, tokens["ids"][0]))
        elif way == 4:
            for factors in filter(None, metadata["layers"]):
                factors["scale"] = rng.choice((0.0, -1.0, 1e-320, 1e9, 1e15))
                factors["softcap"] = rng.choice((None, 1e-300, 1.0, 1e15))
        else:
            name = rng.choice(sorted(arrays))
            if arrays[name].dtype == np.float32:
                arrays[name] *= np.float32(rng.choice((0, -1, 1e-40, 1e6, 1e12, 1e14)))
    try:
        return to_safetensors(arrays, {"attnviz": json.dumps(metadata, ensure_ascii=True)})
    except UnicodeEncodeError:
        return content


def change_array(rng: random.Random, arrays: dict[str, np.ndarray]) -> None:
    """One array gone, renamed, of another shape or dtype, or with other numbers."""
    if not arrays:
        return
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    way = rng.randrange(8)
    if way == 0:
        del arrays[name]
    elif way == 1:
        layer, _, field = name.partition(".")
        arrays[
            f"{rng.choice((layer, '0', '9'))}.{rng.choice(('q', 'k', 'memory', 'visible', field))}"
        ] = array
    elif way == 2:
        shape = list(array.shape)
        at = rng.randrange(len(shape)) if shape else 0
        if shape:
            shape[at] = rng.choice((0, 1, shape[at] + 1, max(shape[at] - 1, 0)))
        arrays[name] = np.resize(array, shape).astype(array.dtype) if array.size else array
    elif way == 3:
        dtypes = (np.float16, np.float64, np.int32, np.int64, np.uint8, np.bool_)
        with np.errstate(all="ignore"):
            arrays[name] = array.astype(rng.choice(dtypes))
    elif way == 4:
        arrays[name] = np.ascontiguousarray(array.swapaxes(0, -1)) if array.ndim else array
    elif way == 5:
        arrays[name] = array.reshape(-1)[: rng.randrange(2)].copy()
    elif array.size:
        flat = array.reshape(-1)
        number = rng.choice(
            (0, -1, 1e15, -1e15, 3e38, -3e38, 1e-45, np.nan, np.inf, -np.inf, 1e4, 7)
        )
        with np.errstate(all="ignore"):
            flat[rng.randrange(flat.size) if rng.random() < 0.7 else slice(None)] = (
                number if array.dtype.kind == "f" else rng.choice((0, 1, 7))
            )


class _Trap:
    """A pickle that would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def damaged(rng: random.Random, folder: Path, trap: Path) -> None:
    """Change one thing in a model's folder."""
    way = rng.randrange(12)
    weights = folder / "model.safetensors"
    if way < 6:
        names = ["config.json"] * 4 + ["tokenizer.json", "generation_config.json"]
        path = folder / rng.choice(names)
        content = json.loads(path.read_text()) if path.exists() else {"decoder_start_token_id": 1}
        path.write_text(json.dumps(changed_json(rng, content)), errors="replace")
    elif way == 6:
        settings = {"add_bos_token": True, "bos_token": "[CLS]", "tokenizer_class": "BertTokenizer"}
        (folder / "tokenizer_config.json").write_text(json.dumps(changed_json(rng, settings)))
    elif way == 7 and weights.exists():
        content = changed_bytes(rng, weights.read_bytes())
        weights.write_bytes(content)
    elif way == 8:
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": _Trap(trap)}))
        weights.unlink(missing_ok=True)
    elif way == 9:
        code = f"import os\nos.mkdir({str(trap)!r})\n"
        (folder / "modeling_own.py").write_text(code)
        config = json.loads((folder / "config.json").read_text())
        config["auto_map"] = {"AutoConfig": "modeling_own.C", "AutoModel": "modeling_own.M"}
        config["model_type"] = rng.choice((config.get("model_type"), "own"))
        (folder / "config.json").write_text(json.dumps(config))
    elif weights.exists():
        _change_weights(rng, weights)


def _change_weights(rng: random.Random, path: Path) -> None:
    try:
        tensors = load_file(path)
    except Exception:  # damaged before
        return
    name = rng.choice(sorted(tensors))
    tensor = tensors[name]
    way = rng.randrange(5)
    if way == 0:
        del tensors[name]
    elif way == 1:
        tensors[rng.choice((name + "x", "model." + name, name.replace("0", "5")))] = tensors.pop(
            name
        )
    elif way == 2:
        tensors[name] = tensor.reshape(-1)[: rng.choice((0, 1, 5))].clone()
    elif way == 3:
        dtypes = (
            torch.float8_e4m3fn, torch.float8_e5m2, torch.float64, torch.int8, torch.bool,
            torch.bfloat16, torch.int64,
        )  # fmt: skip
        dtype = rng.choice(dtypes)
        which = list(tensors) if rng.random() < 0.3 else [name]
        tensors |= {one: tensors[one].to(dtype) for one in which}
    else:
        number = rng.choice((float("nan"), float("inf"), 3e38, 1e20, 0.0))
        tensors[name] = torch.full_like(tensor, number)
    save_file(tensors, path, {"format": "pt"})


def text_of(rng: random.Random) -> str:
    """Characters of every kind: letters of many scripts, controls, surrogates, markup."""
    ranges = (
        (0, 0x80), (0x80, 0x500), (0x590, 0x700), (0x900, 0xE00), (0x1100, 0x1200),
        (0x2000, 0x2070), (0x3000, 0x3100), (0xAC00, 0xD7A4), (0xD800, 0xE000),
        (0xFE00, 0x10000), (0x1F300, 0x1FA00), (0xE0000, 0xE0080), (0x10FF00, 0x110000),
    )  # fmt: skip
    parts: list[str] = []
    for _ in range(rng.randrange(1, 9)):
        if rng.random() < 0.3:
            parts.append(
                rng.choice(
                    (*ACTING.values(), "a dog", "the cat", "동물은", "👩\u200d👧", " ", "[MASK]")
                )
            )
            continue
        first, end = rng.choice(ranges)
        if (first, end) == (0xD800, 0xE000) and rng.random() < 0.8:
            continue
        parts.append("".join(chr(rng.randrange(first, end)) for _ in range(rng.randrange(1, 6))))
    return rng.choice(("", " ")).join(parts)
