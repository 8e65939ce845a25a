"""What tables and pictures say of patches: what is measured, what goes from A to B, numbers."""

from attnviz.answers.patch import HARDLY, Effect, Twins
from attnviz.answers.patch_summary import PatchSummary
from attnviz.attention.edits import What
from attnviz.inspection import Context
from attnviz.inspection.context import counted
from attnviz.inspection.outcomes import OutcomeFacts
from attnviz.show.effect_wording import number_told, outcome_told
from attnviz.show.labels import visible
from attnviz.show.wording import alike_told

PATCHED: dict[What, str] = {
    "z": "the result z",
    "q": "the queries q",
    "k": "the keys k",
    "v": "only the values v, what is brought",
    "weights": "only the weights, where it looks",
}
"""What of a head goes from A to B."""

DOUBTS = (
    "A patch tests whether what a head computed is enough to make the difference here, not whether "
    "it is needed: other heads may carry the same."
)

ONE = 5e-4  # A share is told with three decimals; what rounds to 1, or 0, is not beyond it


def share_told(share: float | None) -> str:
    """A share of the difference; nothing where there is none."""
    if share is None:
        return ""
    return "0" if abs(share) < ONE else f"{share:.3f}".replace("-", "−")


def measured_told(
    outcome: OutcomeFacts, context: Context | None = None, own_words: bool = False
) -> str:
    """What is measured, of one pair of twins, or of many of which each has words of its own."""
    if outcome.name != "states":
        own = f"the {outcome.unit} of each pair's own words"
        return own if own_words else outcome_told(outcome, context)
    if outcome.token is not None:
        whose = f'the final state of "{visible(outcome.token.text)}" is'
    else:
        whose = "the query's final state is" if own_words else "final states of shared words are"
    return f"how far {whose} from A's, 1 − cos"


def both_told(twins: Twins) -> str:
    """What was measured in A and in B, and what is likeliest in each, if something is."""
    told = []
    for name, measured in (("A", twins.a), ("B", twins.b)):
        best = measured.best
        says = "" if best is None else f' ("{visible(best.strip())}")'
        told.append(f"{name} {number_told(measured.value)}{says}")
    return " · ".join(told)


def hardly_told(twins: Twins) -> str:
    """Why no share is told, where A and B hardly differ."""
    if twins.alignment.identical:
        return "A and B are the same, so there is no difference to restore"
    return alike_told(twins.alignment) or (
        f"A and B differ by less than {HARDLY:g} in what is measured, so no share is told"
    )


def rows_told(twins: Twins) -> str:
    """Which words go where, if not all: as in `of tired→wide alone`."""
    if not twins.rows.named:
        return ""
    pairs = [(visible(a.label), visible(b.label)) for a, b in twins.rows.tokens]
    named = [a if a.casefold() == b.casefold() else f"{a}→{b}" for a, b in pairs]
    return f"of {', '.join(named)} alone"


def shown(effect: Effect, twins: Twins) -> float:
    """The share restored, or how B changes where there is none."""
    return effect.value - twins.b.value if effect.restored is None else effect.restored


def twins_told(answer: PatchSummary) -> list[str]:
    """How many twins were counted, how many not, and how much they differ."""
    told = [f"{counted(answer.twins, 'pair')} of twins"]
    told += [f"{answer.alike} more hardly differ"] * (answer.alike > 0)
    told += [f"{answer.left_out} left out"] * (answer.left_out > 0)
    return ["; ".join(told), f"mean of |A − B|: {number_told(answer.difference)}"]
