"""Cut text as transformers' AutoTokenizer does, without it, where a model's files settle how.

AutoTokenizer takes the vocabulary from tokenizer.json, and the rest from the tokenizer's class and
tokenizer_config.json (transformers 5, `convert_to_native_format`). So it is done here for a few
classes, unless the files differ in what is not known here.
"""

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnviz.errors import AttnvizError
from attnviz.files import panics, read_json
from attnviz.text.cutter import Said
from attnviz.text.tokenizer import KEPT, SAVE_AGAIN, UNKNOWN, FastCutter, reading_errors

if TYPE_CHECKING:
    import tokenizers

Config = Mapping[str, Any]

TYPES = ("token_type_ids",)
ANY = "TokenizersBackend"  # a tokenizer of no class of its own: its tokenizer.json says all
BERTS = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]"}
ROBERTAS = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
ROBERTAS |= {"pad_token": "<pad>", "mask_token": "<mask>"}


@dataclass(frozen=True)
class Kind:
    """What a tokenizer's class of transformers builds, whatever its tokenizer.json says.

    `ends`: the special tokens before and after a text; `between`: how many of the last stand
    between two; `types`: whether it gives token types.
    """

    model: str
    tokens: Mapping[str, str]
    ends: tuple[str, str] = ("cls_token", "sep_token")
    between: int = 2
    types: bool = False


BERT = Kind("WordPiece", {**BERTS, "unk_token": "[UNK]"}, between=1, types=True)
XLM_ROBERTA = Kind("Unigram", {**ROBERTAS, "unk_token": "<unk>"}, ("bos_token", "eos_token"))
KINDS: dict[str, Kind] = {
    "BertTokenizer": BERT,
    "DistilBertTokenizer": Kind("WordPiece", BERT.tokens, between=1),
    "MPNetTokenizer": Kind("WordPiece", {**ROBERTAS, "unk_token": "[UNK]"}),
    "RobertaTokenizer": Kind("BPE", {**ROBERTAS, "unk_token": "<unk>"}),
    "XLMRobertaTokenizer": XLM_ROBERTA,
    "CamembertTokenizer": XLM_ROBERTA,
}
OF_MODELS: dict[str, str] = {
    **dict.fromkeys(("bert", "distilbert", "electra"), "BertTokenizer"),
    "roberta": "RobertaTokenizer",
    "mpnet": "MPNetTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
    "camembert": "CamembertTokenizer",
}
"""The class for a type of model, where the files name none."""


def read_agreeing(path: Path, model: Config) -> FastCutter | str:
    """The tokenizer of a tokenizer.json that says all; else what it leaves to other files.

    `model`: the content of config.json. AttnvizError for a file that cannot be read.
    """
    import tokenizers

    with reading_errors(path):
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    config = _beside(path, "tokenizer_config.json")
    own = config.get("tokenizer_class") or model.get("tokenizer_class")
    name = str(own or OF_MODELS.get(str(model.get("model_type")))).removesuffix("Fast")
    name = ANY if name == "PreTrainedTokenizer" else name
    if name not in (*KINDS, ANY) or "auto_map" in config or "fast_tokenizer_files" in config:
        return f"the class {name}"
    kind = KINDS.get(name)
    try:
        with panics():
            cut_from = (tokenizer.truncation or {}).get("direction", "right")
            tokenizer.no_truncation()
            tokenizer.no_padding()
            tokens = _named(path, config, name)
            differs = _differs(tokenizer, config, tokens)
            if kind is not None:
                differs = differs or _model(tokenizer, kind, name, tokens)
                differs = differs or _take_steps(tokenizer, kind, config)
                differs = differs or _ends(tokenizer, kind, tokens)
            inputs = config.get("model_input_names", TYPES if kind and kind.types else ())
            side = config.get("truncation_side", cut_from)
            most = config.get("model_max_length", config.get("max_len"))
            most = None if most is None else float(most)
            said = Said(TYPES[0] in inputs, tokens.get("mask_token"), side, most)
            differs = differs or ("" if side in KEPT else "the side of truncation")
    except (AttnvizError, MemoryError):
        raise
    except Exception:  # entries of other types than they should have; the Rust side's too
        return "entries of an unknown form"
    if differs:
        return differs
    with reading_errors(path):
        return FastCutter(tokenizer, said)


def _beside(path: Path, name: str) -> dict[str, Any]:
    """A JSON file beside it; empty if there is none."""
    beside = path.parent / name
    return read_json(beside, SAVE_AGAIN) if beside.is_file() else {}


