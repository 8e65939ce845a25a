"""On any device and in any dtype: whose numbers these then are, and what is said of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from handmade import part, records
from safetensors.torch import load_file, save_file
from tiny_bert import save_tiny_bert
from tiny_families import computed, save_tiny
from tiny_others import RECORDED, WEIGHTS_ONLY
from transformers import BertForMaskedLM

import attnviz
from attnviz.encoder.devices import DTYPES, HERE, Placement, as_numpy, placement
from attnviz.encoder.encoder import Encoder
from attnviz.encoder.paper import paper_checkpoint
from attnviz.encoder.torch_engine import TorchEngine
from attnviz.errors import AttnvizError, RequestError, enough_memory
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model, load_model, load_model_of
from attnviz.model.native import projections_of
from attnviz.models.config import paper_config
from attnviz.models.tables import rounded

Dtype = Literal["float32", "bfloat16", "float16"]

SENTENCES = ["the cat sat on the mat. it was too tired", "naïve"]
QUERY = "encoder.layer.0.attention.self.query.weight"

FAR = {"bfloat16": 0.04, "float16": 0.004}
"""How far two ways of computing a weight may be apart in so few bits (8 and 11 of a number)."""

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")


@pytest.fixture(scope="module", params=["bert", "mpnet", "marian"])
def family(request: pytest.FixtureRequest) -> str:
    """With learned positions, with a bias by distance, with sinusoids and scaled embeddings."""
    name: str = request.param
    return name


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_numbers_are_those_of_transformers_in_the_same_dtype(
    family: str, dtype: Dtype, tmp_path: Path
) -> None:
    theirs = save_tiny(tmp_path, family)
    model, exact = load_model(str(tmp_path), dtype=dtype), load_model(str(tmp_path))
    assert model.facts == replace(exact.facts, dtype=dtype)
    tokens = [model.tokenize(sentence) for sentence in SENTENCES]
    found = list(model.inspect_tokens(tokens))
    expected = computed(
        theirs.to(DTYPES[dtype]), family, [t.ids for t in tokens], [t.type_ids for t in tokens]
    )
    for row, (inspection, n) in enumerate(zip(found, map(len, tokens), strict=True)):
        before = exact.inspect(SENTENCES[row])
        for number, record in enumerate(records(inspection.layers)):
            weights = record.weights(number)
            own = expected.weights[number][row, :, :n, :n].float().numpy()
            np.testing.assert_allclose(weights, own, rtol=0, atol=FAR[dtype])
            for name in "xqkvz":
                array = part(record, name)
                assert array.dtype == np.float32
                # what was recorded is what was computed, digit for digit
                np.testing.assert_array_equal(array, rounded(array, dtype))
        assert not np.array_equal(inspection.weights(1), before.weights(1))


def test_rounding_is_torchs() -> None:
    numbers = np.random.default_rng(3).normal(size=2000).astype(np.float32) * 100
    halfway = np.array([1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 1 + 2**-11, 0.0], np.float32)
    for array in (numbers, halfway, numbers.reshape(50, 40).T):
        for name, dtype in DTYPES.items():
            expected = torch.from_numpy(np.ascontiguousarray(array)).to(dtype).float().numpy()
            np.testing.assert_array_equal(rounded(array, name), expected)
    assert rounded(halfway, "bfloat16").tolist() == [1, 1 + 2**-6, -1, 1, 0]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_articles_model_is_the_same_one(dtype: Dtype) -> None:
    config = paper_config(11, num_layers=1, num_heads=3, d_model=21, d_ff=5)
    exact = paper_checkpoint(config, 7).weights
    engine = TorchEngine(Placement(torch.device("cpu"), DTYPES[dtype]))
    for name, tensor in engine.put(paper_checkpoint(config, 7).weights).items():
        assert tensor.dtype == DTYPES[dtype]
        np.testing.assert_array_equal(as_numpy(tensor), rounded(np.asarray(exact[name]), dtype))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["paper", "minilm"])
def test_every_step_in_fewer_bits(name: str, dtype: Dtype) -> None:
    """The matrices are those that the model computed with, and z is the model's own, nearly."""
    model = load_model(name, dtype=dtype)
    inspection = model.inspect("I am a student")
    [e] = attnviz.explain(inspection, "student", 2, 1)
    np.testing.assert_array_equal(e.matrices.W_Q, rounded(e.matrices.W_Q, dtype))
    assert e.check.z is not None
    assert 0 < e.check.z < FAR[dtype] * np.abs(e.v).max()
    matrices = projections_of(inspection, 2)
    assert not np.array_equal(matrices.W_Q, projections_of(as_if_exact(inspection), 2).W_Q)


