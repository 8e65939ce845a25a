"""One page to play with, which works offline, of one inspection or several."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from attnviz.answers.opening import opening, opening_of
from attnviz.answers.page import Page, Shows, State
from attnviz.answers.page import page as page_of
from attnviz.answers.select import keeping
from attnviz.answers.survey import Survey
from attnviz.api.forms import Chosen
from attnviz.api.inspecting import looked_at
from attnviz.api.questions import compare, index_of
from attnviz.errors import RequestError
from attnviz.files import whole_file
from attnviz.inspection import Inspection, View
from attnviz.model.reload import layers_behind
from attnviz.show import forms
from attnviz.show.forms import Language


def page(
    inspection: Inspection | View | list[Inspection] | list[View],
    view: Shows | None = None,
    beside: Inspection | View | None = None,
    language: Language | None = None,
    **chosen: Unpack[Chosen],
) -> Page:
    """A page of one HTML file, with every head of an inspection, or of several, to choose from.

    `view`, words, heads and how they are looked at say what it shows first; each can be changed in
    the page. `beside`: another inspection, word by word beside the first, as `compare` aligns them.
    A notebook shows the page. RequestError for texts too long to draw, and other measures than
    weights.
    """
    several = inspection if isinstance(inspection, list) else [inspection]
    if not several:
        raise RequestError("no inspection came", "give one, or several")
    if beside is not None:
        if len(several) > 1:
            raise RequestError(
                f"beside shows one inspection beside another, and {len(several)} came",
                "give one, or leave beside out",
            )
        several = [*several, beside]
    words, heads = _parted(chosen)
    views = [looked_at(one, heads)[0] for one in several]
    if beside is None:
        state = _opening(views[0], words, heads)
    else:
        state = opening_of(compare(*several, **chosen), "head")
    state = replace(state, view=view or state.view, lang=language)
    return page_of(views, state, [] if beside is None else [(0, 1)], layers_behind)


def to_html(page: Page | Survey) -> str:
    """The page, or a survey's atlas, as HTML, in which nothing is loaded from elsewhere."""
    return forms.page_file(page)


def write_page(page: Page | Survey, path: str | Path) -> None:
    """Write the page, or a survey's atlas, to a file, whole or not at all."""
    with whole_file(Path(path)) as stream:
        stream.write(to_html(page).encode())


def _parted(chosen: Chosen) -> tuple[dict[str, str | None], Any]:
    """The words, and what remains: heads, and how they are looked at."""
    heads: Any = dict(chosen)
    return {name: heads.pop(name, None) for name in ("query", "key")}, heads


def _opening(view: View, words: dict[str, str | None], heads: Any) -> State:
    view = keeping(view, words["query"])
    query, key = (index_of(view.context, role, words[role]) for role in ("query", "key"))
    return opening(view, looked_at(view, heads)[1], query, key)[0]
