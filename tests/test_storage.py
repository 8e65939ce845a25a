"""Inspections in files: what comes back, and what is refused."""

import json
import pickle
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import records
from safetensors.numpy import save as to_safetensors

from attnviz.attention.layer import ARRAYS, LayerRecord
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection, ModelFacts
from attnviz.inspection.storage import is_saved_inspection, load, save
from attnviz.model import Model, load_model
from attnviz.text.tokens import Tokens

FACTS = ModelFacts("m", "bert", 2, 3, 12, 4, 5, trained=False, seed=7)
WORDS = Tokens("It rains", None, (1, 2), ("it", "rains"), ((0, 2), (3, 8)), (0, 0), (0, 0))


@pytest.fixture(scope="module")
def paper() -> Model:
    return load_model("paper", num_layers=2, num_heads=2, d_model=8, d_ff=16)


def made(bias_heads: int = 0, tokens: Tokens = WORDS) -> Inspection:
    rng = np.random.default_rng(0)
    n = len(tokens)

    def numbers(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    layers = tuple(
        LayerRecord(
            x=numbers(n, 12),
            q=numbers(3, n, 4),
            k=numbers(3, n, 4),
            v=numbers(3, n, 4),
            scale=0.1 + layer,
            bias=numbers(bias_heads, n, n) if bias_heads else None,
        )
        for layer in range(2)
    )
    return Inspection(tokens, FACTS, layers)


def assert_same(a: Inspection, b: Inspection) -> None:
    assert a.tokens == b.tokens
    assert a.tokens.words == b.tokens.words
    assert a.model == b.model
    assert (a.keys, a.attention, a.recorded) == (b.keys, b.attention, b.recorded)
    for number in a.recorded:
        first, second = a.layer(number), b.layer(number)
        assert (first.scale, first.softcap) == (second.scale, second.softcap)
        for name in ARRAYS:
            one, other = getattr(first, name), getattr(second, name)
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_array_equal(one, other, strict=True)


@pytest.mark.parametrize("bias_heads", [0, 1, 3])
def test_round_trip_with_and_without_bias(tmp_path: Path, bias_heads: int) -> None:
    inspection = made(bias_heads)
    save(inspection, tmp_path / "a.safetensors")
    assert_same(load(tmp_path / "a.safetensors"), inspection)


def test_round_trip_of_a_mask(tmp_path: Path) -> None:
    mask = np.array([[[0, -np.inf], [0, 0]]], np.float32)
    good = made()
    masked = replace(
        good, layers=tuple(replace(record, bias=mask) for record in records(good.layers))
    )
    save(masked, tmp_path / "a")
    assert_same(load(tmp_path / "a"), masked)
    assert load(tmp_path / "a").weights(0, 0)[0, 1] == 0


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("The animal didn't cross.", None),
        ("It rains.", "Bring it, too."),
        ('동물은 👩\u200d👩\u200d👧 e\u0301 שלום \x00\x1b[31m "quoted" \\ [MASK]', None),
    ],
)
def test_round_trip_of_a_models_inspection(
    minilm: Model, tmp_path: Path, text: str, pair: str | None
) -> None:
    inspection = minilm.inspect(text, pair)
    save(inspection, tmp_path / "동물 a.safetensors")
    assert_same(load(tmp_path / "동물 a.safetensors"), inspection)


def test_round_trip_of_the_paper_and_of_a_truncated_text(paper: Model, tmp_path: Path) -> None:
    inspection = paper.inspect("I am a student")
    assert not inspection.model.trained
    cut = replace(inspection, tokens=replace(inspection.tokens, dropped=3))
    save(cut, tmp_path / "a")
    assert_same(load(tmp_path / "a"), cut)
    assert load(tmp_path / "a").tokens.dropped == 3


def test_saving_takes_the_place_of_what_was_there_and_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("something else, and longer than it looks" * 1000)
    save(made(), path)
    first = path.read_bytes()
    save(made(), path)
    assert path.read_bytes() == first
    assert is_saved_inspection(path)
    path.write_text("")
    assert not is_saved_inspection(path)


