"""A transformers model in memory: looked into as it is, and left as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from rounding import assert_numbers
from tiny_bert import save_tokenizer, tiny_bert, tiny_tokenizer
from tiny_others import RECORDED, SENTENCES, SEQ2SEQ, TARGET, WEIGHTS_ONLY, eager, hold

import attnviz
from attnviz.attention.request import AttentionKind
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import HeadId
from attnviz.model import Model, check_ablatable, load_model, matrices_of, model_in_memory
from attnviz.model.reload import load_model_of

pytestmark = pytest.mark.usefixtures("one_thread")


def tokenizer() -> Any:
    kind: Any = transformers.PreTrainedTokenizerFast
    return kind(tokenizer_object=tiny_tokenizer(), pad_token="[PAD]", unk_token="[UNK]")


def bert() -> Any:
    return tiny_bert()


def gpt2() -> Any:
    return RECORDED["gpt2"].build()


MODELS = {"bert": bert, "gpt2": gpt2}


def state_of(model: Any) -> dict[str, Any]:
    """All that looking into a model might change."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    return {
        "configs": {
            name: dict(vars(module.config))
            for name, module in model.named_modules()
            if hasattr(module, "config")
        },
        "attention": model.config._attn_implementation,
        "training": {name: module.training for name, module in model.named_modules()},
        "hooks": {
            (name, kind): list(getattr(module, kind).items())
            for name, module in model.named_modules()
            for kind in hooks
        },
        "numbers": {
            name: (p.dtype, p.device, p.requires_grad, p.grad, p.clone())
            for name, p in model.named_parameters()
        },
    }


def same(before: Any, after: Any) -> bool:
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(same(before[k], after[k]) for k in before)
    if isinstance(before, tuple):
        return all(map(same, before, after))
    return torch.equal(before, after) if isinstance(before, torch.Tensor) else before == after


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", MODELS)
def test_its_own_weights_alone_and_padded(name: str, attention: str) -> None:
    model = MODELS[name]()
    model.set_attn_implementation(attention)
    wrapped = model_in_memory(model, tokenizer())
    sentences = [wrapped.tokenize(text) for text in SENTENCES]
    alone = wrapped.inspect(SENTENCES[1])
    together = list(wrapped.inspect_tokens(sentences))
    assert model.config._attn_implementation == attention
    model.set_attn_implementation("eager")
    ids = [tokens.ids for tokens in sentences]
    hold(alone, eager(model, [ids[1]]).attentions)
    for row, inspection in enumerate(together):
        hold(inspection, eager(model, ids).attentions, row)
        assert inspection.layer(0).q is not None
    assert alone.attention == ("encoder" if name == "bert" else "decoder")
    assert alone.model.family == name


@pytest.mark.parametrize("name", MODELS)
def test_it_is_given_back_unchanged(name: str) -> None:
    model = MODELS[name]()
    model.set_attn_implementation("sdpa")
    model.train()
    next(model.children()).eval()  # some of it, as when a part is frozen
    model.config.use_cache = True
    calls: list[Any] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    before = state_of(model)
    assert before["attention"] == "sdpa"
    wrapped = model_in_memory(model, tokenizer())
    assert same(before, state_of(model))
    first, again = (wrapped.inspect(SENTENCES[0]) for _ in range(2))
    wrapped.sublayers(first, [1], [0])
    assert same(before, state_of(model))
    assert calls
    # no dropout, whatever mode the model is in
    assert_numbers(first.weights(1), again.weights(1))
    # and it trains on
    model(torch.tensor([first.tokens.ids])).last_hidden_state.sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


def test_it_is_given_back_unchanged_when_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    model = bert()
    before = state_of(model)
    wrapped = model_in_memory(model, tokenizer())

    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(type(model.encoder.layer[1].output), "forward", full)
    with pytest.raises(AttnvizError, match="do not fit in memory"):
        wrapped.inspect(SENTENCES[0])
    with pytest.raises(AttnvizError, match="the model does not fit in memory"):
        model_in_memory(model, tokenizer())
    assert same(before, state_of(model))


