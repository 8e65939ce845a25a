"""attnviz, the command-line attention inspector, from Python.

    import attnviz

    inspection = attnviz.inspect("The animal didn't cross the street because it was too tired.")
    inspection.weights(3, 1)                            # (query, key), rows sum to 1
    attnviz.table(inspection, query="it")               # for rich.print
    attnviz.write_figure(attnviz.heatmap(inspection, layer=3, head=1), "animal.png")

Importing attnviz loads nothing heavy: numpy, torch and matplotlib come when they are used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnviz.api import (
        heatmap,
        inspect,
        lines,
        load,
        load_model,
        save,
        table,
        to_json,
        write_figure,
    )
    from attnviz.errors import AttnvizError, RequestError
    from attnviz.inspection import HeadId, Inspection, ModelFacts, View
    from attnviz.inspector import Model
    from attnviz.tokens import Token, Tokens

_ROOMS = {
    "attnviz.api": (
        "heatmap",
        "inspect",
        "lines",
        "load",
        "load_model",
        "save",
        "table",
        "to_json",
        "write_figure",
    ),
    "attnviz.errors": ("AttnvizError", "RequestError"),
    "attnviz.inspection": ("HeadId", "Inspection", "ModelFacts", "View"),
    "attnviz.inspector": ("Model",),
    "attnviz.tokens": ("Token", "Tokens"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "AttnvizError",
    "HeadId",
    "Inspection",
    "Model",
    "ModelFacts",
    "RequestError",
    "Token",
    "Tokens",
    "View",
    "heatmap",
    "inspect",
    "lines",
    "load",
    "load_model",
    "save",
    "table",
    "to_json",
    "write_figure",
]


def __getattr__(name: str) -> object:
    """Load what is asked for when it is asked for (PEP 562)."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'attnviz' has no attribute {name!r}")
    return getattr(import_module(_ROOM_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
