"""What heads of A restore in B: a map of all heads, one set of heads at each word, many twins."""

from collections.abc import Iterator

import numpy as np
from rich.console import RenderableType
from rich.table import Column
from rich.text import Text

from attnviz.answers.patch import EachPatched, Effect, Patched, Twins
from attnviz.answers.patch_summary import PatchSummary
from attnviz.show.edit_wording import heads_named
from attnviz.show.effect_wording import number_told
from attnviz.show.labels import names, visible
from attnviz.show.patch_wording import (
    DOUBTS,
    ONE,
    PATCHED,
    both_told,
    hardly_told,
    measured_told,
    rows_told,
    share_told,
    twins_told,
)
from attnviz.show.patch_wording import (
    shown as shown_number,
)
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    LONGEST_WORD,
    PLAIN,
    RAMPS,
    Hues,
    Page,
    Ranking,
    column,
    cut,
    step_of,
    title,
)
from attnviz.show.terminal.compare import sides
from attnviz.show.terminal.grid import HeadGrid
from attnviz.show.terminal.heading import (
    hidden_note,
    legend,
    marked,
    model_line,
    quiet_line,
)
from attnviz.show.terminal.similar import Signed
from attnviz.show.wording import whose

SHOWN = 10  # Heads in a table, unless the user says how many
WORDS_SHOWN = 40  # Positions in a table, unless the user says how many
SMALL = 0.05  # A share of this has the strongest colour, where none is larger
TOWARD = "{warm}: toward A · {cool}: away from A"


def table(answer: Patched, top: int | None = None) -> RenderableType:
    """What heads restore together, and at each word alone; with `top`, the words where most."""
    return Page(lambda width, hues: _patched(answer, top, width, hues))


def each_table(answer: EachPatched, top: int | None = None) -> RenderableType:
    """What each head restores alone: a map, and the `top` heads (10) that restore most."""
    return Page(lambda width, hues: _each(answer, top or SHOWN, width, hues))


def summary_table(answer: PatchSummary, top: int | None = None) -> RenderableType:
    """What each head restores on average over many twins, with intervals."""
    return Page(lambda width, hues: _summary(answer, top or SHOWN, width, hues))


def _each(answer: EachPatched, top: int, width: int, hues: Hues | None) -> Iterator[RenderableType]:
    twins, shown = answer.twins, answer.heads[:top]
    numbers = {one.head: shown_number(one.effect, twins) for one in answer.heads}
    scale = _scale(list(numbers.values()), twins.differ)
    yield from _heading(twins)
    yield from legend(hues, width, TOWARD)
    yield Text()
    yield title(f"{_quantity(twins)} by one head of A in B: {PATCHED[twins.what]}{_rows(twins)}")
    yield from HeadGrid(numbers, scale, "warm").blocks(width)
    yield from quiet_line(scale.note)
    rows = [
        [
            Text(str(one.rank), style=DIM),
            Text(str(one.head), style=BOLD),
            *_cells(one.effect, twins),
        ]
        for one in shown
    ]
    columns = [column(justify="right"), column("head"), *_columns(twins)]
    bars = [_bar(numbers[one.head], scale) for one in shown]
    yield Ranking(columns, rows, least=3, bars=bars)
    yield Text()
    if top < len(answer.heads):
        yield from quiet_line(hidden_note(twins.alignment.b, len(answer.heads), top))
    yield from _closing(answer)


def _closing(answer: EachPatched) -> Iterator[RenderableType]:
    twins, heads = answer.twins, answer.heads
    if twins.differ:
        above = [one for one in heads if (one.effect.restored or 0) > 1 + ONE]
        below = [one for one in heads if (one.effect.restored or 0) < -ONE]
        if above:
            told = share_told(above[0].effect.restored)
            yield from quiet_line(f"Beyond 1: with {above[0].head}, B goes beyond A ({told}).")
        if below:
            many = f"{len(below)} heads move" if len(below) > 1 else "1 head moves"
            last = below[-1]
            yield from quiet_line(
                f"Below 0: {many} B away from A; {last.head} most, by "
                f"{share_told(last.effect.restored)}."
            )
    yield from quiet_line(DOUBTS)


def _patched(
    answer: Patched, top: int | None, width: int, hues: Hues | None
) -> Iterator[RenderableType]:
    twins, effect = answer.twins, answer.effect
    heads = heads_named(answer.heads, twins.alignment.b.num_heads)
    yield from _heading(twins)
    yield Text()
    what = PATCHED[twins.what]
    yield Text(f"{heads} of A in B", style="bold", overflow="fold").append(
        f"  {what}{_rows(twins)}", "not bold dim"
    )
    yield Text(_effect_told(effect, twins))
    if answer.positions:
        yield Text()
        yield from _positions(answer, top, width, hues)
    yield Text()
    yield from quiet_line(DOUBTS)


def _effect_told(effect: Effect, twins: Twins) -> str:
    """What a patched run restores, and what it says then."""
    now = number_told(effect.value)
    told = f"B goes from {number_told(twins.b.value)} to {now}"
    if effect.restored is not None:
        told = f"restores {share_told(effect.restored)} of the difference: {told}"
        if effect.restored > 1 + ONE:
            told += ", beyond A"
        elif effect.restored < -ONE:
            told += ", away from A"
    if effect.best is not None and effect.best != twins.b.best:
        told += f'; it says "{visible(effect.best.strip())}", not "{_best(twins.b.best)}"'
    return told