def _named(path: Path, config: Config, name: str) -> dict[str, str]:
    """The special tokens that class and files name, by what they are for."""
    tokens = dict(KINDS[name].tokens) if name in KINDS else {}
    files = [config]
    if "added_tokens_decoder" not in config:
        files += [_beside(path, "special_tokens_map.json")]
        tokens |= {f"added {token}": token for token in _beside(path, "added_tokens.json")}
    for file in files:
        for key, value in file.items():
            if key in ("additional_special_tokens", "extra_special_tokens"):
                several = list(value.values() if isinstance(value, dict) else value or ())
                tokens |= {f"extra {_content(token)}": _content(token) for token in several}
            elif key.endswith("_token") and isinstance(value, str | dict):
                tokens[key] = _content(value)
            elif key in tokens and value is None:  # the class has its own way without it
                tokens[key] = ""
    if name == "CamembertTokenizer" and not any(key.startswith("extra ") for key in tokens):
        tokens |= {f"extra {token}": f"{token}NOTUSED" for token in ("<s>", "</s>", "<unk>")}
    return tokens


def _content(token: Any) -> str:
    return str(token.get("content")) if isinstance(token, dict) else str(token)


def _differs(tokenizer: "tokenizers.Tokenizer", config: Config, tokens: Mapping[str, str]) -> str:
    """What the files say otherwise of added tokens; empty for nothing."""
    from tokenizers import AddedToken

    here, told = tokenizer.get_added_tokens_decoder(), config.get("added_tokens_decoder")
    if told is not None:
        there = {int(number): AddedToken(**token) for number, token in told.items()}
        if {n: repr(token) for n, token in there.items()} != {n: repr(t) for n, t in here.items()}:
            return "added tokens"
    lacks = set(tokens.values()) - {token.content for token in here.values()}
    return "special tokens" if lacks or config.get("split_special_tokens") else ""


def _model(
    tokenizer: "tokenizers.Tokenizer", kind: Kind, name: str, tokens: Mapping[str, str]
) -> str:
    """What the class builds otherwise as a model, of the same vocabulary."""
    model: Any = tokenizer.model
    unknown = tokens["unk_token"]
    if type(model).__name__ != kind.model:
        return "the kind of its vocabulary"
    if kind.model == "WordPiece":
        usual = model.unk_token == unknown and model.max_input_chars_per_word == 100
        same = usual and model.continuing_subword_prefix == "##"
    elif kind.model == "BPE":
        odd: tuple[str, ...] = ("dropout", "unk_token", "continuing_subword_prefix")
        odd += ("end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges")
        same = not any(getattr(model, entry) for entry in odd)
    else:
        number = tokenizer.token_to_id(unknown)
        gives = {piece.id for piece in model.tokenize(UNKNOWN)}
        same = gives == {number} and (name == "CamembertTokenizer" or number == 3)
    return "" if same else "unknown words"


def _take_steps(tokenizer: "tokenizers.Tokenizer", kind: Kind, config: Config) -> str:
    """Do before cutting what the class does: lower-casing, accents, spaces; or what is unclear."""
    from tokenizers import normalizers, pre_tokenizers

    normalizer = tokenizer.normalizer
    splits: Any = pre_tokenizers.BertPreTokenizer()
    prefix = config.get("add_prefix_space", kind.model == "Unigram")
    if kind.model == "WordPiece":
        normalizer = normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=config.get("tokenize_chinese_chars", True),
            strip_accents=config.get("strip_accents"),
            lowercase=config.get("do_lower_case", True),
        )
    elif kind.model == "BPE":
        splits = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    else:  # of the file's own steps, the class keeps SentencePiece's table
        state = {} if normalizer is None else json.loads(normalizer.__getstate__())
        for step in state.get("normalizers", ()):
            if step["type"] == "Precompiled":
                normalizer = normalizers.Precompiled(b64decode(step["precompiled_charsmap"]))
        marks = pre_tokenizers.Metaspace(prepend_scheme="always" if prefix else "never")
        splits = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), marks])
    known = {"WordPiece": "BertNormalizer", "Unigram": "Precompiled"}.get(kind.model)
    if normalizer is not None and type(normalizer).__name__ != known:
        return "what it does to letters"
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splits
    return ""


def _ends(tokenizer: "tokenizers.Tokenizer", kind: Kind, tokens: Mapping[str, str]) -> str:
    """What the class puts otherwise around a text, and between two."""
    first, last = (tokenizer.token_to_id(tokens[end]) for end in kind.ends)
    bare, one, two = (
        tokenizer.encode("a", pair, add_special_tokens=special)
        for pair, special in ((None, False), (None, True), ("a", True))
    )
    single = [first, *bare.ids, last]
    pair = [*single, *[last] * (kind.between - 1), *bare.ids, last]
    types = [0] * len(single) + [int(kind.types)] * (len(pair) - len(single))
    given = two.type_ids if kind.types else [0] * len(two.ids)
    same = one.ids == single and not any(one.type_ids) and two.ids == pair and given == types
    return "" if same else "special tokens"
