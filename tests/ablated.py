"""Summaries of ablations over made-up sentences."""

import numpy as np
from handmade import random_inspection, tokens_of

from attnviz.answers.ablation_summary import AblationSummary
from attnviz.corpus.ablating import AblationTally
from attnviz.inspection import HeadId
from attnviz.inspection.ablated import Ablating
from attnviz.inspection.outcomes import Measured, OutcomeFacts

HEADS = [HeadId(0, 0), HeadId(0, 1), HeadId(1, 0), HeadId(1, 1)]
FACTS = OutcomeFacts("label", "probability", "of the label", "yes")


def summed(changes: np.ndarray, right: np.ndarray | None = None) -> AblationSummary:
    """Of changes, (sentence, head); `right`: whether the label is likeliest then."""
    context = random_inspection(tokens_of(["cat"]), 2, 2, seed=1).view().context
    tally = AblationTally([(head,) for head in HEADS], Ablating())
    for number, row in enumerate(changes):
        best = ["yes"] * len(row) if right is None else np.where(right[number], "yes", "no")
        after = [Measured(0.5 + change, str(one)) for change, one in zip(row, best, strict=True)]
        tally.add(context, FACTS, Measured(0.5, "yes"), after, right is not None)
    return tally.summary(left_out=2)
