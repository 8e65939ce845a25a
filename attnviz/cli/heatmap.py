"""`attnviz heatmap`: show me the weights."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from attnviz.cli.drawn import PictureOutput
from attnviz.cli.options import (
    OUTPUT,
    HeadChoice,
    Look,
    ModelChoice,
    Source,
    Words,
    flag,
    valued,
)
from attnviz.errors import RequestError
from attnviz.show.forms import Colours, Style

if TYPE_CHECKING:
    from attnviz.answers.answer import Answer
    from attnviz.answers.matrices import Matrices
    from attnviz.attention.measures import Measure
    from attnviz.cli.inputs import Item

_EXAMPLE = "L{layer}H{head}.png"
_BRACES = re.compile(r"\{[^{}]*\}|[{}]")


@dataclass(frozen=True)
class MapOutput(PictureOutput):
    """The same, where each head may have a picture of its own, and weights may be grey."""

    each: Annotated[
        bool,
        flag(
            "--each",
            OUTPUT,
            "A picture for each head. -o names them, as in 'L{layer}H{head}.png'.",
        ),
    ] = False
    from_one: Annotated[
        bool,
        flag(
            "--from-1",
            OUTPUT,
            "With --each: count layers and heads from 1 in names and titles. --layer and --head "
            "count from 0.",
        ),
    ] = False
    colours: Annotated[
        Colours | None,
        valued(
            "NAME",
            OUTPUT,
            "heat (the default), or grey: from black to white.",
            "--colours",
            "--colors",
        ),
    ] = None

    @property
    def asked(self) -> dict[str, object]:
        """As FigureOutput."""
        return {**super().asked, "--each": self.each, "--colours": self.colours}

    @property
    def style(self) -> Style | None:
        """As PictureOutput; RequestError for names that do not fit --each, or for data."""
        self._check()
        style = super().style
        if self.colours is None and not self.from_one:
            return style
        return replace(style or Style(), colours=self.colours or "heat", from_one=self.from_one)

    def _check(self) -> None:
        if self.from_one and not self.each:
            raise RequestError(
                "--from-1 is for the pictures that --each draws, and --each is missing",
                "add --each, or leave --from-1 out: all else counts from 0",
            )
        if self.each and self.to_stdout:
            raise RequestError(
                "--each draws many pictures, and standard output has room for one",
                f"name files, as in -o '{_EXAMPLE}'",
            )
        if self.each and self.open:
            raise RequestError(
                "--each draws many pictures, and --open shows one", "leave out one of the two"
            )
        placeholder = re.search(r"\{(layer|head)\}", str(self.file))
        if placeholder and not self.each:
            raise RequestError(
                f"{placeholder[0]} in -o {self.file} is for the pictures of --each",
                "add --each, or give another name",
            )

    def check_template(self, measured: "Measure") -> None:
        """Raise RequestError unless -o gives each head, or each layer, a name of its own."""
        if not self.each or self.file is None:
            return
        wanted = ["{layer}", "{head}"] if measured.per_head else ["{layer}"]
        braces = _BRACES.findall(str(self.file))
        example = f"as in -o '{_EXAMPLE if measured.per_head else 'L{layer}.png'}'"
        for other in braces:
            if other not in wanted:
                mixes = f", and {measured.name} has no heads" if other == "{head}" else ""
                raise RequestError(
                    f"-o {self.file} has {other}, and --each fills in {' and '.join(wanted)} "
                    f"alone{mixes}",
                    example,
                )
        missing = [one for one in wanted if one not in braces]
        if missing:
            raise RequestError(
                f"--each draws many pictures, and -o {self.file} lacks {' and '.join(missing)}, "
                "so that they would have one name",
                example,
            )

    def file_of(self, answer: Any) -> Path | None:
        """The file of one head, where each has its own."""
        if not self.each or self.file is None:
            return self.file
        (layer, head), first = answer.heads[0], int(self.from_one)
        numbers = {"{layer}": layer, "{head}": head}
        return Path(_BRACES.sub(lambda one: str(numbers[one[0]] + first), str(self.file)))

    def files_of(self, answers: "Sequence[Any]") -> list[Path]:
        """The files of several heads; RequestError if two of them would have one."""
        found = [path for path in map(self.file_of, answers) if path is not None]
        twice = next((path for path in found if found.count(path) > 1), None)
        if twice is not None:
            raise RequestError(
                f"-o {self.file} gives several heads the name {twice}",
                f"put something between the numbers, as in -o '{_EXAMPLE}'",
            )
        return found


def heatmap(
    source: Source,
    words: Words,
    heads: HeadChoice,
    look: Look,
    choice: ModelChoice,
    output: MapOutput,
) -> None:
    """Draw attention weights of a head, a layer, or all heads: queries down, keys across.

    --query or --key: one word in all heads, a row a head; both: how much the one looks at the
    other, layers down and heads across. Without TEXT it draws the last sentence, at once.

    Example: attnviz heatmap --layer 3 --head 1 -o animal.png
    """
    from attnviz.answers.matrices import matrices
    from attnviz.answers.word import word_or_pair
    from attnviz.attention.measures import MEASURES
    from attnviz.cli.inputs import Inputs, answer_each
    from attnviz.cli.output import check_ours, check_output
    from attnviz.cli.session import Selection, Session

    output.check_template(MEASURES[look.measure])
    named = words.query is not None or words.key is not None
    if named and output.each:
        raise RequestError(
            "--each draws whole heads, and --query and --key name one word in all of them",
            "leave one of the two out",
        )
    both = words.query is not None and words.key is not None
    check_output(output, "Pair" if both else "Word" if named else "Matrices")
    session = Session(choice, output)
    selection = Selection(session, look, heads)
    inputs = Inputs(source, session, output, selection.request)

    def ask(item: "Item") -> "Answer | Sequence[Matrices]":
        view = selection.view(item.inspection, words.query)
        chosen = selection.heads(view.context)
        if named:
            query = selection.word(item.place, view, "query", words.query)
            key = selection.word(item.place, view, "key", words.key)
            return word_or_pair(view, query, key, chosen or None)
        if not output.each:
            return matrices(view, chosen or None)
        every = [matrices(view, [head]) for head in chosen or view.all_heads()]
        for path in output.files_of(every):
            check_ours(path, output.form, output.force)  # all, before the first is drawn
        return every

    answer_each(inputs, ask, doing="drawing")
