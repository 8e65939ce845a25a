"""`ablate` with other edits: what is replaced, in which rows, and with what."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from process import Done, Workplace, workplace
from written import schema

from attnviz.attention.edits import Edit, Given, What, numbers_of
from attnviz.corpus.means import corpus_means
from attnviz.corpus.reading import Files
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection
from attnviz.inspection.ablated import Ablating
from attnviz.model import Model

SCHEMA = schema("ablate-1")
TEXTS = ["A dog ran home.", "Nobody knew why the cat sat down.", "It rained."]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    place = workplace(tmp_path_factory.mktemp("edits"), animal)
    (place.folder / "animal").write_bytes(place.last.read_bytes())
    (place.folder / "texts.txt").write_text("\n".join(TEXTS))
    return place


@pytest.fixture
def here(here: Callable[..., Done]) -> Callable[..., Done]:
    return partial(here, "ablate", "--load", "animal", "--quiet")


@pytest.mark.parametrize("what", ["z", "k"])
def test_means_over_texts(minilm: Model, animal: Inspection, tmp_path: Path, what: What) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    means, problems = corpus_means(minilm, Files([str(tmp_path / "texts.txt")]), what)
    assert problems == []
    rows = [
        numbers_of(minilm.inspect(text).layer(3), 3, 1, what).astype(np.float64) for text in TEXTS
    ]
    expected = np.concatenate(rows).mean(axis=0)
    assert means.pieces == sum(map(len, rows))
    np.testing.assert_allclose(means.values[3][1], expected, atol=1e-5)
    run = minilm.ablate(animal, [HeadId(3, 1)], Ablating("mean", what, corpus=means))
    given = Given(expected[None].astype(np.float32))
    direct = minilm.run_with(animal, [Edit(3, 1, what, source=given)])
    np.testing.assert_allclose(run.ablated, direct.states, atol=1e-5)


def test_means_of_nothing(minilm: Model, tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(RequestError, match="no text could be read"):
        corpus_means(minilm, Files([str(tmp_path / "none.txt")]), "z")


def test_what_is_replaced(here: Callable[..., Done]) -> None:
    asked = "--head", "5.11", "--query", "it", "--json"
    each = [here(*asked, "--what", what).json for what in ("z", "q", "k", "v", "weights")]
    for one in each:
        jsonschema.validate(one, SCHEMA)
    z, q, k, v, weights = (one["moved"][0]["distance"] for one in each)
    assert z == pytest.approx(0.106, abs=1e-3)
    assert (v, weights) == (pytest.approx(z, abs=1e-5), pytest.approx(z, abs=1e-5))
    assert q == pytest.approx(k, abs=1e-5)  # either makes attention even
    assert q != pytest.approx(z, abs=1e-5)
    assert [one["edit"]["what"] for one in each] == ["z", "q", "k", "v", "weights"]


def test_rows(here: Callable[..., Done]) -> None:
    """In the last layer a query's z changes that query's state alone."""
    done = here("--head", "5.11", "--rows", "it", "--rows", "the street", "--json").json
    jsonschema.validate(done, SCHEMA)
    words = [row["text"] for row in done["edit"]["rows"]]
    assert words == ["it", "the", "street"]
    moved = {one["text"] for one in done["moved"] if one["distance"] > 1e-6}
    assert moved == set(words)
    table = here("--head", "5.11", "--rows", "it").out
    assert 'L5H11  z of "it" alone set to zero: how far each word moves' in table
    assert 'there is no "dog"' in here("--head", "5.11", "--rows", "dog").err


def test_noise_has_a_seed(here: Callable[..., Done]) -> None:
    asked = "--head", "5.11", "--with", "noise", "--json"
    one, same, other = (here(*asked, *more).json for more in ((), (), ("--seed", "3")))
    jsonschema.validate(other, SCHEMA)
    assert one == same
    assert (one["edit"]["seed"], other["edit"]["seed"]) == (0, 3)
    assert one["moved"] != other["moved"]
    assert "set to noise of seed 3" in here("--each", "--with", "noise", "--seed", "3").out


def test_the_mean_over_texts(here: Callable[..., Done]) -> None:
    done = here("--head", "5.11", "--mean-of", "texts.txt", "--json").json
    jsonschema.validate(done, SCHEMA)
    assert (done["with"], done["edit"]["mean_of"]) == ("mean", ["texts.txt"])
    within = here("--head", "5.11", "--with", "mean", "--json").json
    assert done["moved"] != within["moved"]
    table = here("--each", "--mean-of", "texts.txt", "--query", "it").out
    assert "how far it moves if one head is set to its mean over texts.txt" in table


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mean-of", "texts.txt", "--with", "mean"], "--with mean came beside it"),
        (["--mean-of", "texts.txt", "--what", "weights"], "rows of weights have no mean"),
        (["--mean-of", "none.txt"], "none.txt"),
        (["--what", "o"], "--what"),
        (["--with", "noise", "--seed", "-1"], "seed is -1"),
        (["--seed", "3"], "leave out TEXT, --pair and the options of the model"),
    ],
)
def test_what_is_refused(here: Callable[..., Done], options: list[str], message: str) -> None:
    done = here("--head", "3.1", *options)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
