"""What a model's files say of it, beside what the loaded model is; and what the hub's cache holds.

The tiny models' sizes are all different, so that none can stand for another.
"""

import json
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_bert import runner_of
from tiny_families import TINY, save_tiny
from transformers import AutoModelForMaskedLM
from vocabularies import byte_level, unigram, wordpiece
from written import answer_json

from attnviz.errors import AttnvizError, RequestError
from attnviz.model import load_model
from attnviz.model.describe import describe
from attnviz.models.describe import Catalog, Described, TokenizerFacts, catalog
from attnviz.show.terminal.models import _facts

SCHEMAS = {
    name: json.loads(
        (Path(__file__).parent.parent / f"docs/schema/{name}-1.schema.json").read_text()
    )
    for name in ("models", "model")
}
COMMITS = ["a" * 40, "b" * 40, "c" * 40, "d" * 40]


def valid(data: bytes, schema: str) -> Any:
    """What was written, on one line, held to its schema."""
    assert data.count(b"\n") == 1
    parsed = json.loads(data)
    jsonschema.Draft202012Validator(SCHEMAS[schema]).validate(parsed)
    return parsed


@pytest.mark.parametrize("family", TINY)
def test_facts_are_the_loaded_models(family: str, tmp_path: Path) -> None:
    save_tiny(tmp_path, family, TINY[family].task)
    described, loaded = describe(str(tmp_path)), load_model(str(tmp_path))
    encoders = runner_of(loaded).encoders
    assert described.model == loaded.facts
    assert described.vocab_size == encoders.config.vocab_size
    assert described.max_positions == encoders.config.max_positions
    assert described.num_token_types == encoders.config.num_token_types
    counted = sum(prod(array.shape) for array in encoders.checkpoint.weights.values())
    assert described.encoder_parameters == counted
    stored = load_file(tmp_path / "model.safetensors").values()
    assert described.parameters == sum(t.numel() for t in stored if t.is_floating_point())
    assert described.parameters > counted
    assert described.dtypes == ("float32",)
    assert described.tokenizer.size == loaded.tokenizer.vocabulary_size
    assert described.masked_lm is False
    assert (described.folder, described.repository) == (str(tmp_path), None)
    parsed = valid(answer_json(described), "model")
    assert parsed["encoder_parameters"] == counted


@pytest.mark.parametrize(
    ("family", "positions"),
    [("bert", ("learned",)), ("mpnet", ("learned", "relative")), ("marian", ("sinusoidal",))],
)
def test_positions(family: str, positions: tuple[str, ...], tmp_path: Path) -> None:
    save_tiny(tmp_path, family)
    assert describe(str(tmp_path)).positions == positions


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra", "mpnet"])
def test_a_masked_lm_head_is_seen(family: str, tmp_path: Path) -> None:
    save_tiny(tmp_path, family, AutoModelForMaskedLM)
    assert runner_of(load_model(str(tmp_path))).has_masked_lm
    assert describe(str(tmp_path)).masked_lm


def test_numbers_of_half_the_size(tmp_path: Path) -> None:
    save_tiny(tmp_path, "bert")
    weights = tmp_path / "model.safetensors"
    tensors = {name: tensor.bfloat16() for name, tensor in load_file(weights).items()}
    first = next(name for name in tensors if name.startswith("encoder.layer.0"))
    tensors[first] = tensors[first].to(torch.float16)
    tensors["embeddings.position_ids"] = torch.arange(61)[None]  # not a parameter
    before = describe(str(tmp_path))
    save_file(tensors, weights)
    after = describe(str(tmp_path))
    assert after.dtypes == ("bfloat16", "float16")
    assert after.parameters == before.parameters
    assert after.encoder_parameters == before.encoder_parameters


def test_the_default_and_the_untrained() -> None:
    minilm = describe("minilm")
    assert minilm.parameters == 22_713_216
    assert minilm.tokenizer == TokenizerFacts("WordPiece", False, 30522)
    assert minilm.repository == "sentence-transformers/all-MiniLM-L6-v2"
    paper, loaded = describe("paper"), load_model("paper")
    assert paper.model == loaded.facts
    weights = runner_of(loaded).encoders.checkpoint.weights
    counted = sum(prod(array.shape) for array in weights.values())
    assert paper.encoder_parameters == paper.parameters == counted
    assert (paper.max_positions, paper.folder, paper.revision) == (None, None, None)
    assert valid(answer_json(paper), "model")["model"]["seed"] == 0


