"""What of a long text's run a command has recorded: the layers that it looks at, and no more."""

from dataclasses import dataclass

from attnviz.answers.select import select_heads
from attnviz.attention.measures import MEASURES, MeasureName
from attnviz.attention.request import RecordRequest
from attnviz.cli.options import HeadChoice
from attnviz.inspection import Inspection, ModelFacts


@dataclass(frozen=True)
class Need:
    """The heads that a command looks at, none for all of them, and in which measure.

    `whole`: whether it also looks at what queries and keys were made of, and at values. `looks`:
    whether it looks at what was recorded at all, and not only at the tokens.
    """

    choice: HeadChoice
    measure: MeasureName = "weights"
    whole: bool = False
    looks: bool = True

    def of(self, model: ModelFacts) -> RecordRequest:
        """What that is in a model; RequestError for a layer or head that it does not have."""
        if not MEASURES[self.measure].per_head:
            return RecordRequest(
                whole=self.whole
            )  # what it is made of goes down through the layers
        heads = select_heads(model, self.choice.layer or (), self.choice.head or ())
        return RecordRequest(frozenset(head.layer for head in heads) or None, self.whole)

    def lacking(self, inspection: Inspection) -> bool:
        """Whether what is looked at was not recorded; RequestError as in `of`."""
        wanted = self.of(inspection.model)
        return any(
            record is None
            or (wanted.whole and record.x is None and record.recorded_weights is None)
            for number, record in enumerate(inspection.layers)
            if wanted.has(number) and self.looks
        )


NOTHING = Need(HeadChoice(["0"]), looks=False)
"""For who only runs the model again; something is recorded of every run."""

EVERYTHING = Need(HeadChoice(), whole=True)
"""For files, and for who does not say."""
