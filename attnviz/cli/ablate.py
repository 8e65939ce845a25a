"""`attnviz ablate`: does that head matter?"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from attnviz.cli.drawn import DrawnOutput
from attnviz.cli.options import (
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
from attnviz.cli.outcomes import Replaced, Rows, What
from attnviz.cli.output import complain
from attnviz.errors import AttnvizError, RequestError

if TYPE_CHECKING:
    from attnviz.answers.ablate import Ablation, EachAblation
    from attnviz.cli.inputs import Item
    from attnviz.cli.output import Notes
    from attnviz.cli.session import Selection
    from attnviz.inspection import View
    from attnviz.inspection.ablated import Ablating, CorpusMeans
    from attnviz.inspection.context import Role
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
    session = Session(_choice(ablated, choice), output)
    selection = Selection(session, Look(words=ablated.words), heads)
    inputs = Inputs(source, session, output, None)
    editing = Editing(ablated, choice.seed or 0, selection)

    def ask(item: "Item") -> "Ablation | EachAblation":
        check_ablatable(item.inspection)
        view = selection.view(item.inspection)
        tokens, context = item.inspection.tokens, view.context
        query = selection.word(item.place, view, "query", ablated.query)
        chosen = selection.heads(context)
        model = session.model_of(item.inspection)
        session.spinner.update("taking heads away")
        mask = _mask(tokens, model, session.notes, item.place)
        how = editing.of(model, view, item.place)
        if not ablated.each:
            run = model.ablate(item.inspection, chosen, how)
            ablation = ablation_of(context, run, query)
            if mask is not None:
                _note_masks(ablation, mask, output.form, session.notes, item.place)
            return ablation
        if mask is not None:
            session.notes.say(
                f"{item.place}--head tells how predictions at {mask} change, --each does not"
            )
        pieces = slice(None) if query is None else parts_of(tokens, context.unit)[query]
        runs = model.ablate_each(item.inspection, how, pieces)
        return rank_heads(context, runs, query)

    answer_each(inputs, ask, ablated.top, doing="taking heads away")


class Editing:
    """What is replaced in each head of each text, as the options say."""

    def __init__(self, ablated: Ablated, seed: int, selection: "Selection") -> None:
        self._ablated, self._seed, self._selection = ablated, seed, selection
        self._means: tuple[Model, CorpusMeans] | None = None

    def of(self, model: "Model", view: "View", place: str) -> "Ablating":
        """Of one text; RequestError for a row that it has not."""
        from attnviz.answers.ablate import pieces_in
        from attnviz.answers.select import find_phrase
        from attnviz.attention.edits import BY_KEY
        from attnviz.inspection.ablated import Ablating

        ablated, context = self._ablated, view.context
        role: Role = "key" if ablated.what in BY_KEY else "query"
        rows = tuple(
            token
            for word in ablated.rows or ()
            for token in self._selection.phrase(
                place, view, role, word, "--rows", find_phrase
            ).tokens
        )
        return Ablating(
            ablated.replacement if ablated.mean_of is None else "mean",
            ablated.what,
            rows or None,
            tuple(pieces_in(context, role, rows)) if rows else None,
            self._seed,
            self._of_corpus(model),
        )

    def _of_corpus(self, model: "Model") -> "CorpusMeans | None":
        """What the heads compute on average over the texts of --mean-of, read once."""
        if self._ablated.mean_of is None or self._ablated.what == "weights":
            return None
        if self._means is None or self._means[0] is not model:
            from attnviz.corpus.means import corpus_means
            from attnviz.corpus.reading import Files

            session = self._selection.session
            with session.spinner.doing("reading the texts of --mean-of"):
                files = Files(self._ablated.mean_of)
                means, problems = corpus_means(model, files, self._ablated.what)
            for problem in problems:
                complain(AttnvizError(str(problem)))
            self._means = model, means
        return self._means[1]


def _choice(ablated: Ablated, choice: ModelChoice) -> ModelChoice:
    """The model; --seed is the noise's too, and alone where the model draws nothing."""
    from attnviz.models import PAPER

    noise = ablated.replacement == "noise" and choice.name != PAPER
    return replace(choice, seed=None) if noise else choice


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
