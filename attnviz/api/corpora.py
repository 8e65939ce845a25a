"""Over whole corpora: what every head does, which head finds a relation, and two models' heads."""

import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Unpack

from attnviz.answers.probe import Kind, Probe
from attnviz.answers.survey import Survey
from attnviz.answers.survey_comparison import SurveyComparison
from attnviz.api.questions import positive
from attnviz.attention.measures import MeasureName
from attnviz.corpus.comparing import ComparingWork, Side, comparison
from attnviz.corpus.document import Document, Problem, Reader
from attnviz.corpus.findings import probe_of
from attnviz.corpus.fold import Folded, Work, fold
from attnviz.corpus.probing import OPTIONS, asked
from attnviz.corpus.reading import Columns, Files
from attnviz.corpus.survey import SurveyWork
from attnviz.corpus.survey import survey as survey_of
from attnviz.errors import RequestError
from attnviz.model import Model
from attnviz.model.load import ModelOptions
from attnviz.model.reload import model_for
from attnviz.models import DEFAULT
from attnviz.text.tokens import Typed

Corpus = str | os.PathLike[str] | Iterable[Any]
Names = str | os.PathLike[str] | list[Any]


class CorpusOptions(ModelOptions, total=False):
    """How much of a corpus is read, where its texts are, and in which measure.

    `column`, `id_column`, `pair_column`: of a table; the last has second texts, of pairs or for a
    decoder. `limit`: the first documents alone. `stride`: windows of long texts overlap, and begin
    so many pieces apart. `measure`: "weights" or "norm". `tokenizer`: of a transformers model in
    memory.
    """

    column: str | None
    id_column: str | None
    pair_column: str | None
    limit: int | None
    stride: int | None
    measure: MeasureName
    tokenizer: Any


class ProbeOptions(ModelOptions, total=False):
    """How much of a probe's files is read, and in which measure; as in `CorpusOptions`."""

    limit: int | None
    measure: MeasureName
    tokenizer: Any
    sentences: int | None
    first_word: int


def survey(
    corpus: Corpus,
    model: Any = DEFAULT,
    examples: int = 3,
    distances: bool = True,
    **options: Unpack[CorpusOptions],
) -> Survey:
    """What every head does over a corpus: statistics with intervals, roles, examples, distances.

    `corpus`: a list of texts (of strings, or of lists of words), or anything that yields them; or
    the name of a file, a folder or a pattern, as for the command `survey`, or a list of Paths.
    `examples`: how many texts of each kind a head has. `model` as in `inspect`. What cannot be read
    or run is left out, with a warning.
    """
    rest, loaded = _loaded(model, options)
    measure, stride = rest.get("measure", "weights"), positive(rest.get("stride"))
    work = SurveyWork(measure, examples, distances, stride)
    reader = _reader(corpus, rest)
    folded = _folded(work, reader, loaded, rest)
    return survey_of(work, folded, loaded.facts, reader.files())


def probe(
    conllu: Names | None = None,
    coref: Names | None = None,
    align: Names | None = None,
    links: Names | None = None,
    model: Any = DEFAULT,
    **options: Unpack[ProbeOptions],
) -> Probe:
    """Which head finds a relation, beside baselines: of one kind of file, one or a list of them.

    `conllu`: syntactic relations of a treebank. `coref`: antecedents. `align`: word alignments, for
    cross-attention. `links`: your own, as TSV or JSON Lines. Formats as for the command `probe`.
    `sentences`: of `coref`, the most in a window. `first_word`: of `align`, its number, 0 or 1.
    """
    kinds: dict[Kind, Names | None] = {
        "conllu": conllu, "coref": coref, "align": align, "links": links,
    }  # fmt: skip
    given = [(kind, names) for kind, names in kinds.items() if names is not None]
    if len(given) != 1:
        came = " and ".join(kind for kind, _ in given) or "none"
        raise RequestError(
            f"a probe is of one kind of file, and {came} came", f"give one of {', '.join(kinds)}"
        )
    [(kind, names)] = given
    given_options: dict[str, Any] = dict(options)
    own = {name: given_options.pop(name) for name in OPTIONS if name in options}
    for name in own:
        if OPTIONS[name] != kind:
            raise RequestError(f"{name} is for {OPTIONS[name]}, and {kind} came", "leave it out")
    if kind == "align" and isinstance(model, str):
        given_options.setdefault("attention", "cross")
    rest, loaded = _loaded(model, given_options)
    if kind != "align" and loaded.decodes:
        raise RequestError(
            f"{kind} asks attention among the words of its texts, and the model shows a decoder's",
            "load it with attention='encoder'",
        )
    work, reader = asked(kind, _names(names), rest.get("measure", "weights"), own)
    folded = _folded(work, reader, loaded, rest)
    return probe_of(work, folded, loaded.facts, reader.files())


