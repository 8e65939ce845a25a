"""Writes the page of a text; prints its bytes, seconds and tokens as JSON.

`seconds`: from the inspection to the file, without the forward pass; `held`: the tokens that the
page holds.

usage: python benchmarks/write_page.py MODEL TEXT_FILE PAGE
"""

import json
import sys
import time
from pathlib import Path

from attnviz.answers.page import page
from attnviz.model import load_model
from attnviz.show.page.document import html_of


def main(model: str, source: str, target: str) -> None:
    inspection = load_model(model).inspect(Path(source).read_text(encoding="utf-8"))
    start = time.perf_counter()
    made = page([inspection.view()])
    Path(target).write_text(html_of(made), encoding="utf-8")
    seconds = time.perf_counter() - start
    [text] = made.texts
    told = {"bytes": Path(target).stat().st_size, "seconds": seconds}
    print(json.dumps(told | {"tokens": len(inspection.tokens), "held": text.end - text.first}))


if __name__ == "__main__":
    main(*sys.argv[1:])
