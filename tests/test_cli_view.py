"""`attnviz view`, and the form html of other commands: what is written, what it shows first."""

import json
import os
import re
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ANIMAL
from handmade import inspection_of, tokens_of
from process import Done, Workplace, workplace
from tiny_others import SEQ2SEQ

import attnviz
from attnviz.answers import page as pages
from attnviz.attention.layer import LayerRecord
from attnviz.inspection import Inspection
from attnviz.inspection.storage import save
from attnviz.model import Model

WIDE = ANIMAL.replace("tired", "wide")
NO_BROWSER = "attnviz: there is no browser here: open the page in one by hand\n"
LAST = f'attnviz: the last sentence, "{ANIMAL}", in minilm\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection, minilm: Model) -> Workplace:
    """The animal sentence is remembered, and another one kept in `student`."""
    place = workplace(tmp_path_factory.mktemp("view"), animal)
    save(minilm.inspect("I am a student"), place.folder / "student")
    return place


@pytest.fixture(autouse=True)
def remembered(place: Workplace, animal: Inspection) -> None:
    """What was run by another test is not the last sentence of the next."""
    place.remember(animal)


def data_of(content: bytes) -> Any:
    """What the page says of itself to its script."""
    assert content.startswith(b"<!doctype html>")
    [data] = re.findall(rb'<script type="application/json" id="data">(.*?)</script>', content)
    return json.loads(data)


def written(place: Workplace, done: Done) -> Any:
    """The data of the one page whose path a command printed."""
    [name] = done.out.splitlines()
    return data_of((place.folder / name).read_bytes())


def shown_first(data: Any) -> dict[str, Any]:
    """What the page shows first: the state, less what is as usual; words by their names."""
    state = dict(data["state"])
    text = data["texts"][state.get("text", 0)]
    for role in ("query", "key"):
        if role in state:
            side = text["keys"] if role == "key" and text["keys"] else text["queries"]
            tokens = side["words" if state.get("unit", "word") == "word" else "pieces"]
            state[role] = tokens[state[role]]["text"]
    usual = {"text": 0, "unit": "word", "special": True, "find": False, "off": []}
    return {name: value for name, value in state.items() if usual.get(name) != value}


