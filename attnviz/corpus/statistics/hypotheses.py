"""Which roles a head has: hypothesis tests over texts, as in Pande et al. 2021.

A role's sieve holds the keys that it looks at. The bias score of a head in a text is the attention
inside the sieve over what even attention would give it. A head has a role if its mean bias score is
above a threshold: a one-sided t test over texts, corrected for the number of heads and roles by
Holm's method (Holm 1979).
"""

from collections.abc import Mapping

import numpy as np

from attnviz.answers.bootstrap import FEWEST
from attnviz.answers.statistics import TWICE
from attnviz.attention.shapes import Float
from attnviz.corpus.statistics.places import APART, SIEVES, WORDS, Places
from attnviz.corpus.statistics.sums import (
    BROUGHT,
    CARRIED,
    IN_CLASS,
    Sums,
    to_rest,
)

TESTED = tuple(SIEVES)
FURTHER = ("syntactic, apart", "no-op", "broadcast", "even")
TESTS = (*TESTED, *FURTHER)
"""What is tested: each sieve; a tree's links among words that are no neighbours; what comes from
resting places: shorter, or not shorter, than half of what comes from elsewhere; and as much for
every query."""

HALF = 0.5
"""What comes from a resting place brings nothing if it is shorter than this part of the rest."""

LEAST = 1e-6
"""Attention below this, over a whole text, is too little to say where it went."""

SUMS = SCORE, CHANCE, MARGIN, SQUARE, COUNT = range(5)


