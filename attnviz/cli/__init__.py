"""The command line: what people type, and what they get."""

import gc
import signal
import sys
from types import FrameType


def main() -> int:
    """Run `attnviz`, and give back its exit code: 0, 1, 2 or 130, as docs/cli.md has them."""
    gc.disable()  # what is imported stays; looking for garbage in it takes a tenth of the start
    for name in ("SIGTERM", "SIGHUP"):  # the second is not everywhere
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _terminated)
    try:
        from attnviz.cli.streams import prepare_streams

        prepare_streams()
        from attnviz.cli.app import app
        from attnviz.cli.command import exit_code_of

        return exit_code_of(lambda: app(prog_name="attnviz"))
    except KeyboardInterrupt:
        return 130
    finally:
        gc.enable()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second ctrl-C would show a traceback


def _terminated(number: int, frame: FrameType | None) -> None:
    """Leave in an orderly way, so that no temporary file stays behind."""
    sys.exit(128 + number)
