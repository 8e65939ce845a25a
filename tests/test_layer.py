"""What a layer makes of a word: by hand, and every family that is read against transformers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from conftest import ANIMAL
from matplotlib.patches import FancyArrowPatch
from matplotlib.text import Text
from rich.cells import cell_len
from tiny_families import TINY, computed, save_tiny
from worked import WORKED, X, inspection_with
from written import printed, schema

import attnviz
from attnviz.answers.layer import BLOCK, Layer, layer, layer_summary
from attnviz.attention.activations import FUNCTIONS
from attnviz.attention.sublayers import Adding, FeedForward, Norm, Sublayers, Unopened
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection
from attnviz.model import load_model
from attnviz.model.reload import sublayers_behind

SCHEMA = schema("layer-1")
B = 1
SENTENCE = "The animal was too tired."
NETWORK = FeedForward(
    np.eye(2), np.array([[5.0, 7], [2, 1]]), None, None, "relu", FUNCTIONS["relu"]
)
FIRST = Norm("layer norm", 0, np.array([1.0, 2]), np.array([0.0, 1]))
PLAIN = Norm("layer norm")
AFTER = (Adding("attention", after=FIRST), Adding("feed_forward", after=PLAIN))
BEFORE = (Adding("attention", before=PLAIN), Adding("feed_forward", before=PLAIN))


def by_hand(*order: Adding, network: FeedForward | Unopened = NETWORK, y: Any = None) -> Layer:
    """What a layer makes of "b", x = (0, 2), which looks at itself alone: z is 2 in both heads."""
    bias = np.zeros((1, 2, 2), np.float32)
    bias[0, B, 0] = -np.inf
    output = None if y is None else np.array([y], np.float64)
    x = X[[B]].astype(np.float32)
    parts = Sublayers((B,), order, WORKED.W_O, None, network, x, output)
    [answer] = layer(inspection_with(X, WORKED, 2, bias), 0, parts)
    return answer


def steps(e: Layer) -> dict[str, Any]:
    """Each step's numbers, by its letter."""
    return {step.letter: pytest.approx(step.vector.tolist()) for step in e.steps}


def shares(e: Layer) -> list[float]:
    """The shares of x, both heads, the feed-forward network and biases."""
    return [part.share for part in e.parts]


def test_norms_after_the_sums_by_hand() -> None:
    e = by_hand(*AFTER, y=(-1, 1))
    assert steps(e) == {
        "x": [0, 2],
        "z": [2, 2],
        "a": [6, 8],  # z W_O: 2 times (3, 0) and 2 times (0, 4)
        "r": [6, 10],
        "h": [-1, 3],  # the mean is 8 and the size 2: (-1, 1), of which the second is doubled, + 1
        "u": [0, 3],
        "f": [6, 3],
        "r′": [5, 6],
        "y": [-1, 1],
    }
    assert [step.name for step in e.steps] == [
        "x", "z", "attention", "attention_sum", "attention_norm", "inner", "feed_forward",
        "feed_forward_sum", "output",
    ]  # fmt: skip
    assert [step.formula for step in e.steps] == [
        "x", "z_0 … z_1 side by side", "z W_O", "x + a", "layer norm(r)", "relu(h W_1)", "u W_2",
        "h + f", "layer norm(r′)",
    ]  # fmt: skip
    # the first norm divides by 2, and the second by 1/2: docs/measures.md works them out
    vectors = [[-1.5, 1.5], [4.5, -4.5], [-6, 6], [3, -3], [-1, 1]]
    assert [part.vector.tolist() for part in e.parts] == vectors
    assert shares(e) == pytest.approx([1.5, -4.5, 6, -3, 1])
    assert sum(shares(e)) == pytest.approx(1)
    assert [part.name for part in e.parts] == ["x", "head", "head", "feed_forward", "biases"]
    assert (e.attention.share, e.attention.length) == pytest.approx((1.5, 4.5 / 3 * 2**0.5))
    assert (e.check.output, e.norms, e.parallel) == (0, "after", False)
    assert e.shapes == {"x": (2,), "z": (2, 1), "W_O": (2, 2), "W_1": (2, 2), "W_2": (2, 2)}


def test_norms_before_the_sublayers_by_hand() -> None:
    e = by_hand(*BEFORE)
    assert steps(e) == {
        "x": [0, 2], "h": [-1, 1], "z": [2, 2], "a": [6, 8], "r": [6, 10], "h′": [-1, 1],
        "u": [0, 1], "f": [2, 1], "y": [8, 11],
    }  # fmt: skip
    assert e.steps[5].formula == "layer norm(r)"
    assert e.steps[6].formula == "relu(h′ W_1)"
    # (0, 2), (6, 0), (0, 8) and (2, 1) with (8, 11), of which the square is 185
    assert shares(e) == pytest.approx([22 / 185, 48 / 185, 88 / 185, 27 / 185, 0])
    assert (e.check.output, e.check.relative, e.norms) == (None, None, "before")


