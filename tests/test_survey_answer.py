"""What a survey says of the heads: its JSON, its rows, and the table of its numbers."""

import numpy as np

from attnviz.answers.corpus import CorpusFacts, Estimate, Intervals
from attnviz.answers.distances import Distances
from attnviz.answers.examples import Example
from attnviz.answers.statistics import ROLES, STATISTICS
from attnviz.answers.survey import HeadRole, Survey, SurveyHead
from attnviz.inspection import HeadId, ModelFacts

FACTS = ModelFacts("handmade", "hand", 1, 2, 8, 4, 7, True)
EXAMPLE = Example(
    "a.txt", 3, None, ("The", "ship"), 1, 0, 0.75, np.full((2, 2), 255, np.uint8), 0.75
)
HEADS = (
    SurveyHead(
        HeadId(0, 0),
        {"entropy": Estimate(1.5, 1.0, 2.0), "cls": Estimate.of(np.nan)},
        (HeadRole("local", Estimate(0.6, 0.5, 0.7), {"bias": np.float64(2.5), "p": np.nan}),),
        Estimate(0.4, 0.3, 0.5),
        {},
        (EXAMPLE,),
    ),
    SurveyHead(HeadId(0, 1), {"entropy": Estimate(0.5)}, (), Estimate(1.0), {}),
)
SURVEY = Survey(
    FACTS,
    "weights",
    "softmax",
    CorpusFacts(("a.txt",), 2, 2, 9, 5),
    Intervals("bootstrap", 500),
    STATISTICS[:1],
    ROLES[:1],
    HEADS,
    Distances(np.zeros((2, 2)), 5, ((0, 1),), ((0, 1, 0.0, 2),), 0.25),
)


def test_data_follow_the_schema() -> None:
    data = SURVEY.data()
    assert data["schema"] == "attnviz.survey/1"
    assert data["corpus"] == {
        "files": ["a.txt"], "documents": 2, "windows": 2, "pieces": 9, "words": 5, "left_out": 0,
        "interrupted": False,
    }  # fmt: skip
    assert data["intervals"] == {"level": 0.95, "method": "bootstrap", "resamples": 500}
    assert set(data["statistics"][0]) == {"name", "title", "unit", "formula", "source"}
    first = data["heads"][0]
    assert first["statistics"]["cls"] == {"mean": None, "low": None, "high": None}
    assert first["roles"] == [
        {"name": "local", "share": 0.6, "low": 0.5, "high": 0.7, "test": {"bias": 2.5, "p": None}}
    ]
    assert first["examples"][0]["query"] == {"index": 1, "text": "ship"}
    assert data["distances"]["tree"] == [[0, 1, 0.0, 2]]
    assert SURVEY.data(top=0)["heads"][0]["examples"] == []


def test_rows_have_a_statistic_or_a_role_each() -> None:
    rows = list(SURVEY.rows())
    assert all(len(row) == len(SURVEY.columns) for row in rows)
    assert rows[0] == (0, 0, "statistic", "entropy", 1.5, 1.0, 2.0)
    assert (0, 0, "role", "local", 0.6, 0.5, 0.7) in rows
    assert (0, 1, "role", "unknown", 1.0, None, None) in rows


def test_a_head_is_called_by_its_largest_share() -> None:
    assert [head.role for head in HEADS] == ["local", "unknown"]


def test_a_role_s_formula_says_of_which_attention_its_score_is() -> None:
    formulas = {role.name: role.formula for role in ROLES}
    assert "the part of all attention that is in the sieve" in formulas["delimiter"]
    for name in ("itself", "previous", "next", "same word", "syntactic", "local", "block"):
        assert "the part of the attention to words that is in the sieve" in formulas[name]
    for name in ("positional", "broad"):
        assert "no test" in formulas[name]
    assert "(t test)" in formulas["no-op"]


def test_the_table_names_each_thing_once_and_says_how_it_is_computed() -> None:
    for entries in (STATISTICS, ROLES):
        names = [entry.name for entry in entries]
        assert len(set(names)) == len(names)
        assert all(entry.title and entry.formula and entry.source for entry in entries)
