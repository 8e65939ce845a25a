"""Do heads of the default model find what a pronoun stands for? Scores on samples/pronouns.tsv.

Prints the tables of docs/pronouns.md, in Markdown, from what `attnviz probe --links` and
`attnviz find --tsv` find.

usage: python benchmarks/pronouns.py
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from attnviz.answers.find import find
from attnviz.answers.holding import Holding, holding
from attnviz.answers.probe import Direction, Probe, Relation
from attnviz.answers.select import find_phrase
from attnviz.corpus.document import Document
from attnviz.corpus.findings import probe_of
from attnviz.corpus.fold import fold
from attnviz.corpus.links import ALL, MOST, OTHER, LinkFiles, LinksWork
from attnviz.inspection import HeadId
from attnviz.model import Model, load_model

ROOT = Path(__file__).parent.parent
SAMPLE = os.path.join("samples", "pronouns.tsv")
"""As it is named in the page: halves are drawn by the name of a file."""

ORDERS = ("antecedent first", "distractor first")
NAMED = (HeadId(3, 1), HeadId(5, 11))
"""The heads that join `it` and `animal` in the founding sentence, looked at by themselves."""


@dataclass(frozen=True, eq=False)
class Sample:
    """What is found: by the order of the nouns, by pronoun, and what `attnviz find --tsv` says."""

    by_order: Probe
    by_pronoun: Probe
    holding: Holding

    @property
    def heads(self) -> Sequence[HeadId]:
        """All heads, in the order of every number by head."""
        return self.by_order.heads


def sample() -> Sample:
    """All sentences, run through the default model."""
    model = load_model()
    with chdir(ROOT):
        documents = list(LinkFiles([SAMPLE]).documents(SAMPLE))
    rows = [one for one in documents if isinstance(one, Document)]
    by_query = [replace(row, marks=replace(row.marks, label=row.marks.query)) for row in rows]
    return Sample(_probe(model, rows), _probe(model, by_query), _holding(model, rows))


def _probe(model: Model, rows: Sequence[Document]) -> Probe:
    work = LinksWork()
    return probe_of(work, fold(work, rows, model), model.facts, [SAMPLE])


def _holding(model: Model, rows: Sequence[Document]) -> Holding:
    findings = []
    tokens = [model.tokenize(row.text) for row in rows]
    for row, inspection in zip(rows, model.inspect_tokens(tokens), strict=True):
        view = inspection.view()
        query, key = (find_phrase(view.tokens, name) for name in (row.marks.query, row.marks.key))
        findings.append(find(view, query, key))
    return holding(findings)


def right(probe: Probe, name: str) -> np.ndarray:
    """In how many sentences of a relation each head is right."""
    return _counts(relation(probe, name).asked, "accuracy")


def relation(probe: Probe, name: str) -> Relation:
    """The relation of that name, which must be there."""
    found = probe.relation(name)
    if found is None:
        raise ValueError(f"there is no {name}")
    return found


def _counts(asked: Direction, what: str) -> np.ndarray:
    counts: np.ndarray = np.rint(getattr(asked, what) * asked.count).astype(int)
    return counts


def held_out(found: Sample) -> tuple[str, int]:
    """Which heads were chosen on one half, and in how many of the other they are right."""
    both = relation(found.by_order, ALL)
    if both.held_out is None or both.held_out.accuracy.mean is None:
        raise ValueError("a half is empty")
    heads = ", ".join(f"{trial.head} for {count}" for trial, count in both.held_out.trials)
    return heads, round(both.held_out.accuracy.mean * both.asked.count)


def by_order(found: Sample) -> Iterator[str]:
    """Each rule, how often it is right, by order and in all, and what the heads look at most."""
    probe, both = found.by_order, relation(found.by_order, ALL)
    count = both.asked.count
    counts = [f"{order} ({relation(probe, order).asked.count})" for order in ORDERS]
    cells = ["rule", *counts, f"both ({count})", "antecedent most of all", "distractor most of all"]
    yield _row(cells)
    yield "|---" * len(cells) + "|"
    for name, rule in (("always the nearest noun", "nearest"), ("always the first noun", "first")):
        parts = [
            round((one.baselines[rule].accuracy.mean or 0) * one.count)
            for one in (relation(probe, order).asked for order in ORDERS)
        ]
        yield _row([name, *map(str, parts), _of(sum(parts), count), "", ""])
    best = f"the best of {len(found.heads)}, chosen on all: {both.best.head}"
    for name, head in [*((_both_names(head), head) for head in NAMED), (best, both.best.head)]:
        place = found.heads.index(head)
        numbers = [int(right(probe, one)[place]) for one in (*ORDERS, ALL, MOST, OTHER)]
        yield _row([name, *map(str, numbers[:2]), _of(numbers[2], count), *map(str, numbers[3:])])
    heads, number = held_out(found)
    yield _row([f"chosen on the other half: {heads}", "", "", _of(number, count), "", ""])
    lucky = both.more["luckiest"] * count
    name = f"the best of {len(found.heads)} that guess, on average"
    yield _row([name, "", "", f"{lucky:.1f} = {lucky / count:.0%}", "", ""])


def _both_names(head: HeadId) -> str:
    """A head as it is counted here and in papers that count from 1."""
    return f"{head} (from 1: {head.layer + 1}-{head.place + 1})"


def _of(number: int, count: int) -> str:
    return f"{number} = {number / count:.0%}"


def twins(found: Sample) -> tuple[int, dict[HeadId, int]]:
    """How many pairs of twins there are, and in how many each head is right in both, best first."""
    groups = found.by_order.more["groups"]
    heads = {HeadId(head["layer"], head["head"]): head["right"] for head in groups["heads"]}
    return groups["count"], heads


def by_pronoun(found: Sample) -> Iterator[str]:
    """How often the named heads are right for each pronoun, and on both sentences of twins."""
    pronouns = [one for one in found.by_pronoun.relations if one.name not in (ALL, MOST, OTHER)]
    count, both = twins(found)
    titles = [f"{one.name} ({one.asked.count})" for one in pronouns]
    cells = ["head", *titles, f"both of two twins ({count})"]
    yield _row(cells)
    yield "|---" * len(cells) + "|"
    for head in (*NAMED, next(iter(both))):
        place = found.heads.index(head)
        numbers = [int(right(found.by_pronoun, one.name)[place]) for one in pronouns]
        yield _row([str(head), *map(str, numbers), str(both[head])])


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
