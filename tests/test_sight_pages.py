"""Notebooks, comparisons and explanations of texts that look at others, of masks and sinks."""

import base64
import io
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from handmade import causal, tokens_of
from pictures import texts
from rich.console import Console, RenderableType
from shown import view_html
from test_html import Page, pixels_of
from test_sight_pictures import drawn, labels
from translated import ALIGNED, SOURCE, TARGET, between, decoder, translation

from attnviz.answers.align import aligned
from attnviz.answers.compare import Comparison, compare
from attnviz.answers.explain import Explanation, explain
from attnviz.attention.layer import LayerRecord, Projections
from attnviz.inspection import HeadId, Inspection, ModelFacts
from attnviz.show.figure.compare import figure as figure_of
from attnviz.show.figure.explain import figure as explanation_figure
from attnviz.show.notebook import LEVELS, thumbnail
from attnviz.show.terminal.compare import table as compare_table
from attnviz.show.terminal.explain import table as steps

L0H0, L0H1, L1H0 = HeadId(0, 0), HeadId(0, 1), HeadId(1, 0)


def printed(look: RenderableType, width: int = 100) -> str:
    """What a pipe receives, as one line of words."""
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(look)
    return " ".join(stream.getvalue().split())


# Notebooks


def thumbnails(page: str) -> list[np.ndarray]:
    """The pixels of every picture of a page."""
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    return [pixels_of(base64.b64decode(data)) for data in found]


def test_a_notebook_shows_both_texts_and_shades_the_source() -> None:
    written = view_html(translation().view())
    page = Page(written)
    assert not page.open
    assert f"keys (source): {SOURCE}queries (target): {TARGET}" in page.text
    assert "cross-attention: the decoder's words look at the encoder's" in page.text
    assert (
        "rows are queries (target), columns keys (source); what a word of the target" in page.text
    )
    assert {pixels.shape for pixels in thumbnails(written)} == {(14, 10)}
    sizes = {(one["width"], one["height"]) for tag, one in page.tags if tag == "img"}
    assert sizes == {("31", "44")}
    assert "In L1H0, The@1 looks at 그: 0.80" in page.text
    told = [one["title"] for tag, one in page.tags if tag == "span" and one.get("title")]
    assert len(told) == 10
    assert told[1] == "0.80"


def test_narrow_thumbnails_stay_visible() -> None:
    sizes = {
        (one["width"], one["height"])
        for tag, one in Page(view_html(between(2, 60).view())).tags
        if tag == "img"
    }
    assert sizes == {("44", "14")}


def test_a_notebook_greys_what_may_not_be_looked_at() -> None:
    written = view_html(decoder(sink=0.25).view())
    text = Page(written).text
    for said in (
        "decoder: in L0 each word sees itself and those before it; in L1 ",
        "grey: may not look there",
        "on average, 25% goes to the model's sink",
    ):
        assert said in text
    first, last = thumbnails(written)[0], thumbnails(written)[-1]
    np.testing.assert_array_equal(first == LEVELS, ~np.tri(12, dtype=bool))
    np.testing.assert_array_equal(last == LEVELS, ~(np.tri(12) - np.tri(12, k=-4)).astype(bool))
    assert 'title="may not look there"' in written


def test_a_long_text_is_grey_in_blocks_that_are_all_masked() -> None:
    view = decoder(500, None).view()
    [pixels, *_] = thumbnails(view_html(view))
    assert pixels.shape == (63, 63)
    np.testing.assert_array_equal(pixels == LEVELS, ~np.tri(63, dtype=bool))
    assert len(Page(view_html(view)).text) < 2500


def test_a_thumbnail_of_masked_numbers() -> None:
    pixels = pixels_of(thumbnail(np.array([[1, np.nan], [0, 0.5]])))
    assert pixels.tolist() == [[15, 16], [0, 8]]


def test_a_notebook_tells_window_and_type() -> None:
    inspection = decoder(60, None)
    half = replace(inspection, model=replace(inspection.model, dtype="float16"))
    text = Page(view_html(half.view(window=(40, 46)))).text
    assert "d_k 60 · computed in float16" in text
    assert "…word28 word29 word30 word31 word32 word33…tokens 40 to 45 of 60" in text


