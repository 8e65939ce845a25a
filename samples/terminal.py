"""Draws what `attnviz run TEXT --query it` looks like in a terminal, as an SVG.

usage: python terminal.py SAVED_INSPECTION PICTURE.svg
"""

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

import attnviz

WIDTH = 90
"""Columns of the terminal."""

# rich's own template fetches a font from the network; this one takes what the reader has
TEMPLATE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">
<style>
text {{ font: {char_height}px Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
{matrix}
</g>
</svg>
"""


def main() -> None:
    """Draw the saved inspection's grid of `it`, under the command that shows it."""
    saved, picture = sys.argv[1:]
    inspection = attnviz.load(saved)
    console = Console(
        record=True,
        width=WIDTH,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    console.print(Text(f'$ attnviz run "{inspection.tokens.text}" --query it'))
    console.print(attnviz.table(inspection, query="it"))
    svg = console.export_svg(title="", code_format=TEMPLATE, unique_id="attnviz")
    Path(picture).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
