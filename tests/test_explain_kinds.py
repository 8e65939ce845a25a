"""explain for every kind of attention, worked by hand, and how its page and picture tell it."""

import io
import math
from collections.abc import Sequence
from typing import Any

import jsonschema
import numpy as np
import pytest
from handmade import causal, tokens_of
from matplotlib.image import AxesImage
from pictures import texts
from rich.console import Console
from test_explain_data import as_json, check

import attnviz
from attnviz.answers.explain import Explanation, explain, explain_token
from attnviz.attention.layer import Between, LayerRecord, Projections
from attnviz.attention.request import AttentionKind
from attnviz.errors import AttnvizError
from attnviz.inspection import HeadId, Inspection, ModelFacts

X = np.array([[1, 0], [0, 2], [1, 1]], np.float32)
"""The vectors of "a", "b" and "c"."""

Q = np.array([[[1], [0], [1]], [[0], [2], [1]]], np.float32)
K = np.array([[[1], [2], [2]]], np.float32)
V = np.array([[[1, 0], [0, 2], [1, 1]]], np.float32)
"""Two heads of one number each, x itself, that share one k, the sum of x, and v, x again."""

SHARED = Projections(
    W_Q=np.eye(2, dtype=np.float32),
    W_K=np.ones((2, 1), np.float32),
    W_V=np.eye(2, dtype=np.float32),
    W_O=np.array([[1, 0], [0, 1], [0, 2], [3, 0]], np.float32),
)
"""The two heads' matrices; each head writes two numbers of its own."""


def inspection(
    record: LayerRecord,
    keys: Sequence[str] | None = None,
    kind: AttentionKind = "decoder",
    dtype: str = "float32",
) -> Inspection:
    facts = ModelFacts("worked", "hand", 1, 2, 2, 1, 7, True, dtype=dtype)
    source = None if keys is None else tokens_of(keys, special=False)
    return Inspection(tokens_of("abc", special=False), facts, (record,), source, kind)


def record(**changes: Any) -> LayerRecord:
    return LayerRecord(**{"x": X, "q": Q, "k": K, "v": V, "scale": 1.0, **changes})


def explained(query: int, head: int, layer: Projections = SHARED, **changes: Any) -> Explanation:
    return explain(inspection(record(**changes)), query, HeadId(0, head), layer)


def test_heads_that_share_keys_and_values() -> None:
    first, second = (explained(1, head) for head in (0, 1))
    assert first.dots.tolist() == [0, 0, 0]
    assert second.dots.tolist() == [2, 4, 4]
    assert first.z.tolist() == pytest.approx([2 / 3, 1])
    np.testing.assert_array_equal(first.k, second.k)
    np.testing.assert_array_equal(first.v, second.v)
    assert second.shapes == {
        **{"x": (2,), "W_Q": (2, 1), "W_K": (2, 1)},
        **{"W_V": (2, 2), "W_O": (2, 2)},
    }
    # of the other head, the z that its weights and the shared values make
    np.testing.assert_array_equal(second.outputs[0], first.output)
    e = math.exp(2)
    assert second.z.tolist() == pytest.approx([(1 + e) / (1 + 2 * e), 3 * e / (1 + 2 * e)])
    assert second.output.tolist() == pytest.approx([3 * second.z[1], 2 * second.z[0]])
    assert first.share + second.share == pytest.approx(1)


def test_keys_out_of_sight() -> None:
    e = explained(1, 1, key_ranges=causal(3))
    assert e.dots.tolist() == [2, 4, 4]
    assert e.scores.tolist() == [2, 4, -math.inf]
    assert e.seen.tolist() == [True, True, False]
    assert e.weights.tolist() == pytest.approx([1 / (1 + math.exp(2)), 1 / (1 + math.exp(-2)), 0])
    parsed = as_json(e)
    check(parsed)
    assert [key["seen"] for key in parsed["keys"]] == [True, True, False]
    assert [key["score"] for key in parsed["keys"]] == [2, 4, None]
    told = page(e)
    assert "1 of 3 keys may not be looked at: their weight is 0, whatever q · k." in told
    assert "decoder: each piece sees itself and those before it" in told
    assert "1 of 3 keys may not be looked at" in texts(attnviz.figure(e))


