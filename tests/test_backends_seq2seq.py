"""Encoder-decoder models: whose attention is looked at, and what the decoder is fed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from handmade import part
from tiny_others import SENTENCES, SEQ2SEQ, TARGET, eager, hold

from attnviz.attention.request import AttentionKind
from attnviz.errors import AttnvizError, RequestError
from attnviz.model import Model, load_model
from attnviz.model.native import NativeRunner
from attnviz.text.tokens import Tokens
from attnviz.transformers_backend import runner

pytestmark = pytest.mark.usefixtures("one_thread")

KINDS: tuple[AttentionKind, ...] = ("encoder", "decoder", "cross")
OUTPUTS = {kind: f"{kind}_attentions" for kind in KINDS}


class Tried:
    """A tiny model saved in a folder, and as transformers has it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.folder = folder
        self.theirs = SEQ2SEQ[name].save(folder)

        self._ours: dict[tuple[AttentionKind, str | None], Model] = {}

    def ours(self, kind: AttentionKind, target: str | None = TARGET) -> Model:
        if kind == "encoder":
            target = None
        if (kind, target) not in self._ours:
            self._ours[kind, target] = load_model(str(self.folder), attention=kind, target=target)
        return self._ours[kind, target]


@pytest.fixture(scope="module", params=SEQ2SEQ)
def tried(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tried:
    return Tried(tmp_path_factory.mktemp(request.param), request.param)


def weights_of(
    tried: Tried, kind: AttentionKind, sources: list[Tokens], targets: list[tuple[int, ...]]
) -> Any:
    return getattr(eager(tried.theirs, [tokens.ids for tokens in sources], targets), OUTPUTS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_every_head_alone_and_in_a_padded_batch(tried: Tried, kind: AttentionKind) -> None:
    ours = tried.ours(kind)
    sources = [ours.tokenize(sentence) for sentence in SENTENCES]
    together = list(ours.inspect_tokens(sources))
    alone = list(ours.inspect_tokens(sources[:1]))
    target = (0, 0) if kind == "encoder" else together[0].tokens.ids
    expected = weights_of(tried, kind, sources, [target] * 3)
    for row, inspection in enumerate(together):
        assert inspection.attention == kind
        hold(inspection, expected, row)
    expected = weights_of(tried, kind, sources[:1], [target])
    hold(alone[0], expected)
    assert min(float(layer.std()) for layer in expected) > 0.005


@pytest.mark.parametrize("kind", ["decoder", "cross"])
def test_a_decoder_is_fed_the_target_as_in_its_training(tried: Tried, kind: AttentionKind) -> None:
    ours = tried.ours(kind)
    inspection = ours.inspect(SENTENCES[0])
    labels = ours.tokenize(TARGET).ids
    if tried.name != "m2m_100":  # which has no such method
        shifted = tried.theirs.prepare_decoder_input_ids_from_labels(torch.tensor([labels]))
        assert inspection.tokens.ids == tuple(shifted[0].tolist())
    assert inspection.tokens.ids == (0, *labels[:-1])
    assert inspection.tokens.vocabulary[:4] == ("[PAD]", "[CLS]", "a", "dog")
    assert [word.text for word in inspection.tokens.words] == ["[PAD]", "[CLS]", *TARGET.split()]
    assert inspection.tokens.text == TARGET
    if kind == "cross":
        assert inspection.key_tokens == ours.tokenize(SENTENCES[0])
        assert inspection.layer(0).key_ranges is None
    else:
        assert inspection.keys is None
        visible = part(inspection.layer(0), "key_ranges")
        assert visible.tolist() == [[0, query + 1] for query in range(7)]


@pytest.mark.parametrize("kind", ["decoder", "cross"])
def test_without_a_target_the_model_writes_it(
    tried: Tried, kind: AttentionKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "MAX_WRITTEN", 11)
    ours = tried.ours(kind, target=None)
    sources = [ours.tokenize(sentence) for sentence in SENTENCES[:2]]
    inspections = list(ours.inspect_tokens(sources))
    written = []
    for tokens, inspection in zip(sources, inspections, strict=True):
        [ids] = tried.theirs.generate(
            torch.tensor([tokens.ids]), do_sample=False, num_beams=1, max_new_tokens=11
        ).tolist()
        assert inspection.tokens.ids == tuple(ids[:-1])  # the last is written, and never fed
        written.append(inspection.tokens.ids)
    expected = weights_of(tried, kind, sources, written)
    for row, inspection in enumerate(inspections):
        hold(inspection, expected, row)


def test_x_and_memory_are_what_keys_and_values_are_made_of(tmp_path: Path) -> None:
    tried = Tried(tmp_path, "bart")
    record = tried.ours("cross").inspect(SENTENCES[0]).layer(2)
    module = tried.theirs.model.decoder.layers[2].encoder_attn
    for made, matrix, source in (("k", "k_proj", "encoder_states"), ("q", "q_proj", "x")):
        with torch.inference_mode():
            vectors = getattr(module, matrix)(torch.from_numpy(part(record, source))).numpy()
        by_head = vectors.reshape(len(vectors), 3, 8).transpose(1, 0, 2)
        np.testing.assert_allclose(part(record, made), by_head, rtol=0, atol=1e-5)
    weight = module.out_proj.weight.detach().numpy().T.reshape(3, 8, 24)
    norms = np.linalg.norm(part(record, "v") @ weight, axis=-1)
    np.testing.assert_allclose(part(record, "value_norms"), norms, rtol=1e-4)


def test_t5_adds_by_distance_and_alike_in_all_layers(tmp_path: Path) -> None:
    tried = Tried(tmp_path, "t5")
    inspection = tried.ours("encoder").inspect(SENTENCES[0])
    n = len(inspection.tokens)
    bias = tried.theirs.encoder.block[0].layer[0].SelfAttention.compute_bias(n, n)[0].detach()
    for number in range(3):
        record = inspection.layer(number)
        offsets = part(record, "distance_bias")
        assert offsets.shape == (3, 2 * n - 1)
        rows = [offsets[:, n - 1 - query : 2 * n - 1 - query] for query in range(n)]
        np.testing.assert_array_equal(np.stack(rows, 1), bias.numpy())
        assert (record.bias, record.key_ranges, record.scale) == (None, None, 1.0)
    assert tried.ours("cross").inspect(SENTENCES[0]).layer(0).distance_bias is None


def test_facts_are_those_of_the_part_that_is_looked_at(tried: Tried) -> None:
    for kind in KINDS:
        facts = tried.ours(kind).facts
        encoder = kind == "encoder"
        assert facts.family == tried.name
        assert facts.d_model == 24
        expected = (2, 4, 6, 23) if encoder else (3, 3, 8, 29)
        if tried.name == "t5":
            expected = (3 if encoder else 2, 3, 5, 29)
        assert (facts.num_layers, facts.num_heads, facts.d_k, facts.d_ff) == expected


def test_the_encoder_is_looked_at_unless_something_else_is_asked_for(tried: Tried) -> None:
    model = load_model(str(tried.folder))
    assert model.inspect(SENTENCES[0]).attention == "encoder"
    assert isinstance(model._runner, NativeRunner) == (tried.name == "marian")


def test_a_target_needs_a_decoder_that_is_looked_at(tried: Tried) -> None:
    for options in ({}, {"attention": "encoder"}):
        with pytest.raises(RequestError) as caught:
            load_model(str(tried.folder), target="a dog", **options)  # type: ignore[arg-type]
        assert caught.value.message == (
            "--target is the text for the decoder, but this shows the encoder"
        )
        assert caught.value.hint == "add --attention decoder or --attention cross"


@pytest.mark.parametrize("target", ["", "  ", "\ud800"])
def test_a_target_that_cannot_be_cut(tmp_path: Path, target: str) -> None:
    tried = Tried(tmp_path, "t5")
    with pytest.raises(RequestError, match="target"):
        tried.ours("cross", target)


def test_a_target_that_is_too_long(tmp_path: Path) -> None:
    tried = Tried(tmp_path, "bart")
    with pytest.raises(RequestError, match="61"):
        tried.ours("decoder", "a " * 61)


def test_a_model_with_few_positions_writes_no_more_than_it_takes(tmp_path: Path) -> None:
    model = SEQ2SEQ["bart"].save(tmp_path, max_position_embeddings=7)
    inspection = load_model(str(tmp_path), attention="cross").inspect("a dog")
    [ids] = model.generate(
        torch.tensor([inspection.key_tokens.ids]), do_sample=False, max_new_tokens=7
    ).tolist()
    assert inspection.tokens.ids == tuple(ids[:-1])


def test_a_model_that_cannot_write(tmp_path: Path) -> None:
    # transformers' cache takes a T5's decoder to have as many layers as its encoder
    SEQ2SEQ["t5"].save(tmp_path, num_layers=1)
    with pytest.raises(AttnvizError) as caught:
        load_model(str(tmp_path), attention="cross").inspect("a dog")
    assert caught.value.message.startswith("the model cannot write a target itself: ")
    assert caught.value.hint == "give the text for the decoder with --target"
    inspection = load_model(str(tmp_path), attention="cross", target="a").inspect("a dog")
    assert len(inspection.tokens) == 3


@pytest.mark.parametrize("kind", ["decoder", "cross"])
def test_each_source_can_have_a_target_of_its_own(tried: Tried, kind: AttentionKind) -> None:
    ours = tried.ours(kind, target=None)
    targets = [TARGET, f"{TARGET} {TARGET}", TARGET.split()[0]]
    sources = [
        ours.translated(text, target) for text, target in zip(SENTENCES[:3], targets, strict=True)
    ]
    fed = [source.target.ids for source in sources if source.target is not None]
    expected = weights_of(tried, kind, list(sources), fed)
    for row, (source, inspection) in enumerate(
        zip(sources, ours.inspect_tokens(sources), strict=True)
    ):
        hold(inspection, expected, row)
        assert inspection.tokens == source.target
        assert inspection.keys == (source.source if kind == "cross" else None)
    with pytest.raises(RequestError, match="shows no decoder beside an encoder"):
        tried.ours("encoder", target=None).translated(SENTENCES[0], TARGET)
