"""One text that looks at another: words, kinds, links and answers, worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from handmade import cross_inspection_of, inspection_of, tokens_of

from attnviz.answers.align import aligned
from attnviz.answers.compare import compare
from attnviz.answers.find import Finding, find
from attnviz.answers.holding import holding
from attnviz.answers.links import strongest_link, strongest_of
from attnviz.answers.overview import overview
from attnviz.answers.select import Phrase, find_in, find_phrase, find_token
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection, View

TARGET, SOURCE = ["Es", "regnet"], ["It", "rains", "here"]
"""[CLS] Es regnet [SEP] look at [CLS] It rains here [SEP]."""

EVEN = [0.2] * 5


def view_of(*heads: dict[int, list[float]], special: bool = True) -> View:
    """A layer of heads, with the rows given; others give all keys alike."""
    weights = np.full((1, len(heads), 4, 5), 0.2)
    for head, rows in enumerate(heads):
        for query, row in rows.items():
            weights[0, head, query] = row
    tokens, keys = tokens_of(TARGET), tokens_of(SOURCE)
    return cross_inspection_of(tokens, keys, weights).view(special=special)


# Which word is meant


def test_queries_are_words_of_the_target_and_keys_of_the_source() -> None:
    view = view_of({})
    assert find_in(view.context, "query", "regnet", find_token).token is view.tokens[2]
    assert find_in(view.context, "key", "here", find_token).token is view.keys[3]
    assert find_in(view.context, "key", "it rains", find_phrase).tokens == view.keys[1:3]
    assert find_in(view.context, "query", "@3", find_token).token.text == "[SEP]"
    assert find_in(view.context, "key", "@4", find_token).token.text == "[SEP]"


@pytest.mark.parametrize(
    ("role", "word", "message", "hint"),
    [
        (
            "query",
            "dog",
            'there is no "dog" in the target',
            "the target has [CLS], Es, regnet, [SEP]",
        ),
        (
            "key",
            "dog",
            'there is no "dog" in the source',
            "the source has [CLS], It, rains, here, [SEP]",
        ),
        (
            "query",
            "rains",
            'there is no "rains" in the target',
            'the target has [CLS], Es, regnet, [SEP]; the source has "rains", as a key',
        ),
        (
            "key",
            "ES",
            'there is no "ES" in the source',
            'the source has [CLS], It, rains, here, [SEP]; the target has "ES", as a query',
        ),
        (
            "query",
            "@7",
            "there is no token @7 in the target: the tokens run from @0 to @3",
            "the target has [CLS], Es, regnet, [SEP]",
        ),
        ("key", "It#2", 'there is no It#2: "It" occurs once', "It#1 is the first"),
    ],
)
def test_a_word_that_is_not_in_its_text(role: str, word: str, message: str, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        find_in(view_of({}).context, "query" if role == "query" else "key", word, find_token)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_one_text_is_called_the_sentence() -> None:
    view = inspection_of(tokens_of(TARGET), np.full((1, 1, 4, 4), 0.25)).view()
    with pytest.raises(RequestError, match=r'no "dog" in the sentence .it has .CLS., Es, regnet'):
        find_in(view.context, "key", "dog", find_token)


def test_a_window_is_about_the_target() -> None:
    across = cross_inspection_of(tokens_of(TARGET), tokens_of(SOURCE), np.full((1, 1, 4, 5), 0.2))
    view = across.view(window=(0, 2))
    assert find_in(view.context, "key", "here", find_token).token is view.keys[3]
    with pytest.raises(RequestError, match='"regnet" is outside the window'):
        find_in(view.context, "query", "regnet", find_token)
    with pytest.raises(RequestError, match='no "dog" in the target'):
        find_in(view.context, "query", "dog", find_token)


# Kinds, entropies, links


def test_no_head_is_told_by_place() -> None:
    """The first looks at what stands where it stands itself, the second at what stands before."""
    view = view_of(
        {1: [0, 1, 0, 0, 0], 2: [0, 0, 1, 0, 0]},
        {1: [1, 0, 0, 0, 0], 2: [0, 1, 0, 0, 0]},
        {1: [0.4, 0.1, 0, 0, 0.5], 2: [0.35, 0, 0.25, 0, 0.4]},
        {1: EVEN, 2: EVEN},
        {1: [0, 0.9, 0, 0.1, 0], 2: [0, 0.9, 0.1, 0, 0]},
    )
    heads = overview(view).heads
    kinds = ["other", "other", "first/special", "broad", "other"]
    assert [head.kind for head in heads] == kinds
    for head in heads:
        shares = head.shares
        assert (shares.itself, shares.previous, shares.next) == (None, None, None)
    special = [head.shares.special for head in heads]
    # the first word of a text that another looks at is a word like others
    assert special == pytest.approx([0, 0.5, (0.9 + 0.75) / 2, 0.4, 0], abs=1e-6)
    bits = -(0.9 * np.log2(0.9) + 0.1 * np.log2(0.1))
    entropies = [0, 0, None, np.log2(5), bits]
    for head, entropy in zip(heads, entropies, strict=True):
        if entropy is not None:
            assert head.entropy == pytest.approx(entropy, abs=1e-5)
            assert head.spread == pytest.approx(entropy / np.log2(5), abs=1e-5)


def test_links_go_from_words_of_the_target_to_words_of_the_source() -> None:
    view = view_of({1: [0.5, 0.3, 0, 0.2, 0], 2: [0, 0.1, 0.25, 0, 0.65]})
    [head] = overview(view, links=4).heads
    links = [(link.query.text, link.key.text, round(link.weight, 4)) for link in head.links]
    assert links == [
        ("Es", "It", 0.3),  # which stand at the same index, and are no word itself
        ("regnet", "rains", 0.25),
        ("Es", "here", 0.2),
        ("regnet", "It", 0.1),
    ]
    [plain] = overview(view_of({1: [0.5, 0.3, 0, 0.2, 0]}, special=False), links=1).heads
    assert (plain.links[0].query.index, plain.links[0].key.index) == (0, 0)
    assert plain.links[0].weight == pytest.approx(0.6)
    assert plain.dropped == pytest.approx((0.5 + 0.4) / 2)


def test_the_strongest_link_may_be_to_any_word() -> None:
    view = view_of({2: [0.2, 0.1, 0.3, 0, 0.4]}, {2: [0.3, 0.3, 0.25, 0, 0.15]})
    found = strongest_link(view, 2)
    # at the same index, of another text: neither the word itself nor its neighbour
    assert (found.head, found.link.key.text) == (HeadId(0, 0), "rains")
    assert found.link.weight == pytest.approx(0.3)
    assert 'in which "regnet" looks hardest at "rains": 0.30' in found.why(view.context)
    best = strongest_of(overview(view))
    assert best is not None
    assert (best.head, best.link.query.text, best.link.key.text) == (
        HeadId(0, 0),
        "regnet",
        "rains",
    )


# find


def found_in(view: View, query: str, key: str) -> Finding:
    looks = find_in(view.context, "query", query, find_phrase)
    return find(view, looks, find_in(view.context, "key", key, find_phrase))


ROWS = {0: [0, 0.5, 0, 0, 0.5], 1: [0.1, 0.6, 0.1, 0.2, 0], 2: [0, 0.2, 0.7, 0.1, 0]}


def test_the_yardstick_is_what_other_words_give_the_key() -> None:
    """There is no distance between words of two texts."""
    found = found_in(view_of(ROWS), "Es", "It")
    [head] = found.heads
    assert (round(head.weight, 5), head.rank, head.argmax) == (0.6, 1, True)
    assert head.same_distance is None
    assert head.same_key == pytest.approx((0.2, 1, 3))  # regnet; [CLS] is no word
    assert head.excess == pytest.approx(0.4)
    assert found.keys == 5
    strongest = found.context.keys[found.strongest[0]]
    assert (strongest.text, round(float(found.most[0]), 5)) == ("It", 0.6)


def test_words_at_the_same_index_are_two_words() -> None:
    assert found_in(view_of(ROWS), "@1", "@1").heads[0].weight == pytest.approx(0.6)


def test_phrases_of_two_texts() -> None:
    found = found_in(view_of(ROWS), "Es regnet", "rains here")
    [head] = found.heads
    assert head.weight == pytest.approx((0.3 + 0.8) / 2)
    assert (head.same_distance, head.same_key, head.excess) == (None, None, None)
    assert found.keys == 4
    one = found_in(view_of(ROWS), "Es", "rains here").heads[0]
    assert one.weight == pytest.approx(0.1 + 0.2)
    assert one.same_key == pytest.approx((0.7 + 0.1, 1, 0.3 / 0.8))


def test_special_tokens_look_where_one_is_asked_about() -> None:
    found = found_in(view_of(ROWS), "[CLS]", "It")
    mean = (0.6 + 0.2 + 0.2) / 3
    assert found.heads[0].same_key == pytest.approx((mean, 3, 0.5 / mean))


def test_the_source_does_not_look_back() -> None:
    view = view_of(ROWS)
    query, key = Phrase((view.tokens[1],)), Phrase((view.keys[1],))
    with pytest.raises(RequestError, match=r"do not look back at the target .leave out --both."):
        find(view, query, key, both=True)


def test_heads_that_hold_over_many_sentences() -> None:
    findings = [found_in(view_of(ROWS), word, "It") for word in ("Es", "regnet")]
    [head] = holding(findings).heads
    assert (head.hits, round(head.mean, 5), round(head.minimum, 5)) == (1, 0.4, 0.2)
    assert head.same_key == pytest.approx(((0.2 + 0.6) / 2, 2, 1))
    assert head.excess == pytest.approx(0, abs=1e-6)


def test_what_a_decoder_gives_itself_and_its_source_is_not_counted_together() -> None:
    tokens = tokens_of(TARGET)
    across = cross_inspection_of(tokens, tokens_of(["It", "rains"]), np.full((1, 1, 4, 4), 0.25))
    record = replace(across.layer(0), encoder_states=None)
    own = replace(across, keys=None, layers=(record,), attention="decoder")
    views = across.view(), own.view()
    findings = [find(v, Phrase((v.tokens[1],)), Phrase((v.keys[2],))) for v in views]
    with pytest.raises(RequestError, match="one kind of attention, and here are cross and decoder"):
        holding(findings)


# compare


def across(target: list[str], source: list[str], rows: dict[int, list[float]]) -> Inspection:
    weights = np.full((1, 1, len(target) + 2, len(source) + 2), 1 / (len(source) + 2))
    for query, row in rows.items():
        weights[0, 0, query] = row
    return cross_inspection_of(tokens_of(target), tokens_of(source), weights)


def test_targets_and_sources_are_laid_beside_each_other_for_themselves() -> None:
    a = across(TARGET, SOURCE, {2: [0, 0.5, 0.25, 0.25, 0]})
    b = across(["Es", "schneit"], ["It", "snows"], {2: [0, 0.5, 0.5, 0]})
    both = aligned(a.view(), b.view())
    assert [column.label for column in both.columns] == ["[CLS]", "Es", "regnet→schneit", "[SEP]"]
    labels = ["[CLS]", "It", "rains", "here", "snows", "[SEP]"]
    assert [column.label for column in both.keys] == labels
    assert (both.find("Es")[0], both.find("It", "key")[0]) == (1, 1)
    assert both.pair(5, "key") == (a.view().keys[4], b.view().keys[3])
    assert (both.places("a"), both.places("b")) == ([0, 1, 2, 3, 5], [0, 1, 4, 5])
    assert both.places("b", "query") == [0, 1, 2, 3]
    assert not both.identical
    comparison = compare(both, query=2, key=1)
    assert comparison.keys is both.keys
    [change] = comparison.heads
    np.testing.assert_allclose(change.a, [0, 0.5, 0.25, 0.25, 0, 0], atol=1e-6)
    np.testing.assert_allclose(change.b, [0, 0.5, 0, 0, 0.5, 0], atol=1e-6)
    # a half is alike, and the other half has nothing in common
    assert change.distance == pytest.approx(np.sqrt(0.5), abs=1e-6)
    assert (change.gained(3), change.lost(3)) == ([4], [2, 3])
    assert change.rest is None
    [every] = compare(both).heads
    assert every.distances is not None
    assert len(every.distances) == 4
    assert len(every.a) == 6
    assert every.distances[2] == pytest.approx(np.sqrt(0.5), abs=1e-6)


def test_words_of_either_text_are_named() -> None:
    a, b = across(TARGET, SOURCE, {}), across(["Es", "schneit"], ["It", "snows"], {})
    both = aligned(a.view(), b.view())
    with pytest.raises(RequestError, match='sentence B: there is no "here" in the source'):
        both.find("here", "key")
    with pytest.raises(
        RequestError, match=r'"It" is in neither target .*the source has "It", as a key'
    ):
        both.find("It")


def test_what_cannot_be_compared() -> None:
    a = across(TARGET, SOURCE, {})
    with pytest.raises(RequestError, match="the two targets have no word in common"):
        aligned(a.view(), across(["Ja"], SOURCE, {}).view())
    with pytest.raises(RequestError, match="the two sources have no word in common"):
        aligned(a.view(), across(TARGET, ["Yes"], {}).view())
    own = inspection_of(tokens_of(TARGET), np.full((1, 1, 4, 4), 0.25)).view()
    for one, other, crossed in ((a.view(), own, "A"), (own, a.view(), "B")):
        with pytest.raises(RequestError, match=f"sentence {crossed} looks at another text"):
            aligned(one, other)
    assert aligned(a.view(), across(TARGET, SOURCE, {}).view()).identical
