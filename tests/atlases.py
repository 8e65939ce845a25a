"""Random surveys: any number of layers and heads, numbers that agree with each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from attnviz.answers.corpus import CorpusFacts, Estimate, Intervals
from attnviz.answers.distances import Distances
from attnviz.answers.examples import Example
from attnviz.answers.statistics import ROLES, STATISTICS
from attnviz.answers.survey import HeadRole, Survey, SurveyHead
from attnviz.inspection import HeadId, ModelFacts

SENTENCE = "The animal did not cross the street because it was too tired to walk any further"
WORDS = tuple(SENTENCE.split())


def example_of(rng: np.random.Generator, words: Sequence[str], **changes: Any) -> Example:
    """A sentence with a random matrix, whose strongest link off the diagonal is the example's."""
    count = len(words)
    scores = rng.normal(scale=2.2, size=(count, count))
    weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    others = np.where(np.eye(count, dtype=bool), 0, weights)
    query, key = np.unravel_index(others.argmax(), others.shape)
    scale = float(weights.max())
    made: dict[str, Any] = {
        "source": "corpus.txt",
        "line": int(rng.integers(1, 3000)),
        "id": None,
        "words": tuple(words),
        "query": int(query),
        "key": int(key),
        "weight": float(weights[query, key]),
        "matrix": (weights * (255 / scale) + 0.5).astype(np.uint8),
        "scale": scale,
    }
    return Example(**(made | changes))


def _estimate(rng: np.random.Generator, mean: float, intervals: bool) -> Estimate:
    if not intervals:
        return Estimate(mean)
    below, above = rng.random(2) * 0.04 * (abs(mean) + 0.05)
    return Estimate(mean, mean - below, mean + above)


def _head(rng: np.random.Generator, head: HeadId, examples: int, intervals: bool) -> SurveyHead:
    shares = rng.dirichlet(np.full(4, 0.6))
    names = rng.choice([role.name for role in ROLES], 3, replace=False)
    test = {"passed": True, "bias": 4.25, "t": 31.5, "p": 3e-12, "sentences": 2001}
    roles = [
        HeadRole(str(name), _estimate(rng, share, intervals), test)
        for name, share in zip(names, shares, strict=False)
        if share > 0.05
    ]
    unknown = 1 - sum(role.share.mean or 0 for role in roles)
    numbers = {
        one.name: _estimate(rng, rng.random() * (1 if one.unit == "share" else 6), intervals)
        for one in STATISTICS
    }
    numbers["sink"] = Estimate(None)
    picked, drawn = (
        tuple(example_of(rng, WORDS[: int(rng.integers(4, 17))]) for _ in range(examples))
        for _ in "ab"
    )
    return SurveyHead(
        head=head,
        statistics=numbers,
        roles=tuple(sorted(roles, key=lambda role: -(role.share.mean or 0))),
        unknown=_estimate(rng, unknown, intervals),
        tests={role.name: test | {"passed": role.name in names} for role in ROLES},
        examples=picked,
        sample=drawn,
    )


def _distances(rng: np.random.Generator, heads: int) -> Distances:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import pdist, squareform

    condensed = pdist(rng.dirichlet(np.full(4, 0.5), heads)) / 2
    tree = linkage(condensed, "average")
    found = fcluster(tree, 0.25, "distance")
    clusters = [tuple(np.flatnonzero(found == number).tolist()) for number in np.unique(found)]
    return Distances(
        matrix=squareform(condensed),
        rows=4096,
        clusters=tuple(sorted(clusters, key=len, reverse=True)),
        tree=tuple((int(a), int(b), float(height), int(size)) for a, b, height, size in tree),
        cut=0.25,
    )


def random_survey(
    layers: int = 2, heads: int = 3, examples: int = 2, seed: int = 0, **changes: Any
) -> Survey:
    """A survey of random numbers; `changes` are fields of Survey."""
    rng = np.random.default_rng(seed)
    intervals = changes.get("intervals", ...) is not None
    every = [HeadId(layer, head) for layer in range(layers) for head in range(heads)]
    made: dict[str, Any] = {
        "model": ModelFacts("tiny-model", "bert", layers, heads, 8 * heads, 8, 32 * heads, True),
        "measure": "weights",
        "formula": "softmax(q kᵀ ÷ √d_k)",
        "corpus": CorpusFacts(("corpus.txt",), 2001, 2001, 31_000, 25_147),
        "intervals": Intervals("Poisson bootstrap over documents", 500),
        "statistics": STATISTICS,
        "roles": ROLES,
        "heads": tuple(_head(rng, head, examples, intervals) for head in every),
        "distances": _distances(rng, len(every)) if len(every) > 1 else None,
    }
    return Survey(**(made | changes))
