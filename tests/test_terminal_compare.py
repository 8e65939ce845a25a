"""Two sentences beside each other, as the terminal shows them."""

import io

import numpy as np
import pytest
from handmade import inspection_of, random_inspection, tokens_of
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from attnviz.answers.align import Aligned, aligned
from attnviz.answers.compare import Comparison, compare
from attnviz.inspection import Inspection
from attnviz.model import Model
from attnviz.show.terminal.compare import table as compare_table


@pytest.fixture(scope="module")
def founding(minilm: Model, animal: Inspection) -> Aligned:
    wide = minilm.inspect(animal.tokens.text.replace("tired", "wide"))
    return aligned(animal.view(), wide.view())


def printed(comparison: Comparison, width: int = 80, count: int | None = None) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=False, highlight=False)
    console.print(compare_table(comparison, count))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_the_founding_pair(founding: Aligned) -> None:
    """`animal` .677 and .281 in L3H1; the words that differ stand between brackets."""
    lines = printed(compare(founding, founding.find("it")[0]), 100, 2)
    assert lines == [
        "minilm: 6 layers × 12 heads, d_model 384, d_k 32, d_ff 1536",
        "A  The animal didn't cross the street because it was too ‹tired›.",
        "B  The animal didn't cross the street because it was too ‹wide›.",
        "weights: softmax(q kᵀ / √d_k)",
        "",
        'what "it" looks at, by Jensen-Shannon distance',
        "       distance  gained in B        lost in B      most in A     most in B",
        "L3H1   ▸.40       +.22  [CLS]        −.40  animal   .68  animal   .33  [CLS]",
        "L4H11   .29       +.10  tired→wide   −.08  [CLS]    .37  [CLS]    .29  [CLS]",
        "",
        "70 more heads: --top 72 shows all.",
        '"it" gives 39% of its attention to special tokens in A and 39% in B (mean over all'
        " heads);",
        "--no-special leaves them out.",
    ]


def test_narrow_terminals_show_less_and_wide_ones_more(founding: Aligned) -> None:
    comparison = compare(founding, founding.find("it")[0])
    narrow, wide = (printed(comparison, width, 1) for width in (50, 160))
    [first] = [line for line in narrow if line.startswith("L3H1")]
    assert first.split() == ["L3H1", "▸.40", "+.22", "[CLS]", "−.40", "animal"]
    [first] = [line for line in wide if line.startswith("L3H1")]
    for told in ("+.22  [CLS]", "+.08  cross", "+.07  street", "−.40  animal", "−.04  it"):
        assert told in first


def test_one_link(founding: Aligned) -> None:
    query, key = founding.find("it")[0], founding.find("animal")[0]
    lines = printed(compare(founding, query, key), 80, 7)
    first = lines.index('how much "it" looks at "animal", by change')
    assert lines[first + 1 : first + 3] == [
        "           A      B  change",
        "L3H1     .68    .28    −.40  ━━━━━━━━━━━━━━│",
    ]
    assert lines[first + 8] == "L3H9     .09    .13    +.05                │━━"


def test_a_change_that_rounds_to_nothing_has_no_bar(minilm: Model, animal: Inspection) -> None:
    wide = minilm.inspect(animal.tokens.text.replace("tired", "wide"))
    rolled = aligned(animal.view(measure="rollout"), wide.view(measure="rollout"))
    link = compare(rolled, rolled.find("it")[0], rolled.find("animal")[0])
    told = [line for line in printed(link) if line.startswith("L")]
    assert len(told) == 6
    assert all(line.endswith("│") and "━" not in line for line in told if "·" in line)
    assert any("·" in line for line in told)


def test_all_words(founding: Aligned) -> None:
    lines = printed(compare(founding), 100, 1)
    first = lines.index("what all words look at, by Jensen-Shannon distance")
    assert lines[first + 1].endswith(" most changed")
    assert lines[first + 2].startswith("L5H8  ▸.23   +.21  tired→wide       −.07  [CLS]")
    change = compare(founding).heads[0]
    assert change.distances is not None
    most = int(np.nanargmax(change.distances))
    told = f"{change.distances[most]:.2f}"[1:] + f"  {founding.columns[most].label}"
    assert lines[first + 2].endswith(told)


