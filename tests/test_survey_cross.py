"""Surveys of decoders and of cross-attention, as people run them, held to `run`'s own matrices."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from handmade import cross_inspection_of, inspection_of, tokens_of
from process import Workplace, workplace
from tiny_others import RECORDED, SEQ2SEQ
from transformers import MarianMTModel

from attnviz.corpus.conllu import sentences
from attnviz.corpus.document import Document
from attnviz.corpus.fold import Seen
from attnviz.corpus.matching import Rows, between
from attnviz.corpus.statistics.places import SIEVES, Text
from attnviz.inspection import Inspection

ROOT = Path(__file__).parent.parent
TRANSLATOR = ROOT / "samples" / "translator"
SCHEMA = json.loads((ROOT / "docs" / "schema" / "survey-1.schema.json").read_text())
TEXTS = [
    f"The {animal} crossed the {place} because it was {how}."
    for animal, place, how in (
        ("animal", "street", "tired"), ("dog", "street", "wide"), ("animal", "forest", "tired"),
        ("dog", "forest", "dark"), ("cat", "street", "tired"), ("cat", "forest", "wide"),
        ("animal", "street", "wide"),
    )
]  # fmt: skip
TARGET = "Der Hund überquerte die Straße nicht, weil es müde war."
WITHIN = {
    "statistics": {"distance", "itself", "previous", "next", "maxima", "previous_token",
                   "duplicate_token", "induction"},
    "roles": {"positional", "itself", "previous", "next", "syntactic", "local", "block"},
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    place = workplace(tmp_path_factory.mktemp("cross"), animal)
    (place.folder / "a.txt").write_text("".join(f"{text}\n" for text in TEXTS))
    rows = "".join(f"{text}\t{TARGET}\n" for text in TEXTS)
    (place.folder / "a.tsv").write_text(f"en\tde\n{rows}", encoding="utf-8")
    return place


def surveyed(place: Workplace, model: Path, *more: str, of: str = "a.txt") -> Any:
    done = place("survey", of, "-m", str(model), "--json", "--quiet", *more)
    assert (done.code, done.err) == (0, "")
    jsonschema.Draft202012Validator(SCHEMA).validate(done.json)
    return done.json


def run(place: Workplace, attention: str, *more: str) -> list[Any]:
    """What `attnviz run` says of each text."""
    given = "".join(f"{text}\n" for text in TEXTS).encode()
    asked = ("-m", str(TRANSLATOR), "--attention", attention, "-f", "jsonl", "--quiet", *more)
    done = place("run", "-", *asked, given=given)
    assert done.code == 0, done.err
    return done.json_lines


Row = tuple[dict[str, Any], list[dict[str, Any]], np.ndarray]


def rows_of(runs: list[Any], number: int) -> Iterator[Row]:
    """Of one head, each word that looks and has a choice, the keys that it may look at, weights."""
    for answer in runs:
        keys = answer.get("keys", answer["tokens"])
        for token, weights in zip(
            answer["tokens"], answer["heads"][number]["weights"], strict=True
        ):
            seen = len(keys) if "keys" in answer else token["index"] + 1
            if not token["special"] and seen > 1:
                yield token, keys[:seen], np.array(weights[:seen])


def mean_to(rows: list[Row], wanted: Any) -> float | None:
    """The mean attention to wanted keys, of the rows that have some."""
    found = []
    for token, keys, weights in rows:
        own = np.array([wanted(token, key) for key in keys])
        if own.any():
            found.append(weights[own].sum())
    return float(np.mean(found)) if found else None


def expected(rows: list[Row], cross: bool) -> dict[str, float | None]:
    """The statistics of one head, computed word by word."""
    entropies = [-(weights * np.log2(np.maximum(weights, 1e-30))).sum() for *_, weights in rows]
    most = [np.log2(len(keys)) for _, keys, _ in rows]

    def text(token: dict[str, Any]) -> str:
        return str(token["text"]).casefold()

    def is_word(token: dict[str, Any]) -> bool:
        return not token["special"] and text(token) not in (".", ",")

    def another(query: dict[str, Any], key: dict[str, Any]) -> bool:
        return cross or query["index"] != key["index"]

    def to_special(_: dict[str, Any], key: dict[str, Any]) -> bool:
        return bool(key["special"])

    def first(query: dict[str, Any], key: dict[str, Any]) -> bool:
        return key["start"] == 0 and another(query, key)

    found = {
        "entropy": float(np.mean(entropies)),
        "spread": float(np.sum(entropies) / np.sum(most)),
        "first": mean_to(rows, first),
        "separators" if cross else "cls": mean_to(rows, to_special),
        "punctuation": mean_to(rows, lambda q, k: text(k) in (".", ",") and another(q, k)),
        "same_word": mean_to(
            rows, lambda q, k: is_word(q) and text(q) == text(k) and another(q, k)
        ),
    }
    if cross:
        return found
    to_words = [(abs(q["index"] - k["index"]), weight) for q, keys, weights in rows
                for k, weight in zip(keys, weights, strict=True) if not k["special"]]  # fmt: skip
    far, weights = np.array(to_words).T
    return found | {
        "distance": float(far @ weights / weights.sum()),
        "itself": mean_to(rows, lambda q, k: q["index"] == k["index"]),
        "previous": mean_to(rows, lambda q, k: q["index"] == k["index"] + 1 and not k["special"]),
    }


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["decoder", "cross", "cross, of given targets"])
def test_numbers_are_those_of_run_s_matrices(place: Workplace, attention: str) -> None:
    attention, _, given = attention.partition(", ")
    if given:
        pairs = ("--pair-column", "de", "--attention", attention)
        found = surveyed(place, TRANSLATOR, *pairs, of="a.tsv")
        runs = run(place, attention, "--target", TARGET)
    else:
        found, runs = surveyed(place, TRANSLATOR, "--attention", attention), run(place, attention)
    assert found["attention"] == attention == runs[0]["attention"]
    assert found["corpus"]["words"] == sum(
        not token["special"] for answer in runs for token in answer["tokens"]
    )
    for number, head in enumerate(found["heads"]):
        rows = list(rows_of(runs, number))
        for name, mean in expected(rows, attention == "cross").items():
            told = head["statistics"].get(name, {"mean": None})["mean"]
            assert told == (None if mean is None else pytest.approx(mean, abs=2e-6)), (head, name)


@pytest.mark.slow
def test_what_has_no_meaning_between_two_texts_is_not_told(
    place: Workplace, tmp_path: Path
) -> None:
    SEQ2SEQ["bart"].save(tmp_path)
    found = surveyed(place, tmp_path, "--attention", "cross")
    for what, absent in WITHIN.items():
        assert not {one["name"] for one in found[what]} & absent
        for head in found["heads"]:
            told = head["statistics"] if what == "statistics" else head["tests"]
            assert not set(told) & absent
    assert {"entropy", "spread", "first", "rest"} <= set(found["heads"][0]["statistics"])
    assert {"delimiter", "same word", "punctuation", "broad"} <= set(found["heads"][0]["tests"])


@pytest.mark.slow
def test_the_table_says_whose_attention_it_is_and_what_is_not_told(
    place: Workplace, tmp_path: Path
) -> None:
    SEQ2SEQ["t5"].save(tmp_path)
    done = place("survey", "a.txt", "-m", str(tmp_path), "--attention", "cross", "--quiet")
    told = " ".join(done.out.split())
    assert "cross-attention: the decoder's words look at the encoder's" in told
    assert "not told of cross-attention, whose queries and keys are in two texts" in told
    assert not any(word in told for word in ("distance, words", "to itself", "CoNLL-U", "W_O"))


@pytest.mark.slow
def test_a_decoder_alone_says_so(place: Workplace, tmp_path: Path) -> None:
    RECORDED["gpt2"].save(tmp_path)
    found = surveyed(place, tmp_path)
    assert found["attention"] == "decoder"
    assert {"distance", "previous_token"} <= set(found["heads"][0]["statistics"])


def seen(target: str, source: str) -> Seen:
    """One text of a corpus, and what a decoder was fed beside it."""
    tokens, keys = (tokens_of(text.split()) for text in (target, source))
    weights = np.full((1, 2, len(tokens), len(keys)), 1 / len(keys))
    return Seen(
        Document("a.txt", 0, 1, source), cross_inspection_of(tokens, keys, weights), "weights"
    )


@pytest.mark.parametrize(("target", "rows", "apart"), [("Es regnet", 2, 0), ("Er singt", 0, 2)])
def test_rows_of_two_models_are_of_the_same_words_in_both_texts(
    target: str, rows: int, apart: int
) -> None:
    one, other = Rows(2), Rows(2)
    one.add(seen("Es regnet", "It rains"))
    other.add(seen(target, "It rains"))
    found = between(one, other)
    assert (found.rows, found.apart) == (rows, apart)


def test_a_tree_is_not_of_what_a_decoder_wrote() -> None:
    words = (("The", 2, "det"), ("dog", 3, "nsubj"), ("barks", 0, "root"))
    lines = [
        f"{number}\t{word}\t_\tX\t_\t_\t{head}\t{name}\t_\t_\n".encode()
        for number, (word, head, name) in enumerate(words, start=1)
    ]
    [document] = sentences([*lines, b"\n"], "a.conllu")
    assert isinstance(document, Document)
    joined = []
    for looks in ("The dog barks", "Der Hund bellt"):
        inspection = inspection_of(tokens_of(looks.split()), np.full((1, 1, 5, 5), 0.2))
        code = Text.of(Seen(document, inspection, "weights")).code
        joined.append(int(SIEVES["syntactic"][code].sum()))
    assert joined == [4, 0]


@pytest.mark.slow
def test_two_models_say_whose_attention_is_compared(place: Workplace) -> None:
    asked = ("compare", "--untrained", "-m", str(TRANSLATOR), "--attention", "cross")
    done = place(*asked, "--corpus", "a.tsv", "--pair-column", "de", "--json")
    assert done.code == 0
    assert "target" not in done.err
    assert [done.json[side]["attention"] for side in "ab"] == ["cross", "cross"]
    assert not {one["name"] for one in done.json["statistics"]} & WITHIN["statistics"]
    assert not {one["name"] for one in done.json["roles"]} & WITHIN["roles"]
    assert done.json["distances"]["rows_apart"] == 0


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            ("survey", "a.tsv", "-m", str(TRANSLATOR), "--attention", "cross", "--target", "x"),
            "--target is one text for all, and --pair-column gives each text its own",
        ),
        (("compare", "one", "two"), "--pair-column is for --corpus FILE"),
    ],
)
def test_second_texts_that_fit_nothing(place: Workplace, asked: tuple[str, ...], told: str) -> None:
    done = place(*asked, "--pair-column", "de")
    assert (done.code, done.message[0]) == (2, f"attnviz: {told}")


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The translator, which ends each text before it begins."""
    folder = tmp_path_factory.mktemp("silent")
    shutil.copytree(TRANSLATOR, folder, dirs_exist_ok=True)
    model: Any = MarianMTModel.from_pretrained(TRANSLATOR, dtype=torch.float32)
    model.final_logits_bias[0, model.config.eos_token_id] = 1e6
    model.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_a_decoder_that_writes_nothing(place: Workplace, silent: Path) -> None:
    done = place("survey", "a.txt", "-m", str(silent), "--attention", "cross", "--quiet")
    assert done.code == 0
    told = f"the decoder wrote no word for any of {len(TEXTS)} texts"
    assert done.out.splitlines()[-1] == told
    found = surveyed(place, silent, "--attention", "decoder")
    assert (found["heads"], found["notes"], found["attention"]) == ([], [told], "decoder")
