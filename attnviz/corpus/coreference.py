"""`probe --coref`: which head finds what a mention refers back to.

Clark et al. 2019, "What does BERT look at?", section 4.3: how often the head word of a mention
gives most to the head word of one of its antecedents. The paper's code for that was never
published; what it leaves open is said here: a head chooses among those of all earlier mentions.
"""

from bisect import bisect_right
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from attnviz.answers.probe import Kind, Probe
from attnviz.attention.measures import MeasureName
from attnviz.corpus import conllu
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.fold import Seen
from attnviz.corpus.gap import BEGINS, Ambiguous, of_gap
from attnviz.corpus.mentions import Mention, Mentions, of_sentences
from attnviz.corpus.opening import Opened
from attnviz.corpus.probing import Findings, Questions
from attnviz.corpus.reading import Files
from attnviz.inspection import ModelFacts
from attnviz.model.model import Model
from attnviz.text.lines import lines_of
from attnviz.text.spans import Span, folded
from attnviz.text.tokens import Tokens, spans_given

MENTIONS, TO_ANTECEDENT = "mention", "mention->antecedent"
"""The relation of all mentions, beside one for each of their types; and the direction."""

FORMULA = (
    "the share of mentions whose head word gives more to the head of an antecedent than to that of "
    "any other earlier mention, as Clark et al. 2019 (4.3) count it; a mention counts if one of "
    "its entity comes before it in the window"
)


@dataclass(frozen=True)
class CoreferenceWork:
    """Asks every head for the antecedent of each mention; `sentences`: the most in a window."""

    measure: MeasureName = "weights"
    sentences: int | None = None
    kind: ClassVar[Kind] = "coref"
    formula: ClassVar[str] = FORMULA

    @property
    def what(self) -> dict[str, Any]:
        """See Work."""
        return {
            "question": f"probe --{self.kind}",
            "measure": self.measure,
            "sentences": self.sentences,
        }

    def accumulator(self, facts: ModelFacts) -> Findings:
        """See Work."""
        return Findings(questions, "head_match")

    def tokens(self, model: Model, document: Document) -> list[Tokens]:
        """See Work."""
        marks: Mentions | Ambiguous = document.marks
        if isinstance(marks, Ambiguous):
            return [model.tokenize(document.text)] if any(marks.right) else []
        starts = spans_given(document.text)
        firsts = [starts[first][0] for first in marks.sentences]
        return model.windows_at(document.text, firsts, self.sentences)

    def told(self, probe: Probe, findings: Findings) -> Probe:
        """See Probing."""
        return probe


def questions(seen: Seen) -> Iterator[Questions]:
    """Each mention that has an antecedent in the window: among all, and among those of its type."""
    marks: Mentions | Ambiguous = seen.document.marks
    asked = _of_gap(seen, marks) if isinstance(marks, Ambiguous) else _of_mentions(seen, marks)
    if asked is not None:
        yield asked


def _of_mentions(seen: Seen, marks: Mentions) -> Questions | None:
    rows, words = _rows(seen)
    mentions = [one for one in marks.mentions if _within(one, words) and one.head in rows]
    at = np.array([rows[one.head] for one in mentions], int)
    entities = np.array([one.entity for one in mentions], int)
    antecedents = (entities[:, None] == entities) & (at[:, None] > at)
    asked = np.flatnonzero(antecedents.any(axis=1))
    if not len(asked):
        return None
    keys = np.arange(len(seen.view.tokens))
    of_key = at[:, None] == keys  # (mention, key)
    gold = (antecedents[asked].astype(np.float32) @ of_key) > 0
    candidates = of_key.any(axis=0) & (keys < keys[:, None])
    heads = np.array([folded(seen.view.tokens[row].text) for row in at])
    kin = ((heads[asked, None] == heads).astype(np.float32) @ of_key) > 0
    names = [(MENTIONS, TO_ANTECEDENT)] * len(asked)
    names += [(mentions[place].kind, TO_ANTECEDENT) for place in asked]
    twice = np.concatenate([asked, asked])
    return Questions(names, at[twice], np.tile(gold, (2, 1)), candidates, np.tile(kin, (2, 1)))


def _within(mention: Mention, words: range) -> bool:
    return mention.first in words and mention.last in words


def _rows(seen: Seen) -> tuple[dict[int, int], range]:
    """The row of each of the document's words that this window has; and which words these are.

    A word of which the tokenizer leaves nothing has no row.
    """
    given = [span[0] for span in (seen.tokens.given or ((),))[0]]
    part = seen.inspection.part
    first = 0
    if part is not None:
        starts = [span[0] for span in spans_given(seen.document.text)]
        first = bisect_right(starts, part.offset) - 1
    rows: dict[int, int] = {}
    for token in seen.view.tokens:
        if token.start is not None:
            rows.setdefault(first + bisect_right(given, token.start) - 1, token.index)
    return rows, range(first, first + len(given))


def _of_gap(seen: Seen, marks: Ambiguous) -> Questions | None:
    """The pronoun, which chooses among the words of both names; each gender by itself too."""
    touched = [_touching(seen, span) for span in (marks.pronoun, *marks.names)]
    pronoun, names = touched[0], touched[1:]
    right = np.any([name for name, is_right in zip(names, marks.right, strict=True) if is_right], 0)
    if not (pronoun.any() and right.any()):
        return None
    count = len(seen.view.tokens)
    candidates = np.any(names, axis=0) & ~pronoun & np.ones((count, 1), bool)
    relations = ["pronoun", *([marks.gender] if marks.gender else [])]
    links = len(relations)
    queries = np.full(links, np.flatnonzero(pronoun)[0])
    gold = np.tile(right, (links, 1))
    return Questions([(name, TO_ANTECEDENT) for name in relations], queries, gold, candidates)


def _touching(seen: Seen, span: Span) -> np.ndarray:
    """Which words a span of the text touches."""
    return np.array(
        [
            token.start is not None and token.end is not None
            and token.start < span[1] and span[0] < token.end
            for token in seen.view.tokens
        ]
    )  # fmt: skip


class Coreferences(Files):
    """Reads CoNLL-U with `Entity=`, or GAP's tables, which their first line tells; see `Reader`."""

    forms = frozenset(("conllu", "tsv"))

    def items(self, opened: Opened) -> Iterator[Document | Problem]:
        """See Files."""
        if opened.stream().peek(len(BEGINS)).removeprefix(BOM_UTF8).startswith(BEGINS.encode()):
            yield from of_gap(lines_of(opened.stream()), opened.name)
        else:
            yield from of_sentences(conllu.sentences(opened.raw_lines(), opened.name))


def asked(
    names: Sequence[str], measure: MeasureName, sentences: int | None = None
) -> tuple[CoreferenceWork, Coreferences]:
    """See `probing.asked`."""
    return CoreferenceWork(measure, sentences), Coreferences(names)
