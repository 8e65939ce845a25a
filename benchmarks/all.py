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
import classroom
import corpus
import edits
import engines
import families
import find
import long
import measure
import memory
import startup
import throughput
import view
from sentences import LONGEST, SHORTEST

PACKAGES = ("attnviz", "torch", "transformers", "numpy", "tokenizers", "orjson", "matplotlib")

PAGE = """\
# Benchmarks

<!-- Written by benchmarks/all.py: `make bench`. -->

Measured on {date}: {machine}; Python {python}; {packages}.

Commands run alternately, A B A B, each as a process of its own from start to end. The figures are
medians of {rounds} rounds, and a ratio is the median of the ratios of each round. Machines differ
and are noisy, so compare the ratios.

{table}

- The *founding sentence* is "{animal}" Each command is given it, or
  its file, and runs in a new process. The job with transformers
  ([one_number.py](../benchmarks/peers/one_number.py)) loads the same files with `AutoModel`, eager
  attention and `output_attentions=True`, and prints one number: of these jobs that is the least.
- The model of BERT base's sizes and the tiny GPT-2 ({gpt2_layers} layers, {gpt2_heads} heads,
  d_model {gpt2_d_model}) are folders of random weights as transformers saves them
  ([random_model.py](../benchmarks/random_model.py)). attnviz ran each once before, and remembers
  what it checked then. GPT-2 runs through transformers.
- *512 tokens*: a longer text, cut with `--truncate`, in the default model. The memory of an
  inspection is how much the process grows for each inspection that it keeps.
- The *{sentences} sentences* have {shortest} to {longest} words each
  ([sentences.py](../benchmarks/sentences.py)). For comparison, a script does the same job with
  transformers ([word_weights.py](../benchmarks/peers/word_weights.py)): batches of 32 sorted
  by length, padding trimmed, pieces merged to words, then `json` or `np.savez`. Both times include
  loading the model. The encoder's products alone ([products.py](../benchmarks/products.py)) are its
  matrices times as many rows, on all cores: no way to run the encoder is faster.
- `ablate --each` runs the sentence again for each of the 72 heads, from the layer of the head on.
  That is the arithmetic of about 30 passes for one word, and 40 for all. A single pass of a short
  sentence mostly waits for memory, so the passes together take less time than that. The longer the
  sentence, the closer they come. These times do not include loading the model.
- *Edited alone*: the sentence runs again for each head of a GPT-2 of random weights ({edits_layers}
  layers, {edits_heads} heads, d_model 768), through transformers, from the layer of the head on
  ([edits.py](../benchmarks/edits.py)). That is the arithmetic of about 78 passes. The times do not
  include loading; the peaks of memory do.
- `heatmap --each` is what a class does that draws every head of a model with the sizes of BERT
  base and random weights: from the command to the last file, with `--pieces --from-1
  --colours grey --scale 0:1`. Beside it is a script as a student writes one
  ([every_head.py](../benchmarks/peers/every_head.py)).

## Two engines

`attnviz run` as a whole process, with `ATTNVIZ_ENGINE=numpy` and `=torch`, on texts of so many
tokens, in the default model and in one with the sizes of BERT base and random weights
([engines.py](../benchmarks/engines.py)). In torch, most of the time goes to importing it. The
ratio is one of times. Without the variable, attnviz takes the engine in the last column: torch,
once it would save as much time as its import takes. The sentences of a file count together. A layer
of a fixed size tells how fast numpy is. How fast torch is and what its import takes is remembered
from the last time that attnviz imported it.

{engines}

## Long texts

One head of a model with the sizes of ModernBERT ({long_layers} layers, {long_heads} heads, d_model
{long_d_model}) and random weights, from the command to the picture or table. All times include
loading. For comparison, with transformers: a plain forward pass, which gives no weights (`sdpa`),
and one that gives all of them (`eager`, `output_attentions=True`;
[one_pass.py](../benchmarks/peers/one_pass.py)). The ratio is one of peak memory: that of attnviz,
minus the q and k of the one layer that it was asked for, to that of the plain pass. Texts of up to
{long_up_to} tokens are run {long_rounds} times, longer ones once.

{long}

{corpora}
{view}
## Families

attnviz's encoder and transformers' eager attention, for each family that attnviz reads into its own
encoder, with random weights and the sizes of the default model ({layers} layers, {heads} heads,
d_model {d_model}): one pass of so many sentences of {tokens} tokens each
([passes.py](../benchmarks/passes.py)), alternately in one process. attnviz keeps x, q, k, v and z
of every layer, transformers all weights. Times do not include loading. The ratio is one of times.

{families}
"""


def page(rounds: int, sentences: int) -> str:
    goals = [
        *startup.goals(rounds),
        *memory.goals(rounds),
        *throughput.goals(rounds, sentences),
        *find.goals(rounds, sentences),
        *ablate.goals(rounds),
        *edits.goals(rounds),
        *classroom.goals(rounds),
    ]
    return PAGE.format(
        date=datetime.date.today(),
        machine=machine(),
        python=platform.python_version(),
        packages=", ".join(f"{name} {version(name)}" for name in PACKAGES),
        rounds=rounds,
        table="\n".join([measure.HEADER, *map(str, goals)]),
        animal=startup.ANIMAL,
        gpt2_layers=startup.TINY_GPT2["n_layer"],
        gpt2_heads=startup.TINY_GPT2["n_head"],
        gpt2_d_model=startup.TINY_GPT2["n_embd"],
        edits_layers=edits.LAYERS,
        edits_heads=edits.HEADS,
        sentences=sentences,
        shortest=SHORTEST,
        longest=LONGEST,
        engines=engines.table(rounds),
        families=families.table(rounds),
        long=long.table(rounds),
        view=view.section(rounds),
        corpora=corpus.section(rounds, sentences, None, corpus.MOST, corpus.PARTS),
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
