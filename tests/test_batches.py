"""A sentence's numbers never depend on the others in its batch: every type that is listed."""

import json
from pathlib import Path
from typing import Any

import model_types
import numpy as np
import pytest
import torch
import transformers
from tiny_bert import save_tokenizer, tiny_tokenizer
from tiny_others import (
    BOTH,
    RECORDED,
    SENTENCES,
    STACK,
    WEIGHTS_ONLY,
    Other,
    eager,
    hold,
    runner_of,
)

from attnviz.errors import RequestError
from attnviz.model import Model, load_model, model_in_memory
from attnviz.models.describe import other_types
from attnviz.transformers_backend import quirks

pytestmark = pytest.mark.usefixtures("one_thread")

TRIED = other_types()
LISTED = [*TRIED.recorded, *TRIED.weights_only]
AWKWARD = (
    "big_bird", "bigbird_pegasus", "convbert", "deberta-v2", "encoder-decoder", "led", "longformer",
    "mobilebert", "nystromformer", "t5", "xlnet",
)  # fmt: skip

CONVBERT = Other("ConvBertConfig", STACK)
MOBILEBERT = Other(
    "MobileBertConfig",
    {
        **STACK,
        "num_hidden_layers": 2,
        "embedding_size": 12,
        "intra_bottleneck_size": 28,
        "true_hidden_size": 28,
    },
)
BIG_BIRD = Other("BigBirdConfig", {**STACK, "block_size": 2, "num_random_blocks": 1})
ONE_BY_ONE = (
    "in a padded batch its weights are not those of a sentence alone, so sentences run one by one"
)


def library() -> Any:
    fast: Any = transformers.PreTrainedTokenizerFast
    return fast(tokenizer_object=tiny_tokenizer())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in AWKWARD else pytest.mark.slow, id=name)
        for name in LISTED
    ],
)
def test_alone_in_a_batch_and_as_a_pair(name: str) -> None:
    """But for its sizes as published: to 1e-5, transformers' eager run of each text alone."""
    found = model_types.tried(name)
    assert found is not None
    assert found["is"] == ("recorded" if name in TRIED.recorded else "given"), found
    assert model_types.worst(found) <= model_types.TOLERANCE
    assert (found["batch"] == "one by one") == (name in TRIED.one_by_one)
    assert "pair" in found


def test_the_awkward_ones_are_listed() -> None:
    assert set(AWKWARD) <= set(LISTED)
    assert {"convbert", "mobilebert"} <= set(TRIED.one_by_one)


@pytest.mark.parametrize("other", [CONVBERT, MOBILEBERT], ids=["convbert", "mobilebert"])
@pytest.mark.parametrize("in_memory", [False, True])
def test_what_lets_padding_in_runs_one_by_one(
    other: Other, in_memory: bool, tmp_path: Path
) -> None:
    theirs = other.save(tmp_path)
    ours = model_in_memory(theirs, library()) if in_memory else load_model(str(tmp_path))
    assert ours.notes == (ONE_BY_ONE,)
    sentences = [ours.tokenize(text) for text in SENTENCES]
    inspections = list(ours.inspect_tokens(sentences))
    for inspection in inspections:
        hold(inspection, eager(theirs, [inspection.tokens.ids]).attentions)
    # the model's own padded batch is another matter
    padded = eager(theirs, [tokens.ids for tokens in sentences]).attentions
    n = len(sentences[1])
    alone = inspections[1].layer(1).weights(1)
    assert np.abs(padded[1][1, :, :n, :n].numpy() - alone).max() > 0.01


def test_one_that_fails_does_not_spoil_the_others(tmp_path: Path) -> None:
    CONVBERT.save(tmp_path)
    model = load_model(str(tmp_path))
    runner = runner_of(model)
    run, seen = runner.model.record, []

    def failing(batch: Any, recording: Any) -> Any:
        seen.append(len(batch.ids))
        return run(batch, recording)

    runner.model.record = failing  # type: ignore[method-assign]
    assert len(list(model.inspect_tokens([model.tokenize(text) for text in SENTENCES]))) == 3
    assert seen == [1, 1, 1]


