"""Folders that hold no model that attnviz reads: told for what they are, and the hints work."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from local_hub import LocalHub, asked_hub, tiny_files
from safetensors.torch import load_file, save_file
from tiny_bert import SENTENCES, save_tiny_bert
from tiny_others import RECORDED

from attnviz.errors import AttnvizError
from attnviz.model import load_model, matrices_of
from attnviz.models import find_model
from attnviz.models.files import wrapper_of
from attnviz.models.pooling import read_pooling

WEIGHTS = "model.safetensors"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 90868376\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that works as a model."""
    save_tiny_bert(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    with asked_hub(tmp_path, monkeypatch) as hub:
        hub.repositories["org/name"] = dict(tiny_files())
        yield hub


def refused(name: Path | str) -> AttnvizError:
    with pytest.raises(AttnvizError) as caught:
        load_model(str(name))
    assert caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint
    return caught.value


KINDS = {
    "adapter_config.json": (
        "an adapter, which changes another model",
        "merge the two and save them with save_pretrained",
    ),
    "tiny-Q4_K_M.gguf": ("weights for llama.cpp (GGUF)", "give the model that it was made from"),
    "tf_model.h5": ("weights for TensorFlow", "from_tf=True"),
    "flax_model.msgpack": ("weights for Flax", "from_flax=True"),
    "1/saved_model.pb": ("weights for TensorFlow", "from_tf=True"),
    "openvino_model.xml": ("weights for OpenVINO", "give the model that it was made from"),
    "onnx/model_quantized.onnx": ("weights for ONNX", "give the model that it was made from"),
    "model-00001-of-00002.safetensors": ("without model.safetensors.index.json", "copy that file"),
}


@pytest.mark.parametrize("file", KINDS)
def test_what_is_there_instead_of_weights(folder: Path, hub: LocalHub, file: str) -> None:
    """With config.json beside it, or alone; in a folder, and on the hub."""
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / WEIGHTS).rename(folder / file)
    what, hint = KINDS[file]
    files = dict(tiny_files())
    files[file] = files.pop(WEIGHTS)
    for _ in range(2):
        hub.repositories["org/name"] = files
        for error in (refused(folder), refused("org/name")):
            assert f"holds {what}" in error.message or what in error.message
            assert hint in error.hint
            assert "save_pretrained(folder) wrote" not in error.hint
        (folder / "config.json").unlink(missing_ok=True)
        files.pop("config.json", None)


def test_an_adapter_names_the_model_that_it_changes(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "base_model_name_or_path": "org/base"}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    assert "save the tokenizer of org/base there too" in refused(folder).hint
    settings["peft_type"] = "PROMPT_TUNING"
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    assert refused(folder).hint.endswith("cannot be merged; look into org/base")
    (folder / "adapter_config.json").write_text("[]")
    assert "merge the two and save them" in refused(folder).hint


