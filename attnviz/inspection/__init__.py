"""What one run of a model over one text left behind, as numbers, and ways to look at it."""

from attnviz.inspection.facts import HeadId, ModelFacts
from attnviz.inspection.frame import Seen, Window, row_shares
from attnviz.inspection.inspection import Inspection
from attnviz.inspection.stacks import Group, HeadStack
from attnviz.inspection.view import View

__all__ = [
    "Group",
    "HeadId",
    "HeadStack",
    "Inspection",
    "ModelFacts",
    "Seen",
    "View",
    "Window",
    "row_shares",
]
