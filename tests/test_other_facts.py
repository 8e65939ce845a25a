"""What is told of models that transformers runs, held to what loading and running them shows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from sentencepieces import pieces_of, processor
from test_model_facts import valid
from tiny_bert import save_tiny_bert
from tiny_families import save_tiny
from tiny_others import BOTH, RECORDED, SEQ2SEQ, WEIGHTS_ONLY, Other
from transformers import AutoModelForSeq2SeqLM
from written import answer_json

from attnviz.attention.layer import LayerRecord
from attnviz.errors import AttnvizError, RequestError
from attnviz.model import load_model
from attnviz.model.describe import describe
from attnviz.model.load import ModelOptions
from attnviz.models.describe import AttentionFacts, Described, TokenizerFacts, catalog, other_types
from attnviz.show.terminal.models import _facts

OTHERS = {**RECORDED, **SEQ2SEQ, **WEIGHTS_ONLY}
DECODED: ModelOptions = {"attention": "decoder", "target": "a dog sat on it"}
LONG = "the cat sat on the mat. it was too tired to cross the street"


def told(described: Described) -> dict[str, str]:
    return dict(_facts(described))


def seen(record: LayerRecord, layer: int) -> str:
    """What a layer's queries see, from its record on a text longer than any window."""
    weights = record.weights(layer)
    looked = np.asarray((weights > 0).any(axis=0))
    n = len(looked)
    before = max(q - k for q in range(n) for k in range(n) if looked[q, k])
    behind = max(k - q for q in range(n) for k in range(n) if looked[q, k])
    if behind == 0:
        return "causal" if before == n - 1 else f"causal sliding window {before + 1}"
    return "global" if before == n - 1 else f"sliding window {before + behind}"


@pytest.fixture(scope="module", params=[name for name in OTHERS if name not in SEQ2SEQ])
def single(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Any]:
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, folder, OTHERS[request.param].save(folder)


def test_a_model_of_one_part(single: tuple[str, Path, Any]) -> None:
    name, folder, theirs = single
    described, loaded = describe(str(folder)), load_model(str(folder))
    assert described.model == loaded.facts
    inspection = loaded.inspect(LONG)
    [attention] = described.attention
    assert attention.kind == inspection.attention
    assert attention.how == ("weights alone" if name in WEIGHTS_ONLY else "through transformers")
    assert attention.num_heads == loaded.facts.num_heads
    assert attention.sees == tuple(
        seen(inspection.layer(layer), layer) for layer in range(loaded.facts.num_layers)
    )
    if (k := inspection.layer(0).k) is not None:
        assert described.num_kv_heads == len(k)
    assert described.vocab_size == 97
    assert described.max_positions == loaded.tokenizer.max_length
    counted = sum(parameter.numel() for parameter in theirs.parameters())
    assert described.encoder_parameters == described.parameters == counted
    assert described.dtypes == ("float32",)
    assert described.tokenizer == TokenizerFacts("WordPiece", False, 97)
    parsed = valid(answer_json(described), "model")
    assert parsed["attention"][0]["sees"] == list(attention.sees)


@pytest.mark.parametrize("name", SEQ2SEQ)
def test_a_model_of_two_parts(name: str, tmp_path: Path) -> None:
    SEQ2SEQ[name].save(tmp_path)
    described = describe(str(tmp_path))
    assert [attention.kind for attention in described.attention] == ["encoder", "decoder", "cross"]
    encoder, decoder, cross = described.attention
    assert (len(cross.sees), cross.num_heads) == (len(decoder.sees), decoder.num_heads)
    assert set(cross.sees) == {"global"}
    ours, fed = load_model(str(tmp_path)), load_model(str(tmp_path), **DECODED)
    for attention, model in ((encoder, ours), (decoder, fed)):
        inspection = model.inspect(LONG)
        assert len(attention.sees) == model.facts.num_layers
        assert attention.num_heads == model.facts.num_heads
        for layer, sees in enumerate(attention.sees):
            assert sees == seen(inspection.layer(layer), layer)
        if attention is encoder:
            assert described.model == model.facts
    natively = name == "marian"
    assert described.attention[0].how == ("natively" if natively else "through transformers")
    assert described.attention[1].how == "through transformers"
    valid(answer_json(described), "model")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("modernbert", ("rotary",)),
        ("albert", ("learned",)),
        ("gpt2", ("learned",)),
        ("llama", ("rotary",)),
        ("t5", ("relative",)),
        ("bart", ("learned",)),
        ("m2m_100", ("sinusoidal",)),
        ("deberta-v2", ("learned", "relative")),
    ],
)
def test_positions(name: str, expected: tuple[str, ...], tmp_path: Path) -> None:
    OTHERS[name].save(tmp_path)
    assert sorted(describe(str(tmp_path)).positions) == sorted(expected)


