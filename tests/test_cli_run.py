"""`attnviz run`: its looks, its formats, its options, through real processes."""

import io
import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ANIMAL
from process import Done, Workplace, workplace
from rounding import assert_numbers
from tiny_bert import save_tiny_bert

from attnviz.inspection import Inspection
from attnviz.model import Model
from attnviz.show.matrix_data import CSV_HEADER

PAPER = ["-m", "paper", "--num-layers", "2", "--num-heads", "3", "--d-model", "21"]
STUDENT = "I am a student"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    """A workplace in which the animal sentence is remembered, and kept in `animal`."""
    place = workplace(tmp_path_factory.mktemp("run"), animal)
    (place.folder / "animal").write_bytes(place.last.read_bytes())
    return place


@pytest.fixture(scope="module")
def shown(place: Workplace) -> Done:
    """The overview of a sentence that is looked at, and saved."""
    return place("run", ANIMAL, "--save", "saved", env={"COLUMNS": "100"})


@pytest.fixture(scope="module")
def untrained(place: Workplace) -> Done:
    """The article's Transformer, small, on two sentences as JSON Lines; the last is remembered."""
    return place("run", *PAPER, "--d-ff", "23", "--seed", "7", "--json", STUDENT, ANIMAL)


def weights_of(parsed: Any) -> dict[tuple[int, int], np.ndarray]:
    return {
        (head["layer"], head["head"]): np.array(head["weights"], np.float32)
        for head in parsed["heads"]
    }


def words_of(parsed: Any) -> list[str]:
    return [token["text"] for token in parsed["tokens"]]


