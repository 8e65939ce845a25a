"""Which engine a run takes: by the work, and by speeds that are put in here."""

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_bert import runner_of, save_tiny_bert

from attnviz.encoder import choice, speeds
from attnviz.encoder.choice import LITTLE, Encoders
from attnviz.encoder.encoder import Encoder
from attnviz.encoder.engine import Engine
from attnviz.encoder.numpy_engine import NumpyEngine
from attnviz.encoder.parts import work
from attnviz.encoder.speeds import LOADING, ON_A_GPU, USUALLY, Speeds, known, measured, remember
from attnviz.encoder.torch_engine import TorchEngine
from attnviz.inspection import Inspection
from attnviz.model import Model, load_model
from attnviz.model.model import BYTES_A_TOKEN

TEXTS = ["it was tired", "a dog", "it was too tired to cross the street", "the cat sat on the mat"]
SLOW_NUMPY = Speeds(numpy=2e9, torch=4e10, loading=3.0)
ALIKE = Speeds(numpy=4e10, torch=4.8e10, loading=1.5)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache of its own, and torch not imported, as far as the choice can see."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(choice, "loaded_torch", lambda: None)
    monkeypatch.setattr(choice, "processors", lambda: 16)
    return tmp_path / "attnviz"


@pytest.fixture
def model(minilm: Model) -> Model:
    """Minilm, loaded anew."""
    assert minilm.facts.name == "minilm"
    return load_model("minilm")


def on_a_machine(model: Model, of: Speeds, monkeypatch: pytest.MonkeyPatch) -> Encoders:
    monkeypatch.setattr(speeds, "measured", lambda engine: of.numpy)
    monkeypatch.setattr(speeds, "known", lambda device, numpy: of._replace(numpy=numpy))
    return runner_of(model).encoders


def name_of(encoder: Encoder) -> str:
    return type(encoder.engine).__name__.removesuffix("Engine").lower()


