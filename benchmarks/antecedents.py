"""Which heads of the default model find antecedents? From a corpus with `Entity=`, in Markdown.

Prints the tables of docs/antecedents.md from the dev part of UD English GUM: in windows
of as many sentences as the model takes, and in each sentence alone.

usage: python benchmarks/antecedents.py en_gum-ud-dev.conllu
"""

import sys
from collections.abc import Iterator

from attnviz.answers.corpus import Estimate
from attnviz.answers.probe import Probe
from attnviz.corpus.findings import probe_of
from attnviz.corpus.fold import fold
from attnviz.corpus.probing import asked
from attnviz.model import Model, load_model

BASELINES = {"head_match": "same head word", "nearest": "nearest", "first": "first"}


def probed(model: Model, file: str, sentences: int | None) -> Probe:
    """The antecedents in windows of so many sentences at most."""
    work, reader = asked("coref", [file], "weights", {"sentences": sentences})
    documents = (one for name in reader.files() for one in reader.documents(name))
    return probe_of(work, fold(work, documents, model), model.facts, reader.files())


def table(probe: Probe) -> Iterator[str]:
    """A row a type of mention."""
    titles = ["mentions", "count", "best head", "found", "95 %", "held out", *BASELINES.values()]
    yield f"| {' | '.join([*titles, 'random'])} |"
    yield "|---" * (len(titles) + 1) + "|"
    for one in probe.relations:
        held = "–" if one.held_out is None else percent(one.held_out.accuracy)
        own = one.asked.baselines
        found = [percent(own[name].accuracy) if name in own else "–" for name in BASELINES]
        interval = "–" if one.accuracy.low is None else between(one.accuracy)
        cells = [one.name, f"{one.asked.count}", str(one.best.head), percent(one.accuracy)]
        yield f"| {' | '.join([*cells, interval, held, *found, percent(own['random'].accuracy)])} |"


def percent(share: Estimate) -> str:
    """As in `65.9`."""
    return f"{100 * (share.mean or 0):.1f}"


def between(share: Estimate) -> str:
    """The interval."""
    return f"{100 * (share.low or 0):.1f} to {100 * (share.high or 0):.1f}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    minilm = load_model()
    for most in (None, 1):
        print("\n".join(table(probed(minilm, sys.argv[1], most))), end="\n\n")