def test_a_word_that_one_sentence_lacks_is_marked() -> None:
    a, b = (random_inspection(tokens_of(w), 1, 1, 9) for w in (["it", "ran"], ["it", "so", "ran"]))
    both = aligned(a.view(), b.view())
    lines = printed(compare(both, 1))
    assert "B  it ‹so› ran" in lines
    assert any("so*" in line for line in lines)
    note = "* a word without a partner in the other sentence; all its weight counts as change."
    assert note in " ".join(lines)


def test_a_sentence_and_itself(animal: Inspection) -> None:
    view = animal.view()
    lines = printed(compare(aligned(view, view)), 60, 1)
    assert "‹" not in "".join(lines)
    [row] = [line for line in lines if line.startswith("L0H0")]
    assert row.split() == ["L0H0", "·"]
    assert "      mean  gained in B        lost in B        most changed" in lines


def test_two_models_are_named_and_the_sentence_stands_once() -> None:
    tokens = tokens_of(["it", "ran"])
    weights = np.full((1, 2, 4, 4), 0.25)
    a, b = inspection_of(tokens, weights), inspection_of(tokens, weights, False, "other")
    lines = printed(compare(aligned(a.view(), b.view())))
    assert lines[0].startswith("A  handmade: 1 layer × 2 heads")
    assert lines[1].startswith("B  other: 1 layer × 2 heads")
    assert lines[1].endswith("UNTRAINED (seed 0)")
    assert lines[2] == "it ran"
    assert "Heads of two models are the same head only where" in " ".join(lines)


def test_a_pair_and_other_measures_say_what_they_are(minilm: Model) -> None:
    a, b = (minilm.inspect(f"It was {word}.", "Who was it?") for word in ("tired", "wide"))
    both = aligned(a.view(measure="norm", special=False), b.view(measure="norm", special=False))
    lines = printed(compare(both))
    assert lines[1:5] == [
        "A  It was ‹tired›.",
        "   Who was it?",
        "B  It was ‹wide›.",
        "   Who was it?",
    ]
    assert lines[5] == "norm: ‖α v W_O‖ with α = softmax(q kᵀ / √d_k); rows are not distributions"
    text = " ".join(lines)
    assert "Rows of norm are not shares: here each is divided by its sum" in text
    assert "Special tokens are left out: they had " in text
    layers = aligned(a.view(measure="rollout"), b.view(measure="rollout"))
    assert "5 more layers: --top 6 shows all." in " ".join(printed(compare(layers), 80, 1))


def test_what_is_typed_is_shown_escaped(minilm: Model) -> None:
    a, b = (minilm.inspect(f"[bold] \x1b[31m {word} :smile:") for word in ("\u202ered", "blue"))
    lines = printed(compare(aligned(a.view(), b.view())), 100)
    assert "A  [bold] \\x1b[31m \\u202e‹red› :smile:" in lines
    assert "\x1b" not in "".join(lines)


@pytest.mark.slow
@settings(deadline=None)
@given(
    words=st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=9),
    others=st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=9),
    width=st.integers(20, 200),
    special=st.booleans(),
)
def test_no_line_is_wider_than_the_console(
    words: list[str], others: list[str], width: int, special: bool
) -> None:
    a = random_inspection(tokens_of(["it", *words]), 2, 11, seed=3).view(special=special)
    b = random_inspection(tokens_of(["it", *others]), 2, 11, seed=4).view(special=special)
    both = aligned(a, b)
    it = both.words[0]
    for comparison in (compare(both), compare(both, it), compare(both, it, it)):
        for line in printed(comparison, width, 5):
            assert cell_len(line) <= width
            assert "\x1b" not in line
