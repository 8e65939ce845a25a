"""What was asked of an inspection: which unit, which heads, which words."""

from dataclasses import dataclass

from attnviz.answers.select import Phrase, find_in, select_in, with_window
from attnviz.cli.options import HeadChoice, Look, Words
from attnviz.cli.output import Notes
from attnviz.inspection import Context, HeadId, Inspection, View
from attnviz.inspection.context import Role
from attnviz.text.tokens import Unit


@dataclass(frozen=True)
class Asked:
    """The options that choose what is shown, for one inspection after the other."""

    look: Look
    choice: HeadChoice
    words: Words
    notes: Notes

    def of(self, inspection: Inspection, place: str = "") -> "Answer":
        """What the options mean for this inspection; RequestError if it lacks a word or head.

        `place` tells, in notes, which of many sentences it is.
        """
        view = self.view(inspection)
        return Answer(
            view=view,
            heads=select_in(view.context, self.choice.layer or (), self.choice.head or ()),
            query=self._index(view, place, "query", self.words.query),
            key=self._index(view, place, "key", self.words.key),
        )

    def view(self, inspection: Inspection) -> View:
        """The inspection in the unit and measure asked for."""
        unit: Unit = "word" if self.look.words else "piece"
        whole = inspection.view(unit, self.look.special, self.look.measure)
        return whole if self.look.window is None else with_window(whole, self.look.window)

    def say_what_csv_lacks(self, inspection: Inspection) -> None:
        """What other forms say beside the numbers, and CSV's columns have no room for; once."""
        if not inspection.model.trained:
            self.notes.say_once(f"{inspection.model}; its numbers mean nothing")
        if inspection.part is not None:
            self.notes.say_once("each window counts as a text of its own: text_index counts them")
        measured = self.view(inspection).measured
        if self.look.measure != "weights" or measured.sinks:
            self.notes.say_once(str(measured))

    def say_first_taken(self, selector: str, option: str, matches: int, first: str) -> None:
        """Say so where a selector names several words, the `first` of which is taken."""
        if matches > 1:
            self.notes.say(f"{selector} occurs {matches} times; {option} takes the first, {first}")

    def _index(self, view: View, place: str, role: Role, selector: str | None) -> int | None:
        if selector is None:
            return None
        found = find_in(view.context, role, selector)
        first = first_named(view.context, role, selector, found)
        self.say_first_taken(place + selector, f"--{role}", found.matches, first)
        return found.token.index


def first_named(context: Context, role: Role, selector: str, phrase: Phrase) -> str:
    """A name for the phrase, the first of several, that means no other."""
    if context.window is not None and (role == "query" or not context.is_cross_attention):
        return f"that at @{context.first_index + phrase.token.index}"
    return f"{selector}#1" + (f" or @{phrase.token.index}" if len(phrase.tokens) == 1 else "")


@dataclass(frozen=True)
class Answer:
    """A view of an inspection, the heads chosen (none: no choice), and the words to follow."""

    view: View
    heads: list[HeadId]
    query: int | None
    key: int | None

    @property
    def heads_or_all(self) -> list[HeadId]:
        """The heads chosen, or all of the model's."""
        return self.heads or self.view.all_heads()
