"""What the heads do over a corpus: a map of their roles, who is strongest in what, who is alike."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text

from attnviz.answers.corpus import CorpusFacts, Estimate
from attnviz.answers.examples import Example
from attnviz.answers.statistics import Statistic
from attnviz.answers.survey import UNKNOWN, Survey, SurveyHead
from attnviz.inspection import HeadId
from attnviz.inspection.context import counted
from attnviz.show.labels import percent, visible
from attnviz.show.roles import look_of
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    FEW,
    INK,
    LONGEST_WORD,
    PLAIN,
    Hues,
    Page,
    Ranking,
    column,
    cut,
    fit,
    line,
    title,
)
from attnviz.show.terminal.heading import model_line, quiet_line
from attnviz.show.wording import attention_told

HEADS_NAMED = 3  # for each statistic, and for each role with examples, unless the user says more
LEAST_SHARE = 0.05  # of a role whose heads have their examples shown
CLUSTERS_TOLD, HEADS_LISTED = 8, 24
APART, ROLES_WIDTH = 4, 62  # cells between the map and the roles, and of these
WITH_SHARE = 4  # cells of a head's letter and share
GUTTER = 2  # between two heads or examples of a line


def table(survey: Survey, top: int | None = None) -> RenderableType:
    """The map of roles, and for each statistic the `top` (3) heads with the largest means."""
    return Page(lambda width, hues: _lines(survey, top or HEADS_NAMED, width, hues))


def _lines(survey: Survey, top: int, width: int, hues: Hues | None) -> Iterator[RenderableType]:
    yield model_line(survey.model)
    yield from quiet_line(attention_told(survey.attention))
    yield from quiet_line(read_of(survey.corpus))
    yield from quiet_line(f"{survey.measure}: {visible(survey.formula)}")
    yield from quiet_line(_intervals(survey))
    yield Text()
    if not survey.heads:
        yield title(survey.nothing)
        return
    yield from _map_and_roles(survey, width, hues)
    yield Text()
    yield title("the heads with the largest means" + (" and 95% intervals" * _has(survey)))
    yield from _statistics(survey, top, width)
    yield from _examples(survey, top, width)
    yield from _clusters(survey)
    for note in survey.notes:
        yield from quiet_line(visible(note))


def read_of(corpus: CorpusFacts) -> str:
    """How much was read, of which files."""
    named = [visible(file) for file in corpus.files]
    files = named[0] if len(named) == 1 else f"{len(named)} files"
    whole = corpus.windows == corpus.documents
    windows = "" if whole else f" in {counted(corpus.windows, 'window')}"
    read = f"{counted(corpus.documents, 'text')} of {files}{windows}"
    told = [f"{read}: {counted(corpus.words, 'word')}, {counted(corpus.pieces, 'piece')}"]
    told += [f"{corpus.left_out:,} left out"] * bool(corpus.left_out)
    return "; ".join(told)


def _has(survey: Survey) -> bool:
    return survey.intervals is not None


def _intervals(survey: Survey) -> str:
    if survey.intervals is None:
        return "no intervals and no tests: they need at least 6 texts"
    method, resamples = survey.intervals.method, survey.intervals.resamples
    return f"95% intervals: {method}, {resamples} resamples"


def _style_of(role: str, hues: Hues | None) -> Style:
    """Black on the role's colour; nothing but a letter where there are few colours."""
    if role == UNKNOWN:
        return DIM
    return Style(color=INK, bgcolor=look_of(role).colour) if hues not in (None, FEW) else PLAIN


def _map_and_roles(survey: Survey, width: int, hues: Hues | None) -> Iterator[RenderableType]:
    """The map, and beside it, or below where there is no room, what its letters mean."""
    lines, roles = list(_map(survey, width, hues)), _roles(survey, hues)
    wide = max(part.cell_len for part in lines)
    if wide + APART + ROLES_WIDTH <= width:
        beside = Column(width=wide, no_wrap=True), Column(width=APART), Column()
        both = Table.grid(*beside)
        both.add_row(Group(*lines[:-1]), "", roles)
        yield both
    else:
        yield from lines
        yield roles
    yield from quiet_line(
        "A head has every role whose test it passes (of positional and broad: whose criterion it "
        "meets), each with a share of its attention: -f json has the shares, tests and formulas."
    )