def _positions(
    answer: Patched, top: int | None, width: int, hues: Hues | None
) -> Iterator[RenderableType]:
    """The sentence, shaded, and a line for each word that is patched alone."""
    twins = answer.twins
    long = top is None and len(answer.positions) > WORDS_SHOWN
    shown = answer.listed(WORDS_SHOWN if long else top)
    numbers = [shown_number(one.effect, twins) for one in answer.positions]
    scale = _scale(numbers, twins.differ)
    by_key = twins.what in ("k", "v") and twins.alignment.b.is_cross_attention
    called = names(twins.alignment.b, "key" if by_key else "query")
    yield title(f"{_quantity(twins)} at each word alone")
    styles = {
        one.b: str(scale.style(number))
        for one, number in zip(answer.positions, numbers, strict=True)
        if scale.strong(abs(number))
    }
    yield from marked(twins.alignment.b, {} if by_key else styles, styles if by_key else None)
    yield from legend(hues, width, TOWARD)
    rows = []
    for one in shown:
        name = called[one.b.index]
        if one.a.label.casefold() != one.b.label.casefold():
            name = f"{visible(one.a.label)}→{name}"
        style = DIM if one.b.special else PLAIN
        named = Text(cut(name, 2 * LONGEST_WORD), style=style)
        rows.append([named, *_cells(one.effect, twins)])
    bars = [_bar(shown_number(one.effect, twins), scale) for one in shown]
    yield Ranking([column(), *_columns(twins)], rows, least=2, bars=bars)
    hidden = len(answer.positions) - len(shown)
    if hidden:
        yield from quiet_line(f"{hidden} more words: --top {len(answer.positions)} ranks all.")


def _summary(
    answer: PatchSummary, top: int, width: int, hues: Hues | None
) -> Iterator[RenderableType]:
    numbers = {one.head: one.mean for one in answer.heads}
    scale, shown = _scale(list(numbers.values()), True), answer.heads[:top]
    yield model_line(answer.context)
    yield from quiet_line(whose(answer.context))
    yield from quiet_line(f"measured: {measured_told(answer.outcome, own_words=answer.own_words)}")
    yield from quiet_line("; ".join(twins_told(answer)))
    yield from quiet_line("restored = (patched − B) / (A − B): 0 nothing, 1 all")
    yield from legend(hues, width, TOWARD)
    yield Text()
    what = PATCHED[answer.what]
    yield title(f"mean share restored by one head of A in B, over the twins: {what}")
    yield from HeadGrid(numbers, scale, "warm").blocks(width)
    yield from quiet_line(scale.note)
    rows = []
    for one in shown:
        ends = " … ".join(share_told(end) for end in one.interval or ())
        style = BOLD if one.told_apart else PLAIN
        rows.append(
            [
                Text(str(one.rank), style=DIM),
                Text(str(one.head), style=style),
                Text(share_told(one.mean)),
                Text(ends),
                Text(f"{one.toward} / {answer.twins}"),
            ]
        )
    columns = [column(justify="right"), column("head"), column("mean", "right")]
    columns += [column("95% interval", "right"), column("toward A", "right")]
    bars = [_bar(one.mean, scale) for one in shown]
    yield Ranking(columns, rows, least=3, bars=bars)
    yield Text()
    if top < len(answer.heads):
        yield from quiet_line(hidden_note(answer.context, len(answer.heads), top))
    if any(one.interval for one in answer.heads):
        yield from quiet_line(
            "Bold: the interval leaves out 0. Of many heads some do by chance: one in twenty."
        )
    else:
        yield from quiet_line("There are too few twins for intervals: six are the least.")
    yield from quiet_line(DOUBTS)


def _heading(twins: Twins) -> Iterator[RenderableType]:
    """Model, both sentences, and what is measured in both."""
    token, words = twins.outcome.token, twins.alignment
    query = None
    if twins.outcome.name == "states" and token is not None:
        columns = enumerate(words.columns)
        query = next((i for i, (_, b, _) in columns if b is not None and b == token), None)
    yield from sides(words, query)
    yield from quiet_line(f"measured: {measured_told(twins.outcome, words.b)}")
    yield Text(both_told(twins))
    if twins.differ:
        yield from quiet_line("restored = (patched − B) / (A − B): 0 nothing, 1 all")
    else:
        yield from quiet_line(f"{hardly_told(twins)}; numbers are changes of what is measured")


def _quantity(twins: Twins) -> str:
    return "share restored" if twins.differ else "change of B"


def _rows(twins: Twins) -> str:
    told = rows_told(twins)
    return f" {told}" if told else ""


def _cells(effect: Effect, twins: Twins) -> list[Text]:
    number = shown_number(effect, twins)
    share = share_told(number) if twins.differ else number_told(number)
    cells = [Text(share), Text(number_told(effect.value))]
    if twins.b.best is not None:
        changed = effect.best != twins.b.best
        cells.append(Text(cut(_best(effect.best), LONGEST_WORD), style=BOLD if changed else DIM))
    return cells


def _best(best: str | None) -> str:
    return visible((best or "").strip())


def _columns(twins: Twins) -> list[Column]:
    named = [column("restored" if twins.differ else "change", "right"), column("B then", "right")]
    return [*named, *([] if twins.b.best is None else [column("says")])]


def _scale(numbers: list[float], shares: bool) -> Signed:
    """The scale of these numbers; where all shares are small, they are shown so."""
    scale = Signed.to(np.array(numbers))
    return Signed(max(scale.largest if any(numbers) else 0, SMALL)) if shares else scale


def _bar(number: float, scale: Signed) -> tuple[float, str]:
    part = abs(number) / scale.largest
    return part, step_of(RAMPS["warm" if number >= 0 else "cool"], part)
