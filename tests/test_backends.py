"""Models that transformers runs, held to its eager attention: their queries, keys and masks."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from handmade import part
from tiny_bert import save_tokenizer
from tiny_others import RECORDED, SENTENCES, Other, eager, hold, runner_of
from transformers.pytorch_utils import Conv1D

import attnviz
from attnviz.attention.request import RecordRequest
from attnviz.inspection import Inspection
from attnviz.model import Model, load_model
from attnviz.transformers_backend import describe
from attnviz.transformers_backend.attention_call import CallSites
from attnviz.transformers_backend.record import Batch

pytestmark = pytest.mark.usefixtures("one_thread")


class Tried:
    """A tiny model, as attnviz and as transformers has it."""

    def __init__(self, folder: Path, name: str, **changes: Any) -> None:
        self.theirs = RECORDED[name].save(folder, **changes)
        self.ours: Model = load_model(str(folder))


@pytest.fixture(scope="module", params=RECORDED)
def tried(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tried:
    return Tried(tmp_path_factory.mktemp(request.param), request.param)


def weights_of(tried: Tried, inspections: list[Inspection]) -> Any:
    return eager(tried.theirs, [inspection.tokens.ids for inspection in inspections]).attentions


def test_every_head_of_a_sentence(tried: Tried) -> None:
    inspection = tried.ours.inspect(SENTENCES[0])
    expected = weights_of(tried, [inspection])
    hold(inspection, expected)
    # even weights would agree whatever the queries and keys were
    assert min(float(layer.std()) for layer in expected) > 0.05


def test_every_head_of_a_padded_batch(tried: Tried) -> None:
    sentences = [tried.ours.tokenize(sentence) for sentence in SENTENCES]
    assert len({len(tokens) for tokens in sentences}) == 3
    inspections = list(tried.ours.inspect_tokens(sentences))
    expected = weights_of(tried, inspections)
    for row, inspection in enumerate(inspections):
        hold(inspection, expected, row)


def test_layers_and_heads_are_those_of_the_config(tried: Tried) -> None:
    facts, config = tried.ours.facts, tried.theirs.config
    assert facts.family == config.model_type
    assert facts.num_layers == config.num_hidden_layers == 3
    assert facts.num_heads == config.num_attention_heads
    assert facts.d_model == config.hidden_size
    assert facts.d_k == getattr(config, "head_dim", config.hidden_size // facts.num_heads)
    assert facts.d_ff == getattr(config, "intermediate_size", 4 * config.hidden_size)
    assert (facts.trained, facts.dtype) == (True, "float32")


def test_the_sums_are_the_weights_times_the_values(tried: Tried) -> None:
    inspection = tried.ours.inspect(SENTENCES[0])
    for number in range(3):
        record = inspection.layer(number)
        weights, v = record.weights(number), part(record, "v")
        for head, own in enumerate(weights):
            sums = own @ record.of_head(v, head)
            np.testing.assert_allclose(sums, part(record, "z")[head], rtol=0, atol=1e-5)


def test_value_norms_are_those_of_v_times_w_o(tried: Tried) -> None:
    record = tried.ours.inspect(SENTENCES[0]).layer(1)
    module = tried.theirs.get_submodule(RECORDED[tried.ours.facts.family].output)
    weight = module.weight.detach().numpy()
    # GPT-2's Conv1D has its matrix the other way round
    matrix = weight if type(module).__name__ == "Conv1D" else weight.T
    parts = matrix.reshape(record.num_heads, -1, matrix.shape[-1])
    for head, own in enumerate(parts):
        expected = np.linalg.norm(record.of_head(part(record, "v"), head) @ own, axis=-1)
        np.testing.assert_allclose(part(record, "value_norms")[head], expected, rtol=1e-4)


@pytest.mark.parametrize("transposed", [False, True])
def test_value_norms_of_a_few_vectors_and_of_many(transposed: bool) -> None:
    """Five vectors are multiplied by the matrix; 13, of width 7, by what is left of it."""
    kind: Any = Conv1D if transposed else torch.nn.Linear
    site, output = torch.nn.Identity(), kind(*((11, 42) if transposed else (42, 11)))
    sites = CallSites(outputs={site: output})
    matrix = (output.weight if transposed else output.weight.T).detach().reshape(6, 7, 11)
    for count in (5, 13, 2):
        v = torch.randn(1, 3, count, 7)
        expected = torch.linalg.vector_norm(v[0].repeat_interleave(2, 0) @ matrix, dim=-1)
        found = sites.value_norms(site, v, 6)
        assert found is not None
        np.testing.assert_allclose(found[0].detach().numpy(), expected.numpy(), rtol=1e-4)
        assert bool(sites.shapes) == (count != 5)


def test_x_is_what_values_are_made_of(tried: Tried) -> None:
    record = tried.ours.inspect(SENTENCES[0]).layer(1)
    module = tried.theirs.get_submodule(RECORDED[tried.ours.facts.family].values)
    with torch.inference_mode():
        made = module(torch.from_numpy(part(record, "x"))).numpy()
    v = part(record, "v")
    made = made[:, -v.shape[0] * v.shape[2] :]  # behind queries and keys, where one makes all
    made = made.reshape(len(made), v.shape[0], -1).transpose(1, 0, 2)
    np.testing.assert_allclose(v, made, rtol=0, atol=1e-5)


CAUSAL = [(0, query + 1) for query in range(17)]
LAST_FIVE = [(max(0, query - 4), query + 1) for query in range(17)]
AROUND = [(max(0, query - 4), min(17, query + 5)) for query in range(17)]
VISIBLE: dict[str, list[list[tuple[int, int]] | None]] = {
    "modernbert": [None, AROUND, AROUND],
    "albert": [None, None, None],
    "gpt2": [CAUSAL, CAUSAL, CAUSAL],
    "llama": [CAUSAL, CAUSAL, CAUSAL],
    "mistral": [LAST_FIVE, LAST_FIVE, LAST_FIVE],
    "qwen3": [CAUSAL, CAUSAL, CAUSAL],
    "gemma2": [LAST_FIVE, CAUSAL, LAST_FIVE],
    "gemma3_text": [LAST_FIVE, LAST_FIVE, LAST_FIVE],
    "gpt_oss": [LAST_FIVE, CAUSAL, LAST_FIVE],
}


def test_what_each_query_may_look_at(tried: Tried) -> None:
    family = tried.ours.facts.family
    sentences = [tried.ours.tokenize(sentence) for sentence in SENTENCES]
    assert len(sentences[0]) == 17
    alone = tried.ours.inspect(SENTENCES[0])
    together = next(tried.ours.inspect_tokens(sentences))
    for inspection in (alone, together):
        found = [inspection.layer(number).key_ranges for number in range(3)]
        assert [v if v is None else list(map(tuple, v)) for v in found] == VISIBLE[family]
        assert all(inspection.layer(number).bias is None for number in range(3))
        bidirectional = family in ("modernbert", "albert")
        assert inspection.attention == ("encoder" if bidirectional else "decoder")


def test_only_layers_that_are_wanted_are_recorded_and_none_above_are_run(tried: Tried) -> None:
    tokens = tried.ours.tokenize(SENTENCES[0])
    opened = runner_of(tried.ours).model
    whole = tried.ours.inspect(SENTENCES[0]).layer(1)
    ran: list[str] = []
    handles = [
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, module in opened.model.named_modules()
    ]
    batch = Batch([tokens.ids])
    [layers] = opened.record(batch, RecordRequest(frozenset({1}), whole=False))
    for handle in handles:
        handle.remove()
    assert not any(re.search(r"(layers|h)\.2\.", name) for name in ran)
    assert [record is not None for record in layers] == [False, True, False]
    lean = layers[1]
    assert lean is not None
    for name in ("q", "k", "value_norms"):
        np.testing.assert_allclose(part(lean, name), part(whole, name), rtol=0, atol=1e-5)
    assert (lean.x, lean.v, lean.z) == (None, None, None)
    np.testing.assert_allclose(lean.weights(1), whole.weights(1), rtol=0, atol=1e-5)


def test_a_soft_cap_is_recorded_and_matters(tmp_path: Path) -> None:
    tried = Tried(tmp_path, "gemma2")
    record = tried.ours.inspect(SENTENCES[0]).layer(1)
    assert record.softcap == 2.5
    assert np.abs(replace(record, softcap=None).weights(1) - record.weights(1)).max() > 0.05


def test_sinks_take_their_part_of_each_row(tmp_path: Path) -> None:
    tried = Tried(tmp_path, "gpt_oss")
    record = tried.ours.inspect(SENTENCES[0]).layer(2)
    expected = tried.theirs.layers[2].self_attn.sinks.detach().numpy()
    np.testing.assert_array_equal(part(record, "sinks"), expected)
    sums = record.weights(2).sum(axis=-1)
    assert 0 < sums.min() < 0.8 < sums.max() < 1


def test_in_bfloat16_numbers_are_near_and_say_so(tmp_path: Path) -> None:
    theirs = RECORDED["llama"].save(tmp_path).to(torch.bfloat16)
    ours = load_model(str(tmp_path), dtype="bfloat16")
    assert ours.facts.dtype == "bfloat16"
    inspection = ours.inspect(SENTENCES[0])
    record = inspection.layer(0)
    assert part(record, "q").dtype == np.float32
    expected = eager(theirs, [inspection.tokens.ids]).attentions[0][0].float().numpy()
    np.testing.assert_allclose(record.weights(0), expected, rtol=0, atol=0.02)


SIZES = {"vocab_size": 97, "n_embd": 28, "n_layer": 2, "n_head": 4, "n_positions": 61}
# without a table of token types: they add the word embedding of a type
WORDS_AS_TYPES: dict[str, dict[str, Any]] = {
    "GPT2Config": SIZES,
    "OpenAIGPTConfig": SIZES,
    "CTRLConfig": {**SIZES, "dff": 23},
    "XLMConfig": {"vocab_size": 97, "emb_dim": 28, "n_layers": 2, "n_heads": 4},
}


@pytest.mark.parametrize("gives_types", [True, False])
@pytest.mark.parametrize("config", WORDS_AS_TYPES)
def test_token_types_without_a_table_are_those_of_autotokenizer(
    tmp_path: Path, config: str, gives_types: bool
) -> None:
    sizes = {**WORDS_AS_TYPES[config], "pad_token_id": 0}
    theirs = Other(config, sizes, gives_types=gives_types).save(tmp_path)
    library: Any = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ours = load_model(str(tmp_path))
    texts = [("it was a dog", None), ("a dog", None), ("a dog", "it was the cat")]
    together = ours.inspect_tokens([ours.tokenize(*text) for text in texts])
    for text, of_batch in zip(texts, together, strict=True):
        fed = library(*text, return_tensors="pt")
        assert ("token_type_ids" in fed) == gives_types
        with torch.inference_mode():
            expected = theirs(**fed, output_attentions=True).attentions
            unlike = theirs(**{**fed, "token_type_ids": None}, output_attentions=True).attentions
        assert (float((unlike[0] - expected[0]).abs().max()) > 0.1) == gives_types
        hold(ours.inspect(*text), expected)
        hold(of_batch, expected)
    assert attnviz.check(str(tmp_path)).failed == ()


def test_the_reference_of_a_check_has_the_types_of_autotokenizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RECORDED["gpt2"].save(tmp_path)
    save_tokenizer(tmp_path)
    assert attnviz.check(str(tmp_path)).failed == ()
    monkeypatch.setattr(describe, "takes_types", lambda model: False)
    assert {"tokens", "eager", "output"} <= set(attnviz.check(str(tmp_path)).failed)
