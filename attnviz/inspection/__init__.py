"""What a model computed for one text, as numbers, and views of it.

The names come when they are asked for (PEP 562): what is remembered is listed without numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_PLACES = {"Block": "block", "Inspection": "inspection", "View": "view", "row_shares": "frame"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES.get(name, 'context')}"), name)
