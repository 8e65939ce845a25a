"""Which inspections a command works on: of sentences given or piped in, remembered, or loaded."""

import gc
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeVar

from attnviz.attention.request import RecordRequest
from attnviz.cli.need import EVERYTHING, Need
from attnviz.cli.options import ModelChoice, Output, Source
from attnviz.cli.output import Notes, check_overwrite, complain
from attnviz.cli.stdin import Line, LineReader, Lines, is_piped
from attnviz.cli.streams import on_terminal
from attnviz.cli.waiting import Waiting
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection
from attnviz.inspection.storage import is_saved_inspection, load, recall, remember, save
from attnviz.model import Model, load_model, load_model_of
from attnviz.progress import watched
from attnviz.text.tokens import Tokens, check_text

FOUNDING_EXAMPLE = "The animal didn't cross the street because it was too tired."

_Part = TypeVar("_Part")

TOLD = 80
"""Characters of a sentence that a note repeats at most."""


class _Begun(NamedTuple):
    """Tokens that a model was given: all of the line of that number, from 0, or a window of it."""

    line: int
    tokens: Tokens


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
        source.check()
        self._from_lines = (
            rows is not None or texts == ["-"] or (not texts and not source.load and is_piped())
        )
        self._one_picture, self._too_many = one_picture, _too_many(output, one_picture)
        several = self._from_lines or len(texts) > 1
        self.many = (several or source.stride is not None) and self._too_many is None
        self._numbered = several  # otherwise there are only a text's windows to tell apart
        self._errors: list[AttnvizError] = []
        self._loaded: Model | None = None
        self._begun: dict[int, _Begun] = {}
        self._at: _Begun | None = None
        self._results = 0
        if len(texts) > 1 and "-" in texts:
            raise RequestError("- means standard input, and sentences came beside it", "give one")
        if len(texts) > 1 and self._too_many is not None:
            raise self._too_many
        if source.load and (texts or source.pair is not None or choice.chosen):
            raise RequestError(
                "--load brings a sentence and its model with it",
                "leave out TEXT, --pair and the options of the model",
            )
        if not texts and not self._from_lines:
            if source.pair is not None:
                raise RequestError("--pair came without TEXT", "give the first sentence too")
            if source.stride is not None:
                raise RequestError("--stride came without TEXT", "give the text too")
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
        if record.x is not None or record.recorded_weights is not None:
            return inspection
        if self._loaded is None or self._at is None:
            return inspection
        self._notes.say(f"running it again for what layer {layer} worked with")
        recording = RecordRequest(frozenset([layer]), whole=True)
        return next(self._loaded.inspect_tokens([self._at.tokens], recording))

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Shows a sign of life while work on a sentence takes long, and how far it has come."""
        before = self._waiting.what
        self._waiting.update(what)
        self._waiting.start()
        try:
            with watched(partial(self._waiting.count, what)):
                yield
        finally:
            self._waiting.update(before)
            if on_terminal(sys.stdout):
                self._waiting.stop()

    def worked(self, what: str, parts: Iterator[_Part]) -> Iterator[_Part]:
        """The parts of what there is to show, with a sign of life while one takes long."""
        while True:
            with self.working(what):
                part = next(parts, None)
            if part is None:
                return
            yield part

    @contextmanager
    def trying(self, index: int) -> Iterator[None]:
        """What is wrong with one of many sentences is told with its number; the rest goes on."""
        with self._trying(self.place(index)):
            yield

    @contextmanager
    def _trying(self, place: str) -> Iterator[None]:
        try:
            yield
        except AttnvizError as error:
            if not place:
                raise
            self._errors.append(error)
            complain(error, place)

    def place(self, index: int) -> str:
        """Which of many sentences, or windows, a message is about; nothing where there is one."""
        begun = self._begun.get(index, self._at)
        return self._place(index) if begun is None else self._place(*begun)

    def _place(self, line: int, tokens: Tokens | None = None) -> str:
        if not self.many:
            return ""
        what = "line" if self._from_lines else "sentence"
        before = 1 if self._rows is None else 1 + self._rows.skipped
        named = [f"{what} {line + before}"] if self._numbered else []
        if tokens is not None and tokens.part is not None:
            named.append(f"window {tokens.part.index + 1}")
        return f"{', '.join(named)}: " if named else ""

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
            what = "sentence" if self._numbered else "window"
            raise kind(f"{count} {what}{'' if count == 1 else 's'} left out, see above")

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
            part = result.part
            self._waiting.update(str(part) if part is not None else f"sentence {index + 1}")
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
            number, text = line
            windows: Sequence[Tokens] = ()
            with self._trying(self._place(number)):
                if isinstance(text, RequestError):
                    raise text
                windows = self._windows(model, number, text)
            for tokens in windows:
                index = number if self._source.stride is None else self._results
                self._results += 1
                self._begun[index] = _Begun(number, tokens)
                yield index, tokens

    def _windows(self, model: Model, number: int, text: str) -> Sequence[Tokens]:
        """A text's tokens; with `--stride`, those of each window, if it is too long."""
        stride = self._source.stride
        if stride is None:
            return [self._tokenized(model, number, text, self._source.pair)]
        windows = model.windows(text, stride)
        if len(windows) > 1 and self._too_many is not None:
            came = f"the text makes {len(windows)} windows"
            raise _too_many(self._output, self._one_picture, came) or self._too_many
        last = windows[-1].part
        if last is not None:
            self._notes.say(
                f"{self._place(number)}{last.end} tokens, in {last.count} windows of "
                f"{len(windows[0])} at most"
            )
        return windows

    def _tokenized(self, model: Model, number: int, text: str, pair: str | None) -> Tokens:
        tokens = model.tokenize(text, pair, self._source.truncate)
        if tokens.dropped:
            self._notes.say(
                f"{self._place(number)}cut to {len(tokens)} of {len(tokens) + tokens.dropped} "
                "tokens"
            )
        return tokens

    def _only(self, text: str, pair: str | None, last: Inspection | None = None) -> Inspection:
        """A sentence looked into; `last`: what the same one was before, in the same model."""
        model = self._model()
        tokens = self._tokenized(model, 0, text, pair)
        self._at = _Begun(0, tokens)
        if last is not None and last.attention == "decoder" and tokens.ids != last.tokens.ids:
            raise RequestError(
                "the last sentence is what a decoder was fed, and what its encoder read is not "
                "known any more",
                "give that as TEXT, beside --attention decoder",
            )
        inspection = next(model.inspect_tokens([tokens], self._need.of(model.facts)))
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
            return self._completed(last)
        self._choice = self._choice.again(last)
        if last.keys is not None and self._choice.attention != "encoder":
            self._choice = replace(self._choice, target=self._choice.target or last.tokens.text)
        return self._only(text, pair, last)

    def _completed(self, last: Inspection) -> Inspection:
        """The remembered inspection, run again where what is looked at was not recorded of it."""
        if last.attention != "encoder" or not self._need.lacking(last):
            return last
        model = self.model_of(last, "running it again, for what was not recorded of it, in")
        self._at = _Begun(0, last.tokens)
        inspection = next(model.inspect_tokens([last.tokens], self._need.of(last.model)))
        self._remember(inspection)
        return inspection

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


def _too_many(
    output: Output, one_picture: bool, came: str = "several sentences came"
) -> RequestError | None:
    """What to say of all that `came`, where a file has room for one."""
    if one_picture and output.output:
        return RequestError(f"{came}, and -o {output.output} names one picture", "leave out -o")
    if output.save:
        return RequestError(
            f"{came}, and --save keeps one", "give one, or use attnviz run -f npz -o FILE"
        )
    return None
