"""The encoder in numpy and in torch: the same numbers, in every family."""

import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers
from handmade import records
from safetensors.torch import load_file, save_file
from threadpoolctl import threadpool_info, threadpool_limits
from tiny_bert import SENTENCES, runner_of, save_tiny_bert
from tiny_families import TINY, save_tiny
from transformers import AutoModelForMaskedLM

from attnviz.encoder import numpy_engine
from attnviz.encoder.encoder import Encoder
from attnviz.encoder.numpy_engine import FEW_TOKENS, NumpyEngine
from attnviz.encoder.record import output_of, record
from attnviz.encoder.torch_engine import TorchEngine
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection.ablated import Replacement
from attnviz.model import Model, load_model
from attnviz.model.predict import head_of
from attnviz.threads import one_thread

ARRAYS = ("x", "q", "k", "v", "z", "value_norms", "distance_bias")

Load = Callable[[str], tuple[Model, Model]]


@pytest.fixture
def in_both(monkeypatch: pytest.MonkeyPatch) -> Load:
    """A model by its name, in numpy and in torch."""

    def load(name: str) -> tuple[Model, Model]:
        models = []
        for engine in ("numpy", "torch"):
            monkeypatch.setenv("ATTNVIZ_ENGINE", engine)
            models.append(load_model(name))
        return models[0], models[1]

    return load


def close(ours: np.ndarray | None, theirs: np.ndarray | None) -> None:
    """Equal to 1e-5 of the largest number, as far as float32's roundings reach."""
    assert (ours is None) == (theirs is None)
    if ours is not None and theirs is not None:
        assert ours.dtype == np.float32
        assert ours.flags.c_contiguous
        atol = 1e-5 * max(1.0, float(np.abs(theirs).max()))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


def encoders(models: tuple[Model, Model], length: int) -> Iterator[Encoder]:
    for model, name in zip(models, ("NumpyEngine", "TorchEngine"), strict=True):
        encoder = runner_of(model).encoders.of([length])
        assert type(encoder.engine).__name__ == name
        yield encoder


def hold(models: tuple[Model, Model], texts: list[str]) -> None:
    """Hold what numpy records of texts, in a batch and alone, to what torch does."""
    sentences = [models[0].tokenize(text) for text in texts]
    ids, types = [s.ids for s in sentences], [s.type_ids for s in sentences]
    ours, theirs = encoders(models, max(map(len, sentences)))
    batches = [(ids, types), *(([a], [b]) for a, b in zip(ids, types, strict=True))]
    for rows, kinds in batches:
        both = (record(encoder, rows, kinds) for encoder in (ours, theirs))
        for own, other in zip(*both, strict=True):
            for mine, its in zip(records(own), records(other), strict=True):
                for name in ARRAYS:
                    close(getattr(mine, name), getattr(its, name))
    for layer in range(ours.config.num_layers):
        outputs = (output_of(encoder, ids[0], types[0], layer) for encoder in (ours, theirs))
        close(*outputs)


@pytest.mark.parametrize("family", TINY)
def test_every_family_gives_the_same_numbers(family: str, tmp_path: Path, in_both: Load) -> None:
    save_tiny(tmp_path, family)
    hold(in_both(str(tmp_path)), SENTENCES)


@pytest.mark.parametrize("family", TINY)
@pytest.mark.parametrize("replacement", ["zero", "mean"])
def test_heads_ablated_in_every_family(
    family: str, replacement: Replacement, tmp_path: Path, in_both: Load
) -> None:
    save_tiny(tmp_path, family)
    models = in_both(str(tmp_path))
    tokens = models[0].tokenize(SENTENCES[0])
    each = (model.ablate_each(tokens, replacement, slice(1, 4)) for model in models)
    count = 0
    for ours, theirs in zip(*each, strict=True):
        close(ours.plain, theirs.plain)
        close(ours.ablated, theirs.ablated)
        count += 1
    assert count == models[0].facts.num_layers * models[0].facts.num_heads


@pytest.mark.parametrize("family", ["bert", "distilbert", "electra", "mpnet", "roberta"])
def test_what_a_masked_lm_says(family: str, tmp_path: Path, in_both: Load) -> None:
    save_tiny(tmp_path, family, AutoModelForMaskedLM)
    models = in_both(str(tmp_path))
    states = models[0].states(models[0].tokenize(SENTENCES[0]))
    heads = [runner_of(model).encoders.head for model in models]
    assert heads[0] is not None
    assert heads[1] is not None
    assert type(heads[0].engine) is not type(heads[1].engine)
    close(heads[0].scores(states), heads[1].scores(states))


