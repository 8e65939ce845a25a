"""How `attnviz find` gives out which heads join two words: as tables, JSON or CSV."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import get_args

from rich.console import RenderableType

from attnviz.answers.find import Finding, find, find_both
from attnviz.answers.holding import Holding, Tally
from attnviz.answers.phrase import Phrase, find_phrase
from attnviz.answers.select import find_in
from attnviz.cli.asked import Asked, first_named
from attnviz.cli.giving import Forms, check_answer, give_each, giving
from attnviz.cli.options import AnswerOutput
from attnviz.cli.sentences import Sentences
from attnviz.cli.tsv import TsvReader
from attnviz.inspection import Inspection, View
from attnviz.inspection.context import Role
from attnviz.show.data.findings import find_csv, find_csv_header, find_json, summary_json
from attnviz.show.terminal.findings import FoundTable, HeldTable

HEADS_SHOWN = 10
"""Heads in a table, unless the user says how many."""


@dataclass(frozen=True)
class OneSentence:
    """What was found in the input's sentence of that index; `reverse` with `--both`."""

    index: int
    finding: Finding
    reverse: Finding | None


@dataclass(frozen=True)
class AllSentences:
    """What holds over all sentences, and how many had to be left out."""

    holding: Holding
    reverse: Holding | None
    left_out: int


_Answer = OneSentence | AllSentences


@dataclass(frozen=True)
class Finder:
    """Asks one inspection after the other for two words: the same ones, or those of its row."""

    asked: Asked
    words: tuple[str, str] | TsvReader
    both: bool

    def of(self, index: int, inspection: Inspection, place: str) -> OneSentence:
        """What is found in one sentence; RequestError if it lacks a word or head.

        `place` tells, in notes, which of many sentences it is.
        """
        answer = self.asked.of(inspection, place)
        view, heads = answer.view, answer.heads_or_all
        if isinstance(self.words, TsvReader):
            _, *words = self.words.row(index)
        else:
            words = list(self.words)
        query, key = (
            self._phrase(view, place, role, word)
            for role, word in zip(get_args(Role), words, strict=True)
        )
        if self.both:
            return OneSentence(index, *find_both(view, query, key, heads))
        return OneSentence(index, find(view, query, key, heads), None)

    def _phrase(self, view: View, place: str, role: Role, selector: str) -> Phrase:
        found = find_in(view, role, selector, find_phrase)
        option = role if isinstance(self.words, TsvReader) else f"--{role}"
        first = first_named(view, role, selector, found.run)
        self.asked.say_first_taken(place + selector, option, found.matches, first)
        return found.phrase


def give_findings(
    sentences: Sentences, finder: Finder, output: AnswerOutput, top: int | None
) -> None:
    """Give out what is found: of one sentence its heads, of several the heads that hold.

    Data has each sentence as soon as it is there; a table has room for one answer, so that it waits
    for the last.
    """
    check_answer("find", output)
    form, look, tally = output.form, finder.asked.look, _Tallies()
    forms = Forms[_Answer](
        table=lambda answer: _tables(answer, top or HEADS_SHOWN),
        json=lambda answer: [_json(answer, top)],
        csv=lambda answer: _csv(answer, top),
        csv_header=find_csv_header(look.special, look.measure),
    )

    def found(index: int, inspection: Inspection) -> OneSentence:
        with sentences.working("looking through heads"):
            one = finder.of(index, inspection, sentences.place(index))
        if form == "csv":
            finder.asked.say_what_csv_lacks(inspection)
        return one

    with giving(output, forms) as give:

        def take(one: OneSentence) -> None:
            if form != "table":
                give(one)
            tally.add(one)

        give_each(sentences, take, found)
        if isinstance(finder.words, TsvReader) or tally.count + sentences.failed > 1:
            give(tally.all_sentences(sentences.failed))
        elif form == "table" and tally.first is not None:
            give(tally.first)


class _Tallies:
    """Counts what is found, in both directions where both are asked for."""

    def __init__(self) -> None:
        self.first: OneSentence | None = None
        self.count = 0
        self._there, self._back = Tally(), Tally()

    def add(self, found: OneSentence) -> None:
        self._there.add(found.finding)
        if found.reverse is not None:
            self._back.add(found.reverse)
        self.first = self.first or found
        self.count += 1

    def all_sentences(self, left_out: int) -> AllSentences:
        both = self.first is not None and self.first.reverse is not None
        reverse = self._back.holding() if both else None
        return AllSentences(self._there.holding(), reverse, left_out)


def _tables(answer: _Answer, top: int) -> Iterator[RenderableType]:
    if isinstance(answer, AllSentences):
        yield HeldTable(answer.holding, answer.reverse, answer.left_out, top)
    else:
        yield FoundTable(answer.finding, answer.reverse, top)


def _json(answer: _Answer, top: int | None) -> bytes:
    if isinstance(answer, AllSentences):
        return summary_json(answer.holding, answer.reverse, answer.left_out, top)
    return find_json(answer.finding, answer.reverse, top)


def _csv(answer: _Answer, top: int | None) -> Iterable[bytes]:
    """Rows of one sentence; what holds over all of them has other columns, and no place here."""
    if isinstance(answer, AllSentences):
        return
    for finding in (answer.finding, answer.reverse):
        if finding is not None:
            yield from find_csv(finding, answer.index, top)
