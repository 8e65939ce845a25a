"""How often 95 % intervals hold what they should: of made-up texts whose true mean is known.

Two numbers of each text: one drawn from a normal distribution, and a share of its words, whose
number differs from text to text, so that the mean is a ratio of sums. Beside them what plain
percentiles of the same resamples hold.

usage: python benchmarks/intervals.py [--trials N]
"""

import argparse

import numpy as np

from attnviz.answers.bootstrap import covered
from attnviz.corpus.resampling import Means, times_of

TEXTS = (6, 10, 20, 100)
MEAN, SHARE = 3.0, 0.4
"""The true means."""

MANY = 10**9
"""Intervals of so many texts are plain percentiles."""


def coverage(texts: int, trials: int) -> np.ndarray:
    """In which part of so many corpora of so many texts an interval holds the true mean.

    (2, 2): the intervals of surveys, and plain percentiles; the normal number, the ratio of sums.
    """
    chance = np.random.default_rng(texts)
    held = np.zeros((2, 2))
    for trial in range(trials):
        means = Means((2,))
        words = np.maximum(np.rint(chance.lognormal(2.6, 0.6, texts)), 2)
        shares, numbers = chance.beta(2, 3, texts), chance.normal(MEAN, 1, texts)
        for text in range(texts):
            sums = np.array([numbers[text], shares[text] * words[text]])
            means.add(times_of(trial * texts + text), sums, np.array([1, words[text]]))
        for place, (low, high) in enumerate((means.interval(), covered(means.resampled(), MANY))):
            held[place] += (low <= (MEAN, SHARE)) & (high >= (MEAN, SHARE))
    return held / trials


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=2000)
    given = parser.parse_args()
    print("| texts | a mean | a ratio of sums | percentiles alone: a mean | a ratio |")
    print("|---|---|---|---|---|")
    for count in TEXTS:
        held = [f"{100 * part:.1f} %" for part in coverage(count, given.trials).ravel()]
        print(f"| {' | '.join([str(count), *held])} |", flush=True)
