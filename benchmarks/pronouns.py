"""Do heads of the default model find what a pronoun stands for? Scores on samples/pronouns.tsv.

Prints the tables of docs/pronouns.md, in Markdown.

usage: python benchmarks/pronouns.py
"""

import csv
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attnviz.answers.find import Finding, find
from attnviz.answers.holding import Holding, holding
from attnviz.answers.select import find_phrase
from attnviz.inspection import HeadId
from attnviz.model import load_model

SAMPLE = Path(__file__).parent.parent / "samples" / "pronouns.tsv"
ORDERS = ("antecedent first", "distractor first")
NAMED = (HeadId(3, 1), HeadId(5, 11))
"""The heads that join `it` and `animal` in the founding sentence, looked at by themselves."""


@dataclass(frozen=True, eq=False)
class Sample:
    """What all heads do with each sentence; arrays are (sentence, head), of True and False.

    right: the pronoun gives its antecedent more than the distractor. hits: more than any other key;
    misses: the distractor has more than any other key. margins: how much more the antecedent has
    than the distractor. `twins`: sentences with the same two nouns have the same number.
    `holding`: what `attnviz find --tsv` says of the antecedents.
    """

    heads: list[HeadId]
    right: np.ndarray
    hits: np.ndarray
    misses: np.ndarray
    margins: np.ndarray
    nearest: np.ndarray
    orders: np.ndarray
    pronouns: np.ndarray
    twins: np.ndarray
    holding: Holding


def sample() -> Sample:
    """All sentences, run through the default model."""
    with SAMPLE.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, dialect="excel-tab"))
    model = load_model()
    tokens = [model.tokenize(row["sentence"]) for row in rows]
    pairs = []
    for row, inspection in zip(rows, model.inspect_tokens(tokens), strict=True):
        view = inspection.view()
        query, key, distractor = (
            find_phrase(view.tokens, row[name]) for name in ("query", "key", "distractor")
        )
        pairs.append((find(view, query, key), find(view, query, distractor)))
    keys, distractors = zip(*pairs, strict=True)
    margins = _stacked(keys, "weights") - _stacked(distractors, "weights")
    both = [frozenset((row["key"], row["distractor"])) for row in rows]
    return Sample(
        heads=keys[0].places,
        right=margins > 0,
        hits=_stacked(keys, "argmax"),
        misses=_stacked(distractors, "argmax"),
        margins=margins,
        nearest=np.array([_distance(key) < _distance(other) for key, other in pairs]),
        orders=np.array([row["order"] for row in rows]),
        pronouns=np.array([row["query"] for row in rows]),
        twins=np.array([both.index(nouns) for nouns in both]),
        holding=holding(keys),
    )


def _stacked(findings: Iterable[Finding], name: str) -> np.ndarray:
    return np.stack([getattr(finding, name) for finding in findings])


def _distance(finding: Finding) -> int:
    return abs(finding.query.indices[0] - finding.key.indices[0])


def best_on(found: Sample, sentences: np.ndarray) -> int:
    """The head that is right most often on these sentences; of equal ones, by the mean margin."""
    right, margins = found.right[sentences].sum(axis=0), found.margins[sentences].mean(axis=0)
    return int(np.lexsort((-margins, -right))[0])


def held_out(found: Sample, folds: np.ndarray) -> np.ndarray:
    """For each sentence, the place of the head that is best on all sentences of other folds."""
    chosen = np.zeros(len(folds), int)
    for fold in np.unique(folds):
        chosen[folds == fold] = best_on(found, folds != fold)
    return chosen


def luckiest(heads: int, sentences: int) -> float:
    """How many sentences the best of so many heads gets right on average if each flips a coin."""
    below = np.cumsum([math.comb(sentences, n) for n in range(sentences + 1)]) / 2.0**sentences
    return float((1 - below[:-1] ** heads).sum())


