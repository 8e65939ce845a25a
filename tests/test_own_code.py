"""Models that bring code of their own: it runs where that was said in full, and nowhere else."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from local_hub import LocalHub, asked_hub
from process import Workplace
from tiny_bert import SENTENCES, save_tiny_bert
from transformers import dynamic_module_utils

from attnviz.errors import AttnvizError
from attnviz.model import load_model

CONFIGURATION = """
from pathlib import Path
from transformers import BertConfig
Path({ran!r}).touch()
class OwnConfig(BertConfig):
    model_type = "own"
"""
MODELING = """
from transformers import BertModel
from .configuration_own import OwnConfig
class OwnModel(BertModel):
    config_class = OwnConfig
"""
AUTO_MAP = {"AutoConfig": "configuration_own.OwnConfig", "AutoModel": "modeling_own.OwnModel"}
RAN = "its own code was run, as --trust-remote-code allows"
NOT_RUN = "it brings code of its own, which was not run"
HINT = "read that code, and add --trust-remote-code if you trust it"


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where transformers copies the code to that it runs; nothing of it was imported yet."""
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in [name for name in sys.modules if name.startswith("transformers_modules")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """A file that the model's own code makes when it runs."""
    return tmp_path / "ran"


@pytest.fixture
def own(tmp_path: Path, ran: Path) -> Path:
    """A folder with a BERT of a type that nobody knows, and the code that it is run with."""
    folder = tmp_path / "own"
    folder.mkdir()
    save_tiny_bert(folder)
    change(folder, model_type="own", architectures=["OwnModel"], auto_map=AUTO_MAP)
    (folder / "configuration_own.py").write_text(CONFIGURATION.format(ran=str(ran)))
    (folder / "modeling_own.py").write_text(MODELING)
    return folder


def change(folder: Path, **entries: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def refused(name: str | Path, **options: Any) -> AttnvizError:
    with pytest.raises(AttnvizError) as caught:
        load_model(str(name), **options)
    assert "\n" not in caught.value.message + caught.value.hint
    return caught.value


def test_without_the_flag_nothing_of_it_runs(own: Path, ran: Path) -> None:
    error = refused(own)
    assert error.message.startswith(f"{own / 'config.json'} has model_type 'own', which transf")
    assert error.message.endswith("does not know, and asks to run code of its own")
    assert error.hint == HINT
    assert not ran.exists()


def test_with_the_flag_it_runs_and_that_is_told(own: Path, ran: Path, tmp_path: Path) -> None:
    model = load_model(str(own), trust_remote_code=True)
    assert ran.exists()
    assert model.notes == (RAN,)
    assert model.facts.family == "own"
    (tmp_path / "known").mkdir()
    theirs = save_tiny_bert(tmp_path / "known")  # the same numbers
    inspection = model.inspect(SENTENCES[0])
    with torch.inference_mode():
        ids = torch.tensor([inspection.tokens.ids])
        expected = theirs(ids, output_attentions=True).attentions
    for layer in range(2):
        weights = inspection.weights(layer, unit="piece")
        np.testing.assert_allclose(weights, expected[layer][0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("trust", [None, True])
def test_a_type_that_is_read_anyway_needs_none_of_it(
    own: Path, ran: Path, trust: bool | None
) -> None:
    change(own, model_type="bert")
    model = load_model(str(own), trust_remote_code=trust)
    assert model.notes == (NOT_RUN,)
    model.inspect(SENTENCES[0])
    change(own, model_type="nomic_bert_of_old")
    assert refused(own).hint == HINT
    assert not ran.exists()


def test_a_type_that_transformers_knows_needs_none_of_it(own: Path, ran: Path) -> None:
    change(own, model_type="ernie", use_task_id=False)
    model = load_model(str(own), trust_remote_code=True)
    assert NOT_RUN in model.notes
    assert model.facts.family == "ernie"
    assert not ran.exists()


def test_code_of_another_repository_is_not_run(own: Path, ran: Path) -> None:
    named = {name: f"org/other--{code}" for name, code in AUTO_MAP.items()}
    change(own, auto_map=named)
    load_model(str(own), trust_remote_code=True).inspect(SENTENCES[0])  # a copy lies beside it
    assert ran.exists()
    ran.unlink()
    (own / "configuration_own.py").unlink()
    error = refused(own, trust_remote_code=True)
    assert "names code of another repository, org/other that is not in its folder" in error.message
    assert not ran.exists()


@pytest.mark.parametrize(
    ("auto_map", "message"),
    [
        ("modeling_own.OwnModel", 'should name code for AutoConfig and AutoModel as "auto_map"'),
        ({"AutoModel": "modeling_own.OwnModel"}, "should name code for AutoConfig and AutoModel"),
        (
            {**AUTO_MAP, "AutoModel": "gone.OwnModel"},
            "names code that is not in its folder: gone.OwnM",
        ),
        ({**AUTO_MAP, "AutoModel": "../own.OwnModel"}, "names code that is not in its folder"),
        (
            {**AUTO_MAP, "AutoModel": ["modeling_own.OwnModel"]},
            "names code that is not in its folder",
        ),
        (
            {**AUTO_MAP, "AutoModel": "modeling_own.Gone"},
            "the own model's own code fails with",
        ),
    ],
)
def test_code_that_is_not_there(own: Path, auto_map: Any, message: str) -> None:
    change(own, auto_map=auto_map)
    assert message in refused(own, trust_remote_code=True).message


@pytest.mark.parametrize(
    "stop", ["raise ValueError('no\\nmore')", "import nosuchmodule", "def", "raise SystemExit(3)"]
)
def test_code_that_stops(own: Path, stop: str) -> None:
    path = own / "modeling_own.py"
    path.write_text(path.read_text() + stop)
    error = refused(own, trust_remote_code=True)
    assert error.message.startswith("the own model's own code fails with ")
    assert "another library" in error.hint


def test_a_type_that_nobody_knows_and_no_code(own: Path) -> None:
    config = json.loads((own / "config.json").read_text())
    del config["auto_map"]
    (own / "config.json").write_text(json.dumps(config))
    for trust in (None, True):
        error = refused(own, trust_remote_code=trust)
        assert "has model_type 'own', which transformers" in error.message
        assert error.hint == "a newer transformers may: pip install --upgrade transformers"


@pytest.fixture
def hub(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    with asked_hub(tmp_path, monkeypatch) as hub:
        hub.serve("org/own", own)
        yield hub


def fetched(hub: LocalHub) -> set[str]:
    return {request.split()[-1] for request in hub.requests if request.startswith("GET")}


def test_on_the_hub_nothing_is_fetched_but_what_is_trusted(hub: LocalHub, ran: Path) -> None:
    assert refused("org/own").hint == HINT
    assert fetched(hub) == {"config.json"}
    assert not ran.exists()
    model = load_model("org/own", trust_remote_code=True)
    assert model.notes == (RAN,)
    model.inspect(SENTENCES[0])
    assert fetched(hub) == {
        *("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"),
        *("configuration_own.py", "modeling_own.py"),
    }
    refused("org/own")  # that it is in the cache makes it no better


def test_its_code_in_the_cache_serves_offline(hub: LocalHub) -> None:
    load_model("org/own", trust_remote_code=True)
    assert Path(constants.HF_HUB_CACHE).is_dir()
    hub.failures["org/own"] = (503, "")
    load_model("org/own", trust_remote_code=True).inspect(SENTENCES[0])


@pytest.mark.slow
@pytest.mark.usefixtures("minilm")
def test_the_flag_is_typed_in_full(own: Path, tmp_path: Path) -> None:
    place = Workplace(tmp_path / "place")
    asked = ("run", "a dog", "-m", str(own), "--json", "--layer", "0", "--head", "0")
    done = place(*asked)
    assert (done.code, done.out) == (1, "")
    assert "--trust-remote-code" in done.err
    short = place(*asked, "--trust-remote")
    assert (short.code, short.out) == (2, "")
    done = place(*asked, "--trust-remote-code")
    assert done.code == 0, done.err
    assert RAN in done.err
    assert done.json["model"]["family"] == "own"