def test_word_vectors_that_score_are_widened_once(tmp_path: Path, in_both: Load) -> None:
    """As a matrix in float32; where the file has that, they stay where they are."""
    save_tiny(tmp_path, "bert", AutoModelForMaskedLM)
    path = tmp_path / "model.safetensors"
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        save_file({name: tensor.to(dtype) for name, tensor in load_file(path).items()}, path)
        encoders = [runner_of(model).encoders for model in in_both(str(tmp_path))]
        states = np.ones((2, encoders[0].config.d_model), np.float32)
        close(*(one.head.scores(states) for one in encoders if one.head is not None))
        head, table = encoders[0].head, encoders[0].in_numpy.embeddings.word
        assert head is not None
        assert type(head.decoder.weight) is np.ndarray
        assert head.decoder.weight.dtype == np.float32
        assert (head.decoder.weight is table) == (dtype == torch.float32)


@pytest.mark.parametrize("task", ["SequenceClassification", "TokenClassification"])
@pytest.mark.parametrize("family", ["bert", "distilbert", "electra", "mpnet", "roberta"])
def test_what_a_classifier_says(family: str, task: str, tmp_path: Path, in_both: Load) -> None:
    save_tiny(tmp_path, family, getattr(transformers, f"AutoModelFor{task}"))
    said = []
    for model in in_both(str(tmp_path)):
        tokens = model.tokenize(SENTENCES[0])
        rows = range(len(tokens)) if task.startswith("Token") else [0]
        said.append(head_of(model).scores(tokens, rows))
    close(*said)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_stored_in_other_dtypes(dtype: torch.dtype, tmp_path: Path, in_both: Load) -> None:
    save_tiny(tmp_path, "bert")
    path = tmp_path / "model.safetensors"
    save_file({name: tensor.to(dtype) for name, tensor in load_file(path).items()}, path)
    hold(in_both(str(tmp_path)), SENTENCES)


def test_the_articles_model(in_both: Load) -> None:
    hold(in_both("paper"), ["I am a student", "The animal was too tired to cross the street."])


def test_the_default_model_and_a_long_text(in_both: Load) -> None:
    hold(in_both("minilm"), ["The animal didn't cross the street.", "it was tired " * 150])


