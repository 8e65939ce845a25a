"""What a page is made of: numbers that keep every weight, data that no text ends, one script."""

import hashlib
import json
import re
import zlib
from base64 import b64encode
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from handmade import tokens_of

from attnviz.answers.opening import WORDS_IN_SIGHT, opening
from attnviz.answers.page import MOST_NUMBERS, PageLayer, State, page
from attnviz.answers.rounding import TOLERANCE, rounding
from attnviz.attention.layer import LayerRecord
from attnviz.errors import RequestError
from attnviz.inspection import Inspection, ModelFacts
from attnviz.inspection.specification import Side
from attnviz.model import Model
from attnviz.show.page import bundle
from attnviz.show.page.document import html_of
from attnviz.show.page.packing import MASKED, Packed, pack

HEADS, QUERIES, WIDTH = 4, 24, 8


def unpacked(packed: Packed) -> dict[str, np.ndarray]:
    """The arrays as the page's numbers.js reads them."""
    letters = np.array([ord(letter) & 127 for letter in packed.text], np.uint8)
    bits = np.unpackbits(letters[:, None], axis=1)[:, 1:].ravel()
    data = zlib.decompressobj(-15).decompress(np.packbits(bits).tobytes())
    found = {}
    for name, array in packed.arrays.items():
        shape, at, count = array["shape"], array["at"], int(np.prod(array["shape"]))
        if array["form"] == "float32":
            found[name] = np.frombuffer(data, "<f4", count, at).reshape(shape)
            continue
        coded = np.frombuffer(data, np.uint8, count, at).astype(np.int64)
        if array["form"] != "int8":
            coded += 256 * np.frombuffer(data, np.uint8, count, at + count).astype(np.int64)
        whole = np.where(coded % 2, -(coded + 1) // 2, coded // 2).astype(np.float64)
        if array["form"] == "int16":
            whole[coded == MASKED] = -np.inf
        if array["form"] == "difference":
            whole = _summed(whole.reshape(shape)).ravel()
        steps = np.repeat(array["steps"], count // len(array["steps"]))
        found[name] = (whole * steps).reshape(shape).astype(np.float32)
    return found


def _summed(differences: np.ndarray) -> np.ndarray:
    """The numbers that differ so from the mean of those before them."""
    whole = differences.copy()
    for token in range(1, whole.shape[1]):
        whole[:, token] += np.floor(whole[:, :token].sum(axis=1) / token + 0.5)
    return whole


def normal(*shape: int, size: float = 2.0) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(scale=size, size=shape).astype(np.float32)


def some_bias() -> np.ndarray:
    bias = normal(HEADS, QUERIES, QUERIES)
    bias[:, :, 3::4] = -np.inf
    return bias


RECORDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "keys are shared": {"k": normal(2, QUERIES, WIDTH), "v": normal(2, QUERIES, WIDTH)},
    "large": {"q": normal(HEADS, QUERIES, WIDTH, size=60)},
    "huge": {"q": normal(HEADS, QUERIES, WIDTH, size=2e4), "k": normal(HEADS, QUERIES, WIDTH)},
    "equal": {"q": np.zeros((HEADS, QUERIES, WIDTH), np.float32)},
    "soft cap": {"softcap": 5.0},
    "bias": {"bias": some_bias()},
    "distances": {"distance_bias": normal(1, 2 * QUERIES - 1)},
    "sinks": {"sinks": normal(HEADS)},
    "masked": {"key_ranges": np.array([[max(0, i - 3), i + 1] for i in range(QUERIES)], np.int32)},
}


def record_of(**changes: Any) -> LayerRecord:
    made: dict[str, Any] = {
        name: normal(HEADS, QUERIES, WIDTH) + place for place, name in enumerate("qkv")
    }
    return LayerRecord(**(made | changes), scale=WIDTH**-0.5)


def packed(record: LayerRecord) -> tuple[Packed, float]:
    """A record's numbers as a page has them, and how far any weight is said to be off."""
    arrays = record.arrays()
    keys = record.lengths[1]
    words = Side(range(keys), [False] * keys)
    layer = PageLayer(record, arrays, rounding(record, arrays, words))
    [(_, found)] = pack({"t0l0": layer})
    return found, layer.rounding.off


@pytest.mark.parametrize("kind", RECORDS)
def test_no_weight_is_off_by_more_than_the_tolerance(kind: str) -> None:
    record = record_of(**RECORDS[kind])
    found, said = packed(record)
    arrays: dict[str, Any] = unpacked(found)
    arrays.pop("v")
    if "key_ranges" in arrays:
        arrays["key_ranges"] = arrays["key_ranges"].astype(np.int32)
    again = replace(record, **arrays)
    off = float(np.abs(again.weights(0) - record.weights(0)).max())
    assert off <= TOLERANCE * 1.01
    assert off == pytest.approx(said, abs=2e-5)
    assert said <= TOLERANCE


def test_weights_alone_are_kept_too() -> None:
    weights = record_of().weights(0)
    found, said = packed(LayerRecord(recorded_weights=weights))
    off = np.abs(unpacked(found)["recorded_weights"] - weights).max()
    assert off == pytest.approx(said, abs=1e-6)
    assert off <= TOLERANCE


def test_values_are_kept_to_a_part_of_the_largest() -> None:
    record = record_of()
    assert record.v is not None
    off = np.abs(unpacked(packed(record)[0])["v"] - record.v).max(axis=(1, 2))
    assert (off <= np.abs(record.v).max(axis=(1, 2)) / 250).all()


def test_whole_numbers_take_fewer_bytes_than_float16(animal: Inspection) -> None:
    one = page([animal.view()])
    layers = {str(n): layer for n, layer in enumerate(one.texts[0].layers) if layer}
    sizes = sum(len(found.text) for _, found in pack(layers))
    numbers = sum(layer.arrays["q"].size + layer.arrays["k"].size for layer in layers.values())
    assert sizes < numbers * 2 * 4 / 3  # values among them


def long_inspection(count: int, layers: int = 2) -> Inspection:
    tokens = tokens_of([f"w{i}" for i in range(count - 2)])
    records = tuple(
        LayerRecord(q=normal(2, count, 4) + n, k=normal(2, count, 4), scale=0.5)
        for n in range(layers)
    )
    facts = ModelFacts("long", "bert", layers, 2, 8, 4, 16, True)
    return Inspection(tokens, facts, records)


def test_a_cut_text_keeps_the_weights_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnviz.answers.page.MOST_NUMBERS", 40 * 2 * 2 * 8)
    inspection = long_inspection(90)
    [text] = page([inspection.view()]).texts
    assert (text.first, text.end, text.is_cut) == (0, 40, True)
    layer = text.layers[1]
    assert layer is not None
    q, k, totals = (layer.arrays[name] for name in ("q", "k", "log_totals"))
    weights = np.exp(0.5 * q @ k.swapaxes(1, 2) - totals[..., None])
    whole = inspection.layer(1).weights(1)
    assert np.abs(weights - whole[:, :40, :40]).max() < 1e-6
    assert layer.arrays["special_outside"] == pytest.approx(whole[:, :40, 89], abs=1e-6)
    [(_, found)] = pack({"x": layer})
    again = unpacked(found)
    rounded = np.exp(0.5 * again["q"] @ again["k"].swapaxes(1, 2) - totals[..., None])
    assert np.abs(rounded - weights).max() <= TOLERANCE * 1.01


def test_a_window_chooses_the_pieces_of_a_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnviz.answers.page.MOST_NUMBERS", 40 * 2 * 2 * 8)
    inspection = long_inspection(90)
    [text] = page([inspection.view(window=(50, 70))]).texts
    assert (text.first, text.end) == (50, 70)
    with pytest.raises(RequestError, match=r"the window has 50 pieces, too many to draw"):
        page([inspection.view(window=(0, 50))])


def test_weights_alone_are_counted_by_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnviz.answers.page.MOST_NUMBERS", 2 * 2 * 30 * 30)
    long = long_inspection(90)
    alone = tuple(LayerRecord(recorded_weights=long.layer(n).weights(n)) for n in range(2))
    [text] = page([replace(long, layers=alone).view()]).texts
    assert (text.first, text.end) == (0, 30)


def test_a_head_too_large_to_draw_is_cut(minilm: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where queries and keys would be few: a small model of 8,192 tokens."""
    monkeypatch.setattr("attnviz.answers.page.MOST_WEIGHTS", 10**2)
    [text] = page([minilm.inspect("It is tired. " * 6).view()]).texts
    assert (text.first, text.end) == (0, 10)
    assert text.is_cut


def test_too_many_texts_are_refused(animal: Inspection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnviz.answers.page.MOST_IN_ALL", 100_000)
    with pytest.raises(RequestError, match="too long to draw in one page"):
        page([animal.view()] * 2)


def test_values_are_left_out_of_long_texts(minilm: Model) -> None:
    long = minilm.inspect("it was " * 240)
    [text] = page([long.view()]).texts
    assert text.has_values
    assert len(text.pieces.tokens) * 2 * 6 * 384 < MOST_NUMBERS


def test_a_long_text_opens_on_a_link_of_its_first_words() -> None:
    view = long_inspection(150).view()
    state, _ = opening(view, [])
    assert (state.view, state.layer is not None, len(state.off or ())) == ("lines", True, 1)
    assert state.query is not None
    weights = view.weights(state.layer or 0, state.head)
    assert 1 <= state.query < WORDS_IN_SIGHT
    far = np.arange(1, WORDS_IN_SIGHT)
    assert weights[state.query, far].max() == max(
        view.weights(layer, head)[row, far[abs(far - row) > 1]].max()
        for layer in range(2)
        for head in range(2)
        for row in far
    )


def test_another_measure_is_refused(animal: Inspection) -> None:
    with pytest.raises(RequestError, match="a page shows attention weights"):
        page([animal.view(measure="rollout")])


def data_of(html: str) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_data_say_what_the_page_is_about(animal: Inspection) -> None:
    html = html_of(page([animal.view()], State(view="head", layer=3, head=1)))
    data = data_of(html)
    assert data["schema"] == "attnviz.page/1"
    assert data["state"] == {
        "view": "head", "text": 0, "layer": 3, "head": 1, "unit": "word", "special": True,
        "find": False,
    }  # fmt: skip
    [text] = data["texts"]
    assert [word["name"] for word in text["queries"]["words"]][8:11] == ["it", "was", "too"]
    assert text["queries"]["starts"][:5] == [0, 1, 2, 3, 6]
    assert text["tolerance"] <= TOLERANCE


def test_the_layer_shown_first_is_read_before_the_script(animal: Inspection) -> None:
    """So that it is drawn while the browser still reads the others."""
    html = html_of(page([animal.view()], State(layer=3)))
    before, after = html.split('<script type="module" async>')
    assert re.findall(r'id="t0l(\d)"', before) == ["3"]
    assert re.findall(r'id="t0l(\d)"', after) == ["0", "1", "2", "4", "5"]


def test_no_text_ends_the_data(minilm: Model) -> None:
    hostile = "</script><img src=x onerror=alert(1)> <!-- it"
    html = html_of(page([minilm.inspect(hostile).view()]))
    [text] = data_of(html)["texts"]
    assert text["name"] == hostile
    assert "<img" not in html
    assert html.count("</script>") == 4 + 6
    assert "&lt;/script&gt;" in html


def test_pairs_align_words_and_pieces(minilm: Model) -> None:
    two = [minilm.inspect(f"It was too {word} .").view() for word in ("tired", "wide")]
    [pair] = page(two, pairs=[(0, 1)]).pairs
    assert pair.words == tuple((i, i) for i in range(7))
    assert pair.key_words == pair.words


def test_the_script_is_one_module() -> None:
    script = bundle.script()
    assert not re.search(r"^(import|export) ", script, re.MULTILINE)
    assert "/**" not in script
    assert script.index("function decoded(") < script.index("class App")


def test_the_script_is_unpacked_by_another_and_the_policy_knows_both(animal: Inspection) -> None:
    html = html_of(page([animal.view()]))
    scripts = bundle.script("boot.js"), bundle.script()
    digests = [b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert f"script-src 'sha256-{digests[0]}' 'sha256-{digests[1]}';" in html
    assert f">{scripts[0]}</script>" in html
    found = re.search(r'id="script">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    letters = np.array([ord(letter) & 127 for letter in found[1]], np.uint8)
    bits = np.unpackbits(letters[:, None], axis=1)[:, 1:].ravel()
    assert zlib.decompress(np.packbits(bits).tobytes(), -15).decode() == scripts[1]


@pytest.mark.parametrize("entry", ["main.js", "atlas/main.js"])
def test_no_two_scripts_of_a_page_have_one_name(entry: str) -> None:
    declared = r"^(?:export )?(?:async )?(?:function\*?|const|let|class) (\w+|[\[{][^\]}]*)"
    scripts = [bundle.FOLDER / "script" / name for name in bundle.files(entry)]
    sources = [path.read_text(encoding="utf-8") for path in scripts]
    found = [said for source in sources for said in re.findall(declared, source, re.MULTILINE)]
    names = re.findall(r"\w+", " ".join(found))
    assert sorted(names) == sorted(set(names))


def test_every_script_is_in_some_page() -> None:
    folder = bundle.FOLDER / "script"
    used = {
        name for entry in ("boot.js", "main.js", "atlas/main.js") for name in bundle.files(entry)
    }
    assert used | {"types.js", "atlas/types.js"} == {
        path.relative_to(folder).as_posix() for path in folder.rglob("*.js")
    }


@pytest.mark.parametrize("word", ["http:", "https:", "//cdn"])
def test_nothing_is_fetched(word: str, animal: Inspection) -> None:
    html = html_of(page([animal.view()]))
    html = html.replace('"http://www.w3.org/2000/svg"', "")
    assert word not in html
