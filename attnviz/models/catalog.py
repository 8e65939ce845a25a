"""What models there are to look with, and what one of them is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from attnviz.inspection import ModelFacts
from attnviz.inspection.facts import AttentionKind

How = Literal["natively", "through transformers", "weights alone"]
"""How attention is had: computed by our own encoder; recorded of a model that transformers runs,
with its queries, keys and values; or given by such a model, without these.
"""


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

    `default` is the name of the model that is taken where none is given. `families` are the
    model_types by how they are had; what does not run natively was `tried_with` this version of
    transformers.
    """

    default: str
    built_in: tuple[Known, ...]
    cached: tuple[Known, ...]
    families: Mapping[How, tuple[str, ...]]
    tried_with: str


@dataclass(frozen=True)
class TokenizerFacts:
    """How a tokenizer cuts: WordPiece, BPE, Unigram or WordLevel, in bytes or in characters.

    `kind` is what transformers calls it where it is none of these; `size` is how many pieces it
    has, added ones included.
    """

    kind: str
    byte_level: bool
    size: int


@dataclass(frozen=True)
class AttentionFacts:
    """Attention of one kind in a model: how it is had, and its heads in each layer.

    `sees` says for each layer what a query may look at: "global", "causal" (itself and what is
    before it), "sliding window 128", "causal sliding window 4096".
    """

    kind: AttentionKind
    how: How
    num_heads: int
    sees: tuple[str, ...]


@dataclass(frozen=True)
class Described:
    """What one model is made of, as its files say without being run.

    `max_positions` is how many tokens fit in, None for any number; `positions` are the ways in
    which it knows order: learned, sinusoidal, rotary, relative. `encoder_parameters` are the
    numbers of what is looked at, of all `parameters` that its files hold, and `dtypes` what these
    are stored as. `masked_lm`: whether it can tell what stands at a mask; None for a model that is
    not read natively. Of weights in a pickle these are not known, None and empty. `attention` has
    the kinds of attention in it; `num_kv_heads` is how many pairs of keys and values its heads
    share. `folder` is where its files lie, None for a model without any; `repository` and
    `revision` say where on the hub they come from.
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
    attention: tuple[AttentionFacts, ...]
    num_kv_heads: int
    folder: str | None = None
    repository: str | None = None
    revision: str | None = None
