"""Sentences a second through `attnviz find`, beside `attnviz run -f npz` over the same ones.

usage: python benchmarks/find.py [--rounds N] [--sentences N]
"""

import statistics
from pathlib import Path

import measure
from sentences import sentences


def goals(rounds: int, count: int) -> list[measure.Goal]:
    """Whole processes, start-up included: lines to JSON Lines, and a table of rows to a table."""
    with measure.workplace() as folder:
        lines, rows = folder / "sentences.txt", folder / "sentences.tsv"
        texts = sentences(count)
        lines.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        rows.write_text("".join(f"{text}\t@3\t@1\n" for text in texts), encoding="utf-8")
        return _goals(folder, lines, rows, rounds, count)


def _goals(folder: Path, lines: Path, rows: Path, rounds: int, count: int) -> list[measure.Goal]:
    def to(name: str) -> list[str]:
        return ["-o", str(folder / name), "--force", "--quiet"]

    words = ["--query", "@3", "--key", "@1"]
    commands = {
        "run, npz": measure.Command(measure.attnviz("run", "-", *to("run.npz")), lines),
        "find, jsonl": measure.Command(measure.attnviz("find", "-", *words, *to("f.jsonl")), lines),
        "find, tsv": measure.Command(measure.attnviz("find", "--tsv", str(rows), *to("f.txt"))),
    }
    runs = measure.side_by_side(commands, rounds)
    seconds = {name: [run.seconds for run in runs[name]] for name in runs}
    rates = {name: count / statistics.median(seconds[name]) for name in seconds}
    tasks = {
        "find, jsonl": f"`find` over {count} lines, to JSON Lines",
        "find, tsv": f"`find --tsv` over {count} rows, to a table",
    }
    return [
        measure.Goal(
            task=task,
            ours=f"{rates[name]:.1f} sentences/s",
            beside=f"`run -f npz`, {rates['run, npz']:.1f} sentences/s",
            ratio=measure.ratio_of(seconds[name], seconds["run, npz"]),
            limit=1.2,
        )
        for name, task in tasks.items()
    ]


if __name__ == "__main__":
    asked = measure.asked()
    print(measure.HEADER, *goals(asked.rounds, asked.sentences), sep="\n")
