"""What ablated heads change: the words that move most, predictions, and every head's own effect."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.text import Text

from attnviz.answers.ablate import DISTANCE, Ablation, EachAblation, Moved, Prediction
from attnviz.inspection import Context
from attnviz.show.edit_wording import DOUBTS, NEAR_THE_END, heads_named, one_head, part_of, put_in
from attnviz.show.labels import names, visible
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    MARKER,
    PLAIN,
    QUIET_BELOW,
    RAMPS,
    Hues,
    Page,
    Ranking,
    Scale,
    Tone,
    column,
    cut,
    step_of,
    title,
)
from attnviz.show.terminal.effects import effect_lines
from attnviz.show.terminal.grid import HeadGrid
from attnviz.show.terminal.heading import (
    ASKED,
    WORD_OR_SPECIAL,
    hidden_note,
    legend,
    marked,
    model_line,
    quiet_line,
)
from attnviz.show.wording import unknown_legend, window_told
from attnviz.text.tokens import Token

SHOWN = 10  # Words, or heads, in a table, unless the user says how many
LONGEST_WORD = 18  # Cells of a word beyond which it is cut


@dataclass(frozen=True)
class Distances(Scale):
    """How distances are shown: beside the largest, most of them being far below 1."""

    @classmethod
    def to(cls, largest: float, readable: float) -> "Distances":
        """The scale for distances up to `largest`; below `readable` it has a unit."""
        if not largest > 0:
            return cls()
        small = largest < readable
        return cls(largest, 10.0 ** (math.floor(math.log10(largest)) + 1) if small else 1.0)

    def text(self, weight: float) -> str:
        """A distance in four cells."""
        return _digits(weight / self.unit, 3)

    def fine(self, distance: float) -> str:
        """A distance in five cells."""
        return _digits(distance / self.unit, 4)

    def told(self, distance: float) -> str:
        """A distance within a sentence: what rounds to zero is told as the smallest number."""
        return self.fine(max(distance, 1e-4 * self.unit)).strip()


def _digits(number: float, decimals: int) -> str:
    """A number in so many cells and one: `.007`, `1.20`, and a dot for what rounds to zero."""
    if round(number, decimals) == 0:
        return "·".rjust(decimals + 1)
    if round(number, decimals) < 1:
        return f"{number:.{decimals}f}"[1:]
    return f"{number:.{decimals - 1}f}"


def table(answer: Ablation | EachAblation, top: int | None = None) -> RenderableType:
    """What moves: words, or the heads that move most; `top` of them, 10 unless told."""
    if isinstance(answer, Ablation):
        return Page(lambda width, hues: _moved(answer, top or SHOWN, width, hues))
    return Page(lambda width, hues: _effects(answer, top or SHOWN, width, hues))


def _moved(ablation: Ablation, top: int, width: int, hues: Hues | None) -> Iterator[RenderableType]:
    """The sentence, shaded, then the words that move most, and predictions at masks."""
    context, shown, query = ablation.context, ablation.listed(top), ablation.query
    count, scale = len(ablation.moved), Distances.to(ablation.moved[0].distance, readable=0.001)
    yield from _heading(context, ablation.moved[:top], scale, query)
    yield from legend(hues, width, *WORD_OR_SPECIAL)
    yield Text()
    called = names(context, "query")
    moving = f"each {context.unit}" if query is None else called[query.index]
    if ablation.effect.verdict is None:
        yield _edited(ablation).append(f": how far {moving} moves", "not bold dim")
    else:
        yield _edited(ablation)
        yield from effect_lines(ablation.effect, context, len(ablation.heads) > 1)
        yield Text()
        yield title(f"how far {moving} moves")
    rows = []
    for moved in shown:
        name = cut(called[moved.token.index], LONGEST_WORD)
        named = Text(name, style=DIM if moved.token.special else PLAIN)
        rows.append([named, Text(scale.fine(moved.distance))])
    bars = [_bar(moved.distance, scale, _tone(moved.token)) for moved in shown]
    yield Ranking([column(), column()], rows, bars=bars)
    for prediction in ablation.predictions or ():
        yield Text()
        yield from _prediction(context, prediction)
    yield Text()
    if query is not None:
        first = called[ablation.moved[0].token.index]
        yield from quiet_line(
            f"{ablation.rank} of {count} by how far they move; {first} moves most, by "
            f"{scale.told(ablation.moved[0].distance)}."
        )
    elif len(shown) < count:
        rest = scale.told(ablation.moved[len(shown)].distance)
        yield from quiet_line(
            f"{count - len(shown)} of {count} are not shown: none of them moves by more than "
            f"{rest}. --top {count} shows all."
        )
    yield from quiet_line(DOUBTS.format("distance"))


def _edited(ablation: Ablation) -> Text:
    """Which heads are edited, and how."""
    heads, how = ablation.heads, ablation.how
    named, part = heads_named(heads, ablation.context.model.num_heads), part_of(how)
    text = Text(named if part else f"without {named}", style="bold", overflow="fold")
    by = f"set to {put_in(how, len(heads) > 1)}"
    return text.append(f"  {part} {by}" if part else f"  {by}", "not bold dim")


def _effects(
    each: EachAblation, top: int, width: int, hues: Hues | None
) -> Iterator[RenderableType]:
    """Every head's own effect on a word, or on all of them: a grid, then the heads, ranked."""
    context, heads, query = each.context, each.heads, each.query
    scale, called = Distances.to(heads[0].distance, readable=0.01), names(context, "query")
    yield from _heading(context, (), scale, query)
    yield from legend(hues, width, "fuller {warm}: moves further")
    yield Text()
    moves = "words move on average" if query is None else f"{called[query.index]} moves"
    yield title(f"how far {moves} if {one_head(each.how)} is set to {put_in(each.how)}")
    yield from HeadGrid({one.head: one.distance for one in heads}, scale, "warm").blocks(width)
    shown = heads[:top]
    rows = [
        [
            Text(str(effect.rank), style=DIM),
            Text(str(effect.head), style=BOLD),
            Text(scale.fine(effect.distance)),
            *([Text(cut(called[effect.most.token.index], LONGEST_WORD))] if query is None else []),
        ]
        for effect in shown
    ]
    columns = [column(justify="right"), *(column() for _ in rows[0][1:])]
    bars = [_bar(effect.distance, scale, "warm") for effect in shown]
    yield Ranking(columns, rows, least=3, bars=bars)
    yield Text()
    for note in _notes(each, scale, top):
        yield from quiet_line(note)


