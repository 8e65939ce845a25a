"""What ablated heads change: the words that move most, predictions, and every head's own effect."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from attnviz.answers.ablate import DISTANCE, Ablation, EachAblation, Moved, Prediction
from attnviz.inspection import Context, HeadId
from attnviz.inspection.ablated import Guess, Replacement
from attnviz.show.labels import visible
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    MARKER,
    PLAIN,
    QUIET_BELOW,
    RAMPS,
    Line,
    Scale,
    Tone,
    bar,
    cut,
    fit,
    label,
    percent,
    render_lines,
    sentences,
    width_of,
)
from attnviz.show.terminal.grid import HeadGrid
from attnviz.show.terminal.heading import ASKED, hidden_note, marked, model_line, quiet_line
from attnviz.show.wording import window_told
from attnviz.text.tokens import Token

SHOWN = 10
"""Words, or heads, in a table, unless the user says how many."""

LONGEST_WORD = 18
LONGEST_BAR = 40
NUMBER = 5
"""Cells of a word's name at most, of the longest bar, and of a number."""

HEADS_NAMED = 6
"""How many heads a line names; the others are counted."""

REPLACED: dict[Replacement, tuple[str, str]] = {
    "zero": ("zero", "zero"),
    "mean": ("its mean over the sentence", "their means over the sentence"),
}
"""What stands in for one head's output, and for those of several."""

DOUBTS = (
    "A small distance does not mean that a head does nothing: other heads may make up for it, and "
    "it may matter in other sentences."
)

NEAR_THE_END = (
    "Heads of the last layer change final states at first hand, others through the layers above."
)


@dataclass(frozen=True)
class Distances(Scale):
    """How distances are shown: beside the largest, most of them being far below 1."""

    @classmethod
    def to(cls, largest: float, readable: float) -> "Distances":
        """The scale for distances, the largest of which is `largest`.

        Where that is below `readable`, they are told as multiples of a power of ten.
        """
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
    top = top or SHOWN
    return MovedWords(answer, top) if isinstance(answer, Ablation) else HeadEffects(answer, top)


@dataclass(frozen=True, eq=False)
class MovedWords:
    """What moves without some heads: the sentence, shaded, then the `top` words that move most."""

    ablation: Ablation
    top: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        shown = self.ablation.moved[: self.top]
        yield from _heading(self.ablation.context, shown, self._scale)
        yield Text()
        title = Text(f"without {self._heads}", style="bold", overflow="fold")
        replaced = REPLACED[self.ablation.replacement][len(self.ablation.heads) > 1]
        what = f"  set to {replaced}: how far each {self.ablation.context.unit} moves"
        yield title.append(what, style="not bold dim")
        yield from render_lines(self._rows(shown, width), width)
        for prediction in self.ablation.predictions or ():
            yield Text()
            yield from render_lines(_prediction(prediction, width), width)
        yield Text()
        for note in self._notes(len(shown)):
            yield from render_lines(sentences(note, width), width)

    def _rows(self, shown: Sequence[Moved], width: int) -> Iterator[Line]:
        """A line a word; a word that occurs more than once has its index beside it."""
        times = Counter(label(token).casefold() for token in self.ablation.context.tokens)
        several = [times[label(moved.token).casefold()] > 1 for moved in shown]
        places = [
            f" @{moved.token.index}" if doubt else ""
            for moved, doubt in zip(shown, several, strict=True)
        ]
        beside = max(map(len, places))
        most = max(1, min(LONGEST_WORD, width - beside - NUMBER - 2))
        names = width_of((moved.token for moved in shown), most)
        room = width - names - beside - NUMBER - 4
        for moved, place in zip(shown, places, strict=True):
            yield [
                Segment(fit(label(moved.token), names), DIM if moved.token.special else PLAIN),
                Segment(fit(place, beside), DIM),
                Segment(f"  {self._scale.fine(moved.distance)}  ", PLAIN),
                _bar(moved.distance, self._scale, _tone(moved.token), room),
            ]

    @cached_property
    def _scale(self) -> Distances:
        return Distances.to(self.ablation.moved[0].distance, readable=0.001)

    @cached_property
    def _heads(self) -> str:
        return heads_named(self.ablation.heads, self.ablation.context.model.num_heads)

    def _notes(self, shown: int) -> Iterator[str]:
        count = len(self.ablation.moved)
        if shown < count:
            rest = self._scale.told(self.ablation.moved[shown].distance)
            yield (
                f"{count - shown} of {count} are not shown: none of them moves by more than "
                f"{rest}. --top {count} shows all."
            )
        yield DOUBTS