def test_what_is_told_in_words(tmp_path: Path) -> None:
    RECORDED["gemma3_text"].save(tmp_path)
    facts = told(describe(str(tmp_path)))
    assert facts["heads"] == "4 in each layer, which share keys and values among 2"
    assert facts["attention"] == "causal sliding window 5; run by transformers"
    assert facts["parameters"].endswith(" in the model")
    assert "at a mask" not in facts
    RECORDED["modernbert"].save(tmp_path)
    assert told(describe(str(tmp_path)))["attention"] == (
        "global in layer 0; sliding window 8 in the others; run by transformers"
    )
    WEIGHTS_ONLY["xlnet"].save(tmp_path)
    facts = told(describe(str(tmp_path)))
    assert facts["attention"] == "global; run by transformers, which gives weights alone"
    assert facts["context"] == "any number of tokens"


def test_a_decoder_beside_an_encoder_of_ours(tmp_path: Path) -> None:
    save_tiny(tmp_path, "marian")
    described = describe(str(tmp_path))
    assert described.attention == (
        AttentionFacts("encoder", "natively", 3, ("global", "global")),
        AttentionFacts("decoder", "through transformers", 7, ("causal",)),
        AttentionFacts("cross", "through transformers", 7, ("global",)),
    )
    facts = told(described)
    assert facts["encoder attention"] == "2 layers of 3 heads, global; run by attnviz itself"
    assert facts["cross attention"] == "1 layer of 7 heads, global; run by transformers"


def test_tokenizers_without_tokenizer_json(tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    vocabulary = json.loads((tmp_path / "tokenizer.json").read_text())["model"]["vocab"]
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
    assert describe(str(tmp_path)).tokenizer == TokenizerFacts("WordPiece", False, 97)
    (tmp_path / "vocab.txt").unlink()
    library = processor("unigram")
    for name in ("source.spm", "target.spm"):
        (tmp_path / name).write_bytes(library.serialized_model_proto())
    pieces = [*pieces_of(library), "<pad>"]
    (tmp_path / "vocab.json").write_text(json.dumps({p: n for n, p in enumerate(pieces)}))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "MarianTokenizer"}')
    assert describe(str(tmp_path)).tokenizer == TokenizerFacts("SentencePiece", False, len(pieces))


def test_a_pickle_is_not_counted(tmp_path: Path) -> None:
    import torch

    model = RECORDED["gpt2"].save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    described = describe(str(tmp_path))
    assert (described.parameters, described.dtypes) == (None, ())
    valid(answer_json(described), "model")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"model_type": "vit"}, "vit models do not read text"),
        ({"model_type": "x9"}, "has model_type 'x9'"),
        ({"n_head": 5}, "transformers cannot build a gpt2 model from config.json"),
        ({"n_layer": "two"}, "the gpt2 model's config.json"),
    ],
)
def test_what_makes_no_model(entries: dict[str, Any], message: str, tmp_path: Path) -> None:
    RECORDED["gpt2"].save(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))
    with pytest.raises(AttnvizError) as caught:
        describe(str(tmp_path))
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_the_types_that_were_tried() -> None:
    tried = other_types()
    assert transformers.__version__ == tried.transformers
    recorded = {name: part(name, other) for name, other in {**RECORDED, **SEQ2SEQ}.items()}
    del recorded["marian"]  # whose encoder is read natively
    assert recorded.items() <= tried.recorded.items()
    weights_only = {name: part(name, other) for name, other in WEIGHTS_ONLY.items()}
    assert weights_only.items() <= tried.weights_only.items()
    assert not set(tried.recorded) & set(tried.weights_only)
    listed = valid(answer_json(catalog("minilm")), "models")
    assert listed["through_transformers"] == list(tried.recorded)
    assert listed["weights_alone"] == list(tried.weights_only)
    assert listed["tried_with"] == transformers.__version__


def part(name: str, other: Other) -> str:
    if name in SEQ2SEQ:
        return "both"
    return "encoder" if name in (*WEIGHTS_ONLY, "modernbert", "albert") else "decoder"


def test_parts_that_take_unlike_lengths(tmp_path: Path) -> None:
    sizes = {
        **BOTH,
        "max_encoder_position_embeddings": 23,
        "max_decoder_position_embeddings": 11,
        "attention_window": [4, 4],
    }
    del sizes["max_position_embeddings"]
    Other("LEDConfig", sizes, AutoModelForSeq2SeqLM).save(tmp_path)
    assert describe(str(tmp_path)).max_positions == 23
    assert describe(str(tmp_path)).attention[0].sees == ("sliding window 4",) * 2
    long = "a dog " * 12
    with pytest.raises(RequestError, match=r"the sentence is 26 tokens long, .* at most 23"):
        load_model(str(tmp_path)).inspect(long)
    with pytest.raises(RequestError, match=r"the target is 26 tokens long, .* at most 11"):
        load_model(str(tmp_path), attention="decoder", target=long).inspect("a dog")
