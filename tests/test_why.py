"""Why a head looks there: the terms of a score, by hand, in every family, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from conftest import ANIMAL
from tiny_families import TINY, encoder_layers, save_tiny
from tiny_others import RECORDED, SENTENCES, SEQ2SEQ, WEIGHTS_ONLY
from written import printed, schema

import attnviz
from attnviz.answers.why import OTHERS, TOLERANCE, Why, why
from attnviz.attention.layer import Between
from attnviz.attention.rotation import find_turn, paired
from attnviz.attention.sublayers import HeadNorm, Norm
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model, load_model
from attnviz.model.reload import origins_behind

SCHEMA = schema("why-1")
SENTENCE = "the cat sat on the mat. it was too tired"


def hold(e: Why, inspection: Inspection) -> None:
    """The terms sum to the recorded score, and are told in JSON as the schema says."""
    record = inspection.layer(e.head.layer)
    inputs, at = record.inputs(), (e.query.index, e.key.index)
    k = record.of_head(inputs.k, e.head.place).astype(np.float64)
    dot = inputs.q[e.head.place, at[0]].astype(np.float64) @ k[at[1]]
    bias = 0.0 if e.position_bias is None else e.position_bias[0]
    recorded = record.scale * dot + bias
    assert e.score == pytest.approx(recorded, abs=1e-9)
    assert float(e.terms.sum(dtype=np.float64)) + bias == pytest.approx(recorded, abs=TOLERANCE)
    assert e.check.difference < TOLERANCE
    weights = record.weights(e.head.layer, [e.head.place])[0, at[0]]
    assert e.weight == pytest.approx(float(weights[at[1]]))
    told = json.loads(attnviz.to_json(e))
    jsonschema.validate(told, SCHEMA)
    assert np.sum(told["by_query"]) == pytest.approx(np.sum(told["terms"]), abs=TOLERANCE)
    assert told["strongest"][0]["term"] == pytest.approx(next(e.strongest(1)).term)


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("family", TINY)
def test_terms_sum_to_the_score_in_every_family(
    family: str, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTNVIZ_ENGINE", engine)
    save_tiny(tmp_path, family, num_hidden_layers=4)
    model = load_model(str(tmp_path))
    inspection = model.inspect(SENTENCE)
    for layer in (0, 3):
        [e] = attnviz.why(inspection, "@5", "@2", (layer, 2), unit="piece", model=model)
        hold(e, inspection)
        names = [str(part) for part in e.query_parts]
        assert names[:2] == ["token", "position"]
        assert ("type" in names) == (inspection.model.family in TYPED)
        assert [name for name in names if "H" in name] == [
            f"L{below}H{head}" for below in range(layer) for head in range(3)
        ]
    assert (e.position_bias is not None) == (family == "mpnet")
    assert ("embeddings_bias" in names) == (family == "electra")


TYPED = {"bert", "roberta", "xlm-roberta", "camembert", "electra"}


def linear(norm: Any, parts: dict[str, np.ndarray], total: np.ndarray) -> dict[str, np.ndarray]:
    """A layer norm of transformers, of each part of what it read, by numpy alone."""
    gain, size = norm.weight.detach().double().numpy(), np.sqrt(total.var() + norm.eps)
    return {name: gain * (part - part.mean()) / size for name, part in parts.items()}


def test_the_terms_by_hand(tmp_path: Path) -> None:
    theirs = save_tiny(tmp_path, "bert").double()
    model = load_model(str(tmp_path))
    inspection = model.inspect(SENTENCE)
    query, key, ids = 5, 2, torch.tensor([inspection.tokens.ids])
    with torch.no_grad():
        run = theirs(ids, output_hidden_states=True, output_attentions=True)
    made, layer = [], encoder_layers(theirs, "bert")[0]
    for at in (query, key):
        table = theirs.embeddings
        parts = {
            "token": table.word_embeddings.weight[ids[0, at]],
            "position": table.position_embeddings.weight[at],
            "type": table.token_type_embeddings.weight[0],
        }
        plain = {name: part.detach().numpy() for name, part in parts.items()}
        parts_of_x = linear(table.LayerNorm, plain, np.sum([*plain.values()], axis=0))
        parts_of_x["embeddings_shift"] = table.LayerNorm.bias.detach().numpy()
        x = run.hidden_states[0][0]
        v = (x @ layer.attention.self.value.weight.T + layer.attention.self.value.bias).detach()
        W_O = layer.attention.output.dense
        for head in range(3):
            columns = slice(7 * head, 7 * head + 7)
            z = run.attentions[0][0, head, at] @ v[:, columns]
            parts_of_x[f"L0H{head}"] = (z @ W_O.weight.T[columns]).detach().numpy()
        parts_of_x["L0 b_O"] = W_O.bias.detach().numpy()
        norm = layer.attention.output.LayerNorm
        summed = np.sum([*parts_of_x.values()], axis=0)
        within = linear(norm, parts_of_x, summed)
        within["L0 attention_shift"] = norm.bias.detach().numpy()
        h = torch.from_numpy(np.sum([*within.values()], axis=0))
        inner = layer.intermediate(h)
        within["L0 feed_forward"] = layer.output.dense(inner).detach().numpy()
        norm = layer.output.LayerNorm
        after = linear(norm, within, np.sum([*within.values()], axis=0))
        after["L0 feed_forward_shift"] = norm.bias.detach().numpy()
        np.testing.assert_allclose(
            np.sum([*after.values()], axis=0), run.hidden_states[1][0, at], atol=1e-9
        )
        made.append(after)
    own = encoder_layers(theirs, "bert")[1].attention.self
    second = slice(7, 14)
    q, k = ({name: part @ matrix.weight.detach().numpy().T[:, second] for name, part in of.items()}
            for of, matrix in zip(made, (own.query, own.key), strict=True))  # fmt: skip
    q["b_Q"], k["b_K"] = (one.bias.detach().numpy()[second] for one in (own.query, own.key))
    [e] = attnviz.why(inspection, f"@{query}", f"@{key}", (1, 1), unit="piece", model=model)
    assert {str(part) for part in e.query_parts} == set(q)
    assert {str(part) for part in e.key_parts} == set(k)
    for row, of_q in enumerate(map(str, e.query_parts)):
        for column, of_k in enumerate(map(str, e.key_parts)):
            expected = q[of_q] @ k[of_k] / 7**0.5
            assert e.terms[row, column] == pytest.approx(expected, abs=2e-5), (of_q, of_k)


def test_the_other_keys_are_averaged(animal: Inspection, minilm: Model) -> None:
    [e] = attnviz.why(animal, "it", "animal", "L3H1", model=minilm)
    hold(e, animal)
    pairs = [(e.query.index, at) for at in range(16) if at != e.key.index]
    origins = origins_behind(animal, 3, range(16), lambda _: minilm)
    others = why(animal, pairs, e.head, origins)
    assert e.other_keys == len(others) == 15
    assert e.others is not None
    np.testing.assert_allclose(e.others, np.mean([one.terms for one in others], axis=0), atol=1e-5)
    assert e.others_score == pytest.approx(np.mean([one.score for one in others]))
    [excess] = attnviz.why(animal, "it", "animal", "L3H1", by="excess", model=minilm)
    first = next(excess.strongest(1))
    assert (str(first.query), str(first.key)) == ("L2 feed_forward", "token")
    assert first.excess == pytest.approx(np.abs(e.terms - e.others).max())
    assert str(next(e.strongest(1)).query) == "position"
    jsonschema.validate(json.loads(attnviz.to_json(excess)), SCHEMA)


def test_terms_are_ranked_and_their_shares_add_up(animal: Inspection, minilm: Model) -> None:
    [e] = attnviz.why(animal, "it", "animal", "L1H0", model=minilm)
    every = list(e.strongest())
    assert len(every) == e.count == len(e.query_parts) * len(e.key_parts)
    sizes = [abs(term.term) for term in every]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(term.share for term in every) == pytest.approx(1)
    assert every[9].covered == pytest.approx(sum(sizes[:10]) / sum(sizes)) == e.covered()
    assert every[-1].covered == pytest.approx(1)
    rows = list(e.rows(3))
    assert [len(row) for row in rows] == [len(e.columns)] * 3
    named = dict(zip(e.columns, rows[0], strict=True))
    assert (named["query"], named["key"], named["term_rank"]) == ("it", "animal", 1)
    assert named["query_part"] == str(every[0].query)
    assert str(attnviz.why(animal, "it", "animal", model=minilm)[0].head) == "L3H1"
    assert repr(e) == "<Why 'it' looks at 'animal' in L1H0>"


def test_each_pair_of_pieces_has_a_score_of_its_own(animal: Inspection, minilm: Model) -> None:
    inspection = minilm.inspect("The unhappiest zebra slept.")
    words = [len(word.pieces) for word in inspection.tokens.words]
    assert max(words) > 1
    place = words.index(max(words))
    answers = attnviz.why(inspection, f"@{place}", "zebra", "L2H3", model=minilm)
    assert len(answers) == max(words) * words[place + 1]
    for e in answers:
        hold(e, inspection)


def test_many_keys_are_sampled(minilm: Model) -> None:
    inspection = minilm.inspect("wide " * 100)
    [e] = attnviz.why(inspection, "@5", "@50", "L1H0", model=minilm)
    hold(e, inspection)
    assert e.other_keys == OTHERS
    assert "64 other keys, on average: score" in printed(attnviz.table(e))


OTHERS_MADE = {
    "gpt2": ["token", "position", "L0H0"],
    "qwen3": ["token", "L0H0", "L0H1"],
    "gemma2": ["token", "L0H0", "L0H1"],
    "albert": ["token", "type", "position", "embeddings_shift", "embeddings_bias"],
}
"""Architectures that transformers runs, and what their vectors are made of first. The queries and
keys of qwen3 go through a norm and are rotated, gemma2's scores are capped, and a matrix stands
after albert's embeddings.
"""


@pytest.mark.parametrize("name", OTHERS_MADE)
def test_models_that_transformers_runs(name: str, tmp_path: Path) -> None:
    RECORDED[name].save(tmp_path)
    model = load_model(str(tmp_path))
    inspection = model.inspect(SENTENCES[0])
    for layer in (0, 2):
        [e] = attnviz.why(inspection, "@7", "@5", (layer, 1), unit="piece", model=model)
        hold(e, inspection)
    names = [str(part) for part in e.query_parts]
    assert names[: len(OTHERS_MADE[name])] == OTHERS_MADE[name]
    assert (e.capped is None) == (name != "gemma2")
    if inspection.attention == "decoder":
        [alone] = attnviz.why(
            inspection, "@0", "@0", "L2H1", by="excess", unit="piece", model=model
        )
        hold(alone, inspection)  # it has no other key
        assert (alone.others, alone.other_keys, next(alone.strongest()).excess) == (None, 0, None)
        assert "excess" not in printed(attnviz.table(alone))
        with pytest.raises(RequestError, match='may not look at "street" in L1H1: the mask makes'):
            attnviz.why(inspection, "cat", "street", "L1H1", model=model)


def test_a_position_bias_is_a_term(tmp_path: Path) -> None:
    SEQ2SEQ["t5"].save(tmp_path)
    model = load_model(str(tmp_path))
    inspection = model.inspect(SENTENCES[0])
    [e] = attnviz.why(inspection, "@7", "@3", (1, 1), unit="piece", model=model)
    hold(e, inspection)
    last = [term for term in e.strongest() if str(term.query) == "position_bias"]
    assert len(last) == 1
    assert e.position_bias is not None
    assert last[0].term == e.position_bias[0]
    assert e.count == e.terms.size + 1
    assert "stands beside these sums" in " ".join(printed(attnviz.table(e)).split())
    for attention in ("cross", "decoder"):
        other = load_model(str(tmp_path), attention=attention, target="a dog sat on it")
        read = other.inspect(SENTENCES[0])
        with pytest.raises(AttnvizError, match="reads its encoder's states, which are not split"):
            attnviz.why(read, "@2", "@1", (0, 0), unit="piece", model=other)


def test_weights_alone_are_not_split(tmp_path: Path) -> None:
    WEIGHTS_ONLY["deberta-v2"].save(tmp_path)
    model = load_model(str(tmp_path))
    inspection = model.inspect(SENTENCES[0])
    with pytest.raises(AttnvizError, match="gives its attention weights alone, without the quer"):
        attnviz.why(inspection, "@7", "@3", (1, 1), unit="piece", model=model)


def test_an_unknown_step_is_told(animal: Inspection, minilm: Model) -> None:
    origins = origins_behind(animal, 0, range(16), lambda _: minilm)
    turned = replace(
        origins.projections, W_Q=origins.projections.W_Q[:, ::-1], between=Between(q="mirrored")
    )
    with pytest.raises(AttnvizError, match="are x W, then mirrored, and that is not split"):
        why(animal, [(8, 2)], HeadId(0, 1), replace(origins, projections=turned))


@pytest.mark.parametrize("together", [True, False])
def test_a_norm_of_heads_is_linear_once_its_size_is_held(together: bool) -> None:
    generator = np.random.default_rng(4)
    parts = generator.normal(size=(3, 5, 2, 4))  # part, piece, head, d_k
    norm = HeadNorm(Norm("RMS norm", 1e-3, generator.normal(size=8 if together else 4)), together)
    whole = parts.sum(axis=0)
    for head in (0, 1):
        summed = norm.linear(parts[:, :, head], whole, head).sum(axis=0)
        np.testing.assert_allclose(summed, norm(whole)[:, head])


def test_a_sum_that_is_not_the_score_is_an_error(animal: Inspection, minilm: Model) -> None:
    record = animal.layer(1)
    assert record.z is not None
    z = record.z.copy()
    z[3] += 1
    layers = [*animal.layers]
    layers[1] = replace(record, z=z)
    with pytest.raises(AttnvizError, match=r"does more between layers 1 and 2"):
        attnviz.why(replace(animal, layers=tuple(layers)), "it", "animal", "L3H1", model=minilm)
    assert record.q is not None
    assert record.k is not None
    q = record.q + np.float32(2e-4) * np.sign(record.k[:, [2]])  # near enough for its matrix
    layers[1] = replace(record, q=q)
    with pytest.raises(AttnvizError, match=r"the terms sum to .*, and the recorded score is"):
        attnviz.why(replace(animal, layers=tuple(layers)), "it", "animal", "L1H1", model=minilm)


@pytest.mark.parametrize("width", [8, 6, 2])
@pytest.mark.parametrize("in_turn", [True, False])
def test_a_rotation_is_found(width: int, in_turn: bool) -> None:
    generator = np.random.default_rng(3)
    before = generator.normal(size=(5, 3, 8))
    angles = generator.uniform(0, 6, size=(5, width // 2))
    pairs = paired(before, width, in_turn) * np.exp(1j * angles)[:, None]
    after = before.copy()
    if in_turn:
        after[..., 0:width:2], after[..., 1:width:2] = pairs.real, pairs.imag
    else:
        after[..., : width // 2], after[..., width // 2 : width] = pairs.real, pairs.imag
    turn = find_turn(before, after, 1e-6)
    assert turn is not None
    np.testing.assert_allclose(turn(before), after, atol=1e-12)
    parts = generator.normal(size=(2, 5, 3, 8))
    np.testing.assert_allclose(turn(parts[0]) + turn(parts[1]), turn(parts.sum(axis=0)))
    assert find_turn(before, generator.normal(size=(5, 3, 8)), 1e-6) is None


def test_the_table(animal: Inspection, minilm: Model) -> None:
    [e] = attnviz.why(animal, "it", "animal", "L3H1", model=minilm)
    for width in (40, 80, 140):
        told = printed(attnviz.table(e), width)
        assert max(map(len, told.splitlines())) <= width
    told = printed(attnviz.table(e))
    assert 'L3H1  why "it" looks at "animal": their score, split' in told
    assert "score 3.83 = q · k / √d_k: the sum of 2809 terms" in told
    assert "weight 0.677, rank 1 of 16 keys" in told
    assert "15 other keys, on average: score −0.60" in told
    assert "it is no experiment" in " ".join(told.split())
    assert ANIMAL in told
    assert "by excess over the other keys" in printed(attnviz.table(replace(e, by="excess")))
