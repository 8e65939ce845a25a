"""What a model says of a text: words at a mask, labels, an answer, what comes next."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from attnviz.answers.predict import Prediction, Said
from attnviz.show.labels import names, visible
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    MARKER,
    PLAIN,
    RAMPS,
    Page,
    Ranking,
    column,
    cut,
    step_of,
    title,
)
from attnviz.show.terminal.heading import ASKED, marked, model_line, quiet_line, sentence
from attnviz.show.wording import (
    BY_TOKEN,
    GUESSES_SHOWN,
    guess_name,
    guess_number,
    more_guesses,
    said_by,
    unknown_legend,
    what_guesses_say,
    window_told,
)
from attnviz.text.tokens import Token

LONGEST = 30  # cells of a guess, or a word, beyond which it is cut
NO_LABEL = "O"  # the label of a word that is part of nothing


def table(answer: Prediction, top: int | None = None) -> RenderableType:
    """What is said of each place: `top` guesses, 5 unless told; of each word one, unless told."""
    return Page(lambda width, hues: _page(answer, top))


def _page(answer: Prediction, top: int | None) -> Iterator[RenderableType]:
    context = answer.context
    yield model_line(context)
    at_masks = answer.facts.kind == "masked-lm"
    asked = {one.token: ASKED for one in answer.said if at_masks and one.token is not None}
    yield from marked(context, asked)
    yield from [] if answer.other is None else [sentence(answer.other)]
    yield from quiet_line(unknown_legend(context))
    yield from quiet_line(window_told(context))
    what, how = said_by(answer)
    yield from quiet_line(how)
    yield Text()
    yield title(what)
    if answer.written is not None:
        yield Text(visible(answer.written), overflow="fold")
        yield Text()
    if answer.facts.kind in BY_TOKEN:
        # what was written is the likeliest: beside it stands what else was likely
        yield _by_token(answer, top or (1 if answer.written is None else 2))
    else:
        for place, one in enumerate(answer.said):
            yield from [Text()] if place else []
            yield from _at_place(answer, one, top or GUESSES_SHOWN)
    yield Text()
    by_token = answer.facts.kind in BY_TOKEN
    left_out = more_guesses(answer, top or (1 if by_token else GUESSES_SHOWN))
    stopped = "" if answer.complete else f"Stopped after {len(answer.said)} pieces."
    for note in (stopped, left_out, *what_guesses_say(answer)):
        yield from quiet_line(note)


def _at_place(answer: Prediction, said: Said, top: int) -> Iterator[RenderableType]:
    """The guesses at a mask, or of the whole text, likeliest first."""
    if answer.facts.kind == "masked-lm" and said.token is not None:
        yield Text(names(answer.context, "query", every=True)[said.token.index], style=BOLD)
    rows, bars = [], []
    for rank, guess in enumerate(said.guesses[:top]):
        mark, style = ("  ", PLAIN) if rank else (f"{MARKER} ", BOLD)
        name = Text(mark + cut(guess_name(guess), LONGEST), style=style)
        rows.append([name, Text(guess_number(guess))])
        bars.append(_bar(guess.probability))
    yield Ranking([column(), column(justify="right")], rows, bars=bars)


def _by_token(answer: Prediction, top: int) -> RenderableType:
    """A line a word, or a piece that was written: its likeliest guesses, and how likely it is."""
    most = max((len(one.guesses) for one in answer.said), default=0)
    rows, bars = [], []
    for one in answer.said:
        quiet = one.guesses[0].text == NO_LABEL
        row = []
        if answer.written is None:
            row = [Text(cut(_name(answer, one.token), LONGEST), style=DIM if quiet else PLAIN)]
        for rank in range(min(top, most)):
            guess = one.guesses[rank] if rank < len(one.guesses) else None
            style = DIM if quiet or rank else BOLD
            row.append(Text("" if guess is None else cut(guess_name(guess), LONGEST), style=style))
            row.append(Text("" if guess is None else guess_number(guess), style=style))
        rows.append(row)
        bars.append(_bar(one.guesses[0].probability))
    columns = [column()] if answer.written is None else []
    for rank in range(1, len(rows[0]) // 2 + 1):
        columns += [column(f"rank {rank}" if most > 1 < top else ""), column(justify="right")]
    return Ranking(columns, rows, least=len(columns) % 2 + 2, bars=bars, together=2)


def _name(answer: Prediction, token: Token | None) -> str:
    if token is None:
        return ""
    return names(answer.context, "query")[token.index]


def _bar(probability: float | None) -> tuple[float, str]:
    part = probability or 0.0
    return part, step_of(RAMPS["warm"], part)
