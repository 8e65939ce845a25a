"""What a survey costs as a corpus and a model grow; writes docs/scale.md.

usage: python benchmarks/scale.py [--rounds N] [--sentences N] [--ud FOLDER] [--out FILE]
"""

import argparse
import datetime
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import measure
from all import machine
from corpus import Corpus, Told, corpus, folded, in_turn, repeated

PAGE = Path(__file__).parent.parent / "docs" / "scale.md"

LENGTHS = (16, 32, 64, 128, 256, 510)
TOKENS_EACH = 32  # in the texts of each length together, for each sentence of the corpus
LAYERS = (3, 6, 12, 24)
HEADS = (6, 12, 24, 48)
ONE_CORE = ("env", "OMP_NUM_THREADS=1")
SIZES = {"hidden_size": 384, "intermediate_size": 1536}
READ = 20_000  # sentences that are read, and nothing more
LARGE = 80 * 64  # the heads of a decoder of 70 billion parameters
CORES = 64  # of a machine that one would rent
DAY = 86_400
LINE = 1.25e9  # bytes a second of a network of 10 Gbit
GIB = 1 << 30

TEMPLATE = """\
# How far it goes

<!-- Written by benchmarks/scale.py: python benchmarks/scale.py -->

What a survey of 10⁶ and of 10⁹ sentences takes, on how many machines, and what would break first.
Measured on {date}: {machine}; {corpus}, in the default model, with all statistics, five examples a
head and distances between heads, without loading; medians of {rounds} round(s).

## Tokens a second

{speed}

Two cores are {twice:.2f} times as fast as one. Each sentence runs on one core, so cores do not wait
for each other. Workers of Ray on one machine: see [benchmarks.md](benchmarks.md#corpora).

## How the cost grows

A slope of 1 means that twice as much takes twice as long; 2 means four times as long. It is the
slope of the line through the logarithms of the times (least squares). On one core.

{growth}

- *Sentences*: sums do not grow, and memory hardly does ([benchmarks.md](benchmarks.md#corpora)).
- *Length*: texts of so many tokens, as many of them as make {tokens:,} tokens. What is told is the
  time of a text. Weights grow with the square of the length, all else with the length itself. A
  text that is too long for the model is run in windows, so that from there on the slope is 1.
- *Layers* and *heads*: models of random weights with the sizes of the default model, but for that
  number. d_model stays the same as heads grow, so the encoder's products do too.

## 10⁶ and 10⁹ sentences

A sentence here has {pieces:.1f} tokens and takes {each:.2f} ms of one core. With the slope of
sentences at {slope:.2f}, we count on 1.

{sizes}

For a larger model, multiply by the time of its forward pass over that of the default model.

```sh
ray start --head                                   # on the first machine; the others join it
attnviz survey 'corpus/*.txt.zst' --engine ray --address HOST:6379 --resume run.safetensors
```

Each worker folds a shard of the corpus, and sends its sums, not its sentences. Ray starts a lost
worker again, and runs its shard anew, up to {retries} times. The machine that started the run
merges the sums as they come. With `--resume` it keeps them now and then, every 2 seconds or less
often: writing takes a fiftieth of one core at most. After Ctrl-C or `kill -9` the shards that were
under way are run again, and after `kill -9` what was merged since they were kept the last time.

All machines need the same attnviz, Ray and Python, the model, and the files under the same names.
The numbers for many machines are computed from one machine. The largest cluster that we ran had two
workers.

## Where the limits are

- **Reading.** Reading a plain text file takes {read:.1f} µs a sentence. A file of more than {shard}
  MiB is cut into parts, up to {parts}. Who folds a part reads the whole file and leaves out the
  rest: with {parts} parts, reading plain text adds {read_most:.1%} to the time, and what takes
  longer to read adds more: CoNLL-U, or what is compressed. So give a large corpus as many files of
  {shard} MiB or more. Standard input cannot be read by Ray's workers.
- **Merging.** A shard's sums take {state:.1f} MiB, and {merge:.0f} ms of one core to be merged. A
  shard of {shard} MiB has {shard_sentences:,.0f} sentences and takes {shard_minutes:.1f} minutes.
  By this count, one core merges as fast as {most_workers:,.0f} workers fold. They would send it
  {traffic:,.0f} MiB a second.
- **Memory.** The sums take {head_bytes:.0f} KiB a head, most of it resamples for intervals, in each
  worker and in the machine that merges. A decoder with 80 layers of 64 heads, {large:,} together,
  needs {large_gib:.1f} GiB in each of them, twice that while sums are merged.
- **Distances.** They grow with the square of the heads: {pairs_gib:.2f} GiB for {large:,} heads,
  for each level of sampling that is kept. `--no-distances` leaves them out.
- **Examples.** Each head keeps its strongest texts and a sample of the others, at most 40 words of
  each. They do not grow with the corpus.

## What would break first

- With one large file: reading. For each of its {parts} parts all of it is read, and unpacked if it
  is compressed.
- With many files and workers: the machine that merges. One core of it keeps up with
  {most_workers:,.0f} workers, its line of 10 Gbit a second with {line_workers:,.0f}. We do not know
  how many actors Ray Data itself drives well.
- With many heads: the memory for the resamples, then the distances.
- With many sentences: nothing. Counts are exact up to 2⁵³, and intervals only get narrower.
"""


