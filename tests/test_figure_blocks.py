"""Pictures of long texts: blocks of tokens, labels by position, and the strongest links alone."""

import io
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from pictures import texts
from shown import heatmap, lines
from test_long import long_inspection

from attnviz.answers.align import aligned
from attnviz.answers.compare import compare
from attnviz.answers.links import PALEST, STRONGEST
from attnviz.answers.select import with_window
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, View
from attnviz.show.figure.compare import figure as figure_of
from attnviz.show.figure.drawing import DPI, write_figure

EVERYWHERE, SLIDING = HeadId(0, 1), HeadId(1, 1)


@pytest.fixture(scope="module")
def view() -> View:
    return long_inspection(1300, num_layers=2, num_heads=2).view("piece")


def images(figure: Figure) -> list[AxesImage]:
    return [image for axes in figure.axes for image in axes.images]


def numbers_of(image: AxesImage) -> np.ndarray:
    """What is drawn, NaN where there is nothing."""
    drawn: np.ndarray = np.ma.masked_invalid(np.ma.asarray(image.get_array())).filled(np.nan)
    return drawn


def blocks(figure: Figure) -> int:
    """How many rows and columns a cell of the picture stands for, as it says."""
    [told] = [text for text in texts(figure) if text.startswith("each cell: the largest of")]
    down, across = told.removeprefix("each cell: the largest of ").split(" × ")
    assert across == f"{down} weights"
    assert f"attention weight, the largest of {down} × {down}" in [
        axes.get_ylabel() for axes in figure.axes
    ]
    return int(down)


def pooled(weights: np.ndarray, step: int) -> np.ndarray:
    starts = np.arange(0, len(weights), step)
    rows = np.maximum.reduceat(weights, starts, axis=0)
    return np.asarray(np.maximum.reduceat(rows, starts, axis=1))


def test_a_cell_is_the_largest_of_a_block_and_that_is_said(view: View) -> None:
    figure = heatmap(view, [EVERYWHERE])
    step = blocks(figure)
    assert step == 4
    [image] = images(figure)
    expected = pooled(view.weights(*EVERYWHERE), step)
    np.testing.assert_allclose(np.asarray(image.get_array()), expected, atol=1e-6)
    assert image.get_clim() == pytest.approx((0, expected.max()))


def test_blocks_that_may_not_be_looked_at_are_grey(view: View) -> None:
    figure = heatmap(view, [SLIDING])
    step = blocks(figure)
    [image] = images(figure)
    drawn = numbers_of(image)
    seen = view.visible(1)
    assert seen is not None
    np.testing.assert_array_equal(np.isnan(drawn), ~pooled(seen, step))
    assert any("grey: may not look there" in text for text in texts(figure))


@pytest.mark.parametrize(("pieces", "step"), [(640, 1), (700, 1), (720, 3), (5000, 15)])
def test_cells_have_a_whole_number_of_dots_and_enough_of_them(pieces: int, step: int) -> None:
    view = long_inspection(pieces, num_layers=1, num_heads=1).view("piece")
    figure = heatmap(view, [HeadId(0, 0)])
    assert (blocks(figure) if step > 1 else 1) == step
    [image] = images(figure)
    cells = len(np.asarray(image.get_array()))
    box, (width, _) = figure.axes[0].get_position(), figure.get_size_inches()
    dots = box.width * width * DPI / cells
    assert dots == pytest.approx(round(dots), abs=1e-6)
    assert dots >= (4 if step > 1 else 2)
    assert width < 16


def test_long_texts_are_labelled_by_position(view: View) -> None:
    axes = heatmap(view, [EVERYWHERE]).axes[0]
    [labels, columns] = (
        [tick.get_text() for tick in ticks]
        for ticks in (axes.get_yticklabels(), axes.get_xticklabels())
    )
    assert labels == columns
    numbers = [int(label.split()[0]) for label in labels]
    assert numbers == list(axes.get_yticks()) == list(range(0, 1300, 100))
    assert labels[0] == "0  [CLS]"
    text, tokens = view.inspection.tokens.text, view.tokens
    for number, label in zip(numbers[1:], labels[1:], strict=True):
        words = label.removeprefix(f"{number}  ")
        start = tokens[number].start
        assert start is not None
        assert text[start:].startswith(words)
        assert 8 < len(words) <= 22
    assert axes.get_ylabel() == "query: who looks (every 100th token labelled, with its position)"


def test_a_window_is_drawn_closely_with_the_positions_of_the_whole(view: View) -> None:
    closely = with_window(view, "430:1290")
    axes = heatmap(closely, [EVERYWHERE]).axes[0]
    numbers = [int(tick.get_text().split()[0]) for tick in axes.get_yticklabels()]
    assert numbers == list(range(500, 1290, 100))
    assert list(axes.get_yticks()) == [number - 430 for number in numbers]


def test_every_panel_of_a_grid_is_pooled_and_told_once(view: View) -> None:
    figure = heatmap(view, view.all_heads())
    step = blocks(figure)
    assert step == 5
    for head, image in zip(view.all_heads(), images(figure), strict=False):
        drawn = np.nan_to_num(numbers_of(image))
        np.testing.assert_allclose(drawn, pooled(view.weights(*head), step), atol=1e-6)