def test_a_soft_cap() -> None:
    e = explained(1, 1, softcap=2.0)
    expected = [2 * math.tanh(1), 2 * math.tanh(2), 2 * math.tanh(2)]
    assert e.scores.tolist() == pytest.approx(expected)
    powers = np.exp(expected)
    assert e.weights.tolist() == pytest.approx((powers / powers.sum()).tolist())
    assert as_json(e)["softcap"] == 2
    assert "2 · tanh(score / 2), a soft cap" in page(e)


def test_a_sink() -> None:
    e = explained(0, 0, sinks=np.array([1, -9], np.float32))
    assert e.scores.tolist() == [1, 2, 2]
    total = 2 * math.e + 2 * math.exp(2)
    assert e.sink is not None
    assert e.sink.score == 1
    assert e.sink.weight == pytest.approx(math.e / total)
    assert e.weights.sum() == pytest.approx(1 - e.sink.weight)
    # what the sink takes brings nothing
    assert e.z.tolist() == pytest.approx((e.weights @ V[0]).tolist())
    parsed = as_json(e)
    check(parsed)
    assert parsed["sink"] == {"score": 1, "weight": pytest.approx(e.sink.weight)}
    told = page(e)
    assert "the sink" in told
    assert "sum to 1 together with the sink's" in told
    sink = f"the sink, which is no token, takes {e.sink.weight:.1%}"
    assert sink in texts(attnviz.figure(e))


def test_a_bias_by_distance() -> None:
    """Entry j - i + 2 is for query i and key j: "b" looks at "a" with 20, itself with 30."""
    offsets = np.array([[10, 20, 30, 40, 50]], np.float32)
    e = explained(1, 1, distance_bias=offsets, scale=0.5)
    assert e.bias is not None
    assert e.bias.tolist() == [20, 30, 40]
    assert e.scores.tolist() == [21, 32, 42]
    parsed = as_json(e)
    check(parsed)
    assert [key["bias"] for key in parsed["keys"]] == [20, 30, 40]
    assert "× 0.5, the model's own scale in place of 1 / √d_k; + the layer's bias" in page(e)


def test_a_text_that_looks_at_another() -> None:
    memory = np.array([[1, 2, 3], [3, 2, 1]], np.float32)
    layer = Projections(
        SHARED.W_Q,
        np.array([[1], [0], [0]], np.float32),
        np.array([[0, 1], [1, 0], [0, 0]], np.float32),
        SHARED.W_O,
    )
    k, v = (memory @ matrix for matrix in (layer.W_K, layer.W_V))
    crossed = record(encoder_states=memory, k=k[None], v=v[None])
    e = explain(inspection(crossed, ["no", "yes"], "cross"), 2, HeadId(0, 1), layer)
    assert [key.text for key in e.keys] == ["no", "yes"]
    assert e.k.tolist() == [[1], [3]]
    assert e.v.tolist() == [[2, 1], [2, 3]]
    assert e.dots.tolist() == [1, 3]
    assert e.shapes["memory"] == (3,)
    assert (e.check.q, e.check.k, e.check.v) == (0, 0, 0)
    parsed = as_json(e)
    check(parsed)
    assert [(key["text"], key["start"], key["pieces"]) for key in parsed["keys"]] == [
        ("no", 0, ["no"]),
        ("yes", 3, ["yes"]),
    ]
    assert "This is seq2seq attention" in page(e)
    parsed["keys"][1].pop("pieces")
    with pytest.raises(jsonschema.ValidationError):
        check(parsed)