def test_loading_needs_no_torch_and_runs_nothing(tmp_path: Path) -> None:
    save(made(), tmp_path / "a")
    code = (
        "import sys; from pathlib import Path; from attnviz.inspection.storage import load\n"
        f"assert load(Path({str(tmp_path / 'a')!r})).weights(1, 2).shape == (2, 2)\n"
        "print(sorted({'torch', 'tokenizers', 'transformers', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_is_no_file_is_a_wrong_request(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path, tmp_path / ("a" * 300), tmp_path / "a" / "b"):
        with pytest.raises(RequestError) as caught:
            load(path)
        assert caught.value.message == f"there is no file {path}"
        assert "--save" in caught.value.hint


def foreign_files() -> dict[str, bytes]:
    numbers = {"a": np.zeros(3, np.float32)}
    return {
        "empty": b"",
        "text": b"hello",
        "pickle": pickle.dumps({"a": 1}),
        "foreign safetensors": to_safetensors(numbers),
        "safetensors with other metadata": to_safetensors(numbers, {"format": "pt"}),
        "metadata of the name that is no JSON": to_safetensors(numbers, {"attnviz": "{"}),
        "metadata nested deep": to_safetensors(numbers, {"attnviz": "[" * 100_000}),
        "metadata that is a list": to_safetensors(numbers, {"attnviz": "[1]"}),
        "metadata without schema": to_safetensors(numbers, {"attnviz": "{}"}),
        "a header longer than the file": (1 << 40).to_bytes(8, "little") + b"{}",
    }


@pytest.mark.parametrize("name", foreign_files())
def test_foreign_files_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(foreign_files()[name])
    with pytest.raises(AttnvizError, match="not a saved inspection") as caught:
        load(path)
    assert not isinstance(caught.value, RequestError)
    assert caught.value.hint


def test_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr("data.pkl", pickle.dumps([1]))
    with pytest.raises(AttnvizError, match="damaged, or not a saved inspection"):
        load(tmp_path / "a")


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "a"
    save(made(1), path)
    whole = path.read_bytes()
    for end in [*range(0, 64), *range(64, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:end])
        with pytest.raises(AttnvizError, match="damaged"):
            load(path)


@pytest.mark.slow
def test_damaged_bytes_are_refused_or_read_but_never_crash(tmp_path: Path) -> None:
    path = tmp_path / "a"
    save(made(1), path)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    rng = random.Random(0)
    refused = 0
    for _ in range(1500):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(header + 40)] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            inspection = load(path)
        except AttnvizError:
            refused += 1
        else:
            assert inspection.weights(0, 0).shape[0] == len(inspection.tokens.words)
            assert len(inspection.tokens.pieces) == 2
    assert refused > 500


def rewritten(path: Path, change: Callable[[dict[str, Any], dict[str, np.ndarray]], None]) -> None:
    """A saved inspection with its metadata and arrays changed, the file itself being sound."""
    inspection = made(1)
    save(inspection, path)
    whole = path.read_bytes()
    size = int.from_bytes(whole[:8], "little")
    metadata = json.loads(json.loads(whole[8 : 8 + size])["__metadata__"]["attnviz"])
    arrays = {
        f"{layer}.{name}": getattr(record, name)
        for layer, record in enumerate(inspection.layers)
        for name in ("x", "q", "k", "v", "bias")
    }
    change(metadata, arrays)
    path.write_bytes(to_safetensors(arrays, {"attnviz": json.dumps(metadata)}))


def test_rewriting_nothing_changes_nothing(tmp_path: Path) -> None:
    rewritten(tmp_path / "a", lambda metadata, arrays: None)
    assert_same(load(tmp_path / "a"), made(1))


@pytest.mark.parametrize("version", ["4", "10", "999999999"])
def test_a_newer_version_is_named(tmp_path: Path, version: str) -> None:
    path = tmp_path / "a"
    rewritten(path, lambda m, a: m.update(schema=f"attnviz.inspection/{version}"))
    with pytest.raises(AttnvizError, match=f"newer attnviz .*/{version}; this one reads") as caught:
        load(path)
    assert "upgrade" in caught.value.hint


