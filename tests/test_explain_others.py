"""explain for models that transformers runs: every step held to its own modules."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
import torch
from handmade import largest, part, with_layer
from test_explain_data import as_json, check
from test_head import as_json as head_as_json
from tiny_others import (
    GROUPED,
    RECORDED,
    SENTENCES,
    SEQ2SEQ,
    STACK,
    TARGET,
    WEIGHTS_ONLY,
    Other,
    eager,
)

import attnviz
from attnviz.answers.explain import explain
from attnviz.answers.head import explain_head
from attnviz.attention.layer import NOTHING_BETWEEN, Between
from attnviz.attention.request import AttentionKind
from attnviz.errors import AttnvizError
from attnviz.inspection import HeadId, Inspection
from attnviz.inspection.storage import load, save
from attnviz.model import Model, load_model, matrices_of

ROTATED = "rotated by its position"
NORMALISED = "normalised and rotated by its position"

LLAMAS = ("q_proj", "k_proj", "v_proj", "o_proj")
MATRICES = {
    "modernbert": ("Wqkv", "Wo"),
    "albert": ("query", "key", "value", "dense"),
    "gpt2": ("c_attn", "c_proj"),
    "t5": ("q", "k", "v", "o"),
    **dict.fromkeys(("bart", "marian"), ("q_proj", "k_proj", "v_proj", "out_proj")),
}
"""What transformers calls the modules that make q, k and v, in one or in three, and W_O."""

BETWEEN = {
    **dict.fromkeys(("modernbert", "llama", "mistral", "gemma2"), Between(ROTATED, ROTATED)),
    **dict.fromkeys(("qwen3", "gemma3_text"), Between(NORMALISED, NORMALISED)),
    # its frequencies are YaRN's, which lengthens vectors by 0.1 ln 32 + 1 (Peng et al. 2023)
    "gpt_oss": Between(*[f"{ROTATED}, times 1.347"] * 2),
}

CROSSED = ("encoder_attn", "EncDecAttention")
"""What a decoder's attention to its encoder is called."""


LATENT = Other(
    "DeepseekV3Config",
    {
        **GROUPED,
        "head_dim": 4,
        "num_key_value_heads": 4,
        "n_routed_experts": 4,
        "n_group": 1,
        "topk_group": 1,
        "num_experts_per_tok": 1,
        "q_lora_rank": 8,
        "kv_lora_rank": 8,
        "qk_rope_head_dim": 4,
        "qk_nope_head_dim": 4,
        "v_head_dim": 6,
        "first_k_dense_replace": 3,
    },
)


class Tried(NamedTuple):
    """A tiny model's inspection, and what transformers' own modules made of the same ids.

    made: for each layer, (n, ...) x W_Q, (m, ...) x W_K and x W_V, side by side if one matrix makes
    all three; mixed: for each, what went into W_O and what came out; weights: (head, n, m).
    """

    name: str
    model: Model
    inspection: Inspection
    made: list[list[torch.Tensor]]
    mixed: list[tuple[torch.Tensor, torch.Tensor]]
    weights: list[torch.Tensor]


CASES: list[tuple[str, AttentionKind | None]] = [
    *((name, None) for name in RECORDED),
    *((name, kind) for name in ("t5", "bart") for kind in ("encoder", "decoder", "cross")),
    ("marian", "cross"),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(filter(None, case)))
