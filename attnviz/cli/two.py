"""Which two inspections a comparison is of: given, piped in, loaded, remembered, in two models."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice

from attnviz.cli.compare import TwoSources
from attnviz.cli.need import EVERYTHING, Need
from attnviz.cli.options import ModelChoice, Output, Source
from attnviz.cli.output import Notes
from attnviz.cli.sentences import FOUNDING_EXAMPLE, Sentences, beginning, recalled
from attnviz.cli.stdin import LineReader, is_piped
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection
from attnviz.inspection.storage import load
from attnviz.text.tokens import check_text

Two = tuple[Inspection, Inspection]
"""A and B."""

_TWO = "compare looks at two sentences"
_HOW = 'as in attnviz compare "It was tired." "It was wide." --query it'


def two_inspections(
    source: TwoSources, choice: ModelChoice, notes: Notes, need: Need = EVERYTHING
) -> Two:
    """A and B; sentences that are read leave the last of them remembered.

    Raises RequestError where there are fewer or more, or where a model is named beside a sentence
    that brings its own.
    """
    texts, paths = list(source.text or []), list(source.load or [])
    if texts == ["-"] or (not texts and not paths and is_piped()):
        texts = _lines(1 if source.models else 2)
    _check(source, texts, choice)
    reader = _Reader(source, notes, need)
    if source.models:
        return _in_two_models(reader, texts, [replace(choice, model=m) for m in source.models])
    if paths:
        return _loaded(reader, [load(path) for path in paths], texts)
    if len(texts) == 2:
        for place, text in zip(("first", "second"), texts, strict=True):
            check_text(f"{place} sentence", text)  # before a model is loaded in vain
        a, b = reader.read(texts, choice)
        return a, b
    return _beside_the_last(reader, texts[0], choice)


def _check(source: TwoSources, texts: Sequence[str], choice: ModelChoice) -> None:
    loads = len(source.load or [])
    if source.pair is not None and not texts:
        raise RequestError("--pair came without TEXT", "give the first sentence too")
    if source.models:
        if loads or choice.named:
            raise RequestError(
                "--models names both models, and another source of a model came beside it",
                "leave out --load, --model and the numbers that shape a model",
            )
        if len(texts) > 1:
            raise RequestError(
                f"--models compares one sentence in two models, and {len(texts)} sentences came",
                "give one",
            )
        return
    if loads and choice.chosen:
        raise RequestError(
            "--load brings a sentence and its model with it", "leave out the options of the model"
        )
    if loads + len(texts) > 2:
        raise RequestError(f"{_TWO}, and {loads + len(texts)} came", "give two")
    if not loads and not texts:
        raise RequestError(f"{_TWO}, and none came", _HOW)


def _lines(count: int) -> list[str]:
    """The sentences on standard input, which must be so many."""
    lines: list[str] = []
    for index, line in islice(filter(None, LineReader()), count + 1):
        if isinstance(line, RequestError):
            raise RequestError(f"line {index + 1}: {line.message}", line.hint)
        lines.append(line)
    if len(lines) != count:
        came = "no line" if not lines else "one line" if len(lines) == 1 else "more"
        wanted = "two lines, A and B," if count == 2 else "one line"
        raise RequestError(f"{wanted} should come on standard input, and {came} came", _HOW)
    return lines


class _Reader:
    """Reads sentences in a model, all with the pair that the user gave."""

    def __init__(self, source: TwoSources, notes: Notes, need: Need) -> None:
        self.pair = source.pair
        self.notes = notes
        self._truncate = source.truncate
        self._need = need

    def read(self, texts: Sequence[str], choice: ModelChoice) -> list[Inspection]:
        """The inspections of the sentences; the last is remembered."""
        source = Source(text=list(texts), pair=self.pair, truncate=self._truncate)
        output = Output(quiet=self.notes.quiet)
        sentences = Sentences(source, choice, output, self.notes, self._need)
        with closing(iter(sentences)) as inspections:
            found = [inspection for _, inspection in inspections]
        sentences.finish()
        return found

    def read_like(self, a: Inspection, text: str) -> Inspection:
        """A sentence in the model of another, and with its pair unless one was given."""
        self.take_pair(a)
        [b] = self.read([text], ModelChoice().again(a))
        if b.model != a.model:
            raise AttnvizError(
                f"the model {a.model.name} is not the one that sentence A was looked at in",
                "look at both sentences anew: give them as TEXT",
            )
        return b

    def take_pair(self, a: Inspection) -> None:
        """Read what follows with the second sentence of `a`, unless one was given."""
        if self.pair is None and a.key_tokens.pair is not None:
            self.pair = a.key_tokens.pair
            self.notes.say(f'B is read with the pair of A, "{beginning(self.pair)}"')


def _in_two_models(reader: _Reader, texts: Sequence[str], choices: Sequence[ModelChoice]) -> Two:
    if not texts:
        last = recalled(reader.notes)
        texts = [last.key_tokens.text if last else FOUNDING_EXAMPLE]
        reader.notes.say(f'no sentence given, so "{beginning(texts[0])}"')
        if last:
            reader.pair = last.key_tokens.pair
    check_text("sentence", texts[0])
    [a], [b] = (reader.read(texts, choice) for choice in choices)
    return a, b


def _loaded(reader: _Reader, loaded: Sequence[Inspection], texts: Sequence[str]) -> Two:
    """Two saved inspections, or one beside a sentence or the last one."""
    a, *rest = loaded
    if texts:
        return a, reader.read_like(a, texts[0])
    if rest:
        return a, rest[0]
    last = recalled(reader.notes)
    if last is None:
        raise RequestError(
            f"{_TWO}, and one saved inspection came", "give --load a second time, or a TEXT"
        )
    reader.notes.say(f'B is the last sentence, "{beginning(last.key_tokens.text)}"')
    return a, last


def _beside_the_last(reader: _Reader, text: str, choice: ModelChoice) -> Two:
    """The remembered sentence as it is, or in the model that is asked for, and another."""
    check_text("sentence", text)
    last = recalled(reader.notes)
    first = FOUNDING_EXAMPLE if last is None else last.key_tokens.text
    if last is None:
        reader.notes.say(f'no sentence is remembered, so A is "{first}"')
    else:
        reader.notes.say(f'A is the last sentence, "{beginning(first)}", in {last.model.title}')
    if last is not None and not choice.chosen:
        return last, reader.read_like(last, text)
    if last is not None:
        reader.take_pair(last)
        choice = choice if choice.named else choice.again(last)
    a, b = reader.read([first, text], choice)
    return a, b
