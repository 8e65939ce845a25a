"""Norm, rollout and flow: worked by hand, and held to other people's code."""

import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx  # type: ignore[import-untyped]
import numpy as np
import pytest
from blocks import parts_of, weights_of
from handmade import inspection_of, merged, part, random_inspection, records, tokens_of
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_bert import SENTENCES, reference, save_tiny_bert
from transformers import BertModel

from attnviz.attention.layer import LayerRecord
from attnviz.attention.measures import MEASURES, MeasureName, number
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model, load_model
from attnviz.models import find_model


def close(ours: np.ndarray, theirs: object, relative: float = 0, within: float = 1e-6) -> None:
    np.testing.assert_allclose(ours, np.asarray(theirs), rtol=relative, atol=within)


def measured(inspection: Inspection, measure: MeasureName) -> np.ndarray:
    """The measure of every layer between pieces: (layer, [head,] query, key)."""
    view = inspection.view("piece", measure=measure)
    return np.stack([view.weights(layer) for layer in range(inspection.model.num_layers)])


# By hand

TURNS = np.array(
    [
        # means of two heads: 1/2 everywhere; to itself and half back; 1/2 everywhere
        [[[1, 0], [0, 1]], [[0, 1], [1, 0]]],
        [[[1, 0], [1, 0]], [[1, 0], [0, 1]]],
        [[[0.5, 0.5], [0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]]],
    ]
)
"""Three layers of two heads between two tokens.

A = 1/2 (mean + I) is [[3/4, 1/4], [1/4, 3/4]] in layers 0 and 2, [[1, 0], [1/4, 3/4]] in layer 1.
"""


@pytest.fixture
def turns() -> Inspection:
    return inspection_of(tokens_of(["a", "b"], special=False), TURNS)


def test_rollout_by_hand(turns: Inspection) -> None:
    rolled = measured(turns, "rollout")
    close(rolled[0], [[0.75, 0.25], [0.25, 0.75]])
    # row b: 1/4 of what a is (3/4, 1/4) and 3/4 of what b is (1/4, 3/4)
    close(rolled[1], [[0.75, 0.25], [0.375, 0.625]])
    # row a: 3/4 (3/4, 1/4) + 1/4 (3/8, 5/8)
    close(rolled[2], [[0.65625, 0.34375], [0.46875, 0.53125]])


def test_flow_by_hand(turns: Inspection) -> None:
    flows = measured(turns, "flow")
    close(flows[0], [[0.75, 0.25], [0.25, 0.75]])
    # a goes down through a alone; b to input a: min(1/4, 3/4) through a, min(3/4, 1/4) through b;
    # b to input b: min(1/4, 1/4) through a and min(3/4, 3/4) through b
    close(flows[1], [[0.75, 0.25], [0.5, 1.0]])
    # a to input a: 3/4 through a all the way, 1/4 through b all the way; to input b: the edge from
    # a of layer 0 lets 1/4 through, and only 1/4 comes to b at all
    # b to input a: 1/4 through a; through b 1/4 by a of layer 0 and 1/4 by b; to input b: all
    close(flows[2], [[1.0, 0.5], [0.75, 1.0]])


def test_norm_by_hand() -> None:
    weights = np.array([[[[0.9, 0.1], [0.5, 0.5]], [[1, 0], [0.25, 0.75]]]])
    norms = np.array([[[0.1, 20], [4, 8]]])
    tokens = tokens_of(["a", "b"], special=False)
    inspection = inspection_of(tokens, weights, value_norms=norms)
    expected = [[[[0.09, 2], [0.05, 10]], [[4, 0], [1, 6]]]]
    close(measured(inspection, "norm"), expected, 1e-6)
    close(inspection.view(measure="norm").weights(0, 1), expected[0][1], 1e-6)


def test_a_measure_without_heads_has_layers(turns: Inspection) -> None:
    view = turns.view(measure="rollout")
    assert view.context.num_heads == 1
    assert [str(head) for head in view.all_heads()] == ["L0", "L1", "L2"]
    assert [place.place for place in view.all_heads()] == [0, 0, 0]
    assert view.query(1).shape == (3, 1, 2)
    close(view.query(1)[:, 0], measured(turns, "rollout")[:, 1])
    for layer, place in enumerate(view.all_heads()):
        [(rows, weights)] = parts_of(view, place)
        assert rows == slice(0, 2)
        close(weights, measured(turns, "rollout")[layer])
    stacks = dict(weights_of(view, view.all_heads()))
    close(stacks[HeadId(2, None)], measured(turns, "rollout")[2])
    with pytest.raises(IndexError, match="no head to take"):
        view.weights(0, 1)


# Invariants


def shares(seed: int, layers: int, tokens: int) -> np.ndarray:
    """Weights of two heads, peaked: (layer, head, query, key)."""
    numbers = np.random.default_rng(seed).gamma(0.3, size=(layers, 2, tokens, tokens)) + 1e-6
    rows: np.ndarray = numbers / numbers.sum(axis=-1, keepdims=True)
    return rows


