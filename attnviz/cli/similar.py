"""`attnviz similar`: why does a model find two texts alike?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from attnviz.cli.drawn import DrawnOutput
from attnviz.cli.options import (
    INPUT,
    SHOW,
    AsWords,
    HeadChoice,
    Look,
    ModelChoice,
    Pretokenized,
    Replacement,
    Source,
    Truncate,
    argument,
    count,
    flag,
    valued,
)
from attnviz.cli.output import check_output, writing
from attnviz.cli.reading import LineReader, is_piped
from attnviz.errors import RequestError
from attnviz.show.forms import PICTURES

if TYPE_CHECKING:
    from attnviz.answers.similar import EachSimilarity, Similarity
    from attnviz.cli.inputs import Inputs, Item
    from attnviz.cli.reading import Line
    from attnviz.cli.session import Selection, Session
    from attnviz.inspection import View
    from attnviz.inspection.pooled import Pooled
    from attnviz.model import Model

_HOW = 'as in attnviz similar "A dog ran home." "The cat was running."'


@dataclass(frozen=True)
class Texts:
    """Which texts to put beside each other."""

    text: Annotated[
        list[str] | None,
        argument(
            "A B",
            "Two texts, A and B; with more, each of the others beside A. One alone is B, and "
            "A is the last sentence; none: the last two compared. A - reads the others from "
            "standard input, one a line; - alone, or a pipe, reads A there too, first.",
        ),
    ] = None
    kept: Annotated[
        list[str] | None,
        valued(
            "NAME",
            INPUT,
            "A text kept with --as, as A; twice: A and B; alone: B is the last sentence.",
            "--from",
        ),
    ] = None
    pretokenized: Pretokenized = False
    truncate: Truncate = False


@dataclass(frozen=True)
class Alike:
    """What to show of a similarity."""

    each: Annotated[
        bool, flag("--each", SHOW, "Ablate each head in both texts: how the cosine changes.")
    ] = False
    replacement: Replacement = "zero"
    top: Annotated[int | None, count("The K strongest pairs, or heads; without, 10 in tables.")] = (
        None
    )
    words: AsWords = True
    special: Annotated[
        bool,
        flag(
            "--special/--no-special",
            SHOW,
            "Show special tokens (the default), or only what they give in all.",
        ),
    ] = True


def similar(texts: Texts, alike: Alike, choice: ModelChoice, output: DrawnOutput) -> None:
    """Show why a model finds two texts alike: which pairs of words make up their cosine.

    A text's vector is pooled from the final states of its pieces, as the checkpoint's own files
    say (mean, if they say nothing). With mean pooling the cosine of two texts is a sum over all
    pairs of their words, which is shown as it is.

    Example: attnviz similar "The animal was too tired." "A dog was exhausted."
    """
    from attnviz.answers.similar import rank_heads, similarity
    from attnviz.cli.session import Selection, Session
    from attnviz.model import check_ablatable

    check_output(output, "EachSimilarity" if alike.each else "Similarity")
    session = Session(choice, output)
    selection = Selection(session, Look(alike.words, alike.special), HeadChoice())
    inputs = _inputs(texts, session, output)
    first: list[_Side] = []  # A, once it has come
    drawn = 0

    def ask(item: "Item") -> "Similarity | EachSimilarity":
        model = session.model_of(item.inspection)
        a, b = first[0], _Side.of(item, model, selection)
        found = similarity(a.view, b.view, a.pooled, b.pooled)
        if not alike.each:
            return found
        check_ablatable(item.inspection)
        session.spinner.update("taking heads away")
        runs = model.pooled_each((a.pooled.tokens, b.pooled.tokens), alike.replacement)
        return rank_heads(found, runs, alike.replacement)

    with writing(output, session.notes, alike.top) as write:

        def answer(item: "Item") -> None:
            nonlocal drawn
            if not first:
                if item.index:
                    raise RequestError("the first text was left out", "mend it: it is A")
                first.append(_Side.of(item, session.model_of(item.inspection), selection))
                return
            _check_room(output, drawn + 1)
            with session.spinner.doing("comparing words"):
                found = ask(item)
            session.spinner.make_way()
            session.note_unseen(found, item.place)
            session.note_what_rows_lack(found, output.form)
            write(found, item.index - 1)
            drawn += 1
            # both are remembered, so that the same command compares the same two again
            session.last, session.other = first[0].view.inspection, item.inspection

        inputs.each(answer)
        if not drawn and not session.errors:
            raise RequestError("similar looks at two texts, and one came", _HOW)
    inputs.finish()


@dataclass(frozen=True)
class _Side:
    """A text that was read: its tokens, and its vector."""

    view: "View"
    pooled: "Pooled"

    @classmethod
    def of(cls, item: "Item", model: "Model", selection: "Selection") -> "_Side":
        """The text's; notes tell a pooling that is assumed, and a text that is very long."""
        notes, tokens = selection.session.notes, item.inspection.tokens
        for told in model.pooling.notes:
            notes.say_once(told)
        note = model.pooling.note_on(len(tokens))
        if note is not None:
            notes.say(f"{item.place}{note}")
        return cls(selection.view(item.inspection), model.pooled(tokens))


