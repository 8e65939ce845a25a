"""What `attnviz models` tells: the models at hand, and what one of them is made of."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from attnviz.attention.request import AttentionKind
from attnviz.inspection import ModelFacts

AttentionSource = Literal["natively", "through transformers", "weights alone"]
"""Where the attention comes from.

Our own encoder computes it; or transformers runs the model, and we get its queries and keys; or it
runs the model, and gives the weights alone.
"""


@dataclass(frozen=True)
class CatalogEntry:
    """A model that is on this machine, or comes with attnviz.

    `name` is what `--model` takes. `family`: config.json's model_type, if it can be read. `size`:
    the bytes of its files, None without any. `obstacle`: why it cannot be inspected, or empty.
    `repository` and `revision` (a commit): its place on the hub. `trained`: whether its weights
    were learned.
    """

    name: str
    family: str | None
    size: int | None
    obstacle: str = ""
    repository: str | None = None
    revision: str | None = None
    trained: bool = True

    def data(self, source: str) -> dict[str, Any]:
        """The model's object in JSON; `source`: "attnviz" or "cache"."""
        return {
            "name": self.name,
            "source": source,
            "family": self.family,
            "repository": self.repository,
            "revision": self.revision,
            "bytes": self.size,
            "trained": self.trained,
            "read": not self.obstacle,
            "obstacle": self.obstacle or None,
        }


@dataclass(frozen=True)
class Catalog:
    """The models at hand: those that come with attnviz, and those in the hub's cache.

    `default` is the name of the model that is used if none is named. `families`: model types by the
    source of their attention. Those that transformers runs were `tried_with` this version of it.
    """

    schema: ClassVar[str] = "attnviz.models/1"
    columns: ClassVar[tuple[str, ...]] = (
        "name", "source", "family", "repository", "revision",
        "bytes", "trained", "read", "obstacle",
    )  # fmt: skip

    default: str
    built_in: tuple[CatalogEntry, ...]
    cached: tuple[CatalogEntry, ...]
    families: Mapping[AttentionSource, tuple[str, ...]]
    tried_with: str

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.models/1` object; `top`: how many models it has."""
        return {
            "schema": self.schema,
            "default": self.default,
            "families": self.families["natively"],
            "through_transformers": self.families["through transformers"],
            "weights_alone": self.families["weights alone"],
            "tried_with": self.tried_with,
            "models": list(self._models())[:top],
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a model."""
        for known in list(self._models())[:top]:
            yield tuple(known.values())

    def _models(self) -> Iterator[dict[str, Any]]:
        for source, models in (("attnviz", self.built_in), ("cache", self.cached)):
            for known in models:
                yield known.data(source)


@dataclass(frozen=True)
class TokenizerFacts:
    """How a tokenizer cuts: WordPiece, BPE, Unigram or WordLevel, by bytes or by characters.

    `kind` is transformers' own name for any other sort. `size`: the number of pieces, added ones
    included.
    """

    kind: str
    byte_level: bool
    size: int


@dataclass(frozen=True)
class AttentionFacts:
    """One kind of attention in a model: its source, and the heads of each layer.

    `sees` says for each layer which keys a query may attend to: "global", "causal" (itself and what
    is before it), "sliding window 128", "causal sliding window 4096".
    """

    kind: AttentionKind
    how: AttentionSource
    num_heads: int
    sees: tuple[str, ...]


@dataclass(frozen=True)
class Described:
    """What one model is made of, read from its files without running it.

    `max_positions`: the number of tokens that fit, None for any. `positions`: how it encodes order
    (learned, sinusoidal, rotary, relative). `encoder_parameters`: those of the part that is
    inspected; `parameters`: all in its files; `dtypes`: how the files store them. All three are
    unknown (None or empty) if the weights are a pickle. `masked_lm`: whether it predicts masked
    words, None if it does not run natively. `num_kv_heads`: how many keys and values its heads
    share. `folder`: where its files are; `repository` and `revision`: its place on the hub.
    """

    schema: ClassVar[str] = "attnviz.model/1"
    columns: ClassVar[tuple[str, ...]] = ("fact", "value")

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

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.model/1` object; it has no list that `top` could limit."""
        return {
            "schema": self.schema,
            "model": self.model.data(),
            "vocab_size": self.vocab_size,
            "max_positions": self.max_positions,
            "num_token_types": self.num_token_types,
            "positions": self.positions,
            "masked_lm": self.masked_lm,
            "encoder_parameters": self.encoder_parameters,
            "parameters": self.parameters,
            "dtypes": self.dtypes,
            "tokenizer": asdict(self.tokenizer),
            "num_kv_heads": self.num_kv_heads,
            "attention": [
                {
                    "kind": attention.kind,
                    "how": attention.how,
                    "num_layers": len(attention.sees),
                    "num_heads": attention.num_heads,
                    "sees": attention.sees,
                }
                for attention in self.attention
            ],
            "folder": self.folder,
            "repository": self.repository,
            "revision": self.revision,
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a fact; facts of the model, the tokenizer and attention as `tokenizer.kind`."""
        for name, value in list(self.data().items())[1:]:
            if name == "attention":
                for attention in value:
                    for fact, own in attention.items():
                        yield f"attention.{attention['kind']}.{fact}", _plain(own)
            elif isinstance(value, dict):
                yield from ((f"{name}.{fact}", _plain(own)) for fact, own in value.items())
            else:
                yield name, _plain(value)


def _plain(value: Any) -> Any:
    """Several values in one cell."""
    return "; ".join(map(str, value)) if isinstance(value, tuple) else value


class OtherTypes(NamedTuple):
    """The model types that transformers runs and attnviz can inspect, each with its part.

    The part is "encoder", "decoder" or "both". `transformers`: the version they were tried with.
    We get queries and keys of `recorded` types, and only the weights of `weights_only` types.
    """

    transformers: str
    recorded: Mapping[str, str]
    weights_only: Mapping[str, str]


@cache
def other_types() -> OtherTypes:
    """The types in tried.json, which tests/model_types.py writes."""
    text = Path(__file__).with_name("tried.json").read_text(encoding="utf-8")
    return OtherTypes(**json.loads(text))
