"""Ablated runs held to transformers, whose heads hooks take away, and to the plain run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_bert import runner_of, save_tiny_bert
from torch import Tensor
from transformers import BertForMaskedLM

import attnviz.encoder.edits
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection
from attnviz.inspection.ablated import Ablated, Replacement
from attnviz.model import Model, load_model
from attnviz.text.tokens import Tokens

SENTENCE = "the cat sat on the mat."
HEADS, D_K = 3, 7
MIXED = [HeadId(0, 2), HeadId(1, 0), HeadId(1, 1)]
LAYER = [HeadId(1, head) for head in range(HEADS)]
CHOICES = [[HeadId(0, 0)], [HeadId(1, 2)], MIXED, MIXED[::-1], LAYER, [*LAYER, HeadId(0, 1)]]
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny masked language model, whose tokenizer knows [MASK] in a text."""
    folder = tmp_path_factory.mktemp("masked")
    save_tiny_bert(folder, kind=BertForMaskedLM)
    return folder


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    model: Any = BertForMaskedLM.from_pretrained(folder, attn_implementation="eager")
    return model.eval()


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Model:
    return load_model(str(folder))


@contextmanager
def without(theirs: Any, change: Callable[[int, Tensor], None]) -> Iterator[None]:
    """transformers' model, with the input of each layer's W_O changed: (1, n, heads, d_k)."""

    def hook(layer: int) -> Callable[[Any, Any], Any]:
        def before(_module: Any, inputs: tuple[Tensor]) -> tuple[Tensor]:
            z = inputs[0].clone()
            change(layer, z.view(1, -1, HEADS, D_K))
            return (z,)

        return before

    handles = [
        layer.attention.output.dense.register_forward_pre_hook(hook(number))
        for number, layer in enumerate(theirs.bert.encoder.layer)
    ]
    yield
    for handle in handles:
        handle.remove()


def run(theirs: Any, tokens: Tokens) -> tuple[Tensor, Tensor]:
    """Final hidden states, (n, d_model), and logits, (n, vocab_size)."""
    with torch.inference_mode():
        out = theirs(
            input_ids=torch.tensor([tokens.ids]),
            token_type_ids=torch.tensor([tokens.type_ids]),
            output_hidden_states=True,
        )
    return out.hidden_states[-1][0], out.logits[0]


def reference(
    theirs: Any, tokens: Tokens, heads: Sequence[HeadId], replacement: Replacement
) -> tuple[Tensor, Tensor]:
    """The same as `run`, without the heads."""
    means: dict[int, Tensor] = {}
    with without(theirs, lambda layer, z: means.update({layer: z.mean(dim=1)})):
        run(theirs, tokens)

    def ablate(layer: int, z: Tensor) -> None:
        for number in (head.place for head in heads if head.layer == layer):
            z[:, :, number] = 0 if replacement == "zero" else means[layer][:, None, number]

    with without(theirs, ablate):
        return run(theirs, tokens)


