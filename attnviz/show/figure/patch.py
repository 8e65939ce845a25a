"""What heads of A restore in B: all heads on a map, words as bars, and over many twins."""

from collections.abc import Callable, Iterator, Sequence

from matplotlib.figure import Figure

from attnviz.answers.align import SIDES, Alignment
from attnviz.answers.patch import EachPatched, Patched, Twins
from attnviz.answers.patch_summary import PatchSummary
from attnviz.inspection import Context, HeadId
from attnviz.show.effect_wording import number_told
from attnviz.show.figure.captions import Heading, label, quoted
from attnviz.show.figure.drawing import drawing, drawing_of
from attnviz.show.figure.fonts import font_families, texts_of
from attnviz.show.figure.language import say
from attnviz.show.figure.matrix import short_share
from attnviz.show.figure.ranking import HEADS_SHOWN, Bar, Ranked, draw_ranked, turned
from attnviz.show.figure.similar import FALLS, RISES
from attnviz.show.forms import Limits
from attnviz.show.labels import names, visible
from attnviz.show.patch_wording import (
    PATCHED,
    both_told,
    hardly_told,
    measured_told,
    rows_told,
    share_told,
    shown,
    twins_told,
)
from attnviz.show.wording import heads_title, texts, unknown_legend, whose

WORDS_SHOWN = 30  # words that have bars, unless the user says how many
TOWARD = "orange: toward A; blue: away from A"
FORMULA = "restored = (patched − B) / (A − B): 0 nothing, 1 all"


def each_figure(answer: EachPatched, top: int | None = None, scale: Limits | None = None) -> Figure:
    """What each head of A restores in B alone: all on a map, the `top` (10) as bars."""
    twins = answer.twins
    numbers = {one.head: shown(one.effect, twins) for one in answer.heads}
    bars = []
    for one in answer.heads[: top or HEADS_SHOWN]:
        cells = _cells(twins, one.effect.value, numbers[one.head], one.effect.best)
        bars.append(_bar(str(one.head), numbers[one.head], cells))
    notes = _notes(twins, "each head of A alone in B")
    with drawing(_families(twins.alignment)):
        ranked = Ranked(
            "", _quantity(twins), numbers, True, _in_cell(twins), "", _columns(twins), bars
        )
        title = _titled(twins.alignment, list(numbers), notes)
        return draw_ranked(title, [ranked], scale)


def figure(answer: Patched, top: int | None = None, scale: Limits | None = None) -> Figure:
    """What heads of A restore in B together, and at each word alone, as bars."""
    twins = answer.twins
    by_key = twins.what in ("k", "v") and twins.alignment.b.is_cross_attention
    called = names(twins.alignment.b, "key" if by_key else "query")
    long = top is None and len(answer.positions) > WORDS_SHOWN
    listed = answer.listed(WORDS_SHOWN if long else top)
    with drawing(_families(twins.alignment)):
        whole = shown(answer.effect, twins)
        cells = _cells(twins, answer.effect.value, whole, answer.effect.best)
        bars = [
            _bar(say("all words" if answer.positions else "B with A's"), whole, cells, bold=True)
        ]
        for one in listed:
            number = shown(one.effect, twins)
            cells = _cells(twins, one.effect.value, number, one.effect.best)
            name = called[one.b.index]
            if one.a.label.casefold() != one.b.label.casefold():
                name = f"{visible(one.a.label)}→{name}"
            bars.append(_bar(label(name), number, cells, muted=one.b.special))
        notes = _notes(
            twins, "these heads of A in B" if answer.heads[1:] else "this head of A in B"
        )
        hidden = len(answer.positions) - len(listed)
        notes += [f"{hidden} more words restore less"] * bool(hidden)
        ranked = Ranked("", "", {}, True, _in_cell(twins), "", _columns(twins), bars)
        title = _titled(twins.alignment, answer.heads, notes)
        return draw_ranked(title, [ranked], scale, no_map=True)