def test_a_gguf_file_is_told_without_a_circle(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    for name in (tmp_path, tmp_path / "model.gguf"):
        assert "holds weights for llama.cpp (GGUF)" in refused(name).message


def test_the_folder_within(folder: Path) -> None:
    shutil.copytree(folder, folder.parent / "runs" / "checkpoint-500")
    error = refused(folder.parent / "runs")
    assert "checkpoint-500/config.json is in it" in error.message
    load_model(error.hint.removeprefix("give "))


def test_the_old_layout_of_sentence_transformers(folder: Path) -> None:
    old = folder.parent / "old"
    old.mkdir()
    folder.rename(old / "0_Transformer")
    pooling = [{"type": "sentence_transformers.models.Transformer", "path": "0_Transformer"}]
    pooling += [{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]
    (old / "modules.json").write_text(json.dumps(pooling))
    (old / "1_Pooling").mkdir()
    (old / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    whole = load_model(str(old))
    assert whole.facts.name == str(old)
    assert read_pooling(find_model(str(old))).facts.modes == ("cls",)


def test_the_old_layout_on_the_hub(hub: LocalHub) -> None:
    files = {f"0_Transformer/{name}": content for name, content in tiny_files().items()}
    hub.repositories["org/name"] = files
    error = refused("org/name")
    assert "old sentence-transformers layout" in error.message
    assert error.hint.startswith("download it (hf download NAME --local-dir FOLDER)")


@pytest.mark.parametrize("file", [WEIGHTS, "tokenizer.json", "pytorch_model.bin"])
def test_pointers_of_git_lfs(folder: Path, file: str) -> None:
    if file == "pytorch_model.bin":
        (folder / WEIGHTS).unlink()
    (folder / file).write_bytes(POINTER)
    error = refused(folder)
    assert f"{file} is a pointer of Git LFS, not the file itself" in error.message
    assert error.hint == "fetch it with git lfs pull, in that folder"


@pytest.mark.parametrize(
    "settings",
    [{"quant_method": "gptq", "bits": 4}, {"quant_method": "awq"}, {"load_in_8bit": True}],
)
def test_quantised_weights(folder: Path, settings: dict[str, object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": settings}))
    error = refused(folder)
    assert f"quantised ('{settings.get('quant_method', 'bitsandbytes')}')" in error.message
    assert "from before it was quantised" in error.hint


def test_a_state_dict_of_another_name(folder: Path) -> None:
    """The hints, followed one after the other, lead to the model."""
    expected = load_model(str(folder)).inspect(SENTENCES[0])
    state = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    torch.save({"epoch": 3, "state_dict": state}, folder / "model.pt")
    assert refused(folder).hint.endswith("if it holds a state_dict, name it pytorch_model.bin")
    pickle = folder / "pytorch_model.bin"
    (folder / "model.pt").rename(pickle)
    hint = refused(folder).hint
    assert hint == 'save what is inside: torch.save(torch.load(file)["state_dict"], file)'
    torch.save(torch.load(pickle)["state_dict"], pickle)
    np.testing.assert_array_equal(
        load_model(str(folder)).inspect(SENTENCES[0]).weights(1, 2), expected.weights(1, 2)
    )


@pytest.mark.parametrize("wrapper", ["module.", "model.", "module.model.", "_orig_mod."])
@pytest.mark.parametrize("pickled", [False, True])
def test_names_that_are_wrapped(folder: Path, wrapper: str, pickled: bool) -> None:
    """Weights, matrices, the masked-LM head and what `models` tells are as without the wrapper."""
    plain = load_model(str(folder))
    expected = plain.inspect(SENTENCES[0])
    held = {wrapper + name: tensor for name, tensor in load_file(folder / WEIGHTS).items()}
    if pickled:
        (folder / WEIGHTS).unlink()
        torch.save(held, folder / "pytorch_model.bin")
    else:
        save_file(held, folder / WEIGHTS)
    wrapped = load_model(str(folder))
    found = wrapped.inspect(SENTENCES[0])
    np.testing.assert_array_equal(found.weights(1, 2), expected.weights(1, 2))
    np.testing.assert_array_equal(matrices_of(found, 1).W_Q, matrices_of(expected, 1).W_Q)
    assert [note for note in wrapped.notes if "pickle" not in note] == list(plain.notes)


def test_names_that_are_wrapped_in_a_model_of_transformers(tmp_path: Path) -> None:
    RECORDED["gpt2"].save(tmp_path)
    expected = load_model(str(tmp_path)).inspect(SENTENCES[0]).weights(0, 0)
    held = {f"module.{name}": tensor for name, tensor in load_file(tmp_path / WEIGHTS).items()}
    save_file(held, tmp_path / WEIGHTS)
    found = load_model(str(tmp_path)).inspect(SENTENCES[0]).weights(0, 0)
    np.testing.assert_array_equal(found, expected)


def test_wrappers() -> None:
    assert wrapper_of([]) == ""
    assert wrapper_of(["module.model.a", "module.b"]) == "module."
    assert wrapper_of(["model.a", "lm_head.weight"]) == ""
    assert wrapper_of(["modules.a"]) == ""
