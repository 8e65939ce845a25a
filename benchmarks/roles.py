"""What the default model's heads do over a corpus, as the tables of docs/survey.md, in Markdown.

The first texts of a treebank, so that the role `syntactic` is tested too.

usage: python benchmarks/roles.py FILE.conllu [--limit N]
"""

import argparse
from collections.abc import Callable, Iterator

import attnviz
from attnviz.answers.corpus import Estimate
from attnviz.answers.survey import Survey, SurveyHead

NAMED = ("L0H2", "L1H8", "L2H8", "L2H9", "L3H1", "L5H11")
"""Heads that the page looks at by themselves: two by position, two of relations, and those that
join `it` and `animal` in the founding sentence."""


def surveyed(file: str, limit: int | None) -> Survey:
    """The survey of a treebank's first texts."""
    return attnviz.survey(file, examples=0, distances=False, limit=limit)


def by_role(survey: Survey) -> Iterator[str]:
    """Each role that any head has."""
    yield from _titled("role", "heads that have it", "where it is largest", "of all attention")
    for role in survey.counts():
        yield _row(role.name, role.heads, role.largest, f"{100 * role.share:.1f} %")


def by_layer(survey: Survey) -> Iterator[str]:
    """The layers' means over their heads."""
    yield from _titled("layer", "entropy, bits", "distance, words", "to resting places", "unknown")
    entropies, distances, rests = map(survey.by_layer, ("entropy", "distance", "rest"))
    for layer, entropy in entropies.items():
        own = [head.unknown.mean or 0 for head in survey.heads if head.head.layer == layer]
        shares = f"{100 * rests[layer]:.0f} %", f"{100 * sum(own) / len(own):.0f} %"
        yield _row(layer, f"{entropy:.2f}", f"{distances[layer]:.1f}", *shares)


def by_head(survey: Survey) -> Iterator[str]:
    """The named heads' mixtures."""
    yield from _titled("head", "roles", "unknown (95 %)")
    by_name = {str(head.head): head for head in survey.heads}
    for name in NAMED:
        head = by_name[name]
        yield _row(name, ", ".join(_mixture(head)) or "none", _between(head.unknown))


def _mixture(head: SurveyHead) -> Iterator[str]:
    for role in head.roles:
        yield f"{role.name} {_between(role.share)}"


def _between(share: Estimate) -> str:
    """As in `.38 (.37 to .39)`."""
    if share.mean is None or share.low is None or share.high is None:
        raise ValueError("a share without an interval")
    mean, low, high = (f"{number:.2f}".removeprefix("0") for number in share[:3])
    return f"{mean} ({low} to {high})"


def _titled(*titles: str) -> Iterator[str]:
    yield _row(*titles)
    yield "|---" * len(titles) + "|"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


TABLES: tuple[Callable[[Survey], Iterator[str]], ...] = (by_role, by_layer, by_head)

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    survey = surveyed(given.file, given.limit)
    print("\n\n".join("\n".join(table(survey)) for table in TABLES))
