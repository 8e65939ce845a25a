"""`--scale LOW:HIGH`: pictures laid side by side give the same number the same colour."""

from typing import Any

import numpy as np
import pytest
from handmade import inspection_of, tokens_of
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from pictures import texts

import attnviz
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.show.figure.drawing import MOST_HEADS
from attnviz.show.forms import Limits
from attnviz.show.naming import picture_name


def inspection(largest: float) -> Inspection:
    """`sat` gives `the` 0.25 and `cat` the largest part; the others give each a fifth."""
    weights = np.full((1, 2, 5, 5), 0.2)
    rest = (0.75 - largest) / 3
    weights[:, :, 3] = [rest, 0.25, largest, rest, rest]
    return inspection_of(tokens_of(["the", "cat", "sat"]), weights)


ONE, OTHER = inspection(0.6), inspection(0.3)


def cell(figure: Figure, query: int = 3, key: int = 1, panel: int = 0) -> tuple[float, ...]:
    """The colour of a cell of a heatmap."""
    [image] = figure.axes[panel].images
    return tuple(np.asarray(image.to_rgba(np.asarray(image.get_array())))[query, key])


def arrows(figure: Figure) -> list[str]:
    """At which ends each colour bar has an arrow."""
    bars: list[Any] = [getattr(axes, "_colorbar", None) for axes in figure.axes]
    return [bar.extend for bar in bars if bar is not None]


@pytest.mark.parametrize("heads", [{"head": "L0H1"}, {}])
def test_the_same_number_has_the_same_colour_in_two_heatmaps(heads: Any) -> None:
    usual = [attnviz.heatmap(one, **heads) for one in (ONE, OTHER)]
    assert cell(usual[0]) != cell(usual[1])
    fixed = [attnviz.figure(one, scale=(0, 0.8), **heads) for one in (ONE, OTHER)]
    assert cell(fixed[0]) == cell(fixed[1])
    assert [arrows(one) for one in (*usual, *fixed)] == [["neither"]] * 4


def test_numbers_outside_are_clipped_and_the_bar_has_an_arrow() -> None:
    low, high = (attnviz.figure(ONE, scale=scale) for scale in ((0.1, 1), (0, 0.2)))
    assert (arrows(low), arrows(high)) == (["min"], ["max"])
    both = attnviz.figure(ONE, scale=(0.1, 0.2))
    assert arrows(both) == ["both"]
    [bar] = [axes for axes in both.axes if axes.get_ylabel() == "attention weight"]
    named = [tick.get_text() for tick in bar.get_yticklabels()]
    assert (named[0], named[-1]) == ("0.1", "0.2")
    assert cell(high, key=1) == cell(high, key=2)  # 0.25 and 0.6


def test_comparisons_too() -> None:
    other, longer = (attnviz.compare(ONE, one, head="L0H0") for one in (OTHER, inspection(0.5)))
    usual = [attnviz.figure(one) for one in (other, longer)]
    fixed = [attnviz.figure(one, scale=(0, 0.5)) for one in (other, longer)]
    assert cell(fixed[0], key=1, panel=1) == cell(fixed[1], key=1, panel=1)
    change = [cell(figure, key=2, panel=3) for figure in (usual[1], fixed[1])]
    assert change[0] != change[1]  # -0.1 of 0.1 at most, then of 0.5
    assert arrows(fixed[0])[0] == "max"  # 0.6 in A


def test_lines_too() -> None:
    def lines(one: Inspection, scale: Limits) -> Figure:
        return attnviz.figure(attnviz.links(one, "sat", head="L0H0"), scale=scale)

    def shade(figure: Figure, line: int) -> float:
        [collection] = figure.axes[0].collections
        assert isinstance(collection, LineCollection)
        return float(np.sort(np.asarray(collection.get_colors())[:, 3])[line])

    ones, others = (lines(one, (0, 1)) for one in (ONE, OTHER))
    assert [shade(ones, -2), shade(others, -2)] == pytest.approx([0.05 + 0.95 * 0.25] * 2)
    assert "darkest line: 1.00 · links under 0.01 not drawn" in texts(ones)
    clipped = lines(ONE, (0.1, 0.5))
    assert shade(clipped, -1) == 1
    told = "darkest line: 0.50 or more · palest: 0.10 or less · links under 0.01 not drawn"
    assert told in texts(clipped)


def test_pictures_of_other_scales_have_other_names() -> None:
    answer = attnviz.matrices(ONE)
    names = {picture_name(answer, scale) for scale in (None, (0.0, 1.0), (0.0, 0.5))}
    assert len(names) == 3


@pytest.mark.parametrize(
    "scale", [(1.0, 0.0), (0.5, 0.5), (0.0, float("inf")), (float("nan"), 1), (0, 1e-320)]
)
def test_what_is_no_scale_is_refused(scale: tuple[float, float]) -> None:
    with pytest.raises(RequestError, match=r"scale from .* has no room for colours"):
        attnviz.figure(ONE, scale=scale)


def test_a_page_of_panels_has_no_one_scale(animal: Inspection) -> None:
    [answer] = attnviz.explain(animal, "it", 3, 1)
    with pytest.raises(RequestError, match="no scale of colours that could be set"):
        attnviz.figure(answer, scale=(0, 1))


def test_many_heads_have_a_colour_each_or_none() -> None:
    words = tokens_of(["the", "cat"])
    some = inspection_of(words, np.full((1, MOST_HEADS, 4, 4), 0.25))
    assert f"{MOST_HEADS} colours: the closest are hard to tell apart" in texts(
        attnviz.lines(some, "cat", layer=0)
    )
    more = inspection_of(words, np.full((1, MOST_HEADS + 1, 4, 4), 0.25))
    with pytest.raises(RequestError, match="eyes tell at most 144 apart"):
        attnviz.lines(more, "cat", layer=0)
