"""The Python API: a sentence in, numbers, tables and pictures out."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from IPython.core.formatters import HTMLFormatter
from matplotlib.text import Text
from rich.console import Console
from rounding import assert_numbers

import attnviz
from attnviz.attention import request as recording
from attnviz.model import Model


def test_inspect_gives_the_weights_of_the_model(own_cache: Path) -> None:
    inspection = attnviz.inspect("I am a student")
    weights = inspection.weights(3, 1)
    assert [token.text for token in inspection.tokens.words] == [
        *("[CLS]", "I", "am", "a", "student", "[SEP]")
    ]
    assert weights.shape == (6, 6)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)
    assert inspection.weights(3).shape == (12, 6, 6)


def test_inspect_takes_a_loaded_model(minilm: Model, animal: attnviz.Inspection) -> None:
    again = attnviz.inspect(animal.tokens.text, minilm)
    assert_numbers(again.weights(-1, -1), animal.weights(5, 11))


def test_pair_and_truncation_reach_the_tokenizer(minilm: Model) -> None:
    pair = attnviz.inspect("Who was tired?", minilm, pair="The animal.")
    assert [token.segment for token in pair.tokens.words][-1] == 1
    assert attnviz.inspect("word " * 600, minilm, truncate=True).tokens.dropped == 90


def test_a_saved_inspection_comes_back(animal: attnviz.Inspection, tmp_path: Path) -> None:
    attnviz.save(animal, tmp_path / "animal.safetensors")
    again = attnviz.load(str(tmp_path / "animal.safetensors"))
    assert again.tokens == animal.tokens
    assert_numbers(again.weights(3, 1), animal.weights(3, 1))


def printed(look: object) -> str:
    console = Console(width=100, file=StringIO())
    with console.capture() as captured:
        console.print(look)
    return captured.get()


def test_tables_are_those_of_the_command_line(animal: attnviz.Inspection) -> None:
    assert "▸animal" in printed(attnviz.table(animal, query="it"))
    assert "animal" in printed(attnviz.table(animal, key="animal"))
    assert "L3H1" in printed(attnviz.table(animal, layer=3, head=1))
    assert printed(attnviz.table(animal, layer=3)).count("L3H") >= 12
    assert "6 layers × 12 heads" in printed(attnviz.table(animal))


def test_a_table_obeys_each_of_its_arguments(animal: attnviz.Inspection) -> None:
    """It chooses the look that the command line chooses."""
    rows = printed(attnviz.table(animal, query="it", layer=3, head=1))
    assert "it looks at" in rows
    assert rows.count("L3H") == 2, "one row, and the note below it"
    assert "who looks at animal" in printed(attnviz.table(animal, key="animal", layer=3))
    pair = printed(attnviz.table(animal, query="it", key="animal"))
    assert "how much it looks at animal" in pair
    assert "strongest in  L3H1  .68" in pair
    one = printed(attnviz.table(animal, query="it", key="animal", head="L3H1"))
    assert "▸.68" in one
    assert ".67" not in one
    [it] = [
        line
        for line in printed(attnviz.table(animal, layer=3, head=1, top=2)).splitlines()
        if line.startswith("it ")
    ]
    assert it.split() == ["it", "▸.68", "animal", ".10", "[CLS]"]
    assert printed(attnviz.table(animal, top=1)).count("→") == 72


def test_a_head_is_named_alone_or_beside_its_layer(animal: attnviz.Inspection) -> None:
    beside = attnviz.to_json(animal, layer=-3, head=1)
    assert attnviz.to_json(animal, head="L3H1") == attnviz.to_json(animal, head="3.1") == beside


def test_json_holds_the_heads_chosen(animal: attnviz.Inspection) -> None:
    one = json.loads(attnviz.to_json(animal, layer=3, head=1))
    assert one["schema"] == "attnviz.run/1"
    assert [(head["layer"], head["head"]) for head in one["heads"]] == [(3, 1)]
    assert_numbers(np.array(one["heads"][0]["weights"], dtype=np.float32), animal.weights(3, 1))
    assert len(json.loads(attnviz.to_json(animal))["heads"]) == 72


def test_figures_are_written_by_suffix(animal: attnviz.Inspection, tmp_path: Path) -> None:
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    for suffix, start in starts.items():
        path = tmp_path / f"picture.{suffix}"
        attnviz.write_figure(attnviz.heatmap(animal, layer=3, head=1), path)
        assert path.read_bytes().startswith(start)
    with pytest.raises(attnviz.RequestError, match="in which form"):
        attnviz.write_figure(attnviz.heatmap(animal, layer=3, head=1), tmp_path / "picture.gif")


def test_figures_leave_matplotlibs_settings_alone(animal: attnviz.Inspection) -> None:
    before = matplotlib.rcParams.copy()
    attnviz.lines(animal, query="it")
    attnviz.heatmap(animal, layer=3)
    assert matplotlib.rcParams.copy() == before


def test_lines_find_the_head_of_the_strongest_link(animal: attnviz.Inspection) -> None:
    texts = attnviz.lines(animal, query="it").findobj(Text)
    assert any("L2H1" in text.get_text() for text in texts if isinstance(text, Text))
    with pytest.raises(attnviz.RequestError, match="tangle"):
        attnviz.lines(animal)
    chosen = attnviz.lines(animal, query="it", head="L3H1").findobj(Text)
    assert any("L3H1" in text.get_text() for text in chosen if isinstance(text, Text))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i: attnviz.table(i, query="dog"), 'no "dog"'),
        (lambda i: attnviz.heatmap(i, layer=6), "no layer 6"),
        (lambda i: attnviz.heatmap(i, layer=3, head=12), "no head 12"),
        (lambda i: attnviz.to_json(i, head=1), "^head 1 needs a layer .*as in L5H1"),
        (lambda i: attnviz.lines(i, query="it", head=1), "needs a layer"),
        (lambda i: attnviz.table(i, query="it", key="dog"), 'no "dog"'),
        (lambda i: attnviz.table(i, top=0), "top is 0"),
        (lambda i: attnviz.load("/nowhere/x"), "no file"),
        (lambda i: attnviz.inspect("  "), "empty"),
    ],
)
def test_wrong_requests_are_told(animal: attnviz.Inspection, call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(attnviz.RequestError, match=message):
        call(animal)


def test_a_notebook_shows_an_inspection(animal: attnviz.Inspection) -> None:
    shown = HTMLFormatter()(animal)
    assert "minilm" in shown
    assert "animal" in shown


def test_an_inspection_says_what_it_is_in_a_line(animal: attnviz.Inspection) -> None:
    assert repr(animal).startswith("<Inspection of \"The animal didn't cross")
    assert len(repr(animal)) < 200


def test_importing_attnviz_loads_nothing_heavy() -> None:
    code = (
        "import sys, attnviz; attnviz.inspect, attnviz.load_model, attnviz.Inspection\n"
        "heavy = {'torch', 'transformers', 'tokenizers', 'matplotlib', 'rich', 'typer'}\n"
        "print(sorted(heavy & set(sys.modules)), 'attnviz.encoder.encoder' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["[]", "False"]
    bare = "import sys, attnviz; print('numpy' in sys.modules, 'regex' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", bare], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["False", "False"]


def test_everything_offered_is_there() -> None:
    assert set(attnviz.__all__) <= set(dir(attnviz))
    assert all(getattr(attnviz, name) is not None for name in attnviz.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = attnviz.nothing


def test_layers_of_a_long_text_are_chosen(minilm: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "KEPT_BYTES", 0)
    text = "The animal was tired."
    assert attnviz.inspect(text, minilm).recorded == [0, 1, 2, 3, 4, 5]
    chosen = attnviz.inspect(text, minilm, layers=(-1, 3))
    assert chosen.recorded == [3, 5]
    assert attnviz.inspect(text, minilm, layers=2).recorded == [2]
    whole = attnviz.inspect(text, minilm)
    np.testing.assert_allclose(chosen.weights(3, 1), whole.weights(3, 1), atol=1e-6)
    with pytest.raises(attnviz.RequestError, match="no layer 6: the model has 6"):
        attnviz.inspect(text, minilm, layers=[1, 6])


def test_options_of_a_model_go_with_its_name(minilm: Model, own_cache: Path) -> None:
    one = attnviz.inspect("I am", "paper", num_layers=1, num_heads=2, d_model=8, d_ff=16, seed=3)
    assert (one.model.num_layers, one.model.d_model, one.model.seed) == (1, 8, 3)
    coarse = attnviz.inspect("I am", dtype="bfloat16")
    assert coarse.model.dtype == "bfloat16"
    assert json.loads(attnviz.to_json(coarse, head="L3H1"))["model"]["dtype"] == "bfloat16"
    with pytest.raises(attnviz.RequestError, match="loaded already, and dtype came with it"):
        attnviz.inspect("I am", minilm, dtype="float16")
    with pytest.raises(attnviz.RequestError, match="--attention cross"):
        attnviz.inspect("I am", attention="cross")


def test_a_window_is_looked_at_closely(animal: attnviz.Inspection) -> None:
    part = json.loads(attnviz.to_json(animal, layer=3, head=1, window=(7, 10)))
    assert [token["text"] for token in part["tokens"]] == ["because", "it", "was"]
    assert [token["position"] for token in part["tokens"]] == [7, 8, 9]
    rows = np.array(part["heads"][0]["weights"], np.float32)
    assert_numbers(rows, animal.weights(3, 1)[7:10, 7:10])
    assert attnviz.find(animal, "it", "was", window=(7, 10)).keys == 3
    with pytest.raises(attnviz.RequestError, match='"animal" is outside the window'):
        attnviz.find(animal, "it", "animal", window=(7, 10))


@pytest.fixture(scope="module")
def translated() -> attnviz.Inspection:
    folder = Path(__file__).parent.parent / "samples" / "translator"
    text = "The animal didn't cross the street because it was too tired."
    target = "Das Tier überquerte die Straße nicht, weil es zu müde war."
    return attnviz.inspect(text, str(folder), attention="cross", target=target)


def test_a_decoder_looks_at_its_encoder(translated: attnviz.Inspection) -> None:
    """Queries are named as words of the target, keys as words of the source."""
    assert translated.keys is not None
    assert attnviz.find(translated, "zu", "tired").heads[0].head == (1, 3)
    assert "zu looks at" in printed(attnviz.table(translated, query="zu"))
    assert "who looks at tired" in printed(attnviz.table(translated, key="tired"))
    [steps] = attnviz.explain(translated, "zu", head="L1H3")
    assert steps.keys[steps.order[0]].text == "tired"
    comparison = attnviz.compare(translated, translated, query="zu", key="tired")
    assert comparison.heads[0].distance == 0
    assert comparison.keys[comparison.key or 0].label == "tired"
    assert len(attnviz.heatmap(translated, head="L1H3").axes) > 0
    with pytest.raises(attnviz.RequestError, match='no "tired" in the target'):
        attnviz.explain(translated, "tired")
    assert attnviz.ablate(translated, "L1H3").moved[0].distance > 0.01


def test_the_version_is_that_of_the_package() -> None:
    assert attnviz.__version__ == version("attnviz")


def test_a_list_of_texts_gives_a_list(minilm: Model) -> None:
    texts = ["I am a student", "It rains.", "The animal was tired."]
    found = attnviz.inspect(texts, minilm)
    assert [one.tokens.text for one in found] == texts
    alone = attnviz.inspect(texts[1], minilm)
    np.testing.assert_allclose(found[1].weights(3, 1), alone.weights(3, 1), atol=1e-5)
    assert attnviz.inspect([], minilm) == []


@pytest.mark.parametrize("head", ["L3H1", "3.1", "3-1", (3, 1), attnviz.HeadId(3, 1)])
def test_a_head_has_many_names(animal: attnviz.Inspection, head: Any) -> None:
    assert np.array_equal(animal.weights(head), animal.weights(3, 1))
    [only] = attnviz.matrices(animal, head=head).heads
    assert only == (3, 1)
    assert attnviz.find(animal, "it", "animal", head=head).heads[0].head == (3, 1)
    assert attnviz.ablate(animal, head).heads == ((3, 1),)


untyped: Any = attnviz
"""The same without types: what is wrong below is wrong for the type checker too."""


@pytest.mark.parametrize(
    "call",
    [
        lambda i: i.weights("L9H9"),
        lambda i: i.weights(9, 9),
        lambda i: i.weights("animal"),
        lambda i: i.weights(2.5),
        lambda i: untyped.inspect(3),
        lambda i: untyped.inspect(["I am", 3]),
        lambda i: untyped.inspect("I am", 3),
        lambda i: untyped.inspect("I am", devise="cpu"),
        lambda i: untyped.find("I am", "I", "am"),
        lambda i: untyped.find(i, "it", "animal", heads=3),
        lambda i: untyped.word(i),
        lambda i: untyped.matrices(i, head=(1, 2, 3)),
        lambda i: untyped.matrices(i, head=2.5),
        lambda i: untyped.overview(i, top=0),
        lambda i: untyped.table("it"),
        lambda i: untyped.table(untyped.overview(i), query="it"),
        lambda i: untyped.figure(untyped.overview(i)),
        lambda i: untyped.figure([untyped.matrices(i)] * 2),
        lambda i: untyped.to_json(None),
        lambda i: untyped.compare(i, "A"),
        lambda i: untyped.explain(i, "dog"),
    ],
)
def test_what_is_wrong_is_told_in_words(
    animal: attnviz.Inspection, call: Callable[[Any], object]
) -> None:
    with pytest.raises(attnviz.AttnvizError) as caught:
        call(animal)
    assert caught.value.hint or isinstance(caught.value, IndexError)
