"""`compare --models A B --corpus FILE`: heads matched, roles gained and lost, numbers by hand."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from process import Done, Workplace, workplace
from rich.console import Console

import attnviz
from attnviz.answers.answer import Answer
from attnviz.answers.bootstrap import covered
from attnviz.answers.survey_comparison import BetweenHeads, SurveyComparison
from attnviz.corpus.comparing import ComparingWork, Side, comparison
from attnviz.corpus.document import Document
from attnviz.corpus.fold import fold
from attnviz.corpus.resampling import times_of
from attnviz.corpus.survey import SurveyWork
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model, load_model
from attnviz.show import forms

ROOT = Path(__file__).parent.parent
SENTENCES = (ROOT / "samples" / "pronouns.tsv").read_text(encoding="utf-8").splitlines()[1:]
TEXTS = [line.split("\t")[0] for line in SENTENCES[:12]]
DOCUMENTS = [Document("some.txt", at, at + 1, text) for at, text in enumerate(TEXTS)]
WORK = ComparingWork(SurveyWork(distances=False))


def side(model: Model, documents: list[Document] = DOCUMENTS) -> Side:
    return Side.of(WORK, fold(WORK, documents, model), model.facts, ["some.txt"])


@pytest.fixture(scope="module")
def trained(minilm: Model) -> Side:
    return side(minilm)


@pytest.fixture(scope="module")
def untrained() -> Side:
    return side(load_model("minilm", untrained=True))


@pytest.fixture(scope="module")
def found(trained: Side, untrained: Side) -> SurveyComparison:
    return comparison(WORK, trained, untrained)


def in_cls(model: Model, head: HeadId) -> list[tuple[float, int]]:
    """What a head gives [CLS] in each text, over its words, and how many words there are."""
    views = [model.inspect(text).view() for text in TEXTS]
    rows = [view.weights(*head)[1:-1, 0] for view in views]
    return [(float(own.sum()), len(own)) for own in rows]


def test_the_change_of_a_share_has_the_interval_of_paired_resamples(
    minilm: Model, found: SurveyComparison
) -> None:
    """Both models draw the same documents: worked out from each text's own sums."""
    head = HeadId(3, 1)
    [partners] = [one for one in found.heads if one.a == head]
    [change] = [one for one in partners.changes if (one.kind, one.name) == ("statistic", "cls")]
    a, b = (
        np.array(in_cls(model, head)) for model in (minilm, load_model("minilm", untrained=True))
    )
    times = np.stack([times_of(document.key) for document in DOCUMENTS], axis=1)
    shares = [(times @ own[:, 0]) / (times @ own[:, 1]) for own in (a, b)]
    low, high = covered(shares[1] - shares[0], len(DOCUMENTS))
    assert change.a == pytest.approx(a[:, 0].sum() / a[:, 1].sum(), abs=1e-5)
    assert change.b == pytest.approx(b[:, 0].sum() / b[:, 1].sum(), abs=1e-5)
    assert change.low == pytest.approx(low, abs=1e-5)
    assert change.high == pytest.approx(high, abs=1e-5)
    assert change.clear


def test_a_role_is_gained_or_lost_if_one_model_alone_passes_its_test(
    found: SurveyComparison, trained: Side, untrained: Side
) -> None:
    lost = gained = 0
    for head in found.heads:
        a, b = (
            {name for name, test in own.tests.items() if test["passed"]}
            for own in (trained.heads[head.a], untrained.heads[head.b])
        )
        assert (set(head.lost), set(head.gained)) == (a - b, b - a)
        lost, gained = lost + len(a - b), gained + len(b - a)
    assert sum(one.lost for one in found.counts) == lost > 0
    assert sum(one.gained for one in found.counts) == gained > 0
    [broad] = [one for one in found.counts if one.name == "broad"]
    assert broad.b == 72 > broad.a


def test_a_model_beside_itself_changes_nothing(trained: Side) -> None:
    found = comparison(WORK, trained, trained)
    assert (found.by, found.own_nearest) == ("number", 72)
    assert not any(head.gained or head.lost for head in found.heads)
    changes = [one for head in found.heads for one in head.changes]
    assert {one.change for one in changes} <= {0.0, None}
    assert not any(one.clear for one in changes)
    assert [head.a for head in found.heads] == list(found.heads_a)  # all equal: in their order


def test_models_of_other_shapes_match_what_is_nearest_both_ways(trained: Side) -> None:
    other = side(load_model("paper", num_layers=2, num_heads=4, d_model=32, d_ff=64))
    found = comparison(WORK, trained, other)
    between = found.between
    assert between is not None
    assert (found.by, between.matrix.shape) == ("nearest", (72, 8))
    for head in found.heads:
        a, b = found.heads_a.index(head.a), found.heads_b.index(head.b)
        assert between.matrix[a].min() == between.matrix[:, b].min() == head.distance
    assert len({head.a for head in found.heads}) == len({head.b for head in found.heads})
    rows, columns = between.assigned
    assert sorted(columns.tolist()) == list(range(8))
    best = between.matrix[rows, columns].sum()
    for seed in range(20):
        others = np.random.default_rng(seed).choice(72, 8, replace=False)
        assert between.matrix[others, range(8)].sum() >= best
    [chosen] = comparison(WORK, trained, other, [HeadId(5, 11)]).heads
    assert chosen.a == HeadId(5, 11)
    assert chosen.distance == between.matrix[-1].min()