@pytest.mark.parametrize(
    ("make", "kind", "in_bytes"),
    [
        (wordpiece, "WordPiece", False),
        (lambda: byte_level(True), "BPE", True),
        (unigram, "Unigram", False),
    ],
)
def test_kinds_of_tokenizers(
    make: Callable[[], Any], kind: str, in_bytes: bool, tmp_path: Path
) -> None:
    save_tiny(tmp_path, "bert")
    path, made = tmp_path / "tokenizer.json", make()
    made.save(str(path))
    expected = TokenizerFacts(kind, in_bytes, made.get_vocab_size())
    assert describe(str(tmp_path)).tokenizer == expected
    content = json.loads(path.read_text())
    del content["model"]["type"]  # as the first files were
    content["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [{"type": "Punctuation"}, content["pre_tokenizer"]],
    }
    path.write_text(json.dumps(content))
    assert describe(str(tmp_path)).tokenizer == expected


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": 7}', '{"model": {"vocab": [[]]}}'])
def test_a_damaged_tokenizer(content: str, tmp_path: Path) -> None:
    save_tiny(tmp_path, "bert")
    (tmp_path / "tokenizer.json").write_text(content)
    problem = "is not a tokenizer that can be read|cannot be read as JSON|should hold a JSON object"
    with pytest.raises(AttnvizError, match=f"tokenizer.json ({problem})"):
        describe(str(tmp_path))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda at: (at / "config.json").unlink(), "has no config.json"),
        (lambda at: (at / "config.json").write_text("{"), "cannot be read as JSON"),
        (lambda at: (at / "config.json").write_text('{"model_type": "x9"}'), "model_type 'x9'"),
        (lambda at: (at / "model.safetensors").write_bytes(b"no"), "not a whole safetensors file"),
    ],
)
def test_damaged_folders_are_told_as_run_tells_them(
    damage: Callable[[Path], object], told: str, tmp_path: Path
) -> None:
    save_tiny(tmp_path, "bert")
    damage(tmp_path)
    with pytest.raises(AttnvizError, match=told) as ours:
        describe(str(tmp_path))
    with pytest.raises(AttnvizError) as runs:
        load_model(str(tmp_path))
    assert str(ours.value) == str(runs.value)


def test_a_pickle_is_not_looked_into(tmp_path: Path) -> None:
    save_tiny(tmp_path, "bert")
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"whatever")
    described = describe(str(tmp_path))
    assert (described.parameters, described.encoder_parameters) == (None, None)
    assert (described.dtypes, described.masked_lm) == ((), None)
    assert described.model.d_model == 21
    assert valid(answer_json(described), "model")["parameters"] is None
    facts = dict(_facts(described))
    assert facts["weights"].startswith("in a pickle")
    assert "parameters" not in facts


def test_an_unknown_name() -> None:
    with pytest.raises(RequestError, match='there is no model "nowhere"'):
        describe("nowhere")


def snapshot(cache: Path, repository: str, commit: str, ref: str, **files: str) -> Path:
    """A revision as the hub's library keeps it."""
    home = cache / f"models--{repository.replace('/', '--')}"
    folder = home / "snapshots" / commit
    folder.mkdir(parents=True)
    (home / "blobs").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    if ref:
        (home / "refs").mkdir(exist_ok=True)
        (home / "refs" / ref).write_text(commit)
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, in place of the user's."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    return folder


def listed() -> Catalog:
    found = catalog("minilm")
    valid(answer_json(found), "models")
    return found


