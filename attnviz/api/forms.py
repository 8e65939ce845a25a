"""Any answer in any form."""

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from attnviz.answers.answer import Answer
from attnviz.api.inspecting import Heads
from attnviz.api.questions import links, matrices, overview, positive, word
from attnviz.errors import AttnvizError, RequestError
from attnviz.files import whole_file
from attnviz.inspection import Inspection, View
from attnviz.show import forms, write

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from rich.console import RenderableType


class Chosen(Heads, total=False):
    """What of an inspection is shown: a word, some heads, and how they are looked at."""

    query: str | None
    key: str | None


def table(x: Any, top: int | None = None, **chosen: Unpack[Chosen]) -> "RenderableType":
    """What the command line prints of an answer, for `rich.print`.

    `x`: an answer, or several; or an inspection, of which `query` and `key` show a word, `layer`
    and `head` whole tables, and nothing the overview. `top` limits links, keys or heads.
    """
    from rich.console import Group

    answers = _answers(x, top, chosen, briefly=True)
    return Group(*(forms.table(answer, top) for answer in answers))


def figure(
    x: Any,
    top: int | None = None,
    scale: forms.Limits | None = None,
    language: forms.Language = "en",
    colours: forms.Colours = "heat",
    **chosen: Unpack[Chosen],
) -> "Figure":
    """The picture of an answer; heatmaps of a View. Its colours go from 0 to 1 for `scale=(0, 1)`;
    labels are Korean for `language="ko"`; weights are black to white for `colours="grey"`.
    """
    answers = _answers(x, top, chosen)
    if len(answers) != 1:
        raise RequestError(f"{len(answers)} answers came, and a picture shows one", "give one")
    return forms.figure(answers[0], top, scale, forms.Style(colours, language))


def to_json(x: Any, top: int | None = None, **chosen: Unpack[Chosen]) -> str:
    """The JSON of an answer, one line for each; of an inspection, whole matrices or a word."""
    answers = _answers(x, top, chosen)
    if any(forms.forms_of(answer).alone for answer in answers):
        raise RequestError("a page has no JSON", "take its HTML with to_html")
    chunks = (write.json_chunks(answer, top) for answer in answers)
    return b"".join(chain.from_iterable(chunks)).decode()


def to_rows(x: Any, top: int | None = None, **chosen: Unpack[Chosen]) -> list[dict[str, Any]]:
    """The rows of an answer, as dictionaries by column: one a link, head or finding."""
    answers = _answers(x, top, chosen)
    return [dict(zip(a.columns, row, strict=True)) for a in answers for row in a.rows(top)]


def to_dataframe(x: Any, top: int | None = None, **chosen: Unpack[Chosen]) -> "DataFrame":
    """The rows of an answer as a pandas DataFrame; AttnvizError if pandas is not installed."""
    if find_spec("pandas") is None:
        raise AttnvizError("pandas is not installed", "pip install pandas, or use to_rows")
    from pandas import DataFrame

    answers = _answers(x, top, chosen)
    columns = list(answers[0].columns) if answers else []
    return DataFrame([row for answer in answers for row in answer.rows(top)], columns=columns)


def heatmap(
    inspection: Inspection | View,
    query: str | None = None,
    key: str | None = None,
    **heads: Unpack[Heads],
) -> "Figure":
    """One head, a layer's heads, or all heads as heatmaps: queries down, keys across; with `query`
    or `key`, that word in all heads, a row a head.
    """
    if query is None and key is None:
        return forms.figure(matrices(inspection, **heads))
    return forms.figure(word(inspection, query, key, **heads))


def lines(
    inspection: Inspection | View,
    query: str | None = None,
    key: str | None = None,
    **heads: Unpack[Heads],
) -> "Figure":
    """The picture of `links`: lines from queries to keys, darker with weight."""
    return forms.figure(links(inspection, query, key, **heads))


def write_figure(figure: "Figure", path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF, by the path's suffix; equal figures give equal bytes."""
    from attnviz.show.figure import drawing

    form = drawing.format_of(Path(path))
    with whole_file(Path(path)) as stream:
        drawing.write_figure(figure, stream, form)


def _answers(x: Any, top: int | None, chosen: Chosen, briefly: bool = False) -> Sequence[Answer]:
    """The answers that came; of an inspection a word, or matrices (`briefly`: the overview)."""
    positive(top)
    if isinstance(x, Inspection | View):
        heads: Any = dict(chosen)
        words = {name: heads.pop(name, None) for name in ("query", "key")}
        if any(word is not None for word in words.values()):
            return [word(x, **words, **heads)]
        in_full = any(heads.get(name) is not None for name in ("layer", "head"))
        return [matrices(x, **heads) if in_full or not briefly else overview(x, top, **heads)]
    if chosen:
        raise RequestError(
            f"an answer is shown as it is, and {', '.join(chosen)} came with it",
            "choose words and heads when you ask the question",
        )
    answers = list(x) if isinstance(x, list | tuple) else [x]
    for answer in answers:
        forms.forms_of(answer)
    return answers
