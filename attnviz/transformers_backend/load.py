"""A published model through transformers: what it is, whether it can be looked into, its weights.

Nothing is fetched: the files that were found are all there is. No code of a model is run, but where
somebody says that it is trusted.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shortened
from threading import RLock
from typing import Any

import transformers
from torch import Tensor, nn
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging as typed_logging

from attnviz.encoder.devices import LESS_MEMORY, Placement, enough_memory
from attnviz.errors import AttnvizError
from attnviz.inspection.facts import AttentionKind
from attnviz.models.config import ModelType
from attnviz.transformers_backend.interface import NAME, register
from attnviz.transformers_backend.own_code import own_model

EAGER = "eager"
"""What transformers calls attention that holds all weights, and gives them out."""

NEWER = "a newer transformers may: pip install --upgrade transformers"
NAMES_LISTED = 5

USUAL = re.compile(
    r"(lm_head|lm_loss|cls|predictions|head|pooler|sop_classifier|final_logits_bias)\b"
    r"|decoder\.(weight|bias)$"
)
"""What every published model may have beside its layers: what it was first trained to predict."""

_ALONE = RLock()

logging: Any = typed_logging


@dataclass(frozen=True)
class Architecture:
    """A kind of model that transformers has, before its weights are read.

    `config`: transformers' own; `model_class`: what runs; `seq2seq`: whether it has an encoder and
    a decoder; `calls`: whether it lets us compute its attention, or else gives weights alone;
    `own_code`: whether configuration and class are not transformers', but the model's own code.
    """

    name: str
    config: Any
    model_class: Any
    seq2seq: bool
    calls: bool
    own_code: bool = False


@dataclass(frozen=True)
class Loaded:
    """A model with its weights; `missing`: tensors that its files lack, which are random now;
    `left_over`: tensors of the files that it does not have, but for those of the task that it was
    trained on.
    """

    model: Any
    missing: tuple[str, ...]
    left_over: tuple[str, ...]


def knows(model_type: str) -> bool:
    """Whether this transformers knows the type of model, and needs no code of the model's own."""
    return model_type in CONFIG_MAPPING


def architecture(
    folder: Path, said: ModelType, kind: AttentionKind | None, trust_remote_code: bool = False
) -> Architecture:
    """What a config.json calls for; `kind`: whose attention is to be looked at.

    Only with `trust_remote_code` is the model's own code run, and only for a type of model that
    transformers does not know. Raises AttnvizError for a type of model that this transformers does
    not know, or that reads no text.
    """
    model_type, path = said.name, folder / "config.json"
    own_code = said.own_code and not knows(model_type)
    if own_code and not trust_remote_code:
        raise AttnvizError(
            f"{path} says model_type {shortened(model_type)}, which transformers "
            f"{transformers.__version__} does not know, and that its own code is to be run",
            "read that code, and add --trust-remote-code if you trust it",
        )
    if not own_code and not knows(model_type):
        raise AttnvizError(
            f"{path} says model_type {shortened(model_type)}, "
            f"which transformers {transformers.__version__} does not know",
            NEWER,
        )
    with quiet():
        config, model_class = (_own if own_code else _known)(folder, said, kind)
    inputs = model_class.input_modalities
    inputs = {inputs} if isinstance(inputs, str) else set(inputs)
    if "text" not in inputs or model_class.main_input_name != "input_ids":
        raise AttnvizError(
            f"{model_type} models read no text, but {' and '.join(sorted(inputs - {'text'}))}",
            "attnviz looks into models that read text",
        )
    config.use_cache = False
    config.return_dict = True
    seq2seq = bool(getattr(config, "is_encoder_decoder", False))
    calls = bool(model_class._can_set_attn_implementation())
    return Architecture(model_type, config, model_class, seq2seq, calls, own_code)


def _known(folder: Path, said: ModelType, kind: AttentionKind | None) -> tuple[Any, Any]:
    """Configuration and class as transformers has them."""
    config = _read_config(folder, said.name)
    mapping = transformers.MODEL_MAPPING
    if kind in ("decoder", "cross") and getattr(config, "is_encoder_decoder", False):
        mapping = transformers.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
    return config, _class_of(config, mapping, said.name)


