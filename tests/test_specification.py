"""Views show what the specification of a page's mathematics says."""

import numpy as np
import pytest
from page_kinds import Kind, kinds

from attnviz.inspection.specification import attention, attention_scores

KINDS = list(kinds())


def largest_score(kind: Kind) -> float:
    """How large scores are; 0 for weights without scores."""
    if kind.record.q is None:
        return 0
    scores = np.stack([attention_scores(kind.numbers, head) for head in range(len(kind.record.q))])
    return float(np.abs(scores[np.isfinite(scores)]).max())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_views_show_what_the_specification_says(kind: Kind) -> None:
    near = 1e-6 + 2e-7 * largest_score(kind)  # views round scores to float32
    for shape in kind.shapes:
        unit, special, window = shape
        view = kind.inspection.view(unit, special, window=kind.whole(shape))
        queries, keys = kind.sides(unit)
        mask = view.visible(0)
        for head in range(kind.record.num_heads):
            found = attention(kind.numbers, head, queries, keys, special, window)
            assert view.context.positions == [row + kind.offset(unit) for row in found.rows]
            assert len(found.columns) == len(view.keys)
            np.testing.assert_allclose(found.weights, view.weights(0, head), 1e-6, near)
            assert (found.dropped is None) == special
            if found.dropped is not None:
                np.testing.assert_allclose(found.dropped, view.dropped(0, head), 1e-6, near)
            assert (found.sink is None) == (kind.record.sinks is None)
            if found.sink is not None:
                np.testing.assert_allclose(found.sink, view.sink(0, head), 1e-6, near)
            assert (found.allowed is None) == (mask is None)
            if mask is not None and found.allowed is not None:
                np.testing.assert_array_equal(found.allowed, mask)
