"""docs/pronouns.md says what benchmarks/pronouns.py finds, and that counts as it should."""

import importlib
from pathlib import Path
from typing import Any

import pytest

import attnviz
from attnviz.model import Model

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "pronouns.md").read_text(encoding="utf-8")
PROSE = " ".join(PAGE.split())


@pytest.fixture(scope="module")
def script(own_cache: Path) -> Any:
    """benchmarks/pronouns.py as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        return importlib.import_module("pronouns")


@pytest.fixture(scope="module")
def found(script: Any) -> Any:
    return script.sample()


def test_the_page_has_the_tables_as_printed(script: Any, found: Any) -> None:
    tables = ["\n".join(table(found)) for table in script.TABLES]
    assert len(tables) == 3
    for table in tables:
        assert f"\n\n{table}\n\n" in PAGE


def test_the_prose_has_the_tables_numbers(script: Any, found: Any) -> None:
    probe = found.by_order
    place = found.heads.index(script.NAMED[0])
    number = {
        name: int(script.right(probe, name)[place])
        for name in (script.ALL, script.MOST, script.OTHER, *script.ORDERS)
    }
    seen = number[script.MOST] + number[script.OTHER]
    assert f"looks at most in {seen} of 60 sentences" in PROSE
    words = probe.corpus.words / probe.corpus.documents  # the pronoun and the full stop too
    assert f"which have some {words - 2:.0f} other words each" in PROSE
    lucky = 60 * script.relation(probe, script.ALL).more["luckiest"]
    assert f"It is right in {number[script.ALL]}, and the best of 72 heads that guess" in PROSE
    assert f"would be right in {lucky:.1f} on average" in PROSE
    ahead, behind = (number[order] for order in script.ORDERS)
    assert f"right in {ahead} of 30 where that is the antecedent, in {behind} of 30" in PROSE
    assert f"the best heads are right in {script.held_out(found)[1]} of 60" in PROSE
    [(rank, stripe)] = [
        (rank, head)
        for rank, head in enumerate(found.holding.heads, 1)
        if head.head == script.NAMED[1]
    ]
    assert stripe.explained == "same_key"
    assert f"give it {stripe.same_key.mean:.3f}, the pronoun {stripe.mean:.3f} on average" in PROSE
    assert f"It is {rank}th of 72 by excess" in PROSE


def test_the_prose_has_what_the_twins_say(script: Any, found: Any) -> None:
    count, both = script.twins(found)
    assert count == 15
    assert [both[head] for head in script.NAMED] == [0, 0]
    best, most = next(iter(both.items()))
    assert f"the best on twins, {best}, is right on both in {most} of {count} pairs" in PROSE
    assert f"one that guesses is in {count / 4} on average" in PROSE


def test_the_page_on_antecedents_has_what_its_head_finds_here(script: Any, found: Any) -> None:
    page = " ".join((ROOT / "docs" / "antecedents.md").read_text(encoding="utf-8").split())
    place, head = next((i, h) for i, h in enumerate(found.heads) if str(h) == "L2H4")
    count, both = script.twins(found)
    right = script.right(found.by_order, script.ALL)[place]
    assert "L2H4 gives the antecedent more than the distractor in 35," in page
    assert right == 35
    assert f"it is right on both twins of {both[head]} of {count} pairs" in page
    share = script.relation(found.by_order, script.ALL).more["luckiest"]
    assert f"two choices that is {100 * share:.1f} %" in page


def test_both_commands_find_the_antecedent_most_of_all_alike(script: Any, found: Any) -> None:
    """Of the key alone, without the words that `probe` leaves out, no fewer hits are counted."""
    most = script.right(found.by_order, script.MOST)
    for head in found.holding.heads:
        assert most[found.heads.index(head.head)] >= head.hits


def test_the_founding_sentence_and_its_twin(minilm: Model) -> None:
    start = "The animal didn't cross the street because it was too "
    [stripe] = attnviz.find(minilm.inspect(f"{start}tired."), "it", "animal", head="L5H11").heads
    assert f"it gives `it` → `animal` {stripe.weight:.3f}" in PROSE
    for end, told in (
        ("tired.", "`it` → `animal` 0.677 and `it` → `street` 0.050"),
        ("wide.", "`animal` (0.281) more than `street` (0.121)"),
    ):
        inspection = minilm.inspect(start + end)
        for key in ("animal", "street"):
            [head] = attnviz.find(inspection, "it", key, head="L3H1").heads
            assert f"{head.weight:.3f}" in told
        assert told in PROSE
