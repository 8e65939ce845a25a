"""Edits find the heads of a planted circuit, and no other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hooked import library
from planted import HEADS, LAYERS, PLANTED, A, B, auroc, planted, save_planted

import attnviz
from attnviz.answers.patch import EachPatched
from attnviz.attention.edits import Edit, Patch
from attnviz.inspection.outcomes import Asked
from attnviz.model import Model, load_model, model_in_memory
from attnviz.model.outcomes import Outcome, outcome_of

pytestmark = pytest.mark.usefixtures("one_thread")

PLACES = list(np.ndindex(LAYERS, HEADS))


@pytest.fixture(params=["numpy", "torch", "transformers"])
def model(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    if request.param == "transformers":
        return model_in_memory(planted(), library())
    monkeypatch.setenv("ATTNVIZ_ENGINE", request.param)
    save_planted(tmp_path)
    return load_model(str(tmp_path))


def of(model: Model, text: str) -> Outcome:
    """How likely the word of A is at the mask."""
    return outcome_of(model, model.tokenize(text), "word", Asked(of="cat"))


def changes(outcome: Outcome, what: Any, source: Any) -> dict[tuple[int, int], float]:
    runs = [[Edit(layer, head, what, source=source)] for layer, head in PLACES]
    values = (measured.value - outcome.plain.value for measured in outcome.values(runs))
    return dict(zip(PLACES, values, strict=True))


def test_the_model_says_the_word(model: Model) -> None:
    a, b = of(model, A), of(model, B)
    assert (a.plain.best, b.plain.best) == ("cat", "dog")
    assert a.plain.value > 0.9
    assert b.plain.value < 0.05


@pytest.mark.parametrize("what", ["z", "v", "weights"])
def test_without_a_planted_head_the_word_is_lost(model: Model, what: Any) -> None:
    found = changes(of(model, A), what, "zero")
    assert auroc({place: -change for place, change in found.items()}) == 1.0
    assert max(found[place] for place in PLANTED) < -0.8
    assert max(abs(found[place]) for place in PLACES if place not in PLANTED) < 0.1


@pytest.mark.parametrize("what", ["z", "v"])
def test_a_patched_planted_head_restores_the_word(model: Model, what: Any) -> None:
    a, b = of(model, A), of(model, B)
    whole = a.plain.value - b.plain.value
    found = changes(b, what, Patch(a.text.layers))
    assert auroc(found) == 1.0
    assert min(found[place] for place in PLANTED) / whole > 0.8
    assert max(abs(found[place]) for place in PLACES if place not in PLANTED) / whole < 0.05


def test_where_it_looks_carries_nothing(model: Model) -> None:
    """In both twins the same places are looked at: what is brought from there differs."""
    a, b = of(model, A), of(model, B)
    found = changes(b, "weights", Patch(a.text.layers))
    assert max(map(abs, found.values())) < 0.05


def test_all_heads_patched_restore_all(model: Model) -> None:
    a, b = of(model, A), of(model, B)
    run = [Edit(layer, head, source=Patch(a.text.layers)) for layer, head in PLACES]
    [output] = b.text.edited([run])
    shared = [
        place
        for place, (one, other) in enumerate(zip(a.text.tokens.ids, b.text.tokens.ids, strict=True))
        if one == other
    ]
    assert len(shared) == len(a.text.tokens) - 1
    np.testing.assert_allclose(output.states[shared], a.text.plain.states[shared], atol=1e-5)
    [measured] = b.values([run])
    assert measured.value == pytest.approx(a.plain.value, abs=1e-5)


def test_each_head_alone_as_users_ask(model: Model) -> None:
    """`ablate --each` and `patch --each` rank the two planted heads first, and no other matters."""
    a, b = (model.inspect(text) for text in (A, B))
    ablated = attnviz.ablate_each(a, model=model, outcome="mask", of="cat").heads
    lost = {(one.head.layer, one.head.place): abs(one.effect.change) for one in ablated}
    patched = attnviz.patch(a, b, model=model)
    assert isinstance(patched, EachPatched)
    shares = {(one.head.layer, one.head.place): one.effect.restored for one in patched.heads}
    restored = {place: share for place, share in shares.items() if share is not None}
    assert auroc(lost) == auroc(restored) == 1.0
    assert (
        {one.head for one in ablated[:2]} == {one.head for one in patched.heads[:2]} == {*PLANTED}
    )
