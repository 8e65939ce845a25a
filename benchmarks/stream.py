"""How much memory a stream takes: the peak of many lines beside that of few, which it should equal.

The model is as small as one can be, so that what is kept of each line would show.

usage: python benchmarks/stream.py [--model NAME] [LINES…]
"""

import argparse

import measure
from sentences import sentences

TINY = ("paper", "--num-layers", "1", "--d-model", "4", "--num-heads", "2", "--d-ff", "4")
OPTIONS = ("--head", "0.1", "--format", "jsonl")
LINES = (5_000, 30_000, 150_000)


def peaks(lines: list[int], model: tuple[str, ...] = TINY) -> dict[int, float]:
    """The peak memory, in MiB, of a command that reads so many lines."""
    found = {}
    with measure.workplace() as folder:
        for count in lines:
            path = folder / f"{count}.txt"
            path.write_text("\n".join(sentences(count)), encoding="utf-8")
            command = measure.attnviz("run", "-", "--quiet", "--model", *model, *OPTIONS)
            found[count] = measure.run(measure.Command(command, path)).memory / measure.MIB
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", nargs="*", type=int, metavar="LINES")
    parser.add_argument("--model", help="instead of the smallest one")
    asked = parser.parse_args()
    model = (asked.model,) if asked.model else TINY
    print("| lines | peak | beside the first |\n|---|---|---|")
    first = 0.0
    for lines, peak in peaks(asked.lines or list(LINES), model).items():
        first = first or peak
        print(f"| {lines:,} | {peak:.0f} MiB | {peak / first:.2f} |")


if __name__ == "__main__":
    main()
