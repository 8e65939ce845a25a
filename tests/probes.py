"""Probes of small treebanks with random weights."""

from dataclasses import replace

from handmade import random_inspection, tokens_of
from treebank import SMALL, conllu

from attnviz.answers.probe import Probe
from attnviz.corpus.conllu import sentences
from attnviz.corpus.document import Document
from attnviz.corpus.findings import probe_of
from attnviz.corpus.fold import Folded, Seen, Tally
from attnviz.corpus.probing import Findings
from attnviz.corpus.relations import RelationsWork

WORK = RelationsWork()


def documents(*texts: str) -> list[Document]:
    """Sentences of a treebank; see `conllu`."""
    lines = conllu(*texts).encode().splitlines(keepends=True)
    return [one for one in sentences(lines, "a.conllu") if isinstance(one, Document)]


def some(seed: int, count: int = 24) -> list[Seen]:
    """Sentences with random weights, in two layers of three heads."""
    every = []
    for number, document in enumerate(documents(*SMALL) * (count // len(SMALL))):
        inspection = random_inspection(tokens_of(document.text), 2, 3, seed + number)
        every.append(Seen(replace(document, number=number), inspection, "weights"))
    return every


def found(seen: list[Seen]) -> Probe:
    """The answer about these texts."""
    findings = WORK.accumulator(seen[0].inspection.model)
    for one in seen:
        findings.add(one)
    return answer(findings, seen)


def answer(findings: Findings, seen: list[Seen]) -> Probe:
    """The answer that was found in these texts."""
    tally = Tally(documents=len(seen), windows=len(seen))
    return probe_of(WORK, Folded(findings, tally), seen[0].inspection.model, ["a.conllu"])
