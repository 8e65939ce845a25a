"""The options of commands that draw: where pictures are seen, and how they look."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from attnviz.cli.options import OUTPUT, Output, Results, flag, valued
from attnviz.errors import RequestError
from attnviz.show.forms import PICTURES, Form, Language, Limits, Style, check_limits

FOR_PAGES_TOO = (("html", "--open"), ("html", "--lang"))
"""Which options of pictures are for a page as well."""


@dataclass(frozen=True)
class PictureResults(Results):
    """Where results go, where there is a picture, which can be seen at once."""

    open: Annotated[bool, flag("--open", OUTPUT, "Open the picture with the system's viewer.")] = (
        False
    )
    inline: Annotated[bool, flag("--inline", OUTPUT, "Show the picture in the terminal.")] = False
    lang: Annotated[
        Language | None, valued("en|ko", OUTPUT, "The language of a picture's labels.")
    ] = None

    @property
    def asked(self) -> dict[str, object]:
        """The options that are for pictures."""
        return {"--open": self.open, "--inline": self.inline, "--lang": self.lang}

    @property
    def language(self) -> Language | None:
        """As in Results."""
        return self.lang or super().language

    @property
    def style(self) -> Style | None:
        """What --lang or the settings say; None: a picture or a page looks as usual.

        RequestError if no picture is drawn, or none can be opened.
        """
        for option in filter(self.asked.get, self.asked):
            if self.form not in PICTURES and (self.form, option) not in FOR_PAGES_TOO:
                raise RequestError(
                    f"{option} is for pictures, and {self.form} is not one",
                    "draw one, as in -o FILE.png",
                )
        if self.open and self.to_stdout:
            raise RequestError(
                "--open needs a file, and -o - writes to standard output",
                "leave out one of the two",
            )
        if self.inline and self.to_stdout:
            raise RequestError(
                "--inline shows the picture, and -o - writes it to the same place",
                "leave out one of the two",
            )
        language = self.language if self.form in (*PICTURES, "html") else None
        return None if language is None else Style(language=language)


@dataclass(frozen=True)
class FigureOutput(PictureResults, Output):
    """The same, of a sentence."""


@dataclass(frozen=True)
class DrawnOutput(FigureOutput):
    """The same, where pictures may be given one scale, to be laid side by side."""

    scale: Annotated[
        str | None,
        valued("LOW:HIGH", OUTPUT, "Colours from LOW to HIGH, as 0:1."),
    ] = None

    @property
    def asked(self) -> dict[str, object]:
        """As FigureOutput."""
        return {**super().asked, "--scale": self.scale}

    @property
    def limits(self) -> Limits | None:
        """What --scale says; RequestError for what is no scale."""
        if self.scale is None:
            return None
        try:
            low, high = map(float, self.scale.split(":"))
        except ValueError:
            raise RequestError(
                f'"{self.scale}" is not a scale', "give two numbers, as in --scale 0:1"
            ) from None
        check_limits((low, high))
        return low, high


@dataclass(frozen=True)
class PictureOutput(DrawnOutput):
    """The same, where a picture is the usual form."""

    usual: ClassVar[Form] = "png"

    @property
    def form(self) -> Form:
        """As Output; RequestError for a file without a suffix, which says no form."""
        if self.file is not None and not self.file.suffix and not (self.format or self.json):
            raise RequestError(
                f"{self.file} does not say in which form to draw", "end its name in .png or .svg"
            )
        return super().form
