"""The numbers are the model's own: held to transformers' eager attention, to 1e-5."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from handmade import part, records
from tiny_bert import SENTENCES, Reference, reference, save_tiny_bert
from transformers import AutoTokenizer, BertModel

from attnviz.encoder.checkpoint import load_checkpoint
from attnviz.encoder.encoder import Encoder
from attnviz.encoder.torch_engine import TorchEngine
from attnviz.inspection import Inspection
from attnviz.model import Model, load_model
from attnviz.models import ModelFiles, find_model

TOLERANCE = 1e-5
SAMPLES = Path(__file__).parent.parent / "samples"
SAMPLE_LINES = [
    line
    for file in sorted(SAMPLES.glob("*.txt"))
    for line in file.read_text(encoding="utf-8").splitlines()
    if line.strip()
]


@pytest.fixture(scope="module")
def files() -> ModelFiles:
    return find_model("minilm")


@pytest.fixture(scope="module")
def encoder(files: ModelFiles) -> Encoder:
    return load_checkpoint(files.config, files.weights, verified=True).encoder(TorchEngine())


@pytest.fixture(scope="module")
def theirs(files: ModelFiles) -> Any:
    model: Any = BertModel.from_pretrained(files.weights.parent, attn_implementation="eager")
    return model.eval()


def close(ours: object, theirs: object) -> None:
    """Equal to 1e-5 of the largest number: that is how far float32's roundings reach."""
    expected = np.asarray(theirs)
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(np.asarray(ours), expected, rtol=0, atol=TOLERANCE * scale)


def hold(inspection: Inspection, expected: Reference, row: int = 0) -> None:
    """Hold every layer's x, q, k, v and weights to one row of the reference's batch."""
    n = len(inspection.tokens)
    assert len(inspection.layers) == len(expected.q)
    for number, layer in enumerate(records(inspection.layers)):
        close(part(layer, "x"), expected.x[number][row, :n])
        close(part(layer, "q"), expected.q[number][row, :, :n])
        close(part(layer, "k"), expected.k[number][row, :, :n])
        close(part(layer, "v"), expected.v[number][row, :, :n])
        close(inspection.weights(number, unit="piece"), expected.weights[number][row, :, :n, :n])


def hold_last_state(encoder: Encoder, inspection: Inspection, expected: Reference) -> None:
    ids, types = (
        torch.tensor([row]) for row in (inspection.tokens.ids, inspection.tokens.type_ids)
    )
    with torch.inference_mode():
        close(encoder(ids, types).hidden_states, expected.x[-1])


@pytest.mark.slow
@pytest.mark.parametrize("sentence", SAMPLE_LINES)
def test_default_model_on_every_sample(
    sentence: str, minilm: Model, theirs: Any, encoder: Encoder
) -> None:
    inspection = minilm.inspect(sentence)
    expected = reference(theirs, [inspection.tokens.ids], [inspection.tokens.type_ids])
    hold(inspection, expected)
    hold_last_state(encoder, inspection, expected)


def test_the_samples_are_there() -> None:
    assert len(SAMPLE_LINES) >= 5
    assert max(len(line.split()) for line in SAMPLE_LINES) >= 150
    assert any("동물은" in line for line in SAMPLE_LINES)


def test_default_model_cuts_as_transformers_does(minilm: Model, files: ModelFiles) -> None:
    tokenizer = AutoTokenizer.from_pretrained(files.folder)
    for sentence in SAMPLE_LINES:
        assert list(minilm.tokenize(sentence).ids) == tokenizer(sentence)["input_ids"]
    pair = minilm.tokenize(SAMPLE_LINES[0], SAMPLE_LINES[1])
    expected = tokenizer(SAMPLE_LINES[0], SAMPLE_LINES[1])
    assert list(pair.ids) == expected["input_ids"]
    assert list(pair.type_ids) == expected["token_type_ids"]


def test_default_model_on_a_pair(minilm: Model, theirs: Any) -> None:
    inspection = minilm.inspect("Is the street wide?", "The animal is tired.")
    assert set(inspection.tokens.type_ids) == {0, 1}
    hold(inspection, reference(theirs, [inspection.tokens.ids], [inspection.tokens.type_ids]))


