"""Queries that may not look at every key: causal masks, sliding windows, biases."""

import numpy as np
import pytest
from handmade import causal, inspection_of, tokens_of, with_layer

from attnviz.answers import yardsticks
from attnviz.answers.find import find
from attnviz.answers.holding import holding
from attnviz.answers.links import strongest_link
from attnviz.answers.masks import by_mask
from attnviz.answers.overview import overview
from attnviz.answers.select import Phrase
from attnviz.attention.measures import MeasureName
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection, View
from attnviz.inspection import view as view_module
from attnviz.text.tokens import Tokens


def masked(tokens: Tokens, *visible: np.ndarray) -> Inspection:
    """A layer for each mask, of two heads that give all visible keys alike."""
    count = len(tokens)
    weights = np.full((len(visible), 2, count, count), 1 / count)
    inspection = inspection_of(tokens, weights)
    for layer, mask in enumerate(visible):
        inspection = with_layer(inspection, layer, key_ranges=mask)
    return inspection


def pieces_of(text: str, *spans: tuple[int, int]) -> Tokens:
    """A text in pieces of these spans."""
    numbers = tuple(range(len(spans)))
    nought = (0,) * len(spans)
    cut = tuple(text[start:end] for start, end in spans)
    return Tokens(text, None, numbers, cut, spans, nought, nought)


def test_a_causal_mask() -> None:
    view = masked(tokens_of(["a", "b", "c"]), causal(5)).view()
    seen = view.visible(0)
    assert seen is not None
    np.testing.assert_array_equal(seen, np.tri(5, dtype=bool))
    assert (view.weights(0)[:, ~seen] == 0).all()
    assert (view.weights(0)[:, seen] > 0).all()
    np.testing.assert_array_equal(seen, view.visible(-1))
    with pytest.raises(IndexError, match="there is no layer 1: there are 1"):
        view.visible(1)


def test_nothing_is_masked() -> None:
    tokens = tokens_of(["a", "b"])
    everything = np.array([(0, 4)] * 4, np.int32)
    assert masked(tokens, everything).view().visible(0) is None
    weights = np.full((1, 1, 4, 4), 0.25)
    assert inspection_of(tokens, weights).view().visible(0) is None


def test_words_see_what_any_of_their_pieces_sees() -> None:
    tokens = pieces_of("aabb ccc", (0, 2), (2, 4), (5, 8))
    inspection = masked(tokens, np.array([(0, 1), (0, 2), (0, 3)], np.int32))
    pieces, words = inspection.view("piece").visible(0), inspection.view("word").visible(0)
    assert pieces is not None
    assert pieces.tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert words is not None
    assert words.tolist() == [[True, False], [True, True]]


def test_a_window_without_special_tokens() -> None:
    sliding = causal(6, reach=1)
    inspection = masked(tokens_of(["a", "b", "c", "d"]), sliding)
    whole = np.tri(6, dtype=bool) & ~np.tri(6, k=-2, dtype=bool)
    for special in (True, False):
        for unit in ("word", "piece"):
            seen = inspection.view(unit, special, window=(2, 6)).visible(0)
            kept = slice(2, 6 if special else 5)
            assert seen is not None
            np.testing.assert_array_equal(seen, whole[kept, kept])
    rows = inspection.view(special=False).visible(0, slice(1, 3))
    np.testing.assert_array_equal(rows, whole[2:4, 1:5])


def test_a_bias_masks_where_every_head_has_it() -> None:
    inspection = masked(tokens_of(["a", "b"], special=False), causal(2))
    bias = np.zeros((2, 2, 2), np.float32)
    bias[0, 1, 0] = -np.inf
    seen = with_layer(inspection, 0, key_ranges=None, bias=bias).view().visible(0)
    assert seen is None
    bias[1, 1, 0] = -np.inf
    seen = with_layer(inspection, 0, key_ranges=None, bias=bias).view().visible(0)
    np.testing.assert_array_equal(seen, [[True, True], [False, True]])
    seen = with_layer(inspection, 0, bias=bias).view().visible(0)
    np.testing.assert_array_equal(seen, [[True, False], [False, True]])


@pytest.mark.parametrize("measure", ["rollout", "flow"])
def test_what_layers_reach_together(measure: MeasureName) -> None:
    sliding = causal(5, reach=1)
    inspection = masked(tokens_of(["a", "b", "c", "d", "e"], special=False), sliding, sliding)
    view = inspection.view(measure=measure)
    for layer, reach in enumerate((2, 3)):
        seen = view.visible(layer)
        expected = np.tri(5, dtype=bool) & ~np.tri(5, k=-reach, dtype=bool)
        np.testing.assert_array_equal(seen, expected)
        np.testing.assert_array_equal(view.weights(layer) > 0, expected)


