"""Which heads join two words in a sentence, and which hold over many: the best first."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from attnviz.answers.find import Finding, HeadFinding
from attnviz.answers.holding import Holding
from attnviz.answers.select import Phrase
from attnviz.show.labels import visible
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    MARKER,
    PLAIN,
    Line,
    Scale,
    Tone,
    cut,
    fit,
    label,
    percent,
    render_lines,
    sentences,
    tone_of,
    width_of,
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

HEADS_SHOWN = 10
"""Heads in a table, unless the user says how many."""

LONGEST_PHRASE = 40
"""Cells of a phrase where it is named; the rest is an ellipsis."""

LONGEST_WORD = 14
SHORTEST_WORD = 4
"""Cells of the strongest key's name: cut beyond the one, left out below the other."""

NUMBER = 6
"""Cells of a number; a weight has its mark before it and a space behind."""

LEGEND = f"{MARKER}: its strongest key"

CLEAR_LIFT = 1.25
"""From here on a weight is called more than expected, and below 1 / 1.25 less."""


def table(answer: Finding | Holding, top: int | None = None) -> RenderableType:
    """The heads, best first, `top` of them, 10 unless told; then the best in words."""
    top = top or HEADS_SHOWN
    return FoundTable(answer, top) if isinstance(answer, Finding) else HeldTable(answer, top)


@dataclass(frozen=True, eq=False)
class FoundTable:
    """How much one word looks at another: the `top` best heads, a line each; then in words."""

    finding: Finding
    top: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, view = options.max_width, self.finding.context
        findings = self.finding.both
        scale = Scale.of(view.measured, max(float(one.weights.max()) for one in findings))
        yield from heading(view, scale, self.finding.query.tokens, self.finding.key.tokens)
        for finding in findings:
            yield Text()
            yield from render_lines(_found(finding, scale, self.top, width), width)


def _found(finding: Finding, scale: Scale, top: int, width: int) -> Iterator[Line]:
    """One direction: its question, its table, and the best head in words."""
    yield _question(f"how much {_named(finding.query)} looks at {_named(finding.key)}", width)
    margin = max(len(str(head)) for head in finding.places) + 2
    ranks = len(f"{finding.keys} of {finding.keys}")
    measure = finding.context.measure
    number = {"weights": "weight"}.get(measure, measure)
    titles = fit("", margin) + f"{number:>7}   {fit('rank', ranks)}  expected   lift"
    room = width - cell_len(titles) - len("  ") - NUMBER
    word = min(width_of(finding.context.keys, LONGEST_WORD), room)
    titles += "  strongest" if word >= SHORTEST_WORD else ""
    yield [Segment(cut(titles, width), DIM)]
    tone = _tone(finding)
    for head, place in zip(finding.heads[:top], finding.order[:top], strict=True):
        line = [Segment(fit(str(head.head), margin), BOLD)]
        if head.sees:
            line += _weight(head.weight, scale, tone, head.argmax)
            line.append(Segment(f"  {fit(f'{head.rank} of {finding.keys}', ranks)}", PLAIN))
        else:
            line.append(Segment(" " * (NUMBER + 4 + ranks)))
        line.append(Segment(f"  {_number(head.expected, scale, 8)} {_times(head.lift, 6)}", PLAIN))
        if word >= SHORTEST_WORD:
            key = fit(label(finding.context.keys[finding.strongest[place]]), word)
            number = _number(float(finding.most[place]), scale, NUMBER)
            line.append(Segment(f"  {key}{number}", PLAIN if head.argmax else DIM))
        yield line
    if len(finding.heads) > top:
        yield from sentences(hidden_note(finding.context, len(finding.heads), top), width)
    if not all(head.sees for head in finding.heads[:top]):
        yield from sentences(f"blank: {MAY_NOT}", width)
    yield []
    for text in _found_in_words(finding, scale):
        yield from sentences(text, width)


def _found_in_words(finding: Finding, scale: Scale) -> Iterator[str]:
    """What the best head does, in how many heads the key comes first, what was left out."""
    context, best = finding.context, finding.heads[0]
    query, key = (f'"{_named(phrase)}"' for phrase in (finding.query, finding.key))
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
        name, share = _named(finding.query), float(finding.dropped.mean())
        yield left_out_note(context, name, share, finding.places)


def _beside(best: HeadFinding, finding: Finding) -> str:
    """How the best head's weight stands beside what it gives pairs like this one."""
    crossed = finding.context.is_cross_attention
    if finding.alone:
        others = "look there" if crossed else "stand as far apart here"
        return f"; no other words {others}, so that its lift says nothing"
    if best.lift is None:
        return ""
    pairs = f"(mean of {finding.pairs} pairs, this one among them)"
    if best.lift >= CLEAR_LIFT:
        usual = "words give it in this head" if crossed else "this head gives words that far apart"
        return f", and {_times(best.lift)[1:]} times what {usual} {pairs}"
    if best.lift > 1 / CLEAR_LIFT:
        usual = "any word gives it" if crossed else "it gives any words that far apart"
        reason = "who looks may not matter" if crossed else "place may be all of it"
        return f", but about what {usual} {pairs}: {reason}"
    usual = "words give it in this head" if crossed else "it gives words that far apart"
    return f", but less than {usual} {pairs}"