def test_other_layers_by_hand() -> None:
    beside = by_hand(
        Adding("attention", before=PLAIN), Adding("feed_forward", before=PLAIN, beside=True)
    )
    assert (beside.parallel, steps(beside)["y"]) == (True, [8, 11])  # x's norm is r's norm here
    assert beside.steps[5].formula == "layer norm(x)"
    inside = by_hand(Adding("attention", inside=FIRST), Adding("feed_forward", kept=2, factor=0.5))
    # a = (6, 8) becomes (-1, 3), and so r (-1, 5); f = relu(r) W_2 = (10, 5)
    assert (inside.norms, steps(inside)["y"]) == ("inside", [3, 12.5])
    assert inside.steps[-1].formula == "2 r + 0.5 f"
    assert sum(shares(inside)) == pytest.approx(1)
    assert inside.parts[-1].vector.tolist() == [0, 2]  # the shift, twice as all that is kept
    gate = replace(NETWORK, W_G=np.array([[1.0, 1], [0, 1]]))
    gated = by_hand(*BEFORE, network=gate)
    # the gate of (-1, 1) is relu((-1, 0)) = 0
    assert steps(gated)["y"] == [6, 10]
    assert gated.steps[6].formula == "relu(h′ W_G) * (h′ W_1)"
    assert gated.data()["gated"]
    mixed = by_hand(*BEFORE, network=Unopened("Mixture", np.array([[2.0, 1]])))
    assert [step.letter for step in mixed.steps] == ["x", "h", "z", "a", "r", "h′", "f", "y"]
    assert mixed.steps[6].formula == "Mixture(h′)"
    assert steps(mixed)["y"] == [8, 11]
    assert mixed.data()["activation"] is None


def test_norms() -> None:
    u = np.array([3.0, 4])
    assert Norm("RMS norm", eps=12.5)(u).tolist() == [0.6, 0.8]  # the mean square is 12.5 too
    assert Norm("gain", gain=np.array([2.0, 0]), shift=1.0)(u).tolist() == [7, 1]


def test_an_output_that_is_not_the_models_own_is_an_error() -> None:
    with pytest.raises(AttnvizError, match="layer 0's output is not what these steps make"):
        by_hand(*AFTER, y=(-1, 1.1))


def check_summary(inspection: Inspection, number: int, parts: Sublayers) -> None:
    """Hold the lengths and shares of all pieces at once to each piece's own answer."""
    every = layer_summary(inspection, number, parts)
    for place, e in enumerate(layer(inspection, number, parts)):
        told = [(step.name, step.letter, step.formula, len(step.vector)) for step in e.steps]
        assert [tuple(step[:4]) for step in every.steps] == told
        own_parts = [e.parts[0], e.attention, *e.parts[1:]]
        heads = [None if part.head is None else part.head.head for part in own_parts]
        assert (every.parts, every.heads) == (tuple(p.name for p in own_parts), tuple(heads))
        assert (every.norms, every.parallel) == (e.norms, e.parallel)
        for numbers, own in (
            (every.lengths, [step.length for step in e.steps]),
            (every.shares, [part.share for part in own_parts]),
            (every.part_lengths, [part.length for part in own_parts]),
        ):
            scale = max(map(abs, own))
            np.testing.assert_allclose(numbers[place], own, rtol=0, atol=2e-5 * scale)


@pytest.mark.parametrize("family", TINY)
def test_a_family_against_transformers(family: str, tmp_path: Path) -> None:
    theirs = save_tiny(tmp_path, family)
    model = load_model(str(tmp_path))
    inspection = model.inspect(SENTENCE)
    tokens = inspection.tokens
    expected = computed(theirs, family, [tokens.ids], [tokens.type_ids])
    for number in range(inspection.model.num_layers):
        own = expected.x[number + 1][0].numpy()
        parts = sublayers_behind(inspection, number, range(len(tokens)), lambda _: model)
        for place, e in enumerate(layer(inspection, number, parts)):
            assert e.check.relative is not None
            assert e.check.relative < 1e-5
            largest = float(np.abs(own[place]).max())
            np.testing.assert_allclose(e.output, own[place], rtol=0, atol=1e-5 * largest)
            np.testing.assert_allclose(e.z, expected.z[number][0, :, place], rtol=0, atol=1e-5)
            total = np.sum([part.vector for part in e.parts], axis=0)
            np.testing.assert_allclose(total, e.output, rtol=0, atol=1e-5 * largest)
            assert sum(shares(e)) == pytest.approx(1)
        check_summary(inspection, number, parts)


def test_all_pieces_of_a_long_text_at_once() -> None:
    text = attnviz.inspect(" ".join([ANIMAL] * 6))
    tokens = range(len(text.tokens))
    assert len(tokens) > BLOCK
    for number in (0, 5):
        check_summary(text, number, sublayers_behind(text, number, tokens))


def test_a_summary_is_held_to_the_models_own_output() -> None:
    inspection, x = inspection_with(X, WORKED, 2), X.astype(np.float32)
    wrong = Sublayers((0, 1), AFTER, WORKED.W_O, None, NETWORK, x, np.ones((2, 2)))
    with pytest.raises(AttnvizError, match="layer 0's output is not what these steps make"):
        layer_summary(inspection, 0, wrong)


