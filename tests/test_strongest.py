"""The link that is worth showing first, of one query and of all."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from handmade import inspection_of, tokens_of

from attnviz.answers.links import HeadLink, strongest_link, strongest_of
from attnviz.answers.overview import Overview, overview
from attnviz.inspection import HeadId, Inspection, View


def view_of(words: Sequence[str], rows: Mapping[int, Sequence[float]]) -> View:
    """Head L0H1 with these rows, by the query's index; all else, and L0H0, is uniform."""
    tokens = tokens_of(words)
    weights = np.full((1, 2, len(tokens), len(tokens)), 1 / len(tokens))
    for query, row in rows.items():
        weights[0, 1, query] = row
    return inspection_of(tokens, weights).view()


def told(found: HeadLink | None) -> tuple[HeadId, str, str, float]:
    assert found is not None
    link = found.link
    return found.head, link.query.label, link.key.label, round(link.weight, 2)


def test_words_further_off_come_first() -> None:
    """Before itself, a neighbour and [CLS], however strong."""
    view = view_of(["a", "b", "c", "d"], {4: [0.2, 0.21, 0.01, 0.28, 0.3, 0]})
    assert told(strongest_link(view, 4)) == (HeadId(0, 1), "d", "a", 0.21)


def test_then_neighbours() -> None:
    view = view_of(["a", "b"], {1: [0.3, 0.3, 0.29, 0.11]})
    assert told(strongest_link(view, 1)) == (HeadId(0, 1), "a", "b", 0.29)


def test_then_anything() -> None:
    """One word alone looks at itself and at special tokens."""
    view = view_of(["Hi"], {1: [0.9, 0.06, 0.04]})
    assert told(strongest_link(view, 1)) == (HeadId(0, 1), "Hi", "[CLS]", 0.9)


def test_all_queries_are_asked_alike() -> None:
    rows = {2: [0, 0.9, 0, 0.1, 0, 0], 4: [0.3, 0, 0.6, 0.1, 0, 0]}
    view = view_of(["a", "b", "c", "d"], rows)
    assert told(strongest_of(overview(view, links=8))) == (HeadId(0, 1), "d", "b", 0.6)


def test_a_summary_without_links_has_no_strongest() -> None:
    view = view_of(["Hi"], {})
    assert strongest_of(overview(view)) is None
    assert strongest_of(Overview(view.context, ())) is None


@pytest.mark.parametrize(("query", "key"), [("it", "tired"), ("animal", "street")])
def test_the_founding_example(animal: Inspection, query: str, key: str) -> None:
    view = animal.view()
    index = [token.label for token in view.tokens].index(query)
    head, looks, looked_at, weight = told(strongest_link(view, index))
    rows = view.query(index)
    further = [t.index for t in view.tokens if not t.special and abs(t.index - index) > 1]
    assert (looks, looked_at) == (query, key)
    assert weight == round(float(rows[..., further].max()), 2)
    assert rows[head].max() == rows[..., further].max()
