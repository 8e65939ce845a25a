"""The learner's page: what is drawn of each step, and what is said beside it."""

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from pictures import texts
from worked import WORKED, X, inspection_with, random_layer

import attnviz
from attnviz.answers.explain import Explanation, explain
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model, load_model
from attnviz.show.figure.drawing import DPI, write_figure
from attnviz.show.figure.fonts import missing_glyphs


def images(figure: Figure) -> list[np.ndarray]:
    """The numbers of each panel, in the order in which they are drawn."""
    found = [image for axes in figure.axes for image in axes.get_images()]
    return [np.asarray(image.get_array()) for image in found]


def bars(figure: Figure) -> list[list[float]]:
    """The lengths of the bars, panel by panel."""
    return [
        [float(bar.get_width()) for bar in axes.patches if isinstance(bar, Rectangle)]
        for axes in figure.axes
        if len(axes.patches) and not axes.get_images()
    ]


@pytest.fixture(scope="module")
def it(animal: Inspection) -> Explanation:
    [explanation] = attnviz.explain(animal, "it", 3, 1)
    return explanation


@pytest.fixture(scope="module")
def page(it: Explanation) -> Figure:
    return attnviz.figure(it)


def test_every_step_is_drawn_with_its_own_numbers(it: Explanation, page: Figure) -> None:
    own = it.query.index
    expected = [
        it.x,
        *(it.matrices.W_Q, it.q, it.matrices.W_K, it.k[own], it.matrices.W_V, it.v[own]),
        *(it.q, it.k, it.v, it.brought, it.z),
        *(it.z, it.matrices.W_O, it.output),
    ]
    drawn = images(page)
    assert len(drawn) >= len(expected)
    for panel, numbers in zip(drawn, expected, strict=False):
        np.testing.assert_array_equal(panel, np.atleast_2d(numbers))
    dots, weights = bars(page)[:2]
    np.testing.assert_allclose(dots, it.dots, rtol=1e-6)
    np.testing.assert_allclose(weights, it.weights, rtol=1e-6)


def test_every_step_is_named(it: Explanation, page: Figure) -> None:
    said = texts(page)
    for part in (
        "minilm · L3H1 · query: it",
        "“The animal didn't cross the street because it was too tired.”",
        "1  the word's vector x",
        "“it”, out of layer 2",
        "2  times W_Q, W_K and W_V",
        "q = x W_Q + b_Q",
        "d_k = 384 / 12 = 32",
        "384 × 32",
        "3  q · k",
        "4  ÷ √32",
        "5  softmax",
        "6  weight × v",
        "sum: z",
        "7  z through W_O: what the head gives back",
        "32 × 384",
        "d_model = 384",
        "animal",
        *("21.69", "3.83", "0.677"),
    ):
        assert part in said, part
    whole = " ".join(said)
    assert "softmax(Q Kᵀ / √d_k) V" in whole
    assert "Q, K and V all come from the same vectors x" in whole
    assert "Q comes from the decoder's hidden states, K and V from the encoder's" in whole
    assert "L3H1's share of what the layer's 12 heads give together: 20%" in whole
    assert "check: z as drawn agrees with the encoder's own within 1e-5" in whole


def test_values_and_what_they_bring_have_the_same_colours(page: Figure) -> None:
    found = [i for axes in page.axes for i in axes.get_images() if isinstance(i, AxesImage)]
    k, v, brought, z = found[8:12]
    assert v.get_clim() == brought.get_clim() == z.get_clim() != k.get_clim()
    for image in found:
        low, high = image.get_clim()
        assert low == -high < 0


def test_the_article() -> None:
    [e] = attnviz.explain(load_model("paper").inspect("I am a student"), "student", 0, 0)
    said = texts(attnviz.figure(e))
    assert "paper (UNTRAINED) · L0H0 · query: student" in said
    assert "“student”: its word and place" in said
    assert "q = x W_Q" in said
    assert "d_k = 512 / 8 = 64" in said
    assert said.count("512 × 64") == 3
    assert "64 × 512" in said


def test_long_sentences_show_the_strongest_keys(minilm: Model) -> None:
    text = "The animal didn't cross the street because it was too tired. " + "So it went on. " * 30
    [e] = attnviz.explain(minilm.inspect(text), "it", 3, 1)
    figure = attnviz.figure(e)
    assert images(figure)[8].shape == (20, 32)
    shown = sorted(np.argsort(-e.weights, kind="stable")[:20])
    np.testing.assert_array_equal(images(figure)[8], e.k[shown])
    rest = 1 - e.weights[shown].sum()
    hidden = len(e.keys) - 20
    told = f"{hidden} of {len(e.keys)} keys, of {rest:.1%} together, not drawn"
    assert told in texts(figure)
    assert images(attnviz.figure(e, top=3))[8].shape == (3, 32)
    _, height = figure.get_size_inches()
    assert height < 14


@pytest.mark.parametrize(("length", "d_model", "num_heads"), [(1, 1, 1), (2, 6, 3), (20, 40, 4)])
def test_any_shape_is_drawn(length: int, d_model: int, num_heads: int) -> None:
    layer = random_layer(d_model, 3)
    x = np.random.default_rng(1).normal(size=(length, d_model))
    e = explain(inspection_with(x, layer, num_heads), 0, HeadId(0, num_heads - 1), layer)
    figure = attnviz.figure(e)
    assert images(figure)[8].shape == (length, d_model // num_heads)
    stream = io.BytesIO()
    write_figure(figure, stream, "png")
    assert stream.getvalue().startswith(b"\x89PNG")
    assert ("share" in " ".join(texts(figure))) is (num_heads > 1)


def test_masked_keys_and_a_scale_of_the_models_own() -> None:
    bias = np.zeros((1, 2, 2), np.float32)
    bias[0, 1] = -np.inf, 0.5
    e = explain(inspection_with(X, WORKED, 2, bias), 1, HeadId(0, 1), WORKED)
    said = texts(attnviz.figure(replace(e, scale=0.5)))
    told = "1 of 2 keys may not be looked at"
    assert {"4  × 0.5", "+ bias", told, "1.000"} <= set(said)
    assert "-inf" not in said


def test_without_the_encoders_z_there_is_no_check() -> None:
    e = explain(inspection_with(X, WORKED, 2), 1, HeadId(0, 1), WORKED)
    bare = replace(e, check=replace(e.check, z=None))
    assert not any("check" in text for text in texts(attnviz.figure(bare)))


def test_what_was_typed_is_drawn_as_itself(minilm: Model) -> None:
    text = "동물은 $x_1$ [bold] \x1b[31m"
    [e] = attnviz.explain(minilm.inspect(text), "[SEP]", 3, 1)
    figure = attnviz.figure(e)
    assert "“동물은 $x_1$ [bold] \\x1b[31m”" in texts(figure)
    assert missing_glyphs(e.context) is None
    stream = io.BytesIO()
    write_figure(figure, stream, "svg")
    assert "동물은 $x_1$ [bold]" in stream.getvalue().decode()


@pytest.mark.slow
def test_nothing_stands_outside_the_page(it: Explanation, page: Figure) -> None:
    width, height = page.get_size_inches() * DPI
    for text in page.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    for axes in page.axes:
        around = axes.get_tightbbox()
        assert around is not None
        assert 0 <= around.x0 < around.x1 <= width
        assert 0 <= around.y0 < around.y1 <= height
