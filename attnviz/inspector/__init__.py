"""The one place where a text becomes an Inspection: find the model, tokenize, batch, run.

torch is imported when a model is loaded, not before.
"""

from attnviz.inspector.ablating import MASKS
from attnviz.inspector.again import check_ablatable, load_model_of, matrices_of
from attnviz.inspector.loading import load_model
from attnviz.inspector.model import Model
from attnviz.inspector.notes import PICKLE_NOTES
from attnviz.running import Running

__all__ = [
    "MASKS",
    "PICKLE_NOTES",
    "Model",
    "Running",
    "check_ablatable",
    "load_model",
    "load_model_of",
    "matrices_of",
]
