"""What models there are to look with, and what one of them is made of."""

from dataclasses import dataclass

from attnviz.inspection import ModelFacts


@dataclass(frozen=True)
class Known:
    """A model that lies on this machine, or comes with attnviz.

    `name` is what `--model` takes. `family` is its config.json's model_type, None where that is not
    to be had; `size` the bytes of its files, None where there are none; `obstacle` says why it
    cannot be looked with, and is empty where it can. `repository` and `revision` (a commit) say
    where on the hub it comes from; `trained` whether its weights were learned.
    """

    name: str
    family: str | None
    size: int | None
    obstacle: str = ""
    repository: str | None = None
    revision: str | None = None
    trained: bool = True


@dataclass(frozen=True)
class Catalog:
    """The models at hand: those that come with attnviz, and those in the hub's cache.

    `default` is the name of the model that is taken where none is given, `families` are the
    model_types that can be read.
    """

    default: str
    built_in: tuple[Known, ...]
    cached: tuple[Known, ...]
    families: tuple[str, ...]


@dataclass(frozen=True)
class TokenizerFacts:
    """How a tokenizer cuts: WordPiece, BPE, Unigram or WordLevel, in bytes or in characters.

    `size` is how many pieces it has, added ones included.
    """

    kind: str
    byte_level: bool
    size: int


@dataclass(frozen=True)
class Described:
    """What one model is made of, as its files say without being run.

    `max_positions` is how many tokens fit in, None for any number; `positions` are the ways in
    which it knows order: learned, sinusoidal, relative. `encoder_parameters` are the numbers that
    attnviz reads of all `parameters` that its files hold, and `dtypes` what these are stored as.
    `masked_lm`: whether it can tell what stands at a mask. Of weights in a pickle these are not
    known, None and empty. `folder` is where its files lie, None
    for a model without any; `repository` and `revision` say where on the hub they come from.
    """

    model: ModelFacts
    vocab_size: int
    max_positions: int | None
    num_token_types: int
    positions: tuple[str, ...]
    masked_lm: bool | None
    encoder_parameters: int | None
    parameters: int | None
    dtypes: tuple[str, ...]
    tokenizer: TokenizerFacts
    folder: str | None = None
    repository: str | None = None
    revision: str | None = None
