"""The one place where a text becomes an Inspection: find the model, tokenize, batch, run.

torch is imported when a model is loaded, not before.
"""

from attnviz.model.ablating import MASKS
from attnviz.model.load import load_model
from attnviz.model.model import Model
from attnviz.model.notes import PICKLE_NOTES
from attnviz.model.reload import check_ablatable, load_model_of, matrices_of
from attnviz.models.options import RunOptions

__all__ = [
    "MASKS",
    "PICKLE_NOTES",
    "Model",
    "RunOptions",
    "check_ablatable",
    "load_model",
    "load_model_of",
    "matrices_of",
]
