"""What `ablate` does to each text: which edits are made, what is measured, and the answer."""

from dataclasses import replace
from typing import TYPE_CHECKING

from attnviz.cli.options import ModelChoice
from attnviz.cli.outcomes import OutcomeChoice
from attnviz.cli.output import complain
from attnviz.errors import AttnvizError, RequestError

if TYPE_CHECKING:
    from attnviz.cli.ablate import Ablated
    from attnviz.cli.session import Selection
    from attnviz.corpus.ablating import Label
    from attnviz.inspection import View
    from attnviz.inspection.ablated import Ablating, CorpusMeans
    from attnviz.inspection.context import Role
    from attnviz.inspection.outcomes import Asked
    from attnviz.inspection.predicted import HeadFacts
    from attnviz.model import Model

READ_BY_DECODER = (None, "encoder")
"""Whose attention may be asked for beside a target that a decoder is fed."""


class Editing:
    """What is replaced in each head of each text, as the options say."""

    def __init__(self, ablated: "Ablated", seed: int, selection: "Selection") -> None:
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


class Measuring:
    """What is measured of each text, as the options say."""

    def __init__(self, measured: OutcomeChoice, choice: ModelChoice) -> None:
        own = choice.attention in READ_BY_DECODER
        self._target = choice.target if own and measured.outcome in (None, "next") else None
        self._measured = measured

    @property
    def taken(self) -> bool:
        """Whether the target is for what is measured, and not for the model that is shown."""
        return self._target is not None

    def asked(
        self, model: "Model", view: "View", query: int | None, label: "Label | None" = None
    ) -> "Asked":
        """What is asked of a text, by name; RequestError for a target that nothing reads.

        label: what a row of a table says, which states do not have.
        """
        from attnviz.model.edits import fed
        from attnviz.model.outcomes import usual_outcome
        from attnviz.model.predict import facts_of

        asked = self._measured.asked(self._target)
        if asked.name is None:
            tokens = fed(view.inspection, model.decodes)
            name = usual_outcome(model, tokens)
            masked = query is not None and _is_mask(model, view, query)
            # a word that was named is one whose state moves
            asked = replace(asked, name=name if query is None or masked else "states")
        if label is not None and self._measured.outcome != "states":
            own = label.of or asked.of, label.against or asked.against
            asked = replace(asked, of=own[0], against=own[1])
        facts = facts_of(model)
        if asked.name == "states":
            _check_bare(model, facts, asked, label)
        if asked.target is not None and (facts is None or facts.kind != "seq2seq-lm"):
            raise RequestError(
                f"--target is what a decoder beside the encoder is fed, and {model.facts.name} "
                "has none",
                "leave it out, or take a model with both, such as T5 or BART",
            )
        return asked


def _check_bare(
    model: "Model", facts: "HeadFacts | None", asked: "Asked", label: "Label | None"
) -> None:
    """RequestError for a word of what a head says, where states are measured."""
    of = "--of" if label is None or label.of is None else "the label"
    given = {of: asked.of, "--against": asked.against, "--logit": asked.logit}
    option = next(filter(given.get, given), None)
    if option is None:
        return
    name = model.facts.name
    has = (
        f"{name} has no head" if facts is None else f"the {facts.kind} head of {name} is not asked"
    )
    raise RequestError(
        f"{option} is of what a head says, and {has}: how far states move is measured",
        "put a mask in the text of a masked LM, name an --outcome, or leave it out; --query names "
        "a word whose state is measured",
    )


def _is_mask(model: "Model", view: "View", token: int) -> bool:
    """Whether a token of the text is a mask."""
    from attnviz.text.tokens import parts_of

    tokens = view.inspection.tokens
    part = parts_of(tokens, view.context.unit)[token]
    return model.tokenizer.mask_id in tokens.ids[part]


def model_choice(ablated: "Ablated", choice: ModelChoice, target_taken: bool) -> ModelChoice:
    """The model that is shown; --seed is the noise's too, and its alone where nothing is drawn."""
    from attnviz.models import PAPER

    noise = ablated.replacement == "noise" and choice.name != PAPER
    choice = replace(choice, seed=None) if noise else choice
    return replace(choice, target=None) if target_taken else choice
