"""Pictures of texts that look at others, of masks, sinks, windows, and of other numbers' types."""

import io
from dataclasses import replace
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from handmade import causal, inspection_of, tokens_of, with_layer
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from pictures import texts
from shown import heatmap, lines
from translated import ALIGNED, SOURCE, TARGET, between, decoder, translation

from attnviz.inspection import HeadId, Inspection
from attnviz.show.figure.drawing import BLANK, write_figure
from attnviz.show.figure.fonts import missing_glyphs, texts_of
from attnviz.show.naming import default_name

TOLD = ["[CLS]", *TARGET.replace("The", "The@1").replace(" the ", " the@5 ").split(), "[SEP]"]

L0H0, L0H1, L1H0, L1H1 = (HeadId(layer, head) for layer in (0, 1) for head in (0, 1))
QUERIES, KEYS = "queries (target): who looks", "keys (source): what is looked at"


def drawn(figure: Figure, place: int = 0) -> np.ndarray:
    """The numbers of a panel, NaN where there is none."""
    [image] = figure.axes[place].images
    return np.ma.filled(np.ma.asarray(image.get_array()), np.nan)


def labels(figure: Figure, place: int = 0) -> tuple[list[str], list[str]]:
    """What rows and columns of a panel are called."""
    axes = figure.axes[place]
    rows, columns = axes.get_yticklabels(), axes.get_xticklabels()
    return [tick.get_text() for tick in rows], [tick.get_text() for tick in columns]


def dots(figure: Figure) -> np.ndarray:
    """The picture as it is written: (down, across, red green blue)."""
    stream = io.BytesIO()
    write_figure(figure, stream, "png")
    stream.seek(0)
    image: Any = matplotlib.image.imread(stream, format="png")
    return np.asarray(image)[..., :3]


def color_at(figure: Figure, picture: np.ndarray, row: float, column: float) -> np.ndarray:
    """The colour of the first panel's cell, away from the number in its middle."""
    across, down = figure.axes[0].transData.transform((column + 0.4, row + 0.4))
    color: np.ndarray = picture[len(picture) - 1 - int(down), int(across)]
    return color


# Two texts


def test_rows_are_the_target_and_columns_the_source() -> None:
    view = translation().view()
    figure = heatmap(view, [L1H0])
    np.testing.assert_array_equal(drawn(figure), view.weights(1, 0).astype(np.float32))
    assert labels(figure) == (
        TOLD,
        ["[CLS]", *SOURCE.split(), "[SEP]"],
    )
    assert (figure.axes[0].get_ylabel(), figure.axes[0].get_xlabel()) == (QUERIES, KEYS)
    assert {
        f"keys (source): “{SOURCE}”",
        f"queries (target): “{TARGET}”",
        "cross-attention: the decoder's words look at the encoder's",
        "what a word of the target looks at helps to choose the word after it",
    } <= set(texts(figure))
    written = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert written[(ALIGNED[2], 2)] == "0.79"


@pytest.mark.parametrize(("queries", "keys"), [(3, 9), (9, 3), (40, 7), (7, 40), (1, 30)])
def test_cells_are_square_unless_few_are_drawn_out(queries: int, keys: int) -> None:
    view = between(queries, keys).view()
    for heads in ([L0H1], [L0H0, L0H1], view.all_heads()):
        figure = heatmap(view, heads)
        width, height = figure.get_size_inches()
        for axes in figure.axes[: len(heads)]:
            assert axes.get_xlim() == (-0.5, keys - 0.5)
            assert axes.get_ylim() == (queries - 0.5, -0.5)
            box = axes.get_position()
            cell = box.width * width / keys, box.height * height / queries
            shape = cell[0] / cell[1]
            assert 0.45 < shape < 2.2
            assert (shape < 1.1) if keys >= queries else (shape > 0.9)
        assert max(width, height) < 16
        assert drawn(figure, len(heads) - 1).shape == (queries, keys)


def test_both_axes_of_a_grid_have_their_own_labels() -> None:
    figure = heatmap(between(40, 7).view(), [L0H0, L0H1])
    rows, columns = labels(figure)
    assert rows == [f"q{place}" for place in range(0, 40, 2)]
    assert columns == [f"k{place}" for place in range(7)]
    assert "every 2nd query labelled" in texts(figure)
    assert {figure.get_supylabel(), figure.get_supxlabel()} == {QUERIES, KEYS}


