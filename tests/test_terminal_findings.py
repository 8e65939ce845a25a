"""What find prints of one sentence and of several."""

import io
import re
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
from attnviz.model import Model
from attnviz.show.terminal.cells import Scale
from attnviz.show.terminal.find import _range, table


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
        "how much it looks at cat, by excess   ▸: its strongest key",
        "        weight  excess  rank    same distance  same key     strongest",
        "L0H1   ▸ 0.600   0.433  1 of 6  0.167  ×3.6    0.167  ×3.6  cat         0.600",
        "L1H0   ▸ 0.400   0.233  1 of 6  0.167  ×2.4    0.167  ×2.4  cat         0.400",
        "L0H0     0.167       ·  1 of 6  0.167  ×1.0    0.167  ×1.0  [CLS]       0.167",
        "1 more head: --top 4 shows all.",
        "",
        'L0H1: "it" gives "cat" 0.600, more than any other of its 6 keys. Other words',
        'give "cat" 0.167 (mean of 3), and the one other pair that far apart gets 0.167.',
        'L0H0 is a stripe: other words give "cat" 0.167 too.',
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
    assert lines_of(attnviz.find(cats, "it", "cat"), 42, top=1)[1:8] == [
        "",
        "how much it looks at cat, by excess",
        "▸: its strongest key",
        "        weight  excess  rank",
        "L0H1   ▸ 0.600   0.433  1 of 6",
        "3 columns are hidden: same distance, same",
        "key, strongest (a wider terminal, or",
    ]


@pytest.mark.parametrize(
    ("interval", "told"),
    [
        ((0.31, 0.42), ".31 to .42"),
        ((9.46, 10.62), "9.46 to 10.62"),
        ((-10.3, 0.1), "−10.30 to .10"),
        ((-0.001, 0.004), ".00 to .00"),
        ((-0.17, 100.0), "−.17 to 100.00"),
    ],
)
def test_an_interval_loses_no_digit(interval: tuple[float, float], told: str) -> None:
    assert _range(interval, Scale()) == told


@pytest.mark.parametrize(
    ("query", "key", "head", "words"),
    [
        (
            "it",
            "a",
            "1.0",
            'L1H0: "it" gives "a" 0.300, rank 2 among its 6 keys, but that is a stripe: other '
            'words give "a" 0.167 too.',
        ),
        ("it", "a", "0.1", 'stripe: other words give "a" even 0.167.'),
        ("saw", "a", "0.1", "6 keys, but the one other pair that far apart gets even 0.600."),
        ("saw", "cat", None, 'L1H1 is a stripe: other words give "cat" 0.167 too. So is L1H0.'),
        (
            "it",
            "a cat",
            "1.0",
            '0.700, more than any other of its 5 keys. Other words give "a cat"',
        ),
        ("it", "a cat", None, '"a cat" has the strongest key'),
    ],
)
def test_the_answer_in_words(
    cats: Inspection, query: str, key: str, head: str | None, words: str
) -> None:
    lines = lines_of(attnviz.find(cats, query, key, head=head), 200)
    assert any(words in line for line in lines), lines


def test_nothing_to_compare_with_is_said(minilm: Model) -> None:
    """Only two words: none other are as far apart, and none other looks there."""
    lines = " ".join(lines_of(attnviz.find(minilm.inspect("it ran"), "it", "ran")))
    assert "L2H8    ▸ 0.949       –  1 of 4      –              –" in lines
    assert (
        "its 4 keys. There is nothing to compare this with: no other words are as far apart, and "
        'no other word looks at "ran".'
    ) in lines


def test_every_sentence_is_true_of_the_word_and_not_of_its_twin(minilm: Model) -> None:
    """The strongest key is another Alice than the one asked about."""
    finding = attnviz.find(minilm.inspect("Alice saw Alice and Alice ran."), "ran", "Alice")
    lines = lines_of(finding)
    assert lines[1].startswith("how much ran looks at Alice@1, by excess")
    assert lines[3].split()[-2:] == ["Alice@5", "0.303"]
    assert lines[-1] == '"Alice@1" is the strongest key of "ran" in none of 72 heads.'
    assert not finding.argmax.any()
    told = " ".join(lines)
    assert not re.search(r"Alice(?!@)", told)