def browser(folder: Path) -> dict[str, str]:
    """An environment whose browser notes the address that it was given, and stays for a while."""
    folder.mkdir()
    program = folder / "browser"
    program.write_text(f'#!/bin/sh\necho chatter; echo "$1" > "{folder}/opened"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"BROWSER": f"{program} %s"}


def test_the_page_is_named_by_model_and_sentence_and_opened(
    place: Workplace, tmp_path: Path
) -> None:
    env = browser(tmp_path / "bin") | place.without("torch", "transformers", "matplotlib")
    done = place("view", ANIMAL, env=env)
    sentence = "the-animal-didn-t-cross-the-street-because-it-was-too-tired"
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(rf"attnviz-minilm-page-{sentence}-[0-9a-f]{{6}}\.html\n", done.out)
    path = place.folder / done.out.rstrip("\n")
    assert (tmp_path / "bin" / "opened").read_text() == f"{path.as_uri()}\n"
    data = data_of(path.read_bytes())
    assert [text["name"] for text in data["texts"]] == [ANIMAL]
    assert shown_first(data)["view"] == "lines"
    assert place("view", ANIMAL, "--no-open").out == done.out  # ours is written over
    assert (tmp_path / "bin" / "opened").read_text() == f"{path.as_uri()}\n"


def test_without_a_browser_the_path_is_printed(place: Workplace) -> None:
    for env in ({}, {"DISPLAY": "", "SSH_CONNECTION": "1 2 3 4"}):
        done = place("view", "-o", "-it #1.html", env=env)
        assert (done.code, done.out, done.err) == (0, "-it #1.html\n", LAST + NO_BROWSER)
    done = place("view", "-o", "it.html", env={"BROWSER": str(place.folder / "none")})
    assert (done.code, done.out, done.err) == (0, "it.html\n", LAST + NO_BROWSER)
    quiet = place("view", "-o", "it.html", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "it.html\n", "")


def test_a_browser_that_stays_open_does_not_keep_a_pipe_open(
    place: Workplace, tmp_path: Path
) -> None:
    env = browser(tmp_path / "bin")
    program = tmp_path / "bin" / "browser"
    program.write_text(program.read_text() + "exec sleep 60 &\n")
    done = place("view", "-o", "it.html", env={"BROWSER": env["BROWSER"] + " &"})
    assert (done.code, done.out) == (0, "it.html\n")


def test_standard_output_gets_the_page_itself(place: Workplace, tmp_path: Path) -> None:
    env = browser(tmp_path / "bin")
    done = place("view", "-o", "-", "--query", "it", "--head", "L3H1", env=env)
    assert (done.code, done.err) == (0, LAST)
    assert not (tmp_path / "bin" / "opened").exists()
    first = shown_first(data_of(done.output))
    assert first.pop("off") == [head for head in range(12) if head != 1]
    assert first == {"view": "lines", "layer": 3, "head": 1, "query": "it"}
    code, screen = place.on_terminal("view", "-o", "-")
    assert code == 2
    assert "html is not for reading on a terminal" in screen


FIRST: dict[str, tuple[list[str], dict[str, Any]]] = {
    "a word": (["--query", "it"], {"view": "lines", "layer": 2, "head": 1, "query": "it"}),
    "a key": (["--key", "animal", "--layer", "5"], {"view": "lines", "layer": 5, "key": "animal"}),
    "two words": (
        ["--query", "it", "--key", "animal"],
        {"view": "head", "layer": 3, "head": 1, "query": "it", "key": "animal", "find": True},
    ),
    "a head": (["--head", "5.11"], {"view": "head", "layer": 5, "head": 11}),
    "a layer": (["--layer", "-1"], {"view": "lines", "layer": 5, "head": 0}),
    "the tour": (
        ["--tour", "--lang", "ko", "--query", "it", "--head", "L3H1"],
        {"view": "tour", "lang": "ko", "layer": 3, "head": 1, "query": "it"},
    ),
    "pieces": (
        ["--pieces", "--no-special", "--query", "@7", "--head", "L3H1"],
        {
            "view": "lines",
            "unit": "piece",
            "special": False,
            "layer": 3,
            "head": 1,
            "query": "street",
        },
    ),
}
"""What options make the page show first, less the lines of other heads."""


@pytest.mark.parametrize("case", FIRST)
def test_options_say_what_it_shows_first(
    case: str, here: Callable[..., Done], place: Workplace
) -> None:
    options, expected = FIRST[case]
    first = shown_first(written(place, here("view", *options, "--no-open", "--quiet")))
    first.pop("off", None)
    assert first | expected == first


def test_several_sentences_come_in_one_page(here: Callable[..., Done], place: Workplace) -> None:
    done = here(
        "view", "I am a student", "동물은 피곤해", "--query", "@1", "--quiet", "-o", "p.html"
    )
    data = written(place, done)
    assert [text["name"] for text in data["texts"]] == ["I am a student", "동물은 피곤해"]
    assert (data["pairs"], shown_first(data)["query"]) == ([], "I")
    piped = place("view", "--no-open", "-o", "-", given=b"One.\n\nTwo.\n")
    assert [text["name"] for text in data_of(piped.output)["texts"]] == ["One.", "Two."]
    options = ["--query", "I", "--head", "L3H1", "--no-open", "-o", "p.html"]
    first = here("view", "I am", "You are", *options)  # only the first need have the word
    assert (first.code, first.out, first.err) == (0, "p.html\n", "")
    wrong = here("view", "You are", "", "I am", *options)
    assert (wrong.code, wrong.out) == (2, "p.html\n")
    assert 'sentence 1: there is no "I" in the sentence' in wrong.err
    assert "sentence 2: the sentence is empty" in wrong.err
    assert [text["name"] for text in written(place, wrong)["texts"]] == ["I am"]


def test_windows_of_a_long_text_come_in_one_page(place: Workplace) -> None:
    done = place("view", "a dog ran. " * 160, "--stride", "300", "--no-open", "--quiet")
    parts = [text["part"] for text in written(place, done)["texts"]]
    assert [part["index"] for part in parts] == list(range(parts[0]["count"]))
    assert len(parts) > 1


def test_pairs_saved_and_kept_sentences(here: Callable[..., Done], place: Workplace) -> None:
    pair = written(place, here("view", "A dog.", "--pair", "It ran.", "--no-open", "--quiet"))
    assert pair["texts"][0]["queries"]["pair"] == "It ran."
    saved = written(place, here("view", "--load", "student", "--no-open", "--quiet"))
    assert saved["texts"][0]["name"] == "I am a student"
    here("run", "A dog ran.", "--as", "dog", "--quiet")
    kept = written(place, here("view", "--from", "dog", "--no-open", "--quiet"))
    assert kept["texts"][0]["name"] == "A dog ran."


def test_cross_attention_has_rows_of_its_own(
    here: Callable[..., Done], place: Workplace, tmp_path: Path
) -> None:
    SEQ2SEQ["marian"].save(tmp_path)
    options = ["--attention", "cross", "--target", "the cat", "--no-open", "--quiet"]
    data = written(place, here("view", "a dog", "-m", str(tmp_path), *options))
    [text] = data["texts"]
    assert (text["attention"], text["name"]) == ("cross", "a dog")
    assert text["queries"]["text"] == "the cat"
    assert text["keys"]["text"] == "a dog"


@pytest.mark.parametrize(
    "given", [["view", ANIMAL, "--beside", WIDE], ["view", "--beside", WIDE], ["compare", WIDE]]
)
def test_two_sentences_side_by_side(
    given: list[str], here: Callable[..., Done], place: Workplace
) -> None:
    done = here(*given, "--query", "it", "-o", "two.html", "--quiet")
    data = written(place, done)
    assert [text["name"] for text in data["texts"]] == [ANIMAL, WIDE]
    assert [(pair["a"], pair["b"]) for pair in data["pairs"]] == [(0, 1)]
    first = shown_first(data)
    assert (first["view"], first["query"], first["layer"], first["head"]) == ("head", "it", 3, 1)
    assert data["state"]["pair"] == 0


def test_a_piped_sentence_has_another_beside_it(place: Workplace) -> None:
    done = place("view", "--beside", "A dog sat.", "-o", "-", given=b"A dog ran.\n")
    names = [text["name"] for text in data_of(done.output)["texts"]]
    assert (done.code, names) == (0, ["A dog ran.", "A dog sat."])


def test_a_model_beside_itself_before_training_has_the_steps_of_both(
    here: Callable[..., Done], place: Workplace
) -> None:
    done = here("compare", "a dog", "--untrained", "-o", "two.html", "--quiet")
    trained, untrained = written(place, done)["texts"]
    assert (trained["model"]["trained"], untrained["model"]["trained"]) == (True, False)
    for text in (trained, untrained):
        assert len(text["steps"]) == 1
        assert isinstance(text["steps"][0], dict)


def test_two_models_side_by_side(here: Callable[..., Done], place: Workplace) -> None:
    done = here("view", "a dog", "--models", "minilm", "minilm", "--tour", "--no-open", "--quiet")
    data = written(place, done)
    assert [text["model"]["name"] for text in data["texts"]] == ["minilm", "minilm"]
    assert (shown_first(data)["view"], len(data["pairs"])) == ("tour", 1)
    refused = here("view", "a dog", "--models", "minilm", "paper", "--no-open")
    assert (refused.code, refused.out) == (2, "")
    assert "the layers and heads of the models do not match" in refused.err


PAGES: dict[str, tuple[list[str], dict[str, Any]]] = {
    "Overview": (["run"], {"view": "grid"}),
    "Word": (["run", "--query", "it"], {"view": "lines", "query": "it", "layer": 2, "head": 1}),
    "Pair": (
        ["heatmap", "--query", "it", "--key", "animal", "--head", "L3H1"],
        {"view": "head", "query": "it", "key": "animal", "layer": 3, "head": 1},
    ),
    "Matrices": (["heatmap", "--head", "L3H1"], {"view": "head", "layer": 3, "head": 1}),
    "Matrices of all heads": (["heatmap"], {"view": "grid"}),
    "Links": (["lines", "--key", "animal"], {"view": "lines", "key": "animal"}),
    "Finding": (
        ["find", "--query", "it", "--key", "animal"],
        {"view": "head", "query": "it", "key": "animal", "layer": 3, "head": 1, "find": True},
    ),
    "Explanation": (
        ["explain", "--query", "it", "--head", "L3H1"],
        {"view": "steps", "query": "it", "layer": 3, "head": 1, "unit": "piece"},
    ),
    "HeadSteps": (["explain", "--head", "L3H1"], {"view": "steps", "layer": 3, "head": 1}),
    "Layer": (["explain", "--layer", "3", "--query", "it"], {"view": "layer", "layer": 3}),
}


@pytest.mark.parametrize("case", PAGES)
def test_an_answer_has_a_page_that_begins_with_it(
    case: str, here: Callable[..., Done], place: Workplace
) -> None:
    command, expected = PAGES[case]
    done = here(*command, "-o", "answer.html", "--quiet")
    assert (done.code, done.out, done.err) == (0, "answer.html\n", "")
    data = written(place, done)
    first = shown_first(data)
    assert first | expected == first
    assert [layer is not None for layer in data["texts"][0]["layers"]] == [True] * 6


def test_pieces_of_a_word_and_many_sentences_have_one_page(
    here: Callable[..., Done], place: Workplace
) -> None:
    explain = ["explain", "unbelievably tired", "--query", "unbelievably", "--head", "L3H1"]
    data = written(place, here(*explain, "-f", "html", "--quiet"))
    assert len(data["texts"]) == 1
    assert shown_first(data)["unit"] == "piece"
    found = here(
        *("find", "it was an animal", "an animal: it", "--query", "it", "--key", "animal"),
        *("-o", "-", "-f", "html", "--quiet"),
    )
    assert len(data_of(found.output)["texts"]) == 2


def test_other_commands_open_their_page_if_they_are_asked_to(
    place: Workplace, tmp_path: Path
) -> None:
    env = browser(tmp_path / "bin")
    options = ["--head", "L3H1", "--open", "--lang", "ko", "-o", "x.html", "--quiet"]
    done = place("heatmap", *options, env=env)
    assert (done.code, done.err) == (0, "")
    assert written(place, done)["state"]["lang"] == "ko"
    opened = (tmp_path / "bin" / "opened").read_text()
    assert opened == f"{(place.folder / 'x.html').as_uri()}\n"


def test_a_saved_inspection_of_weights_alone_is_shown(
    here: Callable[..., Done], place: Workplace
) -> None:
    made = inspection_of(tokens_of(["a", "dog", "ran"]), np.full((1, 2, 5, 5), 0.2, np.float32))
    record = LayerRecord(recorded_weights=made.layer(0).weights(0))
    save(replace(made, layers=(record,)), place.folder / "weights")
    data = written(place, here("view", "--load", "weights", "--no-open"))
    assert data["texts"][0]["weightsOnly"]


def test_an_answer_without_a_page_says_so(here: Callable[..., Done], place: Workplace) -> None:
    before = os.listdir(place.folder)
    for command in (
        ["ablate", "--head", "L3H1"], ["ablate", "--each"], ["predict"], ["memory"], ["models"],
        ["similar", "a", "b"], ["find", "--query", "it", "--key", "animal", "--summary"],
        ["check", "minilm"],
    ):  # fmt: skip
        done = here(*command, "-o", "x.html")
        assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 2), command
        assert "x.html is the name of a page, and this answer comes as table, json" in done.err
    other = here("view", "-o", "x.png")
    assert (other.code, len(other.err.splitlines())) == (2, 2)
    assert "x.png is the name of a picture, and this answer comes as html" in other.err
    assert os.listdir(place.folder) == before


