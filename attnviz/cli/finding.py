"""How `attnviz find` gives out which heads join two words: as tables, JSON or CSV."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from attnviz.answers.find import COLUMNS, Finding, find
from attnviz.answers.holding import Holding, Tally
from attnviz.answers.select import Phrase, find_in, find_phrase
from attnviz.cli.asked import Asked, first_named
from attnviz.cli.giving import Forms, check_answer, give_each, giving
from attnviz.cli.options import AnswerOutput
from attnviz.cli.sentences import Sentences
from attnviz.cli.tsv import TsvReader
from attnviz.inspection import Inspection, View
from attnviz.inspection.context import Role
from attnviz.show.data import answer_csv, answer_json, csv_line
from attnviz.show.matrix_data import csv_header
from attnviz.show.terminal.find import table

_Answer = tuple[int, Finding | Holding]
"""What was found in the input's sentence of that index, or in all of them."""


@dataclass(frozen=True)
class Finder:
    """Asks one inspection after the other for two words: the same ones, or those of its row."""

    asked: Asked
    words: tuple[str, str] | TsvReader
    both: bool

    def of(self, index: int, inspection: Inspection, place: str) -> Finding:
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
        return find(view, query, key, heads, self.both)

    def _phrase(self, view: View, place: str, role: Role, selector: str) -> Phrase:
        found = find_in(view.context, role, selector, find_phrase)
        option = role if isinstance(self.words, TsvReader) else f"--{role}"
        first = first_named(view.context, role, selector, found)
        self.asked.say_first_taken(place + selector, option, found.matches, first)
        return found


def give_findings(
    sentences: Sentences, finder: Finder, output: AnswerOutput, top: int | None
) -> None:
    """Give out what is found: of one sentence its heads, of several the heads that hold.

    Data has each sentence as soon as it is there; a table has room for one answer, so that it waits
    for the last.
    """
    check_answer("find", output)
    form, look, tally = output.form, finder.asked.look, Tally()
    first: list[_Answer] = []
    forms = Forms[_Answer](
        table=lambda answer: [table(answer[1], top)],
        json=lambda answer: [answer_json(answer[1], top)],
        csv=lambda answer: _csv(answer, top),
        csv_header=csv_header(
            look.special, look.measure, csv_line(("text_index", *COLUMNS)).strip()
        ),
    )

    def found(index: int, inspection: Inspection) -> _Answer:
        with sentences.working("looking through heads"):
            one = finder.of(index, inspection, sentences.place(index))
        if form == "csv":
            finder.asked.say_what_csv_lacks(inspection)
        return index, one

    with giving(output, forms) as give:

        def take(answer: _Answer) -> None:
            if form != "table":
                give(answer)
            elif not first:
                first.append(answer)
            if isinstance(answer[1], Finding):
                tally.add(answer[1])

        give_each(sentences, take, found)
        if isinstance(finder.words, TsvReader) or tally.count + sentences.failed > 1:
            give((0, tally.holding(sentences.failed)))
        elif first:
            give(first[0])


def _csv(answer: _Answer, top: int | None) -> Iterable[bytes]:
    """Rows of one sentence; what holds over all of them has other columns, and no place here."""
    index, found = answer
    return answer_csv(found, index, top) if isinstance(found, Finding) else ()
