import numpy as np
import pytest
from handmade import inspection_of, tokens_of
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from pictures import numbered, texts
from shown import lines

from attnviz.answers.links import MOST_LINES, heads_or_strongest, links
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model
from attnviz.show import forms
from attnviz.show.figure.drawing import head_colors

L3H1 = HeadId(3, 1)
LAYER = [HeadId(3, head) for head in range(12)]


def drawn(figure: Figure) -> LineCollection:
    (collection,) = figure.axes[0].collections
    assert isinstance(collection, LineCollection)
    return collection


def ends(figure: Figure) -> np.ndarray:
    """The height at which each line starts and ends, (line, 2)."""
    return np.array([segment[:, 1] for segment in drawn(figure).get_segments()])


def shades(figure: Figure) -> np.ndarray:
    return np.asarray(drawn(figure).get_colors())


def tokens(figure: Figure, align: str) -> dict[int, Text]:
    """The tokens of the left (`right`-aligned) or right column, by their place."""
    found = [text for text in figure.axes[0].texts if not isinstance(text, Annotation)]
    return {
        round(text.get_position()[1]): text
        for text in found
        if text.get_horizontalalignment() == align
    }


def it(inspection: Inspection) -> int:
    return [token.label for token in inspection.tokens.words].index("it")


def test_lines_run_from_the_query_to_its_keys(animal: Inspection) -> None:
    view, query = animal.view(), it(animal)
    figure = lines(view, [L3H1], query)
    weights = view.weights(3, 1)[query]
    joined = ends(figure)
    assert set(joined[:, 0]) == {float(query)}
    assert set(joined[:, 1]) == set(np.flatnonzero(weights >= 0.01).astype(float))


def test_larger_weights_are_darker_thicker_and_on_top(animal: Inspection) -> None:
    figure = lines(animal.view(), [L3H1], it(animal))
    weights = animal.view().weights(3, 1)[it(animal)][ends(figure)[:, 1].astype(int)]
    assert (np.diff(weights) >= 0).all()
    assert (np.diff(shades(figure)[:, 3]) > 0).all()
    assert (np.diff(drawn(figure).get_linewidth()) > 0).all()
    assert shades(figure)[-1, 3] == pytest.approx(1.0)
    assert "darkest line: 0.68 · links under 0.01 not drawn" in texts(figure)


def test_query_and_strongest_key_stand_out(animal: Inspection) -> None:
    figure = lines(animal.view(), [L3H1], it(animal))
    for align, word in (("right", "it"), ("left", "animal")):
        bold = [
            t.get_text() for t in tokens(figure, align).values() if t.get_fontweight() == "bold"
        ]
        assert bold == [word]
    assert figure.get_suptitle() == "minilm · L3H1 · query: it"


def test_weights_stand_beside_the_keys_of_one_head(animal: Inspection) -> None:
    figure = lines(animal.view(), [L3H1], it(animal))
    notes = [note for note in figure.axes[0].texts if isinstance(note, Annotation)]
    beside = {note.xy[1]: note.get_text() for note in notes if note.get_text()[:2] == "0."}
    assert beside[2] == "0.68"
    assert beside[6] == "0.05"
    assert len(beside) == len(ends(figure))
    names = {note.get_text() for note in notes} - set(beside.values())
    assert names == {"query: who looks", "key: what is looked at"}


def test_both_columns_have_all_tokens(animal: Inspection) -> None:
    figure = lines(animal.view(), [L3H1], None)
    words = [token.label for token in animal.tokens.words]
    words[1], words[5] = "The@1", "the@5"
    for align in ("left", "right"):
        column = tokens(figure, align)
        assert [column[place].get_text() for place in range(len(words))] == words


def test_without_a_query_every_word_has_its_lines(animal: Inspection) -> None:
    view = animal.view()
    figure = lines(view, [L3H1], None)
    expected = np.argwhere(view.weights(3, 1) >= 0.01)
    assert sorted(map(tuple, ends(figure))) == sorted(map(tuple, expected.astype(float)))
    assert figure.get_suptitle() == "minilm · L3H1"
    assert all(text.get_fontweight() == "normal" for text in tokens(figure, "left").values())


def test_several_heads_have_a_colour_each_and_a_legend(animal: Inspection) -> None:
    view, query = animal.view(), it(animal)
    figure = lines(view, LAYER, query)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [str(head) for head in LAYER]
    handles = [handle.get_color() for handle in legend.get_lines()]
    np.testing.assert_array_equal(handles, head_colors(12))
    assert len(set(map(tuple, handles))) == 12
    for head, color in enumerate(handles):
        mine = np.isclose(shades(figure)[:, :3], color).all(axis=1)
        weights = view.weights(3, head)[query]
        keys = np.rint(ends(figure)[mine, 1]).astype(int)
        assert sorted(keys) == np.flatnonzero(weights >= 0.01).tolist()
        assert (np.argsort(shades(figure)[mine, 3]) == np.argsort(weights[keys])).all()
    starts = {round(start, 6) for start in ends(figure)[:, 0]}
    assert len(starts) == 12  # side by side, not on top of each other
    assert max(abs(start - query) for start in starts) < 0.5


