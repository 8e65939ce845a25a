"""What `attnviz models` tells: the models at hand, and what one of them is made of."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from attnviz.attention.request import AttentionKind
from attnviz.inspection import ModelFacts, Shown

AttentionSource = Literal["natively", "through transformers", "weights alone"]
"""Who computes it: our own encoder, or transformers; of some of its models we get weights alone."""


@dataclass(frozen=True)
class CatalogEntry:
    """A model that is on this machine, or comes with attnviz.

    `name` is what `--model` takes, `family` config.json's model_type, `size` the bytes of its
    files, `obstacle` why it cannot be inspected (or empty), `revision` a commit on the hub.
    """

    name: str
    family: str | None
    size: int | None
    obstacle: str = ""
    repository: str | None = None
    revision: str | None = None
    trained: bool = True


@dataclass(frozen=True)
class Catalog(Shown):
    """The models that come with attnviz or are in the hub's cache, and the types it can inspect."""

    schema: ClassVar[str] = "attnviz.models/1"
    columns: ClassVar[tuple[str, ...]] = (
        "name", "source", "family", "repository", "revision",
        "bytes", "trained", "read", "obstacle",
    )  # fmt: skip

    default: str  # the one that is used if none is named
    built_in: tuple[CatalogEntry, ...]
    cached: tuple[CatalogEntry, ...]
    families: Mapping[AttentionSource, tuple[str, ...]]
    tried_with: str  # this version of transformers

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.models/1` object; `top`: how many models it has."""
        return {
            "schema": self.schema,
            "default": self.default,
            "families": self.families["natively"],
            "through_transformers": self.families["through transformers"],
            "weights_alone": self.families["weights alone"],
            "tried_with": self.tried_with,
            "models": [dict(zip(self.columns, row, strict=True)) for row in self.rows(top)],
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a model."""
        for place, entry in enumerate((self.built_in + self.cached)[:top]):
            source = "attnviz" if place < len(self.built_in) else "cache"
            origin = entry.family, entry.repository, entry.revision
            readable, obstacle = not entry.obstacle, entry.obstacle or None
            yield entry.name, source, *origin, entry.size, entry.trained, readable, obstacle


@dataclass(frozen=True)
class TokenizerFacts:
    """How a tokenizer cuts (WordPiece, BPE, …), by bytes or characters, and its pieces' number."""

    kind: str
    byte_level: bool
    size: int


@dataclass(frozen=True)
class AttentionFacts:
    """One kind of attention in a model: its source, and the heads of each layer.

    `sees`: which keys a query of each layer may attend to, such as "causal sliding window 4096".
    """

    kind: AttentionKind
    how: AttentionSource
    num_heads: int
    sees: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Described(Shown):
    """What one model is made of, read from its files without running it.

    `max_positions`: the number of tokens that fit, None for any. `positions`: how it encodes order
    (learned, sinusoidal, rotary, relative). `encoder_parameters`: those of the part that is
    inspected; `parameters`: all in its files. They are None, and `dtypes` empty, if the weights are
    a pickle. `masked_lm`: whether it predicts masked words, None if it does not run natively.
    """

    schema: ClassVar[str] = "attnviz.model/1"
    columns: ClassVar[tuple[str, ...]] = ("fact", "value")

    model: ModelFacts
    vocab_size: int
    max_positions: int | None = None
    num_token_types: int = 0
    positions: tuple[str, ...]
    masked_lm: bool | None = None
    encoder_parameters: int | None = None
    parameters: int | None = None
    dtypes: tuple[str, ...] = ()
    tokenizer: TokenizerFacts
    num_kv_heads: int
    attention: tuple[AttentionFacts, ...]
    folder: str | None = None
    repository: str | None = None
    revision: str | None = None

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.model/1` object; it has no list that `top` could limit."""
        return {
            "schema": self.schema,
            **asdict(self),
            "model": self.model.data(),
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
    return "; ".join(map(str, value)) if isinstance(value, tuple) else value


class OtherTypes(NamedTuple):
    """The model types that transformers runs and attnviz can inspect, and that library's version.

    Each maps to its part, "encoder", "decoder" or "both". `weights_only` types give no queries.
    """

    transformers: str
    recorded: Mapping[str, str]
    weights_only: Mapping[str, str]


@cache
def other_types() -> OtherTypes:
    """The types in tried.json, which tests/model_types.py writes."""
    text = Path(__file__).with_name("tried.json").read_text(encoding="utf-8")
    return OtherTypes(**json.loads(text))
