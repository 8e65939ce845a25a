"""Edited runs of models with heads, in memory: scores as by hooks, and models left as they were."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from hooked import Attention, library
from test_in_memory import same, state_of
from tiny_bert import tiny_bert
from tiny_others import BOTH, RECORDED, SENTENCES, SEQ2SEQ
from transformers import (
    BartConfig,
    BartForSequenceClassification,
    BertForMaskedLM,
    BertForSequenceClassification,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
)

from attnviz.attention.edits import Edit
from attnviz.errors import AttnvizError
from attnviz.model import model_in_memory
from attnviz.model.model import Model
from attnviz.model.predict import head_of
from attnviz.text.tokens import Translated

pytestmark = pytest.mark.usefixtures("one_thread")

TOLERANCE = 1e-5


def gpt2(kind: Any, **changes: Any) -> Any:
    config = RECORDED["gpt2"].build().config
    config.update(changes)
    torch.manual_seed(3)
    return spread(kind(config))


def spread(model: Any) -> Any:
    """Random numbers all over, so that attention is far from even."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embed_positions" not in name:
                noise = torch.randn_like(parameter)
                parameter.copy_(0.3 * noise if parameter.ndim > 1 else parameter + 0.2 * noise)
    return model.eval()


def bart() -> Any:
    sizes: dict[str, Any] = {**BOTH, "num_labels": 3}
    torch.manual_seed(3)
    return spread(BartForSequenceClassification(BartConfig(**sizes)))


BERT = "bert.encoder.layer.1.attention.output.dense"
GPT2 = "transformer.h.1.attn.c_proj"
HEADS: dict[str, tuple[Any, str, list[int]]] = {
    "GPT2LMHeadModel": (lambda: gpt2(GPT2LMHeadModel), GPT2, [16, 3]),
    # transformers finds no last token in a batch without padding's id
    "GPT2, labels, no padding": (
        lambda: gpt2(GPT2ForSequenceClassification, pad_token_id=None, num_labels=3), GPT2, [0],
    ),
    "GPT2, labels": (lambda: gpt2(GPT2ForSequenceClassification), GPT2, [0]),
    "BertForMaskedLM": (lambda: tiny_bert(kind=BertForMaskedLM), BERT, [2, 5]),
    "BERT, labels": (lambda: tiny_bert(kind=BertForSequenceClassification), BERT, [0]),
    "T5": (SEQ2SEQ["t5"].build, "encoder.block.1.layer.0.SelfAttention.o", [1, 3]),
    "BART": (SEQ2SEQ["bart"].build, "model.encoder.layers.1.self_attn.out_proj", [1, 3]),
    "BART, labels": (bart, "model.encoder.layers.1.self_attn.out_proj", [0]),
}  # fmt: skip
"""Models with a head, W_O of layer 1, and the places at which they are asked."""


@pytest.fixture(params=HEADS)
def case(request: pytest.FixtureRequest) -> Any:
    build, output, places = HEADS[request.param]
    theirs = build()
    ours = deepcopy(theirs)
    return model_in_memory(ours, library()), ours, theirs, output, places


def asked(model: Model, target: tuple[int, ...]) -> Any:
    tokens = model.tokenize(SENTENCES[0])
    if "ConditionalGeneration" not in model.facts.name:
        return tokens
    return Translated.of(tokens, model.tokenizer.reading(target))


@torch.no_grad()
def scores(theirs: Any, tokens: Any, places: list[int]) -> np.ndarray:
    fed = {"input_ids": torch.tensor([tokens.ids])}
    if isinstance(tokens, Translated) and tokens.target is not None:
        fed["decoder_input_ids"] = torch.tensor([tokens.target.ids])
    if theirs.config.is_encoder_decoder or theirs.config.model_type == "gpt2":
        logits = theirs(**fed).logits
    else:
        logits = theirs(**fed, token_type_ids=torch.zeros_like(fed["input_ids"])).logits
    found: np.ndarray = (logits[0, places] if logits.ndim == 3 else logits).numpy()
    return found


def test_scores_are_those_of_hooks(case: Any) -> None:
    model, ours, theirs, output, places = case
    ours.train()
    next(ours.children()).eval()  # some of it, as when a part is frozen
    before = state_of(ours)
    tokens = asked(model, (0, 5, 6, 7))
    text = model.editable(tokens, 9, head_of(model), places)
    attention = Attention(theirs, output, model.facts.num_heads)
    plain = scores(theirs, tokens, places)
    size = max(1.0, float(np.abs(plain).max()))
    np.testing.assert_allclose(text.plain.scores, plain, rtol=0, atol=TOLERANCE * size)
    heads = list(np.ndindex(model.facts.num_layers, model.facts.num_heads))
    runs = [[Edit(*place)] for place in heads]
    for place, found in zip(heads, text.edited(runs, slice(2, 4)), strict=True):
        with attention.head("z", place[0], place[1], torch.Tensor.zero_):
            expected = scores(theirs, tokens, places)
        np.testing.assert_allclose(found.scores, expected, rtol=0, atol=TOLERANCE * size)
        assert np.abs(expected - plain).max() > TOLERANCE
        assert len(found.states) == 2
    assert same(before, state_of(ours))
    assert not any("forward" in vars(module) for module in ours.modules())


def test_a_model_that_fails_is_left_as_it_was(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, ours, _, output, places = case
    ours.train()
    layer = ours.get_submodule(output[: output.index(".1.") + 2])
    own = layer.forward
    layer.forward = lambda *args, **named: own(*args, **named)  # as a library that wraps models
    wrapped = layer.forward
    text = model.editable(asked(model, (0, 5, 6, 7)), 9, head_of(model), places)
    before = state_of(ours)
    broken = ours.get_submodule(output)

    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError("no such number")

    with monkeypatch.context() as patch:
        patch.setattr(type(broken), "forward", fails)
        with pytest.raises(AttnvizError, match="cannot be edited: they fail with no such number"):
            list(text.edited([[Edit(1, 0)]]))
    assert same(before, state_of(ours))
    assert layer.forward is wrapped
    assert [name for name, module in ours.named_modules() if "forward" in vars(module)] == [
        output[: output.index(".1.") + 2]
    ]
