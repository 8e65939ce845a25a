"""What a model is made of, from its files' own words: no tensor is read, and nothing is run."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from attnviz.errors import AttnvizError
from attnviz.inspection import ModelFacts
from attnviz.models.catalog import AttentionFacts, Catalog, Described, How, Known, TokenizerFacts
from attnviz.models.config import (
    CONFIGS,
    PAPER_SEED,
    EncoderConfig,
    number,
    paper_config,
    read_config,
    read_object,
)
from attnviz.models.files import LAYOUTS, WEIGHTS, ModelFiles, has_tokenizer
from attnviz.models.find import (
    CONFIG,
    DEFAULT,
    DEFAULT_PACKAGE,
    DEFAULT_REPOSITORY,
    DEFAULT_REVISION,
    PAPER,
    TOKENIZER,
    default_tokenizer,
)
from attnviz.models.names import NAMES, TensorNames
from attnviz.models.stored import tensor_kinds
from attnviz.models.tried import GIVEN, RECORDED, TRANSFORMERS

if TYPE_CHECKING:
    from huggingface_hub import CachedRepoInfo, CachedRevisionInfo

DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""What safetensors calls floating-point numbers, and what everybody else does; others only count.
"""

LEAVES = ("weight", "bias", "gamma", "beta")
"""What a module's tensors are called, layer norms' also in the first BERT checkpoints."""


def model_facts(
    name: str, family: str, config: EncoderConfig, seed: int | None = None
) -> ModelFacts:
    """The model as outputs name it; only an untrained one has a seed."""
    return ModelFacts(
        name=name,
        family=family,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        d_model=config.d_model,
        d_k=config.d_k,
        d_ff=config.d_ff,
        trained=seed is None,
        seed=seed,
    )


class Counted(NamedTuple):
    """What the headers of the weights' files say."""

    masked_lm: bool
    encoder: int
    all: int
    dtypes: tuple[str, ...]


def describe_native(files: ModelFiles, tokenizer: TokenizerFacts) -> Described:
    """What a model of a family that attnviz reads itself is made of.

    The weights are counted, not checked; those in a pickle are not, since a pickle is read as a
    whole or not at all. Raises AttnvizError for a file that is damaged.
    """
    family, config = read_config(files.config)
    names = NAMES[family]
    counted = None if files.pickled else _counted(names, config, files.weights)
    repository, revision = source_of(files)
    return Described(
        model=model_facts(files.name, family, config),
        vocab_size=config.vocab_size,
        max_positions=config.max_positions,
        num_token_types=config.num_token_types,
        positions=_positions(names, config),
        masked_lm=None if counted is None else counted.masked_lm,
        encoder_parameters=None if counted is None else counted.encoder,
        parameters=None if counted is None else counted.all,
        dtypes=() if counted is None else counted.dtypes,
        tokenizer=tokenizer,
        attention=(_everywhere(config), *_of_decoder(read_object(files.config))),
        num_kv_heads=config.num_heads,
        folder=str(files.folder.absolute()),
        repository=repository,
        revision=revision,
    )


def _everywhere(config: EncoderConfig) -> AttentionFacts:
    """The attention of an encoder of ours: each token sees all."""
    return AttentionFacts("encoder", "natively", config.num_heads, ("global",) * config.num_layers)


def _of_decoder(config: Mapping[str, Any]) -> tuple[AttentionFacts, ...]:
    """A decoder's attention beside an encoder of ours, which transformers runs."""
    if config.get("is_encoder_decoder") is not True:
        return ()
    layers = number(config, "decoder_layers")
    heads = number(config, "decoder_attention_heads")
    return (
        AttentionFacts("decoder", "through transformers", heads, ("causal",) * layers),
        AttentionFacts("cross", "through transformers", heads, ("global",) * layers),
    )