def test_its_name_says_where_it_is_and_loads_nothing() -> None:
    assert model_in_memory(bert(), tokenizer()).facts.name == "BertModel (in memory)"
    model = bert()
    model.name_or_path = model.config._name_or_path = "org/name"
    inspection = model_in_memory(model, tokenizer()).inspect("a dog")
    assert inspection.model.name == "org/name (in memory)"
    with pytest.raises(AttnvizError, match="cannot be loaded by its name"):
        load_model_of(inspection)


@pytest.mark.parametrize("name", MODELS)
def test_its_matrices(name: str) -> None:
    wrapped = model_in_memory(MODELS[name](), tokenizer())
    inspection = wrapped.inspect(SENTENCES[0])
    matrices = matrices_of(inspection, 1, load=lambda _: wrapped)
    inputs = inspection.layer(1).inputs()
    q = inputs.x @ matrices.W_Q + matrices.b_Q
    np.testing.assert_allclose(q, inputs.q.swapaxes(0, 1).reshape(q.shape), rtol=0, atol=1e-4)
    with pytest.raises(AttnvizError, match="cannot be loaded by its name"):
        matrices_of(inspection, 1)


def test_it_follows_the_model_as_it_is_trained() -> None:
    model = bert()
    wrapped = model_in_memory(model, tokenizer())
    before = wrapped.inspect("a dog")
    with torch.no_grad():
        model.encoder.layer[0].attention.self.query.weight.mul_(-1)
        model.encoder.layer[0].attention.output.dense.weight.mul_(3)
    after = wrapped.inspect("a dog")
    assert np.abs(after.weights(0) - before.weights(0)).max() > 0.01
    hold(after, eager(model, [after.tokens.ids]).attentions)
    norms = [inspection.layer(0).value_norms for inspection in (before, after)]
    assert norms[0] is not None
    assert norms[1] is not None
    np.testing.assert_allclose(norms[1], 3 * norms[0], rtol=1e-4)


def test_another_dtype() -> None:
    model = gpt2().to(torch.bfloat16)
    wrapped = model_in_memory(model, tokenizer())
    assert wrapped.facts.dtype == "bfloat16"
    wrapped.inspect("a dog")
    assert model.dtype == torch.bfloat16


def test_both_parts() -> None:
    model = SEQ2SEQ["t5"].build()
    model.set_attn_implementation("sdpa")
    before = state_of(model)
    encoder = model_in_memory(model, tokenizer()).inspect("a dog")
    cross = model_in_memory(model, tokenizer(), attention="cross", target=TARGET).inspect("a dog")
    written = model_in_memory(model, tokenizer(), attention="decoder").inspect("a dog")
    assert same(before, state_of(model))
    assert written.attention == "decoder"
    model.set_attn_implementation("eager")
    theirs = eager(model, [encoder.tokens.ids], [cross.tokens.ids])
    hold(encoder, theirs.encoder_attentions)
    hold(cross, theirs.cross_attentions)


@pytest.mark.parametrize("name", ["gemma2", "gpt_oss", "mistral", "modernbert"])
def test_windows_caps_and_sinks(name: str) -> None:
    model = RECORDED[name].build()
    before = state_of(model)
    inspection = model_in_memory(model, tokenizer()).inspect(SENTENCES[0])
    assert same(before, state_of(model))
    assert inspection.layer(0).q is not None
    hold(inspection, eager(model, [inspection.tokens.ids]).attentions)


def test_weights_only() -> None:
    model = WEIGHTS_ONLY["xlnet"].build()
    before = state_of(model)
    inspection = model_in_memory(model, tokenizer()).inspect(SENTENCES[0])
    assert same(before, state_of(model))
    assert inspection.layer(0).q is None
    hold(inspection, eager(model, [inspection.tokens.ids]).attentions)


