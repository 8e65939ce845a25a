"""How a query's attention in one head comes about: by hand, and against transformers' BERT."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from handmade import largest, part, with_layer
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_bert import SENTENCES, reference, save_tiny_bert
from worked import WORKED, X, inspection_with, random_layer

import attnviz
from attnviz.answers.explain import Explanation, explain, explain_token
from attnviz.answers.links import one_head
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model, load_model
from attnviz.model.native import projections_of

B = 1


def explained(head: int, bias: np.ndarray | None = None) -> Explanation:
    """What "b" looks at, by hand."""
    return explain(inspection_with(X, WORKED, 2, bias), B, HeadId(0, head), WORKED)


def test_a_head_by_hand() -> None:
    e = explained(1)
    assert (e.query.label, [key.label for key in e.keys]) == ("b", ["a", "b"])
    assert e.shapes == {"x": (2,), "W_Q": (2, 1), "W_K": (2, 1), "W_V": (2, 1), "W_O": (1, 2)}
    assert e.x.tolist() == [0, 2]
    assert e.q.tolist() == [2]
    assert e.k.tolist() == [[0], [2]]
    assert e.v.tolist() == [[0], [2]]
    assert e.dots.tolist() == e.scores.tolist() == [0, 4]
    assert e.scale == 1
    strong = math.exp(4) / (1 + math.exp(4))
    assert e.weights.tolist() == pytest.approx([1 - strong, strong])
    assert e.brought.ravel().tolist() == pytest.approx([0, 2 * strong])
    assert e.z.tolist() == pytest.approx([2 * strong])
    assert e.output.tolist() == pytest.approx([0, 8 * strong])
    assert e.norms.tolist() == pytest.approx([0, 8 * strong])
    assert e.order == [1, 0]
    # head 0 looks at both alike, so that z is (1 + 2) / 2, and its output (4.5, 0)
    assert e.share == pytest.approx((8 * strong) ** 2 / ((8 * strong) ** 2 + 4.5**2))
    assert explained(0).share == pytest.approx(1 - e.share)
    assert (e.check.q, e.check.k, e.check.v) == (0, 0, 0)
    assert e.check.z is not None
    assert 0 <= e.check.z < 1e-6


def test_a_bias_is_added_to_the_scores() -> None:
    bias = np.zeros((1, 2, 2), np.float32)
    bias[0, B, 0] = math.log(3)
    e = explained(0, bias)
    assert e.bias is not None
    assert e.scores.tolist() == pytest.approx([math.log(3), 0])
    assert e.dots.tolist() == [0, 0]
    assert e.weights.tolist() == pytest.approx([3 / 4, 1 / 4])
    assert e.z.tolist() == pytest.approx([1.25])
    of_each = np.stack([np.zeros((2, 2), np.float32), bias[0]])
    assert explained(0, of_each).weights.tolist() == pytest.approx([1 / 2, 1 / 2])


def test_a_masked_key_brings_nothing() -> None:
    bias = np.zeros((1, 2, 2), np.float32)
    bias[0, B, 0] = -np.inf
    e = explained(0, bias)
    assert e.weights.tolist() == [0, 1]
    assert e.norms.tolist() == [0, 6]
    assert e.check.z == 0


def test_a_z_that_was_damaged_is_an_error(animal: Inspection) -> None:
    damaged = part(animal.layer(3), "z").copy()
    damaged[1, 10, 5] += 0.1
    inspection = with_layer(animal, 3, z=damaged)
    projections = projections_of(inspection, 3)
    with pytest.raises(AttnvizError, match="the encoder's z is not what"):
        explain(inspection, 10, HeadId(3, 1), projections)
    assert explain(inspection, 9, HeadId(3, 1), projections).check.z is not None


def test_outputs_that_are_all_zero_have_no_shares() -> None:
    silent = replace(WORKED, W_O=np.zeros((2, 2)))
    assert explain(inspection_with(X, silent, 2), B, HeadId(0, 1), silent).share == 0


def test_an_inspection_without_z_is_explained_and_says_so() -> None:
    bare = with_layer(inspection_with(X, WORKED, 2), 0, z=None)
    e = explain(bare, B, HeadId(0, 1), WORKED)
    assert e.check.z is None
    np.testing.assert_allclose(e.outputs, explained(1).outputs, rtol=1e-6)
    assert e.share == pytest.approx(explained(1).share)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    length=st.integers(1, 12),
    shape=st.sampled_from([(1, 1), (1, 5), (3, 2), (7, 1)]),
    seed=st.integers(0, 99),
)
def test_what_always_holds(length: int, shape: tuple[int, int], seed: int) -> None:
    num_heads, d_k = shape
    layer = random_layer(num_heads * d_k, seed)
    x = np.random.default_rng(seed).normal(size=(length, num_heads * d_k))
    inspection = inspection_with(x, layer, num_heads)
    query = seed % length
    every = [explain(inspection, query, HeadId(0, head), layer) for head in range(num_heads)]
    assert sum(e.share for e in every) == pytest.approx(1, abs=1e-4)
    for e in every:
        assert e.weights.sum() == pytest.approx(1, abs=1e-6)
        powers = np.exp(e.scores.astype(np.float64) - e.scores.max())
        np.testing.assert_allclose(e.weights, powers / powers.sum(), rtol=0, atol=1e-5)
        np.testing.assert_allclose(e.brought.sum(axis=0), e.z, atol=1e-5)
        assert (np.diff(e.weights[e.order]) <= 0).all()
        assert largest(e.check) < 1e-4
        other = every[0].outputs if e is not every[0] else every[-1].outputs
        np.testing.assert_allclose(e.outputs, other, rtol=1e-3, atol=1e-4)


def test_every_step_is_transformers_own(tmp_path: Path) -> None:
    """In every head of a tiny random BERT, for every piece: nothing is taken from our encoder."""
    theirs = save_tiny_bert(tmp_path)
    inspection = load_model(str(tmp_path)).inspect(SENTENCES[0])
    tokens = inspection.tokens
    put_out: list[torch.Tensor] = []
    for layer in theirs.encoder.layer:
        layer.attention.output.dense.register_forward_hook(
            lambda _module, _inputs, output: put_out.append(output)
        )
    found = reference(theirs, [tokens.ids], [tokens.type_ids])
    for number in range(2):
        projections = projections_of(inspection, number)
        assert projections.b_O is not None
        of_theirs = with_layer(
            inspection,
            number,
            **{name: getattr(found, name)[number][0].numpy() for name in "xqkv"},
            z=(found.weights[number] @ found.v[number])[0].numpy(),
        )
        for query in range(len(tokens)):
            for head in range(3):
                e = explain(of_theirs, query, HeadId(number, head), projections)
                weights = found.weights[number][0, head, query].numpy()
                np.testing.assert_allclose(e.weights, weights, rtol=0, atol=1e-5)
                assert largest(e.check) < 2e-5
            whole = e.outputs.sum(axis=0) + projections.b_O
            np.testing.assert_allclose(whole, put_out[number][0, query], rtol=1e-4, atol=1e-4)


def test_the_founding_example(animal: Inspection) -> None:
    [e] = attnviz.explain(animal, "it", 3, 1)
    assert e.shapes == {
        **{"x": (384,), "W_Q": (384, 32), "W_K": (384, 32)},
        **{"W_V": (384, 32), "W_O": (32, 384)},
    }
    assert e.keys[e.order[0]].label == "animal"
    view = animal.view("piece")
    np.testing.assert_allclose(e.weights, view.weights(3, 1)[10], rtol=0, atol=1e-6)
    norms = animal.view("piece", measure="norm").weights(3, 1)[10]
    np.testing.assert_allclose(e.norms, norms, rtol=1e-3)
    assert e.check.z is not None
    assert e.check.z < 3e-6
    assert largest(e.check) < 1e-5
    shares = [attnviz.explain(animal, "it", 3, head)[0].share for head in range(12)]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert repr(e) == "<Explanation of 'it' in L3H1: 16 keys>"


def test_the_articles_numbers() -> None:
    """512 / 8 = 64, for each of the four words of "I am a student"."""
    inspection = load_model("paper").inspect("I am a student")
    for word in ("I", "am", "a", "student"):
        [e] = attnviz.explain(inspection, word, 0, 0)
        assert e.shapes["W_Q"] == (512, 64)
        assert e.shapes["W_O"] == (64, 512)
        assert len(e.q) == len(e.z) == 64
        assert e.scale == pytest.approx(1 / 8)
        assert e.check.z is not None
        assert largest(e.check) < 1e-4


@pytest.mark.parametrize(("num_heads", "d_model"), [(3, 21), (1, 1), (5, 5)])
def test_untrained_models_of_odd_shapes(num_heads: int, d_model: int) -> None:
    model = load_model("paper", num_layers=2, num_heads=num_heads, d_model=d_model, d_ff=7, seed=4)
    [e] = attnviz.explain(model.inspect("student"), "student", layer=-1, head=-1)
    assert e.head == HeadId(1, num_heads - 1)
    assert e.weights.tolist() == [1]
    assert e.check.z is not None
    assert e.check.z < 1e-5


def test_each_piece_of_a_word(animal: Inspection) -> None:
    pieces = attnviz.explain(animal, "didn't", head="L3H1")
    assert [e.query.label for e in pieces] == ["didn", "'", "t"]
    assert [e.query.index for e in pieces] == [3, 4, 5]
    [one] = attnviz.explain(animal, "t", head="L3H1", unit="piece")
    np.testing.assert_array_equal(one.weights, pieces[2].weights)
    [special] = attnviz.explain(animal, "[CLS]", head="L3H1")
    assert special.query.special


def test_a_view_without_special_tokens_means_the_same_words(animal: Inspection) -> None:
    layer = projections_of(animal, 3)
    for unit, index, label in (("word", 8, "was"), ("piece", 9, "it")):
        view = animal.view(unit, special=False)  # type: ignore[arg-type]
        [e] = explain_token(view, index, HeadId(3, 1), layer)
        assert e.query.label == label
        assert len(e.keys) == 16


def test_a_pair(minilm: Model) -> None:
    inspection = minilm.inspect("Who was tired?", "The animal was.")
    [e] = attnviz.explain(inspection, "animal", head="L3H1")
    assert e.query.segment == 1
    assert len(e.keys) == len(inspection.tokens)


def test_without_a_head_that_of_the_strongest_link(animal: Inspection) -> None:
    [e] = attnviz.explain(animal, "it")
    assert str(e.head) == "L2H1"
    head, note = one_head(animal.view(), [], 8)
    assert (head, note) == (
        HeadId(2, 1),
        'no head given, so L2H1, in which "it" looks hardest at "tired": 0.71',
    )


@pytest.mark.parametrize(
    ("query", "layer", "head", "message"),
    [
        ("dog", 3, 1, 'there is no "dog"'),
        ("it", 3, None, "one head can be followed, and 12 were chosen .*L3H0"),
        ("it", 6, 0, "no layer 6"),
        ("it", 3, 12, "no head 12"),
        ("it", None, 1, "head 1 needs a layer"),
    ],
)
def test_wrong_requests(
    animal: Inspection, query: str, layer: int | None, head: int | None, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        attnviz.explain(animal, query, layer, head)


def test_a_model_that_cannot_be_found_again(animal: Inspection) -> None:
    moved = replace(animal, model=replace(animal.model, name="./nowhere"))
    with pytest.raises(AttnvizError, match=r'no model "\./nowhere"') as caught:
        attnviz.explain(moved, "it", 3, 1)
    assert not isinstance(caught.value, RequestError)
