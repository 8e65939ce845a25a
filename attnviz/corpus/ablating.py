"""Ablate heads in many sentences: which help, which hurt, and which do not matter."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from attnviz.answers.ablation_summary import (
    LEVEL,
    AblationSummary,
    Accuracy,
    HeadSummary,
)
from attnviz.answers.bootstrap import FEWEST, Blocks, intervals
from attnviz.answers.corpus import Estimate
from attnviz.answers.effects import Verdict, verdict_of
from attnviz.attention.order import NEAR_ZERO, descending
from attnviz.attention.shapes import Float
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.opening import FORMS, Forms, Opened
from attnviz.corpus.reading import Files
from attnviz.corpus.statistics.hypotheses import holm
from attnviz.corpus.tables import Header, kind_of, records_of, typed_in
from attnviz.errors import AttnvizError, RequestError, listed
from attnviz.inspection import Context, HeadId
from attnviz.inspection.ablated import Ablating
from attnviz.inspection.outcomes import Measured, OutcomeFacts, in_common
from attnviz.text.lines import START
from attnviz.text.tokens import joined

TEXT = ("text", "sentence")


@dataclass(frozen=True, slots=True)
class Label:
    """What a row says of its sentence: what is right, against what, and a word of it."""

    of: str | None = None
    against: str | None = None
    query: str | None = None


class LabelledFiles(Files):
    """Reads sentences with labels: a table's columns text, label, against, query, pair and id; or
    one a line.
    """

    forms: ClassVar[Forms] = FORMS - {"conllu"}

    def items(self, opened: Opened) -> Iterator[Document | Problem]:
        """See Files."""
        form = opened.form(None)
        if form == "txt" and b"\t" in opened.stream().peek(START).partition(b"\n")[0]:
            form = "tsv"  # nothing said that it is a table
        if form == "txt":
            yield from super().items(opened)
            return
        number = 0
        for line, record in records_of(opened, form):
            try:
                if isinstance(record, AttnvizError):
                    raise record
                cells = {str(name).strip().casefold(): value for name, value in record.items()}
                text = next((name for name in TEXT if name in cells), None)
                if text is None:
                    raise RequestError(
                        f"there is no column {TEXT[0]}: there are {listed(list(cells)) or 'none'}"
                    )
                if isinstance(record, Header):
                    continue
                yield _document(opened.name, number, line, cells, text)
                number += 1
            except AttnvizError as error:
                yield Problem(opened.name, line, str(error))
                if isinstance(record, Header):  # no row has what it lacks
                    return


def _document(source: str, number: int, line: int, cells: dict[str, Any], text: str) -> Document:
    typed = typed_in(cells[text], f"the column {text} holds")
    if not joined(typed).strip():
        raise RequestError(f"the column {text} is empty here")
    label = Label(*(_named(cells, name) for name in ("label", "against", "query")))
    pair = cells.get("pair")
    second = None if pair in (None, "") else typed_in(pair, "the column pair holds")
    return Document(source, number, line, typed, _named(cells, "id"), pair=second, marks=label)


def _named(cells: dict[str, Any], name: str) -> str | None:
    """A word, a name or a number; None if there is none."""
    value = cells.get(name)
    if isinstance(value, list | dict):
        raise RequestError(f"the {name} is {kind_of(value)}, and a word or a name is expected")
    return (None if value is None else str(value).strip()) or None


SUMS = ONE, CHANGE, SQUARE, RIGHT = range(4)


class AblationTally:
    """Adds up what edits change in one sentence after the other; memory stays flat."""

    def __init__(self, heads: Sequence[tuple[HeadId, ...]], how: Ablating) -> None:
        self._heads, self._how, self._blocks = list(heads), how, Blocks()
        self._context: Context | None = None
        self._common: OutcomeFacts | None = None
        self.count, self._before, self._labelled, self._right = 0, 0.0, 0, 0

    def add(
        self,
        context: Context,
        outcome: OutcomeFacts,
        before: Measured,
        after: Sequence[Measured],
        labelled: bool,
    ) -> None:
        """Count one more; labelled: whether what is measured is what is right.

        RequestError if something else is measured than in the sentences before.
        """
        if self._common is not None and outcome.name != self._common.name:
            raise RequestError(
                f"what is measured of it is {outcome.name}, and {self._common.name} of the "
                "sentences before",
                "name one with --outcome",
            )
        first = self._context is None
        self._context = self._context or context
        self._common = (
            outcome if first or self._common is None else in_common(self._common, outcome)
        )
        changes = np.array([one.value for one in after]) - before.value
        right = [labelled and one.best == outcome.of for one in after]
        self._blocks.add(np.stack([np.ones(len(changes)), changes, np.square(changes), right]))
        self.count += 1
        self._before += before.value
        self._labelled += labelled
        self._right += labelled and before.best == outcome.of

    def summary(self, left_out: int = 0) -> AblationSummary:
        """The heads over what was counted; RequestError if nothing was."""
        if self._context is None or self._common is None:
            raise RequestError("no sentence was there to count", "give one sentence or more")
        blocks, count = self._blocks.sums(), self.count
        sums = blocks.sum(axis=0)
        means = sums[CHANGE] / count
        low, high = intervals(blocks[:, CHANGE], blocks[:, ONE])
        p = _p_values(sums[CHANGE], sums[SQUARE], count)
        has_sign = self._common.name != "states"
        found = []
        order = descending(np.abs(means), floor=NEAR_ZERO)
        for rank, at in enumerate(order.tolist(), start=1):
            change = Estimate.of(means[at], low[at], high[at])
            own = None if np.isnan(p[at]) or not has_sign else float(p[at])
            accuracy = None
            if self._labelled and has_sign:
                labelled = self._labelled
                accuracy = Accuracy(self._right / labelled, float(sums[RIGHT, at] / labelled))
            verdict = None if own is None else _verdict(self._before / count, change, own)
            found.append(HeadSummary(self._heads[at], rank, change, own, verdict, accuracy))
        return AblationSummary(
            self._context,
            self._how,
            self._common,
            self._before / count,
            tuple(found),
            count,
            self._labelled,
            left_out,
        )


def _verdict(before: float, change: Estimate, p: float) -> Verdict:
    """What the mean change says of a head, if chance does not explain it."""
    low, high, mean = change.low, change.high, change.mean or 0.0
    apart = low is not None and high is not None and not low <= 0 <= high
    return verdict_of(before, mean) if apart and p < LEVEL else "does not matter"


def _p_values(
    sums: Float[np.ndarray, "head"], squares: Float[np.ndarray, "head"], count: int
) -> Float[np.ndarray, "head"]:
    """Two-sided p of each head's mean change, corrected by Holm's method; NaN for few sentences."""
    from scipy.special import stdtr

    if count < FEWEST:
        return np.full(len(sums), np.nan)
    means = sums / count
    variances = np.maximum(squares - count * means**2, 0) / (count - 1)
    errors = np.sqrt(variances / count)
    t = np.where(np.abs(means) > NEAR_ZERO, np.inf, 0.0)  # where all changes are one number
    t = np.divide(np.abs(means), errors, out=t, where=errors > NEAR_ZERO * np.abs(means))
    p: np.ndarray = holm({"change": 2 * stdtr(count - 1, -t)})["change"]
    return p