@pytest.mark.slow
def test_default_model_in_one_padded_batch_with_all_samples(minilm: Model, theirs: Any) -> None:
    sentences = [minilm.tokenize(line) for line in SAMPLE_LINES]
    expected = reference(theirs, [s.ids for s in sentences], [s.type_ids for s in sentences])
    for row, inspection in enumerate(minilm.inspect_tokens(sentences)):
        hold(inspection, expected, row)


def test_the_founding_numbers(minilm: Model, animal: Inspection) -> None:
    words = [token.text for token in animal.tokens.words]
    it, cat, street = words.index("it"), words.index("animal"), words.index("street")
    wide = minilm.inspect("The animal didn't cross the street because it was too wide.")
    assert np.round(animal.weights(3, 1)[it, [cat, street]], 3).tolist() == pytest.approx(
        [0.677, 0.050]
    )
    assert np.round(wide.weights(3, 1)[it, [cat, street]], 3).tolist() == pytest.approx(
        [0.281, 0.121]
    )
    assert np.round(animal.weights(5, 11)[it, [cat, street]], 3).tolist() == pytest.approx(
        [0.673, 0.021]
    )


SHAPES: dict[str, dict[str, Any]] = {
    "gelu": {},
    "gelu_new": {"hidden_act": "gelu_new", "layer_norm_eps": 0.0123},
    "gelu_pytorch_tanh": {"hidden_act": "gelu_pytorch_tanh"},
    "relu": {"hidden_act": "relu", "num_attention_heads": 5, "hidden_size": 35},
    "silu": {"hidden_act": "silu", "num_hidden_layers": 3, "type_vocab_size": 3},
    "swish": {"hidden_act": "swish", "num_hidden_layers": 1, "num_attention_heads": 1},
}


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_tiny_berts_of_odd_sizes(changes: dict[str, Any], tmp_path: Path) -> None:
    theirs = save_tiny_bert(tmp_path, **changes)
    ours = load_model(str(tmp_path))
    single = ours.inspect(SENTENCES[0])
    expected = reference(theirs, [single.tokens.ids], [single.tokens.type_ids])
    hold(single, expected)
    files = find_model(str(tmp_path))
    encoder = load_checkpoint(files.config, files.weights).encoder(TorchEngine())
    hold_last_state(encoder, single, expected)

    batch = [ours.tokenize(sentence) for sentence in SENTENCES]
    expected = reference(theirs, [s.ids for s in batch], [s.type_ids for s in batch])
    for row, inspection in enumerate(ours.inspect_tokens(batch)):
        hold(inspection, expected, row)

    pair = ours.inspect(SENTENCES[0], SENTENCES[1])
    assert set(pair.tokens.type_ids) == {0, 1}
    hold(pair, reference(theirs, [pair.tokens.ids], [pair.tokens.type_ids]))


def test_tiny_attention_is_far_from_even(tmp_path: Path) -> None:
    """Even weights would agree whatever the queries and keys were."""
    save_tiny_bert(tmp_path)
    weights = load_model(str(tmp_path)).inspect(SENTENCES[0]).weights(0, unit="piece")
    assert weights.std() > 2 * TOLERANCE * 1000


def test_a_sentence_as_long_as_the_model_takes(tmp_path: Path) -> None:
    theirs = save_tiny_bert(tmp_path)
    ours = load_model(str(tmp_path))
    inspection = ours.inspect("a " * 29)
    assert len(inspection.tokens) == 31
    hold(inspection, reference(theirs, [inspection.tokens.ids], [inspection.tokens.type_ids]))


def test_numbers_do_not_depend_on_the_batch(minilm: Model) -> None:
    sentences = [minilm.tokenize(line) for line in SAMPLE_LINES]
    together = list(minilm.inspect_tokens(sentences))
    for tokens, inspection in zip(sentences, together, strict=True):
        alone = next(minilm.inspect_tokens([tokens]))
        for mine, other in zip(inspection.layers, alone.layers, strict=True):
            for name in ("x", "q", "k", "v"):
                close(getattr(mine, name), getattr(other, name))
