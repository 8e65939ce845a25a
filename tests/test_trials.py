"""The trial of a model is remembered: what it decided holds at the next start, or not at all."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rounding import assert_numbers
from test_backends_trial import without
from test_own_code import AUTO_MAP, CONFIGURATION, MODELING, change, modules  # noqa: F401
from tiny_bert import save_tiny_bert
from tiny_others import RECORDED, SENTENCES, SEQ2SEQ, STACK, WEIGHTS_ONLY, Other, runner_of

from attnviz.errors import AttnvizError
from attnviz.files import stamp
from attnviz.inspection import Inspection
from attnviz.model import Model, load_model
from attnviz.transformers_backend import trial
from attnviz.transformers_backend.recordable import RecordableModel

pytestmark = pytest.mark.usefixtures("one_thread")

NLLB_MOE = replace(
    SEQ2SEQ["m2m_100"],
    config="NllbMoeConfig",
    sizes={**SEQ2SEQ["m2m_100"].sizes, "num_experts": 2},
)


@pytest.fixture
def remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where trials are remembered; nothing is there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "attnviz" / "trials.json"


@pytest.fixture
def folder(tmp_path: Path, remembered: Path) -> Path:
    """A folder with a tiny GPT-2."""
    return saved(RECORDED["gpt2"], tmp_path)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Loads a model, and counts how often it runs meanwhile."""
    count = 0
    forward = RecordableModel._forward

    def counted(*given: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        return forward(*given, **options)

    def of(folder: Path, **options: Any) -> int:
        before = count
        load_model(str(folder), **options)
        return count - before

    monkeypatch.setattr(RecordableModel, "_forward", counted)
    return of


Passes = Callable[..., int]


def saved(other: Other, tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    other.save(tmp_path / "model")
    return tmp_path / "model"


def arrays_in(thing: Any) -> list[np.ndarray]:
    """All arrays in an object, its parts, and theirs."""
    if isinstance(thing, np.ndarray):
        return [thing]
    parts: Iterable[Any] = vars(thing).values() if is_dataclass(thing) else ()
    parts = thing if isinstance(thing, tuple | list) else parts
    parts = thing.values() if isinstance(thing, dict) else parts
    return [array for part in parts for array in arrays_in(part)]


def beside(model: Model, inspection: Inspection) -> list[np.ndarray]:
    """What is found beside the record: the last layer's matrices, and its sublayers."""
    runner = runner_of(model)
    found: list[Any] = [runner.projections(inspection, -1)]
    if not (runner.decodes and inspection.attention == "decoder"):
        found += runner.sublayers(inspection, [len(inspection.layers) - 1], [1])
    return arrays_in(found)


@pytest.mark.parametrize(
    ("other", "options"),
    [
        (RECORDED["gpt2"], {}),
        (RECORDED["albert"], {}),  # one module serves all layers
        (RECORDED["gemma2"], {"dtype": "bfloat16"}),
        (SEQ2SEQ["bart"], {"attention": "cross", "target": "a dog sat"}),
        (SEQ2SEQ["t5"], {}),
        (NLLB_MOE, {"attention": "decoder", "target": "a dog sat"}),
        (WEIGHTS_ONLY["xlnet"], {}),
        (WEIGHTS_ONLY["longformer"], {}),
        (Other("ConvBertConfig", STACK), {}),  # sentences run one by one
    ],
    ids=["gpt2", "albert", "gemma2", "bart", "t5", "nllb-moe", "xlnet", "longformer", "convbert"],
)
def test_a_model_is_tried_once_and_then_recorded_alike(
    other: Other, options: Any, tmp_path: Path, remembered: Path, passes: Passes
) -> None:
    folder = saved(other, tmp_path)
    first = load_model(str(folder), **options)
    assert passes(folder, **options) == 0
    again = load_model(str(folder), **options)
    assert runner_of(first).model.together == (other.config != "ConvBertConfig")
    assert (again.facts, again.notes) == (first.facts, first.notes)
    assert runner_of(again).model.trial == runner_of(first).model.trial
    sentences = [first.tokenize(sentence) for sentence in SENTENCES]
    pairs = list(zip(first.inspect_tokens(sentences), again.inspect_tokens(sentences), strict=True))
    for one, two in pairs:
        assert one.attention == two.attention
        for number in range(one.model.num_layers):
            assert_arrays(one.layer(number).arrays(), two.layer(number).arrays())
    if pairs[0][0].layer(0).q is not None:
        one, two = pairs[0]
        assert_arrays(beside(first, one), beside(again, two))


def assert_arrays(found: Any, expected: Any) -> None:
    """Hold the arrays in two objects to each other."""
    for one, other in zip(arrays_in(found), arrays_in(expected), strict=True):
        assert_numbers(one, other)


def test_what_is_remembered_is_the_users_alone(folder: Path, remembered: Path) -> None:
    load_model(str(folder))
    assert stat.S_IMODE(remembered.stat().st_mode) == 0o600
    assert stat.S_IMODE(remembered.parent.stat().st_mode) == 0o700
    assert "model" not in remembered.read_text().replace("d_model", "")  # no name of a folder


def test_anything_that_changes_is_tried_anew(
    folder: Path, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert passes(folder) > 0
    assert passes(folder) == 0
    for options in ({"dtype": "bfloat16"}, {"attention": "decoder"}):
        assert passes(folder, **options) > 0
        assert passes(folder, **options) == 0
    for library in ("torch", "transformers", "np"):
        with monkeypatch.context() as patch:
            patch.setattr(getattr(trial, library), "__version__", "2.99.1")
            assert passes(folder) > 0
    change(folder, layer_norm_epsilon=1e-6)
    assert passes(folder) > 0
    assert passes(folder) == 0


def test_other_weights_of_the_same_size_and_time_are_tried_anew(
    tmp_path: Path, folder: Path, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = folder / "model.safetensors"
    # as on a file system that keeps no time of the last change, nor inodes
    monkeypatch.setattr(trial, "stamp", lambda path: [path.stat().st_size])
    content, end = bytearray(weights.read_bytes()), weights.stat().st_size
    assert passes(folder) > 0
    for place in (end - 1, end // 2):
        content[place] ^= 1
        weights.write_bytes(content)
        assert passes(folder) > 0
    assert passes(folder) == 0
    # a large file is not read whole, but its end is
    monkeypatch.setattr(trial, "HASHED_WHOLE", 1)
    assert passes(folder) > 0
    content[-1] ^= 1
    weights.write_bytes(content)
    assert passes(folder) > 0
    assert passes(folder) == 0


def test_the_real_stamp_of_a_file_shows_a_change_that_sets_the_time_back(folder: Path) -> None:
    path = folder / "model.safetensors"
    before, found = path.stat(), stamp(path)
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert stamp(path)[:2] == found[:2]
    assert stamp(path) != found


def damaged(content: bytes) -> list[bytes]:
    """What may stand in the file instead."""
    entries = json.loads(content)
    [(key, (_, decided))] = entries.items()
    wrong: list[Any] = [{**decided, **change} for change in WRONG]
    wrong += [None, [], "", {}, {**decided, "more": 1}]
    listed = [[trial._sum(key, one), one] for one in wrong]
    listed += [["", decided], [trial._sum(key, decided)], decided]
    return [
        b"", b"{", b"[]", b'{"a":' * 100_000, b"[" * 100_000, b"\xff", b" " * 2**21,
        content[:-9], content.replace(b'"num_heads": 4', b'"num_heads": 2'),
        *(json.dumps({key: one}).encode() for one in listed),
    ]  # fmt: skip


WRONG: list[dict[str, Any]] = [
    {"kind": "other"},
    {"kind": []},
    {"form": "eager"},
    {"weights_only": 1},
    {"together": None},
    {"num_layers": 1 << 30},
    {"num_layers": True},
    {"num_heads": 0},
    {"d_model": "28"},
    {"numbers_per_token": -1},
    {"numbers_per_token": 1.5},
    {"sites": []},
    {"sites": 3},
    {"sites": [["h.0.attn"]]},
    {"sites": [["h.9.attn", "decoder", None]]},
    {"sites": [["h.0.attn", "decoder", "h.0.gone"]]},
    {"sites": [[["h.0.attn"], "decoder", None]]},
    {"sites": [["h.0.attn", "all", None]]},
]


def test_what_is_damaged_is_tried_anew(folder: Path, remembered: Path, passes: Passes) -> None:
    model = runner_of(load_model(str(folder))).model
    sound = remembered.read_bytes()
    [key] = json.loads(sound)
    assert trial.recall(key, model.model) == model.trial
    for content in damaged(sound):
        remembered.write_bytes(content)
        assert trial.recall(key, model.model) is None, content[:200]
    assert passes(folder) > 0
    assert json.loads(remembered.read_bytes()) == json.loads(sound)


@pytest.mark.parametrize("pipe", [False, True])
def test_a_link_or_a_pipe_in_its_place_is_not_followed(
    pipe: bool, folder: Path, remembered: Path, tmp_path: Path, passes: Passes
) -> None:
    passes(folder)
    (tmp_path / "theirs").write_bytes(remembered.read_bytes())
    remembered.unlink()
    os.mkfifo(remembered) if pipe else remembered.symlink_to(tmp_path / "theirs")
    assert passes(folder) > 0
    assert stat.S_ISREG(remembered.lstat().st_mode)
    assert passes(folder) == 0


def test_a_cache_that_cannot_be_written_is_no_fault(
    folder: Path, tmp_path: Path, passes: Passes, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    capfd.readouterr()
    tries = [passes(folder) for _ in range(2)]
    assert tries[0] == tries[1] > 0
    assert capfd.readouterr() == ("", "")


def test_nothing_is_remembered_where_memory_is_off(
    folder: Path, remembered: Path, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTNVIZ_NO_MEMORY", "1")
    assert passes(folder) == passes(folder) > 0
    assert not remembered.exists()


def test_drawn_weights_and_code_of_the_models_own_are_tried_each_time(
    folder: Path, remembered: Path, tmp_path: Path, passes: Passes
) -> None:
    assert passes(folder, untrained=True) == passes(folder, untrained=True) > 0
    own = tmp_path / "own"
    own.mkdir()
    save_tiny_bert(own)
    change(own, model_type="own", architectures=["OwnModel"], auto_map=AUTO_MAP)
    (own / "configuration_own.py").write_text(CONFIGURATION.format(ran=str(tmp_path / "ran")))
    (own / "modeling_own.py").write_text(MODELING)
    assert passes(own, trust_remote_code=True) == passes(own, trust_remote_code=True) > 0
    assert not remembered.exists()


def test_a_model_that_fails_is_not_remembered(
    tmp_path: Path, remembered: Path, folder: Path
) -> None:
    without(folder, "h.0.attn.c_attn.weight")
    for _ in range(2):
        with pytest.raises(AttnvizError, match=r"the weights lack h.0.attn.c_attn.weight"):
            load_model(str(folder))
    assert not remembered.exists()


OURS = "from attnviz.cli import main; sys.argv = ['attnviz', 'run', 'a dog', '-m', {!r}]; main()"
THEIRS = """
from transformers import AutoModel, AutoTokenizer
AutoTokenizer.from_pretrained({0!r})
AutoModel.from_pretrained({0!r}, attn_implementation='eager')
"""


@pytest.mark.slow
def test_no_more_of_transformers_is_imported_than_its_own_auto_classes_do(folder: Path) -> None:
    ours, theirs = (
        {name for name in modules_after(code.format(str(folder))) if name.startswith(LIBRARIES)}
        for code in (OURS, THEIRS)
    )
    assert "transformers.models.gpt2.modeling_gpt2" in ours
    assert ours <= theirs


LIBRARIES = ("torch", "transformers", "scipy", "sklearn", "PIL", "accelerate", "pandas")


def modules_after(code: str) -> set[str]:
    """The modules that a fresh Python has imported after some code."""
    code = f"import sys\n{code}\nprint('LOADED', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *_, last = done.stdout.splitlines()
    return set(last.split()[1:])
