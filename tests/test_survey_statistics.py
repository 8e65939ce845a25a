"""What each head does over a corpus, against a slow reference, by hand, and in any split."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from handmade import (
    causal,
    cross_inspection_of,
    inspection_of,
    random_inspection,
    tokens_of,
    with_layer,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from attnviz.answers.statistics import STATISTICS
from attnviz.answers.survey import SurveyHead
from attnviz.corpus import fold as folding
from attnviz.corpus.conllu import Tree
from attnviz.corpus.document import Document
from attnviz.corpus.fold import Seen
from attnviz.corpus.statistics.heads import HeadStatistics
from attnviz.inspection import Inspection, ModelFacts
from attnviz.inspection import view as viewing
from attnviz.text.spans import sentence_starts

LAYERS, HEADS = 2, 3
FACTS = ModelFacts("handmade", "hand", LAYERS, HEADS, 6, 2, 7, True)
WORDS = ("the", "ship", "saw", "a", "The", ",", "song", ".", "Ship", "and")
SENTENCES = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9), min_size=1)
MANY = st.lists(st.lists(st.sampled_from(WORDS), min_size=2, max_size=7), min_size=8, max_size=14)


def heads_of(texts: Sequence[Seen], facts: ModelFacts = FACTS) -> tuple[SurveyHead, ...]:
    found = HeadStatistics(facts)
    for text in texts:
        found.add(text)
    return found.heads()


def numbers_of(heads: Sequence[SurveyHead]) -> list[float]:
    """Every number that is told of the heads, None as -1."""
    numbers: list[float | None] = []
    for head in heads:
        for estimate in (*head.statistics.values(), *(role.share for role in head.roles)):
            numbers += estimate
        numbers += head.unknown
        for test in head.tests.values():
            numbers += [None if value is None else float(value) for value in test.values()]
    return [-1.0 if number is None or math.isnan(number) else number for number in numbers]


class Reference:
    """The statistics in plain Python: one row of one head after the other."""

    def __init__(self) -> None:
        self.above: dict[str, float] = {}
        self.below: dict[str, float] = {}

    def count(self, name: str, number: float, of: float = 1) -> None:
        self.above[name] = self.above.get(name, 0) + number
        self.below[name] = self.below.get(name, 0) + of

    def add(self, seen: Seen, layer: int, head: int) -> None:
        view = seen.view
        weights, tokens = view.weights(layer, head).astype(np.float64), view.tokens
        mask = view.visible(layer)
        norms = seen.inspection.layer(layer).value_norms
        plain = [token.index for token in tokens if not token.special]
        starts = sentence_starts(seen.tokens.text)
        sentence = {j: sum(start <= (tokens[j].start or 0) for start in starts) for j in plain}
        for i in plain:
            allowed = [j for j in range(len(tokens)) if mask is None or mask[i, j]]
            if len(allowed) < 2:
                continue
            row = weights[i]
            entropy = -sum(row[j] * math.log2(row[j]) for j in allowed if row[j] > 0)
            self.count("entropy", entropy)
            self.count("spread", entropy, math.log2(len(allowed)))
            self.count("itself", row[i])
            for name, place in (("previous", i - 1), ("next", i + 1)):
                if place in allowed and sentence.get(place) == sentence[i]:
                    self.count(name, row[place])
            if plain[0] in allowed and plain[0] != i:
                self.count("first", row[plain[0]])
            groups: dict[str, list[int]] = {
                "cls": [j for j in allowed if j < plain[0]],
                "separators": [j for j in allowed if j > plain[-1]],
            }
            resting = [*groups["cls"], *groups["separators"]]
            if plain[0] == 0:
                near = i <= 2 and sentence[i] == sentence[0]
                resting += [0] if 0 in allowed and not near else []
            words = [j for j in allowed if j in plain and j != i and j not in resting]
            signs = [j for j in words if tokens[j].text in ",."]
            groups["punctuation"] = signs
            own = tokens[i].text.lower()
            groups["same_word"] = [
                j for j in words if j not in signs and tokens[j].text.lower() == own
            ]
            for name, keys in groups.items():
                if keys:
                    self.count(name, sum(row[j] for j in keys))
            self.count("rest", sum(row[j] for j in resting))
            to_words = [j for j in allowed if j in plain]
            self.count(
                "distance",
                sum(row[j] * abs(i - j) for j in to_words),
                sum(row[j] for j in to_words),
            )
            if norms is not None:
                arrived = row * norms[head]
                self.count("brought", sum(arrived[j] for j in resting), arrived.sum())

    def mean(self, name: str) -> float | None:
        return self.above[name] / self.below[name] if self.below.get(name) else None


def text_of(number: int, words: Sequence[str], special: bool, masked: bool) -> Seen:
    """A random text with value norms; with a causal mask if asked for."""
    tokens = tokens_of(words, special)
    chance = np.random.default_rng(number)
    inspection = random_inspection(tokens, LAYERS, HEADS, seed=number)
    for layer in range(LAYERS):
        norms = chance.gamma(2, size=(HEADS, len(tokens))).astype(np.float32)
        inspection = with_layer(inspection, layer, value_norms=norms)
        if masked and layer:  # layers with different masks
            inspection = with_layer(inspection, layer, key_ranges=causal(len(tokens)))
    return Seen(Document("corpus.txt", number, number + 1, " ".join(words)), inspection, "weights")


@settings(max_examples=40, deadline=None)
@given(SENTENCES, st.booleans(), st.booleans())
def test_statistics_are_those_of_a_plain_loop(
    sentences: list[list[str]], special: bool, masked: bool
) -> None:
    texts = [text_of(n, words, special, masked) for n, words in enumerate(sentences)]
    found = {tuple(head.head): head for head in heads_of(texts)}
    for layer in range(LAYERS):
        for head in range(HEADS):
            reference = Reference()
            for text in texts:
                reference.add(text, layer, head)
            if (layer, head) not in found:
                assert not reference.below
                continue
            statistics = found[layer, head].statistics
            for name in (
                "entropy", "spread", "itself", "previous", "next", "first", "cls", "separators",
                "punctuation", "same_word", "rest", "distance", "brought",
            ):  # fmt: skip
                expected, mean = reference.mean(name), statistics[name].mean
                assert (mean is None) == (expected is None), name
                assert mean is None or mean == pytest.approx(expected, abs=2e-5), name


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=2, max_size=7), min_size=8, max_size=14),
    st.randoms(use_true_random=False),
)
def test_any_order_and_any_split_gives_the_same(
    sentences: list[list[str]], chance: random.Random
) -> None:
    texts = [text_of(n, words, True, False) for n, words in enumerate(sentences)]
    whole = heads_of(texts)
    chance.shuffle(texts)
    cut = chance.randrange(len(texts))
    parts = [HeadStatistics(FACTS), HeadStatistics(FACTS), HeadStatistics(FACTS)]
    for number, text in enumerate(texts):
        parts[number < cut].add(text)
    restored = HeadStatistics(FACTS)
    restored.restore(parts[1].state())
    parts[2].merge(restored)
    parts[2].merge(parts[0])
    np.testing.assert_allclose(numbers_of(parts[2].heads()), numbers_of(whole), rtol=0, atol=1e-6)


@pytest.mark.parametrize("at_once", [1 << 20, 300, 40])
@pytest.mark.parametrize("masked", [False, True])
def test_long_texts_come_in_blocks_and_give_the_same(
    monkeypatch: pytest.MonkeyPatch, at_once: int, masked: bool
) -> None:
    words = [f"w{n % 7}" for n in range(15)]
    whole = heads_of([text_of(n, words, not masked, masked) for n in range(7)])
    monkeypatch.setattr(viewing, "WEIGHTS_AT_ONCE", at_once)
    monkeypatch.setattr(folding, "KEPT_WEIGHTS", at_once)
    parts = heads_of([text_of(n, words, not masked, masked) for n in range(7)])
    np.testing.assert_allclose(numbers_of(parts), numbers_of(whole), rtol=1e-5, atol=2e-6)


def looking(words: int, at: dict[int, int]) -> np.ndarray:
    """Weights of one head, (1, 1, n, n), with [CLS] and [SEP]: each row looks at one key."""
    weights = np.zeros((1, 1, words + 2, words + 2))
    for row in range(words + 2):
        weights[0, 0, row, at.get(row, 0)] = 1
    return weights


ONE = ModelFacts("handmade", "hand", 1, 1, 6, 6, 7, True)


def one_head(weights_of: Any, texts: int = 8, words: int = 9, **more: Any) -> SurveyHead:
    """What is told of one head with these weights in each of some texts."""
    found = HeadStatistics(ONE)
    for number in range(texts):
        tokens = tokens_of([f"w{n}" for n in range(words)])
        inspection = inspection_of(tokens, weights_of(number), **more)
        document = Document("corpus.txt", number, number + 1, tokens.text)
        found.add(Seen(document, inspection, "weights"))
    (head,) = found.heads()
    return head


def test_a_head_that_looks_at_the_previous_word_is_positional() -> None:
    head = one_head(lambda _: looking(9, {row: row - 1 for row in range(1, 10)}))
    assert [role.name for role in head.roles] == ["positional", "no-op"][:1] + [
        role.name for role in head.roles[1:]
    ]
    assert head.tests["positional"]["offset"] == -1
    assert head.tests["positional"]["maxima"] == 1
    assert head.roles[0].share.mean == pytest.approx(8 / 9)  # the first word looks at [CLS]
    assert head.statistics["previous"].mean == pytest.approx(1)
    assert head.statistics["distance"].mean == pytest.approx(1)
    assert head.statistics["entropy"].mean == pytest.approx(0, abs=1e-5)


def test_the_offset_with_most_maxima_is_one_that_there_is() -> None:
    """Of one-word texts: no word is two words before; the word itself is the maximum of none."""
    head = one_head(lambda _: looking(1, {}), words=1)
    assert head.tests["positional"] == {"passed": False, "offset": 0, "maxima": 0}
    assert head.statistics["maxima"].mean == 0


def test_means_are_over_the_rows_that_their_formulas_name() -> None:
    """Nine words that give the first one half, and all other keys the same."""
    formulas = {one.name: one.formula for one in STATISTICS}
    weights = np.full((1, 1, 11, 11), 0.05)
    weights[..., 1] = 0.5
    head = one_head(lambda _: weights)
    for name, mean in {"itself": (0.5 + 8 * 0.05) / 9, "cls": 0.05, "separators": 0.05}.items():
        assert head.statistics[name].mean == pytest.approx(mean)
    of_eight = {"previous": (0.5 + 7 * 0.05) / 8, "next": 0.05, "first": 0.5}
    for name, mean in of_eight.items():
        assert head.statistics[name].mean == pytest.approx(mean)
        assert "rows that may look there" in formulas[name]
    assert head.statistics["punctuation"].mean is None
    assert "rows" not in formulas["itself"] + formulas["rest"]


def test_signs_that_a_tree_joins_are_punctuation_all_the_same() -> None:
    found = HeadStatistics(ONE)
    words = ("ten", "%", "more", "of", "it")
    tree = chain(5, [1, -1, 1, 2, 3])
    weights = looking(5, dict.fromkeys((1, 3, 4, 5), 2))  # all look at the sign, which looks away
    for number in range(8):
        document = Document("a.conllu", number, 1, words, marks=tree)
        found.add(Seen(document, inspection_of(tokens_of(words), weights), "weights"))
    (head,) = found.heads()
    assert head.statistics["punctuation"].mean == pytest.approx(1)
    assert "punctuation" in [role.name for role in head.roles]
    assert "syntactic" not in [role.name for role in head.roles]


def test_a_head_that_looks_everywhere_is_broad() -> None:
    head = one_head(lambda _: np.full((1, 1, 11, 11), 1 / 11))
    assert [role.name for role in head.roles] == ["broad"]
    assert head.unknown.mean == pytest.approx(0, abs=1e-6)
    assert head.statistics["spread"].mean == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("length", "name"), [(0.1, "no-op"), (1.0, "broadcast")])
def test_sinks_are_told_apart_by_what_they_bring(length: float, name: str) -> None:
    chance = np.random.default_rng(3)

    def weights(_: int) -> np.ndarray:
        found = chance.uniform(0.01, 0.04, (1, 1, 11, 11))
        found[..., -1] = 0
        found[..., -1] = 1 - found.sum(axis=-1)
        return np.asarray(found)

    norms = np.ones((1, 1, 11))
    norms[..., [0, -1]] = length
    head = one_head(weights, value_norms=norms)
    assert head.role == name
    assert head.tests[name]["score"] == pytest.approx(length, rel=1e-4)
    without = one_head(weights)
    assert without.role == "delimiter"
    assert without.statistics["brought"].mean is None


def test_few_texts_have_no_intervals_and_no_tests() -> None:
    head = one_head(lambda _: looking(9, {row: row - 1 for row in range(1, 10)}), texts=5)
    assert head.statistics["entropy"].low is None
    assert [role.name for role in head.roles] == ["positional"]
    assert np.isnan(head.tests["previous"]["p"])


def chain(words: int, heads: Sequence[int]) -> Tree:
    """A tree of so many words, with each word's head."""
    same = ("_",) * words
    return Tree(
        forms=same, lemmas=same, upos=("NOUN",) * words, feats=same, heads=tuple(heads),
        relations=("dep",) * words, misc=same, units=tuple(range(words)), lines=tuple(range(words)),
    )  # fmt: skip


