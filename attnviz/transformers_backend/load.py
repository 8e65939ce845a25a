"""Load a model with transformers, or take one that is in memory already. Nothing is fetched."""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shortened
from threading import RLock
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)
from transformers.dynamic_module_utils import get_class_from_dynamic_module
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging as typed_logging

from attnviz.attention.request import AttentionKind
from attnviz.encoder.checkpoint import BELONG_TOGETHER
from attnviz.encoder.devices import Placement
from attnviz.encoder.pickles import read_pickle
from attnviz.errors import AttnvizError, RequestError, enough_memory, lacks_memory, listed
from attnviz.models.config import LESS_MEMORY, SAVE_AGAIN, ModelType
from attnviz.models.files import ModelFiles, parts_of, read_weights, tensor_names, wrapper_of
from attnviz.transformers_backend.attention_call import NAME, register

EAGER = "eager"  # transformers' name of the attention that keeps and returns all weights

HEADS = re.compile(  # tensors of pretraining heads: no note mentions them
    r"(lm_head|lm_loss|cls|predictions|head|pooler|sop_classifier|final_logits_bias)\b"
    r"|decoder\.(weight|bias)$"
)

# the entries of `auto_map` in a config.json that name a model's own classes, best first
CONFIG_CLASS = "AutoConfig"
MODEL_CLASSES = ("AutoModel", "AutoModelForCausalLM", "AutoModelForMaskedLM")
SEQ2SEQ_CLASSES = ("AutoModelForSeq2SeqLM", *MODEL_CLASSES)

# tensors of relative positions, which transformers had for many types, and has no more
RELATIVE = "distance_embedding"
SPARE = 1 << 20  # how many numbers a model may have that its files lack

# the attribute that says that transformers added hooks to a model, to return its weights
HOOKED = "_output_capturing_hooks_installed"

_ALONE = RLock()
logging: Any = typed_logging


@dataclass(frozen=True)
class Architecture:
    """A kind of model that transformers has, before its weights are read."""

    name: str
    config: Any
    model_class: Any
    seq2seq: bool  # it has an encoder and a decoder
    calls: bool  # it lets us compute its attention
    own_code: bool = False  # its configuration and class are not transformers'


@dataclass(frozen=True)
class Loaded:
    """A model with its weights."""

    model: Any
    missing: tuple[str, ...] = ()  # its tensors that the files lack, which are random now
    left_over: tuple[str, ...] = ()  # the files' that it does not have, pretraining heads aside
    borrowed: bool = False  # it is the user's


def knows(model_type: str) -> bool:
    """Whether this transformers has the model type."""
    return model_type in CONFIG_MAPPING


def architecture(
    folder: Path, model_type: ModelType, kind: AttentionKind | None, trust_remote_code: bool = False
) -> Architecture:
    """What config.json asks for; own code only if trusted. AttnvizError if it reads no text."""
    name = model_type.name
    own_code = model_type.own_code and not knows(name)
    if not knows(name) and not (own_code and trust_remote_code):
        raise AttnvizError(
            f"{folder / 'config.json'} has model_type {shortened(name)}, which transformers "
            f"{transformers.__version__} does not know"
            + (", and asks to run code of its own" if own_code else ""),
            "read that code, and add --trust-remote-code if you trust it"
            if own_code
            else "a newer transformers may: pip install --upgrade transformers",
        )
    with quiet():
        config, model_class = (_own_classes if own_code else _classes)(folder, model_type, kind)
    config.use_cache = False
    config.return_dict = True
    return described(name, config, model_class, own_code)


def described(name: str, config: Any, model_class: Any, own_code: bool = False) -> Architecture:
    """The architecture of a model class; AttnvizError if it does not read text."""
    inputs = model_class.input_modalities
    inputs = {inputs} if isinstance(inputs, str) else set(inputs)
    if "text" not in inputs or model_class.main_input_name != "input_ids":
        raise AttnvizError(
            f"{name} models do not read text, but {' and '.join(sorted(inputs - {'text'}))}",
            "choose a model that reads text",
        )
    seq2seq = bool(getattr(config, "is_encoder_decoder", False))
    calls = bool(model_class._can_set_attn_implementation())
    return Architecture(name, config, model_class, seq2seq, calls, own_code)


def _classes(folder: Path, model_type: ModelType, kind: AttentionKind | None) -> tuple[Any, Any]:
    """The configuration and the class that transformers has."""
    name = model_type.name
    with model_errors(f"transformers cannot read the {name} model's config.json:", SAVE_AGAIN):
        config = transformers.AutoConfig.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    mapping = transformers.MODEL_MAPPING
    # what is put together from two models, such as two BERTs, has no model without a task
    if type(config) not in mapping or (
        kind in ("decoder", "cross") and getattr(config, "is_encoder_decoder", False)
    ):
        mapping = transformers.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
    try:
        model_class = mapping.get(type(config), None)
    except ImportError as error:
        raise AttnvizError(
            f"{name} models need a library that is not installed: {first_line(error)}"
        ) from error
    if model_class is None:
        raise AttnvizError(f"attnviz cannot load {name} models: transformers has no text model")
    return config, model_class[0] if isinstance(model_class, Sequence) else model_class


