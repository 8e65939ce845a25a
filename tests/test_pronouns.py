"""samples/pronouns.tsv: pronouns and antecedents, so balanced that position tells nothing."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from attnviz.text.spans import word_spans

PATH = Path(__file__).parents[1] / "samples" / "pronouns.tsv"
LINES = PATH.read_text(encoding="utf-8").splitlines()
ORDERS = ("antecedent first", "distractor first")
LEAST = {"it": 16, "they": 8, "he": 8, "she": 8}


class Row(NamedTuple):
    sentence: str
    query: str
    key: str
    distractor: str
    order: str


ROWS = [Row(*line.split("\t")) for line in LINES[1:]]
each_row = pytest.mark.parametrize("row", ROWS, ids=[row.sentence for row in ROWS])


def words_of(row: Row) -> list[str]:
    return [row.sentence[start:end].casefold() for start, end in word_spans(row.sentence)]


def place(row: Row, word: str) -> int:
    return words_of(row).index(word.casefold())


def test_the_header_names_the_columns() -> None:
    assert LINES[0] == "sentence\tquery\tkey\tdistractor\torder"


def test_there_are_enough_sentences_and_none_twice() -> None:
    assert len(ROWS) >= 48
    assert len({row.sentence.casefold() for row in ROWS}) == len(ROWS)


def test_the_founding_sentence_and_its_twin_are_there() -> None:
    start = "The animal didn't cross the street because it was too "
    assert Row(start + "tired.", "it", "animal", "street", ORDERS[0]) in ROWS
    assert Row(start + "wide.", "it", "street", "animal", ORDERS[1]) in ROWS


def test_either_noun_comes_first_equally_often_with_every_pronoun() -> None:
    counts = Counter((row.query, row.order) for row in ROWS)
    assert set(counts) == {(query, order) for query in LEAST for order in ORDERS}
    for query, least in LEAST.items():
        assert counts[query, ORDERS[0]] == counts[query, ORDERS[1]] >= least / 2
    assert {2 * sum(counts[query, order] for query in LEAST) for order in ORDERS} == {len(ROWS)}


@each_row
def test_query_key_and_distractor_each_stand_in_the_sentence_once(row: Row) -> None:
    counts = Counter(words_of(row))
    assert [counts[word.casefold()] for word in (row.query, row.key, row.distractor)] == [1, 1, 1]


@each_row
def test_both_nouns_come_before_the_pronoun_in_the_order_told(row: Row) -> None:
    key, distractor = place(row, row.key), place(row, row.distractor)
    assert max(key, distractor) < place(row, row.query)
    assert row.order == ORDERS[key > distractor]


@each_row
def test_a_sentence_has_8_to_22_words(row: Row) -> None:
    assert 8 <= sum(word[0].isalnum() for word in words_of(row)) <= 22