def test_what_somebody_else_wrote_stays(here: Callable[..., Done], place: Workplace) -> None:
    path = place.folder / "mine.html"
    path.write_text("<!doctype html><p>attnviz holidays")
    done = here("view", "-o", "mine.html", "--no-open")
    assert (done.code, done.out) == (2, "")
    assert "mine.html exists, and attnviz did not write it" in done.err
    assert "holidays" in path.read_text()
    for option in ("--force", "--quiet"):
        assert here("view", "-o", "mine.html", "--no-open", option).out == "mine.html\n"


def test_bad_input_is_told_in_a_sentence(here: Callable[..., Done], place: Workplace) -> None:
    student = (place.folder / "student").read_bytes()
    (place.folder / "lost").write_bytes(student.replace(b'"0.q":', b'"0.Q":'))
    (place.folder / "broken").write_bytes(student[:-999])
    two = ["--beside", "B", "--no-open"]
    for code, told, arguments in (
        (2, "there is no folder none", ["-o", "none/x.html"]),
        (2, "x does not say that it is a page", ["-o", "x"]),
        (1, "broken is damaged", ["--load", "broken"]),
        (1, "neither queries and keys were recorded, nor weights", ["--load", "lost"]),
        (2, "there is no file gone", ["--load", "gone"]),
        (2, 'there is no "dog" in the sentence', ["--query", "dog"]),
        (2, "there is no layer 9", ["--layer", "9"]),
        (2, "--stride cuts one long text", ["a dog", "--stride", "5", *two]),
        (2, "--beside shows one sentence beside another, and 2", ["a dog", "a cat", *two]),
        (2, "--beside names another sentence", ["a", "--models", "minilm", "minilm", *two]),
        (2, "a page shows attention weights, and not the measure norm", None),
    ):
        command = ["view", *arguments] if arguments else ["run", "--measure", "norm", "-f", "html"]
        done = here(*command)
        assert (done.code, done.out) == (code, ""), (command, done.out)
        assert told in done.err, (command, done.err)
        assert len([line for line in done.err.splitlines() if "last sentence" not in line]) <= 2