def test_the_tokenizer_keeps_its_settings() -> None:
    library = tokenizer()
    library(["a dog", "a"], truncation=True, max_length=5, padding="max_length")
    truncation, padding = library.backend_tokenizer.truncation, library.backend_tokenizer.padding
    assert truncation["max_length"] == 5
    wrapped = model_in_memory(bert(), library)
    assert len(wrapped.inspect("a dog " * 7).tokens) == 16
    assert library.backend_tokenizer.truncation == truncation
    assert library.backend_tokenizer.padding == padding


@pytest.mark.parametrize(
    ("model", "library", "message"),
    [
        ("minilm", tokenizer, "the model should be one of transformers, and is a str"),
        (torch.nn.Linear(2, 2), tokenizer, "should be one of transformers, and is a Linear"),
        (bert, "minilm", "the tokenizer should be one of transformers, and is a str"),
        (bert, None, "the BertModel came without its tokenizer"),
    ],
)
def test_what_is_neither(model: Any, library: Any, message: str) -> None:
    make = [thing() if thing in (bert, tokenizer) else thing for thing in (model, library)]
    with pytest.raises(RequestError, match=message):
        model_in_memory(*make)


def test_a_model_without_weights() -> None:
    with torch.device("meta"):
        model = transformers.GPT2Model(gpt2().config)
    with pytest.raises(RequestError, match="the weights of the GPT2Model are not in memory"):
        model_in_memory(model, tokenizer())


def test_what_the_model_does_not_have() -> None:
    wrong: list[tuple[Any, AttentionKind]]
    wrong = [(bert(), "cross"), (bert(), "decoder"), (gpt2(), "encoder")]
    for model, attention in wrong:
        with pytest.raises(RequestError, match=f"--attention {attention} needs an? "):
            model_in_memory(model, tokenizer(), attention=attention)
    with pytest.raises(RequestError, match="--target is the text for a decoder"):
        model_in_memory(bert(), tokenizer(), target="a dog")
    sizes: Any = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    vit = transformers.ViTModel(transformers.ViTConfig(**sizes, intermediate_size=8))
    with pytest.raises(AttnvizError, match="vit models do not read text, but image"):
        model_in_memory(vit, tokenizer())


def test_a_text_for_another_model() -> None:
    model = tiny_bert(vocab_size=50)
    wrapped = model_in_memory(model, tokenizer())
    assert wrapped.notes[-1].startswith("its tokenizer has 97 pieces, and the model embeddings for")
    with pytest.raises(AttnvizError, match="the tokenizer gave id"):
        wrapped.inspect("the cat")


def test_heads_of_it_are_ablated(tmp_path: Path) -> None:
    theirs = bert()
    wrapped: Model = model_in_memory(theirs, tokenizer())
    check_ablatable(wrapped.inspect("a dog"))
    theirs.save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    ours = load_model(str(tmp_path))
    tokens = wrapped.tokenize("a dog")
    expected, found = (model.ablate(tokens, [HeadId(1, 0)]) for model in (ours, wrapped))
    np.testing.assert_allclose(found.plain, expected.plain, atol=1e-5)
    np.testing.assert_allclose(found.ablated, expected.ablated, atol=1e-5)
    with pytest.raises(RequestError, match="no head is named"):
        wrapped.ablate(tokens, [])


def test_from_python() -> None:
    """`inspect` takes it as any other model; options that came too late are refused."""
    model, cut = bert(), tokenizer()
    inspection = attnviz.inspect(SENTENCES[0], model=model, tokenizer=cut)
    one, two = attnviz.inspect(SENTENCES[:2], model=model, tokenizer=cut)
    assert_numbers(one.weights(0, 0), inspection.weights("L0H0"))
    assert two.tokens.text == SENTENCES[1]
    with pytest.raises(RequestError, match="loaded already, and dtype came with it"):
        attnviz.inspect(SENTENCES[0], model=model, tokenizer=cut, dtype="bfloat16")
