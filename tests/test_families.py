"""Every family that is read, held to transformers' eager attention on tiny random models."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from handmade import largest, part, records
from safetensors.torch import load_file, save_file
from tiny_families import TINY, Computed, computed, encoder_layers, save_tiny, without_head
from transformers import AutoModelForMaskedLM
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

from attnviz.answers.explain import explain
from attnviz.encoder.checkpoint import load_checkpoint
from attnviz.encoder.embeddings import buckets
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model, load_model
from attnviz.model.native import projections_of
from attnviz.models import find_model
from attnviz.models.config import BUCKETS
from attnviz.models.families import FAMILIES

SENTENCES = ["The animal was too tired.", "naïve", "it didn't cross"]
NUM_LAYERS, NUM_HEADS, D_K = 2, 3, 7
NO_PAIRS = {"marian"}
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Loaded:
    """A family's tiny model: where it lies, as attnviz reads it, and as transformers has it."""

    family: str
    folder: Path
    ours: Model
    theirs: Any

    def expected(self, *inspections: Inspection) -> Computed:
        """What transformers makes of the same tokens, as one batch."""
        tokens = [inspection.tokens for inspection in inspections]
        return computed(
            self.theirs, self.family, [t.ids for t in tokens], [t.type_ids for t in tokens]
        )


@pytest.fixture(scope="module", params=TINY)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp(request.param)
    theirs = save_tiny(folder, request.param)
    return Loaded(request.param, folder, load_model(str(folder)), theirs)


@pytest.fixture(params=TINY)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A family's name, and its tiny model to be changed."""
    save_tiny(tmp_path, request.param)
    return request.param, tmp_path


def close(ours: object, theirs: object) -> None:
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=0, atol=TOLERANCE)


def hold(inspection: Inspection, expected: Computed, row: int = 0) -> None:
    """Hold every number of every layer and head to one row of the reference's batch."""
    n = len(inspection.tokens)
    assert len(inspection.layers) == len(expected.q) == NUM_LAYERS
    for number, layer in enumerate(records(inspection.layers)):
        close(part(layer, "x"), expected.x[number][row, :n])
        for name in ("q", "k", "v", "z"):
            close(part(layer, name), getattr(expected, name)[number][row, :, :n])
        weights = inspection.weights(number, unit="piece")
        assert weights.shape == (NUM_HEADS, n, n)
        close(weights, expected.weights[number][row, :, :n, :n])


def test_every_family_is_tested() -> None:
    assert set(TINY) == set(FAMILIES)


def test_one_sentence(loaded: Loaded) -> None:
    inspection = loaded.ours.inspect(SENTENCES[0])
    expected = loaded.expected(inspection)
    hold(inspection, expected)
    assert inspection.weights(0).std() > 1000 * TOLERANCE  # even weights would prove nothing
    last = loaded.ours.ablate(inspection.tokens, [HeadId(1, 1)]).plain
    close(last, expected.x[-1][0])


def test_a_padded_batch(loaded: Loaded) -> None:
    batch = [loaded.ours.tokenize(sentence) for sentence in SENTENCES]
    assert len({len(tokens) for tokens in batch}) == len(batch)
    inspections = list(loaded.ours.inspect_tokens(batch))
    expected = loaded.expected(*inspections)
    for row, inspection in enumerate(inspections):
        hold(inspection, expected, row)


def test_nothing_depends_on_the_batch(loaded: Loaded) -> None:
    """Alone, in a batch of unlike lengths, and beside a pair: the same numbers to 1e-5."""
    pairs: list[tuple[str, str | None]] = [(text, None) for text in SENTENCES]
    if loaded.family not in NO_PAIRS:
        pairs.append((SENTENCES[0], SENTENCES[1]))
    together = loaded.ours.inspect_tokens([loaded.ours.tokenize(*pair) for pair in pairs])
    for pair, inspection in zip(pairs, together, strict=True):
        alone = loaded.ours.inspect(*pair)
        for layer in range(NUM_LAYERS):
            for name in ("x", "q", "k", "v", "z"):
                close(part(inspection.layer(layer), name), part(alone.layer(layer), name))
            close(inspection.layer(layer).weights(layer), alone.layer(layer).weights(layer))


