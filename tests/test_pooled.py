"""A text's one vector: as sentence-transformers makes it, from the checkpoint's own files."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from local_hub import COMMIT, LocalHub, asked_hub, tiny_files
from safetensors.numpy import save_file
from tiny_bert import SENTENCES, save_tiny_bert
from tiny_others import RECORDED, SEQ2SEQ, WEIGHTS_ONLY

from attnviz.errors import AttnvizError
from attnviz.model import Model, load_model
from attnviz.models.pooling import LEGACY

MODES = ["mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny_bert(folder)
    config = folder / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"pad_token": "[PAD]"}))
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    with asked_hub(tmp_path, monkeypatch) as hub:
        yield hub


def saved(tiny: Path, folder: Path, *steps: Any) -> Any:
    """A model of sentence-transformers with these steps after the tiny BERT, saved."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer

    model = SentenceTransformer(modules=[Transformer(str(tiny)), *steps], device="cpu")
    model.save(str(folder), create_model_card=False)
    return model


@pytest.mark.parametrize(
    ("modes", "dense"),
    [*((mode, None) for mode in MODES), (["cls", "mean"], None), ("mean", "Tanh"),
     ("mean", "Identity"), (["max", "weightedmean"], "Identity")],
)  # fmt: skip
@pytest.mark.usefixtures("one_thread")
def test_a_vector_is_that_of_sentence_transformers(
    tiny: Path, tmp_path: Path, modes: Any, dense: str | None
) -> None:
    from sentence_transformers.base.modules import Dense, Normalize
    from sentence_transformers.sentence_transformer.modules import Pooling

    pooling = Pooling(21, pooling_mode=modes)
    steps: list[Any] = [pooling]
    if dense is not None:
        activation = getattr(torch.nn, dense)()
        width = pooling.get_embedding_dimension()
        steps += [Dense(width, 5, bias=dense == "Tanh", activation_function=activation)]
    steps += [Normalize()] if dense else []
    theirs = saved(tiny, tmp_path, *steps).encode(SENTENCES, show_progress_bar=False)
    ours = load_model(str(tmp_path))
    for text, expected in zip(SENTENCES, theirs, strict=True):
        pooled = ours.pooled(ours.tokenize(text))
        np.testing.assert_allclose(pooled.vector, expected, atol=1e-5 * np.abs(expected).max())
        whole = dense == "Tanh" or modes in ("cls", "lasttoken")
        assert (pooled.parts is None) == (pooled.facts.whole is not None) == whole
        if pooled.parts is not None:
            total = pooled.parts.sum(axis=0)
            length = np.linalg.norm(total) if dense else 1
            np.testing.assert_allclose(total / length, pooled.vector, atol=1e-12)
    assert pooled.facts.source == "1_Pooling/config.json"
    assert pooled.facts.normalized == bool(dense)


def test_the_default_model_pools_as_its_package_says(minilm: Model) -> None:
    facts = minilm.pooling.facts
    assert str(facts) == "mean, normalized (1_Pooling/config.json)"
    assert minilm.pooling.assumed is None
    assert minilm.pooling.note_on(256) is None
    assert "the first 256 pieces" in (minilm.pooling.note_on(257) or "")


def test_without_modules_mean_is_assumed_and_said(tiny: Path) -> None:
    pooling = load_model(str(tiny)).pooling
    assert pooling.facts.data() == {
        "modes": ("mean",), "dense": 0, "normalized": False, "source": None, "whole": None,
    }  # fmt: skip
    assert pooling.assumed is not None
    assert "has no modules.json" in pooling.assumed
    assert "mean pooling is assumed" in pooling.assumed


def described(tiny: Path, folder: Path, steps: Any, **pooling: Any) -> Model:
    """The tiny model in a folder, with a modules.json of these steps."""
    shutil.copytree(tiny, folder, dirs_exist_ok=True)
    start = {"path": "", "type": "sentence_transformers.models.Transformer"}
    content = [start, *steps] if isinstance(steps, list) else steps
    (folder / "modules.json").write_text(json.dumps(content))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return load_model(str(folder))


POOLING = {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}


def test_a_prompt_that_sentence_transformers_adds_is_told(tiny: Path, tmp_path: Path) -> None:
    settings = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
    shutil.copytree(tiny, tmp_path, dirs_exist_ok=True)
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(settings))
    [note] = described(tiny, tmp_path, [POOLING]).pooling.notes
    assert 'puts "query: " before each text' in note


@pytest.mark.parametrize(("key", "mode"), LEGACY.items())
def test_older_keys_name_one_mode_each(tiny: Path, tmp_path: Path, key: str, mode: str) -> None:
    assert described(tiny, tmp_path, [POOLING], **{key: True}).pooling.facts.modes == (mode,)


