"""`attnviz probe --conllu`: the command, its data and its table, and --fail-if."""

import csv
import io
import json
import re
import signal
from pathlib import Path

import jsonschema
import pytest
from probes import found, some
from process import Workplace, at_a_prompt, workplace
from rich.console import Console
from test_cli_survey import TINY, until_kept
from treebank import SMALL, conllu
from written import schema

import attnviz
from attnviz.answers.conditions import Condition, judged
from attnviz.answers.corpus import Estimate
from attnviz.answers.probe import BASELINES, INFORMED, HeldOut, Probe, Relation
from attnviz.errors import RequestError
from attnviz.inspection import Inspection

SCHEMA = schema("probe-1")
TREEBANK = conllu(*SMALL * 3)
NAMED = ["offset", "same_key", "nearest", "nearest_pos", "first", "random"]
BROKEN = "1\tA\t_\tX\t_\t_\t7\tdet\t_\t_\n"


@pytest.fixture(scope="module")
def probe() -> Probe:
    return found(some(5))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    place = workplace(tmp_path_factory.mktemp("probe"), animal)
    (place.folder / "a.conllu").write_text(TREEBANK)
    (place.folder / "broken.conllu").write_text(f"{BROKEN}\n{TREEBANK}")
    return place


def shown(probe: Probe, width: int, top: int | None = None) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as captured:
        console.print(attnviz.table(probe, top))
    return captured.get().splitlines()


def test_data_have_their_schema(probe: Probe) -> None:
    for top in (None, 1):
        data = json.loads(attnviz.to_json(probe, top))
        jsonschema.validate(data, SCHEMA)
        heads = {len(one["heads"]) for one in data["relations"]}
        assert heads == {12 if top is None else 1}
    assert data["tried"] == {"heads": 6, "directions": 2}
    for relation in data["relations"]:
        assert [name for name in BASELINES if name in relation["baselines"]] == NAMED
        assert relation["heads"][0]["accuracy"] == relation["best"]["accuracy"]
        assert relation["direction"] == relation["best"]["direction"]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_table_has_a_line_a_relation(probe: Probe, width: int) -> None:
    lines = shown(probe, width)
    assert max(map(len, lines)) <= width
    for relation in probe.relations:
        (line,) = (one for one in lines if one[2:].startswith(f"{relation.name} "))
        assert str(relation.best.head) in line
    titles = next(line for line in lines if "found" in line)
    assert ("offset" in titles, "random" in titles) == (width >= 80, width == 140)


def test_more_heads_of_each_relation(probe: Probe) -> None:
    assert len(shown(probe, 140, 3)) == len(shown(probe, 140)) + 2 * len(probe.relations)


def of(probe: Probe, name: str = "nsubj") -> Relation:
    relation = probe.relation(name)
    assert relation is not None
    return relation


def held(probe: Probe) -> HeldOut:
    """What held-out heads find of nsubj."""
    found = of(probe).held_out
    assert found is not None
    return found


def mean(estimate: Estimate) -> float:
    assert estimate.mean is not None
    return estimate.mean


def baseline(probe: Probe, name: str) -> float:
    return mean(of(probe).asked.baselines[name].accuracy)


def test_conditions(probe: Probe) -> None:
    found = mean(of(probe).accuracy)
    other = next(one for one in of(probe).directions if one.name == "head->dependent")
    values = {
        "nsubj<0.5": (found, 0.5),
        "nsubj accuracy >= 50%": (found, 0.5),
        "  nsubj   held_out < .5 ": (mean(held(probe).accuracy), 0.5),
        "nsubj margin <= -0.25": (mean(held(probe).margin), -0.25),
        '"nsubj" < 1': (found, 1),
        "nsubj - same_key < 0": (found - baseline(probe, "same_key"), 0),
        "nsubj held_out - offset > 0": (
            mean(held(probe).accuracy) - baseline(probe, "offset"), 0
        ),
        "nsubj head->dependent < 0.1": (float(other.accuracy.max()), 0.1),
    }  # fmt: skip
    for text, (value, number) in values.items():
        condition = Condition.parse(text)
        assert (condition.value(probe), condition.number) == pytest.approx((value, number)), text


