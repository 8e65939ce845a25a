"""Which head a checkpoint has, by its config.json, and what its tensors are called."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from attnviz.inspection.predicted import Function, HeadFacts, HeadKind
from attnviz.models.config import Config
from attnviz.models.families import FAMILIES

Activation = Literal["tanh", "relu", "gelu"]

ENDINGS: Mapping[str, HeadKind] = {
    "ForMaskedLM": "masked-lm",
    "ForPreTraining": "masked-lm",
    "ForCausalLM": "causal-lm",
    "LMHeadModel": "causal-lm",
    "ForConditionalGeneration": "seq2seq-lm",
    "MTModel": "seq2seq-lm",
    "EncoderDecoderModel": "seq2seq-lm",
    "ForSequenceClassification": "sequence-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
}
"""How the names of transformers' classes end, and the head that they have."""

REPLACED = "ElectraForPreTraining"  # the discriminator: which pieces another model put in

FUNCTIONS: Mapping[str, Function | None] = {
    "multi_label_classification": "sigmoid",
    "regression": None,
}
"""What makes probabilities, by config.json's problem_type; else it is softmax."""


TENSORS = re.compile(
    r"(.*\.)?(classifier|pre_classifier|qa_outputs|score|classification_head|sequence_summary"
    r"|logits_proj|head)\b"
)
"""What the modules of heads are called."""


@dataclass(frozen=True)
class Step:
    """A dense layer of a head: what a checkpoint calls it, and the function after it."""

    module: str
    activation: Activation | None = None


LAST = (Step("classifier"),)
DISCRIMINATOR = (
    Step("discriminator_predictions.dense", "gelu"),
    Step("discriminator_predictions.dense_prediction"),
)
ROBERTA = (Step("classifier.dense", "tanh"), Step("classifier.out_proj"))

CLASSIFIERS: Mapping[str, tuple[Step, ...]] = {
    "bert": (Step("pooler.dense", "tanh"), *LAST),
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "mpnet": ROBERTA,
    "distilbert": (Step("pre_classifier", "relu"), *LAST),
    "electra": (Step("classifier.dense", "gelu"), Step("classifier.out_proj")),
}
"""By family, what makes labels of the first token's final state."""


def head_in(
    content: Config, architecture: str, native: bool = False, causal: bool = True
) -> HeadFacts | None:
    """The head that a class of transformers has, with config.json's labels; None if it has none.

    `native`: of our own encoder; `causal`: it is a decoder, or may be one.
    """
    if architecture == REPLACED and content.get("hidden_act", "gelu") == "gelu":
        return HeadFacts("token-classification", REPLACED, ("replaced",), "sigmoid")
    endings = (end for end in ENDINGS if architecture.endswith(end))
    found = None if architecture == REPLACED else next(endings, None)
    if found is None:
        return None
    kind = ENDINGS[found]
    if kind == "causal-lm" and native:  # an encoder's has the tensors of a masked LM's
        kind = "masked-lm"
    elif kind == "causal-lm" and not causal:  # such as XLNet's, which does not tell what comes next
        return None
    labels = labels_in(content) if kind.endswith("classification") else ()
    function: Function | None = "softmax"
    if kind == "sequence-classification":
        function = FUNCTIONS.get(str(content.get("problem_type")), "softmax")
    return HeadFacts(kind, architecture, labels, function)


def modules_beside(content: Config, tensors: Sequence[str]) -> str:
    """The modules, up to a layer's number, of tensors that are not those of the head that is named.

    Nothing where there are none.
    """
    head = head_in(content, architecture_in(content)) is not None
    others = (name for name in tensors if not (head and TENSORS.match(name)))
    return ", ".join(sorted(set(map(_module_of, others))))


def _module_of(tensor: str) -> str:
    parts = tensor.split(".")[:-1]
    end = next((place for place, part in enumerate(parts) if part.isdigit()), len(parts))
    return ".".join(parts[:end]) or tensor


def architecture_in(content: Config) -> str:
    """The class that config.json names first; nothing if it names none."""
    named = content.get("architectures")
    first = named[0] if isinstance(named, list) and named else ""
    return first if isinstance(first, str) and first.isidentifier() else ""


def labels_in(content: Config) -> tuple[str, ...]:
    """The names of labels, by their numbers; as transformers, two without any in config.json."""
    named = content.get("id2label")
    if isinstance(named, dict) and named:
        named, count = {str(number): label for number, label in named.items()}, len(named)
    else:
        named, count = {}, content.get("num_labels", 2)
    count = count if isinstance(count, int) and count > 0 else 0
    # a lone half of a surrogate pair, which JSON can hold, is no text
    read = (str(named.get(str(number), f"LABEL_{number}")) for number in range(count))
    return tuple(label.encode("utf-8", "backslashreplace").decode() for label in read)


def steps_of(family: str, head: HeadFacts, found: Collection[str]) -> tuple[Step, ...]:
    """The dense layers of a head of one of our families, by their names in a file; () without."""
    steps: tuple[Step, ...] = ()
    if head.kind == "sequence-classification":
        steps = CLASSIFIERS.get(family, ())
    elif head.kind == "token-classification":
        steps = DISCRIMINATOR if head.architecture == REPLACED else LAST
    elif head.kind == "question-answering":
        steps = (Step("qa_outputs"),)
    named = []
    for step in steps:
        prefixes = FAMILIES[family].names.prefixes
        modules = (prefix + step.module for prefix in prefixes)
        module = next((name for name in modules if f"{name}.weight" in found), None)
        named += [] if module is None else [Step(module, step.activation)]
    return tuple(named) if len(named) == len(steps) else ()
