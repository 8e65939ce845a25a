"""The questions and their answers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnviz.answers.matrices import Matrices
    from attnviz.answers.overview import Overview
    from attnviz.answers.word import Pair, Word
    from attnviz.inspection import HeadId, View


def answer_about(
    view: "View",
    heads: Sequence["HeadId"] = (),
    query: int | None = None,
    key: int | None = None,
    top: int | None = None,
) -> "Overview | Word | Pair | Matrices":
    """What `attnviz run` answers about some heads (none: all), a query and a key, by index.

    A pair of words, a word, the heads chosen, each whole, or an overview with `top` links a head.
    """
    from attnviz.answers.matrices import matrices
    from attnviz.answers.overview import LINKS, overview
    from attnviz.answers.word import pair, word

    chosen = list(heads) or None
    if query is not None and key is not None:
        return pair(view, query, key, chosen)
    if query is not None:
        return word(view, query, "query", chosen)
    if key is not None:
        return word(view, key, "key", chosen)
    if chosen:
        return matrices(view, chosen)
    return overview(view, links=LINKS if top is None else top)
