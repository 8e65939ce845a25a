"""Which model types of transformers attnviz can inspect: tries a tiny model of each.

Each runs alone, in a batch of unlike lengths, and as a pair; its weights are held to those of
transformers' eager attention, which runs each text alone.

usage: python tests/model_types.py [TYPE …]    write attnviz/models/tried.json again (ten minutes),
                                               or say what becomes of these types
"""

import json
import signal
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import numpy as np
import torch
import transformers
from tiny_bert import save_tokenizer
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging

from attnviz.errors import AttnvizError
from attnviz.inspection import Inspection
from attnviz.model import Model, load_model
from attnviz.models.families import FAMILIES
from attnviz.text.tokens import Tokens
from attnviz.transformers_backend.quirks import whole_rows
from attnviz.transformers_backend.runner import TransformersRunner

PAGE = Path(__file__).parent.parent / "attnviz" / "models" / "tried.json"
SECONDS = 90
MOST_PARAMETERS = 40_000_000
TOLERANCE = 1e-5

SENTENCES = ["it was too tired to cross the street", "a dog", "the cat sat on a mat"]
PAIR = "the cat sat", "a dog"
TARGET = "a dog sat"

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
"""What configurations call their sizes, and small ones; all else is as each type publishes it."""

# fmt: off
FITTING: dict[str, dict[str, Any]] = {
    "zaya": {"num_experts_per_tok": 1},
    "dots1": {
        "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "n_group": 1,
        "topk_group": 1,
    },
    "falcon_h1": {
        "mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8,
        "mamba_chunk_size": 8,
    },
    "led": {
        "max_encoder_position_embeddings": 64, "max_decoder_position_embeddings": 64,
        "attention_window": 8,
    },
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 4},
    "luke": {"entity_vocab_size": 5, "entity_emb_size": 8},
    "mluke": {"entity_vocab_size": 5, "entity_emb_size": 8},
    "squeezebert": {"embedding_size": 32},
    "rembert": {"input_embedding_size": 16, "output_embedding_size": 16},
    "xmod": {"default_language": "en_XX"},
    "hrm_text": {"H_cycles": 1, "L_cycles": 1, "L_bp_cycles": [1]},
    "esm": {"vocab_size": 97, "pad_token_id": 0, "mask_token_id": 4},
    "deepseek_v2": {"num_experts_per_tok": 2},
}
# fmt: on
"""What else some types need, so that their parts fit together."""

SHARED = (
    "deepseek_v2", "deepseek_v3", "glm4_moe_lite", "minicpm3", "mistral4", "axk1", "youtu", "esmc",
    )  # fmt: skip
"""Types whose heads have keys and values of their own, put together from what all share."""

SPECIALS = {name: SIZES[name] for name in ("pad_token_id", "decoder_start_token_id")}

Result = dict[str, Any]
"""What becomes of a type: `is` recorded, given or refused; and its part, or why it is refused."""


def tiny_config(kind: type[Any], model_type: str = "") -> Any:
    """A configuration with small sizes, those of its parts too."""
    if model_type == "encoder-decoder":  # of two parts of any type, with BERT as the usual one
        part = tiny_config(transformers.BertConfig)
        return kind.from_encoder_decoder_configs(part, deepcopy(part), **SPECIALS)
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
    with TemporaryDirectory() as folder:
        model_class = save_type(model_type, Path(folder))
        return None if model_class is None else looked_into(folder, model_class)


def save_type(model_type: str, folder: Path) -> Any:
    """Save a tiny model of a type, and give its class; None as in `tried`."""
    config_class = CONFIG_MAPPING[model_type]
    mappings = transformers.MODEL_MAPPING, transformers.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
    mapping = next((mapping for mapping in mappings if config_class in mapping), None)
    if mapping is None:
        return None
    model_class: Any = mapping[config_class]
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
    torch.manual_seed(5)
    model = model_class._from_config(config)
    for name, parameter in model.named_parameters():
        # VITS would speak for minutes, of random duration, after its text encoder
        unused = "embed_positions" in name or "duration" in name
        if parameter.requires_grad and not unused:
            spread(parameter)
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return model_class


@torch.no_grad()
def spread(parameter: torch.nn.Parameter) -> None:
    """Random numbers, large enough for attention to be far from even."""
    noise = torch.randn_like(parameter)
    parameter.copy_(0.3 * noise if parameter.ndim > 1 else parameter + 0.2 * noise)


