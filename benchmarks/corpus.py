"""Corpora: `survey` and `probe` beside passes of transformers, memory as they grow, Ray's workers.

usage: python benchmarks/corpus.py [--rounds N] [--sentences N] [--ud FOLDER] [--most N]
       [--only speed|memory|probe|ray ...]
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import measure
from sentences import sentences

from attnviz.models import find_model

HERE = Path(__file__).parent
FOLDED = str(HERE / "folded.py")
PASS, SURVEY = (str(HERE / "peers" / name) for name in ("corpus_pass.py", "corpus_survey.py"))
TREEBANK = "en_ewt-ud-dev.conllu"
FEWER, MOST = 10, 100_000  # the sentences of the larger corpus; the smaller has a tenth
PROBED = 1000
SHORTEST, LONGEST = 2, 60  # words of a sentence that is probed
TIMES = 5  # how often Ray's workers fold the corpus
LENGTHS = "5 to 40 words, made up ([sentences.py](../benchmarks/sentences.py))"

SECTION = """\
## Corpora

Measured on {corpus}. Each command runs as a process of its own, in turn, and tells how long it took
from the first text to the last, without loading ([folded.py](../benchmarks/folded.py)); medians of
{rounds} rounds, but for memory, of one.

{table}

- A *plain pass* gives no attention ([corpus_pass.py](../benchmarks/peers/corpus_pass.py)):
  `AutoModel` with `sdpa`, batches of 32 sorted by length, padding trimmed.
- *The same with eager attention*
  ([corpus_survey.py](../benchmarks/peers/corpus_survey.py)) has the same kinds of statistics,
  tests, intervals, examples and distances between heads, in numpy, a head after another; and, for
  comparison, for all heads of a sentence at once.
- *Memory* is the peak of the whole process over a corpus that is repeated.
- The pass beside `probe` is attnviz's own, which asks nothing of the heads.
- A worker of Ray has one thread. What Ray takes to start is not counted. All workers are on this
  machine.
"""

Told = Mapping[str, float]
"""What a run prints: `seconds`, and `pieces`, which are tokens."""


@dataclass(frozen=True)
class Corpus:
    """What is measured: its name, a file with a sentence a line, and a treebank."""

    name: str
    texts: Path
    trees: Path


def corpus(folder: Path, count: int, ud: Path | None) -> Corpus:
    """EWT's development part, if a folder with it is named, or sentences that are made up."""
    texts, trees = folder / "corpus.txt", folder / "corpus.conllu"
    if ud is None:
        lines = sentences(count)
        name = f"{count} sentences of {LENGTHS}"
        found = [_tree(line) for line in lines[:PROBED]]
    else:
        source = (ud / TREEBANK).read_text(encoding="utf-8").strip().split("\n\n")
        name = "the development part of UD English EWT"
        lines = [_text(tree) for tree in source]
        found = [tree for tree in source if SHORTEST <= _words(tree) <= LONGEST][:PROBED]
        name += f", {len(lines)} sentences"
    texts.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    trees.write_text("".join(f"{tree}\n\n" for tree in found), encoding="utf-8")
    return Corpus(name, texts, trees)


def _text(tree: str) -> str:
    return next(line[9:] for line in tree.splitlines() if line.startswith("# text = "))


def _words(tree: str) -> int:
    return sum(line.split("\t", 1)[0].isdecimal() for line in tree.splitlines())


def _tree(text: str) -> str:
    """A tree for a sentence: each word depends on the one before."""
    rows = [f"# text = {text}"]
    for number, word in enumerate(text.split(), start=1):
        relation = "root" if number == 1 else "dep"
        rows.append(f"{number}\t{word}\t_\tNOUN\t_\t_\t{number - 1}\t{relation}\t_\t_")
    return "\n".join(rows)