def inspected(weights: np.ndarray) -> Inspection:
    words = [f"w{i}" for i in range(weights.shape[-1])]
    return inspection_of(tokens_of(words, special=False), weights)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), layers=st.integers(1, 4), tokens=st.integers(1, 5))
def test_rollout_and_flow_of_any_weights(seed: int, layers: int, tokens: int) -> None:
    weights = shares(seed, layers, tokens)
    mixed = 0.5 * weights.mean(axis=1) + 0.5 * np.eye(tokens)
    rolled, flows = measured(inspected(weights), "rollout"), measured(inspected(weights), "flow")
    close(rolled.sum(axis=-1), np.ones((layers, tokens)), within=1e-5)
    close(flows[0], mixed[0])
    # rollout sends each query's 1 down along all paths; what of it ends in a token is a flow that
    # no edge is too narrow for, so the largest flow is no smaller
    assert (flows >= rolled - 1e-6).all()
    assert (flows <= 1 + 1e-6).all()
    order = np.random.default_rng(seed).permutation(tokens)
    turned = inspected(weights[..., order, :][..., order])
    close(measured(turned, "rollout"), rolled[:, order][..., order], within=1e-5)
    close(measured(turned, "flow"), flows[:, order][..., order], within=1e-5)


def test_flow_is_networkx_maximum_flow() -> None:
    weights = shares(7, 3, 4)
    mixed = 0.5 * weights.mean(axis=1) + 0.5 * np.eye(4)
    graph = networkx.DiGraph()
    for layer, query, key in np.ndindex(3, 4, 4):
        capacity = float(mixed[layer, query, key])
        graph.add_edge((layer + 1, query), (layer, key), capacity=capacity)
    expected = np.zeros((3, 4, 4))
    for layer, query, key in np.ndindex(3, 4, 4):
        found: Any = networkx.maximum_flow_value(graph, (layer + 1, query), (0, key))
        expected[layer, query, key] = found
    close(measured(inspected(weights), "flow"), expected)


@pytest.mark.parametrize("measure", MEASURES)
def test_words_are_merged_alike(minilm: Model, measure: MeasureName) -> None:
    inspection = minilm.inspect("it didn't")
    starts = inspection.tokens.word_starts
    assert len(starts) < len(inspection.tokens)
    words = inspection.view(measure=measure)
    for layer, pieces in enumerate(measured(inspection, measure)):
        close(words.weights(layer), merged(pieces, starts))
    rows = np.stack([words.weights(layer).reshape(-1, 4, 4)[:, 1] for layer in range(6)])
    close(words.query(1), rows, 1e-5)


# Other people's code


def direct_norms(weights: np.ndarray, v: np.ndarray, w_o: np.ndarray) -> np.ndarray:
    """`||alpha_ij v_j W_O^h||`, vector by vector: (head, query, key).

    weights: (head, query, key); v: (head, key, d_k); w_o: (d_model, d_model), as torch keeps it.
    """
    arriving = np.einsum("hkd,hmd->hkm", v, np.stack(np.split(w_o, len(v), axis=1)))
    found: np.ndarray = np.linalg.norm(weights[..., None] * arriving[:, None], axis=-1)
    return found


def hold_to(theirs: Any, inspection: Inspection) -> None:
    """Hold norms and value norms to transformers' attentions, values and W_O."""
    tokens = inspection.tokens
    expected = reference(theirs, [tokens.ids], [tokens.type_ids])
    norms = measured(inspection, "norm")
    for layer, record in enumerate(records(inspection.layers)):
        w_o = theirs.encoder.layer[layer].attention.output.dense.weight.detach().double().numpy()
        weights, v = (made[layer][0].double().numpy() for made in (expected.weights, expected.v))
        close(norms[layer], direct_norms(weights, v, w_o), 1e-4, 1e-5)
        ones = np.ones((len(v), 1, len(tokens)))
        close(part(record, "value_norms"), direct_norms(ones, v, w_o)[:, 0], 1e-5, 0)


@pytest.fixture(scope="module")
def theirs() -> Any:
    folder = find_model("minilm").weights.parent
    model: Any = BertModel.from_pretrained(folder, attn_implementation="eager")
    return model.eval()


def test_norms_of_the_default_model_are_transformers(animal: Inspection, theirs: Any) -> None:
    hold_to(theirs, animal)


def test_norms_of_a_tiny_bert_are_those_of_its_weights(tmp_path: Path) -> None:
    """Its projections have large biases, and sentences of different lengths come in one batch."""
    theirs = save_tiny_bert(tmp_path)
    model = load_model(str(tmp_path))
    for inspection in model.inspect_tokens([model.tokenize(text) for text in SENTENCES]):
        hold_to(theirs, inspection)