@pytest.mark.parametrize("lacking", ["mkldnn", "processor", "operator", "arguments", "bias"])
def test_products_without_onednn_are_the_same(
    lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = TorchEngine()
    if lacking == "mkldnn":
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    elif lacking == "processor":
        monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    else:
        others = {
            "operator": object(),
            "arguments": SimpleNamespace(_linear_pointwise=lambda x, weight: F.linear(x, weight)),
            "bias": SimpleNamespace(_linear_pointwise=lambda x, weight, *_: F.linear(x, weight)),
        }
        monkeypatch.setattr(torch.ops, "mkldnn", others[lacking])
    without = TorchEngine()
    assert without._onednn is None
    x, weight, bias = torch.randn(2, 5, 7), torch.randn(3, 7), torch.randn(3)
    for of, b in ((x, bias), (x[:, 1:3], bias), (x.transpose(0, 1), None)):
        products = (engine.linear(of, weight, b).numpy() for engine in (plain, without))
        close(*(np.ascontiguousarray(product) for product in products))


def numbers(generator: np.random.Generator, *shape: int, scale: float = 1) -> np.ndarray:
    return generator.standard_normal(shape, np.float32) * np.float32(scale)


def in_each(name: str, *arguments: object) -> None:
    """Hold numpy's function of an engine to torch's, on the same arrays."""
    results = []
    for engine in (NumpyEngine(), TorchEngine()):
        own = [engine.array(a.copy()) if isinstance(a, np.ndarray) else a for a in arguments]
        with engine.running():
            results.append(engine.numpy(getattr(engine, name)(*own)))
    close(*results)


@pytest.mark.parametrize("scale", [1, 10, 300])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (1, 1, 17, 3), (3, 5, 2, 1), (2, 7, 13, 11)])
def test_attention_of_any_size(
    sizes: tuple[int, ...], scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even and one-sided rows, scores in the tens of thousands, and more than one block of rows."""
    monkeypatch.setattr(numpy_engine, "MOST_SCORES", 200)
    generator = np.random.default_rng(list(sizes))
    batch, heads, length, _ = sizes
    q, k, v = (numbers(generator, *sizes, scale=scale) for _ in range(3))
    bias = numbers(generator, 1, heads, length, length, scale=scale)
    seen = np.arange(length) < generator.integers(1, length + 1, (batch, 1, 1, 1))
    for mask in (None, seen, bias, np.where(seen, bias, np.float32(-np.inf))):
        in_each("attend", q, k, v, mask)
        some = mask if mask is None or mask.shape[2] == 1 else mask[:, :, length // 2 :]
        in_each("attend", q[:, :, length // 2 :], k, v, some)


@pytest.mark.parametrize("tokens", [1, FEW_TOKENS - 1, FEW_TOKENS, 3 * FEW_TOKENS])
def test_functions_of_any_size(tokens: int) -> None:
    generator = np.random.default_rng(tokens)
    for d_in, d_out in ((1, 3), (35, 1), (35, 35)):
        x, weight = numbers(generator, 3, tokens, d_in), numbers(generator, d_out, d_in)
        in_each("linear", x, weight, None)
        in_each("linear", x, weight, numbers(generator, d_out))
        in_each("linear", x.swapaxes(0, 1), weight, None)
        shift, gain = numbers(generator, d_in), numbers(generator, d_in)
        for scale in (1e-7, 1, 1e15):
            in_each("layer_norm", x * np.float32(scale), gain, shift, 1e-12)
    in_each("layer_norm", np.full((1, tokens, 5), 3, np.float32), gain[:5], shift[:5], 1e-12)


@pytest.mark.parametrize(("tokens", "decomposed"), [(256, False), (257, True)])
def test_lengths_of_few_tokens_are_multiplied_out(tokens: int, decomposed: bool) -> None:
    """A decomposition takes as long as the products of some 256 tokens, and stays."""
    generator, engine = np.random.default_rng(tokens), NumpyEngine()
    weight, v = numbers(generator, 35, 35), numbers(generator, 1, 5, tokens, 7)
    outputs = engine.head_outputs(weight, 5)
    expected = np.linalg.norm(v @ weight.T.reshape(5, 7, 35), axis=-1)
    close(engine.lengths(v, outputs), expected)
    assert ("triangles" in vars(outputs)) == decomposed


@pytest.mark.parametrize(("num_heads", "activation"), [(1, "silu"), (21, "gelu_new")])
def test_other_heads_and_activations(
    num_heads: int, activation: str, tmp_path: Path, in_both: Load
) -> None:
    save_tiny_bert(tmp_path, num_attention_heads=num_heads, hidden_act=activation)
    models = in_both(str(tmp_path))
    hold(models, SENTENCES)
    alone = [records(record(encoder, [[5]], [[0]])[0]) for encoder in encoders(models, 1)]
    for ours, theirs in zip(*alone, strict=True):
        for name in ARRAYS:
            close(getattr(ours, name), getattr(theirs, name))


@pytest.mark.parametrize(
    ("part", "factor", "message"),
    [
        ("encoder.layer.0.attention.self.query.weight", 1e20, "layer 0: q holds numbers"),
        ("encoder.layer.1.attention.self.value.weight", 1e37, "layer 1: "),
        ("encoder.layer.1.output.LayerNorm.weight", 3e38, "the model's final states are not all"),
        ("encoder.layer.1.intermediate.dense.bias", float("nan"), "not finite (NaN or infinity)"),
    ],
)
def test_what_overflows_is_the_same_error(
    part: str, factor: float, message: str, tmp_path: Path, in_both: Load
) -> None:
    """And no warning, which would be an error here."""
    save_tiny_bert(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    tensors[part] = tensors[part].clamp(-1, 1) * factor
    save_file(tensors, path)

    def run(number: int) -> None:
        model = in_both(str(tmp_path))[number]
        model.inspect(SENTENCES[0])
        list(model.ablate_each(model.tokenize(SENTENCES[0])))

    said = []
    for number in (0, 1):
        with pytest.raises(AttnvizError) as caught:
            run(number)
        said.append(str(caught.value))
    assert message in said[0]
    assert said[0] == said[1]


def test_products_have_as_many_threads_as_before(in_both: Load) -> None:
    def threads() -> list[int]:
        return [library["num_threads"] for library in threadpool_info()]

    before = threads()
    model = in_both("minilm")[0]
    model.inspect("The animal was tired.")
    list(model.ablate_each(model.tokenize("a dog")))
    assert threads() == before


def test_threads_are_back_when_the_last_of_several_runs_ends() -> None:
    """The first run to begin is not the last to end."""

    def threads() -> set[int]:
        return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    with threadpool_limits(2):
        first, second = one_thread(), one_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert threads() == {1}
        second.__exit__(None, None, None)
        assert threads() == {2}


def test_an_engine_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNVIZ_ENGINE", "jax")
    with pytest.raises(RequestError, match="ATTNVIZ_ENGINE is jax") as caught:
        load_model("paper", num_layers=1, num_heads=1, d_model=2, d_ff=2)
    assert caught.value.hint == "choose numpy or torch, or leave it out"
