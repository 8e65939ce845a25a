"""Which relations the default model's heads find, as the tables of docs/probe.md, in Markdown.

Without a folder, of samples/treebank.conllu. With it, also of the dev part of UD English EWT
(en_ewt-ud-dev.conllu), and in how many draws of the halves each relation is found.

usage: python benchmarks/relations.py [--ud FOLDER]
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import chdir
from dataclasses import replace
from itertools import islice
from pathlib import Path

import attnviz
from attnviz.answers.corpus import Estimate
from attnviz.answers.probe import INFORMED, Probe, Relation
from attnviz.corpus.document import Document
from attnviz.corpus.findings import probe_of
from attnviz.corpus.fold import fold
from attnviz.corpus.probing import asked
from attnviz.model import Model, load_model

ROOT = Path(__file__).parent.parent
SAMPLE, FEWEST_THERE = "samples/treebank.conllu", 12
EWT = "en_ewt-ud-dev.conllu"
"""As they are named in the page: halves are drawn by the name of a file."""

SENTENCES, SHORTEST, LONGEST = 1000, 2, 60
DRAWS = 10

FEWEST = 100
"""Links of a relation that is told of, unless the treebank is small."""


def probed(file: str, limit: int | None) -> Probe:
    """The probe of a treebank's first sentences."""
    return attnviz.probe(conllu=file, limit=limit)


def sentences(folder: str) -> list[Document]:
    """The first sentences of EWT's dev part that are neither too short nor too long."""
    _, reader = asked("conllu", [EWT], "weights")
    with chdir(folder):
        every = (one for one in reader.documents(EWT) if isinstance(one, Document))
        fit = (one for one in every if SHORTEST <= len(one.text) <= LONGEST)
        return list(islice(fit, SENTENCES))


def drawn(model: Model, documents: Sequence[Document], draw: int) -> Probe:
    """Their probe; draws beyond 0 give the file another name, and so draw other halves."""
    work, _ = asked("conllu", [EWT], "weights")
    name = f"{draw} {EWT}" if draw else EWT
    named = [replace(one, source=name) for one in documents]
    return probe_of(work, fold(work, named, model), model.facts, [name])


def by_draw(probes: Sequence[Probe], fewest: int = FEWEST) -> Iterator[str]:
    """In how many draws of the halves a relation is found, and how its margin varies."""
    yield _row("relation", f"found in {len(probes)} draws", "least margin", "largest margin")
    yield "|---" * 4 + "|"
    for name in [one.name for one in told(probes[0], fewest)]:
        every = [one for probe in probes if (one := probe.relation(name)) and one.held_out]
        margins = [one.held_out.margin.mean or 0.0 for one in every if one.held_out]
        ends = (f"{100 * end:+.0f}".replace("-", "−") for end in (min(margins), max(margins)))
        yield _row(name, sum(one.beats for one in every), *ends)


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
    parser.add_argument("--ud", metavar="FOLDER")
    folder = parser.parse_args().ud
    if folder:
        minilm, texts = load_model(), sentences(folder)
        draws = [drawn(minilm, texts, draw) for draw in range(DRAWS)]
        print("\n".join(by_relation(draws[0])), summary(draws[0]), sep="\n\n", end="\n\n")
        print("\n".join(by_draw(draws)), end="\n\n")
    with chdir(ROOT):
        print("\n".join(by_relation(probed(SAMPLE, None), FEWEST_THERE)))