def choices(found: Sample) -> Iterator[tuple[str, np.ndarray]]:
    """What each way to choose heads is called, and the place of its head for each sentence."""
    everywhere = np.ones(len(found.right), int)
    for head in NAMED:
        yield _both_names(head), everywhere * found.heads.index(head)
    best = best_on(found, everywhere > 0)
    yield f"the best of {len(found.heads)}, chosen on all: {found.heads[best]}", everywhere * best
    chosen = held_out(found, found.twins)
    yield f"chosen without the sentence and its twin: {_counted(found, chosen)}", chosen
    chosen = held_out(found, np.unique(found.twins, return_inverse=True)[1] % 2)
    yield f"chosen on the other half: {_counted(found, chosen)}", chosen


def _both_names(head: HeadId) -> str:
    """A head as it is counted here and in papers that count from 1."""
    return f"{head} (from 1: {head.layer + 1}-{head.place + 1})"


def _counted(found: Sample, chosen: np.ndarray) -> str:
    """Which heads were chosen, and for how many sentences."""
    places, counts = np.unique(chosen, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return ", ".join(f"{found.heads[places[i]]} for {counts[i]}" for i in order)


def by_order(found: Sample) -> Iterator[str]:
    """Each rule, how often it is right, by order and in all, and what the heads look at most."""
    count = len(found.orders)
    counts = [f"{order} ({int((found.orders == order).sum())})" for order in ORDERS]
    cells = ["rule", *counts, f"both ({count})", "antecedent most of all", "distractor most of all"]
    yield _row(cells)
    yield "|---" * len(cells) + "|"
    first = found.orders == ORDERS[0]
    for name, right in (
        ("always the nearest noun", found.nearest),
        ("always the first noun", first),
    ):
        yield _row([name, *_by_order(found, right), "", ""])
    each = range(count)
    for name, chosen in choices(found):
        most = [str(int(part[each, chosen].sum())) for part in (found.hits, found.misses)]
        yield _row([name, *_by_order(found, found.right[each, chosen]), *most])
    lucky = luckiest(len(found.heads), count)
    name = f"the best of {len(found.heads)} coins, on average"
    yield _row([name, "", "", f"{lucky:.1f} = {lucky / count:.0%}", "", ""])


def _by_order(found: Sample, right: np.ndarray) -> list[str]:
    parts = [str(int(right[found.orders == order].sum())) for order in ORDERS]
    return [*parts, f"{int(right.sum())} = {right.mean():.0%}"]


def by_pronoun(found: Sample) -> Iterator[str]:
    """How often the named heads are right for each pronoun, and on both sentences of twins."""
    pronouns = list(dict.fromkeys(found.pronouns.tolist()))
    numbers, counts = np.unique(found.twins, return_counts=True)
    twins = numbers[counts == 2]
    titles = [f"{word} ({int((found.pronouns == word).sum())})" for word in pronouns]
    cells = ["head", *titles, f"both of two twins ({len(twins)})"]
    yield _row(cells)
    yield "|---" * len(cells) + "|"
    for head in NAMED:
        right = found.right[:, found.heads.index(head)]
        by_word = [int(right[found.pronouns == word].sum()) for word in pronouns]
        both = sum(bool(right[found.twins == twin].all()) for twin in twins)
        yield _row([str(head), *map(str, by_word), str(both)])


def by_excess(found: Sample) -> Iterator[str]:
    """What the named heads give the antecedent, beside what other words give and get."""
    heads = [head.head for head in found.holding.heads]
    titles = ["head", "weight", "same distance", "same key", "excess (95%)"]
    cells = [*titles, f"rank of {len(heads)} by excess", "explained by"]
    yield _row(cells)
    yield "|---" * len(cells) + "|"
    for name in NAMED:
        place = heads.index(name)
        head = found.holding.heads[place]
        if head.same_distance is None or head.same_key is None or head.excess_interval is None:
            raise ValueError(f"{name} has nothing to be compared with")
        numbers = (head.mean, head.same_distance.mean, head.same_key.mean)
        low, high = head.excess_interval
        explained = (head.explained or "neither").replace("_", " ")
        excess = f"{head.excess:.3f} ({low:.2f} to {high:.2f})"
        yield _row([str(name), *(f"{n:.3f}" for n in numbers), excess, str(place + 1), explained])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


TABLES: tuple[Callable[[Sample], Iterator[str]], ...] = (by_order, by_pronoun, by_excess)

if __name__ == "__main__":
    everything = sample()
    print("\n\n".join("\n".join(table(everything)) for table in TABLES))