# What heads do, as far as they may


def test_rows_without_a_choice_do_not_count() -> None:
    """Each word gives all that it may look at alike; the first can look at itself alone."""
    inspection = masked(tokens_of(["a", "b", "c"], special=False), causal(3))
    head = overview(inspection.view()).heads[0]
    assert head.kind == "broad"
    assert head.entropy == pytest.approx((np.log2(2) + np.log2(3)) / 2, abs=1e-6)
    assert head.spread == pytest.approx(1, abs=1e-6)
    shares = head.shares
    assert shares.itself == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert shares.previous == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert shares.next is None
    assert shares.special == pytest.approx((1 / 2 + 1 / 3) / 2), "what b and c give the first"
    links = {(link.query.text, link.key.text) for link in head.links}
    assert links == {("b", "a"), ("c", "a"), ("c", "b")}


def test_one_word_under_a_causal_mask_has_no_choice() -> None:
    head = overview(masked(tokens_of(["a"], special=False), causal(1)).view()).heads[0]
    assert (head.kind, head.entropy, head.spread, head.links) == ("to itself", 0, 0, ())


def test_each_layer_counts_by_its_own_mask() -> None:
    tokens = tokens_of(["a", "b", "c", "d"], special=False)
    sliding = causal(4, reach=1)
    full = np.array([(0, 4)] * 4, np.int32)
    heads = overview(masked(tokens, sliding, full, sliding).view()).heads
    assert [round(head.spread, 5) for head in heads] == [1] * 6
    assert [round(head.entropy, 5) for head in heads] == [1, 1, 2, 2, 1, 1]
    assert [head.shares.next is None for head in heads] == [True, True, False, False, True, True]


def test_no_link_goes_where_a_query_may_not_look() -> None:
    """The words further off, which would come first, may not be looked at."""
    inspection = masked(tokens_of(["a", "b", "c", "d"]), causal(6))
    view = inspection.view()
    found = [strongest_link(view, query).link for query in (1, 2, 3)]
    assert [(link.key.text, round(link.weight, 6)) for link in found] == [
        ("[CLS]", round(1 / 2, 6)),  # nothing else but itself
        ("a", round(1 / 3, 6)),  # its neighbour
        ("a", round(1 / 4, 6)),
    ]


# find


def phrase(view: View, *indices: int) -> Phrase:
    return Phrase(tuple(view.tokens[index] for index in indices))


def test_yardsticks_count_the_pairs_that_may_look() -> None:
    """Each word gives alike what it may look at: 1 / 2, 1 / 3 ... of it; some see two keys."""
    tokens = tokens_of(["a", "b", "c", "d", "e", "f"], special=False)
    narrow = causal(6)
    narrow[2] = (2, 3)  # c sees itself alone
    view = masked(tokens, causal(6), narrow).view()
    wide, close = find(view, phrase(view, 4), phrase(view, 3), by="weight").heads[::2]
    assert str(wide.head) == "L0H0"
    assert wide.weight == close.weight == pytest.approx(1 / 5)
    assert wide.same_distance is not None
    assert wide.same_distance[:2] == pytest.approx(((1 / 2 + 1 / 3 + 1 / 4 + 1 / 6) / 4, 4))
    # (c, b) may not look, and does not count
    assert close.same_distance is not None
    assert close.same_distance[:2] == pytest.approx(((1 / 2 + 1 / 4 + 1 / 6) / 3, 3))
    # d itself and f may look at d; a, b and c may not
    for head in (wide, close):
        assert head.same_key is not None
        assert head.same_key[:2] == pytest.approx(((1 / 4 + 1 / 6) / 2, 2))
    last = find(view, phrase(view, 5), phrase(view, 4)).heads[0]
    assert last.same_key is None  # but f, e alone may look at e
    assert last.same_distance is not None
    assert last.excess == pytest.approx(last.weight - last.same_distance.mean, abs=1e-6)


