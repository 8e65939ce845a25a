"""Which files of the package a command goes through: those with a function that ran.

usage: python tests/opened.py TOLD ARGUMENT…    runs `attnviz ARGUMENT…`, and writes the files,
                                                in the order in which they were entered, to TOLD

What runs when a module is imported does not count, nor do lambdas and comprehensions: a reader who
follows the command passes over them.
"""

import inspect
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType

import attnviz
from attnviz.cli import main

PACKAGE = Path(attnviz.__file__).parent


class Trail:
    """The files entered so far; a profile hook, for all threads."""

    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        self._seen: set[CodeType] = set()

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or code in self._seen:
            return
        self._seen.add(code)
        function = code.co_flags & inspect.CO_OPTIMIZED and not code.co_name.startswith("<")
        path = Path(code.co_filename)
        if function and path.is_relative_to(PACKAGE):
            self.files.setdefault(path.relative_to(PACKAGE).as_posix())


def follow(told: Path, arguments: list[str]) -> None:
    """Run the command; whatever its end, the files are told."""
    trail = Trail()
    sys.argv = ["attnviz", *arguments]
    threading.setprofile(trail)
    sys.setprofile(trail)
    try:
        sys.exit(main())
    finally:
        sys.setprofile(None)
        told.write_text("\n".join(trail.files), encoding="utf-8")


if __name__ == "__main__":
    follow(Path(sys.argv[1]), sys.argv[2:])
