"""What find prints of one sentence and of several."""

import io
from dataclasses import replace

import numpy as np
import pytest
from handmade import inspection_of, random_inspection, tokens_of
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

import attnviz
from attnviz.answers.find import Finding, find
from attnviz.answers.holding import holding
from attnviz.answers.select import Phrase
from attnviz.inspection import Inspection
from attnviz.show.terminal.find import table


def printed(look: RenderableType, width: int = 80) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=False).print(look)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


@pytest.fixture(scope="module")
def cats() -> Inspection:
    """Two layers of two heads over `[CLS] a cat saw it [SEP]`; two rows of `it` by hand."""
    weights = np.full((2, 2, 6, 6), 1 / 6)
    weights[0, 1, 4] = (0.0, 0.1, 0.6, 0.2, 0.1, 0.0)
    weights[1, 0, 4] = (0.3, 0.3, 0.4, 0.0, 0.0, 0.0)
    return inspection_of(tokens_of(["a", "cat", "saw", "it"]), weights, name="cats")


def lines_of(finding: Finding, width: int = 80, top: int = 3) -> list[str]:
    return printed(table(finding, top), width)[3:]


def test_a_sentence(cats: Inspection) -> None:
    assert lines_of(attnviz.find(cats, "it", "cat")) == [
        "",
        "how much it looks at cat   ▸: its strongest key",
        "        weight  rank    expected  lift  strongest",
        "L0H1   ▸ 0.600  1 of 6     0.383  ×1.6  cat         0.600",
        "L1H0   ▸ 0.400  1 of 6     0.283  ×1.4  cat         0.400",
        "L0H0     0.167  1 of 6     0.167  ×1.0  [CLS]       0.167",
        "1 more head: --top 4 shows all.",
        "",
        'L0H1: "it" gives "cat" 0.600, more than any other of its 6 keys, and 1.6 times',
        "what this head gives words that far apart (mean of 2 pairs, this one among",
        "them).",
        '"cat" is the strongest key of "it" in 2 of 4 heads.',
    ]


def test_the_column_of_numbers_has_the_measures_name(animal: Inspection) -> None:
    titles = {
        measure: printed(table(attnviz.find(animal, "it", "animal", measure=measure), 1))
        for measure in ("weights", "norm", "rollout")
    }
    names = {name: page[5].split()[0] for name, page in titles.items()}
    assert names == {"weights": "weight", "norm": "norm", "rollout": "rollout"}
    assert len({page[5].index("rank") for page in (titles["weights"], titles["norm"])}) == 1


def test_a_narrow_terminal_leaves_out_the_strongest_key(cats: Inspection) -> None:
    assert lines_of(attnviz.find(cats, "it", "cat"), 42, top=1)[1:5] == [
        "",
        "how much it looks at cat",
        "        weight  rank    expected  lift",
        "L0H1   ▸ 0.600  1 of 6     0.383  ×1.6",
    ]


@pytest.mark.parametrize(
    ("query", "key", "head", "words"),
    [
        ("it", "a", "1.0", '"it" gives "a" 0.300, rank 2 among its 6 keys; no other words'),
        (
            "it",
            "cat",
            "0.0",
            "but about what this head gives words that far apart (mean of 2 pairs",
        ),
        ("saw", "a", "0.1", "but less than this head gives words that far apart (mean of 2 pairs"),
        ("it", "a cat", "1.0", '"a cat" has the strongest key'),
    ],
)
def test_the_answer_in_words(cats: Inspection, query: str, key: str, head: str, words: str) -> None:
    chosen = head if "has" not in words else None
    lines = lines_of(attnviz.find(cats, query, key, head=chosen), 200)
    assert any(words in line for line in lines), lines


def test_both_directions(cats: Inspection) -> None:
    there, back = attnviz.find(cats, "it", "cat"), attnviz.find(cats, "cat", "it")
    lines = printed(table(replace(there, reverse=back), 1))
    assert [line for line in lines if line.startswith("how much")] == [
        "how much it looks at cat   ▸: its strongest key",
        "how much cat looks at it   ▸: its strongest key",
    ]
    assert lines.count("a cat saw it") == 1


