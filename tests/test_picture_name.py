import re
from dataclasses import replace

import numpy as np
import pytest
from handmade import inspection_of, tokens_of
from hypothesis import given
from hypothesis import strategies as st

from attnviz.inspection import HeadId, Inspection, View
from attnviz.inspector import Model
from attnviz.render.figure.name import default_name

L3H1 = [HeadId(3, 1)]


def view_of(text: str, pair: str | None = None, model: str = "minilm") -> View:
    """A view in which only the sentence and the model's name matter."""
    tokens = replace(tokens_of(["a"]), text=text, pair=pair, spans=(None, (0, 0), None))
    return inspection_of(tokens, np.full((1, 1, 3, 3), 1 / 3), name=model).view()


def test_model_head_and_sentence(animal: Inspection) -> None:
    assert default_name(animal.view(), L3H1) == (
        "attnviz-minilm-L3H1-the-animal-didn-t-cross-the-street-because-it-was-too-tired"
    )


def test_what_else_makes_a_picture_another_one(animal: Inspection) -> None:
    heads = [HeadId(3, head) for head in range(12)]
    names = {
        default_name(animal.view(), L3H1),
        default_name(animal.view(), heads),
        default_name(animal.view(), animal.view().all_heads()),
        default_name(animal.view("piece"), L3H1),
        default_name(animal.view(special=False), L3H1),
        default_name(animal.view(), L3H1, "lines-it"),
    }
    assert len(names) == 6
    assert all(name.startswith("attnviz-minilm-") for name in names)


def test_long_sentences_with_the_same_beginning_are_told_apart() -> None:
    tired, wide = (view_of("very " * 30 + end) for end in ("tired", "wide"))
    names = [default_name(view, L3H1) for view in (tired, wide)]
    assert names[0] != names[1]
    assert names[0][:60] == names[1][:60]
    assert names[0] == default_name(tired, L3H1)


def test_letters_of_any_script_stay(minilm: Model) -> None:
    name = default_name(minilm.inspect("그 동물은 너무 지쳐서").view(), L3H1)
    assert name == "attnviz-minilm-L3H1-그-동물은-너무-지쳐서"


@pytest.mark.parametrize("text", ["!!!", "../../etc/passwd", "a\x00b", "C:\\x", "👩\u200d👧"])
def test_no_sentence_leads_out_of_the_folder(text: str) -> None:
    name = default_name(view_of(text, model="../org/model@main"), L3H1)
    assert re.fullmatch(r"attnviz-org-model-main-L3H1(-[\w-]+)", name)


@given(st.text(), st.none() | st.text(), st.text(max_size=60), st.text(max_size=60))
def test_any_text_gives_a_safe_name(text: str, pair: str | None, model: str, what: str) -> None:
    name = default_name(view_of(text, pair, model), L3H1, what)
    assert name.startswith("attnviz-")
    assert len(name.encode()) <= 80
    assert not re.search(r"[\s/\\:*?\"<>|.\x00-\x1f]", name)
    assert not name.endswith("-")
