"""Models that run through transformers, which is imported here and not before."""

from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.inspector.cutting import tokenizer_of
from attnviz.inspector.model import Model
from attnviz.inspector.notes import (
    PICKLE_NOTES,
    WRITTEN_NOTES,
    code_note,
    left_over_note,
    sizes_note,
)
from attnviz.inspector.parts import check_parts
from attnviz.models import ModelFiles
from attnviz.models.beside import Wanted
from attnviz.running import Running
from attnviz.weights.configs import ModelType

if TYPE_CHECKING:
    from attnviz.backends.reading import Architecture


def check_through(name: str, kind: ModelType, folder: Path, running: Running) -> "Architecture":
    """What the config.json in a folder calls for, before weights are read.

    Raises RequestError for attention that the model does not have, AttnvizError for a model that
    cannot be looked into.
    """
    from attnviz.backends.reading import architecture

    built = architecture(folder, kind, running.attention, running.trust_remote_code)
    check_parts(name, running, "both" if built.seq2seq else "one")
    return built


def wanted_through(name: str, kind: ModelType, folder: Path, running: Running) -> Wanted:
    """What is needed beside the weights; raises as `check_through` does.

    What a model's own code makes of it cannot be told before the code is there.
    """
    from attnviz.backends.reading import knows

    if kind.own_code and running.trust_remote_code and not knows(kind.name):
        return Wanted(settings=True, code=True)
    check_through(name, kind, folder, running)
    return Wanted(settings=True)


def load_through(name: str, kind: ModelType, files: ModelFiles, running: Running) -> Model:
    """Load a model of any type that transformers knows.

    Raises RequestError for attention that the model does not have, AttnvizError for a model that
    cannot be looked into, or files that are damaged.
    """
    from attnviz.backends.facts import max_positions
    from attnviz.backends.opened import Opened
    from attnviz.backends.reading import read
    from attnviz.backends.runner import TransformersRunner
    from attnviz.encoder.devices import placement
    from attnviz.encoder.pickled import read_pickle

    place = placement(running.device, running.dtype)
    folder = files.config.parent
    built = check_through(name, kind, folder, running)
    tensors = read_pickle(files.weights) if files.pickled else None
    opened = Opened(built, read(built, folder, place, tensors), running.attention)
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