# Comparisons

OTHER_SOURCE = SOURCE.replace("동물은", "개는")
OTHER_TARGET = TARGET.replace("animal", "dog")


def translations() -> Comparison:
    other = between(14, 10, [5, *ALIGNED[1:]], OTHER_TARGET, OTHER_SOURCE, special=True)
    return compare(aligned(translation().view(), other.view()), matrices_of=[L1H0])


def test_compared_translations_show_both_texts_of_both() -> None:
    said = printed(compare_table(translations(), 2))
    assert (
        "A keys (source) 그 ‹동물은› 너무 지쳐서 길을 건너지 않았다 . "
        "queries (target) The ‹animal› didn't cross the street because it was too tired . "
        "B keys (source) 그 ‹개는› 너무 지쳐서 길을 건너지 않았다 . "
        "queries (target) The ‹dog› didn't cross the street because it was too tired ."
    ) in said
    assert said.count("cross-attention: the decoder's words look at the encoder's") == 1


def test_compared_translations_are_drawn_over_their_own_rows_and_columns() -> None:
    figure = figure_of(translations(), heads=[L1H0])
    rows, columns = labels(figure)
    told_apart = TARGET.replace("animal", "animal→dog").replace("The", "The@1")
    assert rows == ["[CLS]", *told_apart.replace("the ", "the@5 ").split(), "[SEP]"]
    assert columns == ["[CLS]", *SOURCE.split(), "[SEP]"]
    assert labels(figure, 1)[1][2] == "개는"
    change = drawn(figure, 3)
    assert change.shape == (14, 10)
    assert change[0, 5] > 0.7
    assert change[0, 0] < -0.7
    assert np.abs(change[1:]).max() < 1e-6
    assert f"A  keys (source): “{SOURCE}”" in texts(figure)


def test_a_key_of_the_source_is_compared() -> None:
    view = translation().view()
    comparison = compare(aligned(view, view), query=8, key=2)
    assert 'how much "it" looks at "동물은", by change' in printed(compare_table(comparison))


def test_masks_of_both_sides_are_grey() -> None:
    """What only one side may look at is a change from 0; what neither may, is none."""
    a, b = decoder().view(), decoder(reach=5).view()
    figure = figure_of(compare(aligned(a, b), matrices_of=[L1H0]), heads=[L1H0])
    for place, view in ((0, a), (1, b), (3, b)):
        np.testing.assert_array_equal(np.isfinite(drawn(figure, place)), view.visible(1))
    row = figure_of(compare(aligned(a, b), query=7), heads=a.all_heads())
    assert np.isnan(drawn(row, 0)[:, 8:]).all()
    for made in (figure, row):
        assert any(text.endswith("grey: may not look there") for text in texts(made))
        assert not any("hatched" in text for text in texts(made))


def test_two_models_are_told_apart() -> None:
    one, other = decoder(), decoder(reach=None)
    other = replace(other, model=replace(other.model, name="other", dtype="bfloat16"))
    comparison = compare(aligned(one.view(), other.view()), matrices_of=[L1H0])
    said = printed(compare_table(comparison))
    assert "B other: 2 layers × 2 heads, d_model 24, d_k 12, d_ff 7, in bfloat16" in said
    assert "B decoder: each word sees itself and those before it" in said
    shown = set(texts(figure_of(comparison, heads=[L1H0])))
    assert {
        "A: decoder: each word sees itself and the 3 pieces before it",
        "B: decoder: each word sees itself and those before it",
        "A: weights: softmax(q kᵀ / √d_k)",
        "B: weights: softmax(q kᵀ / √d_k) · computed in bfloat16",
        "grey: may not look there",
    } <= shown


def test_what_goes_to_no_word_is_told_of_both_sides() -> None:
    both = aligned(decoder(sink=0.25).view(), decoder(sink=0.5).view())
    comparison = compare(both, query=7, matrices_of=[L0H0])
    assert (
        "25% in A and 50% in B (mean over all heads) goes to the model's sink, a place that is "
        "none of the keys; distances count it as one more word."
    ) in printed(compare_table(comparison))
    assert "25% in A and 50% in B goes to the model's sink" in texts(
        figure_of(comparison, heads=[L0H0])
    )