def compare_models(
    corpus: Corpus, a: Any, b: Any, **options: Unpack[CorpusOptions]
) -> SurveyComparison:
    """Two models over one corpus: which heads are alike, and which roles are gained and lost in B.

    `corpus` as in `survey`, but for what can be read only once; `a`, `b` as `model` in `inspect`.
    """
    if isinstance(corpus, Iterator):
        raise RequestError(
            "the corpus can be read once, and two models read it", "give a list of its texts"
        )
    measure, stride = options.get("measure", "weights"), positive(options.get("stride"))
    work = ComparingWork(SurveyWork(measure, 0, False, stride))

    def side(name: Any) -> Side:
        rest, loaded = _loaded(name, options)
        reader = _reader(corpus, rest)
        return Side.of(work, _folded(work, reader, loaded, rest), loaded.facts, reader.files())

    return comparison(work, side(a), side(b))


@dataclass(frozen=True)
class _Texts:
    """Reads texts that are in memory; see Reader."""

    texts: Iterable[Any]

    @property
    def what(self) -> dict[str, Any]:
        """See Reader."""
        return {"texts": None}

    def files(self) -> list[str]:
        """See Reader."""
        return ["texts"]

    def documents(self, file: str) -> Iterator[Document | Problem]:
        """See Reader."""
        for number, text in enumerate(self.texts):
            typed = _typed(text)
            if typed is None:
                kind = type(text).__name__
                told = f"a {kind} came, and a text, or a list of its words, is expected"
                yield Problem(file, number + 1, told)
            elif typed:
                yield Document(file, number, number + 1, typed)


def _typed(text: Any) -> Typed | None:
    """A text, or its words; None for anything else."""
    if isinstance(text, str):
        return text
    if isinstance(text, list | tuple) and all(isinstance(word, str) for word in text):
        return tuple(text)
    return None


def _reader(corpus: Corpus, options: dict[str, Any]) -> Reader:
    """What reads the corpus; RequestError where it is not clear what is meant."""
    columns = Columns(*map(options.get, ("column", "id_column", "pair_column")))
    if isinstance(corpus, str | os.PathLike):
        return Files(_names(corpus), columns)
    if not isinstance(corpus, Iterable):
        raise RequestError(
            f"a {type(corpus).__name__} is not a corpus", "give a list of texts, or a file's name"
        )
    if isinstance(corpus, list | tuple) and corpus:
        if all(isinstance(one, os.PathLike) for one in corpus):
            return Files(_names(list(corpus)), columns)
        if all(isinstance(one, str) and len(one) < 256 and Path(one).exists() for one in corpus):
            raise RequestError(
                "a list of texts came, and all of them are names of files",
                "give files as Path objects",
            )
    if columns.named:
        raise RequestError("a column of a table is named, and texts came", "give a file, as a Path")
    return _Texts(corpus)


def _names(names: Names) -> list[str]:
    every = names if isinstance(names, list | tuple) else [names]
    return [os.fspath(name) for name in every]


def _loaded(model: Any, options: Any) -> tuple[dict[str, Any], Model]:
    """The options that are not the model's, and the model."""
    own = {name: options[name] for name in options if name in ModelOptions.__annotations__}
    rest = {name: value for name, value in options.items() if name not in own}
    unknown = [name for name in rest if name not in CorpusOptions.__annotations__]
    if unknown:
        known = ", ".join(CorpusOptions.__annotations__)
        raise RequestError(f"there is no option {', '.join(unknown)}", f"there are {known}")
    measure = rest.get("measure", "weights")
    if measure not in ("weights", "norm"):
        raise RequestError(
            f"a corpus is looked at in weights or norm, and {measure} came", "give one of the two"
        )
    return rest, model_for(model, rest.get("tokenizer"), **own)


def _folded(work: Work, reader: Reader, model: Model, options: dict[str, Any]) -> Folded:
    """The corpus, folded; a warning for what is left out, RequestError if that is all."""
    files = reader.files()
    documents = chain.from_iterable(map(reader.documents, files))
    folded = fold(work, islice(documents, positive(options.get("limit"))), model)
    for problem in folded.tally.problems:
        warnings.warn(str(problem), stacklevel=3)
    if not folded.tally.documents:
        raise RequestError("no document could be read", "the warnings say why, if there are any")
    return folded
