"""The tour in a browser: on any text, each step has a question that the numbers answer."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browser import Opened, violations
from test_docs import HANGUL
from test_page_words import words
from tiny_bert import save_tokenizer
from tiny_others import RECORDED, SEQ2SEQ, WEIGHTS_ONLY, Other

import attnviz
from attnviz.answers.page import State, page
from attnviz.inspection import Inspection
from attnviz.model import Model
from attnviz.show.page.document import html_of

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
]  # those of tour/steps.js
WALK = """async (order) => {
    const find = (selector) => document.querySelector(`.tour ${selector}`);
    const all = (selector) => [...document.querySelectorAll(`.tour ${selector}`)];
    const texts = (selector) => all(selector).map((one) => one.textContent);
    const found = [];
    for (const name of order) {
        const quiz = `[data-drawn=tour] .tour[data-step=${name}] .quiz > *`;
        while (!document.querySelector(quiz)) await new Promise(requestAnimationFrame);
        const [title, said, text] = [texts(".told h2")[0], texts(".told p"), find("").textContent];
        const [views, asked] = [all(".shows > *").length, texts(".quiz > :is(h3, p)")[0]];
        const chosen = all(".options button").map((button) => {
            const label = button.textContent;
            button.click();
            const { className, textContent } = find(".feedback");
            return [label, button.className, className, textContent];
        });
        found.push({ title, said, text, views, asked, chosen });
        find(".main").click();
    }
    return found;
}"""
KOREAN = "그 동물은 길을 건너지 않았다. 왜냐하면 너무 피곤했기 때문이다."


def page_of(model: Model, text: str) -> str:
    """The page of a text, which opens on the tour."""
    view = model.inspect(text).view()
    made = page([view], State(view="tour"), sublayers=model.sublayers)
    return html_of(made)


@pytest.fixture(scope="module")
def pages(minilm: Model, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The page of a kind of text."""

    def tiny(model: Other) -> str:
        folder = tmp_path_factory.mktemp("tiny")
        model.save(folder)
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
        "causal": lambda: tiny(RECORDED["gpt2"]),
        "alone": lambda: tiny(WEIGHTS_ONLY["xlnet"]),
        "shared": lambda: tiny(RECORDED["albert"]),
        "biases": lambda: tiny(SEQ2SEQ["t5"]),
        "sinks": lambda: tiny(RECORDED["gpt_oss"]),
        "soft caps": lambda: tiny(RECORDED["gemma2"]),
        "large": lambda: page_of(attnviz.load_model("paper", num_layers=7, num_heads=16), "Hello"),
        "cross": cross,
    }
    known: dict[str, str] = {}

    def of(kind: str) -> str:
        if kind not in known:
            known[kind] = made[kind]()
        return known[kind]

    return of


def walk(tour: "Page", kind: str, language: str) -> dict[str, list[str]]:
    """The right answers of each step, on the way through all of them."""
    said, found = words(language), {}
    for name, step in zip(ORDER, tour.evaluate(WALK, ORDER), strict=True):
        key = name if name != "origin" else "cross" if kind == "cross" else "self"
        assert step["title"] == said[f"tour.{key}"]
        assert step["said"][0] == said[f"tour.{key}.1"]
        assert len(step["said"]) > 1
        assert step["views"] == 1
        assert "{" not in step["text"]
        assert bool(HANGUL.search(step["asked"])) == (language == "ko")
        if kind == "alone" and name == "residual":  # its layers have no steps to ask about
            assert step["asked"] == said["tour.missing"]
            continue
        styles = [style for _, style, _, _ in step["chosen"]]
        assert {"right", "wrong"} == set(styles)
        assert styles.count("right") == 1
        assert [feedback for _, _, feedback, _ in step["chosen"]] == [
            f"feedback {style}" for style in styles
        ]
        assert all(told for *_, told in step["chosen"])
        found[name] = [label for label, style, _, _ in step["chosen"] if style == "right"]
    tour.wait_for_selector("[data-drawn=lines]")  # the last step leads there
    return found


