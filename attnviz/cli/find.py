"""`attnviz find`: which heads join these two words?"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from attnviz.cli.drawn import DrawnOutput
from attnviz.cli.options import (
    INPUT,
    SHOW,
    HeadChoice,
    Look,
    ModelChoice,
    Source,
    count,
    flag,
    valued,
)
from attnviz.errors import RequestError
from attnviz.show.forms import PICTURES

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnviz.answers.find import Finding
    from attnviz.cli.inputs import Inputs, Item
    from attnviz.cli.reading import TableReader
    from attnviz.cli.session import Selection


@dataclass(frozen=True)
class Pair:
    """Which two words, and how much of the answer to show."""

    query: Annotated[
        str | None,
        valued(
            "WORD",
            SHOW,
            'Who looks: it, it#2 (the second), @10, or a phrase, "the street".',
        ),
    ] = None
    key: Annotated[str | None, valued("WORD", SHOW, "The word that is looked at.")] = None
    by: Annotated[
        Literal["excess", "weight"],
        valued(
            "ORDER",
            SHOW,
            "Rank by excess (the default), the weight less the larger yardstick, or by weight "
            "(over several sentences by hits).",
        ),
    ] = "excess"
    both: Annotated[bool, flag("--both", SHOW, "Also the other way round.")] = False
    tsv: Annotated[
        Path | None,
        valued("FILE", INPUT, "Rows: sentence, query, key; - is stdin."),
    ] = None
    summary: Annotated[bool, flag("--summary", SHOW, "The means alone, as data too.")] = False
    csv: Annotated[Path | None, valued("FILE", INPUT, "The same, with commas between.")] = None
    top: Annotated[int | None, count("The K best heads; in tables 10.")] = None


def find(
    source: Source,
    pair: Pair,
    heads: HeadChoice,
    look: Look,
    choice: ModelChoice,
    output: DrawnOutput,
) -> None:
    """Rank all heads by how much one word looks at another, beyond what other pairs get anyway.

    Two yardsticks, each without the pair itself: what the head gives pairs as far apart, and what
    other words give that key.

    For several sentences (as TEXT, piped in one a line, or in a table): the heads that hold over
    all of them, which tells a rule from luck.

    Example: attnviz find "The ship sank because it was leaking." --query it --key ship
    """
    _check(source, pair)
    from attnviz.cli.inputs import Inputs, answer_each
    from attnviz.cli.output import check_output
    from attnviz.cli.reading import TableReader
    from attnviz.cli.session import Selection, Session

    as_page = output.form == "html" and not pair.summary
    check_output(output, "Finding", *([] if as_page else ["Holding"]))
    table = pair.csv or pair.tsv
    rows = None if table is None else TableReader(table, commas=pair.csv is not None)
    session = Session(choice, output)
    selection = Selection(session, look, heads)
    # waits for the last sentence, having one answer
    in_short = pair.summary or output.form in ("table", "md", *PICTURES)
    inputs = Inputs(source, session, output, selection.request, rows, as_one=in_short)

    def finding(item: "Item") -> "Finding":
        return _finding(item, selection, pair, rows)

    if as_page:
        answer_each(inputs, finding)
    else:
        _write_all(inputs, finding, pair, in_short)


def _write_all(
    inputs: "Inputs", finding_in: "Callable[[Item], Finding]", pair: Pair, in_short: bool
) -> None:
    """Write the finding of each sentence, or what holds over all of them, or both."""
    from attnviz.answers.holding import Tally
    from attnviz.cli.output import writing

    session, output = inputs.session, inputs.output
    tally, first = Tally(), list["Finding"]()
    with writing(output, session.notes, pair.top) as write:

        def ask(item: "Item") -> None:
            with session.spinner.doing("looking through heads"):
                finding = finding_in(item)
            session.note_unseen(finding, item.place)
            session.note_what_rows_lack(finding, output.form)
            tally.add(finding)
            first[:] = first or [finding]
            session.spinner.make_way()
            if not in_short:
                write(finding, item.index)

        inputs.each(ask)
        left_out = len(session.errors)
        of_table = pair.tsv is not None or pair.csv is not None
        if pair.summary or of_table or tally.count + left_out > 1:
            if in_short or output.form.startswith("json"):
                write(tally.holding(left_out), 0)
            else:
                session.notes.say_once(
                    "rows are per sentence: --summary gives the means over all sentences instead"
                )
        elif in_short:
            write(first[0], 0)
    inputs.finish()


def _finding(
    item: "Item", selection: "Selection", pair: Pair, rows: "TableReader | None"
) -> "Finding":
    """How the heads join the words of the options, or of the sentence's row."""
    from attnviz.answers.find import find
    from attnviz.answers.select import find_phrase
    from attnviz.cli.reading import Row
    from attnviz.inspection.context import Role

    row = Row("", pair.query or "", pair.key or "") if rows is None else rows.row(item.index)
    view = selection.view(item.inspection, row.query)
    dashes = "--" if rows is None else ""
    query, key = (
        selection.phrase(item.place, view, role, word, f"{dashes}{role}", find_phrase)
        for role, word in zip(get_args(Role), (row.query, row.key), strict=True)
    )
    finding = find(view, query, key, selection.heads(view.context) or None, pair.both, pair.by)
    return replace(finding, id=row.id)


def _check(source: Source, pair: Pair) -> None:
    """Refuse words that are missing, or that come twice."""
    if pair.tsv is None and pair.csv is None:
        given = {"--query": pair.query, "--key": pair.key}
        missing = [option for option, word in given.items() if word is None]
        if missing:
            raise RequestError(
                "find needs the word that looks and the word that is looked at: "
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",
                "as in attnviz find TEXT --query it --key animal",
            )
        return
    others: dict[str, object] = {"TEXT": source.text, "--pair": source.pair, "--load": source.load}
    others |= {"--stride": source.stride, "--query": pair.query, "--key": pair.key}
    others |= {"--from": source.kept}
    table = "--csv" if pair.tsv is None else "--tsv"
    others |= {"--csv": table == "--tsv" and pair.csv}
    extra = [name for name, value in others.items() if value]
    if extra:
        raise RequestError(
            f"{table} brings sentences and words with it, and does not go with "
            f"{' and '.join(extra)}",
            "give one of the two",
        )
