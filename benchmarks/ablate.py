"""How long `ablate --each` runs, loading aside, beside passes of the sentence without ablation.

usage: python benchmarks/ablate.py [--rounds N]
"""

import json
import statistics
import subprocess
from pathlib import Path

import measure

EACH = Path(__file__).with_name("each.py")

SHORT, LONGER = 16, 64
"""Tokens: the founding sentence has 16. A longer one is bound by arithmetic, not by memory."""

ASKED = {"query": "of one word", "words": "of all words"}


def goals(rounds: int) -> list[measure.Goal]:
    with measure.workplace():
        told = {length: [_measured(length) for _ in range(rounds)] for length in (SHORT, LONGER)}
    short = [_goal(told[SHORT], SHORT, asked, "one", 15) for asked in ASKED]
    return [*short, _goal(told[LONGER], LONGER, "query", "batch", 1)]


def _measured(length: int) -> dict[str, float]:
    found: dict[str, float] = json.loads(
        subprocess.check_output(measure.python(str(EACH), str(length)))
    )
    return found


def _goal(
    told: list[dict[str, float]], length: int, asked: str, beside: str, limit: float
) -> measure.Goal:
    ours, theirs = (statistics.median(found[name] for found in told) for name in (asked, beside))
    times = statistics.median(found[asked] / found["one"] for found in told)
    what = {"one": "one pass of the sentence", "batch": "one pass of 73 copies of it"}[beside]
    more = f", {times:.0f} × one pass" if beside == "batch" else ""
    return measure.Goal(
        task=f"`ablate --each` {ASKED[asked]}, 72 heads, {length} tokens",
        ours=f"{1000 * ours:.0f} ms{more}",
        beside=f"{what}, {1000 * theirs:.1f} ms",
        ratio=measure.ratio_of([found[asked] for found in told], [found[beside] for found in told]),
        limit=limit,
    )


if __name__ == "__main__":
    print(measure.HEADER, *goals(measure.asked().rounds), sep="\n")
