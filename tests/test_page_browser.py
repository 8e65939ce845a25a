"""The page in Chromium: what a reader sees, points at and types. It logs and asks for nothing."""

import html
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import numpy as np
import pytest
from browser import Opened, drawn, page_of, until, violations
from handmade import random_inspection, tokens_of
from playwright.sync_api import expect
from pypdf import PdfReader

from attnviz.inspection import Inspection
from attnviz.model import Model

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ANIMAL_68 = re.compile("animal\u2069? \\.68")  # names are isolated: they may be of any direction
HOSTILE = "</script><img src=x onerror=document.title='caught'>"
VIEWS = ("lines", "grid", "head", "steps", "layer", "tour")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def animal_page(animal: Inspection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "animal.html"
    path.write_text(page_of(animal), encoding="utf-8")
    return path


def fragment(**state: object) -> str:
    return f"#{urlencode(state)}"


def state_of(page: "Page") -> dict[str, str]:
    """The state as the address has it."""
    return dict(page.evaluate("[...new URLSearchParams(location.hash.slice(1))]"))


def token(page: "Page", name: str, column: str) -> "Locator":
    return page.locator(f".of-{column} [role=option]").filter(has_text=re.compile(f"^{name}"))


def test_pointing_at_it_shows_animal(opened: Opened, animal_page: Path) -> None:
    page = drawn(opened(animal_page, fragment(layer=3, head=1, off="0-2-3-4-5-6-7-8-9-10-11")))
    token(page, "it", "query").hover()
    expect(token(page, "animal", "key")).to_have_text(re.compile(r"^animal\s*\.68$"))
    expect(page.locator(".readout")).to_have_text(ANIMAL_68)
    page.mouse.move(0, 0)
    expect(page.locator(".readout")).not_to_have_text(ANIMAL_68)


def test_a_tap_shows_animal_too(opened: Opened, animal_page: Path) -> None:
    page = drawn(opened(animal_page, fragment(layer=3, head=1), **PHONE))
    token(page, "it", "query").tap()
    until(page, "location.hash.includes('query=8')")
    expect(page.locator(".readout")).to_have_text(ANIMAL_68)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_arrows_move_head_and_layer(opened: Opened, animal_page: Path) -> None:
    page = drawn(opened(animal_page, fragment(layer=3, head=1)))
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
    assert (state_of(page)["layer"], state_of(page)["head"]) == ("4", "2")
    for _ in range(8):
        page.keyboard.press("ArrowDown")
    assert state_of(page)["layer"] == "5"


def test_numbers_choose_a_view(opened: Opened, animal_page: Path) -> None:
    page = drawn(opened(animal_page))
    for number, view in enumerate(VIEWS, 1):
        page.keyboard.press(str(number))
        page.wait_for_selector(f"[data-drawn={view}]")


def test_a_question_mark_lists_the_keys(opened: Opened, animal_page: Path) -> None:
    page = drawn(opened(animal_page))
    page.keyboard.press("?")
    assert "the next head" in page.inner_text("dialog[open]")
    assert violations(page) == []
    page.keyboard.press("Escape")
    assert page.query_selector("dialog[open]") is None


def test_a_slash_finds(opened: Opened, animal_page: Path) -> None:
    page = drawn(opened(animal_page))
    page.keyboard.press("/")
    until(page, "document.activeElement.closest('.find') !== null")
    page.keyboard.press("Escape")
    page.wait_for_selector(".find", state="hidden")


def test_focus_stays_where_a_choice_was_made(opened: Opened, animal_page: Path) -> None:
    page = drawn(opened(animal_page))
    for control, key in (
        (page.get_by_role("button", name="Grid", exact=True), "Enter"),
        (page.get_by_role("combobox", name="Head", exact=True), "ArrowDown"),
        (page.get_by_role("combobox", name="Colours"), "ArrowDown"),
        (page.get_by_role("checkbox", name="Special tokens"), "Space"),
    ):
        control.focus()
        before = page.evaluate("location.hash")
        page.keyboard.press(key)
        until(page, "before => location.hash !== before", arg=before)
        expect(control).to_be_focused()


@pytest.mark.parametrize(("view", "chosen"), [("steps", ".keys .name"), ("head", ".links button")])
def test_focus_stays_on_what_was_chosen_in_a_view(
    opened: Opened, animal_page: Path, view: str, chosen: str
) -> None:
    page = drawn(opened(animal_page, fragment(view=view, layer=3, head=1, query=8)))
    control = page.locator(chosen).nth(2)
    control.focus()
    page.keyboard.press("Enter")
    expect(control).to_have_attribute("aria-pressed", "true")
    expect(control).to_be_focused()


@pytest.mark.parametrize(
    ("view", "control"),
    [
        ("steps", ".keys button >> nth=0"),
        ("steps", ".segmented button >> nth=1"),
        ("lines", "[data-save=svg]"),
    ],
)
def test_arrows_move_the_head_from_every_control(
    opened: Opened, animal_page: Path, view: str, control: str
) -> None:
    page = drawn(opened(animal_page, fragment(view=view, layer=3, head=1, query=8, key=2)))
    page.locator(control).focus()
    for head in (2, 3):
        page.keyboard.press("ArrowRight")
        until(page, f"location.hash.includes('head={head}')")
        expect(drawn(page).locator(control)).to_be_focused()


@pytest.mark.parametrize("view", VIEWS)
def test_tab_shows_where_it_is(opened: Opened, animal_page: Path, view: str) -> None:
    page = drawn(opened(animal_page, fragment(view=view, layer=3, head=1, query=8, key=2)))
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    seen = []
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement !== document.body"):
            seen.append(page.evaluate(outline))
    assert len(seen) > 8
    assert set(seen) == {"solid"}


@pytest.mark.parametrize("view", VIEWS)
def test_for_all_people_and_screens(opened: Opened, animal_page: Path, view: str) -> None:
    shows = fragment(view=view, layer=3, head=1, query=8, key=2)
    page = drawn(opened(animal_page, shows, reduced_motion="reduce"))
    page.get_by_role("button", name="Numbers as a table").click()
    page.wait_for_selector("#listing table")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme
    for width in (390, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        until(page, "wide => document.documentElement.scrollWidth === wide", arg=width)


def test_dark_is_dark(opened: Opened, animal_page: Path) -> None:
    light, dark, chosen = (
        drawn(opened(animal_page, shows, color_scheme=scheme)).evaluate(
            "getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)"
        )
        for scheme, shows in (("light", ""), ("dark", ""), ("light", fragment(theme="dark")))
    )
    assert min(light) > 200
    assert max(dark) < 60
    assert chosen == dark


def test_the_numbers_of_a_view_are_a_table(opened: Opened, animal_page: Path) -> None:
    page = drawn(opened(animal_page, fragment(layer=3, head=1)))
    button = page.get_by_role("button", name="Numbers as a table")
    button.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    table = page.get_by_role("table")
    table.wait_for()
    row = table.get_by_role("row").filter(has_text="it").filter(has_text="animal").first
    assert "0.67" in row.inner_text()


def hostile() -> Inspection:
    made = random_inspection(tokens_of([HOSTILE, "it", f"[{HOSTILE}]"]), 2, 3, seed=0)
    return replace(made, model=replace(made.model, name=HOSTILE, family=HOSTILE))


@pytest.mark.parametrize("view", VIEWS)
def test_hostile_text_shows_as_itself(opened: Opened, view: str) -> None:
    page = drawn(opened(page_of(hostile(), view=view, query=1, key=2)))
    assert page.inner_text("h1").startswith(HOSTILE)
    assert HOSTILE in page.inner_text("header")
    if view in ("lines", "steps"):
        assert HOSTILE in page.inner_text("main")
    assert page.title() != "caught"
    assert page.query_selector("img") is None


DIRECTIONS = {
    "الحيوان لم يعبر الشارع": "rtl",
    "החיה לא חצתה את הרחוב": "rtl",
    "동물은 길을 건너지 않았다": "ltr",
    "动物没有过马路": "ltr",
}


@pytest.mark.parametrize("text", DIRECTIONS)
def test_text_of_any_direction(opened: Opened, text: str) -> None:
    page = drawn(opened(page_of(random_inspection(tokens_of(text.split()), 2, 3, seed=0))))
    assert page.inner_text("h1") == text
    heading = page.evaluate("getComputedStyle(document.querySelector('h1')).direction")
    assert heading == DIRECTIONS[text]
    assert page.evaluate("getComputedStyle(document.querySelector('.top')).direction") == "ltr"


def test_512_tokens(opened: Opened, minilm: Model) -> None:
    text = "The animal didn't cross the street. " * 56 + "because it was too tired."
    page = drawn(opened(page_of(minilm.inspect(text))))
    assert len(page.query_selector_all(".of-query [role=option]")) > 300
    page.keyboard.press("2")
    page.wait_for_selector("[data-drawn=grid]")


def test_several_pages_in_one_document(opened: Opened, animal_page: Path) -> None:
    inner = html.escape(animal_page.read_text(encoding="utf-8"))
    frames = f'<iframe sandbox="allow-scripts" srcdoc="{inner}" width="900" height="700"></iframe>'
    page = opened(f"<!doctype html><title>A notebook</title>{frames * 2}")
    first, second = (frame for frame in page.frames if frame.parent_frame)
    for frame in (first, second):
        frame.wait_for_selector("[data-drawn]")
    first.get_by_role("button", name="Grid", exact=True).click()
    first.wait_for_selector("[data-drawn=grid]")
    assert second.query_selector("[data-drawn=lines]")


def test_on_paper_all_of_a_view_is_light(opened: Opened, animal_page: Path) -> None:
    page = drawn(opened(animal_page, fragment(view="steps", theme="dark", layer=3, head=1)))
    [paper] = PdfReader(io.BytesIO(page.pdf(format="A4"))).pages
    shown = paper.extract_text()
    assert "step by step" in shown
    assert "Threshold" not in shown
    strips = [np.asarray(strip.image).mean() for strip in paper.images]
    assert len(strips) > 3
    assert min(strips) > 150


@pytest.mark.parametrize(
    ("view", "wide", "look", "within"),
    [
        ("lines", ".wires canvas", ("width", "3000px"), ".wires"),
        ("grid", ".grid", ("--thumb", "300px"), ".view"),
    ],
)
def test_what_a_wide_window_shows_fits_a_sheet_of_paper(
    opened: Opened, animal_page: Path, view: str, wide: str, look: tuple[str, str], within: str
) -> None:
    page = drawn(opened(animal_page, fragment(view=view, layer=3, head=1, query=8)))
    page.emulate_media(media="print")
    drawing = page.locator(wide).first
    drawing.evaluate("(one, look) => one.style.setProperty(...look)", look)
    right = "one => one.getBoundingClientRect().right"
    assert drawing.evaluate(right) <= page.locator(within).first.evaluate(right) + 1
