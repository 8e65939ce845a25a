"""Load a model by its name: into our own encoder, or through transformers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from attnviz.attention.request import AttentionKind, Device, Dtype
from attnviz.errors import MORE_MEMORY, RequestError, enough_memory
from attnviz.model.model import Model
from attnviz.model.native import NativeRunner
from attnviz.models import DEFAULT, PAPER, ModelFiles, default_tokenizer, find_model
from attnviz.models.config import (
    MOST_PARAMETERS,
    SEED,
    ModelType,
    RunOptions,
    model_type,
    paper_config,
)
from attnviz.models.families import FAMILIES, model_facts, read_config
from attnviz.models.files import Wanted
from attnviz.text.cutter import Said
from attnviz.text.tokenizer import Tokenizer, read_fast
from attnviz.text.tokens import Typed

if TYPE_CHECKING:
    from attnviz.transformers_backend.load import Architecture, Loaded

PICKLE_NOTES: tuple[str, ...] = (
    "its weights are a pickle, which could hold code; they were read as tensors alone, "
    "and nothing in it was run",
)

IN_MEMORY = " (in memory)"  # the end of a model's name that cannot be used to load it

Parts = Literal["encoder", "decoder", "both", "one"]
"""The parts a model has; "one": an encoder or a decoder, and it is not known yet which."""

WRITTEN = (
    "no --target came, so the target is what the model writes itself, the likeliest word each time"
)
"""The note on a decoder beside an encoder that is given no target of its own."""

LACKS: dict[Parts, dict[str, str]] = {
    "encoder": {"decoder": "a decoder", "cross": "a decoder"},
    "decoder": {"encoder": "an encoder", "cross": "an encoder"},
    "one": {"cross": "an encoder and a decoder"},
    "both": {},
}
"""For each value of `--attention` that such a model cannot serve, the part that it lacks."""

IS: dict[Parts, str] = {
    "encoder": "is an encoder",
    "decoder": "is a decoder alone",
    "one": "does not have both",
}


class ModelOptions(TypedDict, total=False):
    """`RunOptions`, and the shape of the untrained `paper`; None means the default.

    `untrained`: weights are drawn at random, from `seed`, as they were before training.
    """

    device: Device
    dtype: Dtype
    attention: AttentionKind | None
    target: Typed | None
    trust_remote_code: bool | None
    num_layers: int | None
    num_heads: int | None
    d_model: int | None
    d_ff: int | None
    untrained: bool
    seed: int | None


def load_model(name: str = DEFAULT, **options: Unpack[ModelOptions]) -> Model:
    """Load `minilm` (the default), `paper`, a folder, or a model of the Hugging Face Hub.

    Only `paper` takes the numbers among the options, which shape it; `seed` goes with `untrained`
    too, which draws the weights of any model at random, as they were before training. Raises
    RequestError for a name or options that make no sense, AttnvizError for damaged files.
    """
    shape: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    if shape.pop("untrained", False) and name != PAPER:
        shape["drawn"] = _checked_seed(shape.pop("seed", SEED))
    run = RunOptions(**{f.name: shape.pop(f.name) for f in fields(RunOptions) if f.name in shape})
    if name == PAPER:
        check_parts(name, run, "encoder")
        return _load_paper(run, **shape)
    if shape:
        flags = ", ".join("--" + key.replace("_", "-") for key in shape)
        raise RequestError(
            f"{flags} shape{'s' * (len(shape) == 1)} paper, and {name} has its own shape",
            f"use it with --model {PAPER}",
        )
    config, files = find_config(name, run)
    if config.is_native:
        return _load_native(config.kind, files, run)
    return _load_through_transformers(config, files)


@lru_cache(maxsize=1)
def through_transformers(model: Model) -> Model:
    """A published model that our own encoder runs, as transformers runs it: with its decoder."""
    own: Any = model._runner
    dtype: Any = model.facts.dtype
    # the class with a decoder; its encoder is shown
    run = RunOptions(device=own.encoders.device, dtype=dtype, attention="cross")
    config, files = find_config(model.facts.name, run)
    return _load_through_transformers(config, files, replace(run, attention="encoder"))


def find_config(name: str, run: RunOptions) -> tuple["ModelConfig", ModelFiles]:
    """A model's config.json, read once and checked before weights are fetched, and its files."""
    config = cache(partial(ModelConfig, name, run))
    files = find_model(name, lambda path: config(path).wanted())
    return config(files.config), files