@dataclass(frozen=True, eq=False)
class HeldTable:
    """The `top` heads that hold over several sentences, a line each; then the best in words."""

    holding: Holding
    top: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, view = options.max_width, self.holding.context
        holdings = self.holding.both
        largest = max(head.mean for one in holdings for head in one.heads)
        scale = Scale.of(view.measured, largest)
        yield model_line(view)
        yield from quiet_line(whose(view))
        yield self._sentences()
        yield measure_line(view.measured, scale)
        unnamed = ("the query", "the key")
        for holding, words in zip(holdings, (unnamed, unnamed[::-1]), strict=False):
            yield Text()
            link = holding.link or words
            yield from render_lines(_held(holding, link, scale, self.top, width), width)

    def _sentences(self) -> Text:
        text = _counted(self.holding.sentences)
        if self.holding.link is None:
            text += ", each with a query and a key of its own"
        if self.holding.left_out:
            text += f" ({_counted(self.holding.left_out)} left out)"
        return Text(text)


def _held(
    holding: Holding, link: tuple[str, str], scale: Scale, top: int, width: int
) -> Iterator[Line]:
    """One direction: its question, its table, and the best head in words."""
    query, key = map(_short, link)
    asked = f"how often {query} looks at {key} most of all"
    yield [Segment(cut(asked, width), BOLD)]
    margin = max(len(str(head.head)) for head in holding.heads) + 2
    hits = max(len("hits"), len(f"{holding.sentences} of {holding.sentences}"))
    titles = fit("", margin) + f"{fit('hits', hits)}         mean    minimum  expected   lift"
    yield [Segment(cut(titles, width), DIM)]
    for head in holding.heads[:top]:
        strong = head.share >= 0.5
        line = [Segment(fit(str(head.head), margin), BOLD)]
        line.append(Segment(fit(f"{head.hits} of {holding.sentences}", hits), PLAIN))
        line.append(Segment(f" {percent(head.share):>4}  ", BOLD if strong else DIM))
        line += _weight(head.mean, scale, "warm", strong=False)
        line.append(Segment(f"  {_number(head.minimum, scale, 7)}", PLAIN))
        line.append(Segment(f"  {_number(head.expected, scale, 8)} {_times(head.lift, 6)}", PLAIN))
        yield line
    if len(holding.heads) > top:
        yield from sentences(hidden_note(holding.context, len(holding.heads), top), width)
    yield []
    for text in _held_in_words(holding, query, key, scale):
        yield from sentences(text, width)


def _held_in_words(holding: Holding, query: str, key: str, scale: Scale) -> Iterator[str]:
    best, count = holding.heads[0], holding.sentences
    mean, least = _number(best.mean, scale), _number(best.minimum, scale)
    usual = (
        "words give it" if holding.context.is_cross_attention else "it gives words that far apart"
    )
    times = f", {_times(best.lift)[1:]} times what {usual}"
    if best.lift is None:
        times = ""
    yield (
        f"{best.head}: {query} looks at {key} most of all in {best.hits} of "
        f"{_counted(count)} ({percent(best.share)}), and gives it {mean} on average{times}; "
        f"{least} at least."
    )
    if len(holding.heads) > 1:
        kind = holding.context.places
        yield (
            f"The best of {len(holding.heads)} {kind} is chosen and told of by the "
            "same sentences, which flatters it: try it on others."
        )
    shares = [head.dropped for head in holding.heads if head.dropped is not None]
    if shares:
        places = [head.head for head in holding.heads]
        yield dropped_note(holding.context, sum(shares) / len(shares), places)


def _question(asked: str, width: int) -> Line:
    """What a table answers, and what its mark means where there is room to say it."""
    line = [Segment(cut(asked, width), BOLD)]
    if cell_len(asked) + cell_len(LEGEND) + 3 <= width:
        line.append(Segment("   " + LEGEND, DIM))
    return line


def _tone(finding: Finding) -> Tone:
    """Cool where the head can find the key by place alone, or where it is a special token."""
    context, key = finding.context, finding.key.tokens
    links = [tone_of(context, one, other) for one in finding.query.tokens for other in key]
    return "cool" if "cool" in links else "warm"


def _weight(weight: float, scale: Scale, tone: Tone, strong: bool) -> Line:
    mark = MARKER if strong else " "
    return [Segment(f"{mark}{_number(weight, scale, NUMBER)} ", scale.style(weight, tone, strong))]


def _number(weight: float | None, scale: Scale, width: int = 0) -> str:
    """A number with three decimals, as many as fit beside a larger whole part; a dash for none."""
    if weight is None:
        return f"{'–':>{width}}"
    number = weight / scale.unit
    if 0 <= number < 0.0005:
        return f"{'·' if width else '0':>{width}}"
    return f"{number:{width}.{3 if number < 10 else 1}f}"


def _times(lift: float | None, width: int = 0) -> str:
    text = "–" if lift is None else f"×{lift:.0f}" if lift >= 9.95 else f"×{lift:.1f}"
    return f"{text:>{width}}"


def _named(phrase: Phrase) -> str:
    return _short(phrase.text)


def _short(text: str) -> str:
    text = visible(text)
    return cut(text, LONGEST_PHRASE)


def _counted(count: int) -> str:
    return f"{count} sentence{'' if count == 1 else 's'}"
