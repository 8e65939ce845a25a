"""`attnviz survey`: what every head does over a corpus, as a Work and its answer."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from attnviz.answers.bootstrap import FEWEST
from attnviz.answers.corpus import CorpusFacts, Intervals
from attnviz.answers.statistics import ROLES, STATISTICS, WITHIN_A_TEXT
from attnviz.answers.survey import Survey, SurveyHead
from attnviz.attention.measures import MeasureName
from attnviz.attention.request import AttentionKind
from attnviz.corpus.copies import Copies
from attnviz.corpus.document import Document
from attnviz.corpus.fold import Accumulator, Folded, Seen, whole_or_windows
from attnviz.corpus.kept import named, part_of
from attnviz.corpus.resampling import METHOD, RESAMPLES
from attnviz.corpus.statistics.distances import MOST_HEADS, HeadDistances
from attnviz.corpus.statistics.examples import HeadExamples
from attnviz.corpus.statistics.heads import HeadStatistics
from attnviz.inspection import ModelFacts
from attnviz.inspection.context import counted
from attnviz.model.model import Model
from attnviz.text.tokens import Tokens

NO_TREES = (
    "the role syntactic was not tested: no text has a tree; CoNLL-U files (.conllu) have them"
)
NO_BLOCKS = "the role block was not tested: no text has several sentences"
NO_NORMS = (
    "no-op and broadcast were not told apart: they need the lengths of v W_O, which "
    "{why}; both are called delimiter"
)
CROSS = (
    "not told of cross-attention, whose queries and keys are in two texts: distances and offsets, "
    "the word itself, words near it, sentences and trees"
)
NO_WORDS = "{count:,} of {texts} count nowhere: {who} no word there"
NO_REST = "the roles no-op, broadcast and delimiter were not tested: no text has special tokens"
COPIES = (
    "{count:,} of {texts} are copies of earlier ones; intervals and tests take each for a text of "
    "its own, and are surer than they should be"
)
MANY_COPIES = 0.05
"""The part of the texts that may be copies before that is told: intervals hardly feel less."""

FEW = (
    f"of fewer than {FEWEST} texts there are no intervals, and roles are not tested; positional "
    "and broad are criteria without a test, and are told all the same"
)


@dataclass(frozen=True)
class SurveyWork:
    """Asks for all heads' statistics and roles, `examples` of each, and distances between them.

    `stride`: by how much windows of a long text move on.
    """

    measure: MeasureName = "weights"
    examples: int = 0
    distances: bool = True
    stride: int | None = None

    @property
    def what(self) -> dict[str, Any]:
        """What is asked, in JSON."""
        return {"question": "survey", **asdict(self)}

    def accumulator(self, facts: ModelFacts) -> "SurveyAccumulator":
        """A new one, which has seen nothing."""
        return SurveyAccumulator(self, facts)

    def tokens(self, model: Model, document: Document) -> list[Tokens]:
        """The text, or its windows."""
        return whole_or_windows(model, document, self.stride)


_KEPT = ("formula", "attention", "without_words")


class SurveyAccumulator:
    """Statistics of the heads, and what else was asked for."""

    def __init__(self, work: SurveyWork, facts: ModelFacts) -> None:
        self.formula = ""
        self.attention: AttentionKind | None = None  # before any text
        self.without_words = 0.0
        self.statistics = HeadStatistics(facts)
        self.copies = Copies()
        self.examples = HeadExamples(work.examples) if work.examples else None
        self.distances = HeadDistances() if work.distances else None

    def add(self, seen: Seen) -> None:
        """Add a text."""
        for _, part in self._parts():
            part.add(seen)
        context = seen.view.context
        self.formula, self.attention = context.measured.description, context.attention
        if all(token.special for token in context.tokens):
            self.without_words += seen.share

    def merge(self, other: "SurveyAccumulator") -> None:
        """Add what another has added up."""
        for (_, own), (_, others) in zip(self._parts(), other._parts(), strict=True):
            own.merge(others)
        self.formula = self.formula or other.formula
        self.attention = self.attention or other.attention
        self.without_words += other.without_words

    def state(self) -> dict[str, Any]:
        """All that it knows."""
        states: dict[str, Any] = {name: getattr(self, name) for name in _KEPT}
        for name, part in self._parts():
            states |= named(name, part.state())
        return states

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        for name in _KEPT:
            setattr(self, name, state[name])
        for name, part in self._parts():
            part.restore(part_of(name, state))

    def _parts(self) -> Iterator[tuple[str, Accumulator]]:
        yield "statistics", self.statistics
        yield "copies", self.copies
        if self.examples is not None:
            yield "examples", self.examples
        if self.distances is not None:
            yield "distances", self.distances


def survey(
    work: SurveyWork,
    folded: Folded,
    facts: ModelFacts,
    files: Sequence[str],
) -> Survey:
    """What the corpus says of the heads, once it is folded."""
    found, tally = folded.accumulator, folded.tally
    if not isinstance(found, SurveyAccumulator):
        raise TypeError(f"a survey is made of a SurveyAccumulator, and not of {type(found)}")
    heads = found.statistics.heads()
    if found.examples is not None and heads:
        pairs = zip(heads, found.examples.result(), strict=True)
        heads = tuple(replace(head, examples=best, sample=some) for head, (best, some) in pairs)
    absent = WITHIN_A_TEXT if found.attention == "cross" else frozenset[str]()
    known = {
        name
        for head in heads
        for name, number in head.statistics.items()
        if number.mean is not None and name not in absent
    }
    heads = tuple(_without(head, known, absent) for head in heads)
    counts = {name: getattr(tally, name) for name in ("documents", "windows", "pieces", "words")}
    answer = Survey(
        model=facts,
        measure=work.measure,
        formula=found.formula,
        corpus=CorpusFacts(tuple(files), **counts, left_out=tally.left_out),
        intervals=Intervals(METHOD, RESAMPLES) if tally.documents >= FEWEST else None,
        statistics=tuple(one for one in STATISTICS if one.name in known),
        roles=tuple(role for role in ROLES if role.name not in absent),
        heads=heads,
        distances=None if found.distances is None else found.distances.result(),
        attention=found.attention or "encoder",
    )
    notes = _notes(work, found, tally.documents, len(heads)) if heads else (answer.nothing,)
    return replace(answer, notes=tuple(notes))


def _without(head: SurveyHead, known: set[str], absent: frozenset[str]) -> SurveyHead:
    """The head without the statistics that no head has, as `sink` in a model without one, and
    without tests of roles that have no meaning.
    """
    own = {name: number for name, number in head.statistics.items() if name in known}
    tests = {name: test for name, test in head.tests.items() if name not in absent}
    return replace(head, statistics=own, tests=tests)


def _notes(work: SurveyWork, found: SurveyAccumulator, documents: int, heads: int) -> Iterator[str]:
    """What was not done, and why."""
    tested = found.statistics.tested()
    if work.distances and heads > MOST_HEADS:
        yield f"{heads:,} heads are too many for distances: {MOST_HEADS:,} can be compared"
    cross = found.attention == "cross"
    if cross:
        yield CROSS
    without = round(found.without_words)
    if without:
        who = "the model reads" if found.attention == "encoder" else "the decoder wrote"
        yield NO_WORDS.format(count=without, texts=counted(documents, "text"), who=who)
    if documents < FEWEST:
        yield FEW
        return
    copies = found.copies.share
    if copies >= MANY_COPIES:
        yield COPIES.format(count=round(copies * documents), texts=counted(documents, "text"))
    if not tested["syntactic"] and not cross:
        yield NO_TREES
    if not tested["block"] and not cross:
        yield NO_BLOCKS
    if not tested["delimiter"]:
        yield NO_REST
    elif not tested["no-op"]:
        norm = "the measure norm has in its numbers already" if work.measure == "norm" else None
        yield NO_NORMS.format(why=norm or "this model does not give")
