"""The encoder by hand: heads, attention, sinusoids, and the article's untrained Transformer."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from handmade import part, records
from torch.testing import assert_close

from attnviz.encoder.embeddings import SinusoidalEmbeddings, sinusoidal_positions
from attnviz.encoder.encoder import MultiHeadSelfAttention, join_heads, split_heads
from attnviz.encoder.engine import Engine
from attnviz.encoder.numpy_engine import NumpyEngine
from attnviz.encoder.paper import paper_checkpoint
from attnviz.encoder.parts import Weights
from attnviz.encoder.record import record
from attnviz.encoder.torch_engine import TorchEngine
from attnviz.errors import RequestError
from attnviz.model import load_model
from attnviz.models.config import EncoderConfig

TINY = EncoderConfig(vocab_size=13, num_layers=2, num_heads=3, d_model=15, d_ff=7)
IDS = np.array([[1, 5, 2, 12], [7, 8, 0, 0]])
MASK = np.array([[True] * 4, [True, True, False, False]])


@pytest.fixture(params=[NumpyEngine, TorchEngine])
def engine(request: pytest.FixtureRequest) -> Engine:
    made: Engine = request.param()
    return made


def attention_of(
    engine: Engine, num_heads: int, weight: list[list[float]], bias: list[float]
) -> MultiHeadSelfAttention:
    """Attention whose W_O has these numbers, and its other matrices zeros."""
    w_o = np.array(weight, np.float32)
    arrays = {f"{name}.weight": np.zeros_like(w_o) for name in ("W_Q", "W_K", "W_V")}
    arrays |= {"W_O.weight": w_o, "W_O.bias": np.array(bias, np.float32)}
    return MultiHeadSelfAttention(num_heads, Weights(engine, engine.put(arrays)))


def test_splitting_heads_puts_each_in_its_own_columns() -> None:
    x = torch.arange(2 * 3 * 10.0).view(2, 3, 10)
    heads = split_heads(x, 5)
    assert heads.shape == (2, 5, 3, 2)
    assert heads[1, 3, 2].tolist() == x[1, 2, 6:8].tolist()


def test_joining_heads_undoes_splitting() -> None:
    x = torch.randn(2, 7, 15, generator=torch.Generator().manual_seed(1))
    for num_heads in (1, 3, 5, 15):
        assert torch.equal(join_heads(split_heads(x, num_heads)), x)


def test_attention_with_numbers_worked_by_hand(engine: Engine) -> None:
    """Two heads, d_k 1: scores are products, and 2 * ln 3 and ln 3 make thirds and quarters."""
    attention = attention_of(engine, 2, [[1.0, 0.0], [10.0, 1.0]], [0.0, 0.5])
    ln3 = math.log(3)
    q = [[[[1.0], [2.0]], [[0.0], [1.0]]]]
    k = [[[[ln3], [0.0]], [[5.0], [5.0]]]]
    v = [[[[4.0], [8.0]], [[1.0], [3.0]]]]
    # head 0: query 0 weighs (3/4, 1/4), query 1 (9/10, 1/10); head 1: evenly, whatever the query
    z = [[0.75 * 4 + 0.25 * 8, 2.0], [0.9 * 4 + 0.1 * 8, 2.0]]
    own_q, own_k, own_v = (engine.array(np.array(numbers)) for numbers in (q, k, v))
    mixed = engine.numpy(attention.mix(engine.attend(own_q, own_k, own_v, None)))
    np.testing.assert_allclose(mixed, [[[z0, 10 * z0 + z1 + 0.5] for z0, z1 in z]], rtol=1e-6)


def test_a_masked_key_is_not_looked_at(engine: Engine) -> None:
    attention = attention_of(engine, 1, [[1.0]], [0.0])
    q = k = engine.array(np.zeros((1, 1, 3, 1)))
    v = engine.array(np.array([[[[2.0], [4.0], [1000.0]]]]))
    mask = engine.array(np.array([True, True, False])[None, None, None])
    out = attention.mix(engine.attend(q, k, v, mask))
    assert engine.numpy(out).ravel().tolist() == [3.0, 3.0, 3.0]


def test_queries_keys_and_values_are_x_times_their_matrices(engine: Engine) -> None:
    checkpoint = paper_checkpoint(TINY, seed=2)
    attention = checkpoint.encoder(engine).layers[1].attention
    x = np.random.default_rng(3).standard_normal((1, 4, 15), np.float32)
    with engine.running():
        vectors = attention(engine.array(x), None)
    for made, matrix in zip(vectors[1:4], ("W_Q", "W_K", "W_V"), strict=True):
        weight = checkpoint.weights[f"layers.1.attention.{matrix}.weight"]
        assert made.shape == (1, 3, 4, 5)
        for head in range(3):
            columns = weight.T[:, 5 * head : 5 * head + 5]  # d_model x d_k
            # the seed leaves biases at zero
            np.testing.assert_allclose(engine.numpy(made[0, head]), x[0] @ columns, atol=1e-6)


def test_a_layer_is_the_two_sublayers_of_the_paper() -> None:
    encoder = paper_checkpoint(TINY, seed=4).encoder(TorchEngine())
    ids = torch.tensor([[1, 5, 2, 12]])
    with torch.inference_mode():
        out = encoder(ids, torch.zeros_like(ids))
        layer, vectors = encoder.layers[0], out.layers[0]
        scores = vectors.q @ vectors.k.transpose(-1, -2) / math.sqrt(5)
        z = join_heads(scores.softmax(-1) @ vectors.v)
        x = layer.attention_norm(vectors.x + z @ layer.attention.W_O.weight.T)
        inner = (x @ layer.feed_forward.inner.weight.T).relu()
        expected = layer.feed_forward_norm(x + inner @ layer.feed_forward.outer.weight.T)
    assert len(out.layers) == 2
    assert_close(out.layers[1].x, expected)
    assert_close(out.hidden_states.mean(-1), torch.zeros(1, 4), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("length", "d_model"), [(5, 6), (7, 5), (1, 1), (300, 64)])
def test_sinusoidal_positions_are_the_papers(length: int, d_model: int) -> None:
    slow = [
        [
            (math.cos if i % 2 else math.sin)(position / 10000 ** ((i - i % 2) / d_model))
            for i in range(d_model)
        ]
        for position in range(length)
    ]
    np.testing.assert_allclose(sinusoidal_positions(length, d_model), slow, atol=1e-7, rtol=0)


def test_word_vectors_are_scaled_before_positions_are_added(engine: Engine) -> None:
    checkpoint = paper_checkpoint(TINY, seed=4)
    embeddings = checkpoint.encoder(engine).embeddings
    assert isinstance(embeddings, SinusoidalEmbeddings)
    ids = engine.array(np.array([[3, 3]]))
    with engine.running():
        vectors = engine.numpy(embeddings(ids, ids)[0])
    word = np.asarray(checkpoint.weights["embeddings.word.weight"])[3]
    expected = word * math.sqrt(15) + sinusoidal_positions(2, 15)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


@pytest.mark.parametrize("mask", [None, MASK])
def test_batches_give_what_sentences_alone_give(engine: Engine, mask: np.ndarray | None) -> None:
    encoder = paper_checkpoint(TINY, seed=4).encoder(engine)
    ids, types = engine.array(IDS), engine.array(np.zeros_like(IDS))
    n = 4 if mask is None else 2
    with engine.running():
        given = None if mask is None else engine.array(mask)
        together = encoder(ids, types, given).hidden_states
        alone = encoder(ids[1:, :n], types[1:, :n]).hidden_states
    expected = engine.numpy(alone[0])
    np.testing.assert_allclose(engine.numpy(together[1, :n]), expected, atol=1e-6, rtol=0)


def test_a_recorded_batch_has_each_sentence_at_its_own_length(engine: Engine) -> None:
    encoder = paper_checkpoint(TINY, seed=4).encoder(engine)
    rows = [[1, 5, 2, 12], [7, 8]]
    short = records(record(encoder, rows, [[0] * len(row) for row in rows])[1])
    assert [part(layer, "x").shape for layer in short] == [(2, 15), (2, 15)]
    assert {part(layer, "q").shape for layer in short} == {(3, 2, 5)}
    alone = records(record(encoder, rows[1:], [[0, 0]])[0])
    np.testing.assert_allclose(part(short[1], "v"), part(alone[1], "v"), rtol=0, atol=1e-6)
    assert part(short[0], "x").dtype == np.float32


def test_the_articles_numbers() -> None:
    """512 / 8 = 64, and each of the four words of "I am a student" gets its own q, k and v."""
    model = load_model("paper")
    inspection = model.inspect("I am a student")
    assert [token.text for token in inspection.tokens.words] == ["I", "am", "a", "student"]
    assert not any(token.special for token in inspection.tokens.pieces)
    facts = inspection.model
    assert (facts.num_layers, facts.num_heads, facts.d_model, facts.d_k, facts.d_ff) == (
        *(6, 8, 512),
        *(64, 2048),
    )
    for layer in records(inspection.layers):
        assert part(layer, "x").shape == (4, 512)
        assert [part(layer, name).shape for name in "qkv"] == [(8, 4, 64)] * 3
        assert layer.scale == pytest.approx(1 / 8)
    assert not facts.trained
    assert "UNTRAINED (seed 0)" in str(facts)


def test_the_seed_alone_decides() -> None:
    shape: Any = {"num_layers": 2, "num_heads": 3, "d_model": 15, "d_ff": 7}
    first, again, other = (
        load_model("paper", seed=seed, **shape).inspect("I am a student") for seed in (7, 7, 8)
    )
    torch.manual_seed(99)
    for mine, same, different in zip(first.layers, again.layers, other.layers, strict=True):
        for name in ("x", "q", "k", "v"):
            assert np.array_equal(getattr(mine, name), getattr(same, name))
            assert not np.allclose(getattr(mine, name), getattr(different, name))


def test_random_word_vectors_have_variance_one_once_scaled() -> None:
    weights = paper_checkpoint(replace(TINY, vocab_size=4001), seed=0).weights
    words = np.asarray(weights["embeddings.word.weight"])
    assert words.std() * math.sqrt(15) == pytest.approx(1, abs=0.02)


def test_the_paper_model_knows_no_pairs() -> None:
    model = load_model("paper", num_layers=1, num_heads=1, d_model=2, d_ff=2)
    with pytest.raises(RequestError, match="does not take pairs of sentences"):
        model.inspect("I am", "a student")


def test_a_width_that_heads_cannot_share() -> None:
    with pytest.raises(RequestError, match="d_model 512 cannot be divided among 7 heads"):
        load_model("paper", num_heads=7)
    with pytest.raises(RequestError, match="d_model 2 cannot be divided among 3 heads"):
        replace(TINY, num_heads=3, d_model=2)


@pytest.mark.parametrize("name", ["num_layers", "num_heads", "d_model", "d_ff"])
@pytest.mark.parametrize("value", [0, -3, 10**9, 10**30])
def test_sizes_that_make_no_sense(name: str, value: int) -> None:
    size: Any = {name: value}
    with pytest.raises(RequestError, match=f"{name} is {value}"):
        load_model("paper", **size)


@pytest.mark.parametrize("seed", [-1, 2**62 + 1, 10**30])
def test_seeds_out_of_range(seed: int) -> None:
    with pytest.raises(RequestError, match=f"seed is {seed}"):
        load_model("paper", seed=seed)


def test_the_largest_seed_is_fine() -> None:
    weights = paper_checkpoint(TINY, 2**62).weights
    assert all(np.isfinite(np.asarray(array)).all() for array in weights.values())


def test_an_encoder_too_large_for_any_memory_is_refused_before_it_is_made() -> None:
    with pytest.raises(RequestError, match="would have 237526516236288 parameters"):
        load_model("paper", num_layers=6, d_model=1 << 20, d_ff=1 << 24)


def test_an_unknown_activation() -> None:
    with pytest.raises(RequestError, match='"softmax" is not known') as caught:
        replace(TINY, activation="softmax")
    assert "gelu" in caught.value.hint