def test_a_head_that_may_not_look_has_no_yardstick() -> None:
    tokens = tokens_of(["a", "b", "c", "d"], special=False)
    view = masked(tokens, causal(4), causal(4, reach=1)).view()
    first, *_, last = find(view, phrase(view, 3), phrase(view, 1)).heads
    assert (first.head.layer, last.head.layer) == (0, 1)
    assert (last.weight, last.excess, last.rank, last.argmax) == (0, None, 3, False)
    assert (last.same_distance, last.same_key) == (None, None)
    held = holding([find(view, phrase(view, 3), phrase(view, 1))] * 2).heads[-1]
    assert (held.mean, held.excess, held.excess_interval) == (0, None, None)
    assert (held.same_distance, held.same_key) == (None, None)


def test_a_word_that_comes_later_is_not_looked_at() -> None:
    view = masked(tokens_of(["a", "b", "c"], special=False), causal(3)).view()
    with pytest.raises(RequestError) as caught:
        find(view, phrase(view, 0), phrase(view, 2))
    assert caught.value.message == '"a" may not look at "c": a mask keeps it off'
    assert caught.value.hint == '"c" may look at "a": name them the other way round'
    for query, key in ((0, 2), (2, 0)):
        with pytest.raises(RequestError, match=r'"a" may not look at "c".* .leave out --both.'):
            find(view, phrase(view, query), phrase(view, key), both=True)
    narrow = masked(tokens_of(["a", "b", "c"], special=False), causal(3, reach=1)).view()
    with pytest.raises(RequestError, match=r"keeps it off .choose other words, or other layers."):
        find(narrow, phrase(narrow, 2), phrase(narrow, 0))
    # of "b c", c may look at a
    head = find(view, phrase(view, 1, 2), phrase(view, 0)).heads[0]
    assert head.weight == pytest.approx((1 / 2 + 1 / 3) / 2)
    # as b to a is c to b; nothing but c is as far from another as from a
    assert (head.same_distance, head.same_key) == (None, None)
    narrow_head = find(narrow, phrase(narrow, 1, 2), phrase(narrow, 0)).heads[0]
    # c may not look at a, and so nothing is missing: b to a is compared with c to b
    assert narrow_head.weight == pytest.approx(1 / 2 / 2)
    assert narrow_head.same_distance is not None
    assert narrow_head.same_distance[:2] == pytest.approx((1 / 2 / 2, 1))


def test_masks_of_long_texts_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = tokens_of([f"w{i}" for i in range(40)])
    view = masked(tokens, causal(42, reach=7)).view()
    whole = find(view, phrase(view, 30), phrase(view, 25))
    monkeypatch.setattr(yardsticks, "ROWS_AT_ONCE", 5)
    monkeypatch.setattr(view_module, "WEIGHTS_AT_ONCE", 100)
    again = masked(tokens, causal(42, reach=7)).view()
    parts = find(again, phrase(again, 30), phrase(again, 25))
    for one, other in zip(parts.heads, whole.heads, strict=True):
        assert one.same_distance == pytest.approx(other.same_distance)
        assert one.same_key == pytest.approx(other.same_key)
    distance, key = whole.heads[0].same_distance, whole.heads[0].same_key
    assert distance is not None
    assert distance[:2] == pytest.approx(((1 / 7 + 33 / 8) / 34, 34))
    assert key is not None
    assert key[:2] == pytest.approx((1 / 8, 7))


def test_only_keys_that_may_be_looked_at_are_ranked() -> None:
    tokens = tokens_of(["a", "b", "c", "d", "e"], special=False)
    view = masked(tokens, causal(5), causal(5, reach=1)).view()
    assert find(view, phrase(view, 2), phrase(view, 1)).keys == 3
    assert find(view, phrase(view, 3), phrase(view, 1, 2)).keys == 3
    assert find(view, phrase(view, 3), phrase(view, 2), [HeadId(1, 0)]).keys == 2


def test_layers_with_the_same_mask_are_counted_once() -> None:
    tokens = tokens_of(["a", "b", "c"], special=False)
    inspection = masked(tokens, causal(3), causal(3, reach=1), causal(3), causal(3))
    bias = np.zeros((1, 3, 3), np.float32)
    for layer in (2, 3):
        inspection = with_layer(inspection, layer, bias=bias.copy() if layer == 2 else None)
    asked: list[int] = []

    def made(layer: int) -> int:
        asked.append(layer)
        return layer

    one = by_mask(inspection.view(), made)
    assert [one(layer) for layer in (0, 1, 2, 3, 1)] == [0, 1, 2, 0, 1]
    assert asked == [0, 1, 2]
    rolled = by_mask(inspection.view(measure="rollout"), made)
    assert [rolled(layer) for layer in range(4)] == [0, 1, 2, 3]