@dataclass(frozen=True)
class ModelConfig:
    """A model's config.json, and how it is to be run."""

    name: str
    run: RunOptions
    path: Path

    @cached_property
    def kind(self) -> ModelType:
        """The type of the model; RequestError for attention that a native family does not have."""
        kind = model_type(self.path)
        if kind.name in FAMILIES and not FAMILIES[kind.name].beyond(kind.content):
            check_parts(self.name, self.run, "both" if kind.both else "encoder")
        return kind

    @cached_property
    def beyond(self) -> str | None:
        """What a model of a native family has that our own encoder lacks; see `Family.beyond`."""
        family = FAMILIES.get(self.kind.name)
        return None if family is None else family.beyond(self.kind.content)

    @property
    def is_native(self) -> bool:
        """Whether our own encoder gives the attention that was asked for."""
        ours = self.kind.name in FAMILIES and self.beyond is None
        return ours and self.run.attention not in ("decoder", "cross")

    @cached_property
    def architecture(self) -> "Architecture":
        """What transformers makes of it; RequestError for attention that it does not have."""
        from attnviz.transformers_backend.load import architecture

        folder, run = self.path.parent, self.run
        built = architecture(folder, self.kind, run.attention, run.trust_remote_code)
        check_parts(self.name, run, "both" if built.seq2seq else "one")
        return built

    def wanted(self) -> Wanted:
        """Which files the model needs beside its weights; raises for one that cannot be loaded."""
        if self.is_native:
            read_config(self.kind)
            return Wanted(settings=True)
        from attnviz.transformers_backend.load import knows

        if self.kind.own_code and self.run.trust_remote_code and not knows(self.kind.name):
            return Wanted(settings=True, code=True)  # its architecture is in code not yet here
        _ = self.architecture  # raises
        return Wanted(settings=True)


def _load_native(kind: ModelType, files: ModelFiles, run: RunOptions) -> Model:
    from attnviz.encoder.checkpoint import load_checkpoint
    from attnviz.encoder.choice import Encoders

    # they are mapped from the file, which takes no more room in another dtype
    with enough_memory("the model's weights do", MORE_MEMORY):
        checkpoint = load_checkpoint(kind, files.weights, files.verified, run.drawn)
        encoders = Encoders(checkpoint, run.device, run.dtype)
    config, family = checkpoint.config, checkpoint.family
    facts = replace(model_facts(files.name, family, config, run.drawn), dtype=run.dtype)
    tokenizer = native_tokenizer(files, kind, config.max_positions)
    runner = NativeRunner(facts, encoders)
    notes = _file_notes(files, kind, checkpoint.left_over, "the encoder")
    notes += _sizes_note(tokenizer.vocabulary_size, runner.vocab_size)
    return Model(tokenizer, runner, notes, files)


def native_tokenizer(files: ModelFiles, kind: ModelType, max_length: int | None) -> Tokenizer:
    """The tokenizer that AutoTokenizer builds: without transformers, if tokenizer.json says all."""
    undecided = ""
    if files.tokenizer is not None:
        if files.verified:  # the default model's, which says all
            return Tokenizer(read_fast(files.tokenizer, Said(mask="[MASK]")), max_length)
        from attnviz.text.auto import read_agreeing

        cutter = read_agreeing(files.tokenizer, kind.content)
        if not isinstance(cutter, str):
            return Tokenizer(cutter, max_length)
        undecided = cutter
    from attnviz.transformers_backend.tokenizers import tokenizer_of

    return tokenizer_of(files, max_length, undecided=undecided)


def _load_paper(run: RunOptions, seed: int = SEED, **sizes: int) -> Model:
    tokenizer = Tokenizer.from_file(default_tokenizer(), add_special_tokens=False)
    from attnviz.encoder.choice import Encoders
    from attnviz.encoder.paper import paper_checkpoint

    config = paper_config(tokenizer.vocabulary_size, **sizes)
    _checked_seed(seed)
    if config.num_parameters > MOST_PARAMETERS:
        raise RequestError(
            f"the untrained model would have {config.num_parameters} parameters",
            f"at most {MOST_PARAMETERS} parameters are possible",
        )
    encoders = Encoders(paper_checkpoint(config, seed), run.device, run.dtype)
    facts = replace(model_facts(PAPER, PAPER, config, seed), dtype=run.dtype)
    return Model(tokenizer, NativeRunner(facts, encoders))


def _checked_seed(seed: int) -> int:
    """The seed; RequestError for one that is out of range."""
    if not 0 <= seed <= 1 << 62:
        raise RequestError(f"seed is {seed}", f"it should be from 0 to {1 << 62}")
    return seed


def _load_through_transformers(
    config: ModelConfig, files: ModelFiles, run: RunOptions | None = None
) -> Model:
    """run: how it is shown, if not as its class was chosen for."""
    from attnviz.encoder.devices import placement
    from attnviz.transformers_backend.load import draw, read
    from attnviz.transformers_backend.tokenizers import tokenizer_of
    from attnviz.transformers_backend.trial import key_of

    run, kind = run or config.run, config.kind
    place = placement(run.device, run.dtype)
    architecture = config.architecture
    key = None
    if run.drawn is None:
        key = key_of(architecture, kind.content, files, place, run.attention)
        loaded = read(architecture, files, place)
    else:
        loaded = draw(architecture, files, place, run.drawn)
    own_code = architecture.own_code
    known = None if own_code else architecture.config
    tokenizer = partial(tokenizer_of, files, trust_remote_code=own_code, config=known)
    part = "what gives its attention"
    notes = _file_notes(files, kind, loaded.left_over, part, ran=own_code)
    if config.beyond is not None:
        notes += (f"{config.beyond}, so it runs through transformers, not in attnviz's encoder",)
    return _recordable(files.name, architecture, loaded, run, tokenizer, notes, files, key)


