"""Models that run through transformers, which is imported here and not before."""

from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.model.attention_kind import check_parts
from attnviz.model.model import Model
from attnviz.model.notes import (
    PICKLE_NOTES,
    WRITTEN_NOTES,
    code_note,
    left_over_note,
    sizes_note,
)
from attnviz.model.tokenizers import tokenizer_of
from attnviz.models import ModelFiles
from attnviz.models.config import ModelType
from attnviz.models.files import Wanted
from attnviz.models.options import RunOptions

if TYPE_CHECKING:
    from attnviz.transformers_backend.load import Architecture


def check_through(name: str, kind: ModelType, folder: Path, running: RunOptions) -> "Architecture":
    """What the config.json in a folder calls for, before weights are read.

    Raises RequestError for attention that the model does not have, AttnvizError for a model that
    cannot be looked into.
    """
    from attnviz.transformers_backend.load import architecture

    built = architecture(folder, kind, running.attention, running.trust_remote_code)
    check_parts(name, running, "both" if built.seq2seq else "one")
    return built


def wanted_through(name: str, kind: ModelType, folder: Path, running: RunOptions) -> Wanted:
    """What is needed beside the weights; raises as `check_through` does.

    What a model's own code makes of it cannot be told before the code is there.
    """
    from attnviz.transformers_backend.load import knows

    if kind.own_code and running.trust_remote_code and not knows(kind.name):
        return Wanted(settings=True, code=True)
    check_through(name, kind, folder, running)
    return Wanted(settings=True)


def load_through(name: str, kind: ModelType, files: ModelFiles, running: RunOptions) -> Model:
    """Load a model of any type that transformers knows.

    Raises RequestError for attention that the model does not have, AttnvizError for a model that
    cannot be looked into, or files that are damaged.
    """
    from attnviz.encoder.checkpoint import read_pickle
    from attnviz.encoder.devices import placement
    from attnviz.transformers_backend.facts import max_positions
    from attnviz.transformers_backend.load import read
    from attnviz.transformers_backend.recordable import RecordableModel
    from attnviz.transformers_backend.runner import TransformersRunner

    place = placement(running.device, running.dtype)
    folder = files.config.parent
    built = check_through(name, kind, folder, running)
    tensors = read_pickle(files.weights) if files.pickled else None
    opened = RecordableModel(built, read(built, folder, place, tensors), running.attention)
    if not built.seq2seq:
        check_parts(name, running, "encoder" if opened.kind == "encoder" else "decoder")
    tokenizer = tokenizer_of(
        files,
        max_positions(opened),
        max_positions(opened, "decoder"),
        forced_first=opened.forced_first,
        trust_remote_code=built.own_code,
    )
    runner = TransformersRunner(name, opened, tokenizer, running.target)
    notes = (*code_note(kind.own_code, built.own_code), *(PICKLE_NOTES if files.pickled else ()))
    notes += left_over_note(opened.left_over, "what gives its attention")
    notes += sizes_note(tokenizer.vocabulary_size, runner.vocab_size)
    notes += WRITTEN_NOTES if opened.decodes and running.target is None else ()
    return Model(tokenizer, runner, notes)
