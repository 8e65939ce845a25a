"""Sentences a second, from a file to JSON Lines and to NPZ, beside transformers.

usage: python benchmarks/throughput.py [--rounds N] [--sentences N]
"""

import statistics
import subprocess
from pathlib import Path

import measure
from sentences import sentences

from attnviz.models import find_model

PEER = Path(__file__).parent / "peers" / "word_weights.py"
PRODUCTS = Path(__file__).with_name("products.py")
NAMES = {"jsonl": "JSON Lines", "npz": "NPZ"}
LEAST = {"jsonl": 6.0, "npz": 1.5}


def goals(rounds: int, count: int) -> list[measure.Goal]:
    """Whole processes, start-up included, all heads' weights between words."""
    with measure.workplace() as folder:
        source = folder / "sentences.txt"
        source.write_text("".join(f"{text}\n" for text in sentences(count)), encoding="utf-8")
        return [_goal(folder, source, form, rounds, count) for form in NAMES]


def _goal(folder: Path, source: Path, form: str, rounds: int, count: int) -> measure.Goal:
    ours, theirs = folder / f"ours.{form}", folder / f"theirs.{form}"
    model = str(find_model("minilm").config.parent)
    line = measure.attnviz("run", "-", "-o", str(ours), "-f", form, "--quiet")
    peer = measure.python(str(PEER), model, str(source), str(theirs))
    commands = {
        f"attnviz, {form}": measure.Command(line, source),
        f"transformers, {form}": measure.Command(peer),
    }
    our_runs, their_runs = measure.side_by_side(commands, rounds).values()
    for target in (ours, theirs):
        target.unlink()
    floor = ""
    if form == "npz":
        line = measure.python(str(PRODUCTS), str(source))
        alone = statistics.median(float(subprocess.check_output(line)) for _ in range(rounds))
        times = measure.median_seconds(our_runs) / alone
        floor = f", {times:.1f} × the encoder's products alone"
    rates = [[count / run.seconds for run in runs] for runs in (our_runs, their_runs)]
    peaks = [measure.median_memory(runs) / measure.MIB for runs in (our_runs, their_runs)]
    return measure.Goal(
        task=f"{count} sentences from a file to {NAMES[form]}",
        ours=f"{statistics.median(rates[0]):.1f} sentences/s, peak {peaks[0]:.0f} MiB{floor}",
        beside=f"transformers, {statistics.median(rates[1]):.1f} sentences/s, "
        f"peak {peaks[1]:.0f} MiB",
        ratio=measure.ratio_of(*rates),
        limit=LEAST[form],
        at_least=True,
    )


if __name__ == "__main__":
    asked = measure.asked()
    print(measure.HEADER, *goals(asked.rounds, asked.sentences), sep="\n")
