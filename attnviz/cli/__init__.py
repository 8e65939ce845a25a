"""The command line: what people type, and what they get."""

import signal
import sys
from types import FrameType


def main() -> int:
    """Run `attnviz`, and give back its exit code: 0, 1, 2 or 130, as docs/cli.md has them."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        from attnviz.cli.app import app

        app(prog_name="attnviz")
    except KeyboardInterrupt:
        return 130
    return 0


def _terminated(number: int, frame: FrameType | None) -> None:
    """Leave in an orderly way, so that no temporary file stays behind."""
    sys.exit(128 + number)
