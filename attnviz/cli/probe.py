"""`attnviz probe`: which head finds a relation?"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from attnviz.cli.corpus import Running, fold_corpus
from attnviz.cli.drawn import PictureResults
from attnviz.cli.options import INPUT, RARE, SHOW, ModelChoice, argument, count, valued
from attnviz.errors import AttnvizError, RequestError

if TYPE_CHECKING:
    from attnviz.answers.probe import Kind


@dataclass(frozen=True)
class Probed:
    """The files, by what they say of each sentence."""

    files: Annotated[
        list[str] | None,
        argument(
            "FILE",
            "More files of the same kind, also .gz and .zst; folders, patterns, s3:// and whatever "
            "fsspec opens; - is standard input.",
        ),
    ] = None
    conllu: Annotated[
        list[str] | None,
        valued("FILE", INPUT, "Syntactic relations: a treebank in CoNLL-U, any of UD."),
    ] = None
    coref: Annotated[
        list[str] | None,
        valued("FILE", INPUT, "Coreference: CoNLL-U with Entity= (GUM, CorefUD), or GAP's TSV."),
    ] = None
    align: Annotated[
        list[str] | None,
        valued(
            "FILE",
            INPUT,
            "Word alignments in Pharaoh's form, for cross-attention: source ||| target ||| 0-0 "
            "1-2; or with them in a file of their own, named after the texts; or TSV, JSON Lines.",
        ),
    ] = None
    links: Annotated[
        list[str] | None,
        valued(
            "FILE",
            INPUT,
            "Links of your own, a table: sentence, query, key; label, distractor, group (twins).",
        ),
    ] = None
    sentences: Annotated[
        int | None,
        count("Of --coref: N sentences in a window at most. Without: as many as fit.", "N", RARE),
    ] = None
    first_word: Annotated[
        Literal["0", "1"] | None,
        valued("0|1", RARE, "Of --align: the number of the first word. Without: 0."),
    ] = None

    @property
    def asked(self) -> "tuple[Kind, list[str]]":
        """What kind of links, and in which files; RequestError unless it is one kind."""
        kinds: tuple[Kind, ...] = "conllu", "coref", "align", "links"
        given = [(kind, getattr(self, kind)) for kind in kinds if getattr(self, kind)]
        if len(given) != 1:
            came = " and ".join(f"--{kind}" for kind, _ in given) or "none of them"
            raise RequestError(
                f"probe takes one of --conllu, --coref, --align and --links, and {came} came",
                "as in attnviz probe --conllu en_ewt-ud-dev.conllu",
            )
        [(kind, names)] = given
        return kind, [*names, *(self.files or ())]

    @property
    def options(self) -> dict[str, Any]:
        """What this kind takes beside its files; RequestError for what is another's."""
        from attnviz.corpus.probing import OPTIONS

        kind, _ = self.asked
        first = None if self.first_word is None else int(self.first_word)
        every = {"sentences": self.sentences, "first_word": first}
        given = {name: value for name, value in every.items() if value is not None}
        for name in given:
            if OPTIONS[name] != kind:
                raise RequestError(
                    f"--{name.replace('_', '-')} is for --{OPTIONS[name]}, and --{kind} came",
                    "leave it out",
                )
        return given

    def model(self, choice: ModelChoice) -> ModelChoice:
        """The model's attention that is asked: of alignments the cross-attention; RequestError."""
        kind, _ = self.asked
        allowed = (None, "cross") if kind == "align" else (None, "encoder")
        if choice.target is not None or choice.attention not in allowed:
            came = "--target" if choice.target is not None else f"--attention {choice.attention}"
            asks = (
                "the cross-attention from each text's own translation"
                if kind == "align"
                else "attention among the words of its texts"
            )
            raise RequestError(f"--{kind} asks {asks}, and {came} came", "leave it out")
        if kind != "align":
            return choice
        return replace(choice, attention="cross")

    def lacking(self, error: RequestError) -> RequestError:
        """The error; of a model that has no cross-attention, for the option that needs it."""
        _, asks, why = error.message.partition("--attention cross needs ")
        if self.align is None or not asks:
            return error
        return RequestError(
            f"--align needs {why}", "choose one with an encoder and a decoder, such as T5 or BART"
        )


@dataclass(frozen=True)
class Finds:
    """What to show of what heads find."""

    top: Annotated[
        int | None, count("Each relation's K best heads; without, all in data, one in tables.")
    ] = None
    fail_if: Annotated[
        list[str] | None,
        valued(
            "CONDITION",
            SHOW,
            "Exit with 3 if it holds: 'nsubj < 0.5', 'nsubj held_out < 50%', 'nsubj - offset < "
            "0.1', 'nsubj margin < 0'. May repeat.",
        ),
    ] = None


def probe(
    probed: Probed, running: Running, finds: Finds, choice: ModelChoice, output: PictureResults
) -> None:
    """Show which head finds a relation between words, and how often, beside baselines.

    A head finds a link if the query gives most to the right word. A key has the sum over its
    pieces, a query the mean; special tokens, punctuation and the query itself are no answers.
    Relations of a treebank are asked in both directions: from the dependent, and from its head.

    Beside the best head stand what one finds by distance, by nearness, or where all words look, and
    what heads find that were chosen on one half of the sentences and asked on the other.

    Example: attnviz probe --conllu en_ewt-ud-dev.conllu --fail-if 'nsubj < 0.5'
    """
    from attnviz.answers.conditions import Condition, judged
    from attnviz.cli.app import HOLDS
    from attnviz.cli.output import check_output, complain, writing
    from attnviz.cli.session import Session
    from attnviz.corpus.findings import probe_of
    from attnviz.corpus.probing import asked
    from attnviz.model.load import WRITTEN

    check_output(output, "Probe")
    running.check(output)
    conditions = [Condition.parse(text) for text in finds.fail_if or ()]
    work, reader = asked(*probed.asked, running.measure, probed.options)
    session = Session(probed.model(choice), output)
    session.unsaid = (WRITTEN,)  # alignments come with their targets
    with session:
        try:
            folded, model = fold_corpus(work, reader, running, session)
        except RequestError as error:
            raise probed.lacking(error) from None
        answer = judged(probe_of(work, folded, model.facts, reader.files()), conditions)
    with writing(output, session.notes, finds.top) as write:
        write(answer, 0)
    for condition in conditions:
        if condition.holds(answer):  # RequestError if there is nothing of the kind
            complain(AttnvizError(condition.told(answer)))
    if answer.failed:
        raise SystemExit(HOLDS)
