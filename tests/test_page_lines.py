"""Lines and grid of the page in a real browser: what a reader points at, clicks and reads."""

import csv
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from browser import Opened, until, violations
from handmade import causal, inspection_of, random_inspection, tokens_of, with_layer
from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab
from translated import decoder, translation

from attnviz.answers.overview import overview
from attnviz.answers.page import State, page
from attnviz.inspection import Inspection
from attnviz.model import Model
from attnviz.show.page.document import html_of

HEADS = 12
SVG = "http://www.w3.org/2000/svg"
ANIMAL = "off=" + "-".join(str(head) for head in range(HEADS) if head != 1)

# a copy is read, as Chromium complains of canvases that are read again and again
PIXELS = """const copy = new OffscreenCanvas(canvas.width, canvas.height)
    .getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const pixels = copy.getImageData(0, 0, canvas.width, canvas.height).data;"""


def written(inspection: Inspection, **state: Any) -> str:
    """The page of an inspection's weights."""
    made = page([inspection.view()], State(lang="en", **state))
    return html_of(made)


def drawn(tab: Tab, view: str = "lines") -> Tab:
    """The tab when its view is drawn."""
    expect(tab.locator("#page")).to_have_attribute("data-drawn", view, timeout=30_000)
    return tab


def token(tab: Tab, role: str, place: int) -> Locator:
    """A token of a column."""
    return tab.locator(f".column.of-{role} [data-place='{place}']")


def inked(tab: Tab) -> list[int]:
    """How many pixels each canvas of the lines has that are not blank."""
    found: list[int] = tab.evaluate(
        f"""() => [...document.querySelectorAll(".wires canvas")].map((canvas) => {{
            if (canvas.width < 2) return -1;
            {PIXELS}
            let count = 0;
            for (let at = 3; at < pixels.length; at += 4) count += pixels[at] > 0;
            return count; }})"""
    )
    return found


@pytest.fixture(scope="module")
def animal_page(animal: Inspection) -> str:
    return written(animal, layer=3, head=1)


def test_a_token_pointed_at_shows_its_own_lines(opened: Opened, animal_page: str) -> None:
    tab = drawn(opened(animal_page, f"#{ANIMAL}"))
    every = sum(inked(tab))
    token(tab, "query", 8).hover()
    expect(token(tab, "key", 2)).to_have_text("animal.68")
    expect(token(tab, "key", 6)).to_have_text("street.05")
    expect(token(tab, "key", 3)).to_have_text("didn't")
    assert 0 < sum(inked(tab)) < every
    expect(tab.locator(".readout")).to_contain_text("looks at \u2068animal\u2069 .68")
    tab.locator("h1").hover()
    expect(token(tab, "key", 2)).to_have_text("animal")
    token(tab, "key", 2).hover()
    expect(token(tab, "query", 8)).to_have_text("it.68")


def test_a_click_keeps_a_token_and_another_frees_it(opened: Opened, animal_page: str) -> None:
    tab = drawn(opened(animal_page, f"#{ANIMAL}"))
    token(tab, "query", 8).click()
    tab.locator("h1").hover()
    expect(token(tab, "key", 2)).to_have_text("animal.68")
    expect(token(tab, "query", 8)).to_have_attribute("aria-selected", "true")
    assert "query=8" in tab.url
    token(tab, "query", 8).click()
    tab.locator("h1").hover()
    expect(token(tab, "key", 2)).to_have_text("animal")
    assert "query=" not in tab.url


def test_a_tap_does_what_a_click_does(opened: Opened, animal_page: str) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    tab = drawn(opened(animal_page, f"#{ANIMAL}", **phone))
    token(tab, "query", 8).tap()
    expect(token(tab, "key", 2)).to_have_text("animal.68")
    token(tab, "query", 8).tap()
    expect(token(tab, "key", 2)).to_have_text("animal")


