"""An inspection as a picture for a paper or a talk: heatmaps and lines, as matplotlib Figures."""

import logging
import os
import sys
import warnings
from contextlib import suppress

# Importing matplotlib fails where it cannot use what it is set to: a backend that is not installed
# (a notebook names its own to what it starts), or a damaged matplotlibrc. Pictures need neither:
# it is imported without them. Then it is set as usual, as far as that works, for others' pictures.
if "matplotlib" not in sys.modules:
    _log, _exists = logging.getLogger("matplotlib"), os.path.exists
    _level, _backend = _log.level, os.environ.pop("MPLBACKEND", None)
    _log.setLevel(logging.CRITICAL)
    # of all files of that name, only what matplotlib brings with it is there for a moment
    os.path.exists = lambda path: (
        _exists(path) and ("mpl-data" in str(path) or not str(path).endswith("matplotlibrc"))
    )
    try:
        import matplotlib
    finally:
        os.path.exists = _exists
        if _backend is not None:
            os.environ["MPLBACKEND"] = _backend
    # it also says where it keeps its list of fonts, if that is not the usual place
    import matplotlib.font_manager

    with warnings.catch_warnings(), suppress(OSError, ValueError):
        warnings.simplefilter("ignore")
        matplotlib.rcParams._update_raw(matplotlib.rc_params())  # as matplotlib itself does
    if _backend is not None:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = _backend
    _log.setLevel(_level)