@pytest.mark.parametrize("name", [*RECORDED, *WEIGHTS_ONLY])
def test_windows_caps_and_sinks_in_a_batch_are_those_of_each_alone(
    name: str, tmp_path: Path
) -> None:
    theirs = {**RECORDED, **WEIGHTS_ONLY}[name].save(tmp_path)
    model = load_model(str(tmp_path))
    assert runner_of(model).model.shares(17)
    for inspection in model.inspect_tokens([model.tokenize(text) for text in SENTENCES]):
        output = eager(theirs, [inspection.tokens.ids])
        hold(inspection, quirks.whole_rows(theirs.config, output, output.attentions))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_rounding_does_not_part_a_batch(dtype: Any, tmp_path: Path) -> None:
    RECORDED["llama"].save(tmp_path)
    assert runner_of(load_model(str(tmp_path), dtype=dtype)).model.shares(17)


def test_what_lets_padding_in_is_seen_in_bfloat16_too(tmp_path: Path) -> None:
    theirs = CONVBERT.save(tmp_path).to(torch.bfloat16)
    model = load_model(str(tmp_path), dtype="bfloat16")
    assert not runner_of(model).model.shares(17)
    inspection = model.inspect("a dog sat")
    expected = eager(theirs, [inspection.tokens.ids]).attentions[0][0].float().numpy()
    np.testing.assert_allclose(inspection.layer(0).weights(0), expected, rtol=0, atol=0.02)


def test_a_text_that_has_the_padding_token(tmp_path: Path) -> None:
    """XLM takes the padding's id for the end of a text where it gets no mask."""
    sizes = {"vocab_size": 97, "emb_dim": 24, "n_layers": 2, "n_heads": 4, "pad_index": 0}
    theirs = Other("XLMConfig", {**sizes, "pad_token_id": 0}, gives_types=False).save(tmp_path)
    model = load_model(str(tmp_path))
    sentences = [model.tokenize("the [PAD] cat sat"), model.tokenize("a dog")]
    assert 0 in sentences[0].ids
    for inspection in (*model.inspect_tokens(sentences), *model.inspect_tokens(sentences[:1])):
        hold(inspection, eager(theirs, [inspection.tokens.ids]).attentions)


@pytest.mark.parametrize("pad", [None, -1])
def test_padding_that_is_no_id(pad: int | None, tmp_path: Path) -> None:
    RECORDED["llama"].save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "pad_token_id": pad}))
    model = load_model(str(tmp_path))
    assert runner_of(model).model.pad == 0
    assert runner_of(model).model.shares(17)


def test_others_share_batches_and_say_nothing(tmp_path: Path) -> None:
    RECORDED["gpt2"].save(tmp_path)
    model = load_model(str(tmp_path))
    assert model.notes == ()
    assert runner_of(model).model.shares(500)


def test_few_runs_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with ours and with eager attention, another, and both: four runs."""
    RECORDED["llama"].save(tmp_path)
    runs: list[int] = []
    forward = transformers.LlamaModel.forward

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        runs.append(len(options["input_ids"]))
        return forward(self, *args, **options)

    monkeypatch.setattr(transformers.LlamaModel, "forward", counted)
    load_model(str(tmp_path))
    assert runs == [1, 1, 1, 2]


@pytest.fixture(scope="module")
def pegasus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pegasus")
    sizes = {**BOTH, "decoder_attention_heads": 4, "block_size": 2, "num_random_blocks": 1}
    Other("BigBirdPegasusConfig", sizes, transformers.AutoModelForSeq2SeqLM).save(folder)
    return folder


def test_masks_come_in_the_form_that_an_encoder_reads(pegasus: Path) -> None:
    """BigBird-Pegasus's encoder adds its mask to scores, beside a decoder that hands it to ours."""
    model = load_model(str(pegasus), attention="cross", target="a dog")
    kind: Any = transformers.BigBirdPegasusModel
    theirs = kind.from_pretrained(pegasus, attn_implementation="eager").eval()
    texts = ["the cat sat", "a dog"]
    sentences = [model.tokenize(text) for text in texts]
    together = list(model.inspect_tokens(sentences))
    assert runner_of(model).model.shares(9)
    for inspection in together:
        assert inspection.layer(0).q is not None
        ids = [inspection.key_tokens.ids], [inspection.tokens.ids]
        hold(inspection, eager(theirs, *ids).cross_attentions)


