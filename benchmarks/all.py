"""Measures everything that a goal is set for, and writes docs/benchmarks.md.

usage: python benchmarks/all.py [--rounds N] [--sentences N] [--out FILE]
"""

import datetime
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

import ablate
import families
import find
import long
import measure
import memory
import startup
import throughput
from sentences import LONGEST, SHORTEST

PACKAGES = ("attnviz", "torch", "transformers", "numpy", "tokenizers", "orjson", "matplotlib")

PAGE = """\
# Benchmarks

<!-- Written by benchmarks/all.py: `make bench`. -->

Measured on {date}: {machine}; Python {python}; {packages}.

Commands run in turn, A B A B, each as a process of its own from start to end; the figures are
medians of {rounds} rounds, and a ratio is the median of the ratios round by round. Machines differ
and are noisy: the ratio is what carries over.

{table}

- The *founding sentence* is "{animal}" Its job with transformers
  ([one_number.py](../benchmarks/peers/one_number.py)) loads the same files with `AutoModel`, eager
  attention and `output_attentions=True`, and prints one number.
- *512 tokens*: a longer text, cut with `--truncate`, in the default model. An inspection's memory
  is how much the process grows for each one it keeps.
- The *{sentences} sentences* have {shortest} to {longest} words each
  ([sentences.py](../benchmarks/sentences.py)). Beside attnviz, transformers does the same job as
  one would write it ([word_weights.py](../benchmarks/peers/word_weights.py)): batches of 32 sorted
  by length, padding trimmed, pieces merged to words, then `json` or `np.savez`. Loading the model
  counts on both sides.
- `ablate --each` runs the sentence once more for each of the 72 heads, from its layer on: in
  arithmetic about 30 passes of the sentence for one word, 40 for all. A pass of a short sentence
  waits for memory instead, so that together they take less; the longer a sentence, the nearer to
  those numbers. Loading the model is left out here.

## Long texts

One head of a model of ModernBERT's sizes ({long_layers} layers, {long_heads} heads, d_model
{long_d_model}) with random weights, from the command to the picture or table; loading counts on all
sides. Beside it, with transformers: a plain forward pass, which gives no weights (`sdpa`), and one
that gives all of them (`eager`, `output_attentions=True`;
[one_pass.py](../benchmarks/peers/one_pass.py)). The ratio is of peak memory: attnviz's, less the q
and k of the one layer that it was asked for, beside the plain pass. The lengths up to {long_up_to}
tokens are run {long_rounds} times, longer ones once.

{long}

## Families

Our encoder beside transformers' eager attention on each family that is read natively, with random
weights and the default model's sizes ({layers} layers, {heads} heads, d_model {d_model}): a pass of
so many sentences of {tokens} tokens each ([passes.py](../benchmarks/passes.py)), by turns in one
process. Ours keeps x, q, k, v and z of every layer, theirs all weights; loading is left out. The
ratio is that of the times.

{families}
"""


def page(rounds: int, sentences: int) -> str:
    goals = [
        *startup.goals(rounds),
        *memory.goals(rounds),
        *throughput.goals(rounds, sentences),
        *find.goals(rounds, sentences),
        *ablate.goals(rounds),
    ]
    return PAGE.format(
        date=datetime.date.today(),
        machine=machine(),
        python=platform.python_version(),
        packages=", ".join(f"{name} {version(name)}" for name in PACKAGES),
        rounds=rounds,
        table="\n".join([measure.HEADER, *map(str, goals)]),
        animal=startup.ANIMAL,
        sentences=sentences,
        shortest=SHORTEST,
        longest=LONGEST,
        families=families.table(rounds),
        long=long.table(rounds),
        long_layers=long.SIZES["num_hidden_layers"],
        long_heads=long.SIZES["num_attention_heads"],
        long_d_model=long.SIZES["hidden_size"],
        long_up_to=max(length for length, most in long.ROUNDS.items() if most > 1),
        long_rounds=min(rounds, max(long.ROUNDS.values())),
        layers=families.LAYERS,
        heads=families.HEADS,
        d_model=families.D_MODEL,
        tokens=families.TOKENS,
    )


def machine() -> str:
    """The machine in general terms: system, processor, memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.system()} on {cores} cores ({_processor()}), {memory:.0f} GiB of memory"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return named[1].strip() if named else platform.processor() or platform.machine()


if __name__ == "__main__":
    asked = measure.asked()
    asked.out.write_text(page(asked.rounds, asked.sentences), encoding="utf-8")
    print(asked.out.read_text(encoding="utf-8"))
