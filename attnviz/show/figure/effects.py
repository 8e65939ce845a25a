"""Pictures of what edits change in what a model says: a map of heads, and the first as bars."""

from dataclasses import replace

from matplotlib.figure import Figure

from attnviz.answers.ablation_summary import AblationSummary
from attnviz.answers.effects import EachOutcome
from attnviz.inspection import Context
from attnviz.show.edit_wording import heads_named
from attnviz.show.effect_wording import (
    change_told,
    number_told,
    outcome_told,
    read_told,
    summary_line,
)
from attnviz.show.figure.captions import heading
from attnviz.show.figure.drawing import drawing_of
from attnviz.show.figure.heads import edit_notes
from attnviz.show.figure.language import say
from attnviz.show.figure.ranking import HEADS_SHOWN, Bar, Ranked, draw_ranked, turned
from attnviz.show.figure.similar import FALLS, RISES
from attnviz.show.forms import Limits
from attnviz.show.labels import visible
from attnviz.show.wording import unknown_legend, whose

LEGEND = "blue: helps, less without the head; orange: hurts, more without it"


def each_figure(answer: EachOutcome, top: int | None = None, scale: Limits | None = None) -> Figure:
    """How an outcome changes without each head alone: all on a map, the `top` (10) as bars."""
    context, shown = answer.context, answer.heads[: top or HEADS_SHOWN]
    with_best = any(one.effect.after.best != answer.before.best for one in shown)
    bars = []
    for one in shown:
        effect = one.effect
        best = effect.after.best if effect.after.best != answer.before.best else None
        cells = [change_told(effect.change), number_told(effect.after.value)]
        cells += [say(effect.verdict or ""), *([visible(best or "")] if with_best else [])]
        bars.append(bar(str(one.head), effect.change, tuple(cells)))
    columns = ("change", "then", "what it does", *(["likeliest then"] if with_best else []))
    changes = {one.head: one.effect.change for one in answer.heads}
    before = f"{outcome_told(answer.outcome, context)}: {number_told(answer.before.value)}"
    notes = [visible(before), *edit_notes(answer.how, None, "what the model says then"), LEGEND]
    with drawing_of(context):
        ranked = Ranked("", "change", changes, True, change_told, "", columns, bars)
        title = heading(context, [one.head for one in answer.heads])
        title = replace(title, notes=tuple(filter(None, [*notes, *_about(context)])))
        return draw_ranked(title, [ranked], scale)


def summary_figure(
    answer: AblationSummary, top: int | None = None, scale: Limits | None = None
) -> Figure:
    """The mean change without each head over many sentences: a map, and bars with intervals."""
    context, shown = answer.context, answer.heads[: top or HEADS_SHOWN]
    with_accuracy = any(one.accuracy is not None for one in shown)
    bars = []
    for one in shown:
        mean, low, high = one.change.mean or 0.0, one.change.low, one.change.high
        ends = None if low is None or high is None else (low, high)
        told = "" if ends is None else " … ".join(map(change_told, ends))
        cells = [change_told(mean), told, say(one.verdict or "")]
        if with_accuracy:
            right = one.accuracy
            cells.append("" if right is None else f"{right.before:.0%} → {right.after:.0%}")
        name = heads_named(one.heads, context.model.num_heads)
        bars.append(bar(name, mean, tuple(cells), ends))
    columns = ("change", "95% interval", "what it does", *(["accuracy"] if with_accuracy else []))
    changes = {one.head: one.change.mean or 0.0 for one in answer.heads}
    count = None if len(answer.heads) > 1 else len(answer.heads[0].heads)
    notes = [say(read_told(answer)), visible(summary_line(answer))]
    states = answer.outcome.name == "states"
    measured = "how far final states move" if states else "what the model says then"
    notes += [*edit_notes(answer.how, count, measured), "" if states else LEGEND, whose(context)]
    with drawing_of(context):
        ranked = Ranked("", "mean change", changes, True, change_told, "", columns, bars)
        title = heading(context, [head for one in answer.heads for head in one.heads])
        title = replace(title, sentences=(), notes=tuple(filter(None, notes)))
        return draw_ranked(title, [ranked], scale, no_map=len(answer.heads) == 1)


def bar(
    name: str, change: float, cells: tuple[str, ...], interval: tuple[float, float] | None = None
) -> Bar:
    """A change's bar, as long as it is large, in the colour of its sign."""
    color = FALLS if change < 0 else RISES
    return Bar(name, abs(change), cells, interval=turned(change, interval), color=color)


def _about(context: Context) -> list[str]:
    return [whose(context), unknown_legend(context)]