def slope(times: Mapping[int, float]) -> float:
    """Of the line through the logarithms (least squares)."""
    return statistics.linear_regression(
        [math.log(size) for size in times], [math.log(time) for time in times.values()]
    ).slope


def seconds(told: Sequence[Told]) -> float:
    """The median."""
    return statistics.median(one["seconds"] for one in told)


def surveyed(lines: Mapping[int, Sequence[str]], rounds: int) -> dict[int, float]:
    """The median time of each command line."""
    told = in_turn({str(size): line for size, line in lines.items()}, rounds)
    return {int(size): seconds(some) for size, some in told.items()}


def growth(of: Corpus, folder: Path, count: int, rounds: int) -> dict[str, dict[int, float]]:
    """Times on one core, by what grows: in ms, a text or the whole corpus."""

    def line(file: Path, *more: str) -> list[str]:
        return [*ONE_CORE, *folded("survey", file, *more)]

    found = {}
    by_size = {size: line(repeated(of.texts, size)) for size in sizes_of(count)}
    found["sentences"] = surveyed(by_size, rounds)
    texts = {n: long_texts(folder, n, TOKENS_EACH * count // n) for n in LENGTHS}
    times = surveyed({n: line(file) for n, file in texts.items()}, rounds)
    found["tokens of a text"] = {n: s / (TOKENS_EACH * count // n) for n, s in times.items()}
    some = repeated(of.texts, sizes_of(count)[0])
    for name, key, sizes in (
        ("layers", "num_hidden_layers", LAYERS),
        ("heads a layer", "num_attention_heads", HEADS),
    ):
        lines = {}
        for size in sizes:
            model = folder / f"{key}-{size}"
            both = {"num_hidden_layers": 6, "num_attention_heads": 12, **SIZES, key: size}
            measure.make_model("bert", model, both)
            lines[size] = line(some, "--model", str(model))
        found[name] = surveyed(lines, rounds)
    return found


def sizes_of(count: int) -> tuple[int, ...]:
    """Of corpora: from a quarter of the usual one to twice as large."""
    return count // 4, count // 2, count, 2 * count


def long_texts(folder: Path, length: int, count: int) -> Path:
    """So many texts of so many tokens, special ones too, of words that are one piece each."""
    words = (
        "the old ship did not find its way home because it was late at night and " * 40
    ).split()
    made = folder / f"long-{length}.txt"
    text = " ".join(words[: length - 2])
    made.write_text(f"{text}\n" * count, encoding="utf-8")
    return made


def growth_table(times: Mapping[str, Mapping[int, float]]) -> str:
    """A row for each thing that grows."""
    rows = ["| as this grows | time | slope |", "|---|---|---|"]
    for name, found in times.items():
        unit = "ms a text" if name == "tokens of a text" else "s"
        by = 1000 if unit.startswith("ms") else 1
        told = ", ".join(f"{size:,}: {_plain(time * by)}" for size, time in found.items())
        rows.append(f"| {name} | {told} {unit} | {slope(found):.2f} |")
    return "\n".join(rows)


def _plain(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.2g}"


def speeds(of: Corpus, rounds: int) -> dict[str, list[Told]]:
    """On one core and on two, and reading alone."""
    lines = {"1": [*ONE_CORE, *folded("survey", of.texts)], "2": folded("survey", of.texts)}
    lines["read"] = folded("read", repeated(of.texts, READ))
    return in_turn(lines, rounds)


def speed_table(told: Mapping[str, Sequence[Told]]) -> str:
    """Tokens and sentences a second."""
    rows = ["| cores | tokens a second | sentences a second |", "|---|---|---|"]
    for cores in ("1", "2"):
        some, time = told[cores][0], seconds(told[cores])
        pieces, documents = some["pieces"] / time, some["documents"] / time
        rows.append(f"| {cores} | {pieces:,.0f} | {documents:,.0f} |")
    return "\n".join(rows)


def sizes_table(each: float) -> str:
    """What 10⁶ and 10⁹ sentences take, if each takes so many seconds of a core."""
    rows = [
        f"| sentences | on one core | on 2 cores | machines of {CORES} cores for one day |",
        "|---|---|---|---|",
    ]
    for power, name in ((6, "10⁶"), (9, "10⁹")):
        total = each * 10**power
        machines = max(1, math.ceil(total / (CORES * DAY)))
        rows.append(f"| {name} | {_time(total)} | {_time(total / 2)} | {machines} |")
    return "\n".join(rows)


def _time(seconds: float) -> str:
    for size, name in ((365.25 * DAY, "years"), (DAY, "days"), (3600, "hours")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds / 60:.0f} minutes"


def limits(of: Corpus, told: Mapping[str, Sequence[Told]]) -> dict[str, Any]:
    """What the page says of reading, merging and memory."""
    from attnviz.corpus.ray_engine import MOST_PARTS, RETRIES, SHARD_BYTES

    one, reading = told["1"][0], seconds(told["read"]) / READ
    each = seconds(told["1"]) / one["documents"]
    shard_sentences = SHARD_BYTES / (of.texts.stat().st_size / one["documents"])
    shard_seconds = shard_sentences * each
    merge = statistics.median(some["merge"] for some in told["1"])
    heads = 72
    most = shard_seconds / merge
    return {
        "each": 1000 * each,
        "pieces": one["pieces"] / one["documents"],
        "sizes": sizes_table(each),
        "retries": RETRIES,
        "read": 1e6 * reading,
        "read_most": MOST_PARTS * reading / each,
        "shard": SHARD_BYTES >> 20,
        "parts": MOST_PARTS,
        "state": one["state"] / measure.MIB,
        "merge": 1000 * merge,
        "shard_sentences": shard_sentences,
        "shard_minutes": shard_seconds / 60,
        "most_workers": most,
        "traffic": most * one["state"] / measure.MIB / shard_seconds,
        "line_workers": LINE * shard_seconds / one["state"],
        "head_bytes": one["state"] / heads / 1024,
        "large": LARGE,
        "large_gib": one["state"] / heads * LARGE / GIB,
        "pairs_gib": LARGE**2 / 2 * 8 / GIB,
    }


def page(rounds: int, count: int, ud: Path | None) -> str:
    with measure.workplace() as folder:
        of = corpus(folder, count, ud)
        told = speeds(of, rounds)
        times = growth(of, folder, count, rounds)
        found = limits(of, told)
    return TEMPLATE.format(
        date=datetime.date.today(),
        machine=machine(),
        corpus=of.name,
        rounds=rounds,
        speed=speed_table(told),
        twice=seconds(told["1"]) / seconds(told["2"]),
        growth=growth_table(times),
        tokens=TOKENS_EACH * count,
        slope=slope(times["sentences"]),
        **found,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3, help="counted runs of each command (3)")
    parser.add_argument("--sentences", type=int, default=1000, help="made-up sentences (1000)")
    parser.add_argument("--ud", type=Path, help="a folder with EWT's development part")
    parser.add_argument("--out", type=Path, default=PAGE, help="what is written")
    asked = parser.parse_args()
    asked.out.write_text(page(asked.rounds, asked.sentences, asked.ud), encoding="utf-8")
    print(asked.out.read_text(encoding="utf-8"))
