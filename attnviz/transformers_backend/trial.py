"""What the trial of a model decided, and where that is remembered, so that it is tried once."""

import hashlib
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
import transformers
from torch import nn

import attnviz
from attnviz.attention.layer import LayerRecord
from attnviz.attention.request import AttentionKind
from attnviz.encoder.devices import Placement
from attnviz.errors import AttnvizError
from attnviz.files import cache_folder, read_own_json, stamp, write_own_json
from attnviz.inspection.memory import is_off
from attnviz.models.config import MOST_LAYERS, Config
from attnviz.models.files import ModelFiles, parts_of
from attnviz.transformers_backend.attention_call import ADDING, NAME, CallSites
from attnviz.transformers_backend.load import Architecture

TRIALS = "trials.json"
MOST_TRIALS = 1 << 18  # bytes, of hundreds of models; a longer list of trials begins anew
LARGEST = 1 << 40  # a number in one that is larger counts as damaged
TYPICAL_LENGTH = 512  # assumed for the memory of recorded weights, which grows with its square

# a file of weights is hashed whole up to so many bytes, and else in so many places of such a size
HASHED_WHOLE, PLACES, PLACE = 1 << 22, 64, 1 << 12

READ = (".json", ".safetensors", ".bin")  # files of a folder that transformers may read
ROOMS = ("attention", "encoder", "transformers_backend")  # with the code that tries and is tried


@dataclass(frozen=True)
class Trial:
    """How a model's attention is recorded, and what its layers have, as tried on a few tokens.

    `form`: how our attention function gets its masks; `together`: sentences have the same weights
    in a batch as alone; d_model and d_k are None if x and q were not recorded. `sites`: the modules
    that call us, in their order, with the kind of their attention and their W_O, if it was found.
    """

    kind: AttentionKind
    form: str
    weights_only: bool
    together: bool
    num_layers: int
    num_heads: int
    d_model: int | None
    d_k: int | None
    numbers_per_token: int
    sites: Sequence[tuple[str, AttentionKind, str | None]]

    def sites_in(self, model: nn.Module) -> CallSites:
        """The modules of the same names; KeyError if there is none."""
        modules = dict(model.named_modules())
        return CallSites(
            {modules[name]: kind for name, kind, _ in self.sites},
            {
                modules[name]: modules[output]
                for name, _, output in self.sites
                if output is not None
            },
        )


def tried(
    model: nn.Module, sites: CallSites, layers: Sequence[LayerRecord], name: str, **decided: Any
) -> Trial:
    """A trial, from what it recorded; AttnvizError if layers have other heads than others."""
    first = layers[0]
    d_ks: set[int | None] = {None if record.q is None else record.q.shape[-1] for record in layers}
    if len({record.num_heads for record in layers}) > 1 or len(d_ks) > 1:
        raise AttnvizError(
            f"attnviz cannot show {name} models: their layers have heads of different numbers or "
            "sizes"
        )
    names = {module: name for name, module in model.named_modules()}
    outputs = {site: names[output] for site, output in sites.outputs.items()}
    return Trial(
        num_layers=len(layers),
        num_heads=first.num_heads,
        d_model=None if first.x is None else first.x.shape[-1],
        d_k=d_ks.pop(),
        numbers_per_token=sum(map(_numbers_per_token, layers)),
        sites=[(names[site], kind, outputs.get(site)) for site, kind in sites.kinds.items()],
        **decided,
    )


