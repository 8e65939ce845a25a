"""The atlas: all heads of a survey in one HTML file, with their numbers, examples and matrices."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from attnviz.answers.corpus import Estimate, plain
from attnviz.answers.examples import Example
from attnviz.answers.survey import Survey, SurveyHead
from attnviz.errors import RequestError
from attnviz.inspection.context import counted
from attnviz.show.forms import Language
from attnviz.show.labels import visible
from attnviz.show.page.bundle import json_of, whole, words_of
from attnviz.show.page.packing import packed_text
from attnviz.show.roles import look_of

NEAREST = 8  # heads that are named as alike
DIGITS = 5  # of a number in the page

SHARED = (
    "close",
    "head",
    "keyboard",
    "keyboard.head",
    "keyboard.layer",
    "lang",
    "save",
    "save.copied",
    "save.csv",
    "save.done",
    "save.failed",
    "save.link",
    "table",
    "table.rows",
    "theme",
    "theme.auto",
    "theme.dark",
    "theme.light",
    "untrained",
    "view",
)
"""What the atlas says in the words of the page of `attnviz view`."""


def html_of(survey: Survey, language: Language | None = None) -> str:
    """The atlas's file; RequestError if there are no heads."""
    from attnviz import __version__

    if not survey.heads:
        raise RequestError(f"{survey.nothing}: there is nothing to show", "give other texts")
    texts, matrices = _Texts(), _Matrices()
    heads = [_head(survey, place, texts, matrices) for place in range(len(survey.heads))]
    data = {
        "schema": "attnviz.atlas/1",
        "model": survey.model.data() | {"name": visible(survey.model.name)},
        "unit": survey.unit,
        "measure": survey.measure,
        "attention": survey.attention,
        "formula": survey.formula,
        "corpus": survey.corpus.data() | {"files": list(map(visible, survey.corpus.files))},
        "intervals": None if survey.intervals is None else survey.intervals.data(),
        "statistics": [asdict(one) for one in survey.statistics],
        "roles": [asdict(one) | look_of(one.name)._asdict() for one in survey.roles],
        "notes": [visible(note) for note in survey.notes],
        "heads": heads,
        "texts": list(texts.known.values()),
        "distances": _distances(survey),
    }
    packed = {"survey": packed_text(json_of(data).encode("utf-8", "replace"))}
    packed |= {f"l{layer}": packed_text(bytes(own)) for layer, own in matrices.layers.items()}
    title = f"{visible(survey.model.title)} · {counted(survey.corpus.documents, 'document')}"
    first = {} if language is None else {"lang": language}
    return whole(
        title,
        {"schema": data["schema"], "version": __version__, "state": first},
        packed,
        _words(),
        language=language,
        entry="atlas/main.js",
        look="atlas.css",
    )


def _words() -> dict[str, dict[str, str]]:
    shared, own = words_of("words"), words_of("atlas")
    return {
        language: {key: shared[language][key] for key in SHARED} | own[language] for language in own
    }


class _Texts:
    """The texts of all examples, each once, as types.js calls them."""

    def __init__(self) -> None:
        self.known: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._places: dict[tuple[Any, ...], int] = {}

    def place(self, example: Example) -> int:
        """The place of an example's text among all."""
        name = (example.source, example.line, example.words, example.keys, example.places)
        if name not in self.known:
            self._places[name] = len(self.known)
            self.known[name] = {
                "source": visible(example.source),
                "line": example.line,
                "id": None if example.id is None else visible(example.id),
                "words": list(map(visible, example.words)),
                "keys": None if example.keys is None else list(map(visible, example.keys)),
                "places": example.places,
                "key_places": example.key_places,
            }
        return self._places[name]


class _Matrices:
    """The matrices of all examples, layer by layer."""

    def __init__(self) -> None:
        self.layers: dict[int, bytearray] = {}

    def add(self, layer: int, matrix: np.ndarray) -> int:
        """Where a matrix begins among its layer's bytes."""
        own = self.layers.setdefault(layer, bytearray())
        at = len(own)
        own += np.ascontiguousarray(matrix, np.uint8).tobytes()
        return at


def _head(survey: Survey, place: int, texts: _Texts, matrices: _Matrices) -> dict[str, Any]:
    """What types.js calls Head."""
    one = survey.heads[place]
    roles = {role.name: number for number, role in enumerate(survey.roles)}
    missing = Estimate(None)
    return {
        "layer": one.head.layer,
        "head": one.head.head,
        "statistics": [
            _estimate(one.statistics.get(statistic.name, missing))
            for statistic in survey.statistics
        ],
        "roles": [
            {"role": roles[role.name], "share": _estimate(role.share), "test": _test(role.test)}
            for role in one.roles
        ],
        "unknown": _estimate(one.unknown),
        "tests": {name: _test(test) for name, test in one.tests.items()},
        "strongest": list(_links(one, one.examples, texts, matrices)),
        "sample": list(_links(one, one.sample, texts, matrices)),
        "alike": _alike(survey, place),
    }


def _links(
    head: SurveyHead, examples: Iterable[Example], texts: _Texts, matrices: _Matrices
) -> Iterator[dict[str, Any]]:
    """What types.js calls Link."""
    for example in examples:
        yield {
            "text": texts.place(example),
            "query": example.query,
            "key": example.key,
            "weight": _short(example.weight),
            "at": matrices.add(head.head.layer, example.matrix),
            "scale": _short(example.scale),
        }


def _test(test: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _short(value) if isinstance(value, float) else value
        for name, value in plain(test).items()
    }


def _estimate(estimate: Estimate) -> list[float | None]:
    return [None if number is None else _short(number) for number in estimate]


def _short(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def _alike(survey: Survey, place: int) -> list[tuple[int, float]]:
    """The heads nearest to one, and their distances."""
    if survey.distances is None:
        return []
    row = survey.distances.matrix[place]
    nearest = [int(other) for other in np.argsort(row, kind="stable") if other != place]
    return [(other, _short(float(row[other]))) for other in nearest[:NEAREST]]


def _distances(survey: Survey) -> dict[str, Any] | None:
    """What types.js calls Tree."""
    if survey.distances is None:
        return None
    found = survey.distances
    return {
        "rows": found.rows,
        "cut": found.cut,
        "clusters": found.clusters,
        "tree": [(int(a), int(b), _short(height), int(size)) for a, b, height, size in found.tree],
    }
