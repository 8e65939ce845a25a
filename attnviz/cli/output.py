"""Where things are written: results on standard output or in a file, all else on standard error."""

import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from attnviz.errors import AttnvizError, RequestError
from attnviz.files import is_open_stream, whole_file
from attnviz.show.forms import PICTURES, UNREADABLE, Form, check_form
from attnviz.show.labels import visible

if TYPE_CHECKING:
    from attnviz.answers.answer import Answer
    from attnviz.answers.page import Page
    from attnviz.cli.options import Results

NOTED = 80  # the most characters of a sentence that a note repeats

STDIN, STDOUT, STDERR = 0, 1, 2

Write = Callable[["Answer", int], None]  # the number is the text's index in the input


def prepare_streams() -> None:
    """Make the standard streams fit for use, in whatever state the caller hands them over."""
    for descriptor in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:  # the next file opened would take its number, and receive its messages
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if sys.stderr is None:  # Typer would write its errors to standard output
        sys.stderr = io.StringIO()
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = _Messages(
            sys.stderr.buffer, sys.stderr.encoding, "backslashreplace", line_buffering=True
        )


class _Messages(io.TextIOWrapper):
    """Standard error, which never fails: results matter more than that nobody reads messages."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            lead_nowhere(STDERR)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            lead_nowhere(STDERR)


def lead_nowhere(descriptor: int) -> None:
    """Send what is still buffered for a stream nowhere, so that it does not fail again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def mode_of(descriptor: int) -> int:
    """The mode of an open file, as `stat` reads it; 0 if it is closed."""
    try:
        return os.fstat(descriptor).st_mode
    except OSError:
        return 0


def on_terminal(stream: object) -> bool:
    """Whether the stream goes to a terminal, which obeys escape codes."""
    isatty = getattr(stream, "isatty", None)
    return isatty is not None and bool(isatty())


def complain(error: AttnvizError, place: str = "") -> None:
    """Report an error on standard error: what came and what was expected, then what to try."""
    _say("attnviz: ", place + visible(error.message))
    if error.hint:
        _say("  ", visible(error.hint))


class Notes:
    """What is worth knowing beside the results, on standard error; `--quiet` silences it."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self._said: set[str] = set()
        told = logging.Handler()  # what rooms below say, which do not know screens
        told.emit = lambda record: self.say_once(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("attnviz").handlers = [told]

    def say(self, text: str) -> None:
        """Say one thing."""
        if not self.quiet:
            _say("attnviz: ", visible(text))

    def say_once(self, text: str) -> None:
        """Say it, unless it was said before."""
        if text not in self._said:
            self._said.add(text)
            self.say(text)


def beginning(text: str) -> str:
    """As much of a sentence as a note has room for."""
    return text if len(text) <= NOTED else text[: NOTED - 1].rstrip() + "…"


def _say(start: str, text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"{start}{fitted(text, start)}\n")


def fitted(text: str, start: str) -> str:
    """What follows `start` on standard error: a terminal would break it within words."""
    width = _columns() - len(start)
    return _broken(text, width, " " * len(start)) if on_terminal(sys.stderr) else text


def _columns() -> int:
    """How wide the terminal of standard error is."""
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size(STDERR).columns or NOTED)
    except OSError:
        return NOTED


def _broken(text: str, width: int, indent: str) -> str:
    """The text in lines of so many cells, all but the first indented; a longer word stays whole."""
    cells: Callable[[str], int] = len
    if not text.isascii():
        from rich.cells import cell_len as cells

    broken, used = "", 0
    for place, word in enumerate(text.split(" ")):
        size = cells(word)
        if place and used and used + 1 + size > width:
            broken, used = f"{broken}\n{indent}", 0
        elif place:
            broken, used = f"{broken} ", used + 1
        broken, used = broken + word, used + size
    return broken


def check_output(output: "Results", *kinds: str) -> None:
    """Refuse, before anything is computed, a form that these answers lack or a file not ours."""
    form, path, _ = output.form, output.file, (output.limits, output.style)
    for kind in kinds:
        check_form(kind, form, None if output.format else path)
    if form == "parquet":
        from attnviz.show import parquet

        parquet.check_installed()
    if form in PICTURES and (output.open or output.inline):
        from attnviz.cli import viewing

        viewing.check(output)
    if path is None:
        drawn = form in (*PICTURES, "html")
        shown = output.to_stdout or not drawn  # what is drawn gets a file of its own
        if shown and form in UNREADABLE and on_terminal(sys.stdout):
            raise RequestError(
                f"{form} is not for reading on a terminal", f"write it with -o FILE.{form}"
            )
        return
    if output.save and os.path.realpath(path) == os.path.realpath(output.save):
        raise RequestError(f"-o and --save both name {path}", "give each a name of its own")
    check_ours(path, form, output.force)


def check_ours(path: Path, form: Form, force: bool) -> None:
    """Refuse to overwrite a file that attnviz did not write in this form."""
    from attnviz.show.write import is_ours

    doubt = "attnviz did not write it, or not in this form"
    if form == "table":
        doubt = "a table that attnviz wrote looks like any other text"
    check_overwrite(path, force, lambda path: is_ours(path, form), doubt)


def check_overwrite(
    path: Path,
    force: bool,
    is_ours: Callable[[Path], bool],
    doubt: str = "attnviz did not write it, or not in this form",
) -> None:
    """Refuse to overwrite a file that attnviz did not write; RequestError says how to."""
    if force or is_open_stream(path) or not os.path.isfile(path) or not path.stat().st_size:
        return
    try:
        ours = is_ours(path)
    except OSError as error:
        raise AttnvizError(f"cannot read {path}: {error.strerror}") from error
    if not ours:
        raise RequestError(
            f"{path} exists, and {doubt}", "overwrite it with --force, or give another name"
        )


@contextmanager
def writing(output: "Results", notes: Notes, top: int | None = None) -> Iterator[Write]:
    """Write answers one after the other, in the form and to the place that the options name."""
    from attnviz.show.write import writer

    form = output.form
    if form in PICTURES and not output.to_stdout:
        draw = _drawer(output, top)
        yield lambda answer, index: _draw(answer, output, notes, top, draw)
        return
    with _results(output.file) as stream:
        style = output.limits, output.style
        with writer(stream, form, top, output.file is not None, *style) as write:
            yield write if form not in PICTURES else _with_glyphs_checked(write, notes)
        stream.flush()


@contextmanager
def _results(path: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that appears when it is whole."""
    if path is not None:
        with whole_file(path) as stream:
            yield stream
    elif sys.stdout is None:
        raise AttnvizError("standard output is closed", "write to a file with -o FILE")
    else:
        yield sys.stdout.buffer