@pytest.mark.parametrize(
    "schema", [None, 1, "", "x/1", "attnviz.run/1", "attnviz.inspection/", "attnviz.inspection/-1"]
)
def test_other_schemas_are_not_inspections(tmp_path: Path, schema: object) -> None:
    rewritten(tmp_path / "a", lambda m, a: m.update(schema=schema))
    with pytest.raises(AttnvizError, match="but not a saved inspection"):
        load(tmp_path / "a")
    rewritten(tmp_path / "a", lambda m, a: m.update(schema="attnviz.inspection/" + "9" * 5000))
    with pytest.raises(AttnvizError, match="but not a saved inspection"):
        load(tmp_path / "a")


ODD_VALUES: list[Any] = [
    *(None, True, 0, -1, 3, 1.5, 1e400, "", "ab", "\udc80", [], [1], ["a", "b"], {}, {"a": 1}),
    *([None, None], [[0, 2], [3, 99]], [[2, 0], [3, 8]], [[0], [1]], [[0, 1, 2]] * 2, [0, 7]),
]


def places(metadata: dict[str, Any]) -> list[tuple[str, ...]]:
    inner = [(part, key) for part in ("tokens", "model") for key in metadata[part]]
    outer = [(key,) for key in metadata if key != "schema"]
    return [*outer, *inner]


def test_metadata_of_wrong_types_is_refused_or_makes_sense(tmp_path: Path) -> None:
    path = tmp_path / "a"
    found: dict[str, Any] = {}
    rewritten(path, lambda m, a: found.update(m))
    refused = 0
    for place in places(found):
        for value in ODD_VALUES:

            def change(
                metadata: dict[str, Any],
                arrays: dict[str, np.ndarray],
                place: tuple[str, ...] = place,
                value: Any = value,
            ) -> None:
                entry = metadata if len(place) == 1 else metadata[place[0]]
                entry[place[-1]] = value

            rewritten(path, change)
            try:
                inspection = load(path)
            except AttnvizError:
                refused += 1
                continue
            tokens = [token.text for token in inspection.tokens.words]
            assert all(isinstance(text, str) for text in tokens)
            assert len(inspection.weights(1, 2)) == len(tokens)
            assert str(inspection.model)
    assert refused > 300


@pytest.mark.parametrize("field", ["text", "spans", "ids"])
def test_a_missing_field_is_refused(tmp_path: Path, field: str) -> None:
    def change(metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        del metadata["tokens"][field]

    rewritten(tmp_path / "a", change)
    with pytest.raises(AttnvizError, match="is damaged: its metadata does not fit"):
        load(tmp_path / "a")


def test_an_unknown_field_is_refused(tmp_path: Path) -> None:
    rewritten(tmp_path / "a", lambda m, a: m["model"].update(colour="red"))
    with pytest.raises(AttnvizError, match="colour"):
        load(tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("0.q", np.zeros((3, 5, 4), np.float32), "layer 0: q has shape"),
        ("1.x", np.full((2, 12), np.nan, np.float32), "layer 1: x holds numbers"),
        ("1.v", np.zeros((3, 2, 4), np.int32), "layer 1: v holds int32 numbers"),
        ("0.bias", np.full((1, 2, 2), -np.inf, np.float32), "layer 0: the mask leaves a query"),
        ("0.bias", np.zeros((1, 2, 3), np.float32), "layer 0: bias has shape"),
    ],
)
def test_what_is_loaded_is_checked_as_if_built_new(
    tmp_path: Path, name: str, array: np.ndarray, message: str
) -> None:
    rewritten(tmp_path / "a", lambda m, a: a.update({name: array}))
    with pytest.raises(AttnvizError, match=message):
        load(tmp_path / "a")


def test_a_missing_array_is_refused(tmp_path: Path) -> None:
    def change(metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        del arrays["1.k"]

    rewritten(tmp_path / "a", change)
    with pytest.raises(AttnvizError, match="damaged: layer 1: neither queries and keys were"):
        load(tmp_path / "a")


def test_a_file_that_may_not_be_read_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "i.safetensors"
    save(made(), path)

    def refuse(self: Path, *arguments: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AttnvizError, match=r"i\.safetensors cannot be read: Permission denied"):
        load(path)
