"""A class draws every head: 144 heatmaps of a model of BERT base's sizes, each in a file.

Beside it a script as a student writes one: transformers, then matplotlib, a figure a head. The
model has random weights: the pictures take as long as a trained one's.

usage: python benchmarks/classroom.py [--rounds N]
"""

import statistics
from pathlib import Path

import measure

SENTENCE = "We turned down a narrow lane and passed through a small [MASK]."
PEER = Path(__file__).parent / "peers" / "every_head.py"
LAYERS, HEADS = 12, 12
WITHIN = 60  # seconds; nearly all of the work is one processor's


def goals(rounds: int) -> list[measure.Goal]:
    with measure.workplace() as folder:
        model, pictures, theirs = (folder / name for name in ("bert", "ours", "theirs"))
        measure.make_model("bert", model)
        for place in (pictures, theirs):
            place.mkdir()
        named = str(pictures / "Attention_Layer{layer}_Head{head}.png")
        look = ["--pieces", "--from-1", "--colours", "grey", "--scale", "0:1"]
        draw = ["heatmap", SENTENCE, "--model", str(model), "--each", "-o", named, *look]
        arguments = {
            "ours": measure.attnviz(*draw),
            "peer": measure.python(str(PEER), str(model), SENTENCE, str(theirs)),
        }
        commands = {name: measure.Command(line) for name, line in arguments.items()}
        runs = measure.side_by_side(commands, rounds)
        drawn = [len(list(place.iterdir())) for place in (pictures, theirs)]
    if drawn != [LAYERS * HEADS] * 2:
        raise RuntimeError(f"{drawn} pictures were drawn")
    seconds = {name: [run.processor for run in runs[name]] for name in runs}
    ours, peer = (statistics.median(seconds[name]) for name in ("ours", "peer"))
    task = f"`heatmap --each` of {LAYERS} × {HEADS} heads: {LAYERS * HEADS} PNG files"
    told = f"{ours:.1f} s of a processor"
    ratio = measure.ratio_of(seconds["ours"], seconds["peer"])
    return [
        measure.Goal(task, told, f"{WITHIN} s", ours / WITHIN, 1),
        measure.Goal("the same", told, f"transformers and matplotlib, {peer:.1f} s", ratio, 1),
    ]


if __name__ == "__main__":
    print(measure.HEADER, *goals(measure.asked().rounds), sep="\n")
