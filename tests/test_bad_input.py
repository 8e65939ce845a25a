"""What cannot be looked at: each in one sentence, with what to try, and the right exit code."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
import transformers
from local_hub import LocalHub, ask_at, asked_hub
from tiny_bert import SENTENCES, save_tiny_bert, tiny_tokenizer
from tiny_others import RECORDED, SEQ2SEQ

from attnviz.attention.layer import LayerRecord
from attnviz.attention.request import LESS_OF_A_TEXT
from attnviz.cli.app import app, exit_code_of
from attnviz.encoder.encoder import Encoder
from attnviz.errors import AttnvizError
from attnviz.model import load_model
from attnviz.transformers_backend.recordable import RecordableModel

Told = Callable[..., tuple[int, str]]

NO_BOTH = "leave it out, or choose a model with an encoder and a decoder, such as T5 or BART"


@pytest.fixture
def told(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Told:
    """Runs a command that has no result: its exit code, and what it says of it, in a line."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))

    def tell(*arguments: str | Path) -> tuple[int, str]:
        words = [*map(str, arguments), "--quiet"]
        code = exit_code_of(lambda: app(words, prog_name="attnviz"))
        printed = capfd.readouterr()
        assert printed.out == ""
        assert "Traceback" not in printed.err
        message, hint = printed.err.splitlines()
        assert message.startswith("attnviz: ")
        return code, f"{message} {hint}"

    return tell


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An encoder of ours, a decoder alone, an encoder that others run, and both parts."""
    folders = {
        name: tmp_path_factory.mktemp(name) for name in ("bert", "gpt2", "modernbert", "bart")
    }
    save_tiny_bert(folders["bert"])
    for name in ("gpt2", "modernbert"):
        RECORDED[name].save(folders[name])
    SEQ2SEQ["bart"].save(folders["bart"])
    return folders


@pytest.fixture
def hub(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalHub]:
    with asked_hub(tmp_path, monkeypatch) as hub:
        hub.serve("org/name", models["bert"])
        yield hub


def changed(folder: Path, source: Path, **entries: Any) -> Path:
    """A copy of a model's folder, with other entries in its config.json; ... takes one out."""
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text()) | entries
    kept = {key: value for key, value in config.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(kept))
    return folder


@pytest.mark.parametrize("name", ["nosuch", "org/nosuch"])
@pytest.mark.usefixtures("hub")
def test_an_unknown_name(name: str, told: Told) -> None:
    code, message = told("run", "a dog", "-m", name)
    assert code == 2
    assert f'"{name}"' in message
    assert "org/name" in message or "check the name" in message


