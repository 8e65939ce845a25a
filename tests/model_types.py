"""Which model types of transformers attnviz can inspect: tries a tiny model of each.

usage: python tests/model_types.py [TYPE …]    write attnviz/models/tried.json again (ten minutes),
                                               or say what becomes of these types
"""

import json
import signal
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import torch
import transformers
from tiny_bert import tiny_tokenizer
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging

from attnviz.errors import AttnvizError
from attnviz.model import Model, load_model
from attnviz.models.families import FAMILIES

PAGE = Path(__file__).parent.parent / "attnviz" / "models" / "tried.json"
SECONDS = 60
MOST_PARAMETERS = 40_000_000

SIZES: dict[str, int] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim"), 32),
    **dict.fromkeys(("embedding_size", "moe_intermediate_size"), 16),
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layer", "n_layers"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "num_heads", "n_head", "n_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("intermediate_size", "d_ff", "ffn_dim", "n_inner", "d_inner"), 24),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "hidden_dim", "ffn_hidden_size"), 24),
    **dict.fromkeys(("head_dim", "d_kv", "q_lora_rank", "kv_lora_rank", "v_head_dim"), 8),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "rotary_dim", "sliding_window"), 4),
    **dict.fromkeys(("n_group", "topk_group", "first_k_dense_replace"), 1),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), 64),
    "num_key_value_heads": 2,
    "num_experts_per_tok": 2,
    "vocab_size": 97,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "decoder_start_token_id": 2,
}
"""What configurations call their sizes, and small ones."""

FITTING: dict[str, dict[str, Any]] = {
    "big_bird": {"attention_type": "original_full"},
    "bigbird_pegasus": {"attention_type": "original_full"},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 4},
    "luke": {"entity_vocab_size": 5, "entity_emb_size": 8},
    "mluke": {"entity_vocab_size": 5, "entity_emb_size": 8},
    "squeezebert": {"embedding_size": 32},
    "rembert": {"input_embedding_size": 16, "output_embedding_size": 16},
    "xmod": {"default_language": "en_XX"},
    "esm": {"vocab_size": 97, "pad_token_id": 0, "mask_token_id": 4},
    "deepseek_v2": {"num_experts_per_tok": 2},
}
"""What else some types need, so that their parts fit together."""

SHARED = ("deepseek_v2", "deepseek_v3", "glm4_moe_lite", "minicpm3", "mistral4", "axk1", "youtu")
"""Types whose heads have keys and values of their own, put together from what all share."""

Result = tuple[str, str]
"""What becomes of a type: recorded, given or refused; and its part, or why it is refused."""


def tiny_config(kind: type[Any], model_type: str = "") -> Any:
    """A configuration with small sizes, those of its parts too."""
    usual = kind()
    told = usual.to_dict()
    sizes: dict[str, Any] = {name: size for name, size in SIZES.items() if _fits(told, name)}
    for name in ("layer_types", "mlp_layer_types"):
        if isinstance(told.get(name), list):
            sizes[name] = (list(dict.fromkeys(told[name])) * 2)[:2]
    for name in getattr(kind, "sub_configs", {}):
        part = getattr(usual, name, None)
        if part is not None:
            sizes[name] = tiny_config(type(part), part.model_type)
    if model_type in SHARED:
        sizes.pop("head_dim", None)
        sizes["num_key_value_heads"] = SIZES["num_attention_heads"]
    return kind(**{**sizes, **FITTING.get(model_type, {})})


def _fits(told: Mapping[str, Any], name: str) -> bool:
    """Whether a configuration has a number of this name, or may have one."""
    may_lack = name in ("head_dim", "num_key_value_heads", "n_inner", "sliding_window")
    value = told.get(name, ...)
    return (isinstance(value, int) and not isinstance(value, bool)) or (value is None and may_lack)


def tried(model_type: str) -> Result | None:
    """What becomes of a type; None for one that reads no text, or cannot be made here."""
    config_class = CONFIG_MAPPING[model_type]
    if config_class not in transformers.MODEL_MAPPING:
        return None
    model_class: Any = transformers.MODEL_MAPPING[config_class]
    if isinstance(model_class, list | tuple):
        model_class = model_class[0]
    modalities = model_class.input_modalities
    if "text" not in modalities or model_class.main_input_name != "input_ids":
        return None
    config = tiny_config(config_class, model_type)
    with torch.device("meta"):
        size = sum(p.numel() for p in model_class._from_config(config).parameters())
    if size > MOST_PARAMETERS:
        return None
    with TemporaryDirectory() as folder:
        model_class._from_config(config).save_pretrained(folder)
        tiny_tokenizer().save(f"{folder}/tokenizer.json")
        try:
            return _looked_into(folder, bool(getattr(config, "is_encoder_decoder", False)))
        except AttnvizError as error:
            return "refused", error.message


def _looked_into(folder: str, both: bool) -> Result:
    def look(**options: Any) -> tuple[bool, str]:
        model: Model = load_model(folder, device="cpu", **options)
        inspection = model.inspect("the cat sat on a mat")
        return inspection.layer(0).q is not None, inspection.attention

    recorded, part = look()
    if both:
        recorded, part = look(attention="cross", target="a dog")[0] and recorded, "both"
    return "recorded" if recorded else "given", part


def main(types: list[str]) -> None:
    """Try the types, all of them where none is named."""
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    signal.signal(signal.SIGALRM, _too_slow)
    results: dict[str, Result] = {}
    for model_type in types or [name for name in CONFIG_MAPPING if name not in FAMILIES]:
        signal.alarm(SECONDS)
        try:
            result = tried(model_type)
        except Exception as error:  # whatever does not fit together in so small a model
            result = "?", f"{type(error).__name__}: {error}"
        finally:
            signal.alarm(0)
        if result is not None:
            results[model_type] = result
            print(model_type, *result)
    if not types:
        PAGE.write_text(written(results), encoding="utf-8")


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("too slow")


def written(results: Mapping[str, Result]) -> str:
    """The data file that says what became of the types."""
    content: dict[str, Any] = {"transformers": transformers.__version__}
    for key, how in (("recorded", "recorded"), ("weights_only", "given")):
        found = {name: part for name, (was, part) in sorted(results.items()) if was == how}
        content[key] = found
    return json.dumps(content, indent=2) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
