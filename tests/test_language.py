"""`--lang ko`: every label of a picture is in the list of Korean ones."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from process import Workplace, workplace

import attnviz
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.model import Model
from attnviz.show.figure.captions import label
from attnviz.show.figure.language import KOREAN, say
from attnviz.show.forms import FORMS, Style, figure, styled

KO = Style(language="ko")
OTHER = "The animal didn't cross the wide street because it was wide."
NOTATION = r"L\d+(H\d+)?|softmax\(.*|d_k\)?|v|W_O‖|q|kᵀ|A|B|I\)|[a-z]_[ij]|\(?\|[ab]\||α|‖α|@\d+"
"""What is the same in every language: heads, formulas, A and B."""

NAMES = {"minilm", "cos(plain,", "ablated)", "norm:", "rollout:", "rollout", "flow:", "norm"}
NAMES |= {"--pieces"}
FORMULAS = {"of", "the", "layer", "below,", "with", "(mean", "heads", "mean,", "normalized"}
FORMULAS |= {"(1_Pooling", "config.json)"}


def answers(animal: Inspection, model: Model) -> Iterator[Any]:
    """Every kind of answer whose picture is translated, and what its notes depend on."""
    for view in (animal.view(), animal.view(special=False), animal.view(window=(2, 9))):
        yield attnviz.matrices(view, head="L3H1")
        yield attnviz.matrices(view, layer=3)
        yield attnviz.word(view, query="it")
        yield attnviz.links(view, "it", head="L3H1")
    yield attnviz.matrices(animal.view(measure="norm"))
    yield attnviz.matrices(animal.view(measure="rollout"))
    yield attnviz.word(animal, key="animal")
    yield attnviz.word(animal, "it", "animal", measure="norm")
    yield attnviz.links(animal, key="animal", layer=3)
    finding = attnviz.find(animal, "it", "animal", both=True)
    yield finding
    yield attnviz.holding([finding] * 7)
    yield attnviz.holding([finding] * 2)
    yield attnviz.ablate(animal, "L5H11", model=model)
    yield attnviz.ablate(animal, ["L5H11", "L3H1"], "mean", model=model)
    yield attnviz.ablate_each(animal, model=model)
    other = model.inspect(OTHER)
    yield attnviz.compare(animal, other, "it", head="L3H1")
    yield attnviz.compare(animal, other, "it")
    yield attnviz.similar("A dog ran.", "The cat sat down.", model=model)
    yield attnviz.similar("A dog didn't.", "The cat 한 sat.", model=model, special=False)


def labels(drawn: Figure) -> set[str]:
    """The texts of a picture, less the sentences that it quotes and the names of its words."""
    drawn.draw_without_rendering()
    every = {text.get_text() for text in drawn.findobj(Text) if text.get_text()}
    return {text for text in every if "“" not in text}


def english(text: str, known: set[str]) -> list[str]:
    """The words of a label that are English, and neither a name nor notation."""
    words = re.split(r"[ ·/→=½+−]+", text)
    return [
        word
        for word in words
        if re.search("[A-Za-z]{2}", word)
        and word not in NAMES | FORMULAS | known
        and not re.fullmatch(NOTATION, word)
    ]


def test_every_label_of_every_picture_is_in_korean(animal: Inspection, minilm: Model) -> None:
    known = {*["A", "dog", "didn't", "ran", "The", "cat", "sat", "down", "wide"]}
    for token in (*animal.tokens.words, *minilm.inspect(OTHER).tokens.words):
        known |= {token.text, *(f"{token.text}@{index}" for index in range(14))}
    drawn = set()
    for answer in answers(animal, minilm):
        drawn.add(type(answer).__name__)
        left = {text: english(text, known) for text in labels(figure(answer, None, None, KO))}
        assert {text: words for text, words in left.items() if words} == {}, answer
    translated = {kind for kind, forms in FORMS.items() if forms.figure and forms.translated}
    assert translated == drawn


def test_explanations_are_in_english_alone(animal: Inspection) -> None:
    [answer, *_] = attnviz.explain(animal, "it", head="L3H1")
    with pytest.raises(RequestError, match="in English alone"):
        attnviz.figure(answer, language="ko")


def test_a_language_of_ones_own_leaves_explanations_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, animal: Inspection
) -> None:
    place: Workplace = workplace(tmp_path_factory.mktemp("english"), animal)
    asked = ("explain", "--query", "it", "--head", "L3H1", "-o", "it.svg")
    done = place(*asked, env={"ATTNVIZ_LANG": "ko"})
    assert (done.code, done.out) == (0, "it.svg\n")
    assert "--lang is an option of" in place(*asked, "--lang", "ko").err


def test_places_are_filled() -> None:
    with styled(KO):
        assert say("minilm · layer 3 · query: it") == "minilm · 3번 층 · 쿼리: it"
        assert say("every 12th token labelled") == "12개마다 하나씩 표시"
        assert say("layer 4, head 2 (counted from 1)") == "4번 층, 2번 헤드 (1부터 셈)"
        assert say("no label of ours") == "no label of ours"
        assert say(label("distance")) == "distance"  # a word of a sentence
    assert say("distance") == "distance"


def test_korean_has_the_same_places() -> None:
    for english, korean in KOREAN.items():
        places = ["1"] * english.count("{")
        assert "{" not in korean.replace("{n}", "{}").format(*places), english


def test_from_the_command_line(
    tmp_path_factory: pytest.TempPathFactory, animal: Inspection
) -> None:
    place: Workplace = workplace(tmp_path_factory.mktemp("language"), animal)
    done = place("heatmap", "--query", "it", "--lang", "ko", "-o", "it.svg", "--quiet")
    assert (done.code, done.out, done.err) == (0, "it.svg\n", "")
    text = Path(place.folder / "it.svg").read_text(encoding="utf-8")
    for told in ("모든 헤드", "쿼리: it", "키: 주목받는 단어", "어텐션 가중치", "3번 층"):
        assert told in text
