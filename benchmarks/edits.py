"""How long each head of a model of transformers is edited, and in how much memory.

Beside plain passes of the same sentence by transformers alone. With `--before TREE`, the folder of
an earlier attnviz, `ablate --each` on the default model is measured beside that one's, too.

usage: python benchmarks/edits.py [--rounds N | --quick] [--before TREE]
"""

import argparse
import json
import os
import statistics
import subprocess
from collections.abc import Mapping
from pathlib import Path

import measure

EDITED, EACH = (Path(__file__).with_name(name) for name in ("edited.py", "each.py"))
LAYERS, HEADS, TOKENS = 12, 12, 16
SIZES: dict[str, int] = {}  # besides, as published


def goals(rounds: int, before: Path | None = None) -> list[measure.Goal]:
    with measure.workplace() as folder:
        model = folder / "gpt2"
        measure.make_model("gpt2", model, {"n_layer": LAYERS, "n_head": HEADS, **SIZES})
        asked = str(EDITED), str(model), str(TOKENS)
        told = [_told(*asked) for _ in range(rounds)]
        alone = {
            name: measure.Command(measure.python(*asked, "--alone", name))
            for name in ("pass", "each")
        }
        runs = measure.side_by_side(alone, rounds)
        earlier = [] if before is None else [_before(before, rounds)]
    seconds = {name: [found[name] for found in told] for name in told[0]}
    one, each, patch = (statistics.median(seconds[name]) for name in ("pass", "each", "patch"))
    memory = {name: [run.memory for run in found] for name, found in runs.items()}
    peaks = {name: statistics.median(found) / measure.MIB for name, found in memory.items()}
    task = f"all {LAYERS * HEADS} heads of a GPT-2 edited alone, {TOKENS} tokens"
    return [
        measure.Goal(
            task, f"{each:.2f} s", f"one pass of transformers, {1000 * one:.0f} ms",
            measure.ratio_of(seconds["each"], seconds["pass"]), 40,
        ),
        measure.Goal(
            "the same", f"peak {peaks['each']:.0f} MiB",
            f"one pass of transformers, peak {peaks['pass']:.0f} MiB",
            measure.ratio_of(memory["each"], memory["pass"]), 1.5,
        ),
        measure.Goal(
            "the same, patched from another sentence", f"{patch:.2f} s",
            f"set to zero, {each:.2f} s",
            measure.ratio_of(seconds["patch"], seconds["each"]), 1.1,
        ),
        *earlier,
    ]  # fmt: skip


def _before(tree: Path, rounds: int) -> measure.Goal:
    """`ablate --each` on the default model, beside an earlier attnviz."""
    earlier = {**os.environ, "PYTHONPATH": str(tree)}
    both: dict[str, list[float]] = {"now": [], "before": []}
    for _ in range(rounds):
        both["before"].append(
            _told(str(tree / "benchmarks" / EACH.name), "16", env=earlier)["query"]
        )
        both["now"].append(_told(str(EACH), "16")["query"])
    now, then = (statistics.median(both[name]) for name in ("now", "before"))
    task = "`ablate --each` of one word, 72 heads, 16 tokens"
    ratio = measure.ratio_of(both["now"], both["before"])
    return measure.Goal(task, f"{1000 * now:.0f} ms", f"before, {1000 * then:.0f} ms", ratio, 1.05)


def _told(*arguments: str, env: Mapping[str, str] | None = None) -> dict[str, float]:
    told: dict[str, float] = json.loads(
        subprocess.check_output(measure.python(*arguments), env=env)
    )
    return told


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5, help="counted runs of each command (5)")
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--before", type=Path, help="the folder of an earlier attnviz")
    options = parser.parse_args()
    found = goals(1 if options.quick else options.rounds, options.before)
    print(measure.HEADER, *found, sep="\n")