def test_what_special_tokens_had_is_told(cats: Inspection) -> None:
    finding = attnviz.find(cats, "it", "cat", special=False)
    assert lines_of(finding, 200)[-1] == (
        'Special tokens are left out: "it" gave them 24% of its attention (mean over all heads), '
        "and the rest is shown as 100%."
    )
    held = " ".join(printed(table(holding([finding, finding]), 1), 100)[-2:])
    assert "they took 24% of the words' attention (mean over all heads)" in held


def test_query_and_key_are_underlined(cats: Inspection) -> None:
    finding = attnviz.find(cats, "it", "a cat")
    stream = io.StringIO()
    Console(file=stream, width=80, force_terminal=True, color_system="truecolor").print(
        table(finding, 1)
    )
    sentence = stream.getvalue().splitlines()[1]
    marked = [part.split("m")[1] for part in sentence.split("\x1b[1;4")[1:]]
    assert [word.partition("\x1b")[0] for word in marked] == ["a", "cat", "it"]


def test_several_sentences(cats: Inspection) -> None:
    findings = [attnviz.find(cats, "it", key) for key in ("cat", "saw")]
    assert printed(table(replace(holding(findings), left_out=1), 2)) == [
        "cats: 2 layers × 2 heads, d_model 12, d_k 6, d_ff 7",
        "2 sentences, each with a query and a key of its own (1 sentence left out)",
        "weights: softmax(q kᵀ / √d_k)",
        "",
        "how often the query looks at the key most of all",
        "      hits              mean  minimum  expected  lift",
        "L0H1  1 of 2   50%     0.400    0.200     0.281  ×1.4",
        "L1H0  1 of 2   50%     0.200        ·     0.197  ×1.0",
        "2 more heads: --top 4 shows all.",
        "",
        "L0H1: the query looks at the key most of all in 1 of 2 sentences (50%), and",
        "gives it 0.400 on average, 1.4 times what it gives words that far apart; 0.200",
        "at least.",
        "The same sentences choose the best of 4 heads and measure it, which flatters it:",
        "try it on others.",
    ]
    same = printed(table(holding(findings[:1] * 2), 1))
    assert same[1] == "2 sentences"
    assert "how often it looks at cat most of all" in same


def test_large_numbers_keep_their_columns(animal: Inspection) -> None:
    norms = lines_of(attnviz.find(animal, "it", "animal", measure="norm"), 80, top=2)
    assert norms[3:5] == [
        "L5H11   ▸ 4.220  1 of 14     0.748  ×5.6  animal      4.220",
        "L3H1    ▸ 2.411  1 of 14     0.466  ×5.2  animal      2.411",
    ]
    layers = lines_of(attnviz.find(animal, "it", "animal", measure="rollout"), 80, top=9)
    assert [line.split()[0] for line in layers[3:9]] == ["L3", "L4", "L5", "L2", "L1", "L0"]
    assert layers[-1].endswith("in none of 6 layers.")


@settings(deadline=None)
@given(
    words=st.lists(st.text(min_size=1, max_size=20), min_size=4, max_size=9),
    width=st.integers(20, 200),
    special=st.booleans(),
    top=st.integers(1, 30),
)
def test_no_line_is_wider_than_the_console(
    words: list[str], width: int, special: bool, top: int
) -> None:
    view = random_inspection(tokens_of(words), 2, 13, seed=3).view("piece", special)
    query, key = Phrase(view.tokens[1:2]), Phrase(view.tokens[2:4])
    found = find(view, query, key, both=True)
    for look in (table(found, top), table(replace(holding([found, found]), left_out=3), top)):
        lines = printed(look, width)
        assert max(map(cell_len, lines)) <= width
        assert not any("\x1b" in line or "\x07" in line for line in lines)