def test_a_pair(loaded: Loaded) -> None:
    if loaded.family in NO_PAIRS:
        with pytest.raises(RequestError, match="does not take pairs of sentences"):
            loaded.ours.inspect(SENTENCES[0], SENTENCES[1])
        return
    inspection = loaded.ours.inspect(SENTENCES[0], SENTENCES[1])
    assert set(inspection.tokens.segments) == {0, 1}
    hold(inspection, loaded.expected(inspection))


def test_a_padding_token_in_the_text(loaded: Loaded) -> None:
    """It is a token like others, but does not count as a position in RoBERTa's kind."""
    inspection = loaded.ours.inspect("The <pad> animal")
    hold(inspection, loaded.expected(inspection))


def test_as_long_as_the_model_takes(loaded: Loaded) -> None:
    most = loaded.ours.tokenizer.max_length
    assert most is not None
    inspection = next(
        loaded.ours.inspect_tokens([loaded.ours.tokenize("a b " * most, truncate=True)])
    )
    assert len(inspection.tokens) == most
    hold(inspection, loaded.expected(inspection))
    with pytest.raises(RequestError, match=f"and the model takes at most {most}"):
        loaded.ours.inspect("a b " * most)


def test_a_head_ablated(loaded: Loaded) -> None:
    tokens = loaded.ours.tokenize(SENTENCES[0])
    plain = loaded.ours.inspect(SENTENCES[0])
    with without_head(loaded.theirs, loaded.family, 0, 2):
        expected = loaded.expected(plain).x[-1][0]
    close(loaded.ours.ablate(tokens, [HeadId(0, 2)]).ablated, expected)
    [alone] = [one for one in loaded.ours.ablate_each(tokens) if one.heads == (HeadId(0, 2),)]
    close(alone.ablated, expected)


def test_matrices_explain_the_numbers(loaded: Loaded) -> None:
    inspection = loaded.ours.inspect(SENTENCES[0])
    for layer, theirs in enumerate(encoder_layers(loaded.theirs, loaded.family)):
        projections = projections_of(inspection, layer)
        mixing = theirs.get_submodule(TINY[loaded.family].matrices[-1])
        np.testing.assert_array_equal(projections.W_O, mixing.weight.detach().T)
        np.testing.assert_array_equal(projections.b_O, mixing.bias.detach())
        for head in range(NUM_HEADS):
            step = explain(inspection, 2, HeadId(layer, head), projections)
            close(step.weights, inspection.weights(layer, head, unit="piece")[2])
            assert step.check.z is not None
            assert largest(step.check) < TOLERANCE


def test_norms_are_what_arrives(loaded: Loaded) -> None:
    """Kobayashi et al. 2020, equation 4, from transformers' weights, values and W_O."""
    inspection = loaded.ours.inspect(SENTENCES[0])
    expected = loaded.expected(inspection)
    for layer, theirs in enumerate(encoder_layers(loaded.theirs, loaded.family)):
        mixing = theirs.get_submodule(TINY[loaded.family].matrices[-1]).weight.detach()
        for head in range(NUM_HEADS):
            columns = mixing[:, head * D_K : (head + 1) * D_K]
            arriving = torch.linalg.norm(expected.v[layer][0, head] @ columns.T, dim=-1)
            norms = inspection.view("piece", measure="norm").weights(layer, head)
            np.testing.assert_allclose(
                norms, expected.weights[layer][0, head] * arriving, rtol=1e-4, atol=TOLERANCE
            )


def test_with_a_tasks_head(folder: tuple[str, Path]) -> None:
    family, path = folder
    theirs = save_tiny(path, family, TINY[family].task)
    ours = load_model(str(path))
    beside = "not part of the encoder, and not read: model.decoder.layers"
    assert ours.notes == ((beside,) if family == "marian" else ())
    inspection = ours.inspect(SENTENCES[0])
    hold(inspection, Loaded(family, path, ours, theirs).expected(inspection))


