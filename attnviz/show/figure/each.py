"""One head after the other as PNG: what their pictures share is drawn once."""

from typing import Any, BinaryIO

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from attnviz.answers.matrices import Matrices
from attnviz.show.figure.drawing import drawing_of, write_pixels
from attnviz.show.figure.heatmap import OneHead, title_of
from attnviz.show.forms import Limits, Style, styled


class EachHead:
    """PNG pictures of one head each, as `write_figure` writes them; labels and the scale are drawn
    once, as long as the text, the notes and the scale stay as they are.
    """

    def __init__(self, scale: Limits | None, style: Style | None) -> None:
        self._scale, self._style = scale, style
        self._last: OneHead | None = None
        self._picture = Figure()
        self._canvas: Any = None
        self._shared: Any = None

    def write(self, matrices: Matrices, stream: BinaryIO) -> None:
        """Write the picture of one head."""
        with styled(self._style), drawing_of(matrices.context):
            head = OneHead(matrices, self._scale)
            if self._last is not None and head.is_laid_out_as(self._last):
                head.draw_over(self._picture)
                own = self._own()
                self._canvas.restore_region(self._shared)
            else:
                self._picture = head.figure()
                own = self._own()
                self._canvas = FigureCanvasAgg(self._picture)
                self._canvas.draw()
                self._shared = self._canvas.copy_from_bbox(self._picture.bbox)
            for artist in own:
                artist.draw(self._canvas.get_renderer())
            self._last = head
        write_pixels(Image.fromarray(np.asarray(self._canvas.buffer_rgba())), stream)

    def _own(self) -> list[Artist]:
        """The matrix, its numbers and the title, which the canvas leaves out."""
        axes = self._picture.axes[0]
        own: list[Artist] = [*axes.images, *axes.texts, title_of(self._picture)]
        for artist in own:
            artist.set_animated(True)
        return own
