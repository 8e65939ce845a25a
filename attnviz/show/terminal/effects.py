"""What edits change in what a model says: each head's own effect, and over many sentences."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from attnviz.answers.ablation_summary import AblationSummary, HeadSummary
from attnviz.answers.effects import EachOutcome, Effect, HeadOutcome
from attnviz.inspection import Context
from attnviz.show.edit_wording import DOUBTS, heads_named, one_head, part_of, put_in
from attnviz.show.effect_wording import (
    best_told,
    change_told,
    does_told,
    number_told,
    outcome_told,
    read_told,
    summary_line,
    summary_notes,
)
from attnviz.show.labels import visible
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    LONGEST_WORD,
    PLAIN,
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
from attnviz.show.wording import unknown_legend, whose, window_told

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


def summary_table(answer: AblationSummary, top: int | None = None) -> RenderableType:
    """The mean change without each head, over many sentences, and what each head does."""
    return Page(lambda width, hues: _summary(answer, top or SHOWN, width, hues))


def _summary(
    answer: AblationSummary, top: int, width: int, hues: Hues | None
) -> Iterator[RenderableType]:
    outcome, heads = answer.outcome, answer.heads
    yield model_line(answer.context)
    yield from quiet_line(whose(answer.context))
    yield Text(read_told(answer))
    yield from quiet_line(outcome.formula)
    yield Text()
    yield Text(summary_line(answer), style=BOLD)
    changes = {one.head: one.change.mean or 0.0 for one in heads}
    scale = Signed.to(np.array(list(changes.values())))
    if outcome.name != "states":
        if hues is None:
            yield from quiet_line(FALLS_OR_RISES)
        yield from legend(hues, width, HELPS_OR_HURTS)
    yield Text()
    how = f"set to {put_in(answer.how)}"
    if len(heads) > 1:
        yield title(f"the mean change if {one_head(answer.how)} is {how}")
        yield from HeadGrid(changes, scale, "warm", most=heads[0].head).blocks(width)
        yield from quiet_line(scale.note)
    else:
        named = heads_named(heads[0].heads, answer.context.model.num_heads)
        part = part_of(answer.how)
        yield title(f"the mean change if {f'{part} of ' if part else ''}{named} is {how}")
    yield _means(answer, heads[:top], scale.largest)
    yield Text()
    for note in summary_notes(answer):
        yield from quiet_line(note)
    if top < len(heads):
        yield from quiet_line(hidden_note(answer.context, len(heads), top))
    yield from quiet_line(DOUBTS.format("change"))


def _means(answer: AblationSummary, shown: Sequence[HeadSummary], largest: float) -> Ranking:
    """The heads with their mean changes, intervals, verdicts and accuracies."""
    rows = []
    signs, labelled = shown[0].verdict is not None, shown[0].accuracy is not None
    titles = ["", "head", "change", *(["95 % interval"] if answer.has_intervals else [])]
    titles += [*(["what it does"] if signs else []), *(["accuracy"] if labelled else [])]
    for one in shown:
        low, high = one.change.low, one.change.high
        named = heads_named(one.heads, answer.context.model.num_heads)
        cells = [str(one.rank), named, change_told(one.change.mean or 0.0)]
        if low is not None and high is not None:
            cells.append(f"{change_told(low)} … {change_told(high)}")
        cells += [one.verdict] if one.verdict is not None else []
        if one.accuracy is not None:
            cells.append(f"{one.accuracy.before:.0%} → {one.accuracy.after:.0%}")
        styles = [DIM, BOLD, *[PLAIN] * len(cells[2:])]
        rows.append([Text(cell, style=style) for cell, style in zip(cells, styles, strict=True)])
    columns = [column(name, "right" if name == "change" else "left") for name in titles]
    bars = [bar(one.change.mean or 0.0, largest) for one in shown]
    return Ranking(columns, rows, least=3, bars=bars)


def _notes(answer: EachOutcome, top: int) -> Iterator[str]:
    heads, count = answer.heads, len(answer.heads)
    half = abs(heads[count // 2].effect.change)
    yield f"Half of the {count} heads change it by {number_told(half)} or less."
    if top < count:
        yield hidden_note(answer.context, count, top)
    yield DOUBTS.format("change")
