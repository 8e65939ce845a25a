"""The page's find box in a real browser: it says what `attnviz find` says."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from browser import Opened, violations
from handmade import causal, inspection_of, random_inspection, tokens_of, with_layer
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect
from test_page_lines import drawn, written
from translated import translation

from attnviz.answers.find import By, find
from attnviz.answers.opening import opening_of
from attnviz.answers.page import page
from attnviz.answers.select import find_phrase
from attnviz.inspection import Inspection
from attnviz.show.page.document import html_of


def asked(tab: Tab, query: str, key: str) -> Tab:
    """The tab after both words were typed."""
    tab.keyboard.press("/")
    expect(tab.locator("#find-query")).to_be_focused()
    for role, word in (("query", query), ("key", key)):
        tab.locator(f"#find-{role}").fill(word)
        tab.keyboard.press("Enter")
    return tab


def table(tab: Tab) -> list[list[str]]:
    """The cells of the table of heads."""
    rows = tab.locator(".find tbody tr")
    expect(rows.first).to_be_visible()
    return [row.locator("th button, td").all_inner_texts() for row in rows.all()]


@pytest.fixture(scope="module")
def animal_page(animal: Inspection) -> str:
    return written(animal, layer=3, head=1)


def test_a_place_is_that_in_the_whole_text(opened: Opened, animal: Inspection) -> None:
    made = html_of(page([animal.view(window=(6, 10))]))
    tab = asked(drawn(opened(made)), "@8", "@7")
    assert table(tab)
    assert "query=2&key=1" in tab.url  # of street, because, it, was
    assert tab.inner_text(".notes") == "tokens 6 to 9 of 14"
    tab.select_option("label:has-text('Unit') select", "piece")
    assert drawn(tab).inner_text(".notes") == "tokens 8 to 11 of 16"


@pytest.mark.parametrize("by", ["excess", "weight"])
@pytest.mark.parametrize("key", ["animal", "the street"])
def test_heads_are_ranked_as_find_does(
    opened: Opened, animal_page: str, animal: Inspection, key: str, by: By
) -> None:
    view = animal.view()
    phrases = [find_phrase(view.tokens, word) for word in ("it", key)]
    expected = find(view, phrases[0], phrases[1], by=by).heads[:10]
    tab = asked(drawn(opened(animal_page)), "it", key)
    tab.locator(f".find .segmented button:text-is('{by}')").click()
    found = table(tab)
    assert len(found) == 10
    by_name = {str(head.head): head for head in expected}
    assert len(by_name.keys() & {row[0] for row in found}) >= 9  # numbers are rounded to 1e-3
    assert found[0][0] == str(expected[0].head)
    for name, weight, excess, rank, distance, same in found:
        head = by_name.get(name)
        if head is None:
            continue
        assert head.excess is not None
        assert head.same_key is not None
        assert head.same_distance is not None
        assert int(rank) == pytest.approx(head.rank, abs=1)
        numbers = [weight, excess.replace("−", "-"), distance.split()[0], same.split()[0]]
        means = head.weight, head.excess, head.same_distance.mean, head.same_key.mean
        np.testing.assert_allclose([float(number) for number in numbers], means, atol=4e-3)


def test_a_head_is_opened_with_its_words(opened: Opened, animal_page: str) -> None:
    tab = asked(drawn(opened(animal_page, "#view=grid&layer=0&head=0"), "grid"), "it", "animal")
    expect(tab.locator(".find-results p").first).to_contain_text(
        "L3H1: “\u2068it\u2069” gives “\u2068animal\u2069” 0.677, rank 1 of 14 keys."
    )
    assert violations(tab) == []
    tab.get_by_role("button", name="All 72 heads").click()
    expect(tab.locator(".find tbody tr")).to_have_count(72)
    tab.locator(".find tbody button").first.click()
    drawn(tab, "head")
    assert {"query=8", "key=2"} <= set(tab.url.partition("#")[2].split("&"))
    tab.locator("#find-key").press("Escape")
    expect(tab.locator("#find")).to_be_hidden()
    expect(tab.locator("[aria-controls=find]")).to_be_focused()


def test_an_answer_about_several_words_opens_with_all_of_them(
    opened: Opened, animal: Inspection
) -> None:
    view = animal.view()
    query, key = (find_phrase(view.tokens, word) for word in ("it", "the street"))
    state = opening_of(find(view, query, key), "head")
    html = html_of(page([view], replace(state, lang="en")))
    tab = drawn(opened(html), "head")
    expect(tab.locator(".find caption")).to_contain_text("the street")
    tab.locator(".find-form .icon").click()
    expect(tab.locator("#find-query")).to_have_value("the street")
    assert "phrase=2-1" in tab.url
    tab.locator(".controls .picker select").nth(2).select_option("6")
    expect(tab.locator("#find-query")).to_have_value("street")


def test_a_link_finds_too_and_words_change_places(opened: Opened, animal_page: str) -> None:
    tab = drawn(opened(animal_page, "#find=true&query=8&key=2"))
    expect(tab.locator("#find-query")).to_have_value("it")
    expect(tab.locator("#find-query")).not_to_be_focused()
    expect(tab.locator(".find caption")).to_contain_text("\u2068it\u2069 → \u2068animal\u2069")
    tab.locator(".find-form .icon").click()
    expect(tab.locator(".find caption")).to_contain_text("\u2068animal\u2069 → \u2068it\u2069")


@pytest.mark.parametrize(
    ("query", "key", "fragment", "said"),
    [
        ("zebra", "animal", "", "No word contains “zebra”."),
        ("it", "IT", "", "Choose two different words."),
        ("it", "", "", "Choose two words."),
        ("it", "[CLS]", "#special=false", "Not shown now"),
        ("it", "tired", "#window=2-10", "Not shown now"),
    ],
)
def test_why_nothing_is_found(
    opened: Opened, animal_page: str, query: str, key: str, fragment: str, said: str
) -> None:
    tab = asked(drawn(opened(animal_page, fragment)), query, key)
    expect(tab.locator(".find-results")).to_contain_text(said)


def test_what_special_tokens_held_is_said(opened: Opened, animal_page: str) -> None:
    tab = drawn(opened(animal_page, "#find=true&query=8&key=2&special=false"))
    expect(tab.locator(".find-results")).to_contain_text("special tokens left out: they held 39%")
    tab.locator("#find-query").fill("zebra")
    tab.keyboard.press("Enter")
    expect(tab.locator(".find-results")).to_have_text("No word contains “zebra”.")


def test_masked_words_and_no_yardsticks(opened: Opened) -> None:
    tokens = tokens_of(["so", "it", "goes"], special=False)
    inspection = with_layer(random_inspection(tokens, 1, 2, 1), 0, key_ranges=causal(3))
    tab = asked(drawn(opened(written(inspection))), "so", "goes")
    expect(tab.locator(".find-results")).to_contain_text("A mask keeps these two words apart.")
    tab.locator("#find-query").fill("goes")
    tab.locator("#find-key").fill("so")
    tab.keyboard.press("Enter")
    assert {row[4] for row in table(tab)} == {"–"}


def test_words_of_another_language(opened: Opened) -> None:
    words = ["한국어", "문장", "</script>", "한국어"]
    tokens = tokens_of(words)
    weights: Any = np.full((1, 1, len(tokens), len(tokens)), 1 / len(tokens))
    html = written(inspection_of(tokens, weights))
    tab = asked(drawn(opened(html, locale="ko-KR")), "문장", "</script>")
    expect(tab.locator(".find caption")).to_contain_text("\u2068문장\u2069 → \u2068</script>\u2069")


def test_words_of_two_texts(opened: Opened) -> None:
    """In cross-attention nothing is as far apart, and the same word may stand in both."""
    tab = asked(drawn(opened(written(translation()))), "it", "동물은")
    expect(tab.locator("label[for=find-query]")).to_have_text("queries (target)")
    assert all(row[4] == "–" for row in table(tab))
    assert violations(tab) == []
