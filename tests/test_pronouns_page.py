"""docs/pronouns.md says what benchmarks/pronouns.py finds, and that counts as it should."""

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import numpy as np
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
    place, other = (found.heads.index(head) for head in script.NAMED)
    right, first = found.right[:, place], found.orders == script.ORDERS[0]
    seen = int((found.hits | found.misses)[:, place].sum())
    assert f"looks at most in {seen} of 60 sentences" in PROSE
    lucky = script.luckiest(72, 60)
    assert f"It is right in {right.sum()}, and the best of 72 coins" in PROSE
    assert f"would be right in {lucky:.1f} on average" in PROSE
    ahead, behind = int(right[first].sum()), int(right[~first].sum())
    assert f"right in {ahead} of 30 where that is the antecedent, in {behind} of 30" in PROSE
    ways = [(name, int(found.right[range(60), way].sum())) for name, way in script.choices(found)]
    (without, alone), (on_half, half) = ways[3:]
    assert without.startswith("chosen without the sentence and its twin: ")
    assert on_half.startswith("chosen on the other half: ")
    assert f"the best head is right in {half} of 60" in PROSE
    assert f"without the sentence and its twin, in {alone}." in PROSE
    [(rank, stripe)] = [
        (rank, head)
        for rank, head in enumerate(found.holding.heads, 1)
        if head.head == script.NAMED[1]
    ]
    assert stripe.explained == "same_key"
    assert f"give it {stripe.same_key.mean:.3f}, the pronoun {stripe.mean:.3f} on average" in PROSE
    assert f"It is {rank}th of 72 by excess" in PROSE
    twins = [np.flatnonzero(found.twins == n) for n in set(found.twins.tolist())]
    pairs = [pair for pair in twins if len(pair) == 2]
    assert len(pairs) == 15
    for head in (place, other):
        assert not any(found.right[pair, head].all() for pair in pairs)


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


def test_a_head_is_chosen_on_other_sentences_than_it_is_tried_on(script: Any, found: Any) -> None:
    """The sample is turned so that one head is right on the first half alone, another on all."""
    folds = np.arange(60) % 2
    right = np.zeros_like(found.right)
    right[folds == 0, 7] = True
    right[folds == 1, 9] = True
    turned = dataclasses.replace(found, right=right, margins=np.where(right, 1.0, -1.0))
    chosen = script.held_out(turned, folds)
    assert chosen.tolist() == [9, 7] * 30
    assert not right[range(60), chosen].any()


def test_the_luckiest_of_many_coins(script: Any) -> None:
    """Of two coins thrown once, the better is right in 3 of 4; one coin is right in half."""
    assert script.luckiest(2, 1) == pytest.approx(0.75)
    assert script.luckiest(1, 60) == pytest.approx(30)
    throws = np.random.default_rng(1).binomial(60, 0.5, size=(20000, 72)).max(axis=1)
    assert script.luckiest(72, 60) == pytest.approx(throws.mean(), abs=0.1)
