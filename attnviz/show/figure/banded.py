"""An image that is drawn band by band, so that a large one takes little memory."""

from typing import Any

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.image import AxesImage
from matplotlib.transforms import Bbox

BAND = 128
"""Dots that a band is high."""


class BandedImage(AxesImage):
    """An image whose cells are enlarged to dots one band after the other.

    matplotlib keeps several floating-point numbers for every dot that it enlarges an image to, for
    512 tokens some 200 MB at once, and its Agg renderer alone has dots. The picture is the same.
    """

    def draw(self, renderer: Any) -> None:
        """Draw the image, as every artist does."""
        if not isinstance(renderer, RendererAgg):
            super().draw(renderer)
            return
        left, low, right, high = self.axes.bbox.extents
        clip = self.get_clip_box()
        for bottom in range(int(low) // BAND * BAND, int(high) + 1, BAND):
            edges = max(bottom, low), min(bottom + BAND, high)
            self.set_clip_box(Bbox.from_extents(left, edges[0], right, edges[1]))
            super().draw(renderer)
        self.set_clip_box(clip)
