"""Which inspections a command works on: of sentences given or piped in, remembered, or loaded."""

import gc
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice

from attnviz.cli.need import EVERYTHING, Need
from attnviz.cli.options import ModelChoice, Output, Source
from attnviz.cli.output import Notes, check_overwrite, complain
from attnviz.cli.stdin import Line, LineReader, Lines, is_piped
from attnviz.cli.streams import on_terminal
from attnviz.cli.waiting import Waiting
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection
from attnviz.inspector import Model, load_model, load_model_of
from attnviz.recording import Recording
from attnviz.storage import is_saved_inspection, load, recall, remember, save
from attnviz.tokens import Tokens, check_text

FOUNDING_EXAMPLE = "The animal didn't cross the street because it was too tired."

TOLD = 80
"""Characters of a sentence that a note repeats at most."""


class Sentences:
    """The inspections that a command works on, one after the other.

    `many` says that several sentences may come: then what is wrong with one is told with its
    number, the rest goes on, and `finish` raises in the end. `one_picture` says that `-o` names a
    picture, so that only one sentence may come. `rows` give the sentences in place of TEXT.
    `need`: what of a long one is recorded.
    """

    def __init__(
        self,
        source: Source,
        choice: ModelChoice,
        output: Output,
        notes: Notes,
        need: Need = EVERYTHING,
        one_picture: bool = False,
        rows: Lines | None = None,
    ) -> None:
        texts = source.text or []
        self._source, self._choice, self._output, self._notes = source, choice, output, notes
        self._waiting = Waiting("at work", notes.quiet)
        self._need = EVERYTHING if output.save else need
        self._rows = rows
        self._from_lines = (
            rows is not None or texts == ["-"] or (not texts and not source.load and is_piped())
        )
        self._too_many = _too_many(output, one_picture)
        self.many = (self._from_lines or len(texts) > 1) and self._too_many is None
        self._errors: list[AttnvizError] = []
        self._loaded: Model | None = None
        self._begun: dict[int, Tokens] = {}
        self._at: Tokens | None = None
        if len(texts) > 1 and "-" in texts:
            raise RequestError("- means standard input, and sentences came beside it", "give one")
        if len(texts) > 1 and self._too_many is not None:
            raise self._too_many
        if source.load and (texts or source.pair is not None or choice.chosen):
            raise RequestError(
                "--load brings a sentence and its model with it",
                "leave out TEXT, --pair and the options of the model",
            )
        if source.pair is not None and not texts and not self._from_lines:
            raise RequestError("--pair came without TEXT", "give the first sentence too")
        if len(texts) == 1 and not self._from_lines:
            check_text("sentence", texts[0])  # before a model is loaded in vain
        if output.save:
            check_overwrite(output.save, output.force, is_saved_inspection)

    def __iter__(self) -> Generator[tuple[int, Inspection], None, None]:
        """Each sentence's index in the input, from 0, and its inspection, which `--save` keeps."""
        with self._waiting:
            for index, inspection in self._inspections():
                if self._output.save:
                    save(inspection, self._output.save)
                if on_terminal(sys.stdout):
                    self._waiting.stop()
                yield index, inspection
                if not self._from_lines:  # lines may be typed, and nobody likes to be watched
                    self._waiting.start()

    def _inspections(self) -> Iterator[tuple[int, Inspection]]:
        if self._source.load:
            yield 0, load(self._source.load)
        elif self._source.text or self._from_lines:
            yield from self._inspected(self._source.text or [])
        else:
            yield 0, self._last()

    def model_of(self, inspection: Inspection, doing: str = "running it again in") -> Model:
        """The model that an inspection came from, to run it again, or for its matrices.

        The one that is at work already, or, for a sentence that was remembered or loaded, the one
        of that name; AttnvizError if it cannot be had, or is not the one that it was.
        """
        if self._loaded is not None:
            return self._loaded
        self._notes.say(f"{doing} {inspection.model.title}")
        load = partial(load_model, device=self._choice.device or "auto")
        return self._told(lambda: load_model_of(inspection, load))

    def with_inputs(self, inspection: Inspection, layer: int) -> Inspection:
        """The inspection at hand, with what queries and keys of a layer were made of.

        Of a long text it may have been recorded without, and is run again for that layer.
        """
        record = inspection.layer(layer)
        if record.x is not None or record.given is not None:
            return inspection
        if self._loaded is None or self._at is None:
            return inspection
        self._notes.say(f"running it again for what layer {layer} worked with")
        recording = Recording(frozenset([layer]), whole=True)
        return next(self._loaded.inspect_tokens([self._at], recording))

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Shows a sign of life while work on a sentence takes long."""
        self._waiting.update(what)
        self._waiting.start()
        try:
            yield
        finally:
            if on_terminal(sys.stdout):
                self._waiting.stop()

    @contextmanager
    def trying(self, index: int) -> Iterator[None]:
        """What is wrong with one of many sentences is told with its number; the rest goes on."""
        try:
            yield
        except AttnvizError as error:
            if not self.many:
                raise
            self._errors.append(error)
            complain(error, self.place(index))

    def place(self, index: int) -> str:
        """Which of many sentences a message is about; nothing where there is only one."""
        what = "line" if self._from_lines else "sentence"
        before = 1 if self._rows is None else 1 + self._rows.skipped
        return f"{what} {index + before}: " if self.many else ""

    @property
    def failed(self) -> int:
        """How many of many sentences something was wrong with so far."""
        return len(self._errors)

    def finish(self) -> None:
        """Raise if some of many sentences failed, each of which was told already."""
        count = len(self._errors)
        if count:
            only_wrong = all(isinstance(error, RequestError) for error in self._errors)
            kind = RequestError if only_wrong else AttnvizError
            raise kind(f"{count} {'sentence' if count == 1 else 'sentences'} left out, see above")

    def _inspected(self, texts: Sequence[str]) -> Iterator[tuple[int, Inspection]]:
        reader = self._rows or (LineReader() if self._from_lines else None)
        model = self._model()
        last = None
        lines = self._lines(reader) if reader else enumerate(texts)
        recording = self._need.of(model.facts)
        for index, result in model.inspect_stream(self._cut(model, lines), recording):
            self._at = self._begun.pop(index)
            if isinstance(result, AttnvizError):
                with self.trying(index):
                    raise result
                continue
            last = result
            if not self.many:
                self._remember(result)
            self._waiting.update(f"sentence {index + 1}")
            yield index, result
        if reader and last is None and not self._errors:
            raise RequestError(f"no sentence came {reader.where}", "give one a line")
        if last is not None and self.many:
            self._remember(last)
        if reader and reader.blank:
            self._notes.say(f"blank lines left out: {reader.blank}")

    def _lines(self, reader: Lines) -> Iterator[Line | None]:
        """The lines as they come; where only one may, it is begun when the end is seen."""
        if self._too_many is None:
            yield from reader
            return
        lines = list(islice(filter(None, reader), 2))
        if len(lines) > 1:
            raise self._too_many
        yield from lines

    def _model(self) -> Model:
        return self._told(lambda: load_model(self._choice.name, **self._choice.placed))

    def _told(self, load: Callable[[], Model]) -> Model:
        self._waiting.update("loading the model")
        self._loaded = model = load()
        gc.freeze()  # main() turned collection off for the start
        gc.enable()
        for note in model.notes:
            self._notes.say(note)
        return model

    def _cut(
        self, model: Model, lines: Iterable[Line | None]
    ) -> Iterator[tuple[int, Tokens] | None]:
        """Tokenize the lines as they come; None, where more are still to come, passes through."""
        for line in lines:
            if line is None:
                yield None
                continue
            index, text = line
            with self.trying(index):
                if isinstance(text, RequestError):
                    raise text
                self._begun[index] = self._tokenized(model, index, text, self._source.pair)
                yield index, self._begun[index]

    def _tokenized(self, model: Model, index: int, text: str, pair: str | None) -> Tokens:
        tokens = model.tokenize(text, pair, self._source.truncate)
        if tokens.dropped:
            self._notes.say(
                f"{self.place(index)}cut to {len(tokens)} of {len(tokens) + tokens.dropped} tokens"
            )
        return tokens

    def _only(self, text: str, pair: str | None, last: Inspection | None = None) -> Inspection:
        """A sentence looked into; `last`: what the same one was before, in the same model."""
        model = self._model()
        self._at = self._tokenized(model, 0, text, pair)
        if last is not None and last.attention == "decoder" and self._at.ids != last.tokens.ids:
            raise RequestError(
                "the last sentence is what a decoder was fed, and what its encoder read is not "
                "known any more",
                "give that as TEXT, beside --attention decoder",
            )
        inspection = next(model.inspect_tokens([self._at], self._need.of(model.facts)))
        self._remember(inspection)
        return inspection

    def _last(self) -> Inspection:
        """The remembered inspection, or its sentence as it is asked for; or the founding example.

        What is asked for is another model, or the same one run in another way.
        """
        last = recalled(self._notes)
        if last is None or self._choice.named:
            text, pair = _typed(last) if last else (FOUNDING_EXAMPLE, None)
            self._notes.say(f'no sentence given, so "{beginning(text)}"')
            return self._only(text, pair)
        text, pair = _typed(last)
        self._notes.say(f'the last sentence, "{beginning(text)}", in {last.model.title}')
        if not self._choice.chosen:
            return last
        self._choice = self._choice.again(last)
        if last.keys is not None and self._choice.attention != "encoder":
            self._choice = replace(self._choice, target=self._choice.target or last.tokens.text)
        return self._only(text, pair, last)

    def _remember(self, inspection: Inspection) -> None:
        try:
            if not remember(inspection):
                self._notes.say("too large to be remembered (over 64 MB); --save FILE keeps it")
        except AttnvizError as error:
            self._notes.say(f"this sentence is not remembered: {error.message}")


def _typed(inspection: Inspection) -> tuple[str, str | None]:
    """The sentence, and its pair, that an inspection is of: the source's, where there is one."""
    return inspection.key_tokens.text, inspection.key_tokens.pair


def recalled(notes: Notes) -> Inspection | None:
    """The remembered inspection; where it cannot be read, a note says so."""
    try:
        return recall()
    except AttnvizError as error:
        notes.say(f"the remembered sentence is left aside: {error.message}")
        return None


def beginning(text: str) -> str:
    """As much of a sentence as a note has room for."""
    return text if len(text) <= TOLD else text[: TOLD - 1].rstrip() + "…"


def _too_many(output: Output, one_picture: bool) -> RequestError | None:
    """What to say if several sentences come, where a file has room for one."""
    if one_picture and output.output:
        return RequestError(
            f"several sentences came, and -o {output.output} names one picture", "leave out -o"
        )
    if output.save:
        return RequestError(
            "several sentences came, and --save keeps one",
            "give one, or use attnviz run -f npz -o FILE",
        )
    return None