def _own_classes(
    folder: Path, model_type: ModelType, kind: AttentionKind | None
) -> tuple[Any, Any]:
    """The configuration and the class in the folder's own code, which runs."""
    auto_map = model_type.content["auto_map"]
    names = auto_map if isinstance(auto_map, dict) else {}
    with_decoder = model_type.both and kind in ("decoder", "cross")
    choices = SEQ2SEQ_CLASSES if with_decoder else MODEL_CLASSES
    model = next((name for name in choices if name in names), None)
    if model is None or CONFIG_CLASS not in names:
        raise AttnvizError(
            f"{folder / 'config.json'} should name code for {CONFIG_CLASS} and {choices[0]} as "
            f'"auto_map", and has {shortened(auto_map)}',
            "choose a model that transformers knows",
        )
    try:
        config, model_class = (own_class(folder, names[name]) for name in (CONFIG_CLASS, model))
        return config.from_pretrained(str(folder), local_files_only=True), model_class
    except (AttnvizError, MemoryError):
        raise
    except (Exception, SystemExit) as error:  # whatever that code does
        raise AttnvizError(
            f"the {model_type.name} model's own code fails with {first_line(error)}",
            "it may have been written for another transformers, or need another library",
        ) from error


def own_class(folder: Path, reference: object) -> Any:
    """A class in a folder's own code, which runs; AttnvizError if it is not there."""
    # a copy of a repository names where its code came from: org/name--module.Class
    repository, _, name = str(reference).rpartition("--")
    module, _, class_name = name.partition(".")
    if not class_name or not (folder / f"{module}.py").is_file():
        place = f" of another repository, {repository}" if repository else ""
        raise AttnvizError(
            f"{folder / 'config.json'} names code{place} that is not in its folder: {name}",
            "save the model and its code in one folder, with model.save_pretrained(folder)",
        )
    return get_class_from_dynamic_module(name, str(folder), local_files_only=True)


def read(built: Architecture, files: ModelFiles, place: Placement) -> Loaded:
    """Load the model with its weights; AttnvizError if they are damaged."""
    register()
    enough = enough_memory("the model's weights do", LESS_MEMORY)
    fitting = model_errors(f"transformers could not load the {built.name} model:", BELONG_TOGETHER)
    with quiet(), enough, no_larger_than(files.weights), fitting:
        tensors = _tensors(files)
        source: dict[str, Any] = {"use_safetensors": True, "local_files_only": True}
        if tensors is not None:
            source = {"state_dict": tensors}
        model, info = built.model_class.from_pretrained(
            str(files.folder) if tensors is None else None,
            config=built.config,
            dtype=place.dtype,
            attn_implementation=NAME if built.calls else EAGER,
            output_loading_info=True,
            **source,
        )
        _settle_generation(model, files)
        model = model.to(place.device).eval().requires_grad_(False)
    left_over = [name for name in info["unexpected_keys"] if not HEADS.match(name)]
    relative = [name for name in left_over if RELATIVE in name]
    if relative:
        raise AttnvizError(
            f"this {built.name} model has relative positions ({relative[0]}), which transformers "
            f"{transformers.__version__} leaves out",
            "its weights would not be the model's own",
        )
    return Loaded(model, tuple(sorted(info["missing_keys"])), tuple(sorted(left_over)))


def _tensors(files: ModelFiles) -> dict[str, Tensor] | None:
    """A pickle's tensors, and those with a wrapper of training before all names, without it.

    None for others, which transformers reads itself.
    """
    held = read_pickle(files.weights) if files.pickled else None
    wrapper = wrapper_of(tensor_names(files.weights) if held is None else held)
    if not {"module", "_orig_mod"} & set(wrapper.split(".")):
        return held
    held = read_weights(files.weights) if held is None else held
    return {name.removeprefix(wrapper): tensor for name, tensor in held.items()}


def draw(built: Architecture, files: ModelFiles, place: Placement, seed: int) -> Loaded:
    """The model with new weights from a seed, as transformers begins one before its training."""
    register()
    built_as = {"dtype": place.dtype, "attn_implementation": NAME if built.calls else EAGER}
    enough = enough_memory("the model's weights do", LESS_MEMORY)
    building = model_errors(f"transformers could not build the {built.name} model:", SAVE_AGAIN)
    with quiet(), enough, building, torch.random.fork_rng(devices=[]):
        with no_larger_than(files.weights), torch.device("meta"):
            built.model_class(built.config)
        torch.manual_seed(seed)
        model = built.model_class._from_config(built.config, **built_as).to(place.device)
    return Loaded(model.eval().requires_grad_(False))