def test_a_picture_of_a_long_text_is_small(view: View) -> None:
    for figure in (heatmap(view, [EVERYWHERE]), lines(view, [EVERYWHERE], 600)):
        stream = io.BytesIO()
        write_figure(figure, stream, "png")
        assert len(stream.getvalue()) < 1_500_000


def links(figure: Figure) -> np.ndarray:
    """Where each line begins and ends: (line, 2)."""
    [drawn] = [one for one in figure.axes[0].collections if isinstance(one, LineCollection)]
    return np.array([segment[:, 1] for segment in drawn.get_segments()])


def column(figure: Figure, align: str) -> dict[float, str]:
    """The words of a column by their heights, gaps among them."""
    found = [text for text in figure.axes[0].texts if text.get_horizontalalignment() == align]
    return {
        float(text.get_position()[1]): text.get_text()
        for text in found
        if text.get_text()[0] not in "@0q" and "key:" not in text.get_text()
    }


def beside(figure: Figure, align: str) -> dict[float, str]:
    """What stands beside the words of a column, by their heights."""
    found = [text for text in figure.axes[0].texts if text.get_horizontalalignment() == align]
    return {
        float(t.xy[1]): t.get_text() for t in found if hasattr(t, "xy") and t.get_text()[0] == "0"
    }


def test_lines_show_the_strongest_links_and_the_tokens_that_take_part(view: View) -> None:
    weights = view.weights(*EVERYWHERE)
    figure = lines(view, [EVERYWHERE], None)
    strongest = np.sort(weights.ravel())[::-1][:STRONGEST]
    assert strongest[-1] > PALEST * strongest[0]
    expected = np.argwhere(weights >= strongest[-1])
    drawn = links(figure)
    assert len(drawn) == STRONGEST == len(expected)
    at = {
        align: {
            int(text.split("@")[1]): y for y, text in column(figure, align).items() if "@" in text
        }
        for align in ("left", "right")
    }
    assert sorted(at["right"]) == sorted(set(expected[:, 0].tolist()))
    assert sorted(at["left"]) == sorted(set(expected[:, 1].tolist()))
    ends = {(at["right"][query], at["left"][key]) for query, key in expected.tolist()}
    assert {tuple(line) for line in np.round(drawn, 6)} == {
        (round(a, 6), round(b, 6)) for a, b in ends
    }
    [told] = [text for text in texts(figure) if "strongest links" in text]
    assert told.startswith(f"the {STRONGEST} strongest links · darkest line: {strongest[0]:.2f}")


def test_gaps_tell_how_many_tokens_are_left_out(view: View) -> None:
    figure = lines(view, [EVERYWHERE], 600)
    words = column(figure, "left")
    positions = {y: int(text.split("@")[1]) for y, text in words.items() if "@" in text}
    heights = sorted(words)
    assert np.diff(heights).min() > 0.5
    shown, left_out = 0, 0
    for y in heights:
        if words[y].startswith("⋮ "):
            left_out += int(words[y].removeprefix("⋮ "))
        else:
            assert positions[y] == shown + left_out
            assert words[y] == f"{view.tokens[positions[y]].label}@{positions[y]}"
            shown += 1
    assert shown + left_out == len(view.tokens)
    for one, other in pairwise(heights):
        assert not (words[one].startswith("⋮") and words[other].startswith("⋮"))


def test_a_query_s_links_have_their_weights_and_none_is_too_pale_to_be_seen(view: View) -> None:
    row = view.weights(*EVERYWHERE)[600]
    figure = lines(view, [EVERYWHERE], 600)
    words = column(figure, "left")
    told = {int(words[y].split("@")[1]): text for y, text in beside(figure, "left").items()}
    [query] = [text for text in column(figure, "right").values() if "@" in text]
    assert query.endswith("@600")
    assert {weight: f"{row[weight]:.2f}" for weight in told if row[weight] >= 0.01} == {
        key: text for key, text in told.items() if row[key] >= 0.01
    }
    largest = row.max()
    strongest = np.argsort(-row)[:STRONGEST]
    assert set(told) == {int(key) for key in strongest if row[key] >= PALEST * largest}


def test_positions_of_lines_are_the_whole_text_s_in_a_window(view: View) -> None:
    figure = lines(with_window(view, "500:900"), [EVERYWHERE], 100)
    [query] = [text for text in column(figure, "right").values() if "@" in text]
    assert query.endswith("@600")
    named = [text for text in column(figure, "left").values() if "@" in text]
    assert all(500 <= int(text.split("@")[1]) < 900 for text in named)


def test_a_comparison_of_long_texts_needs_a_window(view: View) -> None:
    whole = compare(aligned(view, view), 600, heads=[EVERYWHERE])
    with pytest.raises(RequestError, match=r"1300 different places for words, .* room for 900"):
        figure_of(whole, heads=[EVERYWHERE])
    part = with_window(view, "600:640")
    figure = figure_of(
        compare(aligned(part, part), heads=[EVERYWHERE], matrices_of=[EVERYWHERE]),
        heads=[EVERYWHERE],
    )
    assert len(images(figure)) >= 3
