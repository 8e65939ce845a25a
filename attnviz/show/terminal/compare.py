"""Two sentences, or two models, beside each other: which heads change, and what gained and lost."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, groupby
from operator import add

from rich.cells import cell_len
from rich.console import RenderableType
from rich.style import Style
from rich.text import Text

from attnviz.answers.align import SIDES, Alignment, Side
from attnviz.answers.compare import Both, Comparison, HeadChange
from attnviz.attention.order import NEAR_ZERO, largest
from attnviz.inspection import Context
from attnviz.inspection.context import Role
from attnviz.show.labels import aligned_names, names
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    MARKER,
    PLAIN,
    RAMPS,
    Hues,
    Page,
    Ranking,
    column,
    cut,
    title,
    weight_style,
    weight_text,
)
from attnviz.show.terminal.heading import (
    ASKED,
    SINK,
    Mark,
    after_name,
    hidden_note,
    legend,
    model_line,
    quiet_line,
    sentence,
)
from attnviz.show.wording import (
    Said,
    alike_told,
    texts,
    tokens_of,
    unknown_legend,
    whose,
    window_told,
)
from attnviz.text.tokens import Token

HEADS_SHOWN = 10  # Heads that the table shows, unless the user chose heads or said how many
WORDS = ((4, 16), (3, 16), (2, 16), (1, 16))
"""How many words that gained, and that lost, a line names, and their cells: the first that fit."""

NARROW, LEAST = ((1, 16), (1, 7), (1, 4)), 4
"""The same for narrow terminals, where the first four columns should fit."""

SMALLEST_CHANGE = 0.005  # Smaller changes are not named: they would read as 0
BAR = 14  # Cells that the largest change of a link takes
FULL_FROM = 0.1  # A change from here on may have a whole bar: one that rounds to nothing has none
ONE_SIDED = "*"  # After a word without a partner in the other sentence


def table(answer: Comparison, top: int | None = None) -> RenderableType:
    """The `top` heads that change most; without `top`, 10 of all, or all that were chosen."""
    chosen = len(answer.heads) < len(answer.alignment.a.all_heads())
    shown = answer.heads[: top or (len(answer.heads) if chosen else HEADS_SHOWN)]
    return Page(lambda width, hues: _lines(answer, shown, width, hues))


def _lines(
    comparison: Comparison, shown: Sequence[HeadChange], width: int, hues: Hues | None
) -> Iterator[RenderableType]:
    words, query, key = comparison.alignment, comparison.query, comparison.key
    yield from sides(words, query)
    yield from _of_both(words, lambda context: context.measured.line)
    yield from legend(hues, width, "{warm}: more in B · {cool}: less in B")
    yield Text()
    who = "all words look" if query is None else f'"{_names(words, "query")[query]}" looks'
    if key is None:
        yield title(f"what {who} at, by Jensen-Shannon distance")
        every = [_distances(comparison, shown, *named) for named in WORDS + NARROW]
        fitting = (one for one in every[:-1] if one.fits(width))
        least = (one for one in every[-len(NARROW) :] if one.fits(width, LEAST))
        yield next(chain(fitting, least), every[-1])
    else:
        yield title(f'how much {who} at "{_names(words, "key")[key]}", by change')
        yield _links(comparison, key, shown)
    for number, note in enumerate(_notes(comparison, len(shown))):
        if number == 0:
            yield Text()
        yield from quiet_line(note)


def _distances(
    comparison: Comparison, shown: Sequence[HeadChange], count: int, room: int
) -> Ranking:
    """A line for each head: its distance, and the `count` words that gained and lost most."""
    asked = comparison.query is not None
    columns = [column(), column("distance" if asked else "mean")]
    for what in ("gained in B", "lost in B"):
        columns += [column(what if place == 0 else "") for place in range(count)]
    columns += [column("most in A"), column("most in B")] if asked else [column("most changed")]
    rows = []
    for place, change in enumerate(shown):
        mark = MARKER if place == 0 and change.distance > 0 else " "
        distance = Text(mark + weight_text(change.distance), style=PLAIN if place else BOLD)
        row = [Text(str(change.head), style=BOLD), distance]
        for keys in (change.gained(count), change.lost(count)):
            named = [key for key in keys if abs(float(change.change[key])) >= SMALLEST_CHANGE]
            row += [_changed(comparison, change, key, room) for key in named]
            row += [Text()] * (count - len(named))
        rows.append(row + (_strongest if asked else _mover)(comparison, change, room))
    return Ranking(columns, rows, least=3)


def _changed(comparison: Comparison, change: HeadChange, key: int, room: int) -> Text:
    difference, words = float(change.change[key]), comparison.alignment
    name = _names(words, "key")[key]
    side: Side = "a" if difference < 0 else "b"  # which lost it, or gained it
    token = words.keys[key].token(side)
    if cell_len(name) > room and not words.keys[key].same and token is not None:
        name = names(words.context(side), "key")[token.index]
    name = cut(name, room)
    return Text.assemble((f" {_change_text(difference)} ", _change_style(difference)), f" {name}")


def _strongest(comparison: Comparison, change: HeadChange, room: int) -> list[Text]:
    """The word that the query looks at most, in A and in B."""
    cells, words = [], comparison.alignment
    for side, shares in zip(SIDES, (change.a, change.b), strict=True):
        best = int(largest(shares))
        token, weight = comparison.keys[best].token(side), float(shares[best])
        cell = Text()
        if token is not None:
            name = cut(names(words.context(side), "key")[token.index], room)
            cell.append(f" {weight_text(weight)}  {name}")
        cells.append(cell)
    return cells


def _mover(comparison: Comparison, change: HeadChange, room: int) -> list[Text]:
    """The word that as a query changes most, and how far."""
    if change.distances is None:
        return [Text()]
    most = int(largest(change.distances, floor=NEAR_ZERO))
    distance = float(change.distances[most])
    name = cut(_names(comparison.alignment, "query")[most], room)
    return [Text(f" {weight_text(distance)}  {name}" if distance >= SMALLEST_CHANGE else "")]


def _links(comparison: Comparison, key: int, shown: Sequence[HeadChange]) -> Ranking:
    """A line for each head: the link's number in A and in B, and its change as a bar."""
    most = max(FULL_FROM, *(abs(float(change.change[key])) for change in comparison.heads))
    rows = []
    for change in shown:
        weights = float(change.a[key]), float(change.b[key])
        difference = float(change.change[key])
        size = round(abs(difference) / most * BAR)
        bar = ("━" * size, RAMPS["warm" if difference > 0 else "cool"][-1])
        left = " " * (BAR if difference > 0 else BAR - size)
        axis = ("│", DIM)
        rows.append(
            [
                Text(str(change.head), style=BOLD),
                *(Text(f" {weight_text(number)} ") for number in weights),
                Text(f" {_change_text(difference)} ", style=_change_style(difference)),
                Text.assemble(left, *((axis, bar) if difference > 0 else (bar, axis))),
            ]
        )
    numbers = [column(title, "right") for title in ("A ", "B ", "change")]
    return Ranking([column(), *numbers, column()], rows, least=3)


