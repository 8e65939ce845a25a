"""A model before its training: weights drawn at random, and compare --untrained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ANIMAL
from process import Workplace, workplace
from tiny_bert import SENTENCES, save_tiny_bert
from tiny_others import RECORDED
from transformers import AutoConfig, AutoModel, BertConfig, BertModel

import attnviz
from attnviz.attention.request import Dtype
from attnviz.encoder.checkpoint import load_checkpoint
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.inspection.storage import load, save
from attnviz.model import load_model
from attnviz.models.config import spread

TRANSLATOR = Path(__file__).parent.parent / "samples" / "translator"


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bert")
    save_tiny_bert(folder, initializer_range=0.3)
    return str(folder)


def test_weights_are_drawn_as_bert_draws_them(bert: str) -> None:
    """The same parts are random, 0 and 1, with the same spread, as in transformers' new BERT."""
    folder = Path(bert)
    files = folder / "config.json", folder / "model.safetensors"
    drawn = load_checkpoint(*files, seed=1).weights
    theirs = BertModel(BertConfig.from_pretrained(bert))
    assert float(drawn["layers.1.attention.W_Q.weight"].std()) == pytest.approx(0.3, rel=0.15)
    assert float(drawn["embeddings.word.weight"].std()) == pytest.approx(0.3, rel=0.1)
    for ours, name in (
        ("layers.0.attention.W_Q", "encoder.layer.0.attention.self.query"),
        ("layers.1.feed_forward.inner", "encoder.layer.1.intermediate.dense"),
        ("embeddings.position", "embeddings.position_embeddings"),
    ):
        other = theirs.get_parameter(f"{name}.weight").detach()
        ratio = float(drawn[f"{ours}.weight"].std() / other.std())
        assert ratio == pytest.approx(1, abs=0.2)
    still = [array for name, array in drawn.items() if name.endswith(".bias")]
    assert all(not array.any() for array in still)
    norms = [array for name, array in drawn.items() if "norm" in name and "weight" in name]
    assert len(norms) == 5
    assert all((tensor == 1).all() for tensor in norms)


def test_the_seed_decides(bert: str) -> None:
    first, again, other = (
        attnviz.inspect(SENTENCES[0], bert, untrained=True, seed=seed) for seed in (0, 0, 3)
    )
    assert (first.model.trained, first.model.seed, other.model.seed) == (False, 0, 3)
    trained = attnviz.inspect(SENTENCES[0], bert)
    assert trained.model.trained
    same = [np.array_equal(first.weights(1, 2), one.weights(1, 2)) for one in (again, other)]
    assert same == [True, False]
    assert not np.allclose(first.weights(1, 2), trained.weights(1, 2), atol=1e-3)
    with pytest.raises(RequestError, match="seed is -1"):
        load_model(bert, untrained=True, seed=-1)


def test_its_steps_are_explained_and_it_is_loaded_again(bert: str, tmp_path: Path) -> None:
    save(attnviz.inspect(SENTENCES[0], bert, untrained=True, seed=3), tmp_path / "kept")
    kept = load(tmp_path / "kept")
    steps = attnviz.explain_head(kept, "L1H2")
    assert steps.check.q is not None
    assert steps.check.q < 1e-5
    run = attnviz.ablate(kept, "L0H1")
    assert run.context.model == kept.model


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_transformers_draws_its_own(tmp_path: Path, dtype: Dtype) -> None:
    RECORDED["llama"].save(tmp_path)
    model = load_model(str(tmp_path), untrained=True, seed=4, dtype=dtype)
    found = model.inspect(SENTENCES[0])
    assert (found.model.trained, found.model.seed) == (False, 4)
    config = AutoConfig.from_pretrained(tmp_path)
    torch.manual_seed(4)
    auto: Any = AutoModel
    theirs = auto.from_config(
        config, attn_implementation="eager", dtype=getattr(torch, dtype)
    ).eval()
    with torch.no_grad():
        weights = theirs(torch.tensor([found.tokens.ids]), output_attentions=True).attentions
    tolerance = 1e-5 if dtype == "float32" else 2e-2
    for layer, expected in enumerate(weights):
        for head in range(found.model.num_heads):
            own = expected[0, head].float().numpy()
            np.testing.assert_allclose(found.weights(layer, head), own, atol=tolerance)