@pytest.mark.parametrize(
    ("kind", "language"),
    [
        ("animal", "ko"),
        ("one word", "en"),
        ("Korean", "ko"),
        ("causal", "en"),
        ("alone", "en"),
        ("cross", "ko"),
    ],
)
def test_the_whole_tour(
    pages: Callable[[str], str], opened: Opened, kind: str, language: str
) -> None:
    assert walk(opened(pages(kind), locale=language), kind, language)


def test_a_tour_that_was_left_at_once_changes_nothing(
    pages: Callable[[str], str], opened: Opened
) -> None:
    tab = opened(pages("animal"), "#view=head&layer=1&head=2")
    tab.wait_for_selector("[data-drawn=head]")
    tab.evaluate("""() => {
        const tabs = [...document.querySelectorAll("nav button")];
        for (const name of ["Tour", "Head"]) tabs.find(tab => tab.textContent === name).click();
        return new Promise(done => setTimeout(done, 500));  // the tour would be ready long before
    }""")
    assert "layer=1&head=2" in tab.evaluate("location.hash")
    tab.get_by_role("button", name="Tour", exact=True).click()
    tab.wait_for_selector("[data-step=stack]")


def test_right_answers_are_those_of_the_numbers(
    pages: Callable[[str], str], opened: Opened, animal: Inspection, minilm: Model
) -> None:
    found = walk(opened(pages("animal"), locale="en"), "animal", "en")
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
    assert found["sizes"] == ["1"]
    means = {
        f"L{layer}H{head}": np.diagonal(animal.weights(layer, head)[2:-1, 1:-2]).mean()
        for layer in range(6)
        for head in range(12)
    }
    assert found["stack"] == [max(means, key=lambda head: means[head])]


DIFFERS: dict[str, dict[str, list[str]]] = {
    "animal": {"qkv": [], "softmax": ["√32 = 5.66. Undivided"], "layer": [], "residual": []},
    "large": {"qkv": ["Before training, as here, they are random."]},
    "shared": {"stack": ["its layers share their weights"]},
    "biases": {"softmax": ["does not divide them", "a bias is added to each score"]},
    "sinks": {"qkv": ["2 heads share one k and v."], "softmax": ["√6 = 2.45", "A sink, which"]},
    "soft caps": {
        "softmax": ["by 0.378 instead", "between −2.5 and 2.5"],
        "residual": ["(pre-norm). Norms between a sublayer and the sum."],
    },
    "alone": {"alike": ["its weights alone"], "softmax": ["its weights alone"]},
    "cross": {
        "heads": ["Here it is cross-attention"],
        "qkv": ["here q comes from the decoder's vectors"],
        "layer": ["Here there is a third between them: cross-attention"],
        "it": ["compares the words of the target with those of the source"],
    },
}
USUAL = {"stack": 2, "heads": 2, "qkv": 2, "layer": 2, "residual": 2, "it": 3}
"""How many sentences these steps say of any model; others say one."""


@pytest.mark.parametrize("kind", DIFFERS)
def test_it_says_where_a_model_differs_from_the_article(
    pages: Callable[[str], str], opened: Opened, kind: str
) -> None:
    tour = opened(pages(kind), "#view=tour", locale="en")
    for step, differs in DIFFERS[kind].items():
        tour.click(f".tour .dots li:nth-child({ORDER.index(step) + 1}) button")
        tour.wait_for_selector(f".tour[data-step={step}] .quiz > *")
        said = tour.locator(".tour .told p").all_text_contents()
        for sentence in differs:
            assert any(sentence in one for one in said), said
        assert len(said) == USUAL.get(step, 1) + len(differs), said


def test_sizes_are_counted(pages: Callable[[str], str], opened: Opened) -> None:
    found = walk(opened(pages("large"), locale="en"), "large", "en")
    assert found["sizes"] == ["2"]


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
