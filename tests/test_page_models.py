"""Pages of models of many kinds: what their scripts compute is what the model's View has."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_others import RECORDED, SENTENCES, SEQ2SEQ, TARGET, WEIGHTS_ONLY

from attnviz.answers.layer import LayerSummary
from attnviz.answers.page import page
from attnviz.answers.rounding import TOLERANCE
from attnviz.inspection import Inspection
from attnviz.model import Model, load_model
from attnviz.model.reload import layers_behind
from attnviz.show.page.document import html_of
from attnviz.show.wording import whose_in_korean

pytestmark = pytest.mark.usefixtures("one_thread")

READER = Path(__file__).parent / "read_page.mjs"
SPREAD = 1.01 * TOLERANCE  # as far as float32 tells


def read(inspections: Sequence[Inspection], folder: Path) -> list[dict[str, Any]]:
    """What the page's scripts make of some texts, in Node.js."""
    node = shutil.which("node")
    if node is None:
        pytest.fail("Node.js is missing: apt-get install nodejs")
    path = folder / "page.html"
    path.write_text(html_of(page([one.view() for one in inspections])), encoding="utf-8")
    done = subprocess.run([node, READER, path], capture_output=True, check=True, text=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def hold(inspection: Inspection, folder: Path) -> None:
    """Every head, in both units, with and without special tokens, is what its View has."""
    heads = read([inspection], folder)
    assert len(heads) == 4 * len(inspection.recorded) * inspection.model.num_heads
    for one in heads:
        view = inspection.view(one["unit"], one["special"])
        layer, head = one["layer"], one["head"]
        weights = view.weights(layer, head)
        held = np.reshape(one["weights"], weights.shape)
        # without special tokens, what is left of a row is divided by its sum
        left = 1 - view.dropped(layer, head).max() if not one["special"] else 1
        assert np.abs(held - weights).max() <= 2 * SPREAD / max(left, 0.02)
        for name in ("dropped", "sink"):
            if one[name] is not None:
                of_view = getattr(view, name)(layer, head)
                assert np.abs(np.array(one[name]) - of_view).max() <= 4 * SPREAD
        allowed = view.visible(layer)
        assert (one["allowed"] is None) == (allowed is None)
        if allowed is not None:
            assert np.array_equal(np.reshape(one["allowed"], allowed.shape) > 0, allowed)


def hold_steps(inspection: Inspection) -> None:
    """Each layer has its steps, or the reason why there are none."""
    [text] = page([inspection.view()], sublayers=layers_behind).texts
    for layer in filter(None, text.layers):
        if isinstance(layer.steps, LayerSummary):
            shares = layer.arrays["layer_shares"]
            assert shares.shape == (len(text.pieces.tokens), len(layer.steps.parts))
            parts = [n for n, name in enumerate(layer.steps.parts) if name != "attention"]
            assert shares[:, parts].sum(axis=1) == pytest.approx(1, abs=1e-4)
        else:
            assert layer.steps
            assert "layer_shares" not in layer.arrays


def test_the_founding_example(animal: Inspection, tmp_path: Path) -> None:
    hold(animal, tmp_path)


def test_a_pair(minilm: Model, tmp_path: Path) -> None:
    hold(minilm.inspect("Who was tired?", "The animal was."), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_models_with_queries_and_keys(name: str, tmp_path: Path) -> None:
    RECORDED[name].save(tmp_path)
    inspection = load_model(str(tmp_path)).inspect(SENTENCES[0])
    hold(inspection, tmp_path)
    hold_steps(inspection)


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["encoder", "decoder", "cross"])
@pytest.mark.parametrize("name", ["t5", "bart"])
def test_models_with_a_decoder(name: str, attention: Any, tmp_path: Path) -> None:
    SEQ2SEQ[name].save(tmp_path)
    target = None if attention == "encoder" else TARGET
    model = load_model(str(tmp_path), attention=attention, target=target)
    hold(model.inspect(SENTENCES[0]), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deberta-v2", "xlnet"])
def test_models_that_give_their_weights_alone(name: str, tmp_path: Path) -> None:
    WEIGHTS_ONLY[name].save(tmp_path)
    inspection = load_model(str(tmp_path)).inspect(SENTENCES[0])
    hold(inspection, tmp_path)
    hold_steps(inspection)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gpt2", "디코더: 단어마다 자신과 그 앞의 단어를 봄"),
        ("mistral", "디코더: 단어마다 자신과 그 앞의 조각 4개를 봄"),
        (
            "gpt_oss",
            "디코더: L0, L2에서는 단어마다 자신과 그 앞의 조각 4개를 봄; "
            "L1에서는 단어마다 자신과 그 앞의 단어를 봄",
        ),
        (
            "modernbert",
            "인코더: L0에서는 단어마다 모두 봄; "
            "L1, L2에서는 단어마다 자신과 앞뒤의 조각을 4개씩 봄",
        ),
        ("albert", ""),
    ],
)
def test_who_sees_what_in_korean(name: str, said: str, tmp_path: Path) -> None:
    RECORDED[name].save(tmp_path)
    inspection = load_model(str(tmp_path)).inspect(SENTENCES[0])
    assert whose_in_korean(inspection.view().context) == said
