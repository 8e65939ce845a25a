"""Which roles a head has: hypothesis tests over texts, as in Pande et al. 2021.

A role's sieve holds the keys that it looks at. The bias score of a head in a text is the attention
inside the sieve over what even attention would give it. Sieves of words are held to what goes to
words, because most heads rest on special tokens with a part of their attention, which is a role of
its own. A head has a role if its mean bias score is above a threshold: a one-sided t test over
texts, corrected for the number of heads and roles by Holm's method (Holm 1979). The windows of a
long document are together one text, each a part of it; what differs between them counts as if it
differed between documents, which makes p larger, not smaller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attnviz.answers.bootstrap import FEWEST
from attnviz.answers.statistics import LEAST_SHARE, TWICE
from attnviz.attention.shapes import Float
from attnviz.corpus.statistics.places import (
    APART,
    EXPECTED,
    JOINED,
    POSSIBLE,
    SIEVES,
    UNJOINED,
)
from attnviz.corpus.statistics.sums import BROUGHT, CARRIED, IN_CLASS, Sums, to_rest

AT_ONCE = 32
"""Texts that are scored together, which takes less time than one after the other."""

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

SUMS = SCORE, MARGIN, SQUARE, COUNT = range(4)


class Hypotheses:
    """What the tests need: of each, sums over texts of the score, the margin and its square.

    The margin is by how much the score is above its threshold. A window counts as a part of a text.
    """

    def __init__(self, heads: int) -> None:
        self._sums = np.zeros((len(SUMS), len(TESTS), heads))
        self._waiting: list[Sums] = []

    def add(self, text: Sums) -> None:
        """Add a text."""
        self._waiting.append(text)
        if len(self._waiting) == AT_ONCE:
            self._score()

    @property
    def sums(self) -> Float[np.ndarray, "sum test head"]:
        """The sums of all texts."""
        self._score()
        return self._sums

    def _score(self) -> None:
        """Score the texts that wait, all at once."""
        if not self._waiting:
            return
        texts = _Texts.of(self._waiting, self._sums.shape[2])
        self._waiting.clear()
        for first, (scores, margins, known) in (
            (0, texts.biases()),
            (len(TESTED), texts.apart()),
            (len(TESTED) + 1, texts.resting()),
        ):
            own = self._sums[:, first : first + scores.shape[1]]
            counted = known * texts.shares
            own[SCORE] += (scores * counted).sum(axis=0)
            own[MARGIN] += (margins * counted).sum(axis=0)
            own[SQUARE] += (np.square(margins) * counted).sum(axis=0)
            own[COUNT] += counted.sum(axis=0)

    def merge(self, other: "Hypotheses") -> None:
        """Add what another has seen."""
        own = self.sums
        own += other.sums

    def p_values(self) -> Float[np.ndarray, "test head"]:
        """One-sided p of each test and head; NaN below FEWEST texts."""
        from scipy.special import stdtr

        margin, square, count = self.sums[MARGIN], self.sums[SQUARE], self.sums[COUNT]
        tested = count.round(6) >= FEWEST
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
        both = {name: p[name] for name in TESTED if name != "local, apart"}
        both["local"] = np.maximum(p["local"], p["local, apart"])
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


_Found = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Scores, margins, and whether there is one: (text, test, head) each."""

_SIEVES = np.stack(list(SIEVES.values())).astype(np.float64)
_JOINED = SIEVES["syntactic"] & APART
_AT_MOST = np.array([1.0 if name == "local, apart" else TWICE for name in TESTED])[:, None]
"""The threshold of each sieve: words two away need no more than what chance gives, if all near
words together have TWICE that."""


@dataclass(frozen=True, eq=False)
class _Texts:
    """Some texts' sums, side by side."""

    features: Float[np.ndarray, "text feature head"]
    rested: Float[np.ndarray, "text 2 head"]
    facts: Float[np.ndarray, "text fact head"]
    shares: Float[np.ndarray, "text 1 1"]

    @classmethod
    def of(cls, texts: Sequence[Sums], heads: int) -> "_Texts":
        """The texts side by side; `heads`: how many."""
        features, rested, facts = (
            np.stack([getattr(text, name) for text in texts])
            for name in ("features", "rested", "facts")
        )
        facts = np.repeat(facts, heads // facts.shape[2], axis=2)
        return cls(features, rested, facts, np.array([text.share for text in texts])[:, None, None])

    @property
    def classes(self) -> Float[np.ndarray, "text category head"]:
        """The attention that goes to each class."""
        own: np.ndarray = self.features[:, IN_CLASS]
        return own

    def biases(self) -> _Found:
        """The bias scores of resting places among all keys, and of other sieves among words."""
        expected, possible = self.facts[:, EXPECTED], self.facts[:, POSSIBLE]
        rows = np.maximum(self.facts[:, :1], 1)
        total = np.repeat(self.classes.sum(axis=1, keepdims=True), len(TESTED), axis=1)
        total[:, 1:] -= to_rest(self.classes)[:, None]
        known = (expected > LEAST) & (expected < (1 - LEAST) * possible)
        known &= total > LEAST_SHARE * rows
        scores = _SIEVES @ self.classes / np.where(known, total * expected / rows, 1)
        return scores, scores - _threshold(expected, possible, _AT_MOST), known

    def apart(self) -> _Found:
        """The attention that a tree's links get among words that are no neighbours.

        The margin is in shares of all attention, so that texts where a head gives such words little
        say little.
        """
        joined, cells = self.facts[:, JOINED], self.facts[:, UNJOINED]
        chance = joined / np.maximum(cells, 1)
        classes = self.classes
        total, inside = classes[:, APART].sum(axis=1), classes[:, _JOINED].sum(axis=1)
        expected = chance * total
        known = (joined > 0) & (joined < cells) & (expected > LEAST)
        margins = inside - _threshold(chance, np.ones_like(chance)) * expected
        margins /= np.maximum(self.facts[:, 0], 1)
        scores = inside / np.where(known, expected, 1)
        return scores[:, None], margins[:, None], known[:, None]

    def resting(self) -> _Found:
        """What comes from resting places, beside what comes from elsewhere; and how evenly."""
        brought, carried = self.features[:, BROUGHT], self.features[:, CARRIED]
        given = to_rest(self.classes)
        elsewhere = self.classes.sum(axis=1) - given
        known = (given > LEAST) & (elsewhere > LEAST) & (carried - brought > LEAST)
        length = brought / np.where(known, given, 1)
        other = (carried - brought) / np.where(known, elsewhere, 1)
        ratio = length / np.where(known, other, 1)
        rows = np.maximum(self.facts[:, 0], 1)
        mean = self.rested[:, 0] / rows
        variance = np.maximum(self.rested[:, 1] / rows - mean**2, 0)
        uneven = np.sqrt(variance) / np.maximum(mean, LEAST)
        scores = np.stack([ratio, ratio, uneven], axis=1)
        margins = np.stack([HALF - ratio, ratio - HALF, HALF - uneven], axis=1)
        return scores, margins, np.stack([known, known, known & (rows > 1)], axis=1)


def _threshold(
    expected: np.ndarray, possible: np.ndarray, at_most: np.ndarray | float = TWICE
) -> np.ndarray:
    """The threshold of a bias score, or half way to the largest score that there can be."""
    limit: np.ndarray = np.minimum(at_most, (1 + possible / np.maximum(expected, LEAST)) / 2)
    return limit
