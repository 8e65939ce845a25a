import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from handmade import inspection_of, tokens_of
from hypothesis import given
from hypothesis import strategies as st

import attnviz
from attnviz.inspection import HeadId, Inspection, View
from attnviz.model import Model
from attnviz.show.naming import default_name, picture_name

L3H1 = [HeadId(3, 1)]


def view_of(text: str, pair: str | None = None, model: str = "minilm") -> View:
    """A view in which only the sentence and the model's name matter."""
    tokens = replace(tokens_of(["a"]), text=text, pair=pair, spans=(None, (0, 0), None))
    return inspection_of(tokens, np.full((1, 1, 3, 3), 1 / 3), name=model).view()


def test_model_head_and_sentence(animal: Inspection) -> None:
    name = default_name(animal.view().context, L3H1)
    sentence = "the-animal-didn-t-cross-the-street-because-it-was-too-tired"
    assert re.fullmatch(rf"attnviz-minilm-L3H1-{sentence}-[0-9a-f]{{6}}", name)
    assert name == default_name(animal.view().context, L3H1)


def test_what_else_makes_a_picture_another_one(animal: Inspection) -> None:
    names = {
        default_name(animal.view().context, L3H1),
        default_name(animal.view().context, [HeadId(3, head) for head in range(12)]),
        default_name(animal.view().context, animal.view().all_heads()),
        default_name(animal.view().context, [HeadId(0, head) for head in range(5)]),
        default_name(animal.view().context, [HeadId(1, head) for head in range(5)]),
        default_name(animal.view("piece").context, L3H1),
        default_name(animal.view(special=False).context, L3H1),
        default_name(animal.view().context, L3H1, "lines-it"),
        default_name(animal.view().context, L3H1, "lines-unbelievable-4"),
        default_name(animal.view().context, L3H1, "lines-unbelievable-9"),
    }
    assert len(names) == 10
    assert all(name.startswith("attnviz-minilm-") for name in names)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("He left.", "He left?"),
        ("he left", "He left"),
        ("C#", "C++"),
        ("!!!", "???"),
        ("very " * 30 + "tired", "very " * 30 + "wide"),
    ],
)
def test_sentences_that_read_alike_are_told_apart(one: str, other: str) -> None:
    names = [default_name(view_of(text).context, L3H1) for text in (one, other)]
    assert names[0] != names[1]
    assert names[0][:-6] == names[1][:-6]


def test_a_pair_is_not_a_sentence_of_both() -> None:
    views = [view_of("a b", "c"), view_of("a", "b c"), view_of("a b c")]
    assert len({default_name(view.context, L3H1) for view in views}) == 3


def test_models_that_read_alike_are_told_apart() -> None:
    long = ["organisation/a-long-model-name-" + end for end in ("base", "large")]
    views = [view_of("a", model=name) for name in (*long, "a/b", "a-b")]
    assert len({default_name(view.context, L3H1) for view in views}) == 4


def test_an_untrained_model_has_its_seed_in_the_name() -> None:
    names = []
    for seed in (1, 2):
        inspection = view_of("a", model="paper").inspection
        model = replace(inspection.model, trained=False, seed=seed)
        names.append(default_name(replace(inspection, model=model).view().context, L3H1))
    assert [name[:-7] for name in names] == [
        "attnviz-paper-seed-1-L3H1-a",
        "attnviz-paper-seed-2-L3H1-a",
    ]


def test_letters_of_any_script_stay(minilm: Model) -> None:
    name = default_name(minilm.inspect("그 동물은 너무 지쳐서").view().context, L3H1)
    assert name.startswith("attnviz-minilm-L3H1-그-동물은-너무-지쳐서-")


@pytest.mark.parametrize("text", ["!!!", "../../etc/passwd", "a\x00b", "C:\\x", "👩\u200d👧"])
def test_no_sentence_leads_out_of_the_folder(text: str) -> None:
    name = default_name(view_of(text, model="../org/model@main").context, L3H1)
    assert re.fullmatch(r"attnviz-org-model-main-L3H1(-[\w-]+)", name)


@given(st.text(), st.none() | st.text(), st.text(max_size=60), st.text(max_size=60))
def test_any_text_gives_a_safe_name(text: str, pair: str | None, model: str, what: str) -> None:
    heads = [HeadId(23, head) for head in range(12, 16)]
    name = default_name(view_of(text, pair, model).context, heads, what)
    assert name.startswith("attnviz-")
    assert len(name.encode()) <= 96
    assert not re.search(r"[\s/\\:*?\"<>|.\x00-\x1f]", name)
    assert not name.endswith("-")


def test_every_picture_has_a_name_of_its_own(animal: Inspection) -> None:
    found = attnviz.find(animal, "it", "animal")
    answers: list[Any] = [
        attnviz.matrices(animal),
        attnviz.word(animal, query="it"),
        attnviz.word(animal, key="it"),
        attnviz.word(animal, "it", "animal"),
        attnviz.links(animal, head="L3H1"),
        attnviz.links(animal, head="L3H1", query="it"),
        attnviz.links(animal, head="L3H1", key="it"),
        *(attnviz.find(animal, "it", key) for key in ("animal", "the street", "street")),
        *(attnviz.holding([found] * count) for count in (1, 2)),
        attnviz.ablate(animal, "L3H1"),
        attnviz.ablate_each(animal, "it"),
        attnviz.ablate_each(animal, "was"),
    ]
    names = [picture_name(answer) for answer in answers]
    assert len(set(names)) == len(names)
