"""From a figure to its file, for the commands that draw."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.answers.links import heads_or_strongest, links
from attnviz.answers.matrices import matrices
from attnviz.cli.asked import Answer, Asked
from attnviz.cli.giving import give_each
from attnviz.cli.options import Output
from attnviz.cli.output import check_overwrite, say_path
from attnviz.cli.sentences import Sentences
from attnviz.files import whole_file
from attnviz.inspection import HeadId, Inspection
from attnviz.show.figure.captions import default_name
from attnviz.show.figure.drawing import format_of, write_figure, written_by_attnviz
from attnviz.show.figure.fonts import missing_glyphs
from attnviz.show.figure.heatmap import figure as heatmap
from attnviz.show.figure.lines import figure as lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A figure, and what its file's name should tell: the heads in it, and what else.

    `note` is what the user should know of how it came about.
    """

    figure: "Figure"
    heads: list[HeadId]
    what: str = ""
    note: str = ""


def draw_heatmap(answer: Answer) -> Picture:
    """The heads chosen, or all of them, as heatmaps."""
    return Picture(heatmap(matrices(answer.view, answer.heads_or_all)), answer.heads_or_all)


def draw_lines(answer: Answer) -> Picture:
    """The heads chosen, or the one of the query's strongest link, as lines."""
    heads, note = heads_or_strongest(answer.view, answer.heads, answer.query)
    figure = lines(links(answer.view, heads, answer.query))
    if answer.query is None:
        return Picture(figure, heads, "lines")
    token = answer.view.tokens[answer.query]
    return Picture(figure, heads, f"lines-{token.text}-{token.index}", note)


def draw_all(
    sentences: Sentences, asked: Asked, output: Output, draw: Callable[[Answer], Picture]
) -> None:
    """Draw each sentence, write the picture, and print its path."""
    if output.output is not None:
        format_of(output.output)
        check_overwrite(output.output, output.force, written_by_attnviz)

    def drawn(index: int, inspection: Inspection) -> Path:
        answer = asked.of(inspection, sentences.place(index))
        with sentences.working("drawing"):
            picture = draw(answer)
        for note in (picture.note, missing_glyphs(answer.view.context)):
            if note:
                asked.notes.say(sentences.place(index) + note)
        return _write(picture, answer, output)

    give_each(sentences, say_path, drawn)


def _write(picture: Picture, answer: Answer, output: Output) -> Path:
    name = default_name(answer.view.context, picture.heads, picture.what)
    path = output.output or Path(f"{name}.png")
    check_overwrite(path, output.force, written_by_attnviz)
    write_picture(picture.figure, path)
    return path


def write_picture(figure: "Figure", path: Path) -> None:
    """Write a figure in the form that the path's suffix asks for, whole or not at all."""
    with whole_file(path) as stream:
        write_figure(figure, stream, format_of(path))