def tried(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tried:
    name, kind = request.param
    folder = tmp_path_factory.mktemp(name)
    theirs = {**RECORDED, **SEQ2SEQ}[name].save(folder)
    decodes = kind in ("decoder", "cross")
    target = TARGET if decodes else None
    model = load_model(str(folder), attention=kind, target=target)
    inspection = model.inspect(SENTENCES[0])
    source = model.tokenize(SENTENCES[0])
    targets = [inspection.tokens.ids] if decodes else None
    found = run(theirs, name, kind, source.ids, targets)
    return Tried(name, model, inspection, *found)


def run(theirs: Any, name: str, kind: str | None, ids: Any, targets: Any) -> Any:
    """Run transformers' own with hooks at every matrix of the attention that is looked at."""
    *making, mixing = MATRICES.get(name, LLAMAS)
    made: list[list[torch.Tensor]] = []
    mixed: list[tuple[torch.Tensor, torch.Tensor]] = []
    part_of = theirs.get_encoder() if kind == "encoder" else theirs
    for path, module in part_of.named_modules():
        if not all(hasattr(module, child) for child in (*making, mixing)):
            continue
        crossed = path.rpartition(".")[2] in CROSSED
        if kind == "decoder" and ("encoder." in path.replace("decoder.", "") or crossed):
            continue
        if kind == "cross" and not crossed:
            continue
        for child in making:
            getattr(module, child).register_forward_hook(
                lambda _m, _i, out, first=child == making[0]: (
                    made.append([out[0]]) if first else made[-1].append(out[0])
                )
            )
        getattr(module, mixing).register_forward_hook(
            lambda _m, inputs, out: mixed.append((inputs[0][0], out[0]))
        )
    output = eager(part_of, [ids], targets)
    names = {"cross": "cross_attentions", "decoder": "decoder_attentions"}
    weights = getattr(output, names.get(kind or "", "attentions"))
    return made, mixed, [layer[0] for layer in weights]


def split(made: list[torch.Tensor], inspection: Inspection, layer: int) -> dict[str, np.ndarray]:
    """x W_Q, x W_K and x W_V by head, (head, n or m, d), by the names of what they become."""
    record = inspection.layer(layer)
    sizes = {name: part(record, name).shape[::2] for name in "qkv"}
    parts = [one.numpy() for one in made]
    if len(parts) == 1:  # one matrix makes all three, side by side
        ends = np.cumsum([heads * d for heads, d in sizes.values()])
        parts = np.split(parts[0], ends[:-1], axis=-1)
    pairs = zip(sizes.items(), parts, strict=True)
    return {name: one.reshape(len(one), *size).swapaxes(0, 1) for (name, size), one in pairs}


def test_every_step_is_transformers_own(tried: Tried) -> None:
    inspection, heads = tried.inspection, tried.inspection.model.num_heads
    query = len(inspection.tokens) - 2
    for number, weights in enumerate(tried.weights):
        layer = tried.model.projections(inspection, number)
        assert layer.between == BETWEEN.get(tried.name, NOTHING_BETWEEN)
        record, made = inspection.layer(number), split(tried.made[number], inspection, number)
        z, mixed = (tensor[query].numpy() for tensor in tried.mixed[number])
        for head in range(heads):
            e = explain(inspection, query, HeadId(number, head), layer)
            close(e.q if e.projected.q is None else e.projected.q, made["q"][head, query])
            close(e.k if e.projected.k is None else e.projected.k, record.of_head(made["k"], head))
            close(e.v if e.projected.v is None else e.projected.v, record.of_head(made["v"], head))
            np.testing.assert_allclose(e.weights, weights[head, query], rtol=0, atol=1e-5)
            close(e.z, z.reshape(heads, -1)[head])
            close(e.brought.sum(axis=0), e.z)
            assert largest(e.check) < 2e-5
            whole = e.outputs.sum(axis=0)
            close(whole + (0 if layer.b_O is None else layer.b_O), mixed, 1e-4)
            assert e.share == pytest.approx(e.output @ whole / (whole @ whole), rel=1e-3, abs=1e-6)


def close(ours: np.ndarray, theirs: np.ndarray, tolerance: float = 2e-5) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_norms_are_what_arrives(tried: Tried) -> None:
    view = tried.inspection.view("piece", measure="norm")
    for number in range(2):
        layer = tried.model.projections(tried.inspection, number)
        for head in (0, tried.inspection.model.num_heads - 1):
            e = explain(tried.inspection, 3, HeadId(number, head), layer)
            np.testing.assert_allclose(e.norms, view.weights(number, head)[3], rtol=1e-3, atol=1e-6)


def test_its_json_is_as_the_schema_says(tried: Tried) -> None:
    layer = tried.model.projections(tried.inspection, 1)
    e = explain(tried.inspection, 2, HeadId(1, 0), layer)
    parsed = as_json(e)
    check(parsed)
    assert ("between" in parsed) == (tried.name in BETWEEN)
    assert (
        ("projected_q" in parsed) == ("projected_k" in parsed["keys"][0]) == ("between" in parsed)
    )
    assert ("softcap" in parsed) == (tried.name == "gemma2")
    assert ("sink" in parsed) == (tried.name == "gpt_oss")
    total = sum(key["weight"] for key in parsed["keys"]) + parsed.get("sink", {}).get("weight", 0)
    assert total == pytest.approx(1, abs=1e-6)
    crossed = tried.inspection.attention == "cross"
    assert ("memory" in parsed["shapes"]) == crossed == ("pieces" in parsed["keys"][0])
    head_as_json(explain_head(tried.inspection, HeadId(1, 0), layer))
    if tried.inspection.attention == "decoder":
        assert [key["seen"] for key in parsed["keys"][:4]] == [True, True, True, False]
        assert parsed["keys"][3]["score"] is None
        assert parsed["keys"][3]["weight"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "tried", [("gpt2", None), ("t5", "cross"), ("bart", "decoder")], indirect=True, ids=str
)
def test_a_saved_inspection_brings_its_model_again(tried: Tried, tmp_path: Path) -> None:
    """The model is loaded by its name, for its matrices; it need not be fed anything."""
    save(tried.inspection, tmp_path / "kept")
    again = load(tmp_path / "kept")
    expected = tried.model.projections(tried.inspection, -1)
    found = matrices_of(again, -1)
    np.testing.assert_array_equal(found.W_Q, expected.W_Q)
    np.testing.assert_array_equal(found.W_O, expected.W_O)
    assert found.between == expected.between


def one_behind_another(weight: torch.Tensor) -> list[torch.Tensor]:
    """Phi-3: 4 queries, then 2 keys, then 2 values, of 6 numbers each."""
    return list(torch.split_with_sizes(weight, [24, 12, 12]))


def head_by_head(weight: torch.Tensor) -> list[torch.Tensor]:
    """GPT-NeoX: a query, a key and a value for each of 4 heads of 6 numbers."""
    by_head = weight.reshape(4, 3, 6, -1)
    return [by_head[:, nth].reshape(24, -1) for nth in range(3)]


@pytest.mark.parametrize(
    ("config", "name", "cut"),
    [
        ("Phi3Config", "layers.1.self_attn.qkv_proj", one_behind_another),
        ("GPTNeoXConfig", "layers.1.attention.query_key_value", head_by_head),
    ],
)
def test_matrices_side_by_side(config: str, name: str, cut: Any, tmp_path: Path) -> None:
    model = Other(config, {**GROUPED, "hidden_size": 24, "attention_bias": True}).save(tmp_path)
    inspection = load_model(str(tmp_path)).inspect(SENTENCES[0])
    found = matrices_of(inspection, 1)
    module = model.get_submodule(name)
    for matrix, part_of in zip("QKV", cut(module.weight.detach()), strict=True):
        np.testing.assert_array_equal(getattr(found, f"W_{matrix}"), part_of.T)
    if module.bias is not None:
        for bias, part_of in zip("QKV", cut(module.bias.detach()[:, None]), strict=True):
            np.testing.assert_array_equal(getattr(found, f"b_{bias}"), part_of[:, 0])


def test_queries_that_are_scaled(tmp_path: Path) -> None:
    """OPT multiplies q, and not q k^T, by 1 / sqrt(d_k)."""
    sizes = {**STACK, "hidden_size": 24, "ffn_dim": 23, "word_embed_proj_dim": 24}
    Other("OPTConfig", sizes).save(tmp_path)
    inspection = load_model(str(tmp_path)).inspect(SENTENCES[0])
    [e] = attnviz.explain(inspection, "tired", 1, 2)
    assert e.matrices.between == Between("times 0.4082")
    assert e.scale == 1
    assert e.projected.q is not None
    np.testing.assert_allclose(e.q, e.projected.q / np.sqrt(6), rtol=1e-6)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("llama")
    RECORDED["llama"].save(folder)
    return load_model(str(folder))


def test_from_python(llama: Model) -> None:
    inspection = llama.inspect(SENTENCES[0])
    [given] = attnviz.explain(inspection, "tired", 1, 2, model=llama)
    [found] = attnviz.explain(inspection, "tired", 1, 2)
    np.testing.assert_array_equal(found.outputs, given.outputs)
    assert found.projected.q is not None
    # heads 2 and 3 share k and v
    [beside] = attnviz.explain(inspection, "tired", 1, 3, model=llama)
    np.testing.assert_array_equal(beside.k, given.k)
    assert not np.array_equal(beside.q, given.q)
    assert not found.seen[found.query.index + 1 :].any()
    assert found.seen[: found.query.index + 1].all()


def test_numbers_of_another_model_are_refused(llama: Model) -> None:
    """A record that the matrices did not make, by a little or altogether."""
    inspection = llama.inspect(SENTENCES[0])
    q = part(inspection.layer(1), "q").copy()
    q[3, 4] *= 1.01
    for changed in (q, np.ones_like(q)):
        with pytest.raises(AttnvizError, match="computes them in another way"):
            llama.projections(with_layer(inspection, 1, q=changed), 1)
    llama.projections(inspection, 1)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_in_fewer_bits(dtype: Literal["bfloat16", "float16"], tmp_path: Path) -> None:
    RECORDED["qwen3"].save(tmp_path)
    inspection = load_model(str(tmp_path), dtype=dtype).inspect(SENTENCES[0])
    [e] = attnviz.explain(inspection, "tired", 1, 2)
    assert e.matrices.between == BETWEEN["qwen3"]
    assert e.context.model.dtype == dtype
    assert e.check.z is not None
    assert 0 < e.check.z < 0.03 * np.abs(e.v).max()


def test_weights_alone_cannot_be_explained(tmp_path: Path) -> None:
    WEIGHTS_ONLY["deberta-v2"].save(tmp_path)
    inspection = load_model(str(tmp_path)).inspect(SENTENCES[0])
    with pytest.raises(AttnvizError, match="gives its attention weights alone"):
        attnviz.explain(inspection, "tired", 1, 2)
    with pytest.raises(AttnvizError, match="gives its attention weights alone"):
        inspection.view(measure="norm").weights(0)


def test_what_is_made_of_x_in_another_way_is_refused(tmp_path: Path) -> None:
    """DeepSeek's queries and keys go through narrower vectors first (DeepSeek-AI 2024)."""
    LATENT.save(tmp_path)
    inspection = load_model(str(tmp_path)).inspect(SENTENCES[0])
    with pytest.raises(AttnvizError, match="computes them in another way"):
        attnviz.explain(inspection, "tired", 1, 2)


def test_what_is_done_to_z_before_it_is_mixed_is_refused(tmp_path: Path) -> None:
    """BitNet normalises it: there is no W_O that z alone goes through."""
    Other("BitNetConfig", {**GROUPED, "hidden_size": 24}).save(tmp_path)
    inspection = load_model(str(tmp_path)).inspect(SENTENCES[0])
    with pytest.raises(AttnvizError, match="does more to z than multiply it by a matrix"):
        attnviz.explain(inspection, "tired", 1, 2)
    with pytest.raises(AttnvizError, match="lengths of v W_O"):
        inspection.view(measure="norm").weights(0)
