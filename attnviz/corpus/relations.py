"""`probe --conllu`: which head finds a syntactic relation, from the dependent or from its head.

As Clark et al. 2019, "What does BERT look at? An analysis of BERT's attention", section 4.2, does,
with the words of a treebank of Universal Dependencies.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from attnviz.answers.probe import Kind, Probe
from attnviz.attention.measures import MeasureName
from attnviz.corpus.conllu import NO_HEAD, PUNCTUATION, ROOT, Tree, sentences
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.fold import Seen
from attnviz.corpus.opening import Opened
from attnviz.corpus.probing import Findings, Questions
from attnviz.corpus.reading import Files
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import ModelFacts
from attnviz.model.model import Model
from attnviz.text.tokens import Tokens

TO_HEAD, TO_DEPENDENT = "dependent->head", "head->dependent"

FORMULA = (
    "the share of links whose query gives its largest weight to the right word; a key has the sum "
    "over its pieces, a query the mean; the query itself, special tokens and punctuation are no "
    "answers"
)


@dataclass(frozen=True)
class RelationsWork:
    """Asks every head for each dependent's head, and for each head's dependent."""

    measure: MeasureName = "weights"
    kind: ClassVar[Kind] = "conllu"
    formula: ClassVar[str] = FORMULA

    @property
    def what(self) -> dict[str, Any]:
        """See Work."""
        return {"question": f"probe --{self.kind}", "measure": self.measure}

    def accumulator(self, facts: ModelFacts) -> Findings:
        """See Work."""
        return Findings(questions)

    def tokens(self, model: Model, document: Document) -> list[Tokens]:
        """See Work."""
        tree: Tree = document.marks
        if NO_HEAD in tree.heads:
            raise RequestError("words have no head here (_ in column 7)", "give a treebank")
        return [words_of(model, document)]

    def told(self, probe: Probe, findings: Findings) -> Probe:
        """See Probing."""
        return probe


class Trees(Files):
    """Reads CoNLL-U, whatever its name says; see `Reader`."""

    forms = frozenset(("conllu",))

    def items(self, opened: Opened) -> Iterator[Document | Problem]:
        """See Files."""
        return sentences(opened.raw_lines(), opened.name)


def asked(names: Sequence[str], measure: MeasureName) -> tuple[RelationsWork, Trees]:
    """See `probing.asked`."""
    return RelationsWork(measure), Trees(names)


def words_of(model: Model, document: Document) -> Tokens:
    """The document's words as the model reads them; AttnvizError if one has no piece of its own."""
    try:
        tokens = model.tokenize(document.text)
    except RequestError as error:  # whose hint is for commands that cut a text
        raise RequestError(error.message) from error
    read = [token for token in tokens.words if not token.special]
    if len(read) != len(document.text):
        lost = tokens.lost or ("one",)
        raise AttnvizError(
            f"the model's tokenizer leaves nothing of {len(document.text) - len(read)} of its "
            f'{len(document.text)} words ("{lost[0]}")',
            "mend the words, or take a model with another tokenizer",
        )
    return tokens


def questions(seen: Seen) -> Iterator[Questions]:
    """The links of a sentence's tree, each in both directions."""
    tree: Tree = seen.document.marks
    rows = np.flatnonzero([not token.special for token in seen.view.tokens])[list(tree.units)]
    heads = np.array(tree.heads)
    upos = np.array(tree.upos)
    plain = upos != PUNCTUATION
    links = np.flatnonzero(plain & (heads != ROOT))
    links = links[plain[heads[links]] & (rows[links] != rows[heads[links]])]
    if not len(links):
        return
    count = len(seen.view.tokens)
    answers = np.zeros(count, bool)
    answers[rows[plain]] = True
    candidates = answers & ~np.eye(count, dtype=bool)
    queries = np.concatenate([links, heads[links]])
    keys = np.concatenate([heads[links], links])
    gold = np.zeros((len(queries), count), bool)
    gold[np.arange(len(queries)), rows[keys]] = True
    kin = np.zeros((len(queries), count), bool)
    for place, part in enumerate(upos):
        kin[upos[keys] == part, rows[place]] = True
    names = [(tree.relations[link], TO_HEAD) for link in links]
    names += [(tree.relations[link], TO_DEPENDENT) for link in links]
    yield Questions(names, rows[queries], gold, candidates, kin)
