"""Model folders and tokenizers whose content makes no sense: one sentence, and no panic."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_bert import save_tiny_bert, tiny_tokenizer
from tiny_others import RECORDED, SEQ2SEQ
from transformers import BertForMaskedLM
from vocabularies import byte_fallback

from attnviz.cli.app import app, exit_code_of
from attnviz.errors import AttnvizError, RequestError
from attnviz.files import rust_errors
from attnviz.text.tokenizer import Tokenizer

Change = Callable[[dict[str, Any]], None]

TEXT = {"Sequence": {"id": "A", "type_id": 0}}

TOKENIZERS: dict[str, tuple[Change, str]] = {
    "a special token that is not described": (
        lambda c: c["post_processor"].update(special_tokens={}),
        "cannot cut the sentence: no entry found",
    ),
    "an empty map of characters": (
        lambda c: c.update(normalizer={"type": "Precompiled", "precompiled_charsmap": ""}),
        "is not a tokenizer that can be read: Precompiled",
    ),
    "a bad map of characters": (
        lambda c: c.update(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        "is not a tokenizer that can be read: Precompiled",
    ),
    "a pattern that takes for ever": (
        lambda c: c.update(
            pre_tokenizer={
                "type": "Split",
                "pattern": {"Regex": "(a+)+$"},
                "behavior": "Isolated",
                "invert": False,
            }
        ),
        "cannot cut the sentence: Onig",
    ),
    "a template with the text twice": (
        lambda c: c["post_processor"].update(single=[TEXT, TEXT]),
        "is 14 tokens long when it is cut to 7",
    ),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokenizers(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    change, told = TOKENIZERS[name]
    content = json.loads(tiny_tokenizer().to_str())
    change(content)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    with pytest.raises(AttnvizError, match=told):
        Tokenizer.from_file(path, 7).encode(" ".join(["a" * 40 + "!"] * 9), truncate=True)
    assert capfd.readouterr() == ("", "")


def test_a_special_token_without_id_is_not_fed(tmp_path: Path) -> None:
    content = json.loads(tiny_tokenizer().to_str())
    content["post_processor"]["special_tokens"]["[CLS]"].update(ids=[])
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    assert Tokenizer.from_file(path).encode("a dog").vocabulary == ("a", "dog", "[SEP]")


def test_a_prefix_at_which_the_library_aborts(tmp_path: Path) -> None:
    content = json.loads(byte_fallback().to_str())
    content["model"]["continuing_subword_prefix"] = "a"
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    with pytest.raises(AttnvizError, match="should begin with its continuing_subword_prefix"):
        Tokenizer.from_file(path)


def test_what_others_write_meanwhile_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    with rust_errors("it fails", ""):
        os.write(2, b"a warning\n")
    assert capfd.readouterr().err == "a warning\n"
    with pytest.raises(AttnvizError, match="it fails: "), rust_errors("it fails", ""):
        os.write(2, str(1 // 0).encode())
    assert capfd.readouterr().err == ""
    with pytest.raises(KeyboardInterrupt), rust_errors("it fails", ""):
        raise KeyboardInterrupt


Told = Callable[..., str]


@pytest.fixture
def told(capfd: pytest.CaptureFixture[str]) -> Told:
    """Runs a command that fails: what it says, in one sentence and a hint."""

    def tell(*arguments: str | Path) -> str:
        words = list(map(str, arguments))
        assert exit_code_of(lambda: app(words, prog_name="attnviz")) == 1
        printed = capfd.readouterr()
        assert printed.out == ""
        lines = [line for line in printed.err.splitlines() if "what the model writes" not in line]
        assert len(lines) == 2, printed.err
        assert lines[0].startswith("attnviz: ")
        return " ".join(lines)

    return tell


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    names = ("bert", "gpt2", "albert", "bart")
    found = {name: tmp_path_factory.mktemp(name) for name in names}
    save_tiny_bert(found["bert"], kind=BertForMaskedLM)
    for name in names[1:]:
        (RECORDED | SEQ2SEQ)[name].save(found[name])
    return found


def copied(source: Path, folder: Path, **entries: Any) -> Path:
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text()) | entries
    (folder / "config.json").write_text(json.dumps(config))
    return folder


NUMBERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "layers": ("gpt2", {"n_layer": 1 << 31}, "at most 1000 is expected"),
    "layers of ours": ("bert", {"num_hidden_layers": 1 << 31}, "at most 1000 is expected"),
    "layers, fewer": (
        "gpt2",
        {"n_layer": 900, "n_embd": 1 << 12},
        "is far larger than its weights",
    ),
    "layers in layers": ("albert", {"inner_group_num": 1 << 31}, "is far larger than its weights"),
    "words": ("gpt2", {"vocab_size": 1 << 24}, "is far larger than its weights"),
    "positions": ("gpt2", {"n_positions": 1 << 24}, "is far larger than its weights"),
    "labels": ("gpt2", {"num_labels": 1 << 24}, "at most 1048576 is expected"),
    "labels inside": ("bert", {"text_config": [{"num_labels": 1 << 24}]}, "at most 1048576"),
    "over 64 bits": ("gpt2", {"n_inner": 1 << 70}, f"at most {1 << 62} is expected"),
}


@pytest.mark.parametrize("command", ["run", "models"])
@pytest.mark.parametrize("name", NUMBERS)
def test_sizes(
    name: str, command: str, folders: dict[str, Path], tmp_path: Path, told: Told
) -> None:
    model, entries, message = NUMBERS[name]
    folder = copied(folders[model], tmp_path, **entries)
    asked = ("run", "a dog", "--model", folder) if command == "run" else ("models", folder)
    assert message in told(*asked)


@pytest.mark.parametrize("layers", [0, -1])
def test_no_layers(layers: int, folders: dict[str, Path], tmp_path: Path, told: Told) -> None:
    folder = copied(folders["gpt2"], tmp_path, n_layer=layers)
    assert "does not give the number of layers" in told("models", folder)
    assert "no attention weights" in told("run", "a dog", "--model", folder)


@pytest.mark.parametrize("start", [10**10, -1])
def test_a_start_id_that_is_no_entry(
    start: int, folders: dict[str, Path], tmp_path: Path, told: Told
) -> None:
    folder = copied(folders["bart"], tmp_path, decoder_start_token_id=start)
    (folder / "generation_config.json").unlink(missing_ok=True)
    asked = ("run", "a dog", "--attention", "decoder", "--model", folder)
    assert f"the tokenizer gave id {start}, and the model has 97" in told(*asked, "--target", "a")
    assert "the model cannot write a target itself" in told(*asked)


def test_tensors_of_eight_bits(
    folders: dict[str, Path], tmp_path: Path, told: Told, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = copied(folders["bert"], tmp_path)
    tensors = load_file(folder / "model.safetensors")
    head = {name: t.to(torch.float8_e4m3fn) for name, t in tensors.items() if "cls." in name}
    save_file(tensors | head, folder / "model.safetensors")
    words = ["run", "a dog", "--model", str(folder), "--quiet"]
    assert exit_code_of(lambda: app(words, prog_name="attnviz")) == 0  # without the head
    assert "2 layers" in capfd.readouterr().out
    save_file(
        {name: tensor.to(torch.float8_e4m3fn) for name, tensor in tensors.items()},
        folder / "model.safetensors",
    )
    assert "holds float8_e4m3 numbers" in told("run", "a dog", "--model", folder)


def test_a_tensor_that_is_larger_than_what_is_stored(
    folders: dict[str, Path], tmp_path: Path, told: Told
) -> None:
    folder = copied(folders["bert"], tmp_path)
    tensors = load_file(folder / "model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    tensors[name] = torch.zeros(1).expand(1 << 30, 1 << 10)
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    assert f"holds fewer numbers than {name} has" in told("run", "a dog", "--model", folder)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("unable to mmap 90 bytes from file </x>: Cannot allocate memory (12)"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("std::bad_alloc"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        MemoryError(),
    ],
    ids=str,
)
def test_memory(
    error: Exception,
    folders: dict[str, Path],
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("attnviz.encoder.checkpoint.mapped_tensors", full)
    message = told("run", "a dog", "--model", folders["bert"])
    assert "the model's weights do not fit in memory" in message
    assert "ulimit -v" in message
    monkeypatch.setattr("attnviz.model.load.find_model", full)
    assert "there is not enough memory" in told("run", "a dog", "--model", folders["bert"])


def test_an_untrained_model_that_no_memory_holds() -> None:
    from attnviz.model import load_model

    with pytest.raises(RequestError, match=r"would have \d+ parameters"):
        load_model("paper", num_layers=1000, d_ff=1 << 24)
    with pytest.raises(RequestError, match="seed is -1"):
        load_model("paper", seed=-1)
