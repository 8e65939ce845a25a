"""Which heads join two words in a sentence, and which hold over many: the best first."""

from collections.abc import Iterator
from itertools import product

from rich.console import Group, RenderableType
from rich.text import Text

from attnviz.answers.find import Finding, HeadFinding
from attnviz.answers.holding import Holding
from attnviz.show.labels import names, phrase_name, visible
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    MARKER,
    PLAIN,
    Page,
    Ranking,
    Scale,
    Tone,
    column,
    cut,
    title,
    tone_of,
)
from attnviz.show.terminal.heading import (
    dropped_note,
    heading,
    hidden_note,
    left_out_note,
    measure_line,
    model_line,
    quiet_line,
)
from attnviz.show.wording import MAY_NOT, whose

HEADS_SHOWN = 10  # Heads in a table, unless the user says how many
LONGEST_PHRASE, LONGEST_WORD = 40, 14
"""Cells of a phrase in a title, and of the strongest key; the rest is an ellipsis."""

NUMBER = 6  # Cells of a number
LEGEND = f"{MARKER}: its strongest key"

CLEAR_LIFT = 1.25  # From this lift on a weight counts as more than expected, below 1 / 1.25 as less


def table(answer: Finding | Holding, top: int | None = None) -> RenderableType:
    """A table for each direction: the `top` best heads (10 unless told), then the best in words."""
    if isinstance(answer, Holding):
        return Group(*_holding(answer, top or HEADS_SHOWN))
    return Page(lambda width, _: _finding(answer, top or HEADS_SHOWN, width))


def _finding(finding: Finding, top: int, width: int) -> Iterator[RenderableType]:
    largest = max(float(one.weights.max()) for one in finding.both)
    scale = Scale.of(finding.context.measured, largest)
    yield from heading(finding.context, scale, finding.query.tokens, finding.key.tokens)
    for one in finding.both:
        yield Text()
        yield from _found(one, scale, top, width)


def _holding(holding: Holding, top: int) -> Iterator[RenderableType]:
    context = holding.context
    largest = max(head.mean for one in holding.both for head in one.heads)
    scale = Scale.of(context.measured, largest)
    yield model_line(context)
    yield from quiet_line(whose(context))
    said = _counted(holding.sentences)
    said += "" if holding.link else ", each with a query and a key of its own"
    yield Text(said + (f" ({_counted(holding.left_out)} left out)" if holding.left_out else ""))
    yield measure_line(context.measured, scale)
    names = holding.link or ("the query", "the key")
    for one, link in zip(holding.both, (names, names[::-1]), strict=False):
        yield Text()
        yield from _held(one, one.link or link, scale, top)


def _found(finding: Finding, scale: Scale, top: int, width: int) -> Iterator[RenderableType]:
    context, tone = finding.context, _tone(finding)
    asked = title("how much {} looks at {}".format(*_called(finding)))
    if asked.cell_len + len(LEGEND) + 3 <= width:
        asked.append(f"   {LEGEND}", style="not bold dim")
    yield asked
    margin = max(len(str(head)) for head in finding.places)
    name = {"weights": "weight"}.get(context.measure, context.measure)
    columns = [column(), column(f"{name} ", "right"), column("rank")]
    columns += [column("expected", "right"), column("lift", "right"), column("strongest"), column()]
    rows, keys = [], names(context, "key")
    for head, place in zip(finding.heads[:top], finding.order[:top], strict=True):
        weight = _weight(head.weight, scale, tone, head.argmax)
        rank = Text(f"{head.rank} of {finding.keys}")
        style = PLAIN if head.argmax else DIM
        rows.append(
            [
                Text(f"{head.head!s:<{margin}}", style=BOLD),
                *([weight, rank] if head.sees else [Text(), Text()]),
                Text(_number(head.expected, scale, NUMBER)),
                Text(_times(head.lift)),
                Text(cut(keys[finding.strongest[place]], LONGEST_WORD), style=style),
                Text(_number(float(finding.most[place]), scale, NUMBER), style=style),
            ]
        )
    yield Ranking(columns, rows)
    if len(finding.heads) > top:
        yield from quiet_line(hidden_note(context, len(finding.heads), top))
    if not all(head.sees for head in finding.heads[:top]):
        yield from quiet_line(f"blank: {MAY_NOT}")
    yield Text()
    for text in _found_in_words(finding, scale):
        yield from quiet_line(text)


def _found_in_words(finding: Finding, scale: Scale) -> Iterator[str]:
    """What the best head does, in how many heads the key comes first, what was left out."""
    context, best = finding.context, finding.heads[0]
    query, key = (f'"{name}"' for name in _called(finding))
    place = f"rank {best.rank} among" if not best.argmax else "more than any other of"
    yield (
        f"{best.head}: {query} gives {key} {_number(best.weight, scale)}, {place} its "
        f"{finding.keys} keys{_beside(best, finding)}."
    )
    if len(finding.heads) > 1:
        count, those = int(finding.argmax.sum()), f"{len(finding.heads)} {context.places}"
        role = "is" if len(finding.key.tokens) == 1 else "has"
        yield f"{key} {role} the strongest key of {query} in {count or 'none'} of {those}."
    if finding.dropped is not None:
        name, share = _called(finding)[0], float(finding.dropped.mean())
        yield left_out_note(context, name, share, finding.places)


