"""Pictures of answers about all heads: which join two words, hold over sentences, or matter."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from matplotlib.figure import Figure

from attnviz.answers.ablate import DISTANCE, Ablation, EachAblation, Prediction
from attnviz.answers.find import Finding, HeadFinding
from attnviz.answers.holding import HeldOut, Holding, HoldingHead
from attnviz.answers.word import Pair
from attnviz.answers.yardsticks import Reason
from attnviz.attention.measures import number
from attnviz.attention.order import descending
from attnviz.inspection import Context
from attnviz.inspection.ablated import Ablating
from attnviz.inspection.context import counted
from attnviz.show.edit_wording import put_in
from attnviz.show.figure.captions import ground_note, heading, label, measure_notes
from attnviz.show.figure.drawing import drawing_of
from attnviz.show.figure.language import say
from attnviz.show.figure.matrix import short_share
from attnviz.show.figure.ranking import HEADS_SHOWN, Bar, Ranked, draw_ranked
from attnviz.show.forms import Limits
from attnviz.show.labels import names, phrase_name, visible
from attnviz.show.wording import unknown_legend, whose

YARDSTICKS = (
    "◇ same distance: what the head gives other pairs as far apart",
    "● same key: what other words give that key",
    "grey bars: a yardstick is half of the weight or more (stripe: same key, diagonal: same "
    "distance)",
)
STRONGEST_KEY = "bold: the key is the query's strongest"
KINDS: dict[Reason | None, str] = {"same_key": "stripe", "same_distance": "diagonal", None: ""}
NOTHING = float("nan")
WORDS_SHOWN = 30  # words that are ranked, unless the user says how many


def finding_figure(answer: Finding, top: int | None = None, scale: Limits | None = None) -> Figure:
    """The heads that join two words: all on a map, the `top` best (10) beside their yardsticks."""
    context = answer.context
    with drawing_of(context):
        every = [_found(one, top or HEADS_SHOWN) for one in answer.both]
        notes = [*YARDSTICKS, STRONGEST_KEY]
        notes.append(ground_note(not all(one.sees.all() for one in answer.both)))
        title = heading(context, answer.places, notes=notes)
        return draw_ranked(title, every, scale, no_map=not context.measured.per_head)


def _found(finding: Finding, top: int) -> Ranked:
    context, by_excess = finding.context, finding.by == "excess"
    query = label(phrase_name(context, "query", finding.query))
    key = label(phrase_name(context, "key", finding.key))
    numbers = finding.excess if by_excess else finding.weights
    pairs = zip(finding.places, numbers.tolist(), finding.sees, strict=True)
    return Ranked(
        title=f"{query} → {key}",
        quantity="excess" if by_excess else context.measured.quantity,
        numbers={head: number if sees else NOTHING for head, number, sees in pairs},
        signed=by_excess,
        told=partial(_in_cell, context),
        bar_name="",
        columns=(_singular(context), "excess", "rank", ""),
        bars=[_found_bar(context, head, finding.keys) for head in finding.heads[:top]],
    )


def _found_bar(context: Context, head: HeadFinding, keys: int) -> Bar:
    told = context.measured.number(head.weight), _signed(context, head.excess)
    return Bar(
        name=str(head.head),
        number=head.weight,
        cells=(*told, f"{head.rank} / {keys}", say(KINDS[head.explained])),
        marks=_marks(head),
        quiet=head.explained is not None,
        bold=head.argmax,
    )


def _marks(head: HeadFinding | HoldingHead) -> tuple[float | None, ...]:
    return tuple(one and one.mean for one in (head.same_distance, head.same_key))


def holding_figure(answer: Holding, top: int | None = None, scale: Limits | None = None) -> Figure:
    """The heads over many sentences: means with 95% intervals, beside their mean yardsticks."""
    context, words = answer.context, answer.link or (say("query"), say("key"))
    with drawing_of(context):
        links = [" → ".join(label(visible(word)) for word in way) for way in (words, words[::-1])]
        every = [
            _held(one, link, top or HEADS_SHOWN)
            for one, link in zip(answer.both, links, strict=False)
        ]
        said = counted(answer.sentences, "sentence")
        said += f", {answer.left_out} left out" if answer.left_out else ""
        own = [said, whose(context), *measure_notes(context), *YARDSTICKS, *_halves(answer)]
        title = heading(context, [held.head for held in answer.heads])
        title = replace(title, sentences=(), notes=tuple(filter(None, own)))
        return draw_ranked(title, every, scale, no_map=not context.measured.per_head)


def _held(holding: Holding, link: str, top: int) -> Ranked:
    context, by_excess = holding.context, holding.by == "excess"
    numbers = {
        held.head: held.mean if not by_excess else NOTHING if held.excess is None else held.excess
        for held in holding.heads
    }
    return Ranked(
        title=link,
        quantity="mean excess" if by_excess else f"mean {context.measured.quantity}",
        numbers=numbers,
        signed=by_excess,
        told=partial(_in_cell, context),
        bar_name="mean, 95% interval",
        columns=("mean", "excess", "95% interval", "hits", ""),
        bars=[_held_bar(context, held, holding.sentences) for held in holding.heads[:top]],
    )


def _held_bar(context: Context, held: HoldingHead, sentences: int) -> Bar:
    ends = " … ".join(_signed(context, end) for end in held.excess_interval or ())
    told = context.measured.number(held.mean), _signed(context, held.excess), ends
    return Bar(
        name=str(held.head),
        number=held.mean,
        cells=(*told, f"{held.hits} / {sentences}", say(KINDS[held.explained])),
        marks=_marks(held),
        interval=held.interval,
        quiet=held.explained is not None,
    )


def _halves(holding: Holding) -> Iterator[str]:
    """What the best head of one half of the sentences does in the other."""
    if all(held.interval is None for held in holding.heads):
        yield "too few sentences for a 95% interval"
    for which, half in zip(("first", "second"), holding.held_out, strict=False):
        if half is not None:
            yield f"best on the {which} half: {_scores(holding, half)}"


def _scores(holding: Holding, half: HeldOut) -> str:
    own, other = (
        f"hits {score.hits} / {score.sentences}"
        if holding.by == "weight" or score.excess is None
        else f"excess {_signed(holding.context, score.excess)}"
        for score in (half.chosen, half.scored)
    )
    return f"{half.head}, {own} there, {other} on the other half"


def each_figure(
    answer: EachAblation, top: int | None = None, scale: Limits | None = None
) -> Figure:
    """How far words move without each head alone: all on a map, the `top` (10) as bars."""
    context, query = answer.context, answer.query
    called = [label(name) for name in names(context, "query")]
    columns = ("distance",) if query else ("distance", "moves most")
    bars = []
    for effect in answer.heads[: top or HEADS_SHOWN]:
        cells = number_of(effect.distance), called[effect.most.token.index]
        bars.append(Bar(str(effect.head), effect.distance, cells[: len(columns)]))
    with drawing_of(context):
        ranked = Ranked(
            title=say("all words, on average") if query is None else called[query.index],
            quantity="distance",
            numbers={effect.head: effect.distance for effect in answer.heads},
            signed=False,
            told=number_of,
            bar_name="",
            columns=columns,
            bars=bars,
        )
        title = heading(context, [effect.head for effect in answer.heads])
        return draw_ranked(replace(title, notes=ablation_notes(context, answer)), [ranked], scale)


def moved_figure(answer: Ablation, top: int | None = None, scale: Limits | None = None) -> Figure:
    """The words that move most without some heads, the `top` or up to 30; predictions at masks."""
    context, called = answer.context, names(answer.context, "query")
    shown = answer.moved[: top or WORDS_SHOWN]
    rest = answer.moved[len(shown) :]
    with drawing_of(context):
        bars = [
            Bar(
                label(called[moved.token.index]),
                moved.distance,
                (number_of(moved.distance),),
                muted=moved.token.special,
            )
            for moved in shown
        ]
        ranked = Ranked("", "", {}, False, number_of, "", ("distance",), bars)
        notes = [*ablation_notes(context, answer), *map(_predicted, answer.predictions or ())]
        if rest:
            notes.append(f"{len(rest)} more move by {number_of(rest[0].distance)} at most")
        title = replace(heading(context, answer.heads), notes=tuple(notes))
        return draw_ranked(title, [ranked], scale, no_map=True)


def _predicted(mask: Prediction) -> str:
    """The best guess at a mask, before and after, and what is best now."""
    first, now = mask.before[0], mask.after[0]
    told = f"{first.probability:.2f} → {mask.kept.probability:.2f}"
    other = "" if now.token == first.token else f" · now {visible(now.token)} {now.probability:.2f}"
    return f"{label(visible(mask.token.label))}: {visible(first.token)} {told}{other}"


def ablation_notes(context: Context, answer: Ablation | EachAblation) -> tuple[str, ...]:
    """What stands in for heads, what is measured, and which words are unknown."""
    whom = None if isinstance(answer, EachAblation) else len(answer.heads)
    notes = [*edit_notes(answer.how, whom), f"distance: {DISTANCE}"]
    return tuple(filter(None, (*notes, whose(context), unknown_legend(context))))


def edit_notes(
    how: Ablating, heads: int | None, measured: str = "how far final states move"
) -> Iterator[str]:
    """What is replaced in so many heads, or (None) in each alone, with what; what is measured."""
    whom = "of each head alone" if heads is None else "of these heads"
    whom = "of this head" if heads == 1 else whom
    what = "output" if how.what == "z" else how.what
    yield f"{what} {whom} set to {put_in(how)}: {measured}"
    if how.rows is not None:
        yield f"in the row of {', '.join(f'“{visible(row.text)}”' for row in how.rows)} alone"


def pair_figure(answer: Pair, top: int | None = None, scale: Limits | None = None) -> Figure:
    """How much one word looks at another: all heads on a map, the `top` (10) as bars."""
    context, weights = answer.context, answer.weights.tolist()
    query = label(names(context, "query")[answer.query.index])
    key = label(names(context, "key")[answer.key.index])
    seen = [at for at in descending(answer.weights).tolist() if answer.allowed[at]]
    with drawing_of(context):
        ranked = Ranked(
            title=f"{query} → {key}",
            quantity=context.measured.quantity,
            numbers={
                head: weight if sees else NOTHING
                for head, weight, sees in zip(answer.heads, weights, answer.allowed, strict=True)
            },
            signed=False,
            told=partial(_in_cell, context),
            bar_name="",
            columns=(_singular(context),),
            bars=[
                Bar(str(answer.heads[at]), weights[at], (context.measured.number(weights[at]),))
                for at in seen[: top or HEADS_SHOWN]
            ],
        )
        title = heading(context, answer.heads, notes=[ground_note(not answer.allowed.all())])
        return draw_ranked(title, [ranked], scale, no_map=not context.measured.per_head)


def number_of(distance: float) -> str:
    """A distance with two digits: most are far below 1."""
    return f"{distance:#.2g}" if distance >= 1e-4 else "0"


def _singular(context: Context) -> str:
    """What one number is, as a column is called."""
    return "weight" if context.measure == "weights" else context.measure


def _in_cell(context: Context, value: float) -> str:
    """A share as `.68` or `−.07`; other numbers in few digits."""
    if not context.measured.shares:
        return number(value) if value >= 0 else f"−{number(-value)}"
    return f"{'−' if value < 0 else ''}{short_share(value)}"


def _signed(context: Context, value: float | None) -> str:
    """A number with its sign, which 0 has not; nothing where there is none."""
    if value is None:
        return ""
    told = context.measured.number(abs(value))
    sign = "−" if value < 0 else "+"
    return f"{sign if told.strip('0.') else ''}{told}"
