import numpy as np
import pytest
from handmade import inspection_of, tokens_of
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from pictures import numbered, texts
from rounding import assert_numbers
from shown import heatmap

from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model
from attnviz.show.figure.drawing import DPI


def images(figure: Figure) -> list[AxesImage]:
    return [image for axes in figure.axes for image in axes.images]


def y_labels(figure: Figure, place: int = 0) -> list[str]:
    return [tick.get_text() for tick in figure.axes[place].get_yticklabels()]


def x_labels(figure: Figure, place: int = 0) -> list[str]:
    return [tick.get_text() for tick in figure.axes[place].get_xticklabels()]


def test_one_head_shows_its_weights_and_tokens(animal: Inspection) -> None:
    view = animal.view()
    figure = heatmap(view, [HeadId(3, 1)])
    (image,) = images(figure)
    assert_numbers(np.asarray(image.get_array()), view.weights(3, 1))
    words = [token.label for token in view.tokens]
    words[1], words[5] = "The@1", "the@5"
    assert y_labels(figure) == words
    assert x_labels(figure) == words
    axes = figure.axes[0]
    assert axes.get_ylabel() == "query: who looks"
    assert axes.get_xlabel() == "key: what is looked at"
    top, bottom = axes.get_ylim()[1], axes.get_ylim()[0]
    assert top < bottom  # the first query is the upper row


def test_the_heading_names_model_head_and_sentence(animal: Inspection) -> None:
    figure = heatmap(animal.view(), [HeadId(3, 1)])
    assert figure.get_suptitle() == "minilm · L3H1"
    assert f"“{animal.tokens.text}”" in texts(figure)


def test_the_scale_runs_from_zero_to_the_largest_weight_shown(animal: Inspection) -> None:
    view = animal.view()
    figure = heatmap(view, [HeadId(5, 11)])
    (image,) = images(figure)
    largest = float(view.weights(5, 11).max())
    assert image.get_clim() == (0.0, largest)
    bar = figure.axes[-1]
    assert bar.get_ylabel() == "attention weight"
    ticks = [tick.get_text() for tick in bar.get_yticklabels()]
    assert (ticks[0], ticks[-1]) == ("0", f"{largest:.2g}")


def test_the_founding_number_is_written_into_its_cell(animal: Inspection) -> None:
    view = animal.view()
    words = [token.label for token in view.tokens]
    figure = heatmap(view, [HeadId(3, 1)])
    place = (words.index("animal"), words.index("it"))
    written = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert written[place] == "0.68"
    assert len(written) == (view.weights(3, 1) >= 0.1).sum()


def test_a_layer_is_a_grid_with_one_scale_and_one_bar(animal: Inspection) -> None:
    view = animal.view()
    heads = [HeadId(3, head) for head in range(12)]
    figure = heatmap(view, heads)
    assert figure.get_suptitle() == "minilm · layer 3"
    assert [axes.get_title() for axes in figure.axes[:12]] == [f"L3H{i}" for i in range(12)]
    assert len(figure.axes) == 13
    layer = view.weights(3)
    for image, weights in zip(images(figure), layer, strict=True):
        assert_numbers(np.asarray(image.get_array()), weights)
        assert image.get_clim() == (0.0, float(layer.max()))
    labelled = [place for place in range(12) if y_labels(figure, place)]
    assert labelled == [0, 4, 8]
    assert [place for place in range(12) if x_labels(figure, place)] == [8, 9, 10, 11]
    assert {"query: who looks", "key: what is looked at"} <= {
        figure.get_supylabel(),
        figure.get_supxlabel(),
    }


def test_an_incomplete_last_row_leaves_no_column_without_labels() -> None:
    view = numbered(3, num_layers=1, num_heads=5).view()
    figure = heatmap(view, view.all_heads())
    assert [place for place in range(5) if x_labels(figure, place)] == [2, 3, 4]


def test_all_heads_stand_layers_down_and_heads_across(animal: Inspection) -> None:
    view = animal.view()
    figure = heatmap(view, view.all_heads())
    panels = figure.axes[:72]
    assert figure.get_suptitle() == "minilm · all heads"
    assert [axes.get_title() for axes in panels[:12]] == [f"head {i}" for i in range(12)]
    names = [text.get_text() for axes in panels for text in axes.texts]
    assert names == [f"layer {i}" for i in range(6)]
    boxes = [axes.get_position() for axes in panels]
    for place, (image, box) in enumerate(zip(images(figure), boxes, strict=False)):
        layer, head = divmod(place, 12)
        assert_numbers(np.asarray(image.get_array()), view.weights(layer, head))
        assert box.x0 == pytest.approx(boxes[head].x0)
        assert box.y0 == pytest.approx(boxes[layer * 12].y0)
    assert boxes[0].y0 > boxes[12].y0
    assert boxes[0].x0 < boxes[1].x0


def test_some_heads_of_two_layers_form_a_labelled_grid() -> None:
    view = numbered(4, num_layers=2, num_heads=3).view()
    figure = heatmap(view, view.all_heads())
    boxes = [axes.get_position() for axes in figure.axes[:6]]
    assert [axes.get_title() for axes in figure.axes[:6]] == [str(h) for h in view.all_heads()]
    assert boxes[0].y0 == boxes[2].y0 > boxes[3].y0
    assert len(y_labels(figure, 3)) == 6


