"""What tests of probes share: a work's answer about texts, whole and in parts."""

from collections.abc import Sequence

import numpy as np

from attnviz.answers.probe import Direction, Probe
from attnviz.corpus.findings import probe_of
from attnviz.corpus.fold import Folded, Seen, Tally
from attnviz.corpus.probing import Findings, Probing


def found(work: Probing, seen: Sequence[Seen]) -> Probe:
    """The answer about these texts."""
    return answer(work, _added(work, seen), seen)


def split(work: Probing, seen: Sequence[Seen]) -> Probe:
    """The same from three parts, in another order, each kept and taken back; and one of nothing."""
    parts = []
    for place in range(3):
        again = work.accumulator(seen[0].inspection.model)
        again.restore(_added(work, seen[place::3][::-1]).state())
        parts.append(again)
    joined = work.accumulator(seen[0].inspection.model)
    for part in parts:
        joined.merge(part)
    return answer(work, joined, seen)


def answer(work: Probing, findings: Findings, seen: Sequence[Seen]) -> Probe:
    tally = Tally(documents=len(seen), windows=len(seen))
    return probe_of(work, Folded(findings, tally), seen[0].inspection.model, ["file"])


def asked(probe: Probe, relation: str, direction: str | None = None) -> Direction:
    """A relation in a direction, or in that of its best head."""
    one = probe.relation(relation)
    assert one is not None
    return next(d for d in one.directions if d.name == (direction or one.asked.name))


def baselines(direction: Direction) -> dict[str, float]:
    """What each baseline finds."""
    return {name: one.accuracy.mean or 0.0 for name, one in direction.baselines.items()}


def weights_of(seen: Seen) -> np.ndarray:
    """All heads' weights between words, (head, query, key)."""
    return np.concatenate([block.weights for block in seen.blocks()])


def _added(work: Probing, seen: Sequence[Seen]) -> Findings:
    findings = work.accumulator(seen[0].inspection.model)
    for one in seen:
        findings.add(one)
    return findings