def test_heads_are_switched(opened: Opened, animal_page: str) -> None:
    tab = drawn(opened(animal_page))
    boxes = tab.locator(".heads .box")
    expect(boxes).to_have_count(HEADS)
    boxes.nth(0).click()
    expect(boxes.nth(0)).to_have_attribute("aria-pressed", "false")
    expect(boxes.nth(1)).to_have_attribute("aria-pressed", "true")
    boxes.nth(1).click(modifiers=["Shift"])
    expect(tab.locator(".heads [aria-pressed=true]")).to_have_count(1)
    token(tab, "query", 8).hover()
    expect(token(tab, "key", 2)).to_have_text("animal.68")
    boxes.nth(2).dblclick()
    expect(tab.locator(".heads [aria-pressed=true]")).to_have_text("H2")
    tab.get_by_role("button", name="All").click()
    token(tab, "query", 8).hover()
    expect(token(tab, "key", 2)).to_contain_text("H1.68")
    tab.get_by_role("button", name="None").click()
    expect(tab.locator(".lines .note")).to_have_text("All heads are switched off.")
    assert sum(inked(tab)) == 0


def test_the_threshold_hides_weak_lines(opened: Opened, animal_page: str) -> None:
    tab = drawn(opened(animal_page, f"#{ANIMAL}&threshold=0.5&query=8"))
    expect(tab.locator(".column.of-key .weights")).to_have_text([".68"])
    expect(tab.locator(".lines .note")).to_contain_text("links under .50 not drawn")


def test_lines_follow_the_threshold_as_it_moves(opened: Opened, animal_page: str) -> None:
    tab = drawn(opened(animal_page, f"#{ANIMAL}&query=8"))
    slider = tab.locator(".controls input[type=range]")
    box = slider.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    tab.mouse.move(box["x"] + 12, middle)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] / 2, middle, steps=4)
    expect(tab.locator(".column.of-key .weights")).to_have_text([".68"])
    tab.mouse.move(box["x"] + 1, middle, steps=4)
    expect(tab.locator(".column.of-key .weights")).to_have_count(14)
    tab.mouse.up()
    expect(tab.locator(".controls")).to_contain_text("Threshold 0.00")


def test_the_arrows_walk_through_a_column(opened: Opened, animal_page: str) -> None:
    tab = drawn(opened(animal_page, f"#{ANIMAL}"))
    token(tab, "query", 0).focus()
    for key in ("End", *["ArrowUp"] * 5):
        tab.keyboard.press(key)
    expect(token(tab, "query", 8)).to_be_focused()
    expect(token(tab, "key", 2)).to_have_text("animal.68")
    tab.keyboard.press("Enter")
    assert "query=8" in tab.url


def test_lines_end_at_their_tokens(opened: Opened) -> None:
    weights = np.full((1, 1, 6, 6), 1e-9)
    weights[0, 0, range(6), [5, 1, 2, 3, 4, 5]] = 1
    one = inspection_of(tokens_of(["a", "b", "c", "d"]), weights)
    tab = drawn(opened(written(one)))
    ends = f"""() => {{ const canvas = document.querySelector(".wires canvas");
        {PIXELS}
        const bounds = canvas.getBoundingClientRect();
        const at = (role, x) => [...document.querySelectorAll(`.of-${{role}} .row`)].map((row) => {{
            const {{ top, height }} = row.getBoundingClientRect();
            const y = Math.floor(top + height / 2 - bounds.top);
            return pixels[4 * (y * canvas.width + x) + 3] > 0; }});
        return [at("query", 2), at("key", canvas.width - 3)]; }}"""
    from_query, to_key = tab.evaluate(ends)
    assert from_query == [True] * 6
    assert to_key == [False, *[True] * 5]


def test_only_what_is_in_sight_of_512_tokens_is_drawn(opened: Opened) -> None:
    words = [f"w{place}" for place in range(510)]
    tab = drawn(opened(written(random_inspection(tokens_of(words), 1, 4, seed=1))))
    expect(tab.locator(".wires canvas[width='0']")).to_have_count(len(inked(tab)) - 2)
    assert min(inked(tab)[:2]) > 0
    token(tab, "query", 511).scroll_into_view_if_needed()
    until(
        tab,
        """() => { const all = document.querySelectorAll(".wires canvas");
            return all[all.length - 1].width > 1 && all[2].width < 2; }""",
    )
    assert inked(tab)[-1] > 0
    token(tab, "query", 511).hover()
    expect(token(tab, "query", 511)).to_have_class("row special on")