def test_an_untrained_model_is_marked() -> None:
    inspection = inspection_of(tokens_of(["a"]), np.full((2, 3, 3, 3), 1 / 3), trained=False)
    figure = heatmap(inspection.view(), [HeadId(1, 2)])
    assert figure.get_suptitle() == "handmade (UNTRAINED) · L1H2"


def test_without_special_tokens_the_dropped_share_is_told(animal: Inspection) -> None:
    view = animal.view(special=False)
    figure = heatmap(view, [HeadId(3, 1)])
    (image,) = images(figure)
    np.testing.assert_allclose(np.asarray(image.get_array()), view.weights(3, 1), rtol=1e-5)
    assert "[CLS]" not in y_labels(figure)
    share = f"{view.dropped(3, 1).mean():.0%}"
    assert f"special tokens left out: they held {share} of the attention here" in texts(figure)


def test_a_pair_shows_both_sentences_and_where_the_second_begins(minilm: Model) -> None:
    inspection = minilm.inspect("The animal slept.", "It was tired.")
    figure = heatmap(inspection.view(), [HeadId(0, 0)])
    assert {"“The animal slept.”", "“It was tired.”"} <= set(texts(figure))
    second = next(t.index for t in inspection.tokens.words if t.text == "It")
    borders = [np.asarray(line.get_xydata()) for line in figure.axes[0].lines]
    assert borders[0][0, 1] == borders[1][0, 0] == second - 0.5


def test_a_single_word_without_special_tokens() -> None:
    view = numbered(1).view(special=False)
    figure = heatmap(view, [HeadId(0, 0)])
    (image,) = images(figure)
    assert np.asarray(image.get_array()).tolist() == [[1.0]]
    assert y_labels(figure) == ["w0"]


def test_a_picture_of_nothing_but_zeros_has_a_scale() -> None:
    weights = np.zeros((1, 1, 3, 3))
    weights[..., 0] = 1  # everyone looks at [CLS]
    view = inspection_of(tokens_of(["w0"]), weights).view(special=False)
    figure = heatmap(view, [HeadId(0, 0)])
    (image,) = images(figure)
    assert np.asarray(image.get_array()).tolist() == [[0.0]]
    assert image.get_clim() == (0.0, 1.0)
    assert "special tokens left out: they held 100% of the attention here" in texts(figure)


@pytest.mark.parametrize(
    ("words", "step", "note"),
    [(1, 1, ""), (98, 1, ""), (298, 3, " (every 3rd token labelled)"), (510, 5, " (every 5th tok")],
)
def test_labels_stay_readable_from_few_to_many_tokens(words: int, step: int, note: str) -> None:
    view = numbered(words).view()
    figure = heatmap(view, [HeadId(0, 0)])
    assert y_labels(figure) == [token.label for token in view.tokens[::step]]
    axes = figure.axes[0]
    assert axes.get_xlabel().startswith(f"key: what is looked at{note}")
    sizes = {
        float(tick.get_fontsize()) for tick in (*axes.get_yticklabels(), *axes.get_xticklabels())
    }
    assert min(sizes) >= 6
    assert max(figure.get_size_inches()) < 16
    side = axes.get_position().height * figure.get_size_inches()[1]
    assert min(sizes) / 72 <= side / len(view.tokens) * step


def test_every_cell_has_the_same_whole_number_of_dots() -> None:
    for words in (5, 60, 299, 510):
        figure = heatmap(numbered(words).view(), [HeadId(0, 0)])
        box, (width, height) = figure.axes[0].get_position(), figure.get_size_inches()
        cells = (box.width * width * DPI / (words + 2), box.height * height * DPI / (words + 2))
        assert cells == pytest.approx((round(cells[0]), round(cells[0])), abs=1e-6)


def test_too_many_tokens_for_a_small_panel_are_pooled_and_that_is_said() -> None:
    view = numbered(510, num_layers=2, num_heads=9).view()
    figure = heatmap(view, view.all_heads())
    assert "each cell: the largest of 5 × 5 weights" in texts(figure)
    weights = view.weights(1, 4)
    pooled = np.asarray(images(figure)[13].get_array())
    assert pooled.shape == (103, 103)
    assert pooled[0, 0] == weights[:5, :5].max()
    assert pooled[7, 100] == weights[35:40, 500:505].max()
    assert pooled[102, 102] == weights[510:, 510:].max()


def test_what_looks_like_mathtext_is_text(minilm: Model) -> None:
    figure = heatmap(minilm.inspect(r"$x_1^2$ \frac{a}{b} $ _ ^").view(), [HeadId(0, 0)])
    for tick in figure.axes[0].get_yticklabels():
        assert tick.get_parse_math() is False
    assert {"$@1", "\\", "{@8", "x_1", "^@3"} <= set(y_labels(figure))


def test_control_characters_are_shown_and_long_words_cut(minilm: Model) -> None:
    figure = heatmap(minilm.inspect(f"a\x1b[31mb {'z' * 60} \u202e end").view(), [HeadId(0, 0)])
    shown = "".join(texts(figure)) + "".join(y_labels(figure))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert r"\x1b" in shown
    assert "z" * 21 + "…" in y_labels(figure)


def test_no_head_is_an_error(animal: Inspection) -> None:
    with pytest.raises(RequestError, match="no head"):
        heatmap(animal.view(), [])
