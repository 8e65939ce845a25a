"""`attnviz ablate --tsv FILE`: which heads help and which hurt, over many sentences."""

from typing import TYPE_CHECKING

from attnviz.cli.ablating import Editing, Measuring, model_choice
from attnviz.cli.drawn import DrawnOutput
from attnviz.cli.options import HeadChoice, Look, ModelChoice, Source
from attnviz.cli.outcomes import OutcomeChoice
from attnviz.cli.output import check_output, complain, writing
from attnviz.cli.session import Selection, Session
from attnviz.errors import RequestError

if TYPE_CHECKING:
    from attnviz.cli.ablate import Ablated
    from attnviz.corpus.ablating import AblationTally
    from attnviz.corpus.document import Document
    from attnviz.inspection import HeadId
    from attnviz.model import Model


def over_sentences(
    table: str,
    source: Source,
    ablated: "Ablated",
    measured: OutcomeChoice,
    heads: HeadChoice,
    choice: ModelChoice,
    output: DrawnOutput,
) -> None:
    """Ablate heads in each sentence of a file, and write what that changes on average."""
    from attnviz.corpus.ablating import LabelledFiles
    from attnviz.corpus.document import Problem

    _check(source, output)
    check_output(output, "AblationSummary")
    measuring = Measuring(measured, choice)
    session = Session(model_choice(ablated, choice, measuring.taken), output)
    selection = Selection(session, Look(words=ablated.words), heads)
    reader = LabelledFiles([table])
    files = reader.files()
    with session:
        model = session.load(session.choice)
        editing = Editing(ablated, choice.seed or 0, selection)
        over = _Over(model, selection, editing, measuring, ablated, source)
        for document in (one for file in files for one in reader.documents(file)):
            if isinstance(document, Problem):
                error = RequestError(str(document))
                session.errors.append(error)
                complain(error)
                continue
            session.spinner.update(f"taking heads away in sentence {document.number + 1}")
            with session.trying(f"{document.place}: "):
                over.add(document)
        if over.tally is None:
            raise RequestError(
                f"no sentence of {table} could be counted"
                + (", see above" if session.errors else ""),
                "give one a line, or a table with a column text",
            )
        summary = over.tally.summary(len(session.errors))
        session.spinner.make_way()
        session.note_what_rows_lack(summary, output.form)
        with writing(output, session.notes, ablated.top) as write:
            write(summary, 0)
    session.finish()


class _Over:
    """One sentence after the other: what is measured of it without heads is added up."""

    def __init__(
        self,
        model: "Model",
        selection: Selection,
        editing: Editing,
        measuring: Measuring,
        ablated: "Ablated",
        source: Source,
    ) -> None:
        self._model, self._selection, self._editing = model, selection, editing
        self._measuring, self._ablated, self._source = measuring, ablated, source
        self._heads: list[tuple[HeadId, ...]] = []
        self.tally: AblationTally | None = None

    def add(self, document: "Document") -> None:
        """Add a sentence; RequestError for one in which what is asked is not there."""
        from attnviz.attention.request import RecordRequest
        from attnviz.corpus.ablating import AblationTally, Label
        from attnviz.corpus.ablation import measured

        model, selection = self._model, self._selection
        tokens = model.tokenize(document.text, document.pair, self._source.truncate)
        [inspection] = model.inspect_tokens([tokens], RecordRequest(frozenset([0])))
        view = selection.view(inspection)
        label = document.marks or Label()
        query = selection.word(
            f"{document.place}: ", view, "query", label.query or self._ablated.query
        )
        if not self._heads:
            chosen = selection.heads(view.context)
            self._heads = [tuple(chosen)] if chosen else [(head,) for head in model.heads]
        how = self._editing.of(model, view, f"{document.place}: ")
        asked = self._measuring.asked(model, view, query, label)
        if asked.name == "states" and label.of is not None:
            selection.session.notes.say_once(
                "how far states move is measured, and no label is read"
            )
        runs, both = 1 + len(self._heads) / 2, how.rows is None
        outcome = measured(model, view, asked, runs, query, both)
        values = list(outcome.values([list(map(how.edit, heads)) for heads in self._heads]))
        self.tally = self.tally or AblationTally(self._heads, how)
        labelled = label.of is not None and outcome.plain.best is not None
        self.tally.add(view.context, outcome.facts, outcome.plain, values, labelled)


def _check(source: Source, output: DrawnOutput) -> None:
    """RequestError for what does not go with a file of sentences."""
    given = {
        "TEXT": source.text,
        "--pair": source.pair,
        "--load": source.load,
        "--from": source.kept,
        "--stride": source.stride,
        "--pretokenized": source.pretokenized,
        "--save": output.save,
        "--as": output.keep,
    }
    extra = next((option for option, value in given.items() if value), None)
    if extra is not None:
        raise RequestError(
            f"--tsv brings sentences with it, and {extra} came beside it", "give one of the two"
        )
