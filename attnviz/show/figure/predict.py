"""What a model says, as bars: words at each mask, labels, what comes next, what it writes."""

from dataclasses import replace

from matplotlib.figure import Figure

from attnviz.answers.predict import Prediction, Said
from attnviz.errors import RequestError
from attnviz.inspection.predicted import Guess
from attnviz.show.figure.captions import heading, label
from attnviz.show.figure.drawing import drawing
from attnviz.show.figure.fonts import font_families, texts_of
from attnviz.show.figure.language import say
from attnviz.show.figure.ranking import Bar, Ranked, draw_ranked
from attnviz.show.forms import Limits
from attnviz.show.labels import names, visible
from attnviz.show.wording import (
    BY_TOKEN,
    GUESSES_SHOWN,
    guess_name,
    guess_number,
    more_guesses,
    said_by,
    unknown_legend,
    what_guesses_say,
)

MOST_BARS = 200


def figure(answer: Prediction, top: int | None = None, scale: Limits | None = None) -> Figure:
    """The `top` (5) guesses at each place as bars; of each word, or piece, the likeliest."""
    by_token = answer.facts.kind in BY_TOKEN
    count = len(answer.said) * (1 if by_token else top or GUESSES_SHOWN)
    if count > MOST_BARS:
        raise RequestError(
            f"the picture would have {count} bars, and has room for {MOST_BARS}",
            "take -f csv, which has every number",
        )
    guesses = [guess.text for said in answer.said for guess in said.guesses]
    others = [text for text in (answer.other, answer.written) if text]
    with drawing(font_families([*texts_of(answer.context), *guesses, *others]).families):
        what, how = said_by(answer)
        notes = [how, unknown_legend(answer.context)]
        notes += [] if by_token else [more_guesses(answer, top or GUESSES_SHOWN)]
        notes += what_guesses_say(answer)
        usual = heading(answer.context, ())
        quoted = tuple(f"“{visible(text)}”" for text in others)
        title = replace(
            usual,
            title=f"{visible(answer.context.model.title)} · {what}",
            sentences=usual.sentences + quoted,
            notes=tuple(filter(None, notes)),
        )
        return draw_ranked(title, _ranked(answer, by_token, top), None, no_map=True)


def _ranked(answer: Prediction, by_token: bool, top: int | None) -> list[Ranked]:
    quantity = "probability" if answer.facts.function else "score"
    if by_token:
        bars = [_of_token(answer, said) for said in answer.said]
        columns = (quantity,) if answer.written is not None else ("guess", quantity)
        return [Ranked("", "", {}, False, str, "", columns, bars)]
    return [
        Ranked(
            _place(answer, said), "", {}, False, str, "", (quantity,),
            [_bar(answer, guess) for guess in said.guesses[: top or GUESSES_SHOWN]],
        )
        for said in answer.said
    ]  # fmt: skip


def _place(answer: Prediction, said: Said) -> str:
    if answer.facts.kind != "masked-lm" or said.token is None:
        return ""
    return label(names(answer.context, "query", every=True)[said.token.index])


def _bar(answer: Prediction, guess: Guess) -> Bar:
    name = guess_name(guess)
    name = say(name) if answer.facts.kind == "similarity" else label(name)
    return Bar(name, _length(guess), (guess_number(guess),))


def _of_token(answer: Prediction, said: Said) -> Bar:
    guess, token = said.guesses[0], said.token
    if answer.written is not None or token is None:
        return _bar(answer, guess)
    cells = label(guess_name(guess)), guess_number(guess)
    return Bar(label(names(answer.context, "query")[token.index]), _length(guess), cells)


def _length(guess: Guess) -> float:
    """A bar has no length for a number below 0, which stands beside it."""
    return max(0.0, guess.score if guess.probability is None else guess.probability)