def _beside(best: HeadFinding, finding: Finding) -> str:
    """How the best head's weight compares with what it gives pairs like this one."""
    crossed = finding.context.is_cross_attention
    if finding.alone:
        others = "look there" if crossed else "are as far apart here"
        return f"; no other words {others}, so its lift says nothing"
    if best.lift is None:
        return ""
    usual = "words give it in this head" if crossed else "this head gives words that far apart"
    pairs = f"(mean of {finding.pairs} pairs, this one among them)"
    if best.lift >= CLEAR_LIFT:
        return f", and {_times(best.lift)[1:]} times what {usual} {pairs}"
    if best.lift <= 1 / CLEAR_LIFT:
        return f", but less than {usual} {pairs}"
    reason = "any word may do as well" if crossed else "the distance alone may explain it"
    return f", but about what {usual} {pairs}: {reason}"


def _held(
    holding: Holding, link: tuple[str, str], scale: Scale, top: int
) -> Iterator[RenderableType]:
    query, key = map(_short, link)
    yield title(f"how often {query} looks at {key} most of all")
    numbers = [column(name, "right") for name in ("mean ", "minimum", "expected", "lift")]
    rows = [
        [
            Text(str(head.head), style=BOLD),
            Text(f"{head.hits} of {holding.sentences}"),
            Text(f"{head.share:>4.0%}", style=BOLD if head.share >= 0.5 else DIM),
            _weight(head.mean, scale, "warm", strong=False),
            Text(_number(head.minimum, scale, NUMBER)),
            Text(_number(head.expected, scale, NUMBER)),
            Text(_times(head.lift)),
        ]
        for head in holding.heads[:top]
    ]
    yield Ranking([column(), column("hits"), column(), *numbers], rows, least=3)
    if len(holding.heads) > top:
        yield from quiet_line(hidden_note(holding.context, len(holding.heads), top))
    yield Text()
    for text in _held_in_words(holding, query, key, scale):
        yield from quiet_line(text)


def _held_in_words(holding: Holding, query: str, key: str, scale: Scale) -> Iterator[str]:
    context, best = holding.context, holding.heads[0]
    times = ""
    if best.lift is not None:
        usual = "words give it" if context.is_cross_attention else "it gives words that far apart"
        times = f", {_times(best.lift)[1:]} times what {usual}"
    yield (
        f"{best.head}: {query} looks at {key} most of all in {best.hits} of "
        f"{_counted(holding.sentences)} ({best.share:.0%}), and gives it "
        f"{_number(best.mean, scale)} on average{times}; {_number(best.minimum, scale)} at least."
    )
    if len(holding.heads) > 1:
        yield (
            f"The same sentences choose the best of {len(holding.heads)} {context.places} and "
            "measure it, which flatters it: try it on others."
        )
    shares = [head.dropped for head in holding.heads if head.dropped is not None]
    if shares:
        places = [head.head for head in holding.heads]
        yield dropped_note(context, sum(shares) / len(shares), places)


def _tone(finding: Finding) -> Tone:
    """Cool where the key is a special token, or next to the query: place alone may explain it."""
    pairs = product(finding.query.tokens, finding.key.tokens)
    return "cool" if "cool" in (tone_of(finding.context, *pair) for pair in pairs) else "warm"


def _weight(weight: float, scale: Scale, tone: Tone, strong: bool) -> Text:
    mark = MARKER if strong else " "
    return Text(f"{mark}{_number(weight, scale, NUMBER)} ", style=scale.style(weight, tone, strong))


def _number(weight: float | None, scale: Scale, width: int = 0) -> str:
    """A number with three decimals, as many as fit beside a larger whole part; a dash for none."""
    if weight is None:
        return f"{'–':>{width}}"
    number = weight / scale.unit
    if 0 <= number < 0.0005:
        return f"{'·' if width else '0':>{width}}"
    return f"{number:{width}.{3 if number < 10 else 1}f}"


def _times(lift: float | None) -> str:
    return "–" if lift is None else f"×{lift:.0f}" if lift >= 9.95 else f"×{lift:.1f}"


def _called(finding: Finding) -> tuple[str, str]:
    """What the query and the key are called."""
    query = phrase_name(finding.context, "query", finding.query)
    key = phrase_name(finding.context, "key", finding.key)
    return cut(query, LONGEST_PHRASE), cut(key, LONGEST_PHRASE)


def _short(text: str) -> str:
    return cut(visible(text), LONGEST_PHRASE)


def _counted(count: int) -> str:
    return f"{count} sentence{'' if count == 1 else 's'}"
