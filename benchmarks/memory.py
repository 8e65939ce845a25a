"""How much memory 512 tokens take: kept as an inspection, and drawn as a heatmap.

usage: python benchmarks/memory.py [--rounds N]
"""

import json
import statistics
import subprocess
from pathlib import Path

import measure
from sentences import sentences

KEPT = Path(__file__).with_name("kept.py")

HEATMAP = ("heatmap", "--layer", "3", "--head", "1")


def goals(rounds: int) -> list[measure.Goal]:
    return [_kept(rounds), *_drawn(rounds)]


def _kept(rounds: int) -> measure.Goal:
    """What an inspection takes, beside the sizes of its x, q, k, v and z."""
    command = measure.python(str(KEPT), long_text())
    with measure.workplace():
        told = [json.loads(subprocess.check_output(command)) for _ in range(rounds)]
    each = statistics.median(found["each"] for found in told)
    found = told[0]
    return measure.Goal(
        task=f"an inspection of {found['tokens']} tokens, all heads",
        ours=f"{each / measure.MIB:.1f} MiB",
        beside=f"its x, q, k, v, z, {found['vectors'] / measure.MIB:.1f} MiB "
        f"(all heads' weights: {found['weights'] / measure.MIB:.1f} MiB)",
        ratio=each / found["vectors"],
        limit=1.25,  # what the allocator keeps in between counts too
    )


def _drawn(rounds: int) -> list[measure.Goal]:
    with measure.workplace() as folder:
        picture = str(folder / "long.png")
        fresh = measure.attnviz(*HEATMAP, "--truncate", "-o", picture, long_text())
        commands = {
            "torch": measure.Command(measure.python("-c", "import torch")),
            "fresh": measure.Command(fresh),
            "remembered": measure.Command(measure.attnviz(*HEATMAP, "-o", picture)),
        }
        runs = measure.side_by_side(commands, rounds)
    peaks = {name: [run.memory for run in runs[name]] for name in runs}
    torch = measure.median_memory(runs["torch"]) / measure.MIB
    return [
        measure.Goal(
            task=f"`{' '.join(HEATMAP)}` of 512 tokens, {what}",
            ours=f"peak {measure.median_memory(runs[what]) / measure.MIB:.0f} MiB",
            beside=f"`import torch`, {torch:.0f} MiB",
            ratio=measure.ratio_of(peaks[what], peaks["torch"]),
            limit=2.0,
        )
        for what in ("fresh", "remembered")
    ]


def long_text() -> str:
    """More than 512 tokens."""
    return " ".join(sentences(40))


if __name__ == "__main__":
    print(measure.HEADER, *goals(measure.asked().rounds), sep="\n")