def test_no_network(hub: LocalHub, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_at("http://127.0.0.1:9", monkeypatch)
    code, message = told("run", "a dog", "-m", "org/name")
    assert code == 1
    assert "is not in the hub's cache, and the hub cannot be reached" in message
    assert "give a folder with --model" in message


def test_a_gated_repository(hub: LocalHub, told: Told) -> None:
    hub.failures["org/name"] = (403, "GatedRepo")
    code, message = told("run", "a dog", "-m", "org/name")
    assert code == 1
    assert "org/name is gated" in message
    assert "HF_TOKEN" in message


@pytest.mark.parametrize(
    ("entries", "message", "hint"),
    [
        ({"model_type": ...}, 'config.json has no "model_type"', "save the model again"),
        (
            {"model_type": ["bert"]},
            "has model_type ['bert'], which should be",
            "save the model",
        ),
        (
            {"model_type": "bert9"},
            f"has model_type 'bert9', which transformers {transformers.__version__} does not know",
            "pip install --upgrade transformers",
        ),
        (
            {"model_type": "vit"},
            "vit models do not read text, but image",
            "a model that reads text",
        ),
        ({"model_type": "whisper"}, "whisper models do not read text, but audio", "reads text"),
    ],
)
def test_models_that_cannot_be_had(
    entries: dict[str, Any],
    message: str,
    hint: str,
    models: dict[str, Path],
    tmp_path: Path,
    told: Told,
) -> None:
    code, line = told("run", "a dog", "-m", changed(tmp_path, models["bert"], **entries))
    assert code == 1
    assert message in line
    assert hint in line


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert", "gpt2", "bart"])
def test_a_tokenizer_that_knows_more_than_the_model(
    name: str, models: dict[str, Path], tmp_path: Path, told: Told
) -> None:
    folder = changed(tmp_path, models[name])
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["zebra"])
    tokenizer.save(str(folder / "tokenizer.json"))
    code, message = told("run", "the zebra", "-m", folder)
    assert code == 1
    assert "the tokenizer gave id 97, and the model has 97" in message
    assert "belong together" in message
    model = load_model(str(folder))
    model.inspect(SENTENCES[0])
    assert "its tokenizer has 98 pieces, and the model embeddings for 97: " in model.notes[-1]
    if name == "bart":
        code, message = told(
            "run", "a dog", "-m", folder, "--attention", "cross", "--target", "the zebra"
        )
        assert code == 1
        assert "the tokenizer gave id 97, and the model has 97" in message


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("bert", ["--attention", "cross"], "--attention cross needs a decoder, and {} is an encod"),
        (
            "bert",
            ["--attention", "decoder"],
            "--attention decoder needs a decoder, and {} is an en",
        ),
        ("modernbert", ["--attention", "cross"], "--attention cross needs an encoder and a decod"),
        (
            "modernbert",
            ["--attention", "decoder"],
            "--attention decoder needs a decoder, and {} is",
        ),
        ("gpt2", ["--attention", "cross"], "--attention cross needs an encoder and a decoder, and"),
        (
            "gpt2",
            ["--attention", "encoder"],
            "--attention encoder needs an encoder, and {} is a de",
        ),
        (
            "bert",
            ["--target", "a dog"],
            "--target is the text for a decoder next to an encoder, and",
        ),
        (
            "gpt2",
            ["--target", "a dog"],
            "--target is the text for a decoder next to an encoder, and",
        ),
        ("bart", ["--target", "a dog"], "--target is the text for the decoder, but this shows the"),
    ],
)
def test_parts_that_a_model_does_not_have(
    name: str, options: list[str], message: str, models: dict[str, Path], told: Told
) -> None:
    code, line = told("run", "a dog", "-m", models[name], *options)
    assert code == 2
    assert message.format(models[name]) in line
    assert (NO_BOTH if name != "bart" else "add --attention decoder") in line


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert", "modernbert", "bart"])
def test_heads_that_a_layer_does_not_have(name: str, models: dict[str, Path], told: Told) -> None:
    facts = load_model(str(models[name])).facts
    for options in (["--head", f"1.{facts.num_heads}"], ["--layer", "1", "--head", "9"]):
        code, message = told("run", "a dog", "-m", models[name], *options)
        assert code == 2
        assert f"{facts.num_heads}" in message
    code, message = told("run", "a dog", "-m", models[name], "--layer", facts.num_layers)
    assert code == 2
    assert f"{facts.num_layers}" in message


def no_memory(*_: object, **__: object) -> NoReturn:
    np.empty(1 << 60, np.uint8)
    raise AssertionError("there was room for it")


def no_memory_in_torch(*_: object, **__: object) -> NoReturn:
    torch.empty(1 << 60)
    raise AssertionError("there was room for it")


@pytest.mark.parametrize("full", [no_memory, no_memory_in_torch])
@pytest.mark.parametrize(
    ("name", "kind", "method"),
    [("bert", Encoder, "steps"), ("modernbert", RecordableModel, "_recorded")],
)
def test_a_text_too_long_for_memory(
    full: Callable[..., NoReturn],
    name: str,
    kind: type[Any],
    method: str,
    models: dict[str, Path],
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = load_model(str(models[name]))
    monkeypatch.setattr(kind, method, full)
    with pytest.raises(AttnvizError) as caught:
        model.inspect("a dog")
    assert caught.value.message == "4 tokens do not fit in memory"
    assert caught.value.hint == LESS_OF_A_TEXT
    for option in ("--layer", "--window", "--dtype"):
        assert option in caught.value.hint


def test_weights_that_memory_does_not_do_for(
    models: dict[str, Path], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LayerRecord, "weights", no_memory)
    code, message = told("run", "a dog", "-m", models["bert"], "--layer", "0")
    assert code == 1
    assert "there is not enough memory" in message
    assert "--window" in message


def test_a_model_too_large_for_memory(
    models: dict[str, Path], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformers.ModernBertModel, "from_pretrained", no_memory)
    code, message = told("run", "a dog", "-m", models["modernbert"])
    assert code == 1
    assert "the model's weights do not fit in memory" in message
    assert "--dtype bfloat16" in message
