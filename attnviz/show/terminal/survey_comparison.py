"""Two models over a corpus: how many heads have a role in each, and which heads are alike."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from attnviz.answers.survey_comparison import (
    BetweenHeads,
    Change,
    MatchedHead,
    SurveyComparison,
)
from attnviz.inspection.context import counted
from attnviz.show.labels import visible
from attnviz.show.terminal.cells import BOLD, DIM, PLAIN, RAMPS, Page, Ranking, column, title
from attnviz.show.terminal.heading import quiet_line
from attnviz.show.wording import attention_of_both, read_in_both

HEADS_SHOWN = 10  # Heads that the table shows, unless the user said how many
CHANGES_SHOWN = 1  # Statistics that a line names
LEVEL = 0.05  # The part of changes whose interval leaves zero out by chance


def table(answer: SurveyComparison, top: int | None = None) -> RenderableType:
    """Roles in A and in B, and the `top` partners (10) that are furthest apart, or nearest."""
    return Page(lambda width, hues: _lines(answer, answer.heads[: top or HEADS_SHOWN], width))


def _lines(
    answer: SurveyComparison, shown: Sequence[MatchedHead], width: int
) -> Iterator[RenderableType]:
    for side, model in (("A", answer.a), ("B", answer.b)):
        yield Text.assemble((f"{side}  ", "bold"), visible(str(model)))
    for told in (*attention_of_both(answer), read_in_both(answer)):
        yield from quiet_line(told)
    yield from quiet_line(answer.formula)
    yield Text()
    yield title("how many heads pass a role's test")
    yield _roles(answer)
    yield Text()
    if shown:
        which = "heads of one number" if answer.by == "number" else "each other's nearest heads"
        order = "furthest apart" if answer.by == "number" else "nearest"
        yield title(f"{which}, the {order} first; − a role in A alone, + in B alone")
        yield _partners(answer, shown)
        yield Text()
    for note in _notes(answer, len(shown)):
        yield from quiet_line(note)


def _roles(answer: SurveyComparison) -> Ranking:
    titles = {role.name: role.title for role in answer.roles}
    rows = [
        [
            Text(titles[count.name], style=BOLD),
            *(Text(str(number) if number else "·") for number in (count.a, count.b)),
            *(Text(str(number) if number else "·") for number in (count.gained, count.lost)),
        ]
        for count in answer.counts
        if count.a or count.b
    ]
    numbers = [column(name, "right") for name in ("A", "B", "gained", "lost")]
    return Ranking([column(), *numbers], rows or [[Text("none"), *[Text("·")] * 4]], least=5)


def _partners(answer: SurveyComparison, shown: Sequence[MatchedHead]) -> Ranking:
    between, same = answer.between, answer.by == "number"
    columns = [column("A" if not same else "")] + [column("B")] * (not same)
    columns += [column("distance", "right"), column("roles")]
    columns += [column("nearest"), column("assigned")] if same and between else []
    columns.append(column("changed most"))
    rows = []
    for head in shown:
        distance = "–" if head.distance is None else f"{head.distance:.2f}"
        row = [Text(str(head.a), style=BOLD)] + [Text(str(head.b))] * (not same)
        row += [Text(distance), _roles_of(answer, head)]
        row += _others(answer, between, head) if same and between else []
        row.append(Text("  ".join(map(told_change(answer), _largest(answer, head)))))
        rows.append(row)
    return Ranking(columns, rows, least=3)


def _roles_of(answer: SurveyComparison, head: MatchedHead) -> Text:
    """The roles that the head has in A alone, and in B alone, as in `−no-op +broad`."""
    titles = {role.name: role.title for role in answer.roles}
    parts = [
        (f"{sign}{titles[name]}", f"bold {ramp[-1]}")
        for sign, ramp, names in (
            ("−", RAMPS["cool"], head.lost),
            ("+", RAMPS["warm"], head.gained),
        )
        for name in names
    ]
    return Text("  ").join(Text(*part) for part in parts)


def _others(answer: SurveyComparison, between: BetweenHeads, head: MatchedHead) -> list[Text]:
    """The nearest head of B with its distance, and the one that is assigned."""
    place = answer.heads_a.index(head.a)
    near = between.nearest[0][place]
    nearest, distance = answer.heads_b[near], float(between.matrix[place, near])
    [assigned] = [b for a, b in between.assigned.T.tolist() if a == place]
    style = DIM if nearest == head.b else PLAIN
    other = answer.heads_b[assigned]
    return [
        Text(f"{nearest} {distance:.2f}", style=style),
        Text(str(other), style=DIM if other == head.b else PLAIN),
    ]


def _largest(answer: SurveyComparison, head: MatchedHead) -> list[Change]:
    """The statistics in shares that change most, of those whose interval leaves zero out."""
    shares = {one.name for one in answer.statistics if one.unit == "share"}
    clear = [one for one in head.of("statistic") if one.clear and one.name in shares]
    return sorted(clear, key=lambda one: -abs(one.change or 0))[:CHANGES_SHOWN]


def told_change(answer: SurveyComparison) -> "_Told":
    """Says a change of a statistic, as in `to [CLS] .52 → .11`."""
    return _Told({one.name: one.title for one in answer.statistics})


class _Told:
    def __init__(self, titles: dict[str, str]) -> None:
        self._titles = titles

    def __call__(self, change: Change) -> str:
        a, b = (f"{number:.2f}".removeprefix("0") for number in (change.a or 0, change.b or 0))
        return f"{self._titles[change.name]} {a} → {b}"


def _notes(answer: SurveyComparison, shown: int) -> Iterator[str]:
    hidden = len(answer.heads) - shown
    if hidden > 0:
        yield f"{counted(hidden, 'more head')}: --top {len(answer.heads)} shows all."
    between = answer.between
    if between is None:
        yield "No distance: the two models have no text of at most 512 words in common."
    elif answer.by == "number":
        yield (
            f"{answer.own_nearest} of {len(answer.heads)} heads of one number are each other's "
            f"nearest. Two heads of A and B are {between.matrix.mean():.2f} bits apart on average "
            f"(Jensen-Shannon, over {counted(between.rows, 'word')})."
        )
        if answer.a.name == answer.b.name and not answer.b.trained:
            yield (
                "B is A with weights drawn at random, as before any training: what the heads of A "
                "do beside, they learned."
            )
        else:
            yield (
                "Heads of one number are the same head only where one model came from the other, "
                "as by fine-tuning. nearest: the head of B that is most alike; assigned: each head "
                "of B once, all distances together the smallest."
            )
    else:
        yield (
            f"A has {len(answer.heads_a)} heads and B {len(answer.heads_b)}: heads are partners "
            f"if each is the nearest of the other (Jensen-Shannon, in bits, over "
            f"{counted(between.rows, 'word')}). {len(between.mutual)} are."
        )
    if between is not None and between.apart:
        yield f"{counted(between.apart, 'word')} left out: the models cut their texts otherwise."
    yield from _chance(answer)


def _chance(answer: SurveyComparison) -> Iterator[str]:
    if answer.intervals is None:
        yield (
            "Fewer than six documents: no 95 % interval, and no test; positional and broad are "
            "criteria without one."
        )
        return
    every = [one for head in answer.heads for one in head.of("statistic") if one.low is not None]
    clear = sum(one.clear for one in every)
    yield (
        f"{clear} of {len(every)} statistics differ, their 95 % interval leaving zero out; of "
        f"models that do the same, {LEVEL * len(every):.0f} would."
    )
