"""Which heads join two words in a sentence, and which hold over many: the best first."""

import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import cast

from rich.console import RenderableType
from rich.text import Text

from attnviz.answers.find import By, Finding, HeadFinding
from attnviz.answers.holding import Holding, HoldingHead, Interval, Score
from attnviz.answers.yardsticks import Reason, Yardstick
from attnviz.inspection import Context
from attnviz.show.labels import names, phrase_name, visible
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    MARKER,
    PLAIN,
    QUIET_BELOW,
    Hues,
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
    legend,
    measure_line,
    model_line,
    quiet_line,
    tones_legend,
)
from attnviz.show.wording import MAY_NOT, whose

HEADS_SHOWN = 10  # Heads in a table, unless the user says how many
LONGEST_PHRASE, LONGEST_WORD = 40, 14
"""Cells of a phrase in a title, and of the strongest key; the rest is an ellipsis."""

NUMBER = 6  # Cells of a number
YARDSTICKS = "same distance", "same key"
BY: dict[By, str] = {"excess": "excess", "weight": "hits"}  # What ranks over many sentences
LEGEND = f"{MARKER}: its strongest key"

NAMED = 5  # Heads that a sentence names; more are counted

KINDS: dict[Reason, str] = {"same_key": "stripe", "same_distance": "diagonal"}


def table(answer: Finding | Holding, top: int | None = None) -> RenderableType:
    """A table for each direction: the `top` best heads (10 unless told), then the best in words."""
    if isinstance(answer, Holding):
        return Page(lambda width, hues: _holding(answer, top or HEADS_SHOWN, width, hues))
    return Page(lambda width, hues: _finding(answer, top or HEADS_SHOWN, width, hues))


def _finding(finding: Finding, top: int, width: int, hues: Hues | None) -> Iterator[RenderableType]:
    largest = max(float(one.weights.max()) for one in finding.both)
    scale = Scale.of(finding.context.measured, largest)
    yield from heading(finding.context, scale, finding.query.tokens, finding.key.tokens)
    yield from tones_legend(finding.context, hues, width)
    for one in finding.both:
        yield Text()
        yield from _found(one, scale, top, width)


def _holding(holding: Holding, top: int, width: int, hues: Hues | None) -> Iterator[RenderableType]:
    context = holding.context
    largest = max(head.mean for one in holding.both for head in one.heads)
    scale = Scale.of(context.measured, largest)
    yield model_line(context)
    yield from quiet_line(whose(context))
    said = _counted(holding.sentences)
    said += "" if holding.link else ", each with a query and a key of its own"
    yield Text(said + (f" ({_counted(holding.left_out)} left out)" if holding.left_out else ""))
    yield measure_line(context.measured, scale)
    yield from legend(hues, width, "fuller {warm}: larger mean")
    names = holding.link or ("the query", "the key")
    for one, link in zip(holding.both, (names, names[::-1]), strict=False):
        yield Text()
        yield from _held(one, one.link or link, scale, top)