def test_keys_of_another_text_are_named_as_the_source(opened: Opened) -> None:
    tab = drawn(opened(written(translation(), layer=1)))
    expect(tab.locator("#of-query")).to_have_text("queries (target)")
    expect(tab.locator("#of-key")).to_have_text("keys (source)")
    expect(tab.locator(".of-key .row")).to_have_count(10)
    expect(tab.locator(".of-query .row")).to_have_count(14)
    token(tab, "query", 2).hover()
    expect(token(tab, "key", 2)).to_contain_text("동물은")
    assert violations(tab) == []


def test_what_a_token_may_not_look_at_is_hatched(opened: Opened) -> None:
    one = random_inspection(tokens_of(["a", "b", "c"]), 1, 2, seed=3)
    tab = drawn(opened(written(with_layer(one, 0, key_ranges=causal(5)))))
    expect(tab.locator(".lines .note")).to_contain_text("hatched: may not look there")
    token(tab, "query", 1).hover()
    expect(tab.locator(".of-key .forbidden")).to_have_count(3)


def test_sinks_and_dropped_tokens_are_said(opened: Opened) -> None:
    one = random_inspection(tokens_of(["a", "b", "c"]), 1, 2, seed=3)
    sinks = np.full(2, 0.0, np.float32)
    tab = drawn(opened(written(with_layer(one, 0, sinks=sinks), special=False)))
    said = tab.locator(".lines .note")
    expect(said).to_contain_text("the sink, which is no token, takes")
    expect(said).to_contain_text("special tokens left out: they held")


def test_a_pair_stands_apart(opened: Opened) -> None:
    tokens = tokens_of(["a", "b", "c"], pair=["d", "e"])
    tab = drawn(opened(written(random_inspection(tokens, 1, 2, seed=4))))
    expect(tab.locator(".of-key .second")).to_have_text("d")
    gaps = tab.evaluate(
        """() => [...document.querySelectorAll(".of-key .row")].map((row) => row.offsetTop)
            .map((top, at, all) => top - all[at - 1])"""
    )
    assert gaps[5] > 1.5 * gaps[4] == pytest.approx(1.5 * gaps[6], abs=2)


@pytest.mark.parametrize(
    "look", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}]
)
@pytest.mark.parametrize("view", ["lines", "grid"])
def test_the_views_are_accessible(
    opened: Opened, animal_page: str, view: str, look: dict[str, Any]
) -> None:
    tab = drawn(opened(animal_page, f"#view={view}&query=8", **look), view)
    assert violations(tab) == []


@pytest.mark.parametrize("text", ["Hello", "동물은 길을 건너지 않았다.", "لم يعبر الحيوان الشارع"])
def test_any_writing_fits_its_column(opened: Opened, minilm: Model, text: str) -> None:
    tab = drawn(opened(written(minilm.inspect(text)), viewport={"width": 390, "height": 844}))
    wide = tab.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1]
    cut = tab.evaluate(
        """() => [...document.querySelectorAll(".row .token")].filter((one) =>
            one.scrollWidth > one.clientWidth + 1).length"""
    )
    assert cut == 0


def saved(tab: Tab, form: str) -> str:
    """What the page saves of its view as SVG or CSV."""
    with tab.expect_download() as download:
        tab.locator(f"[data-save={form}]").click()
    return download.value.path().read_text(encoding="utf-8-sig")


def test_lines_are_saved_as_they_are_drawn(opened: Opened, animal_page: str) -> None:
    tab = drawn(opened(animal_page, f"#{ANIMAL}&query=8"))
    picture = ElementTree.fromstring(saved(tab, "svg"))
    texts = [one.text for one in picture.iter(f"{{{SVG}}}text")]
    assert len(list(picture.iter(f"{{{SVG}}}path"))) == 4
    assert texts.count("animal") == 2
    assert ".68" in texts
    assert any("L3H1" in (text or "") for text in texts)
    assert any((text or "").startswith("4 lines") for text in texts)  # those that are drawn
    fonts = {one.get("font-family") for one in picture.iter()} - {None}
    assert len(fonts) == 1
    rows = list(csv.DictReader(saved(tab, "csv").splitlines()))
    assert [row["key"] for row in rows] == ["animal", "[CLS]", "it", "street"]
    assert {(row["layer"], row["head"], row["query"]) for row in rows} == {("3", "1", "it")}
    assert float(rows[0]["weight"]) == pytest.approx(0.677, abs=1e-3)


