"""`attnviz ablate`: does that head matter?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from attnviz.cli.drawn import DrawnOutput
from attnviz.cli.options import (
    SHOW,
    AsWords,
    HeadChoice,
    Look,
    ModelChoice,
    Replacement,
    Source,
    count,
    flag,
    valued,
)
from attnviz.errors import RequestError

if TYPE_CHECKING:
    from attnviz.answers.ablate import Ablation, EachAblation
    from attnviz.cli.inputs import Item
    from attnviz.cli.output import Notes
    from attnviz.model import Model
    from attnviz.show.forms import Form
    from attnviz.text.tokens import Tokens


MASKS = ("[MASK]", "<mask>")  # mask tokens of most models


@dataclass(frozen=True)
class Ablated:
    """Which heads to ablate, with what, and how much of the answer to show."""

    each: Annotated[
        bool, flag("--each", SHOW, "Ablate each head alone, and rank them by the effect.")
    ] = False
    replacement: Replacement = "zero"
    query: Annotated[
        str | None,
        valued("WORD", SHOW, "How far WORD moves; with --each, what ranks heads."),
    ] = None
    top: Annotated[
        int | None, count("The K words, or heads, with the largest effect; without, 10 in tables.")
    ] = None
    words: AsWords = True


def ablate(
    source: Source, ablated: Ablated, heads: HeadChoice, choice: ModelChoice, output: DrawnOutput
) -> None:
    """Ablate heads, and show how far each word's final state moves: does that head matter?

    The model runs again with the heads' outputs set to zero, or to their mean. The distance is
    1 - cos between a word's final states: 0 if nothing changes, 1 at right angles. If the model
    predicts masked words, its predictions at a mask are compared too.

    Example: attnviz ablate "The animal didn't cross the street because it was too tired."
    --head 3.1
    """
    _check(ablated, heads)
    from attnviz.answers.ablate import ablation_of, rank_heads
    from attnviz.cli.inputs import Inputs, answer_each
    from attnviz.cli.output import check_output
    from attnviz.cli.session import Selection, Session
    from attnviz.model import check_ablatable
    from attnviz.text.tokens import parts_of

    check_output(output, "EachAblation" if ablated.each else "Ablation")
    session = Session(choice, output)
    selection = Selection(session, Look(words=ablated.words), heads)
    inputs = Inputs(source, session, output, None)

    def ask(item: "Item") -> "Ablation | EachAblation":
        check_ablatable(item.inspection)
        view = selection.view(item.inspection)
        tokens, context = item.inspection.tokens, view.context
        query = selection.word(item.place, view, "query", ablated.query)
        chosen = selection.heads(context)
        model = session.model_of(item.inspection)
        session.spinner.update("taking heads away")
        mask = _mask(tokens, model, session.notes, item.place)
        if not ablated.each:
            run = model.ablate(item.inspection, chosen, ablated.replacement)
            ablation = ablation_of(context, run, query)
            if mask is not None:
                _note_masks(ablation, mask, output.form, session.notes, item.place)
            return ablation
        if mask is not None:
            session.notes.say(
                f"{item.place}--head tells how predictions at {mask} change, --each does not"
            )
        pieces = slice(None) if query is None else parts_of(tokens, context.unit)[query]
        runs = model.ablate_each(item.inspection, ablated.replacement, pieces)
        return rank_heads(context, runs, query)

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
    elif ablation.predictions and form in ("csv", "tsv", "parquet", "md"):
        notes.say(f"{place}{form} has no room for the predictions at {mask}; take -f json")


def _check(ablated: Ablated, heads: HeadChoice) -> None:
    """Refuse what makes no sense for any sentence."""
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
