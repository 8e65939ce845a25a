"""The tour in a browser: on any text, each step has a question that the numbers answer."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browser import Opened, violations
from test_docs import HANGUL
from test_page_words import STEPS, words
from tiny_bert import save_tokenizer
from tiny_others import RECORDED

import attnviz
from attnviz.answers.page import State, page
from attnviz.inspection import Inspection
from attnviz.model import Model
from attnviz.show.page.document import page_chunks

if TYPE_CHECKING:
    from playwright.sync_api import Page

TRANSLATOR = Path(__file__).parent.parent / "samples" / "translator"
ORDER = [
    "stack",
    "heads",
    "qkv",
    "alike",
    "softmax",
    "values",
    "concat",
    "layer",
    "residual",
    "it",
    "origin",
    "sizes",
]  # those of toursteps.js
CHOOSE_ALL = """() => [...document.querySelectorAll(".tour .options button")].map((button) => {
    const label = button.textContent;
    button.click();
    const feedback = document.querySelector(".tour .feedback");
    return [label, button.className, feedback.className.split(" ")[1], feedback.textContent];
})"""
KOREAN = "그 동물은 길을 건너지 않았다. 왜냐하면 너무 피곤했기 때문이다."


def page_of(model: Model, text: str) -> str:
    """The page of a text, which opens on the tour."""
    view = model.inspect(text).view()
    made = page([view], State(view="tour"), sublayers=model.sublayers)
    return b"".join(page_chunks(made)).decode()


@pytest.fixture(scope="module")
def pages(minilm: Model, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The page of a kind of text."""
    folder = tmp_path_factory.mktemp("gpt2")

    def causal() -> str:
        RECORDED["gpt2"].save(folder)
        save_tokenizer(folder)
        return page_of(attnviz.load_model(str(folder)), "the animal was too tired .")

    def cross() -> str:
        translator = attnviz.load_model(str(TRANSLATOR), attention="cross")
        text = "The animal didn't cross the street because it was too tired."
        return page_of(translator, text)

    made = {
        "animal": lambda: page_of(
            minilm, "The animal didn't cross the street because it was too tired."
        ),
        "one word": lambda: page_of(minilm, "Hello"),
        "Korean": lambda: page_of(minilm, KOREAN),
        "causal": causal,
        "cross": cross,
    }
    known: dict[str, str] = {}

    def of(kind: str) -> str:
        if kind not in known:
            known[kind] = made[kind]()
        return known[kind]

    return of


def steps(tour: "Page") -> Iterator[str]:
    """Each step of the tour, by its name, when it is drawn; one after the other."""
    for place, name in enumerate(ORDER):
        tour.wait_for_selector(f".tour[data-step={name}] .options")
        tour.wait_for_selector("[data-drawn=tour]")
        yield name
        if place < len(ORDER) - 1:
            tour.click(".tour .main")


def answered(tour: "Page") -> dict[str, list[str]]:
    """The right and the wrong answers, as the page says when they are chosen."""
    found: dict[str, list[str]] = {"right": [], "wrong": []}
    for label, style, feedback, told in tour.evaluate(CHOOSE_ALL):
        assert style == feedback
        assert told
        found[style].append(label)
    return found


@pytest.mark.parametrize(
    ("kind", "language"),
    [
        ("animal", "en"),
        ("animal", "ko"),
        ("one word", "en"),
        ("Korean", "ko"),
        ("causal", "en"),
        ("cross", "ko"),
    ],
)
def test_the_whole_tour(
    pages: Callable[[str], str], opened: Opened, kind: str, language: str
) -> None:
    said = words(language)
    tour = opened(pages(kind), locale=language)
    for name in steps(tour):
        titles = {"origin": "cross" if kind == "cross" else "self"}
        key = titles.get(name, name)
        assert tour.inner_text(".tour h2") == said[f"tour.{key}"]
        sentences = tour.locator(".tour .told p").all_inner_texts()
        assert sentences[0] == said[f"tour.{key}.1"]
        assert len(sentences) > 1
        assert tour.locator(".tour .shows > *").count() == 1
        assert all(answered(tour).values())
        assert "{" not in tour.inner_text(".tour")
        assert bool(HANGUL.search(tour.inner_text(".tour .quiz h3"))) == (language == "ko")
    assert tour.locator(".tour .dots .done").count() == len(ORDER)
    tour.click(".tour .main")
    tour.wait_for_selector("[data-drawn=lines]")


def test_every_step_of_the_article_is_there() -> None:
    assert {*ORDER, "self", "cross"} - {"origin"} == set(STEPS)


def test_right_answers_are_those_of_the_numbers(
    pages: Callable[[str], str], opened: Opened, animal: Inspection, minilm: Model
) -> None:
    tour = opened(pages("animal"), locale="en")
    found = {name: answered(tour)["right"] for name in steps(tour)}
    assert found["heads"] == ["L3H1"]
    assert found["qkv"] == ["32"]
    assert found["alike"] == found["values"] == found["it"] == ["animal"]
    given = animal.weights(3, 1)[8]
    ratio = given[2] / given[0]
    assert float(found["softmax"][0].removeprefix("×")) == pytest.approx(ratio, rel=0.03)
    [layer] = attnviz.layer(animal, "it", 3, model=minilm)
    assert found["concat"] == [str(layer.strongest(1)[0].head)]
    assert found["residual"] == ["x"]
    assert found["layer"] == ["1536"]
    assert found["origin"] == ["From the sentence of the rows"]
    assert found["sizes"] == ["num_heads"]
    means = {
        f"L{layer}H{head}": np.diagonal(animal.weights(layer, head)[2:-1, 1:-2]).mean()
        for layer in range(6)
        for head in range(12)
    }
    assert found["stack"] == [max(means, key=lambda head: means[head])]


def test_a_link_brings_a_step_back_and_arrows_move(
    pages: Callable[[str], str], opened: Opened
) -> None:
    tour = opened(pages("animal"), "#view=tour&step=4", locale="en")
    tour.wait_for_selector(".tour[data-step=softmax] .options")
    tour.focus(".tour h2")
    tour.keyboard.press("ArrowRight")
    tour.wait_for_selector(".tour[data-step=values] .options")
    assert "step=5" in tour.url
    assert tour.evaluate("document.activeElement.tagName") == "H2"
    tour.keyboard.press("ArrowLeft")
    tour.keyboard.press("ArrowLeft")
    tour.wait_for_selector(".tour[data-step=alike] .options")
    tour.click(".tour .dots li:nth-child(12) button")
    tour.wait_for_selector(".tour[data-step=sizes] .options")


@pytest.mark.parametrize(
    "look", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}]
)
def test_the_tour_is_accessible_and_fits(
    pages: Callable[[str], str], opened: Opened, look: dict[str, Any]
) -> None:
    tour = opened(pages("animal"), "#view=tour&step=1", locale="en", **look)
    tour.wait_for_selector(".tour[data-step=heads] .options")
    tour.click(".tour .options button")
    assert violations(tour) == []
    assert tour.evaluate("document.documentElement.scrollWidth <= innerWidth")
