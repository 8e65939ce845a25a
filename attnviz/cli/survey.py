"""`attnviz survey`: what does every head do over a corpus?"""

from dataclasses import dataclass
from typing import Annotated

from attnviz.cli.corpus import Running, Texts
from attnviz.cli.drawn import PictureResults
from attnviz.cli.options import RARE, SHOW, ModelChoice, count, flag

EXAMPLES = 3
"""How many a page shows, unless the user says more."""


@dataclass(frozen=True)
class Asked:
    """What is asked of the heads, and how much of it to show."""

    examples: Annotated[
        int | None,
        count("For each head the K texts with its strongest links, and K others. In pages: 3."),
    ] = None
    no_distances: Annotated[
        bool, flag("--no-distances", SHOW, "Leave out how far heads are from each other.")
    ] = False
    top: Annotated[int | None, count("In tables, the K heads that are strongest.")] = None
    stride: Annotated[
        int | None,
        count("Windows of a long text, N tokens apart; without, side by side.", "N", RARE),
    ] = None


def survey(
    texts: Texts, asked: Asked, running: Running, choice: ModelChoice, output: PictureResults
) -> None:
    """Show what every head does over a corpus: statistics with intervals, and roles.

    A head is a mixture of roles, such as next, syntactic, or a sink; each must pass a test over the
    texts (positional and broad: meet a criterion), and what passes none is unknown. Intervals are
    of 95 %, from a bootstrap over the texts. Memory does not grow with the corpus. What cannot be
    read is told, with its line, and the rest goes on.

    Example: attnviz survey corpus.txt -o atlas.html
    """
    from attnviz.cli.corpus import fold_corpus
    from attnviz.cli.output import check_output, write_page, writing
    from attnviz.cli.session import Session
    from attnviz.corpus.survey import SurveyWork
    from attnviz.corpus.survey import survey as survey_of

    check_output(output, "Survey")
    running.check(output)
    reader, session = texts.reader(), Session(choice, output)
    texts.check(session)
    examples = asked.examples or (EXAMPLES if output.form == "html" else 0)
    work = SurveyWork(running.measure, examples, not asked.no_distances, asked.stride)
    with session:
        folded, model = fold_corpus(work, reader, running, session, asked.stride)
        session.spinner.update("summing up")
        answer = survey_of(work, folded, model.facts, reader.files())
        session.spinner.make_way()
    if output.form == "html":
        write_page(answer, output, session.notes)
        return
    with writing(output, session.notes, asked.top) as write:
        write(answer, 0)