def summary_figure(
    answer: PatchSummary, top: int | None = None, scale: Limits | None = None
) -> Figure:
    """What each head restores on average: all on a map, the `top` (10) with their intervals."""
    context = answer.context
    bars = []
    for one in answer.heads[: top or HEADS_SHOWN]:
        ends = one.interval
        told = " … ".join(map(share_told, ends or ()))
        cells = share_told(one.mean), told, f"{one.toward} / {answer.twins}"
        bars.append(_bar(str(one.head), one.mean, cells, interval=ends, bold=one.told_apart))
    with drawing_of(context):
        ranked = Ranked(
            "",
            "mean share restored",
            {one.head: one.mean for one in answer.heads},
            True,
            _share,
            "mean, 95% interval",
            ("mean", "95% interval", "toward A"),
            bars,
        )
        notes = [
            measured_told(answer.outcome, own_words=answer.own_words),
            *twins_told(answer),
            f"each head of A alone in B: {PATCHED[answer.what]}",
            FORMULA,
            TOWARD,
            whose(context),
        ]
        if not any(one.interval for one in answer.heads):
            notes.append("too few twins for a 95% interval")
        title = f"{visible(context.model.title)} · {heads_title(context, list(ranked.numbers))}"
        said = tuple(filter(None, notes))
        return draw_ranked(Heading(title, (), said), [ranked], scale)


def _bar(
    name: str,
    number: float,
    cells: tuple[str, ...],
    *,
    interval: tuple[float, float] | None = None,
    bold: bool = False,
    muted: bool = False,
) -> Bar:
    color = FALLS if number < 0 else RISES
    ends = turned(number, interval)
    return Bar(name, abs(number), cells, interval=ends, bold=bold, muted=muted, color=color)


def _quantity(twins: Twins) -> str:
    return "share restored" if twins.differ else "change of B"


def _columns(twins: Twins) -> tuple[str, ...]:
    columns = ("restored" if twins.differ else "change", "B then")
    return columns if twins.b.best is None else (*columns, "says")


def _cells(twins: Twins, value: float, number: float, best: str | None) -> tuple[str, ...]:
    told = share_told(number) if twins.differ else number_told(number)
    cells = told, number_told(value)
    return cells if twins.b.best is None else (*cells, label((best or "").strip()))


def _in_cell(twins: Twins) -> Callable[[float], str]:
    return _share if twins.differ else number_told


def _share(number: float) -> str:
    """A share in a cell of the map: `.28`, `−.10`."""
    told = short_share(abs(number))
    return f"−{told}" if number < 0 and told.strip("0.") else told


def _notes(twins: Twins, which: str) -> list[str]:
    measured = measured_told(twins.outcome, twins.alignment.b)
    notes = [f"{measured}: {both_told(twins)}"]
    rows = rows_told(twins)
    notes += [f"{which}: {PATCHED[twins.what]}", *[rows] * bool(rows)]
    notes += [FORMULA if twins.differ else hardly_told(twins), TOWARD]
    a, b = twins.alignment.a, twins.alignment.b
    notes.append(whose(b))
    notes += [
        f"{name}: {say(told)}" for name, c in (("A", a), ("B", b)) if (told := unknown_legend(c))
    ]
    return list(filter(None, notes))


def _families(words: Alignment) -> Sequence[str]:
    """The fonts that both texts need."""
    every = [text for context in (words.a, words.b) for text in texts_of(context)]
    return font_families([*every, "→"]).families


def _titled(words: Alignment, heads: Sequence[HeadId], notes: Sequence[str]) -> Heading:
    """The model and the heads, both texts, and notes."""
    title = f"{visible(words.b.model.title)} · {heads_title(words.b, heads)}"
    return Heading(title, tuple(_sentences(words)), tuple(map(visible, notes)))


def _sentences(words: Alignment) -> Iterator[str]:
    for side in SIDES:
        context: Context = words.context(side)
        yield from (f"{side.upper()}  {quoted(said)}" for said in texts(context))
