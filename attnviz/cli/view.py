"""`attnviz view`: one page that works offline, to play with."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from attnviz.cli.options import (
    INPUT,
    OUTPUT,
    SHOW,
    HeadChoice,
    Look,
    ModelChoice,
    Output,
    Source,
    TokenLook,
    flag,
    valued,
)
from attnviz.errors import RequestError
from attnviz.show.forms import Form, Language

if TYPE_CHECKING:
    from attnviz.answers.page import State
    from attnviz.cli.inputs import Item
    from attnviz.inspection import View


@dataclass(frozen=True)
class Sides(Source):
    """The same, and what is shown side by side with it."""

    beside: Annotated[
        str | None,
        valued(
            "TEXT", INPUT, "Another sentence, B, beside the first, A, word by word, as in compare."
        ),
    ] = None
    models: Annotated[
        tuple[str, str] | None,
        valued("M1 M2", INPUT, "One sentence in two models, side by side."),
    ] = None


@dataclass(frozen=True)
class First:
    """What the page shows first."""

    query: Annotated[
        str | None,
        valued("WORD", SHOW, "First, what WORD looks at: it, it#2 (its second occurrence), @10."),
    ] = None
    key: Annotated[
        str | None,
        valued("WORD", SHOW, "First, who looks at WORD; both: the heads that link the two."),
    ] = None


@dataclass(frozen=True)
class PageOutput(Output):
    """The same, where there is a page, which is opened in the browser."""

    usual: ClassVar[Form] = "html"

    open: Annotated[
        bool,
        flag("--open/--no-open", OUTPUT, "Open the page in the browser (the default), or do not."),
    ] = True
    lang: Annotated[
        Language | None, valued("en|ko", OUTPUT, "The page's language. Without: the browser's.")
    ] = None
    tour: Annotated[
        bool, flag("--tour", SHOW, "Begin with the tour: the Transformer, step by step.")
    ] = False

    @property
    def form(self) -> Form:
        """As Results; RequestError for a file without a suffix, which a browser shows as text."""
        if self.file is not None and not self.file.suffix and not (self.format or self.json):
            raise RequestError(
                f"{self.file} does not say that it is a page, and a browser would show it as text",
                "end its name in .html",
            )
        return super().form

    @property
    def language(self) -> Language | None:
        """As Results."""
        return self.lang or super().language

    @property
    def shows(self) -> Literal["tour"] | None:
        """As Results."""
        return "tour" if self.tour else None

    @property
    def _preferred(self) -> Form:
        return self.usual


def view(
    source: Sides,
    first: First,
    heads: HeadChoice,
    look: TokenLook,
    choice: ModelChoice,
    output: PageOutput,
) -> None:
    """Write one page to play with, which works offline, and open it in the browser.

    Lines between words, all heads at a glance, a head's matrix, its numbers step by step, the whole
    layer, and a tour of the Transformer, on this sentence. The options say what it shows first.
    Several sentences, or windows (--stride), come in one page, to choose from.

    Example: attnviz view "The animal didn't cross the street because it was too tired."
    """
    from attnviz.answers.opening import opening
    from attnviz.answers.page import State
    from attnviz.cli.inputs import Inputs
    from attnviz.cli.output import check_output
    from attnviz.cli.pages import look_into_each
    from attnviz.cli.session import Selection, Session

    check_output(output, "Page")
    if source.beside is not None or source.models:
        _two_texts(source, first, heads, look, choice, output)
        return
    session = Session(choice, output)
    selection = Selection(session, Look(**vars(look)), heads)
    inputs = Inputs(source, session, output, selection.request)

    def look_at(item: "Item", comes_first: bool) -> "tuple[View, State]":
        view = selection.view(item.inspection, first.query)
        session.note_unseen(view, item.place)
        if not comes_first:  # others may lack the words that are to be shown first
            return view, State()
        query = selection.word(item.place, view, "query", first.query)
        key = selection.word(item.place, view, "key", first.key)
        state, note = opening(view, selection.heads(view.context), query, key)
        if note:
            session.notes.say(item.place + note)
        return view, state

    look_into_each(inputs, look_at)


def _two_texts(
    source: Sides,
    first: First,
    heads: HeadChoice,
    look: TokenLook,
    choice: ModelChoice,
    output: PageOutput,
) -> None:
    """The page of a comparison."""
    from attnviz.cli.compare import Followed, TwoSources, side_by_side
    from attnviz.cli.reading import is_piped
    from attnviz.cli.two import piped_lines

    texts = list(source.text or [])
    if source.stride is not None:
        raise RequestError(
            "--stride cuts one long text into windows, and --beside and --models show two texts",
            "give one of the two",
        )
    if source.beside is not None:
        if source.models:
            raise RequestError(
                "--beside names another sentence, and --models another model", "give one of the two"
            )
        if texts == ["-"] or not (texts or source.load or source.kept or not is_piped()):
            texts = piped_lines(1, asked=bool(texts))
        if len(texts) > 1:
            raise RequestError(
                f"--beside shows one sentence beside another, and {len(texts)} came as TEXT",
                "give one TEXT, or leave --beside out to choose among several in the page",
            )
        texts.append(source.beside)
    two = TwoSources(
        text=texts,
        pair=source.pair,
        load=[source.load] if source.load else None,
        kept=None if source.kept is None else [source.kept],
        models=source.models,
        pretokenized=source.pretokenized,
        truncate=source.truncate,
    )
    side_by_side(two, Followed(first.query, first.key), heads, Look(**vars(look)), choice, output)
