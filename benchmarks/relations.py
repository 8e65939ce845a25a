"""Which relations the default model's heads find, as the tables of docs/probe.md, in Markdown.

usage: python benchmarks/relations.py FILE.conllu [--limit N]
"""

import argparse
from collections.abc import Iterator

import attnviz
from attnviz.answers.corpus import Estimate
from attnviz.answers.probe import INFORMED, Probe, Relation

FEWEST = 100
"""Links of a relation that is told of, unless the treebank is small."""


def probed(file: str, limit: int | None) -> Probe:
    """The probe of a treebank's first sentences."""
    return attnviz.probe(conllu=file, limit=limit)


def told(probe: Probe, fewest: int = FEWEST) -> list[Relation]:
    """The relations that have so many links."""
    return [one for one in probe.relations if one.asked.count >= fewest]


def by_relation(probe: Probe, fewest: int = FEWEST) -> Iterator[str]:
    """Each relation's best head beside the baselines that know nothing of the right word."""
    cells = ["relation", "links", "best head", "looks from", "finds (95%)"]
    cells += ["best offset", "same key", "nearest", "held out", "more than a baseline (95%)"]
    yield _row(*cells)
    yield "|---" * len(cells) + "|"
    for one in told(probe, fewest):
        asked, found = one.asked, one.held_out
        offset, same, nearest = (
            asked.baselines[name] for name in ("offset", "same_key", "nearest")
        )
        way = "dependent" if asked.name.startswith("dependent") else "head"
        by = _percent(offset.accuracy)
        numbers = [f"{by} ({offset.how['offset']:+d})".replace("-", "−")]
        numbers += [_percent(same.accuracy), _percent(nearest.accuracy)]
        out = "–" if found is None else _percent(found.accuracy)
        more = "–" if found is None else _margin(found.margin)
        best = one.best.head, way, _interval(one.accuracy)
        yield _row(one.name, asked.count, *best, *numbers, out, more)


def summary(probe: Probe, fewest: int = FEWEST) -> str:
    """How many relations heads find, and how many they only seem to."""
    every = told(probe, fewest)
    seem = [one.name for one in every if not one.beats]
    return (
        f"{len(every)} relations of {fewest} links or more, {len(probe.heads)} heads × "
        f"{len(probe.directions)} directions; heads chosen on other sentences beat every baseline "
        f"but {', '.join(INFORMED)} in {len(every) - len(seem)}, and not in: {', '.join(seem)}"
    )


def _percent(number: Estimate) -> str:
    return f"{100 * (number.mean or 0):.1f}"


def _interval(number: Estimate) -> str:
    if number.low is None or number.high is None:
        return _percent(number)
    return f"{_percent(number)} ({100 * number.low:.0f} to {100 * number.high:.0f})"


def _margin(number: Estimate) -> str:
    ends = (number.mean, number.low, number.high)
    mean, low, high = (f"{100 * (end or 0):+.0f}".replace("-", "−") for end in ends)
    return f"{mean} ({low} to {high})"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=(__doc__ or "").partition("usage: ")[2])
    parser.add_argument("file")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--fewest", type=int, default=FEWEST)
    given = parser.parse_args()
    found = probed(given.file, given.limit)
    print("\n".join(by_relation(found, given.fewest)))
    print()
    print(summary(found, given.fewest))
