"""What a command works with: a model, notes, a spinner, errors; and what was asked for."""

import stat
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from attnviz.answers.answer import Answer
from attnviz.answers.select import (
    Find,
    Phrase,
    find_in,
    find_token,
    keeping,
    select_heads,
    select_in,
    with_window,
)
from attnviz.attention.layer import LayerRecord
from attnviz.attention.measures import MEASURES
from attnviz.attention.request import RecordRequest
from attnviz.cli.options import HeadChoice, Look, ModelChoice, Results
from attnviz.cli.output import STDOUT, Notes, complain, mode_of, on_terminal
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Context, HeadId, Inspection, ModelFacts, View
from attnviz.inspection.context import Role
from attnviz.inspection.memory import remember
from attnviz.show.forms import ROWS, Form
from attnviz.show.wording import lost_told, unknown_told
from attnviz.show.write import contexts_of
from attnviz.text.tokens import Tokens, Unit, words_in

if TYPE_CHECKING:
    from rich.status import Status

    from attnviz.model import Model


SENTENCES_TOLD = 3
"""Of how many sentences notes say which words are unknown, or were dropped; others are counted."""

MULTILINGUAL = "multilingual-e5"
"""In the names of `e5`, which a note on unknown words suggests: it knows a hundred languages."""


class Session:
    """The model of a command, its notes and errors, and its spinner, shown inside the context."""

    def __init__(self, choice: ModelChoice, output: Results) -> None:
        self.choice = choice
        self.notes = Notes(output.quiet)
        self.spinner = Spinner("at work", output.quiet)
        self.unsaid: tuple[str, ...] = ()  # the notes of a model that do not fit what is asked
        self.pretokenized = False  # whether texts, and the target, are cut into words already
        self.errors: list[AttnvizError] = []
        self.model: Model | None = None
        self.loaded: ModelChoice | None = None  # what was asked for when the model was
        self.last: Inspection | None = None
        self.other: Inspection | None = None  # what the last was compared with
        self._unseen = Counter[str]()  # by kind, the sentences with unknown or dropped words

    def __enter__(self) -> "Session":
        self.spinner.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.spinner.stop()
        for kind, count in self._unseen.items():
            if count > SENTENCES_TOLD:
                more = count - SENTENCES_TOLD
                have = "sentence has" if more == 1 else "sentences have"
                self.notes.say(f"{more} more {have} {kind} words")
        if self.last is None:
            return
        try:  # to keep it for the next command, even if showing it failed
            if not remember(self.last, self.other):
                self.notes.say("too large to be remembered (over 64 MB); --save FILE keeps it")
        except AttnvizError as failure:
            self.notes.say(f"this sentence is not remembered: {failure.message}")

    def load(self, choice: ModelChoice) -> "Model":
        """Load a model in place of another before: on a GPU, if no other device was named."""
        if self.model is not None and choice == self.loaded:
            return self.model
        from attnviz.model import load_model

        self.loaded = choice
        self.spinner.update("loading the model")
        options = choice.options | {"device": choice.place}
        if self.pretokenized and choice.target is not None:
            options["target"] = words_in(choice.target)
        return self._take(load_model(choice.name, **options))

    def model_of(self, inspection: Inspection, why: str = "running it again in") -> "Model":
        """The inspection's model, loaded if it is not; AttnvizError if it has changed."""
        if self.model is not None and self.model.facts == inspection.model:
            return self.model
        self.notes.say(f"{why} {inspection.model.title}")
        self.spinner.update("loading the model")
        from attnviz.model import load_model, load_model_of

        load = partial(load_model, device=self.choice.place)
        return self._take(load_model_of(inspection, load))

    def choice_like(self, inspection: Inspection, choice: ModelChoice) -> ModelChoice:
        """The inspection's model, run as it was, except for what the choice says."""
        from attnviz.model.reload import options_of

        return choice.like(inspection.model.name, options_of(inspection))

    def _take(self, model: "Model") -> "Model":
        self.model = model
        for note in model.notes:
            if note not in self.unsaid:
                self.notes.say(note)
        return model

    def with_inputs(
        self, inspection: Inspection, tokens: Tokens | None, *layers: int
    ) -> Inspection:
        """The inspection with layers' inputs: run again if it lacks them, as of a long text."""
        there = all(has_inputs(inspection.layer(layer)) for layer in layers)
        if there or self.model is None or tokens is None:
            return inspection
        which = f"layer {layers[0]}" if len(layers) == 1 else f"layers 0 to {layers[-1]}"
        self.notes.say(f"running it again for what {which} worked with")
        request = RecordRequest(frozenset(layers), whole=True)
        return next(self.model.inspect_tokens([tokens], request))

    @contextmanager
    def trying(self, place: str) -> Iterator[None]:
        """Report an error in one of many sentences under its place, and go on."""
        try:
            yield
        except AttnvizError as error:
            if not place:
                raise
            self.errors.append(error)
            complain(error, place)

    def finish(self, what: str = "sentence") -> None:
        """Raise if any of many sentences failed; each was reported already."""
        count = len(self.errors)
        if count:
            only_wrong = all(isinstance(error, RequestError) for error in self.errors)
            kind = RequestError if only_wrong else AttnvizError
            raise kind(f"{count} {what}{'' if count == 1 else 's'} left out, see above")

    def note_what_rows_lack(self, answer: Answer, form: Form) -> None:
        """Say once what other forms say beside the numbers, and rows have no column for."""
        for context in contexts_of(answer) if form in ROWS else ():
            if not context.model.trained:
                self.notes.say_once(f"{context.model}; its numbers mean nothing")
            if context.part is not None:
                once = "each window counts as a text of its own: text_index counts them"
                self.notes.say_once(once)
            if context.measure != "weights" or context.measured.sinks:
                self.notes.say_once(str(context.measured))

    def note_unseen(self, answer: object, place: str = "") -> None:
        """Say which words the model does not see as typed; of many sentences, in a few."""
        contexts = contexts_of(answer)
        for side, context in zip("AB", contexts, strict=False):
            place = f"sentence {side}: " if len(contexts) > 1 else place
            told = {"unknown": unknown_told(context), "dropped": lost_told(context)}
            for kind in filter(told.get, told):
                self._unseen[kind] += bool(place)
                if self._unseen[kind] <= SENTENCES_TOLD:
                    self.notes.say(place + told[kind])
            if told["unknown"] and MULTILINGUAL not in context.model.name:
                once = "a multilingual model may know more words, such as --model e5"
                self.notes.say_once(once)


