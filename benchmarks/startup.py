"""How long a command takes from a cold process, beside `import torch` and beside transformers.

usage: python benchmarks/startup.py [--rounds N]
"""

from pathlib import Path

import measure

from attnviz.models import find_model

ANIMAL = "The animal didn't cross the street because it was too tired."
PEER = Path(__file__).parent / "peers" / "one_number.py"


def goals(rounds: int) -> list[measure.Goal]:
    with measure.workplace() as folder:
        saved, picture = str(folder / "animal.safetensors"), str(folder / "animal.png")
        measure.run(measure.Command(measure.attnviz("run", ANIMAL, "--save", saved)))
        # `run` comes before `heatmap`, which draws the sentence that it remembers
        arguments = {
            "torch": measure.python("-c", "import torch"),
            "help": measure.attnviz("--help"),
            "run": measure.attnviz("run", ANIMAL),
            "load": measure.attnviz("run", "--load", saved),
            "heatmap": measure.attnviz("heatmap", "-o", picture, "--layer", "3", "--head", "1"),
            "transformers": measure.python(str(PEER), _folder(), ANIMAL, "3", "1", "it", "animal"),
        }
        commands = {name: measure.Command(line) for name, line in arguments.items()}
        runs = measure.side_by_side(commands, rounds)

    def goal(task: str, ours: str, theirs: str, limit: float) -> measure.Goal:
        beside = {"torch": "`import torch`", "transformers": "the same job with transformers"}
        seconds = {name: [run.seconds for run in runs[name]] for name in (ours, theirs)}
        return measure.Goal(
            task=task,
            ours=f"{measure.median_seconds(runs[ours]):.2f} s",
            beside=f"{beside[theirs]}, {measure.median_seconds(runs[theirs]):.2f} s",
            ratio=measure.ratio_of(seconds[ours], seconds[theirs]),
            limit=limit,
        )

    return [
        goal("`attnviz run` of the founding sentence, cold process", "run", "torch", 1.25),
        goal("the same", "run", "transformers", 0.4),
        goal("`attnviz --help`", "help", "torch", 0.25),
        goal("`attnviz run --load FILE`", "load", "torch", 0.4),
        goal("`attnviz heatmap` of the remembered sentence", "heatmap", "torch", 0.9),
    ]


def _folder() -> str:
    """The default model's folder, which transformers reads too."""
    return str(find_model("minilm").config.parent)


if __name__ == "__main__":
    print(measure.HEADER, *goals(measure.asked().rounds), sep="\n")
