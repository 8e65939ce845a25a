"""What is found out about a model before anything is shown of it: its files, and its attention."""

import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
import transformers
from rounding import assert_numbers
from safetensors.torch import load_file, save_file
from tiny_bert import tiny_tokenizer
from tiny_others import GROUPED, RECORDED, SENTENCES, SEQ2SEQ, STACK, Other, eager, hold, runner_of

from attnviz.errors import AttnvizError
from attnviz.model import PICKLE_NOTES, load_model
from attnviz.transformers_backend.attention_call import Call
from attnviz.transformers_backend.load import model_errors

pytestmark = pytest.mark.usefixtures("one_thread")

MAMBA = Other("MambaConfig", {"vocab_size": 97, "hidden_size": 24, "num_hidden_layers": 2})
HYBRID = Other(
    "Qwen3NextConfig",
    {
        **GROUPED,
        "num_hidden_layers": 4,
        "linear_num_value_heads": 2,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 4,
        "linear_value_head_dim": 4,
        "num_experts": 0,
        "mlp_only_layers": [0, 1, 2, 3],
    },
)
LONGT5 = Other(
    "LongT5Config",
    {**SEQ2SEQ["t5"].sizes, "num_decoder_layers": 3, "local_radius": 3},
)
CLIP = Other("CLIPConfig", {})


def refused(folder: Path, **options: Any) -> AttnvizError:
    with pytest.raises(AttnvizError) as caught:
        load_model(str(folder), **options)
    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (MAMBA, "attnviz cannot show mamba models: they give no attention weights"),
        (
            HYBRID,
            "attnviz cannot show qwen3_next models: 1 of their 4 layers are attention, and the "
            "others something else",
        ),
        (
            LONGT5,
            "attnviz cannot show longt5 models: they give weights of shape (1, 2, 3, 4, 12)",
        ),
    ],
    ids=["mamba", "hybrid", "longt5"],
)
def test_what_can_be_had_in_neither_way_is_refused_by_name(
    other: Other, reason: str, tmp_path: Path
) -> None:
    other.save(tmp_path)
    assert refused(tmp_path).message.startswith(reason)


@pytest.mark.parametrize("most", [0, 1])
def test_memory_that_does_not_suffice_for_the_trial_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    RECORDED["gpt2"].save(tmp_path)
    own = transformers.GPT2Model.forward

    def forward(self: Any, input_ids: torch.Tensor, **options: Any) -> Any:
        if len(input_ids) > most:
            raise torch.OutOfMemoryError("out of memory")
        return own(self, input_ids, **options)

    monkeypatch.setattr(transformers.GPT2Model, "forward", forward)
    assert refused(tmp_path).message == "the model does not fit in memory"


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("not enough memory"), AttnvizError("known")]
)
def test_too_little_memory_is_no_failure_of_the_model(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, model_errors("the model fails with"):
        raise error
    assert caught.value is error


def test_what_does_not_run_on_text_alone_is_refused_by_name(tmp_path: Path) -> None:
    parts = {
        "text_config": {"hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 23},
        "vision_config": {"hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 23},
    }
    for part in parts.values():
        part |= {"num_hidden_layers": 1}
    parts["text_config"] |= {"vocab_size": 97, "eos_token_id": 3}
    CLIP.save(tmp_path, **parts)
    message = refused(tmp_path).message
    assert message.startswith("attnviz cannot show clip models: run on text alone, they fail with")


def test_refused_before_weights_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "wav2vec2"}')
    (tmp_path / "model.safetensors").write_bytes(b"nothing of the kind")
    tiny_tokenizer().save(str(tmp_path / "tokenizer.json"))
    assert refused(tmp_path).message == "wav2vec2 models do not read text, but audio"


def test_damaged_weights(tmp_path: Path) -> None:
    RECORDED["gpt2"].save(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nothing of the kind")
    error = refused(tmp_path)
    assert "model.safetensors is not a whole safetensors file: " in error.message
    assert error.hint == "copy or download it again"


def test_weights_of_another_shape(tmp_path: Path) -> None:
    RECORDED["llama"].save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 31}))
    assert refused(tmp_path).message.startswith("transformers could not load the llama model: ")


def without(folder: Path, *names: str) -> None:
    """Take some tensors out of a folder's weights."""
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if name not in names}
    assert len(kept) == len(weights) - len(names)
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("llama", "layers.0.self_attn.k_proj.weight"),
        ("llama", "layers.2.mlp.down_proj.weight"),
        ("modernbert", "embeddings.tok_embeddings.weight"),
        ("albert", "encoder.embedding_hidden_mapping_in.bias"),
    ],
)
def test_a_tensor_that_is_missing_is_named_and_never_random(
    name: str, tensor: str, tmp_path: Path
) -> None:
    RECORDED[name].save(tmp_path)
    without(tmp_path, tensor)
    error = refused(tmp_path)
    assert error.message == f"the weights lack {tensor}"
    assert error.hint == "check that config.json and the weights belong together"


