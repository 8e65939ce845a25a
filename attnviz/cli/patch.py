"""`attnviz patch`: which head carries what differs between two sentences?"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from attnviz.attention.request import WHOLE
from attnviz.cli.drawn import DrawnOutput
from attnviz.cli.options import (
    INPUT,
    RARE,
    SHOW,
    AsWords,
    HeadChoice,
    Look,
    ModelChoice,
    Pretokenized,
    Truncate,
    argument,
    count,
    flag,
    valued,
)
from attnviz.cli.outcomes import OutcomeChoice
from attnviz.errors import RequestError

if TYPE_CHECKING:
    from attnviz.answers.align import Aligned
    from attnviz.answers.patch import EachPatched, Patched
    from attnviz.cli.session import Selection, Session
    from attnviz.corpus.patching import Patching
    from attnviz.inspection import HeadId, Inspection
    from attnviz.inspection.outcomes import Asked


@dataclass(frozen=True)
class TwinSources:
    """Which two sentences: A gives heads, and B is run with them; or a table of many such."""

    text: Annotated[
        list[str] | None,
        argument(
            "A B",
            "Two sentences: B is run with heads of A in it. One alone is B, and A is the last "
            "sentence, or that of --load or --from. None: what is piped in, a line each, or else "
            "the last comparison.",
        ),
    ] = None
    tsv: Annotated[
        Path | None,
        valued(
            "FILE",
            INPUT,
            "Many twins, as samples/pronouns.tsv: columns a and b, or sentence with group, or with "
            "key and distractor; or plain lines, two and two. Also query, of, against. The mean "
            "and its interval for each head.",
        ),
    ] = None
    pair: Annotated[
        str | None, valued("TEXT", INPUT, "A second sentence, read together with A and with B.")
    ] = None
    load: Annotated[
        list[Path] | None,
        valued("FILE", INPUT, "A saved inspection as A; twice: A and B; alone: B is the last one."),
    ] = None
    kept: Annotated[
        list[str] | None,
        valued("NAME", INPUT, "The same with what is kept by --as. B: the last B.", "--from"),
    ] = None
    pretokenized: Pretokenized = False
    truncate: Truncate = False

    models: ClassVar[None] = None
    untrained: ClassVar[bool] = False


@dataclass(frozen=True)
class PatchChoice:
    """What goes from A to B, at which words, and how much of the answer to show."""

    each: Annotated[
        bool, flag("--each", SHOW, "Patch each head alone: a map, and the heads that restore most.")
    ] = False
    by: Annotated[
        Literal["position"] | None,
        valued("position", SHOW, "Patch the heads at each word alone, too."),
    ] = None
    what: Annotated[
        Literal["z", "q", "k", "v", "weights"],
        valued(
            "NAME",
            SHOW,
            "What of a head is patched: z, its result (the default); weights, only where it looks; "
            "v, only what it brings; q or k.",
        ),
    ] = "z"
    rows: Annotated[
        list[str] | None,
        valued(
            "A=B",
            SHOW,
            "Patch these words alone: tired=wide, or it for it=it. May repeat. Twins of unlike "
            "length need it.",
        ),
    ] = None
    query: Annotated[
        str | None,
        valued(
            "WORD",
            SHOW,
            "The word, of both, whose state is measured: how far it is from A's. Without, and if "
            "the model has no head to ask: all words that both have.",
        ),
    ] = None
    top: Annotated[
        int | None, count("The K heads, or words, that restore most; without, 10 in tables.")
    ] = None
    words: AsWords = True
    limit: Annotated[int | None, count("The first N twins of --tsv alone.", "N", RARE)] = None


def patch(
    source: TwinSources,
    patched: PatchChoice,
    measured: OutcomeChoice,
    heads: HeadChoice,
    choice: ModelChoice,
    output: DrawnOutput,
) -> None:
    """Run B with a head of A in it: how much of what differs between them does the head carry?

    The share restored is (patched - B) / (A - B) of what is measured: 0 if nothing changes, 1 if B
    now gives what A gives. Without --of, what the model's head finds likeliest in A is held against
    what it finds likeliest in B. Words are aligned as in compare.

    Example: attnviz patch "It was too tired." "It was too wide." --query it --each
    """
    _check(source, patched, measured, heads, output)
    from attnviz.cli.output import check_output
    from attnviz.cli.session import Selection, Session

    if source.tsv:
        check_output(output, "PatchSummary")
    else:
        check_output(output, "EachPatched" if patched.each else "Patched")
    session = Session(choice, output)
    selection = Selection(session, Look(words=patched.words), heads)
    asker = Asker(selection, patched, measured, many=source.tsv is not None)
    if source.tsv:
        from attnviz.cli.patch_corpus import over_twins

        over_twins(str(source.tsv), asker, output)
    else:
        one_pair(source, asker, output)


class Asker:
    """What was asked, for one pair of twins after the other."""

    def __init__(
        self,
        selection: "Selection",
        patched: PatchChoice,
        measured: OutcomeChoice,
        many: bool = False,
    ) -> None:
        self.selection, self.patched, self.many = selection, patched, many
        from attnviz.cli.ablating import Measuring

        self.session: Session = selection.session
        choice = self.session.choice
        self.measuring = Measuring(measured, choice)
        if self.measuring.taken:  # of the decoder beside the encoder whose heads are patched
            self.session.choice = replace(choice, target=None)

    def ask(
        self,
        two: "tuple[Inspection, Inspection]",
        query: str | None,
        of: str | None = None,
        against: str | None = None,
    ) -> "Patched | EachPatched":
        """What B gives with heads of A in it; errors as in `corpus.patching.patched`."""
        from attnviz.corpus.patching import patched
        from attnviz.model import check_ablatable

        for one in two:
            check_ablatable(one)
        both = self.aligned(two, query)
        column = None if query is None else self._column(both, query)
        chosen = self.selection.heads(both.b)
        model = self.session.model_of(both.views[1].inspection)
        view = both.views[1]
        place = None if column is None else both.pair(column)[1].index
        asked = self.measuring.asked(model, view, place)
        asked = replace(asked, of=of or asked.of, against=against or asked.against)
        if asked.name == "similarity":
            for told in model.pooling.notes:
                self.session.notes.say_once(told)
        patching = self._patching(chosen, asked)
        with self.session.spinner.doing("patching heads"):
            return patched(model, both, patching, column)

    def aligned(self, two: "tuple[Inspection, Inspection]", query: str | None) -> "Aligned":
        """A and B word by word, with one target if a decoder was fed what it writes."""
        from attnviz.answers.align import aligned
        from attnviz.model.patching import one_target

        read = two[0].source or two[0].keys
        if read is not None and two[0].tokens.ids != two[1].tokens.ids:
            two = one_target(self.session.model_of(two[1]), *two)
            told = two[1].tokens.text
            what = "the target is what the model writes of both, until they differ"
            self.session.notes.say_once(what if self.many else f'{what}: "{told}"')
        a, b = (self.selection.view(one, query) for one in two)
        return aligned(a, b)

    def _patching(self, chosen: "list[HeadId]", asked: "Asked") -> "Patching":
        from attnviz.corpus.patching import Patching

        patched = self.patched
        named, at_each = tuple(patched.rows or ()), patched.by is not None
        return Patching(tuple(chosen), at_each, patched.what, named, asked)

    def _column(self, both: "Aligned", query: str) -> int:
        column, matches = both.find(query)
        a, b = both.pair(column)
        first = f"@{a.index} in A and @{b.index} in B"
        self.selection.note_first(query, "--query", matches, first)
        return column


def one_pair(source: TwinSources, asker: Asker, output: DrawnOutput) -> None:
    """Patch B with heads of A, and write what that restores."""
    from attnviz.cli.output import writing
    from attnviz.cli.two import TwoReader
    from attnviz.show.patch_wording import hardly_told

    session = asker.session
    with session:
        a, b = TwoReader(session, source, lambda _: WHOLE, "patch --each").two()
        answer = asker.ask((a, b), asker.patched.query)
        session.spinner.make_way()
        session.note_unseen(answer)
        if not answer.twins.differ and output.form not in ("table", "md"):
            session.notes.say(hardly_told(answer.twins))
        session.note_what_rows_lack(answer, output.form)
        with writing(output, session.notes, asker.patched.top) as write:
            write(answer, 0)


def _check(
    source: TwinSources,
    patched: PatchChoice,
    measured: OutcomeChoice,
    heads: HeadChoice,
    output: DrawnOutput,
) -> None:
    """RequestError for what does not go together, before a model is loaded."""
    measured.check()
    if output.save or output.keep is not None:
        option, takes = ("--save", "--load") if output.save else ("--as", "--from")
        raise RequestError(
            f"patch looks at two sentences, and {option} keeps one",
            f"keep each with attnviz run TEXT {option}, and patch with {takes}",
        )
    named = bool(heads.head or heads.layer)
    each = patched.each or source.tsv is not None
    if named and each:
        what = "--each" if patched.each else "--tsv"
        raise RequestError(
            f"{what} patches every head alone, and does not go with --head or --layer",
            "give one of the two; --top 1000 ranks all heads, that one among them",
        )
    if patched.by and not named:
        raise RequestError(
            "--by position patches heads at each word alone, and no head was named",
            "name one, as in --head 3.1; --each finds those that restore most",
        )
    if not (named or each):
        raise RequestError(
            "no head was named",
            "name one, as in --head 3.1, or a layer with --layer 3, or rank all heads with --each",
        )
    if source.tsv is None:
        if patched.limit:
            raise RequestError("--limit is for --tsv FILE", "add that, or leave it out")
        return
    others: dict[str, object] = {"A B": source.text, "--pair": source.pair}
    others |= {"--pretokenized": source.pretokenized, "--truncate": source.truncate}
    others |= {"--load": source.load, "--from": source.kept, "--by": patched.by}
    extra = [name for name, value in others.items() if value]
    if extra:
        raise RequestError(
            f"--tsv brings twins with it, and {extra[0]} came beside it", "give one of the two"
        )