@lru_cache(maxsize=2)
def _names(words: Alignment, role: Role) -> tuple[str, ...]:
    """What aligned words are called; those of one sentence alone are marked."""
    marks = ("" if len(column.tokens) > 1 else ONE_SIDED for column in words.of(role))
    return tuple(map(add, aligned_names(words, role), marks))


def _change_text(change: float) -> str:
    """A change in four cells: `+.08`, `−.40`, and a dot for what rounds to zero."""
    text = weight_text(abs(change))
    if abs(change) < SMALLEST_CHANGE:
        return " " + text
    return ("+" if change > 0 else "−") + text


def _change_style(change: float) -> Style:
    """Warm for an increase, cool for a decrease; a change of half has the strongest colour."""
    return weight_style(min(1.0, 2 * abs(change)), "warm" if change > 0 else "cool")


def sides(words: Alignment, query: int | None) -> Iterator[RenderableType]:
    """Both models, or the one; both sentences, the query underlined, what differs in brackets."""
    one_model = words.a.model == words.b.model
    for side in SIDES[: 1 if one_model else 2]:
        line = model_line(words.context(side))
        yield line if one_model else Text.assemble((f"{side.upper()}  ", "bold"), line)
    yield from _of_both(words, whose)
    of_a, of_b = ([said.text for said in texts(context)] for context in (words.a, words.b))
    one_text = of_a == of_b
    for side in SIDES[: 1 if one_text and not one_model else 2]:
        yield from _sentences(words, side, query, named=not one_text or one_model)
    yield from _of_both(words, unknown_legend)
    yield from _of_both(words, window_told)