def _numbers_per_token(record: LayerRecord) -> int:
    """How many numbers are recorded for a token, in a text of TYPICAL_LENGTH."""
    by_token = (record.x, record.encoder_states, record.q, record.k, record.v, record.z)
    count: int = sum(array.size // array.shape[-2] for array in by_token if array is not None)
    weights = 0 if record.recorded_weights is None else record.num_heads * TYPICAL_LENGTH
    return count + weights


def key_of(
    built: Architecture,
    content: Config,
    files: ModelFiles,
    place: Placement,
    kind: AttentionKind | None,
) -> str | None:
    """What a trial of these files is remembered by: all that it may depend on, in one hash.

    None, so that it is tried each time, for code of the model's own, which may be anywhere; and if
    memory is off. Of files: names, sizes, times (that of the last change too, which cannot be set)
    and inodes. Files of weights are not hashed whole at each start, which would take longer than
    the trial: places all over them are, so that other weights of the same size and time differ.
    """
    if built.own_code or is_off():
        return None
    try:
        facts = _facts(built, files, place.device)
    except OSError:
        return None
    facts |= {"config": content, "dtype": str(place.dtype), "kind": kind}
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _facts(built: Architecture, files: ModelFiles, device: torch.device) -> dict[str, Any]:
    """The files, code and machine that a trial depends on; OSError if a file is gone."""
    room = Path(__file__).parent.parent
    code = [path for name in ROOMS for path in sorted((room / name).glob("*.py"))]
    code.append(Path(sys.modules[built.model_class.__module__].__file__ or ""))
    versions = (attnviz, torch, transformers, np)
    read = [path for path in sorted(files.folder.iterdir()) if path.name.endswith(READ)]
    weights = [part.path for part in parts_of(files.weights)]
    on_gpu = device.type == "cuda"
    return {
        "folder": str(files.folder.resolve()),
        "files": [(path.name, *stamp(path)) for path in (*read, *weights)],
        "weights": list(map(_sampled, weights)),
        "versions": [module.__version__ for module in versions],
        "code": [(str(path), *stamp(path)) for path in code],
        "class": built.model_class.__qualname__,
        "device": [str(device), torch.cuda.get_device_name(device) if on_gpu else _processor()],
    }


def recall(key: str | None, model: nn.Module) -> Trial | None:
    """The trial that is remembered by a key; None if there is none that fits the model."""
    entry = read_own_json(cache_folder() / TRIALS, MOST_TRIALS).get(key) if key else None
    if not isinstance(entry, list) or len(entry) != 2 or entry[0] != _sum(key, entry[1]):
        return None
    try:
        trial = Trial(**{**entry[1], "sites": [tuple(site) for site in entry[1]["sites"]]})
        _check(trial)
        trial.sites_in(model)
    except (KeyError, TypeError, ValueError):
        return None
    return trial


def remember(key: str | None, trial: Trial) -> None:
    """Remember a trial that a model passed; if the cache cannot be written, it is tried again."""
    if key is None:
        return
    path, content = cache_folder() / TRIALS, asdict(trial)
    known = read_own_json(path, MOST_TRIALS)
    write_own_json(path, {**known, key: [_sum(key, content), content]})


def _check(trial: Trial) -> None:
    """ValueError for what no trial decides; TypeError, too, for what is of another type."""
    counts = [trial.num_layers, trial.num_heads, trial.numbers_per_token]
    counts += [size for size in (trial.d_model, trial.d_k) if size is not None]
    kinds = [trial.kind, *(kind for _, kind, _ in trial.sites)]
    sound = all(type(count) is int and 0 < count < LARGEST for count in counts)
    sound &= trial.num_layers <= MOST_LAYERS and bool(trial.weights_only or trial.sites)
    sound &= all(type(flag) is bool for flag in (trial.weights_only, trial.together))
    sound &= trial.form in (NAME, ADDING) and all(kind in get_args(AttentionKind) for kind in kinds)
    if not sound:
        raise ValueError(trial)


def _sum(key: str | None, content: object) -> str:
    """A check sum of what is remembered by a key: a damaged file must not change a trial."""
    return hashlib.sha256(f"{key}{json.dumps(content)}".encode()).hexdigest()[:16]


def _sampled(path: Path) -> str:
    """The SHA-256 of a file of weights, or of its beginning, its end and places between."""
    size = path.stat().st_size
    found = hashlib.sha256()
    with path.open("rb") as stream:
        if size <= HASHED_WHOLE:
            found.update(stream.read())
        else:
            for place in range(PLACES):
                stream.seek((size - PLACE) * place // (PLACES - 1))
                found.update(stream.read(PLACE))
    return found.hexdigest()


def _processor() -> str:
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