def _found(finding: Finding, scale: Scale, top: int, width: int) -> Iterator[RenderableType]:
    context, tone = finding.context, _tone(finding)
    asked = title("how much {} looks at {}, by {}".format(*_called(finding), finding.by))
    beside = asked.cell_len + len(LEGEND) + 3 <= width
    yield asked.append(f"   {LEGEND}", style="not bold dim") if beside else asked
    yield from quiet_line("" if beside else LEGEND)
    margin = max(len(str(head)) for head in finding.places)
    name = {"weights": "weight"}.get(context.measure, context.measure)
    columns = [column(), column(f"{name} ", "right"), column("excess", "right"), column("rank")]
    columns += [*map(column, YARDSTICKS), column("strongest"), column()]
    rows, keys = [], names(context, "key")
    for head, place in zip(finding.heads[:top], finding.order[:top], strict=True):
        rank, style = Text(f"{head.rank} of {finding.keys}"), PLAIN if head.argmax else DIM
        seen = [_weight(head.weight, scale, tone, head.argmax), _excess(head.excess, scale), rank]
        rows.append(
            [
                Text(f"{head.head!s:<{margin}}", style=BOLD),
                *(seen if head.sees else [Text()] * 3),
                *_yardsticks(head, scale),
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
    for text in _found_in_words(finding, scale, top):
        yield from quiet_line(text)


def _found_in_words(finding: Finding, scale: Scale, top: int) -> Iterator[str]:
    """What the best head does, what explains the others, what was left out."""
    context, best = finding.context, finding.heads[0]
    query, key = (f'"{name}"' for name in _called(finding))
    place = f"rank {best.rank} among" if not best.argmax else "more than any other of"
    yield (
        f"{best.head}: {query} gives {key} {_number(best.weight, scale)}, {place} its "
        f"{finding.keys} keys{_beside(best, key, scale, context)}"
    )
    yield from _explained(finding.heads[1:top], key, scale)
    if len(finding.heads) > 1:
        count, those = int(finding.argmax.sum()), f"{len(finding.heads)} {context.places}"
        role = "is" if len(finding.key.tokens) == 1 else "has"
        yield f"{key} {role} the strongest key of {query} in {count or 'none'} of {those}."
    if finding.dropped is not None:
        name, share = _called(finding)[0], float(finding.dropped.mean())
        yield left_out_note(context, name, share, finding.places)


def _beside(
    head: HeadFinding | HoldingHead, key: str, scale: Scale, context: Context, sentences: int = 0
) -> str:
    """How a head's weight compares with both yardsticks, and whether one explains it away."""
    far = "no other words are as far apart, and "
    same_key, same_distance = head.same_key, head.same_distance
    if same_key is None and same_distance is None:
        nothing = f"{'' if context.is_cross_attention else far}no other word looks at {key}"
        return f". There is nothing to compare this with: {nothing}."
    if head.explained is not None:
        of, start = _explaining(head).of, ", but"
        if of < sentences:
            number = _number(_size(head), scale)
            start = (
                f". In the {of} of {sentences} sentences that have other pairs it is {number}, but"
            )
        kind = "" if _is_alone(head) else f" that is a {KINDS[head.explained]}:"
        return f"{start}{kind} {_too(head, key, scale)}."
    told = []
    reasons: tuple[Reason, ...] = ("same_key", "same_distance")
    for reason, one in zip(reasons, (same_key, same_distance), strict=True):
        if one is not None:
            alone = not sentences and one.of == 1
            how, number = _others(reason, key, alone), _number(one.mean, scale)
            told.append(f"{how} {number}{'' if alone else _mean_of(one, scale, sentences)}")
    sentence = ", and ".join(told)
    return f". {sentence[0].upper()}{sentence[1:]}."


def _mean_of(one: Yardstick, scale: Scale, sentences: int) -> str:
    """Of what a yardstick is the mean; the weight beside it where that is not of all sentences."""
    if one.of < sentences and one.lift is not None:
        its = _number(one.mean * one.lift, scale)
        return f" (mean of {one.of} of {sentences} sentences, which give it {its})"
    return f" (mean of {_counted(one.of) if sentences else one.of})"


def _others(reason: Reason, key: str, alone: bool) -> str:
    """What gets or gives a yardstick's mean."""
    if reason == "same_key":
        return f"the one other word gives {key}" if alone else f"other words give {key}"
    return "the one other pair that far apart gets" if alone else "words that far apart get"


def _explaining(head: HeadFinding | HoldingHead) -> Yardstick:
    """The yardstick that explains a head's weight away."""
    one = head.same_distance if head.explained == "same_distance" else head.same_key
    return cast(Yardstick, one)


def _is_alone(head: HeadFinding | HoldingHead) -> bool:
    """Whether one other pair explains a head's weight away: no stripe, and no diagonal."""
    return isinstance(head, HeadFinding) and _explaining(head).of == 1


def _too(head: HeadFinding | HoldingHead, key: str, scale: Scale) -> str:
    """What explains a head's weight away."""
    one, how = _explaining(head), _others(head.explained or "same_key", key, _is_alone(head))
    number, more = _number(one.mean, scale), one.lift is not None and one.lift < 1
    return f"{how} {f'even {number}' if more else f'{number} too'}"


def _explained(heads: Sequence[HeadFinding | HoldingHead], key: str, scale: Scale) -> Iterator[str]:
    """Which of some heads are stripes, and which diagonals, where their weights are not small."""
    for explained, kind in KINDS.items():
        found = [
            head
            for head in heads
            if head.explained == explained and _size(head) >= QUIET_BELOW * scale.largest
        ]
        if not found:
            continue
        first, *others = found
        listed = [str(head.head) for head in others[:NAMED]]
        listed += [f"{len(others) - NAMED} more"] if len(others) > NAMED else []
        start = ", ".join(listed[:-1]) + " and " if len(listed) > 1 else ""
        alone = _is_alone(first)
        verb = "is it in" if alone else "are" if start else "is"
        so = f" So {verb} {start}{listed[-1]}." if listed else ""
        yield f"{first.head}{'' if alone else f' is a {kind}'}: {_too(first, key, scale)}.{so}"


def _size(head: HeadFinding | HoldingHead) -> float:
    """The weight that a yardstick explains away; over the sentences that have that yardstick."""
    if isinstance(head, HeadFinding):
        return head.weight
    one = _explaining(head)
    return one.mean * (one.lift or 0)


def _held(
    holding: Holding, link: tuple[str, str], scale: Scale, top: int
) -> Iterator[RenderableType]:
    query, key = map(_short, link)
    yield title(f"how much {query} looks at {key}, by {BY[holding.by]}")
    enough = holding.heads[0].interval is not None  # sentences for an interval
    columns = [column(), column("excess", "right"), *[column("95%")] * enough]
    columns += [column("mean", "right"), *map(column, YARDSTICKS), *[column("mean 95%")] * enough]
    columns += [column("hits", "right"), column("minimum", "right")]
    rows = [
        [
            Text(str(head.head), style=BOLD),
            _excess(head.excess, scale),
            *[Text(_range(head.excess_interval, scale), style=DIM)] * enough,
            Text(_number(head.mean, scale, NUMBER), style=scale.style(head.mean)),
            *_yardsticks(head, scale),
            *[Text(_range(head.interval, scale), style=DIM)] * enough,
            Text(f"{head.share:.0%}", style=BOLD if head.share >= 0.5 else DIM),
            Text(_number(head.minimum, scale, NUMBER)),
        ]
        for head in holding.heads[:top]
    ]
    yield Ranking(columns, rows, least=3)
    if len(holding.heads) > top:
        yield from quiet_line(hidden_note(holding.context, len(holding.heads), top))
    for text in _compared(holding, top):
        yield from quiet_line(text)
    if not enough:
        yield from quiet_line("too few sentences for a 95% interval")
    yield Text()
    if holding.link:
        query, key = f'"{query}"', f'"{key}"'
    for text in _held_in_words(holding, query, key, scale, top):
        yield from quiet_line(text)


def _compared(holding: Holding, top: int) -> Iterator[str]:
    """Which columns are of some of the sentences only."""
    columns = ("excess", *YARDSTICKS)
    spans: dict[int, dict[str, None]] = {}  # The columns by how many sentences they are of
    for head in holding.heads[:top]:
        both = (0 if one is None else one.of for one in (head.same_distance, head.same_key))
        for name, count in zip(columns, (head.excess_sentences, *both), strict=True):
            if 0 < count < holding.sentences:
                spans.setdefault(count, {})[name] = None
    for count, titles in spans.items():
        what = "excess and yardsticks" if len(titles) == len(columns) else " and ".join(titles)
        yield f"{what}: of the {count} of {holding.sentences} sentences that have other pairs"


def _held_in_words(holding: Holding, query: str, key: str, scale: Scale, top: int) -> Iterator[str]:
    context, best = holding.context, holding.heads[0]
    within = _range(best.interval, scale)
    yield (
        f"{best.head}: {query} gives {key} {_number(best.mean, scale)} on average"
        f"{f' (95%: {within})' if within else ''}, {_number(best.minimum, scale)} at least, and "
        f"more than any other key in {best.hits} of {_counted(holding.sentences)} "
        f"({best.share:.0%}){_beside(best, key, scale, context, holding.sentences)}"
    )
    yield from _explained(holding.heads[1:top], key, scale)
    if len(holding.heads) > 1:
        yield (
            f"The same sentences choose the best of {len(holding.heads)} {context.places} and "
            f"measure it, which flatters it{_elsewhere(holding, scale)}"
        )
    shares = [head.dropped for head in holding.heads if head.dropped is not None]
    if shares:
        places = [head.head for head in holding.heads]
        yield dropped_note(context, sum(shares) / len(shares), places)


def _elsewhere(holding: Holding, scale: Scale) -> str:
    """What the best head of each half of the sentences does in the other half."""
    if not holding.held_out:
        return ": try it on others."
    told = []
    for which, half in zip(("first", "second"), holding.held_out, strict=True):
        if half is None:
            told.append(f"The {which} half has nothing to compare with, so it chooses no head.")
            continue
        there, elsewhere = (_scored(s, holding.by, scale) for s in (half.chosen, half.scored))
        told.append(
            f"Chosen on the {which} half alone ({_counted(half.chosen.sentences)}), it is "
            f"{half.head}: {BY[holding.by]} {there} there, and {elsewhere} in the other half."
        )
    return f". {' '.join(told)}"


def _scored(score: Score, by: By, scale: Scale) -> str:
    if by == "excess":
        return "no excess" if score.excess is None else _number(score.excess, scale)
    return f"{score.hits} of {score.sentences}"


def _tone(finding: Finding) -> Tone:
    """Cool where the key is a special token, or next to the query: place alone may explain it."""
    pairs = product(finding.query.tokens, finding.key.tokens)
    return "cool" if "cool" in (tone_of(finding.context, *pair) for pair in pairs) else "warm"


def _weight(weight: float, scale: Scale, tone: Tone, strong: bool) -> Text:
    mark = MARKER if strong else " "
    return Text(f"{mark}{_number(weight, scale, NUMBER)} ", style=scale.style(weight, tone, strong))


def _excess(excess: float | None, scale: Scale) -> Text:
    return Text(_number(excess, scale, NUMBER), style=PLAIN if (excess or 0) > 0 else DIM)


def _yardsticks(head: HeadFinding | HoldingHead, scale: Scale) -> Iterator[Text]:
    """Same distance and same key, each with its lift; the larger one, which counts, is not dim."""
    both = head.same_distance, head.same_key
    larger = max((one.mean for one in both if one is not None), default=None)
    for one in both:
        if one is None:
            yield Text(f"{'–':>5}", style=DIM)
            continue
        lift = "" if one.lift is None else f"×{one.lift:.{1 if one.lift < 99.95 else 0}f}"
        style = PLAIN if one.mean == larger else DIM
        yield Text(f"{_number(one.mean, scale, 5)} {lift:>5}", style=style)


def _number(weight: float | None, scale: Scale, width: int = 0) -> str:
    """A number with three decimals, as many as fit beside a larger whole part; a dash for none."""
    if weight is None:
        return f"{'–':>{width}}"
    number = weight / scale.unit
    if abs(number) < 0.0005:
        return f"{'·' if width else '0':>{width}}"
    return f"{number:{width}.{3 if abs(number) < 10 else 1}f}".replace("-", "−")


def _range(interval: Interval | None, scale: Scale) -> str:
    """`.31 to .42`; nothing for none."""
    if interval is None:
        return ""
    ends = (f"{round(end / scale.unit, 2) + 0.0:.2f}" for end in interval)
    low, high = (re.sub(r"^(-?)0\.", r"\1.", end) for end in ends)
    return f"{low} to {high}".replace("-", "−")


def _called(finding: Finding) -> tuple[str, str]:
    """What the query and the key are called."""
    query = phrase_name(finding.context, "query", finding.query)
    key = phrase_name(finding.context, "key", finding.key)
    return cut(query, LONGEST_PHRASE), cut(key, LONGEST_PHRASE)


def _short(text: str) -> str:
    return cut(visible(text), LONGEST_PHRASE)


def _counted(count: int) -> str:
    return f"{count} sentence{'' if count == 1 else 's'}"
