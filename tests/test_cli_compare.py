"""`attnviz compare` as people run it: sentences, models, saved and remembered inspections."""

from pathlib import Path
from typing import Any

import pytest
from conftest import ANIMAL
from process import Done, Workplace, workplace
from test_cli_startup import MODEL, SLOW
from tiny_bert import save_tiny_bert

from attnviz.cli.compare import Followed, TwoSources, compare
from attnviz.cli.drawn import DrawnOutput
from attnviz.cli.options import HeadChoice, Look, ModelChoice
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.inspection.storage import save
from attnviz.model import Model

WIDE = ANIMAL.replace("tired", "wide")
FIRST = "L3H1  ▸.40"
A_IS_LAST = f'attnviz: A is the last sentence, "{ANIMAL}", in minilm'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, minilm: Model, animal: Inspection) -> Workplace:
    """A workplace with both sentences saved as `tired` and `wide`, and two models."""
    place = workplace(tmp_path_factory.mktemp("compare"), animal)
    save(animal, place.folder / "tired")
    save(minilm.inspect(WIDE), place.folder / "wide")
    for seed, name in enumerate(("one", "other")):
        save_tiny_bert(place.folder / name, seed=seed)
    return place


def table(done: Done) -> list[str]:
    assert done.code == 0, done.err
    return [line.rstrip() for line in done.out.splitlines()]


def told(done: Done) -> list[str]:
    """The message of a request that was wrong."""
    assert (done.code, done.out) == (2, "")
    return done.err.splitlines()


@pytest.mark.slow
def test_both_sentences_are_remembered(place: Workplace, animal: Inspection) -> None:
    done = place("compare", ANIMAL, WIDE, "--query", "it", "--top", "1")
    assert done.err == ""
    lines = table(done)
    assert lines[1:3] == [
        "A  The animal didn't cross the street because it was too ‹tired›.",
        "B  The animal didn't cross the street because it was too ‹wide›.",
    ]
    assert any(line.startswith(FIRST) and "−.40  animal" in line for line in lines)
    last = f'the last sentence, "{ANIMAL}", in minilm (A of a comparison; --from B takes the other)'
    assert last in place("run", "--head", "3.1", "--top", "1").err
    b = place("run", "--from", "B", "--head", "3.1", "--top", "1").err
    assert b == f'attnviz: the second of the last comparison, "{WIDE}", in minilm\n'
    # that changed nothing; one sentence more is compared with A again, and none with B
    for options in ((WIDE,), ()):
        again = place("compare", *options, "--query", "it", "--top", "1")
        assert again.out == done.out
        assert again.err.splitlines()[0] == A_IS_LAST
    assert again.err.splitlines()[1] == f"attnviz: B is {b.removeprefix('attnviz: ')}".rstrip()
    # what runs after a comparison is no part of it
    assert place("run", "a dog ran", "--head", "3.1", "--top", "1").code == 0
    assert told(place("compare", "--query", "it"))[0].endswith("and the last one alone came")
    place.remember(animal)


@pytest.mark.slow
def test_kept_inspections_need_no_model(place: Workplace, animal: Inspection) -> None:
    place.remember(animal)
    env = place.without(*MODEL, "matplotlib", "scipy")
    two = ("--load", "wide"), ("--load", "tired", "--load", "wide")
    remembered, loaded = (place("compare", *options, "--json", env=env) for options in two)
    assert loaded.err == ""
    assert remembered.err == f'attnviz: B is the last sentence, "{ANIMAL}", in minilm\n'
    assert (loaded.json["a"]["text"], loaded.json["b"]["text"]) == (ANIMAL, WIDE)
    assert (remembered.json["a"]["text"], remembered.json["b"]["text"]) == (WIDE, ANIMAL)
    distances = [[head["distance"] for head in d.json["heads"]] for d in (loaded, remembered)]
    assert distances[0] == pytest.approx(distances[1], abs=1e-9)
    drawn = place(
        "compare", "--load", "tired", "--load", "wide", "--query", "it", "-o", "both.svg",
        env=place.without(*MODEL),
    )  # fmt: skip
    assert (drawn.code, drawn.out) == (0, "both.svg\n")
    assert drawn.err == "attnviz: L3H1, the head that changes most; --head chooses another\n"
    assert "change: B − A" in (place.folder / "both.svg").read_text()


@pytest.mark.slow
def test_one_sentence_is_compared_with_the_last(place: Workplace, animal: Inspection) -> None:
    place.remember(animal)
    done = place("compare", WIDE, "--query", "it", "--json", "--top", "2")
    assert done.err.splitlines() == [A_IS_LAST]
    assert (done.json["a"]["text"], done.json["b"]["text"]) == (ANIMAL, WIDE)
    assert [(h["layer"], h["head"]) for h in done.json["heads"]] == [(3, 1), (4, 11)]
    saved = place("compare", "--load", "tired", WIDE, "--query", "it", "--json", "--top", "2")
    assert saved.err == ""
    assert saved.json["heads"][0]["a"] == done.json["heads"][0]["a"]


