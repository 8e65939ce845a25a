"""What tables and pictures say of outcomes: what is measured, and what a head does to it."""

from attnviz.answers.effects import Effect
from attnviz.attention.order import NEAR_ZERO
from attnviz.inspection import Context
from attnviz.inspection.outcomes import OutcomeFacts
from attnviz.show.labels import names, visible

ALIKE = 60  # characters of another text that a line repeats


def outcome_told(facts: OutcomeFacts, context: Context | None = None) -> str:
    """What is measured: `the probability of "es" less that of "sie" after "weil"`."""
    if facts.name == "similarity":
        return f"the cosine with {_quoted(facts.of or '')}"
    of = "the likeliest" if facts.of is None else _quoted(facts.of)
    what = f"the {facts.unit} of {of}"
    if facts.against is not None:
        what += f" less that of {_quoted(facts.against)}"
    return f"{what}{_place(facts, context)}"


def _place(facts: OutcomeFacts, context: Context | None) -> str:
    """Where it is measured, if that is at a word."""
    if facts.token is None:
        return ""
    called = visible(facts.token.text)
    if facts.name != "next" and context is not None:
        called = names(context, "query")[facts.token.index]
    return f" after {_quoted(called)}" if facts.name == "next" else f" at {called}"


def _quoted(text: str) -> str:
    shown = text if len(text) <= ALIKE else text[: ALIKE - 1].rstrip() + "…"
    return f'"{visible(shown)}"'


def does_told(effect: Effect, several: bool) -> str:
    """What heads do to the outcome: `it helps`."""
    who, verdict = "they" if several else "it", effect.verdict
    if verdict == "does not matter":
        return f"{who} {'do' if several else 'does'} not matter"
    verb = (verdict or "").removesuffix("s")
    return f"{who} {verb if several else verdict}"


def best_told(effect: Effect) -> str:
    """What is likeliest before and after; nothing where that is not known."""
    before, after = effect.before.best, effect.after.best
    if before is None or after is None:
        return ""
    if before == after:
        return f"{_quoted(before)} is likeliest, before and after"
    return f"likeliest: {_quoted(before)} before, {_quoted(after)} after"


def number_told(number: float) -> str:
    """A value with three digits."""
    shown = "0" if abs(number) < NEAR_ZERO else f"{number:#.3g}".rstrip(".")
    return shown.replace("-", "−")


def change_told(change: float) -> str:
    """The same with its sign, which 0 has not."""
    return f"+{number_told(change)}" if change >= NEAR_ZERO else number_told(change)
