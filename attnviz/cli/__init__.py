"""The command line: what people type, and what they get."""

import gc
import signal
import sys

GARBAGE = 1 << 18  # objects made before Python looks for garbage; the usual 700 slow the start


def main() -> int:
    """Run `attnviz`, and return its exit code, as docs/cli.md lists them."""
    gc.set_threshold(GARBAGE, *gc.get_threshold()[1:])
    for name in ("SIGTERM", "SIGHUP"):  # not every system has the second
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets
            # leave in order, so that no temporary file stays behind
            signal.signal(number, lambda number, frame: sys.exit(128 + number))
    try:
        from attnviz.cli.output import prepare_streams

        prepare_streams()
        from attnviz.cli.app import app, exit_code_of

        return exit_code_of(lambda: app(prog_name="attnviz"))
    except KeyboardInterrupt:
        return 130
    finally:
        gc.freeze()  # or Python would go through all that torch made once more at exit
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second ctrl-C would show a traceback