def test_the_overview(shown: Done) -> None:
    assert (shown.code, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert lines[:2] == ["minilm: 6 layers × 12 heads, d_model 384, d_k 32, d_ff 1536", ANIMAL]
    heads = [line.split()[0] for line in lines if re.match(r"L\dH\d+ +\w", line)]
    assert heads == [f"L{layer}H{head}" for layer in range(6) for head in range(12)]
    assert ".68  it → animal" in shown.out


def test_what_is_saved_is_loaded_alike(place: Workplace, shown: Done) -> None:
    loaded = place("run", "--load", "saved", env={"COLUMNS": "100"})
    assert (loaded.code, loaded.out, loaded.err) == (0, shown.out, "")
    remembered = place("run", "--save", "again", "--quiet", env={"COLUMNS": "100"})
    assert (remembered.out, remembered.err) == (shown.out, "")
    assert (place.folder / "again").read_bytes() == (place.folder / "saved").read_bytes()


def test_a_query_in_all_heads(place: Workplace) -> None:
    out = place("run", "--load", "animal", "--query", "it").out
    assert "it looks at" in out
    assert "▸animal .68" in out
    assert re.search(r"^animal +L3H1 +\.68 +L5H11 +\.67", out, re.MULTILINE)


def test_a_key_in_all_heads(place: Workplace) -> None:
    out = place("run", "--load", "animal", "--key", "ANIMAL").out
    assert "who looks at animal" in out
    assert re.search(r"^it +L3H1 +\.68 +L5H11 +\.67", out, re.MULTILINE)


def test_a_head_whole(place: Workplace, animal: Inspection) -> None:
    out = place("run", "--load", "animal", "--head", "L3H1").out
    [row] = re.findall(r"^it .*$", out, re.MULTILINE)
    weights = animal.weights(3, 1)[8]
    told = [f"{weight:.2f}"[1:] if weight >= 0.005 else "·" for weight in weights]
    assert row.replace("▸", " ").split() == ["it", *told]


def test_heads_and_layers_may_repeat(place: Workplace) -> None:
    options = ["--layer", "3", "--layer", "-1", "--head", "1", "--head", "-1", "--head", "L5H2"]
    parsed = place("run", "--load", "animal", "--json", *options).json
    assert list(weights_of(parsed)) == [(3, 1), (3, 11), (5, 1), (5, 2), (5, 11)]


def test_a_query_in_the_heads_chosen(place: Workplace) -> None:
    out = place("run", "--load", "animal", "--query", "it", "--layer", "3").out
    rows = re.findall(r"^L3H\d+ .*$", out, re.MULTILINE)
    assert len(rows) == 12
    assert re.match(
        r"L3H1 +▸\.68  animal +\.10  \[CLS\] +\.06  it +\.05  street +\.04  The", rows[1]
    )


def test_a_key_in_the_heads_chosen(place: Workplace) -> None:
    options = ["--key", "animal", "--head", "3.1", "--head", "5.11", "--top", "2"]
    out = place("run", "--load", "animal", *options).out
    rows = re.findall(r"^L\dH\d+ .*$", out, re.MULTILINE)
    assert [row.split() for row in rows] == [
        ["L3H1", "▸.68", "it", ".52", "The@1"],
        ["L5H11", "▸.81", "animal", ".67", "it"],
    ]


def test_a_query_and_a_key(place: Workplace, animal: Inspection) -> None:
    """The weight of that pair in every head, or in those chosen."""
    out = place("run", "--load", "animal", "--query", "it", "--key", "animal").out
    assert "how much it looks at animal" in out
    rows = [line.replace("▸", " ").split() for line in re.findall(r"^L\d .*$", out, re.MULTILINE)]
    weights = animal.view().query(8)[..., 2]
    told = [[f"{w:.2f}"[1:] if w >= 0.005 else "·" for w in layer] for layer in weights]
    assert rows == [[f"L{layer}", *row] for layer, row in enumerate(told)]
    assert re.search(r"^strongest in +L3H1 +\.68 +L5H11 +\.67 +L5H3 +\.25", out, re.MULTILINE)
    options = ["--query", "it", "--key", "animal", "--head", "3.1", "--head", "5.11"]
    chosen = place("run", "--load", "animal", *options).out
    rows = [line.split() for line in re.findall(r"^(?:L\d| +H) .*$", chosen, re.MULTILINE)]
    assert rows == [["L3", "▸.68"], ["L5", ".67"]]


def test_top_in_each_look(place: Workplace) -> None:
    wide = {"COLUMNS": "200"}
    one, five = (place("run", "--load", "animal", "--top", top, env=wide).out for top in ("1", "5"))
    assert max(line.count("→") for line in one.splitlines()) in (1, 2)
    assert max(line.count("→") for line in five.splitlines()) >= 5
    grid = place("run", "--load", "animal", "--query", "it", "--top", "6", "--no-special").out
    named = grid[grid.index("strongest in") :].splitlines()[1:7]
    assert all(re.match(r"\S+ +L\dH\d", line) for line in named)
    head = place("run", "--load", "animal", "--head", "3.1", "--top", "1").out
    [row] = re.findall(r"^it .*$", head, re.MULTILINE)
    assert row.split() == ["it", "▸.68", "animal"]


def test_json(place: Workplace, animal: Inspection) -> None:
    done = place("run", "--load", "animal", "-f", "json")
    assert (done.code, done.err, done.output.count(b"\n")) == (0, "", 1)
    assert place("run", "--load", "animal", "--json").output == done.output
    assert place("run", "--load", "animal", "-f", "jsonl").output == done.output
    weights = weights_of(done.json)
    assert len(weights) == 72
    for (layer, head), matrix in weights.items():
        assert_numbers(matrix, animal.weights(layer, head))
        np.testing.assert_allclose(matrix.sum(axis=-1), 1, rtol=0, atol=1e-6)


def test_csv(place: Workplace, animal: Inspection) -> None:
    done = place("run", "--load", "animal", "-f", "csv", "--head", "3.1")
    lines = done.out.splitlines()
    assert done.output.startswith(CSV_HEADER)
    assert len(lines) == 1 + 14 * 14
    assert lines[1 + 8 * 14 + 2].startswith("0,3,1,8,it,2,animal,0.67")


def test_npz(place: Workplace, animal: Inspection) -> None:
    arrays = np.load(io.BytesIO(place("run", "--load", "animal", "-f", "npz").output))
    assert arrays["0.weights"].shape == (72, 14, 14)
    assert_numbers(arrays["0.weights"][37], animal.weights(3, 1))


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv", "npz", "txt"])
def test_a_files_suffix_says_the_form(place: Workplace, suffix: str) -> None:
    name, form = f"out.{suffix}", "table" if suffix == "txt" else suffix
    options = ["--load", "animal", "--head", "3.1"]
    done = place("run", *options, "-o", name)
    assert (done.code, done.out, done.err) == (0, "", "")
    written = (place.folder / name).read_bytes()
    assert written == place("run", *options, "-f", form, env={"COLUMNS": "100"}).output


def test_only_data_that_attnviz_wrote_is_written_over(place: Workplace) -> None:
    options = ["run", "--load", "animal", "--head", "3.1", "-o"]
    assert [place(*options, "twice.csv").code for _ in range(2)] == [0, 0]
    # a table has nothing to tell it from somebody's notes
    assert [place(*options, "twice.txt", *last).code for last in ([], [], ["--force"])] == [0, 2, 0]


def test_standard_output_has_a_name(place: Workplace) -> None:
    done = place("run", "--load", "animal", "--json", "--head", "3.1", "-o", "-")
    assert list(weights_of(done.json)) == [(3, 1)]
    assert not (place.folder / "-").exists()


def test_data_obey_what_tables_obey(place: Workplace) -> None:
    options = ["run", "--load", "animal", "--query", "it", "--top", "2"]
    done = place(*options, "--json")
    assert (done.err, done.json["schema"]) == ("", "attnviz.word/1")
    assert [len(head["keys"]) for head in done.json["heads"]] == [2] * 72
    [best] = [head for head in done.json["heads"] if (head["layer"], head["head"]) == (3, 1)]
    assert best["keys"][0]["text"] == "animal"
    rows = place(*options, "-f", "csv", "--head", "3.1").out.splitlines()
    assert rows[0] == "text_index,layer,head,query_index,query,key_index,key,weight"
    assert [row.rpartition(",")[0] for row in rows[1:]] == [
        "0,3,1,8,it,2,animal",
        "0,3,1,8,it,0,[CLS]",
    ]


def test_a_summary_is_the_overview_as_data(place: Workplace) -> None:
    done = place("run", "--load", "animal", "--summary", "--json", "--top", "1")
    assert done.json["schema"] == "attnviz.overview/1"
    heads = done.json["heads"]
    assert len(heads) == 72
    assert all(len(head["strongest"]) == 1 and "weights" not in head for head in heads)
    whole = place("run", "--load", "animal", "--json", "--head", "3.1").json["heads"][0]
    assert whole["kind"] == heads[37]["kind"]
    assert len(whole["weights"]) == 14


def test_pieces_pairs_and_no_special(place: Workplace) -> None:
    options = ["--pair", "She wasn't tired", "--pieces", "--no-special", "--save", "pair"]
    done = place("run", "It didn't matter", *options, "--json")
    assert (done.code, done.err) == (0, "")
    pieces = ["it", "didn", "'", "t", "matter", "she", "wasn", "'", "t", "tired"]
    parsed = done.json
    assert (parsed["pair"], parsed["unit"]) == ("She wasn't tired", "piece")
    assert [token["pieces"] for token in parsed["tokens"]] == [[piece] for piece in pieces]
    assert [token["segment"] for token in parsed["tokens"]] == [0] * 5 + [1] * 5
    for head in parsed["heads"]:
        np.testing.assert_allclose(np.sum(head["weights"], axis=-1), 1, rtol=0, atol=1e-6)
        assert 0 < min(head["dropped"]) <= max(head["dropped"]) < 1
    words = place("run", "--load", "pair", "--json").json
    expected = ["[CLS]", "It", "didn't", "matter", "[SEP]", "She", "wasn't", "tired", "[SEP]"]
    assert words_of(words) == expected
    table = place("run", "--load", "pair", "--no-special", "--head", "3.1").out
    assert "She wasn't tired" in table
    assert "[CLS]" not in table
    assert "Special tokens are left out" in table


def test_too_long_is_cut_where_that_is_wanted(place: Workplace) -> None:
    done = place("run", "tired " * 600, "--truncate", "--json", "--head", "0.0")
    assert done.err == "attnviz: cut to 512 of 602 tokens\n"
    assert len(done.json["tokens"]) == 512


def test_several_sentences_in_tables(place: Workplace) -> None:
    done = place("run", STUDENT, "You are a student", "--query", "student", "--quiet")
    assert (done.code, done.err) == (0, "")
    first, second = done.out.index(STUDENT), done.out.index("You are a student")
    assert first < second
    assert "\n\nminilm: " in done.out[first:second]
    assert done.out.count("student looks at") == 2


@pytest.mark.slow
def test_the_untrained_model_says_so_everywhere(place: Workplace, untrained: Done) -> None:
    assert (untrained.code, untrained.err) == (0, "")
    first, second = untrained.json_lines
    assert [first["text"], second["text"]] == [STUDENT, ANIMAL]
    assert words_of(first) == STUDENT.split()
    for parsed in (first, second):
        assert parsed["model"] == {
            "name": "paper", "family": "paper", "num_layers": 2, "num_heads": 3,
            "d_model": 21, "d_k": 7, "d_ff": 23, "trained": False, "seed": 7,
        }  # fmt: skip
        assert len(parsed["heads"]) == 6
    looks = [
        [],
        ["--query", "it"],
        ["--key", "it"],
        ["--head", "1.2"],
        ["--head", "1.2", "--top", "1"],
        ["--query", "it", "--key", "was"],
        ["--query", "it", "--layer", "1"],
    ]
    for look in looks:
        done = place("run", "--quiet", *look)
        assert "UNTRAINED (seed 7)" in done.out.splitlines()[0] + done.out.splitlines()[1]
    picture = place("heatmap", "--quiet", "--head", "1.2", "-o", "untrained.svg")
    assert picture.code == 0
    assert ">paper (UNTRAINED) · L1H2<" in (place.folder / "untrained.svg").read_text()
    arrays = np.load(io.BytesIO(place("run", "--quiet", "-f", "npz").output))
    assert json.loads(str(arrays["meta"]))["model"]["trained"] is False
    assert "UNTRAINED (seed 7); its numbers mean nothing" in place("run", "-f", "csv").err


def test_the_last_sentence_in_another_model(place: Workplace, untrained: Done) -> None:
    """--model without TEXT looks at the remembered sentence again; alone, or one of two in a batch,
    the numbers are the same."""
    assert untrained.code == 0
    again = place("run", *PAPER, "--d-ff", "23", "--seed", "7", "--json")
    assert again.err == f'attnviz: the last sentence, "{ANIMAL}", in paper (UNTRAINED)\n'
    before, after = (weights_of(parsed) for parsed in (untrained.json_lines[1], again.json))
    assert list(after) == list(before)
    for head, weights in after.items():
        np.testing.assert_allclose(weights, before[head], rtol=0, atol=1e-5)


def test_a_folder_from_the_environment(place: Workplace) -> None:
    folder = place.folder / "tiny"
    save_tiny_bert(folder)
    done = place("run", "the cat sat", "--json", env={"ATTNVIZ_MODEL": str(folder)})
    assert done.code == 0, done.err
    model = done.json["model"]
    assert (model["name"], model["family"]) == (str(folder), "bert")
    assert (model["num_layers"], model["num_heads"], model["d_model"]) == (2, 3, 21)
    assert words_of(done.json) == ["[CLS]", "the", "cat", "sat", "[SEP]"]


def test_version_and_help(place: Workplace) -> None:
    assert place("--version").out == f"attnviz {version('attnviz')}\n"
    bare = place()
    assert bare.code == 2
    assert "Usage: attnviz" in bare.out + bare.err
    wide = {"COLUMNS": "120"}
    for command in ("run", "heatmap", "lines"):
        short, long = place(command, "-h", env=wide), place(command, "--help", env=wide)
        assert (short.code, short.out) == (0, long.out)
        prose = short.out[: short.out.index("Arguments:")].rstrip()
        assert re.search(rf"\n  Example: attnviz {command} ", prose), prose


def test_the_first_run_of_all(tmp_path: Path) -> None:
    done = Workplace(tmp_path)("run", "--query", "it")
    assert done.code == 0
    assert done.err == f'attnviz: no sentence given, so "{ANIMAL}", in minilm\n'
    assert "▸animal .68" in done.out


def test_a_note_repeats_only_the_beginning_of_a_long_sentence(
    tmp_path: Path, minilm: Model
) -> None:
    place = workplace(tmp_path, minilm.inspect("rain " * 100))
    done = place("run", "--head", "3.1", "--top", "1")
    assert done.code == 0
    told = ("rain " * 100)[:79].rstrip()
    assert done.err == f'attnviz: the last sentence, "{told}…", in minilm\n'
