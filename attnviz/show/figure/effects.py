"""Pictures of what edits change in what a model says: a map of heads, and the first as bars."""

from dataclasses import replace

from matplotlib.figure import Figure

from attnviz.answers.effects import EachOutcome
from attnviz.inspection import Context
from attnviz.show.effect_wording import change_told, number_told, outcome_told
from attnviz.show.figure.captions import heading
from attnviz.show.figure.drawing import drawing_of
from attnviz.show.figure.heads import edit_notes
from attnviz.show.figure.language import say
from attnviz.show.figure.ranking import HEADS_SHOWN, Bar, Ranked, draw_ranked
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


def bar(
    name: str, change: float, cells: tuple[str, ...], interval: tuple[float, float] | None = None
) -> Bar:
    """A change's bar, as long as it is large, in the colour of its sign."""
    sign = -1 if change < 0 else 1
    turned = None
    if interval is not None:
        low, high = sorted(sign * end for end in interval)
        turned = max(low, 0.0), high
    color = FALLS if change < 0 else RISES
    return Bar(name, abs(change), cells, interval=turned, color=color)


def _about(context: Context) -> list[str]:
    return [whose(context), unknown_legend(context)]