def as_if_exact(inspection: Inspection) -> Inspection:
    """The same sentence in the same model, in float32."""
    facts = replace(inspection.model, dtype="float32")
    return load_model(facts.name).inspect(inspection.tokens.text)


def test_it_is_said_wherever_the_model_is_named() -> None:
    model = load_model("minilm", dtype="bfloat16")
    inspection = model.inspect("I am")
    assert str(inspection.model).endswith("d_ff 1536, in bfloat16")
    assert '"dtype":"bfloat16"' in attnviz.to_json(inspection, layer=0, head=0)
    exact = load_model("minilm").inspect("I am")
    assert "float32" not in str(exact.model)
    assert "dtype" not in attnviz.to_json(exact, layer=0, head=0)


def test_norms_are_those_of_the_values(tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    inspection = load_model(str(tmp_path), dtype="bfloat16").inspect(SENTENCES[0])
    for number, record in enumerate(records(inspection.layers)):
        matrices = projections_of(inspection, number)
        for head in range(3):
            brought = part(record, "v")[head] @ matrices.head(head, 3).W_O
            lengths = np.linalg.norm(brought, axis=-1)
            np.testing.assert_allclose(part(record, "value_norms")[head], lengths, rtol=1e-4)


def test_heads_are_ablated_in_the_same_dtype(tmp_path: Path) -> None:
    save_tiny_bert(tmp_path, kind=BertForMaskedLM)

    exact, model = load_model(str(tmp_path)), load_model(str(tmp_path), dtype="bfloat16")
    tokens = model.tokenize("it [MASK] the cat")
    ablated, before = (m.ablate(tokens, [HeadId(1, 2)]) for m in (model, exact))
    assert ablated.model.dtype == "bfloat16"
    assert ablated.plain.dtype == ablated.ablated.dtype == np.float32
    np.testing.assert_array_equal(ablated.ablated, rounded(ablated.ablated, "bfloat16"))
    np.testing.assert_allclose(ablated.ablated, before.ablated, rtol=0, atol=0.1)
    [mask], [mask_before] = ablated.masks or (), before.masks or ()
    assert mask.after[0].probability == pytest.approx(mask_before.after[0].probability, abs=0.05)
    assert sum(guess.probability for guess in mask.after) <= 1
    [each] = [one for one in model.ablate_each(tokens) if one.heads == (HeadId(1, 2),)]
    np.testing.assert_array_equal(each.ablated, ablated.ablated)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_model_of_an_inspection_runs_as_it_did(dtype: Dtype, tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    inspection = load_model(str(tmp_path), dtype=dtype).inspect(SENTENCES[0])
    again = load_model_of(inspection)
    assert again.facts == inspection.model
    np.testing.assert_array_equal(again.inspect(SENTENCES[0]).weights(1), inspection.weights(1))


def damaged(folder: Path, factor: float) -> None:
    """Make W_Q of the first layer so many times as large."""
    save_tiny_bert(folder)
    path = folder / "model.safetensors"
    weights = load_file(path)
    save_file({**weights, QUERY: weights[QUERY] * factor}, path, {"format": "pt"})


def test_weights_too_large_for_float16(tmp_path: Path) -> None:
    damaged(tmp_path, 1e6)
    with pytest.raises(AttnvizError, match="and float16 ends at 65504") as caught:
        load_model(str(tmp_path), dtype="float16")
    assert "layers.0.attention.W_Q.weight holds numbers up to " in caught.value.message
    assert caught.value.hint.startswith("try --dtype bfloat16")
    assert load_model(str(tmp_path), dtype="bfloat16").facts.dtype == "bfloat16"


def test_queries_too_large_for_float16(tmp_path: Path) -> None:
    damaged(tmp_path, 5e4)
    model = load_model(str(tmp_path), dtype="float16")
    with pytest.raises(
        AttnvizError, match="layer 0: q holds numbers that are not finite"
    ) as caught:
        model.inspect(SENTENCES[0])
    assert caught.value.hint.startswith("try --dtype bfloat16")
    with pytest.raises(AttnvizError, match="final states are not all finite") as ablating:
        model.ablate(model.tokenize(SENTENCES[0]), [HeadId(0, 0)])
    assert ablating.value.hint == caught.value.hint
    load_model(str(tmp_path), dtype="bfloat16").inspect(SENTENCES[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "there is no device gpu"),
        ({"dtype": "float64"}, "there is no dtype float64"),
    ],
)
def test_names_that_mean_nothing(options: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        load_model("minilm", **options)
    assert caught.value.hint.startswith("choose ")


def test_a_device_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert placement() == placement("cpu") == HERE
    told: dict[Literal["cuda", "mps"], str] = {
        "cuda": "an NVIDIA or AMD GPU",
        "mps": "an Apple GPU",
    }
    for name in told:
        with pytest.raises(RequestError) as caught:
            load_model("paper", device=name)
        here = f"and torch {torch.__version__} finds none here, only cpu"
        assert caught.value.message == f"--device {name} needs {told[name]}, {here}"
        assert caught.value.hint == "use --device cpu, or leave --device out"


def test_a_gpu_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert placement().device == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert placement().device == torch.device("cuda")
    assert placement("cpu", "float16") == (torch.device("cpu"), torch.float16)


def test_a_full_device_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    model = load_model(str(tmp_path))

    def full(*_: object) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 TiB")

    monkeypatch.setattr(Encoder, "steps", full)
    with pytest.raises(AttnvizError, match="13 tokens do not fit in memory") as caught:
        model.inspect(SENTENCES[0])
    for option in ("--layer", "--window", "--dtype bfloat16"):
        assert option in caught.value.hint
    with pytest.raises(AttnvizError, match="13 tokens do not fit in memory"):
        model.ablate(model.tokenize(SENTENCES[0]), [HeadId(0, 0)])
    with pytest.raises(RuntimeError, match="anything else"), enough_memory("it does", "wait"):
        raise RuntimeError("anything else")


def test_what_is_there_already_is_not_copied() -> None:
    weights = {"a": torch.ones(3), "b": torch.ones(2, dtype=torch.float16)}
    placed = HERE.put(weights)
    assert placed["a"] is weights["a"]
    assert placed["b"].dtype == torch.float32


def test_a_copy_is_of_its_own() -> None:
    batch = torch.arange(24.0).reshape(2, 3, 4)
    for own in (batch[1], batch[:, :, 1], batch.mT):
        copied = as_numpy(own)
        assert copied.flags.c_contiguous
        np.testing.assert_array_equal(copied, own.numpy())
        copied[:] = -1
    assert batch.min() == 0
    assert as_numpy(batch.to(torch.bfloat16)).dtype == np.float32


@GPU
@pytest.mark.parametrize(("dtype", "far"), [("float32", 1e-4), ("bfloat16", 0.05)])
def test_a_gpus_numbers(family: str, dtype: Dtype, far: float, tmp_path: Path) -> None:
    save_tiny(tmp_path, family)
    ours, cpu = (load_model(str(tmp_path), device=d, dtype=dtype) for d in ("cuda", "cpu"))
    tokens = [ours.tokenize(sentence) for sentence in SENTENCES]
    for found, expected in zip(*(m.inspect_tokens(tokens) for m in (ours, cpu)), strict=True):
        for number in range(len(found.layers)):
            np.testing.assert_allclose(
                found.weights(number), expected.weights(number), rtol=0, atol=far
            )
    [e] = attnviz.explain(ours.inspect("it sat"), "sat", 1, 0)
    assert e.check.z is not None


@GPU
def test_heads_are_ablated_on_a_gpu(minilm: Model) -> None:
    gpu = load_model("minilm", device="auto")
    tokens = minilm.tokenize("I am a student")
    found, expected = (m.ablate(tokens, [HeadId(3, 1)], "mean") for m in (gpu, minilm))
    np.testing.assert_allclose(found.ablated, expected.ablated, rtol=0, atol=1e-4)
    pairs = zip(gpu.ablate_each(tokens), minilm.ablate_each(tokens), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one.ablated, other.ablated, rtol=0, atol=1e-4)


@GPU
def test_a_gpu_that_is_full() -> None:
    free, _ = torch.cuda.mem_get_info()
    held = torch.empty(max(0, free - (64 << 20)), dtype=torch.uint8, device="cuda")
    with pytest.raises(AttnvizError, match="do not fit in memory"):
        load_model("paper", device="cuda")
    del held


@pytest.mark.parametrize("name", ["llama", "deberta-v2"])
def test_others_too_large_for_float16(name: str, tmp_path: Path) -> None:
    """Told as what it is, and not as a model that cannot be looked into."""
    {**RECORDED, **WEIGHTS_ONLY}[name].save(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    for tensor in [
        name for name in weights if name.endswith(("q_proj.weight", "query_proj.weight"))
    ]:
        weights[tensor] = weights[tensor] * 3e4
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(AttnvizError, match="holds numbers that are not finite") as caught:
        load_model(str(tmp_path), dtype="float16")
    assert caught.value.hint.startswith("try --dtype bfloat16")
    load_model(str(tmp_path), dtype="bfloat16").inspect(SENTENCES[0])
