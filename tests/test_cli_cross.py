"""Cross-attention, masks and sinks on the command line: saved inspections, without any model."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handmade import causal, cross_inspection_of, inspection_of, tokens_of, with_layer
from process import Workplace, workplace

from attnviz.inspection import Inspection
from attnviz.inspection.storage import save

SOURCE = ["It", "rains", "here"]


def across(*target: str) -> Inspection:
    """Each word of the target gives the word of the source at its index 0.6."""
    weights = np.full((2, 2, len(target) + 2, 5), 0.1)
    for query in range(len(target) + 2):
        weights[..., query, query] = 0.6
    return cross_inspection_of(tokens_of(target), tokens_of(SOURCE), weights)


def decoder() -> Inspection:
    tokens = tokens_of(["it", "rains", "here"], special=False)
    inspection = inspection_of(tokens, np.full((1, 2, 3, 3), 1 / 3))
    return replace(with_layer(inspection, 0, key_ranges=causal(3)), attention="decoder")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    """A workplace with saved inspections: two across, one of a decoder, one with sinks."""
    place = workplace(tmp_path_factory.mktemp("cross"), animal)
    place.remember(across("Es", "regnet"))
    save(across("Es", "regnet"), place.folder / "across")
    save(across("Es", "schneit"), place.folder / "other")
    save(decoder(), place.folder / "decoder")
    sinks = inspection_of(tokens_of(["a", "b"]), np.full((1, 1, 4, 4), 0.2))
    save(sinks, place.folder / "sinks")
    return place


def told(place: Workplace, *arguments: str) -> tuple[int, list[str]]:
    """What a request is refused with."""
    done = place(*arguments)
    assert done.output == b""
    return done.code, [line.strip().removeprefix("attnviz: ") for line in done.message]


@pytest.mark.slow
def test_words_are_those_of_target_and_source(place: Workplace) -> None:
    done = place("run", "--load", "across", "--query", "regnet", "--key", "rains", "--head", "1.1")
    assert (done.code, done.err) == (0, "")
    assert "how much regnet looks at rains" in done.out
    assert re.search(r"▸\.60", done.out)
    found = place("find", "--load", "across", "--query", "Es", "--key", "It", "-f", "csv")
    [_, first, *_] = csv.reader(io.StringIO(found.out))
    assert first[1:7] == ["0", "0", "1", "Es", "1", "It"]
    assert first[11:14] == [""] * 3  # there is no distance between words of two texts
    weight, excess, same_key, queries = (float(first[place]) for place in (7, 8, 14, 15))
    assert (weight, excess, same_key, queries) == pytest.approx((0.6, 0.5, 0.1, 1))
    assert told(place, "run", "--load", "across", "--query", "rains") == (
        2,
        [
            'there is no "rains" in the target',
            'the target has [CLS], Es, regnet, [SEP]; the source has "rains", as a key',
        ],
    )
    code, (message, _) = told(place, "find", "--query", "Es", "--key", "Es")
    assert (code, message) == (2, 'there is no "Es" in the source')


@pytest.mark.slow
def test_what_the_source_cannot_do(place: Workplace) -> None:
    code, (message, hint) = told(place, "find", "--query", "Es", "--key", "It", "--both")
    assert (code, hint) == (2, "leave out --both")
    assert message == "words of the source are keys, and do not look back at the target"
    code, (message, *_) = told(place, "run", "--load", "across", "--measure", "rollout")
    assert (code, message.split(" follows")[0]) == (2, "rollout")


@pytest.mark.slow
def test_two_of_them_are_compared(place: Workplace) -> None:
    done = place("compare", "--load", "across", "--load", "other", "--query", "Es", "--json")
    assert done.code == 0
    words = [(column["text_a"], column["text_b"]) for column in done.json["queries"]]
    assert words[1:3] == [("Es", "Es"), ("regnet", "schneit")]
    assert {head["distance"] for head in done.json["heads"]} == {0}
    assert done.json["b"]["text"] == "Es schneit"
    code, (message, _) = told(place, "compare", "--load", "across", "--load", "decoder")
    assert (code, message.split(",")[0]) == (
        2,
        "the layers and heads of the models do not match: handmade has 2 layers of 2 heads",
    )


@pytest.mark.slow
def test_a_decoder_looks_back_alone(place: Workplace) -> None:
    asked = ["find", "--load", "decoder", "--query"]
    code, (message, hint) = told(place, *asked, "it", "--key", "here")
    assert (code, message) == (2, '"it" may not look at "here": a mask keeps it off')
    assert hint == '"here" may look at "it": name them the other way round'
    done = place(*asked, "here", "--key", "it", "--json")
    assert done.json["attention"] == "decoder"
    head = done.json["heads"][0]
    assert head["same_distance"] is None
    assert head["same_key"]["mean"] == pytest.approx((1 + 1 / 2) / 2)  # what it and rains give it
    assert head["excess"] == pytest.approx(1 / 3 - 3 / 4)


def test_csv_says_what_its_columns_do_not(place: Workplace) -> None:
    done = place("run", "--load", "sinks", "-f", "csv")
    assert len(done.out.splitlines()) == 1 + 16
    [note] = done.err.splitlines()
    assert note.startswith("attnviz: weights: softmax([q kᵀ / √d_k, sink])")
    assert note.endswith("rows sum to 1 with the sink's share")


def test_npz_of_two_texts(place: Workplace) -> None:
    done = place("run", "--load", "across", "-o", "across.npz")
    assert done.code == 0
    with np.load(Path(place.folder) / "across.npz") as file:
        assert list(file["0.keys"]) == ["[CLS]", *SOURCE, "[SEP]"]
        assert file["0.weights"].shape == (4, 4, 5)
