"""Where torch overtakes numpy: `attnviz run` of short and long texts in each engine.

Whole processes, in minilm and in a model with the sizes of BERT base and random weights.

usage: python benchmarks/engines.py [--rounds N]
"""

import subprocess

import measure
from long import text_of

from attnviz.encoder.choice import VARIABLE

LENGTHS = (8, 16, 32, 64, 128, 256, 512)

TAKEN = """
import sys
from attnviz.model import load_model
load_model(sys.argv[1]).inspect(sys.argv[2])
print("torch" if "torch" in sys.modules else "numpy")
"""

HEADER = """\
| model | tokens | numpy | torch | ratio | attnviz takes |
|---|---|---|---|---|---|"""


def table(rounds: int) -> str:
    """A row for each model and length: seconds in each engine, and the one that is chosen."""
    with measure.workplace() as folder:
        measure.make_model("bert", folder / "base")
        models = {"minilm": "minilm", "BERT base": str(folder / "base")}
        rows = [
            _row(title, model, length, rounds)
            for title, model in models.items()
            for length in LENGTHS
        ]
    return "\n".join([HEADER, *rows])


def _row(title: str, model: str, length: int, rounds: int) -> str:
    line = measure.attnviz("run", text_of(length), "--model", model)
    commands = {
        name: measure.Command(["env", f"{VARIABLE}={name}", *line]) for name in ("numpy", "torch")
    }
    runs = measure.side_by_side(commands, rounds)
    seconds = {name: [run.seconds for run in some] for name, some in runs.items()}
    asking = measure.python("-c", TAKEN, model, text_of(length))
    taken = subprocess.run(asking, capture_output=True, text=True, check=True).stdout.strip()
    times = " | ".join(f"{measure.median_seconds(some):.2f} s" for some in runs.values())
    ratio = measure.ratio_of(seconds["numpy"], seconds["torch"])
    return f"| {title} | {length} | {times} | {ratio:.2f} | {taken} |"


if __name__ == "__main__":
    print(table(measure.asked().rounds))