def test_one_sentence_has_no_held_out_half() -> None:
    condition = Condition.parse("nsubj held_out < 0.5")
    with pytest.raises(RequestError, match=r"nsubj has no such number here \(give more sentences"):
        condition.holds(found(some(1, count=6)[:1]))


def test_a_condition_holds_or_not(probe: Probe) -> None:
    exact = mean(of(probe).accuracy)
    texts = [f"nsubj {sign} {exact!r}" for sign in ("<", "<=", ">", ">=")] + ["nobody < 1"]
    assert judged(probe, list(map(Condition.parse, texts))).failed == (texts[1], texts[3])


@pytest.mark.parametrize(
    "text",
    ["", "nsubj", "nsubj 0.5", "< 0.5", "nsubj < ", "nsubj < x", "nsubj < 0.5 < 1", "nsubj < 1e",
     "nsubj == 0.5", "nsubj = 0.5", "nsubj =< 0.5",
     '"nsubj < 0.5', "nsubj < nan", "nsubj < 0.5 %%"],
)  # fmt: skip
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(RequestError, match="is not a condition"):
        Condition.parse(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nsubj - nothing < 0.5", "names no baseline"),
        ("nsubj < 50", "compares a share, at most 1, with 50 .write 0.5 or 50%"),
        ("nsubj margin > -101%", "compares a share, at most 1, with -101%"),
        ("nsubj margin - offset < 0.5", "takes a baseline from margin"),
        ("nsubj head->dependent held_out < 0.5", "names a direction, and held_out chooses it"),
    ],
)
def test_conditions_that_contradict_themselves(text: str, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        Condition.parse(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nsub < 0.5", r"there is no nsub .* \(did you mean nsubj\? there are "),
        ("aux:pass < 0.5", r"there is no aux:pass .* \(did you mean aux\?"),
        ("aux heldout < 0.5", r"there is no aux heldout .* \(did you mean aux\?"),
        ("nsubj a->b < 0.5", r"names no direction of nsubj \(there are "),
    ],
)
def test_conditions_on_what_is_not_there(probe: Probe, text: str, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        Condition.parse(text).holds(probe)


def test_the_command_counts_and_fails_where_it_should(place: Workplace) -> None:
    """Exit 3 if a condition holds, and the results are written; stderr says which."""
    asked = ("probe", "--conllu", "a.conllu", "--fail-if", "det >= 0", "--fail-if", "nsubj > 1")
    done = place(*asked, "-o", "a.json")
    assert done.code == 3
    assert re.fullmatch(r"attnviz: det >= 0 holds: accuracy is [01]\.\d{3}\n", done.err)
    data = json.loads((place.folder / "a.json").read_text())
    jsonschema.validate(data, SCHEMA)
    assert data["failed"] == ["det >= 0"]
    assert (data["kind"], data["corpus"]["documents"]) == ("conllu", len(SMALL) * 3)
    assert data["tried"] == {"heads": 72, "directions": 2}
    counts = {one["name"]: one["count"] for one in data["relations"]}
    assert (counts["det"], counts["nsubj"], counts["aux"]) == (18, 18, 6)  # aux:pass is aux
    assert "punct" not in counts
    assert "root" not in counts


def test_an_unknown_relation_is_told_after_the_results(place: Workplace) -> None:
    done = place("probe", "--conllu", "a.conllu", "--fail-if", "nsub < 0.5", "-f", "csv")
    assert done.code == 2
    assert "there is no nsub of --fail-if 'nsub < 0.5'" in done.err
    rows = list(csv.reader(io.StringIO(done.out)))
    assert tuple(rows[0]) == Probe.columns
    assert len(rows) == 1 + 144 * len({row[0] for row in rows[1:]})


def test_broken_sentences_are_told_and_the_rest_is_counted(place: Workplace) -> None:
    done = place("probe", "--conllu", "broken.conllu", "--json")
    assert done.code == 0
    assert done.err == ("attnviz: broken.conllu:1: the head is word 7, and the last word is 1\n")
    assert done.json["corpus"]["left_out"] == 1
    assert done.json["corpus"]["documents"] == len(SMALL) * 3


def test_words_that_a_tokenizer_does_not_see(place: Workplace) -> None:
    (place.folder / "lost.conllu").write_text(
        conllu("Dogs/NOUN/2/nsubj \u200b/VERB/0/root") + TREEBANK
    )
    done = place("probe", "--conllu", "lost.conllu", "--json")
    assert done.code == 0
    assert "lost.conllu:1: the model's tokenizer leaves nothing of 1 of its 2 words" in done.err
    assert done.json["corpus"]["left_out"] == 1


def test_a_sentence_that_is_too_long_for_the_model(place: Workplace) -> None:
    """Its tree needs all words: it is left out, and nobody is told to cut it."""
    long = "never/ADV/600/advmod " * 599 + "ends/VERB/0/root"
    (place.folder / "long.conllu").write_text(conllu(long) + TREEBANK)
    done = place("probe", "--conllu", "long.conllu", "--json")
    told = "the sentence is 602 tokens long, and the model takes at most 512"
    assert (done.code, done.err) == (0, f"attnviz: long.conllu:1: {told}\n")
    assert done.json["corpus"]["left_out"] == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "probe takes one of --conllu, --coref, --align and --links, and none of them came"),
        (("--conllu", "a.conllu", "--links", "b.tsv"), "and --conllu and --links came"),
        (("--conllu", "none.conllu"), "there is no file none.conllu"),
        (("--conllu", "a.conllu", "--fail-if", "nsubj"), "is not a condition"),
        (("--conllu", "empty.conllu"), "no document could be read"),
        (("--conllu", "a.conllu", "-f", "npz"), "-f npz asks for"),
    ],
)
def test_what_is_asked_wrongly(place: Workplace, arguments: tuple[str, ...], told: str) -> None:
    (place.folder / "empty.conllu").touch()
    done = place("probe", *arguments)
    assert done.code == 2
    assert told in done.err
    assert done.out == ""


