"""What else a model's folder may hold that is of use: settings, a tokenizer's files, own code."""

import re
from collections.abc import Collection
from dataclasses import dataclass

VOCABULARY = re.compile(
    r"""
    [\w.-]*(vocab|merges)[\w.-]*\.(txt|json|model)  # vocab.txt, merges.txt, vocab-src.json
    | [\w.-]+\.(model|spm|tiktoken)  # spiece.model, sentencepiece.bpe.model, source.spm
    | bpe\.codes | dict\.txt | emoji\.json | tekken\.json
    """,
    re.VERBOSE,
)
"""What the files are called that tokenizers keep their pieces in, other than tokenizer.json."""

TOKENIZER_CONFIG = "tokenizer_config.json"
SETTINGS = (
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
)


@dataclass(frozen=True)
class Wanted:
    """What is needed of a model beside config.json, weights and tokenizer.json.

    `settings`: how its tokenizer and its decoder are meant to be used; `code`: what it is run with,
    which whoever asked for it trusts.
    """

    settings: bool = False
    code: bool = False


def is_vocabulary(name: str) -> bool:
    """Whether a file of this name has a tokenizer's pieces, and is not tokenizer.json."""
    return VOCABULARY.fullmatch(name) is not None


def is_code(name: str) -> bool:
    """Whether a file of this name has code."""
    return name.endswith(".py")


def has_tokenizer(names: Collection[str]) -> bool:
    """Whether there may be a tokenizer among files that are not tokenizer.json."""
    return TOKENIZER_CONFIG in names or any(map(is_vocabulary, names))


def beside(names: Collection[str], wanted: Wanted, tokenizer: bool) -> list[str]:
    """Which files hold pieces or code that is needed; `tokenizer`: there is no tokenizer.json."""
    return sorted(
        name
        for name in names
        if (tokenizer and is_vocabulary(name)) or (wanted.code and is_code(name))
    )