def test_both_directions(cats: Inspection) -> None:
    there, back = attnviz.find(cats, "it", "cat"), attnviz.find(cats, "cat", "it")
    lines = printed(table(replace(there, reverse=back), 1))
    assert [line for line in lines if line.startswith("how much")] == [
        "how much it looks at cat, by excess   ▸: its strongest key",
        "how much cat looks at it, by excess   ▸: its strongest key",
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
        "how much the query looks at the key, by excess",
        "      excess    mean  same distance  same key     hits  minimum",
        "L0H1   0.233   0.400  0.167  ×2.4    0.167  ×2.4   50%    0.200",
        "L1H0   0.033   0.200  0.167  ×1.2    0.167  ×1.2   50%        ·",
        "2 more heads: --top 4 shows all.",
        "too few sentences for a 95% interval",
        "",
        "L0H1: the query gives the key 0.400 on average, 0.200 at least, and more than",
        "any other key in 1 of 2 sentences (50%). Other words give the key 0.167 (mean of",
        "2 sentences), and words that far apart get 0.167 (mean of 2 sentences).",
        "L1H0 is a stripe: other words give the key 0.167 too.",
        "The same sentences choose the best of 4 heads and measure it, which flatters it.",
        "Chosen on the first half alone (1 sentence), it is L0H1: excess 0.433 there, and",
        "0.033 in the other half. Chosen on the second half alone (1 sentence), it is",
        "L0H1: excess 0.033 there, and 0.433 in the other half.",
    ]
    many = printed(table(holding(findings * 3), 2))
    assert many[5:9] == [
        "      excess  95%            mean  same distance  same key     mean 95%    hits",
        "L0H1   0.233  .03 to .43    0.400  0.167  ×2.4    0.167  ×2.4  .20 to .60   50%",
        "L1H0   0.033  −.17 to .23   0.200  0.167  ×1.2    0.167  ×1.2  .00 to .40   50%",
        "1 column is hidden: minimum (a wider terminal, or --json).",
    ]
    assert "0.400 on average (95%: .20 to .60), 0.200 at" in " ".join(many)
    same = printed(table(holding(findings[:1] * 2), 1))
    assert same[1] == "2 sentences"
    assert "how much it looks at cat, by excess" in same
    assert any(line.startswith('L0H1: "it" gives "cat" 0.600 on average') for line in same)
    by_weight = [attnviz.find(cats, "it", key, by="weight") for key in ("cat", "saw")]
    shown = " ".join(printed(table(holding(by_weight), 1)))
    assert "how much the query looks at the key, by hits" in shown
    assert "it is L0H1: hits 1 of 1 there, and 0 of 1 in the other half." in shown
    alone = " ".join(printed(table(holding(findings[:1]))))
    assert "measure it, which flatters it: try it on others." in alone


def test_yardsticks_are_compared_with_the_weights_of_their_own_sentences(minilm: Model) -> None:
    """One of two sentences has nothing to compare with."""
    words = ("it ran", "it", "ran"), ("The animal ran because it slept.", "it", "animal")
    findings = [attnviz.find(minilm.inspect(text), query, key) for text, query, key in words]
    heads = {str(head.head): head for head in holding(findings).heads}
    stripe, [alone] = heads["L5H11"], [h for h in findings[1].heads if str(h.head) == "L5H11"]
    assert alone.same_key is not None
    assert stripe.same_key is not None
    assert stripe.same_key == pytest.approx((alone.same_key.mean, 1, alone.same_key.lift))
    assert stripe.mean < stripe.same_key.mean < alone.weight
    assert stripe.explained == "same_key"
    assert stripe.excess == pytest.approx(alone.excess)
    assert stripe.excess_interval is None  # of one sentence
    told = " ".join(printed(table(holding(findings)), 200))
    assert f"that is a stripe: other words give the key {stripe.same_key.mean:.3f} too." in told


def test_a_row_of_many_sentences_does_not_contradict_itself(minilm: Model) -> None:
    """The mean is of both sentences, all that is compared of the one that has other pairs."""
    words = ("The animal ran because it was tired.", "it", "animal"), ("it ran", "it", "ran")
    findings = [
        attnviz.find(minilm.inspect(text), query, key, head="L2H8") for text, query, key in words
    ]
    lines = printed(table(holding(findings)), 200)
    [row] = [line for line in lines if line.startswith("L2H8 ")]
    weight, other = findings[0].heads[0].weight, findings[1].heads[0].weight
    key = findings[0].heads[0].same_key
    assert key is not None
    assert row.split()[1:3] == [f"−{key.mean - weight:.3f}", f"{(weight + other) / 2:.3f}"]
    assert "excess and yardsticks: of the 1 of 2 sentences that have other pairs" in lines
    told = (
        f"In the 1 of 2 sentences that have other pairs it is {weight:.3f}, but that is a stripe: "
        f"other words give the key even {key.mean:.3f}."
    )
    assert told in " ".join(lines)
    every = [attnviz.find(minilm.inspect(text), query, key) for text, query, key in words]
    best = every[0].heads[0]
    assert best.same_key is not None
    said = " ".join(printed(table(holding(every)), 300))
    beside = f"{best.same_key.mean:.3f} (mean of 1 of 2 sentences, which give it {best.weight:.3f})"
    assert f"{best.head}: " in said
    assert beside in said
    assert "there, and no excess in the other half. The second half has nothing to" in said
    assert "The second half has nothing to compare with, so it chooses no head." in said


def test_large_numbers_keep_their_columns(animal: Inspection) -> None:
    norms = lines_of(attnviz.find(animal, "it", "animal", measure="norm"), 80, top=2)
    assert norms[3:5] == [
        "L3H1    ▸ 2.411   2.045  1 of 14  0.077 ×31.5    0.365  ×6.6  animal      2.411",
        "L5H11   ▸ 4.220   1.820  1 of 14  0.053 ×78.9    2.399  ×1.8  animal      4.220",
    ]
    layers = lines_of(attnviz.find(animal, "it", "animal", measure="rollout"), 80, top=9)
    assert [line.split()[0] for line in layers[3:9]] == ["L4", "L3", "L5", "L2", "L1", "L0"]
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
