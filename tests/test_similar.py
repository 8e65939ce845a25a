"""`attnviz similar`: the cosine of two texts is sentence-transformers' own, and a sum of pairs."""

import json
import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from conftest import ANIMAL
from process import PNG, Done, Workplace, workplace
from tiny_bert import SENTENCES, save_tiny_bert
from tiny_others import RECORDED
from transformers import AutoModel, AutoTokenizer
from written import printed, schema

import attnviz
from attnviz.inspection import Inspection
from attnviz.inspection.memory import keep
from attnviz.model import Model
from attnviz.models.find import default_tokenizer
from attnviz.show.wording import change_told

SCHEMA = schema("similar-1")
DOG = "A dog was too exhausted to walk over the road."


def valid(answer: Any, top: int | None = None) -> Any:
    parsed = json.loads(attnviz.to_json(answer, top))
    jsonschema.validate(parsed, SCHEMA)
    return parsed


def with_pooling(folder: Path, mode: str) -> str:
    """The tiny BERT, with files that say how it pools."""
    save_tiny_bert(folder)
    steps = [("", "Transformer"), ("1_Pooling", "Pooling")]
    modules = [
        {"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in steps
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode": mode}))
    return str(folder)


def fitted(answer: Any, width: int) -> str:
    """Its table, which fits."""
    shown = printed(attnviz.table(answer), width)
    assert max(map(len, shown.splitlines())) <= width
    return shown


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["word", "piece"])
def test_the_parts_sum_to_the_cosine_of_sentence_transformers(minilm: Model, unit: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers import SentenceTransformer

        theirs = SentenceTransformer(str(default_tokenizer().parent), device="cpu")
        a, b = theirs.encode([ANIMAL, DOG], show_progress_bar=False)
    found = attnviz.similar(ANIMAL, DOG, minilm, unit)
    assert found.cosine == pytest.approx(float(a @ b), abs=1e-6)
    assert found.pairs is not None
    assert float(found.pairs.parts.sum()) == pytest.approx(found.cosine, abs=1e-6)
    best = next(found.strongest(1))
    assert (best.a.text, best.b.text) == ("animal", "dog")
    assert best.part == pytest.approx(5.6 * best.even, rel=0.02)


def test_each_part_is_the_product_of_two_final_states_over_n_m(tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    texts = SENTENCES[0], SENTENCES[2]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    model = AutoModel.from_pretrained(tmp_path)
    with torch.inference_mode():
        states = [model(**tokenizer(t, return_tensors="pt")).last_hidden_state[0] for t in texts]
    a, b = (one.double().numpy() for one in states)
    lengths = np.linalg.norm(a.mean(0)) * np.linalg.norm(b.mean(0))
    expected = a @ b.T / (len(a) * len(b)) / lengths
    found = attnviz.similar(*texts, str(tmp_path), unit="piece")
    assert found.pairs is not None
    np.testing.assert_allclose(found.pairs.parts, expected, atol=1e-5 * np.abs(expected).max())
    cosines = a @ b.T / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    np.testing.assert_allclose(found.pairs.cosines, cosines, atol=1e-5)
    assert found.pooling.source is None
    words = attnviz.similar(*texts, str(tmp_path))
    assert words.pairs is not None
    starts = [context.text.word_starts for context in words.contexts]
    summed = np.add.reduceat(np.add.reduceat(expected, starts[0], 0), starts[1], 1)
    np.testing.assert_allclose(words.pairs.parts, summed, atol=1e-5 * np.abs(summed).max())
    assert valid(words)["even"] == pytest.approx(expected.mean(), rel=1e-4)


def test_without_special_tokens_the_rest_is_told(minilm: Model) -> None:
    found = attnviz.similar(ANIMAL, DOG, minilm, special=False)
    whole = attnviz.similar(ANIMAL, DOG, minilm)
    assert found.pairs is not None
    assert whole.pairs is not None
    np.testing.assert_array_equal(found.pairs.parts, whole.pairs.parts[1:-1, 1:-1])
    assert found.pairs.hidden is not None
    assert found.pairs.parts.sum() + found.pairs.hidden == pytest.approx(whole.cosine, abs=1e-6)
    assert valid(found)["hidden"] == found.pairs.hidden
    assert "Special tokens are left out: pairs with one of them give 0.172" in fitted(found, 140)


@pytest.mark.parametrize("mode", ["cls", "lasttoken"])
def test_the_state_of_one_token_is_no_sum_over_words(tmp_path: Path, mode: str) -> None:
    found = attnviz.similar(SENTENCES[0], SENTENCES[1], with_pooling(tmp_path, mode))
    assert found.pairs is None
    assert valid(found)["parts"] is None
    assert list(found.rows()) == [(*[None] * 7, found.cosine)]
    shown = fitted(found, 80)
    which = "first" if mode == "cls" else "last"
    assert f"final state of its {which} token" in " ".join(shown.split())
    with pytest.raises(attnviz.RequestError, match="no sum over pairs of words to draw"):
        attnviz.figure(found)
    each = attnviz.similar_each(SENTENCES[0], SENTENCES[1], model=str(tmp_path))
    assert len(each.heads) == 6


@pytest.mark.parametrize("mode", ["max", "mean_sqrt_len_tokens", "weightedmean"])
def test_other_poolings_are_sums_too(tmp_path: Path, mode: str) -> None:
    found = attnviz.similar(SENTENCES[0], SENTENCES[2], with_pooling(tmp_path, mode))
    assert found.pairs is not None
    assert found.pairs.parts.sum() == pytest.approx(found.cosine, abs=1e-6)
    assert valid(found)["pooling"]["modes"] == [mode]


def test_identical_texts_have_cosine_1(minilm: Model) -> None:
    found = attnviz.similar(ANIMAL, ANIMAL, minilm)
    assert found.cosine == pytest.approx(1, abs=1e-6)
    assert found.pairs is not None
    np.testing.assert_allclose(found.pairs.parts, found.pairs.parts.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(found.pairs.cosines), 1, atol=1e-6)


def test_each_head_is_ablated_in_both_texts(minilm: Model) -> None:
    each = attnviz.similar_each(ANIMAL, DOG, "mean", minilm)
    assert len(each.heads) == 72
    changes = [abs(one.change) for one in each.heads]
    assert all(a >= b - 1e-6 for a, b in pairwise(changes))
    one = each.heads[0]
    vectors = [
        minilm.ablate(minilm.tokenize(text), [one.head], "mean").ablated.mean(axis=0)
        for text in (ANIMAL, DOG)
    ]
    cosine = vectors[0] @ vectors[1] / np.prod([np.linalg.norm(vector) for vector in vectors])
    assert one.cosine == pytest.approx(float(cosine), abs=1e-5)
    assert one.change == pytest.approx(float(cosine) - each.cosine, abs=1e-5)
    assert valid(each, 3)["each"][0]["rank"] == 1
    assert "Half of the 72 heads change it by 0.00" in fitted(each, 100)
    told = [change_told(change) for change in (0.01, -0.01, 4e-5, -4e-5)]
    assert told == ["+0.0100", "−0.0100", "0.0000", "0.0000"]


@pytest.mark.parametrize("width", [20, 40, 80, 140])
@pytest.mark.parametrize("texts", [(ANIMAL, DOG), ("Hi", "Hi"), ("no " * 200, "yes " * 90)])
def test_tables_fit(minilm: Model, texts: tuple[str, str], width: int) -> None:
    shown = fitted(attnviz.similar(*texts, minilm), width)
    assert "cosine" in shown
    flat = " ".join(shown.split())
    hidden = len(texts[0]) > 500
    assert ("of 202 words of A" in flat) == hidden


def test_sums_in_the_table_are_in_the_unit_of_their_parts(minilm: Model) -> None:
    lines = fitted(attnviz.similar(ANIMAL, "dog", minilm), 80).splitlines()
    assert "numbers are multiples of 0.01" in lines
    [row] = [one.replace("▸", " ").split() for one in lines if one.startswith("animal  ")][:1]
    *parts, whole = map(float, row[1:])
    assert whole == pytest.approx(sum(parts), abs=0.6)
    last = next(one for one in lines if one.startswith("sum"))
    assert sum(map(float, last.split()[1:])) == pytest.approx(
        100 * attnviz.similar(ANIMAL, "dog", minilm).cosine, abs=1.5
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    return workplace(tmp_path_factory.mktemp("similar"), animal)


@pytest.fixture
def here(here: Callable[..., Done]) -> Callable[..., Done]:
    return partial(here, "similar")


def test_several_texts_are_put_beside_the_first(here: Callable[..., Done]) -> None:
    done = here(ANIMAL, DOG, "We sing.", "--json")
    assert (done.code, done.err) == (0, "")
    found = done.json_lines
    assert [(one["a"]["text"], one["b"]["text"]) for one in found] == [
        (ANIMAL, DOG), (ANIMAL, "We sing."),
    ]  # fmt: skip
    for one in found:
        jsonschema.validate(one, SCHEMA)
    rows = here(ANIMAL, DOG, "We sing.", "-f", "csv", "--top", "1").out.splitlines()
    assert rows[0] == "text_index,a_index,a,b_index,b,part,even,pair_cosine,cosine"
    assert [row[:2] for row in rows[1:]] == ["0,", "1,"]


def test_one_text_is_put_beside_the_last(place: Workplace, animal: Inspection, here: Any) -> None:
    place.remember(animal)
    done = here(DOG, "--json")
    assert done.code == 0
    assert f'A is the last sentence, "{ANIMAL}"' in done.err
    assert done.json["a"]["text"] == ANIMAL
    for options in ((DOG,), ()):  # the same two again, as both are remembered
        again = here(*options, "--json")
        assert again.output == done.output
    assert f'B is the second of the last comparison, "{DOG}"' in again.err
    place.remember(animal)
    place.last.with_name("B.safetensors").unlink()


def test_a_kept_text_is_put_beside_others(
    place: Workplace, animal: Inspection, here: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    place.remember(animal)
    assert here(DOG, "We sing.", "--as", "dog").code == 2
    monkeypatch.setenv("XDG_CACHE_HOME", str(place.cache))
    keep(animal, "animal")
    for options, b in (((DOG,), DOG), ((), ANIMAL), (("--from", "animal"), ANIMAL)):
        done = here("--from", "animal", *options, "--json")
        assert done.code == 0, done.err
        assert done.err.startswith(f'attnviz: A is animal, "{ANIMAL}", in minilm\n')
        assert (done.json["a"]["text"], done.json["b"]["text"]) == (ANIMAL, b)
        place.remember(animal)
    other = here("--from", "animal", DOG, "-m", "paper", "--json")
    assert f'A is animal, "{ANIMAL}", in paper instead of minilm\n' in other.err
    missing = here("--from", "animl", DOG)
    assert (missing.code, missing.out) == (2, "")
    assert "did you mean animal?" in missing.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "given"), [((ANIMAL, "-"), f"{DOG}\nHi.\n"), ((), f"{ANIMAL}\n{DOG}\nHi.\n")]
)
def test_texts_come_on_standard_input(
    place: Workplace, options: tuple[str, ...], given: str
) -> None:
    done = place("similar", *options, "--json", given=given.encode())
    assert (done.code, done.err) == (0, "")
    assert [(one["a"]["text"], one["b"]["text"]) for one in done.json_lines] == [
        (ANIMAL, DOG), (ANIMAL, "Hi."),
    ]  # fmt: skip


def test_a_picture_of_two_texts(here: Callable[..., Done], place: Workplace) -> None:
    done = here(ANIMAL, DOG, "-o", "two.png", "--force")
    assert (done.code, done.out) == (0, "two.png\n")
    assert (place.folder / "two.png").read_bytes().startswith(PNG)
    refused = here(ANIMAL, DOG, "Hi.", "-o", "two.png")
    assert refused.code == 2
    assert "names one picture" in refused.err
    named = here(ANIMAL, DOG, "-f", "svg")
    assert named.out.startswith("attnviz-minilm-similar-")


def test_what_is_assumed_or_cut_is_told(here: Callable[..., Done], tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    done = here(SENTENCES[0], SENTENCES[1], "-m", str(tmp_path), "--json")
    assert done.err.count("mean pooling is assumed") == 1
    long = "no " * 300
    done = here(long, DOG, "--json")
    assert "sentence 1: sentence-transformers reads the first 256 pieces" in done.err
    assert here(long * 2, DOG).code == 2
    cut = here(long * 2, DOG, "--truncate", "--json")
    assert "cut to 512 of 602 tokens" in cut.err
    assert len(cut.json["a"]["tokens"]) == 512


def test_one_text_is_not_enough(here: Callable[..., Done], place: Workplace) -> None:
    place.last.unlink(missing_ok=True)
    for options in ((DOG,), ()):
        done = here(*options)
        assert done.code == 2
        assert "similar looks at two texts" in done.err


def test_texts_are_compared_in_models_of_others(here: Callable[..., Done], tmp_path: Path) -> None:
    RECORDED["llama"].save(tmp_path)
    texts = (SENTENCES[0], SENTENCES[1], "-m", str(tmp_path))
    done = here(*texts, "--json")
    assert (done.code, done.json["model"]["family"]) == (0, "llama")
    each = here(*texts, "--each", "--json")
    assert len(each.json["each"]) == 12


def test_a_model_keeps_its_name_in_the_picture(tmp_path: Path) -> None:
    folder = tmp_path / "with-hyphens"
    folder.mkdir()
    save_tiny_bert(folder)
    figure: Any = attnviz.figure(attnviz.similar("the dog", "a cat.", str(folder)))
    assert "with-hyphens · cosine" in figure._suptitle.get_text()