def model_in_memory(
    model: object,
    tokenizer: object,
    attention: AttentionKind | None = None,
    target: Typed | None = None,
) -> Model:
    """Wrap a transformers model and its tokenizer that are in memory already.

    It is left as it was; do not run it in another thread meanwhile. Raises RequestError for other
    objects or attention that it lacks, AttnvizError for a model that attnviz cannot record.
    """
    from attnviz.transformers_backend.load import in_memory
    from attnviz.transformers_backend.tokenizers import copy_of, wrapped

    architecture, loaded = in_memory(model)
    if tokenizer is None:
        raise RequestError(
            f"the {type(model).__name__} came without its tokenizer",
            f"add tokenizer=AutoTokenizer.from_pretrained({loaded.model.name_or_path!r})",
        )
    tokenizer_for = partial(wrapped, copy_of(tokenizer))
    run = RunOptions(attention=attention, target=target)
    # a published model of the same name may have other weights
    name = (loaded.model.name_or_path or type(model).__name__) + IN_MEMORY
    check_parts(name, run, "both" if architecture.seq2seq else "one")
    return _recordable(name, architecture, loaded, run, tokenizer_for)


def _recordable(
    name: str,
    architecture: "Architecture",
    loaded: "Loaded",
    run: RunOptions,
    tokenizer_for: Callable[[int | None, int | None, int | None], Tokenizer],
    notes: tuple[str, ...] = (),
    files: ModelFiles | None = None,
    key: str | None = None,
) -> Model:
    """A model of transformers; `tokenizer_for(most, most_of_target, first_id)` is its tokenizer.

    key: what its trial is remembered by, if it is.
    """
    from attnviz.transformers_backend.describe import max_positions
    from attnviz.transformers_backend.recordable import RecordableModel
    from attnviz.transformers_backend.runner import TransformersRunner

    model = RecordableModel.after_self_check(architecture, loaded, run.attention, key)
    if not architecture.seq2seq:
        check_parts(name, run, "encoder" if model.kind == "encoder" else "decoder")
    limits = max_positions(model), max_positions(model, "decoder")
    tokenizer = tokenizer_for(*limits, model.setting("forced_bos_token_id"))
    runner = TransformersRunner(name, model, tokenizer, run.target)
    if run.drawn is not None:
        runner.facts = replace(runner.facts, trained=False, seed=run.drawn)
    notes += _sizes_note(tokenizer.vocabulary_size, runner.vocab_size)
    notes += model.notes
    if model.decodes and run.target is None:
        notes += (WRITTEN,)
    return Model(tokenizer, runner, notes, files)


def check_parts(name: str, run: RunOptions, parts: Parts) -> None:
    """RequestError for attention that the model does not have, or a target that it cannot take."""
    attention = run.attention
    hint = "leave it out, or choose a model with an encoder and a decoder, such as T5 or BART"
    if attention in LACKS[parts]:
        needs = f"--attention {attention} needs {LACKS[parts][attention]}"
        raise RequestError(f"{needs}, and {name} {IS[parts]}", hint)
    if run.target is None:
        return
    if parts != "both":
        target = "--target is the text for a decoder next to an encoder"
        raise RequestError(f"{target}, and {name} {IS[parts]}", hint)
    if attention not in ("decoder", "cross"):
        raise RequestError(
            "--target is the text for the decoder, but this shows the encoder",
            "add --attention decoder or --attention cross",
        )


def _file_notes(
    files: ModelFiles, kind: ModelType, left_over: Sequence[str], part: str, ran: bool = False
) -> tuple[str, ...]:
    """Notes on the model's own code, which `ran` or not, a pickle, and tensors outside `part`."""
    notes: list[str] = []
    if ran:
        notes += ["its own code was run, as --trust-remote-code allows"]
    elif kind.own_code:
        notes += ["it brings code of its own, which was not run"]
    notes += PICKLE_NOTES if files.pickled else ()
    if left_over:
        from attnviz.models.heads import modules_beside

        modules = modules_beside(kind.content, left_over)
        notes += [f"not part of {part}, and not read: {modules}"] if modules else []
    return tuple(notes)


def _sizes_note(pieces: int, vectors: int) -> tuple[str, ...]:
    """The note on a tokenizer that has more pieces than the model has embeddings."""
    if pieces <= vectors:
        return ()
    return (
        f"its tokenizer has {pieces} pieces, and the model embeddings for {vectors}: a text with "
        "one of the others is refused",
    )
