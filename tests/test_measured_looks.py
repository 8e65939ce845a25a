"""Every look at every measure: numbers beyond shares, layers without heads."""

import io

import numpy as np
import orjson
import pytest
from handmade import inspection_of, tokens_of
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.formatters import HTMLFormatter
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from pictures import texts
from rich.cells import cell_len
from rich.console import Console, RenderableType
from shown import heatmap, lines, looks, view_html
from test_run_schema import check

import attnviz
from attnviz.answers.links import strongest_link
from attnviz.answers.overview import overview
from attnviz.answers.word import word
from attnviz.attention.measures import MEASURES, MeasureName
from attnviz.inspection import HeadId, Inspection
from attnviz.show.naming import default_name
from attnviz.show.terminal.cells import RAMPS, SHARES, Scale, weight_style, weight_text
from attnviz.show.wording import heads_title

NORM, FLOW = MEASURES["norm"], MEASURES["flow"]


def of_size(size: float, words: int = 3, layers: int = 2, heads: int = 2) -> Inspection:
    """Weights that are far from even, on values of about this length."""
    random = np.random.default_rng(words)
    shape = (layers, heads, words + 2, words + 2)
    numbers = random.gamma(0.2, size=shape) + 1e-5
    norms = size * random.uniform(0.5, 1, size=shape[:-1])
    tokens = tokens_of([f"w{i}" for i in range(words)])
    weights = numbers / numbers.sum(axis=-1, keepdims=True)
    return inspection_of(tokens, weights, value_norms=norms)


def printed(look: RenderableType, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(look)
    return stream.getvalue().splitlines()


# In the terminal


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.02, ".02"), (0.997, "1.0"), (1.24, "1.2"), (9.94, "9.9"), (9.96, " 10"), (37.5, " 38")],
)
def test_numbers_take_three_cells(number: float, text: str) -> None:
    assert weight_text(number) == text
    assert Scale.of(NORM, 37.5).text(number) == text


@pytest.mark.parametrize(
    ("largest", "unit", "text"),
    [(0.1, 1, ".10"), (999, 1, "999"), (0.0342, 0.01, "3.4"), (41000, 10000, "4.1")],
)
def test_what_three_cells_cannot_tell_apart_has_a_unit(
    largest: float, unit: float, text: str
) -> None:
    scale = Scale.of(NORM, largest)
    assert scale.unit == pytest.approx(unit)
    assert scale.text(largest) == text
    assert scale.note == ("" if unit == 1 else f"numbers are multiples of {unit:g}")


def test_colours_stand_beside_1_or_the_largest() -> None:
    assert Scale.of(MEASURES["weights"], 0.3) is Scale.of(MEASURES["rollout"], 0.1) is SHARES
    assert Scale.of(FLOW, 0.0) is SHARES
    assert Scale.of(MEASURES["weights"], 0.01) is SHARES
    small = Scale.of(MEASURES["weights"], 0.0043)
    assert (small.text(0.0043), small.text(0.0002)) == ("4.3", ".20")
    assert small.note == "numbers are multiples of 0.001"
    scale = Scale.of(FLOW, 2.0)
    style = scale.style(2.0)
    assert style.bgcolor is not None
    assert style.bgcolor.name == RAMPS["warm"][-1]
    assert scale.style(0.8, "cool") == weight_style(0.4, "cool")
    assert (scale.strong(1.0), scale.strong(0.9)) == (True, False)


@settings(max_examples=30, deadline=None)
@given(
    words=st.integers(1, 7),
    width=st.integers(40, 200),
    special=st.booleans(),
    power=st.integers(-6, 6),
    measure=st.sampled_from(list(MEASURES)),
    top=st.none() | st.integers(1, 9),
)
def test_no_line_is_wider_than_the_console(
    words: int, width: int, special: bool, power: int, measure: MeasureName, top: int | None
) -> None:
    view = of_size(10.0**power, words).view("word", special, measure)
    last = len(view.tokens) - 1
    for asked in (
        {},
        {"query": last},
        {"key": 0},
        {"query": last, "key": 0},
        {"heads": [view.context.head_at(1, 0)]},
        {"heads": [view.context.head_at(1, 0)], "query": 0},
    ):
        for look in looks(view, top=top, **asked):
            lines = printed(look, width)
            assert max(map(cell_len, lines)) <= width
            said = " ".join(" ".join(lines).split())
            assert f"{measure}: {view.context.measured.formula}" in said
            assert ("rows are not distributions" in said) != view.context.measured.shares
            assert "None" not in said


def test_the_overview_divides_rows_and_keeps_links() -> None:
    """Of the norms 2, 6 and 8 over two keys each, shares are 1/4 and 3/4, and 1."""
    weights = np.array([[[[0.5, 0.5], [0.8, 0.2]]]])
    tokens = tokens_of(["a", "b"], special=False)
    inspection = inspection_of(tokens, weights, value_norms=np.array([[[4, 12]]]))
    view = inspection.view(measure="norm")  # rows 2, 6 and 3.2, 2.4
    [head] = overview(view).heads
    first = 0.25 * 2 + 0.75 * np.log2(4 / 3)
    second = 4 / 7 * np.log2(7 / 4) + 3 / 7 * np.log2(7 / 3)
    assert head.entropy == pytest.approx((first + second) / 2, abs=1e-5)
    assert [round(link.weight, 4) for link in head.links] == [6.0, 3.2]
    assert (head.shares.itself, head.shares.previous) == pytest.approx(((0.25 + 3 / 7) / 2, 4 / 7))
    said = printed(next(iter(looks(view))), 100)
    assert "kind and bits: of rows divided by their sum" in " ".join(said)
    assert not any("divided" in line for line in printed(next(looks(inspection.view())), 100))