def test_what_a_model_does_to_x_times_a_matrix() -> None:
    """Then the steps go on with the model's own q, and tell both."""
    between = Between(q="turned about")
    layer = Projections(SHARED.W_Q, SHARED.W_K, SHARED.W_V, SHARED.W_O, between=between)
    e = explained(1, 1, layer, q=-Q)
    assert e.projected.q is not None
    assert e.projected.q.tolist() == [2]
    assert e.q.tolist() == [-2]
    assert (e.projected.k, e.projected.v) == (None, None)
    assert e.dots.tolist() == [-2, -4, -4]
    assert (e.check.q, e.check.k, e.check.v, e.check.z) == (None, 0, 0, None)
    parsed = as_json(e)
    check(parsed)
    assert parsed["between"] == {"q": "turned about", "k": None, "v": None}
    assert (parsed["projected_q"], parsed["q"]) == ([2], [-2])
    named = [line[3:18].rstrip() for line in page(e).splitlines() if ", length" in line]
    assert named[1:5] == ["x W_Q", "q: turned about", "k = x W_K", "v = x W_V"]
    drawn = attnviz.figure(e)
    assert {"x W_Q", "q: turned about", "k = x W_K"} <= set(texts(drawn))
    panels = [image for axes in drawn.axes for image in axes.get_images()]
    assert [panel_of(image) for image in panels[2:4]] == [[[2]], [[-2]]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda e: e.pop("between"),
        lambda e: e.pop("projected_q"),
        lambda e: e["between"].update(q=None),
        lambda e: e["between"].pop("v"),
        lambda e: e["check"].update(q=0),
        lambda e: e["check"].update(k=None),
        lambda e: e["keys"][0].update(projected_k=[1]),
        lambda e: e["keys"][0].update(seen=True),  # one key alone
        lambda e: e["keys"][0].update(score=None),
        lambda e: e["keys"][0].update(start=0),
        lambda e: e.update(sink={"score": 1}),
        lambda e: e.update(softcap=0),
    ],
)
def test_damage_is_found(damage: Any) -> None:
    between = Between(q="turned about")
    layer = Projections(SHARED.W_Q, SHARED.W_K, SHARED.W_V, SHARED.W_O, between=between)
    parsed = as_json(explained(1, 1, layer, q=-Q))
    check(parsed)
    damage(parsed)
    with pytest.raises(jsonschema.ValidationError):
        check(parsed)


def test_a_damaged_z_of_a_decoder() -> None:
    z = np.zeros((2, 3, 2), np.float32)
    with pytest.raises(AttnvizError, match="the decoder's z is not what its q, k and v"):
        explained(1, 1, z=z)


@pytest.mark.parametrize(("dtype", "fine"), [("float32", False), ("bfloat16", True)])
def test_z_in_few_bits_may_be_further_off(dtype: str, fine: bool) -> None:
    whole = explained(1, 1)
    z = np.broadcast_to(whole.z * np.float32(1.01), (2, 3, 2)).copy()
    looked_into = inspection(record(z=z), dtype=dtype)
    if not fine:
        with pytest.raises(AttnvizError, match="this inspection is damaged"):
            explain(looked_into, 1, HeadId(0, 1), SHARED)
        return
    e = explain(looked_into, 1, HeadId(0, 1), SHARED)
    assert e.check.z == pytest.approx(0.01 * np.abs(whole.z).max(), rel=1e-3)


def test_a_query_in_a_window() -> None:
    """Places count from the window's first token, and each piece is still its own."""
    view = inspection(record()).view("piece", window=(1, 3))
    [e] = explain_token(view, 0, HeadId(0, 1), SHARED)
    assert e.query.text == "b"
    assert len(e.keys) == 3


def page(e: Explanation) -> str:
    """What is printed, with lines and words apart as they come."""
    stream = io.StringIO()
    Console(file=stream, width=200, force_terminal=False).print(attnviz.table(e))
    return stream.getvalue()


def panel_of(image: AxesImage) -> list[list[float]]:
    numbers: list[list[float]] = np.asarray(image.get_array()).tolist()
    return numbers
