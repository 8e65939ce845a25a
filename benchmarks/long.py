"""Long texts: what one head takes, beside a plain pass, and beside transformers' eager attention.

The model has ModernBERT's sizes and random weights: neither time nor memory asks what they are.

usage: python benchmarks/long.py [--rounds N]
"""

import random
from collections.abc import Mapping
from pathlib import Path

import measure

PASS = Path(__file__).parent / "peers" / "one_pass.py"

SIZES = {"num_hidden_layers": 22, "num_attention_heads": 12, "hidden_size": 768}

ROUNDS = {1024: 3, 2048: 3, 4096: 1, 8192: 1}
"""How often each length is run at most: the longest take minutes. The first warms up for all."""

WORDS = (
    "the animal did not cross a street because it was too tired and then we went home over hills "
    "where long rivers run under old bridges of stone that nobody built"
)
"""Each of them is one token."""

LAYER, HEAD = 3, 2
PLACE = ("--layer", str(LAYER), "--head", str(HEAD))

ROOM = 20e9
"""Bytes of memory that eager attention may take."""

LIMIT = 1.5
"""How many times a plain pass's memory a head may take, beside the q and k of its layer."""


def table(rounds: int) -> str:
    """A row for each length and each thing that is asked of a head there."""
    return "\n".join([measure.HEADER, *map(str, goals(rounds))])


def goals(rounds: int) -> list[measure.Goal]:
    with measure.workplace() as folder:
        model = folder / "model"
        measure.make_model("modernbert", model, SIZES)
        return [
            goal
            for length, most in ROUNDS.items()
            for goal in _of_length(length, min(rounds, most), model)
        ]


def _of_length(length: int, rounds: int, model: Path) -> list[measure.Goal]:
    folder = model.parent
    text = folder / "text"
    text.write_text(text_of(length), encoding="utf-8")
    asked = {
        "heatmap": ("heatmap", *PLACE, "-o", str(folder / "head.png")),
        "run": ("run", *PLACE, "--query", f"@{length // 2}"),
        "find": (
            *("find", "--layer", str(LAYER)),
            *("--query", f"@{length // 2}", "--key", f"@{length // 2 - 9}"),
        ),
    }
    commands = {
        name: measure.Command(measure.attnviz(*arguments, "--model", str(model)), text)
        for name, arguments in asked.items()
    }
    for kind in ("sdpa", "eager") if fits(length) else ("sdpa",):
        line = measure.python(str(PASS), str(model), kind, str(length), str(LAYER), str(HEAD))
        commands[kind] = measure.Command(line, text)
    runs = measure.side_by_side(commands, rounds, warm_up=length == min(ROUNDS))
    peaks = {name: [run.memory for run in runs[name]] for name in runs}
    q_and_k = 2 * length * SIZES["hidden_size"] * 4
    beside = f"a plain pass (sdpa), {_told(runs, 'sdpa')}, and q and k, {_mib(q_and_k)}"
    return [
        measure.Goal(
            task=f"`{' '.join(arguments[: -2 if name == 'heatmap' else None])}` of {length} tokens",
            ours=_told(runs, name),
            beside=f"{beside}; {_eager(runs, length)}" if name == "heatmap" else beside,
            ratio=measure.ratio_of([peak - q_and_k for peak in peaks[name]], peaks["sdpa"]),
            limit=LIMIT,
        )
        for name, arguments in asked.items()
    ]


def text_of(length: int) -> str:
    """A text of so many tokens, `[CLS]` and `[SEP]` among them."""
    words, chosen = WORDS.split(), random.Random(length)
    return " ".join(chosen.choice(words) for _ in range(length - 2))


def all_weights(length: int) -> int:
    """The bytes of all heads' weights, which eager attention gives together."""
    return 4 * SIZES["num_hidden_layers"] * SIZES["num_attention_heads"] * length**2


def fits(length: int) -> bool:
    """Whether eager attention has room for all weights, and a layer's scores, masked and not."""
    return all_weights(length) * (1 + 3 / SIZES["num_hidden_layers"]) < ROOM


def _eager(runs: Mapping[str, list[measure.Run]], length: int) -> str:
    if "eager" in runs:
        return f"eager, all weights: {_told(runs, 'eager')}"
    room, needed = ROOM / 1e9, all_weights(length) / 1e9
    return f"eager does not fit in {room:.0f} GB: all weights take {needed:.1f}, scores beside them"


def _told(runs: Mapping[str, list[measure.Run]], name: str) -> str:
    seconds, memory = measure.median_seconds(runs[name]), measure.median_memory(runs[name])
    return f"{seconds:.1f} s, peak {_mib(memory)}"


def _mib(memory: float) -> str:
    return f"{memory / measure.MIB:.0f} MiB"


if __name__ == "__main__":
    print(table(measure.asked().rounds))