@pytest.mark.parametrize(
    ("steps", "pooling", "message"),
    [
        ([], {}, "begins with Transformer"),
        ([POOLING], {"pooling_mode": "median"}, "the pooling 'median'"),
        ([POOLING], {"pooling_mode": {"mean": 1}}, "the pooling {'mean': 1}"),
        ([POOLING, {"path": "2_N", "type": "mine.Normalize"}], {}, "code of its own"),
        ([{**POOLING, "path": "../elsewhere"}], {}, "a folder beside it"),
        ([{**POOLING, "path": ".."}], {}, "a folder beside it"),
        ([{**POOLING, "path": "a\0b"}], {}, "a folder beside it"),
        ({"1": POOLING}, {}, "should hold a JSON list"),
        ([{**POOLING, "path": "2_Pooling"}], {}, "has no 2_Pooling/config.json"),
        ([POOLING, {"path": "2_L", "type": "sentence_transformers.models.LSTM"}], {}, "LSTM"),
        ([POOLING, {"path": 3, "type": "x"}], {}, "types and paths"),
    ],
)  # fmt: skip
def test_steps_that_attnviz_does_not_know_are_refused_by_name(
    tiny: Path, tmp_path: Path, steps: Any, pooling: dict[str, Any], message: str
) -> None:
    model = described(tiny, tmp_path, steps, **pooling)
    with pytest.raises(AttnvizError) as caught:
        _ = model.pooling
    assert message in caught.value.message


def test_the_files_of_a_pooling_come_from_the_hub_when_it_is_asked_for(hub: LocalHub) -> None:
    start = {"path": "", "type": "sentence_transformers.models.Transformer"}
    name = "org/pools"
    hub.repositories[name] = {
        **tiny_files(),
        "modules.json": json.dumps([start, POOLING]).encode(),
        "1_Pooling/config.json": b'{"pooling_mode_cls_token": true}',
    }
    model = load_model(name)
    assert not any("modules.json" in request for request in hub.requests)
    assert model.pooling.facts.modes == ("cls",)
    assert f"HEAD {name} {COMMIT} 1_Pooling/config.json" in hub.requests


def test_a_cache_without_modules_is_not_taken_for_a_model_without(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories["org/pools"] = tiny_files()
    model = load_model("org/pools")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assumed = model.pooling.assumed or ""
    assert "is not in the cache, and the hub cannot be reached" in assumed


OTHERS = {**RECORDED, **SEQ2SEQ, **WEIGHTS_ONLY}


@pytest.mark.parametrize("name", ["modernbert", "llama", "t5", "bart", "deberta-v2"])
@pytest.mark.usefixtures("one_thread")
def test_final_states_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    theirs = OTHERS[name].save(tmp_path)
    theirs = theirs.get_encoder() if name in SEQ2SEQ else theirs
    model = load_model(str(tmp_path))
    tokens = model.tokenize(SENTENCES[0])
    with torch.inference_mode():
        expected = theirs(torch.tensor([tokens.ids])).last_hidden_state[0].numpy()
    states = model.states(tokens)
    np.testing.assert_allclose(states, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_decoder_beside_an_encoder_has_no_states_of_the_text(tmp_path: Path) -> None:
    SEQ2SEQ["t5"].save(tmp_path)
    model = load_model(str(tmp_path), attention="cross", target="a dog")
    with pytest.raises(AttnvizError, match="the states of a text are an encoder's"):
        model.states(model.tokenize(SENTENCES[0]))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(21, np.float32), "is no dense layer"),
        (np.full((5, 21), np.nan, np.float32), "is no dense layer"),
        (np.zeros((5, 20), np.float32), "takes 20 numbers, and pooling gives 21"),
        (None, "has no linear.weight"),
    ],
)
def test_a_dense_layer_that_is_none_is_told(
    tiny: Path, tmp_path: Path, weight: np.ndarray | None, message: str
) -> None:
    dense = {"path": "2_Dense", "type": "sentence_transformers.models.Dense"}
    model = described(tiny, tmp_path, [POOLING, dense])
    folder = tmp_path / "2_Dense"
    folder.mkdir()
    identity = "torch.nn.modules.linear.Identity"
    config = {"in_features": 21, "bias": False, "activation_function": identity}
    (folder / "config.json").write_text(json.dumps(config))
    named = "linear.weight" if weight is not None else "other"
    tensor = np.zeros(1, np.float32) if weight is None else weight
    save_file({named: tensor}, folder / "model.safetensors")
    with pytest.raises(AttnvizError) as caught:
        model.pooled(model.tokenize(SENTENCES[0]))
    assert message in caught.value.message