def looked_into(folder: str, model_class: Any) -> Result:
    """Try a folder's model, and hold it to transformers; refused, if attnviz refuses it."""
    result: Result = {}
    config = transformers.AutoConfig.from_pretrained(folder)
    both = bool(getattr(config, "is_encoder_decoder", False))
    for kind in ("encoder", "decoder", "cross") if both else (None,):
        options: Any = {} if kind in ("encoder", None) else {"target": TARGET}
        try:
            model = load_model(folder, device="cpu", attention=kind, **options)
            theirs = model_class.from_pretrained(folder, attn_implementation="eager").eval()
            for part in theirs.modules():
                if hasattr(part, "set_attention_type"):  # as it does itself, too late to be heard
                    part.set_attention_type("original_full")
            # of several kinds of attention: the furthest off, "given" and "one by one"
            for key, value in held(model, theirs).items():
                least = key in ("is", "batch")
                result[key] = (min if least else max)(result.get(key, value), value)
        except AttnvizError as error:
            return {"is": "refused", "why": error.message}
    if both:
        result["part"] = "both"
    return result


def held(model: Model, theirs: Any) -> Result:
    """How far a model's weights are from those of transformers: alone, together, and as a pair."""
    texts = list(map(model.tokenize, SENTENCES))
    alone = [model.inspect(text) for text in SENTENCES]
    together = list(model.inspect_tokens(texts))
    runner = model._runner
    assert isinstance(runner, TransformersRunner)
    types = takes_types(theirs)
    first = alone[0]
    off = partial(difference, theirs, types)
    return {
        "is": "given" if first.layer(0).q is None else "recorded",
        "part": first.attention,
        "batch": "together" if runner.model.together else "one by one",
        "types": types,
        "alone": max(map(off, texts, alone)),
        "batched": max(map(off, texts, together)),
        **_pair(model, off),
    }


def _pair(model: Model, off: Callable[[Tokens, Inspection], float]) -> Result:
    try:
        return {"pair": off(model.tokenize(*PAIR), model.inspect(*PAIR))}
    except AttnvizError:  # the tokenizer marks the second text, and the model takes no marks
        return {}


def takes_types(theirs: Any) -> bool:
    """Whether a model, or its encoder, takes what the tokenizer gives: one type for each token."""
    reader = theirs.get_encoder() if theirs.config.is_encoder_decoder else theirs
    config = getattr(reader, "config", theirs.config)
    named = signature(reader.forward).parameters
    one = getattr(config, "type_vocab_size", None) != 0 and not hasattr(config, "type_vocab_sizes")
    return one and "token_type_ids" in named


def difference(theirs: Any, types: bool, source: Tokens, inspection: Inspection) -> float:
    """The most by which a weight differs from that of transformers' eager run of it alone."""
    fed = {"input_ids": torch.tensor([source.ids])}
    if types:
        fed["token_type_ids"] = torch.tensor([source.type_ids])
    part = "attentions"
    if theirs.config.is_encoder_decoder:
        part = f"{inspection.attention}_attentions"
        decoded = inspection.attention != "encoder"
        fed["decoder_input_ids"] = torch.tensor([inspection.tokens.ids if decoded else [2]])
    with torch.no_grad():
        output = theirs(**fed, output_attentions=True, use_cache=False, return_dict=True)
    weights: Sequence[Any] = getattr(output, part)
    if inspection.attention == "encoder":
        weights = whole_rows(theirs.config, output, weights)
    assert len(weights) == len(inspection.layers)
    differences = []
    for number, layer in enumerate(weights):
        ours = inspection.layer(number).weights(number)
        assert ours.shape == layer.shape[1:]
        differences.append(float(np.abs(ours - layer[0].float().numpy()).max()))
    return max(differences)


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
            result = {"is": "?", "why": f"{type(error).__name__}: {error}"}
        finally:
            signal.alarm(0)
        if result is not None:
            results[model_type] = result
            print(model_type, *(f"{what}={found}" for what, found in result.items()), flush=True)
    shown = {name: found for name, found in results.items() if found["is"] in ("recorded", "given")}
    off = {name: found for name, found in shown.items() if worst(found) > TOLERANCE}
    single = [name for name, found in shown.items() if found["batch"] == "one by one"]
    pairs = [found for found in shown.values() if "pair" in found]
    print(f"{len(results)} types, {len(shown)} shown, {len(pairs)} of them as a pair, ", end="")
    print(f"{len(single)} one by one ({', '.join(single)}), the others in a batch; ", end="")
    print(f"{sum(found['types'] for found in pairs)} have token types; {len(off)} differ: {off}")
    if not types:
        kept = {name: found for name, found in sorted(shown.items()) if name not in off}
        PAGE.write_text(written(kept), encoding="utf-8")


def worst(result: Result) -> float:
    """How far the weights are from those of transformers, at most."""
    return max(float(result.get(what, 0.0)) for what in ("alone", "batched", "pair"))


def written(results: Mapping[str, Result]) -> str:
    """The data file that says what became of the types."""
    content: dict[str, Any] = {"transformers": transformers.__version__}
    for key, how in (("recorded", "recorded"), ("weights_only", "given")):
        found = {name: result["part"] for name, result in results.items() if result["is"] == how}
        content[key] = found
    single = [name for name, result in results.items() if result["batch"] == "one by one"]
    content["one_by_one"] = single
    return json.dumps(content, indent=2) + "\n"


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("too slow")


if __name__ == "__main__":
    main(sys.argv[1:])
