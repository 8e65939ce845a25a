"""Surveys whose numbers are made up, of any shape, for tables, pictures and files."""

import numpy as np

from attnviz.answers.corpus import CorpusFacts, Estimate, Intervals
from attnviz.answers.examples import Example
from attnviz.answers.statistics import ROLES, STATISTICS
from attnviz.answers.survey import HeadRole, Survey, SurveyHead
from attnviz.attention.measures import MEASURES
from attnviz.corpus.statistics.distances import clustered
from attnviz.inspection import HeadId, ModelFacts

ABSENT = ("sink", "previous_token", "duplicate_token", "induction")  # of an encoder


def survey_of(
    num_layers: int,
    num_heads: int,
    intervals: bool = True,
    distances: bool = True,
    examples: int = 0,
    left_out: int = 0,
) -> Survey:
    """A survey of so many heads; without intervals it is of fewer than six documents."""
    drawn = np.random.default_rng(num_layers * num_heads)
    places = [HeadId(layer, head) for layer in range(num_layers) for head in range(num_heads)]
    documents = 2001 if intervals else 3
    heads = tuple(_head(head, drawn, intervals, examples) for head in places)
    points = drawn.random((len(places), 3))
    far = np.linalg.norm(points[:, None] - points[None], axis=-1) / 2
    return Survey(
        ModelFacts("handmade", "hand", num_layers, num_heads, 384, 32, 1536, True),
        "weights",
        MEASURES["weights"].description,
        CorpusFacts(("corpus.txt",), documents, documents + 2, 31022, 25147, left_out),
        Intervals("Poisson bootstrap over documents", 500) if intervals else None,
        STATISTICS,
        ROLES,
        heads,
        clustered(far, 568) if distances else None,
    )


def _head(head: HeadId, drawn: np.random.Generator, intervals: bool, examples: int) -> SurveyHead:
    statistics = {}
    for one in STATISTICS:
        number = drawn.beta(0.6, 2) * {"bits": 5, "words": 9, "share": 1}[one.unit]
        absent = one.name in ABSENT
        statistics[one.name] = _estimate(np.nan if absent else number, intervals)
    names = [ROLES[place].name for place in drawn.permutation(len(ROLES))[: drawn.integers(0, 4)]]
    *shares, rest = sorted(drawn.dirichlet(np.ones(len(names) + 1)), reverse=True)
    roles = tuple(
        HeadRole(name, _estimate(share, intervals), {"bias": 3.2, "p": 1e-9})
        for name, share in zip(names, shares, strict=True)
    )
    shown = [tuple(_example(place, drawn) for place in range(examples)) for _ in range(2)]
    return SurveyHead(head, statistics, roles, _estimate(rest, intervals), {}, *shown)


def _estimate(number: float, intervals: bool) -> Estimate:
    return Estimate.of(number, number * 0.97, number * 1.04) if intervals else Estimate.of(number)


def _example(place: int, drawn: np.random.Generator) -> Example:
    words = ("[CLS]", "The", "animal", "was", "[bold]tired", ".", "[SEP]")
    matrix = drawn.integers(0, 255, (7, 7)).astype(np.uint8)
    matrix[3, 2] = 255
    return Example("corpus.txt", 12 + place, None, words, 3, 2, 0.9 - place / 10, matrix, 0.9)