def test_what_comes_after_all_attention_may_be_missing(tmp_path: Path) -> None:
    RECORDED["albert"].save(tmp_path)
    before = load_model(str(tmp_path)).inspect("a dog").weights(2, unit="piece")
    without(tmp_path, "pooler.weight", "pooler.bias")
    model = load_model(str(tmp_path))
    assert_numbers(model.inspect("a dog").weights(2, unit="piece"), before)


def test_a_decoder_may_be_missing_where_the_encoder_is_looked_at(tmp_path: Path) -> None:
    SEQ2SEQ["bart"].save(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    without(tmp_path, *(name for name in weights if ".decoder." in name))
    assert load_model(str(tmp_path)).facts.num_layers == 2
    assert "the weights lack" in refused(tmp_path, attention="cross").message


def test_a_pickle_and_weights_in_parts_are_the_same_model(tmp_path: Path) -> None:
    model = RECORDED["gpt2"].save(tmp_path)
    whole = load_model(str(tmp_path)).inspect(SENTENCES[0])
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    pickled = load_model(str(tmp_path))
    assert pickled.notes == PICKLE_NOTES
    (tmp_path / "pytorch_model.bin").unlink()
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    for other in (pickled, load_model(str(tmp_path))):
        hold(other.inspect(SENTENCES[0]), eager(model, [whole.tokens.ids]).attentions)


def test_what_is_not_read_is_told_but_for_what_all_have(tmp_path: Path) -> None:
    albert = RECORDED["albert"]
    replace(albert, task=transformers.AutoModelForMaskedLM).save(tmp_path)
    assert load_model(str(tmp_path)).notes == ()
    replace(albert, task=transformers.AutoModelForTokenClassification).save(tmp_path)
    notes = load_model(str(tmp_path)).notes
    assert notes == ()  # which attnviz predict reads


def test_nothing_is_asked_of_a_network_and_nothing_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Other("LongformerConfig", {**STACK, "attention_window": 6}).save(tmp_path)

    def connect(*_: object) -> NoReturn:
        raise AssertionError("a network was asked")

    monkeypatch.setattr(socket.socket, "connect", connect)
    capfd.readouterr()
    load_model(str(tmp_path)).inspect("a dog")  # which transformers pads, and would say so
    assert capfd.readouterr() == ("", "")


def test_code_in_a_folder_is_not_run_for_a_model_that_transformers_knows(tmp_path: Path) -> None:
    RECORDED["llama"].save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    own = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    (tmp_path / "config.json").write_text(json.dumps({**config, "auto_map": own}))
    (tmp_path / "own.py").write_text("raise SystemExit('it was run')")
    assert load_model(str(tmp_path)).facts.family == "llama"


def test_numbers_that_are_not_the_models_own_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were a soft cap unknown to us, the trial would show it, and the model's weights be taken."""
    model = RECORDED["gemma2"].save(tmp_path)
    known = Call.of
    monkeypatch.setattr(Call, "of", lambda *given: replace(known(*given), softcap=None))
    ours = load_model(str(tmp_path))
    inspection = ours.inspect(SENTENCES[0])
    assert inspection.layer(0).q is None
    hold(inspection, eager(model, [inspection.tokens.ids]).attentions)


def test_keys_chosen_beforehand_are_not_recorded_as_if_all_were_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = RECORDED["llama"].save(tmp_path)
    known = Call.of

    def chosen(module: Any, q: Any, k: Any, v: Any, given: dict[str, Any]) -> Call:
        return known(module, q, k, v, {**given, "indices": torch.zeros(1)})

    monkeypatch.setattr(Call, "of", chosen)
    inspection = load_model(str(tmp_path)).inspect(SENTENCES[0])
    assert inspection.layer(0).q is None
    hold(inspection, eager(model, [inspection.tokens.ids]).attentions)


def test_one_batch_at_a_time(tmp_path: Path) -> None:
    RECORDED["gpt2"].save(tmp_path)
    assert runner_of(load_model(str(tmp_path))).alone


def test_a_module_that_does_not_know_that_it_is_causal(tmp_path: Path) -> None:
    """NLLB-MoE's decoder says that it is not; transformers' fused attention would believe it."""
    sizes = {**SEQ2SEQ["m2m_100"].sizes, "num_experts": 2}
    other = Other("NllbMoeConfig", sizes, transformers.AutoModelForSeq2SeqLM)
    model = other.save(tmp_path)
    assert not model.model.decoder.layers[0].self_attn.is_causal
    ours = load_model(str(tmp_path), attention="decoder", target=SENTENCES[1])
    inspection = ours.inspect("a dog")
    assert inspection.layer(0).q is not None
    source = [ours.tokenize("a dog").ids]
    hold(inspection, eager(model, source, [inspection.tokens.ids]).decoder_attentions)