def test_a_share_of_special_tokens_is_of_the_rows_own_sum() -> None:
    weights = np.full((1, 1, 4, 4), 0.25)
    norms = np.array([[[1, 3, 5, 7]]])
    inspection = inspection_of(tokens_of(["a", "b"]), weights, value_norms=norms)
    for special in (True, False):
        view = inspection.view("word", special, "norm")
        share = word(view, 1 if special else 0, "query").special
        assert share == pytest.approx(8 / 16)


def test_layers_stand_where_heads_would() -> None:
    view = of_size(1).view(measure="rollout")
    assert strongest_link(view, 1).head.head is None
    overview = printed(next(looks(view)), 100)
    assert overview[3].startswith("kinds on this sentence: ")
    assert [line.split()[0] for line in overview[6:8]] == ["L0", "L1"]
    pair = printed(next(looks(view, query=1, key=3)), 100)
    assert [line[:2] for line in pair[5:7]] == ["L0", "L1"]
    assert not any("H0" in line for line in (*overview, *pair))
    assert "L1  queries (who looks) down" in "\n".join(
        printed(next(looks(view, [HeadId(1, None)])), 100)
    )


# In pictures


def drawn(figure: Figure) -> LineCollection:
    (collection,) = figure.axes[0].collections
    assert isinstance(collection, LineCollection)
    return collection


def cells(axes: Axes) -> set[str]:
    return {text.get_text() for text in axes.texts}


def test_lines_do_not_depend_on_the_unit_of_a_norm() -> None:
    small, large = (
        lines(of_size(size, 9).view(measure="norm"), [HeadId(1, 0)], None) for size in (0.02, 3000)
    )
    ends = [np.array(drawn(figure).get_segments()) for figure in (small, large)]
    assert 0 < len(ends[0]) < 11 * 11
    np.testing.assert_array_equal(ends[0], ends[1])
    widths = [np.asarray(drawn(figure).get_linewidth()) for figure in (small, large)]
    np.testing.assert_allclose(widths[0], widths[1], rtol=1e-4)


def test_the_notes_of_lines_have_numbers_that_fit(animal: Inspection) -> None:
    said = texts(lines(animal.view(measure="norm"), [HeadId(3, 1)], 8))
    assert "darkest line: 2.41 · links under 0.024 not drawn" in said
    assert "norm: ‖α v W_O‖ with α = softmax(q kᵀ / √d_k)" in said


def test_a_norm_is_written_into_its_cell(animal: Inspection) -> None:
    figure = heatmap(animal.view(measure="norm"), [HeadId(3, 1)])
    assert {"2.41", "2.23"} <= cells(figure.axes[0])
    assert "0.22" not in cells(figure.axes[0]), "less than a tenth of the largest"
    bar = figure.axes[-1]
    assert bar.get_ylabel() == "size of what arrives"
    assert bar.get_yticklabels()[-1].get_text() == "2.4"


def test_large_norms_have_whole_numbers_beside_the_scale() -> None:
    figure = heatmap(of_size(3000).view(measure="norm"), [HeadId(0, 0)])
    ticks = [tick.get_text() for tick in figure.axes[-1].get_yticklabels()]
    assert all(tick.isdigit() for tick in ticks)


@pytest.mark.parametrize("measure", ["rollout", "flow"])
def test_layers_are_panels_that_fold(animal: Inspection, measure: MeasureName) -> None:
    view = animal.view(measure=measure)
    figure = heatmap(view, view.all_heads())
    assert figure.get_suptitle() == "minilm · all layers"
    panels = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in panels] == ["L0", "L1", "L2", "L3", "L4", "L5"]
    assert len({round(axes.get_position().x0, 3) for axes in panels}) == 3
    assert figure.axes[-1].get_ylabel() == f"attention {measure}"


def test_titles_and_file_names_of_layers(animal: Inspection) -> None:
    view = animal.view(measure="rollout")
    every = view.all_heads()
    assert [heads_title(view.context, every[:count]) for count in (1, 2, 5, 6)] == [
        *("L0", "L0, L1", "5 layers", "all layers")
    ]
    assert default_name(view.context, every[3:4]).startswith("attnviz-minilm-L3-rollout-the-animal")
    names = {default_name(animal.view(measure=name).context, [HeadId(3, 1)]) for name in MEASURES}
    assert len(names) == len(MEASURES)


# In notebooks, and as data


def test_a_notebook_shows_a_view_in_its_measure(animal: Inspection) -> None:
    page = view_html(animal.view(measure="norm"))
    assert "norm: ‖α v W_O‖ with α = softmax(q kᵀ / √d_k); rows are not distributions" in page
    assert "In <b>L5H11</b>, <b>it</b> looks at <b>animal</b>: 4.22" in page
    assert page.count("<img ") == 72
    assert "each square a head" in page
    layers = view_html(animal.view(measure="rollout"))
    assert layers.count("<img ") == 6
    assert "each square a layer" in layers
    assert "L3H" not in layers
    view = animal.view(measure="rollout")
    assert isinstance(view, attnviz.View)
    assert HTMLFormatter()(view) == layers


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("special", [True, False])
def test_json_of_every_measure_is_as_the_schema_says(measure: MeasureName, special: bool) -> None:
    told = orjson.loads(attnviz.to_json(of_size(2), measure=measure, special=special))
    check(told)
    assert len(told["heads"]) == (4 if MEASURES[measure].per_head else 2)
