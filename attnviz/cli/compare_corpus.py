"""`attnviz compare --models A B --corpus FILE`: which heads of two models do the same."""

from dataclasses import replace
from typing import TYPE_CHECKING

from attnviz.cli.corpus import Running, Texts, fold_corpus
from attnviz.cli.options import HeadChoice, Look, ModelChoice, Output, UntrainedChoice
from attnviz.cli.output import check_output, writing
from attnviz.cli.session import Session
from attnviz.errors import RequestError

if TYPE_CHECKING:
    from attnviz.cli.compare import Followed, TwoSources


def over_corpus(
    source: "TwoSources",
    followed: "Followed",
    heads: HeadChoice,
    look: Look,
    choice: ModelChoice,
    output: Output,
) -> None:
    """Survey a corpus with both models, match their heads, and write what differs."""
    from attnviz.answers.select import select_heads
    from attnviz.corpus.comparing import ComparingWork, Side, comparison
    from attnviz.corpus.survey import SurveyWork

    _check(source, followed, look, choice, output)
    check_output(output, "SurveyComparison")
    session = Session(choice, output)
    texts = Texts(source.corpus, source.column, pair_column=source.pair_column)
    texts.check(session)
    running = Running(
        source.limit, "norm" if look.measure == "norm" else "weights", resume=source.resume
    )
    running.check(output)
    work = ComparingWork(SurveyWork(running.measure, distances=False))
    sides: list[Side] = []
    with session:
        for one in _choices(source, choice):
            session.choice = one
            reader = texts.reader()
            folded, model = fold_corpus(work, reader, running, session)
            sides.append(Side.of(work, folded, model.facts, reader.files()))
            if source.resume is not None:  # a file for each model
                own = source.resume.with_name(f"{source.resume.name}-b")
                running = replace(running, resume=own)
        a, b = sides
        chosen = select_heads(a.survey.model, heads.layer or [], heads.head or [])
        session.spinner.update("matching heads")
        found = comparison(work, a, b, chosen)
        session.spinner.make_way()
        with writing(output, session.notes, followed.top) as write:
            write(found, 0)


def _choices(source: "TwoSources", choice: ModelChoice) -> list[ModelChoice]:
    """Both models; the second is as the first before training if that was asked for."""
    if source.models:
        return [replace(choice, model=name) for name in source.models]
    return [replace(choice, seed=None), UntrainedChoice(**vars(choice))]


def _check(
    source: "TwoSources", followed: "Followed", look: Look, choice: ModelChoice, output: Output
) -> None:
    """RequestError for what does not go with --corpus."""
    if bool(source.models) == source.untrained:
        raise RequestError(
            "--corpus compares what two models do over texts, and "
            + ("--models and --untrained both came" if source.models else "no --models came"),
            "give one of the two, as in --models minilm e5 --corpus texts.txt",
        )
    if source.models and choice.named:
        raise RequestError(
            "--models names both models, and another source of a model came beside it",
            "leave out --model and the numbers that shape a model",
        )
    if source.text:
        raise RequestError(
            f"--corpus reads the texts of files, and TEXT came beside it: {source.text[0]!r}",
            "give one of the two; several files each have a --corpus, or fit a pattern in quotes",
        )
    given = {
        "--pair": source.pair,
        "--load": source.load,
        "--from": source.kept,
        "--pretokenized": source.pretokenized,
        "--truncate": source.truncate,
        "--query": followed.query,
        "--key": followed.key,
        "--save": output.save,
        "--as": output.keep,
    }
    given |= {
        "--pieces": not look.words,
        "--no-special": not look.special,
        "--window": look.window,
        f"--measure {look.measure}": look.measure not in ("weights", "norm"),
    }
    extra = [name for name, value in given.items() if value]
    if extra:
        raise RequestError(
            f"{extra[0]} is for one sentence, and --corpus came beside it", "leave out one of them"
        )
