"""`attnviz compare`: what changes if one word changes?"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attnviz.cli.drawn import DrawnOutput
from attnviz.cli.options import (
    INPUT,
    RARE,
    SHOW,
    HeadChoice,
    Look,
    ModelChoice,
    Output,
    Pretokenized,
    Truncate,
    argument,
    count,
    flag,
    valued,
)
from attnviz.cli.output import check_output, writing
from attnviz.errors import RequestError

if TYPE_CHECKING:
    from attnviz.answers.align import Aligned
    from attnviz.cli.session import Selection
    from attnviz.inspection.context import Role


@dataclass(frozen=True)
class TwoSources:
    """Which two sentences to look into, or which sentence in which two models."""

    text: Annotated[
        list[str] | None,
        argument(
            "A B",
            "Two sentences, A and B. One alone is B, and A is the last sentence, or that of "
            "--load or --from. None: what is piped in, a line each, or else the last comparison.",
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
    models: Annotated[
        tuple[str, str] | None,
        valued("M1 M2", INPUT, "One sentence in two models, whose layers and heads match."),
    ] = None
    pretokenized: Pretokenized = False
    untrained: Annotated[
        bool,
        flag(
            "--untrained",
            INPUT,
            "One sentence in the model, and in the same model with random weights (--seed).",
        ),
    ] = False
    truncate: Truncate = False
    corpus: Annotated[
        list[str] | None,
        valued(
            "FILE",
            INPUT,
            "With --models or --untrained: what the heads do over these texts, in place of one "
            "sentence; may repeat. Forms as of attnviz survey.",
        ),
    ] = None
    column: Annotated[
        str | None, valued("NAME", RARE, "The column of --corpus with the texts.")
    ] = None
    pair_column: Annotated[
        str | None, valued("NAME", RARE, "The one with second texts: of pairs, for the decoder.")
    ] = None
    limit: Annotated[int | None, count("The first N documents of --corpus alone.", "N", RARE)] = (
        None
    )
    resume: Annotated[
        Path | None,
        valued("FILE", RARE, "Of --corpus: keep what was done in FILE and FILE-b, and go on."),
    ] = None


@dataclass(frozen=True)
class Followed:
    """Which words to follow, and how much of the answer to show."""

    query: Annotated[
        str | None,
        valued(
            "WORD",
            SHOW,
            "What WORD looks at in A and in B: it, it#2 (its second occurrence in each), @10, or "
            "the word that differs. Without: all words that both have.",
        ),
    ] = None
    key: Annotated[
        str | None, valued("WORD", SHOW, "Rank heads by how much the link to WORD changes.")
    ] = None
    top: Annotated[
        int | None, count("The K heads that change most; without, 10 in tables, all in data.")
    ] = None


def compare(
    source: TwoSources,
    followed: Followed,
    heads: HeadChoice,
    look: Look,
    choice: ModelChoice,
    output: DrawnOutput,
) -> None:
    """Compare two sentences that differ in a word, or two models: which heads change, and how.

    Two models: any two that match (--models), or one before and after its training (--untrained).

    Words are aligned; each head has a distance between what WORD looks at in A and in B
    (Jensen-Shannon: 0 the same, 1 nothing in common) and the words that gained and lost. A picture
    shows both heatmaps and their difference. Two models over many texts: --corpus FILE.

    Example: attnviz compare "The animal didn't cross the street because it was too wide."
    --query it
    """
    if source.corpus:
        from attnviz.cli.compare_corpus import over_corpus

        over_corpus(source, followed, heads, look, choice, output)
        return
    given = {
        "--column": source.column is not None,
        "--pair-column": source.pair_column is not None,
        "--limit": source.limit is not None,
        "--resume": source.resume is not None,
    }
    for option in (name for name, came in given.items() if came):
        raise RequestError(f"{option} is for --corpus FILE", "add that, or leave it out")
    side_by_side(source, followed, heads, look, choice, output)


def side_by_side(
    source: TwoSources,
    followed: Followed,
    heads: HeadChoice,
    look: Look,
    choice: ModelChoice,
    output: Output,
) -> None:
    """Compare, and write that in the form that the options name."""
    from attnviz.answers.align import aligned
    from attnviz.answers.compare import compare
    from attnviz.cli.session import Selection, Session
    from attnviz.cli.two import TwoReader
    from attnviz.show.forms import PICTURES
    from attnviz.show.wording import alike_told

    if output.save or output.keep is not None:
        option, takes = ("--save", "--load") if output.save else ("--as", "--from")
        raise RequestError(
            f"compare looks at two sentences, and {option} keeps one",
            f"keep each with attnviz run TEXT {option}, and compare them with {takes}",
        )
    check_output(output, "Comparison")
    session = Session(choice, output)
    selection = Selection(session, look, heads)
    with session:
        two = TwoReader(session, source, selection.request).two()
        session.spinner.update("looking through heads")
        both = aligned(*(selection.view(one, followed.query) for one in two))
        chosen = selection.heads(both.a)
        query = _column(selection, both, "query", followed.query)
        key = _column(selection, both, "key", followed.key)
        # a picture shows one head whole, or the query's rows in several
        drawn = 1 if output.form in PICTURES and len(chosen) < 2 else ()
        comparison = compare(both, query, key, chosen, drawn)
        session.spinner.make_way()
        if comparison.alignment.identical:
            session.notes.say("A and B are the same sentence in the same model: nothing changes")
        session.note_unseen(comparison)
        if output.form not in ("table", "md") and (alike := alike_told(comparison.alignment)):
            session.notes.say(alike)  # tables say it themselves
        if output.form == "html":
            from attnviz.cli.pages import write_compared

            write_compared(session, output, two, comparison)
            return
        if output.form in PICTURES and not chosen:
            most = comparison.heads[0].head
            what = "layer" if most.head is None else "head"
            session.notes.say(f"{most}, the {what} that changes most; --{what} chooses another")
        session.note_what_rows_lack(comparison, output.form)
        with writing(output, session.notes, followed.top) as write:
            write(comparison, 0)


def _column(
    selection: "Selection", both: "Aligned", role: "Role", selector: str | None
) -> int | None:
    if selector is None:
        return None
    column, matches = both.find(selector, role)
    a, b = both.pair(column, role)
    selection.note_first(selector, f"--{role}", matches, f"@{a.index} in A and @{b.index} in B")
    return column