def close(ours: np.ndarray, expected: Tensor) -> None:
    np.testing.assert_allclose(ours, expected.numpy(), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("replacement", ["zero", "mean"])
@pytest.mark.parametrize("heads", CHOICES, ids=str)
@pytest.mark.parametrize("pair", [None, "a dog"])
def test_states_are_those_of_transformers(
    tiny: Model, theirs: Any, heads: list[HeadId], replacement: Replacement, pair: str | None
) -> None:
    tokens = tiny.tokenize(SENTENCE, pair)
    ours = tiny.ablate(tokens, heads, replacement)
    close(ours.plain, run(theirs, tokens)[0])
    close(ours.ablated, reference(theirs, tokens, heads, replacement)[0])
    assert np.abs(ours.plain - ours.ablated).max() > 100 * TOLERANCE
    assert (ours.heads, ours.replacement, ours.first) == (tuple(heads), replacement, 0)
    assert ours.plain.dtype == ours.ablated.dtype == np.float32


@pytest.mark.parametrize("replacement", ["zero", "mean"])
@pytest.mark.parametrize("at_once", [1, 20, 1000])
@pytest.mark.parametrize("pieces", [slice(None), slice(2, 4), slice(5, 6)])
def test_each_head_alone(
    tiny: Model,
    replacement: Replacement,
    at_once: int,
    pieces: slice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many run together, each is what it is by itself."""
    monkeypatch.setattr(attnviz.encoder.edits, "BATCH_TOKENS", at_once)
    tokens = tiny.tokenize(SENTENCE)
    each = list(tiny.ablate_each(tokens, replacement, pieces))
    assert [run.heads for run in each] == [(HeadId(*divmod(i, HEADS)),) for i in range(6)]
    for ours in each:
        alone = tiny.ablate(tokens, ours.heads, replacement)
        assert ours.first == (pieces.start or 0)
        np.testing.assert_allclose(ours.plain, alone.plain[pieces], rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(ours.ablated, alone.ablated[pieces], rtol=0, atol=TOLERANCE)


def test_a_mean_over_one_position_is_itself(minilm: Model, animal: Inspection) -> None:
    ours = minilm.ablate(animal.tokens, [HeadId(3, 1)])
    assert ours.plain.shape == ours.ablated.shape == (len(animal.tokens), 384)
    assert ours.masks is None
    one = load_model("paper", num_layers=2, num_heads=3, d_model=21, d_ff=5)
    same = one.ablate(one.tokenize("cat"), [HeadId(0, 1), HeadId(1, 2)], "mean")
    np.testing.assert_allclose(same.plain, same.ablated, rtol=0, atol=1e-6)


MASKED = "the [MASK] sat on the [MASK]."


@pytest.mark.parametrize("replacement", ["zero", "mean"])
@pytest.mark.parametrize("heads", [[HeadId(0, 0)], MIXED, LAYER], ids=str)
def test_predictions_are_those_of_transformers(
    tiny: Model, theirs: Any, heads: list[HeadId], replacement: Replacement
) -> None:
    tokens = tiny.tokenize(MASKED)
    masks = tiny.ablate(tokens, heads, replacement).masks
    assert masks is not None
    assert [mask.piece for mask in masks] == [2, 6]
    before = run(theirs, tokens)[1].softmax(-1)
    after = reference(theirs, tokens, heads, replacement)[1].softmax(-1)
    for mask in masks:
        for guesses, expected in ((mask.before, before), (mask.after, after)):
            best = expected[mask.piece].topk(5)
            entries = [tiny.tokenizer.entry(int(number)) for number in best.indices]
            assert [guess.token for guess in guesses] == entries
            np.testing.assert_allclose([g.probability for g in guesses], best.values, atol=1e-5)
        number = int(before[mask.piece].argmax())
        assert mask.kept.token == mask.before[0].token
        assert mask.kept.probability == pytest.approx(float(after[mask.piece, number]), abs=1e-5)


def test_scores_are_those_of_transformers(tiny: Model, theirs: Any) -> None:
    tokens = tiny.tokenize(MASKED)
    ours = tiny.ablate(tokens, MIXED)
    head = runner_of(tiny).encoders.head
    assert head is not None
    with torch.inference_mode():
        for states, expected in (
            (ours.plain, run(theirs, tokens)[1]),
            (ours.ablated, reference(theirs, tokens, MIXED, "zero")[1]),
        ):
            scores = head.scores(states)
            # sums of products of the largest score's size: so large is their rounding
            size = float(expected.abs().max())
            np.testing.assert_allclose(scores / size, expected / size, rtol=0, atol=TOLERANCE)


def test_a_sentence_without_a_mask_has_no_predictions(tiny: Model) -> None:
    assert tiny.ablate(tiny.tokenize(SENTENCE), MIXED).masks == ()


Weights = dict[str, Tensor]
DENSE = "cls.predictions.transform.dense.weight"
GAMMA = "cls.predictions.transform.LayerNorm"


def guesses(folder: Path) -> Ablated:
    model = load_model(str(folder))
    assert model.notes == ()
    return model.ablate(model.tokenize(MASKED), MIXED)


def changed(folder: Path, tmp_path: Path, change: Callable[[Weights], object]) -> Ablated:
    """What comes of the folder's model with other tensors."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, tmp_path / "model.safetensors")
    return guesses(tmp_path)


def test_older_names_and_a_decoder_of_its_own(folder: Path, tmp_path: Path) -> None:
    def older(weights: Weights) -> None:
        weights[f"{GAMMA}.gamma"] = weights.pop(f"{GAMMA}.weight")
        weights[f"{GAMMA}.beta"] = weights.pop(f"{GAMMA}.bias")
        weights["cls.predictions.decoder.bias"] = weights.pop("cls.predictions.bias")

    assert changed(folder, tmp_path, older).masks == guesses(folder).masks

    def untied(weights: Weights) -> None:
        words = weights["bert.embeddings.word_embeddings.weight"]
        weights["cls.predictions.decoder.weight"] = words.flip(0).contiguous()
        weights["cls.predictions.bias"] = torch.zeros(97)

    masks = changed(folder, tmp_path, untied).masks
    assert masks is not None
    assert masks[0].before[0] != guesses(folder).masks[0].before[0]  # type: ignore[index]


@pytest.mark.parametrize(
    "damage",
    [
        lambda weights: weights.pop(DENSE),
        lambda weights: weights.update({DENSE: torch.zeros(21, 20)}),
        lambda weights: weights.update({DENSE: torch.full((21, 21), torch.nan)}),
        lambda weights: weights.update({DENSE: torch.zeros(21, 21, dtype=torch.int8)}),
    ],
)
def test_a_head_that_is_not_whole_is_none(
    folder: Path, tmp_path: Path, damage: Callable[[Weights], object]
) -> None:
    assert changed(folder, tmp_path, damage).masks is None


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ([], "no head is named"),
        ([HeadId(2, 0)], "there is no head L2H0"),
        ([HeadId(0, 1), HeadId(1, 3)], "there is no head L1H3"),
        ([HeadId(-1, 0)], "there is no head L-1H0"),
        ([HeadId(1, None)], "there is no head L1"),
    ],
)
def test_heads_that_are_not_there(tiny: Model, heads: list[HeadId], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny.ablate(tiny.tokenize(SENTENCE), heads)
