"""Text in, `Inspection` out. torch is imported when a model is loaded, not before."""

from attnviz.model.load import PICKLE_NOTES, load_model, model_in_memory
from attnviz.model.model import Model
from attnviz.model.reload import check_ablatable, load_model_of, matrices_of
from attnviz.models.config import RunOptions

__all__ = [
    "PICKLE_NOTES", "Model", "RunOptions", "check_ablatable", "load_model",
    "load_model_of", "matrices_of", "model_in_memory",
]  # fmt: skip