@pytest.mark.parametrize("machine", [SLOW_NUMPY, ALIKE])
@pytest.mark.parametrize(("share", "expected"), [(0.9, "numpy"), (1.1, "torch")])
def test_torch_is_taken_once_it_saves_as_much_as_its_import_takes(
    machine: Speeds,
    share: float,
    expected: str,
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoders = on_a_machine(model, machine, monkeypatch)
    runs = share * machine.loading / machine.saved(work(encoders.config, [500]))
    assert name_of(encoders.of([500], runs)) == expected


def test_sentences_count_together(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    encoders = on_a_machine(model, ALIKE, monkeypatch)
    each = ALIKE.saved(work(encoders.config, [500]))
    names = [name_of(encoders.of([500])) for _ in range(2 * int(ALIKE.loading / each))]
    assert names.index("torch") == int(ALIKE.loading / each)
    assert names.count("torch") == 1  # who asks then imports it; others go on


@pytest.mark.parametrize(("share", "expected"), [(0.9, "numpy"), (1.1, "torch")])
def test_a_file_counts_as_a_whole(
    share: float, expected: str, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoders = on_a_machine(model, ALIKE, monkeypatch)
    tokens = share * ALIKE.loading / ALIKE.saved(work(encoders.config, [1]))
    model.expect(int(tokens * BYTES_A_TOKEN))
    runs = LITTLE / work(encoders.config, [20])
    assert name_of(encoders.of([20], runs)) == "numpy"  # the first lines do not wait
    assert name_of(encoders.of([20])) == expected


def test_nothing_is_measured_for_a_short_text(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(engine: Engine) -> float:
        raise AssertionError("nothing is worth measuring")

    monkeypatch.setattr(speeds, "measured", measured)
    encoders = runner_of(model).encoders
    assert work(encoders.config, [200]) < LITTLE
    assert name_of(encoders.of([200])) == "numpy"


def test_a_long_text_alone_has_all_of_torchs_threads(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = 1.5 * ALIKE.loading / ALIKE.saved(work(runner_of(model).encoders.config, [600]), 16)
    for lengths, expected in (([600], "torch"), ([600, 600], "numpy")):
        encoders = on_a_machine(load_model("minilm"), ALIKE, monkeypatch)
        assert name_of(encoders.of(lengths, runs / len(lengths))) == expected


def test_where_torch_is_loaded_it_is_used(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "loaded_torch", lambda: object())
    assert name_of(runner_of(model).encoders.of([4])) == "torch"


def test_others_go_on_in_numpy_while_one_imports_torch(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoders = on_a_machine(model, SLOW_NUMPY, monkeypatch)
    begun, release = threading.Event(), threading.Event()
    in_torch = encoders._in_torch

    def slowly() -> Encoder:
        begun.set()
        assert release.wait(30)
        return in_torch()

    monkeypatch.setattr(encoders, "_in_torch", slowly)
    runs = 2 * SLOW_NUMPY.loading / SLOW_NUMPY.saved(work(encoders.config, [500]))
    with ThreadPoolExecutor(1) as pool:
        importing = pool.submit(encoders.of, [500], runs)
        assert begun.wait(30)
        assert [name_of(encoders.of([500], runs)) for _ in range(3)] == ["numpy"] * 3
        release.set()
        assert name_of(importing.result()) == "torch"


def test_each_engine_is_made_once(model: Model) -> None:
    encoders = runner_of(model).encoders
    meeting = threading.Barrier(4, timeout=30)

    def ask(_: int) -> tuple[Encoder, Encoder]:
        meeting.wait()
        return encoders.in_torch, encoders.in_numpy

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_both_engines_share_the_numbers_in_memory(dtype: torch.dtype, tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    path = tmp_path / "model.safetensors"
    save_file({name: tensor.to(dtype) for name, tensor in load_file(path).items()}, path)
    encoders = runner_of(load_model(str(tmp_path))).encoders
    ours, theirs = (one.layers[1].attention.W_O for one in (encoders.in_numpy, encoders.in_torch))
    assert theirs.weight.dtype == torch.float32
    assert theirs.weight.data_ptr() == ours.weight.ctypes.data


def test_the_order_and_the_numbers_of_a_stream_whose_engine_changes(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers equal to 1e-5 whichever engine ran a line."""
    encoders = runner_of(model).encoders
    taken: list[str] = []

    def of(lengths: Sequence[int], runs: float = 1) -> Encoder:
        taken.append("numpy" if len(taken) < 3 else "torch")
        return encoders.in_numpy if taken[-1] == "numpy" else encoders.in_torch

    texts = TEXTS * 30
    lines = [(number, model.tokenize(text)) for number, text in enumerate(texts)]
    expected = [model.inspect(text) for text in TEXTS]
    monkeypatch.setattr(encoders, "of", of)
    # pauses end windows, so that batches are many
    stream = (line for numbered in lines for line in (numbered, *[None] * (numbered[0] % 20 == 7)))
    results = list(model.inspect_stream(stream))
    assert [number for number, _ in results] == list(range(len(texts)))
    assert {"numpy", "torch"} == set(taken)
    for number, found in results:
        assert isinstance(found, Inspection)
        plain = expected[number % len(TEXTS)]
        for layer in (0, 5):
            ours, theirs = found.layer(layer).inputs(), plain.layer(layer).inputs()
            for mine, its in ((ours.x, theirs.x), (ours.q, theirs.q), (ours.v, theirs.v)):
                np.testing.assert_allclose(mine, its, rtol=0, atol=1e-5 * np.abs(its).max())


def test_a_speed_is_measured_in_both_engines() -> None:
    assert all(1e6 < measured(engine) < 1e15 for engine in (NumpyEngine(), TorchEngine()))


def test_a_small_model_does_not_make_torch_slow_for_others(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its own matrices, 21 numbers wide, torch would multiply a thirtieth as many a second."""
    save_tiny_bert(tmp_path)
    assert runner_of(load_model(str(tmp_path))).encoders.in_torch.config.d_model == 21
    kept, _ = json.loads((cache / "speeds.json").read_text())["cpu"]
    assert measured(TorchEngine()) < 5 * kept


def test_what_torch_took_is_remembered(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Speeds(1e9, USUALLY * 1e9, LOADING)
    assert known("cpu", 1e9) == usual
    for place, times in (("none", USUALLY), (".", ON_A_GPU)):
        monkeypatch.setattr(speeds, "GPUS", (str(tmp_path / place),))
        monkeypatch.setattr("sys.platform", "linux")
        assert known("auto", 1e9) == usual._replace(torch=times * 1e9)
    remember("cpu", 3e10, 0.7)
    remember("auto", 4e12, 2.5)
    assert known("cpu", 1e9) == Speeds(1e9, 3e10, 0.7)
    assert known("auto", 1e9) == Speeds(1e9, 4e12, 2.5)
    assert (cache / "speeds.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "kept", ["", "[]", "7", '"x"', "null", "[1.0]", "[0.0, 1.0]", "[-1.0, 1.0]", "[NaN, 1.0]",
             '["1", 2.0]', "[true, 1.0]", "[1e999, 1.0]", "[1.0, 2.0, 3.0]", '{"a": 1}'],
)  # fmt: skip
def test_what_is_damaged_does_not_count(kept: str, cache: Path) -> None:
    cache.mkdir()
    path = cache / "speeds.json"
    path.write_text(f'{{"cpu": {kept}}}')
    assert known("cpu", 1e9) == Speeds(1e9, USUALLY * 1e9, LOADING)
    remember("cpu", 3e10, 0.7)
    assert json.loads(path.read_text()) == {"cpu": [3e10, 0.7]}


def test_a_cache_that_cannot_be_written_is_no_matter(cache: Path) -> None:
    cache.write_text("a file where the folder would be")
    remember("cpu", 3e10, 0.7)
    assert known("cpu", 1e9) == Speeds(1e9, USUALLY * 1e9, LOADING)
