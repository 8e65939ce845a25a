"""What one model is made of, told without loading it."""

from functools import partial
from pathlib import Path

from attnviz.errors import AttnvizError
from attnviz.model.via_transformers import check_through, wanted_through
from attnviz.models import PAPER, ModelFiles, find_model
from attnviz.models.catalog import Described, TokenizerFacts
from attnviz.models.config import ModelType, model_type
from attnviz.models.describe import (
    describe_native,
    describe_paper,
    dtypes_of,
    facts_in,
    numbers_in,
    source_of,
    tokenizer_facts,
)
from attnviz.models.families import FAMILIES, read_config
from attnviz.models.files import Wanted
from attnviz.models.options import RunOptions


def describe(name: str, trust_remote_code: bool = False) -> Described:
    """What the model of this name, as in `find_model`, is made of.

    A hub's model is fetched first. transformers is imported for a model that runs through it, or
    whose tokenizer it builds. Raises what `find_model` does, and AttnvizError for a file that is
    damaged, or a model that cannot be looked into.
    """
    if name == PAPER:
        return describe_paper()
    running = RunOptions(trust_remote_code=trust_remote_code)
    files = find_model(name, partial(_look, name, running))
    kind = model_type(files.config)
    if kind.name in FAMILIES:
        return describe_native(files, _tokenizer(files, running))
    return _through(files, kind, running)


def _look(name: str, running: RunOptions, config: Path) -> Wanted:
    kind = model_type(config)
    if kind.name in FAMILIES:
        read_config(config)
        return Wanted()
    return wanted_through(name, kind, config.parent, running)


def _tokenizer(files: ModelFiles, running: RunOptions) -> TokenizerFacts:
    if files.tokenizer is not None:
        return tokenizer_facts(files.tokenizer)
    from attnviz.transformers_backend.tokenizing import content_of

    content, kind, size = content_of(files.folder, running.trust_remote_code)
    return TokenizerFacts(kind, False, size) if content is None else facts_in(content)


def _through(files: ModelFiles, kind: ModelType, running: RunOptions) -> Described:
    from attnviz.transformers_backend import configured

    built = check_through(files.name, kind, files.folder, running)
    model = configured.configured(built)
    try:
        facts = configured.facts(files.name, kind.name, model)
        attention = configured.attention(built, model)
        max_positions, num_token_types = configured.context(model)
    except (AttributeError, StopIteration, TypeError, ZeroDivisionError) as error:
        raise AttnvizError(
            f"the config.json of {kind.name} models does not say how many layers and heads there "
            "are where others do",
            "attnviz run looks into the model itself",
        ) from error
    numbers = {} if files.pickled else numbers_in(files.weights)
    repository, revision = source_of(files)
    return Described(
        model=facts,
        vocab_size=int(model.own_config.vocab_size),
        max_positions=max_positions,
        num_token_types=num_token_types,
        positions=configured.positions(model),
        masked_lm=None,
        encoder_parameters=model.parameters,
        parameters=None if files.pickled else sum(count for _, count in numbers.values()),
        dtypes=dtypes_of(numbers.values()),
        tokenizer=_tokenizer(files, running),
        attention=attention,
        num_kv_heads=configured.num_kv_heads(model),
        folder=str(files.folder.absolute()),
        repository=repository,
        revision=revision,
    )