def compute_joint_attention(att_mat: np.ndarray) -> np.ndarray:
    """Abnar & Zuidema's own rollout, from github.com/samiraabnar/attention_flow."""
    residual_att = np.eye(att_mat.shape[1])[None, ...]
    aug_att_mat = att_mat + residual_att
    aug_att_mat = aug_att_mat / aug_att_mat.sum(axis=-1)[..., None]
    joint_attentions = np.zeros(aug_att_mat.shape)
    joint_attentions[0] = aug_att_mat[0]
    for i in np.arange(1, len(joint_attentions)):
        joint_attentions[i] = aug_att_mat[i].dot(joint_attentions[i - 1])
    return joint_attentions


def test_rollout_of_the_default_model_is_the_authors(animal: Inspection, theirs: Any) -> None:
    expected = reference(theirs, [animal.tokens.ids], [animal.tokens.type_ids])
    attentions = np.stack([layer[0].double().numpy() for layer in expected.weights])
    close(measured(animal, "rollout"), compute_joint_attention(attentions.mean(axis=1)))


# What is recorded


def test_a_padded_batch_leaves_nothing_on_the_padding(minilm: Model, animal: Inspection) -> None:
    """Weights and z as alone; and z is all weights times all values, so none went elsewhere."""
    texts = ["Hi", animal.tokens.text, "I am a student"]
    batch = list(minilm.inspect_tokens([minilm.tokenize(text) for text in texts]))
    assert len({len(inspection.tokens) for inspection in batch}) == 3
    for text, together in zip(texts, batch, strict=True):
        alone = minilm.inspect(text)
        pairs = zip(records(together.layers), records(alone.layers), strict=True)
        for layer, (one, other) in enumerate(pairs):
            weights = one.weights(layer)
            close(weights, other.weights(layer), within=1e-5)
            close(part(one, "z"), part(other, "z"), within=1e-4)
            close(part(one, "z"), weights @ part(one, "v"), within=1e-4)
            close(part(one, "value_norms"), part(other, "value_norms"), 1e-5, 0)


# Refusals


def test_norm_needs_what_older_files_lack(turns: Inspection) -> None:
    with pytest.raises(AttnvizError, match=r"lengths of v W_O.*--measure weights"):
        turns.view(measure="norm").weights(0)


def test_unknown_names_are_told(turns: Inspection) -> None:
    for ask, told in (
        ({"measure": "rolout"}, 'no measure "rolout".*weights, norm, rollout, flow'),
        ({"unit": "words"}, 'no unit "words".*word, piece'),
    ):
        wrong: Any = ask
        with pytest.raises(RequestError, match=told):
            turns.view(**wrong)


def test_flow_of_a_long_text_is_refused_before_it_begins() -> None:
    long = random_inspection(tokens_of([f"w{i}" for i in range(150)]), 6, 1, seed=1)
    view = long.view(measure="flow")
    started = time.perf_counter()
    for layer in (1, 5):
        with pytest.raises(RequestError, match=r"152 tokens takes too long.*--measure rollout"):
            view.weights(layer)
    assert time.perf_counter() - started < 2
    close(view.weights(0).sum(axis=-1), np.ones(152), within=1e-4)


def test_flow_of_a_sentence_takes_about_a_second(minilm: Model) -> None:
    text = "The animal that we saw there yesterday did not cross the street because of us"
    view = minilm.inspect(text).view(measure="flow")
    started = time.perf_counter()
    assert view.weights(5).shape == (17, 17)
    assert time.perf_counter() - started < 5  # a busy machine may take a few times as long


def test_what_is_costly_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inspection, asked = inspected(shares(1, 3, 3)), 0
    weights: Callable[..., np.ndarray] = LayerRecord.weights

    def counted(*given: Any) -> np.ndarray:
        nonlocal asked
        asked += 1
        return weights(*given)

    monkeypatch.setattr(LayerRecord, "weights", counted)
    for special in (True, False):
        view = inspection.view("word", special, "flow")
        view.query(1)
        view.weights(2)
    assert asked == 3


# As outputs name them


def test_every_measure_says_what_it_is() -> None:
    assert MEASURES["weights"].line == "weights: softmax(q kᵀ / √d_k)"
    for name, measure in MEASURES.items():
        assert measure.line.startswith(f"{name}: {measure.formula}")
        assert measure.line.endswith("rows are not distributions") != measure.shares
        assert str(measure).endswith("rows sum to 1") == measure.shares
        assert measure.source in str(measure)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.00"), (0.00432, "0.0043"), (0.676, "0.68"), (37.46, "37.5"), (412.3, "412")],
)
def test_numbers_have_about_two_digits(value: float, text: str) -> None:
    assert number(value) == text
    assert MEASURES["norm"].number(value) == text
    assert MEASURES["weights"].number(value) == f"{value:.2f}"


@pytest.mark.parametrize("measure", ["rollout", "flow"])
def test_what_mixes_heads_is_freed_with_its_inspection(measure: MeasureName) -> None:
    """Without a search for garbage, which comes late: a stream would fill the memory."""
    inspection = random_inspection(tokens_of(["a", "b", "c"]), 2, 5, seed=1)
    inspection.view("piece", measure=measure).weights(1)
    gone = weakref.ref(inspection.layers[0])
    del inspection
    assert gone() is None