class Hypotheses:
    """What the tests need: of each, sums over texts of the score, the margin and its square.

    The margin is by how much the score is above its threshold.
    """

    def __init__(self, heads: int) -> None:
        self.sums = np.zeros((len(SUMS), len(TESTS), heads))

    def add(self, text: Sums) -> None:
        """Add a text."""
        scores, margins, known = (np.zeros((len(TESTS), self.sums.shape[2])) for _ in range(3))
        for found in (_biases(text), _apart(text), *_resting(text)):
            first, count = found[3], len(found[0])
            rows = slice(first, first + count)
            scores[rows], margins[rows], known[rows] = found[:3]
        self.sums[SCORE] += scores * known
        self.sums[MARGIN] += margins * known
        self.sums[SQUARE] += np.square(margins) * known
        self.sums[COUNT] += known

    def merge(self, other: "Hypotheses") -> None:
        """Add what another has seen."""
        self.sums += other.sums

    def p_values(self) -> Float[np.ndarray, "test head"]:
        """One-sided p of each test and head; NaN below FEWEST texts."""
        from scipy.special import stdtr

        margin, square, count = self.sums[MARGIN], self.sums[SQUARE], self.sums[COUNT]
        tested = count >= FEWEST
        n = np.where(tested, count, FEWEST)
        mean = margin / n
        variance = np.maximum(square - n * mean**2, 0) / (n - 1)
        error = np.sqrt(variance / n)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(error > 1e-12, mean / error, np.sign(mean) * np.inf)
        t = np.nan_to_num(t, nan=0.0, posinf=np.inf, neginf=-np.inf)
        return np.where(tested, stdtr(n - 1, -t), np.nan)

    def result(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """By role: p of each head, and what the test found, as arrays by name."""
        p = dict(zip(TESTS, self.p_values(), strict=True))
        count = self.sums[COUNT]
        score = np.full(count.shape, np.nan)
        np.divide(self.sums[SCORE], count, out=score, where=count > 0)
        scores = dict(zip(TESTS, score, strict=True))
        both = {name: p[name] for name in TESTED}
        both["syntactic"] = np.maximum(p["syntactic"], p["syntactic, apart"])
        both["no-op"] = np.maximum(p["delimiter"], p["no-op"])
        both["broadcast"] = np.maximum.reduce([p["delimiter"], p["broadcast"], p["even"]])
        return both, scores


def holm(p: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All tests' p values, corrected together by Holm's method; NaN, of no test, stays."""
    names, together = list(p), np.concatenate([p[name] for name in p])
    tested = np.flatnonzero(~np.isnan(together))
    order = tested[np.argsort(together[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected = np.full(len(together), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(together[order] * factors), 1)
    return dict(zip(names, np.split(corrected, len(names)), strict=True))


_Found = tuple[np.ndarray, np.ndarray, np.ndarray, int]  # scores, margins, whether, first test

_SIEVES = np.stack(list(SIEVES.values())).astype(np.float64)
_BLOCK = TESTED.index("block")
_OTHERS = WORDS & ~SIEVES["block"] & ~SIEVES["itself"]


def _half_way(chance: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """The threshold of a bias score: TWICE, or half way to the largest score that there can be."""
    limit: np.ndarray = np.minimum(TWICE, (1 + largest / np.maximum(chance, LEAST)) / 2)
    return limit


def _expected(places: Places) -> np.ndarray:
    """Of each sieve: the attention that even rows give it, and how many rows have a key in it."""
    inside = _SIEVES @ places.cells
    rows = inside > 0
    chance = inside[:, places.rows] / places.choices[places.rows]
    expected, largest = chance.sum(axis=1), rows.sum(axis=1).astype(np.float64)
    if not places.cells[_OTHERS].any():  # one sentence is no block
        expected[_BLOCK] = largest[_BLOCK] = 0
    return np.concatenate([expected, largest])


def _biases(text: Sums) -> _Found:
    """The bias scores of all sieves."""
    chance, largest = np.split(text.spread_out(_expected), 2)
    known = (chance > LEAST) & (chance < (1 - LEAST) * largest)
    thresholds = _half_way(chance, largest)
    each = text.num_heads
    chance, known, thresholds = (
        np.repeat(numbers, each, axis=1) for numbers in (chance, known, thresholds)
    )
    scores = _SIEVES @ text.features[IN_CLASS] / np.where(known, chance, 1)
    return scores, scores - thresholds, known, 0


def _apart_expected(places: Places) -> np.ndarray:
    """How many cells of words that are no neighbours there are, and how many a tree joins."""
    syntactic = SIEVES["syntactic"] & APART
    return np.array([places.cells[APART].sum(), places.cells[syntactic].sum()])


def _apart(text: Sums) -> _Found:
    """The attention that a tree's links get among words that are no neighbours.

    The margin is in shares of all attention, so that texts where a head gives such words little
    say little.
    """
    cells, joined = text.spread_out(_apart_expected)
    chance = np.divide(joined, cells, out=np.zeros_like(cells), where=cells > 0)
    known = np.repeat((joined > 0) & (joined < cells), text.num_heads)
    limit = np.repeat(_half_way(chance, np.ones_like(chance)) * chance, text.num_heads)
    classes = text.features[IN_CLASS]
    total, inside = classes[APART].sum(axis=0), classes[SIEVES["syntactic"] & APART].sum(axis=0)
    rows = np.repeat(
        [text.places[n].rows.sum() if n in text.places else 1 for n in range(text.num_layers)],
        text.num_heads,
    )
    margin = (inside - limit * total) / rows
    expected = np.repeat(chance, text.num_heads) * total
    known &= expected > LEAST
    score = inside / np.where(known, expected, 1)
    return score[None], margin[None], known[None], len(TESTED)


def _resting(text: Sums) -> list[_Found]:
    """What comes from resting places, beside what comes from elsewhere; and how evenly."""
    features, first = text.features, len(TESTED) + 1
    given, brought, carried = to_rest(features[IN_CLASS]), features[BROUGHT], features[CARRIED]
    elsewhere = features[IN_CLASS].sum(axis=0) - given
    known = (given > LEAST) & (elsewhere > LEAST) & (carried - brought > LEAST)
    length = np.where(known, brought / np.where(known, given, 1), 0)
    other = np.where(known, (carried - brought) / np.where(known, elsewhere, 1), 1)
    ratio = length / other
    rows = np.repeat(
        [text.places[n].rows.sum() if n in text.places else 1 for n in range(text.num_layers)],
        text.num_heads,
    )
    mean = text.rested[0] / rows
    variance = np.maximum(text.rested[1] / rows - mean**2, 0)
    uneven = np.sqrt(variance) / np.maximum(mean, LEAST)
    shorter = np.stack([ratio, ratio]), np.stack([HALF - ratio, ratio - HALF])
    several = known & (rows > 1)
    return [
        (*shorter, np.stack([known, known]), first),
        (uneven[None], (HALF - uneven)[None], several[None], first + 2),
    ]
