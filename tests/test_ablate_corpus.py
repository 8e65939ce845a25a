"""`ablate --tsv`: which heads help, which hurt, and which do not matter, over many sentences."""

import csv
import io
from collections.abc import Callable
from functools import partial

import jsonschema
import numpy as np
import pytest
from ablated import HEADS, summed
from process import PNG, Done, Workplace, workplace
from scipy.stats import ttest_1samp
from tiny_bert import save_tiny_bert
from transformers import BertForMaskedLM
from written import schema

from attnviz.answers.effects import verdict_of
from attnviz.corpus.ablating import AblationTally
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.inspection.ablated import Ablating
from attnviz.show.figure.effects import bar
from attnviz.show.figure.patch import _bar

SCHEMA = schema("ablate-corpus-1")
ROWS = [
    ("the [MASK] sat", "dog", "cat"),
    ("the [MASK] ran", "cat", "dog"),
    ("a [MASK] sat on the mat", "e", "dog"),
    ("the big [MASK]", "f", "cat"),
    ("it was a [MASK]", "e", "dog"),
    ("the cat sat on the [MASK]", "mat", "dog"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    place = workplace(tmp_path_factory.mktemp("many"), animal)
    save_tiny_bert(place.folder / "masked", kind=BertForMaskedLM)
    lines = ["text\tlabel\tagainst", *map("\t".join, ROWS)]
    (place.folder / "rows.tsv").write_text("\n".join(lines))
    return place


@pytest.fixture
def here(here: Callable[..., Done]) -> Callable[..., Done]:
    return partial(here, "ablate", "-m", "masked")


def test_verdicts() -> None:
    noise = np.random.default_rng(3).standard_normal((12, 4))
    changes = 0.02 * noise + [-0.2, 0.1, 0.0, 0.012]
    found = summed(changes, right=np.arange(48).reshape(12, 4) % 2 == 0)
    verdicts = {str(one.head): one.verdict for one in found.heads}
    assert verdicts == {
        "L0H0": "helps", "L0H1": "hurts", "L1H0": "does not matter", "L1H1": "does not matter",
    }  # fmt: skip
    assert [str(one.head) for one in found.heads[:2]] == ["L0H0", "L0H1"]
    p = ttest_1samp(changes, 0).pvalue
    corrected = np.maximum.accumulate(np.sort(p) * [4, 3, 2, 1])
    assert sorted(one.p or 0 for one in found.heads) == pytest.approx(np.minimum(corrected, 1))
    for one in found.heads:
        place = HEADS.index(one.head)
        assert one.change.mean == pytest.approx(changes[:, place].mean())
        assert one.change.low is not None
        assert one.change.high is not None
        assert one.change.low < (one.change.mean or 0) < one.change.high
        assert one.accuracy == (1.0, float(place % 2 == 0))
    jsonschema.validate(found.data(), SCHEMA)
    assert (found.sentences, found.labelled, found.left_out) == (12, 12, 2)


def test_changes_that_are_one_number() -> None:
    found = summed(np.tile([-0.1, 0.1, 0.0, 1e-9], (6, 1)))
    verdicts = [one.verdict for one in sorted(found.heads, key=lambda one: one.head)]
    assert verdicts == ["helps", "hurts", "does not matter", "does not matter"]
    assert all(one.accuracy is None for one in found.heads)


def test_a_change_that_is_sure_and_tiny_does_not_matter() -> None:
    found = summed(np.tile([-0.0009, 0.0009, -0.0011, 0.0], (6, 1)))
    verdicts = [one.verdict for one in sorted(found.heads, key=lambda one: one.head)]
    assert verdicts == ["does not matter", "does not matter", "helps", "does not matter"]
    assert verdict_of(0.5, -0.0009) == "does not matter"
    assert verdict_of(0.01, -0.0009) == "helps"  # a tenth of what there was


def test_a_bar_shows_that_its_interval_holds_0() -> None:
    assert bar("L0H0", -0.06, (), (-0.14, 0.02)).interval == (-0.02, 0.14)
    assert bar("L0H1", 0.06, (), (-0.02, 0.14)).interval == (-0.02, 0.14)
    assert bar("L1H0", -0.06, (), (-0.08, -0.04)).interval == (0.04, 0.08)
    assert _bar("L1H1", -0.06, (), interval=(-0.08, -0.04)).interval == (0.04, 0.08)


def test_states_read_no_labels(here: Callable[..., Done]) -> None:
    done = here("--tsv", "rows.tsv", "--head", "1.1", "--outcome", "states", "--json")
    assert (done.code, done.json["sentences"], done.json["labelled"]) == (0, 6, 0)
    assert "no label is read" in done.err


def test_few_sentences_have_no_verdict() -> None:
    found = summed(np.tile([-0.1, 0.1, 0.0, 0.0], (5, 1)))
    assert {(one.verdict, one.p, one.change.low) for one in found.heads} == {(None, None, None)}
    assert found.data()["intervals"] is None
    jsonschema.validate(found.data(), SCHEMA)
    with pytest.raises(RequestError, match="no sentence was there"):
        AblationTally([], Ablating()).summary()


def test_the_mean_is_that_of_single_sentences(here: Callable[..., Done]) -> None:
    done = here("--tsv", "rows.tsv", "--each", "--json").json
    jsonschema.validate(done, SCHEMA)
    single: dict[tuple[int, int], list[float]] = {}
    right, before = [], []
    for text, of, against in ROWS:
        one = here(text, "--each", "--of", of, "--against", against, "--json").json
        before.append(one["before"])
        right.append(one["best"] == of)
        for each in one["each"]:
            single.setdefault((each["layer"], each["head"]), []).append(each["change"])
    assert done["before"] == pytest.approx(np.mean(before), abs=1e-6)
    assert (done["sentences"], done["labelled"], done["left_out"]) == (6, 6, 0)
    assert done["outcome"] == {**done["outcome"], "name": "mask", "of": None}
    for head in done["heads"]:
        changes = single[head["layer"], head["head"]]
        assert head["change"]["mean"] == pytest.approx(np.mean(changes), abs=1e-6)
        assert head["accuracy"]["before"] == pytest.approx(np.mean(right))
    sizes = [abs(head["change"]["mean"]) for head in done["heads"]]
    assert sizes == sorted(sizes, reverse=True)


def test_a_layer_together(here: Callable[..., Done]) -> None:
    done = here("--tsv", "rows.tsv", "--layer", "1", "--json").json
    jsonschema.validate(done, SCHEMA)
    [one] = done["heads"]
    assert (one["layer"], one["head"], len(one["together"])) == (1, None, 3)
    assert "the mean change if L1 (all 3 heads) is set to zero" in here(
        "--tsv", "rows.tsv", "--layer", "1"
    ).out  # fmt: skip


def test_forms(here: Callable[..., Done], place: Workplace) -> None:
    table = here("--tsv", "rows.tsv", "--each").out
    assert "6 sentences, 6 labelled" in table
    assert "corrected for the number" in table
    rows = list(csv.DictReader(io.StringIO(here("--tsv", "rows.tsv", "--each", "-f", "csv").out)))
    assert (len(rows), rows[0]["rank"], rows[0]["sentences"]) == (6, "1", "6")
    for _ in range(2):  # it knows its own files
        assert here("--tsv", "rows.tsv", "--each", "-o", "many.csv").code == 0
    drawn = here("--tsv", "rows.tsv", "--each", "-o", "many.png")
    assert (drawn.code, (place.folder / "many.png").read_bytes()[:4]) == (0, PNG)


def test_plain_sentences(here: Callable[..., Done], place: Workplace) -> None:
    """One a line, as a real process, with one that has no mask."""
    (place.folder / "lines.txt").write_text("the [MASK] sat\nno mask\n\na [MASK]\n")
    asked = "ablate", "-m", "masked", "--tsv", "lines.txt", "--each", "--json"
    done = place(*asked)
    assert done.code == 2
    assert "lines.txt:2: what is measured of it is states, and mask" in done.err
    parsed = done.json
    jsonschema.validate(parsed, SCHEMA)
    assert (parsed["sentences"], parsed["left_out"], parsed["labelled"]) == (2, 1, 0)
    assert parsed["heads"][0]["accuracy"] is None
    piped = place(*asked[:4], "-", "--outcome", "states", "--each", "--json", given=b"a dog\n")
    assert (piped.code, piped.json["outcome"]["name"]) == (0, "states")
    assert {head["verdict"] for head in piped.json["heads"]} == {None}


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ("sentence_\tlabel\na [MASK]\tdog\n", (), "there is no column text"),
        ("text\tlabel\na [MASK]\tunlikely\n", (), '"unlikely" is 8 tokens'),
        ("text\tlabel\na dog\tdog\n", (), "the label is of what a head says"),
        ("", (), "there is no text in it"),
        ("a [MASK]\n", ("the cat",), "--tsv brings sentences with it, and TEXT came"),
        ("a [MASK]\n", ("--save", "x"), "and --save came"),
        ("a [MASK]\n", ("-f", "npz"), "-f npz"),
    ],
)
def test_what_is_refused(
    here: Callable[..., Done],
    place: Workplace,
    rows: str,
    options: tuple[str, ...],
    message: str,
) -> None:
    (place.folder / "wrong.tsv").write_text(rows)
    done = here(*options, "--tsv", "wrong.tsv", "--each")
    assert (done.code, done.out) == (2, "")
    assert message in done.err