def test_nearest_heads_are_mutual_or_not() -> None:
    matrix = np.array([[0.1, 0.5], [0.05, 0.6], [0.9, 0.2]])
    between = BetweenHeads(matrix, 1, 0, np.array([[1, 2], [0, 1]]))
    assert between.nearest == ([0, 0, 1], [1, 2])
    assert between.mutual == [(1, 0), (2, 1)]


def test_its_json_follows_the_schema(found: SurveyComparison, minilm: Model) -> None:
    schema = json.loads((ROOT / "docs/schema/survey-comparison-1.schema.json").read_text())
    three = side(minilm, DOCUMENTS[:3])
    few = comparison(WORK, three, three)
    for answer in (found, few):
        read = json.loads(attnviz.to_json(answer))
        jsonschema.validate(read, schema)
    assert read["intervals"] is None
    whole = json.loads(attnviz.to_json(found))
    assert len(json.loads(attnviz.to_json(found, top=2))["heads"]) == 2
    assert len(whole["distances"]["nearest"]) == len(whole["distances"]["assigned"]) == 72
    row, *_ = attnviz.to_rows(found, top=1)
    assert list(row) == list(found.columns)
    assert {one["verdict"] for one in attnviz.to_rows(found)} == {None, "gained", "lost"}


def test_the_picture_and_the_table(found: SurveyComparison) -> None:
    assert shown(found, 80)[:2] == [
        "A  minilm: 6 layers × 12 heads, d_model 384, d_k 32, d_ff 1536",
        "B  minilm: 6 layers × 12 heads, d_model 384, d_k 32, d_ff 1536, UNTRAINED (seed",
    ]
    assert any(line.startswith("broad") and line.split()[2] == "72" for line in shown(found, 80))
    map_of_heads, _, bars = forms.figure(found).axes
    assert (map_of_heads.get_xlabel(), map_of_heads.get_ylabel()) == ("B: layer", "A: layer")
    assert [text.get_text() for text in bars.get_yticklabels()][-1] == "broad"


def shown(answer: Answer, width: int) -> list[str]:
    console = Console(width=width, record=True, file=StringIO())
    console.print(forms.table(answer))
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    place = workplace(tmp_path_factory.mktemp("corpus"), animal)
    (place.folder / "some.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    (place.folder / "nothing.txt").write_text("", encoding="utf-8")
    return place


def test_a_model_before_and_after_training(here: Callable[..., Done]) -> None:
    done = here("compare", "--untrained", "--corpus", "some.txt", "--top", "1", "--json")
    assert (done.code, done.err) == (0, "")
    read = json.loads(done.out)
    assert (read["a"]["model"]["trained"], read["b"]["model"]["trained"]) == (True, False)
    assert read["a"]["corpus"]["documents"] == read["b"]["corpus"]["documents"] == 12


def test_what_was_done_is_kept_for_both_models(here: Callable[..., Done]) -> None:
    command = ("compare", "--untrained", "--corpus", "some.txt", "--top", "1", "--json")
    assert here(*command, "--limit", "5", "--resume", "kept").code == 0
    done = here(*command, "--resume", "kept")
    assert (done.code, done.err) == (0, "attnviz: going on after 5 documents\n" * 2)
    read, whole = json.loads(done.out), here(*command).json
    assert read["b"]["corpus"]["documents"] == 12
    assert read["roles"] == whole["roles"]
    [one], [other] = read["heads"], whole["heads"]
    assert one["distance"] == pytest.approx(other["distance"], abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--corpus some.txt", "--corpus compares what two models do over texts, and no --models"),
        ("--models minilm paper --untrained --corpus some.txt", "--models and --untrained both"),
        ("--models minilm paper Text. --corpus some.txt", "and TEXT came beside it: 'Text.'"),
        ("--untrained --corpus absent.txt", "absent.txt"),
        ("--untrained --corpus nothing.txt", "no document could be read"),
        ("--untrained --corpus some.txt --query it", "--query is for one sentence, and --corpus"),
        ("--untrained --corpus some.txt --measure flow", "--measure flow is for one sentence"),
        ("--untrained --column text", "--column is for --corpus FILE"),
        ("--untrained --resume kept", "--resume is for --corpus FILE"),
        ("--untrained --corpus some.txt --head L9H9", "there is no layer 9"),
        ("--untrained --corpus some.txt -f npz", "comes as table, json"),
    ],
)
def test_what_does_not_go(here: Callable[..., Done], arguments: str, message: str) -> None:
    done = here("compare", *arguments.split())
    assert (done.code, done.out) == (2, "")
    assert message in done.err