def _counted(names: TensorNames, config: EncoderConfig, weights: Path) -> Counted:
    numbers = numbers_in(weights)
    ours = [numbers[tensor] for tensor in _encoder_tensors(names, config, numbers)]
    return Counted(
        masked_lm=_has_masked_lm(names, numbers),
        encoder=sum(count for _, count in ours),
        all=sum(count for _, count in numbers.values()),
        dtypes=dtypes_of(ours),
    )


def numbers_in(weights: Path) -> dict[str, tuple[str, int]]:
    """What safetensors call the numbers of each tensor of a model, and how many they are."""
    kinds = tensor_kinds(weights)
    return {tensor: kind for tensor, kind in kinds.items() if kind[0] in DTYPES}


def dtypes_of(kinds: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """What everybody else calls them."""
    return tuple(sorted({DTYPES[dtype] for dtype, _ in kinds}))


def describe_paper() -> Described:
    """What the article's untrained encoder is made of."""
    tokenizer = tokenizer_facts(default_tokenizer())
    config = paper_config(tokenizer.size)
    d_model, d_ff = config.d_model, config.d_ff
    attention, norms = 4 * d_model * d_model, 4 * d_model
    feed_forward = 2 * d_model * d_ff + d_ff + d_model
    count = config.vocab_size * d_model + config.num_layers * (attention + feed_forward + norms)
    return Described(
        model=model_facts(PAPER, PAPER, config, PAPER_SEED),
        vocab_size=config.vocab_size,
        max_positions=None,
        num_token_types=0,
        positions=("sinusoidal",),
        masked_lm=False,
        encoder_parameters=count,
        parameters=count,
        dtypes=("float32",),
        tokenizer=tokenizer,
        attention=(_everywhere(config),),
        num_kv_heads=config.num_heads,
    )


def source_of(files: ModelFiles) -> tuple[str | None, str | None]:
    """The repository and the commit that files come from; None for a folder of one's own."""
    if files.name == DEFAULT:
        return DEFAULT_REPOSITORY, DEFAULT_REVISION
    if Path(files.name).expanduser().is_dir():
        return None, None
    # the hub's cache has a folder for each commit
    return files.name.partition("@")[0], files.config.parent.name


def _positions(names: TensorNames, config: EncoderConfig) -> tuple[str, ...]:
    # a family without a table of positions has them from a formula
    absolute = "learned" if "embeddings.position" in names.modules else "sinusoidal"
    return (absolute,) if config.distance_buckets is None else (absolute, "relative")


def _encoder_tensors(
    names: TensorNames, config: EncoderConfig, found: Mapping[str, object]
) -> Iterator[str]:
    """Those of the file's tensors that the encoder is filled with."""
    stems = {
        theirs.format(layer=layer)
        for theirs in names.modules.values()
        for layer in range(config.num_layers)
    }
    prefix = names.prefix_in(found.keys(), [f"{stem}.weight" for stem in stems])
    for stem in stems:
        present = [f"{prefix}{stem}.{leaf}" for leaf in LEAVES if f"{prefix}{stem}.{leaf}" in found]
        shared = f"{prefix}{names.shared.get(stem, stem)}.weight"
        yield from present or [tensor for tensor in (shared,) if tensor in found]


def _has_masked_lm(names: TensorNames, found: Mapping[str, object]) -> bool:
    """Whether the head is there; its decoder's weight may be the word vectors."""
    wanted = [theirs for ours, theirs in names.masked_lm.items() if ours != "decoder.weight"]
    return bool(wanted) and all(any(name in found for name in theirs) for theirs in wanted)


def tokenizer_facts(path: Path) -> TokenizerFacts:
    """How the tokenizer of a `tokenizer.json` cuts; AttnvizError if it is not one."""
    try:
        return facts_in(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise AttnvizError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise AttnvizError(
            f"{path} is not a tokenizer that can be read: {error}",
            "save it again with tokenizer.save_pretrained(folder)",
        ) from error


def facts_in(content: Mapping[str, Any]) -> TokenizerFacts:
    """How the tokenizer cuts that a `tokenizer.json` with this content is.

    Whatever the content lacks raises LookupError, TypeError or AttributeError.
    """
    model = content["model"]
    entries = {piece if isinstance(piece, str) else piece[0] for piece in model["vocab"]}
    added = {token["content"] for token in content.get("added_tokens") or ()}
    return TokenizerFacts(_kind(model), _byte_level(content), len(entries | added))


def _kind(model: Mapping[str, Any]) -> str:
    """What sort of pieces a tokenizer has; the first files do not name it."""
    if "type" in model:
        return str(model["type"])
    if "merges" in model:
        return "BPE"
    return "Unigram" if isinstance(model["vocab"], list) else "WordPiece"


def _byte_level(content: Mapping[str, Any]) -> bool:
    cutter = content.get("pre_tokenizer") or {}
    steps = [cutter, *cutter.get("pretokenizers", ())]
    return any(step["type"] == "ByteLevel" for step in steps if step)


def catalog(default: str) -> Catalog:
    """What can be looked with here; `default` is taken where no model is named."""
    minilm = Known(DEFAULT, "bert", _default_size(), "", DEFAULT_REPOSITORY, DEFAULT_REVISION)
    families: dict[How, tuple[str, ...]] = {
        "natively": tuple(CONFIGS),
        "through transformers": tuple(RECORDED),
        "weights alone": tuple(GIVEN),
    }
    paper = Known(PAPER, PAPER, None, trained=False)
    return Catalog(default, (minilm, paper), _cached(), families, TRANSFORMERS)


def _default_size() -> int | None:
    """The bytes of the default model's package; None where it is not installed."""
    spec = find_spec(DEFAULT_PACKAGE)
    folders = (spec.submodule_search_locations if spec else None) or ()
    files = [path for folder in folders for path in Path(folder, "model").rglob("*")]
    return sum(path.stat().st_size for path in files if path.is_file()) or None


def _cached() -> tuple[Known, ...]:
    """The models in the hub's cache by name, each revision by itself."""
    from huggingface_hub import CacheNotFound, constants, scan_cache_dir

    try:
        found = scan_cache_dir(constants.HF_HUB_CACHE)
    except CacheNotFound:
        return ()
    except (OSError, ValueError) as error:
        raise AttnvizError(
            f"the hub's cache cannot be looked into: {error}", "check HF_HOME and its rights"
        ) from error
    models = [
        _known(repository, revision)
        for repository in found.repos
        if repository.repo_type == "model"
        for revision in repository.revisions
    ]
    return tuple(sorted(models, key=lambda known: known.name))


def _known(repository: "CachedRepoInfo", revision: "CachedRevisionInfo") -> Known:
    name = repository.repo_id
    if "main" not in revision.refs:
        name += f"@{min(revision.refs, default=revision.commit_hash)}"
    family, obstacle = _looked_into(revision.snapshot_path)
    return Known(
        name, family, revision.size_on_disk, obstacle, repository.repo_id, revision.commit_hash
    )


def _looked_into(folder: Path) -> tuple[str | None, str]:
    """A folder's model_type, and what stands in the way of looking with it."""
    config = folder / CONFIG
    if not config.is_file():
        return None, f"no {CONFIG}"
    try:
        family = read_object(config).get("model_type")
    except AttnvizError:
        return None, f"its {CONFIG} is damaged"
    if not isinstance(family, str):
        return None, f"its {CONFIG} names no model_type"
    if family not in (*CONFIGS, *RECORDED, *GIVEN):
        return family, "a type of model that was not tried"
    try:
        if family in CONFIGS:
            read_config(config)
    except AttnvizError as error:
        return family, error.message
    if not (folder / TOKENIZER).is_file() and not has_tokenizer(os.listdir(folder)):
        return family, f"no {TOKENIZER}"
    if not any((folder / file).is_file() for file in LAYOUTS):
        return family, f"no {WEIGHTS}"
    return family, ""