Draw = Callable[[Any, BinaryIO], None]  # of an answer


def _drawer(output: "Results", top: int | None) -> Draw:
    """What writes a picture."""
    if output.each and output.form == "png":
        from attnviz.show.figure.each import EachHead

        return EachHead(output.limits, output.style).write
    return partial(_draw_as, output.form, output, top)


def _draw_as(
    form: Form, output: "Results", top: int | None, answer: "Answer", stream: BinaryIO
) -> None:
    """Draw an answer in a form."""
    from attnviz.show.write import writer

    with writer(stream, form, top, False, output.limits, output.style) as write:
        write(answer, 0)


def _draw(answer: "Answer", output: "Results", notes: Notes, top: int | None, draw: Draw) -> None:
    """Draw an answer: to its file, whose path is printed, on the terminal, or both."""
    _note_glyphs(answer, notes)
    if output.inline:
        from attnviz.cli.viewing import show_inline

        show_inline(partial(_draw_as, "png", output, top, answer))
    if output.file is not None or output.open or not output.inline:
        path = _draw_to_file(answer, output, draw)
        if output.open:
            from attnviz.cli.viewing import open_picture

            open_picture(path)


def write_page(page: "Answer | Page", output: "Results", notes: Notes) -> None:
    """Write a page: to standard output, or to its file, whose path is printed, and open it."""
    draw = partial(_draw_as, "html", output, None)
    if output.to_stdout:
        with _results(None) as stream:
            draw(page, stream)
        return
    path = _draw_to_file(page, output, draw)
    if output.open:
        from attnviz.cli.viewing import open_page

        if not open_page(path):
            notes.say("there is no browser here: open the page in one by hand")


def _draw_to_file(answer: "Answer", output: "Results", draw: Draw) -> Path:
    """Write a picture or a page to its file, and print the file's path, which is returned."""
    path = output.file_of(answer) or _own_name(answer, output)
    check_ours(path, output.form, output.force)
    with whole_file(path) as stream:
        draw(answer, stream)
    if sys.stdout is not None:
        told = visible(str(path)).encode() if on_terminal(sys.stdout) else os.fsencode(path)
        sys.stdout.buffer.write(told + b"\n")
        sys.stdout.buffer.flush()
    return path


def _own_name(answer: "Answer", output: "Results") -> Path:
    """What the file of a picture, or of a page, is called if nobody gives it a name."""
    from attnviz.show.naming import picture_name

    return Path(f"{picture_name(answer, output.limits, output.style)}.{output.form}")


def _with_glyphs_checked(write: Write, notes: Notes) -> Write:
    """The same, and a note on characters that no font has."""

    def checked(answer: "Answer", index: int) -> None:
        _note_glyphs(answer, notes)
        write(answer, index)

    return checked


def _note_glyphs(answer: "Answer", notes: Notes) -> None:
    from attnviz.show.figure.fonts import missing_glyphs
    from attnviz.show.write import contexts_of

    for note in map(missing_glyphs, contexts_of(answer)):
        if note:
            notes.say_once(note)