def _own(folder: Path, said: ModelType, kind: AttentionKind | None) -> tuple[Any, Any]:
    """Configuration and class as the model's own code has them, which runs."""
    try:
        return own_model(folder, said.both and kind in ("decoder", "cross"))
    except AttnvizError:
        raise
    except (Exception, SystemExit) as error:  # whatever that code does
        raise AttnvizError(
            f"the own code of the {said.name} model stops with {first_line(error)}",
            "it may have been written for another transformers, or want another library",
        ) from error


def read(
    built: Architecture, folder: Path, place: Placement, tensors: Mapping[str, Tensor] | None = None
) -> Loaded:
    """The model with its weights, ready to run; `tensors`: its weights, where they are not
    safetensors in the folder.

    Raises AttnvizError for files that are damaged or do not fit config.json.
    """
    register()
    options: dict[str, Any] = {
        "config": built.config,
        "dtype": place.dtype,
        "attn_implementation": NAME if built.calls else EAGER,
        "output_loading_info": True,
    }
    if tensors is None:
        options |= {"use_safetensors": True, "local_files_only": True}
    else:
        options |= {"state_dict": dict(tensors)}
    with quiet(), enough_memory("the model's weights do", LESS_MEMORY):
        try:
            source = str(folder) if tensors is None else None
            model, told = built.model_class.from_pretrained(source, **options)
            model = model.to(place.device).eval().requires_grad_(False)
        except MemoryError:
            raise
        except Exception as error:  # whatever transformers makes of files that do not fit
            if isinstance(error, RuntimeError) and "memory" in str(error):
                raise
            raise AttnvizError(
                f"transformers could not load the {built.name} model: {first_line(error)}",
                "check that config.json and the weights belong together",
            ) from error
    left_over = (name for name in told["unexpected_keys"] if not USUAL.match(name))
    return Loaded(model, tuple(sorted(told["missing_keys"])), tuple(sorted(left_over)))


def check_missing(loaded: Loaded, run: set[nn.Module]) -> None:
    """AttnvizError if a tensor is missing that attention is made of; `run`: the modules that had
    run when the last layer's attention did.

    What is random plays no part where nothing of it had run, as of a pooler or an encoder's
    decoder; but what belongs to a layer always does.
    """
    names = {module: name for name, module in loaded.model.named_modules()}
    begun = {names[module] for module in run if module in names}
    lacking = [name for name in loaded.missing if not _idle(name, begun)]
    if lacking:
        more = len(lacking) - NAMES_LISTED
        raise AttnvizError(
            f"the weights lack {', '.join(lacking[:NAMES_LISTED])}"
            + (f" and {more} more" if more > 0 else ""),
            "check that config.json and the weights belong together",
        )


def _idle(tensor: str, begun: set[str]) -> bool:
    """Whether a tensor's module, or one that it is part of, never began to run; layers' all do."""
    parts = tensor.split(".")[:-1]
    for end in range(1, len(parts) + 1):
        if parts[end - 1].isdigit():
            return False
        module = ".".join(parts[:end])
        if module not in begun and not any(name.startswith(module + ".") for name in begun):
            return True
    return False


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' warnings and progress bars, which are no concern of who looks.

    They are the whole library's, so that one thread at a time has it quiet, and runs a model.
    """
    with _ALONE, _silenced():
        yield


@contextmanager
def _silenced() -> Iterator[None]:
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def first_line(error: BaseException) -> str:
    """What a library's error says, in a line, without a closing full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".:")


def _read_config(folder: Path, model_type: str) -> Any:
    try:
        return transformers.AutoConfig.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # whatever transformers makes of entries that make no sense
        raise AttnvizError(
            f"transformers cannot make sense of the {model_type} model's config.json: "
            f"{first_line(error)}",
            "save the model again with model.save_pretrained(folder)",
        ) from error


def _class_of(config: Any, mapping: Mapping[Any, Any], model_type: str) -> Any:
    try:
        found = mapping.get(type(config), None)
    except ImportError as error:
        raise AttnvizError(
            f"{model_type} models need a library that is not installed: {first_line(error)}"
        ) from error
    if found is None:
        raise AttnvizError(
            f"{model_type} models are not looked into: transformers has no model of text for them"
        )
    return found[0] if isinstance(found, Sequence) else found