@pytest.mark.slow
def test_a_sentence_is_read_as_the_kept_one_was(place: Workplace) -> None:
    """In its model, with the seed it had, and with its pair."""
    kept = place("run", "it ran", "--pair", "who", "-m", "one", "--save", "kept", "--query", "it")
    assert kept.code == 0, kept.err
    done = place("compare", "--load", "kept", "it sat", "--json", "--top", "1")
    assert done.err == 'attnviz: B is read with the pair of A, "who"\n'
    assert (done.json["b"]["model"]["name"], done.json["b"]["pair"]) == ("one", "who")
    untrained = ("-m", "paper", "--seed", "3", "--num-layers", "1", "--d-model", "16")
    assert place("run", "it ran", *untrained, "--query", "it").code == 0
    done = place("compare", "it sat", "-f", "csv", "--top", "1")
    assert done.code == 0
    assert done.err.splitlines()[1].startswith("attnviz: paper: 1 layer × 8 heads, d_model 16")
    assert done.err.endswith("UNTRAINED (seed 3); its numbers mean nothing\n")
    rows = done.out.splitlines()
    assert rows[0].startswith("layer,head,distance,a_query_index,a_query,")
    assert len(rows) == 1 + 2


@pytest.mark.slow
def test_nothing_is_remembered(tmp_path: Path) -> None:
    done = Workplace(tmp_path)("compare", WIDE, "--query", "it", "--top", "1")
    assert done.err == f'attnviz: no sentence is remembered, so A is "{ANIMAL}", in minilm\n'
    assert FIRST in done.out


@pytest.mark.slow
def test_two_models(place: Workplace) -> None:
    done = place("compare", "the cat sat", "--models", "one", "other", "--query", "cat")
    lines = table(done)
    assert lines[0].startswith("A  one: 2 layers × 3 heads")
    assert lines[1].startswith("B  other: 2 layers × 3 heads")
    assert lines[2] == "the cat sat"
    assert sum(line.startswith("L") for line in lines) == 6
    piped = place("compare", "--models", "one", "other", "--json", given=b"the cat sat\n")
    assert [piped.json[side]["model"]["name"] for side in "ab"] == ["one", "other"]


@pytest.mark.slow
def test_two_lines(place: Workplace) -> None:
    given = f"{ANIMAL}\n\n{WIDE}\n".encode()
    done = place("compare", "--query", "it", "--key", "animal", "--top", "1", given=given)
    assert done.err == ""
    [row] = [line.split() for line in table(done) if line.startswith("L")]
    assert row[:4] == ["L3H1", ".68", ".28", "−.40"]
    for lines, came in ((b"one\n", "one line"), (b"a\nb\nc\n", "more")):
        [message, _] = told(place("compare", "-", given=lines))
        wanted = "attnviz: two lines, A and B, should come on standard input"
        assert message == f"{wanted}, and {came} came"
    [message, _] = told(place("compare", given=b"it\n\xff\n"))
    assert message == "attnviz: line 2: the line is not UTF-8 at byte 0"


@pytest.mark.slow
def test_files(place: Workplace) -> None:
    two = ("compare", "--load", "tired", "--load", "wide", "--query", "it")
    for name in ("both.csv", "both.csv"):  # what attnviz wrote may be replaced
        assert place(*two, "--head", "3.1", "-o", name).code == 0
    assert (place.folder / "both.csv").read_text().count("\n") == 15
    layer = place(*two, "--layer", "3", "-o", "layer.pdf")
    assert (layer.code, layer.out, layer.err) == (0, "layer.pdf\n", "")
    (place.folder / "mine.csv").write_text("mine")
    [message, _] = told(place(*two, "-o", "mine.csv"))
    assert "mine.csv exists, and attnviz did not write it" in message
    assert table(place(*two, "--layer", "3", "--no-special"))[-1].endswith("sums to 1.")


def test_a_sentence_and_itself(place: Workplace) -> None:
    done = place("compare", "--load", "tired", "--load", "tired", "--query", "it", "--json")
    same = "attnviz: A and B are the same sentence in the same model: nothing changes\n"
    assert (done.code, done.err) == (0, same)
    assert {head["distance"] for head in done.json["heads"]} == {0}


@pytest.mark.slow
def test_a_word_that_occurs_twice(place: Workplace) -> None:
    two = ("it ran when it saw", "it sat when it saw")
    done = place("compare", *two, "-m", "one", "--query", "it", "--json", "--top", "1")
    assert done.err == (
        "attnviz: it occurs 2 times; --query takes the first, @1 in A and @1 in B\n"
    )


LOADED = ("--load", "tired", "--load", "wide")


