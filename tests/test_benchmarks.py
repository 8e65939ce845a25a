"""The benchmarks run and say what they should; how fast anything is decides nothing here."""

import importlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attnviz.model import Model, load_model
from attnviz.models import find_model

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
PEERS = BENCHMARKS / "peers"
ROW = re.compile(
    r"\| (.+) \| (.+) \| (.+) \| (\d+\.\d\d) \| ([≤≥]) ([\d.]+) \| (yes|\*\*no\*\*) \|"
)


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Any:
    """benchmarks/measure.py as a module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("measure")


@pytest.fixture
def sentences(monkeypatch: pytest.MonkeyPatch) -> Any:
    """benchmarks/sentences.py as a module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("sentences").sentences


def rows(script: str, *options: str) -> list[dict[str, Any]]:
    """The table that a script prints, each row checked: its verdict is that of its numbers."""
    command = [sys.executable, str(BENCHMARKS / script), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    header, rule, *lines = done.stdout.splitlines()
    assert header == "| attnviz | measured | beside it | ratio | goal | met |"
    assert rule == "|---|---|---|---|---|---|"
    found = []
    for line in lines:
        match = ROW.fullmatch(line)
        assert match is not None, line
        task, ours, beside, ratio, sign, limit, met = match.groups()
        assert float(ratio) > 0
        if abs(float(ratio) - float(limit)) > 0.01:  # the ratio is rounded
            inside = float(ratio) <= float(limit) if sign == "≤" else float(ratio) >= float(limit)
            assert met == ("yes" if inside else "**no**")
        found.append({"task": task, "ours": ours, "beside": beside, "goal": f"{sign} {limit}"})
    return found


def test_commands_run_in_turn_after_a_warm_up(measure: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    note = f"open({str(log)!r}, 'a').write"
    commands = {
        "quick": measure.Command(measure.python("-c", f"{note}('q')")),
        "slow": measure.Command(measure.python("-c", f"import time; time.sleep(0.3); {note}('s')")),
    }
    runs = measure.side_by_side(commands, 3)
    assert log.read_text() == "qs" * 4
    assert [len(runs[name]) for name in ("quick", "slow")] == [3, 3]
    assert all(run.seconds >= 0.3 for run in runs["slow"])
    measure.side_by_side(commands, 1)
    assert log.read_text() == "qs" * 5


def test_the_peak_of_memory_is_the_childs() -> None:
    # in a process of its own, since a child begins with the peak of its parent
    code = """if True:
        import measure
        for size in (1, 128):
            child = measure.python("-c", f"b'x' * ({size} << 20)")
            print(measure.run(measure.Command(child)).memory / measure.MIB)
    """
    env = {**os.environ, "PYTHONPATH": str(BENCHMARKS)}
    small, large = map(
        float, subprocess.check_output([sys.executable, "-c", code], env=env).split()
    )
    assert small < 64
    assert 120 < large - small < 136


def test_a_command_that_fails_is_told_with_its_message(measure: Any) -> None:
    command = measure.Command(measure.python("-c", "import sys; sys.exit('it is broken')"))
    with pytest.raises(RuntimeError, match="ended with 1: it is broken"):
        measure.run(command)


def test_standard_input_comes_from_a_file(measure: Any, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("given")
    check = "import sys; sys.exit(sys.stdin.read() != 'given')"
    measure.run(measure.Command(measure.python("-c", check), source))


def test_children_store_byte_code_as_a_users_do(
    measure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    check = "import sys; sys.exit(sys.dont_write_bytecode)"
    measure.run(measure.Command(measure.python("-c", check)))


def test_the_workplace_has_a_cache_of_its_own(
    measure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "before")
    with measure.workplace() as folder:
        assert os.environ["XDG_CACHE_HOME"] == str(folder / "cache")
        assert folder.is_dir()
    assert os.environ["XDG_CACHE_HOME"] == "before"
    assert not folder.exists()


def test_a_ratio_is_the_median_of_the_rounds(measure: Any) -> None:
    assert measure.ratio_of([1.0, 8.0, 3.0], [2.0, 2.0, 2.0]) == 1.5


@pytest.mark.parametrize(
    ("ratio", "at_least", "met"),
    [(0.4, False, "yes"), (0.41, False, "**no**"), (0.4, True, "yes"), (0.39, True, "**no**")],
)
def test_a_goal_says_whether_it_is_met(
    measure: Any, ratio: float, at_least: bool, met: str
) -> None:
    row = str(measure.Goal("task", "ours", "theirs", ratio, 0.4, at_least))
    sign = "≥" if at_least else "≤"
    assert row == f"| task | ours | theirs | {ratio:.2f} | {sign} 0.4 | {met} |"


def test_the_sentences_are_the_same_every_time(sentences: Any) -> None:
    texts = sentences(2000)
    assert texts == sentences(2000)
    assert texts[:50] == sentences(50)
    assert len(set(texts)) > 1990
    lengths = [len(text.split()) for text in texts]
    assert (min(lengths), max(lengths)) == (5, 40)
    assert all(text[0].isupper() and text.endswith(".") for text in texts)


@pytest.mark.slow
def test_start_up_is_measured_beside_torch_and_transformers() -> None:
    found = rows("startup.py", "--rounds", "1")
    assert len(found) == 18
    quick, beside_transformers, memory = found[:3]
    assert [row["goal"] for row in found[:3]] == ["≤ 0.3", "≤ 0.09", "≤ 0.65"]
    assert quick["ours"] == beside_transformers["ours"]
    assert "transformers" in beside_transformers["beside"]
    found.remove(memory)
    assert re.fullmatch(r"peak \d+ MiB", memory["ours"])
    assert all(re.fullmatch(r"\d+\.\d\d s", row["ours"]) for row in found)


@pytest.mark.slow
def test_memory_is_measured() -> None:
    kept, fresh, remembered = rows("memory.py", "--rounds", "1")
    assert kept["task"] == "an inspection of 512 tokens, all heads"
    # 6 layers of x, q, k, v, z: 512 tokens × 384 numbers of 4 bytes; 72 heads of 512 × 512 weights
    assert kept["beside"] == "its x, q, k, v, z, 22.5 MiB (all heads' weights: 72.0 MiB)"
    assert (fresh["goal"], remembered["goal"]) == ("≤ 2", "≤ 2")


@pytest.mark.slow
def test_throughput_is_measured_in_both_formats() -> None:
    found = rows("throughput.py", "--rounds", "1", "--sentences", "6")
    assert [row["task"] for row in found] == [
        "6 sentences from a file to JSON Lines",
        "6 sentences from a file to NPZ",
    ]
    assert all("sentences/s" in row["ours"] + row["beside"] for row in found)
    assert re.search(r"\d\.\d × the encoder's products alone", found[1]["ours"])


@pytest.mark.slow
def test_find_is_measured_beside_run() -> None:
    found = rows("find.py", "--rounds", "1", "--sentences", "6")
    assert [row["task"] for row in found] == [
        "`find` over 6 lines, to JSON Lines",
        "`find --tsv` over 6 rows, to a table",
    ]
    assert [row["goal"] for row in found] == ["≤ 1.2", "≤ 1.2"]


@pytest.mark.slow
def test_corpora_are_measured_beside_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a few sentences here, and without Ray's workers, which take seconds to start."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    corpus = importlib.import_module("corpus")
    in_turn = corpus.in_turn

    def without_ray(commands: dict[str, list[str]], rounds: int) -> Any:
        if "--ray" in commands[next(iter(commands))]:
            return {name: [{"seconds": 1 / int(name), "pieces": 10}] for name in commands}
        return in_turn(commands, rounds)

    monkeypatch.setattr(corpus, "in_turn", without_ray)
    section = corpus.section(1, 8, None, 40, corpus.PARTS)
    assert "Measured on 8 sentences of 5 to 40 words" in section
    found = [match for match in map(ROW.fullmatch, section.splitlines()) if match]
    assert [match[1] for match in found] == [
        "`survey`, all statistics",
        "the same",
        "memory of `survey` after 40 sentences",
        "`probe --conllu` of 8 sentences",
        "`survey --engine ray --workers 2`",
    ]
    assert [match[6] for match in found] == ["1", "3", "1.05", "1.3", "1.7"]
    assert found[-1][4] == "2.00"


def test_what_a_corpus_costs_is_told_from_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    scale = importlib.import_module("scale")
    assert scale.slope({2: 3.0, 4: 12.0, 8: 48.0}) == pytest.approx(2)
    assert "| 10⁹ | 31.7 years | 15.8 years | 181 |" in scale.sizes_table(1.0)
    of = importlib.import_module("corpus").corpus(tmp_path, 10, None)
    folded = {"seconds": 0.02, "documents": 10, "pieces": 300, "state": 72 << 20, "merge": 0.1}
    told = {"1": [folded], "2": [folded], "read": [{"seconds": 1.0, "documents": scale.READ}]}
    found = scale.limits(of, told)
    sentences = (4 << 20) / (of.texts.stat().st_size / 10)
    assert found["each"] == pytest.approx(2.0)
    assert found["read_most"] == pytest.approx(64 * 0.05 / 2)
    assert found["most_workers"] == pytest.approx(sentences * 0.002 / 0.1)
    assert found["traffic"] == pytest.approx(720)
    lines = scale.long_texts(tmp_path, 64, 3).read_text().splitlines()
    assert [len(line.split()) for line in lines] == [62] * 3
    monkeypatch.setattr(scale, "speeds", lambda *_: told)
    monkeypatch.setattr(scale, "growth", lambda *_: {"sentences": {250: 1.0, 500: 2.0}})
    page = scale.page(3, 8, None)
    assert "| sentences | 250: 1, 500: 2 s | 1.00 |" in page
    assert "{" not in page


@pytest.mark.slow
def test_ranking_all_heads_is_measured_beside_plain_passes() -> None:
    found = rows("ablate.py", "--rounds", "1")
    assert [row["task"] for row in found] == [
        "`ablate --each` of one word, 72 heads, 16 tokens",
        "`ablate --each` of all words, 72 heads, 16 tokens",
        "`ablate --each` of one word, 72 heads, 64 tokens",
    ]
    assert [row["goal"] for row in found] == ["≤ 15", "≤ 15", "≤ 1"]
    assert "73 copies" in found[-1]["beside"]


@pytest.mark.slow
def test_edits_of_all_heads_are_measured_beside_a_pass(
    tmp_path: Path, measure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits: Any = importlib.import_module("edits")
    monkeypatch.setattr(edits, "LAYERS", 2)
    monkeypatch.setattr(edits, "HEADS", 3)
    monkeypatch.setattr(edits, "SIZES", {"n_embd": 24})
    goals = edits.goals(1)
    assert [goal.task for goal in goals] == [
        "all 6 heads of a GPT-2 edited alone, 16 tokens",
        "the same",
        "the same, patched from another sentence",
    ]
    assert [goal.limit for goal in goals] == [40, 1.5, 1.1]
    assert all(goal.ratio > 0 for goal in goals)


def test_the_page_has_a_row_for_every_goal(monkeypatch: pytest.MonkeyPatch, measure: Any) -> None:
    for name, count in (
        ("startup", 18),
        ("memory", 3),
        ("throughput", 2),
        ("find", 2),
        ("ablate", 3),
        ("edits", 3),
        ("classroom", 2),
    ):
        goals = [measure.Goal(f"{name} {n}", "1 s", "2 s", 0.5, 1.0) for n in range(count)]
        module = importlib.import_module(name)
        monkeypatch.setattr(module, "goals", lambda *_, goals=goals: goals)
    families = importlib.import_module("families")
    monkeypatch.setattr(families, "table", lambda rounds: f"families, {rounds} rounds")
    engines = importlib.import_module("engines")
    monkeypatch.setattr(engines, "table", lambda rounds: f"engines, {rounds} rounds")
    long = importlib.import_module("long")
    monkeypatch.setattr(long, "table", lambda rounds: f"long texts, {rounds} rounds")
    view = importlib.import_module("view")
    monkeypatch.setattr(view, "section", lambda rounds: f"pages, {rounds} rounds\n")
    corpus = importlib.import_module("corpus")
    monkeypatch.setattr(corpus, "section", lambda rounds, *_: f"corpora, {rounds} rounds\n")
    page = importlib.import_module("all").page(5, 2000)
    assert page.startswith("# Benchmarks\n")
    assert page.count("| 0.50 | ≤ 1 | yes |") == 33
    assert re.search(r"Measured on \d{4}-\d\d-\d\d: .+ cores? \(.+\), \d+ GiB of memory; ", page)
    assert "medians of 5 rounds" in page
    assert "\nfamilies, 5 rounds\n" in page
    assert "\nengines, 5 rounds\n" in page
    assert "\nlong texts, 5 rounds\n" in page
    assert "\npages, 5 rounds\n" in page
    assert "\ncorpora, 5 rounds\n" in page
    assert "2048 tokens are run 3 times, longer ones once" in " ".join(page.split())
    assert "{" not in page


@pytest.mark.slow
def test_the_peer_prints_the_same_number() -> None:
    folder = str(find_model("minilm").config.parent)
    text = "The animal didn't cross the street because it was too tired."
    command = [sys.executable, str(PEERS / "one_number.py"), folder, text, "3", "1", "it", "animal"]
    assert subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL) == "0.677\n"


@pytest.mark.slow
def test_the_peer_does_the_same_job(minilm: Model, tmp_path: Path, sentences: Any) -> None:
    # no apostrophes: there the tokenizer's words are not Unicode's
    texts = [text for text in sentences(40) if "'" not in text]
    source = tmp_path / "texts"
    source.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    for suffix in (".npz", ".jsonl"):
        script, folder = str(PEERS / "word_weights.py"), str(find_model("minilm").config.parent)
        command = [sys.executable, script, folder, str(source), str(tmp_path / f"out{suffix}")]
        subprocess.run(command, check=True, capture_output=True)
    arrays = np.load(tmp_path / "out.npz")
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(texts)
    for number, (text, line) in enumerate(zip(texts, lines, strict=True)):
        view = minilm.inspect(text).view()
        expected = np.stack([view.weights(layer) for layer in range(6)])
        words = [token.text for token in view.tokens]
        np.testing.assert_allclose(arrays[f"{number}.weights"], expected, rtol=0, atol=1e-5)
        assert arrays[f"{number}.tokens"].tolist() == words
        told = json.loads(line)
        assert (told["text"], told["tokens"]) == (text, words)
        assert [(head["layer"], head["head"]) for head in told["heads"][11:13]] == [(0, 11), (1, 0)]
        weights = np.array([head["weights"] for head in told["heads"]])
        np.testing.assert_allclose(weights, expected.reshape(weights.shape), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_families_beside_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both give the same numbers, and each is timed as often as is asked; here at small sizes."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    passes, families = map(importlib.import_module, ("passes", "families"))
    monkeypatch.setattr(passes, "VOCABULARY", 97)
    monkeypatch.setattr(passes, "PASSES", {1: 2, 3: 1})
    small = {
        "mpnet": {**passes.USUAL, "num_hidden_layers": 1, "hidden_size": 24},
        "marian": {**passes.CALLED["marian"], "encoder_layers": 1, "d_model": 24},
    }
    monkeypatch.setattr(passes, "CALLED", small)
    found = {family: passes.passes(family, 2) for family in small}
    for seconds in (seconds for batches in found.values() for seconds in batches.values()):
        assert [len(seconds[name]) for name in ("ours", "theirs")] == [2, 2]
        assert min(seconds["ours"] + seconds["theirs"]) > 0
    # `passes.py FAMILY ROUNDS` prints this; of each row the ratio is that of its times
    told = json.dumps({1: {"ours": [0.001, 0.003], "theirs": [0.004, 0.006]}}).encode()
    monkeypatch.setattr(families.subprocess, "check_output", lambda _: told)
    header, _, first, *rows = families.table(2).splitlines()
    assert header == "| family | sentences | attnviz | transformers, eager | ratio |"
    assert first == "| bert | 1 | 2.0 ms | 5.0 ms | 0.38 |"
    assert len(rows) == 7


@pytest.mark.slow
def test_other_numbers_are_not_timed(monkeypatch: pytest.MonkeyPatch, minilm: Model) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    passes = importlib.import_module("passes")
    inspection = minilm.inspect("I am")
    layers = inspection.layers
    weights = [torch.from_numpy(inspection.layer(n).weights(n))[None] for n in range(6)]
    passes.check(layers, weights)
    with pytest.raises(RuntimeError, match="layer 2: weights are off by"):
        passes.check(layers, [*weights[:2], weights[2] + 0.5, *weights[3:]])


@pytest.mark.slow
def test_both_engines_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with the engine that attnviz takes; here for one short text, in small models."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    engines, measure = map(importlib.import_module, ("engines", "measure"))
    monkeypatch.setattr(engines, "LENGTHS", (16,))
    sizes = {"num_hidden_layers": 1, "hidden_size": 24, "num_attention_heads": 3}
    make = measure.make_model
    monkeypatch.setattr(measure, "make_model", lambda *named: make(*named, sizes))
    header, _, *rows = engines.table(1).splitlines()
    assert header == "| model | tokens | numpy | torch | ratio | attnviz takes |"
    row = r"\| (minilm|BERT base) \| 16 \| \d+\.\d\d s \| \d+\.\d\d s \| \d\.\d\d \| numpy \|"
    assert len(rows) == 2
    assert all(re.fullmatch(row, line) for line in rows)


@pytest.mark.slow
def test_a_head_of_a_long_text_is_measured_beside_plain_and_eager_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a small model here; more than a few tokens are said not to fit."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    long = importlib.import_module("long")
    sizes = {"num_hidden_layers": 4, "num_attention_heads": 3, "hidden_size": 24}
    monkeypatch.setattr(long, "SIZES", {**sizes, "intermediate_size": 32})
    monkeypatch.setattr(long, "ROUNDS", {24: 1})
    drawn, asked, found = long.goals(1)
    assert drawn.task == "`heatmap --layer 3 --head 2` of 24 tokens"
    assert asked.task == "`run --layer 3 --head 2 --query @12` of 24 tokens"
    assert found.task == "`find --layer 3 --query @12 --key @3` of 24 tokens"
    assert "; eager, all weights: " in drawn.beside
    for goal in (drawn, asked, found):
        assert re.fullmatch(r"\d+\.\d s, peak \d+ MiB", goal.ours)
        assert "a plain pass (sdpa), " in goal.beside
        assert 0.5 < goal.ratio < 2
        assert goal.limit == 1.5


@pytest.mark.slow
def test_what_eager_attention_of_a_long_text_takes(
    monkeypatch: pytest.MonkeyPatch, minilm: Model
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    long = importlib.import_module("long")
    assert long.all_weights(8192) == 22 * 12 * 8192 * 8192 * 4
    assert [long.fits(length) for length in (1024, 2048, 4096, 8192)] == [True, True, False, False]
    assert long._eager({}, 8192).startswith("eager does not fit in 20 GB: all weights take 70.9,")
    assert len(minilm.tokenize(long.text_of(500))) == 500


@pytest.mark.slow
def test_pages_are_measured_beside_anothers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of 16 tokens here, in Chromium; BertViz, which is not installed, has a page made up."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    view = importlib.import_module("view")
    theirs = {"bytes": 5_000_000, "seconds": 3.0, "why": "no view after 60 s"}
    monkeypatch.setattr(view, "LENGTHS", (16,))
    monkeypatch.setattr(view, "MODELS", {"minilm": 6})
    monkeypatch.setattr(view, "_models", lambda folder: {"minilm": "minilm"})
    monkeypatch.setattr(view, "_theirs", lambda *_: theirs)
    pages = view.measured(1, tmp_path)
    head, _, ours, other = view.table(pages).splitlines()
    assert head.count("|") == ours.count("|") == other.count("|") == 11
    values = r"\d+ KB( \| \d+\.\d\d s){3}( \| \d+ ms){3}"
    assert re.fullmatch(rf"\| minilm \| 16 \| attnviz \| {values} \|", ours)
    assert "| BertViz | 5.00 MB | 3.00 s | no view after 60 s | – |" in other
    monkeypatch.setattr(view, "LIMITS", [one for one in view.LIMITS if one.tokens == 16])
    [goal] = view.goals(pages)
    assert goal.met
    assert goal.beside == "300 KB; BertViz 5.00 MB"


@pytest.mark.slow
def test_the_atlas_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    atlas = importlib.import_module("atlas")
    path = tmp_path / "atlas.html"
    atlas.written([str(BENCHMARKS.parent / "samples" / "treebank.conllu")], 2, path)
    with ThreadPoolExecutor(1) as pool:  # this thread may have a browser of other tests
        size, _, *rows = pool.submit(atlas.table, path, 1).result().splitlines()
    assert re.fullmatch(r"\d+ KB", size)
    assert len(rows) == 2 + 4
    assert all(re.fullmatch(r"\| \w+ \| \d+ ms \| \d+ ms \|", row) for row in rows[2:])


def test_anothers_page_takes_its_scripts_from_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    view = importlib.import_module("view")
    page = tmp_path / "page.html"
    page.write_text("".join(f"<script src='{view.CDN}{name}'>" for name in view.SCRIPTS))
    view.with_local_scripts(page, tmp_path)
    html = page.read_text()
    assert view.CDN not in html
    assert html.count(f"{tmp_path.as_uri()}/node_modules/") == 3


@pytest.mark.slow
def test_forms_of_numbers_are_measured(monkeypatch: pytest.MonkeyPatch, minilm: Model) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    rows = importlib.import_module("packed").rows("minilm", minilm.inspect("It is tired."))
    cells = [row.split("|")[3:6] for row in rows]
    assert [form.split()[0] for form, *_ in cells] == ["float16", "int8,", "attnviz:"]
    half, byte, own = ((float(off), float(bits)) for _, off, bits in cells)
    assert own[0] <= 1.01e-3 < byte[0]
    assert own[1] < half[1]


@pytest.mark.slow
def test_a_woven_model_has_both_layers_queries(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, minilm: Model
) -> None:
    """In its first layer, where both halves of x are minilm's own."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    importlib.import_module("woven_model").make(tmp_path / "woven")
    woven = load_model(str(tmp_path / "woven")).inspect("It is tired.")
    first = minilm.inspect("It is tired.").layer(0)
    assert woven.model.d_k == 64
    both = woven.layer(0).q
    assert first.q is not None
    assert both is not None
    np.testing.assert_allclose(both[..., :32], 2**0.5 * first.q, atol=1e-4)
