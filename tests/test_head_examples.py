"""Examples of heads: the strongest links, a fair sample of the rest, the same in any split."""

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from corpora import seen_of
from handmade import cross_inspection_of, tokens_of
from hypothesis import given, settings
from hypothesis import strategies as st

from attnviz.answers.examples import Example
from attnviz.corpus.document import Document
from attnviz.corpus.fold import Seen
from attnviz.corpus.statistics.examples import MOST_WORDS, HeadExamples
from attnviz.text.spans import is_punctuation

HEADS = 2, 3
WORDS = ("animal", "street", ",", "it", "tired", "was")
TEXTS = [seen_of(number, WORDS[: 2 + number % 5], HEADS) for number in range(29)]

Found = list[tuple[tuple[Example, ...], tuple[Example, ...]]]


def folded(texts: list[Seen], most: int = 3) -> HeadExamples:
    accumulator = HeadExamples(most)
    for seen in texts:
        accumulator.add(seen)
    return accumulator


def told(found: Found) -> list[list[object]]:
    """All that examples say."""
    return [[[one.data(matrix=True) for one in some] for some in both] for both in found]


def strongest(seen: Seen, place: int) -> tuple[float, int, int]:
    """A head's strongest link between two words, worked out with loops."""
    tokens, head = seen.view.tokens, seen.view.all_heads()[place]
    weights = seen.view.weights(head)
    return max(
        (float(weights[a.index, b.index]), a.index, b.index)
        for a in tokens
        for b in tokens
        if a is not b and not {a.text, b.text} & {",", "[CLS]", "[SEP]"}
    )


def test_the_strongest_links_of_each_head() -> None:
    found = folded(TEXTS).result()
    assert len(found) == 6
    for place, (examples, _) in enumerate(found):
        every = sorted((-weight, n, a, b) for n, seen in enumerate(TEXTS)
                       for weight, a, b in [strongest(seen, place)])  # fmt: skip
        for example, (weight, number, query, key) in zip(examples, every[:3], strict=True):
            assert example.line == number + 1
            assert (example.query, example.key) == (query, key)
            assert example.weight == pytest.approx(-weight)
            tokens = [token.text for token in TEXTS[number].view.tokens]
            assert (example.query_text, example.key_text) == (tokens[query], tokens[key])


def test_the_sample_is_of_the_others_and_has_their_strongest_links() -> None:
    for place, (examples, sample) in enumerate(folded(TEXTS).result()):
        lines = {example.line for example in sample}
        assert len(lines) == 3
        assert not lines & {example.line for example in examples}
        for example in sample:
            weight, query, key = strongest(TEXTS[example.line - 1], place)
            assert (example.query, example.key) == (query, key)
            assert example.weight == pytest.approx(weight)


def test_the_sample_is_fair() -> None:
    """Each text is as likely as another, strong or weak, early or late; heads draw their own."""
    texts = [seen_of(number, ("a", "b"), (10, 40)) for number in range(20)]
    sampled: Counter[int] = Counter()
    others: Counter[int] = Counter()
    for examples, sample in folded(texts, 4).result():
        sampled.update(example.line for example in sample)
        others.update(set(range(1, 21)) - {example.line for example in examples})
    for line in range(1, 21):  # 4 of the 16 others: a quarter, and 0.25 ± 3.5 standard errors
        share = sampled[line] / others[line]
        assert abs(share - 0.25) < 3.5 * np.sqrt(0.25 * 0.75 / others[line])


@settings(max_examples=25)
@given(data=st.data())
def test_any_split_and_order_gives_the_same(data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(TEXTS))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(TEXTS)), max_size=4)))
    joined = HeadExamples(3)
    for start, end in zip([0, *cuts], [*cuts, len(TEXTS)], strict=True):
        part = folded([TEXTS[place] for place in order[start:end]])
        joined.merge(restored(part) if data.draw(st.booleans()) else part)
    assert told(joined.result()) == told(folded(TEXTS).result())


def restored(accumulator: HeadExamples) -> HeadExamples:
    """What was kept, after values were JSON."""
    state, other = accumulator.state(), HeadExamples(1)
    arrays = {name: one for name, one in state.items() if isinstance(one, np.ndarray)}
    values = json.loads(json.dumps({name: state[name] for name in state.keys() - arrays.keys()}))
    other.restore(values | arrays)
    return other