@dataclass(frozen=True)
class Selection:
    """The options that choose what is shown, for one inspection after the other."""

    session: Session
    look: Look
    choice: HeadChoice

    def request(self, model: ModelFacts) -> RecordRequest:
        """What of a long text is recorded: the layers chosen; all for a measure that needs them."""
        return request_for(model, self.choice, MEASURES[self.look.measure].per_head)

    def view(self, inspection: Inspection, query: str | None = None) -> View:
        """The inspection in the unit and measure chosen; the spinner shows its progress.

        A special token that `query` names is kept as a query where others are left out.
        """
        unit: Unit = "word" if self.look.words else "piece"
        count = self.session.spinner.count
        view = View(inspection, unit, self.look.special, self.look.measure, progress=count)
        view = view if self.look.window is None else with_window(view, self.look.window)
        return keeping(view, query)

    def heads(self, context: Context) -> list[HeadId]:
        """The heads chosen; an empty list if none are."""
        return select_in(context, self.choice.layer or (), self.choice.head or ())

    def word(self, place: str, view: View, role: Role, selector: str | None) -> int | None:
        """The index of the word that --query or --key names; None if it is not given."""
        if selector is None:
            return None
        return self.phrase(place, view, role, selector, f"--{role}", find_token).token.index

    def phrase(
        self, place: str, view: View, role: Role, selector: str, option: str, find: Find
    ) -> Phrase:
        """What a selector names; a note says so if that is the first of several."""
        context = view.context
        found = find_in(context, role, selector, find)
        if context.window is not None and (role == "query" or not context.is_cross_attention):
            first = f"that at @{context.first_index + found.token.index}"
        else:
            first = f"{selector}#1"
            first += f" or @{found.token.index}" if len(found.tokens) == 1 else ""
        self.note_first(place + selector, option, found.matches, first)
        return found

    def note_first(self, selector: str, option: str, matches: int, first: str) -> None:
        """Say so if a selector names several words, of which the first is taken."""
        if matches > 1:
            self.session.notes.say(
                f"{selector} occurs {matches} times; {option} takes the first, {first}"
            )


def request_for(
    model: ModelFacts, choice: HeadChoice, per_head: bool = True, whole: bool = False
) -> RecordRequest:
    """The layers of the heads chosen, or all; `whole`: with a layer's inputs and values."""
    if not per_head:
        return RecordRequest(whole=whole)
    heads = select_heads(model, choice.layer or (), choice.head or ())
    return RecordRequest(frozenset(head.layer for head in heads) or None, whole)


def has_inputs(record: LayerRecord) -> bool:
    """Whether the layer's inputs were recorded, or cannot be, as with weights alone."""
    return record.x is not None or record.recorded_weights is not None


PATIENCE = 2.0  # seconds that pass before anything is shown


class Spinner:
    """A context that shows what is going on, if standard error is a terminal.

    It stops before results are written there; for good if a pipe's reader may write them any time.
    """

    def __init__(self, what: str, quiet: bool = False) -> None:
        self.what = what
        self._status: Status | None = None
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._enabled = not quiet and on_terminal(sys.stderr)
        mode = mode_of(STDOUT)
        self._piped = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        self._in_the_way = self._piped or on_terminal(sys.stdout)

    def __enter__(self) -> "Spinner":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def update(self, what: str) -> None:
        """Say what is going on now."""
        self.what = what
        if self._status is not None:
            self._status.update(what)

    def count(self, done: int, total: int) -> None:
        """Say how many heads of all are done; a View calls it with its progress."""
        if self._status is not None:
            self._status.update(f"{self.what}: {done} of {total} heads")

    def start(self) -> None:
        """Show what is going on, if it still is after PATIENCE."""
        if self._enabled and self._timer is None:
            self._timer = threading.Timer(PATIENCE, self._show)
            self._timer.daemon = True
            self._timer.start()

    def stop(self) -> None:
        """Show nothing until the next start."""
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._timer = None
            if self._status is not None:
                self._status.stop()
                self._status = None

    def make_way(self) -> None:
        """Results are about to be written: stop if they may appear on the same terminal."""
        if self._in_the_way:
            self.stop()
            self._enabled &= not self._piped

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Say what is going on inside, and what was going on before afterwards."""
        before = self.what
        self.update(what)
        self.start()
        try:
            yield
        finally:
            self.update(before)

    def _show(self) -> None:
        from rich.console import Console

        with self._lock:
            if self._timer is not None:
                self._status = Console(stderr=True).status(self.what)
                self._status.start()
