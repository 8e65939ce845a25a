"""The tokenizer of a model: its own tokenizer.json, or else what transformers builds."""

from pathlib import Path

from attnviz.files import read_json
from attnviz.models import ModelFiles
from attnviz.models.families import FAMILIES
from attnviz.models.files import AGAIN, TOKENIZER_CONFIG
from attnviz.text.tokenizer import Ends, Tokenizer, read_fast

SPOKEN = frozenset({"mbart", "plbart", "m2m_100", "nllb-moe", "seamless_m4t", "seamless_m4t_v2"})
"""The families, by `model_type`, whose tokenizers put in a language's token, another on each side.
"""


def tokenizer_of(
    files: ModelFiles,
    max_length: int | None,
    max_target: int | None = None,
    forced_first: int | None = None,
    trust_remote_code: bool = False,
) -> Tokenizer:
    """The tokenizer that belongs to a model's files; `max_target` is how much a decoder is fed.

    `forced_first` is the id that generation_config.json says is written first: a language's. Raises
    AttnvizError for files that are damaged, or that no tokenizer can be built of.
    """
    family = read_json(files.config, AGAIN).get("model_type")
    # where nothing says how tokenizer.json is to be used, there are no languages to be put in
    spoken = family in SPOKEN and (files.folder / TOKENIZER_CONFIG).is_file()
    if files.tokenizer is None or spoken:
        from attnviz.transformers_backend.tokenizing import built_tokenizer

        return built_tokenizer(
            files.folder, max_length, max_target, trust_remote_code, forced_first
        )
    # of families that are read natively, tokenizer.json alone says what is put in
    ends = None if family in FAMILIES else _ends(files.folder / TOKENIZER_CONFIG)
    return Tokenizer(read_fast(files.tokenizer, ends), max_length, max_target=max_target)


def _ends(path: Path) -> Ends | None:
    """The special tokens around a text, where tokenizer_config.json says so."""
    config = read_json(path, AGAIN) if path.is_file() else {}
    if not {"add_bos_token", "add_eos_token"}.intersection(config):
        return None
    names = [
        config.get(f"{name}_token") if config.get(f"add_{name}_token") else None
        for name in ("bos", "eos")
    ]
    first, last = (name.get("content") if isinstance(name, dict) else name for name in names)
    return Ends(first, last)