def test_json_follows_its_schema(animal: Inspection) -> None:
    pair = attnviz.inspect("I am tired.", pair="So am I.")
    for e in (by_hand(*AFTER, y=(-1, 1)), by_hand(*BEFORE), *attnviz.layer(pair, "tired", 0)):
        jsonschema.validate(json.loads(attnviz.to_json(e)), SCHEMA)
    [e] = attnviz.layer(animal, "it", 3)
    told = json.loads(attnviz.to_json(e, top=2))
    jsonschema.validate(told, SCHEMA)
    assert [head["head"] for head in told["heads"]] == [1, 9]
    assert sum(part["share"] for part in told["parts"]) == pytest.approx(1)
    assert told["shapes"]["W_1"] == [384, 1536]


def test_its_picture_names_each_step_and_part(animal: Inspection) -> None:
    [e] = attnviz.layer(animal, "it", 3)
    drawn = attnviz.figure(e, top=2)
    texts = [text.get_text() for text in drawn.findobj(Text)]
    for told in ("minilm · layer 3 · query: it", "u = gelu(h W_1 + b_1)", "L3H9", "feed-forward"):
        assert told in texts
    assert "L3H0" not in texts
    assert f"{e.attention.share:.1%}" in texts
    told = " ".join(texts)
    assert "10 of 12 heads, those with the smallest shares, are not drawn." in told
    assert "y agrees with the encoder's own output within 1e-5" in told
    # a strip a step, but z, which has one a head; then the bars
    assert len(drawn.axes) == len(e.steps) - 1 + 12 + 1
    assert len(drawn.findobj(FancyArrowPatch)) == 2  # the residual connections


def test_its_table_cuts_no_words_about_a_step() -> None:
    sentence = attnviz.inspect("동물은 너무 피곤했기")
    [e] = attnviz.layer(sentence, "피곤했기", 5)
    none = tuple(part._replace(share=-1e-5) if part.head else part for part in e.parts)
    e = replace(e, parts=none)
    told = [line.rstrip() for line in printed(attnviz.table(e)).splitlines()]
    [first] = [number for number, line in enumerate(told) if line.endswith('"?피곤했기", from')]
    assert told[first + 1] == " " * 59 + "layer 4"
    assert any(line.endswith("  last layer's output") for line in told)
    assert not any(line.endswith("…") for line in told)
    assert "  L5H0         0.0%" in "\n".join(told)  # a small share below 0 has no sign
    assert "-0.0%" not in "\n".join(told)
    assert max(map(cell_len, told)) <= 80
    narrow = printed(attnviz.table(e), 30)
    assert "1 column is hidden: length (a" in narrow  # and not the share, for its bar


def test_a_word_of_several_pieces_has_an_answer_a_piece(animal: Inspection) -> None:
    answers = attnviz.layer(animal, "didn't", 3)
    assert [e.query.text for e in answers] == ["didn", "'", "t"]
    assert [row[2] for row in answers[1].rows()] == [answers[1].query.index] * 15
    [strongest] = answers[0].strongest(1)
    assert strongest.head is not None
    assert [row[1] for row in answers[0].rows(top=1)] == [None, strongest.head.place,
                                                         None, None]  # fmt: skip


def test_the_last_layer_is_held_to_what_the_model_gives(animal: Inspection) -> None:
    [last] = attnviz.layer(animal, "it", -1)
    assert last.layer == 5
    assert last.check.output is not None
    assert last.check.output < 1e-5
    run = load_model().ablate(animal.tokens, [attnviz.HeadId(0, 0)])
    np.testing.assert_allclose(last.output, run.plain[last.query.index], rtol=0, atol=1e-5)


@pytest.mark.parametrize("d_ff", [1 << 20, 1 << 33])
def test_facts_that_no_model_has_are_refused(d_ff: int, animal: Inspection) -> None:
    """A saved file may say anything of its model: nothing so large is drawn or read."""
    paper = attnviz.inspect("a dog", "paper", num_layers=12)
    for one in (paper, animal):
        wrong = replace(one, model=replace(one.model, d_ff=d_ff))
        with pytest.raises(AttnvizError, match=r"are not those of this inspection|d_ff is 85"):
            attnviz.layer(wrong, "@1", 0, "piece")


def test_of_a_long_text_one_layer_is_enough() -> None:
    one = attnviz.inspect(ANIMAL, layers=2)
    layers = tuple(one.layers[n] if n == 2 else None for n in range(6))
    [e] = attnviz.layer(replace(one, layers=layers), "it", 2)
    assert e.check.output is not None
    with pytest.raises(RequestError, match="layer 3 was not recorded"):
        attnviz.layer(replace(one, layers=layers), "it", 3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_held_to_its_own_numbers(dtype: Any) -> None:
    [e] = attnviz.layer(attnviz.inspect(ANIMAL, dtype=dtype), "it", 3)
    assert e.check.relative is not None
    assert 0 < e.check.relative < 0.02
