"""Pictures of answers about all heads: words, pairs, findings, holding, ablation."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from handmade import causal, inspection_of, tokens_of, with_layer
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from pictures import numbered

import attnviz
from attnviz.inspection import Inspection
from attnviz.model import Model
from attnviz.show.figure.drawing import BLANK
from attnviz.show.figure.similar import FALLS, RISES
from attnviz.show.forms import Colours
from attnviz.show.labels import names

WORDS = ["the", "cat", "sat"]


def handmade() -> Inspection:
    """Five tokens; in L1H0 `sat` gives `cat` 0.6, all else are fifths."""
    weights = np.full((2, 3, 5, 5), 0.2)
    weights[1, 0, 3] = [0.1, 0.1, 0.6, 0.1, 0.1]
    return inspection_of(tokens_of(WORDS), weights)


def matrix(axes: Axes) -> np.ndarray:
    [image] = axes.images
    return np.asarray(image.get_array())


def said(figure: Figure) -> list[str]:
    """Every text that is drawn."""
    figure.draw_without_rendering()
    return [t.get_text() for t in figure.findobj(Text) if t.get_text() and t.get_visible()]


def test_a_word_has_a_block_a_layer_and_a_row_a_head() -> None:
    figure = attnviz.figure(handmade(), query="sat")
    blocks = [axes for axes in figure.axes if axes.images and axes.get_title("left")]
    assert [axes.get_title("left") for axes in blocks] == ["layer 0", "layer 1"]
    for layer, axes in enumerate(blocks):
        expected = [handmade().weights(layer, head)[3] for head in range(3)]
        assert np.allclose(matrix(axes), expected)
        assert [label.get_text() for label in axes.get_yticklabels()] == ["H0", "H1", "H2"]
    assert [text.get_text() for text in blocks[1].texts].count(".60") == 1
    assert figure.get_suptitle().endswith("all heads · query: sat")


def test_a_key_has_those_who_look_at_it() -> None:
    figure = attnviz.figure(handmade(), key="cat", layer=1)
    assert np.allclose(matrix(figure.axes[0])[0], [0.2, 0.2, 0.2, 0.6, 0.2])
    assert figure.axes[0].get_xlabel() == "query: who looks"
    assert figure.get_suptitle().endswith("layer 1 · key: cat")


def test_a_pair_has_a_map_of_heads_and_the_best_as_bars() -> None:
    figure = attnviz.figure(handmade(), query="sat", key="cat")
    assert np.allclose(matrix(figure.axes[0]), [[0.2, 0.2, 0.2], [0.6, 0.2, 0.2]])
    bars = next(axes for axes in figure.axes if axes.patches and not axes.images)
    assert bars.get_yticklabels()[0].get_text() == "L1H0"
    assert {"sat → cat", "layer", "head", "weight", "0.60"} <= set(said(figure))


@pytest.mark.parametrize(
    ("colours", "name", "ground"), [("heat", "grey", BLANK), ("grey", "green", "#b5dfb8")]
)
def test_a_pair_that_a_mask_keeps_apart_has_the_ground_alone(
    colours: Colours, name: str, ground: str
) -> None:
    apart = with_layer(handmade(), 0, key_ranges=causal(5))
    apart = with_layer(apart, 1, key_ranges=causal(5))
    figure = attnviz.figure(apart, query="cat", key="sat", colours=colours)
    assert np.isnan(matrix(figure.axes[0])).all()
    assert to_hex(figure.axes[0].get_facecolor()) == ground
    assert f"{name}: may not look there" in said(figure)


def test_a_finding_has_both_yardsticks_and_a_map_of_the_excess() -> None:
    finding = attnviz.find(handmade(), "sat", "cat")
    figure = attnviz.figure(finding, top=2)
    best = finding.heads[0]
    assert best.same_distance is not None
    assert best.same_key is not None
    assert best.excess is not None
    assert matrix(figure.axes[0])[1, 0] == pytest.approx(best.excess)
    bars = next(axes for axes in figure.axes if axes.patches and not axes.images)
    assert bars.get_yticklabels()[0].get_text() == "L1H0"
    assert len(bars.get_yticklabels()) == 2
    marks = {line.get_marker(): np.asarray(line.get_xdata())[0] for line in bars.lines[:2]}
    assert marks == pytest.approx({"D": best.same_distance.mean, "o": best.same_key.mean})
    both = attnviz.find(handmade(), "sat", "cat", both=True)
    assert {"sat → cat", "cat → sat"} <= set(said(attnviz.figure(both)))


@pytest.mark.parametrize(("chosen", "heads"), [({"layer": 3}, 12), ({"head": "L3H1"}, 1)])
def test_a_map_of_one_layer_lies_inside_its_picture(
    animal: Inspection, chosen: dict[str, Any], heads: int
) -> None:
    figure = attnviz.figure(attnviz.find(animal, "it", "animal", **chosen))
    assert matrix(figure.axes[0]).shape == (1, heads)
    figure.draw_without_rendering()
    whole = figure.get_window_extent()
    boxes = [t.get_window_extent() for t in figure.findobj(Text) if t.get_text().strip()]
    assert all(whole.y0 <= box.y0 and box.y1 <= whole.y1 for box in boxes)
    assert "−0.00" not in said(figure)


def test_many_sentences_have_means_and_intervals() -> None:
    findings = [attnviz.find(handmade(), "sat", "cat") for _ in range(7)]
    answer = attnviz.holding(findings)
    figure = attnviz.figure(answer)
    bars = next(axes for axes in figure.axes if axes.patches and not axes.images)
    intervals = [line for line in bars.lines if line.get_marker() == "|"]
    assert len(intervals) == len(answer.heads)
    assert tuple(np.asarray(intervals[0].get_xdata(), float)) == answer.heads[0].interval
    texts = said(figure)
    assert {"7 sentences", "7 / 7", "mean", "95% interval"} <= set(texts)
    assert any(text.startswith("best on the first half: L1H0, excess") for text in texts)
    few = attnviz.figure(attnviz.holding(findings[:2]))
    assert "too few sentences for a 95% interval" in said(few)


def test_ablated_heads_show_the_words_that_move(animal: Inspection) -> None:
    answer = attnviz.ablate(animal, "L5H11")
    figure = attnviz.figure(answer, top=3)
    [bars] = figure.axes
    assert [label.get_text() for label in bars.get_yticklabels()] == [
        names(answer.context, "query")[moved.token.index] for moved in answer.moved[:3]
    ]
    assert any(re.fullmatch(r"11 more move by 0\.\d+ at most", text) for text in said(figure))


def test_each_head_ablated_has_a_map(animal: Inspection) -> None:
    answer = attnviz.ablate_each(animal)
    for scale in (None, (0.0, 1.0)):
        figure = attnviz.figure(answer, scale=scale)
        numbers = matrix(figure.axes[0])
        assert numbers[answer.heads[0].head] == pytest.approx(answer.heads[0].distance)
        [image] = figure.axes[0].images
        assert image.get_clim() == (scale or (0.0, answer.heads[0].distance))
    assert {"moves most", "distance"} <= set(said(figure))


def test_each_head_s_change_of_a_cosine_has_its_sign(minilm: Model) -> None:
    answer = attnviz.similar_each("The animal was tired.", "A dog ran.", model=minilm)
    figure = attnviz.figure(answer, top=6)
    changes, largest = {one.head: one.change for one in answer.heads}, answer.heads[0].change
    assert all(matrix(figure.axes[0])[head] == pytest.approx(changes[head]) for head in changes)
    [image] = figure.axes[0].images
    assert image.get_clim() == (-abs(largest), abs(largest))
    bars = next(axes.patches for axes in figure.axes if len(axes.patches) == 6)
    for bar, one in zip(bars, answer.heads[:6], strict=True):
        assert isinstance(bar, Rectangle)
        assert bar.get_width() == pytest.approx(abs(one.change))
        assert to_hex(bar.get_facecolor()) == (FALLS if one.change < 0 else RISES)
    told = f"{largest:+.4f}".replace("-", "−")
    assert {"change", "cosine", told, f"minilm · cosine {answer.cosine:.3f}"} <= set(said(figure))


LONG = "Donaudampfschifffahrtsgesellschaftskapitän 동물은 너무 sat because it was 😀 and"
MAKERS: dict[str, Callable[[Inspection], Any]] = {
    "word": lambda one: attnviz.figure(one, query="@1"),
    "key": lambda one: attnviz.figure(one, key="@1", layer=0),
    "pair": lambda one: attnviz.figure(one, query="@2", key="@1"),
    "find": lambda one: attnviz.figure(attnviz.find(one, "@2", "@1", both=True)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("size", ["long words", "130 words", "2 words"])
def test_nothing_is_cut_and_no_texts_lie_over_each_other(
    make: Callable[[Inspection], Figure], size: str
) -> None:
    one = (
        inspection_of(tokens_of(LONG.split()), np.full((6, 12, 11, 11), 1 / 11))
        if size == "long words"
        else numbered(130 if size == "130 words" else 2)
    )
    figure = make(one)
    figure.draw_without_rendering()
    width, height = figure.bbox.width, figure.bbox.height
    boxes = []
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if not text.get_text().strip() or not text.get_visible():
            continue
        box = text.get_window_extent()
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= 0, text
        if not text.get_rotation():
            boxes.append((text.get_text(), box.padded(-1.5)))
    for place, (name, box) in enumerate(boxes):
        for other, its in boxes[place + 1 :]:
            assert not box.overlaps(its) or name == other, (name, other)
