"""The inspections that a command works on: of sentences given or piped in, remembered, or saved."""

import gc
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from attnviz.answers.answer import Answer
from attnviz.attention.request import WHOLE, RecordRequest
from attnviz.cli.options import FOUNDING_EXAMPLE, ModelChoice, Output, Source
from attnviz.cli.output import beginning, check_overwrite, writing
from attnviz.cli.reading import Line, LineReader, Lines, is_piped
from attnviz.cli.session import Session, has_inputs
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection, ModelFacts
from attnviz.inspection.memory import LAST, OTHER, keep, kept_path, recall, remembered
from attnviz.inspection.storage import is_saved_inspection, load, save
from attnviz.show.forms import PICTURES
from attnviz.text.tokens import Tokens, Typed, as_line, check_text, words_in

if TYPE_CHECKING:
    from attnviz.model import Model

GARBAGE_OF_SENTENCES = 2000  # objects that may wait to be cleared away; those of some sentences

Request = Callable[[ModelFacts], RecordRequest]  # what a command needs recorded in a model


@dataclass(frozen=True)
class Item:
    """One text looked into: its number in the input, what messages call it, its inspection."""

    index: int
    place: str
    inspection: Inspection
    tokens: Tokens | None = None  # what the model was given in this command, if it ran


class Inputs:
    """The inspections of a command; if several may come (`many`), an error does not stop the rest.

    `rows` give the sentences in place of TEXT. Without a `request` only the model is run. Notes say
    of what is remembered that it is `called` "A", if it is. `as_one`: one answer takes several
    texts.
    """

    def __init__(
        self,
        source: Source,
        session: Session,
        output: Output,
        request: Request | None,
        rows: Lines | None = None,
        called: str = "",
        as_one: bool = False,
    ) -> None:
        source.check()
        self._as_one = as_one
        session.pretokenized = source.pretokenized
        self.session, self._called = session, f"{called} is " if called else ""
        self._source, self.output, self._rows, self._request = source, output, rows, request
        self._texts = source.text or []
        self._from_lines = (
            rows is not None
            or self._texts == ["-"]
            or not (self._texts or source.load or source.kept is not None or not is_piped())
        )
        self._numbered = self._from_lines or len(self._texts) > 1
        self.many = (self._numbered or source.stride is not None) and not self._too_many("")
        self._results = 0
        self._check()

    def _check(self) -> None:
        """Refuse what does not go together, before a model is loaded."""
        source, texts = self._source, self._texts
        if len(texts) > 1:
            if "-" in texts:
                raise RequestError("- means standard input, and sentences came too", "give one")
            too_many = self._too_many()
            if too_many is not None:
                raise too_many
        self._check_kept()
        if not texts and not self._from_lines and source.kept is None:
            if source.pair is not None:
                raise RequestError("--pair came without TEXT", "give the first sentence too")
            if source.stride is not None:
                raise RequestError("--stride came without TEXT", "give the text too")
        if len(texts) == 1 and not self._from_lines:
            check_text("sentence", texts[0])

    def _check_kept(self) -> None:
        """Refuse what does not go beside what was kept, and names that cannot be kept."""
        source, texts = self._source, self._texts
        if source.load and (texts or source.pair is not None or self.session.choice.chosen):
            raise RequestError(
                "--load brings a sentence and its model with it",
                "leave out TEXT, --pair and the options of the model",
            )
        if source.kept is not None and (texts or source.pair is not None or source.load):
            raise RequestError(
                "--from brings a sentence with it", "leave out TEXT, --pair and --load"
            )
        if self.output.save:
            check_overwrite(self.output.save, self.output.force, is_saved_inspection)
        if self.output.keep is not None:
            kept_path(self.output.keep)

    def _too_many(self, came: str = "several sentences came") -> RequestError | None:
        """What to say of all that came, if a file has room for one."""
        output = self.output
        if output.open and output.form in PICTURES and not self._as_one:
            return RequestError(f"{came}, and --open shows one picture", "leave out --open")
        if output.output is not None and output.form in PICTURES and not self._as_one:
            return RequestError(f"{came}, and -o {output.output} names one picture", "leave out -o")
        if output.save or output.keep is not None:
            option = "--save" if output.save else "--as"
            return RequestError(
                f"{came}, and {option} keeps one", "give one, or use attnviz run -f npz -o FILE"
            )
        return None

    def each(self, action: Callable[[Item], None]) -> None:
        """Do something with each text as it comes; raise if it worked for none."""
        done = False
        with self.session, closing(iter(self)) as items:
            for item in items:
                with self.session.trying(item.place):
                    action(item)
                    done = True
                if not self._from_lines:  # while somebody types lines, nothing is slow
                    self.session.spinner.start()
        if not done:  # before the file appears in which there would be nothing
            self.finish()

    def finish(self) -> None:
        """Raise if any of many sentences, or windows of one, failed."""
        self.session.finish("sentence" if self._numbered else "window")

    def __iter__(self) -> Generator[Item, None, None]:
        """The inspections; `--save` and `--as` keep one, and the last that ran is remembered.

        What `--from` takes is not: it has a name already.
        """
        for item in self._items():
            if self.output.save:
                save(item.inspection, self.output.save)
            if self.output.keep is not None:
                self._keep(item.inspection, self.output.keep)
            if item.tokens is not None and self._source.kept in (None, LAST):
                self.session.last = item.inspection
            yield item

    def _items(self) -> Iterator[Item]:
        if self._source.load:
            yield Item(0, "", load(self._source.load))
        elif self._texts or self._from_lines:
            yield from self._inspected()
        else:
            yield self._remembered(self._source.kept or LAST)

    def _keep(self, inspection: Inspection, name: str) -> None:
        """Keep it under a name; a note says what that was the name of."""
        before = remembered().get(name)
        keep(inspection, name)
        if before is not None:
            self.session.notes.say(f"{name} is kept anew, in place of what had that name")

    def _inspected(self) -> Iterator[Item]:
        """What is given as TEXT, or comes in lines, run in batches."""
        asked = self._texts == ["-"]
        reader = self._rows or (LineReader(asked=asked) if self._from_lines else None)
        lines = self._lines(reader) if reader else enumerate(self._texts)
        model = self.session.load(self.session.choice)
        if reader:
            model.expect(reader.size)
        # what libraries made stays; what sentences leave in circles is soon cleared away
        gc.freeze()
        gc.set_threshold(GARBAGE_OF_SENTENCES, *gc.get_threshold()[1:])
        pending: dict[int, tuple[str, Tokens]] = {}
        stream = model.inspect_stream(self._tokenized(model, lines, pending), self._wanted(model))
        any_came = False
        for index, result in stream:
            place, tokens = pending.pop(index)
            if isinstance(result, AttnvizError):
                with self.session.trying(place):
                    raise result
                continue
            any_came = True
            part = result.part
            self.session.spinner.update(f"sentence {index + 1}" if part is None else str(part))
            yield Item(index, place, result, tokens)
        if reader and not any_came and not self.session.errors:
            raise RequestError(f"no sentence came {reader.where}", reader.hint)
        if reader and reader.blank:
            self.session.notes.say(f"blank lines left out: {reader.blank}")

    def _lines(self, reader: Lines) -> Iterator[Line | None]:
        """The lines as they come; if only one may, it is run when the end was seen."""
        too_many = self._too_many()
        if too_many is None:
            yield from reader
            return
        lines = list(islice(filter(None, reader), 2))
        if len(lines) > 1:
            raise too_many
        yield from lines

    def _tokenized(
        self, model: "Model", lines: Iterable[Line | None], pending: dict[int, tuple[str, Tokens]]
    ) -> Iterator[tuple[int, Tokens] | None]:
        """The lines' tokens, None where more are to come; `pending` gets places and tokens."""
        for line in lines:
            if line is None:
                self.session.spinner.update("waiting for sentences")
                yield None
                continue
            number, text = line
            windows: Sequence[Tokens] = ()
            with self.session.trying(self._place(number)):
                if isinstance(text, RequestError):
                    raise text
                windows = self._windows(model, number, text)
            for tokens in windows:
                index = number if self._source.stride is None else self._results
                self._results += 1
                pending[index] = self._place(number, tokens), tokens
                yield index, tokens

    def _windows(self, model: "Model", number: int, text: str) -> Sequence[Tokens]:
        """A text's tokens; with `--stride`, those of each window if it is too long."""
        stride = self._source.stride
        if stride is None:
            return [self._cut(model, self._place(number), text, self._source.pair)]
        windows = model.windows(self._words(text), stride)
        too_many = self._too_many(f"the text makes {len(windows)} windows")
        if len(windows) > 1 and too_many is not None:
            raise too_many
        last = windows[-1].part
        if last is not None:
            self.session.notes.say(
                f"{self._place(number)}{last.end} tokens, in {last.count} windows of "
                f"{len(windows[0])} at most"
            )
        return windows

    def _words(self, text: Typed) -> Typed:
        """The text, or with `--pretokenized` its words."""
        return words_in(text) if self._source.pretokenized and isinstance(text, str) else text

    def _cut(self, model: "Model", place: str, text: Typed, pair: Typed | None) -> Tokens:
        second = None if pair is None else self._words(pair)
        tokens = model.tokenize(self._words(text), second, self._source.truncate)
        note = model.note_on(tokens)
        if note is not None:
            self.session.notes.say_once(note)
        if tokens.dropped:
            self.session.notes.say(
                f"{place}cut to {len(tokens)} of {len(tokens) + tokens.dropped} tokens"
            )
        return tokens

    def _place(self, line: int, tokens: Tokens | None = None) -> str:
        """What messages call one of many sentences, or windows; nothing if there is one."""
        if not self.many:
            return ""
        what = "line" if self._from_lines else "sentence"
        if self._rows is not None:
            what, line = f"{self._rows.place}{what}", line + self._rows.skipped
        named = [f"{what} {line + 1}"] if self._numbered else []
        if tokens is not None and tokens.part is not None:
            named.append(f"window {tokens.part.index + 1}")
        return f"{', '.join(named)}: " if named else ""

    def _wanted(self, model: "Model") -> RecordRequest:
        if self.output.save:
            return WHOLE
        if self._request is None:  # something is recorded of every run
            return RecordRequest(frozenset([0]), whole=False)
        return self._request(model.facts)

    def _remembered(self, name: str) -> Item:
        """The inspection of that name, or its sentence run as the options say; or the example."""
        session, choice = self.session, self.session.choice
        last = recall(name)
        if last is None:
            why = "no sentence is remembered" if self._called else "no sentence given"
            example = f'"{beginning(FOUNDING_EXAMPLE)}", in {choice.name}'
            session.notes.say(f"{why}, so {self._called}{example}")
            return self._run(session.load(choice), FOUNDING_EXAMPLE, None)
        text, pair = last.key_tokens.typed  # the source's, if there is one
        note = self._called + told(name, last, choice)
        if name == LAST and not self._called and OTHER in remembered():
            note += " (A of a comparison; --from B takes the other)"
        session.notes.say(note)
        if choice.named:
            return self._run(session.load(choice), text, pair)
        as_words = self._source.pretokenized and isinstance(text, str)
        if not choice.chosen and not as_words:
            return self._completed(last)
        choice = session.choice_like(last, choice)
        if last.keys is not None and choice.attention != "encoder":
            session.pretokenized |= last.tokens.given is not None and choice.target is None
            choice = replace(choice, target=choice.target or as_line(last.tokens.typed[0]))
        return self._run(session.load(choice), text, pair, last)

    def _run(
        self, model: "Model", text: Typed, pair: Typed | None, last: Inspection | None = None
    ) -> Item:
        """A sentence run; `last` is the remembered inspection of the same one."""
        tokens = self._cut(model, "", text, pair)
        if last is not None:
            check_read_again(last, tokens)
        return Item(0, "", next(model.inspect_tokens([tokens], self._wanted(model))), tokens)

    def _completed(self, last: Inspection) -> Item:
        """The remembered inspection, run again if it lacks what the command needs."""
        if last.attention != "encoder" or not self._lacking(last):
            return Item(0, "", last)
        model = self.session.model_of(last, "running it again, for what was not recorded of it, in")
        inspection = next(model.inspect_tokens([last.tokens], self._wanted(model)))
        return Item(0, "", inspection, last.tokens)

    def _lacking(self, inspection: Inspection) -> bool:
        """Whether the command needs something that was not recorded."""
        if self._request is None and not self.output.save:
            return False
        wanted = WHOLE if self._request is None else self._request(inspection.model)
        wanted = WHOLE if self.output.save else wanted
        return any(
            record is None or (wanted.whole and not has_inputs(record))
            for number, record in enumerate(inspection.layers)
            if wanted.has(number)
        )


