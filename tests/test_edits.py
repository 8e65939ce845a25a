"""Edited runs held to the same edit made by hooks on transformers' own modules."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_others import RECORDED, SENTENCES, SEQ2SEQ, TARGET
from torch import Tensor, nn

from attnviz.attention.edits import Edit, Noise, Patch
from attnviz.errors import RequestError
from attnviz.model import Model, load_model
from attnviz.model.edits import EditableText

TOLERANCE = 1e-5
LAYER, HEAD = 1, 1
Change = Callable[[Tensor], None]  # of a head's part of what enters a module, (1, n, width)

IN_BOTH = ("encoder.layers.1.self_attn.out_proj", "decoder.layers.1.encoder_attn.out_proj")
OUTPUTS = {
    **dict.fromkeys(SEQ2SEQ, IN_BOTH),
    "t5": ("encoder.block.1.layer.0.SelfAttention.o", "decoder.block.1.layer.1.EncDecAttention.o"),
}
"""W_O of layer 1 in the encoder, and in the decoder's attention to the encoder."""


@contextmanager
def changed(model: Any, module: str, num_heads: int, calls: int, change: Change) -> Iterator[None]:
    """transformers' model, with a head's part of what enters W_O changed, in this call of it."""
    heard = 0

    def before(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        nonlocal heard
        heard += 1
        if heard - 1 != calls:
            return inputs
        z = inputs[0].clone()
        change(z.view(*z.shape[:-1], num_heads, -1)[..., HEAD, :])
        return (z, *inputs[1:])

    handle = model.get_submodule(module).register_forward_pre_hook(before)
    yield
    handle.remove()


def zero(z: Tensor) -> None:
    z[:] = 0


def mean(z: Tensor) -> None:
    z[:] = z.mean(1, keepdim=True)


def first(z: Tensor) -> None:
    z[:, :2] = 0


def states(model: Any, tokens: Any, target: list[int] | None = None) -> np.ndarray:
    fed = {"input_ids": torch.tensor([tokens.ids])}
    if target is not None:
        fed["decoder_input_ids"] = torch.tensor([target])
    with torch.no_grad():
        found: np.ndarray = model(**fed).last_hidden_state[0].numpy()
    return found


@pytest.fixture(scope="module", params=RECORDED)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    other = RECORDED[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    theirs = other.save(folder)
    return load_model(str(folder)), theirs, other.output


@pytest.mark.parametrize(
    ("edit", "change"),
    [
        (Edit(LAYER, HEAD), zero),
        (Edit(LAYER, HEAD, source="mean"), mean),
        (Edit(LAYER, HEAD, rows=(0, 1)), first),
        (Edit(LAYER, HEAD, "weights", rows=(0, 1)), first),
    ],
)
def test_an_edit_is_that_of_a_hook(both: Any, edit: Edit, change: Change) -> None:
    ours, theirs, output = both
    tokens = ours.tokenize(SENTENCES[0])
    shared = "albert" in output
    with changed(theirs, output, ours.facts.num_heads, LAYER if shared else 0, change):
        expected = states(theirs, tokens)
    found = ours.run_with(tokens, [edit]).states
    assert np.abs(found - expected).max() < TOLERANCE
    assert np.abs(found - states(theirs, tokens)).max() > 100 * TOLERANCE


def test_runs_of_many_edits_are_those_of_each_alone(both: Any) -> None:
    ours, _, _ = both
    facts, tokens = ours.facts, ours.tokenize(SENTENCES[0])
    runs = [[Edit(*place)] for place in np.ndindex(facts.num_layers, facts.num_heads)]
    text = ours.editable(tokens)
    engine: Any = text.engine
    assert bool(engine._layers.modules) == (facts.family != "albert")  # whose layers are one
    together = list(text.edited(runs[::-1]))[::-1]
    for run, output in zip(runs, together, strict=True):
        alone = ours.run_with(tokens, run).states
        assert np.abs(output.states - alone).max() < TOLERANCE


def patched(text: EditableText, other: EditableText, what: Any) -> list[list[Edit]]:
    facts = text.facts
    source = Patch(other.layers)
    places = np.ndindex(facts.num_layers, facts.num_heads)
    return [[Edit(layer, head, what, source=source) for layer, head in places]]


def test_a_patch_of_the_same_text_changes_nothing(both: Any) -> None:
    ours, _, _ = both
    text = ours.editable(ours.tokenize(SENTENCES[0]))
    for what in ("z", "q", "weights"):
        [output] = text.edited(patched(text, text, what))
        assert np.abs(output.states - text.plain.states).max() < TOLERANCE


def test_a_head_that_shares_its_keys(both: Any) -> None:
    ours, _, _ = both
    tokens = ours.tokenize(SENTENCES[0])
    record = ours.inspect(SENTENCES[0]).layer(LAYER)
    if len(record.k) == record.num_heads:
        assert ours.run_with(tokens, [Edit(LAYER, HEAD, "k", source=Noise(3))]).states.shape
        return
    with pytest.raises(RequestError, match="L1H1 shares its keys with H0, so its k cannot be"):
        ours.run_with(tokens, [Edit(LAYER, HEAD, "k")])


@pytest.mark.parametrize("name", SEQ2SEQ)
@pytest.mark.parametrize("kind", ["encoder", "cross"])
def test_an_encoder_beside_a_decoder(tmp_path: Path, name: str, kind: Any) -> None:
    theirs = SEQ2SEQ[name].save(tmp_path)
    target = TARGET if kind == "cross" else None
    ours: Model = load_model(str(tmp_path), attention=kind, target=target)
    tokens = ours.tokenize(SENTENCES[0])
    body = getattr(theirs, "model", theirs)
    if kind == "encoder":
        part, fed = body.get_encoder(), None
    else:
        part = body.get_submodule("") if name != "t5" else theirs
        fed = list(ours._runner.given.ids)  # type: ignore[attr-defined]
    output = OUTPUTS[name][kind == "cross"]
    with changed(body, output, ours.facts.num_heads, 0, zero):
        if kind == "encoder":
            expected = states(part, tokens)
        else:
            with torch.no_grad():
                run = part(
                    input_ids=torch.tensor([tokens.ids]),
                    decoder_input_ids=torch.tensor([fed]),
                    output_hidden_states=True,
                )
            expected = run.decoder_hidden_states[-1][0].numpy()
    found = ours.run_with(tokens, [Edit(LAYER, HEAD)]).states
    assert np.abs(found - expected).max() < TOLERANCE