def test_lines_run_from_the_target_to_the_source() -> None:
    figure = lines(translation().view(), [L1H0], None)
    [collection] = figure.axes[0].collections
    assert isinstance(collection, LineCollection)
    darkest = [segment[:, 1] for segment in collection.get_segments()[-len(ALIGNED) :]]
    step = 14 / 10  # ten keys take as much room as fourteen queries
    expected = {
        (float(query), round(6.5 + (key - 4.5) * step, 4)) for query, key in enumerate(ALIGNED)
    }
    assert {(float(start), round(float(end), 4)) for start, end in darkest} == expected
    columns: dict[str, list[str]] = {"right": [], "left": []}
    for text in figure.axes[0].texts:
        if not isinstance(text, Annotation):
            columns[text.get_horizontalalignment()].append(text.get_text())
    assert columns["right"] == TOLD
    assert columns["left"] == ["[CLS]", *SOURCE.split(), "[SEP]"]
    names = [text.get_text() for text in figure.axes[0].texts if isinstance(text, Annotation)]
    assert names == [QUERIES, KEYS]


@pytest.mark.parametrize(("queries", "keys"), [(3, 9), (40, 7), (7, 40), (1, 1)])
def test_the_shorter_column_stands_in_the_middle(queries: int, keys: int) -> None:
    figure = lines(between(queries, keys).view(), [L0H0], 0)
    heights: dict[str, list[float]] = {"right": [], "left": []}
    for text in figure.axes[0].texts:
        if not isinstance(text, Annotation):
            heights[text.get_horizontalalignment()].append(text.get_position()[1])
    middle = (max(queries, keys) - 1) / 2
    for column, count in (("right", queries), ("left", keys)):
        assert np.mean(heights[column]) == pytest.approx(middle)
        steps = np.diff(heights[column])
        if len(steps):
            assert steps == pytest.approx(min(max(queries, keys) / count, 3.0))
    low, high = figure.axes[0].get_ylim()
    assert high <= min(map(min, heights.values()))
    assert low >= max(map(max, heights.values()))


def test_a_query_of_the_target_and_its_key_of_the_source_stand_out() -> None:
    figure = lines(translation().view(), [L1H0], 8)
    assert figure.get_suptitle() == "translator · L1H0 · query: it"
    own = [text for text in figure.axes[0].texts if not isinstance(text, Annotation)]
    assert [text.get_text() for text in own if text.get_fontweight() == "bold"] == ["it", "동물은"]


# Masks


def test_what_a_query_may_not_look_at_is_grey_and_a_zero_is_white() -> None:
    matrix = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0, 0.5]])
    inspection = inspection_of(tokens_of(["a", "b", "c"], special=False), matrix[None, None])
    figure = heatmap(with_layer(inspection, 0, key_ranges=causal(3)).view(), [L0H0])
    expected = [[1, np.nan, np.nan], [0, 1, np.nan], [0.5, 0, 0.5]]
    np.testing.assert_allclose(drawn(figure), expected, atol=1e-6)
    picture = dots(figure)
    for row, column in ((0, 1), (0, 2), (1, 2)):
        assert color_at(figure, picture, row, column) == pytest.approx(to_rgb(BLANK), abs=0.01)
    for row, column in ((1, 0), (2, 1)):
        assert color_at(figure, picture, row, column).min() > 0.98
    assert "encoder: each word sees itself and those before it; grey: may not look there" in texts(
        figure
    )
    assert {text.get_text() for text in figure.axes[0].texts} == {"1.00", "0.50"}


def test_pictures_without_masks_say_nothing_of_grey() -> None:
    inspection = inspection_of(tokens_of(["a"]), np.full((1, 1, 3, 3), 1 / 3))
    figure = heatmap(inspection.view(), [L0H0])
    assert not any("grey" in text or "encoder" in text for text in texts(figure))
    assert figure.axes[0].get_facecolor()[:3] == (1, 1, 1)


