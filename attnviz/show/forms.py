"""Which answer has which form: the one table that says so. Nothing here costs start-up time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from attnviz.errors import RequestError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

Form = Literal[
    "table", "json", "jsonl", "csv", "tsv", "parquet", "md", "npz", "png", "svg", "pdf", "html"
]  # fmt: skip

Limits = tuple[float, float]  # The numbers of a picture's first and last colour
NARROWEST_SCALE = 1e-6  # The least that may lie between them

Colours = Literal["heat", "grey"]
Language = Literal["en", "ko"]

PICTURES: tuple[Form, ...] = ("png", "svg", "pdf")
BINARY: tuple[Form, ...] = ("parquet", "npz", *PICTURES)
UNREADABLE: tuple[Form, ...] = (*BINARY, "html")  # on a terminal
ROWS: tuple[Form, ...] = ("csv", "tsv", "parquet", "md")

SUFFIXES: dict[str, Form] = {
    ".txt" if form == "table" else f".{form}": form for form in get_args(Form)
}
"""The form that a file's suffix stands for."""


@dataclass(frozen=True)
class Style:
    """How a picture looks: the colours of its weights, the language of its labels, and whether its
    title counts layers and heads from 1.
    """

    colours: Colours = "heat"
    language: Language = "en"
    from_one: bool = False


STYLE: ContextVar[Style] = ContextVar("STYLE", default=Style())  # noqa: B039
"""The style of the picture that is being drawn."""


ALONE: ContextVar[bool] = ContextVar("ALONE", default=False)
"""Whether the process is a command's own, so that nobody else uses the matplotlib in it."""


@contextmanager
def styled(style: Style | None) -> Iterator[None]:
    """Inside, pictures are drawn in this style."""
    token = STYLE.set(style or Style())
    try:
        yield
    finally:
        STYLE.reset(token)


@dataclass(frozen=True)
class Forms:
    """How one kind of answer is shown. Every answer has data and rows; functions load by name.

    `table`, `figure`: `module:function` in this room. `header`: the first columns of an answer that
    is not about one text, and so has no `text_index`; files are recognised by it. `called`: the
    first word in the names of its pictures. `one_scale`: all their colours are of one scale.
    `npz`: it has matrices; `streamed`: they are written while they are computed. `page`: what the
    page about it shows first, if there is one; `file`: what writes the page.
    `alone`: the one form that it has.
    """

    table: str = "terminal.heading:rows_table"
    figure: str | None = None
    npz: bool = False
    streamed: bool = False
    header: tuple[str, ...] | None = None
    called: str = ""
    one_scale: bool = True
    page: str | None = None
    file: str = "page.document:html_of"
    alone: Form | None = None

    @property
    def offered(self) -> tuple[Form, ...]:
        """The forms that the answer has."""
        if self.alone is not None:
            return (self.alone,)
        without: set[Form] = set() if self.figure else set(PICTURES)
        without |= set() if self.npz else {"npz"}
        without |= set() if self.page else {"html"}
        return tuple(form for form in get_args(Form) if form not in without)


