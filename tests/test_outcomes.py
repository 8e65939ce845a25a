"""Outcomes held to the models themselves."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_others import RECORDED
from transformers import AutoModelForCausalLM, MarianMTModel

import attnviz
from attnviz.answers.patch import Patched
from attnviz.attention.edits import Edit
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection
from attnviz.inspection.outcomes import Asked
from attnviz.model import Model, load_model
from attnviz.model.outcomes import outcome_of

TRANSLATOR = Path(__file__).parent.parent / "samples" / "translator"
TIRED = "The animal didn't cross the street because it was too tired."
HEAD = [Edit(1, 2)]


def test_states_move_as_in_ablate(animal: Inspection, minilm: Model) -> None:
    outcome = outcome_of(minilm, animal, "word", token=8)
    assert (outcome.facts.name, outcome.facts.token) == ("states", animal.tokens.words[8])
    [found] = outcome.values([[Edit(3, 1)]])
    expected = attnviz.ablate_each(animal, "it", model=minilm).heads
    [one] = [effect.distance for effect in expected if str(effect.head) == "L3H1"]
    assert outcome.plain.value == pytest.approx(0, abs=1e-9)
    assert found.value == pytest.approx(one, abs=1e-6)


@pytest.fixture(scope="module")
def translator() -> Model:
    return load_model(str(TRANSLATOR))


def test_the_next_token_of_a_translation(translator: Model) -> None:
    tokens = translator.tokenize(TIRED)
    outcome = outcome_of(translator, tokens, "word", Asked(of="es", against="sie"))
    assert (outcome.facts.of, outcome.facts.against, outcome.plain.best) == ("es", "sie", "es")
    assert outcome.facts.token is not None
    assert outcome.facts.token.text == "weil"
    theirs: Any = MarianMTModel.from_pretrained(TRANSLATOR)
    theirs.eval()
    target = translator.tokenizer.encode_target("Das Tier überquerte die Straße nicht, weil", 0)
    es, sie = (translator.tokenizer.encode_target(word, 0).ids[1] for word in ("es", "sie"))
    output = theirs.model.encoder.layers[1].self_attn.out_proj

    def without(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        z = inputs[0].clone()
        z.view(*z.shape[:-1], 4, -1)[..., 2, :] = 0
        return (z,)

    def difference() -> float:
        with torch.no_grad():
            logits = theirs(
                input_ids=torch.tensor([tokens.ids]), decoder_input_ids=torch.tensor([target.ids])
            ).logits[0, -1]
        shares = logits.double().softmax(-1)
        return float(shares[es] - shares[sie])

    assert outcome.plain.value == pytest.approx(difference(), abs=1e-5)
    [found] = outcome.values([HEAD])
    output.register_forward_pre_hook(without)
    assert found.value == pytest.approx(difference(), abs=1e-5)
    given = Asked(of="es", target="Das Tier überquerte die Straße nicht, weil", logit=True)
    assert outcome_of(translator, tokens, "word", given).facts.unit == "logit"


def test_the_next_token_of_a_decoder(tmp_path: Path) -> None:
    theirs = replace(RECORDED["gpt2"], task=AutoModelForCausalLM).save(tmp_path)
    model = load_model(str(tmp_path))
    tokens = model.tokenize("the cat sat on the mat")
    outcome = outcome_of(model, tokens, "word", Asked(of="dog", against="cat", logit=True))
    with torch.no_grad():
        logits = theirs(input_ids=torch.tensor([tokens.ids])).logits[0, -1].numpy()
    words = (model.tokenize(word).ids for word in ("dog", "cat"))
    dog, cat = (next(number for number in ids if number not in (2, 3)) for ids in words)
    assert outcome.plain.value == pytest.approx(float(logits[dog] - logits[cat]), abs=1e-4)
    assert outcome.plain.best == model.tokenizer.reads(int(np.argmax(logits)))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (Asked("mask"), "the outcome mask needs a masked-lm head, and .* has a seq2seq-lm head"),
        (Asked(of="translation"), '"translation" is .* tokens in|does not know "translation"'),
        (Asked(of="Hund"), 'weil es zu müde war.", without "Hund"'),
        (Asked("states", of="es"), "--of names a word, a label or a token of a head"),
        (Asked("similarity"), "compares the text with another one"),
    ],
)
def test_what_cannot_be_measured(translator: Model, asked: Asked, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        outcome_of(translator, translator.tokenize(TIRED), "word", asked)


def test_the_decoders_own_heads_are_patched() -> None:
    """Its text is kept with what the encoder read."""
    model = load_model(str(TRANSLATOR), attention="decoder")
    a, b = (model.inspect(text) for text in (TIRED, TIRED.replace("tired", "wide")))
    found = attnviz.patch(a, b, ["L1H1", "L1H3"], model=model, of="es", against="sie")
    assert isinstance(found, Patched)
    assert found.effect.best == "es"
    assert found.effect.restored == pytest.approx(0.93, abs=0.03)
    ablated = attnviz.ablate(a, "L1H3", model=model, outcome="next", of="es", against="sie")
    assert ablated.effect is not None
    assert ablated.effect.outcome.token is not None
    assert ablated.effect.outcome.token.text == "weil"
    with pytest.raises(AttnvizError, match="a decoder reads the encoder's text too"):
        model.run_with(Inspection(a.tokens, a.model, a.layers, attention="decoder"), HEAD)
