"""Describe a model without loading its weights."""

from attnviz.errors import AttnvizError
from attnviz.model.load import ModelConfig, find_config
from attnviz.models import PAPER, ModelFiles
from attnviz.models import describe as own
from attnviz.models.config import RunOptions
from attnviz.models.describe import Described, TokenizerFacts


def describe(name: str, trust_remote_code: bool = False) -> Described:
    """What a model is made of; one on the hub is fetched first; raises as `find_model` does."""
    if name == PAPER:
        return own.describe_paper()
    config, files = find_config(name, RunOptions(trust_remote_code=trust_remote_code))
    if config.is_native:
        return own.describe_native(files, config.kind, _tokenizer(config, files))
    return _describe_through_transformers(config, files)


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
