"""Models that bring code of their own, which runs only where somebody said that it is trusted."""

from pathlib import Path
from reprlib import repr as shortened
from typing import Any

from transformers.dynamic_module_utils import get_class_from_dynamic_module

from attnviz.errors import AttnvizError
from attnviz.files import read_json
from attnviz.models.files import AGAIN

CONFIG = "AutoConfig"
MODELS = ("AutoModel", "AutoModelForCausalLM", "AutoModelForMaskedLM")
WITH_DECODER = ("AutoModelForSeq2SeqLM", *MODELS)
"""What config.json calls the classes that models are made of, the best first."""


def own_model(folder: Path, with_decoder: bool) -> tuple[Any, Any]:
    """The configuration and the model's class, as the folder's own code has them.

    The code runs: it is read from the folder alone, and nothing is fetched. `with_decoder`: whether
    a decoder is to be looked at. Raises AttnvizError where config.json names no such code, or the
    folder does not hold it; whatever the code raises is the caller's.
    """
    path = folder / "config.json"
    told = read_json(path, AGAIN)["auto_map"]
    named = told if isinstance(told, dict) else {}
    wanted = WITH_DECODER if with_decoder else MODELS
    model = next((name for name in wanted if name in named), None)
    if model is None or CONFIG not in named:
        raise AttnvizError(
            f'{path} should name code for {CONFIG} and {wanted[0]} as "auto_map", '
            f"and has {shortened(told)}",
            "choose a model that transformers knows",
        )
    config, model_class = (_class_of(folder, named[name]) for name in (CONFIG, model))
    return config.from_pretrained(str(folder), local_files_only=True), model_class


def _class_of(folder: Path, reference: object) -> Any:
    # what was saved elsewhere names where its code came from: org/name--module.Class
    repository, _, name = str(reference).rpartition("--")
    module, _, rest = name.partition(".")
    if not rest or not (folder / f"{module}.py").is_file():
        place = f" of another repository, {repository}" if repository else ""
        raise AttnvizError(
            f"{folder / 'config.json'} names code{place} that is not beside it: {name}",
            "save the model and its code in one folder, with model.save_pretrained(folder)",
        )
    return get_class_from_dynamic_module(name, str(folder), local_files_only=True)
