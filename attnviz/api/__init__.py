"""attnviz from Python: the command line's questions, and any answer in any form.

Words are named as on the command line: `it`, `it#2` (its second occurrence), `@10` (the token at
index 10). A head is `layer=3, head=1`, or `head=(3, 1)`, `head="L3H1"` or a HeadId alone; negative
layers count from the end.

What is wrong raises AttnvizError; RequestError, which is one, if the request itself is wrong.
"""

from attnviz.answers.ablate import Ablation, EachAblation
from attnviz.answers.check import Check
from attnviz.answers.compare import Comparison
from attnviz.answers.effects import EachOutcome
from attnviz.answers.explain import Explanation
from attnviz.answers.find import Finding
from attnviz.answers.head import HeadSteps
from attnviz.answers.holding import Holding, holding
from attnviz.answers.layer import Layer
from attnviz.answers.links import Links
from attnviz.answers.matrices import Matrices
from attnviz.answers.overview import Overview
from attnviz.answers.page import Page
from attnviz.answers.patch import EachPatched, Patched
from attnviz.answers.patch_summary import PatchSummary
from attnviz.answers.predict import Prediction
from attnviz.answers.probe import Probe
from attnviz.answers.similar import EachSimilarity, Similarity
from attnviz.answers.survey import Survey
from attnviz.answers.survey_comparison import SurveyComparison
from attnviz.answers.why import Why
from attnviz.answers.word import Pair, Word
from attnviz.api.ablation import ablate, ablate_each
from attnviz.api.corpora import compare_models, probe, survey
from attnviz.api.forms import (
    figure,
    heatmap,
    lines,
    table,
    to_dataframe,
    to_json,
    to_rows,
    write_figure,
)
from attnviz.api.inspecting import inspect, inspect_windows
from attnviz.api.pages import page, to_html, write_page
from attnviz.api.patching import patch, patch_twins
from attnviz.api.predict import predict
from attnviz.api.questions import (
    catalog,
    check,
    compare,
    explain,
    explain_head,
    find,
    layer,
    links,
    load,
    matrices,
    overview,
    save,
    similar,
    similar_each,
    why,
    word,
)
from attnviz.attention.edits import Edit
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import HeadId, Inspection, ModelFacts, View
from attnviz.model import Model, load_model
from attnviz.model.describe import describe
from attnviz.models.describe import Catalog, Described
from attnviz.text.tokens import Part, Token, Tokens

__all__ = [
    "Ablation", "AttnvizError", "Catalog", "Check", "Comparison", "Described", "EachAblation",
    "EachOutcome", "EachPatched", "EachSimilarity", "Edit", "Explanation", "Finding", "HeadId",
    "HeadSteps", "Holding", "Inspection", "Layer", "Links", "Matrices", "Model", "ModelFacts",
    "Overview", "Page", "Pair", "Part", "PatchSummary", "Patched", "Prediction", "Probe",
    "RequestError", "Similarity", "Survey", "SurveyComparison", "Token", "Tokens", "View",
    "Why", "Word", "ablate", "ablate_each", "catalog", "check", "compare", "compare_models",
    "describe", "explain", "explain_head", "figure", "find", "heatmap", "holding", "inspect",
    "inspect_windows", "layer", "lines", "links", "load", "load_model", "matrices", "overview",
    "page", "patch", "patch_twins", "predict", "probe", "save", "similar", "similar_each",
    "survey", "table", "to_dataframe", "to_html", "to_json", "to_rows", "why", "word",
    "write_figure", "write_page",
]  # fmt: skip
