"""What heads compute on average over a corpus, for edits that put it in place of their own."""

import threading
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np

from attnviz.attention.edits import What, numbers_of
from attnviz.attention.request import RecordRequest
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.fold import whole_or_windows
from attnviz.corpus.reading import Files
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection
from attnviz.inspection.ablated import CorpusMeans
from attnviz.model.model import Model
from attnviz.text.tokens import Tokens

WHOLE = RecordRequest(sparing=True)


def corpus_means(model: Model, files: Files, what: What) -> tuple[CorpusMeans, list[Problem]]:
    """The mean z, q, k or v of each head over all pieces of all texts; and what was left out.

    Each layer needs what the model computes itself: AttnvizError for a model that gives weights
    alone; RequestError if no text could be read.
    """
    folding = _Folding(model, what)
    documents = chain.from_iterable(map(files.documents, files.files()))
    for _ in model.each(folding.numbered(documents), folding.use, WHOLE):
        pass
    if not folding.pieces:
        for problem in folding.problems[:1]:
            raise RequestError(f"no text could be read for its means: {problem}")
        raise RequestError("there is no text in the files of the means", "name files with texts")
    values = tuple((sums / folding.pieces).astype(np.float32) for sums in folding.sums)
    return CorpusMeans(tuple(files.files()), folding.pieces, values), folding.problems


class _Folding:
    """Sums over the texts that were run, on whichever thread ran them."""

    def __init__(self, model: Model, what: What) -> None:
        self._model, self._what, self._lock = model, what, threading.Lock()
        self._documents: dict[int, Document] = {}
        self.sums: list[np.ndarray] = []  # of each layer, (head, width)
        self.pieces = 0
        self.problems: list[Problem] = []

    def numbered(self, documents: Iterable[Document | Problem]) -> Iterator[tuple[int, Tokens]]:
        """The texts to run; of a long one its windows."""
        number = 0
        for document in documents:
            if isinstance(document, Problem):
                self.problems.append(document)
                continue
            try:
                texts = whole_or_windows(self._model, document)
            except AttnvizError as error:
                self._leave_out(document, error)
                continue
            for tokens in texts:
                self._documents[number] = document
                yield number, tokens
                number += 1

    def use(self, number: int, result: Inspection | AttnvizError) -> None:
        """Add one text up."""
        document = self._documents.pop(number)
        if isinstance(result, AttnvizError):
            self._leave_out(document, result)
            return
        facts = result.model
        sums, rows = [], 0
        for layer in range(facts.num_layers):
            record = result.layer(layer)
            own = [numbers_of(record, layer, head, self._what) for head in range(facts.num_heads)]
            sums.append(np.array(own).sum(axis=1, dtype=np.float64))
            rows = len(own[0])
        with self._lock:
            before = self.sums or [np.zeros_like(own) for own in sums]
            self.sums = [one + other for one, other in zip(before, sums, strict=True)]
            self.pieces += rows

    def _leave_out(self, document: Document, error: AttnvizError) -> None:
        self.problems.append(Problem(document.source, document.line, str(error)))