@pytest.mark.parametrize("family", [family for family in TINY if family != "marian"])
def test_a_masked_language_model(family: str, tmp_path: Path) -> None:
    theirs = save_tiny(tmp_path, family, AutoModelForMaskedLM, hidden_act="relu")
    ours = load_model(str(tmp_path))
    assert ours.notes == ()
    tokens = ours.tokenize("The [MASK] was too <mask>")
    places = [i for i, entry in enumerate(tokens.vocabulary) if entry in ("[MASK]", "<mask>")]
    masks = ours.ablate(tokens, [HeadId(0, 0)]).masks
    assert masks is not None
    assert [mask.piece for mask in masks] == places
    with torch.inference_mode():
        logits = theirs(torch.tensor([tokens.ids])).logits[0]
    for mask in masks:
        expected = logits[mask.piece].softmax(dim=-1)
        best = expected.topk(len(mask.before))
        close([guess.probability for guess in mask.before], best.values)
        assert mask.before[0].token == ours.tokenizer.entry(int(best.indices[0]))


def test_words_are_words_and_special_tokens_special(loaded: Loaded) -> None:
    tokens = loaded.ours.tokenize("The animal didn't cross. too tired")
    words = [word.text for word in tokens.words if not word.special]
    assert words == ["The", "animal", "didn't", "cross", ".", "too", "tired"]
    special = {word.text for word in tokens.words if word.special}
    assert special in ({"[CLS]", "[SEP]"}, {"<s>", "</s>"}, {"</s>"})


def refused(path: Path) -> AttnvizError:
    with pytest.raises(AttnvizError) as caught:
        load_model(str(path))
    assert not isinstance(caught.value, RequestError)
    assert not caught.value.message.endswith(".")
    return caught.value


def reconfigure(path: Path, **changes: Any) -> None:
    config = {**json.loads((path / "config.json").read_text()), **changes}
    kept = {key: value for key, value in config.items() if value is not ...}
    (path / "config.json").write_text(json.dumps(kept))


def test_a_missing_tensor_is_named(folder: tuple[str, Path]) -> None:
    family, path = folder
    weights = load_file(path / "model.safetensors")
    query = TINY[family].matrices[0]
    [name] = [name for name in weights if f"{TINY[family].layers}.1.{query}.weight" in name]
    del weights[name]
    save_file(weights, path / "model.safetensors")
    assert refused(path).message == f"the weights lack {name} of a {family} with 2 layers"


def test_a_layer_more_than_the_config_says(folder: tuple[str, Path]) -> None:
    family, path = folder
    files = find_model(str(path))
    assert load_checkpoint(files.config, files.weights).config.num_layers == 2
    depth = TINY[family].called.get("num_hidden_layers")
    reconfigure(path, **{depth or "num_hidden_layers": 1})
    assert f"which a {family} with 1 layers does not have" in refused(path).message


def test_electras_embeddings_as_wide_as_the_rest(tmp_path: Path) -> None:
    """Then there is no matrix between them."""
    theirs = save_tiny(tmp_path, "electra", embedding_size=21)
    ours = load_model(str(tmp_path))
    inspection = ours.inspect(SENTENCES[0])
    hold(inspection, Loaded("electra", tmp_path, ours, theirs).expected(inspection))