@pytest.mark.slow
def test_what_is_wrong_is_told_and_nothing_written(place: Workplace) -> None:
    done = place("compare", *LOADED, "--layer", "3", "-o", "x.png", env=place.without(*MODEL))
    assert told(done) == [
        "attnviz: 12 heads are to be compared in one picture, which has room for one",
        "  choose one head, or a word with --query: then each head has a row",
    ]
    assert not (place.folder / "x.png").exists()


TWO = [Path("tired"), Path("wide")]


@pytest.mark.parametrize(
    ("source", "asked", "message"),
    [
        ({"load": TWO}, {"query": "bored"}, '"bored" is in neither sentence'),
        ({"load": TWO}, {"query": "it", "key": "dog"}, '"dog" is in neither sentence'),
        ({"load": TWO}, {"head": ["3.99"]}, "there is no head 99: the model has 12"),
        ({"load": TWO}, {"head": ["3.1"], "measure": "rollout"}, "rollout mixes the heads"),
        ({"load": TWO}, {"output": Path("x.npz")}, "x.npz is the name of an npz file, and this"),
        ({"load": TWO}, {"save": Path("x")}, "compare looks at two sentences, and --save keeps"),
        ({"load": TWO, "text": ["it ran"]}, {}, "compare looks at two sentences, and 3 came"),
        ({"load": TWO}, {"model": "minilm"}, "--load brings a sentence and its model with it"),
        ({"load": TWO, "models": ("one", "other")}, {}, "--models names both models"),
        ({"load": TWO, "pair": "so"}, {}, "--pair came without TEXT"),
        ({"models": ("one", "other"), "pair": "so"}, {}, "--pair came without TEXT"),
        ({"text": ["a", "b"], "models": ("x", "y")}, {}, "--models compares one sentence in two"),
        ({"text": ["a", "b", "c"]}, {}, "compare looks at two sentences, and 3 came"),
        ({}, {}, "compare looks at two sentences, and none came"),
        ({"text": ["", WIDE]}, {}, "the first sentence is empty"),
        ({"text": [ANIMAL, " "]}, {}, "the second sentence is empty"),
        ({"load": [Path("none"), Path("wide")]}, {}, "there is no file none"),
        ({"text": ["it ran", "a dog"]}, {"model": "one"}, "the two sentences have no word in"),
        ({"text": ["it"], "models": ("one", "gone")}, {}, 'there is no model "gone"'),
        (
            {"text": ["it"], "models": ("minilm", "one")},
            {},
            "the layers and heads of the models do not match: minilm has 6 layers of 12 heads, one "
            "has 2 layers of 3 heads",
        ),
    ],
)
def test_what_cannot_be_compared(
    place: Workplace,
    monkeypatch: pytest.MonkeyPatch,
    source: dict[str, Any],
    asked: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("ATTNVIZ_TERMINAL", "one that remembers nothing")
    monkeypatch.setattr("attnviz.cli.reading.is_piped", lambda: False)

    def taken(*names: str) -> dict[str, Any]:
        return {name: asked[name] for name in names if name in asked}

    with pytest.raises(RequestError) as caught:
        compare(
            TwoSources(**source),
            Followed(**taken("query", "key")),
            HeadChoice(**taken("head")),
            Look(**taken("measure")),
            ModelChoice(**taken("model")),
            DrawnOutput(**taken("output", "save")),
        )
    assert caught.value.message.startswith(message)
    assert caught.value.hint


@pytest.mark.slow
def test_sentences_that_cannot_be_read(place: Workplace) -> None:
    long = told(place("compare", "a " * 40, "a dog", "-m", "one"))
    assert long[0] == (
        "attnviz: sentence 1: the sentence is 42 tokens long, and the model takes at most 31"
    )
    assert long[-1] == "attnviz: 1 sentence left out, see above"
    cut = place("compare", "a " * 40, "a dog", "-m", "one", "--truncate", "--quiet")
    assert (cut.code, cut.err) == (0, "")


def test_help_imports_nothing_slow(place: Workplace) -> None:
    env = {**place.without(*SLOW), "COLUMNS": "120"}
    done = place("compare", "--help", env=env)
    assert (done.code, done.err) == (0, "")
    assert 'Example: attnviz compare "The animal' in done.out


@pytest.mark.slow
def test_colour_on_a_terminal(place: Workplace) -> None:
    """What gained is warm and what lost cool, and signs say it without colour."""
    code, shown = place.on_terminal("compare", *LOADED, "--query", "it", "--top", "1", columns=100)
    assert code == 0
    [line] = [line for line in shown.splitlines() if "−.40" in line]
    assert "\x1b[" in line
    code, plain = place.on_terminal(
        "compare", *LOADED, "--query", "it", "--top", "1", env={"NO_COLOR": "1"}, columns=100
    )
    assert "‹tired›" in plain
    assert "[38;2;" not in plain