def test_a_head_that_follows_a_tree_is_syntactic() -> None:
    found = HeadStatistics(ONE)
    for number in range(8):
        words = tuple(f"w{n}" for n in range(12))
        far = [(n + 5) % 12 for n in range(12)]
        inspection: Inspection = inspection_of(
            tokens_of(words), looking(12, {n + 1: far[n] + 1 for n in range(12)})
        )
        heads = [-1, *far[1:]]
        document = Document("a.conllu", number, 1, words, marks=chain(12, heads))
        found.add(Seen(document, inspection, "weights"))
    (head,) = found.heads()
    assert [role.name for role in head.roles] == ["syntactic"]
    assert head.roles[0].share.mean == pytest.approx(11 / 12)
    assert head.unknown.mean == pytest.approx(1 / 12)


def test_cross_attention_has_no_places_but_entropy_and_classes() -> None:
    found = HeadStatistics(ONE)
    for number in range(8):
        tokens, keys = tokens_of(["a", "b", ","]), tokens_of(["b", "x", ",", "y", "z"])
        weights = np.full((1, 1, len(tokens), len(keys)), 1 / len(keys))
        inspection = cross_inspection_of(tokens, keys, weights)
        found.add(Seen(Document("a", number, 1, "a b ,"), inspection, "weights"))
    (head,) = found.heads()
    one = 1 / len(keys)
    known = {name: number.mean for name, number in head.statistics.items()}
    assert known["spread"] == pytest.approx(1, abs=1e-5)
    for name in ("cls", "separators", "same_word", "punctuation"):
        assert known[name] == pytest.approx(one)
    assert known["previous"] is known["next"] is known["induction"] is None
    assert [role.name for role in head.roles] == ["broad"]


def test_causal_scores_are_between_pieces() -> None:
    words = ["a", "b", "c", "a", "b", "c"]
    tokens = replace(tokens_of(words, special=False), ids=(0, 1, 2, 0, 1, 2))
    weights = np.tril(np.ones((1, 1, 6, 6)))
    weights /= weights.sum(axis=-1, keepdims=True)
    inspection = with_layer(inspection_of(tokens, weights), 0, key_ranges=causal(6))
    found = HeadStatistics(ONE)
    found.add(Seen(Document("a", 0, 1, " ".join(words)), inspection, "weights"))
    (head,) = found.heads()
    previous = np.mean([1 / (row + 1) for row in range(1, 6)])
    again = np.mean([1 / (row + 1) for row in range(3, 6)])
    assert head.statistics["previous_token"].mean == pytest.approx(previous)
    assert head.statistics["duplicate_token"].mean == pytest.approx(again)
    assert head.statistics["induction"].mean == pytest.approx(again)
