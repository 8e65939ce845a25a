"""Describe a model without loading its weights."""

from contextlib import suppress
from dataclasses import replace

from attnviz.errors import AttnvizError
from attnviz.inspection.predicted import HeadFacts
from attnviz.model.load import ModelConfig, find_config
from attnviz.models import PAPER, ModelFiles
from attnviz.models import describe as own
from attnviz.models.config import RunOptions
from attnviz.models.describe import Described, TokenizerFacts
from attnviz.models.heads import architecture_in, head_in
from attnviz.models.pooling import read_pooling


def describe(name: str, trust_remote_code: bool = False) -> Described:
    """What a model is made of; one on the hub is fetched first; raises as `find_model` does."""
    if name == PAPER:
        return own.describe_paper()
    config, files = find_config(name, RunOptions(trust_remote_code=trust_remote_code))
    if config.is_native:
        found = own.describe_native(files, config.kind, _tokenizer(config, files))
    else:
        found = _describe_through_transformers(config, files)
    return replace(found, head=_head(config, files, found))


def _head(config: ModelConfig, files: ModelFiles, found: Described) -> HeadFacts | None:
    """What `attnviz predict` asks: the head that config.json names, or a pooling."""
    content, native = config.kind.content, config.is_native
    causal = found.attention[0].kind == "decoder"
    head = head_in(content, architecture_in(content), native, causal)
    if found.masked_lm is False and head is not None and head.kind == "masked-lm":
        head = None  # named, and not in the files
    if head is not None or found.masked_lm:
        return head or HeadFacts("masked-lm")
    with suppress(AttnvizError):
        pooling = read_pooling(files)
        if pooling.assumed is None:
            return HeadFacts("similarity", function=None, pooling=str(pooling.facts))
    return None


def _tokenizer(config: ModelConfig, files: ModelFiles) -> TokenizerFacts:
    path = files.tokenizer
    if path is not None and config.is_native:
        from attnviz.text.auto import read_agreeing

        if not isinstance(read_agreeing(path, config.kind.content), str):
            return own.tokenizer_facts(path)
    from attnviz.transformers_backend.tokenizers import content_of

    try:
        content, kind, size = content_of(files.folder, config.run.trust_remote_code)
    except AttnvizError:
        if path is None:
            raise
        return own.tokenizer_facts(path)
    return TokenizerFacts(kind, False, size) if content is None else own.facts_in(content)


def _describe_through_transformers(config: ModelConfig, files: ModelFiles) -> Described:
    from attnviz.transformers_backend import describe as backend

    architecture = config.architecture
    model = backend.without_weights(architecture, files.weights)
    try:
        facts = backend.facts(files.name, architecture.name, model)
        attention = backend.attention(architecture, model)
        max_positions = backend.max_positions(model)
        num_token_types = backend.num_token_types(model)
    except (AttributeError, StopIteration, TypeError, ZeroDivisionError) as error:
        raise AttnvizError(
            f"the config.json of {architecture.name} models does not give the number of layers and "
            "heads under any name that attnviz knows",
            "attnviz run looks into the model itself",
        ) from error
    numbers = {} if files.pickled else own.numbers_in(files.weights)
    return Described(
        model=facts,
        vocab_size=backend.vocab_size(model),
        max_positions=max_positions,
        num_token_types=num_token_types,
        positions=backend.positions(model),
        encoder_parameters=sum(parameter.numel() for parameter in model.model.parameters()),
        parameters=None if files.pickled else sum(count for _, count in numbers.values()),
        dtypes=own.dtypes_of(numbers.values()),
        tokenizer=_tokenizer(config, files),
        num_kv_heads=backend.num_kv_heads(model),
        attention=attention,
        **own.origin_of(files),
    )