def _settle_generation(model: Any, files: ModelFiles) -> None:
    """Take the folder's settings of writing, which transformers does not read beside a pickle."""
    named = files.folder / "generation_config.json"
    if files.pickled and model.can_generate() and named.is_file():
        model.generation_config = transformers.GenerationConfig.from_pretrained(str(files.folder))


@contextmanager
def no_larger_than(weights: Path) -> Iterator[None]:
    """AttnvizError as soon as a model that is built is far larger than the files of its weights.

    A model is built before its weights are read, and numbers in config.json are soon written.
    """
    size = sum(part.path.stat().st_size for part in parts_of(weights))
    room = 2 * size + SPARE

    def count(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal room
        if tensor is not None and tensor.is_meta:
            room -= tensor.numel()
        if room < 0:
            raise AttnvizError(
                f"config.json calls for a model that is far larger than its weights, of {size} "
                "bytes",
                BELONG_TOGETHER,
            )

    hooks = [
        register_module_parameter_registration_hook(count),
        register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def in_memory(model: object) -> tuple[Architecture, Loaded]:
    """A transformers model of the user's, as if it had been loaded; RequestError for another."""
    if not isinstance(model, transformers.PreTrainedModel):
        raise RequestError(
            f"the model should be one of transformers, and is a {type(model).__name__}",
            "give what from_pretrained returned; if something wraps it, the model inside",
        )
    if any(parameter.is_meta for parameter in model.parameters()):
        raise RequestError(
            f"the weights of the {type(model).__name__} are not in memory",
            "load it without offloading, and not on the meta device",
        )
    register()
    config = model.config
    return described(config.model_type, config, type(model)), Loaded(model, borrowed=True)


@contextmanager
def borrowing(model: transformers.PreTrainedModel) -> Iterator[None]:
    """Run a model of the user's in evaluation mode; leave it, its config and hooks as they were."""
    modules = list(model.modules())
    before = [
        (m, m.training, HOOKED in vars(m), set(m._forward_hooks), dict(m._modules)) for m in modules
    ]
    kinds = [(m, m.attention_type) for m in modules if hasattr(m, "attention_type")]
    configs = [(config, dict(vars(config))) for config in _configs(modules)]
    try:
        model.train(False)
        model.config.use_cache, model.config.return_dict = False, True
        # not inference_mode: what a module caches must still be of use in training
        with torch.no_grad():
            yield
    finally:
        for module, kind in kinds:
            module.attention_type = kind
        for module, training, hooked, hooks, parts in before:
            module.training = training
            module._modules.update(parts)
            for number in set(module._forward_hooks) - hooks:
                del module._forward_hooks[number]
            if not hooked:
                vars(module).pop(HOOKED, None)
        for config, entries in configs:
            vars(config).clear()
            vars(config).update(entries)


def _configs(modules: Sequence[nn.Module]) -> list[Any]:
    """The configurations of modules, and of the parts that these configure."""
    found: dict[int, Any] = {}
    queue = [getattr(module, "config", None) for module in modules]
    while queue:
        config = queue.pop()
        if isinstance(config, transformers.PreTrainedConfig) and id(config) not in found:
            found[id(config)] = config
            queue += [getattr(config, part, None) for part in config.sub_configs]
    return list(found.values())


def check_missing(loaded: Loaded, begun: set[nn.Module]) -> None:
    """AttnvizError if the files lack a tensor that the attention depends on.

    `begun`: the modules that began before the last layer's attention ended; a pooler may be random.
    """
    names = {name for name, module in loaded.model.named_modules() if module in begun}
    lacking = [tensor for tensor in loaded.missing if not _is_unused(tensor, names)]
    if lacking:
        raise AttnvizError(f"the weights lack {listed(lacking)}", BELONG_TOGETHER)


def _is_unused(tensor: str, begun: set[str]) -> bool:
    """Whether the tensor's module, or one around it outside the layers, never began to run."""
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
    """Silence transformers' warnings and progress bars."""
    with _ALONE:  # these settings are global, so one thread at a time runs a model
        verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()


@contextmanager
def model_errors(what: str, hint: str = "") -> Iterator[None]:
    """Raise AttnvizError, which says `what` and why, for whatever transformers or a model raises.

    What is an AttnvizError already comes as it is, and so does too little memory.
    """
    try:
        yield
    except Exception as error:  # each model has exceptions of its own
        if isinstance(error, AttnvizError) or lacks_memory(error):
            raise
        raise AttnvizError(f"{what} {first_line(error)}", hint) from error


def first_line(error: BaseException) -> str:
    """The first line of a library's error, without a full stop at its end."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".:")