def _notes(each: EachAblation, scale: Distances, top: int) -> Iterator[str]:
    heads, count, unit = each.heads, len(each.heads), each.context.unit
    if each.query is None:
        yield (
            f"A mean over all {unit}s but special tokens. Beside each head stands the {unit} that "
            "it moves most."
        )
    else:
        name = names(each.context, "query")[each.query.index]
        yield (
            f'{heads[0].head} moves "{name}" most, by '
            f"{scale.told(heads[0].distance)}; half of the {count} heads move it by "
            f"{scale.told(heads[count // 2].distance)} or less."
        )
    if top < count:
        yield hidden_note(each.context, count, top)
    yield NEAR_THE_END
    yield DOUBTS.format("distance")


def _heading(
    context: Context, moved: Sequence[Moved], scale: Scale, query: Token | None = None
) -> Iterator[RenderableType]:
    """The model, the sentence, the words that moved shaded and the query marked; the formula."""
    yield model_line(context)
    styles = {
        one.token: str(scale.style(one.distance, _tone(one.token)))
        for one in moved
        if one.distance >= QUIET_BELOW * scale.largest
    }
    yield from marked(context, styles if query is None else {**styles, query: ASKED})
    yield from quiet_line(unknown_legend(context))
    yield from quiet_line(window_told(context))
    formula = f"distance: {DISTANCE} of final hidden states"
    yield Text("; ".join(filter(None, (formula, scale.note))), style="dim")


def _tone(token: Token) -> Tone:
    return "cool" if token.special else "warm"


def _bar(distance: float, scale: Scale, tone: Tone) -> tuple[float, str]:
    part = distance / scale.largest
    return part, step_of(RAMPS[tone], part)


def _prediction(context: Context, prediction: Prediction) -> Iterator[RenderableType]:
    name = names(context, "query", every=True)[prediction.token.index]
    yield Text.assemble((name, BOLD), (": what is predicted", DIM))
    rows = []
    for rank, guesses in enumerate(zip(prediction.before, prediction.after, strict=True)):
        cells = []
        for guess in guesses:
            mark, style = ("  ", PLAIN) if rank else (f"{MARKER} ", BOLD)
            cells.append(Text(mark + cut(visible(guess.token), LONGEST_WORD), style=style))
            cells.append(Text(f"{guess.probability:.0%}"))
        rows.append(cells)
    columns = [column("  before"), column(justify="right"), column("  after")]
    yield Ranking([*columns, column(justify="right")], rows, least=4)
    best, kept = prediction.before[0], prediction.kept
    told = f"  {visible(best.token)}: {best.probability:.0%} → {kept.probability:.0%}"
    yield Text(told, no_wrap=True, overflow="ellipsis")