@pytest.mark.parametrize(
    ("config", "expected"),
    [({}, 0.02), ({"initializer_range": 0.1}, 0.1), ({"init_std": 0.3}, 0.3)],
)
def test_the_spread_is_the_configurations(config: dict[str, float], expected: float) -> None:
    assert spread(config) == expected


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    return workplace(tmp_path_factory.mktemp("untrained"), animal)


@pytest.mark.slow
def test_one_sentence_beside_the_untrained_model(place: Workplace) -> None:
    done = place("compare", "--untrained", "I am a student", "--seed", "2", "--top", "3")
    assert (done.code, done.err) == (0, "")
    assert "UNTRAINED (seed 2)" in " ".join(done.out.split())
    assert done.out.count("UNTRAINED") == 1
    assert "B is A with weights drawn at random, as before any training" in done.out
    assert "I am a student" in (again := place("run", "--head", "3.1")).err
    assert "UNTRAINED" not in again.out
    options = ["--untrained", "--query", "student", "--json", "--seed", "2"]
    [parsed] = place("compare", *options).json_lines
    assert parsed["schema"] == "attnviz.compare/1"
    facts = [parsed[side]["model"] for side in "ab"]
    assert [one["trained"] for one in facts] == [True, False]
    assert facts[1]["seed"] == 2
    assert parsed["a"]["text"] == "I am a student"


@pytest.mark.parametrize(
    ("options", "came"),
    [
        ([ANIMAL, ANIMAL], "2 sentences came"),
        (["--load", "a.attn", "--load", "b.attn"], "2 sentences came"),
        ([ANIMAL, "--from", "a"], "2 sentences came"),
        (["--from", "a", "--from", "b"], "2 sentences came"),
        ([ANIMAL, "--models", "minilm", "paper"], "--models came"),
        ([ANIMAL, "--model", "paper"], "paper was never trained"),
    ],
)
def test_what_does_not_go_with_it(place: Workplace, options: list[str], came: str) -> None:
    done = place("compare", "--untrained", *options)
    assert (done.code, done.out) == (2, "")
    assert came in done.err


@pytest.mark.slow
def test_a_kept_sentence_brings_its_model(place: Workplace) -> None:
    paper = place("run", "I am a student", "--model", "paper", "--head", "0.0", "--as", "paper")
    assert paper.code == 0
    done = place("compare", "--untrained", "--from", "paper")
    assert (done.code, done.out) == (2, "")
    assert "paper was never trained" in done.err


@pytest.mark.slow
def test_both_read_what_the_trained_one_writes(place: Workplace) -> None:
    decoder = ["--model", str(TRANSLATOR), "--attention"]
    for attention, own in (("cross", "source"), ("decoder", "text")):
        done = place("compare", "--untrained", ANIMAL, *decoder, attention, "--json")
        assert done.code == 0
        [parsed] = done.json_lines
        assert parsed["a"]["text"] == parsed["b"]["text"]
        assert parsed["a"]["text"].startswith("Das Tier")
        assert parsed["b"]["model"]["trained"] is False
        assert parsed["a"][own] == parsed["b"][own]
    # what a decoder read, and what its encoder read before, is not known any more
    lost = place("compare", "--untrained")
    assert (lost.code, lost.out) == (2, "")
    assert "what its encoder read was not remembered" in lost.err


@pytest.mark.slow
def test_a_saved_or_last_sentence_keeps_its_model_beside_a_seed(
    place: Workplace, bert: str
) -> None:
    saved = place("run", SENTENCES[0], "--model", bert, "--head", "0.0", "--save", "it.attn")
    assert saved.code == 0
    for options in ([], ["--load", "it.attn"]):
        done = place("compare", "--untrained", "--seed", "3", "--json", *options)
        assert done.code == 0
        [parsed] = done.json_lines
        assert {parsed[side]["model"]["name"] for side in "ab"} == {bert}
        assert parsed["b"]["model"]["seed"] == 3
