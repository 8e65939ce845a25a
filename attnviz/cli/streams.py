"""The standard streams, made fit for use in whatever state the caller hands them over."""

import io
import os
import sys

STDIN, STDOUT, STDERR = 0, 1, 2


def prepare_streams() -> None:
    """See to it that nothing written, read or drawn can go wrong because of how a stream is set up.

    A descriptor that is closed would be given to the next file that is opened, and what is meant
    for the terminal would end up in it: it leads nowhere instead. Characters that the terminal's
    encoding lacks become question marks. A terminal said to be 0 columns wide is of unknown width.
    """
    for descriptor in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free, which is this one
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if not os.environ.get("COLUMNS", "1").strip("0"):
        del os.environ["COLUMNS"]


def lead_nowhere(descriptor: int) -> None:
    """Let what is still buffered for a stream go nowhere, instead of failing again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def on_terminal(stream: object) -> bool:
    """Whether what is written to the stream is read on a terminal, which obeys escape codes."""
    isatty = getattr(stream, "isatty", None)
    return isatty is not None and bool(isatty())
