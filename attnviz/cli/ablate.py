"""`attnviz ablate`: does that head matter?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from attnviz.cli.drawn import DrawnOutput
from attnviz.cli.options import (
    INPUT,
    SHOW,
    AsWords,
    HeadChoice,
    Look,
    ModelChoice,
    Source,
    count,
    flag,
    valued,
)
from attnviz.cli.outcomes import OutcomeChoice, Replaced, Rows, What
from attnviz.errors import RequestError

if TYPE_CHECKING:
    from attnviz.answers.ablate import Ablation, EachAblation
    from attnviz.answers.effects import EachOutcome
    from attnviz.cli.inputs import Item
    from attnviz.cli.output import Notes
    from attnviz.model import Model
    from attnviz.show.forms import Form
    from attnviz.text.tokens import Tokens


MASKS = ("[MASK]", "<mask>")  # mask tokens of most models

STATES = (
    "--each tells how far states move; --outcome mask, if the model has a masked-LM head, how "
    "predictions at {} change"
)
"""The note where a mask is there, and states are measured."""


@dataclass(frozen=True)
class Ablated:
    """Which heads to ablate, with what, and how much of the answer to show."""

    each: Annotated[
        bool, flag("--each", SHOW, "Ablate each head alone, and rank them by the effect.")
    ] = False
    what: What = "z"
    replacement: Replaced = "zero"
    mean_of: Annotated[
        list[str] | None,
        valued("FILE", SHOW, "Replace it by its mean over these texts; forms as of survey."),
    ] = None
    rows: Rows = None
    query: Annotated[
        str | None,
        valued("WORD", SHOW, "How far WORD moves; with --each, what ranks heads."),
    ] = None
    tsv: Annotated[
        str | None,
        valued(
            "FILE",
            INPUT,
            "Many sentences: a table with the columns text, and label (as --of), against, query, "
            "pair or id; or one a line. Means, intervals, and which heads help or hurt.",
        ),
    ] = None
    top: Annotated[
        int | None, count("The K words, or heads, with the largest effect; without, 10 in tables.")
    ] = None
    words: AsWords = True


def ablate(
    source: Source,
    ablated: Ablated,
    measured: OutcomeChoice,
    heads: HeadChoice,
    choice: ModelChoice,
    output: DrawnOutput,
) -> None:
    """Ablate heads, and show what that changes: does that head matter?

    The model runs again with the heads' outputs set to zero, or to something else. What changes is
    what its own head says (the probability of a word at a mask, a label, the next token), or how
    far final states move: 1 - cos, from 0 (not at all) to 1 (at right angles) and 2.

    Example: attnviz ablate "The animal didn't cross the street because it was too tired."
    --head 3.1
    """
    _check(ablated, heads)
    measured.check(of_rows=ablated.tsv is not None)
    if ablated.tsv is not None:
        from attnviz.cli.ablate_corpus import over_sentences

        over_sentences(ablated.tsv, source, ablated, measured, heads, choice, output)
        return
    from attnviz.cli.ablating import Editing, Measuring, model_choice
    from attnviz.cli.inputs import Inputs, answer_each
    from attnviz.cli.output import check_output
    from attnviz.cli.session import Selection, Session
    from attnviz.corpus.ablation import each, single
    from attnviz.model import check_ablatable

    check_output(output, *(["EachAblation", "EachOutcome"] if ablated.each else ["Ablation"]))
    measuring = Measuring(measured, choice)
    session = Session(model_choice(ablated, choice, measuring.taken), output)
    selection = Selection(session, Look(words=ablated.words), heads)
    inputs = Inputs(source, session, output, None)
    editing = Editing(ablated, choice.seed or 0, selection)

    def ask(item: "Item") -> "Ablation | EachAblation | EachOutcome":
        check_ablatable(item.inspection)
        view = selection.view(item.inspection)
        tokens, context = item.inspection.tokens, view.context
        query = selection.word(item.place, view, "query", ablated.query)
        chosen = selection.heads(context)
        model = session.model_of(item.inspection)
        session.spinner.update("taking heads away")
        mask = _mask(tokens, model, session.notes, item.place)
        how, asked = editing.of(model, view, item.place), measuring.asked(model, view, query)
        for told in model.pooling.notes if asked.name == "similarity" else ():
            session.notes.say_once(told)
        if ablated.each:
            if mask is not None and asked.name == "states":
                session.notes.say(f"{item.place}{STATES.format(mask)}")
            return each(model, view, how, asked, query)
        ablation = single(model, view, chosen, how, asked, query)
        if mask is not None:
            _note_masks(ablation, mask, output.form, session.notes, item.place)
        return ablation

    answer_each(inputs, ask, ablated.top, doing="taking heads away")


def _mask(tokens: "Tokens", model: "Model", notes: "Notes", place: str) -> str | None:
    """The model's mask token, if the text has it; a note on a mask of another model."""
    number, name = model.tokenizer.mask_id, model.facts.name
    mask = None if number is None else model.tokenizer.entry(number)
    if number in tokens.ids:
        return mask
    typed = next((one for one in MASKS if one in f"{tokens.text} {tokens.pair}"), None)
    if typed is not None:
        has = f"{name} has no mask token" if mask is None else f"the mask token of {name} is {mask}"
        notes.say(f"{place}{has}, so nothing is predicted at {typed}")
    return None


def _note_masks(ablation: "Ablation", mask: str, form: "Form", notes: "Notes", place: str) -> None:
    """Say what is not shown of the predictions at masks, and why."""
    if ablation.predictions is None:
        name = ablation.context.model.name
        notes.say(f"{place}{name} has no masked-LM head, so nothing is predicted at {mask}")
    elif (
        ablation.predictions
        and ablation.effect.verdict is None
        and form in ("csv", "tsv", "parquet", "md")
    ):
        notes.say(f"{place}{form} has no room for the predictions at {mask}; take -f json")


def _check(ablated: Ablated, heads: HeadChoice) -> None:
    """Refuse what makes no sense for any sentence."""
    if ablated.mean_of and ablated.replacement != "zero":
        raise RequestError(
            f"--mean-of says what replaces it, and --with {ablated.replacement} came beside it",
            "leave out one of the two",
        )
    if ablated.mean_of and ablated.what == "weights":
        raise RequestError(
            "rows of weights have no mean over texts, whose words are others",
            "take --what z, q, k or v, or --with mean, the mean over the sentence",
        )
    named = bool(heads.head or heads.layer)
    if ablated.each and named:
        raise RequestError(
            "--each ablates every head alone, and does not go with --head or --layer",
            "give one of the two; --each --top 1000 ranks all heads, that one among them",
        )
    if not ablated.each and not named:
        raise RequestError(
            "no head was named",
            "name one, as in --head 3.1, or a layer with --layer 3, or rank all heads with --each",
        )
