"""What one run of a model over one text left behind, as numbers, and ways to look at it."""

from attnviz.inspection.facts import HeadId, ModelFacts
from attnviz.inspection.inspection import Inspection
from attnviz.inspection.view import HeadStack, View, row_shares

__all__ = ["HeadId", "HeadStack", "Inspection", "ModelFacts", "View", "row_shares"]