# Explanations


def explained(crossed: bool = False, sink: float | None = None, shared: int = 1) -> Explanation:
    """Head 1 of 4 and its query 2, with random numbers; crossed, or else causal."""
    rng, heads, d_k = np.random.default_rng(4), 4, 3
    kept = heads // shared
    W_Q, W_K, W_V = (rng.normal(size=(12, count * d_k)) for count in (heads, kept, kept))
    layer = Projections(W_Q, W_K, W_V, rng.normal(size=(heads * d_k, 12)))
    tokens = tokens_of(["one", "two", "three", "four"], special=False)
    source = tokens_of(["eins", "zwei", "drei"], special=False) if crossed else None
    x = rng.normal(size=(4, 12)).astype(np.float32)
    memory = rng.normal(size=(3, 12)).astype(np.float32) if crossed else x
    q, k, v = (
        np.stack(np.split(made.astype(np.float32), count, axis=1))
        for made, count in (
            (x @ layer.W_Q, heads),
            (memory @ layer.W_K, kept),
            (memory @ layer.W_V, kept),
        )
    )
    record = LayerRecord(
        x=x,
        encoder_states=memory if crossed else None,
        q=q,
        k=k,
        v=v,
        scale=1 / math.sqrt(d_k),
        key_ranges=None if crossed else causal(4),
        sinks=None if sink is None else np.full(heads, sink, np.float32),
    )
    model = ModelFacts("random", "hand", 1, heads, 12, d_k, 7, True)
    inspection = Inspection(tokens, model, (record,), source, "cross" if crossed else "decoder")
    return explain(inspection, 2, HeadId(0, 1), layer)


def test_the_steps_of_cross_attention() -> None:
    e = explained(crossed=True)
    best = ["eins", "zwei", "drei"][e.order[0]]
    page = printed(steps(e))
    for said in (
        "keys (source) eins zwei drei queries (target) one two three four",
        'how "three" looks, step by step',
        "x times the head's W_Q, 12 × 3; y, the vector of a key, times W_K, 12 × 3, and W_V,",
        "q = x W_Q",
        "k = y W_K",
        "This is seq2seq attention: Q comes from x, the decoder's hidden states, K and V from y, "
        "the encoder's",
        f'Shown are those of "{best}", the key that gets the most weight.',
        "this inspection does not have the decoder's z",
    ):
        assert said in page
    shown = texts(explanation_figure(e))
    assert {"eins", "zwei", "drei", "k = y W_K", f"of “{best}”, d_k = 12 / 4 = 3"} <= set(shown)
    assert any(text.startswith("Seq2seq attention: Q comes from x") for text in shown)
    assert "one row a source token" in shown


def test_keys_out_of_sight_are_counted_and_not_listed() -> None:
    e = explained()
    page, shown = printed(steps(e)), texts(explanation_figure(e))
    assert "1 of 4 keys may not be looked at: their weight is 0, whatever q · k." in page
    assert "1 of 4 keys may not be looked at" in shown
    assert "decoder: each piece sees itself and those before it" in page
    table = page[page.index("6 weight × v") : page.index("z, the sum of all")]
    assert "three" in table
    assert "four" not in table
    assert "four" not in shown
    assert "This is self-attention" in page


def test_the_sink_has_a_row_and_no_value() -> None:
    e = explained(sink=25.0)
    assert e.sink is not None
    page = printed(steps(e))
    assert f"the sink 25.00 .{round(e.sink.weight * 100):02d}" in page
    assert "which sum to 1 together with the sink's" in page
    assert f"the sink, which is no token, takes {e.sink.weight:.1%}" in " ".join(
        texts(explanation_figure(e))
    )


def test_shared_keys_and_values_are_told() -> None:
    assert "Every 2 heads share one k and v." in printed(steps(explained(shared=2)))
    assert "share one" not in printed(steps(explained()))


@pytest.mark.parametrize("crossed", [True, False])
def test_a_pages_numbers_are_the_heads(crossed: bool) -> None:
    e = explained(crossed)
    page = printed(steps(e))
    for key in np.flatnonzero(e.seen):
        name = e.keys[key].label
        assert f"{name} {e.dots[key]:.2f} {e.scores[key]:.2f}" in page