@dataclass(frozen=True, eq=False)
class HeadEffects:
    """What every head alone does to a word, or to all of them: a grid, then the `top` heads."""

    each: EachAblation
    top: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, heads = options.max_width, self.each.heads
        scale = Distances.to(heads[0].distance, readable=0.01)
        yield from _heading(self.each.context, (), scale, self.each.query)
        yield Text()
        yield Text(self._question(width), style="bold")
        grid = HeadGrid({effect.head: effect.distance for effect in heads}, scale, "warm")
        yield from render_lines(grid.blocks(width), width)
        yield from render_lines(self._ranking(scale, width), width)
        yield Text()
        for note in self._notes(scale):
            yield from render_lines(sentences(note, width), width)

    def _question(self, width: int) -> str:
        query = self.each.query
        moves = "words move in the mean" if query is None else f"{label(query)} moves"
        asked = f"how far {moves} if one head is set to {REPLACED[self.each.replacement][0]}"
        return cut(asked, width)

    def _ranking(self, scale: Distances, width: int) -> Iterator[Line]:
        shown = self.each.heads[: self.top]
        ranks = len(str(shown[-1].rank))
        names = max(len(str(effect.head)) for effect in shown)
        words = 0
        if self.each.query is None:
            words = 2 + width_of((effect.most.token for effect in shown), LONGEST_WORD)
        room = width - ranks - names - words - NUMBER - 5
        for effect in shown:
            moved = effect.most
            line = [
                Segment(fit(str(effect.rank), ranks, right=True) + " ", DIM),
                Segment(fit(str(effect.head), names), BOLD),
                Segment(f"  {scale.fine(effect.distance)}  ", PLAIN),
            ]
            if words:
                line.append(Segment(fit(label(moved.token), words), PLAIN))
            yield [*line, _bar(effect.distance, scale, "warm", room)]

    def _notes(self, scale: Distances) -> Iterator[str]:
        heads, count = self.each.heads, len(self.each.heads)
        best, middle = heads[0], heads[count // 2]
        if self.each.query is None:
            unit = self.each.context.unit
            yield (
                f"A mean over all {unit}s but special tokens. Beside each head stands the {unit} "
                "that it moves most."
            )
        else:
            yield (
                f'{best.head} moves "{label(self.each.query)}" most, by '
                f"{scale.told(best.distance)}; half of the {count} heads move it by "
                f"{scale.told(middle.distance)} or less."
            )
        if self.top < count:
            yield hidden_note(self.each.context, count, self.top)
        yield NEAR_THE_END
        yield DOUBTS


def heads_named(heads: Sequence[HeadId], in_layer: int) -> str:
    """Heads as a line names them: `L3H1`, `L3 (12 heads)` for a whole layer, the first of many."""
    layers: dict[int, list[HeadId]] = {}
    for head in heads:
        layers.setdefault(head.layer, []).append(head)
    names: list[str] = []
    for layer, group in layers.items():
        whole = len(group) == in_layer > 1
        names += [f"L{layer} (all {in_layer} heads)"] if whole else map(str, group)
    more = len(names) - HEADS_NAMED
    if more > 1:
        return f"{', '.join(names[:HEADS_NAMED])} and {more} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _heading(
    context: Context, moved: Sequence[Moved], scale: Scale, query: Token | None = None
) -> Iterator[RenderableType]:
    """The model, the sentence, the words that moved shaded and the query marked; the formula."""
    yield model_line(context)
    styles = {one.token: str(_shade(one, scale)) for one in moved}
    yield from marked(context, styles if query is None else {**styles, query: ASKED})
    yield from quiet_line(window_told(context))
    formula = f"distance: {DISTANCE} of final hidden states"
    yield Text("; ".join(filter(None, (formula, scale.note))), style="dim")


def _tone(token: Token) -> Tone:
    return "cool" if token.special else "warm"


def _shade(moved: Moved, scale: Scale) -> Style:
    """The style of a word by how far it moved beside the others; plain if next to nothing."""
    if moved.distance < QUIET_BELOW * scale.largest:
        return PLAIN
    return scale.style(moved.distance, _tone(moved.token))


def _bar(distance: float, scale: Scale, tone: Tone, room: int) -> Segment:
    """A bar as long as the distance is beside the largest."""
    part, ramp = distance / scale.largest, RAMPS[tone]
    color = ramp[min(int(part * len(ramp)), len(ramp) - 1)]
    return Segment(bar(part, max(0, min(room, LONGEST_BAR))), Style(color=color))


def _prediction(prediction: Prediction, width: int) -> Iterator[Line]:
    """What stands at a mask, before and after, side by side."""
    place = f"@{prediction.token.index}"
    yield [Segment(label(prediction.token), BOLD), Segment(f" {place}: what is predicted", DIM)]
    both = (prediction.before, prediction.after)
    longest = max(cell_len(visible(guess.token)) for guesses in both for guess in guesses)
    name = max(1, min(longest, LONGEST_WORD, width // 2 - 9))
    yield [Segment(fit("  before", name + 12), DIM), Segment("after", DIM)]
    for before, after in zip(*both, strict=True):
        first = before is prediction.before[0]
        yield [*_guess(before, name, first), Segment("  "), *_guess(after, name, first)]
    best, kept = prediction.before[0], prediction.kept
    told = f"{visible(best.token)}: {percent(best.probability)} → {percent(kept.probability)}"
    yield [Segment("  " + cut(told, max(1, width - 2)), PLAIN)]


def _guess(guess: Guess, name: int, best: bool) -> Line:
    text = fit(visible(guess.token), name)
    mark = MARKER if best else " "
    return [
        Segment(f"{mark} ", BOLD if best else PLAIN),
        Segment(text, BOLD if best else PLAIN),
        Segment(f" {percent(guess.probability):>4} ", PLAIN),
    ]
