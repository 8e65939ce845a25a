"""Our encoder beside transformers' eager attention, on each family that is read natively.

usage: python benchmarks/families.py [--rounds N]
"""

import json
import statistics
import subprocess
from pathlib import Path

import measure

from attnviz.models.families import FAMILIES

PASSES = Path(__file__).with_name("passes.py")

LAYERS, HEADS, D_MODEL, D_FF = 6, 12, 384, 1536
"""The default model's sizes."""

TOKENS = 32

HEADER = """\
| family | sentences | attnviz | transformers, eager | ratio |
|---|---|---|---|---|"""


def table(rounds: int) -> str:
    """A row for each family and size of batch: milliseconds of a pass, medians of the rounds."""
    return "\n".join([HEADER, *(row for family in FAMILIES for row in _rows(family, rounds))])


def _rows(family: str, rounds: int) -> list[str]:
    line = measure.python(str(PASSES), family, str(rounds))
    found: dict[str, dict[str, list[float]]] = json.loads(subprocess.check_output(line))
    rows = []
    for batch, seconds in found.items():
        ours, theirs = (1000 * statistics.median(seconds[name]) for name in ("ours", "theirs"))
        ratio = measure.ratio_of(seconds["ours"], seconds["theirs"])
        rows.append(f"| {family} | {batch} | {ours:.1f} ms | {theirs:.1f} ms | {ratio:.2f} |")
    return rows


if __name__ == "__main__":
    print(table(measure.asked().rounds))