def test_distances_reach_as_far_as_sentences() -> None:
    """Each bucket, held to transformers' own; that of 0 to the right has nothing in it."""
    distances = torch.arange(-600, 601)
    theirs: Any = MPNetEncoder
    ours = buckets(distances.numpy())
    np.testing.assert_array_equal(ours, theirs.relative_position_bucket(distances))
    assert set(ours.tolist()) == {*range(BUCKETS)} - {BUCKETS // 2}


def test_the_bias_is_kept_once_for_all_layers(tmp_path: Path) -> None:
    theirs = save_tiny(tmp_path, "mpnet")
    inspection = load_model(str(tmp_path)).inspect(SENTENCES[0])
    n, layers = len(inspection.tokens), records(inspection.layers)
    assert all(layer.bias is None for layer in layers)
    [bias] = {id(layer.distance_bias): part(layer, "distance_bias") for layer in layers}.values()
    assert bias.shape == (NUM_HEADS, 2 * n - 1)
    expected = theirs.encoder.compute_position_bias(torch.zeros(1, n, 1))[0].detach().numpy()
    by_distance = np.arange(n) - np.arange(n)[:, None] + n - 1
    np.testing.assert_array_equal(bias[:, by_distance], expected)


def test_a_table_of_positions_in_marians_file_counts(tmp_path: Path) -> None:
    """transformers reads it, where it is no sinusoids too; without one, both compute sinusoids."""
    kind: Any = type(save_tiny(tmp_path, "marian", TINY["marian"].task))
    save_tiny(tmp_path, "marian")
    weights = load_file(tmp_path / "model.safetensors")
    name = "encoder.embed_positions.weight"
    found = []
    for table in (weights[name], weights[name].flip(0), None):
        changed = {**weights, name: table} if table is not None else dict(weights)
        if table is None:
            del changed[name]
        save_file(changed, tmp_path / "model.safetensors", {"format": "pt"})
        model = load_model(str(tmp_path))
        assert not any("encoder.embed_positions" in note for note in model.notes)
        inspection = model.inspect("a dog sat")
        theirs = kind.from_pretrained(tmp_path, attn_implementation="eager").eval()
        hold(inspection, Loaded("marian", tmp_path, model, theirs).expected(inspection))
        found.append(inspection.weights(1, unit="piece"))
    close(found[0], found[2])
    assert np.abs(found[1] - found[0]).max() > 0.01


def test_numbers_of_positions_are_usual(folder: tuple[str, Path]) -> None:
    """Files saved by earlier versions of transformers have them, and Marian's the sinusoids."""
    family, path = folder
    weights = load_file(path / "model.safetensors")
    if family == "marian":
        assert "encoder.embed_positions.weight" in weights
    else:
        weights["embeddings.position_ids"] = torch.arange(61)[None]
        save_file(weights, path / "model.safetensors")
    notes = load_model(str(path)).notes
    assert not any("position_ids" in note or "encoder.embed" in note for note in notes)


@pytest.mark.parametrize("shared", [True, False])
def test_a_translator(shared: bool, tmp_path: Path) -> None:
    """Word vectors that the decoder has too, or not; word vectors that are not scaled."""
    changes = {"share_encoder_decoder_embeddings": shared, "tie_word_embeddings": shared}
    theirs = save_tiny(
        tmp_path, "marian", TINY["marian"].task, scale_embedding=False, hidden_size=42, **changes
    )
    stored = load_file(tmp_path / "model.safetensors")
    assert ("model.shared.weight" in stored) == shared
    ours = load_model(str(tmp_path))
    inspection = ours.inspect(SENTENCES[0])
    expected = Loaded("marian", tmp_path, ours, theirs).expected(inspection)
    close(part(inspection.layer(0), "x"), expected.x[0][0])
    close(inspection.weights(1, unit="piece"), expected.weights[1][0])
    decoder = "" if shared else "model.decoder.embed_tokens, "
    assert ours.notes == (f"not part of the encoder, and not read: {decoder}model.decoder.layers",)
    assert ours.ablate(inspection.tokens, [HeadId(0, 0)]).masks is None


def test_fewer_buckets_than_the_model_uses(tmp_path: Path) -> None:
    save_tiny(tmp_path, "mpnet")
    reconfigure(tmp_path, relative_attention_num_buckets=31)
    assert 'above 31 as "relative_attention_num_buckets", and has 31' in refused(tmp_path).message


@pytest.mark.parametrize("family", ["roberta", "xlm-roberta", "camembert"])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"position_embedding_type": "relative_key"}, "with 'relative_key' positions is not read"),
        ({"pruned_heads": {"0": [1]}}, "with pruned heads is not read"),
        ({"pad_token_id": -1}, 'a whole number above -1 as "pad_token_id", and has -1'),
        ({"pad_token_id": None}, 'as "pad_token_id", and has None'),
        ({"pad_token_id": 70}, "max_positions is -10"),
    ],
)
def test_robertas_of_another_kind(
    family: str, changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    save_tiny(tmp_path, family)
    reconfigure(tmp_path, **changes)
    assert said in refused(tmp_path).message


def test_robertas_padding_is_1_where_the_config_does_not_say(tmp_path: Path) -> None:
    save_tiny(tmp_path, "roberta")
    reconfigure(tmp_path, pad_token_id=...)
    assert load_model(str(tmp_path)).tokenizer.max_length == 59
