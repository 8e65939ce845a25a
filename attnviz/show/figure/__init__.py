"""An inspection as a picture for a paper or a talk: heatmaps and lines, as matplotlib Figures."""

import logging
import os
import sys
import warnings
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from attnviz.show.forms import ALONE


def _import_undisturbed() -> None:
    """Import matplotlib without what it is set to, which may stop it: a backend that is not
    installed (a notebook names its own to what it starts), or a damaged matplotlibrc.

    Pictures need neither. For those of others it is then set as usual, as far as that works.
    """
    log, exists = logging.getLogger("matplotlib"), os.path.exists
    level, backend = log.level, os.environ.pop("MPLBACKEND", None)
    log.setLevel(logging.CRITICAL)
    # of all files of that name, only what matplotlib brings with it is there for a moment
    os.path.exists = lambda path: (
        exists(path) and ("mpl-data" in str(path) or not str(path).endswith("matplotlibrc"))
    )
    try:
        import matplotlib
    finally:
        os.path.exists = exists
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    # it also says where it keeps its list of fonts, if that is not the usual place
    import matplotlib.font_manager

    if ALONE.get():
        _import_figures()
    else:
        with warnings.catch_warnings(), suppress(OSError, ValueError):
            warnings.simplefilter("ignore")
            set_unchecked(matplotlib.rc_params())  # as matplotlib does
        if backend is not None:
            with suppress(ValueError):
                matplotlib.rcParams["backend"] = backend
    log.setLevel(level)


def set_unchecked(values: Mapping[Any, Any]) -> None:
    """Set matplotlib's parameters to values of its own, which it need not check once more."""
    parameters: Any = sys.modules["matplotlib"].rcParams
    if hasattr(parameters, "_update_raw"):  # from matplotlib 3.10 on
        parameters._update_raw(values)
    else:
        dict.update(parameters, values)


def _import_figures() -> None:
    """Import the classes that pictures are made of, without what takes longest and is not used:
    lists of their properties, in docstrings and signatures, and axes in three dimensions.
    """
    artist: Any = import_module("matplotlib.artist")
    modules: dict[str, Any] = sys.modules
    tell = "_update_set_signature_and_docstring"
    kept = getattr(artist, "kwdoc", None), vars(artist.Artist).get(tell)
    if None in kept:  # another matplotlib, which is imported as it is
        return
    artist.kwdoc = lambda _: ""
    setattr(artist.Artist, tell, classmethod(lambda _: None))
    modules["mpl_toolkits.mplot3d"] = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # matplotlib misses the third dimension
            import_module("matplotlib.figure")
    finally:
        artist.kwdoc = kept[0]
        setattr(artist.Artist, tell, kept[1])
        del modules["mpl_toolkits.mplot3d"]


if "matplotlib" not in sys.modules:
    _import_undisturbed()