def test_equal_links_are_told_apart_by_text_and_not_by_order() -> None:
    """As where a head gives the previous word all: weights that differ by rounding are equal."""
    weights = np.full((1, 1, 5, 5), 0.01)
    weights[0, 0, 3, 2] = 0.9
    noise = np.random.default_rng(2).uniform(-1e-7, 1e-7, 30)
    texts = [seen_of(n, ("a", "b", "c"), (1, 1), weights + noise[n]) for n in range(30)]
    again = [seen_of(n, ("a", "b", "c"), (1, 1), weights + noise[-n]) for n in range(30)]
    one, other = folded(texts).result(), folded(again[::-1]).result()
    lines = [[example.line for example in found[0][0]] for found in (one, other)]
    assert lines[0] == lines[1]
    assert lines[0] != [1, 2, 3]


def test_a_text_without_two_words_is_no_example() -> None:
    found = folded([seen_of(0, ("alone",), (1, 2)), seen_of(1, ("so", ",", "…"), (1, 2))]).result()
    assert found == [((), ()), ((), ())]
    assert folded([]).result() == []
    assert restored(folded([])).result() == []


def long_text(query: int, key: int, count: int = 100) -> Seen:
    """A text of which the only strong link goes from one word to another."""
    weights = np.full((1, 2, count + 2, count + 2), 1e-3)
    weights[0, 1, query, key] = 0.7
    return seen_of(0, [f"w{n}" for n in range(1, count + 1)], (1, 2), weights)


@pytest.mark.parametrize(
    ("query", "key"), [(1, 2), (100, 99), (50, 11), (1, 100), (31, 70), (30, 70), (100, 60)]
)
@pytest.mark.parametrize("at_once", [1 << 22, 0], ids=["kept", "computed again"])
def test_of_a_long_text_the_words_around_the_link_are_kept(
    query: int, key: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnviz.corpus.fold.KEPT_WEIGHTS", at_once)
    if not at_once:
        monkeypatch.setattr("attnviz.inspection.view.WEIGHTS_AT_ONCE", 3000)
    seen = long_text(query, key)
    example = folded([seen]).result()[1][0][0]
    assert example.places is not None
    assert len(example.words) == len(example.places) == MOST_WORDS
    assert all(a < b for a, b in pairwise(example.places))
    assert (example.places[example.query], example.places[example.key]) == (query, key)
    assert (example.query_text, example.key_text) == (f"w{query}", f"w{key}")
    assert example.weight == pytest.approx(0.7, rel=1e-4)
    shown = seen.view.weights(0, 1)[np.ix_(example.places, example.places)]
    np.testing.assert_allclose(example.matrix * (example.scale / 255), shown, atol=0.7 / 255)
    assert "places" in example.data()


def test_of_a_short_text_the_matrix_is_kept_whole() -> None:
    for place, (examples, sample) in enumerate(folded(TEXTS).result()):
        for example in (*examples, *sample):
            view = TEXTS[example.line - 1].view
            assert example.words == tuple(token.text for token in view.tokens)
            assert example.matrix.dtype == np.uint8
            assert example.matrix.max() == 255
            weights = view.weights(view.all_heads()[place])
            found = example.matrix * (example.scale / 255)
            np.testing.assert_allclose(found, weights, rtol=0, atol=example.scale / 500)


def test_cross_attention_has_keys_of_its_own() -> None:
    weights = np.full((1, 1, 4, 5), 0.05)
    weights[0, 0, 2, 1] = 0.8
    inspection = cross_inspection_of(tokens_of(["das", "Tier"]), tokens_of(["the", "animal", "!"]),
                                     weights)  # fmt: skip
    seen = Seen(Document("pairs.tsv", 0, 1, "das Tier"), inspection, "weights")
    example = folded([seen]).result()[0][0][0]
    assert (example.query_text, example.key_text) == ("Tier", "the")
    assert example.keys == ("[CLS]", "the", "animal", "!", "[SEP]")
    assert example.data()["keys"] == list(example.keys)


def test_memory_does_not_grow_with_the_corpus() -> None:
    accumulator = folded(TEXTS)
    before = state_bytes(accumulator)
    for number in range(100, 400):
        accumulator.add(seen_of(number, WORDS, HEADS))
    assert state_bytes(accumulator) < 3 * before
    assert len(accumulator.result()[0][0]) == 3


def state_bytes(accumulator: HeadExamples) -> int:
    state = accumulator.state()
    return sum(one.nbytes for one in state.values() if isinstance(one, np.ndarray))


def test_punctuation_is_no_word_and_symbols_are() -> None:
    assert all(map(is_punctuation, (".", "…", "''", "。", "¿", "-")))
    assert not any(map(is_punctuation, ("it", "3", "$", "don't", "a.b", "동물은")))
