"""The atlas in Chromium: all heads, their numbers and examples, for everybody and on any screen."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np
import pytest
from atlases import WORDS, example_of, random_survey
from browser import Opened, drawn, until, violations
from playwright.sync_api import expect
from pypdf import PdfReader

from attnviz.answers.corpus import CorpusFacts
from attnviz.answers.survey import Survey
from attnviz.show.page.atlas import html_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE = "</script><img src=x onerror=document.title='caught'>"
VIEWS = ("map", "scatter", "list", "tree")
SURVEY = random_survey(6, 12, examples=3)
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("atlas") / "atlas.html"
    path.write_text(html_of(SURVEY), encoding="utf-8")
    return path


def fragment(**state: object) -> str:
    return f"#{urlencode(state)}"


def state_of(page: "Page") -> dict[str, str]:
    """The state as the address has it."""
    return dict(page.evaluate("[...new URLSearchParams(location.hash.slice(1))]"))


def test_a_cell_opens_its_head(opened: Opened, atlas: Path) -> None:
    page = drawn(opened(atlas))
    page.get_by_role("button", name="L3H7:").click()
    assert state_of(page) == {"layer": "3", "head": "7"}
    panel = page.locator(".panel")
    expect(panel.locator("h2")).to_have_text("L3H7")
    head = SURVEY.heads[3 * 12 + 7]
    for role in head.roles:
        expect(panel.locator(".mixed")).to_contain_text(f"{100 * (role.share.mean or 0):.1f}%")
        expect(panel.locator(".mixed")).to_contain_text(f"{100 * (role.share.high or 0):.1f}%")
    expect(panel.locator(".mixed")).to_contain_text("unknown")
    row = panel.get_by_role("row", name="entropy", exact=False).first
    entropy = head.statistics["entropy"]
    for number in (entropy.mean, entropy.low, entropy.high):
        expect(row).to_contain_text(f"{number:.2f}")
    expect(row).to_contain_text("−Σⱼ α log₂ α")


def test_the_heading_says_whose_attention_it_is(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "cross.html"
    path.write_text(html_of(replace(SURVEY, attention="cross")), encoding="utf-8")
    heading = drawn(opened(path)).locator(".model")
    expect(heading).to_contain_text("cross-attention: the decoder's words look at the encoder's")


def test_every_head_is_in_the_map_with_its_mixture(opened: Opened, atlas: Path) -> None:
    page = drawn(opened(atlas))
    cells = page.locator(".map .cell")
    assert cells.count() == 72
    label = cells.first.get_attribute("aria-label") or ""
    assert label.startswith("L0H0: ")
    assert "unknown" in label
    bars = cells.evaluate_all(
        "cells => cells.map((cell) => getComputedStyle(cell).backgroundImage)"
    )
    assert len(set(bars)) == 72


def test_picked_examples_and_the_fair_sample_are_told_apart(opened: Opened, atlas: Path) -> None:
    page = drawn(opened(atlas, fragment(layer=1, head=2)))
    picked, fair = page.locator(".examples.strongest"), page.locator(".examples.sample")
    expect(picked).to_contain_text("picked")
    expect(picked).to_contain_text("not what it usually does")
    expect(fair).to_contain_text("drawn at random")
    head = SURVEY.heads[1 * 12 + 2]
    for part, examples in ((picked, head.examples), (fair, head.sample)):
        expect(part.locator("li canvas")).to_have_count(3)
        for place, example in enumerate(examples):
            card = part.locator("li").nth(place)
            expect(card.locator(".words")).to_have_text(" ".join(example.words) + " ")
            expect(card.locator(".words .of-query")).to_have_text(example.query_text)
            expect(card.locator(".words .of-key")).to_have_text(example.key_text)
            expect(card).to_contain_text(f"corpus.txt:{example.line}")


def test_the_matrix_marks_the_link(opened: Opened, atlas: Path) -> None:
    page = drawn(opened(atlas, fragment(layer=1, head=2)))
    example = SURVEY.heads[1 * 12 + 2].examples[0]
    card = page.locator(".strongest li").first
    count = len(example.words)
    box = card.locator("canvas").bounding_box()
    mark = card.locator(".mark").bounding_box()
    assert box is not None
    assert mark is not None
    assert (mark["x"] - box["x"]) / box["width"] == pytest.approx(example.key / count, abs=0.02)
    assert (mark["y"] - box["y"]) / box["height"] == pytest.approx(example.query / count, abs=0.02)
    darkest = card.locator("canvas").evaluate(
        """(canvas, [row, column, count]) => {
          const { width, height } = canvas;
          const at = (cell, size) => Math.floor(((cell + 0.5) * size) / count);
          const [x, y] = [at(column, width), at(row, height)];
          const { data } = canvas.getContext("2d").getImageData(x, y, 1, 1);
          return data[0] + data[1] + data[2];
        }""",
        [example.query, example.key, count],
    )
    assert darkest < 330  # a weight of .7 or more, on white


def test_keys_move_the_head_and_choose_a_view(opened: Opened, atlas: Path) -> None:
    page = drawn(opened(atlas, fragment(layer=3, head=1)))
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
    assert state_of(page) == {"layer": "4", "head": "2"}
    for number, view in enumerate(VIEWS, 1):
        page.keyboard.press(str(number))
        page.wait_for_selector(f"[data-drawn={view}]")
    page.keyboard.press("?")
    expect(page.locator("dialog[open]")).to_contain_text("the next head")
    page.keyboard.press("Escape")
    assert page.query_selector("dialog[open]") is None


@pytest.mark.parametrize(("view", "many"), [("map", ".map .cell"), ("tree", ".leaf")])
def test_tab_stops_at_the_chosen_head_alone(
    opened: Opened, atlas: Path, view: str, many: str
) -> None:
    page = drawn(opened(atlas, fragment(view=view, layer=3, head=1)))
    assert page.locator(f"{many}[tabindex='0']").count() == 1
    page.locator(f"{many}[aria-current]").focus()
    page.keyboard.press("ArrowDown")
    focused = page.locator(f"{many}[aria-current]")
    expect(focused).to_have_attribute("aria-label", re.compile("^L4H1: "))
    expect(focused).to_be_focused()


def test_on_paper_the_atlas_is_light(opened: Opened, atlas: Path) -> None:
    page = drawn(opened(atlas, fragment(theme="dark", layer=3, head=1)))
    paper = PdfReader(io.BytesIO(page.pdf(format="A4", print_background=True)))
    shown = "".join(sheet.extract_text() for sheet in paper.pages)
    assert "L3H1" in shown
    assert "Fair sample" in shown
    assert "positional" in shown  # the legend of the letters
    assert "Sort by" not in shown
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_role_leaves_its_heads_alone(opened: Opened, atlas: Path) -> None:
    page = drawn(opened(atlas, fragment(view="list", least=0.2)))
    page.get_by_role("group", name="Roles:").get_by_role("button", name="previous").click()
    expected = {
        f"L{one.head.layer}H{one.head.head}"
        for one in SURVEY.heads
        if any(role.name == "previous" and (role.share.mean or 0) >= 0.2 for role in one.roles)
    }
    rows = page.locator("main tbody tr th")
    assert set(rows.all_inner_texts()) == expected
    assert 0 < len(expected) < 72
    page.keyboard.press("1")
    page.wait_for_selector("[data-drawn=map]")
    assert page.locator(".map .cell:not(.dim)").count() == len(expected)
    page.keyboard.press("Escape")
    assert page.locator(".map .cell.dim").count() == 0


def test_the_list_is_sorted_by_any_number(opened: Opened, atlas: Path) -> None:
    page = drawn(opened(atlas, fragment(view="list")))
    for order, least in (("descending", False), ("ascending", True)):
        page.get_by_role("button", name="mean distance").click()
        title = page.get_by_role("columnheader", name="mean distance")
        expect(title).to_have_attribute("aria-sort", order)
        expected = sorted(
            SURVEY.heads,
            key=lambda one: one.statistics["distance"].mean or 0,
            reverse=not least,
        )
        names = page.locator("main tbody tr th").all_inner_texts()
        assert names == [f"L{one.head.layer}H{one.head.head}" for one in expected]


def test_a_point_of_the_scatter_opens_its_head(opened: Opened, atlas: Path) -> None:
    page = drawn(opened(atlas, fragment(view="scatter", x="distance", y="entropy")))
    dots = page.locator(".plot svg circle:not(.ring)")
    expect(dots).to_have_count(72)
    box = dots.nth(40).bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(".panel h2")).to_have_text("L3H4")
    page.get_by_role("combobox", name="Colour by").select_option("layer")
    fills = dots.evaluate_all("dots => dots.map((dot) => dot.getAttribute('fill'))")
    assert len(set(fills)) == 6
    assert [fills[12 * layer] for layer in range(6)] == list(dict.fromkeys(fills))
    assert page.locator(".plot .bars").get_attribute("d") not in (None, "")
    page.get_by_role("checkbox", name="Intervals").uncheck()
    expect(page.locator(".plot .bars")).to_have_count(0)


def test_the_numbers_of_a_view_are_saved(opened: Opened, atlas: Path) -> None:
    page = drawn(opened(atlas, fragment(view="scatter", role="unknown", least=0.5)))
    with page.expect_download() as saved:
        page.get_by_role("button", name="Numbers (CSV)").click()
    rows = list(csv.reader(saved.value.path().read_text("utf-8").splitlines()))
    columns = [
        "distance",
        "distance.low",
        "distance.high",
        "entropy",
        "entropy.low",
        "entropy.high",
    ]
    assert rows[0] == ["layer", "head", *columns]
    heads = [one for one in SURVEY.heads if (one.unknown.mean or 0) >= 0.5]
    assert [(int(row[0]), int(row[1])) for row in rows[1:]] == [one.head for one in heads]
    for row, one in zip(rows[1:], heads, strict=True):
        expected = [*one.statistics["distance"], *one.statistics["entropy"]]
        assert [float(cell) for cell in row[2:]] == pytest.approx(expected, rel=1e-4)


def test_the_words_of_another_text_are_looked_at(opened: Opened) -> None:
    survey = random_survey(1, 2, examples=0)
    source = ("Das", "Tier", "ging", "nicht", "über", "die", "Straße")
    example = example_of(np.random.default_rng(0), WORDS[:7], keys=source, query=1, key=1)
    head = replace(survey.heads[0], examples=(example,))
    page = drawn(opened(html_of(replace(survey, heads=(head, survey.heads[1])))))
    card = page.locator(".strongest li")
    expect(card.locator(".link")).to_contain_text("animal")
    expect(card.locator(".words .of-query")).to_have_text("animal")
    expect(card.locator(".words .of-key")).to_have_text("Tier")
    expect(card.locator(".words")).to_contain_text("keys (source): Das Tier ging")


def test_the_tree_has_every_head_once(opened: Opened, atlas: Path) -> None:
    page = drawn(opened(atlas, fragment(view="tree")))
    names = page.locator(".leaves .leaf span:first-child").all_inner_texts()
    assert sorted(names) == sorted(f"L{one.head.layer}H{one.head.head}" for one in SURVEY.heads)
    assert page.locator(".tree .cluster").count() > 0
    page.locator(".leaf").nth(5).click()
    expect(page.locator(".panel h2")).to_have_text(names[5])


@pytest.mark.parametrize("shows", [*({"view": view} for view in VIEWS), {"colour": "entropy"}])
def test_for_all_people_and_screens(opened: Opened, atlas: Path, shows: dict[str, str]) -> None:
    state = fragment(**shows, layer=3, head=1, role="previous", sort="entropy")
    page = drawn(opened(atlas, state, reduced_motion="reduce"))
    page.get_by_role("button", name="Numbers as a table").click()
    page.wait_for_selector("#listing table")
    until(page, "document.querySelectorAll('.panel canvas').length === 6")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme
    for width in (390, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        until(page, "wide => document.documentElement.scrollWidth === wide", arg=width)


def test_a_tap_on_a_phone_opens_a_head(opened: Opened, atlas: Path) -> None:
    page = drawn(opened(atlas, **PHONE))
    page.get_by_role("button", name="L5H11:").tap()
    expect(page.locator(".panel h2")).to_have_text("L5H11")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_one_of_a_kind_is_singular(opened: Opened) -> None:
    facts = CorpusFacts(("a.txt",), 1, 1, 1, 1, left_out=1)
    made = html_of(random_survey(layers=1, heads=1, examples=0, intervals=None, corpus=facts))
    assert "1 document<" in made
    page = drawn(opened(made))
    expect(page.locator("h1")).to_have_text("What 1 head does over 1 document")
    for told in ("1 layer × 1 head,", "1 word, 1 token", "1 document could not be read: left out."):
        expect(page.locator("header")).to_contain_text(told)


def test_in_korean(opened: Opened, atlas: Path) -> None:
    page = drawn(opened(atlas, fragment(lang="ko", layer=3, head=1)))
    expect(page.locator("h1")).to_have_text("문서 2,001개에서 헤드 72개가 하는 일")
    expect(page.locator(".panel")).to_contain_text("무작위 추출")
    assert page.evaluate("document.documentElement.lang") == "ko"


def test_what_is_not_there_is_said(opened: Opened) -> None:
    facts = CorpusFacts(("a.txt",), 3, 5, 40, 30, left_out=2)
    survey = random_survey(examples=0, intervals=None, distances=None, corpus=facts)
    model = replace(survey.model, trained=False, seed=7)
    notes = ("The role syntactic was not tested: the corpus has no trees.",)
    page = drawn(opened(html_of(replace(survey, model=model, notes=notes)), fragment(view="tree")))
    top = page.locator("header")
    for told in (
        "UNTRAINED",
        "2 documents",
        "No intervals and no tests",
        "5 in all",
        *notes,
    ):
        expect(top).to_contain_text(told)
    expect(page.locator("main")).to_contain_text("were not computed")
    expect(page.locator(".panel")).to_contain_text("There are no examples")
    assert violations(page) == []


def hostile_survey() -> Survey:
    """A survey all of whose texts are markup."""
    survey = random_survey(2, 2, examples=0)
    example = example_of(
        np.random.default_rng(0), [HOSTILE, *WORDS], source=HOSTILE, id=HOSTILE, query=0, key=3
    )
    heads = [replace(one, examples=(example,), sample=(example,)) for one in survey.heads]
    return replace(
        survey,
        heads=tuple(heads),
        model=replace(survey.model, name=HOSTILE),
        corpus=replace(survey.corpus, files=(HOSTILE,)),
        notes=(HOSTILE,),
    )


def test_hostile_text_shows_as_itself(opened: Opened) -> None:
    page = drawn(opened(html_of(hostile_survey())))
    until(page, "document.querySelectorAll('.panel canvas').length === 2")
    assert page.inner_text("header").count(HOSTILE) == 3
    panel = page.inner_text(".panel")
    assert panel.count(HOSTILE) >= 6
    assert panel.count(HOSTILE.rpartition("/")[2]) >= 8  # files without their folders too
    assert page.query_selector("img") is None
    assert "caught" not in page.title().split("'")[0::2]


def test_a_fragment_that_makes_no_sense_is_left_out(opened: Opened, atlas: Path) -> None:
    shows = fragment(view="nothing", layer=99, head="x", colour="<b>", sort="no", least=7, role="z")
    page = drawn(opened(atlas, shows))
    expect(page.locator(".panel h2")).to_have_text("L0H0")
    page.keyboard.press("ArrowRight")
    assert state_of(page) == {"head": "1"}


def test_a_large_model_is_drawn_in_time(opened: Opened) -> None:
    page = drawn(opened(html_of(random_survey(24, 16, examples=1))))
    spent = page.evaluate(
        """() => {
          const start = performance.now();
          const key = new KeyboardEvent("keydown", { key: "2", bubbles: true });
          document.querySelector("[data-view]").dispatchEvent(key);
          return performance.now() - start;
        }"""
    )
    assert page.get_attribute("#page", "data-drawn") == "scatter"
    assert spent < 2000