def test_one_head_needs_no_legend(animal: Inspection) -> None:
    assert not lines(animal.view(), [L3H1], None).legends


def test_without_special_tokens_the_query_s_dropped_share_is_told(animal: Inspection) -> None:
    view = animal.view(special=False)
    query = [token.label for token in view.tokens].index("it")
    figure = lines(view, [L3H1], query)
    share = f"{view.dropped(3, 1)[query]:.0%}"
    assert f"special tokens left out: they held {share} of the attention here" in texts(figure)
    assert tokens(figure, "left")[0].get_text() == "The@0"


@pytest.mark.parametrize("words", [1, 60, 300, 510])
def test_pictures_of_any_length_stay_sensible(words: int) -> None:
    view = numbered(words).view()
    figure = lines(view, view.all_heads(), None)
    width, height = figure.get_size_inches()
    assert 2 < height < 18
    assert 4 < width < 12
    assert len(ends(figure)) <= MOST_LINES
    sizes = {float(text.get_fontsize()) for text in tokens(figure, "left").values()}
    assert min(sizes) >= 6


def test_the_threshold_rises_with_the_number_of_lines_and_is_told() -> None:
    view = numbered(120).view()
    figure = lines(view, view.all_heads(), None)
    (note,) = (text for text in texts(figure) if text.startswith("darkest line"))
    threshold = float(note.split("under ")[1].split()[0])
    weights = np.stack([view.weights(layer) for layer in range(2)])
    assert threshold > 0.01
    assert len(ends(figure)) == (weights >= threshold).sum()


def test_a_head_without_large_weights_has_no_lines_and_says_so() -> None:
    weights = np.full((1, 1, 122, 122), 1 / 122)
    view = inspection_of(tokens_of([f"w{i}" for i in range(120)]), weights).view()
    figure = lines(view, [HeadId(0, 0)], 5)
    assert len(ends(figure)) == 0
    assert "no link of 0.01 or more" in texts(figure)


def test_users_text_is_text(minilm: Model) -> None:
    text = f"$x_1^2$ \\frac{{a}} \x1b[31m \u202e {'z' * 50} 👩\u200d👩\u200d👧 שלום 그 동물은"
    figure = lines(minilm.inspect(text).view(), [L3H1], 1)
    shown = [label.get_text() for label in tokens(figure, "left").values()]
    assert {"$@1", "$@5", "x_1", "\\", "{", "z" * 21 + "…", "שלום", "동물은"} <= set(shown)
    assert not any(label.get_parse_math() for label in tokens(figure, "left").values())
    assert "\x1b" not in "".join(shown + texts(figure))


def test_no_head_is_an_error(animal: Inspection) -> None:
    with pytest.raises(RequestError, match="no head"):
        lines(animal.view(), [], None)


def test_lines_to_a_key_come_from_those_who_look_at_it(animal: Inspection) -> None:
    view = animal.view()
    answer = links(view, [HeadId(3, 1)], None, 2)
    assert set(answer.keys) == {2}
    column = view.block(HeadId(3, 1)).weights[0, :, 2]
    assert np.allclose(answer.weights, column[answer.queries])
    assert len(answer.weights) == np.count_nonzero(column >= answer.threshold)
    figure = forms.figure(answer)
    texts = {text.get_text(): text for text in figure.axes[0].texts}
    assert texts["animal"].get_fontweight() == "bold"  # the key; the query is quiet
    assert "0.68" in texts
    assert figure.get_suptitle() == "minilm · L3H1 · key: animal"


def test_without_heads_a_key_is_shown_where_it_is_looked_at_hardest(animal: Inspection) -> None:
    heads, note = heads_or_strongest(animal.view(), [], None, 2)
    why = 'so L3H1, in which, of the words further off, "it" looks hardest at "animal": 0.68'
    assert (heads, note) == ([HeadId(3, 1)], f"no head given, {why}")
    heads, _ = heads_or_strongest(animal.view(), [], 10, 2)
    assert len(heads) == 1


def test_one_link(animal: Inspection) -> None:
    answer = links(animal.view(), [HeadId(3, 1)], 8, 2)
    assert (answer.queries.tolist(), answer.keys.tolist()) == ([8], [2])
    figure = forms.figure(answer)
    assert figure.get_suptitle() == "minilm · L3H1 · query: it · key: animal"