def check_read_again(last: Inspection, tokens: Tokens) -> None:
    """RequestError where the sentence is a decoder's, and not what the model reads: `tokens`."""
    if last.attention == "decoder" and tokens.ids != last.tokens.ids:
        raise RequestError(
            "the last sentence is what a decoder was fed, and what its encoder read was not "
            "remembered",
            "give that as TEXT, beside --attention decoder",
        )


def told(name: str, last: Inspection, choice: ModelChoice) -> str:
    """What notes say of a remembered sentence: what it is, and the model that reads it."""
    what = {LAST: "the last sentence", OTHER: "the second of the last comparison"}
    model = last.model.title
    if choice.name != last.model.name:
        other = f"{choice.name} instead of {model}"
        model = other if choice.named else f"{model}; --model NAME runs it in another"
    return f'{what.get(name, name)}, "{beginning(last.key_tokens.text)}", in {model}'


def answer_each(
    inputs: Inputs,
    ask: Callable[[Item], Answer | Sequence[Answer]],
    top: int | None = None,
    doing: str = "looking through heads",
) -> None:
    """Ask about each text as it comes, and write each answer in the form that the options name."""
    output, session = inputs.output, inputs.session
    if output.form == "html":
        from attnviz.cli.pages import answer_as_page

        answer_as_page(inputs, ask)
        return
    with writing(output, session.notes, top) as write:

        def answer(item: Item) -> None:
            with session.spinner.doing(doing):
                answers = ask(item)
            session.spinner.make_way()
            each = answers if isinstance(answers, Sequence) else [answers]
            if each:
                session.note_unseen(each[0], item.place)
            for one in each:
                session.note_what_rows_lack(one, output.form)
                write(one, item.index)

        inputs.each(answer)
    inputs.finish()
