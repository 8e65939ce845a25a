"""What a model computed for one text, as numbers, and views of it."""

from attnviz.inspection.block import Block
from attnviz.inspection.context import Context, HeadId, ModelFacts, Shown, Window
from attnviz.inspection.frame import row_shares
from attnviz.inspection.inspection import Inspection
from attnviz.inspection.view import View

__all__ = [
    "Block",
    "Context",
    "HeadId",
    "Inspection",
    "ModelFacts",
    "Shown",
    "View",
    "Window",
    "row_shares",
]
