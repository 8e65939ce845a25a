"""What tables and pictures say of outcomes: what is measured, and what a head does to it."""

from collections.abc import Iterator
from typing import get_args

from attnviz.answers.ablation_summary import TESTED, AblationSummary
from attnviz.answers.bootstrap import FEWEST
from attnviz.answers.effects import Effect, Verdict
from attnviz.attention.order import NEAR_ZERO
from attnviz.inspection import Context
from attnviz.inspection.context import counted
from attnviz.inspection.outcomes import OutcomeFacts
from attnviz.show.labels import names, visible

ALIKE = 60  # characters of another text that a line repeats


def outcome_told(
    facts: OutcomeFacts, context: Context | None = None, several: str = "the likeliest"
) -> str:
    """What is measured: `the probability of "es" less that of "sie" after "weil"`.

    several: what it is called where sentences differ in it.
    """
    if facts.name == "similarity":
        return f"the cosine with {'another text' if facts.of is None else _quoted(facts.of)}"
    of = several if facts.of is None else _quoted(facts.of)
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


def read_told(answer: AblationSummary) -> str:
    """How many sentences were counted, and how many of them say what is right."""
    told = counted(answer.sentences, "sentence")
    told += f", {answer.labelled} labelled" if answer.labelled else ""
    return told + (f", {answer.left_out} left out" if answer.left_out else "")


def summary_line(answer: AblationSummary) -> str:
    """What is measured, and what it is on average as the model is."""
    if answer.outcome.name == "states":
        token = answer.outcome.token
        return f"how far {'words' if token is None else visible(token.text)} move on average"
    several = "the label given" if answer.labelled else "the likeliest"
    told = outcome_told(answer.outcome, None, several)
    right = next((one.accuracy for one in answer.heads if one.accuracy is not None), None)
    likeliest = "" if right is None else f"; likeliest in {right.before:.0%} of those labelled"
    return f"{told[0].upper()}{told[1:]}: {number_told(answer.before)} on average{likeliest}"


def summary_notes(answer: AblationSummary) -> Iterator[str]:
    """How many heads do what, and what that is worth."""
    verdicts = [one.verdict for one in answer.heads]
    if not answer.has_intervals:
        yield f"Of fewer than {FEWEST} sentences there are no intervals, and heads have no verdict."
    elif verdicts[0] is not None and len(verdicts) > 1:
        helps, hurts = (verdicts.count(one) for one in get_args(Verdict)[:2])
        verbs = ["helps" if helps == 1 else "help", "hurts" if hurts == 1 else "hurt"]
        yield (
            f"Of {len(verdicts)} heads {helps} {verbs[0]} and {hurts} {verbs[1]}; of the "
            "others no change was found that chance would not explain."
        )
    if verdicts[0] is not None:
        yield f"{TESTED[0].upper()}{TESTED[1:]}."


def number_told(number: float) -> str:
    """A value with three digits."""
    shown = "0" if abs(number) < NEAR_ZERO else f"{number:#.3g}".rstrip(".")
    return shown.replace("-", "−")


def change_told(change: float) -> str:
    """The same with its sign, which 0 has not."""
    return f"+{number_told(change)}" if change >= NEAR_ZERO else number_told(change)