FORMS: dict[str, Forms] = {
    "Overview": Forms("terminal.overview:table", page="grid"),
    "Word": Forms("terminal.word:table", "figure.word:figure", called="word", page="lines"),
    "Pair": Forms(
        "terminal.word:pair_table", "figure.heads:pair_figure", called="pair", page="head"
    ),
    "Matrices": Forms(
        "terminal.matrix:table", "figure.heatmap:figure", npz=True, streamed=True, page="head"
    ),
    "Links": Forms(
        "terminal.word:links_table", "figure.lines:figure", called="lines", page="lines"
    ),
    "Finding": Forms(
        "terminal.find:table", "figure.heads:finding_figure", called="find", page="head"
    ),
    "Holding": Forms(
        "terminal.find:table",
        "figure.heads:holding_figure",
        header=("layer", "head", "hits"),
        called="find",
    ),
    "Comparison": Forms(
        "terminal.compare:table",
        "figure.compare:figure",
        header=("layer", "head", "distance"),
        called="compare",
        page="head",
    ),
    "SurveyComparison": Forms(
        "terminal.survey_comparison:table",
        "figure.survey_comparison:figure",
        header=("layer", "head", "b_layer"),
        called="compare",
    ),
    "Explanation": Forms(
        "terminal.explain:table",
        "figure.explain:figure",
        called="explain",
        one_scale=False,
        page="steps",
    ),
    "HeadSteps": Forms(
        "terminal.head:table",
        "figure.head:figure",
        npz=True,
        called="head",
        one_scale=False,
        page="steps",
    ),
    "Ablation": Forms("terminal.ablate:table", "figure.heads:moved_figure", called="ablate"),
    "EachAblation": Forms(
        "terminal.ablate:table", "figure.heads:each_figure", called="ablate-each"
    ),
    "AblationSummary": Forms(
        "terminal.effects:summary_table",
        "figure.effects:summary_figure",
        header=("layer", "head", "rank", "outcome"),
        called="ablate-many",
    ),
    "EachOutcome": Forms(
        "terminal.effects:each_table", "figure.effects:each_figure", called="ablate-each"
    ),
    "Patched": Forms(
        "terminal.patch:table",
        "figure.patch:figure",
        header=("patched", "what", "token_index"),
        called="patch",
    ),
    "EachPatched": Forms(
        "terminal.patch:each_table",
        "figure.patch:each_figure",
        header=("layer", "head", "rank", "what", "restored"),
        called="patch-each",
    ),
    "PatchSummary": Forms(
        "terminal.patch:summary_table",
        "figure.patch:summary_figure",
        header=("layer", "head", "rank", "what", "mean"),
        called="patch",
    ),
    "Layer": Forms(
        "terminal.layer:table",
        "figure.layer:figure",
        called="layer",
        one_scale=False,
        page="layer",
    ),
    "Why": Forms("terminal.why:table", "figure.why:figure", called="why"),
    "Similarity": Forms("terminal.similar:table", "figure.similar:figure", called="similar"),
    "EachSimilarity": Forms(
        "terminal.similar:each_table", "figure.similar:each_figure", called="similar-each"
    ),
    "Prediction": Forms(
        "terminal.predict:table",
        "figure.predict:figure",
        called="predict",
        one_scale=False,
    ),
    "Survey": Forms(
        "terminal.survey:table",
        "figure.survey:figure",
        header=("layer", "head", "kind"),
        called="survey",
        one_scale=False,
        page="map",
        file="page.atlas:html_of",
    ),
    "Probe": Forms(
        "terminal.probe:table",
        "figure.probe:figure",
        header=("relation", "direction", "layer"),
        called="probe",
        one_scale=False,
    ),
    "Page": Forms(called="page", alone="html"),
    "Check": Forms("terminal.check:table", header=("check", "result", "largest")),
    "Memory": Forms("terminal.memory:table", header=("name", "kind", "text")),
    "Catalog": Forms("terminal.models:table", header=("name", "source", "family")),
    "Described": Forms("terminal.models:table", header=("fact", "value")),
}
"""Every kind of answer, by the name of its class."""


def forms_of(answer: object) -> Forms:
    """The forms of an answer; RequestError for anything else."""
    kind = type(answer).__name__
    if kind not in FORMS:
        raise RequestError(
            f"a {kind} is not an answer", "give what a question such as attnviz.find returned"
        )
    return FORMS[kind]


def check_form(kind: str, form: Form, path: Path | None = None) -> None:
    """Raise RequestError if that kind of answer lacks the form that -f or a file's name says."""
    offered = FORMS[kind].offered
    if form in offered:
        return
    named = {"html": "a page", "table": "a table", **dict.fromkeys(PICTURES, "a picture")}
    what = named.get(form, f"{'an' if form == 'npz' else 'a'} {form} file")
    came = f"-f {form} asks for" if path is None else f"{path} is the name of"
    suffixes = [suffix for suffix, form in SUFFIXES.items() if form in offered]
    hints = [f"end the file's name in {', '.join(suffixes)}"]
    if len(offered) > 1:
        hints.insert(0, "take one of these with -f")
    elif path is None:
        hints.insert(0, "leave out -f")
    raise RequestError(
        f"{came} {what}, and this answer comes as {', '.join(offered)}", ", or ".join(hints)
    )


def table(answer: object, top: int | None = None) -> "RenderableType":
    """The answer as rich shows it."""
    shown: RenderableType = _loaded(forms_of(answer).table)(answer, top)
    return shown


def page_file(answer: object, language: Language | None = None) -> str:
    """The HTML file of an answer that has a page, in a language if one is asked for."""
    file: str = _loaded(forms_of(answer).file)(answer, language)
    return file


def figure(
    answer: object,
    top: int | None = None,
    scale: Limits | None = None,
    style: Style | None = None,
) -> "Figure":
    """The answer as a picture, its colours from and to the numbers of a `scale`, if one is given.

    RequestError if it has no picture, or none with one scale.
    """
    forms, given = forms_of(answer), {}
    if forms.figure is None:
        raise RequestError(
            f"a {type(answer).__name__} has no picture", "show it with table, or draw matrices"
        )
    if scale is not None:
        check_limits(scale)
        if not forms.one_scale:
            raise RequestError(
                "this picture has no scale of colours that could be set", "leave the scale out"
            )
        given = {"scale": scale}
    with styled(style):
        drawn: Figure = _loaded(forms.figure)(answer, top, **given)
    return drawn


def check_limits(scale: Limits) -> None:
    """Raise RequestError unless a scale runs from a number to a clearly larger one."""
    low, high = scale
    if not (isfinite(low) and isfinite(high) and high - low >= NARROWEST_SCALE):
        raise RequestError(
            f"a scale from {low:g} to {high:g} has no room for colours",
            "give the smaller number first, as in 0:1",
        )


def _loaded(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(import_module(f"attnviz.show.{module}"), function)
    return found