class _Beside(LineReader):
    """One text, then the lines of standard input."""

    skipped = -1  # the first line of the input is the second text

    def __init__(self, text: str) -> None:
        super().__init__()
        self._first = text

    def __iter__(self) -> "Iterator[Line | None]":
        """See LineReader."""
        yield 0, self._first
        for line in super().__iter__():
            yield line if line is None else (line[0] + 1, line[1])


def _inputs(texts: Texts, session: "Session", output: DrawnOutput) -> "Inputs":
    """The texts, A first: given, on standard input, or the last sentence beside the one given."""
    from attnviz.cli.inputs import Inputs
    from attnviz.inspection.memory import LAST, OTHER

    given, kept = list(texts.text or []), list(texts.kept or [])
    session.pretokenized = texts.pretokenized
    if kept and (given or len(kept) > 1):
        given = [*_remembered(session, kept), *given]
    elif kept:
        given = _remembered(session, [*kept, LAST])
    if len(given) == 2 and given[1] == "-":
        source = Source(pretokenized=texts.pretokenized, truncate=texts.truncate)
        return Inputs(source, session, output, None, rows=_Beside(given[0]), as_one=True)
    if len(given) == 1 and given != ["-"]:
        given = [*_remembered(session, [LAST]), *given]
    elif not given and not is_piped():
        given = _remembered(session, [LAST, OTHER])
    _check_room(output, len(given) - 1)
    words, cut = session.pretokenized, texts.truncate
    source = Source(text=given or None, pretokenized=words, truncate=cut)
    return Inputs(source, session, output, None, as_one=True)


def _remembered(session: "Session", names: Sequence[str]) -> list[str]:
    """The texts remembered by these names, which are read in the model of A unless one is named."""
    from attnviz.cli.inputs import told
    from attnviz.inspection.memory import LAST, OTHER, is_off, recall, remembered
    from attnviz.text.tokens import as_line

    known = () if is_off() else remembered()
    if not {LAST, OTHER}.intersection(names) <= set(known):
        came = "one" if len(names) == 1 else "none"
        raise RequestError(f"similar looks at two texts, and {came} came", _HOW)
    found = [one for one in map(recall, names) if one is not None]
    if not session.choice.named:
        session.choice = session.choice_like(found[0], session.choice)
    for place, (name, one) in enumerate(zip(names, found, strict=True)):
        session.notes.say(f"{'AB'[place > 0]} is {told(name, one, session.choice)}")
    session.pretokenized |= any(one.key_tokens.given is not None for one in found)
    return [as_line(one.key_tokens.typed[0]) for one in found]


def _check_room(output: DrawnOutput, count: int) -> None:
    """RequestError for so many pictures, where there is room for one."""
    if count > 1 and output.form in PICTURES and (output.open or output.output is not None):
        option, does = ("--open", "shows") if output.open else (f"-o {output.output}", "names")
        raise RequestError(
            f"several texts are put beside A, and {option} {does} one picture",
            f"leave out {option.partition(' ')[0]}",
        )