def test_the_grid_is_saved(opened: Opened, animal_page: str) -> None:
    tab = drawn(opened(animal_page, "#view=grid"), "grid")
    picture = ElementTree.fromstring(saved(tab, "svg"))
    assert len(list(picture.iter(f"{{{SVG}}}image"))) == 6 * HEADS
    rows = list(csv.DictReader(saved(tab, "csv").splitlines()))
    assert [(row["layer"], row["head"]) for row in rows] == [
        (str(layer), str(head)) for layer in range(6) for head in range(HEADS)
    ]


def test_paper_has_every_line_in_light_colours(opened: Opened) -> None:
    words = [f"w{place}" for place in range(200)]
    page = written(random_inspection(tokens_of(words), 1, 2, seed=6))
    tab = drawn(opened(page, color_scheme="dark"))
    assert min(inked(tab)) == -1
    tab.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert min(inked(tab)) > 0
    tab.emulate_media(media="print")
    assert tab.locator(".controls").is_hidden()
    assert tab.locator("body").evaluate("it => getComputedStyle(it).color") == "rgb(27, 27, 31)"


# Grid


def test_the_grid_draws_what_comes_into_sight(opened: Opened) -> None:
    many = random_inspection(tokens_of(["a", "b", "c"]), 22, 12, seed=5)
    tab = drawn(opened(written(many, layer=2, head=3), "#view=grid"), "grid")
    thumbs = tab.locator(".thumb")
    expect(thumbs).to_have_count(264)
    expect(tab.locator(".thumb").first.locator("canvas[data-drawn]")).to_have_count(1)
    last = tab.locator(".thumb").nth(21 * HEADS + 11)
    expect(last.locator("canvas[data-drawn]")).to_have_count(0)
    last.scroll_into_view_if_needed()
    expect(last.locator("canvas[data-drawn]")).to_have_count(1)
    expect(tab.locator(".thumb[aria-current]")).to_have_attribute("aria-label", "L2H3")


def test_arrows_move_over_the_grid_and_a_click_opens(opened: Opened, animal_page: str) -> None:
    tab = drawn(opened(animal_page, "#view=grid"), "grid")
    tab.locator(".thumb").nth(3 * HEADS + 1).focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowDown")
    expect(tab.locator(".thumb").nth(4 * HEADS + 2)).to_be_focused()
    tab.locator(".thumb").nth(5).click()
    assert {"view=head", "layer=0", "head=5"} <= set(tab.url.partition("#")[2].split("&"))


def test_a_layer_that_was_not_recorded_is_said(opened: Opened, animal: Inspection) -> None:
    layers = (None, *animal.layers[1:])
    tab = drawn(opened(written(replace(animal, layers=layers)), "#view=grid"), "grid")
    expect(tab.locator(".absent")).to_have_text("Layer 0 was not recorded.")
    expect(tab.locator(".thumb")).to_have_count(60)


def test_a_head_alone_follows_the_arrows(opened: Opened, animal_page: str) -> None:
    tab = drawn(opened(animal_page, f"#{ANIMAL}"))
    tab.keyboard.press("ArrowRight")
    expect(tab.locator(".heads [aria-pressed=true]")).to_have_text("H2")
    expect(tab.locator("#page")).to_have_attribute("data-drawn", "lines")


def kinds(tab: Tab) -> list[str]:
    """What the grid calls every head, once each was pointed at."""
    thumbs = tab.locator(".thumb")
    thumbs.evaluate_all(
        "all => all.forEach(one => one.dispatchEvent(new PointerEvent('pointerenter')))"
    )
    until(tab, "() => [...document.querySelectorAll('.thumb')].every(e => /·/.test(e.title))")
    return [
        str(one).partition(" · ")[2] for one in thumbs.evaluate_all("all => all.map(e => e.title)")
    ]


def test_heads_have_the_kinds_of_the_tables(opened: Opened, animal: Inspection) -> None:
    tab = drawn(opened(written(animal), "#view=grid"), "grid")
    assert kinds(tab) == [head.kind for head in overview(animal.view()).heads]


def test_masked_heads_have_the_kinds_of_the_tables(opened: Opened) -> None:
    one = decoder()
    tab = drawn(opened(written(one), "#view=grid"), "grid")
    assert kinds(tab) == [head.kind for head in overview(one.view()).heads]