def test_a_text_that_is_too_long_opens_on_a_window(
    here: Callable[..., Done], place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_NUMBERS", 2 * 6 * 384 * 10)  # ten pieces
    done = here("view", "--no-open", "-o", "x.html")
    assert (done.code, done.err) == (
        0,
        LAST + "attnviz: too long to draw as a whole: the page opens on the window 0:8 of 14 "
        "tokens; --window A:B chooses another\n",
    )
    [text] = written(place, done)["texts"]
    assert text["cut"] == {"word": [0, 8, 14], "piece": [0, 10, 16]}
    pieces = here("view", "--pieces", "--no-open", "-o", "x.html")
    assert "the page opens on the window 0:10 of 16 tokens" in pieces.err
    chosen = here("view", "--window", "6:10", "--query", "it", "--no-open", "-o", "x.html")
    assert (chosen.code, "too long" in chosen.err) == (0, False)
    assert shown_first(written(place, chosen))["query"] == "it"
    larger = here("view", "--window", "0:14", "--no-open", "-o", "x.html")
    assert (larger.code, larger.out) == (2, "")
    assert "the window has 16 pieces, too many to draw: a page holds 10" in larger.err
    monkeypatch.setattr(pages, "MOST_IN_ALL", 2 * 6 * 384 * 14)
    many = here("view", "a dog ran", "a cat sat down", "a fox", "--no-open", "-o", "x.html")
    assert (many.code, many.out) == (2, "")
    assert "3 texts are too long to draw in one page" in many.err


def test_python_makes_the_page_that_the_command_writes(
    place: Workplace, here: Callable[..., Done], animal: Inspection, tmp_path: Path
) -> None:
    page = attnviz.page(animal, query="it", key="animal", language="en")
    attnviz.write_page(page, tmp_path / "page.html")
    done = here("view", "--query", "it", "--key", "animal", "--lang", "en", "-o", "-", "--quiet")
    assert (tmp_path / "page.html").read_bytes() == done.output
    assert attnviz.to_html(page) == done.out
    assert page.data()["state"]["find"] is True
    assert [row["text"] for row in attnviz.to_rows(page)] == [ANIMAL]


def test_python_has_several_and_two_side_by_side(minilm: Model, animal: Inspection) -> None:
    wide = minilm.inspect(WIDE)
    both = attnviz.page(animal, beside=wide, query="it", view="lines")
    assert (both.state.view, both.state.head, both.pairs[0].b) == ("lines", 1, 1)
    several = attnviz.page([animal, wide], head="L3H1", unit="piece", special=False)
    assert len(several.texts) == 2
    assert (several.state.view, several.state.unit, several.state.special) == (
        "head",
        "piece",
        False,
    )
    text: Any = "it"
    wrong: dict[str, Callable[[], object]] = {
        "no inspection came": lambda: attnviz.page([]),
        "and 2 came": lambda: attnviz.page([animal, wide], beside=wide),
        "not the measure norm": lambda: attnviz.page(animal, measure="norm"),
        "a str is not an inspection": lambda: attnviz.page(text),
        "a page has no JSON": lambda: attnviz.to_json(both),
    }
    for told, asked in wrong.items():
        with pytest.raises(attnviz.RequestError, match=told):
            asked()