def test_each_layer_has_its_own_mask() -> None:
    view = decoder().view()
    figure = heatmap(view, view.all_heads())
    for place, head in enumerate(view.all_heads()):
        np.testing.assert_array_equal(np.isfinite(drawn(figure, place)), view.visible(head.layer))
    said = (
        "decoder: in L0 each word sees itself and those before it; in L1 each word sees itself "
        "and the 3 pieces before it; grey: may not look there"
    )
    assert said in texts(figure)


def test_a_block_is_grey_where_nothing_of_it_may_be_looked_at() -> None:
    view = decoder(500, None).view()
    figure = heatmap(view, [*view.all_heads()] * 5)  # in panels so small that dots are blocks
    pooled = drawn(figure)
    assert pooled.shape[0] < 500
    np.testing.assert_array_equal(np.isnan(pooled), ~np.tri(len(pooled), dtype=bool))


def test_masked_links_are_not_drawn() -> None:
    figure = lines(decoder().view(), [L1H0], None)
    [collection] = figure.axes[0].collections
    assert isinstance(collection, LineCollection)
    ends = [segment[:, 1] for segment in collection.get_segments()]
    assert all(0 <= start - end <= 3 for start, end in ends)


# Sinks, windows, types of numbers


def test_sinks_are_told() -> None:
    view = decoder(sink=0.25).view()
    told = "25% of the attention here goes to the model's sink"
    for heads in ([L0H0], [L0H0, L0H1], view.all_heads()):
        assert f"{told}, on average" in texts(heatmap(view, heads))
    assert f"{told}, on average" in texts(lines(view, [L0H0], None))
    assert told in texts(lines(view, [L0H0], 7))


def test_a_window_is_told_with_its_part_of_the_text() -> None:
    view = decoder(60, None).view(window=(40, 46))
    figure = heatmap(view, [L0H0])
    inside = view.weights(0, 0).sum(axis=-1)
    words = " ".join(f"word{place}" for place in range(28, 34))
    assert {
        f"“…{words}…”",
        f"tokens 40 to 45 of 60; {inside.mean():.0%} of their attention lies in the window",
    } <= set(texts(figure))
    own = f"tokens 40 to 45 of 60; {inside[2]:.0%} of its attention lies in the window"
    assert own in texts(lines(view, [L0H0], 2))


def test_what_numbers_were_computed_in_is_told() -> None:
    inspection = decoder()
    half = replace(inspection, model=replace(inspection.model, dtype="bfloat16")).view()
    for figure in (heatmap(half, [L0H0]), lines(half, [L0H0], 3)):
        assert any(text.endswith(" · computed in bfloat16") for text in texts(figure))
    for figure in (heatmap(inspection.view(), [L0H0]), lines(inspection.view(), [L0H0], 3)):
        assert not any("computed in" in text for text in texts(figure))


# Names and fonts


def test_names_tell_the_kind_of_attention_and_the_window() -> None:
    plain = inspection_of(tokens_of(["a", "b"]), np.full((1, 1, 4, 4), 0.25))
    names = [
        default_name(inspection.view(window=window).context, [L0H0])
        for inspection in (plain, replace(plain, attention="decoder"))
        for window in (None, (1, 3))
    ]
    assert [name[:-7] for name in names] == [
        "attnviz-handmade-L0H0-a-b",
        "attnviz-handmade-L0H0-1-3-a-b",
        "attnviz-handmade-L0H0-decoder-a-b",
        "attnviz-handmade-L0H0-decoder-1-3-a-b",
    ]
    assert len({name[-6:] for name in names}) == 4
    crossed = default_name(translation().view().context, [L0H0])
    assert crossed.startswith("attnviz-translator-L0H0-cross-그-동물은")
    other = between(14, 10, ALIGNED, TARGET, SOURCE.replace("너무", "아주"), special=True)
    assert default_name(other.view().context, [L0H0])[-6:] != crossed[-6:]


def with_source(source: str) -> Inspection:
    return between(2, 2, (0, 1), "one two", source)


def test_the_source_too_needs_fonts() -> None:
    shown = texts_of(with_source("하나 둘").view().context)
    assert {"하나 둘", "one two", "하나", "two"} <= set(shown)
    assert missing_glyphs(with_source("하나 둘").view().context) is None
    message = missing_glyphs(with_source("\u0378 둘").view().context)  # no character, so in no font
    assert message is not None
    assert "\u0378" in message
