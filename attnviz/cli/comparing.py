"""How `attnviz compare` gives out what changes: as a table, JSON, CSV or a picture."""

from pathlib import Path

from attnviz.answers.align import Alignment, aligned
from attnviz.answers.compare import Comparison, compare
from attnviz.answers.select import select_in
from attnviz.cli.asked import Asked
from attnviz.cli.giving import Forms, check_answer, giving
from attnviz.cli.options import AnswerOutput
from attnviz.cli.output import say_path
from attnviz.cli.two import Two
from attnviz.errors import RequestError
from attnviz.inspection import HeadId
from attnviz.inspection.context import Role
from attnviz.show.data import answer_csv, answer_json, csv_line
from attnviz.show.terminal.compare import table


def check_form(output: AnswerOutput) -> None:
    """Refuse an output that a comparison has no form for, before anything is computed."""
    if output.save:
        raise RequestError(
            "compare looks at two sentences, and --save keeps one",
            "save each with attnviz run TEXT --save FILE, and compare them with --load",
        )
    check_answer("compare", output, draws=True)


def give_comparison(asked: Asked, two: Two, output: AnswerOutput, top: int | None) -> None:
    """Compare the two, and give out the answer in the form asked for."""
    a, b = two
    both = aligned(asked.view(a), asked.view(b))
    heads = select_in(both.a, asked.choice.layer or (), asked.choice.head or ())
    query = _column(asked, both, "query", asked.words.query)
    key = _column(asked, both, "key", asked.words.key)
    drawn = output.form == "picture" and output.file is not None
    whole = (heads or 1) if drawn and len(heads) < 2 else ()
    comparison = compare(both, query, key, heads, whole)
    if both.identical:
        asked.notes.say("A and B are the same sentence in the same model: nothing changes")
    if output.form == "picture" and output.file is not None:
        _draw(asked, comparison, heads, output.file)
        return
    if output.form == "csv":
        for inspection in two:
            asked.say_what_csv_lacks(inspection)
    forms = Forms[Comparison](
        table=lambda answer: [table(answer, top)],
        json=lambda answer: [answer_json(answer, top)],
        csv=lambda answer: answer_csv(answer, top=top),
        csv_header=csv_line(comparison.columns),
    )
    with giving(output, forms) as give:
        give(comparison)


def _column(asked: Asked, both: Alignment, role: Role, selector: str | None) -> int | None:
    if selector is None:
        return None
    column, matches = both.find(selector, role)
    a, b = both.pair(column, role)
    first = f"@{a.index} in A and @{b.index} in B"
    asked.say_first_taken(selector, f"--{role}", matches, first)
    return column


def _draw(asked: Asked, comparison: Comparison, heads: list[HeadId], path: Path) -> None:
    """Draw the heads chosen, or the one that changes most, and print the picture's path."""
    from attnviz.cli.picture import write_picture
    from attnviz.show.figure.compare import figure
    from attnviz.show.figure.fonts import missing_glyphs

    if not heads:
        most = comparison.heads[0].head
        what = "layer" if most.head is None else "head"
        asked.notes.say(f"{most}, the {what} that changes most; --{what} chooses another")
    picture = figure(comparison, heads=heads or [comparison.heads[0].head])
    aligned = comparison.alignment
    for note in dict.fromkeys(map(missing_glyphs, (aligned.a, aligned.b))):
        if note:
            asked.notes.say(note)
    write_picture(picture, path)
    say_path(path)
