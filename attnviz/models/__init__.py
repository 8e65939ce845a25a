"""From a model's name to its files, facts and family. Nothing here imports torch."""

from attnviz.models.files import ModelFiles
from attnviz.models.find import DEFAULT, PAPER, default_tokenizer, find_model

__all__ = ["DEFAULT", "PAPER", "ModelFiles", "default_tokenizer", "find_model"]
