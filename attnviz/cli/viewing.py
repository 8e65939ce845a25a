"""What is drawn where the eye is: in a viewer, in the browser, between the lines of a terminal."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from attnviz.cli.options import Results
from attnviz.errors import AttnvizError, RequestError

PATIENCE = 1.0  # seconds in which a program says that it cannot open a picture
PIXELS_APART = 2  # of a picture, for each of the terminal's: pictures are drawn for print


def check(output: Results) -> None:
    """Raise AttnvizError, or RequestError, if pictures cannot be seen as the options ask."""
    if output.open:
        _check_viewer()
    if output.inline:
        _check_inline()


def _check_viewer() -> None:
    """Raise AttnvizError if nothing on this system opens pictures."""
    if not hasattr(os, "startfile") and shutil.which(_opener()) is None:
        raise AttnvizError(
            f"--open needs the program {_opener()}, and there is none here",
            "leave out --open, or see the picture in the terminal with --inline",
        )


def _opener() -> str:
    return "open" if sys.platform == "darwin" else "xdg-open"


def open_picture(path: Path) -> None:
    """Open a picture with the system's viewer, and leave that alone; AttnvizError if it fails."""
    whole = os.path.abspath(path)  # no name of a file is an option then
    start: Callable[[str], None] | None = getattr(os, "startfile", None)
    if start is not None:
        start(whole)
        return
    nowhere: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    try:
        viewer = subprocess.Popen([_opener(), whole], start_new_session=True, **nowhere)
        code = viewer.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        return  # it is the viewer itself, and stays
    except OSError as error:
        raise AttnvizError(f"{_opener()} cannot be started: {error.strerror}") from error
    if code:
        raise AttnvizError(
            f"{_opener()} cannot open {path}: it ended with {code}", "open the file by hand"
        )


def open_page(path: Path) -> bool:
    """Open a page in the browser, and leave that alone; whether there is one."""
    import webbrowser

    chosen = "BROWSER" in os.environ
    try:
        browser = webbrowser.get() if chosen or _has_a_screen() else None
    except webbrowser.Error:
        browser = None
    if type(browser) is webbrowser.GenericBrowser and not chosen:
        browser = None  # one that shows text on a terminal, and runs no script
    if browser is None:
        return False
    with _unheard(sys.stdout is not None and not sys.stdout.isatty()):
        return bool(browser.open(Path(os.path.abspath(path)).as_uri()))


def _has_a_screen() -> bool:
    """Whether a browser would show where the user sits: not on a server, nor at its other end."""
    if sys.platform == "darwin" or os.name == "nt":
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextmanager
def _unheard(piped: bool) -> Iterator[None]:
    """Inside, what a program that is started writes to standard output and error goes nowhere, if
    these are `piped`: it may live long, and whoever reads the pipe would wait for its end.
    """
    if not piped:
        yield
        return
    kept = {stream: os.dup(stream) for stream in (1, 2)}
    with open(os.devnull, "wb") as nowhere:
        for stream in kept:
            os.dup2(nowhere.fileno(), stream)
    try:
        yield
    finally:
        for stream, before in kept.items():
            os.dup2(before, stream)
            os.close(before)


def _check_inline() -> None:
    """Raise RequestError or AttnvizError unless pictures can be seen on standard output."""
    if sys.stdout is None or not sys.stdout.isatty():
        raise RequestError(
            "--inline shows pictures in a terminal, and standard output is none",
            "leave it out, or write the picture to a file with -o FILE.png",
        )
    if find_spec("textual_image") is None:
        raise AttnvizError(
            "--inline needs textual-image, which is not installed",
            "install it with pip install 'attnviz[inline]'",
        )
    with _asking_the_terminal():
        from textual_image.renderable import HalfcellImage, Image
    from rich.console import Console

    if Image is HalfcellImage and (Console().no_color or Console().color_system is None):
        raise RequestError(
            "this terminal has no colours, or NO_COLOR is set, and --inline has nothing else here",
            "write the picture to a file with -o FILE.png",
        )


def show_inline(draw: Callable[[BinaryIO], None]) -> None:
    """Show a picture, which is drawn as PNG, on the terminal: as large as it is, if that fits."""
    from PIL import Image as Pictures
    from rich.console import Console

    logging.getLogger("textual_image").setLevel(logging.ERROR)  # sizes are guessed where unknown
    drawn, console = BytesIO(), Console()
    draw(drawn)
    with _asking_the_terminal():
        from textual_image.renderable import HalfcellImage, Image

        picture = Pictures.open(drawn)
        whole = console.options.update(max_width=picture.width)
        own = console.measure(Image(picture), options=whole).maximum // PIXELS_APART
        columns = console.width if Image is HalfcellImage else min(console.width, max(own, 1))
        console.print(Image(picture, width=columns, height="auto"))
    sys.stdout.flush()


@contextmanager
def _asking_the_terminal() -> Iterator[None]:
    """Inside, textual-image, which reads from standard input what the terminal answers, reads from
    the terminal itself, also where sentences come through a pipe.
    """
    before = sys.__stdin__
    try:
        with open(os.ttyname(sys.stdout.fileno()), encoding="utf-8") as terminal:
            sys.__stdin__ = terminal  # type: ignore[misc]
            yield
    finally:
        sys.__stdin__ = before  # type: ignore[misc]
