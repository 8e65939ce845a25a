"""What edits change in what a model says: each head's own effect, and over many sentences."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from attnviz.answers.effects import EachOutcome, Effect, HeadOutcome
from attnviz.inspection import Context
from attnviz.show.edit_wording import DOUBTS, one_head, put_in
from attnviz.show.effect_wording import (
    best_told,
    change_told,
    does_told,
    number_told,
    outcome_told,
)
from attnviz.show.labels import visible
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    LONGEST_WORD,
    RAMPS,
    Hues,
    Page,
    Ranking,
    Tone,
    column,
    cut,
    step_of,
    title,
)
from attnviz.show.terminal.grid import HeadGrid
from attnviz.show.terminal.heading import (
    hidden_note,
    legend,
    marked,
    model_line,
    quiet_line,
)
from attnviz.show.terminal.similar import Signed
from attnviz.show.wording import unknown_legend, window_told

SHOWN = 10  # Heads in a table, unless the user says how many
HELPS_OR_HURTS = "{cool}: helps, less without the head · {warm}: hurts, more without it"
FALLS_OR_RISES = "−: less without the head, which helps; +: more, it hurts"


def tone_of(change: float) -> Tone:
    """As the scale has it: what helps, and is less without the head, is cool."""
    return "warm" if change >= 0 else "cool"


def effect_lines(effect: Effect, context: Context, several: bool) -> Iterator[Text]:
    """An outcome before and after, what that says of the heads, and what is likeliest."""
    told = outcome_told(effect.outcome, context)
    line = Text(f"{told[0].upper()}{told[1:]}: ", overflow="fold")
    numbers = f"{number_told(effect.before.value)} → {number_told(effect.after.value)}"
    line.append(numbers, BOLD).append(f"  ({change_told(effect.change)}): ")
    yield line.append(does_told(effect, several), BOLD)
    yield from quiet_line(best_told(effect))


def each_table(answer: EachOutcome, top: int | None = None) -> RenderableType:
    """How an outcome changes without each head: a grid, and the `top` heads that change it most."""
    return Page(lambda width, hues: _each(answer, top or SHOWN, width, hues))


def _each(answer: EachOutcome, top: int, width: int, hues: Hues | None) -> Iterator[RenderableType]:
    context, outcome = answer.context, answer.outcome
    yield model_line(context)
    asked = outcome.token if outcome.name != "next" else None
    yield from marked(context, {} if asked is None else {asked: "bold underline"})
    yield from quiet_line(unknown_legend(context))
    yield from quiet_line(window_told(context))
    yield from quiet_line(outcome.formula)
    yield Text()
    told = outcome_told(outcome, context)
    line = Text(f"{told[0].upper()}{told[1:]}: ", overflow="fold")
    yield line.append(number_told(answer.before.value), BOLD)
    changes = {one.head: one.effect.change for one in answer.heads}
    scale = Signed.to(np.array(list(changes.values())))
    if hues is None:
        yield from quiet_line(FALLS_OR_RISES)
    yield from legend(hues, width, HELPS_OR_HURTS)
    yield Text()
    yield title(f"how it changes if {one_head(answer.how)} is set to {put_in(answer.how)}")
    most = answer.heads[0].head
    yield from HeadGrid(changes, scale, "warm", most=most).blocks(width)
    yield from quiet_line(scale.note)
    yield _ranking(answer.heads[:top], scale.largest)
    yield Text()
    for note in _notes(answer, top):
        yield from quiet_line(note)


def _ranking(shown: Sequence[HeadOutcome], largest: float) -> Ranking:
    """The heads with what they change."""
    rows = []
    with_best = any(one.effect.after.best != one.effect.before.best for one in shown)
    for one in shown:
        effect = one.effect
        now = effect.after.best if effect.after.best != effect.before.best else None
        rows.append(
            [
                Text(str(one.rank), style=DIM),
                Text(str(one.head), style=BOLD),
                Text(change_told(effect.change)),
                Text(number_told(effect.after.value)),
                Text(effect.verdict or ""),
                *([Text(cut(visible(now or ""), LONGEST_WORD))] if with_best else []),
            ]
        )
    columns = [column(justify="right"), column("head"), column("change", "right")]
    columns += [column("then", "right"), column("what it does")]
    columns += [column("likeliest then")] if with_best else []
    return Ranking(columns, rows, least=3, bars=[bar(one.effect.change, largest) for one in shown])


def bar(change: float, largest: float) -> tuple[float, str]:
    """A change's bar, and its colour."""
    return abs(change) / largest, step_of(RAMPS[tone_of(change)], 1.0)


def _notes(answer: EachOutcome, top: int) -> Iterator[str]:
    heads, count = answer.heads, len(answer.heads)
    half = abs(heads[count // 2].effect.change)
    yield f"Half of the {count} heads change it by {number_told(half)} or less."
    if top < count:
        yield hidden_note(answer.context, count, top)
    yield DOUBTS.format("change")