def test_the_cache_is_listed_with_what_stands_in_the_way(cache: Path) -> None:
    save_tiny(snapshot(cache, "org/good", COMMITS[0], "main"), "bert")
    save_tiny(snapshot(cache, "org/good", COMMITS[1], "v2"), "roberta")
    snapshot(cache, "org/good", COMMITS[2], "", config__json='{"model_type": "gpt2"}')
    other = snapshot(cache, "g/other", COMMITS[3], "main", config__json='{"model_type": "gpt2"}')
    for file in ("vocab.json", "merges.txt", "model.safetensors"):
        (other / file).write_bytes(b"")
    snapshot(cache, "h/seeing", COMMITS[3], "main", config__json='{"model_type": "vit"}')
    snapshot(cache, "a/none", COMMITS[0], "main", README__md="hello")
    snapshot(cache, "b/broken", COMMITS[0], "main", config__json="{")
    snapshot(cache, "c/nameless", COMMITS[0], "main", config__json="{}")
    bert = (cache / "models--org--good/snapshots" / COMMITS[0] / "config.json").read_text()
    snapshot(cache, "d/bare", COMMITS[3], "main", config__json=bert, tokenizer__json="{}")
    snapshot(cache, "d/pickled", COMMITS[3], "main", config__json=bert, tokenizer__json="{}")
    (cache / "models--d--pickled/snapshots" / COMMITS[3] / "pytorch_model.bin").write_bytes(b"PK")
    snapshot(cache, "e/slow", COMMITS[3], "main", config__json=bert)
    decoder = bert.replace('"is_decoder": false', '"is_decoder": true')
    snapshot(cache, "f/decoder", COMMITS[3], "main", config__json=decoder)
    (cache / "datasets--org--text/snapshots" / COMMITS[0]).mkdir(parents=True)
    found = {known.name: known for known in listed().cached}
    told = {name: (known.family, known.obstacle) for name, known in found.items()}
    assert told == {
        "a/none": (None, "no config.json"),
        "b/broken": (None, "its config.json is damaged"),
        "c/nameless": (None, "its config.json names no model_type"),
        "d/bare": ("bert", "no model.safetensors"),
        "d/pickled": ("bert", ""),
        "e/slow": ("bert", "no tokenizer.json"),
        "f/decoder": ("bert", "no tokenizer.json"),
        "org/good": ("bert", ""),
        "org/good@v2": ("roberta", ""),
        f"org/good@{COMMITS[2]}": ("gpt2", "no tokenizer.json"),
        "g/other": ("gpt2", ""),
        "h/seeing": ("vit", "a type of model that was not tried"),
    }
    good = found["org/good@v2"]
    assert (good.repository, good.revision) == ("org/good", COMMITS[1])
    folder = cache / "models--org--good/snapshots" / COMMITS[1]
    assert good.size == sum(path.stat().st_size for path in folder.iterdir())


def test_no_cache_at_all(cache: Path) -> None:
    cache.rmdir()
    found = listed()
    assert found.cached == ()
    assert [known.name for known in found.built_in] == ["minilm", "e5", "paper"]
    assert (found.built_in[0].size or 0) > 90_000_000


@pytest.mark.parametrize(
    "damage",
    [
        lambda found: found.update(extra=1),
        lambda found: found.update(schema="attnviz.models/2"),
        lambda found: found.update(models=[]),
        lambda found: found["models"][0].update(read=False),  # no reason is told
        lambda found: found["models"][0].update(obstacle="none"),
        lambda found: found["models"][0].update(source="elsewhere"),
        lambda found: found["models"][1].pop("trained"),
    ],
)
def test_the_lists_schema_finds_damage(damage: Callable[[Any], object], cache: Path) -> None:
    refused(json.loads(answer_json(listed())), damage, "models")


@pytest.mark.parametrize(
    "damage",
    [
        lambda found: found.update(extra=1),
        lambda found: found["model"].update(seed=3),  # of a trained model
        lambda found: found.update(positions=["alphabetical"]),
        lambda found: found["attention"][0].update(sees=["everything"]),
        lambda found: found["attention"][0].update(how="somehow"),
        lambda found: found.update(num_kv_heads=0),
        lambda found: found.update(dtypes=["int8"]),
        lambda found: found.update(max_positions=0),
        lambda found: found["tokenizer"].pop("byte_level"),
        lambda found: found.update(masked_lm=1),
    ],
)
def test_the_models_schema_finds_damage(damage: Callable[[Any], object]) -> None:
    described: Described = describe("minilm")
    refused(valid(answer_json(described), "model"), damage, "model")


def refused(found: Any, damage: Callable[[Any], object], schema: str) -> None:
    damage(found)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMAS[schema]).validate(found)