def in_turn(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Told]]:
    """What each command tells, run A B A B."""
    told: dict[str, list[Told]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, line in commands.items():
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{line} ended with {done.returncode}: {done.stderr}")
            told[name].append(json.loads(done.stdout))
            print(f"{number + 1}/{rounds} {name}: {told[name][-1]}", file=sys.stderr)
    return told


def folded(question: str, file: Path, *more: str) -> list[str]:
    """The command line of one fold."""
    return measure.python(FOLDED, question, str(file), *more)


def rates(told: Sequence[Told]) -> list[float]:
    """Tokens a second, round by round."""
    return [one["pieces"] / one["seconds"] for one in told]


def _rate(told: Sequence[Told]) -> str:
    return f"{statistics.median(rates(told)):,.0f} tokens/s"


def speed(of: Corpus, rounds: int) -> list[measure.Goal]:
    """`survey` beside a plain pass, and beside the same with eager attention."""
    model, texts = str(find_model("minilm").config.parent), str(of.texts)
    told = in_turn(
        {
            "survey": folded("survey", of.texts),
            "pass": measure.python(PASS, model, texts),
            "heads": measure.python(SURVEY, model, texts, "heads"),
            "sentences": measure.python(SURVEY, model, texts, "sentences"),
        },
        rounds,
    )
    rate = {name: _rate(some) for name, some in told.items()}
    eager = f"the same with eager attention, {rate['heads']}, all heads at once {rate['sentences']}"
    plain = f"a plain pass of transformers, {rate['pass']}"
    wanted = {"pass": ("`survey`, all statistics", plain, 1.0), "heads": ("the same", eager, 3.0)}
    return [
        measure.Goal(
            task,
            rate["survey"],
            beside,
            measure.ratio_of(rates(told["survey"]), rates(told[name])),
            least,
            at_least=True,
        )
        for name, (task, beside, least) in wanted.items()
    ]


def repeated(texts: Path, count: int) -> Path:
    """A file with so many sentences, which come again and again."""
    lines = texts.read_text(encoding="utf-8").splitlines(keepends=True)
    made = texts.with_name(f"{count}.txt")
    with made.open("w", encoding="utf-8") as stream:
        stream.writelines(lines[number % len(lines)] for number in range(count))
    return made


def memory(of: Corpus, most: int) -> list[measure.Goal]:
    """The peak of `survey` over a corpus that is repeated, and over a tenth of it."""
    peaks = {}
    for count in (most // FEWER, most):
        line = folded("survey", repeated(of.texts, count))
        peaks[count] = measure.run(measure.Command(line)).memory
        print(f"{count} sentences: {peaks[count] / measure.MIB:.0f} MiB", file=sys.stderr)
    small, large = peaks.values()
    return [
        measure.Goal(
            f"memory of `survey` after {most:,} sentences",
            f"peak {large / measure.MIB:.0f} MiB",
            f"after {most // FEWER:,}, peak {small / measure.MIB:.0f} MiB",
            large / small,
            1.05,
        )
    ]


def probe(of: Corpus, rounds: int) -> list[measure.Goal]:
    """`probe --conllu` beside the forward pass of the same sentences."""
    texts = of.trees.with_name("probed.txt")
    lines = [_text(tree) for tree in of.trees.read_text(encoding="utf-8").strip().split("\n\n")]
    texts.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    commands = {"probe": folded("probe", of.trees), "pass": folded("pass", texts)}
    told = in_turn(commands, rounds)
    ours, theirs = ([one["seconds"] for one in told[name]] for name in commands)
    return [
        measure.Goal(
            f"`probe --conllu` of {len(lines):,} sentences",
            f"{statistics.median(ours):.2f} s",
            f"their forward pass, {statistics.median(theirs):.2f} s",
            measure.ratio_of(ours, theirs),
            1.3,
        )
    ]


def ray(of: Corpus, rounds: int) -> list[measure.Goal]:
    """`survey` by two workers of Ray with a thread each, beside one."""
    count = TIMES * len(of.texts.read_text(encoding="utf-8").splitlines())
    texts = repeated(of.texts, count)
    commands = {str(n): folded("survey", texts, "--ray", str(n)) for n in (2, 1)}
    two, one = in_turn(commands, rounds).values()
    return [
        measure.Goal(
            "`survey --engine ray --workers 2`",
            _rate(two),
            f"`--workers 1`, {_rate(one)}",
            measure.ratio_of(rates(two), rates(one)),
            1.7,
            at_least=True,
        )
    ]


def section(rounds: int, count: int, ud: Path | None, most: int, only: Sequence[str]) -> str:
    """What docs/benchmarks.md says of corpora."""
    with measure.workplace() as folder:
        of = corpus(folder, count, ud)
        parts = {
            "speed": lambda: speed(of, rounds),
            "memory": lambda: memory(of, most),
            "probe": lambda: probe(of, rounds),
            "ray": lambda: ray(of, rounds),
        }
        goals = [goal for name in parts if name in only for goal in parts[name]()]
    table = "\n".join([measure.HEADER, *map(str, goals)])
    return SECTION.format(corpus=of.name, rounds=rounds, table=table)


PARTS = ("speed", "memory", "probe", "ray")

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5, help="counted runs of each command (5)")
    parser.add_argument("--sentences", type=int, default=2000, help="made-up sentences (2000)")
    parser.add_argument("--ud", type=Path, help=f"a folder with {TREEBANK}, to measure on that")
    parser.add_argument("--most", type=int, default=MOST, help=f"sentences for memory ({MOST})")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    asked = parser.parse_args()
    print(section(asked.rounds, asked.sentences, asked.ud, asked.most, asked.only))