def test_a_margin_is_over_the_best_baseline_of_the_heads_that_were_chosen() -> None:
    treebank = Path(__file__).parents[1] / "samples" / "treebank.conllu"
    tried = 0
    for relation in attnviz.probe(conllu=str(treebank)).relations:
        held = relation.held_out
        if held is None or any(trial != relation.best for trial, _ in held.trials):
            continue
        own = relation.asked.baselines
        best = max(own[name].accuracy.mean or 0 for name in own if name not in INFORMED)
        assert held.margin.mean == pytest.approx((held.accuracy.mean or 0) - best)
        tried += 1
    assert tried >= 3


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_work_goes_on(place: Workplace, number: signal.Signals) -> None:
    """All is counts: what was interrupted and resumed is exactly what runs through."""
    (place.folder / "many.conllu").write_text(conllu(*SMALL * 500))
    kept = f"kept{number}"
    command = ("probe", "--conllu", "many.conllu", "--json", *TINY)
    with place.start(*command, "--resume", kept, before=at_a_prompt) as process:
        until_kept(place.folder / kept, process)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    code = 130 if number == signal.SIGINT else -signal.SIGKILL
    assert (process.returncode, output) == (code, b"")
    assert errors.startswith(b"attnviz: interrupted: " if number == signal.SIGINT else b"")
    for left in place.folder.glob(f".{kept}.*"):  # what SIGKILL left half-written
        assert number == signal.SIGKILL
        left.unlink()
    rest, whole = place(*command, "--resume", kept), place(*command)
    done = int(rest.err.removeprefix("attnviz: going on after ").removesuffix(" documents\n"))
    assert 0 < done < 3000
    assert rest.json == whole.json
    assert (rest.code, rest.json["corpus"]["documents"]) == (0, 3000)
