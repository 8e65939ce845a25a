"""The page in Firefox, from file://: every view is drawn, nothing is logged or asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from atlases import random_survey
from firefox import Firefox, firefox
from test_page_lines import written

from attnviz.inspection import Inspection
from attnviz.show.page.atlas import html_of as atlas_of

pytestmark = pytest.mark.slow

DRAWN = """new Promise((done, fail) => {
    const look = () => {
        const drawn = document.querySelector("#page")?.getAttribute("data-drawn");
        if (drawn) done(drawn); else setTimeout(look, 50); };
    setTimeout(() => fail(new Error("not drawn")), 30000); look(); })"""
SAID = 'document.querySelector(".lines .readout").textContent'


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with firefox(tmp_path_factory.mktemp("firefox")) as one:
        yield one


@pytest.fixture(scope="module")
def address(animal: Inspection, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(written(animal, layer=3, head=1), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("view", ["lines", "grid", "head", "steps", "layer", "tour"])
def test_every_view_is_drawn(browser: Firefox, address: str, view: str) -> None:
    browser.open(f"{address}#view={view}&query=8")
    assert browser.evaluate(DRAWN) == view
    assert browser.evaluate("document.querySelectorAll('.error').length") == 0
    assert browser.heard == []


def test_a_token_has_its_weights_beside_it(browser: Firefox, address: str) -> None:
    browser.open(f"{address}#view=lines&query=8&off=0-2-3-4-5-6-7-8-9-10-11")
    browser.evaluate(DRAWN)
    assert "\u2068animal\u2069 .68" in browser.evaluate(SAID)


def test_a_view_is_saved(browser: Firefox, address: str) -> None:
    browser.open(f"{address}#view=head&query=8&key=2")
    browser.evaluate(DRAWN)
    said = """(async () => {
        const make = URL.createObjectURL.bind(URL);
        const found = [];
        URL.createObjectURL = (blob) => { found.push(blob); return make(blob); };
        for (const form of ["svg", "png", "csv"]) {
            document.querySelector(`[data-save="${form}"]`).click();
            while (!document.querySelector(".save output").textContent)
                await new Promise((go) => setTimeout(go, 30));
        }
        const [svg, png, csv] = found;
        const picture = await createImageBitmap(png);
        const drawn = new DOMParser().parseFromString(await svg.text(), "image/svg+xml");
        const twice = 2 * drawn.documentElement.getAttribute("width") === picture.width;
        const texts = drawn.querySelectorAll("text").length;
        return `${twice} ${texts > 30} ${(await csv.text()).length > 5000}`;
    })()"""
    assert browser.evaluate(said) == "true true true"
    assert browser.heard == []


@pytest.mark.parametrize("view", ["map", "scatter", "list", "tree"])
def test_every_view_of_the_atlas_is_drawn(browser: Firefox, view: str, tmp_path: Path) -> None:
    path = tmp_path / "atlas.html"
    path.write_text(atlas_of(random_survey(2, 3)), encoding="utf-8")
    browser.open(f"{path.as_uri()}#view={view}&layer=1&head=2")
    assert browser.evaluate(DRAWN) == view
    assert browser.evaluate("document.querySelector('.panel h2').textContent") == "L1H2"
    assert browser.heard == []
