"""How long a command takes from a cold process, beside `import torch` and beside transformers.

usage: python benchmarks/startup.py [--rounds N]
"""

from pathlib import Path
from typing import NamedTuple

import measure

from attnviz.models import find_model

ANIMAL = "The animal didn't cross the street because it was too tired."
TWIN = ANIMAL.replace("tired", "wide")
PEER = Path(__file__).parent / "peers" / "one_number.py"

HEAD = ("--layer", "3", "--head", "1")
WORD = ("--query", "it")

TINY_GPT2 = {"n_positions": 64, "n_embd": 24, "n_layer": 2, "n_head": 3}

BESIDE = {
    "torch": "`import torch`",
    "transformers": "the same job with transformers",
    "transformers, gpt2": "the same job with transformers",
}


class Wanted(NamedTuple):
    """A goal: what is measured, beside what, and how large the ratio of both may be."""

    task: str
    ours: str
    beside: str
    limit: float
    memory: bool = False


WANTED = (
    Wanted("`attnviz run` of the founding sentence, cold process", "run", "torch", 0.3),
    Wanted("the same", "run", "transformers", 0.09),
    Wanted("the same", "run", "torch", 0.65, memory=True),
    Wanted("`attnviz find` of `it` and `animal` in it", "find", "torch", 0.3),
    Wanted("the same", "find", "transformers", 0.09),
    Wanted("`attnviz compare` of it and the one with `wide`", "compare", "torch", 0.3),
    Wanted("the same", "compare", "transformers", 0.09),
    Wanted("`attnviz explain` of `it` in L3H1", "explain", "torch", 0.3),
    Wanted("the same", "explain", "transformers", 0.09),
    Wanted("`attnviz ablate --each` for `it`", "ablate", "torch", 0.5),
    Wanted("`attnviz heatmap` of L3H1", "heatmap", "torch", 0.75),
    Wanted("`attnviz lines` of `it` in L3H1", "lines", "torch", 0.75),
    Wanted("`attnviz run --load FILE`", "load", "torch", 0.2),
    Wanted("`attnviz --help`", "help", "torch", 0.1),
    Wanted("completion of a command", "command", "torch", 0.12),
    Wanted("completion of a word of the sentence", "word", "torch", 0.12),
    Wanted("`attnviz run` in a model of BERT base's sizes", "base", "torch", 0.6),
    Wanted("`attnviz run` in a tiny GPT-2", "gpt2", "transformers, gpt2", 1.15),
)


def goals(rounds: int) -> list[measure.Goal]:
    """One for each of WANTED; the models of random weights are made first."""
    with measure.workplace() as folder:
        measure.make_model("bert", folder / "base")
        measure.make_model("gpt2", folder / "gpt2", TINY_GPT2)
        saved = folder / "saved.safetensors"
        measure.run(measure.Command(measure.attnviz("run", ANIMAL, "--save", str(saved))))
        commands = {name: measure.Command(line) for name, line in _lines(folder, saved).items()}
        runs = measure.side_by_side(commands, rounds)
    return [_goal(wanted, runs) for wanted in WANTED]


def _lines(folder: Path, saved: Path) -> dict[str, list[str]]:
    """The command line of each name in WANTED."""
    minilm, gpt2 = str(find_model("minilm").config.parent), str(folder / "gpt2")
    number, picture = str(PEER), ("-o", str(folder / "head.png"))
    ours = {
        "help": ("--help",),
        "run": ("run", ANIMAL),
        "find": ("find", ANIMAL, *WORD, "--key", "animal"),
        "compare": ("compare", ANIMAL, TWIN, *WORD),
        "explain": ("explain", ANIMAL, *WORD, *HEAD),
        "ablate": ("ablate", ANIMAL, "--each", *WORD),
        "heatmap": ("heatmap", ANIMAL, *HEAD, *picture, "--force"),
        "lines": ("lines", ANIMAL, *WORD, *HEAD, *picture, "--force"),
        "load": ("run", "--load", str(saved)),
        "base": ("run", ANIMAL, "--model", str(folder / "base")),
        "gpt2": ("run", ANIMAL, "--model", gpt2),
    }
    return {
        "torch": measure.python("-c", "import torch"),
        **{name: measure.attnviz(*arguments) for name, arguments in ours.items()},
        "command": _completing("attnviz he"),
        "word": _completing("attnviz run --query an"),
        "transformers": measure.python(number, minilm, ANIMAL, "3", "1", "it", "animal"),
        "transformers, gpt2": measure.python(number, gpt2, ANIMAL, "1", "1", "it", "animal"),
    }


def _completing(typed: str) -> list[str]:
    """What the shell runs when the tab key is pressed after this."""
    return ["env", "_ATTNVIZ_COMPLETE=bash", *measure.attnviz(typed, " \"'@><=;|&(:")]


def _goal(wanted: Wanted, runs: dict[str, list[measure.Run]]) -> measure.Goal:
    both = runs[wanted.ours], runs[wanted.beside]
    if wanted.memory:
        ours, theirs = (
            f"peak {measure.median_memory(some) / measure.MIB:.0f} MiB" for some in both
        )
        numbers = [[run.memory for run in some] for some in both]
    else:
        ours, theirs = (f"{measure.median_seconds(some):.2f} s" for some in both)
        numbers = [[run.seconds for run in some] for some in both]
    beside = f"{BESIDE[wanted.beside]}, {theirs}"
    return measure.Goal(wanted.task, ours, beside, measure.ratio_of(*numbers), wanted.limit)


if __name__ == "__main__":
    print(measure.HEADER, *goals(measure.asked().rounds), sep="\n")
