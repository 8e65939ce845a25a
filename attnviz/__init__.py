"""attnviz, the command-line attention inspector, from Python.

    import attnviz

    inspection = attnviz.inspect("The animal didn't cross the street because it was too tired.")
    inspection.weights(3, 1)                            # (query, key), rows sum to 1
    attnviz.table(inspection, query="it")               # for rich.print
    attnviz.write_figure(attnviz.heatmap(inspection, layer=3, head=1), "animal.png")

Everything offered is in `attnviz.api`, which is loaded when the first name is asked for; matplotlib
comes when a picture is drawn, and torch when a text is long.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnviz.api import *  # noqa: F403  # the names are api's, and listed there


def __getattr__(name: str) -> Any:
    """What `attnviz.api` offers, loaded when it is asked for (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("attnviz")
    if name == "__all__" or not name.startswith("_"):
        api = import_module("attnviz.api")
        if name in ("__all__", *api.__all__):
            return getattr(api, name)
    raise AttributeError(f"module 'attnviz' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(import_module("attnviz.api").__all__)