def test_big_bird_is_full_in_short_texts_and_refuses_long_ones(tmp_path: Path) -> None:
    theirs = BIG_BIRD.save(tmp_path)
    model = load_model(str(tmp_path))
    most = (5 + 2 * 1) * 2
    assert model.notes == (
        f"its attention is full in texts of up to {most} tokens, as transformers runs them; "
        "longer texts, where it is block-sparse, are not shown",
    )
    inspection = model.inspect("the cat sat on a mat. a dog sat")
    assert len(inspection.tokens) <= most
    with torch.inference_mode():  # which makes its attention full, too late to return it
        hidden = theirs(torch.tensor([inspection.tokens.ids])).last_hidden_state
    assert theirs.attention_type == "original_full"
    again = eager(theirs, [inspection.tokens.ids])
    assert torch.equal(hidden, again.last_hidden_state)
    theirs.config.attention_type = "original_full"
    full: Any = transformers.BigBirdModel(theirs.config)
    full.load_state_dict(theirs.state_dict())
    hold(inspection, eager(full.eval(), [inspection.tokens.ids]).attentions)
    with pytest.raises(RequestError, match=f"tokens long, .* at most {most}"):
        model.inspect("the cat sat on the mat. it was too tired to cross the street")


def test_a_big_bird_in_memory_is_given_back_block_sparse() -> None:
    theirs = BIG_BIRD.build()
    parts = dict(theirs.named_modules())
    model = model_in_memory(theirs, library())
    weights = model.inspect("a dog").weights(0)
    assert theirs.attention_type == "block_sparse"
    after = dict(theirs.named_modules())
    assert after.keys() == parts.keys()
    assert all(after[name] is part for name, part in parts.items())
    np.testing.assert_allclose(model.inspect("a dog").weights(0), weights, rtol=0, atol=1e-5)


LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "short_factor": [1.0, 1.0, 1.0],
    "long_factor": [4.0, 4.0, 4.0],
}


PHI = {
    **STACK,
    "hidden_size": 24,
    "rope_parameters": LONGROPE,
    "original_max_position_embeddings": 8,
}


def test_a_long_text_does_not_turn_its_neighbours(tmp_path: Path) -> None:
    """Phi-3's rotations are others for the whole batch once a text in it is long."""
    phi = Other("Phi3Config", PHI)
    theirs = phi.save(tmp_path)
    model = load_model(str(tmp_path))
    sentences = [model.tokenize(text) for text in SENTENCES]
    assert max(map(len, sentences)) > 8 > min(map(len, sentences))
    runner = runner_of(model)
    assert runner.model.shares(8)
    assert not runner.model.shares(9)
    for inspection in model.inspect_tokens(sentences):
        hold(inspection, eager(theirs, [inspection.tokens.ids]).attentions)
    short = sentences[1].ids
    batch = eager(theirs, [sentences[0].ids, short]).attentions[1][1, :, : len(short), : len(short)]
    alone = eager(theirs, [short]).attentions[1][0]
    assert float((batch - alone).abs().max()) > 0.01


def test_experts_that_take_so_many_tokens_of_a_batch() -> None:
    config = transformers.NllbMoeConfig(moe_eval_capacity_token_fraction=0.25)
    assert quirks.longest_shared(config) == 0
    assert quirks.longest_shared(transformers.NllbMoeConfig()) > 1e9


def two_berts(folder: Path) -> Any:
    """An encoder-decoder of two BERTs, as published."""
    sizes: dict[str, Any] = {**STACK, "hidden_size": 24}
    encoder = transformers.BertConfig(**sizes)
    decoder = transformers.BertConfig(
        **{**sizes, "vocab_size": 89}, is_decoder=True, add_cross_attention=True
    )
    config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id = 2, 0
    torch.manual_seed(5)
    model: Any = transformers.EncoderDecoderModel(config=config)
    model.eval()
    for parameter in model.parameters():
        model_types.spread(parameter)
    model.save_pretrained(folder)
    save_tokenizer(folder)
    model.set_attn_implementation("eager")
    return model


def test_two_berts(tmp_path: Path) -> None:
    theirs = two_berts(tmp_path)
    encoder: Model = load_model(str(tmp_path))
    pair = encoder.inspect("the cat sat", "a dog")
    assert (encoder.facts.family, pair.attention) == ("encoder-decoder", "encoder")
    types = torch.tensor([pair.tokens.type_ids])
    assert types.any()
    fed = {"input_ids": torch.tensor([pair.tokens.ids]), "token_type_ids": types}
    expected = theirs.encoder(**fed, output_attentions=True).attentions
    hold(pair, [layer.detach() for layer in expected])
    cross = load_model(str(tmp_path), attention="cross", target="a dog").inspect("the cat")
    ids = [cross.key_tokens.ids], [cross.tokens.ids]
    hold(cross, eager(theirs, *ids).cross_attentions)


def test_a_saved_block_size_is_not_a_switch() -> None:
    assert quirks.sparse_from(transformers.BigBirdConfig(attention_type="original_full")) is None
    assert quirks.sparse_from(transformers.BigBirdConfig()) == 704
