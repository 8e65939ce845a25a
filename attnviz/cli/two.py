"""Which two sentences a command looks at: given, piped in, loaded, remembered; or two models."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from attnviz.cli.options import FOUNDING_EXAMPLE, ModelChoice, Output, Source, UntrainedChoice
from attnviz.cli.output import beginning
from attnviz.cli.reading import LineReader, is_piped
from attnviz.errors import AttnvizError, RequestError

if TYPE_CHECKING:
    from attnviz.cli.inputs import Request
    from attnviz.cli.session import Session
    from attnviz.inspection import Inspection

_UNTRAINED = "--untrained compares one sentence in a model and in the same one before training"


class TwoTexts(Protocol):
    """The options that say which two sentences, or which one in two models."""

    @property
    def text(self) -> list[str] | None:
        """What is given as TEXT."""

    @property
    def pair(self) -> str | None:
        """The second sentence of each."""

    @property
    def load(self) -> list[Path] | None:
        """Saved inspections."""

    @property
    def kept(self) -> list[str] | None:
        """Names of what is kept."""

    @property
    def models(self) -> tuple[str, str] | None:
        """Two models."""

    @property
    def untrained(self) -> bool:
        """Whether the second model is the first before its training."""

    @property
    def pretokenized(self) -> bool:
        """Whether texts are words."""

    @property
    def truncate(self) -> bool:
        """Whether a text that is too long is cut."""


class TwoReader:
    """Finds A and B: given, piped in, loaded, remembered, or one sentence in two models."""

    def __init__(
        self, session: "Session", source: TwoTexts, request: "Request", command: str = "compare"
    ) -> None:
        self.session, self.source, self.request = session, source, request
        self._two = f"{command.split()[0]} looks at two sentences"
        self._how = f'as in attnviz {command} "It was tired." "It was wide." --query it'
        self.pair, self.pretokenized = source.pair, source.pretokenized
        self.texts, self.paths = list(source.text or []), list(source.load or [])
        self.kept = list(source.kept or [])
        named = self.paths or self.kept
        if self.texts == ["-"] or (not self.texts and not named and is_piped()):
            count = 1 if source.models or source.untrained else 2
            self.texts = piped_lines(count, bool(self.texts), self._how)
        self._check()

    def two(self) -> "Sequence[Inspection]":
        """A and B, which are remembered as the last comparison if either ran."""
        if self.source.models or self.source.untrained:
            two: Sequence[Inspection] = self._in_two_models()
        elif len(self.texts) == 2:
            two = self._given()
        else:
            two = self._beside_each_other()
        if self.session.last is not None:
            self.session.last, self.session.other = two
        return two

    def _check(self) -> None:
        choice, loads, texts = self.session.choice, len(self.paths), self.texts
        count = loads + len(self.kept) + len(texts)
        if self.pair is not None and not texts:
            raise RequestError("--pair came without TEXT", "give the first sentence too")
        if self.source.untrained:
            self._check_untrained(count)
            return
        if self.source.models:
            if loads or choice.named:
                raise RequestError(
                    "--models names both models, and another source of a model came beside it",
                    "leave out --load, --model and the numbers that shape a model",
                )
            if count > 1:
                raise RequestError(
                    f"--models compares one sentence in two models, and {count} sentences came",
                    "give one",
                )
            return
        if loads and choice.chosen:
            raise RequestError(
                "--load brings a sentence and its model with it",
                "leave out the options of the model",
            )
        if count > 2:
            raise RequestError(f"{self._two}, and {count} came", "give two")

    def _check_untrained(self, count: int) -> None:
        """RequestError for what does not go with --untrained, of so many sentences."""
        if self.source.models or count > 1:
            came = "--models" if self.source.models else f"{count} sentences"
            hint = "give one sentence, and --model NAME"
            raise RequestError(f"{_UNTRAINED}, and {came} came", hint)

    def _check_trained(self, choice: ModelChoice) -> None:
        """RequestError for a model that was never trained."""
        from attnviz.models import PAPER

        if choice.name == PAPER or isinstance(choice, UntrainedChoice):
            told = PAPER if choice.name == PAPER else f"this {choice.name}"
            hint = "choose another with --model"
            raise RequestError(f"{_UNTRAINED}, and {told} was never trained", hint)

    def _beside_each_other(self) -> "Sequence[Inspection]":
        """Saved and remembered inspections, and a sentence read as the first of them."""
        from attnviz.inspection.memory import LAST, OTHER, is_off, remembered
        from attnviz.inspection.storage import load
        from attnviz.text.tokens import check_text

        for text in self.texts:
            check_text("sentence", text)
        kept, known = list(self.kept), () if is_off() else remembered()
        named = len(self.paths) + len(kept)
        if not self.texts and named < 2:  # one beside the last, or both of the last comparison
            if LAST not in known or (OTHER not in known and not named):
                came = "one" if named else "the last one alone" if LAST in known else "none"
                raise RequestError(f"{self._two}, and {came} came", self._how)
            kept += [LAST] if named else [LAST, OTHER]
        elif not named:
            kept = [LAST]
        two = [load(path) for path in self.paths]
        for name in kept:
            source = Source(kept=name, pretokenized=self.pretokenized)
            two += self._read(source, self.session.choice, called="AB"[len(two)])
        return two if len(two) == 2 else [*two, self._like(two[0], self.texts[0])]

    def _given(self) -> "Sequence[Inspection]":
        """The two sentences."""
        from attnviz.text.tokens import check_text

        for place, text in zip(("first", "second"), self.texts, strict=True):
            check_text(f"{place} sentence", text)
        return self._read(self._source(*self.texts), self.session.choice)

    def _source(self, *texts: str) -> Source:
        return Source(
            text=list(texts),
            pair=self.pair,
            pretokenized=self.pretokenized,
            truncate=self.source.truncate,
        )

    def _read(self, source: Source, choice: ModelChoice, called: str = "") -> "list[Inspection]":
        from attnviz.cli.inputs import Inputs

        self.session.choice = choice
        inputs = Inputs(source, self.session, Output(), self.request, called=called)
        found = [item.inspection for item in inputs]
        inputs.finish()
        return found

    def _like(self, a: "Inspection", text: str) -> "Inspection":
        """A sentence in the model of A, and with its pair unless one was given."""
        self._take_pair(a)
        choice = self.session.loaded or self.session.choice_like(a, ModelChoice())
        [b] = self._read(self._source(text), choice)
        if b.model != a.model:
            raise AttnvizError(
                f"the model {a.model.name} is not the one of sentence A any more",
                "read both sentences again: give them as TEXT",
            )
        return b

    def _take_pair(self, a: "Inspection") -> None:
        """Read what follows with the second sentence of A, unless one was given, and by words."""
        _, pair = _typed(a)
        if self.pair is None and pair is not None:
            self.pair = pair
            told = beginning(a.key_tokens.pair or "")
            self.session.notes.say(f'B is read with the pair of A, "{told}"')
        if a.key_tokens.given is not None and not self.pretokenized:
            self.pretokenized = True
            self.session.notes.say("B has words with blanks between, as A has (--pretokenized)")

    def _in_two_models(self) -> "list[Inspection]":
        """One sentence, the last one if none is given, in each of the two."""
        from attnviz.cli.inputs import check_read_again
        from attnviz.text.tokens import as_line, check_text

        choice, models = self.session.choice, self.source.models or ()
        last = None if self.texts else self._taken()
        like = last if self.source.untrained and not replace(choice, seed=None).named else None
        if like is not None:
            choice = self.session.choice_like(like, choice)
            if like.keys is not None and choice.target is None:
                choice = replace(choice, target=as_line(like.tokens.typed[0]))
        choices = [replace(choice, model=model) for model in models]
        if self.source.untrained:
            self._check_trained(choice)
            choices = [replace(choice, seed=None), UntrainedChoice(**vars(choice))]
            models = (choice.name, f"{choice.name} (UNTRAINED)")
        if not self.texts:
            self.texts, told = [FOUNDING_EXAMPLE], FOUNDING_EXAMPLE
            what = "no sentence given, so"
            if last is not None:
                self.texts[0], self.pair = _typed(last)
                told = last.key_tokens.text
                self.pretokenized |= last.key_tokens.given is not None
                what = f"{[*map(str, self.paths), *self.kept, 'the last sentence'][0]},"
            self.session.notes.say(f'{what} "{beginning(told)}", in {" and ".join(models)}')
        check_text("sentence", self.texts[0])
        source = self._source(*self.texts)
        two: list[Inspection] = []
        for one in choices:
            if two and self.source.untrained and one.target is None and self._decodes():
                one = replace(one, target=as_line(two[0].tokens.typed[0]))  # and not one of its own
            two += self._read(source, one)
            if like is not None:
                check_read_again(like, two[0].tokens)
        return two

    def _decodes(self) -> bool:
        """Whether the model just read has a decoder's text of its own."""
        return self.session.model is not None and self.session.model.decodes

    def _taken(self) -> "Inspection | None":
        """The inspection whose sentence is read: saved, kept under a name, or the last one."""
        from attnviz.inspection.memory import LAST, recall
        from attnviz.inspection.storage import load

        return load(self.paths[0]) if self.paths else recall(*self.kept or [LAST])


def _typed(inspection: "Inspection") -> tuple[str, str | None]:
    """A sentence and its pair as they were typed; words of the user's own as JSON lists."""
    from attnviz.text.tokens import as_line

    text, pair = inspection.key_tokens.typed
    return as_line(text), None if pair is None else as_line(pair)


def piped_lines(count: int, asked: bool, how: str = "") -> list[str]:
    """The sentences on standard input, which must be that many; `how` is a hint."""
    lines: list[str] = []
    for index, line in islice(filter(None, LineReader(asked=asked)), count + 1):
        if isinstance(line, RequestError):
            raise RequestError(f"line {index + 1}: {line.message}", line.hint)
        lines.append(line)
    if len(lines) != count:
        came = "no line" if not lines else "one line" if len(lines) == 1 else "more"
        wanted = "two lines, A and B," if count == 2 else "one line"
        raise RequestError(f"{wanted} should come on standard input, and {came} came", how)
    return lines