def _of_both(words: Alignment, line_of: Callable[[Context], str]) -> Iterator[Text]:
    """A line about A and one about B, or one line where they are the same."""
    of_a, of_b = line_of(words.a), line_of(words.b)
    if of_a == of_b:
        yield from quiet_line(of_a)
        return
    for name, line in (("A", of_a), ("B", of_b)):
        yield from quiet_line(f"{name}  {line}" if line else "")


def _sentences(
    words: Alignment, side: Side, query: int | None, named: bool
) -> Iterator[RenderableType]:
    """One side's texts, after its name if they are `named`, each with what it is called."""
    shown = list(texts(words.context(side)))
    name, margin = f"{side.upper()}  " if named else "", max(len(said.name) for said in shown)
    for said in shown:
        text = sentence(said.text, _marks(words, side, said, query), said.span)
        start = Text.assemble((name, "bold"), (f"{said.name:<{margin}}", "dim"))
        yield after_name(start, text) if margin else start.append_text(text)
        name = " " * len(name)


def _marks(words: Alignment, side: Side, said: Said, query: int | None) -> list[Mark]:
    asked = None
    if query is not None and said.role == "query":
        asked = words.pair(query)[SIDES.index(side)].index
    same = [one.token(side) for one in words.of(said.role) if one.same]
    kept = {token.index for token in same if token is not None}

    def kind(token: Token) -> tuple[bool, bool]:
        return token.index in kept, token.index == asked

    marks = []
    every = tokens_of(words.context(side), said.role)
    tokens = [t for t in every if t.segment == said.segment and not t.special]
    for (is_kept, is_asked), group in groupby(tokens, kind):
        run = list(group)
        start, end = run[0].start, run[-1].end
        if start is None or end is None or (is_kept and not is_asked):
            continue
        if is_kept:
            marks.append(Mark(start, end))
        else:
            marks.append(Mark(start, end, ASKED if is_asked else "bold", "‹", "›"))
    return marks


def _notes(comparison: Comparison, shown: int) -> Iterator[str]:
    words, context = comparison.alignment, comparison.alignment.a
    if alike := alike_told(words):
        yield f"{alike[0].upper()}{alike[1:]}."
    if len(comparison.heads) > shown:
        yield hidden_note(context, len(comparison.heads), shown)
    named = (*words.keys, *words.columns)
    if comparison.key is None and any(len(one.tokens) < 2 for one in named):
        yield (
            f"{ONE_SIDED} a word without a partner in the other sentence; all its weight counts "
            "as change."
        )
    if not context.measured.shares:
        yield (
            f"Rows of {context.measure} are not shares: here each is divided by its sum, so that "
            "the two can be compared."
        )
    over = _over(comparison)
    yield from _special_note(comparison, over)
    rest = Both.mean([change.rest for change in comparison.heads])
    if rest is not None:
        where = [SINK] if context.measured.sinks else []
        if context.window is not None and not context.is_cross_attention:
            where.append("words outside the window")
        yield (
            f"{rest.a:.0%} in A and {rest.b:.0%} in B ({over}) goes to "
            f"{' or '.join(where)}; distances count it as one more word."
        )
    other = words.b.model
    if other.name == context.model.name and context.model.trained and not other.trained:
        yield (
            "B is A with weights drawn at random, as before any training: where its heads look is "
            "chance. What they do in A, they learned."
        )
    elif context.model != other:
        yield (
            "Heads of two models are the same head only where one model came from the other, "
            "as by fine-tuning; otherwise one number names two unrelated heads."
        )


def _over(comparison: Comparison) -> str:
    context, heads = comparison.alignment.a, comparison.heads
    if len(heads) == 1:
        return f"in {heads[0].head}"
    these = "these" if len(heads) < len(context.all_heads()) else "all"
    return f"mean over {these} {context.places}"


def _special_note(comparison: Comparison, over: str) -> Iterator[str]:
    special = comparison.special
    dropped = Both.mean([change.dropped for change in comparison.heads])
    if dropped is not None:
        rest = comparison.heads[0].rest
        yield (
            f"Special tokens are left out: they had {dropped.a:.0%} of what is compared in A "
            f"and {dropped.b:.0%} in B ({over}), and what remains of each row "
            f"{'sums to 1' if rest is None else 'is shared with the sink'}."
        )
    elif comparison.query is not None and special is not None:
        words = comparison.alignment
        yield (
            f'"{_names(words, "query")[comparison.query]}" gives {special.a:.0%} of its '
            f"{words.a.measured.noun} to special tokens in A and {special.b:.0%} in B "
            f"({over}); --no-special leaves them out."
        )
