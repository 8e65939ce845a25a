"""Both heatmaps and their difference, as drawn."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
from handmade import inspection_of, random_inspection, tokens_of
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from pictures import texts

from attnviz.answers.align import Aligned, aligned
from attnviz.answers.compare import compare
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model
from attnviz.show.figure.compare import figure as figure_of
from attnviz.show.figure.drawing import write_figure

L3H1 = HeadId(3, 1)


@pytest.fixture(scope="module")
def founding(minilm: Model, animal: Inspection) -> Aligned:
    wide = minilm.inspect(animal.tokens.text.replace("tired", "wide"))
    return aligned(animal.view(), wide.view())


def random_pair(a: Sequence[str], b: Sequence[str], special: bool = True) -> Aligned:
    sides = (random_inspection(tokens_of(words), 2, 3, seed=len(words)) for words in (a, b))
    return aligned(*(side.view(special=special) for side in sides))


def drawn(figure: Figure) -> list[AxesImage]:
    """The images of A, of B, and of the change."""
    return [image for axes in panels(figure) for image in axes.images]


def panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.images]


def numbers_of(image: AxesImage) -> np.ndarray:
    return np.ma.filled(np.ma.asarray(image.get_array()), np.nan)


def names(axes: Axes) -> list[str]:
    return [tick.get_text() for tick in axes.get_xticklabels()]


def frames(axes: Axes) -> list[tuple[float, float, float, float]]:
    """What is framed: left, top, width, height."""
    boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    return [
        (*box.get_xy(), box.get_width(), box.get_height()) for box in boxes if not box.get_hatch()
    ]


def hatched(axes: Axes) -> set[tuple[float, float, float, float]]:
    boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    return {(*box.get_xy(), box.get_width(), box.get_height()) for box in boxes if box.get_hatch()}


def test_the_founding_pair(founding: Aligned) -> None:
    figure = figure_of(compare(founding, founding.find("it")[0], matrices_of=[L3H1]), heads=[L3H1])
    a, b = (view.weights(3, 1) for view in founding.views)
    for image, numbers in zip(drawn(figure), (a, b, b - a), strict=True):
        np.testing.assert_allclose(numbers_of(image), numbers, rtol=0, atol=1e-6)
    assert [axes.get_title() for axes in panels(figure)] == [
        "A: tired",
        "B: wide",
        "change: B − A",
    ]
    assert figure.get_suptitle() == "minilm · L3H1 · query: it"
    told = "Jensen-Shannon distance between what it looks at in A and B: 0.40"
    text, other = (side.text.text for side in (founding.a, founding.b))
    assert {told, f"A  “{text}”", f"B  “{other}”"} <= set(texts(figure))
    assert [names(axes)[11] for axes in panels(figure)] == ["tired", "wide", "tired→wide"]
    rows = [tick.get_text() for tick in panels(figure)[0].get_yticklabels()]
    assert [rows[0], rows[1], rows[5], rows[11]] == ["[CLS]", "The@1", "the@5", "tired→wide"]


def test_both_share_a_scale_and_the_change_has_one_around_0(founding: Aligned) -> None:
    figure = figure_of(compare(founding, matrices_of=[L3H1]), heads=[L3H1])
    a, b, change = drawn(figure)
    largest = float(max(numbers_of(a).max(), numbers_of(b).max()))
    assert a.get_clim() == b.get_clim() == (0, largest)
    most = float(np.abs(numbers_of(change)).max())
    assert change.get_clim() == (-most, most)
    middle = np.asarray(change.cmap(np.array([0.5])))[0]
    assert (middle[:3] > 0.97).all()
    [bar] = [axes for axes in figure.axes if axes.get_ylabel() == "change"]
    ticks = [tick.get_text() for tick in bar.get_yticklabels()]
    assert (ticks[0][0], ticks[-1][0]) == ("−", "+")
    assert "0" in ticks


def test_the_query_is_framed_and_its_numbers_written(founding: Aligned) -> None:
    it, key = founding.find("it")[0], founding.find("animal")[0]
    figure = figure_of(compare(founding, it, matrices_of=[L3H1]), heads=[L3H1])
    for axes in panels(figure):
        assert frames(axes) == [(-0.5, it - 0.5, 14, 1)]
        assert {text.get_position()[1] for text in axes.texts} == {it}
    written = [
        {text.get_position()[0]: text.get_text() for text in axes.texts} for axes in panels(figure)
    ]
    assert [numbers[key] for numbers in written] == [".68", ".28", "−.40"]
    link = figure_of(compare(founding, it, key, matrices_of=[L3H1]), heads=[L3H1])
    assert frames(panels(link)[0])[1] == (key - 0.5, it - 0.5, 1, 1)
    column = figure_of(compare(founding, None, key, matrices_of=[L3H1]), heads=[L3H1])
    assert frames(panels(column)[0]) == [(key - 0.5, -0.5, 1, 14)]


def test_a_word_that_is_absent_is_hatched_and_not_0() -> None:
    both = random_pair(["it", "ran", "off"], ["it", "never", "ran", "off"], special=False)
    figure = figure_of(compare(both, matrices_of=[HeadId(1, 2)]), heads=[HeadId(1, 2)])
    a, b, change = (numbers_of(image) for image in drawn(figure))
    for numbers in (a, change):
        assert np.isnan(numbers[1]).all()
        assert np.isnan(numbers[:, 1]).all()
        assert np.isfinite(np.delete(np.delete(numbers, 1, 0), 1, 1)).all()
    assert np.isfinite(b).all()
    first, second, third = (hatched(axes) for axes in panels(figure))
    assert first == third == {(0.5, -0.5, 1, 4), (-0.5, 0.5, 4, 1)}
    assert second == set()
    assert "hatched: a word that is not in the sentence" in texts(figure)
    stream = io.BytesIO()
    write_figure(figure, stream, "png")
    assert stream.getvalue().startswith(b"\x89PNG")


def test_several_heads_have_a_row_each(founding: Aligned) -> None:
    it = founding.find("it")[0]
    heads = [HeadId(3, head) for head in range(12)]
    comparison = compare(founding, it, heads=heads)
    figure = figure_of(comparison, heads=heads)
    assert figure.get_suptitle() == "minilm · layer 3 · query: it"
    axes = panels(figure)[0]
    ranked = [str(change.head) for change in comparison.heads]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ranked
    assert axes.get_ylabel() == "heads, the most changed first"
    np.testing.assert_array_equal(numbers_of(drawn(figure)[1])[0], comparison.heads[0].b)
    with pytest.raises(RequestError, match="12 heads are to be compared in one picture"):
        figure_of(compare(founding, heads=heads), heads=heads)
    with pytest.raises(RequestError, match="no head"):
        figure_of(comparison, heads=[])
    with pytest.raises(RequestError, match="L2H0 was not compared"):
        figure_of(comparison, heads=[HeadId(2, 0)])


def test_measures_special_tokens_and_models_are_told(minilm: Model) -> None:
    a, b = minilm.inspect("It was tired."), minilm.inspect("It was wide.")
    both = aligned(*(side.view(special=False, measure="norm") for side in (a, b)))
    figure = figure_of(compare(both, both.find("it")[0], matrices_of=[L3H1]), heads=[L3H1])
    np.testing.assert_allclose(numbers_of(drawn(figure)[0]).sum(axis=1), 1, rtol=1e-5)
    notes = texts(figure)
    assert "each row is divided by its sum, so that the two can be compared" in notes
    [dropped] = [note for note in notes if "special tokens left out" in note]
    shares = [float(side.view(special=False, measure="norm").dropped(3, 1)[0]) for side in (a, b)]
    assert f"held {shares[0]:.0%} of what is compared in A, {shares[1]:.0%} in B" in dropped
    tokens, weights = tokens_of(["it", "ran"]), np.full((1, 2, 4, 4), 0.25)
    one, two = inspection_of(tokens, weights), inspection_of(tokens, weights, False, "other")
    figure = figure_of(
        compare(aligned(one.view(), two.view()), matrices_of=[HeadId(0, 1)]), heads=[HeadId(0, 1)]
    )
    assert figure.get_suptitle() == "A: handmade · B: other (UNTRAINED) · L0H1"
    assert [axes.get_title() for axes in panels(figure)[:2]] == [
        "A: handmade",
        "B: other (UNTRAINED)",
    ]
    assert drawn(figure)[2].get_clim() == (-1, 1)  # nothing changes, and there is a scale


@pytest.mark.parametrize("words", [1, 3, 20, 60, 300])
def test_labels_stay_readable_from_few_to_many_words(words: int) -> None:
    plain = [f"w{i}" for i in range(words)]
    figure = figure_of(
        compare(random_pair(plain, [*plain[:-1], "w0", "x"]), matrices_of=[HeadId(0, 0)]),
        heads=[HeadId(0, 0)],
    )
    axes = panels(figure)[0]
    ticks = [*axes.get_yticklabels(), *axes.get_xticklabels()]
    assert min(float(tick.get_fontsize()) for tick in ticks) >= 6
    width, height = figure.get_size_inches()
    assert max(width, height) < 33
    if words <= 60:
        assert len(names(axes)) == len(names(panels(figure)[2])) >= words + 3
        assert not any("labelled" in note for note in texts(figure))
    else:
        assert any("every" in note and "token labelled" in note for note in texts(figure))


def test_text_is_text(minilm: Model) -> None:
    a, b = minilm.inspect("$x_1$ \x1b it"), minilm.inspect("$x_1$ \x1b he")
    figure = figure_of(
        compare(aligned(a.view(), b.view()), matrices_of=[HeadId(0, 0)]), heads=[HeadId(0, 0)]
    )
    shown = "".join([*texts(figure), *(axes.get_title() for axes in panels(figure))])
    assert "\x1b" not in shown
    assert "\\x1b" in shown
    assert "A: it" in shown
