"""Heads of two models are compared in rows of the same words, however the corpus was split."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from attnviz.attention.measures import MeasureName
from attnviz.corpus.document import Document
from attnviz.corpus.fold import fold
from attnviz.corpus.matching import Rows, between, distances
from attnviz.inspection import ModelFacts
from attnviz.model import Model
from attnviz.text.tokens import Tokens

TEXTS = (
    "The animal didn't cross the street because it was too tired.",
    "A student reads the unbelievably long book in the garden.",
    "They were late.",
    "She has never seen such a bright star over the harbour, said the captain.",
)


@dataclass
class Sampling:
    """Keeps rows, and asks nothing else."""

    most: int | None = None
    measure: MeasureName = "weights"
    what: dict[str, Any] = field(default_factory=dict)

    def accumulator(self, facts: ModelFacts) -> Rows:
        rows = Rows(facts.num_layers * facts.num_heads)
        rows._most = self.most or rows._most
        return rows

    def tokens(self, model: Model, document: Document) -> list[Tokens]:
        return [model.tokenize(document.text)]


def documents(texts: Sequence[str] = TEXTS) -> list[Document]:
    return [Document("corpus.txt", at, at + 1, text) for at, text in enumerate(texts)]


def rows_of(model: Model, some: list[Document], work: Sampling | None = None) -> Rows:
    found = fold(work or Sampling(), some, model).accumulator
    assert isinstance(found, Rows)
    return found


def test_distances_are_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.dirichlet(np.ones(11) / 3, 5), generator.dirichlet(np.ones(11) / 3, 7)
    a[0], b[0], b[1] = np.eye(11)[2], np.eye(11)[2], np.eye(11)[3]
    found = distances(a, b)
    wanted = [[jensenshannon(p, q, base=2) ** 2 for q in b] for p in a]
    assert found == pytest.approx(np.array(wanted), abs=1e-9)
    assert found[0, :2] == pytest.approx([0, 1])


def test_any_order_and_split_keep_the_same_rows(minilm: Model) -> None:
    work = Sampling(most=7)
    some = documents()
    whole = rows_of(minilm, some, work).kept()
    assert len(whole) == 7
    parts = rows_of(minilm, some[:0:-2], work)
    kept = json.loads(json.dumps({k: v.tolist() for k, v in parts.state().items()}))
    again = Rows(72)
    again._most = 7
    types = {"lots": np.uint64, "words": np.uint64, "lengths": np.int64, "shares": np.float32}
    again.restore({name: np.array(value, types[name]) for name, value in kept.items()})
    again.merge(rows_of(minilm, some[::2], work))
    assert list(again.kept()) == list(whole)
    for lot, row in again.kept().items():
        assert row.words == whole[lot].words
        assert row.shares == pytest.approx(whole[lot].shares, abs=1e-5)
        assert row.shares.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_nothing_kept_can_be_kept_and_taken_back() -> None:
    nothing = Rows(6)
    nothing.restore(Rows(6).state())
    assert nothing.kept() == {}
    with pytest.raises(ValueError, match="of 6 heads"):
        Rows(5).restore(nothing.state())


def test_a_model_is_no_bit_from_itself(minilm: Model) -> None:
    rows = rows_of(minilm, documents())
    found = between(rows, rows)
    words = sum(len(minilm.inspect(text).view().tokens) - 2 for text in TEXTS)
    assert (found.rows, found.apart) == (words, 0)
    assert np.diag(found.matrix) == pytest.approx(0, abs=1e-6)
    assert found.matrix == pytest.approx(found.matrix.T, abs=1e-6)
    assert (found.assigned() == np.arange(72)).all()


def test_only_the_same_words_are_compared(minilm: Model) -> None:
    """The second text differs in a word, the fourth is not there."""
    others = [*TEXTS[:1], TEXTS[1].replace("student", "teacher"), TEXTS[2]]
    found = between(rows_of(minilm, documents()), rows_of(minilm, documents(others)))
    inspected = [minilm.inspect(text).view() for text in TEXTS]
    counts = [len(view.tokens) - 2 for view in inspected]
    assert (found.rows, found.apart) == (counts[0] + counts[2], counts[1])
    assert np.diag(found.matrix) == pytest.approx(0, abs=1e-6)


def test_the_distance_is_over_words_and_one_place_for_the_rest(minilm: Model) -> None:
    """Worked out of the two heads' rows of a sentence, [CLS] and [SEP] joined."""
    rows = rows_of(minilm, documents(TEXTS[2:3]))
    found = between(rows, rows).matrix[37, 71]
    view = minilm.inspect(TEXTS[2]).view()
    p, q = (view.weights(layer, head)[1:-1] for layer, head in ((3, 1), (5, 11)))
    p, q = (np.c_[one[:, 1:-1], one[:, 0] + one[:, -1]] for one in (p, q))
    wanted = [jensenshannon(one, other, base=2) ** 2 for one, other in zip(p, q, strict=True)]
    assert found == pytest.approx(np.mean(wanted), abs=1e-5)
