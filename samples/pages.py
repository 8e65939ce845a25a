"""Takes pictures of the page's views, as a browser shows them.

usage: python pages.py TIRED.html WIDE.html ATLAS.html FOLDER     pages of one sentence, of two,
    and of all heads over a corpus

Chromium draws with the fonts that the system has, so text may look otherwise elsewhere. A picture
has few colours, and becomes small.
"""

import io
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which(os.environ.get("ATTNVIZ_CHROMIUM", "chromium"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb"]
COLOURS = 128


class Shot(NamedTuple):
    """A picture: of which page, what its address says after `#`, and how the browser looks."""

    page: int
    fragment: str
    size: tuple[int, int] = (1280, 720)
    look: Mapping[str, Any] = MappingProxyType({})


IT = "layer=3&head=1&query=8"
LINK = f"{IT}&key=2"
PHONE = {"has_touch": True, "is_mobile": True}
SHOTS = {
    "lines": Shot(0, f"view=lines&{IT}"),
    "grid": Shot(0, f"view=grid&{IT}", (1280, 860)),
    "head": Shot(0, f"view=head&{LINK}", (1280, 760)),
    "steps": Shot(0, f"view=steps&{LINK}", (1280, 880)),
    "layer": Shot(0, f"view=layer&{IT}", (1280, 900)),
    "tour": Shot(0, f"view=tour&{IT}&step=4", (1280, 720)),
    "find": Shot(0, f"view=lines&{LINK}&find=true"),
    "compare": Shot(1, f"view=head&{LINK}&pair=0", (1280, 640)),
    "dark": Shot(0, f"view=lines&{IT}&off=", look={"color_scheme": "dark"}),
    "atlas-map": Shot(2, "view=map&layer=2&head=8", (1280, 760)),
    "atlas-scatter": Shot(2, "view=scatter&layer=2&head=8", (1280, 760)),
    "atlas-tree": Shot(2, "view=tree&layer=2&head=8", (1280, 760), {"color_scheme": "dark"}),
    "phone": Shot(0, f"view=lines&{IT}", (390, 760), PHONE),
}


def taken(browser: Browser, path: Path, shot: Shot) -> bytes:
    """The picture as PNG; TimeoutError if the page draws nothing."""
    width, height = shot.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=2 if width < 500 else 1.5,
        reduced_motion="reduce",
        locale="en-US",
        **shot.look,
    )
    tab = context.new_page()
    tab.goto(f"{path.absolute().as_uri()}#{shot.fragment}")
    view = shot.fragment.removeprefix("view=").partition("&")[0]
    tab.wait_for_selector(f"#page[data-drawn={view}]")
    tab.evaluate("document.fonts.ready")
    png = tab.screenshot(animations="disabled")
    context.close()
    return png


def main() -> None:
    """Take each of SHOTS."""
    *pages, folder = map(Path, sys.argv[1:])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, shot in SHOTS.items():
            picture = Image.open(io.BytesIO(taken(browser, pages[shot.page], shot))).convert("RGB")
            few = picture.quantize(COLOURS, dither=Image.Dither.NONE)
            few.save(folder / f"page-{name}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
