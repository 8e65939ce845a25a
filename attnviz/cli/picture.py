"""From a figure to its file, for the commands that draw."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attnviz.analysis.strongest import strongest_head
from attnviz.cli.asked import Answer, Asked
from attnviz.cli.options import Output
from attnviz.cli.output import check_overwrite
from attnviz.cli.sentences import Sentences
from attnviz.errors import RequestError
from attnviz.files import whole_file
from attnviz.inspection import HeadId
from attnviz.render.figure.drawing import format_of, write_figure, written_by_attnviz
from attnviz.render.figure.fonts import missing_glyphs
from attnviz.render.figure.heatmap import heatmap
from attnviz.render.figure.lines import lines
from attnviz.render.figure.name import default_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A figure, and what its file's name should tell: the heads in it, and what else."""

    figure: "Figure"
    heads: list[HeadId]
    what: str = ""


def draw_heatmap(answer: Answer) -> Picture:
    """The heads chosen, or all of them, as heatmaps."""
    return Picture(heatmap(answer.view, answer.heads_or_all), answer.heads_or_all)


def draw_lines(answer: Answer) -> Picture:
    """The heads chosen, or the one where the query has its strongest link, as lines."""
    heads = answer.heads
    if not heads and answer.query is None:
        raise RequestError(
            "lines of all words in all heads would be a tangle",
            "choose a word with --query WORD, or heads with --layer N and --head N",
        )
    if not heads and answer.query is not None:
        heads = [strongest_head(answer.view, answer.query)]
    figure = lines(answer.view, heads, answer.query)
    if answer.query is None:
        return Picture(figure, heads, "lines")
    word = answer.view.tokens[answer.query]
    return Picture(figure, heads, f"lines-{word.text}-{word.index}")


def draw_all(
    sentences: Sentences, asked: Asked, output: Output, draw: Callable[[Answer], Picture]
) -> None:
    """Draw each sentence, write the picture, and print its path."""
    if output.output is not None:
        if sentences.many:
            raise RequestError("-o names one picture, and several sentences came", "leave out -o")
        format_of(output.output)
        check_overwrite(output.output, output.force, written_by_attnviz)
    for index, inspection in sentences:
        with sentences.trying(index):
            answer = asked.of(inspection)
            picture = draw(answer)
            missing = missing_glyphs(answer.view)
            if missing:
                asked.notes.say(missing)
            name = default_name(answer.view, picture.heads, picture.what)
            path = output.output or Path(f"{name}.png")
            check_overwrite(path, output.force, written_by_attnviz)
            with whole_file(path) as stream:
                write_figure(picture.figure, stream, format_of(path))
            sys.stdout.write(f"{path}\n")
            sys.stdout.flush()