def _map(survey: Survey, width: int, hues: Hues | None) -> Iterator[Text]:
    """Layers down and heads across: a letter and a share, or a letter alone where it is narrow."""
    at = {one.head: one for one in survey.heads}
    layers, across = (sorted({head[axis] or 0 for head in at}) for axis in (0, 1))
    margin, digits = len(f"L{layers[-1]}") + 1, len(str(across[-1]))
    cell = next((size for size in (WITH_SHARE, 2) if margin + len(across) * (size + 1) <= width), 2)
    cell = max(cell, digits + 1)
    columns = max(1, (width - margin) // (cell + 1))
    told = ", and its share of the attention in %" if cell >= WITH_SHARE else ""
    yield title(f"the largest role of each head{told}")
    for first in range(0, len(across), columns):
        heads = across[first : first + columns]
        names = "".join(fit(fit(f"H{head}", cell), cell + 1) for head in heads)
        yield line((" " * margin + names.rstrip(), DIM))
        for layer in layers:
            row: list[str | tuple[str, Style]] = [(fit(f"L{layer}", margin), DIM)]
            for head in heads:
                one = at.get(HeadId(layer, head))
                row += [" " * cell if one is None else _cell(one, cell, hues), " "]
            yield line(*row)
        yield Text()


def _cell(head: SurveyHead, cell: int, hues: Hues | None) -> tuple[str, Style]:
    letter, share = look_of(head.role).letter, head.share.mean
    told = "" if cell < WITH_SHARE or share is None else f"{100 * share:3.0f}"
    return fit((letter if told else f" {letter}") + told, cell), _style_of(head.role, hues)


def _roles(survey: Survey, hues: Hues | None) -> Ranking:
    """What the letters mean, how many heads have the role, and its share of all attention."""
    titles = {role.name: role.title for role in survey.roles} | {UNKNOWN: "unknown: no role's"}
    rows = [
        [
            Text(f" {look_of(role.name).letter} ", style=_style_of(role.name, hues)),
            Text(visible(titles.get(role.name, role.name))),
            Text("" if role.name == UNKNOWN else str(role.heads)),
            Text(str(role.largest)),
            Text(percent(role.share)),
        ]
        for role in survey.counts()
    ]
    columns = [column(), column("role"), column("heads", "right"), column("largest in", "right")]
    return Ranking([*columns, column("of all attention", "right")], rows, least=2)


def _statistics(survey: Survey, top: int, width: int) -> Iterator[Text]:
    """For each statistic the strongest heads, as many a line as fit."""
    margin = max(len(_titled(one)) for one in survey.statistics) + GUTTER
    names = max(len(str(one.head)) for one in survey.heads)
    absent = []
    for statistic in survey.statistics:
        found = survey.strongest(statistic.name, top)
        if not found:
            absent.append(statistic.title)
            continue
        parts = [
            Text.assemble((f"{head!s:<{names}} ", PLAIN), (_number(number, statistic.unit), BOLD))
            .append(_interval(number, statistic.unit), DIM)
            for head, number in found
        ]  # fmt: skip
        yield from _flowing(line(fit(_titled(statistic), margin)), parts, margin, width)
    if absent:
        yield from quiet_line(f"not in this model or corpus: {', '.join(absent)}")
    hidden = len(survey.heads) - top
    if hidden > 0:
        yield from quiet_line(
            f"{counted(hidden, 'more head')}: --top {len(survey.heads)} shows all."
        )


def _titled(statistic: Statistic) -> str:
    return statistic.title + ("" if statistic.unit == "share" else f", {statistic.unit}")


def _number(number: Estimate, unit: str) -> str:
    return _short(number.mean or 0, unit)


def _short(number: float, unit: str) -> str:
    """Shares as `.68`, other numbers with as many digits; `<.01` for what is not nothing."""
    if unit == "share":
        if 0 < number < 0.005:
            return "<.01"
        return "1.0" if number >= 0.995 else f"{number:.2f}"[1:]
    return f"{number:.2f}" if number < 9.995 else f"{number:.1f}"


def _interval(number: Estimate, unit: str) -> str:
    if number.low is None or number.high is None:
        return ""
    return f" {_short(number.low, unit)}–{_short(number.high, unit)}"


def _flowing(head: Text, parts: Sequence[Text], margin: int, width: int) -> Iterator[Text]:
    """Parts in columns after a name; what does not fit goes on below."""
    size = max(part.cell_len for part in parts) + GUTTER
    across = max(1, (width - margin + GUTTER) // size)
    for first in range(0, len(parts), across):
        row = head if first == 0 else line(" " * margin)
        for part in parts[first : first + across]:
            row.append_text(part).append(" " * (size - part.cell_len))
        row.rstrip()
        yield row


def _examples(survey: Survey, top: int, width: int) -> Iterator[Text]:
    """For each role the heads with most of it, and their strongest links."""
    shown = [head for head in survey.heads if head.examples]
    if not shown:
        return
    yield Text()
    yield title("the strongest links of heads with much of a role")
    many = len(survey.corpus.files) > 1
    for role in survey.counts():
        own = [(_role_share(head, role.name), head) for head in shown]
        own = sorted(
            (one for one in own if one[0] >= LEAST_SHARE), key=lambda one: (-one[0], one[1].head)
        )
        for share, head in own[:top]:
            name = f"{look_of(role.name).letter}  {head.head!s:<7}{share:4.0%}  "
            parts = [_example(example, many) for example in head.examples]
            yield from _flowing(line((name, DIM)), parts, cell_len(name), width)
    yield from quiet_line(
        "-f json has them for every head, with a fair sample of the other texts; -o FILE.html "
        "draws them."
    )


def _role_share(head: SurveyHead, name: str) -> float:
    if name == UNKNOWN:
        return head.unknown.mean or 0 if head.role == UNKNOWN else 0
    return next((role.share.mean or 0 for role in head.roles if role.name == name), 0)


def _example(example: Example, with_file: bool) -> Text:
    words = visible(example.query_text), visible(example.key_text)
    query, key = (cut(word, LONGEST_WORD) for word in words)
    text = line((f"{query} → {key} ", PLAIN), (_short(example.weight, "share"), BOLD))
    file = visible(PurePath(example.source).name)
    place = f"{file}:{example.line}" if with_file else f"line {example.line}"
    return text.append(f" {place}", DIM)


def _clusters(survey: Survey) -> Iterator[RenderableType]:
    """Which heads are alike, and what most of them do."""
    distances = survey.distances
    if distances is None:
        return
    heads = survey.heads
    several = [cluster for cluster in distances.clusters if len(cluster) > 1]
    yield Text()
    yield title(
        f"heads that are alike: {distances.cut:g} bits apart or less, on average "
        f"(Jensen-Shannon, over {counted(distances.rows, 'row')})"
    )
    for cluster in several[:CLUSTERS_TOLD]:
        role, count = Counter(heads[place].role for place in cluster).most_common(1)[0]
        said = f"mostly {role}" if 2 * count > len(cluster) else "of several roles"
        names = [str(heads[place].head) for place in cluster[:HEADS_LISTED]]
        more = len(cluster) - len(names)
        before = line((f"{len(cluster):3} heads ", BOLD), (fit(said, 20) + " ", PLAIN))
        told = " ".join(names + [f"+{more} more"] * bool(more))
        row = Table.grid(Column(no_wrap=True), Column(overflow="fold"))
        row.add_row(before, Text(told, DIM))
        yield row
    rest = several[CLUSTERS_TOLD:]
    alone = len(distances.clusters) - len(several)
    left = [f"{sum(map(len, rest))} heads in {counted(len(rest), 'more cluster')}"] * bool(rest)
    left += [f"{counted(alone, 'head')} alone"] * bool(alone)
    yield from quiet_line(", ".join(left))
